//! `lesson search`: which steps speak of something, and which may not be looked at.

use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::harness::Uth;

const LESSON: &str = r#"+++
title = "Kettle"
chapter = "Tea"
minutes = 1
+++

Before the first step there is a samovar.

## Water {#water}

It **boils** at `100` degrees, says the
thermometer.

> **Surprise** Steam is invisible.

> **Predict** Does a watched pot boil?
>
> - hidden-choice = hidden-value
> - no = no
>
> measure: sh: echo hidden-measure

```sh shell
echo whistle
```

> **Claim** {#hot} It is hot.
>
> check: sh: true

> **Try** {#brew} Brew a cup of oolong.
>
> check: sh: true
>
> leaves: /tmp/hidden-leaf
>
> hint: hidden-hint
>
> <details><summary>Solution</summary> `echo hidden-solution` </details>

<!-- notes: hidden-note -->

## (more) Milk {#milk}

First or last, with BOILING water?

```console article
$ uname -s
Linux and scones
```
"#;

fn kettle(uth: &Uth, place: &str) -> String {
    let directory = uth.home().join(place);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("lesson.md"), LESSON).unwrap();
    directory.to_str().unwrap().to_owned()
}

#[test]
fn every_kind_of_text_is_found_but_nothing_that_spoils_it() {
    let uth = Uth::new();
    let path = kettle(&uth, "kettle");
    for (word, kind, step) in [
        ("kettle", "title", None),
        ("tea", "chapter", None),
        ("samovar", "text", None),
        ("water", "title", Some("water")),
        ("degrees, says the thermometer", "text", Some("water")),
        ("INVISIBLE", "surprise", Some("water")),
        ("watched", "question", Some("water")),
        ("whistle", "command", Some("water")),
        ("hot", "claim", Some("water")),
        ("oolong", "exercise", Some("water")),
        ("uname", "command", Some("milk")),
        ("scones", "article", Some("milk")),
    ] {
        let found =
            uth.run(["lesson", "search", "--in", &path, word, "--format", "json"]).ok().json();
        let hit = &found["hits"][0];
        assert_eq!(hit["matches"][0]["kind"], kind, "{word}: {found}");
        assert_eq!(hit["step"]["id"].as_str(), step, "{word}: {found}");
        let from = match step {
            None => String::new(),
            Some("milk") => " --more --from milk".to_owned(),
            Some(step) => format!(" --from {step}"),
        };
        assert_eq!(hit["command"], format!("under-the-hood lesson {path}{from}"));
        assert_eq!(found["searched"], json!({ "lessons": 1, "steps": 2 }));
    }
    // Each stands in the lesson.
    for part in ["choice", "value", "measure", "leaf", "hint", "solution", "note"] {
        let word = format!("hidden-{part}");
        assert!(LESSON.contains(&word));
        uth.run(["lesson", "search", "--in", &path, &word]).one_error(1);
    }
    // The markup is not the text.
    uth.run(["lesson", "search", "--in", &path, "**boils**"]).one_error(1);
}

#[test]
fn all_words_must_be_in_a_step() {
    let uth = Uth::new();
    let path = kettle(&uth, "kettle");
    let search = |words: &[&str]| uth.run([&["lesson", "search", "--in", &path], words].concat());
    let both = search(&["boil", "water"]).ok();
    assert!(both.stdout.contains("step 1 (water): Water"), "{}", both.whole());
    assert!(both.stdout.contains("step 2 (milk): (more) Milk"), "{}", both.whole());
    assert!(both.stdout.contains("  text: It *boil*s at 100"), "{}", both.whole());
    let one = search(&["boil", "Whistle"]).ok();
    assert!(!one.stdout.contains("(milk)"), "{}", one.whole());
    let line = format!("\n  $ under-the-hood lesson {path} --from water\n");
    assert!(one.stdout.contains(&line), "{}", one.whole());
    assert!(one.stderr.contains("1 place of 2 steps in 1 lesson."), "{}", one.whole());
    // None, and what there is of each; JSON says the same by being empty.
    let none = search(&["whistle", "milk"]).one_error(1);
    for told in ["2 steps in 1 lesson", "whistle in 1 place", "milk in 1 place"] {
        assert!(none.stderr.contains(told), "{told}: {}", none.whole());
    }
    let none = search(&["whistle", "milk", "--format", "json"]).exits(1);
    assert_eq!(none.json()["hits"], json!([]));
    assert!(none.stderr.is_empty(), "{}", none.whole());
    // Between colours there are no stars.
    let coloured = search(&["whistle", "--color", "always"]).ok();
    assert!(coloured.stdout.contains("mwhistle\u{1b}[0m"), "{}", coloured.whole());
    for wrong in [&["lesson", "search"][..], &["lesson", "search", " "]] {
        uth.run(wrong).one_error(2);
    }
    for name in ["no-such-lesson", "/no/such/lesson"] {
        uth.run(["lesson", "search", "--in", name, "boil"]).one_error(1);
    }
}

#[test]
fn all_lessons_are_searched_and_the_command_goes_there() {
    let uth = Uth::new();
    let found = uth.run(["lesson", "search", "pivot_root", "--format", "json"]).ok().json();
    let hits = found["hits"].as_array().unwrap();
    let lock = hits.iter().find(|hit| hit["lesson"] == "3" && hit["step"]["id"] == "pivot");
    let lock = lock.unwrap_or_else(|| panic!("{found}"));
    assert_eq!(lock["command"], "under-the-hood lesson 3 --from pivot");
    assert!(hits.iter().any(|hit| hit["lesson"] == "7"), "{found}");
    assert_eq!(found["searched"]["lessons"], 8);
    // An installed one is among them; one with mistakes is left out, and said so.
    kettle(&uth, "data/lessons/20-kettle");
    let broken = kettle(&uth, "data/lessons/21-broken");
    std::fs::write(format!("{broken}/lesson.md"), "no lesson").unwrap();
    let ran = uth.run(["lesson", "search", "samovar"]).ok();
    assert!(ran.stdout.contains("kettle, Kettle · before its first step"), "{}", ran.whole());
    assert!(
        ran.stderr.contains("21-broken") && ran.stderr.contains("9 lessons"),
        "{}",
        ran.whole()
    );
    // In German where there is one.
    let german = uth.run(["lesson", "search", "Maschine", "--lang", "de"]).ok();
    assert!(german.stdout.contains("Lesson 0, Einrichten"), "{}", german.whole());
    uth.run(["lesson", "search", "Maschine", "--lang", "en"]).one_error(1);
    uth.run(["lesson", "search", "Maschine", "--lang", "..."]).one_error(2);
}

#[test]
fn hits_are_readable_on_40_columns_and_plain() {
    let uth = Uth::new();
    let mut command = uth.command(["lesson", "search", "namespace", "process", "--plain"]);
    command.env("COLUMNS", "40");
    let ran = uth.wait(command).ok();
    for line in ran.stdout.lines().filter(|line| !line.contains("$ ")) {
        assert!(line.width() <= 40, "{line:?}: {}", ran.whole());
        assert!(!line.contains(['·', '…', '\u{1b}']), "{line:?}: {}", ran.whole());
    }
    assert!(ran.stdout.contains("*namespace*"), "{}", ran.whole());
}
