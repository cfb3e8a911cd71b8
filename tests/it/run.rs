//! `run`, `exec`, `stop`: what a container is, seen from inside and outside,
//! with docker's flags and exit codes.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use expectrl::{ControlCode, Eof, Expect, Session};

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress};

/// As root, or in a user namespace: whoever can start containers at all.
macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a shell script in a new container.
fn inside(uth: &Uth, flags: &[&str], script: &str) -> Ran {
    let command = [&["run"], flags, &["base", "sh", "-c", script]].concat();
    uth.run(command)
}

#[test]
fn exit_codes_are_dockers() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    inside(&uth, &[], "exit 7").exits(7);
    // A child's signal: as pid 1 the shell itself would not be killed by one of its own.
    inside(&uth, &[], "sh -c 'kill -KILL $$'; exit $?").exits(137);
    uth.run(["run", "base", "no-such-program"]).one_error(127);
    uth.run(["run", "base", "/no/such/program"]).one_error(127);
    uth.run(["run", "base", "/etc"]).one_error(126);
    uth.run(["run", "base", "/etc/os-release"]).one_error(126);
    uth.run(["run", "--workdir", "/etc/os-release", "base", "true"]).one_error(125);
    uth.run(["run", "--workdir", "/etc/os-release/x", "base", "true"]).one_error(125);
    uth.run(["run", "--user", "nobody-knows", "base", "true"]).one_error(125);
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

#[test]
fn flags_do_what_dockers_do() {
    need_containers!();
    let uth = Uth::new();
    let text = |ran: Ran| ran.ok().stdout;
    assert_eq!(
        text(inside(&uth, &["--hostname", "kiste"], "hostname; echo $HOSTNAME")).lines().next(),
        Some("kiste")
    );
    assert_eq!(
        text(inside(&uth, &["-e", "A=1", "-e", "B=two words"], "echo $A-$B")),
        "1-two words\n"
    );
    assert_eq!(text(inside(&uth, &["-w", "/tmp"], "pwd")), "/tmp\n");
    // What is missing of it is made.
    let made = text(inside(&uth, &["-w", "/tmp/a/b"], "pwd; stat -c %a:%u . .."));
    assert_eq!(made, "/tmp/a/b\n755:0\n755:0\n");
    assert_eq!(
        text(inside(&uth, &[], "id -u; id -g; pwd; echo $$; echo $HOME")),
        "0\n0\n/\n1\n/root\n"
    );
    assert_eq!(text(inside(&uth, &[], "grep -c . /proc/net/dev; ls /sys/class/net")), "3\nlo\n");
    let piped = uth.sh("echo hello | \"$UTH\" run -i base cat").ok();
    assert_eq!(piped.stdout, "hello\n");
    // Without -i, standard input is empty, as docker's.
    let piped = uth.sh("echo hello | \"$UTH\" run base cat").ok();
    assert_eq!(piped.stdout, "");
}

#[test]
fn another_user_has_no_capabilities() {
    need!(root);
    let uth = Uth::new();
    let script = "id -u; id -g; grep -E 'CapEff|CapPrm|Groups' /proc/self/status";
    let ran = inside(&uth, &["--user", "1000:1001"], script).ok();
    let lines: Vec<_> =
        ran.stdout.lines().map(|line| line.split_whitespace().last().unwrap_or_default()).collect();
    assert_eq!(
        lines,
        ["1000", "1001", "1001", "0000000000000000", "0000000000000000"],
        "{}",
        ran.whole()
    );
}

/// What the kernel says of a process in there.
#[test]
fn a_container_is_confined() {
    need_containers!();
    let uth = Uth::new();
    let ran = inside(&uth, &[], "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status").ok();
    let line = |name: &str| {
        let line = ran.stdout.lines().find(|line| line.starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_whitespace().last()).unwrap_or_default().to_owned()
    };
    // Docker's fourteen: `docker run busybox grep Cap /proc/self/status`.
    for (name, value) in [
        ("CapInh", "0000000000000000"),
        ("CapPrm", "00000000a80425fb"),
        ("CapEff", "00000000a80425fb"),
        ("CapBnd", "00000000a80425fb"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("Seccomp_filters", "2"),
    ] {
        assert_eq!(line(name), value, "{name}: {}", ran.whole());
    }
    for refused in [
        "mount -t tmpfs none /tmp",
        "hostname other",
        "echo 1 >/proc/sys/kernel/printk",
        "mkdir /sys/x",
        "echo b >/proc/sysrq-trigger",
        "cat /proc/kcore | head -c 1 | grep -q .",
        "mknod /x b 7 0 && cat /x",
        "unshare -U true",
        "chroot /proc/1/root/.. ls /root/.cargo",
    ] {
        let ran = inside(&uth, &[], refused);
        assert_ne!(ran.code, Some(0), "{}", ran.whole());
    }
}

#[test]
fn dev_is_minimal_and_its_own() {
    need_containers!();
    let uth = Uth::new();
    let ran = inside(
        &uth,
        &[],
        "ls /dev; echo x >/dev/null; head -c 1 /dev/zero | wc -c; test -w /dev/shm",
    )
    .ok();
    let names: Vec<_> = ran.stdout.lines().collect();
    for name in [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "fd",
        "stdin", "stdout", "stderr",
    ] {
        assert!(names.contains(&name), "no /dev/{name}: {}", ran.whole());
    }
    for name in ["kmsg", "mem", "vda", "sda", "loop0"] {
        assert!(!names.contains(&name), "/dev/{name}: {}", ran.whole());
    }
}

/// What is written in a container is in it, and not in the image.
#[test]
fn the_image_stays_as_it_is() {
    need_containers!();
    let uth = Uth::new();
    inside(&uth, &[], "echo mine >/mine && rm -r /etc/os-release && cat /mine").ok();
    inside(&uth, &[], "test ! -e /mine && test -e /etc/os-release").ok();
}

#[test]
fn every_namespace_is_its_own() {
    need_containers!();
    let uth = Uth::new();
    let ran = inside(
        &uth,
        &[],
        "for t in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$t; done",
    )
    .ok();
    for line in ran.stdout.lines() {
        let kind = line.split(':').next().unwrap();
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let shared = ours.to_string_lossy() == line;
        assert_eq!(shared, kind == "user" && is_root(), "{kind}: {line}");
    }
    let ran = inside(&uth, &["--network", "host"], "readlink /proc/self/ns/net").ok();
    assert_eq!(
        ran.stdout.trim(),
        std::fs::read_link("/proc/self/ns/net").unwrap().to_string_lossy()
    );
}

#[test]
fn a_detached_container_is_found_entered_and_stopped() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran =
        uth.run(["run", "-d", "--name", "box", "--hostname", "kiste", "base", "sleep", "60"]).ok();
    let id = ran.stdout.trim().to_owned();
    assert!(id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{}", ran.whole());
    let ran = uth.run(["exec", "box", "sh", "-c", "hostname; ps -o pid,args; exit 5"]).exits(5);
    assert!(
        ran.stdout.starts_with("kiste\n") && ran.stdout.contains("1 sleep 60"),
        "{}",
        ran.whole()
    );
    uth.run(["exec", &id[..4], "true"]).ok();
    uth.run(["exec", "box", "no-such-program"]).one_error(127);
    uth.run(["exec", "box", "/etc"]).one_error(126);
    uth.run(["run", "--name", "box", "base", "true"]).one_error(125);
    let listed = uth.run(["cleanup", "--list"]).ok();
    assert!(!listed.stdout.is_empty() || !listed.stderr.is_empty(), "{}", listed.whole());
    uth.run(["cleanup"]).ok();
    uth.run(["exec", "box", "true"]).ok(); // cleanup leaves what is running
    uth.run(["stop", "--time", "1", "box"]).ok();
    uth.run(["stop", "box"]).one_error(1);
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// A signal to the launcher is one to the command, as docker's --sig-proxy.
#[test]
fn signals_are_passed_on() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = uth
        .command(["run", "base", "sh", "-c", script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    assert_eq!(line, "ready\n");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(9), None));
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// `-it`: a terminal of its own, the reader's size, Ctrl-C for the command only.
#[test]
fn a_terminal_is_a_real_one() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let mut command = uth.command(["run", "-it", "base", "sh"]);
    command.stdin(std::process::Stdio::inherit()); // the new terminal
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    session.get_process_mut().set_window_size(100, 30).unwrap();
    session.expect("# ").unwrap(); // the shell's prompt: it reads now
    session.send_line("tty; stty size; echo end-$((1+1))").unwrap();
    let seen = session.expect("end-2").unwrap();
    let seen = String::from_utf8_lossy(seen.before()).into_owned();
    assert!(seen.contains("/dev/pts/0") || seen.contains("/dev/console"), "{seen:?}");
    assert!(seen.contains("30 100"), "{seen:?}");
    session.get_process_mut().set_window_size(70, 20).unwrap();
    session.send_line("sleep 0.2; stty size; echo end-$((1+2))").unwrap();
    let seen = session.expect("end-3").unwrap();
    assert!(String::from_utf8_lossy(seen.before()).contains("20 70"), "{seen:?}");
    session.send_line("sleep 60; echo code-$?").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    session.send(ControlCode::EndOfText).unwrap();
    session.send_line("echo after-$((2+2))").unwrap();
    session.expect("after-4").unwrap();
    session.send_line("exit 3").unwrap();
    session.expect(Eof).unwrap();
    assert_eq!(
        session.get_process().wait().unwrap(),
        expectrl::process::unix::WaitStatus::Exited(session.get_process().pid(), 3)
    );
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// As many arguments as the kernel takes, and not as many as a message of ours does.
#[test]
fn a_command_may_be_long() {
    need_containers!();
    let uth = Uth::new();
    let count = "\"$UTH\" run base sh -c 'echo $#' $(yes 0123456789 | head -30000)";
    assert_eq!(uth.sh(count).ok().stdout, "29999\n");
}

/// The plan names what would be done, and none of it is.
#[test]
fn a_dry_run_touches_nothing() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let ran =
        uth.run(["--dry-run", "run", "--name", "box", "--hostname", "box", "base", "true"]).ok();
    for call in [
        "clone3(",
        "pivot_root(",
        "mount(",
        "sethostname(\"box\"",
        "capset(",
        "seccomp(",
        "execve(",
    ] {
        assert!(ran.stdout.contains(call), "no {call}: {}", ran.whole());
    }
    let ran = uth.run(["--dry-run", "--format", "json", "run", "base", "true"]).ok();
    let plan = ran.json()["plan"].as_array().unwrap().len();
    assert!((30..=80).contains(&plan), "{plan} operations");
    assert_eq!(Machine::look(&uth), before);
}

/// With --explain, what is done is what was planned.
#[test]
fn the_plan_is_what_is_done() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let plan =
        uth.run(["--dry-run", "--format", "json", "run", "--name", "box", "base", "true"]).ok();
    let name =
        |call: &serde_json::Value| call.as_str().unwrap().split('(').next().unwrap().to_owned();
    let planned: Vec<_> =
        plan.json()["plan"].as_array().unwrap().iter().map(|step| name(&step["call"])).collect();
    let done = uth.sh("\"$UTH\" --report-fd 3 run --name box base true 3>&1 >/dev/null").ok();
    let reported: Vec<_> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|step| name(&step["call"]))
        .collect();
    assert_eq!(planned, reported);
}
