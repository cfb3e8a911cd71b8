//! What a reader has come to: predictions and their score, time, the list, and
//! what comes next.

use std::path::PathBuf;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::harness::Uth;
use crate::player::Reader;

/// Three questions; how often the first was measured stands in the file COUNT.
const LESSON: &str = r#"+++
title = "Sums"
chapter = "None"
minutes = 1
+++

## First {#first}

> **Predict** How much is two and two?
>
> - four = 4
> - five = 5
>
> measure: sh: echo x >> COUNT; echo $((2 + 2))

```sh shell
echo looked
```

## Second {#second}

> **Predict** And three and three?
>
> - six = 6
> - seven = 7
>
> measure: sh: echo $((3 + 3))

```sh shell
echo looked
```

> **Predict** And the letter after b?
>
> - a = a
> - d = d
>
> measure: sh: echo c

```sh shell
echo looked
```

> **Claim** {#so} So it is.
>
> check: sh: true
"#;

fn sums(uth: &Uth) -> String {
    let directory = uth.home().join("sums");
    std::fs::create_dir(&directory).unwrap();
    let count = uth.home().join("count");
    let text = LESSON.replace("COUNT", count.to_str().unwrap());
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    directory.to_str().unwrap().to_owned()
}

fn measured(uth: &Uth) -> usize {
    std::fs::read_to_string(uth.home().join("count")).unwrap().lines().count()
}

fn file(uth: &Uth) -> PathBuf {
    uth.home().join("state/progress.json")
}

fn kept(uth: &Uth) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(uth)).unwrap()).unwrap()
}

fn keep(uth: &Uth, book: &Value) {
    std::fs::create_dir_all(uth.home().join("state")).unwrap();
    std::fs::write(file(uth), book.to_string()).unwrap();
}

fn key(lesson: &str) -> String {
    format!("{lesson}/lesson.md")
}

/// Answers the three questions, up to the last prompt.
fn answers(reader: &mut Reader, keys: [&str; 3]) {
    reader.sees("next step").types("\r").sees("What do you think?").types(keys[0]);
    reader.sees("next step").types("\r").sees("What do you think?").types(keys[1]);
    reader.sees("What do you think?").types(keys[2]).sees("to finish");
}

#[test]
fn the_first_answer_counts_and_a_later_one_does_no_harm() {
    let uth = Uth::new();
    let lesson = sums(&uth);
    let report = uth.home().join("report.json");
    let flags = ["--trust", "--report", report.to_str().unwrap()];
    let mut reader = Reader::begins(&uth, &[&[lesson.as_str()], &flags[..]].concat());
    reader.sees("next step").types("\r").sees("What do you think?").types("2").sees("Not 2 but 1");
    reader.sees("next step").types("r").sees("1/2  First").sees("What do you think?").types("1");
    reader.sees("As you said").sees("next step").types("\r").sees("What do you think?").types("1");
    reader.sees("As you said").sees("What do you think?").types("\r").sees("None of these");
    // Nor does it help to come back to a question that was left open, once its answer is known.
    reader.sees("to finish").types("r").sees("2/2  Second").sees("What do you think?").types("2");
    reader.sees("Not 2 but 1").sees("What do you think?").types("2").sees("to finish").types("\r");
    reader.sees("Predictions: 1 of 2 right, 1 left open.").sees("1 of 1 claims hold");
    let (_, status) = reader.ends();
    assert!(format!("{status:?}").contains("Exited") && !reader.seen().contains("Once more"));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!((&report["asked"], &report["right"]), (&json!(2), &json!(1)));
    let known = &kept(&uth)[key(&lesson)];
    assert_eq!(known["score"], json!({ "given": 2, "right": 1, "open": 1 }));
    assert_eq!((&known["finished"], known.get("run")), (&json!(true), None), "{known}");
    // Played anew, it is scored anew.
    let mut reader = Reader::begins(&uth, &[&lesson, "--trust"]);
    answers(&mut reader, ["1", "1", "\r"]);
    reader.types("\r").sees("Predictions: 2 of 2 right, 1 left open.").ends();
    assert_eq!(kept(&uth)[key(&lesson)]["score"]["right"], 2);
}

#[test]
fn wrong_predictions_are_asked_once_more_where_they_were_wrong() {
    let uth = Uth::new();
    let lesson = sums(&uth);
    let notebook = uth.home().join("run.md");
    let flags = ["--trust", "--notebook", notebook.to_str().unwrap()];
    let mut reader = Reader::begins(&uth, &[&[lesson.as_str()], &flags[..]].concat());
    answers(&mut reader, ["2", "2", "1"]);
    reader.types("\r").sees("Predictions: 0 of 3 right.");
    reader.sees("Once more, from step 1 of 2: First").sees("How much is two and two?");
    reader.sees("You said 2, five. This machine answered otherwise.").sees("What do you think?");
    assert!(!reader.seen().contains("Right this time"));
    reader.types("1").sees("Right this time: 1, four. That was measured then");
    reader
        .sees("the key g, and then first")
        .sees(&format!("$ under-the-hood lesson {lesson} --from first"));
    reader.sees("from step 2 of 2: Second").sees("three and three").sees("You said 2, seven");
    reader.sees("What do you think?").types("\r").sees("It was 1, six.");
    reader.sees("letter after b").sees("You said 1, a.").sees("What do you think?").types("2");
    reader.sees("Not this either, but c.").sees("to finish");
    assert_eq!(measured(&uth), 1, "it was measured again");
    // `g` leads there; what was right the second time is not asked a third time.
    reader.types("g").sees("Which step?").types("first\r").sees("1/2  First");
    reader.sees("What do you think?").types("\r");
    reader.sees("next step").types("\r").sees("What do you think?").types("\r");
    reader.sees("What do you think?").types("\r").sees("to finish").types("\r");
    reader.sees("Predictions: 0 of 3 right.").sees("Once more, from step 2 of 2");
    // To leave in the middle of it is to have finished.
    reader.sees("What do you think?").types("q").sees("1 of 1 claims hold").ends();
    let known = &kept(&uth)[key(&lesson)];
    assert_eq!(known["score"], json!({ "given": 3, "right": 0, "open": 0 }));
    assert_eq!(known["finished"], true);
    let page = std::fs::read_to_string(notebook).unwrap();
    for told in ["0 of 3 predictions were right", "Right this time: 1, four.", "0 of 3 right."] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

/// Letters, 40 columns, nothing drawn.
#[test]
fn what_was_wrong_is_readable_on_40_columns_and_plain() {
    let uth = Uth::new();
    let lesson = sums(&uth);
    let mut command = uth.command(["lesson", &lesson, "--trust", "--plain"]);
    command.env("TERM", "dumb").env("COLUMNS", "40");
    let mut reader = Reader::of(command, 60);
    answers(&mut reader, ["b", "a", "\r"]);
    reader.types("\r").sees("Predictions: 1 of 2 right");
    let before = reader.seen().len();
    reader.sees("You said b, five.").sees("a to b").types("a").sees("Right this time: a, four.");
    reader.sees("to finish").types("\r").ends();
    let told = reader.seen()[before..].replace('\r', "");
    let prompt = |line: &&str| line.contains("What do you") || line.contains("to finish");
    let typed = |line: &&str| line.contains("$ ");
    for line in told.lines().filter(|line| !prompt(line) && !typed(line)) {
        assert!(line.width() <= 40, "{line:?} in:\n{told}");
        assert!(line.is_ascii(), "{line:?} in:\n{told}");
    }
}

/// Nobody is asked who is not there, nor an audience.
#[test]
fn nobody_is_asked_again_without_keys_or_on_a_stage() {
    let uth = Uth::new();
    let lesson = sums(&uth);
    let told = uth.run(["lesson", &lesson, "--trust", "--auto"]).ok();
    assert!(!told.stdout.contains("Predictions:"), "{}", told.whole());
    assert_eq!(kept(&uth)[key(&lesson)].get("score"), None);
    let mut reader = Reader::begins(&uth, &[&lesson, "--trust", "--present", "--typing", "1000"]);
    let prompts =
        ["leaves it open", "performs it", "Enter · ?", "next step", "to finish", "1 of 1 claims"];
    loop {
        match reader.sees_one_of(&prompts) {
            0 => reader.types("2"),
            5 => break,
            _ => reader.types("\r"),
        };
    }
    reader.ends();
    assert!(!reader.seen().contains("Once more"), "{}", reader.seen());
}

#[test]
fn on_another_day_the_lesson_goes_on_with_its_answers_and_its_time() {
    let uth = Uth::new();
    let lesson = sums(&uth);
    let mut reader = Reader::begins(&uth, &[&lesson, "--trust"]);
    reader.sees("next step").types("\r").sees("What do you think?").types("2");
    reader.sees("next step").types("q").sees("Stopped at step 2").ends();
    let mut book = kept(&uth);
    let known = &mut book[key(&lesson)];
    let answer = json!({ "chose": "5", "measured": "4" });
    assert_eq!(known["run"]["answers"], json!({ "first/1": answer }), "{known}");
    let today = known["last_played"].as_str().unwrap().to_owned();
    assert!(today.len() == 20 && today.ends_with('Z'), "{today}");
    // As if it had been another day, and four minutes.
    known["last_played"] = json!("2026-01-02T10:00:00Z");
    (known["seconds"], known["run"]["seconds"]) = (json!(500), json!(240));
    keep(&uth, &book);
    let report = uth.home().join("report.json");
    let mut reader =
        Reader::begins(&uth, &["next", "--trust", "--report", report.to_str().unwrap()]);
    reader.sees("goes on at step 2 of 2, where you stopped").sees("2026-01-02");
    reader.sees("next step").types("\r").sees("2/2  Second").sees("What do you think?").types("1");
    reader.sees("What do you think?").types("\r").sees("to finish");
    std::thread::sleep(std::time::Duration::from_secs(2)); // so that there is time to count
    reader.types("\r").sees("Predictions: 1 of 2 right, 1 left open.");
    reader.sees("Once more, from step 1 of 2: First").sees("You said 2, five");
    reader.sees("What do you think?").types("\r").sees("to finish").types("\r").ends();
    let known = &kept(&uth)[key(&lesson)];
    let seconds = known["seconds"].as_u64().unwrap();
    assert!((502..560).contains(&seconds), "{known}");
    assert!(known["last_played"].as_str() >= Some(&today), "{known}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!((&report["asked"], &report["right"]), (&json!(2), &json!(1)));
    let took = report["seconds"].as_u64().unwrap();
    assert!((242..300).contains(&took), "{report}");
}

/// Somebody in the middle of a lesson who has it played by itself keeps their place.
#[test]
fn a_run_without_a_reader_leaves_the_readers_place() {
    let uth = Uth::new();
    let lesson = sums(&uth);
    let run = json!({ "seconds": 9, "answers": { "first/1": { "chose": "4", "measured": "4" } } });
    let known = json!({ "at": "second", "finished": false, "held": 0, "seconds": 9, "run": run });
    keep(&uth, &json!({ key(&lesson): known }));
    uth.run(["lesson", &lesson, "--trust", "--auto"]).ok();
    let known = &kept(&uth)[key(&lesson)];
    assert_eq!((&known["at"], &known["finished"]), (&json!("second"), &json!(true)));
    assert_eq!((&known["run"], &known["seconds"]), (&run, &json!(9)));
}

#[test]
fn the_list_shows_what_was_done_and_reset_forgets_it() {
    let uth = Uth::new();
    // What an older version has kept, and what this one keeps.
    keep(
        &uth,
        &json!({
            "1": { "at": null, "finished": true, "held": 20 },
            "3": { "at": "pivot", "finished": false, "held": 0, "seconds": 750,
                   "last_played": "2026-11-25T09:30:00Z",
                   "run": { "seconds": 750, "answers": {
                       "a/1": { "chose": "x", "measured": "x" },
                       "a/2": { "chose": null, "measured": "x" },
                       "b/1": { "chose": "x", "measured": "y" } } } },
        }),
    );
    let list = uth.run(["lesson"]).ok();
    for told in ["finished, 20 of ", "at step 6 of ", "1 of 2, 1 open", "2026-11-25", "13  2026"] {
        assert!(list.stdout.contains(told), "{told}: {}", list.whole());
    }
    let wide = list.stdout.lines().find(|line| line.width() > 80 || line.ends_with('…'));
    assert_eq!(wide, None, "{}", list.whole());
    let mut narrow = uth.command(["lesson"]);
    narrow.env("COLUMNS", "40");
    let narrow = uth.wait(narrow).ok();
    assert!(narrow.stdout.lines().all(|line| line.width() <= 40), "{}", narrow.whole());
    assert!(narrow.stdout.contains("PREDICTIONS  1 of 2, 1 open"), "{}", narrow.whole());
    let plain = uth.run(["lesson", "--plain"]).ok();
    for told in ["predictions: 1 of 2, 1 open", "last played: 2026-11-25", "claims held: none"] {
        assert!(plain.stdout.contains(told), "{told}: {}", plain.whole());
    }
    let json = uth.run(["lesson", "--format", "json"]).ok().json();
    let (first, third) = (&json[1], &json[3]);
    assert_eq!((&first["finished"], &first["held"]), (&json!(true), &json!(20)));
    // Who finished it has not seen the steps that go further.
    assert_eq!((&first["step"], &first["steps"]), (&json!(12), &json!(14)));
    assert_eq!(first["seconds"], 0);
    assert_eq!((&first["given"], &first["last_played"]), (&Value::Null, &Value::Null));
    assert_eq!((&third["step"], &third["held"]), (&json!(6), &Value::Null));
    let score = ["given", "right", "left_open"].map(|name| third[name].as_u64());
    assert_eq!(score, [2, 1, 1].map(Some), "{third}");
    assert_eq!((&third["seconds"], &third["finished"]), (&json!(750), &json!(false)));
    assert_eq!((&json[0]["step"], &json[0]["progress"]), (&Value::Null, &json!("not begun")));
    uth.run(["lesson", "reset", "3"]).ok();
    assert_eq!(kept(&uth).get("3"), None);
    let list = uth.run(["lesson"]).ok();
    assert!(!list.stdout.contains("2026-11-25") && list.stdout.contains("finished, 20"));
    uth.run(["lesson", "reset", "1"]).ok();
    assert!(!uth.run(["lesson"]).ok().stdout.contains("What you have done"));
}

/// What `lesson next` would play: the first line, and what it says of it.
#[track_caller]
fn next(uth: &Uth) -> String {
    let ran = uth.run(["lesson", "next", "--dry-run"]).ok();
    assert!(!ran.stdout.is_empty(), "the plan: {}", ran.whole());
    ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn next_is_what_was_begun_or_else_the_first_that_is_not_finished() {
    let uth = Uth::new();
    assert_eq!(next(&uth), "Lesson 0, Set-up: the first that you have not finished.");
    let finished = json!({ "at": null, "finished": true, "held": 3 });
    keep(&uth, &json!({ "0": finished, "2": finished }));
    assert!(next(&uth).starts_with("Lesson 1, "), "{}", next(&uth));
    // Begun by an older version, which kept no time.
    let begun = |at: &str| json!({ "at": at, "finished": false, "held": 0 });
    keep(&uth, &json!({ "0": finished, "3": begun("pivot") }));
    assert_eq!(next(&uth), "Lesson 3, Filesystem: goes on at step 6 of 7.");
    // Of several, the one that was played last; also one in a path, while it is there.
    let lesson = sums(&uth);
    let on = |at: &str, day: &str| json!({ "at": at, "finished": true, "held": 1, "last_played": format!("{day}T10:00:00Z") });
    let book = json!({ "2": on("one", "2026-03-01"), "3": begun("pivot"),
                       key(&lesson): on("second", "2026-03-02") });
    keep(&uth, &book);
    let told = "The lesson sums, Sums: goes on at step 2 of 2, where you stopped on 2026-03-02.";
    assert_eq!(next(&uth), told);
    std::fs::remove_dir_all(&lesson).unwrap();
    let told = next(&uth);
    assert!(told.contains("sums/lesson.md is passed over: it is not there any more."), "{told}");
    assert!(told.contains("Lesson 2, Network: goes on at step 1 of"), "{told}");
}

#[test]
fn when_all_is_finished_next_says_what_could_be_done() {
    let uth = Uth::new();
    let finished = json!({ "at": null, "finished": true, "held": 3 });
    let all: serde_json::Map<_, _> =
        (0..8).map(|number| (number.to_string(), finished.clone())).collect();
    keep(&uth, &Value::Object(all));
    let ran = uth.run(["lesson", "next"]).ok();
    assert!(ran.stdout.contains("You have finished all 8 lessons."), "{}", ran.whole());
    assert!(ran.stdout.contains("--more") && ran.stdout.contains("verify"), "{}", ran.whole());
    assert_eq!(uth.run(["lesson", "next", "--format", "json"]).ok().json()["claims"], json!([]));
    // An installed one that this machine cannot play is left; one that it can comes before.
    let shelf = uth.home().join("data/lessons");
    let install = |name: &str, needs: &str| {
        let text = LESSON.replace("minutes = 1", &format!("minutes = 1\nneeds = [{needs}]"));
        std::fs::create_dir_all(shelf.join(name)).unwrap();
        std::fs::write(shelf.join(name).join("lesson.md"), text).unwrap();
    };
    install("20-none", "\"tool:uth-no-such-tool\"");
    let ran = uth.run(["lesson", "next"]).one_error(4);
    assert!(ran.stderr.contains("uth-no-such-tool"), "{}", ran.whole());
    install("30-sums", "");
    let told = next(&uth);
    assert!(told.contains("The lesson none, Sums is passed over: needs tool:"), "{told}");
    assert!(
        told.ends_with("The lesson sums, Sums: the first that you have not finished."),
        "{told}"
    );
}

/// Under sudo what was played is kept as the user who typed it.
#[test]
fn under_sudo_time_and_score_are_the_invoking_users() {
    need!(root);
    let uth = Uth::new();
    let lesson = sums(&uth);
    let own = std::os::unix::fs::chown::<&std::path::Path>;
    own(uth.home(), Some(65534), Some(65534)).unwrap();
    let mut command = uth.command(["lesson", &lesson, "--trust"]);
    command.env("TERM", "dumb").env("SUDO_UID", "65534").env("SUDO_GID", "65534");
    let mut reader = Reader::of(command, 24);
    answers(&mut reader, ["1", "1", "\r"]);
    reader.types("\r").sees("Predictions: 2 of 2 right").ends();
    assert_eq!(kept(&uth)[key(&lesson)]["score"]["right"], 2);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(file(&uth)).unwrap());
    assert_eq!(owner, 65534);
}
