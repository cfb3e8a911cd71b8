//! Those who write lessons: every kind of mistake is told with its place and what to do about
//! it; lessons of others are found by name; translations are the same lesson.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lessons");

/// A file of tests/lessons/refused, the line (and column) of its mistake, what is told, and
/// what of the remedy. Each is tests/lessons/good.md with one thing changed.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("no-front-matter", "1", "there is no front matter", "a lesson starts with a line `+++`"),
    ("front-matter-open", "1", "the front matter does not end", "then `+++`"),
    ("bad-toml", "4:11", "this is not TOML", "key = 1"),
    ("unknown-key", "5:1", "unknown key `neads`", "did you mean `needs`?"),
    ("missing-key", "1", "has no `chapter`", "chapter = "),
    ("wrong-type", "4:1", "`minutes` is not a whole number", "1 to 30"),
    ("too-long", "4", "300 minutes", "1 to 30"),
    ("unknown-need", "5:11", "unknown need `contaner`", "allowed: root, container"),
    ("second-step-id", "31:10", "a second step with the id `one`", "each id once"),
    ("no-step-id", "31", "has no id", "{#a-word}"),
    ("no-claim-id", "27", "has no id", "{#a-word}"),
    ("unknown-fence", "23:4", "unknown block `sh shel`", "did you mean `sh shell`?"),
    ("bare-fence", "23", "does not say what it is", "```sh run"),
    ("refused-command", "20:23", "unexpected argument '--nmae'", "'--name'"),
    ("unknown-command", "20:16", "does not parse", "under-the-hood"),
    ("not-ours", "20:1", "`docker` is not this program", "`sh shell`"),
    ("unknown-check", "29:10", "unknown check `pid-insid`", "did you mean `pid-inside`?"),
    ("check-without-words", "29", "`pid-inside` cannot be asked", "pid-inside WHO"),
    ("check-with-too-many-words", "29:21", "`pid-inside` cannot be asked", "pid-inside WHO"),
    ("never-started", "29:21", "unknown container `bax`", "did you mean `box`?"),
    ("name-not-bound", "24:18", "`$bax_pid` is not bound here", "--name box"),
    ("cannot-fail", "29", "holds always: `cut` exits with 0", "`| grep .`"),
    ("not-measured", "12", "is not measured", "measure: "),
    ("one-choice", "12", "fewer than two choices", "- what the reader reads"),
    ("same-value-twice", "15:15", "a second choice with the value `1`", "each value once"),
    ("no-check", "27", "is not checked", "check: NAME"),
    ("no-solution", "33", "has no solution", "<details>"),
    ("no-hint", "33", "has no hint", "hint: "),
    ("hint-for-no-check", "39:9", "there is no `check 2` here", "has one check, check 1"),
    ("hint-for-check-zero", "39:9", "there is no `check 0` here", "hint: TEXT is for all"),
    ("hint-for-what", "39:3", "does not say which check", "hint (check 1): TEXT"),
    ("hint-without-text", "39:3", "`hint (check 1)` says nothing", "what helps"),
    ("leaves-elsewhere", "33", "cannot leave `/etc/hosts`", "below $lesson_dir"),
    ("leaves-upwards", "33", "it goes up", "below $lesson_dir"),
    ("longer-than-a-screen", "8", "30 lines at one go", "22, so that it fits"),
    ("too-many-steps", "75", "step 13 of a lesson", "`(more)`"),
    ("fence-open", "23", "does not end", "```"),
    ("details-open", "41", "`<details>` does not end", "</details>"),
    ("shell-that-changes", "24", "changes something: `rm`", "**Try**"),
    ("shell-that-writes", "24", "> /tmp/list", "**Try**"),
    ("pipe-in-run", "20", "| is for a shell", "sh shell"),
    ("html", "8", "HTML outside a quoted block", "notes:"),
    ("another-heading", "31", "a heading that is not a step's", "## Title"),
    ("unknown-quote", "27", "unknown quoted block `Clam`", "did you mean `Claim`?"),
    ("hidden-character", "24:6", "U+001B cannot be seen", "take it out"),
];

#[test]
fn each_kind_of_broken_lesson_is_refused_with_place_and_remedy() {
    let uth = Uth::new();
    uth.run(["lesson", "check", &format!("{HERE}/good.md")]).ok();
    for (name, place, what, remedy) in REFUSED {
        let path = format!("{HERE}/refused/{name}.md");
        let ran = uth.run(["lesson", "check", &path]).one_error(1);
        let start = format!("{path}:{place}:");
        let told = ran.stdout.lines().find(|line| line.starts_with(&start) && line.contains(what));
        let told = told.unwrap_or_else(|| panic!("{start} … {what}: {}", ran.whole()));
        assert!(told.contains(remedy), "{remedy}: {told}");
        // Nor is it played.
        let played = uth.run(["lesson", &path, "--trust", "--auto"]).one_error(1);
        assert!(played.stderr.contains("lesson check"), "{}", played.whole());
    }
    let files = std::fs::read_dir(format!("{HERE}/refused")).unwrap().count();
    assert_eq!(files, REFUSED.len(), "a file without a row");
}

#[test]
fn mistakes_are_json_too() {
    let uth = Uth::new();
    let path = format!("{HERE}/refused/unknown-check.md");
    let ran = uth.run(["lesson", "check", &path, "--format", "json"]).one_error(1);
    let mistake = &ran.json()["texts"][0]["mistakes"][0];
    assert_eq!((mistake["line"].as_u64(), mistake["column"].as_u64()), (Some(29), Some(10)));
    assert!(mistake["mistake"].is_string() && mistake["remedy"].is_string(), "{mistake}");
}

#[test]
fn files_of_every_make_are_read_or_refused_kindly() {
    let uth = Uth::new();
    let path = uth.home().join("lesson.md");
    let good = std::fs::read_to_string(format!("{HERE}/good.md")).unwrap();
    let check = |bytes: &[u8]| -> Ran {
        std::fs::write(&path, bytes).unwrap();
        uth.run(["lesson", "check", path.to_str().unwrap()])
    };
    check(good.replace('\n', "\r\n").as_bytes()).ok();
    check(format!("\u{feff}{good}").as_bytes()).ok();
    check(good.trim_end().as_bytes()).ok();
    // Latin 1, and another mistake: both are told.
    let text =
        good.replace("pid-inside box = 1", "pid-insid box = 1").replace("a file", "a f\u{0}le");
    let latin: Vec<u8> = text.bytes().map(|byte| if byte == 0 { 0xef } else { byte }).collect();
    let ran = check(&latin).one_error(1);
    for told in [":33:27: the byte 0xef is not UTF-8", ":29:10: unknown check"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.whole());
    }
    check(b"").one_error(1);
    check(b"+++\n+++").one_error(1);
    let large = std::fs::File::create(&path).unwrap();
    large.set_len(100 << 20).unwrap();
    let ran = uth.run(["lesson", "check", path.to_str().unwrap()]).one_error(1);
    assert!(ran.stderr.contains("larger than a megabyte"), "{}", ran.whole());
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    uth.run(["lesson", "check", path.to_str().unwrap()]).one_error(1);
}

#[test]
fn a_new_lesson_is_a_good_one() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let directory = uth.home().join("42-mine");
    let path = directory.to_str().unwrap();
    uth.run(["lesson", "new", path, "--dry-run"]).ok();
    assert!(!directory.exists(), "--dry-run made it");
    uth.run(["lesson", "new", path]).ok();
    uth.run(["lesson", "check", path]).ok();
    let before = Machine::look(&uth);
    let tried = uth.run(["lesson", "test", path, "--trust", "--format", "json"]).ok().json();
    let tried = tried.as_array().unwrap();
    assert!(tried.len() >= 3 && tried.iter().all(|row| row["check"] == "good"), "{tried:?}");
    Machine::settles(&uth, &before, std::time::Duration::from_secs(5), base_and_progress);
    // What is there is not written over; an empty directory will do.
    let again = uth.run(["lesson", "new", path]).one_error(1);
    assert!(again.stderr.contains("not empty"), "{}", again.whole());
    let empty = uth.home().join("empty");
    std::fs::create_dir(&empty).unwrap();
    uth.run(["lesson", "new", empty.to_str().unwrap()]).ok();
    assert!(empty.join("lesson.md").exists());
}

/// Puts a lesson that needs nothing on the shelf of this home.
fn on_the_shelf(uth: &Uth, name: &str) -> std::path::PathBuf {
    let directory = uth.home().join("data/lessons").join(name);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(uth.home().join("data"), PermissionsExt::from_mode(0o755)).unwrap();
    let text = "+++\ntitle = \"Signals\"\nchapter = \"None\"\nminutes = 1\n+++\n\n## One {#one}\n\n\
                > **Claim** {#so} It is so.\n>\n> check: sh: test -d /proc\n>\n> opposite: nothing\n";
    std::fs::write(directory.join("lesson.md"), text).unwrap();
    directory
}

#[test]
fn a_lesson_of_others_is_found_by_name_listed_apart_and_asked_for() {
    let uth = Uth::new();
    on_the_shelf(&uth, "42-signals");
    std::fs::write(on_the_shelf(&uth, "43-broken").join("lesson.md"), "nothing").unwrap();
    let list = uth.run(["lesson"]).ok();
    let (ours, others) = list.stdout.split_once("Lessons of others").unwrap();
    assert!(ours.contains("processes") && !ours.contains("signals"), "{}", list.whole());
    assert!(others.contains("signals") && others.contains("lesson check"), "{}", list.whole());
    for name in ["signals", "42", "Signals"] {
        let ran = uth.run(["lesson", name]).one_error(2);
        assert!(ran.stderr.contains("--trust"), "{}", ran.whole());
        uth.run(["lesson", name, "--trust"]).ok();
    }
    let unknown = uth.run(["lesson", "sgnals"]).one_error(1);
    assert!(unknown.stderr.contains("Installed: 42 signals"), "{}", unknown.whole());
    uth.run(["lesson", "broken", "--trust"]).one_error(1);
}

/// Root is not led by what another user can change.
#[test]
fn root_plays_no_installed_lesson_that_another_can_write() {
    need!(root);
    let uth = Uth::new();
    let directory = on_the_shelf(&uth, "42-signals");
    let refused = |why: &str| {
        let ran = uth.run(["lesson", "signals", "--trust"]).one_error(1);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("chown"), "{}", ran.whole());
    };
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
    refused("others may write");
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).unwrap();
    uth.run(["lesson", "signals", "--trust"]).ok();
    chown(directory.join("lesson.md"), Some(65534), None).unwrap();
    refused("belongs to uid");
}

/// lesson.md and lesson.de.md with one thing changed in the second: what is told.
#[test]
fn a_translation_is_held_against_its_original() {
    let uth = Uth::new();
    let directory = uth.home().join("42-two");
    std::fs::create_dir(&directory).unwrap();
    let good = std::fs::read_to_string(format!("{HERE}/good.md")).unwrap();
    std::fs::write(directory.join("lesson.md"), &good).unwrap();
    let german =
        good.replace("What it is about.", "Worum es geht.").replace("Make a file.", "Lege an.");
    let path = directory.to_str().unwrap();
    let check = |text: &str| {
        std::fs::write(directory.join("lesson.de.md"), text).unwrap();
        uth.run(["lesson", "check", path])
    };
    let ran = check(&german).ok();
    assert!(ran.stdout.contains("lesson.de.md: good"), "{}", ran.whole());
    let second = german.find("## Two").unwrap();
    for (old, new, told) in [
        (
            "{#two}",
            "{#zwei}",
            "lesson.de.md:31:10: the step `two` has another id: `zwei` (as in line 31 of lesson.md",
        ),
        (&german[second..], "", "after this the step `two` is missing (as in line 31 of lesson.md"),
        ("sleep 600", "sleep 60", "lesson.de.md:20:1: the line of `sh run` is not the original's"),
        (
            "= 1\n\n## Two",
            "= 2\n\n## Two",
            "lesson.de.md:29:10: the check of **Claim** is not the original's: `pid-inside box = 2` (as in line 29",
        ),
        (
            "```sh shell",
            "```sh run",
            "lesson.de.md:23: here stands `sh run`, in the original `sh shell`",
        ),
        ("{#first}", "{#erste}", "the id of **Claim** is not the original's"),
        ("other\n", "andere\n", "the value of a choice of **Predict** is not the original's"),
        ("minutes = 5", "minutes = 6", "the front matter is not the original's"),
        (
            "`touch /tmp/uth-made` </d",
            "`cat /tmp/uth-made` </d",
            "the solution of **Try** is not the original's",
        ),
        (
            "leaves: /tmp/uth-made",
            "leaves: /tmp/uth-other",
            "what it leaves of **Try** is not the original's",
        ),
        (
            "hint: `touch`",
            "hint (check 1): `touch`",
            "what a hint is for of **Try** is not the original's: `check 1` (as in line 39",
        ),
    ] {
        assert!(german.contains(old), "{old}");
        let ran = check(&german.replacen(old, new, 1)).one_error(1);
        assert!(ran.stdout.contains(told), "{told}: {}", ran.whole());
        // It is not played; the original is, with a word that says why.
        let ran = uth.run(["lesson", path, "--lang", "de", "--dry-run"]).ok();
        assert!(ran.stderr.contains("not the same lesson"), "{}", ran.whole());
        assert!(ran.stdout.contains("sleep 600"), "{}", ran.whole());
    }
}

/// A translation that is there and cannot be read is told, not taken for none.
#[test]
fn a_translation_that_cannot_be_read_is_told() {
    let uth = Uth::new();
    let directory = uth.home().join("42-both");
    std::fs::create_dir_all(directory.join("lesson.de.md")).unwrap();
    std::fs::copy(format!("{HERE}/good.md"), directory.join("lesson.md")).unwrap();
    let path = directory.to_str().unwrap();
    let ran = uth.run(["lesson", path, "--lang", "de", "--dry-run"]).ok();
    assert!(ran.stderr.contains("The translation is not played"), "{}", ran.whole());
    assert!(ran.stderr.contains("EISDIR"), "{}", ran.whole());
}

/// Which language is played: what was asked for, else what the locale says.
#[test]
fn lesson_0_is_played_in_german() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let ran = uth.run(["lesson", "0", "--lang", "de", "--auto"]).ok();
    for told in ["Einrichten", "welchem Kernel sprichst du", "3 of 3 claims hold"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.whole());
    }
    let title = |variables: &[(&str, &str)], more: &[&str]| {
        let mut command = uth.command(["lesson", "0", "--auto", "--from", "engine"]);
        command.args(more).envs(variables.iter().copied());
        let ran = uth.wait(command);
        (ran.stdout.lines().next().unwrap_or_default().to_owned(), ran.stderr)
    };
    assert!(title(&[("LANG", "de_AT.UTF-8")], &[]).0.contains("Einrichten"));
    assert!(title(&[("LANG", "de_AT.UTF-8"), ("LC_ALL", "C")], &[]).0.contains("Set-up"));
    assert!(title(&[("LC_MESSAGES", "de_DE")], &["--lang", "en"]).0.contains("Set-up"));
    let (french, told) = title(&[], &["--lang", "fr"]);
    assert!(french.contains("Set-up") && told.contains("not translated into `fr`"), "{told}");
    assert!(!title(&[("LANG", "fr_FR")], &[]).1.contains("translated"));
    uth.run(["lesson", "0", "--lang", "../x"]).one_error(2);
}

/// The repository's own translations, and that each embedded one is played.
#[test]
fn every_translation_of_the_repository_is_the_same_lesson() {
    let uth = Uth::new();
    let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
    for lesson in std::fs::read_dir(lessons).unwrap().flatten() {
        let name = lesson.file_name().into_string().unwrap();
        for file in std::fs::read_dir(lesson.path()).into_iter().flatten().flatten() {
            let file = file.file_name().into_string().unwrap();
            let language = file.strip_prefix("lesson.").and_then(|rest| rest.strip_suffix(".md"));
            let Some(language) = language.filter(|language| !language.is_empty()) else { continue };
            uth.run(["lesson", "check", lesson.path().to_str().unwrap()]).ok();
            let number = name.split('-').next().unwrap().trim_start_matches('0');
            let number = if number.is_empty() { "0" } else { number };
            let ran = uth.run(["lesson", number, "--lang", language, "--dry-run"]).ok();
            assert!(!ran.stderr.contains("not translated"), "{name}: {}", ran.whole());
        }
    }
}
