//! The watcher before it has a journal: a process that waits to be told which.
//!
//! For most commands it is a copy of the launcher. A container's, as root, is our
//! program executed once more, from a read-only clone of its file (binary.rs):
//! what it clones is that program too, and cannot be written over from in there
//! (CVE-2019-5736). It is made first of all, and loads on another processor
//! while the launcher is still planning.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::io::{FdFlags, fcntl_setfd};

use crate::error::{Context, Result};
use crate::home::Place;
use crate::journal;
use crate::kernel::channel::Channel;
use crate::kernel::watcher::{Reply, Request, Watch, serve};
use crate::kernel::{binary, raw, undo};
use crate::step::{Actor, Deaf, Step};

/// The hidden command that it is, and the number of its channel.
pub const COMMAND: &str = "__watch";
const CHANNEL: i32 = 4;

/// Room for its title (`ps` shows it in place of the arguments), whatever was typed.
const ROOM: usize = 64;

/// A watcher that has nothing to watch over yet; without a journal it ends with this.
#[derive(Debug)]
pub struct Standby {
    /// Its channel and its pid.
    process: Option<(Channel, i32)>,
}

impl Standby {
    /// Forks it; with a `binary`, it becomes that. Must be called while the
    /// program is single-threaded. What fails on its side is said when it is
    /// first asked for something.
    pub fn fork(binary: Option<OwnedFd>) -> Result<Self> {
        let (ours, theirs) = Channel::pair()?;
        match raw::fork().tried(|| "fork()")? {
            Some(pid) => Ok(Self { process: Some((ours, pid)) }),
            None => {
                drop(ours);
                stand_by(theirs, binary)
            }
        }
    }

    /// Sweeps what others left, then has it begin a journal in this place. Where
    /// none can be begun, the answer to the first request says so.
    pub fn begin(mut self, place: Place, command: &str) -> Result<Watch> {
        undo::sweep(false, &mut Deaf)?;
        let token = journal::new_token()?;
        let begin = Request::Begin { place, token: token.clone(), command: command.to_owned() };
        let Some((channel, pid)) = self.process.take() else { return Err(super::watcher::gone()) };
        let sent = channel.send(&begin, &[]);
        let mut watch = Watch::over(channel, pid, token);
        match sent {
            Ok(()) => Ok(watch),
            // It is gone, and may have said why.
            Err(error) => Err(watch.last_words().unwrap_or(error)),
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        if let Some((channel, pid)) = self.process.take() {
            drop(channel);
            raw::reap(pid);
        }
    }
}

fn stand_by(channel: Channel, binary: Option<OwnedFd>) -> ! {
    let (channel, error) = match raw::leave_the_launcher(channel, binary) {
        Ok((channel, None)) => serve(channel),
        Ok((channel, Some(binary))) => {
            // Closed when it is executed, and what runs from it is all that is left of that mount.
            let closes = fcntl_setfd(&binary, FdFlags::CLOEXEC).tried(|| "fcntl(FD_CLOEXEC)");
            let error = match closes {
                Ok(()) => binary::execute(&binary, &arguments(), &environment()),
                Err(error) => error,
            };
            (channel, error)
        }
        Err(failure) => (failure.1, failure.0),
    };
    let _ = channel.send(&Reply::Failed(error), &[]);
    raw::exit_now(1)
}

/// What was typed, so that `ps` tells which watcher this is, and room.
fn arguments() -> Vec<CString> {
    let own = ["under-the-hood", COMMAND].map(std::ffi::OsString::from);
    let all = own.into_iter().chain(std::env::args_os().skip(1)).chain([" ".repeat(ROOM).into()]);
    all.filter_map(|word| CString::new(word.as_bytes()).ok()).collect()
}

/// Where its journal is; the rest of the reader's environment is no business of a container's.
fn environment() -> Vec<CString> {
    let home = std::env::var_os("UTH_HOME");
    let entry = |home: std::ffi::OsString| [b"UTH_HOME=", home.as_bytes()].concat();
    home.and_then(|home| CString::new(entry(home)).ok()).into_iter().collect()
}

/// `__watch`: the watcher, executed anew.
pub fn watch() -> u8 {
    if !raw::is_socket(CHANNEL) {
        return 2; // typed by hand: there is nothing to watch over
    }
    // Before Linux 6.14 a program executed by descriptor is called by its number.
    let _ = rustix::thread::set_name(c"under-the-hood");
    serve(Channel::from_fd(raw::handed_over(CHANNEL)))
}

/// The step in which it becomes that.
pub fn become_watcher() -> Step {
    Step {
        actor: Actor::Shim,
        ..Step::new(
            "execveat(binary, \"\", [\"under-the-hood\", \"__watch\"], AT_EMPTY_PATH)",
            "our program once more, from that mount: it keeps the journal, and the container's first process is its child",
        )
    }
}
