//! What is wrong with a Dockerfile: the file, the line and a caret below the place.
//!
//! ```text
//! Error: Dockerfile:3: there is no instruction RNU
//! Caused by:
//!     3 | RNU apk add curl
//!       | ^^^
//! Hint: Did you mean RUN?
//! ```

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use crate::error::Error;

/// Characters of a line that are shown.
const MOST_SHOWN: usize = 60;

/// Of these, before the place.
const BEFORE: usize = 20;

/// What is wrong with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The file.
    pub name: String,
    /// The line, from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The line's text.
    pub text: String,
    /// Where in it, and how long: in characters, from 0.
    pub place: Range<usize>,
    /// What, as a clause.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        let tried = match error.line {
            0 => format!("{}: {}", shown(&error.name), shown(&error.what)),
            line => format!("{}:{line}: {}", shown(&error.name), shown(&error.what)),
        };
        let excerpt = error.excerpt();
        let mut told = Error::new(tried);
        told.hint = error.hint.map(|hint| shown(&hint));
        match excerpt {
            Some(excerpt) => told.said(excerpt),
            None => told,
        }
    }
}

impl ParseError {
    /// The line with a caret below the place, on lines of their own.
    fn excerpt(&self) -> Option<String> {
        if self.line == 0 {
            return None;
        }
        let chars: Vec<char> = self.text.chars().collect();
        let start = self.place.start.min(chars.len());
        let end = self.place.end.clamp(start, chars.len());
        let from = if chars.len() > MOST_SHOWN { start.saturating_sub(BEFORE) } else { 0 };
        let to = chars.len().min(from + MOST_SHOWN);
        let text = |range: Range<usize>| chars[range].iter().map(|c| visible(*c));
        let width =
            |range: Range<usize>| text(range).map(|c| c.width().unwrap_or(0)).sum::<usize>();
        let (left, right) =
            (if from > 0 { "…" } else { "" }, if to < chars.len() { "…" } else { "" });
        let line: String = text(from..to).collect();
        let before = width(from..start) + left.chars().count();
        let carets = width(start..end.min(to).max(start)).max(1);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let below = format!("{}{}", " ".repeat(before), "^".repeat(carets));
        Some(format!("\n    {number} | {left}{line}{right}\n    {margin} | {below}"))
    }
}

/// Someone else's text: what could drive a terminal, or hide, is replaced, one for one.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || c.width().is_none_or(|width| width == 0) => '\u{fffd}',
        '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

fn shown(text: &str) -> String {
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, place: Range<usize>) -> String {
        let error = ParseError {
            name: "Dockerfile".to_owned(),
            line: 12,
            text: text.to_owned(),
            place,
            what: "it is wrong".to_owned(),
            hint: None,
        };
        Error::from(error).said.unwrap()
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        assert_eq!(at("RNU x", 0..3), "\n    12 | RNU x\n       | ^^^");
        assert_eq!(
            at("漢字 \tx\u{1b}[0m", 4..5),
            "\n    12 | 漢字  x\u{fffd}[0m\n       |       ^"
        );
        assert_eq!(at("", 0..0), "\n    12 | \n       | ^");
        assert_eq!(at("short", 90..99), "\n    12 | short\n       |      ^");
        let long = format!("{}HERE{}", "a".repeat(100), "b".repeat(100));
        let said = at(&long, 100..104);
        let lines: Vec<&str> = said.lines().skip(1).collect();
        let caret = lines[1].find("^^^^").unwrap();
        let shown: String =
            lines[0].chars().skip(lines[1][..caret].chars().count()).take(4).collect();
        assert_eq!(shown, "HERE");
        assert!(lines[0].chars().count() < 75 && lines[0].ends_with('…'), "{said}");
    }
}
