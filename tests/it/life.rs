//! A container's life: what it writes in the background, what is kept of it
//! when it has ended, and its shell at the reader's terminal.

use std::process::Stdio;
use std::time::{Duration, Instant};

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect, Session};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until the answer is as it should be.
#[track_caller]
fn until(ask: impl Fn() -> Ran, answered: impl Fn(&Ran) -> bool) -> Ran {
    let start = Instant::now();
    loop {
        let ran = ask();
        if answered(&ran) {
            return ran;
        }
        assert!(start.elapsed() < PATIENCE, "{}", ran.whole());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_a_container_in_the_background_writes_is_read_by_logs() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let script = "echo out; echo err >&2; while [ ! -e /go ]; do sleep 0.05; done; echo last";
    uth.run(["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok();
    let ran = until(|| uth.run(["logs", "box"]), |ran| ran.stdout.lines().count() == 2);
    assert_eq!(ran.ok().stdout, "out\nerr\n");
    assert_eq!(uth.run(["--format", "json", "logs", "box"]).ok().json()["log"], "out\nerr\n");
    // Who follows sees the last words, though the log goes with the container.
    let mut follower = uth.command(["logs", "--follow", "box"]);
    let follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    uth.run(["exec", "box", "touch", "/go"]).ok();
    let followed = follower.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&followed.stdout), "out\nerr\nlast\n");
    let ran = until(|| uth.run(["logs", "box"]), |ran| ran.code == Some(1)).one_error(1);
    assert!(ran.stderr.contains("--keep"), "{}", ran.whole());
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

#[test]
fn a_terminal_in_the_background_is_written_down_too() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["run", "-dt", "--name", "box", "base", "sh", "-c", "tty; sleep 600"]).ok();
    until(|| uth.run(["logs", "box"]).ok(), |ran| ran.stdout.contains("/dev/pts/0\r\n"));
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// Whoever writes without end fills no disk, and does not wait.
#[test]
fn a_log_is_bounded() {
    need_containers!();
    let uth = Uth::new();
    let script = "i=0; while [ $i -lt 60 ]; do head -c 100000 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; \
                  echo done; sleep 600";
    uth.run(["run", "-d", "--name", "box", "base", "sh", "-c", script]).ok();
    let ran = until(|| uth.run(["logs", "box"]).ok(), |ran| ran.stdout.ends_with("\ndone\n"));
    assert!((1_000_000..2_300_000).contains(&ran.stdout.len()), "{}", ran.stdout.len());
    assert!(ran.stdout.lines().all(|line| line == "done" || line.len() == 100_000));
    let on_disk = uth.sh("du -s --block-size=1 \"$UTH_HOME/run\" | cut -f1").ok().stdout;
    assert!(on_disk.trim().parse::<u64>().unwrap() < 2_500_000, "{on_disk}");
    uth.run(["stop", "-t", "0", "box"]).ok();
}

#[test]
fn without_d_there_is_no_log_and_logs_says_so() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let mut command = uth.command(["run", "--name", "box", "base", "sleep", "600"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let ran = until(|| uth.run(["logs", "box"]), |ran| ran.stderr.contains("not started with -d"));
    ran.one_error(1);
    uth.run(["stop", "-t", "0", "box"]).ok();
    child.wait().unwrap();
}

#[test]
fn what_is_kept_stays_until_it_is_removed_by_name() {
    need_containers!();
    let uth = Uth::new();
    let name = "kept1";
    uth.run(["run", "--rm", "base", "true"]).ok();
    let before = Machine::look(&uth);
    let script = "echo mine >/mine; rm /etc/os-release; exit 7";
    let ran = uth.run(["run", "--keep", "--name", name, "base", "sh", "-c", script]).exits(7);
    assert!(ran.stderr.contains("rm kept1"), "{}", ran.whole());
    let listed = uth.run(["cleanup", "--list"]).ok();
    assert!(
        listed.stdout.contains("kept") && listed.stdout.contains("--name kept1"),
        "{}",
        listed.whole()
    );
    let kept = uth.sh("cat \"$UTH_HOME\"/data/kept/*/upper/mine").ok();
    assert_eq!(kept.stdout, "mine\n");
    // Its name is taken as long as it is there; a sweep leaves it.
    uth.run(["run", "--name", name, "base", "true"]).one_error(125);
    uth.run(["run", "base", "test", "!", "-e", "/mine"]).ok();
    assert!(uth.run(["exec", name, "true"]).one_error(125).stderr.contains("is kept"));
    let plan = uth.run(["--dry-run", "rm", name]).ok();
    assert!(plan.stdout.contains("data/kept/"), "{}", plan.whole());
    assert_eq!(uth.run(["rm", name]).ok().stdout, "kept1\n");
    uth.run(["rm", name]).one_error(1);
    uth.run(["run", "--keep", "--rm", "base", "true"]).exits(2);
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// Another's may run under that name: `exec` does not enter it instead.
#[test]
fn the_name_of_a_kept_container_means_no_other() {
    need_containers!();
    let (uth, other) = (Uth::new(), Uth::new());
    uth.run(["run", "--keep", "--name", "kept2", "base", "true"]).ok();
    // Where its shim is in the machine's network namespace, as it is outside of tests; in one
    // of its own it would be taken for a second container of that name.
    let machines = match crate::skip::root() {
        Ok(()) => format!("nsenter --net=/proc/{}/ns/net", std::process::id()),
        Err(_) => String::new(),
    };
    let run = "run -d --network none --name kept2 base sleep 600";
    other.sh(&format!("{machines} \"$UTH\" {run}")).ok();
    let third = Uth::new();
    let entered = third.run(["exec", "kept2", "echo", "inside"]);
    let refused = uth.run(["exec", "kept2", "echo", "inside"]);
    other.run(["stop", "-t", "0", "kept2"]).ok();
    // Whoever has none of that name finds it.
    assert_eq!(entered.ok().stdout, "inside\n");
    assert!(refused.one_error(125).stderr.contains("is kept"));
    uth.run(["rm", "kept2"]).ok();
}

#[test]
fn the_log_of_a_kept_container_is_read_after_its_end_and_cleanup_removes_it() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = Machine::look(&uth);
    let script = "echo one; sleep 0.3; echo two";
    uth.run(["run", "-d", "--keep", "--name", "box", "base", "sh", "-c", script]).ok();
    uth.run(["rm", "box"]).one_error(1); // it is running
    let ran = until(|| uth.run(["exec", "box", "true"]), |ran| ran.stderr.contains("is kept"));
    ran.one_error(125);
    assert_eq!(uth.run(["logs", "-f", "box"]).ok().stdout, "one\ntwo\n");
    uth.run(["cleanup"]).ok();
    uth.run(["logs", "box"]).one_error(1);
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// However soon it ends: its id is told, and its last words are read.
#[test]
fn a_container_in_the_background_may_end_at_once() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = Machine::look(&uth);
    for _ in 0..10 {
        uth.run(["run", "-d", "base", "true"]).ok();
        uth.run(["run", "-d", "--keep", "--name", "box", "base", "echo", "here"]).ok();
        let ran = until(|| uth.run(["logs", "-f", "box"]), |ran| ran.code == Some(0));
        assert_eq!(ran.stdout, "here\n");
        until(|| uth.run(["rm", "box"]), |ran| ran.code == Some(0));
    }
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// A run that failed keeps nothing.
#[test]
fn nothing_is_kept_of_what_never_ran() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = Machine::look(&uth);
    uth.run(["run", "--keep", "base", "no-such-program"]).one_error(127);
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// `run -it base sh` at a terminal of its own.
fn at_a_terminal(uth: &Uth, command: &[&str]) -> OsSession {
    let mut command = uth.command([&["run", "-it", "--name", "box", "base"], command].concat());
    command.stdin(Stdio::inherit()); // the new terminal
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(PATIENCE));
    session
}

/// Ctrl-Z, jobs, bg, fg, Ctrl-C: as in any shell.
#[test]
fn jobs_are_controlled_in_the_containers_shell() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let mut session = at_a_terminal(&uth, &["sh"]);
    session.expect("# ").unwrap();
    session.send_line("sleep 600").unwrap();
    until(|| uth.run(["exec", "box", "ps", "-o", "args"]), |ran| ran.stdout.contains("sleep 600"));
    session.send(ControlCode::Substitute).unwrap(); // Ctrl-Z
    session.expect("Stopped").unwrap();
    session.send_line("jobs; echo jobs-$((1+1))").unwrap();
    let seen = session.expect("jobs-2").unwrap();
    assert!(String::from_utf8_lossy(seen.before()).contains("Stopped"), "{seen:?}");
    session.send_line("bg; jobs; echo bg-$((1+1))").unwrap();
    let seen = session.expect("bg-2").unwrap();
    assert!(String::from_utf8_lossy(seen.before()).contains("Running"), "{seen:?}");
    session.send_line("fg").unwrap();
    session.expect("sleep 600").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    session.send(ControlCode::EndOfText).unwrap(); // Ctrl-C
    session.send_line("echo back-$((1+1))").unwrap();
    session.expect("back-2").unwrap();
    session.send_line("exit 4").unwrap();
    session.expect(Eof).unwrap();
    assert_eq!(
        session.get_process().wait().unwrap(),
        WaitStatus::Exited(session.get_process().pid(), 4)
    );
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// However it ends, the reader's terminal is as it was.
#[test]
fn the_terminal_is_restored_when_somebody_ends_run() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    for (signal, command) in
        [(Signal::SIGTERM, "sh"), (Signal::SIGHUP, "sh"), (Signal::SIGTERM, "sleep 600")]
    {
        let script = "echo before; stty -a | tr '\\n' ' '; echo; \"$UTH\" run -it --name box base $COMMAND & \
                      echo $! >\"$UTH_HOME/pid\"; fg >/dev/null; echo; echo after; stty -a | tr '\\n' ' '; echo; echo end-$((1+1))";
        let mut shell = uth.beside("bash");
        shell.args(["-m", "-c", script]).env("COMMAND", command).stdin(Stdio::inherit());
        let mut session = Session::spawn(shell).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        until(|| uth.run(["exec", "box", "true"]), |ran| ran.code == Some(0));
        std::thread::sleep(Duration::from_millis(200));
        let pid = std::fs::read_to_string(uth.home().join("pid")).unwrap();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
        let seen = session.expect("end-2").unwrap();
        let seen = String::from_utf8_lossy(seen.before()).into_owned();
        let settings: Vec<_> = seen.lines().filter(|line| line.contains("icanon")).collect();
        assert_eq!(settings.len(), 2, "{signal} {command}: {seen:?}");
        assert_eq!(settings[0].trim(), settings[1].trim(), "{signal} {command}");
        assert!(!settings[0].contains("-icanon"), "{seen:?}");
        std::fs::remove_file(uth.home().join("pid")).unwrap();
        Machine::settles(&uth, &before, Duration::from_secs(4), base_and_progress);
    }
}
