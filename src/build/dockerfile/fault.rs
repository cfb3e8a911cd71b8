//! What is wrong with a Dockerfile: the file, the line and a caret below the place.

use crate::error::Error;

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
    pub place: std::ops::Range<usize>,
    /// What, as a clause.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        let ParseError { name, line, what, hint, .. } = error;
        let mut error = Error::new(format!("{name}:{line}: {what}"));
        error.hint = hint;
        error
    }
}
