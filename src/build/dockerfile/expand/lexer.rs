//! The lexer: one pass over a word, with what is nested in `${…}` by recursion.

use super::Env;
use super::pattern::Pattern;

/// `${a:-${b:-…}}` may go this deep; nobody writes ten.
const DEEPEST: usize = 64;

/// How a word is read.
#[derive(Debug, Clone, Copy)]
pub struct Lexer {
    /// What takes the meaning from the next character.
    pub escape: char,
    /// Whether `"` and `'` mean anything.
    pub quotes: bool,
    /// Quotes stay in the result.
    pub raw_quotes: bool,
    /// Escape characters stay in the result.
    pub raw_escapes: bool,
    /// A variable that there is not stays as it is written.
    pub keep_unset: bool,
}

impl Lexer {
    /// As a word of an instruction is read.
    pub fn new(escape: char) -> Self {
        Self { escape, quotes: true, raw_quotes: false, raw_escapes: false, keep_unset: false }
    }

    /// What a text stands for: as it is, and divided into words.
    pub fn lex(self, text: &str, env: Env<'_>) -> Result<(String, Vec<String>), String> {
        let mut scan = Scan { lexer: self, chars: text.chars().collect(), at: 0, env, depth: 0 };
        scan.until(None, self.raw_escapes)
    }
}

struct Scan<'a> {
    lexer: Lexer,
    chars: Vec<char>,
    at: usize,
    env: Env<'a>,
    depth: usize,
}

/// The words that a text is divided into: at white space, unless it is raw (quoted, escaped).
#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
}

impl Words {
    fn char(&mut self, c: char) {
        match c.is_whitespace() {
            true => self.end(),
            false => self.word.push(c),
        }
    }

    fn end(&mut self) {
        if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    /// Everything up to `stop`, which is consumed.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<(String, Vec<String>), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("${{…}} within ${{…}} more than {DEEPEST} deep"));
        }
        let (mut result, mut words) = (String::new(), Words::default());
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.next();
                words.end();
                self.depth -= 1;
                return Ok((result, words.done));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    value.chars().for_each(|c| words.char(c));
                    result.push_str(&value);
                }
                '\'' | '"' if self.lexer.quotes => {
                    let text = if c == '"' { self.double(raw)? } else { self.single()? };
                    words.word.push_str(&text);
                    result.push_str(&text);
                }
                '<' => {
                    let text = self.perhaps_a_document();
                    words.word.push_str(&text);
                    result.push_str(&text);
                }
                _ => self.other(raw, &mut result, &mut words),
            }
        }
        if let Some(stop) = stop {
            return Err(format!("`{stop}` is missing"));
        }
        words.end();
        self.depth -= 1;
        Ok((result, words.done))
    }

    fn other(&mut self, raw: bool, result: &mut String, words: &mut Words) {
        let Some(c) = self.next() else { return };
        if c != self.lexer.escape {
            words.char(c);
            return result.push(c);
        }
        if raw {
            words.word.push(c);
            result.push(c);
        }
        // At the end it escapes nothing, and is nothing.
        if let Some(c) = self.next() {
            words.word.push(c);
            result.push(c);
        }
    }

    /// `<<`, and the white space between it and a delimiter: that divides no words.
    fn perhaps_a_document(&mut self) -> String {
        self.next();
        if self.peek() != Some('<') {
            return "<".to_owned();
        }
        self.next();
        let mut text = "<<".to_owned();
        while let Some(c) = self.peek().filter(|c| matches!(c, ' ' | '\t' | '\r')) {
            self.next();
            text.push(c);
        }
        text
    }

    fn single(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let quote = self.next().filter(|_| self.lexer.raw_quotes);
        text.extend(quote);
        loop {
            match self.next() {
                None => return Err("a ' is not closed".to_owned()),
                Some('\'') => {
                    text.extend(quote);
                    return Ok(text);
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn double(&mut self, raw: bool) -> Result<String, String> {
        let mut text = String::new();
        let quote = self.next().filter(|_| self.lexer.raw_quotes);
        text.extend(quote);
        loop {
            match self.peek() {
                None => return Err("a \" is not closed".to_owned()),
                Some('"') => {
                    self.next();
                    text.extend(quote);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) => {
                    self.next();
                    let escapes = c == self.lexer.escape;
                    if escapes && raw {
                        text.push(c);
                    }
                    match self.peek() {
                        None if escapes => {}
                        // Only these can be escaped here; before others it is what it is.
                        Some(next) if escapes && (matches!(next, '"' | '$') || next == c) => {
                            self.next();
                            text.push(next);
                        }
                        _ => text.push(c),
                    }
                }
            }
        }
    }

    fn dollar(&mut self) -> Result<String, String> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(match (self.env)(&name) {
                _ if name.is_empty() => "$".to_owned(),
                Some(value) => value,
                None if self.lexer.keep_unset => format!("${name}"),
                None => String::new(),
            });
        }
        self.next();
        match self.peek() {
            None => return Err("`}` is missing after `${`".to_owned()),
            Some('{' | '}' | ':') => return Err("`${` is followed by no name".to_owned()),
            Some(_) => {}
        }
        let name = self.name();
        let value = (self.env)(&name);
        let unknown = |what: String| {
            format!(
                "`${{{name}{what}` is none of the forms that docker knows (:- - :+ + :? ? # % /)"
            )
        };
        match self.next() {
            None => Err(format!("`}}` is missing after `${{{name}`")),
            Some('}') => Ok(match value {
                Some(value) => value,
                None if self.lexer.keep_unset => format!("${{{name}}}"),
                None => String::new(),
            }),
            Some('/') => self.replaced(&name, value),
            Some(':') => match self.next() {
                None => Err(format!("`}}` is missing after `${{{name}:`")),
                Some(c @ ('-' | '+' | '?' | '#' | '%')) => self.modified(&name, value, c, true),
                Some(c) => Err(unknown(format!(":{c}"))),
            },
            Some(c @ ('-' | '+' | '?' | '#' | '%')) => self.modified(&name, value, c, false),
            Some(c) => Err(unknown(c.to_string())),
        }
    }

    /// `${name:-word}` and its like, behind the `-`.
    fn modified(
        &mut self,
        name: &str,
        value: Option<String>,
        modifier: char,
        colon: bool,
    ) -> Result<String, String> {
        let (word, _) = self.until(Some('}'), matches!(modifier, '#' | '%'))?;
        if value.is_none() && self.lexer.keep_unset {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let counts = value.as_deref().is_some_and(|value| !(colon && value.is_empty()));
        match modifier {
            '-' => Ok(if counts { value.unwrap_or_default() } else { word }),
            '+' => Ok(if counts { word } else { String::new() }),
            '?' if counts => Ok(value.unwrap_or_default()),
            '?' => Err(match (word.as_str(), value) {
                ("", None) => format!("{name} is not set"),
                ("", Some(_)) => format!("{name} is empty"),
                (word, _) => format!("{name}: {word}"),
            }),
            _ => {
                let value = value.unwrap_or_default();
                let (word, longest) = match word.strip_prefix(modifier) {
                    Some(word) => (word, true),
                    None => (word.as_str(), false),
                };
                let pattern = Pattern::parse(word)?;
                Ok(match modifier {
                    '#' => pattern.without_prefix(&value, longest),
                    _ => pattern.without_suffix(&value, longest),
                })
            }
        }
    }

    /// `${name/pattern/text}`, `${name//pattern/text}`, behind the first `/`.
    fn replaced(&mut self, name: &str, value: Option<String>) -> Result<String, String> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let (pattern, _) = self.until(Some('/'), true)?;
        let (text, _) = self.until(Some('}'), true)?;
        match value {
            None if self.lexer.keep_unset => Ok(format!("${{{name}/{pattern}/{text}}}")),
            value => Ok(Pattern::parse(&pattern)?.replace(&value.unwrap_or_default(), &text, all)),
        }
    }

    /// A name, digits, or one of the characters that a shell has values for.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.peek() {
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.peek().filter(|c| c.is_numeric()) {
                    self.next();
                    name.push(c);
                }
            }
            Some(c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) => {
                self.next();
                name.push(c);
            }
            _ => {
                while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
                    self.next();
                    name.push(c);
                }
            }
        }
        name
    }
}
