//! What went wrong, said once and kindly: what was tried (with its arguments),
//! what the kernel or a server answered, and what to do about it.
//!
//! An [`Error`] is plain data, because many of them cross a process boundary:
//! an operation that fails inside a container's init is told by the launcher.

use std::fmt;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// The result of everything in this program that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the process exits with; the numbers are part of the command line's
/// promise (`--help` lists them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// Something failed: 1.
    Failed,
    /// The command line itself is wrong: 2.
    Usage,
    /// A check or a claim does not hold (yet): 3.
    DoesNotHold,
    /// This machine cannot do it, and the hint says what is missing: 4.
    CannotRun,
    /// `run` or `exec` itself failed, before the command was started: 125, as docker's.
    Engine,
    /// The command was found but could not be executed: 126, as docker's.
    NotExecutable,
    /// The command was not found in the container: 127, as docker's.
    NotFound,
    /// The exit code of a command that ran in a container (128 + the signal if one ended it).
    Code(u8),
}

impl Exit {
    /// The number for `exit(2)`.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::DoesNotHold => 3,
            Self::CannotRun => 4,
            Self::Engine => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Code(code) => code,
        }
    }
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What was tried, with its arguments: `mount("proc", "/proc")`.
    pub tried: String,
    /// What the kernel or the server answered: `EPERM: Operation not permitted`.
    pub said: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The errno behind it, where it was a system call, for code that branches.
    pub errno: Option<i32>,
    /// What the process should exit with.
    pub exit: Exit,
}

impl Error {
    /// An error that no system call is behind; `tried` is a whole sentence or clause.
    pub fn new(tried: impl Into<String>) -> Self {
        Self { tried: tried.into(), said: None, hint: None, errno: None, exit: Exit::Failed }
    }

    /// A system call that failed: `Error::call("open(\"/x\")", errno)` prints
    /// `open("/x"): ENOENT`, and below it what ENOENT means; the hint is what
    /// the errno alone allows to say, for whoever knows more to replace.
    pub fn call(call: impl fmt::Display, errno: Errno) -> Self {
        Self {
            tried: format!("{call}: {}", errno_name(errno)),
            said: Some(errno.desc().to_owned()),
            hint: usual_advice(errno).map(str::to_owned),
            errno: Some(errno as i32),
            exit: Exit::Failed,
        }
    }

    /// The same for an error of the standard library.
    pub fn io(call: impl fmt::Display, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Self::call(call, Errno::from_raw(number)),
            None => Self::new(call.to_string()).said(error),
        }
    }

    /// A command line that cannot be carried out as typed (exit code 2).
    pub fn usage(tried: impl Into<String>) -> Self {
        Self::new(tried).exit(Exit::Usage)
    }

    /// Something this machine cannot do (exit code 4); give it a hint.
    pub fn cannot(tried: impl Into<String>) -> Self {
        Self::new(tried).exit(Exit::CannotRun)
    }

    /// With what the other side answered.
    #[must_use]
    pub fn said(mut self, said: impl fmt::Display) -> Self {
        self.said = Some(said.to_string());
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Whether the kernel's answer was this errno.
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == Some(errno as i32)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tried)?;
        if let Some(said) = &self.said {
            write!(f, " ({said})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// `EPERM` and the like: the name that manual pages use.
pub fn errno_name(errno: Errno) -> String {
    format!("{errno:?}")
}

/// What to do about an errno wherever it comes from.
fn usual_advice(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::EPERM | Errno::EACCES => {
            "Something forbids this here: the owner or mode of a file, a missing capability, a security module, \
             a filter around this shell. `under-the-hood doctor` looks for what it is; as root, or outside of a \
             container, it may work."
        }
        Errno::ENOSPC => {
            "A limit is reached: `df -h` and `df -i` show full disks, /proc/sys/user how many namespaces there may be."
        }
        Errno::EDQUOT => {
            "Your quota on that disk is used up: make room there, or set UTH_HOME to another directory."
        }
        Errno::ENOMEM => {
            "The kernel had no memory for this: `free -h` shows what is left, `dmesg` whether a cgroup's limit was hit. \
             End something, and try again."
        }
        Errno::EAGAIN => {
            "The kernel could not do it at this moment (a limit on processes, `ulimit -u`?): try again."
        }
        Errno::EMFILE | Errno::ENFILE => {
            "Too many files are open: `ulimit -n` shows how many there may be."
        }
        Errno::EROFS => {
            "That file system can only be read: UTH_HOME=DIR puts what this program keeps elsewhere."
        }
        Errno::EINTR => {
            "A signal came in between; nothing is wrong with it. Run the command again."
        }
        Errno::ENOSYS => {
            "This kernel has no such call, or a filter around this shell hides it: `under-the-hood doctor` says \
             what is needed."
        }
        _ => return None,
    })
}

/// Turns any `Result` whose error knows its errno into ours, naming the call.
pub trait Context<T> {
    /// `file.read(..).tried(|| format!("read({path:?})"))`
    fn tried<C: fmt::Display>(self, call: impl FnOnce() -> C) -> Result<T>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn tried<C: fmt::Display>(self, call: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|errno| Error::call(call(), errno))
    }
}

impl<T> Context<T> for Result<T, rustix::io::Errno> {
    fn tried<C: fmt::Display>(self, call: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|errno| Error::call(call(), Errno::from_raw(errno.raw_os_error())))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn tried<C: fmt::Display>(self, call: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| Error::io(call(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_names_the_call_the_errno_and_its_meaning() {
        let error = Error::call("mount(\"proc\", \"/proc\")", Errno::EPERM).hint("Use sudo.");
        assert_eq!(error.tried, "mount(\"proc\", \"/proc\"): EPERM");
        assert_eq!(error.said.as_deref(), Some("Operation not permitted"));
        assert!(error.is(Errno::EPERM));
        assert_eq!(error.exit.code(), 1);
    }
}
