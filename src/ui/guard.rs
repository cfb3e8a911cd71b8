//! The guard of the terminal: a small process that knows how the terminal was,
//! and makes it so again when the program that changed it is gone without
//! having done so itself. Nothing else can, after a SIGKILL.
//!
//! It is in a session of its own: Ctrl-C and the end of the terminal do not
//! reach it, and it may set a terminal in whose background it would be. What it
//! finds changed by somebody else in the meantime (the shell that is back, for
//! one) it leaves alone.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{full, keys};
use crate::error::{Context, Error, Result};

/// The program's own first word for it.
pub const COMMAND: &str = "__guard";

/// To the guard: the terminal is about to be changed; it is as it was again.
const HOLD: u8 = b'h';
/// The same, and the other screen is going to be shown.
const WHOLE: u8 = b'w';
const RELEASE: u8 = b'r';
/// From it: it has seen how the terminal is.
const SEEN: u8 = b's';

/// The way to the guard of this process, once there is one.
static GUARD: Mutex<Option<UnixStream>> = Mutex::new(None);

/// Has the guard look at the terminal; from now on it restores it, should we die.
pub(super) fn hold() -> Result<()> {
    say(HOLD)
}

/// The same for the whole screen.
pub(super) fn hold_whole() -> Result<()> {
    say(WHOLE)
}

fn say(word: u8) -> Result<()> {
    let mut guard = GUARD.lock().unwrap_or_else(PoisonError::into_inner);
    let mut channel = match guard.take() {
        Some(channel) => channel,
        None => started()?,
    };
    let mut answer = [0];
    let asked = channel.write_all(&[word]).and_then(|()| channel.read_exact(&mut answer));
    asked.map_err(|error| Error::io("asking the terminal's guard", &error))?;
    *guard = Some(channel);
    Ok(())
}

/// The terminal is as it was.
pub(super) fn release() {
    let mut guard = GUARD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(channel) = &mut *guard {
        let _ = channel.write_all(&[RELEASE]);
    }
}

/// Its standard input is the terminal, its standard output the way to us, and its
/// standard error where the screen is.
fn started() -> Result<UnixStream> {
    let (ours, its) = UnixStream::pair().tried(|| "socketpair()")?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("under-the-hood").arg(COMMAND).current_dir("/");
    command.stdin(Stdio::inherit()).stdout(OwnedFd::from(its)).stderr(screen());
    // It ends when we do; nobody needs to wait for it.
    command.spawn().tried(|| "execve(\"/proc/self/exe\", \"__guard\")")?;
    Ok(ours)
}

/// The terminal that we write to, if it is one: whoever reads our output elsewhere would wait
/// for the guard, too.
fn screen() -> Stdio {
    let stdout = std::io::stdout();
    let copy = stdout.is_terminal().then(|| stdout.as_fd().try_clone_to_owned());
    copy.and_then(|copy| copy.ok()).map_or(Stdio::null(), Stdio::from)
}

/// The guard's own life: until the other end of its channel is closed.
pub fn serve() -> u8 {
    let _ = nix::sys::signal::SigSet::all().thread_block();
    let _ = rustix::process::setsid();
    let terminal = std::io::stdin();
    let (mut held, mut whole): (Option<Termios>, bool) = (None, false);
    let mut word = [0_u8];
    while let Ok(1) = rustix::io::retry_on_intr(|| rustix::io::read(std::io::stdout(), &mut word)) {
        let holds = [HOLD, WHOLE].contains(&word[0]);
        held = if holds { held.or_else(|| tcgetattr(&terminal).ok()) } else { None };
        whole = word[0] == WHOLE;
        if holds && rustix::io::write(std::io::stdout(), &[SEEN]).is_err() {
            break;
        }
    }
    if whole {
        // Whoever has the terminal by now did not ask for the other screen.
        let _ = rustix::io::write(std::io::stderr(), full::GIVE_BACK.as_bytes());
    }
    if let (Some(before), Ok(now)) = (held, tcgetattr(&terminal))
        && same(&now, &keys::single(&before))
    {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
    0
}

fn same(one: &Termios, other: &Termios) -> bool {
    one.local_modes == other.local_modes
        && one.input_modes == other.input_modes
        && one.output_modes == other.output_modes
        && one.control_modes == other.control_modes
}
