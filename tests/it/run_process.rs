//! Who the command is, what it finds in its environment, what it may use, and
//! the init that can come before it.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress};
use crate::run_files::{inside, link_instead, tree};

macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

/// More than one id: root, or an ordinary user with newuidmap.
fn many_ids() -> bool {
    let mapped = "test -s /etc/subuid && command -v newuidmap";
    crate::skip::root().is_ok() || crate::skip::sh("newuidmap", mapped).is_ok()
}

fn text(ran: Ran) -> String {
    ran.ok().stdout
}

#[test]
fn users_are_known_by_the_images_names() {
    need_containers!();
    if !many_ids() {
        need!(tool "newuidmap");
    }
    let uth = Uth::new();
    let tree = tree(&uth);
    fs::write(
        tree.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\nevil:x:4294967296:0::/:\n",
    )
    .unwrap();
    fs::write(tree.join("etc/group"), "root:x:0:\nwheel:x:10:ann,root\nusers:x:100:\n").unwrap();
    let who =
        "id -u; id -g; grep Groups: /proc/self/status | cut -f 2 | tr -d '\\n'; echo; echo $HOME";
    let of = |flags: &[&str]| text(inside(&uth, flags, who)).replace('\n', " ").replace("  ", " ");
    assert_eq!(of(&[]), "0 0 0 10 /root ");
    assert_eq!(of(&["-u", "ann"]), "1000 100 10 100 /home/ann ");
    assert_eq!(of(&["-u", "1000"]), "1000 100 10 100 /home/ann ");
    assert_eq!(of(&["-u", "ann:wheel"]), "1000 10 10 /home/ann ");
    assert_eq!(of(&["--user", "77:78"]), "77 78 78 / ");
    assert_eq!(of(&["-u", "77", "-e", "HOME=/mine"]), "77 0 0 /mine ");
    for wrong in ["bob", "evil", "ann:nobody", "-1", "4294967295", "4294967296", "0x10", "1:2:3"] {
        inside(&uth, &["-u", wrong], "true").one_error(125);
    }
    let ran = inside(&uth, &["-u", "bob"], "true");
    assert!(ran.stderr.contains("/etc/passwd of the image"), "{}", ran.whole());

    // Another process starts as the first one did, or as somebody else in there.
    let run = ["run", "-d", "--name", "box", "-u", "ann", "-w", "/tmp", "base", "sleep", "60"];
    uth.run(run).ok();
    let exec = |flags: &[&str]| {
        let command = [&["exec"], flags, &["box", "sh", "-c", "id -u; echo $HOME; pwd"]].concat();
        text(uth.run(command)).replace('\n', " ")
    };
    assert_eq!(exec(&[]), "1000 /home/ann /tmp ");
    assert_eq!(exec(&["-u", "root", "-w", "/"]), "0 /root / ");
    uth.run(["exec", "-u", "bob", "box", "true"]).one_error(125);
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// The image's list of users may be anything: it is read within bounds, and in the image.
#[test]
fn a_bad_passwd_is_one_error() {
    need_containers!();
    let uth = Uth::new();
    let passwd = tree(&uth).join("etc/passwd");
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "mole:x:7:7::/:\n").unwrap();
    let refused = || inside(&uth, &["-u", "mole"], "true").one_error(125);
    link_instead(&passwd, outside.path());
    refused();
    link_instead(&passwd, "/proc/self/environ");
    refused();
    link_instead(&passwd, "passwd");
    refused();
    fs::remove_file(&passwd).unwrap();
    refused();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o644);
    nix::unistd::mkfifo(&passwd, mode).unwrap();
    let ran = refused();
    assert!(ran.stderr.contains("regular file"), "{}", ran.whole());
    fs::remove_file(&passwd).unwrap();
    fs::create_dir(&passwd).unwrap();
    refused();
    fs::remove_dir(&passwd).unwrap();
    let long = fs::File::create(&passwd).unwrap();
    long.set_len(1 << 40).unwrap(); // a hole of a terabyte
    let ran = refused();
    assert!(ran.stderr.contains("longer than"), "{}", ran.whole());
    // A link inside is followed, as ever.
    fs::remove_file(&passwd).unwrap();
    fs::write(passwd.with_file_name("users"), "mole:x:0:0::/hole:\n").unwrap();
    symlink("/etc/users", &passwd).unwrap();
    assert_eq!(text(inside(&uth, &["-u", "mole"], "echo $HOME")), "/hole\n");
}

#[test]
fn the_environment_comes_from_files_and_flags() {
    need_containers!();
    let uth = Uth::new();
    let file = uth.home().join("variables");
    fs::write(&file, "# note\nA=file\nB=two words\nHERE\nMISSING\n\nQ=\"q\"\n").unwrap();
    let file = file.to_str().unwrap();
    let script = "echo $A-$B-$HERE-$Q-${MISSING-unset}-${PATH+set}";
    let command = ["run", "-e", "A=flag", "--env-file", file, "base", "sh", "-c", script];
    let mut with_here = uth.command(command);
    with_here.env("HERE", "out there");
    assert_eq!(text(uth.wait(with_here)), "flag-two words-out there-\"q\"-unset-set\n");
    for (flag, value) in
        [("--env-file", "/no/such/file"), ("--env-file", "/"), ("-e", "=x"), ("-e", "")]
    {
        inside(&uth, &[flag, value], "true").one_error(125);
    }
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    let ran = uth.run(["exec", "--env-file", file, "box", "sh", "-c", "echo $A"]);
    assert_eq!(text(ran), "file\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
}

#[test]
fn an_entrypoint_takes_the_command_as_its_arguments() {
    need_containers!();
    let uth = Uth::new();
    let run = |args: &[&str]| uth.run([&["run"], args].concat());
    assert_eq!(text(run(&["--entrypoint", "echo", "base", "one", "-n"])), "one -n\n");
    assert_eq!(text(run(&["--entrypoint", "id", "base"])).split(' ').next(), Some("uid=0(root)"));
    assert_eq!(text(run(&["--entrypoint", "", "base", "echo", "two"])), "two\n");
    run(&["--entrypoint", "", "base"]).one_error(125);
    run(&["--entrypoint", "no-such-program", "base"]).one_error(127);
}

#[test]
fn limits_are_set() {
    need_containers!();
    let uth = Uth::new();
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj";
    let flags = ["--ulimit", "nofile=64:128", "--ulimit", "core=0", "--oom-score-adj", "700"];
    assert_eq!(text(inside(&uth, &flags, script)), "64\n128\n0\n700\n");
    // So few that nothing of ours could be opened any more.
    assert_eq!(text(inside(&uth, &["--ulimit", "nofile=3"], "ulimit -n")), "3\n");
    for (flag, value) in [
        ("--ulimit", "nofile"),
        ("--ulimit", "nofile=2:1"),
        ("--ulimit", "files=1"),
        ("--ulimit", "nofile=99999999999999999999"),
        ("--oom-score-adj", "1001"),
        ("--oom-score-adj", "-1001"),
    ] {
        inside(&uth, &[flag, value], "true").one_error(125);
    }
    let ran = inside(&uth, &["--ulimit", "nofile=4611686018427387904"], "true").one_error(125);
    assert!(ran.stderr.contains("CAP_SYS_RESOURCE"), "{}", ran.whole());
    // They hold for whatever is started in there later.
    let detached =
        ["run", "-d", "--name", "box", "--ulimit", "nofile=64", "--oom-score-adj", "700"];
    uth.run([&detached[..], &["base", "sleep", "60"]].concat()).ok();
    let ran = uth.run(["exec", "box", "sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj"]);
    assert_eq!(text(ran), "64\n700\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// Waits for what must come.
#[track_caller]
fn comes(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An orphan that has ended: gone below an init, a zombie without one.
#[test]
fn an_init_reaps_orphans() {
    need_containers!();
    let uth = Uth::new();
    let orphan = "sh -c 'sleep 0.1 &'; exec sleep 600";
    for (name, flags) in [("with", &["--init"][..]), ("without", &[])] {
        let run = [&["run", "-d", "--name", name], flags, &["base", "sh", "-c", orphan]].concat();
        uth.run(run).ok();
    }
    let zombies = |name: &str| {
        let states = "for s in /proc/[0-9]*/stat; do cut -d ' ' -f 3 $s; done; echo end";
        let ran = uth.run(["exec", name, "sh", "-c", states]).ok();
        assert!(ran.stdout.ends_with("end\n"), "{}", ran.whole());
        ran.stdout.lines().filter(|state| *state == "Z").count()
    };
    // That the one without has its zombie says that it is time for the other.
    comes("the zombie", || zombies("without") == 1);
    comes("the reaping", || zombies("with") == 0);
    let processes = text(uth.run(["exec", "with", "ps", "-o", "pid,args"]));
    assert!(processes.contains("1 init") && !processes.contains("sleep 0.1"), "{processes}");
    for name in ["with", "without"] {
        uth.run(["stop", "-t", "0", name]).ok();
    }
}

/// SIGTERM ends a command that has no handler for it, which as process 1 it
/// would ignore; and how it ended is how the container does.
#[test]
fn an_init_passes_signals_on_and_the_exit_code_back() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    inside(&uth, &["--init"], "exit 7").exits(7);
    // So few descriptors that the init itself could not move one.
    for few in ["nofile=3", "nofile=5", "nofile=64"] {
        inside(&uth, &["--init", "--ulimit", few], "exit 8").exits(8);
    }
    inside(&uth, &["--init"], "kill -KILL $$").exits(137);
    uth.run(["run", "--init", "base", "no-such-program"]).one_error(127);
    uth.run(["run", "--init", "base", "/etc"]).one_error(126);
    uth.run(["run", "-d", "--init", "--name", "box", "base", "sleep", "600"]).ok();
    let start = Instant::now();
    uth.run(["stop", "-t", "60", "box"]).ok();
    assert!(start.elapsed() < Duration::from_secs(30), "SIGTERM did not arrive");
    // One of the real-time signals, which have no names, with a handler.
    let script = "trap 'echo caught; exit 5' RTMIN+3 2>/dev/null || trap 'echo caught; exit 5' 37; \
                  kill -37 1; while :; do sleep 0.05; done";
    let ran = inside(&uth, &["--init"], script).exits(5);
    assert_eq!(ran.stdout, "caught\n");
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// The init is our program; the container gets no hold of it (CVE-2019-5736),
/// and it has no more rights than the command.
#[test]
fn an_init_gives_nothing_away() {
    need_containers!();
    let uth = Uth::new();
    let script = "for f in exe cwd root fd/0 mem maps environ; do \
                    { readlink /proc/1/$f || head -c 1 </proc/1/$f; } >/dev/null 2>&1 && echo open: $f; done; \
                  echo x 2>/dev/null >/proc/1/exe && echo written; \
                  for f in CapPrm CapEff CapBnd Seccomp Seccomp_filters NoNewPrivs; do \
                    test \"$(grep ^$f: /proc/1/status)\" = \"$(grep ^$f: /proc/self/status)\" || echo differs: $f; done; \
                  ls /proc/1/fd 2>/dev/null | grep -v '^[012]$'; id -u; echo $$";
    for user in ["0", "1000"] {
        if user != "0" && !many_ids() {
            continue;
        }
        let ran = inside(&uth, &["--init", "-u", user], script).ok();
        assert_eq!(ran.stdout, format!("{user}\n2\n"), "{}", ran.whole());
    }
}

/// With a terminal, Ctrl-C is for the command, and its shell has job control.
#[test]
fn an_init_leaves_the_terminal_to_the_command() {
    use expectrl::{ControlCode, Eof, Expect, Session};
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let mut command = uth.command(["run", "-it", "--init", "base", "sh"]);
    command.stdin(std::process::Stdio::inherit()); // the new terminal
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    session.expect("# ").unwrap();
    session.send_line("echo ready-$((1+1)); sleep 600").unwrap();
    session.expect("ready-2").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    session.send(ControlCode::EndOfText).unwrap();
    session.send_line("echo after-$((2+2))").unwrap();
    session.expect("after-4").unwrap();
    session.send_line("exit 3").unwrap();
    session.expect(Eof).unwrap();
    let ended = session.get_process().wait().unwrap();
    let pid = session.get_process().pid();
    assert_eq!(ended, expectrl::process::unix::WaitStatus::Exited(pid, 3));
}
