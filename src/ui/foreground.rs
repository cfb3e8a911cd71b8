//! The terminal lent to another program, until that has ended.

use std::process::{Command, ExitStatus};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr, tcsetpgrp};

/// Runs it in the foreground. Ctrl-C is its own affair meanwhile, and whatever it
/// does to the terminal, that is ours again, as it was.
pub fn foreground(command: &mut Command) -> std::io::Result<ExitStatus> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    let mut child = command.spawn()?;
    // Blocked only now: the program would inherit it.
    let keys = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTTOU];
    let keys: SigSet = keys.into_iter().collect();
    let mask = keys.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let status = child.wait();
    // A shell makes its own process group the foreground's; one that was killed has not undone it.
    let _ = tcsetpgrp(&stdin, rustix::process::getpgrp());
    if let Some(before) = before {
        let _ = tcsetattr(&stdin, OptionalActions::Drain, &before);
    }
    // What was meant for the program is not for us.
    let meant = SignalFd::with_flags(&keys, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    while let Ok(Some(_)) = meant.read_signal() {}
    mask.thread_set_mask()?;
    status
}
