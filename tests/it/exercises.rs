//! Exercises that are open: the kernel is watched while somebody else does the
//! work, what changes is told, and nothing of the watching stays behind.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::Uth;
use crate::machine::processes_of;
use crate::player::Reader;

const LESSON: &str = r#"+++
title = "Exercises"
chapter = "None"
minutes = 1
+++

What it is about.

## First {#first}

> **Try** {#both} Start the sleeper, and make a file.
>
> check: sh: test "$(cat /proc/$napper_pid/comm)" = sleep && echo "process $napper_pid sleeps"
>
> check: sh: test -e MADE && echo a file is there
>
> leaves: process sleep SLEEP as napper
>
> leaves: MADE
>
> hint: Read the task once more.
>
> hint (check 1): A program that does nothing for a while.
>
> hint (check 2): Touch it.
>
> hint (check 1): Its number of seconds matters.
>
> <details><summary>Solution</summary> `sleep SLEEP >/dev/null 2>&1 &` `touch MADE` </details>

## Second {#second}

> **Claim** {#there} The file is there.
>
> check: sh: test -e MADE && echo it is still there
>
> opposite: nothing
"#;

/// A check that takes its time, on a lesson with nothing else.
const SLOW: &str = r#"+++
title = "Slow"
chapter = "None"
minutes = 1
+++

## First {#first}

> **Try** {#slow} Nothing.
>
> check: sh: sleep SLEEP; false
>
> hint: There is no help.
>
> <details><summary>Solution</summary> `true` </details>
"#;

/// What the watcher is called in `ps`.
const TITLE: &str = "under-the-hood: watches";

/// A number of seconds that no other test sleeps.
fn seconds() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(10);
    format!("5.{}{}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

/// A lesson in the test's home, what is to be slept, and the file that is to be made.
fn lesson(uth: &Uth, text: &str) -> (String, String, PathBuf) {
    let directory = uth.home().join("exercise");
    std::fs::create_dir(&directory).unwrap();
    let (sleep, made) = (seconds(), uth.home().join("made"));
    // The sleeper sleeps for long, the slow check for five seconds.
    let sleep = if text == SLOW { sleep } else { sleep.replacen("5.", "47", 1) };
    let text = text.replace("MADE", made.to_str().unwrap()).replace("SLEEP", &sleep);
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    (directory.to_str().unwrap().to_owned(), sleep, made)
}

/// The second process: somebody who does what the exercise asks for.
struct Sleeper(Child);

impl Sleeper {
    fn start(uth: &Uth, sleep: &str) -> Self {
        let mut command = uth.beside("sleep");
        command.arg(sleep).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn evidence(&self) -> String {
        format!("process {} sleeps", self.0.id())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A player up to the exercise.
fn at_the_exercise(uth: &Uth, lesson: &str, more: &[&str]) -> Reader {
    let mut reader = Reader::begins(uth, &[&[lesson, "--trust"], more].concat());
    reader.sees("Enter for the next step").types("\r").sees("Enter when it is done");
    reader
}

/// Processes of the test's home whose command line contains this.
fn running(uth: &Uth, what: &str) -> Vec<i32> {
    let all = processes_of(uth.home()).into_iter();
    all.filter(|(_, line)| line.contains(what)).map(|(pid, _)| pid).collect()
}

/// Waits until so many are there.
#[track_caller]
fn become_of(uth: &Uth, what: &str, count: usize) -> Vec<i32> {
    let begun = Instant::now();
    loop {
        let found = running(uth, what);
        if found.len() == count {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}: {:?}", processes_of(uth.home()));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What another process does is told as it happens; when all is done the player waits.
fn watched(more: &[&str]) -> String {
    let uth = Uth::new();
    let (path, sleep, made) = lesson(&uth, LESSON);
    let mut reader = at_the_exercise(&uth, &path, more);
    let sleeper = Sleeper::start(&uth, &sleep);
    reader.sees(&format!("is process {}", sleeper.0.id()));
    reader.sees("The first of 2 conditions holds: ").sees(&sleeper.evidence());
    reader.sees("Enter when it is done");
    // A second terminal has the name at once; and it is told once.
    let names = uth.run(["lesson", "env"]).ok();
    assert!(
        names.stdout.contains(&format!("napper_pid='{}'", sleeper.0.id())),
        "{}",
        names.whole()
    );
    std::thread::sleep(Duration::from_secs(1));
    std::fs::write(&made, "").unwrap();
    reader.sees("Done. Both conditions hold:").sees("Check 1 of 2").sees(&sleeper.evidence());
    reader.sees("Check 2 of 2").sees("a file is there").sees("Enter goes on");
    assert_eq!(reader.seen().matches("The first of 2").count(), 1, "{}", reader.seen());
    // Nothing goes on by itself.
    std::thread::sleep(Duration::from_secs(1));
    reader.types("?").sees("these keys").sees("Enter goes on");
    assert!(!reader.seen().contains("You made: "), "{}", reader.seen());
    reader.types("\r").sees("You made: ").types("y").sees("next step").types("\r");
    reader.sees("it is still there").sees("Enter to finish").types("\r").sees("2 of 2 claims hold");
    reader.ends();
    assert!(!made.exists(), "it was to be removed");
    reader.seen().to_owned()
}

#[test]
fn what_another_process_does_is_told_and_then_the_player_waits() {
    watched(&[]);
}

#[test]
fn a_change_is_a_line_of_words_where_nothing_is_drawn() {
    let seen = watched(&["--plain"]);
    let drawn = ['✓', '✗', '\u{1b}', '\u{8}'];
    assert!(!seen.contains(drawn), "{seen}");
    assert!(seen.contains("\nThe first of 2 conditions holds: process "), "{seen}");
}

#[test]
fn what_does_not_hold_any_more_is_told_and_enter_looks_again() {
    let uth = Uth::new();
    let (path, sleep, made) = lesson(&uth, LESSON);
    let mut reader = at_the_exercise(&uth, &path, &[]);
    // Known from the outset: nothing is told of what does not hold.
    reader.types("\r").sees("Not yet").sees("Enter when it is done");
    let sleeper = Sleeper::start(&uth, &sleep);
    reader.sees("The first of 2 conditions holds").sees("Enter when");
    drop(sleeper);
    reader.sees("The first of 2 conditions does not hold any more").sees("Enter when");
    let sleeper = Sleeper::start(&uth, &sleep);
    reader.sees("The first of 2 conditions holds: ").sees(&sleeper.evidence());
    std::fs::write(&made, "").unwrap();
    reader.sees("Both conditions hold").sees("Enter goes on");
    std::fs::remove_file(&made).unwrap();
    reader.sees("The second of 2 conditions does not hold any more").sees("Enter when it is done");
    std::fs::write(&made, "").unwrap();
    reader.sees("Both conditions hold").sees("Enter goes on");
    // Undone where the watcher cannot see it in time.
    for pid in become_of(&uth, TITLE, 2) {
        let parent = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let parent: i32 =
            parent.rsplit(") ").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        if running(&uth, TITLE).contains(&parent) {
            kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        }
    }
    std::fs::remove_file(&made).unwrap();
    reader.types("\r").sees("What held before").sees("Enter when it is done");
    reader.types("q").sees("Stopped at step 1").ends();
}

#[test]
fn hints_fit_what_is_missing_and_grow() {
    let uth = Uth::new();
    let (path, sleep, made) = lesson(&uth, LESSON);
    let mut reader = at_the_exercise(&uth, &path, &[]);
    reader.types("h").sees("Hint for check 1 of 2").sees("does nothing for a while");
    std::fs::write(&made, "").unwrap();
    reader.sees("The second of 2").types("h").sees("number of seconds").sees("Enter when");
    reader.types("h").sees("Hint. Read the task").sees("Enter when");
    reader.types("h").sees("There are no more; s shows").sees("Enter when");
    assert!(!reader.seen().contains("Touch it"), "{}", reader.seen());
    std::fs::remove_file(&made).unwrap();
    let _sleeper = Sleeper::start(&uth, &sleep);
    reader.sees("The first of 2 conditions holds");
    reader.types("h").sees("Hint for check 2 of 2").sees("Touch it").sees("Enter when");
    reader.types("q").sees("Stopped").ends();
}

#[test]
fn keys_answer_while_a_check_takes_its_time_and_nothing_of_it_stays() {
    let uth = Uth::new();
    let (path, sleep, _) = lesson(&uth, SLOW);
    let sleeps = format!("sleep {sleep}");
    for leave in ["q", "\u{3}", "b"] {
        let mut reader = at_the_exercise(&uth, &path, &[]);
        for _ in 0..2 {
            become_of(&uth, &sleeps, 2); // the shell's line, and sleep itself
            let begun = Instant::now();
            reader.types("?").sees("a hint for").sees("Enter when it is done");
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(1), "a key took {took:?}");
        }
        become_of(&uth, &sleeps, 2);
        let begun = Instant::now();
        if leave == "b" {
            reader.types("b").sees("no step before this one").types("q");
        } else {
            reader.types(leave);
        }
        reader.sees("Stopped at step 1").ends();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!((running(&uth, TITLE), running(&uth, &sleeps)), (vec![], vec![]));
    }
    // Nor when the player is killed.
    let _reader = at_the_exercise(&uth, &path, &[]);
    become_of(&uth, TITLE, 2);
    become_of(&uth, &sleeps, 2);
    // The journal's watcher, which was forked from it, has the same command line.
    let player = running(&uth, "--trust").into_iter().min().unwrap();
    kill(Pid::from_raw(player), Signal::SIGKILL).unwrap();
    become_of(&uth, TITLE, 0);
    become_of(&uth, &sleeps, 0);
}

#[test]
fn nobody_watches_while_the_reader_is_in_a_shell_or_has_stopped_the_player() {
    let uth = Uth::new();
    let (path, sleep, made) = lesson(&uth, LESSON);
    let mut command = uth.beside("sh");
    command.arg("-i").env("TERM", "dumb").env("PS1", "ready> ").env("SHELL", "/bin/sh");
    let mut reader = Reader::of(command, 24);
    reader.sees("ready> ").types(&format!("stty echo; $UTH lesson {path} --trust\r"));
    reader.sees("Enter for the next step").types("\r").sees("Enter when it is done");
    reader.types("!").sees("(lesson ");
    become_of(&uth, TITLE, 0);
    std::fs::write(&made, "").unwrap();
    reader.types("echo at $((40 + 2))\r").sees("at 42");
    assert!(!reader.seen().contains("a file is there"), "told in the reader's shell");
    reader.types("exit\r").sees("Back in the lesson").sees("a file is there").sees("Not yet");
    // It is known now, and not told again.
    reader.sees("Enter when it is done").types("\u{1a}").sees("ready> ");
    let _sleeper = Sleeper::start(&uth, &sleep);
    std::thread::sleep(Duration::from_secs(1));
    reader.types("echo at $((40 + 3))\r").sees("at 43");
    assert!(!reader.seen().contains("conditions hold"), "{}", reader.seen());
    reader.sees("ready> ").types("fg\r").sees("Both conditions hold").sees("Enter goes on");
    assert!(!reader.seen().contains("The second of 2"), "{}", reader.seen());
    reader.types("q").sees("Stopped at step 1").sees("ready> ");
    become_of(&uth, TITLE, 0);
}

#[test]
fn a_shell_in_which_it_is_done_does_not_go_on_by_itself() {
    let uth = Uth::new();
    let (path, sleep, made) = lesson(&uth, LESSON);
    let mut reader = at_the_exercise(&uth, &path, &[]);
    let line = format!("touch {}; sleep {sleep} >/dev/null 2>&1 &\r", made.display());
    reader.types("!").sees("(lesson ").types(&line).types("exit\r");
    reader.sees("Both conditions hold").sees("Enter goes on").types("\r");
    reader.sees("You made: ").types("y").sees("next step").types("q").sees("Stopped").ends();
    become_of(&uth, &format!("sleep {sleep}"), 0);
}

/// The same on a stage, where each thing is gone on from.
fn on_stage(uth: &Uth, lesson: &str) -> Reader {
    let mut stage = Reader::begins(uth, &[lesson, "--trust", "--present", "--from", "1"]);
    let prompts = ["Enter · ? keys", "Enter for the next step", "Enter when it is done"];
    while stage.sees_one_of(&prompts) != 2 {
        stage.types("\r");
    }
    stage
}

/// On a stage: what holds is a slide of its own, and a solution that fails is an offer.
#[test]
fn on_a_stage_it_is_watched_and_a_solution_that_fails_is_offered_again() {
    let uth = Uth::new();
    let (path, sleep, made) = lesson(&uth, LESSON);
    let mut stage = on_stage(&uth, &path);
    let sleeper = Sleeper::start(&uth, &sleep);
    stage.sees("1/2 · First").sees("Start the sleeper").sees("The first of 2 conditions holds");
    std::fs::write(&made, "").unwrap();
    stage.sees("Both conditions hold").sees(&sleeper.evidence()).sees("Enter goes on");
    stage.types("q").sees("Stopped").ends();
    drop(sleeper);
    std::fs::remove_file(&made).unwrap();

    // Its directory is not there: nothing can be made in it.
    let directory = uth.home().join("room");
    let text = LESSON.replace("touch MADE", "touch ROOM/made").replace("MADE", "ROOM/made");
    let text = text.replace("ROOM", directory.to_str().unwrap()).replace("SLEEP", &sleep);
    std::fs::write(PathBuf::from(&path).join("lesson.md"), text).unwrap();
    std::fs::create_dir(&directory).unwrap();
    uth.run(["lesson", &path, "--trust", "--rehearse"]).ok();
    std::fs::remove_dir(&directory).unwrap();
    let fails = || {
        let mut stage = on_stage(&uth, &path);
        stage.types("s").sees("One way to do it").sees("Enter when").types("s");
        stage.sees("The solution does not do what is asked for").sees("a again · k skip");
        stage
    };
    let mut stage = fails();
    std::fs::create_dir(&directory).unwrap();
    stage.types("a").sees("Both conditions hold");
    stage.types("q").sees("Stopped").ends();
    std::fs::remove_dir_all(&directory).unwrap();
    let mut stage = fails();
    stage.types("k").sees("Skipped: the claim both").sees("next step").types("q");
    stage.sees("Not as it should have been on stage").sees("the claim both was skipped").ends();
    let mut stage = fails();
    stage.sees("o recorded output").types("o").sees("RECORDED, not live").sees("a file is there");
    stage.types("q").sees("Not as it should").sees("was shown as recorded").ends();
}
