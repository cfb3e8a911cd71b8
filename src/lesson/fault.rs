//! What is wrong with a lesson file: the line, the mistake, and what is
//! allowed instead. All of them are collected, so that one look mends them.

use std::fmt;

use serde::Serialize;

use crate::nearest::nearest;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The line in the lesson's file, from 1.
    pub line: usize,
    /// The character in that line, from 1, where one can be named.
    pub column: Option<usize>,
    /// What is wrong there.
    #[serde(rename = "mistake")]
    pub what: String,
    /// What is allowed, or what was probably meant.
    #[serde(rename = "remedy")]
    pub allowed: Option<String>,
}

impl Fault {
    /// A mistake whose sentence says all.
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, column: None, what: what.into(), allowed: None }
    }

    /// With what is allowed there.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// With the place of what its sentence quotes last, if that stands in its line once:
    /// the word that is wrong is the one that is quoted.
    #[must_use]
    pub fn located(mut self, text: &str) -> Self {
        let source = text.lines().nth(self.line.saturating_sub(1)).unwrap_or_default();
        if self.column.is_none()
            && let Some(word) = quoted_last(&self.what)
            && let mut places = source.match_indices(word)
            && let (Some((at, _)), None) = (places.next(), places.next())
        {
            self.column = Some(source[..at].chars().count() + 1);
        }
        self
    }

    /// A word that is not one of those allowed; names the likeliest.
    pub fn unknown(line: usize, kind: &str, word: &str, allowed: &[&str]) -> Self {
        let meant = nearest(word, allowed)
            .map(|meant| format!("did you mean `{meant}`? "))
            .unwrap_or_default();
        Self::new(line, format!("unknown {kind} `{word}`"))
            .allowed(format!("{meant}allowed: {}", allowed.join(", ")))
    }
}

/// What stands last between backquotes, or as clap does it between apostrophes.
fn quoted_last(text: &str) -> Option<&str> {
    let between = |quote: char| {
        let end = text.rfind(quote)?;
        let start = text[..end].rfind(quote)? + quote.len_utf8();
        (start < end).then_some((start, &text[start..end]))
    };
    let last = [between('`'), between('\'')].into_iter().flatten().max_by_key(|(start, _)| *start);
    last.map(|(_, word)| word)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "{}:{column}: {}", self.line, self.what)?,
            None => write!(f, "{}: {}", self.line, self.what)?,
        }
        match &self.allowed {
            Some(allowed) => write!(f, " ({allowed})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_last_says_the_column() {
        let of = |what: &str, source: &str| Fault::new(1, what).located(source).column;
        assert_eq!(of("`x run` does not parse: argument '--nmae' found", "a é --nmae"), Some(5));
        assert_eq!(of("unknown `b`", "a b b"), None, "which of the two?");
        assert_eq!(of("nothing is quoted", "a"), None);
    }

    #[test]
    fn the_likeliest_word_is_named_and_a_far_one_is_not() {
        let near = Fault::unknown(3, "check", "ns-difers", &["ns-same", "ns-differs"]);
        assert_eq!(
            near.to_string(),
            "3: unknown check `ns-difers` (did you mean `ns-differs`? allowed: ns-same, ns-differs)"
        );
        let located = near.located("\n\n> check: ns-difers net box self");
        assert_eq!(located.column, Some(10));
        let far = Fault::unknown(3, "check", "entropy", &["ns-same"]);
        assert_eq!(far.to_string(), "3: unknown check `entropy` (allowed: ns-same)");
    }
}
