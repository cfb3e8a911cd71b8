//! What the tests share: the program with a home of its own ([`Uth`]), what it
//! said ([`Ran`]), and snapshots of whole outputs.
//!
//! ```ignore
//! let uth = Uth::new();
//! uth.run(["inspect", "host"]).ok().snapshot("inspect-host");
//! ```
//!
//! `SNAPSHOTS=overwrite cargo test` writes the snapshots anew; read the diff.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;
use snapbox::assert::DEFAULT_ACTION_ENV;
use snapbox::{Data, IntoData};
use tempfile::TempDir;

use crate::machine::{private_network, processes_of};

/// Longer than anything a test waits for: a command that hangs is a failure, not a wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program, with an `UTH_HOME` that goes when this value does.
pub struct Uth {
    home: TempDir,
}

impl Uth {
    pub fn new() -> Self {
        Self { home: TempDir::with_prefix("uth-test-").unwrap() }
    }

    /// `$UTH_HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The path of the program under test.
    pub fn program() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_under-the-hood"))
    }

    /// The program as a command: nothing of this shell's environment but PATH,
    /// 80 columns, nothing to read, from the root directory.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.beside(Self::program());
        command.args(args);
        command
    }

    /// Runs the program as the user nobody, whose this home then is.
    pub fn as_nobody<const N: usize>(&self, args: [&str; N]) -> Ran {
        std::os::unix::fs::chown(self.home(), Some(65534), Some(65534)).unwrap();
        let mut command = self.beside("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(Self::program()).args(args);
        self.wait(command)
    }

    /// Another program (`strace`, `sh`, `unshare`) in the same environment;
    /// `$UTH` is the program under test.
    pub fn beside(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("UTH", Self::program());
        command.env("UTH_HOME", self.home()).env("HOME", self.home()).env("COLUMNS", "80");
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Runs the program and waits for it.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.wait(self.command(args))
    }

    /// Runs a shell script in which `$UTH` is the program.
    pub fn sh(&self, script: &str) -> Ran {
        let mut shell = self.beside("sh");
        shell.args(["-c", script]);
        self.wait(shell)
    }

    /// Runs any command and waits for it; its output is kept.
    pub fn wait(&self, command: Command) -> Ran {
        self.wait_for(command, PATIENCE)
    }

    /// The same for so long at most.
    pub fn wait_for(&self, command: Command, patience: Duration) -> Ran {
        // Two players at once would find each other's `sleep 4243`: one at a time.
        static PLAYING: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let words = format!("{command:?}");
        let plays =
            ["\"--auto\"", "\"verify\"", "\"test\""].iter().any(|word| words.contains(word));
        let _alone =
            plays.then(|| PLAYING.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if plays && crate::skip::root().is_ok() {
            private_network(); // the bridge of lesson 2 is not to be seen by other tests
        }
        let line = command_line(&command);
        let output = snapbox::cmd::Command::from_std(command).timeout(patience).output();
        let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
        Ran {
            line,
            home: self.home().to_owned(),
            code: output.status.code(),
            status: output.status.to_string(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A test that failed half-way leaves nothing running.
impl Drop for Uth {
    fn drop(&mut self) {
        let left = processes_of(self.home());
        for (pid, _) in &left {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        // Their watchers were among them: what the journals name beyond this home (groups, links)
        // goes now, since the journals go with it.
        if !left.is_empty() {
            let mut cleanup = self.command(["cleanup", "--yes"]);
            let _ =
                cleanup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
        // Overlayfs closes its own directory, and who is not root must open it to empty it.
        let closed = self.home().join("work/work");
        let _ =
            std::fs::set_permissions(closed, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    }
}

/// The command as it would be typed, the program by its short name.
fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        match word.contains([' ', '\n', '"', '\'']) || word.is_empty() {
            true => format!("'{word}'"),
            false => word.into_owned(),
        }
    });
    quoted
        .collect::<Vec<_>>()
        .join(" ")
        .replace(&*Uth::program().to_string_lossy(), "under-the-hood")
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Ran {
    pub line: String,
    home: PathBuf,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    status: String,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// All of it, for a failure's message.
    pub fn whole(&self) -> String {
        let Self { line, status, stdout, stderr, .. } = self;
        format!("$ {line}\n[{status}]\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }

    /// It must have exited with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// It must have exited with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.whole());
        self
    }

    /// It must have failed kindly: this exit code, exactly one error on
    /// standard error, nothing that looks like a panic.
    #[track_caller]
    pub fn one_error(self, code: i32) -> Self {
        let errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("Error:") || line.starts_with("error:"));
        assert_eq!(errors.count(), 1, "one error is wanted: {}", self.whole());
        for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", "unwrap", "Errno("] {
            assert!(!self.stderr.contains(word), "{word:?} in: {}", self.whole());
        }
        self.exits(code)
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.whole()))
    }

    /// The whole output is as in `tests/snapshots/NAME.txt`, apart from what
    /// differs between machines and runs (see [`redact`]).
    #[track_caller]
    pub fn snapshot(&self, name: &str) -> &Self {
        self.snapshot_with(name, &[])
    }

    /// The same, with more to redact: `(regular expression, placeholder)`.
    #[track_caller]
    pub fn snapshot_with(&self, name: &str, more: &[(&str, &str)]) -> &Self {
        let mut text = format!("$ {}\n", self.line);
        for (stream, output) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !output.is_empty() {
                text.push_str(&format!("--- {stream}\n{output}"));
            }
        }
        text.push_str(&format!("--- {}\n", self.status));
        let mut text = redact(&text, &self.home);
        for (pattern, placeholder) in more {
            text = replace(&text, pattern, placeholder);
        }
        snapshot(name, text);
        self
    }
}

/// Compares a text with `tests/snapshots/NAME.txt`.
#[track_caller]
pub fn snapshot(name: &str, text: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    let assert = snapbox::Assert::new().action_env(DEFAULT_ACTION_ENV);
    assert.eq(text, Data::read_from(&path, None).raw().into_data());
}

/// What differs between machines and runs, by placeholder: paths, the kernel
/// release, ids, inode numbers of namespaces, times, pids.
pub fn redact(text: &str, home: &Path) -> String {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut text = text.replace(&*Uth::program().to_string_lossy(), "under-the-hood");
    text = text.replace(&*home.to_string_lossy(), "[HOME]").replace(&release, "[RELEASE]");
    for (pattern, placeholder) in [
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
        (r"\b[0-9a-f]{12}\b", "[ID]"),
        (r"\b\d{10}\b", "[INODE]"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*", "[TIME]"),
        (r"\bpid \d+", "pid [PID]"),
        (r#""(?<key>pid|ppid|shim)": \d+"#, "\"$key\": [PID]"),
        (r"/proc/\d+", "/proc/[PID]"),
    ] {
        text = replace(&text, pattern, placeholder);
    }
    text
}

fn replace(text: &str, pattern: &str, placeholder: &str) -> String {
    Regex::new(pattern).unwrap().replace_all(text, placeholder).into_owned()
}
