//! A lesson on a stage: `--present`, the notes in a second terminal, the
//! rehearsal, and what is offered where something fails before an audience.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::{Duration, Instant};

use crate::harness::Uth;
use crate::player::Reader;

const LESSON: &str = r#"+++
title = "Staged"
chapter = "None"
minutes = 7
+++

## First {#first}

<!-- notes: Say hello. People ask **why**. -->

Something to read.

```sh shell
echo it is $((6 * 7))
```

## Second {#second}

<!-- notes: Nobody asks here. -->

```sh shell
cat FILE
```

> **Claim** {#there} It is there.
>
> check: sh: cat FILE
>
> opposite: nothing

## Third {#third}

The end.
"#;

/// The lesson, and the file that it wants to read.
fn staged(uth: &Uth) -> (String, std::path::PathBuf) {
    let directory = uth.home().join("staged");
    std::fs::create_dir(&directory).unwrap();
    let file = uth.home().join("props");
    let text = LESSON.replace("FILE", file.to_str().unwrap());
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    std::fs::write(&file, "the props\n").unwrap();
    (directory.to_str().unwrap().to_owned(), file)
}

fn presents(uth: &Uth, lesson: &str, more: &[&str]) -> Reader {
    let args = [&[lesson, "--trust", "--present"], more].concat();
    Reader::begins(uth, &args)
}

#[test]
fn a_command_is_typed_and_performed_at_enter() {
    let uth = Uth::new();
    let (lesson, _) = staged(&uth);
    let mut stage = presents(&uth, &lesson, &["--typing", "20"]);
    stage.sees("Enter for the next step").types("\r").sees("1/3 · First").sees("Enter · ?");
    stage.types("\r").sees("Something to read").sees("Enter · ?");
    let begun = Instant::now();
    stage.types("\r").sees("$ echo it is").sees("Enter performs it");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(700), "22 letters at 20 a second took {took:?}");
    assert!(!stage.seen().contains("it is 42"), "performed before Enter");
    stage.types("\r").sees("it is 42").sees("next step").types("\r").sees("2/3 · Second");
    // A key has the rest there at once; a shell at any point; any step by its id.
    stage.types("\r").sees("$ cat").types("\r").sees("Enter performs it");
    stage.types("!").sees("(lesson ").types("echo $((40 + 1))\r").sees("41").sees("(lesson ");
    stage.types("exit\r").sees("Back in the lesson");
    stage.sees("?").types("g").sees("Which step?").types("nowhere\r").sees("no step `nowhere`");
    stage.sees("Enter").types("g").sees("Which step?").types("third\r").sees("3/3 · Third");
    stage.types("\r").sees("The end.").sees("Enter to finish").types("g").sees("Which step?");
    stage
        .types("1\r")
        .sees("1/3 · First")
        .sees("Enter")
        .types("q")
        .sees("Stopped at step 1")
        .ends();
}

#[test]
fn what_fails_may_be_done_again_skipped_or_shown_as_recorded() {
    let uth = Uth::new();
    let (lesson, props) = staged(&uth);
    let fails = |more: &[&str]| {
        let mut stage =
            presents(&uth, &lesson, &[&["--from", "2", "--typing", "1000"], more].concat());
        stage.sees("next step").types("\r").sees("2/3 · Second").sees("Enter").types("\r");
        stage.sees("Enter performs it").types("\r").sees("ended with exit code 1");
        stage
    };
    std::fs::remove_file(&props).unwrap();
    // Nothing was recorded: that is not offered.
    let mut stage = fails(&[]);
    stage.sees("a again · k skip · ! shell").types("o").sees("does nothing here").sees("a again");
    std::fs::write(&props, "found again\n").unwrap();
    stage.types("a").sees("Enter performs it").types("\r").sees("found again").sees("Enter · ?");
    std::fs::remove_file(&props).unwrap();
    stage.types("\r").sees("does not hold").sees("a again").types("k").sees("Skipped: the claim");
    stage.sees("next step").types("\r").sees("3/3").types("\r").sees("The end.");
    stage.sees("Enter to finish").types("\r").sees("Not as it should have been on stage");
    stage.sees("the claim there was skipped").ends();

    std::fs::write(&props, "the props\n").unwrap();
    let ran = uth.run(["lesson", &lesson, "--trust", "--rehearse"]).ok();
    assert_eq!(ran.stdout.matches("✓ good").count(), 3, "{}", ran.whole());
    std::fs::remove_file(&props).unwrap();
    // It says at once what would fail, and keeps what went well before.
    let ran = uth.run(["lesson", &lesson, "--trust", "--rehearse"]).one_error(3);
    assert!(ran.stdout.contains(" 2/3  ✗ would fail"), "{}", ran.whole());
    assert!(ran.stdout.contains("No such file"), "{}", ran.whole());
    let mut stage = fails(&[]);
    stage.sees("o recorded output").types("o").sees("RECORDED, not live");
    let recorded =
        regex::Regex::new(r"rehearsal\s+of\s+20\d\d-\d\d-\d\d\s+\d\d:\d\d:\d\d\s+UTC").unwrap();
    stage.sees("the props").sees("Enter · ?");
    assert!(recorded.is_match(stage.seen()), "{}", stage.seen());
    stage.types("q").sees("Not as it should have been").sees("was shown").ends();
}

#[test]
fn without_a_terminal_nothing_is_animated() {
    let uth = Uth::new();
    let (lesson, _) = staged(&uth);
    let begun = Instant::now();
    let ran = uth.run(["lesson", &lesson, "--trust", "--present", "--typing", "1"]).ok();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.whole());
    assert!(ran.stdout.contains("1 of 1 claims hold"), "{}", ran.whole());
}

#[test]
fn the_notes_follow_the_player_and_end_with_it() {
    let uth = Uth::new();
    let (lesson, _) = staged(&uth);
    uth.run(["lesson", "notes"]).one_error(1);
    let mut stage = presents(&uth, &lesson, &["--typing", "1000"]);
    stage.sees("next step").types("\r").sees("1/3 · First");
    let once = uth.run(["lesson", "notes", "--once"]).ok().stdout;
    for told in
        ["Staged · step 1 of 3: First", " of 7:00 · ", "Say hello. People ask why.", "Next: Second"]
    {
        assert!(once.contains(told), "{told} is not in: {once}");
    }
    let mut notes = Reader::begins(&uth, &["notes"]);
    notes.sees("Say hello").sees("Next: Second");
    stage.types("g").sees("Which step?").types("2\r").sees("2/3 · Second");
    notes.sees("step 2 of 3: Second").sees("Nobody asks here").sees("Next: Third");
    stage.types("g").sees("Which step?").types("3\r").sees("3/3 · Third");
    notes.sees("No notes for this step").sees("This is the last step");
    stage.sees("Enter").types("q").sees("Stopped").ends();
    notes.sees("The player has ended").ends();
}

/// Under sudo the recording is the invoking user's, and both may have it shown.
#[test]
fn under_sudo_a_rehearsal_belongs_to_the_invoking_user() {
    need!(root);
    let uth = Uth::new();
    let (lesson, props) = staged(&uth);
    let state = uth.home().join("state");
    std::fs::create_dir(&state).unwrap();
    chown(&state, Some(65534), Some(65534)).unwrap();
    std::fs::set_permissions(uth.home(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = uth.command(["lesson", &lesson, "--trust", "--rehearse"]);
    command.env("SUDO_UID", "65534").env("SUDO_GID", "65534");
    uth.wait(command).ok();
    let kept: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(kept.iter().any(|file| file.file_name().to_string_lossy().starts_with("rehearsal-")));
    for file in kept {
        assert_eq!(file.metadata().unwrap().uid(), 65534, "{file:?}");
    }
    std::fs::remove_file(&props).unwrap();
    let plays_back = |command: std::process::Command| {
        let mut stage = Reader::of(command, 24);
        stage.sees("next step").types("\r").sees("2/3 · Second").sees("Enter").types("\r");
        stage.sees("Enter performs it").types("\r").sees("o recorded output").types("o");
        stage.sees("RECORDED, not live").sees("the props").sees("Enter · ?").types("q").ends();
    };
    let present = |uth: &Uth, command: &mut std::process::Command| {
        let more = ["--trust", "--present", "--from", "2", "--typing", "1000"];
        command.args(["lesson", &lesson]).args(more).env("UTH_HOME", uth.home());
        command.env("TERM", "dumb").env_remove("COLUMNS");
    };
    let mut command = uth.beside(Uth::program());
    present(&uth, &mut command);
    command.env("SUDO_UID", "65534").env("SUDO_GID", "65534");
    plays_back(command);
    // And as that user, who has a state directory of their own and nothing of root's.
    let theirs = Uth::new();
    chown(theirs.home(), Some(65534), Some(65534)).unwrap();
    std::fs::rename(&state, theirs.home().join("state")).unwrap();
    let mut command = theirs.beside("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(Uth::program());
    present(&theirs, &mut command);
    plays_back(command);
}

const ELSEWHERE: &str = r#"+++
title = "Elsewhere"
chapter = "None"
minutes = 7
+++

## First {#first}

```sh run
under-the-hood run -d --name box base sleep 600
```

> **Claim** {#own} It has a network of its own.
>
> check: ns-differs net box self

## Second {#second}

The end.
"#;

/// A Podman that has every image and no container, and does what it is told with `run`
/// and when it is asked for a lesson's containers.
fn podman(uth: &Uth, run: &str, ps: &str) -> String {
    let directory = uth.home().join("bin");
    std::fs::create_dir_all(&directory).unwrap();
    let script = format!(
        "#!/bin/sh\ncase $1 in\nimages) echo x;;\ncontainer) echo cafe 1;;\nrun) {run};;\n\
         ps) case $* in *name=*) ;; *) {ps};; esac;;\n*) echo podman version 9.9;;\nesac\n"
    );
    let program = directory.join("podman");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    directory.to_str().unwrap().to_owned()
}

/// What an engine cannot do before an audience, ours does, from this step on; that is
/// marked with the reason. An engine that cannot even tidy up is no end either.
#[test]
fn where_another_engine_fails_the_builtin_one_goes_on() {
    need!(root);
    let fails = "echo no space left >&2; exit 125";
    let lost = "echo cafe";
    for (run, ps, told, left) in [
        (fails, "true", "exit code 125", false),
        (lost, "echo no answer >&2; exit 1", "its first process is pid 1", true),
    ] {
        let uth = Uth::new();
        uth.run(["image", "base"]).ok();
        let directory = uth.home().join("elsewhere");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("lesson.md"), ELSEWHERE).unwrap();
        // Engines are taken only from where nobody else can have put them.
        let within = |bin: &str, args: &[&str]| {
            let script = format!("mount --bind {bin} /usr/local/bin && exec \"$@\"");
            let mut command = uth.beside("unshare");
            command.args(["--mount", "sh", "-c", &script, "sh"]).arg(Uth::program()).args(args);
            command.env("TERM", "dumb").env("SHELL", "/bin/sh").env_remove("COLUMNS");
            command
        };
        let lesson = directory.to_str().unwrap();
        let args =
            ["lesson", lesson, "--trust", "--present", "--typing", "1000", "--engine", "podman"];
        let mut stage = Reader::of(within(&podman(&uth, run, ps), &args), 24);
        stage.sees("next step").types("\r").sees("1/2 · First").sees("Enter · ?").types("e");
        stage.sees("with docker:").sees("docker run -d --name box").sees("lxc-start -n box");
        stage.sees("Enter · ?").types("\r").sees("Enter performs it").types("\r");
        stage.sees(told).sees("a again · k skip · u built-in engine").types("u");
        stage.sees("of podman. What was begun is undone").sees("Enter · ?").types("\r");
        stage.sees("1/2 · First").sees("Enter · ?").types("\r");
        stage.sees("$ under-the-hood run").sees("Enter performs it").types("\r");
        stage.sees("Enter · ?").types("\r").sees("holds: ");
        assert!(!stage.seen().contains("does not hold"), "{}", stage.seen());
        stage.sees("next step").types("\r").sees("2/2").sees("Enter · ?").types("\r");
        stage.sees("The end.").sees("Enter to finish").types("\r");
        stage.sees("Not as it should have been on stage");
        stage.sees("from step 1 on with the built-in engine, because");
        assert_eq!(stage.ends().0.contains("something may be left"), left, "{}", stage.seen());
        // What was told to be left is tidied up once the engine answers.
        uth.wait(within(&podman(&uth, run, "true"), &["cleanup"])).ok();
    }
}
