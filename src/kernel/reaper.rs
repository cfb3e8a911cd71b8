//! `--init`: a first process that does what the first process of a pid namespace
//! is for. Whatever loses its parent becomes its child, and stays a zombie until
//! it is waited for; and no signal reaches it that it does not handle. The
//! command is its child, and an ordinary process.
//!
//! It is our own program, from the sealed clone it was started from, with the
//! rights of the command and no more: same capabilities, same system call
//! filters, nothing open; and it cannot be looked into.

use std::os::fd::IntoRawFd;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setpgid, tcsetpgrp};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::kernel::op::{Operation, World};
use crate::kernel::raw;
use crate::kernel::watcher::Status;
use crate::step::Step;

/// prctl(2) `PR_SET_DUMPABLE` 0, for good: what is executed afterwards is itself again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opaque;

impl Operation for Opaque {
    fn step(&self) -> Step {
        Step::new(
            "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)",
            "the init that stays is our program: its memory, and its file in /proc/1/exe, are closed to the container",
        )
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .tried(|| "prctl(PR_SET_DUMPABLE, 0)")
            .map(|()| "0".to_owned())
    }
}

/// fork(2): the parent stays as init, the child goes on, to become the command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reaper {
    /// Whether there is a terminal, which the command's process group gets.
    pub terminal: bool,
}

impl Operation for Reaper {
    fn step(&self) -> Step {
        Step::new(
            "fork()",
            "the parent stays process 1: it waits for orphans, passes signals on, and ends as the command ends",
        )
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        // Held back from now on: a signal that comes early is passed on, not lost.
        let before =
            SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).tried(|| "sigprocmask()")?;
        if let Some(child) = raw::fork().tried(|| "fork()")? {
            stay(Pid::from_raw(child));
        }
        let own = nix::unistd::getpid();
        // A process group of its own, as tini and a shell give one: Ctrl-C is for it.
        setpgid(Pid::from_raw(0), Pid::from_raw(0)).tried(|| "setpgid(0, 0)")?;
        if self.terminal {
            tcsetpgrp(rustix::stdio::stdin(), own).tried(|| "tcsetpgrp(0)")?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None).tried(|| "sigprocmask()")?;
        Ok(own.to_string())
    }
}

/// The life of an init: until the command ends.
fn stay(command: Pid) -> ! {
    // The channel too: that it is closed tells the launcher that the command runs.
    let _ = raw::only_fds(Vec::new());
    raw::set_title("init");
    let _ = rustix::thread::set_name(c"init");
    // The lowest numbers are free, so these become 0 to 2. Nothing is read from or
    // written to them; that they are taken keeps whatever is opened later off them.
    for _ in 0..3 {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::NOCTTY, Mode::empty());
        null.map(IntoRawFd::into_raw_fd).unwrap_or(-1);
    }
    loop {
        match raw::next_signal() {
            Ok(libc::SIGCHLD) => reap(command, Some(WaitPidFlag::WNOHANG)),
            Ok(signal) => raw::send_signal(command.as_raw(), signal),
            Err(nix::errno::Errno::EINTR) => {}
            // A filter of the reader's own may forbid it: then at least reap.
            Err(_) => reap(command, None),
        }
    }
}

/// Takes in whoever has ended; ends itself with the command.
fn reap(command: Pid, flags: Option<WaitPidFlag>) {
    loop {
        let status = match waitpid(None, flags) {
            Ok(WaitStatus::Exited(pid, code)) if pid == command => Status::Code(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == command => {
                Status::Signal(signal as i32)
            }
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))
            | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => return,
            Err(_) => raw::exit_now(1),
        };
        raw::exit_now(status.code().into());
    }
}
