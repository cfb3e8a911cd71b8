//! Requirements of tests. A test that cannot run here says why and is skipped:
//!
//! ```ignore
//! need!(root);
//! need!(user_namespace);
//! need!(tool "lsns");
//! ```
//!
//! With `UTH_MUST_WORK=1` (as `.ci/run` sets it) a skip is a failure, unless
//! the kernel or the account cannot supply what is missing: tests for what a
//! kernel lacks stand in tests/not-here.txt with a probe that proves the lack,
//! and the probe is run. Being root, and being an ordinary user, are supplied
//! by `.ci/run` one after the other.

use std::io::Write;
use std::process::{Command, Stdio};

/// Returns from the test, saying why, unless the requirement is met.
macro_rules! need {
    (root) => {
        need!(@ $crate::skip::root())
    };
    (ordinary_user) => {
        need!(@ $crate::skip::ordinary_user())
    };
    (user_namespace) => {
        need!(@ $crate::skip::user_namespace())
    };
    (tool $name:expr) => {
        need!(@ $crate::skip::tool($name))
    };
    (vm) => {
        need!(@ $crate::skip::vm())
    };
    (sh $what:expr, $probe:expr) => {
        need!(@ $crate::skip::sh($what, $probe))
    };
    (@ $probe:expr) => {
        if let Err(lack) = $probe {
            return $crate::skip::skip(lack);
        }
    };
}

/// Why a test cannot run here.
pub struct Lack {
    why: String,
    /// The other half of `.ci/run` (root, ordinary user) supplies it.
    elsewhere: bool,
}

impl Lack {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), elsewhere: false }
    }
}

/// Says that the running test is skipped; a failure where it must not be.
pub fn skip(lack: Lack) {
    let name = test_name();
    let line = format!("skipped: {name}: {}\n", lack.why);
    // Not eprint!, which the test runner would hold back for a test that passes.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    let must_work = std::env::var_os("UTH_MUST_WORK").is_some_and(|value| value == "1");
    if must_work && !lack.elsewhere {
        let entry = not_here().into_iter().find(|entry| entry.test == name);
        let entry = entry.unwrap_or_else(|| {
            panic!("{} (UTH_MUST_WORK=1, and tests/not-here.txt does not name {name})", lack.why)
        });
        assert!(entry.proven(), "tests/not-here.txt: `{}` no longer proves the lack", entry.probe);
    }
}

/// A line of tests/not-here.txt: `TEST: PROBE`, where the shell command PROBE
/// exits 0 as long as this kernel lacks what TEST needs.
pub struct NotHere {
    pub test: String,
    pub probe: String,
}

impl NotHere {
    pub fn proven(&self) -> bool {
        quiet(Command::new("sh").args(["-c", &self.probe]))
    }
}

pub fn not_here() -> Vec<NotHere> {
    let text = include_str!("../not-here.txt");
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (test, probe) = line.split_once(": ").expect("tests/not-here.txt: TEST: PROBE");
            NotHere { test: test.trim().to_owned(), probe: probe.trim().to_owned() }
        })
        .collect()
}

/// libtest names the thread of each test after it.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").to_owned()
}

fn quiet(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

pub fn root() -> Result<(), Lack> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err(Lack { elsewhere: true, ..Lack::new("needs root") }),
    }
}

pub fn ordinary_user() -> Result<(), Lack> {
    match rustix::process::geteuid().is_root() {
        true => Err(Lack { elsewhere: true, ..Lack::new("needs an ordinary user") }),
        false => Ok(()),
    }
}

/// Tried by mounting inside one: where AppArmor restricts them (Ubuntu 24.04),
/// making the namespace can succeed and using it fail.
pub fn user_namespace() -> Result<(), Lack> {
    let mounts = "mount -t tmpfs none /mnt";
    match quiet(Command::new("unshare").args([
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mounts,
    ])) {
        true => Ok(()),
        false => Err(Lack::new("needs user namespaces in which mounting is allowed")),
    }
}

pub fn tool(name: &str) -> Result<(), Lack> {
    match quiet(Command::new("sh").args(["-c", "command -v \"$1\"", "sh", name])) {
        true => Ok(()),
        false => Err(Lack::new(format!("needs the program {name}"))),
    }
}

/// The VM harness of the development machine (cgroup v2, systemd), built.
pub fn vm() -> Result<(), Lack> {
    sh("the VM of ../shared/vm, built", &format!("test -x {0} && test -d \"$({0} path)\"", VM))
}

/// Where `.ci/run` and the development machine keep it.
pub const VM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vm/vm");

/// Anything a shell command can tell.
pub fn sh(what: &str, probe: &str) -> Result<(), Lack> {
    match quiet(Command::new("sh").args(["-c", probe])) {
        true => Ok(()),
        false => Err(Lack::new(format!("needs {what} (`{probe}` says no)"))),
    }
}

/// The list of excuses is itself held to the truth: each names a test that
/// exists, and under `UTH_MUST_WORK=1` each probe still proves the lack.
#[test]
fn not_here_txt_is_true() {
    let list = Command::new(std::env::current_exe().unwrap()).arg("--list").output().unwrap();
    let tests = String::from_utf8(list.stdout).unwrap();
    for entry in not_here() {
        let line = format!("{}: test", entry.test);
        assert!(tests.lines().any(|known| known == line), "no test is called {}", entry.test);
        if std::env::var_os("UTH_MUST_WORK").is_some_and(|value| value == "1") {
            assert!(entry.proven(), "{}: `{}` no longer proves it", entry.test, entry.probe);
        }
    }
}
