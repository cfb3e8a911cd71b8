//! Lessons from outside: every lesson of the repository reads well, its checks
//! are true with their effect and false without, it plays straight through and
//! for a reader, and leaves nothing.

use std::path::PathBuf;
use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Session};

use crate::harness::{Uth, snapshot};
use crate::machine::{Machine, base_and_progress};

/// As root, or in a user namespace: whoever can start containers at all.
macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

fn lessons() -> Vec<PathBuf> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/lessons");
    let mut lessons: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    lessons.retain(|path| path.is_dir());
    lessons.sort();
    lessons
}

#[test]
fn every_lesson_of_the_repository_reads_well() {
    let uth = Uth::new();
    for lesson in lessons() {
        uth.run(["lesson", "check", lesson.to_str().unwrap()]).ok();
    }
}

#[test]
fn every_check_is_true_with_its_effect_and_false_without() {
    need_containers!();
    let uth = Uth::new();
    for lesson in lessons() {
        let text = std::fs::read_to_string(lesson.join("lesson.md")).unwrap();
        let for_root = text.lines().any(|line| line.starts_with("needs = [\"root\""));
        let testable = !for_root || crate::skip::root().is_ok();
        let ran = uth.run(["lesson", "test", lesson.to_str().unwrap(), "--format", "json"]);
        let ran = ran.exits(if testable { 0 } else { 4 });
        let tried = ran.json();
        let good = tried.as_array().unwrap().iter().filter(|row| row["check"] == "good").count();
        assert!(good >= 3 || !testable, "{}", ran.whole());
    }
}

/// A check that is true whatever happens is found out.
#[test]
fn a_check_that_proves_nothing_is_not_good() {
    let uth = Uth::new();
    let path = uth.home().join("lesson.md");
    let text = "+++\ntitle = \"T\"\nchapter = \"C\"\nminutes = 1\n+++\n\n## One {#one}\n\n\
                > **Claim** {#always} It is so.\n>\n> check: sh: true\n>\n> opposite: nothing\n";
    std::fs::write(&path, text).unwrap();
    let ran = uth.run(["lesson", "test", path.to_str().unwrap(), "--trust"]).one_error(3);
    assert!(ran.stdout.contains("bad"), "{}", ran.whole());
}

#[test]
fn a_broken_lesson_is_told_every_mistake() {
    let uth = Uth::new();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lessons/broken");
    uth.run(["lesson", "check", path])
        .one_error(1)
        .snapshot_with("lesson-broken", &[(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]")]);
}

/// A lesson's output without what differs between machines and runs: what the
/// commands printed, the evidence, numbers. The words and the verdicts stay.
fn told(output: &str) -> String {
    let block = |block: &str| -> String {
        if block.starts_with("Picture.") {
            return block.replace(|c: char| c.is_ascii_digit(), "N");
        }
        let mut lines: Vec<String> = Vec::new();
        for (index, line) in block.lines().enumerate() {
            let command = block.starts_with("  $ ");
            if command && index > 0 {
                lines.push("  [OUTPUT]".to_owned());
                break;
            }
            match ["✓ holds", "✗ does not hold", "– cannot be tested here"]
                .iter()
                .find(|mark| line.trim_start().starts_with(**mark))
            {
                Some(mark) => lines.push(format!("  {mark}: [EVIDENCE]")),
                None if line.starts_with("    ")
                    && lines.last().is_some_and(|last| last.ends_with("[EVIDENCE]")) => {}
                None if lines.last().is_some_and(|last| last == "([EVIDENCE])")
                    && !line.starts_with(' ') => {}
                None if line.starts_with('(') => lines.push("([EVIDENCE])".to_owned()),
                None => lines.push(line.to_owned()),
            }
        }
        lines.join("\n")
    };
    let text = output.split("\n\n").map(block).collect::<Vec<_>>().join("\n\n");
    regex::Regex::new("(/proc/|--target |-p |--ns |-x |test -n \")\\d+")
        .unwrap()
        .replace_all(&text, "$1[PID]")
        .into_owned()
}

#[test]
fn lesson_0_plays_straight_through() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "0", "--auto"]).ok();
    assert!(ran.stdout.contains("3 of 3 claims hold"), "{}", ran.whole());
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

#[test]
fn lesson_1_plays_straight_through_and_leaves_nothing() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "1", "--auto"]).ok();
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    if crate::skip::root().is_ok() {
        snapshot("lesson-1-auto-root", told(&ran.stdout));
    }
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
    let list = uth.run(["lesson"]).ok();
    assert!(list.stdout.contains("finished, "), "{}", list.whole());
}

/// Without root: every claim that needs none holds, the others say what they need.
#[test]
fn lesson_1_plays_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.as_nobody(["lesson", "1", "--auto"]).ok();
    assert!(ran.stdout.contains("not-inits: – cannot be tested here"), "{}", ran.whole());
    snapshot("lesson-1-auto-user", told(&ran.stdout));
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

#[test]
fn lesson_2_plays_straight_through_and_leaves_nothing() {
    need!(root);
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "network", "--auto"]).ok();
    assert!(ran.stdout.contains("12 of 12 claims hold"), "{}", ran.whole());
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
}

/// What needs root in it is shown and not done; what does not holds.
#[test]
fn lesson_2_plays_for_an_ordinary_user() {
    need!(ordinary_user);
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "network", "--auto"]).ok();
    assert!(ran.stdout.contains("needs root"), "{}", ran.whole());
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
}

/// Here the mirror cannot be reached: the lesson says so, and goes on with base.
#[test]
fn lesson_3_plays_straight_through_and_leaves_nothing() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "filesystem", "--auto"]).ok();
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    if crate::skip::root().is_ok() {
        assert!(ran.stdout.contains("15 of 15 claims hold"), "{}", ran.whole());
    }
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
}

/// Without root only the claim that needs it is not tested.
#[test]
fn lesson_3_plays_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    let uth = Uth::new();
    let ran = uth.as_nobody(["lesson", "3", "--auto"]).ok();
    assert!(ran.stdout.contains("14 of 15 claims hold"), "{}", ran.whole());
    assert!(ran.stdout.contains("others-do-not: – cannot be tested here"), "{}", ran.whole());
}

/// As root every claim holds; without, those that need a group say why they are
/// not tested (here nobody may make one).
#[test]
fn lesson_4_plays_straight_through_and_leaves_nothing() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "resources", "--auto"]).ok();
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    if crate::skip::root().is_ok() {
        assert!(ran.stdout.contains("23 of 23 claims hold"), "{}", ran.whole());
    }
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
    // Groups that it made by hand: `backwards` compares them.
}

/// Without root, on version 1: the scheduler's claims hold, those that need a
/// group say that nobody else may make one.
#[test]
fn lesson_4_plays_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    need!(sh "controllers of version 1", "test -d /sys/fs/cgroup/pids && test -d /sys/fs/cgroup/cpu");
    let uth = Uth::new();
    let ran = uth.as_nobody(["verify", "4", "--format", "json"]).ok();
    let claims = ran.json()["claims"].as_array().unwrap().clone();
    let held: Vec<_> = claims.iter().filter(|claim| claim["verdict"] == "holds").collect();
    assert!(held.len() >= 5, "{}", ran.whole());
    for claim in claims.iter().filter(|claim| claim["verdict"] != "holds") {
        assert_eq!(claim["verdict"], "untestable", "{claim}");
        let reason = claim["reason"].as_str().unwrap();
        let needs = ["needs limits: mkdir(\"/sys/fs/cgroup/", "needs root"];
        assert!(needs.iter().any(|needed| reason.starts_with(needed)), "{claim}");
    }
}

/// Here no registry can be reached: it says so, and goes on with base.
#[test]
fn lesson_5_plays_straight_through_and_leaves_nothing() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "images", "--auto"]).ok();
    assert!(ran.stdout.contains("httpd:latest cannot be had: "), "{}", ran.whole());
    assert!(ran.stdout.contains("15 of 15 claims hold"), "{}", ran.whole());
    if crate::skip::root().is_ok() {
        snapshot("lesson-5-auto-root", told(&ran.stdout));
    }
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
    // What was unpacked for the images made by hand is gone: base is left.
    let trees = std::fs::read_dir(uth.home().join("data/rootfs")).unwrap().flatten();
    assert_eq!(trees.filter(|tree| tree.file_name().len() == 64).count(), 1);
}

#[test]
fn lesson_5_plays_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    let uth = Uth::new();
    let ran = uth.as_nobody(["lesson", "5", "--auto"]).ok();
    assert!(ran.stdout.contains("15 of 15 claims hold"), "{}", ran.whole());
}

/// Here httpd cannot be pulled: the article's Dockerfile starts from base instead.
/// The images go again; what the cache remembers of the build may stay.
#[test]
fn lesson_6_plays_straight_through_and_leaves_nothing() {
    need_containers!();
    need!(sh "busybox", "command -v busybox");
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "build", "--auto"]).ok();
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    if crate::skip::root().is_ok() {
        assert!(ran.stdout.contains("16 of 16 claims hold"), "{}", ran.whole());
    }
    let expected = |line: &str| base_and_progress(line) || line.contains(" cache/");
    Machine::settles(&uth, &before, Duration::from_secs(5), expected);
}

/// Without root only what is asked for from outside is not tested.
#[test]
fn lesson_6_plays_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    need!(sh "busybox", "command -v busybox");
    let uth = Uth::new();
    let ran = uth.as_nobody(["lesson", "6", "--auto"]).ok();
    assert!(ran.stdout.contains("15 of 16 claims hold"), "{}", ran.whole());
    assert!(ran.stdout.contains("served: – cannot be tested here"), "{}", ran.whole());
}

/// A container made by hand, with nothing of it left afterwards.
#[test]
fn lesson_7_plays_straight_through_and_leaves_nothing() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let ran = uth.run(["lesson", "by hand", "--auto"]).ok();
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    if crate::skip::root().is_ok() {
        assert!(ran.stdout.contains("17 of 17 claims hold"), "{}", ran.whole());
    }
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
}

/// Without root the cable and the limit are not made; all else is.
#[test]
fn lesson_7_plays_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    let uth = Uth::new();
    let ran = uth.as_nobody(["lesson", "7", "--auto"]).ok();
    assert!(ran.stdout.contains("14 of 17 claims hold"), "{}", ran.whole());
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
}

/// Two lessons at once: what one reader has started is no answer to the other's exercise.
#[test]
fn another_players_process_is_not_ones_own() {
    let small = Small::new();
    let text = SMALL.replace(
        "test -e MADE",
        "pgrep -f -x 'sleep 4299' >/dev/null && test -n \"$nap_pid\" && echo $nap_pid",
    );
    let text = text.replace("leaves: MADE", "leaves: process sleep 4299 as nap");
    let text = text.replace("`touch MADE`", "`sleep 4299 >/dev/null 2>&1 &`");
    std::fs::write(small.uth.home().join("small/lesson.md"), text).unwrap();
    let mut others = std::process::Command::new("sleep");
    let mut others = others.arg("4299").env("UTH_SCOPE", "another").spawn().unwrap();
    let ran = small.uth.run(["lesson", &small.path, "--trust"]);
    let alive = others.try_wait().unwrap().is_none();
    others.kill().unwrap();
    others.wait().unwrap();
    let ran = ran.ok();
    assert!(alive, "the other's process was ended");
    assert!(!ran.stdout.contains(&format!("holds: {}", others.id())), "{}", ran.whole());
    assert!(ran.stdout.contains("2 of 2 claims hold"), "{}", ran.whole());
}

#[test]
fn verify_gives_every_claim_its_verdict() {
    need_containers!();
    let uth = Uth::new();
    let claims = uth.run(["verify", "processes", "--format", "json"]).ok().json();
    let claims = claims["claims"].as_array().unwrap().clone();
    assert!(claims.len() >= 10, "{claims:?}");
    for claim in claims {
        let untestable = claim["verdict"] == "untestable";
        assert!(untestable || claim["verdict"] == "holds", "{claim}");
        assert_eq!(claim["reason"].is_string(), untestable, "{claim}");
        assert_eq!(claim["evidence"].is_string(), !untestable, "{claim}");
        assert_eq!(claim["lesson"], "1", "{claim}");
    }
}

/// A small lesson that needs nothing of the machine.
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

> **Try** {#made} Make a file.
>
> check: sh: test -e MADE
>
> leaves: MADE
>
> hint: `touch` makes one.
>
> <details><summary>Solution</summary> `touch MADE` </details>

## Third {#third}

> **Claim** {#file} It is there.
>
> check: sh: test -e MADE
"#;

struct Small {
    uth: Uth,
    path: String,
    made: PathBuf,
}

impl Small {
    fn new() -> Self {
        let uth = Uth::new();
        let directory = uth.home().join("small");
        std::fs::create_dir(&directory).unwrap();
        let made = uth.home().join("made");
        let text = SMALL.replace("MADE", made.to_str().unwrap());
        std::fs::write(directory.join("lesson.md"), text).unwrap();
        Self { path: directory.to_str().unwrap().to_owned(), made, uth }
    }

    fn session(&self, args: &[&str]) -> OsSession {
        let mut command = self.uth.command(["lesson", &self.path]);
        command.args(args).env("TERM", "dumb").env_remove("COLUMNS");
        command.stdin(std::process::Stdio::inherit());
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(80, 24).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(20)));
        session
    }
}

#[test]
fn a_number_is_a_lesson_of_ours_whatever_is_called_so_here() {
    let uth = Uth::new();
    std::fs::create_dir(uth.home().join("1")).unwrap();
    let here = |lesson: &str| {
        let mut command = uth.command(["lesson", lesson, "--dry-run"]);
        command.current_dir(uth.home());
        uth.wait(command)
    };
    assert!(here("1").ok().stdout.contains("run -d --name rocky"));
    here("./1").one_error(1);
}

#[test]
fn a_lesson_from_elsewhere_shows_its_commands_and_asks() {
    let small = Small::new();
    let ran = small.uth.run(["lesson", &small.path]).one_error(2);
    assert!(ran.stderr.contains("--trust"), "{}", ran.whole());
    let plan = small.uth.run(["lesson", &small.path, "--dry-run"]).ok();
    for line in ["echo looked", "touch ", "test -e ", "echo $((2 + 2))"] {
        assert!(plan.stdout.contains(line), "{}", plan.whole());
    }
    let mut session = small.session(&[]);
    session.expect("would perform these lines").unwrap();
    session.expect("Perform them?").unwrap();
    session.send("n").unwrap();
    session.expect("was not played").unwrap();
    session.expect(Eof).unwrap();
    assert!(!small.made.exists());
}

#[test]
fn without_a_terminal_the_solutions_are_played_and_undone() {
    let small = Small::new();
    let ran = small.uth.run(["lesson", &small.path, "--trust"]).ok();
    assert!(ran.stdout.contains("Answer 1: four"), "{}", ran.whole());
    assert!(ran.stdout.contains("2 of 2 claims hold"), "{}", ran.whole());
    assert!(!small.made.exists(), "what the solution made is still there");
}

/// What lies beside lesson.md is in `$lesson_dir`, anew for each run, and goes with it.
#[test]
fn a_lessons_files_are_in_its_own_directory() {
    let small = Small::new();
    let directory = small.uth.home().join("small");
    std::fs::create_dir(directory.join("site")).unwrap();
    std::fs::write(directory.join("site/page.html"), "welcome\n").unwrap();
    let text = SMALL.replace(
        "echo looked",
        "cat $lesson_dir/site/page.html; ls $lesson_dir; rm $lesson_dir/site/page.html",
    );
    let text = text.replace("MADE", small.made.to_str().unwrap());
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    for _ in 0..2 {
        let ran = small.uth.run(["lesson", &small.path, "--trust"]).ok();
        assert!(ran.stdout.contains("  welcome\n  site\n"), "{}", ran.whole());
    }
    let left = std::fs::read_dir(small.uth.home().join("run")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("lesson-")), "{left:?}");
    assert!(directory.join("site/page.html").exists(), "the lesson's own file was removed");
}

#[test]
fn a_reader_predicts_fails_is_helped_and_comes_back() {
    let small = Small::new();
    let mut session = small.session(&["--trust"]);
    session.expect("Enter for the next step").unwrap();
    session.send("\r").unwrap();
    session.expect("What do you think?").unwrap();
    session.send("2").unwrap();
    session.expect("Not 2 but 1: four").unwrap();
    session.expect("Enter for the next step").unwrap();
    session.send("\r").unwrap();
    session.expect("Enter when it is done").unwrap();
    session.send("\r").unwrap();
    session.expect("does not hold").unwrap();
    session.expect("Not yet").unwrap();
    session.send("h").unwrap();
    session.expect("touch makes one").unwrap();
    session.send("q").unwrap();
    session.expect("Stopped at step 2").unwrap();
    session.expect(Eof).unwrap();

    let mut session = small.session(&["--trust"]);
    session.expect("Taken up again at step 2").unwrap();
    session.expect("Enter for the next step").unwrap();
    session.send("\r").unwrap();
    session.expect("Enter when it is done").unwrap();
    std::fs::write(&small.made, "").unwrap();
    session.send("\r").unwrap();
    session.expect("Remove it at the end").unwrap();
    session.send("y").unwrap();
    session.expect("Enter for the next step").unwrap();
    session.send("\r").unwrap();
    session.expect("Enter to finish").unwrap();
    session.send("\r").unwrap();
    // What was predicted wrongly before the stop comes once more.
    session.expect("Predictions: 0 of 1 right.").unwrap();
    session.expect("What do you think?").unwrap();
    session.send("1").unwrap();
    session.expect("Right this time: 1, four").unwrap();
    session.expect("Enter to finish").unwrap();
    session.send("\r").unwrap();
    let end = session.expect(Eof).unwrap();
    let told = String::from_utf8_lossy(end.as_bytes()).into_owned();
    assert!(told.contains("2 of 2 claims hold"), "{told}");
    assert!(!small.made.exists(), "it was to be removed");
}

#[test]
fn from_replays_what_comes_before() {
    let small = Small::new();
    let ran = small.uth.run(["lesson", &small.path, "--trust", "--from", "third"]).ok();
    assert!(ran.stdout.contains("1 of 1 claims hold"), "{}", ran.whole());
    small.uth.run(["lesson", &small.path, "--trust", "--from", "9"]).one_error(2);
}

#[test]
fn a_killed_player_leaves_nothing_but_the_place() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let mut command = uth.command(["lesson", "1", "--from", "numbers"]);
    command.env("TERM", "dumb").stdin(std::process::Stdio::inherit());
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(30)));
    session.expect("Enter for the next step").unwrap();
    session.send("\r").unwrap();
    session.expect("What do you think?").unwrap();
    let env = uth.run(["lesson", "env"]).ok();
    assert!(env.stdout.contains("export box_pid='"), "{}", env.whole());
    let pid = session.get_process().pid();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), nix::sys::signal::SIGKILL)
        .unwrap();
    drop(session);
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
    let list = uth.run(["lesson"]).ok();
    assert!(list.stdout.contains("at step 5"), "{}", list.whole());
}

#[test]
fn a_broken_progress_file_is_kept_aside() {
    let uth = Uth::new();
    let state = uth.home().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("progress.json"), "{ this is not").unwrap();
    uth.run(["lesson"]).ok();
    let kept = std::fs::read_to_string(state.join("progress.json.broken-1")).unwrap();
    assert_eq!(kept, "{ this is not");
}

/// Under sudo the progress is the invoking user's, and written as that user.
#[test]
fn under_sudo_progress_belongs_to_the_invoking_user() {
    need!(root);
    let uth = Uth::new();
    let nobody = 65534;
    std::os::unix::fs::chown(uth.home(), Some(nobody), Some(nobody)).unwrap();
    let run = |home: &str| {
        let mut command = uth.command(["lesson", "reset", "0"]);
        command.env("SUDO_UID", "65534").env("SUDO_GID", "65534").env("UTH_HOME", home);
        uth.wait(command)
    };
    let ran = run(uth.home().to_str().unwrap());
    ran.ok();
    let state = std::fs::metadata(uth.home().join("state")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&state), nobody);
    // A link that the user has planted leads the user's child astray, not root.
    let target = tempfile::tempdir().unwrap();
    std::fs::remove_dir_all(uth.home().join("state")).unwrap();
    std::os::unix::fs::symlink(target.path(), uth.home().join("state")).unwrap();
    run(uth.home().to_str().unwrap()).one_error(1);
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
}
