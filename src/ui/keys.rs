//! Keys: one at a time, without Enter, from the terminal.

use std::io::IsTerminal;

use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
    tcsetattr,
};

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

/// Waits for a key. The terminal is set to single keys only as long as that
/// takes, so that nothing needs mending should the program be killed elsewhere.
pub fn read() -> Result<Key> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).tried(|| "tcgetattr(0)")?;
    let mut single = before.clone();
    single.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
    single.special_codes[SpecialCodeIndex::VMIN] = 1;
    single.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&stdin, OptionalActions::Drain, &single).tried(|| "tcsetattr(0)")?;
    let _restored = Restore(before);
    let mut byte = [0_u8];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(&stdin, &mut byte))
        .tried(|| "read(0, 1 byte)")?;
    Ok(match byte[0] {
        _ if count == 0 => Key::Quit,
        b'\r' | b'\n' => Key::Enter,
        3 | 4 => Key::Quit,
        ESCAPE => {
            // An arrow or a function key: its other bytes follow at once.
            let _ = tcflush(&stdin, QueueSelector::IFlush);
            Key::Char(' ')
        }
        byte => Key::Char(char::from(byte)),
    })
}

const ESCAPE: u8 = 27;

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
