//! However the player ends or pauses, the terminal is as it was before. All of
//! it is asked of a real terminal, by `stty`, in the shell that it was started from.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::Uth;
use crate::player::{Reader, small_lesson};

/// The pid of a player that a shell on the terminal has started.
fn player_of(uth: &Uth) -> i32 {
    let begun = Instant::now();
    loop {
        let found = crate::machine::processes_of(uth.home())
            .into_iter()
            .find(|(_, line)| line.contains("under-the-hood lesson ") && line.contains("--trust"));
        match found {
            Some((pid, _)) => return pid,
            None => assert!(begun.elapsed() < Duration::from_secs(10), "no player is there"),
        }
    }
}

/// Whether the terminal gives lines, echoes, and makes signals of Ctrl-C.
fn is_usable(reader: &mut Reader) {
    reader.types(
        "stty -a | tr ' ' '\\n' | grep -E '^-?(icanon|echo|isig);?$' | sort | xargs echo now:\r",
    );
    reader.sees("now: echo icanon isig");
}

/// A shell on a terminal that has begun to play, up to the first question.
fn begun(uth: &Uth, shell: &str) -> Reader {
    let path = small_lesson(uth);
    let mut command = uth.beside("sh");
    command.args(["-c", shell, "sh", &path]).env("TERM", "dumb").env("PS1", "ready> ");
    let mut reader = Reader::of(command, 24);
    reader.sees("Enter for the next step").types("\r").sees("What do you think?");
    reader
}

const THEN_A_SHELL: &str = "stty echo; \"$UTH\" lesson $1 --trust; echo it ended: $?; exec sh -i";

#[test]
fn killed_in_raw_mode_it_leaves_a_usable_terminal() {
    let uth = Uth::new();
    let mut reader = begun(&uth, THEN_A_SHELL);
    kill(Pid::from_raw(player_of(&uth)), Signal::SIGKILL).unwrap();
    reader.sees("it ended: 137");
    is_usable(&mut reader);
}

/// The shell has the terminal already, and has set it its own way, when the guard comes.
#[test]
fn the_guard_leaves_a_terminal_alone_that_others_have_set() {
    let uth = Uth::new();
    let mut reader = begun(&uth, "stty echo; \"$UTH\" lesson $1 --trust; exec sh -i");
    let guard = crate::machine::processes_of(uth.home())
        .into_iter()
        .find(|(_, line)| line.contains("__guard"))
        .map(|(pid, _)| pid)
        .expect("there is a guard");
    // Held up until the terminal is somebody else's.
    kill(Pid::from_raw(guard), Signal::SIGSTOP).unwrap();
    kill(Pid::from_raw(player_of(&uth)), Signal::SIGKILL).unwrap();
    reader.sees("ready> ").types("stty icanon echo isig -ixon; echo so$((1 + 1))\r\n");
    reader.sees("so2");
    kill(Pid::from_raw(guard), Signal::SIGCONT).unwrap();
    let begun = Instant::now();
    while std::fs::exists(format!("/proc/{guard}/exe")).unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the guard is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
    reader.types("stty -a | grep -o -e '-ixon'\r").sees("\n-ixon");
}

#[test]
fn told_to_end_it_ends_and_leaves_a_usable_terminal() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let uth = Uth::new();
        let mut reader = begun(&uth, THEN_A_SHELL);
        kill(Pid::from_raw(player_of(&uth)), signal).unwrap();
        reader.sees(&format!("it ended: {code}"));
        is_usable(&mut reader);
    }
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_comes_back() {
    let uth = Uth::new();
    let path = small_lesson(&uth);
    let mut command = uth.beside("sh");
    command.arg("-i").env("TERM", "dumb").env("PS1", "ready> ");
    let mut reader = Reader::of(command, 24);
    reader.sees("ready> ").types(&format!("stty echo; $UTH lesson {path} --trust\r"));
    reader.sees("Enter for the next step").types("\r").sees("What do you think?");
    reader.types("\u{1a}").sees("ready> ");
    is_usable(&mut reader);
    reader.sees("ready> ").types("fg\r");
    reader.sees("What do you think?").types("1").sees("As you said: four");
    // And from outside, as `kill -STOP` does it.
    reader.sees("Enter for the next step");
    let player = Pid::from_raw(player_of(&uth));
    kill(player, Signal::SIGSTOP).unwrap();
    reader.sees("ready> ").types("fg\r").sees("Enter for the next step");
    reader.types("q").sees("Stopped at step 2").sees("ready> ");
    is_usable(&mut reader);
}

#[test]
fn after_the_end_too() {
    for keys in ["q", "\u{3}", "\u{4}"] {
        let uth = Uth::new();
        let mut reader = begun(&uth, THEN_A_SHELL);
        reader.types(keys).sees("Stopped at step 1").sees("it ended: 0");
        is_usable(&mut reader);
    }
}
