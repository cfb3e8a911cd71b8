//! From bytes to the lines that instructions are: comments taken out, continued
//! lines put together, and for every character where it was in the file.

use std::ops::Range;

use super::ast::{Directives, Heredoc, Source};
use super::fault::ParseError;
use super::part::Wrong;

/// A byte order mark.
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// The lines of a file, of which some are read already.
pub struct Lines<'a> {
    name: &'a str,
    /// With their line breaks.
    lines: Vec<&'a [u8]>,
    next: usize,
}

/// An instruction as one line.
#[derive(Debug, Clone)]
pub struct Logical {
    /// The line.
    pub text: String,
    /// Whether an empty line was among those that continue it: the first such.
    pub gap: Option<usize>,
    /// The first of its lines in the file, as an index.
    first: usize,
    /// Behind its last one.
    end: usize,
    pieces: Vec<Piece>,
}

/// A piece of such a line that was a line of the file.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where it begins in the text, in bytes.
    start: usize,
    /// The line in the file, as an index.
    line: usize,
    /// The character of that line it begins with, from 0.
    column: usize,
}

impl<'a> Lines<'a> {
    /// Nothing is read yet.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        Self { name, lines, next: 0 }
    }

    /// The directives at the beginning: comments `# name=value`, until one is none; and the line of
    /// that with the syntax.
    pub fn directives(&self) -> Result<(Directives, usize), ParseError> {
        let mut syntax_line = 0;
        let mut directives = Directives::default();
        let mut escape = None;
        let shebang = self.lines.first().is_some_and(|line| line.starts_with(b"#!"));
        for index in usize::from(shebang)..self.lines.len() {
            let Some((key, value)) = directive(&self.text(index)) else { break };
            let twice = |known: bool| match known {
                true => Err(self.wrong(index, format!("the directive {key} is given twice"))),
                false => Ok(()),
            };
            match key.as_str() {
                "escape" => {
                    twice(escape.is_some())?;
                    let of = match value.as_str() {
                        "\\" => '\\',
                        "`" => '`',
                        _ => {
                            let mut wrong =
                                self.wrong(index, format!("{value:?} cannot escape anything"));
                            wrong.hint =
                                Some("The escape directive is \\ (the default) or `.".to_owned());
                            return Err(wrong);
                        }
                    };
                    escape = Some(of);
                }
                "syntax" => {
                    twice(directives.syntax.is_some())?;
                    syntax_line = index + 1;
                    directives.syntax = value.split(' ').next().map(str::to_owned);
                }
                "check" => {
                    twice(directives.check.is_some())?;
                    directives.check = Some(value);
                }
                _ => break,
            }
        }
        // Below `#!` docker looks for a syntax only.
        directives.escape = escape.filter(|_| !shebang).unwrap_or(directives.escape);
        Ok((directives, syntax_line))
    }

    /// The next instruction's line.
    pub fn next(&mut self, escape: char) -> Result<Option<Logical>, ParseError> {
        while self.next < self.lines.len() {
            let text = self.text(self.next);
            let text = text.trim_start();
            if text.is_empty() || text.starts_with('#') {
                self.next += 1;
                continue;
            }
            let logical = self.logical(escape)?;
            if logical.text.trim().is_empty() {
                let mut wrong =
                    self.wrong(logical.first, "nothing comes after this line".to_owned());
                wrong.hint =
                    Some(format!("A line that ends in {escape} is continued by the next one."));
                return Err(wrong);
            }
            return Ok(Some(logical));
        }
        Ok(None)
    }

    fn logical(&mut self, escape: char) -> Result<Logical, ParseError> {
        let first = self.next;
        let mut logical =
            Logical { text: String::new(), gap: None, first, end: first, pieces: Vec::new() };
        while self.next < self.lines.len() {
            let index = self.next;
            self.next += 1;
            let text = self.text(index);
            let rest = text.trim_start();
            if rest.starts_with('#') {
                continue;
            }
            if rest.is_empty() {
                logical.gap = logical.gap.or(Some(index + 1));
                continue;
            }
            self.check(index)?;
            let of_it = if index == first { rest } else { &text };
            let column = text.chars().count() - of_it.chars().count();
            let (of_it, goes_on) = match continued(of_it, escape) {
                Some(before) => (before, true),
                None => (of_it, false),
            };
            logical.pieces.push(Piece { start: logical.text.len(), line: index, column });
            logical.text.push_str(of_it);
            logical.end = index + 1;
            if !goes_on {
                break;
            }
        }
        Ok(logical)
    }

    /// The text of a here-document, up to its delimiter; `at` is where it is named.
    pub fn document(
        &mut self,
        document: &mut Heredoc,
        logical: &mut Logical,
        at: Range<usize>,
    ) -> Result<(), ParseError> {
        while self.next < self.lines.len() {
            let index = self.next;
            self.next += 1;
            let text = self.text(index);
            let end = if document.chomp { text.trim_start_matches('\t') } else { &text };
            if end == document.name {
                logical.end = self.next;
                return Ok(());
            }
            self.check(index)?;
            document.text.push_str(&String::from_utf8_lossy(self.lines[index]));
        }
        let wrong = Wrong {
            at,
            what: format!("the here-document {} does not end", document.name),
            hint: None,
        };
        let tabs = if document.chomp { " (tabs before it do not count)" } else { "" };
        let hint = format!("A line with {} and nothing else ends it{tabs}.", document.name);
        Err(self.located(logical, wrong.hint(hint)))
    }

    /// Where an instruction is.
    pub fn source(&self, logical: &Logical) -> Source {
        let raw = self.lines[logical.first..logical.end].concat();
        Source {
            first: logical.first + 1,
            last: logical.end,
            text: String::from_utf8_lossy(&raw).trim_end_matches(['\r', '\n']).to_owned(),
            line: logical.text.trim().to_owned(),
        }
    }

    /// What is wrong with an instruction, found in the file.
    pub fn located(&self, logical: &Logical, wrong: Wrong) -> ParseError {
        let Wrong { at, what, hint } = wrong;
        let index =
            logical.pieces.partition_point(|piece| piece.start <= at.start).saturating_sub(1);
        let Some(piece) = logical.pieces.get(index) else {
            return ParseError { hint, ..self.wrong(logical.first, what) };
        };
        let end = logical.pieces.get(index + 1).map_or(logical.text.len(), |next| next.start);
        let chars =
            |range: Range<usize>| logical.text.get(range).map_or(0, |text| text.chars().count());
        let start = piece.column + chars(piece.start..at.start.min(end));
        let length = chars(at.start.min(end)..at.end.clamp(at.start.min(end), end));
        ParseError {
            name: self.name.to_owned(),
            line: piece.line + 1,
            text: self.text(piece.line),
            place: start..start + length,
            what,
            hint,
        }
    }

    /// A whole line is wrong.
    pub fn wrong(&self, index: usize, what: String) -> ParseError {
        let text = self.lines.get(index).map(|_| self.text(index)).unwrap_or_default();
        let start = text.chars().count() - text.trim_start().chars().count();
        let place = start..start + text.trim().chars().count();
        ParseError { name: self.name.to_owned(), line: index + 1, text, place, what, hint: None }
    }

    /// A line's text without its line break.
    fn text(&self, index: usize) -> String {
        String::from_utf8_lossy(self.lines[index]).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Whether a line can be part of an instruction at all.
    fn check(&self, index: usize) -> Result<(), ParseError> {
        let line = self.lines[index];
        let (valid, what) = match std::str::from_utf8(line) {
            Err(error) => (error.valid_up_to(), "this is not UTF-8"),
            Ok(_) => match line.iter().position(|byte| *byte == 0) {
                Some(at) => (at, "a NUL can be in no command, path or variable"),
                None => return Ok(()),
            },
        };
        let column = String::from_utf8_lossy(&line[..valid]).chars().count();
        Err(ParseError { place: column..column + 1, ..self.wrong(index, what.to_owned()) })
    }
}

/// A line without the escape character that continues it; `None` where it ends.
fn continued(line: &str, escape: char) -> Option<&str> {
    let before = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

/// `# name = value`.
fn directive(line: &str) -> Option<(String, String)> {
    let (key, value) = line.trim_start().strip_prefix('#')?.trim_start().split_once('=')?;
    let (key, value) = (key.trim_end(), value.trim());
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric());
    (word && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value.to_owned()))
}
