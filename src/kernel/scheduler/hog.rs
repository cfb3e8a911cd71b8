//! Hogs: processes of ours that use all the CPU time they get, to see how much
//! that is. Each waits for the start, ends by itself, and dies with us.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{
    Resource, Rlimit, Signal, getpid, getppid, set_parent_process_death_signal, setrlimit,
};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::kernel::pidfd::PidFd;
use crate::kernel::{load, raw};
use crate::step::Step;

/// fork(2) of a hog; `$hog` is its pid afterwards. It waits until the other end
/// of the pipe called [`GATE`] is closed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartHog {
    /// After so many seconds it ends, whatever happens.
    pub seconds: u64,
    /// Whether it gets a session, and so an autogroup, of its own.
    pub own_session: bool,
}

/// The descriptor that hogs wait at.
pub const GATE: &str = "gate";

impl Operation for StartHog {
    fn step(&self) -> Step {
        let (session, why) = match self.own_session {
            true => ("setsid ", "a loop in a session of its own, with an end; if we die, it dies"),
            false => ("", "a loop, with an end; it waits for the start, and if we die, it dies"),
        };
        Step::new("fork()", why)
            .shell(format!("{session}timeout {} sh -c 'while :; do :; done' &", self.seconds))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let gate = world.fd(GATE)?.try_clone().tried(|| "dup(gate)")?;
        let us = getpid();
        match raw::fork().tried(|| "fork()")? {
            Some(pid) => {
                world.slots.set("hog", pid);
                Ok(pid.to_string())
            }
            None => {
                let tied = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
                // We may have died just before; then no signal will ever come.
                if tied && getppid() == Some(us) && raw::only_fds(vec![gate]).is_ok() {
                    self.live();
                }
                raw::exit_now(1)
            }
        }
    }
}

impl StartHog {
    /// Of the hog: its whole life.
    fn live(&self) {
        if self.own_session && nix::unistd::setsid().is_err() {
            return;
        }
        raw::default_signals();
        // Of a real-time task the kernel itself sees to the end (RLIMIT_RTTIME, in microseconds).
        let longest = Some(self.seconds * 1_000_000);
        let limit = Rlimit { current: longest, maximum: longest };
        if setrlimit(Resource::Rttime, limit).is_err() {
            return;
        }
        let gate = raw::handed_over(0);
        while rustix::io::read(&gate, &mut [0_u8; 1]) == Err(rustix::io::Errno::INTR) {}
        load::cpu(self.seconds * 1000);
    }
}

/// Hogs that were started: killed, and waited for, when this value goes.
#[derive(Debug, Default)]
pub struct Hogs(Vec<(i32, PidFd)>);

impl Hogs {
    /// One more: the child of ours with this pid.
    pub fn add(&mut self, pid: i32) -> Result<()> {
        self.0.push((pid, PidFd::open(pid)?));
        Ok(())
    }

    /// Their pids, in the order in which they were started.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.0.iter().map(|(pid, _)| *pid)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for (pid, hog) in &self.0 {
            // It cannot be another's: nobody but us can reap it.
            if hog.signal(libc::SIGKILL).is_ok() {
                raw::reap(*pid);
            }
        }
    }
}

/// A pipe whose reading end hogs wait at until the writing end is closed.
pub fn gate() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).tried(|| "pipe2(O_CLOEXEC)")
}

/// CPU time that a process's first thread has used, in nanoseconds: the first
/// number in /proc/PID/schedstat. It is brought up to date at each clock tick.
pub fn cpu_time(proc: &Path, pid: i32) -> Result<u64> {
    let path = proc.join(format!("{pid}/schedstat"));
    let text = fs::read_to_string(&path).tried(|| format!("read({path:?})")).map_err(|error| {
        match error.is(nix::errno::Errno::ENOENT) && proc.join(pid.to_string()).exists() {
            true => Error::cannot(format!("not measured: this kernel has no {}", path.display()))
                .hint("It is built without CONFIG_SCHED_INFO."),
            false => error,
        }
    })?;
    let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| Error::new(format!("read({path:?})")).said(text))
}

/// How long a CPU had nothing to do since the machine was started, in nanoseconds.
pub fn idle_time(proc: &Path, cpu: usize) -> Option<u64> {
    let text = fs::read_to_string(proc.join("stat")).ok()?;
    let name = format!("cpu{cpu}");
    let line = text.lines().find(|line| line.split(' ').next() == Some(&name))?;
    let fields: Vec<u64> = line.split(' ').skip(1).filter_map(|field| field.parse().ok()).collect();
    let ticks = fields.get(3)? + fields.get(4)?; // idle, and idle while a disk was awaited
    Some(ticks * (1_000_000_000 / procfs::ticks_per_second().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_on_a_cpu_is_counted() {
        let us = std::process::id().cast_signed();
        assert!(cpu_time(Path::new("/proc"), us).expect("our time") > 0);
        assert!(cpu_time(Path::new("/proc"), i32::MAX).is_err());
        assert!(idle_time(Path::new("/proc"), 0).is_some());
        assert_eq!(idle_time(Path::new("/proc"), 99_999), None);
    }
}
