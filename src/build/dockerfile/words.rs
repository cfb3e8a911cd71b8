//! Words of an instruction's line, with their quotes still on, and JSON arrays.

use super::part::{Part, Wrong};

/// The words of `ENV`, `LABEL` and `ARG`: divided at white space that is
/// neither quoted nor escaped.
pub fn quoted(part: Part<'_>, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = part.text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let start = part.at + at;
        let word = word.get_or_insert_with(|| Word { text: String::new(), at: start..start });
        word.at.end = start + c.len_utf8();
        match c {
            c if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            c if c == escape && quote != Some('\'') => {
                // Nothing is left for it to escape at the end.
                let Some((at, next)) = chars.next() else { continue };
                word.at.end = part.at + at + next.len_utf8();
                word.text.push(c);
                word.text.push(next);
                continue;
            }
            _ => {}
        }
        word.text.push(c);
    }
    words.extend(word);
    words.retain(|word| !word.text.is_empty());
    words
}

/// Such a word; a lone escape character at the end is not in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub text: String,
    /// Where.
    pub at: std::ops::Range<usize>,
}

impl Word {
    /// This is wrong.
    pub fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { at: self.at.clone(), what: what.into(), hint: None }
    }
}

/// A JSON array of strings; `None` if the text is none, and so is to be read
/// otherwise. An array of other things is an error, as in docker.
pub fn array(part: Part<'_>) -> Result<Option<Vec<String>>, Wrong> {
    if !part.text.starts_with('[') {
        return Ok(None);
    }
    let Ok(items) = serde_json::from_str::<Vec<serde_json::Value>>(part.text) else {
        return Ok(None);
    };
    let string = |item: serde_json::Value| match item {
        serde_json::Value::String(text) => Ok(text),
        other => Err(part
            .wrong(format!("a JSON array here has strings only, and {other} is none"))
            .hint("Put it into double quotes.")),
    };
    let strings = items.into_iter().map(string).collect::<Result<Vec<_>, _>>()?;
    match strings.iter().any(|text| text.contains('\0')) {
        true => Err(part.wrong("a NUL can be in no command, path or variable")),
        false => Ok(Some(strings)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        let of = |text| {
            let words = quoted(Part::new(text), '\\');
            words.into_iter().map(|word| word.text).collect::<Vec<_>>()
        };
        assert_eq!(of(r#"a="b c" 'd e'=f g\ h"#), [r#"a="b c""#, "'d e'=f", r"g\ h"]);
        assert_eq!(of(r#"a="b\" c" d"#), [r#"a="b\" c""#, "d"]);
        assert_eq!(of(r"a='b\' c"), [r"a='b\'", "c"]);
        assert_eq!(of(r"a=b\"), ["a=b"]);
        assert_eq!(of("a=\"open b"), ["a=\"open b"]);
        assert_eq!(of("  "), [""; 0]);
        let words = quoted(Part::new("é=1  b=2"), '\\');
        assert_eq!((words[1].at.clone(), words[1].text.as_str()), (6..9, "b=2"));
    }

    #[test]
    fn an_array_is_of_strings() {
        assert_eq!(array(Part::new(r#"["a", "\u00e9"]"#)).unwrap().unwrap(), ["a", "é"]);
        assert_eq!(array(Part::new("[]")).unwrap().unwrap(), [""; 0]);
        for text in ["['a']", "[ -f x ] && y", r#"["a"] b"#, r#"["a""#, "echo"] {
            assert_eq!(array(Part::new(text)), Ok(None), "{text}");
        }
        assert!(array(Part::new(r#"["a", 1]"#)).is_err());
    }
}
