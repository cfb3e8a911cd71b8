//! The whole screen of a terminal, for as long as a command needs it. However that
//! ends (a key, an error, a panic, SIGTERM or SIGHUP; by `guard` a SIGKILL too), the
//! terminal is as it was before.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::{guard, keys};
use crate::error::{Context, Result};

/// The other screen, no cursor, no wrapping at the edge; and the way back.
const TAKE: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
pub(super) const GIVE_BACK: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// How the terminal was, as long as it is not so.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(GIVE_BACK.as_bytes()).and_then(|()| stdout.flush());
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, &before);
        guard::release();
    }
}

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A character; Enter is `\n`, Tab `\t`, Backspace `\u{8}`, Escape `\u{1b}`, Ctrl-C `\u{3}`.
    Char(char),
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// A screenful back.
    PageUp,
    /// A screenful on.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// The window has another size, or a key that means nothing here.
    Other,
}

/// The terminal's whole screen, until this is dropped.
pub struct FullScreen {
    signals: SignalFd,
    held: SigSet,
    /// Typed, and not yet asked for.
    typed: Vec<u8>,
}

impl FullScreen {
    /// Takes the screen. Call it while there is one thread only: signals wait from now on.
    pub fn take() -> Result<Self> {
        let held: SigSet =
            [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGWINCH].into_iter().collect();
        held.thread_block().tried(|| "sigprocmask(SIG_BLOCK)")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&held, flags).tried(|| "signalfd()")?;
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).tried(|| "tcgetattr(0)")?;
        guard::hold_whole()?;
        let raw = keys::single(&before);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let full = Self { signals, held, typed: Vec::new() };
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            hook(info);
        }));
        tcsetattr(&stdin, OptionalActions::Drain, &raw).tried(|| "tcsetattr(0)")?;
        write(TAKE)?;
        Ok(full)
    }

    /// Columns and rows.
    pub fn size() -> (usize, usize) {
        let size = tcgetwinsize(std::io::stdout()).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Shows these rows in place of what is there.
    pub fn draw(&self, rows: &[String]) -> Result<()> {
        let rows: Vec<_> = rows.iter().map(|row| format!("{row}\u{1b}[K")).collect();
        write(&format!("\u{1b}[H{}\u{1b}[J", rows.join("\r\n")))
    }

    /// Waits for the next event. A signal that ends programs ends this one, once the
    /// terminal is as it was.
    pub fn event(&mut self) -> Result<Event> {
        loop {
            if !self.typed.is_empty() {
                let (event, length) = meaning(&self.typed);
                self.typed.drain(..length);
                return Ok(event);
            }
            let stdin = std::io::stdin();
            let mut polled =
                [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut polled, None)).tried(|| "poll()")?;
            let typed = !polled[1].revents().is_empty();
            if let Some(signal) = self.signals.read_signal().tried(|| "read(signalfd)")? {
                let signal = Signal::try_from(signal.ssi_signo.cast_signed());
                if let Ok(signal @ (Signal::SIGTERM | Signal::SIGHUP)) = signal {
                    restore();
                    let _ = raise(signal);
                    self.held.thread_unblock().tried(|| "sigprocmask(SIG_UNBLOCK)")?;
                }
                return Ok(Event::Other);
            }
            if typed {
                let mut bytes = [0_u8; 256];
                let count = rustix::io::retry_on_intr(|| rustix::io::read(&stdin, &mut bytes))
                    .tried(|| "read(0, 256 bytes)")?;
                if count == 0 {
                    return Ok(Event::Char('\u{3}')); // the terminal has gone
                }
                self.typed.extend_from_slice(&bytes[..count]);
            }
        }
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        restore();
    }
}

fn write(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).tried(|| "write(1, \"…\")")
}

/// What the first key of these bytes means, and how many of them are its.
fn meaning(bytes: &[u8]) -> (Event, usize) {
    let sequence = match bytes {
        [0x1b, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
            end.map_or(bytes.len(), |end| end + 3)
        }
        [0x1b, b'O', _, ..] => 3,
        _ => 0,
    };
    if sequence > 0 {
        let event = match &bytes[..sequence] {
            b"\x1b[A" | b"\x1bOA" => Event::Up,
            b"\x1b[B" | b"\x1bOB" => Event::Down,
            b"\x1b[C" | b"\x1bOC" => Event::Right,
            b"\x1b[D" | b"\x1bOD" => Event::Left,
            b"\x1b[5~" => Event::PageUp,
            b"\x1b[6~" => Event::PageDown,
            b"\x1b[H" | b"\x1bOH" | b"\x1b[1~" => Event::Home,
            b"\x1b[F" | b"\x1bOF" | b"\x1b[4~" => Event::End,
            _ => Event::Other,
        };
        return (event, sequence);
    }
    match bytes {
        [0x7f, ..] => (Event::Char('\u{8}'), 1),
        [b'\r', ..] => (Event::Char('\n'), 1),
        bytes => match bytes.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()) {
            Some(character) => (Event::Char(character), character.len_utf8()),
            None => (Event::Other, 1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        for (bytes, event, length) in [
            (&b"q"[..], Event::Char('q'), 1),
            (b"qq", Event::Char('q'), 1),
            (b"\x1b", Event::Char('\u{1b}'), 1),
            (b"\x1bq", Event::Char('\u{1b}'), 1),
            (b"\x1b[Aq", Event::Up, 3),
            (b"\x1bOB", Event::Down, 3),
            (b"\x1b[6~\x1b[6~", Event::PageDown, 4),
            (b"\x1b[99;1xq", Event::Other, 7),
            (b"\x1b[", Event::Other, 2),
            (b"\r/", Event::Char('\n'), 1),
            (b"\x7f", Event::Char('\u{8}'), 1),
            ("äx".as_bytes(), Event::Char('ä'), 2),
            (b"\xffq", Event::Other, 1),
        ] {
            assert_eq!(meaning(bytes), (event, length), "{bytes:?}");
        }
    }
}
