//! Being asked to stop: signals that wait until somebody looks, so that what is
//! on the screen, and what was begun, can be ended properly.

use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Context, Result};

/// From now on SIGINT, SIGTERM and SIGHUP wait here.
pub struct Interrupts(SignalFd);

impl Interrupts {
    /// Keeps them waiting, for the rest of this process's life.
    pub fn hold() -> Result<Self> {
        let signals: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().tried(|| "sigprocmask(SIG_BLOCK)")?;
        let fd = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        fd.map(Self).tried(|| "signalfd()")
    }

    /// Sleeps so long, or until a signal comes: its number.
    pub fn sleep(&mut self, duration: Duration) -> Result<Option<i32>> {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut polled, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.tried(|| "poll()")?,
            };
            let signal = self.0.read_signal().tried(|| "read(signalfd)")?;
            if signal.is_some() || left.is_zero() {
                return Ok(signal.map(|signal| signal.ssi_signo.cast_signed()));
            }
        }
    }
}
