//! A class: what each participant's run came to, and all of them in one table.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use expectrl::{Eof, Expect, Session};
use serde_json::{Value, json};

use crate::harness::Uth;

/// A lesson that needs nothing: a question, a claim that holds, one that does not, one that cannot be told.
const LESSON: &str = "+++\ntitle = \"Small\"\nchapter = \"None\"\nminutes = 1\n+++\n\n## One {#one}\n\n\
    > **Predict** How much is two and two?\n>\n> - four = 4\n> - five = 5\n>\n> measure: sh: echo $((2 + 2))\n\n\
    ```sh shell\necho looked\n```\n\n\
    > **Claim** {#so} So it is.\n>\n> check: sh: true\n\n\
    > **Claim** {#not} It is not.\n>\n> check: sh: exit 1\n\n## Two {#two}\n\n\
    > **Claim** {#who-knows} Who knows?\n>\n> check: sh: exit 77\n";

fn small(uth: &Uth) -> String {
    let directory = uth.home().join("42-small");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("lesson.md"), LESSON).unwrap();
    directory.to_str().unwrap().to_owned()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn reports(uth: &Uth) -> PathBuf {
    let directory = uth.home().join("reports");
    std::fs::create_dir(&directory).unwrap();
    directory
}

#[test]
fn a_report_says_what_it_came_to_and_names_nobody() {
    let uth = Uth::new();
    let (lesson, directory) = (small(&uth), reports(&uth));
    let file = directory.join("a.json");
    let args = ["lesson", &lesson, "--trust", "--report", file.to_str().unwrap()];
    uth.run(args).exits(3);
    let report = read(&file);
    assert_eq!(report["kind"], "under-the-hood lesson report");
    assert_eq!(report["name"], Value::Null);
    assert_eq!((&report["lesson"], &report["finished"]), (&json!("small"), &json!(true)));
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&report["asked"], &report["right"]), (&json!(0), &json!(0)));
    let verdicts = [("so", "holds"), ("not", "does-not-hold"), ("who-knows", "untestable")];
    let claims = verdicts.map(|(id, verdict)| json!({ "id": id, "verdict": verdict }));
    assert_eq!(report["claims"], json!(claims));
    // Neither this host's name, nor a home, nor where the lesson is.
    let text = std::fs::read_to_string(&file).unwrap();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hidden = [uth.home().to_str().unwrap(), "\"root\":\"", "/home", "user\":"];
    assert!(!hidden.iter().any(|word| text.contains(word)), "{text}");
    assert!(host.len() < 4 || !text.contains(&host), "{text}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "something was left beside it");
    // It may be written again, and bear a name.
    let mut named = args.to_vec();
    named.extend(["--name", "Ada"]);
    uth.run(named).exits(3);
    assert_eq!(read(&file)["name"], "Ada");
}

/// A reader who stops has a report, too; what they predicted is counted.
#[test]
fn a_reader_who_stops_has_a_report() {
    let uth = Uth::new();
    let lesson = small(&uth);
    for (answer, right) in [("1", 1), ("2", 0)] {
        let file = uth.home().join(format!("{right}.json"));
        let mut command = uth.command(["lesson", &lesson, "--trust", "--from", "1"]);
        command
            .args(["--report", file.to_str().unwrap()])
            .env("TERM", "dumb")
            .env_remove("COLUMNS");
        command.stdin(std::process::Stdio::inherit());
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(80, 24).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(20)));
        session.expect("Enter for the next step").unwrap();
        session.send("\r").unwrap();
        session.expect("What do you think?").unwrap();
        session.send(answer).unwrap();
        session.expect("Enter for the next step").unwrap();
        assert!(!file.exists(), "it is written at the end");
        session.send("q").unwrap();
        session.expect(Eof).unwrap();
        let report = read(&file);
        assert_eq!((&report["finished"], &report["at"]), (&json!(false), &json!(2)));
        assert_eq!((&report["asked"], &report["right"]), (&json!(1), &json!(right)));
        // The first answer counts until the lesson is finished, or forgotten.
        uth.run(["lesson", "reset", &lesson]).ok();
    }
}

/// What else goes wrong at the end keeps nobody from having one.
#[test]
fn a_run_that_ends_in_an_error_has_a_report() {
    let uth = Uth::new();
    let lesson = small(&uth);
    let (notes, file) = (uth.home().join("notes"), uth.home().join("r.json"));
    std::fs::create_dir(&notes).unwrap();
    let text = LESSON.replace("sh: true", &format!("sh: rm -r {}", notes.display()));
    std::fs::write(Path::new(&lesson).join("lesson.md"), text).unwrap();
    let notebook = notes.join("run.md");
    let mut args = vec!["lesson", &lesson, "--trust", "--report", file.to_str().unwrap()];
    args.extend(["--notebook", notebook.to_str().unwrap()]);
    let ran = uth.run(args);
    assert!(ran.stderr.contains("Error:") && ran.stderr.contains("run.md"), "{}", ran.whole());
    let report = read(&file);
    assert_eq!((&report["finished"], &report["at"]), (&json!(true), &json!(2)));
    assert_eq!(report["claims"].as_array().unwrap().len(), 3);
}

#[test]
fn where_no_report_can_be_written_nothing_is_begun() {
    let uth = Uth::new();
    let lesson = small(&uth);
    let other = uth.home().join("notes.txt");
    std::fs::write(&other, "mine").unwrap();
    for file in ["/nowhere/report.json", "/proc/report.json", "/", other.to_str().unwrap()] {
        let ran = uth.run(["lesson", &lesson, "--trust", "--report", file]);
        assert!(ran.stdout.is_empty(), "{}", ran.whole());
        let code = ran.code.unwrap();
        ran.one_error(code);
    }
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
    uth.run(["lesson", &lesson, "--trust", "--name", "Ada"]).one_error(2);
    uth.run(["lesson", &lesson, "--trust", "--report", "x", "--format", "json"]).one_error(2);
}

/// Under sudo it is the invoking user's file, and root writes nowhere where they could not.
#[test]
fn under_sudo_the_report_is_the_invoking_users() {
    need!(root);
    let uth = Uth::new();
    std::fs::set_permissions(uth.home(), PermissionsExt::from_mode(0o755)).unwrap();
    let (lesson, directory) = (small(&uth), reports(&uth));
    let play = |file: &Path| {
        let mut command = uth.command(["lesson", &lesson, "--trust", "--report"]);
        command.arg(file).env("SUDO_UID", "65534").env("SUDO_GID", "65534");
        command.env("XDG_STATE_HOME", "/nonexistent");
        uth.wait(command)
    };
    let file = directory.join("a.json");
    let refused = play(&file).one_error(1);
    assert!(refused.stderr.contains("EACCES"), "{}", refused.whole());
    chown(&directory, Some(65534), Some(65534)).unwrap();
    play(&file);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&file).unwrap());
    assert_eq!(owner, 65534);
}

#[test]
fn a_class_is_one_table() {
    let uth = Uth::new();
    let (lesson, directory) = (small(&uth), reports(&uth));
    let first = directory.join("first.json");
    uth.run(["lesson", &lesson, "--trust", "--report", first.to_str().unwrap()]).exits(3);
    // Another participant: all held, half of the predictions were right; the second claim failed for one.
    let mut second = read(&first);
    second["name"] = json!("Ada\u{1b}[31m");
    (second["asked"], second["right"], second["seconds"]) = (json!(4), json!(2), json!(600));
    second["claims"] = json!([{ "id": "so", "verdict": "holds" }, { "id": "not", "verdict": "does-not-hold" },
                              { "id": "who-knows", "verdict": "holds" }]);
    std::fs::write(directory.join("second.json"), second.to_string()).unwrap();
    std::fs::write(directory.join("broken.json"), "{\"kind\": \"under-the-hood lesson report\"}")
        .unwrap();
    std::fs::write(directory.join("foreign.json"), "[1, 2]").unwrap();
    std::fs::write(directory.join("photo.jpg"), [0xff, 0xd8, 0xff]).unwrap();
    std::fs::create_dir(directory.join("more")).unwrap();
    let endless = std::fs::File::create(directory.join("endless.json")).unwrap();
    endless.set_len(1 << 40).unwrap();
    nix::unistd::mkfifo(&directory.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();

    let path = directory.to_str().unwrap();
    let whole = uth.run(["lesson", "reports", path, "--format", "json"]).ok().json();
    let small = &whole["lessons"][0];
    assert_eq!((&small["lesson"], &small["reports"]), (&json!("small"), &json!(2)));
    assert_eq!((&small["held"], &small["predicted"]), (&json!("3 of 6"), &json!("2 of 4")));
    let claims: Vec<_> =
        whole["claims"].as_array().unwrap().iter().map(|claim| &claim["claim"]).collect();
    assert_eq!(claims, ["not", "who-knows"], "what held for the fewest comes first");
    assert_eq!(whole["reports"].as_array().unwrap().len(), 2);
    let left_out: Vec<_> = whole["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| left["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        left_out,
        ["broken.json", "endless.json", "foreign.json", "more", "photo.jpg", "pipe"]
    );

    let ran = uth.run(["lesson", "reports", path]).ok();
    for told in ["What did not hold everywhere", "first.json", "Ada", "2 of 4"] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.whole());
    }
    assert!(!ran.stdout.contains('\u{1b}'), "a name drives the terminal: {}", ran.whole());
    assert_eq!(ran.stderr.matches("is left out").count(), 6, "{}", ran.whole());
    let empty = uth.home().join("empty");
    std::fs::create_dir(&empty).unwrap();
    uth.run(["lesson", "reports", empty.to_str().unwrap()]).one_error(1);
    uth.run(["lesson", "reports", "/nowhere"]).one_error(1);
}

/// A report is anybody's file: what is in it, and what it is called, is not believed.
#[test]
fn a_report_can_say_anything() {
    let uth = Uth::new();
    let (lesson, directory) = (small(&uth), reports(&uth));
    let first = directory.join("first.json");
    uth.run(["lesson", &lesson, "--trust", "--report", first.to_str().unwrap()]).exits(3);
    let mut wrong = read(&first);
    (wrong["asked"], wrong["right"]) = (json!(u64::MAX), json!(u64::MAX));
    std::fs::write(directory.join("second.json"), wrong.to_string()).unwrap();
    std::fs::write(directory.join("third.json"), wrong.to_string()).unwrap();
    wrong["claims"] = json!([{ "id": "so", "verdict": "per\u{1b}[31mhaps" }]);
    std::fs::write(directory.join("perhaps\u{1b}[31m.json"), wrong.to_string()).unwrap();
    let ran = uth.run(["lesson", "reports", directory.to_str().unwrap()]).ok();
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.whole());
    assert!(ran.stderr.contains("broken report"), "{}", ran.whole());
    assert_eq!(ran.stdout.matches("third.json").count(), 1, "{}", ran.whole());
}
