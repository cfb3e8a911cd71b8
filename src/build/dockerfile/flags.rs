//! `--name=value` between an instruction's name and its arguments.

use std::ops::Range;
use std::time::Duration;

use super::part::{Part, Wrong};
use crate::nearest::nearest;

/// The flags of an instruction, as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags<'a> {
    keyword: &'a str,
    given: Vec<Flag>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Flag {
    /// Without `--`.
    name: String,
    value: Option<String>,
    at: Range<usize>,
}

/// What a flag that is not supported is for, and what to do instead.
pub type Refused = (&'static str, &'static str);

impl<'a> Flags<'a> {
    /// Takes the flags from the beginning of an instruction's arguments; what
    /// comes behind them is handed back. Quotes and escapes are gone from them.
    pub fn split<'t>(keyword: &'a str, part: Part<'t>, escape: char) -> (Self, Part<'t>) {
        let mut given = Vec::new();
        let mut rest = part.trim();
        while rest.text.starts_with("--") {
            let (text, end) = unquoted(rest.text, escape);
            let at = rest.at..rest.at + end;
            rest = rest.from(end).trim();
            if text == "--" {
                break;
            }
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text.as_str(), None),
            };
            given.push(Flag { name: name[2..].to_owned(), value, at });
        }
        (Self { keyword, given }, rest)
    }

    /// Whether all of them are among those `allowed`; those `refused` are docker's, and not ours.
    pub fn check(&self, allowed: &[&str], refused: &[Refused]) -> Result<(), Wrong> {
        let mut seen: Vec<&str> = Vec::new();
        for flag in &self.given {
            let name = flag.name.as_str();
            let wrong = |what: String| Wrong { at: flag.at.clone(), what, hint: None };
            let written = format!("{} --{name}", self.keyword);
            if let Some((_, instead)) = refused.iter().find(|(known, _)| *known == name) {
                return Err(wrong(format!("{written} is not supported")).hint(*instead));
            }
            if !allowed.contains(&name) {
                let unknown = wrong(format!("{} has no flag --{name}", self.keyword));
                return Err(match (nearest(name, allowed), allowed) {
                    (Some(meant), _) => unknown.hint(format!("Did you mean --{meant}?")),
                    (None, []) => unknown,
                    (None, allowed) => unknown.hint(format!("It has: --{}.", allowed.join(", --"))),
                });
            }
            if seen.contains(&name) && name != "exclude" {
                return Err(wrong(format!("{written} is given twice")));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&Flag> {
        self.given.iter().find(|flag| flag.name == name)
    }

    fn text(&self, flag: &Flag) -> Result<String, Wrong> {
        let missing = || Wrong {
            at: flag.at.clone(),
            what: format!("{} --{} needs a value", self.keyword, flag.name),
            hint: Some(format!("Write --{}=VALUE, without a space.", flag.name)),
        };
        flag.value.clone().ok_or_else(missing)
    }

    /// This flag's value is wrong.
    pub fn wrong(&self, name: &str, what: impl Into<String>) -> Wrong {
        let at = self.find(name).map_or(0..0, |flag| flag.at.clone());
        Wrong { at, what: what.into(), hint: None }
    }

    /// The value of a flag that has one; an empty one counts as none, as in docker.
    pub fn value(&self, name: &str) -> Result<Option<String>, Wrong> {
        let value = self.find(name).map(|flag| self.text(flag)).transpose()?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// All values of a flag that may be given several times.
    pub fn values(&self, name: &str) -> Result<Vec<String>, Wrong> {
        self.given.iter().filter(|flag| flag.name == name).map(|flag| self.text(flag)).collect()
    }

    /// A flag that is on or off: `--name`, `--name=true`, `--name=false`.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, Wrong> {
        let Some(flag) = self.find(name) else { return Ok(None) };
        match flag.value.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.wrong(name, format!("--{name} is true or false"))),
        }
    }

    /// A length of time as Go writes it; 0 is docker's default, and so `None`.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Wrong> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let wrong = |what: String| Err(self.wrong(name, what).hint("Such as 30s, 1m30s, 500ms."));
        match duration(&value) {
            Some(length) if length.is_zero() => Ok(None),
            Some(length) if length < Duration::from_millis(1) => {
                wrong(format!("--{name} is a millisecond at least"))
            }
            Some(length) => Ok(Some(length)),
            None => wrong(format!("{value:?} is no length of time")),
        }
    }
}

/// The word that a text begins with, its quotes and escapes gone, and where it ends.
fn unquoted(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if quote.is_none() && c.is_whitespace() => return (word, at),
            c if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            c => word.push(c),
        }
    }
    (word, text.len())
}

/// A length of time as Go's `time.ParseDuration` reads it: `1h30m`, `1.5s`, `0`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (digits, behind) = rest.split_at(number);
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        let nanoseconds: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && part.is_empty()) || part.contains('.') {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut length = whole.checked_mul(nanoseconds)?;
        let mut place = nanoseconds;
        for digit in part.chars().filter_map(|c| c.to_digit(10)) {
            place /= 10;
            length = length.checked_add(u64::from(digit) * place)?;
        }
        total = total.checked_add(length).filter(|total| i64::try_from(*total).is_ok())?;
        rest = behind;
    }
    (!text.is_empty() && text != "+").then(|| Duration::from_nanos(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_gos() {
        let ms = |text| duration(text).map(|length| length.as_millis());
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1.5s"), Some(1_500));
        assert_eq!(ms(".5s"), Some(500));
        assert_eq!(ms("0"), Some(0));
        assert_eq!(ms("+2ms3ms"), Some(5));
        for text in ["", "+", "1", "s", "1d", "-1s", "1..2s", ".s", "99999999999h", "1 s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn flags_come_first_and_end_at_a_double_dash() {
        let split = |text| {
            let (flags, rest) = Flags::split("COPY", Part::new(text), '\\');
            let given: Vec<_> = flags.given.into_iter().map(|f| (f.name, f.value)).collect();
            (given, rest.text.to_owned())
        };
        let some = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let (given, rest) = split("--from=a --chown=\"b c\"  x --y /");
        assert_eq!(
            (given, rest.as_str()),
            (vec![some("from", "a"), some("chown", "b c")], "x --y /")
        );
        assert_eq!(split("-- --x y").1, "--x y");
        assert_eq!(split("--link").0, [("link".to_owned(), None)]);
        assert_eq!(split("- --x").1, "- --x");
    }
}
