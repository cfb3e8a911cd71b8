//! `--chmod`: octal digits, or letters as chmod(1) knows them.

use crate::error::{Error, Result};

/// What becomes of a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(Vec<Change>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// Whose bits: a mask of `rwx` triples and the special ones.
    who: u32,
    operator: char,
    bits: u32,
    /// `X`: to be executed by those who may search, or where somebody may execute already.
    search: bool,
}

const ALL: u32 = 0o7777;

impl Chmod {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("--chmod={}", text.escape_debug()))
                .said("this is no mode")
                .hint("Octal digits, as in --chmod=755, or letters, as in --chmod=u=rwX,go=rX.")
        };
        if !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
            let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= ALL);
            let bits = bits.ok_or_else(wrong)?;
            return Ok(Self(vec![Change { who: ALL, operator: '=', bits, search: false }]));
        }
        let clauses = text.split(',').map(|clause| changes(clause).ok_or_else(wrong));
        Ok(Self(clauses.collect::<Result<Vec<_>>>()?.concat()))
    }

    /// The new mode.
    pub fn apply(&self, mode: u32, directory: bool) -> u32 {
        self.0.iter().fold(mode & ALL, |mode, change| {
            let execute = match change.search && (directory || mode & 0o111 != 0) {
                true => 0o111 & change.who,
                false => 0,
            };
            let bits = change.bits | execute;
            match change.operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                _ => mode & !change.who | bits,
            }
        })
    }
}

/// `ugo+rwx`, and more operators after that.
fn changes(clause: &str) -> Option<Vec<Change>> {
    let at = clause.find(['+', '-', '='])?;
    let mut who = 0;
    for letter in clause[..at].chars() {
        who |= match letter {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => ALL,
            _ => return None,
        };
    }
    if who == 0 {
        who = ALL;
    }
    let mut found = Vec::new();
    for letter in clause[at..].chars() {
        if matches!(letter, '+' | '-' | '=') {
            found.push(Change { who, operator: letter, bits: 0, search: false });
            continue;
        }
        let last = found.last_mut()?;
        last.bits |= who
            & match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                's' => 0o6000,
                't' => 0o1000,
                'X' => {
                    last.search = true;
                    0
                }
                _ => return None,
            };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_chmod() {
        for (text, from, directory, to) in [
            ("755", 0o600, false, 0o755),
            ("0644", 0o4755, false, 0o644),
            ("4755", 0o600, false, 0o4755),
            ("u+x", 0o644, false, 0o744),
            ("go-rwx", 0o755, false, 0o700),
            ("a=rX", 0o600, false, 0o444),
            ("a=rX", 0o600, true, 0o555),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("+x", 0o640, false, 0o751),
            ("u+s,g+s,+t", 0o755, false, 0o7755),
            ("u=rw-w", 0o777, false, 0o477),
        ] {
            assert_eq!(Chmod::parse(text).unwrap().apply(from, directory), to, "{text}");
        }
        for wrong in ["", "8", "99999", "u", "rwx", "u+q", "x+r", ",", "u+x,", "7 5"] {
            assert!(Chmod::parse(wrong).is_err(), "{wrong}");
        }
    }
}
