//! `image explore`, on a pseudo-terminal.

use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{Expect, Regex, Session};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::Uth;
use crate::layout::Layout;
use crate::unpack::build::Tar;

/// A secret that a later layer takes away, under a name that would drive a terminal.
fn image(layout: &Layout) -> String {
    let below =
        Tar::new().dir("etc/", 0o755).file("etc/motd", "hello\n").file("bin\u{1b}]0;x", "1");
    let middle = Tar::new()
        .dir("etc/", 0o755)
        .file("etc/secret", "key=s3cret\n")
        .file("etc/motd", "twice\n");
    let top = Tar::new().file("etc/.wh.secret", "");
    let history = ["ADD below", "RUN echo secret", "RUN rm secret"];
    layout.image("1", &[below.end(), middle.end(), top.end()], &history, &json!({}))
}

/// The explorer in a shell that notes the terminal's settings before and after.
fn explore(uth: &Uth, image: &str) -> OsSession {
    let mut command = uth.beside("sh");
    let script = format!(
        "stty -g >$UTH_HOME/before; $UTH image explore {image} & echo $! >$UTH_HOME/pid; fg >/dev/null 2>&1; \
         echo ended $?; stty -g >$UTH_HOME/after; echo over"
    );
    command.args(["-m", "-c", &script]).env("TERM", "xterm").env_remove("COLUMNS");
    command.stdin(std::process::Stdio::inherit());
    let mut session = Session::spawn(command).unwrap();
    session.get_process_mut().set_window_size(80, 24).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    session
}

/// What was written until the shell is over; the terminal is as it was.
fn over(uth: &Uth, session: &mut OsSession) -> String {
    let found = session.expect(Regex("ended [0-9]+[^$]*over")).unwrap();
    let text = String::from_utf8_lossy(found.as_bytes()).into_owned();
    let settings = |name: &str| std::fs::read_to_string(uth.home().join(name)).unwrap();
    assert_eq!(settings("before"), settings("after"), "{text:?}");
    let last = |mode: &str| text.rfind(mode).unwrap_or_else(|| panic!("no {mode:?} in {text:?}"));
    assert!(last("\u{1b}[?1049l") > text.rfind("\u{1b}[?1049h").unwrap_or(0), "{text:?}");
    last("\u{1b}[?25h");
    text
}

#[test]
fn layers_files_and_what_is_in_them_are_explored() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let mut session = explore(&uth, &image(&layout));
    session.expect("efficiency").unwrap();
    session.expect("what layer 1 changes").unwrap();
    session.send("j").unwrap();
    session.expect("what layer 2 changes").unwrap();
    session.send("\t/secret\r").unwrap();
    session.expect("/secret").unwrap();
    session.send("G\r").unwrap();
    session.expect("etc/secret  line 1 of 1").unwrap();
    session.expect("key=s3cret").unwrap();
    session.send("\u{1b}").unwrap();
    session.expect("what layer 2 changes").unwrap();
    session.send("w").unwrap();
    session.expect("wasted: in more than one layer").unwrap();
    session.expect("etc/motd").unwrap();
    session.send("q").unwrap();
    assert!(over(&uth, &mut session).contains("ended 0"));
}

#[test]
fn the_terminal_is_as_it_was_however_it_ends() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let image = image(&layout);
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut session = explore(&uth, &image);
        session.expect("what layer 1 changes").unwrap();
        let pid = std::fs::read_to_string(uth.home().join("pid")).unwrap();
        kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
        assert!(over(&uth, &mut session).contains(&format!("ended {code}")), "{signal}");
    }
    let mut session = explore(&uth, &image);
    session.expect("what layer 1 changes").unwrap();
    session.send("\u{3}").unwrap();
    assert!(over(&uth, &mut session).contains("ended 0"));
}

/// Nothing of ours is left to do it; its guard does. The shell waits for that: without
/// it this never ends.
#[test]
fn killed_it_leaves_the_terminal_as_it_was() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let mut command = uth.beside("sh");
    let script = format!(
        "stty -g >$UTH_HOME/before; sh -c 'echo $$ >$UTH_HOME/pid; exec $UTH image explore {}'; echo ended $?; \
         until [ $(stty -g) = $(cat $UTH_HOME/before) ]; do :; done; stty -g >$UTH_HOME/after; echo over",
        image(&layout)
    );
    command.args(["-c", &script]).env("TERM", "xterm").env_remove("COLUMNS");
    command.stdin(std::process::Stdio::inherit());
    let mut session = Session::spawn(command).unwrap();
    session.get_process_mut().set_window_size(80, 24).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    session.expect("what layer 1 changes").unwrap();
    let pid = std::fs::read_to_string(uth.home().join("pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    // The screen comes back before the settings, and before or after the shell's word.
    let found = session.expect(Regex("(?s).*over")).unwrap();
    let text = String::from_utf8_lossy(found.as_bytes()).into_owned();
    assert!(text.contains("ended 137"), "{text:?}");
    let back = text.rfind("\u{1b}[?1049l").unwrap_or_else(|| panic!("no way back: {text:?}"));
    assert!(back > text.rfind("\u{1b}[?1049h").unwrap_or(0), "{text:?}");
    assert!(text.contains("\u{1b}[?25h"), "{text:?}");
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let ran = uth.run(["image", "explore", &image(&layout)]).one_error(4);
    assert!(ran.stderr.contains("image dissect"), "{}", ran.whole());
}
