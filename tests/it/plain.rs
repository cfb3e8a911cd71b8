//! For everyone: `--plain` for a screen reader, and a screen of 40 columns.

use std::time::Duration;

use expectrl::{Eof, Expect, Session};
use unicode_width::UnicodeWidthStr;

use crate::harness::{Ran, Uth};

/// The main tables and lists, none of which changes anything.
const SHOWN: &[&[&str]] = &[
    &["lesson"],
    &["doctor", "--offline"],
    &["inspect", "host"],
    &["inspect", "ns"],
    &["inspect", "containers"],
    &["inspect", "process", "self"],
    &["sched", "ps"],
    &["netns", "list"],
    &["netns", "ports"],
    &["cgroup", "ls"],
    &["cgroup", "tree"],
    &["image", "ls"],
    &["image", "dissect", "base"],
    &["image", "history", "base"],
    &["cleanup", "--list"],
    &["lesson", "no-such-lesson"],
];

/// Lessons that need neither root nor a network.
const LESSONS: &[&str] = &["0", "1", "3"];

/// All there are.
const ALL: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

impl Uth {
    fn narrow(&self, args: &[&str], columns: usize, plain: bool) -> Ran {
        let mut command = self.command(args);
        command.env("COLUMNS", columns.to_string());
        if plain {
            command.env("UTH_PLAIN", "1");
        }
        self.wait(command)
    }
}

/// Lines that are too long, and that are neither what is typed nor one long word, a path say.
fn too_long(text: &str, columns: usize) -> Vec<&str> {
    let typed = |line: &str| {
        let line = line.trim_start();
        line.contains("$ ")
            || ["docker ", "ctr ", "podman ", "lxc-", "su -c "]
                .iter()
                .any(|typed| line.trim_start().starts_with(typed))
    };
    let breakable = |line: &str| {
        let words = line.trim_start();
        words.split_whitespace().all(|word| word.width() < columns.saturating_sub(16))
    };
    text.lines().filter(|line| line.width() > columns && !typed(line) && breakable(line)).collect()
}

#[test]
fn tables_are_readable_on_40_columns() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    for args in SHOWN {
        let ran = uth.narrow(args, 40, false);
        for text in [&ran.stdout, &ran.stderr] {
            let long = too_long(text, 40);
            assert!(long.is_empty(), "{long:#?}: {}", ran.whole());
            // Nor is anything cut: what does not fit is below.
            let cut = text.lines().find(|line| line.ends_with('…'));
            assert_eq!(cut, None, "{}", ran.whole());
        }
    }
}

/// Lines that do not fit, but for what must not be broken: what is typed (behind a `$`:
/// over two lines it would be another command), and a word that is longer than the line
/// (a path, a digest, a call's argument), alone on it.
fn broken_badly(text: &str, columns: usize) -> Vec<&str> {
    let typed = |line: &str| {
        let line = line.trim_start();
        line.starts_with("$ ") || line.starts_with("see for yourself: $ ")
    };
    let word = |line: &str| line.split_whitespace().count() == 1;
    text.lines().filter(|line| line.width() > columns && !typed(line) && !word(line)).collect()
}

#[test]
fn lessons_are_readable_on_40_columns_and_on_80() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    for lesson in LESSONS {
        let ran = uth.narrow(&["lesson", lesson, "--auto"], 40, false).ok();
        let long = broken_badly(&ran.stdout, 40);
        assert!(long.is_empty(), "{long:#?}\n{}", ran.whole());
    }
}

/// Every lesson, read aloud and on a screen so wide.
fn every_lesson_is_plain_on(columns: usize) {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    for lesson in ALL {
        let mut command = uth.command(["lesson", lesson, "--auto", "--plain"]);
        command.env("COLUMNS", columns.to_string());
        let ran = uth.wait_for(command, Duration::from_secs(240));
        let long: Vec<_> =
            [&ran.stdout, &ran.stderr].map(|text| broken_badly(text, columns)).concat();
        assert!(long.is_empty(), "{long:#?}\n{}", ran.whole());
        is_linear(&ran);
        // What needs root is told to others, just as readably.
        if crate::skip::root().is_err() && ran.code == Some(4) {
            continue;
        }
        let ran = ran.ok();
        assert!(ran.stdout.contains("\n  holds: "), "{}", ran.whole());
    }
}

#[test]
fn every_lesson_is_plain_on_40_columns() {
    every_lesson_is_plain_on(40);
}

#[test]
fn every_lesson_is_plain_on_80_columns() {
    every_lesson_is_plain_on(80);
}

/// The rule itself: what it lets pass, and what not.
#[test]
fn what_may_be_longer_than_a_line() {
    let may = "  $ echo one two three four\n  see for yourself: $ ls\n    /a/path/longer/than/that";
    assert_eq!(broken_badly(may, 10), [""; 0]);
    let must_not = "one two three four\n  holds: it is";
    assert_eq!(broken_badly(must_not, 10), ["one two three four", "  holds: it is"]);
}

/// Nothing that is drawn: box drawing, blocks, ticks; no escape sequence, nothing written over.
#[track_caller]
fn is_linear(ran: &Ran) {
    let drawn = |c: char| {
        matches!(
            c,
            '\u{2500}'..='\u{259f}' | '✓' | '✗' | '·' | '…' | '→' | '\r' | '\u{1b}' | '\u{8}'
        )
    };
    let text = format!("{}{}", ran.stdout, ran.stderr);
    let found: Vec<_> = text.lines().filter(|line| line.contains(drawn)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn plain_output_is_linear_and_says_states_in_words() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    for args in SHOWN {
        is_linear(&uth.narrow(args, 80, true));
    }
    let list = uth.run(["lesson", "--plain"]).ok();
    for told in ["lesson: 1\n", "name: processes\n", "progress: not begun"] {
        assert!(list.stdout.contains(told), "{told}: {}", list.whole());
    }
    let answered = uth.run(["lesson", "1", "--auto", "--plain"]).ok();
    assert!(answered.stdout.contains("\na. "), "{}", answered.whole());
    assert!(answered.stdout.contains("Answer a") || answered.stdout.contains("Answer b"));
    let explore = uth.run(["image", "explore", "base", "--plain"]).one_error(2);
    assert!(explore.stderr.contains("image dissect"), "{}", explore.whole());
    // And without it something is drawn, so that this can fail.
    assert!(uth.run(["lesson", "0", "--auto"]).ok().stdout.contains("✓ holds"));
}

/// On a terminal, with a progress bar's work and a question that takes a letter.
#[test]
fn plain_on_a_terminal_takes_letters_and_follows_its_width() {
    let uth = Uth::new();
    let directory = uth.home().join("42-ask");
    std::fs::create_dir(&directory).unwrap();
    let text = "+++\ntitle = \"Ask\"\nchapter = \"None\"\nminutes = 1\n+++\n\n## One {#one}\n\n\
        > **Predict** How much is two and two?\n>\n> - four = 4\n> - five = 5\n>\n> measure: sh: echo $((2 + 2))\n\n\
        ```sh shell\necho looked\n```\n\n## Two {#two}\n\n\
        One and two and three and four and five and six and seven and eight and nine and ten and last.\n";
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    let mut command = uth.command([
        "lesson",
        directory.to_str().unwrap(),
        "--trust",
        "--plain",
        "--color",
        "never",
    ]);
    command.env("TERM", "xterm").env_remove("COLUMNS").stdin(std::process::Stdio::inherit());
    let mut session = Session::spawn(command).unwrap();
    session.get_process_mut().set_window_size(80, 24).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    session.expect("Enter for the next step").unwrap();
    session.send("\r").unwrap();
    session.expect("What do you think? a to b").unwrap();
    session.send("1b").unwrap();
    session.expect("Not b but a: four").unwrap();
    session.expect("Enter for the next step").unwrap();
    session.get_process_mut().set_window_size(30, 24).unwrap();
    // To the end; there the wrong answer comes once more, and is left.
    session.send("\r\r\r\r").unwrap();
    let end = session.expect(Eof).unwrap();
    let told = String::from_utf8_lossy(end.as_bytes()).replace('\r', "");
    let from = told.find("One and two").unwrap_or_else(|| panic!("{told}"));
    let prompt = |line: &&str| line.contains("Enter to finish") || line.contains("a to b");
    assert!(told.contains("You said b, five."), "{told}");
    let long: Vec<_> =
        too_long(&told[from..], 30).into_iter().filter(|line| !prompt(line)).collect();
    assert!(long.is_empty(), "{long:?}");
}
