//! JSON for a terminal: a string of somebody else's may hold characters that
//! drive one. JSON itself escapes those below a space; the rest (DEL, and the
//! C1 controls) are escaped here, which is the same to whoever parses it.

use std::io::{self, Write};

/// Writes JSON on, with every control character in its strings as `\u00XX`.
pub struct Guarded<W>(pub W);

impl<W: Write> Write for Guarded<W> {
    /// serde_json hands over whole characters.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let control = |at: usize| match bytes[at] {
            0x7f => Some((1, 0x7f)),
            0xc2 => bytes.get(at + 1).filter(|next| **next < 0xa0).map(|next| (2, *next)),
            _ => None,
        };
        let (mut start, mut at) = (0, 0);
        while at < bytes.len() {
            match control(at) {
                None => at += 1,
                Some((length, code)) => {
                    self.0.write_all(&bytes[start..at])?;
                    write!(self.0, "\\u00{code:02x}")?;
                    at += length;
                    start = at;
                }
            }
        }
        self.0.write_all(&bytes[start..])?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_and_nothing_lost() {
        let value =
            serde_json::json!(["\u{9b}31m", "\u{7f}", "\u{1b}]0;x", "é\u{a0}Â", "\u{80}\u{9f}"]);
        let mut text = Vec::new();
        serde_json::to_writer_pretty(Guarded(&mut text), &value).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
