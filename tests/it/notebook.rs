//! Notebooks: of each lesson one, as a page that is valid, small, loads nothing and
//! runs nothing; and looked at in a real browser.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};

use crate::harness::{Ran, Uth};
use crate::player::{Reader, small_lesson};

/// The standard's own parser in Python, strict; of the Debian package.
fn faults(page: &Path) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/validate.py");
    let output = Command::new("/usr/bin/python3").arg(script).arg(page).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

macro_rules! need_html5lib {
    () => {
        need!(sh "python3-html5lib", "/usr/bin/python3 -c 'import html5lib'");
    };
}

macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

pub fn played(uth: &Uth, lesson: &str, page: &Path) -> Ran {
    uth.run(["lesson", lesson, "--auto", "--notebook", page.to_str().unwrap()])
}

#[track_caller]
fn is_good(page: &Path) -> String {
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.len() < 1_000_000, "{} bytes", text.len());
    assert_eq!(faults(page), "", "{}", page.display());
    for loads in
        ["<script", "src=", "@import", "url(", "<link", "<iframe", "<object", "javascript:"]
    {
        assert!(!text.contains(loads), "{loads} in {}", page.display());
    }
    text
}

#[test]
fn a_notebook_of_every_lesson_is_a_valid_page_and_small() {
    need_containers!();
    need_html5lib!();
    let uth = Uth::new();
    for lesson in ["0", "1", "2", "3", "4", "5", "6", "7"] {
        let page = uth.home().join(format!("{lesson}.html"));
        let ran = played(&uth, lesson, &page);
        assert!(page.exists(), "{}", ran.whole());
        let text = is_good(&page);
        assert!(lesson == "0" || text.contains("<figure class=\"picture\">"), "lesson {lesson}");
        // Whoever is not root has no cable to show, and may have no group to limit.
        let all = !["2", "4"].contains(&lesson) || crate::skip::root().is_ok();
        assert!(!all || !text.contains("Not drawn"), "lesson {lesson}: a picture is missing");
        assert!(
            text.contains("What this machine says") && text.contains("All "),
            "lesson {lesson}"
        );
    }
}

/// The validator can tell.
#[test]
fn the_validator_finds_what_is_wrong() {
    need_html5lib!();
    let uth = Uth::new();
    let page = uth.home().join("broken.html");
    for broken in [
        "<!DOCTYPE html><title>x</title><p><b>y</p>",
        "<p>no doctype</p>",
        "<!DOCTYPE html><title>x</title><p id=a><p id=a>",
    ] {
        std::fs::write(&page, broken).unwrap();
        assert_ne!(faults(&page), "", "{broken}");
    }
    std::fs::write(
        &page,
        "<!DOCTYPE html><html><head><title>x</title></head><body><p>y</p></body></html>",
    )
    .unwrap();
    assert_eq!(faults(&page), "");
}

/// A lesson whose container prints whatever could do harm.
const HOSTILE: &str = "+++\ntitle = \"T <b>&\"\nchapter = \"C\"\nminutes = 1\n+++\n\n## One <i> {#one}\n\n\
    ```sh shell\nprintf '</samp></pre><script>alert(1)</script><img src=x>\\033[31mred\\033[0m\\033]0;t\\007\\000\\377'\n```\n\n\
    > **Claim** {#so} It is so.\n>\n> check: sh: echo '<script>alert(2)</script>'\n>\n> opposite: nothing\n";

pub fn hostile(uth: &Uth, name: &str) -> (PathBuf, String) {
    let lesson = uth.home().join("lesson.md");
    std::fs::write(&lesson, HOSTILE).unwrap();
    let page = uth.home().join(name);
    let (lesson, to) = (lesson.to_str().unwrap(), page.to_str().unwrap());
    uth.run(["lesson", lesson, "--trust", "--auto", "--notebook", to]).ok();
    let text = std::fs::read_to_string(&page).unwrap();
    (page, text)
}

#[test]
fn what_a_command_writes_is_text_on_the_page() {
    need_html5lib!();
    let uth = Uth::new();
    let (page, text) = hostile(&uth, "h.html");
    assert_eq!(faults(&page), "");
    assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
    assert!(
        text.contains("&lt;script&gt;alert(1)") && text.contains("<span class=\"red\">red</span>")
    );
    let (_, text) = hostile(&uth, "h.md");
    assert!(
        !text.contains('\u{1b}') && text.contains("\n```text\n</samp></pre><script>"),
        "{text}"
    );
}

#[test]
fn a_notebook_that_cannot_be_written_is_refused_before_anything_is_played() {
    let uth = Uth::new();
    let there = uth.home().join("there.html");
    std::fs::write(&there, "mine").unwrap();
    for name in ["x.pdf", "no/such/directory.html", "there.html"] {
        let page = uth.home().join(name);
        let ran = played(&uth, "0", &page);
        assert!(ran.stdout.is_empty() && ran.code != Some(0), "{}", ran.whole());
        let code = ran.code.unwrap();
        ran.one_error(code);
    }
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
}

/// Under sudo it is the invoking user's, and root writes nowhere that they could not.
#[test]
fn under_sudo_a_notebook_belongs_to_the_invoking_user() {
    need!(root);
    let uth = Uth::new();
    let theirs = uth.home().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65534), Some(65534)).unwrap();
    std::fs::set_permissions(uth.home(), PermissionsExt::from_mode(0o755)).unwrap();
    let page = theirs.join("n.md");
    let play = |page: &Path| {
        let mut command = uth.command(["lesson", "0", "--auto", "--notebook"]);
        command.arg(page).env("SUDO_UID", "65534").env("SUDO_GID", "65534");
        uth.wait(command)
    };
    play(&page).ok();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&page).unwrap());
    assert_eq!(owner, 65534);
    play(Path::new("/root/n.md")).one_error(1);
    assert!(!Path::new("/root/n.md").exists());
}

/// Whatever ends the player, even what no program can see coming: what was played so
/// far is there, whole.
#[test]
fn killed_it_leaves_a_notebook_of_what_was_played() {
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP), Some(Signal::SIGKILL)] {
        let uth = Uth::new();
        let (lesson, page) = (small_lesson(&uth), uth.home().join("n.md"));
        let args = [&*lesson, "--trust", "--notebook", page.to_str().unwrap()];
        let mut reader = Reader::begins(&uth, &args);
        reader.sees("next step").types("\r").sees("What do you think?").types("1");
        reader.sees("next step").types("\r").sees("Enter when it is done");
        match signal {
            Some(signal) => {
                kill(reader.pid(), signal).unwrap();
                reader.ends();
            }
            // The window is closed.
            None => drop(reader),
        }
        let text = std::fs::read_to_string(&page).unwrap();
        for told in ["looked", "As predicted", "Make two files", "Stopped at step 2 of 3"] {
            assert!(text.contains(told), "{signal:?}: {told} is not in:\n{text}");
        }
    }
}

/// The same where nobody is waited for; and where it cannot be written any more, that is said.
#[test]
fn killed_on_the_way_it_leaves_a_notebook_too() {
    let uth = Uth::new();
    let (lesson, directory) = (uth.home().join("lesson.md"), uth.home().join("mine"));
    std::fs::create_dir(&directory).unwrap();
    let page = directory.join("n.html");
    let play = |last: &str| {
        let text = format!(
            "+++\ntitle = \"T\"\nchapter = \"C\"\nminutes = 1\n+++\n\n## One {{#one}}\n\n\
             ```sh shell\necho so$((1 + 1))\n```\n\n```sh shell\n{last}\n```\n"
        );
        std::fs::write(&lesson, text).unwrap();
        let mut command = uth.command(["lesson", lesson.to_str().unwrap(), "--trust", "--auto"]);
        command.args(["--notebook", page.to_str().unwrap()]);
        command
    };
    let written = || {
        let begun = std::time::Instant::now();
        while !std::fs::read_to_string(&page).is_ok_and(|text| text.contains("so2")) {
            assert!(begun.elapsed().as_secs() < 10, "nothing is written while it is played");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    let mut player = play("sleep 30").stdout(Stdio::null()).spawn().unwrap();
    written();
    player.kill().unwrap();
    player.wait().unwrap();
    assert!(std::fs::read_to_string(&page).unwrap().contains("Stopped at step 1 of 1"));
    std::fs::remove_file(&page).unwrap();
    let mut command = play(&format!("while test -e {}; do sleep 0.1; done", directory.display()));
    let player = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    written();
    std::fs::remove_dir_all(&directory).unwrap();
    let output = player.wait_with_output().unwrap();
    let (told, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("The notebook cannot be written any more"), "{told}{error}");
    assert!(output.status.code() == Some(1) && error.contains("Error: open("), "{error}");
}
