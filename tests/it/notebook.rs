//! Notebooks: of each lesson one, as a page that is valid, small, loads nothing and
//! runs nothing; and looked at in a real browser.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Ran, Uth};

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

fn played(uth: &Uth, lesson: &str, page: &Path) -> Ran {
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

fn hostile(uth: &Uth, name: &str) -> (PathBuf, String) {
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

fn chromium(uth: &Uth, args: &[&str], page: &Path) -> String {
    let mut command = uth.beside("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command
        .args(["--hide-scrollbars", &format!("--user-data-dir={}/profile", uth.home().display())]);
    command.args(args).arg(format!("file://{}", page.display()));
    uth.wait(command).ok().stdout
}

/// How often each of some colours is on a picture of the page.
fn pixels(png: &Path, colours: &[[u8; 3]]) -> Vec<usize> {
    let script = "import sys\nfrom PIL import Image\ni = Image.open(sys.argv[1]).convert('RGB')\n\
                  print(*(dict((c, n) for n, c in i.getcolors(1 << 24)).get(tuple(int(h[k:k+2], 16) for k in (0, 2, 4)), 0) for h in sys.argv[2:]))";
    let hex = colours.iter().map(|[r, g, b]| format!("{r:02x}{g:02x}{b:02x}"));
    let output = Command::new("/usr/bin/python3").args(["-c", script]).arg(png).args(hex).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// A real browser shows the pictures (frames filled as the style sheet says), by day,
/// by night and on a phone, and runs nothing that a command has printed.
#[test]
#[ignore = "needs Chromium"]
fn interop_a_browser_shows_the_pictures_and_runs_nothing() {
    need_containers!();
    need!(tool "chromium");
    need!(sh "python3-pil", "/usr/bin/python3 -c 'import PIL'");
    let uth = Uth::new();
    let page = uth.home().join("1.html");
    played(&uth, "1", &page).ok();
    let png = uth.home().join("1.png");
    let shot = format!("--screenshot={}", png.display());
    let (own, shared) = ([0xdc, 0xf0, 0xf4], [0xfb, 0xee, 0xcd]);
    let (own_night, shared_night) = ([0x0f, 0x3a, 0x44], [0x40, 0x34, 0x0f]);
    for (size, dark, colours) in [
        ("--window-size=1000,14000", false, [own, shared]),
        ("--window-size=500,16000", false, [own, shared]),
        ("--window-size=1000,14000", true, [own_night, shared_night]),
    ] {
        let night = "--blink-settings=preferredColorScheme=0";
        let args: Vec<&str> = [size, &shot].into_iter().chain(dark.then_some(night)).collect();
        chromium(&uth, &args, &page);
        let seen = pixels(&png, &colours);
        assert!(seen.iter().all(|count| *count > 3000), "{size} dark: {dark}: {seen:?}");
    }
    // Without its picture the page has none of it.
    let text = std::fs::read_to_string(&page).unwrap().replace("class=\"frame ", "class=\"");
    let none = uth.home().join("none.html");
    std::fs::write(&none, text.replace("<svg", "<svg hidden")).unwrap();
    chromium(&uth, &["--window-size=1000,14000", &shot], &none);
    assert!(pixels(&png, &[own]).iter().all(|count| *count < 3000));
    let (page, _) = hostile(&uth, "h.html");
    let dom = chromium(&uth, &["--dump-dom"], &page);
    assert!(!dom.contains("<script") && dom.contains("&lt;script&gt;alert(1)"), "{dom}");
}
