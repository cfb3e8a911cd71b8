//! Text of an instruction that knows where it stands, so that a caret can be put below it.

use std::ops::Range;

/// A part of an instruction's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The text.
    pub text: &'a str,
    /// Where it begins in the line, in bytes.
    pub at: usize,
}

/// What is wrong with a line, and where in it (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub at: Range<usize>,
    /// What, as a clause.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Wrong {
    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl<'a> Part<'a> {
    /// A whole line.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where it is.
    pub fn range(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// This is wrong.
    pub fn wrong(self, what: impl Into<String>) -> Wrong {
        Wrong { at: self.range(), what: what.into(), hint: None }
    }

    /// From `start` on (bytes).
    pub fn from(self, start: usize) -> Self {
        Self { text: &self.text[start..], at: self.at + start }
    }

    /// Without white space at both ends.
    pub fn trim(self) -> Self {
        let left = self.text.len() - self.text.trim_start().len();
        Self { text: self.text.trim(), at: self.at + left }
    }

    /// The first word, and what comes behind the white space after it.
    pub fn first_word(self) -> (Self, Self) {
        match self.text.find(is_blank) {
            Some(end) => {
                let rest = self.from(end);
                let blanks = rest.text.len() - rest.text.trim_start_matches(is_blank).len();
                (Self { text: &self.text[..end], at: self.at }, rest.from(blanks))
            }
            None => (self, self.from(self.text.len())),
        }
    }

    /// All of its words, divided at white space whatever else is there.
    pub fn words(self) -> Vec<Self> {
        let mut words = Vec::new();
        let mut rest = self.trim();
        while !rest.text.is_empty() {
            let (word, behind) = rest.first_word();
            words.push(word);
            rest = behind;
        }
        words
    }
}

/// What divides the words of an instruction; a line break is not in it.
pub fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_know_where_they_are() {
        let line = Part::new("  RUN \t é  x ");
        let words = line.words();
        let found: Vec<_> = words.iter().map(|word| (word.text, word.at)).collect();
        assert_eq!(found, [("RUN", 2), ("é", 8), ("x", 12)]);
        for word in words {
            assert_eq!(&line.text[word.range()], word.text);
        }
        assert!(Part::new(" \t ").words().is_empty());
    }
}
