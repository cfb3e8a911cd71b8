//! Keys: one at a time, without Enter, from the terminal.
//!
//! The terminal gives single keys only while somebody is waited for. However
//! that ends, it is as it was before: by a key, a signal, Ctrl-Z, and (see
//! `guard`) by a SIGKILL too.

use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::guard;
use crate::error::{Context, Result};

/// A key that was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Enter.
    Enter,
    /// A character.
    Char(char),
    /// Ctrl-C, Ctrl-D, or the terminal has gone.
    Quit,
    /// An arrow, a function key, or the like.
    Other,
    /// None: the program was stopped, and is back in the foreground.
    Resumed,
    /// None: what was listened to besides has something to say.
    News,
}

/// Whether someone can answer: keys from, and text to, a terminal, and no CI
/// system behind it (`CI` is set by all of them).
pub fn someone_there() -> bool {
    let ci = std::env::var("CI").is_ok_and(|ci| !matches!(&*ci, "" | "0" | "false"));
    !ci && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Whether keys come from a terminal, and text goes to one.
pub fn on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// A terminal that gives single keys, until this is dropped.
pub struct Keyboard {
    before: Termios,
    signals: SignalFd,
    mask: SigSet,
}

/// They wait while a key is waited for, and are answered in order.
const HELD: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGCONT,
];

impl Keyboard {
    /// Takes the terminal.
    pub fn open() -> Result<Self> {
        let before = tcgetattr(std::io::stdin()).tried(|| "tcgetattr(0)")?;
        let held: SigSet = HELD.into_iter().collect();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&held, flags).tried(|| "signalfd()")?;
        let mask =
            held.thread_swap_mask(SigmaskHow::SIG_BLOCK).tried(|| "sigprocmask(SIG_BLOCK)")?;
        let keyboard = Self { before, signals, mask };
        keyboard.take()?;
        Ok(keyboard)
    }

    fn take(&self) -> Result<()> {
        guard::hold()?;
        let single = single(&self.before);
        tcsetattr(std::io::stdin(), OptionalActions::Drain, &single).tried(|| "tcsetattr(0)")
    }

    fn give_back(&self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.before);
        guard::release();
    }

    /// Waits for a key, or until `other` has something to say.
    pub fn key(&mut self, other: Option<BorrowedFd>) -> Result<Key> {
        let stdin = std::io::stdin();
        loop {
            let mut polled =
                vec![PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            polled.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            rustix::io::retry_on_intr(|| poll(&mut polled, None)).tried(|| "poll()")?;
            let ready: Vec<_> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
            if ready[1]
                && let Some(key) = self.signal()?
            {
                return Ok(key);
            }
            if ready[0] {
                return match byte()? {
                    Some(CTRL_Z) => {
                        nix::sys::signal::kill(nix::unistd::Pid::from_raw(0), Signal::SIGTSTP)
                            .tried(|| "kill(0, SIGTSTP)")?;
                        continue;
                    }
                    byte => meaning(byte),
                };
            }
            if ready.get(2) == Some(&true) {
                return Ok(Key::News);
            }
        }
    }

    /// One that ends programs ends this one, once the terminal is as it was; one
    /// that stops them stops it until it is in the foreground again.
    fn signal(&mut self) -> Result<Option<Key>> {
        let Some(signal) = self.signals.read_signal().tried(|| "read(signalfd)")? else {
            return Ok(None);
        };
        let signal = Signal::try_from(signal.ssi_signo.cast_signed()).tried(|| "signalfd")?;
        Ok(Some(match signal {
            Signal::SIGINT | Signal::SIGQUIT => Key::Quit,
            Signal::SIGCONT => {
                // Who stopped us without asking has seen the terminal as it is now.
                self.take()?;
                Key::Resumed
            }
            signal => {
                self.give_back();
                let this: SigSet = [signal].into_iter().collect();
                raise(signal).tried(|| format!("raise({signal})"))?;
                this.thread_unblock().tried(|| "sigprocmask(SIG_UNBLOCK)")?;
                this.thread_block().tried(|| "sigprocmask(SIG_BLOCK)")?;
                // The SIGCONT that woke us is answered by this.
                let _ = self.signals.read_signal();
                self.take()?;
                Key::Resumed
            }
        }))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back();
        let _ = self.mask.thread_set_mask();
    }
}

/// The same terminal, but with single keys.
pub(super) fn single(before: &Termios) -> Termios {
    let mut single = before.clone();
    single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
    single.special_codes[SpecialCodeIndex::VMIN] = 1;
    single.special_codes[SpecialCodeIndex::VTIME] = 0;
    single
}

const CTRL_Z: u8 = 26;
const ESCAPE: u8 = 27;

/// The next byte; one at a time, so that what is typed ahead stays with the terminal.
fn byte() -> Result<Option<u8>> {
    let mut byte = [0_u8];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(std::io::stdin(), &mut byte));
    Ok((count.tried(|| "read(0, 1 byte)")? > 0).then_some(byte[0]))
}

/// A byte that comes at once, if one does: the rest of an arrow, of a letter.
fn byte_at_once() -> Result<Option<u8>> {
    let stdin = std::io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let ready = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&moment)));
    if ready.tried(|| "poll()")? == 0 { Ok(None) } else { byte() }
}

fn meaning(first: Option<u8>) -> Result<Key> {
    Ok(match first {
        None | Some(3 | 4) => Key::Quit,
        Some(b'\r' | b'\n') => Key::Enter,
        Some(ESCAPE) => {
            if let Some(b'[' | b'O') = byte_at_once()? {
                // Up to the byte that says which key it was.
                while byte_at_once()?.is_some_and(|byte| !(0x40..=0x7e).contains(&byte)) {}
            }
            Key::Other
        }
        Some(byte) if byte.is_ascii() => Key::Char(char::from(byte)),
        Some(byte) => {
            let mut bytes = vec![byte];
            while std::str::from_utf8(&bytes).is_err() && bytes.len() < 4 {
                let Some(byte) = byte_at_once()? else { break };
                bytes.push(byte);
            }
            let text = String::from_utf8(bytes).unwrap_or_default();
            text.chars().next().map_or(Key::Other, Key::Char)
        }
    })
}

struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// A password: what is typed is not shown. Without a terminal it is the first
/// line of standard input.
pub fn secret() -> Result<Option<String>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mut line = String::new();
        let count = stdin.read_line(&mut line).tried(|| "read(0)")?;
        return Ok((count > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let before = tcgetattr(&stdin).tried(|| "tcgetattr(0)")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent).tried(|| "tcsetattr(0)")?;
    let _restored = Restore(before);
    Ok(line())
}

/// A whole line, with echo and the terminal's own editing; `None` at its end.
pub fn line() -> Option<String> {
    let mut bytes = [0_u8; 1024];
    let stdin = std::io::stdin();
    match rustix::io::retry_on_intr(|| rustix::io::read(&stdin, &mut bytes)) {
        Ok(0) | Err(_) => None,
        Ok(count) => Some(String::from_utf8_lossy(&bytes[..count]).trim().to_owned()),
    }
}
