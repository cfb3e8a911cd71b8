//! What is wrong with a lesson file: the line, the mistake, and what is
//! allowed instead. All of them are collected, so that one look mends them.

use std::fmt;

use crate::nearest::nearest;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line in the lesson's file, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
    /// What is allowed, or what was probably meant.
    pub allowed: Option<String>,
}

impl Fault {
    /// A mistake whose sentence says all.
    pub fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into(), allowed: None }
    }

    /// With what is allowed there.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)?;
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
    fn the_likeliest_word_is_named_and_a_far_one_is_not() {
        let near = Fault::unknown(3, "check", "ns-difers", &["ns-same", "ns-differs"]);
        assert_eq!(
            near.to_string(),
            "3: unknown check `ns-difers` (did you mean `ns-differs`? allowed: ns-same, ns-differs)"
        );
        let far = Fault::unknown(3, "check", "entropy", &["ns-same"]);
        assert_eq!(far.to_string(), "3: unknown check `entropy` (allowed: ns-same)");
    }
}
