//! A `sh run` line taken apart as a shell would do it, but without a shell:
//! words, quotes, and the names that the lesson has bound. Nothing is
//! expanded or substituted that is not one of those names.

/// One piece of a lesson's command line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

/// A command line: words, each made of text and `$names`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Vec<Vec<Piece>>);

impl Line {
    /// Takes a line apart; the error says what a lesson's line cannot contain.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut word: Option<Vec<Piece>> = None;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                ' ' | '\t' => words.extend(word.take()),
                '\'' => text(&mut word, &until_quote(&mut chars, '\'')?),
                '"' => {
                    let inner = until_quote(&mut chars, '"')?;
                    names_in(word.get_or_insert_default(), &inner);
                }
                '\\' => match chars.next() {
                    Some(c) => text(&mut word, &c.to_string()),
                    None => return Err("the line ends in a backslash".to_owned()),
                },
                '|' | '&' | ';' | '<' | '>' | '`' => {
                    return Err(format!(
                        "{c} is for a shell; a `sh run` line is one command of this program \
                         (quote it, or use `sh shell`)"
                    ));
                }
                '$' => word.get_or_insert_default().push(dollar(&mut chars)),
                c => text(&mut word, &c.to_string()),
            }
        }
        words.extend(word);
        if words.is_empty() { Err("the line is empty".to_owned()) } else { Ok(Self(words)) }
    }

    /// The names it uses.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Its words, with `value` saying what each name stands for.
    pub fn words(&self, value: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(name) => value(name).unwrap_or_default(),
        };
        self.0.iter().map(|word| word.iter().map(piece).collect()).collect()
    }
}

/// The `$names` in a line that a shell will perform.
pub fn shell_names(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        rest = rest[at + 1..].trim_start_matches('{');
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        if name.contains('_') {
            names.push(name);
        }
    }
    names
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn text(word: &mut Option<Vec<Piece>>, text: &str) {
    let word = word.get_or_insert_default();
    match word.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => word.push(Piece::Text(text.to_owned())),
    }
}

fn until_quote(chars: &mut impl Iterator<Item = char>, quote: char) -> Result<String, String> {
    let mut inner = String::new();
    for c in chars {
        if c == quote {
            return Ok(inner);
        }
        inner.push(c);
    }
    Err(format!("the quote {quote} is not closed"))
}

fn names_in(word: &mut Vec<Piece>, inner: &str) {
    let mut held = Some(std::mem::take(word));
    text(&mut held, "");
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => held.get_or_insert_default().push(dollar(&mut chars)),
            c => text(&mut held, &c.to_string()),
        }
    }
    *word = held.unwrap_or_default();
}

/// What follows a `$`: a name, or nothing that we know.
fn dollar(chars: &mut std::iter::Peekable<impl Iterator<Item = char>>) -> Piece {
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| is_name(*c)) {
        name.push(c);
    }
    if name.is_empty() { Piece::Text("$".to_owned()) } else { Piece::Name(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let value = |name: &str| (name == "box_pid").then(|| "7".to_owned());
        Line::parse(line).map(|line| line.words(value)).unwrap_or_else(|error| vec![error])
    }

    #[test]
    fn quotes_and_names_are_a_shells() {
        assert_eq!(words("a  'b c' \"d $box_pid\" e\\ f"), ["a", "b c", "d 7", "e f"]);
        assert_eq!(words("x '$box_pid' $box_pid ''"), ["x", "$box_pid", "7", ""]);
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        assert!(words("a | b")[0].starts_with("| is for a shell"));
        assert_eq!(words("a 'b"), ["the quote ' is not closed"]);
    }

    #[test]
    fn names_in_a_shell_line() {
        assert_eq!(shell_names("ls /proc/$box_pid/ns ${box_id} $1 $HOME"), ["box_pid", "box_id"]);
    }
}
