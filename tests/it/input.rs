//! Unusable input, and machines on which little works: one clear error, no
//! panic, and no mess.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::commands::fill;
use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress};

/// No process has it: above what the kernel allows a pid to be.
const NO_PID: &str = "4194305";

impl Ran {
    /// One kind error and an exit code that is ours to give.
    #[track_caller]
    fn fails_kindly(self) -> Self {
        let code = self.code.unwrap_or_else(|| panic!("{}", self.whole()));
        assert!([1, 2, 3, 4, 125, 126, 127].contains(&code), "{}", self.whole());
        self.one_error(code)
    }
}

#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let uth = Uth::new();
    for (name, args, code) in [
        ("no-process", &["inspect", "process", NO_PID][..], 1),
        ("no-process-ns", &["inspect", "ns", "--pid", NO_PID], 1),
        ("no-container-stop", &["stop", "nobody"], 1),
        ("no-image", &["run", "--pull", "never", "nowhere", "true"], 125),
        ("no-lesson", &["lesson", "99"], 1),
        ("no-lesson-file", &["lesson", "check", "/nowhere/lesson.md"], 1),
    ] {
        let ran = uth.run(args).fails_kindly();
        ran.snapshot(&format!("error-{name}"));
        ran.exits(code);
    }
    // What the hint says depends on what else runs here, and on who may see it.
    for (args, code) in
        [(&["inspect", "ns", "--container", "nobody"][..], 1), (&["exec", "nobody", "true"], 125)]
    {
        let ran = uth.run(args).one_error(code);
        let start = "Error: no container nobody is running\nHint: ";
        assert!(ran.stderr.starts_with(start), "{}", ran.whole());
    }
    let left = Machine::left(&uth, &Machine::look(&Uth::new()), Duration::ZERO, base_and_progress);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_broken_lesson_is_named_with_its_line() {
    let uth = Uth::new();
    let path = uth.home().join("lesson.md");
    for (name, text) in [
        ("empty", &b""[..]),
        ("front-matter", b"+++\ntitle = 1\n+++\n"),
        ("bytes", b"+++\ntitle = \"\xff\xfe\"\n+++\n"),
        ("command", b"+++\ntitle = \"x\"\nchapter = \"x\"\nminutes = 1\n+++\n\n## A {#a}\n\n```sh run\nunder-the-hood fly\n```\n"),
    ] {
        std::fs::write(&path, text).unwrap();
        let args = ["lesson", "check", path.to_str().unwrap()];
        let ran = uth.run(args).fails_kindly();
        assert!(ran.stderr.contains("lesson.md") || ran.stdout.contains("lesson.md"), "{name}: {}", ran.whole());
        uth.run(["lesson", "--auto", "--trust", path.to_str().unwrap()]).fails_kindly();
    }
}

/// What has no end is not waited for.
#[test]
fn what_is_too_large_for_a_lesson_is_not_read_to_its_end() {
    let ran = Uth::new().run(["lesson", "check", "/dev/zero"]).one_error(1);
    assert!(ran.stderr.contains("larger than a megabyte"), "{}", ran.whole());
}

/// Commands that write: what they need a place for, they say.
const WRITERS: &[&[&str]] = &[&["image", "base"], &["run", "base", "true"]];

/// Runs each of `WRITERS` with `UTH_HOME` on a small file system of its own,
/// mounted with these options, in a private mount namespace: what it left
/// there follows on standard output.
fn on_a_small_disk(options: &str, writers: &[&[&str]]) {
    let uth = Uth::new();
    let before = Machine::look(&uth);
    for args in writers {
        let script = format!(
            "mount -t tmpfs -o {options} small \"$UTH_HOME\" && \"$UTH\" {} >/dev/null; code=$?; \
             find \"$UTH_HOME\" -mindepth 1 -not -type d; exit $code",
            args.join(" ")
        );
        let mut shell = uth.beside("unshare");
        shell.args(["--mount", "sh", "-c", &script]);
        let ran = uth.wait(shell).fails_kindly();
        assert!(ran.stderr.contains("ENOSPC") || ran.stderr.contains("EROFS"), "{}", ran.whole());
        assert_eq!(ran.stdout, "", "left behind: {}", ran.whole());
    }
    Machine::settles(&uth, &before, Duration::from_secs(2), |_| false);
}

#[test]
fn a_full_disk_is_said_to_be_full() {
    need!(root);
    on_a_small_disk("size=64k", WRITERS);
}

/// A lesson on a full disk says of each step why it could not be done, holds no
/// claim that it did not see, and leaves nothing but its progress (and a store
/// with nothing in it, made for what could not be fetched).
#[test]
fn a_lesson_on_a_full_disk_says_so() {
    need!(root);
    let uth = Uth::new();
    let script = "mount -t tmpfs -o size=64k small \"$UTH_HOME\" && \"$UTH\" lesson 1 --auto; code=$?; \
                  find \"$UTH_HOME\" -mindepth 1 -not -type d >&2; exit $code";
    let mut shell = uth.beside("unshare");
    shell.args(["--mount", "sh", "-c", script]);
    let ran = uth.wait(shell).exits(3);
    assert!(ran.stdout.contains("ENOSPC") && !ran.stdout.contains("panicked"), "{}", ran.whole());
    let kept = ["/state/progress.json", "/data/images/oci-layout", "/data/images/index.json"];
    let left = ran.stderr.lines().filter(|line| !kept.iter().any(|kept| line.ends_with(kept)));
    assert_eq!(left.count(), 0, "{}", ran.whole());
}

/// No inode left either: the first directory cannot be made.
#[test]
fn a_disk_without_inodes_is_said_to_be_full() {
    need!(root);
    on_a_small_disk("nr_inodes=2", WRITERS);
}

#[test]
fn a_read_only_disk_is_said_to_be_read_only() {
    need!(root);
    on_a_small_disk("ro", WRITERS);
}

/// The same for somebody to whom a mode means something.
#[test]
fn a_directory_without_write_permission_is_named() {
    need!(ordinary_user);
    let uth = Uth::new();
    for args in WRITERS {
        let script = format!(
            "chmod 500 \"$UTH_HOME\"; \"$UTH\" {}; code=$?; chmod 700 \"$UTH_HOME\"; exit $code",
            args.join(" ")
        );
        let ran = uth.sh(&script).fails_kindly();
        assert!(ran.stderr.contains("EACCES"), "{}", ran.whole());
    }
}

#[test]
fn without_proc_it_says_what_is_missing() {
    need!(root);
    let uth = Uth::new();
    let before = Machine::look(&uth);
    for args in [
        &["inspect", "ns"][..],
        &["inspect", "process", "1"],
        &["run", "base", "true"],
        &["doctor"],
        &["lesson", "1", "--auto"],
    ] {
        let script = format!("mount -t tmpfs none /proc && exec \"$UTH\" {}", args.join(" "));
        let mut shell = uth.beside("unshare");
        shell.args(["--mount", "sh", "-c", &script]);
        let ran = uth.wait(shell).fails_kindly();
        assert!(ran.stderr.contains("/proc"), "{}", ran.whole());
    }
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// Everything that prints a result.
const PRINTERS: &[&[&str]] = &[
    &["--help"],
    &["help", "run"],
    &["--version"],
    &["inspect", "--help"],
    &["inspect", "ns", "--tree"],
    &["inspect", "host", "--format", "json"],
    &["lesson", "check", concat!(env!("CARGO_MANIFEST_DIR"), "/lessons/01-processes")],
    &["doctor"],
    &["inspect", "host"],
    &["inspect", "ns"],
    &["inspect", "process", "self"],
    &["lesson"],
    &["lesson", "1", "--auto"],
    &["verify"],
    &["image", "base"],
    &["run", "-d", "--name", "box", "base", "sleep", "60"],
    &["run", "--dry-run", "base", "true"],
    &["completions", "bash"],
    &["man"],
];

#[test]
fn standard_output_that_takes_nothing_is_an_error() {
    let uth = Uth::new();
    let before = Machine::look(&uth);
    for args in PRINTERS {
        let words = fill(args).join(" ");
        for (redirection, errno) in [(">&-", "EBADF"), (">/dev/full", "ENOSPC")] {
            let ran = uth.sh(&format!("\"$UTH\" {words} {redirection}")).fails_kindly();
            assert!(ran.stderr.contains(errno), "{redirection}: {}", ran.whole());
        }
    }
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// What others could have put where we keep our own: never followed.
#[test]
fn a_planted_link_is_not_followed() {
    for (place, args) in [
        ("data", &["image", "base"][..]),
        ("data/rootfs", &["image", "base"]),
        ("run", &["run", "base", "true"]),
        ("run/journal", &["run", "base", "true"]),
        ("run/containers", &["run", "base", "true"]),
    ] {
        let uth = Uth::new();
        let bait = tempfile::tempdir().unwrap();
        let path = uth.home().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(bait.path(), &path).unwrap();
        let before = Machine::look(&uth);
        let ran = uth.run(args).fails_kindly();
        assert!(
            ran.stderr.contains(place) && ran.stderr.contains("symbolic link"),
            "{}",
            ran.whole()
        );
        assert!(is_empty(bait.path()), "{place} was followed: {}", ran.whole());
        Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
    }
}

/// Progress is not worth failing for: a lesson plays on without it, and says so.
#[test]
fn progress_is_not_written_through_a_planted_link() {
    let uth = Uth::new();
    let bait = tempfile::tempdir().unwrap();
    symlink(bait.path(), uth.home().join("state")).unwrap();
    let ran = uth.run(["lesson", "0", "--auto"]).ok();
    assert!(ran.stderr.starts_with("Warning:") && ran.stderr.contains("/state"), "{}", ran.whole());
    assert!(is_empty(bait.path()), "it was followed: {}", ran.whole());
}

/// A directory in which others may write is not trusted either.
#[test]
fn a_directory_that_others_may_write_is_refused() {
    let uth = Uth::new();
    let ran = uth
        .sh("mkdir -m 777 \"$UTH_HOME/run\"; chmod 777 \"$UTH_HOME/run\"; \"$UTH\" run base true")
        .fails_kindly();
    assert!(ran.stderr.contains("others may write in it"), "{}", ran.whole());
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}
