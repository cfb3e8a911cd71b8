//! Lessons played by keys in a pseudo-terminal, as somebody at the keyboard does.

use std::process::Stdio;
use std::time::{Duration, Instant};

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Captures, Eof, Error, Expect, Needle, Session};

use crate::harness::Uth;

/// A player in a pseudo-terminal of 80 columns and so many rows. What it shows is
/// kept, and part of the message of what fails.
pub struct Reader {
    session: OsSession,
    seen: String,
}

/// Longer than anything takes that a player shows.
const PATIENCE: Duration = Duration::from_secs(60);

impl Reader {
    /// All that has been shown.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// Begins `under-the-hood lesson ARGS`.
    pub fn begins(uth: &Uth, args: &[&str]) -> Self {
        let mut command = uth.command(["lesson"]);
        command.args(args).env("TERM", "dumb").env("SHELL", "/bin/sh").env_remove("COLUMNS");
        Self::of(command, 24)
    }

    /// Any command on a terminal.
    pub fn of(mut command: std::process::Command, rows: u16) -> Self {
        command.stdin(Stdio::inherit());
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(80, rows).unwrap();
        Self { session, seen: String::new() }
    }

    /// Its process.
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.session.get_process().pid().as_raw())
    }

    /// Looks until it is there; not all the time, since others want the CPU.
    fn waits(&mut self, needle: impl Needle) -> Result<Captures, Error> {
        let begun = Instant::now();
        loop {
            let found = self.session.check(&needle)?;
            if !found.is_empty() {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::ExpectTimeout);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Waits for what matches; what was shown before it, and the match. `expectrl::Regex` takes
    /// every match that has arrived, with all that stands between them, so this one begins where
    /// the screen does: there is no second.
    fn waits_for(&mut self, pattern: &str) -> Result<(String, String), Error> {
        let found = self.waits(expectrl::Regex(format!(r"\A((?s-u:.*?))({pattern})")))?;
        let text = |group| String::from_utf8_lossy(found.get(group).unwrap()).into_owned();
        let (before, found) = (text(1), text(2));
        self.seen.extend([&*before, &found]);
        Ok((before, found))
    }

    /// Waits for the first of these texts; which one it was.
    #[track_caller]
    pub fn sees_one_of(&mut self, texts: &[&str]) -> usize {
        let any: Vec<_> = texts.iter().map(|text| regex::escape(text)).collect();
        match self.waits_for(&any.join("|")) {
            Ok((_, found)) => texts.iter().position(|wanted| *wanted == found).unwrap(),
            Err(error) => {
                self.takes_the_rest();
                panic!("{texts:?} is not shown ({error}), but:\n{}", self.tail())
            }
        }
    }

    /// Waits for what matches: what was shown before it, and the match; none at the end.
    #[track_caller]
    pub fn sees_match(&mut self, pattern: &str) -> (String, Option<String>) {
        match self.waits_for(pattern) {
            Ok((before, found)) => (before, Some(found)),
            Err(Error::Eof) => (self.takes_the_rest(), None),
            Err(error) => {
                self.takes_the_rest();
                panic!("{pattern} is not shown ({error}), but:\n{}", self.tail())
            }
        }
    }

    /// What has been shown beyond what was waited for.
    fn takes_the_rest(&mut self) -> String {
        let rest = self.session.check(expectrl::Regex("(?s).+"));
        let rest = rest.map_or(String::new(), |rest| {
            String::from_utf8_lossy(rest.get(0).unwrap_or_default()).into_owned()
        });
        self.seen.push_str(&rest);
        rest
    }

    /// How the terminal is set: what it does with input, output and keys.
    pub fn terminal(&mut self) -> String {
        let handle = self.session.get_process_mut().get_raw_handle().unwrap();
        let set = rustix::termios::tcgetattr(handle).unwrap();
        let modes = (set.input_modes, set.output_modes, set.control_modes, set.local_modes);
        format!("{modes:?}")
    }

    /// Waits for a text.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        self.sees_one_of(&[text]);
        self
    }

    /// Types keys.
    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.session.send(keys).unwrap();
        self
    }

    /// Waits for the end; what was shown since the last text, and how it ended.
    #[track_caller]
    pub fn ends(&mut self) -> (String, WaitStatus) {
        let rest = self.waits(Eof);
        let rest = rest.unwrap_or_else(|error| panic!("it goes on ({error}):\n{}", self.tail()));
        let rest = String::from_utf8_lossy(rest.as_bytes()).into_owned();
        self.seen.push_str(&rest);
        let status = self.session.get_process().wait().unwrap();
        (rest, status)
    }

    fn tail(&self) -> String {
        let start = self.seen.len().saturating_sub(1500);
        self.seen.chars().skip(self.seen[..start].chars().count()).collect()
    }
}

/// A lesson that needs nothing of the machine, in the test's home; its path.
pub fn small_lesson(uth: &Uth) -> String {
    let directory = uth.home().join("small");
    std::fs::create_dir(&directory).unwrap();
    let made = uth.home().join("made");
    let text = SMALL.replace("MADE", made.to_str().unwrap());
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    directory.to_str().unwrap().to_owned()
}

const SMALL: &str = r#"+++
title = "Small"
chapter = "None"
minutes = 1
+++

What it is about.

## First {#first}

> **Predict** How much is two and two?
>
> - four = 4
> - five = 5
>
> measure: sh: echo $((2 + 2))

```sh shell
echo looked
```

## Second {#second}

> **Try** {#made} Make two files.
>
> check: sh: test -e MADE && echo one is there
>
> check: sh: test -e MADE.2 && echo two is there
>
> leaves: MADE
>
> leaves: MADE.2
>
> hint: `touch` makes one.
>
> <details><summary>Solution</summary> `touch MADE` `touch MADE.2` </details>

## Third {#third}

> **Claim** {#file} They are there.
>
> check: sh: test -e MADE && echo it is
"#;

fn made(uth: &Uth) -> bool {
    uth.home().join("made").exists()
}

#[test]
fn every_prompt_shows_its_keys() {
    let uth = Uth::new();
    let lesson = small_lesson(&uth);
    let mut reader = Reader::begins(&uth, &[&lesson, "--trust"]);
    reader.sees("Enter for the next step").types("?").sees("go on (so does").sees("these keys");
    // An arrow is no key, and Escape is no way out.
    reader.sees("Enter for the next step").types("\u{1b}[A\u{1b}[15~\u{1b}OBz");
    reader.types("h").sees("That key does nothing here").types("\r");
    reader.sees("What do you think?").types("?").sees("1 to 2  your answer").sees("b  ");
    reader.sees("What do you think?").types("7\u{1b}[D").types("\r").sees("Answer 1: four");
    reader.sees("next step").types("\r").sees("Enter when it is done").types("?");
    reader.sees("a hint for").sees("one way to do it").sees("Enter when it is done").types("q");
    reader.sees("Stopped at step 2").ends();
    // Taken up again, nothing has been done yet that could be undone.
    let mut reader = Reader::begins(&uth, &[&lesson, "--trust"]);
    reader.sees("next step").types("b").sees("What do you think?");
    assert!(reader.seen().contains("Step 1 begins.") && !reader.seen().contains("undone"));
    reader.types("q").sees("Stopped at step 1").ends();
}

#[test]
fn a_shell_on_the_way_knows_the_lesson_and_its_end_is_checked() {
    let uth = Uth::new();
    let mut reader = Reader::begins(&uth, &[&small_lesson(&uth), "--trust", "--from", "2"]);
    reader.sees("next step").types("!").sees("Your shell").sees("(lesson ");
    reader.types("echo in $lesson_dir\r").sees("in /").sees("/run/lesson-");
    // Ctrl-C in there is its own affair.
    reader
        .sees("(lesson ")
        .types("\u{3}\r")
        .sees("(lesson ")
        .types("exit\r")
        .sees("Back in the lesson");
    reader.sees("next step").types("\r").sees("Enter when it is done").types("!");
    let path = uth.home().join("made").display().to_string();
    reader.sees("(lesson ").types(&format!("touch {path} {path}.2; exit\r"));
    reader.sees("one is there").sees("two is there").sees("Enter goes on").types("\r");
    reader.sees("You made: ").types("y");
    reader.sees("next step").types("\r").sees("holds: it is").sees("finish").types("\r");
    reader.sees("2 of 2 claims hold").ends();
    assert!(!made(&uth), "it was to be removed");
}

#[test]
fn back_undoes_a_step_before_it_shows_the_earlier_one() {
    let uth = Uth::new();
    let mut reader = Reader::begins(&uth, &[&small_lesson(&uth), "--trust"]);
    reader.sees("next step").types("b").sees("no step before this one").sees("next step");
    reader.types("\r").sees("What do you think?").types("1").sees("next step").types("\r");
    // The solution, first shown, then done.
    reader.sees("when it is done").types("s").sees("One way to do it").sees("when it is done");
    reader.types("s").sees("two is there").sees("next step");
    assert!(made(&uth));
    reader.types("\r").sees("holds: it is").sees("finish").types("c").sees("holds: it is");
    // Back, back again: what the second step made is gone.
    reader.sees("finish").types("b").sees("2/3  Second").sees("when it is done");
    assert!(!made(&uth), "what the second step made is still there");
    reader.types("b").sees("1/3  First").sees("What do you think?").types("2").sees("Not 2 but 1");
    // The same step again.
    reader.sees("next step").types("r").sees("1/3  First").sees("What do you think?").types("1");
    reader.sees("next step").types("\r").sees("2/3  Second").sees("when it is done");
    std::fs::write(uth.home().join("made"), "").unwrap();
    reader.types("b").sees("You made: ").sees("Remove it now?").types("y").sees("1/3  First");
    assert!(!made(&uth), "it was to be removed before the step back");
    reader.sees("What do you think?").types("q").sees("Stopped at step 1").ends();
}

#[test]
fn what_comes_at_once_is_read_piece_by_piece() {
    let mut command = std::process::Command::new("printf");
    command.arg("one? keys two? keys three? keys");
    let mut reader = Reader::of(command, 24);
    // All of it has come by then.
    std::thread::sleep(Duration::from_millis(200));
    for before in ["one", " two", " three"] {
        let (shown, prompt) = reader.sees_match(r"\? keys");
        assert_eq!((&*shown, prompt.as_deref()), (before, Some("? keys")));
    }
}
