//! Processes held by descriptor (pidfd_open(2)): a pid may be given to another
//! process as soon as the first has ended, a pidfd never means another.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// A process that cannot be mistaken for another.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// The process that now has this pid.
    pub fn open(pid: i32) -> Result<Self> {
        let call = || format!("pidfd_open({pid})");
        let pid = Pid::from_raw(pid).ok_or_else(|| Error::call(call(), Errno::EINVAL))?;
        pidfd_open(pid, PidfdFlags::empty()).tried(call).map(Self)
    }

    /// The process with this pid if it was started then (clock ticks since
    /// boot, field 22 of /proc/PID/stat); `None` when that one has ended.
    pub fn open_if_started_at(pid: i32, start: u64) -> Result<Option<Self>> {
        match Self::open(pid) {
            // Looked at after it is held: what /proc shows now is the one we hold.
            Ok(process) if start_time(pid) == Some(start) => Ok(Some(process)),
            Ok(_) => Ok(None),
            Err(error) if error.is(Errno::ESRCH) || error.is(Errno::EINVAL) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a call like clone3(2) gave us.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends a signal; that the process has ended already is no error.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let Some(named) = Signal::from_named_raw(signal) else {
            return Err(Error::call(format!("pidfd_send_signal({signal})"), Errno::EINVAL));
        };
        match pidfd_send_signal(&self.0, named) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other.tried(|| format!("pidfd_send_signal({signal})")),
        }
    }

    /// Waits at most so long until the process has ended; whether it has.
    pub fn wait(&self, milliseconds: u32) -> Result<bool> {
        let limit = Timespec {
            tv_sec: i64::from(milliseconds / 1000),
            tv_nsec: i64::from(milliseconds % 1000) * 1_000_000,
        };
        let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut polled, Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(errno) => Err(errno).tried(|| "poll(pidfd)"),
        }
    }
}

/// Whether the process that a pidfd stands for has ended.
pub fn has_ended(pidfd: impl AsFd) -> Result<bool> {
    let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
    loop {
        match poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.map(|ready| ready > 0).tried(|| "poll(pidfd)"),
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// When the process was started: clock ticks since boot. `None` when it is
/// gone (a zombie counts as gone).
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, a bracket too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (state != "Z").then_some(fields.nth(18)?.parse().ok()?)
}

/// pidfd_send_signal(2) to the process that was started then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendSignal {
    /// Its pid.
    pub pid: i32,
    /// When it was started, in clock ticks since boot.
    pub start: u64,
    /// The signal's number.
    pub signal: i32,
    /// Why.
    pub why: String,
}

impl Operation for SendSignal {
    fn step(&self) -> Step {
        let name = nix::sys::signal::Signal::try_from(self.signal)
            .map_or("SIG?", |signal| signal.as_str());
        Step::new(format!("pidfd_send_signal(pidfd of {}, {name})", self.pid), &self.why)
            .shell(format!("kill -{} {}", name.trim_start_matches("SIG"), self.pid))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        match PidFd::open_if_started_at(self.pid, self.start)? {
            Some(process) => process.signal(self.signal).map(|()| "0".to_owned()),
            None => Ok("-1 ESRCH, ended already".to_owned()),
        }
    }
}
