//! A companion: a copy of this process that looks at something by itself while
//! we wait for a person, and tells over a pipe what it sees. When we let go of
//! it, or are gone (a SIGKILL too), it ends, and all that it has started with it.
//!
//! It is two processes. The worker may be held up by what it has started; so a
//! keeper, its parent, waits for our end of a pipe to close, kills the worker's
//! whole group, and reaps it. Both are in a session of their own: no key reaches
//! them, and nothing that they start has a terminal.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, setpgid, setsid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, set_child_subreaper, set_parent_process_death_signal};

use super::raw;
use crate::error::{Context, Result};

/// How long what was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// The numbers of its descriptors, after the three that are /dev/null.
const HELD: i32 = 3;
const NEWS: i32 = 4;

/// The companion, as we see it.
#[derive(Debug)]
pub struct Companion {
    keeper: i32,
    /// As long as this is open, it goes on.
    held: Option<OwnedFd>,
    news: File,
}

impl Companion {
    /// Has a copy of this process do `work`, which is given the pipe to tell over. Must be
    /// called while the program is single-threaded. `ps` shows it with this title.
    pub fn start(title: &str, work: impl FnOnce(File)) -> Result<Self> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).tried(|| "pipe2(O_CLOEXEC)");
        let ((theirs, held), (news, tell)) = (pipe()?, pipe()?);
        let null = || {
            let opened = File::options().read(true).write(true).open("/dev/null");
            opened.map(OwnedFd::from).tried(|| "open(\"/dev/null\", O_RDWR)")
        };
        let fds = vec![null()?, null()?, null()?, theirs, tell];
        match raw::fork().tried(|| "fork()")? {
            Some(keeper) => Ok(Self { keeper, held: Some(held), news: File::from(news) }),
            None => {
                if setsid().is_ok() && raw::only_fds(fds).is_ok() {
                    raw::set_title(title);
                    keep(work);
                }
                raw::exit_now(1)
            }
        }
    }
}

/// What it tells; readable when there is something, or when it has ended.
impl std::io::Read for Companion {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.news.read(buffer)
    }
}

impl AsFd for Companion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.held.take());
        // Somebody may have stopped it.
        raw::send_signal(self.keeper, Signal::CONT.as_raw());
        raw::reap(self.keeper);
    }
}

/// The keeper's life.
fn keep(work: impl FnOnce(File)) {
    let (held, news) = (raw::handed_over(HELD), raw::handed_over(NEWS));
    for fd in [held.as_fd(), news.as_fd()] {
        if fcntl_setfd(fd, FdFlags::CLOEXEC).is_err() {
            return;
        }
    }
    let us = rustix::process::getpid();
    let worker = match raw::fork() {
        Ok(Some(worker)) => worker,
        Ok(None) => {
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            let died_with = set_parent_process_death_signal(Some(Signal::KILL));
            // The keeper may have died just before; then no signal will ever come.
            if died_with.is_ok() && rustix::process::getppid() == Some(us) {
                // Nothing may unwind into what is the parent's.
                let _ = catch_unwind(AssertUnwindSafe(|| work(File::from(news))));
            }
            raw::exit_now(0)
        }
        Err(_) => return,
    };
    // By both, so that it is so for whoever comes first.
    let _ = setpgid(Pid::from_raw(worker), Pid::from_raw(worker));
    // Its end is the only one, so that we who listen know when it is gone.
    drop(news);
    let mut polled = [PollFd::from_borrowed_fd(held.as_fd(), PollFlags::empty())];
    let _ = rustix::io::retry_on_intr(|| poll(&mut polled, None));
    // Only now: until then nobody's orphans are ours.
    let _ = set_child_subreaper(Some(us));
    raw::send_signal(-worker, Signal::KILL.as_raw());
    reap_all();
}

/// All that was killed; not for long, in case something got away into a group of its own.
fn reap_all() {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return,
            Ok(nix::sys::wait::WaitStatus::StillAlive) => {
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => {}
        }
    }
}
