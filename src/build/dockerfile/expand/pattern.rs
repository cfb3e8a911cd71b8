//! The patterns of `${X#p}`, `${X%p}` and `${X/p/text}`: `*`, `?`, and `\` before one of them.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    Char(char),
}

impl Token {
    /// A `*` or `?` is for one line only, as in docker.
    fn takes(self, c: char) -> bool {
        match self {
            Self::Any | Self::One => c != '\n',
            Self::Char(own) => own == c,
        }
    }
}

impl Pattern {
    /// Reads a pattern; the error is a clause.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(c),
                    Some(c) => {
                        return Err(format!(
                            "`\\{c}` in a pattern: only *, ?, \\, / and }} are escaped"
                        ));
                    }
                    None => return Err("a pattern ends in `\\`".to_owned()),
                },
                c => Token::Char(c),
            });
        }
        Ok(Self(tokens))
    }

    /// Where a match that begins at `start` ends: the farthest, or nearest, such place.
    fn ends(&self, chars: &[char], start: usize, longest: bool) -> Option<usize> {
        // Which tokens may come next, all possibilities at once.
        let mut next = vec![false; self.0.len() + 1];
        next[0] = true;
        self.skip_stars(&mut next);
        let mut found = None;
        for at in start..=chars.len() {
            if next[self.0.len()] {
                found = Some(at);
                if !longest {
                    return found;
                }
            }
            let Some(c) = chars.get(at) else { break };
            let mut after = vec![false; next.len()];
            for (index, token) in self.0.iter().enumerate() {
                if next[index] && token.takes(*c) {
                    after[if *token == Token::Any { index } else { index + 1 }] = true;
                }
            }
            self.skip_stars(&mut after);
            next = after;
            if !next.contains(&true) {
                break;
            }
        }
        found
    }

    /// A `*` may stand for nothing.
    fn skip_stars(&self, next: &mut [bool]) {
        for (index, token) in self.0.iter().enumerate() {
            if next[index] && *token == Token::Any {
                next[index + 1] = true;
            }
        }
    }

    /// `${X#p}`, or `${X##p}` for the longest.
    pub fn without_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = self.ends(&chars, 0, longest).unwrap_or(0);
        chars[end..].iter().collect()
    }

    /// `${X%p}`, or `${X%%p}` for the longest.
    pub fn without_suffix(&self, value: &str, longest: bool) -> String {
        let reversed: String = value.chars().rev().collect();
        let pattern = Self(self.0.iter().rev().copied().collect());
        pattern.without_prefix(&reversed, longest).chars().rev().collect()
    }

    /// `${X/p/text}`, or `${X//p/text}` for all.
    pub fn replace(&self, value: &str, text: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let (mut at, mut behind) = (0, None);
        while at <= chars.len() {
            match self.ends(&chars, at, true) {
                // Nothing, right behind a match, is no match of its own.
                Some(end) if end > at || behind != Some(at) => {
                    result.push_str(text);
                    if end == at {
                        result.extend(chars.get(at));
                    }
                    at = end.max(at + usize::from(end == at));
                    behind = Some(end);
                    if !all {
                        break;
                    }
                }
                _ => {
                    result.extend(chars.get(at));
                    at += 1;
                }
            }
        }
        result.extend(chars.get(at..).unwrap_or_default());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_suffixes_and_replacements() {
        let p = |text: &str| Pattern::parse(text).unwrap();
        assert_eq!(p("*/").without_prefix("a/b/c", false), "b/c");
        assert_eq!(p("*/").without_prefix("a/b/c", true), "c");
        assert_eq!(p(".*").without_suffix("x.tar.gz", false), "x.tar");
        assert_eq!(p(".*").without_suffix("x.tar.gz", true), "x");
        assert_eq!(p("y").without_prefix("xy", false), "xy");
        assert_eq!(p("\\*").without_prefix("*a", false), "a");
        assert_eq!(p("?").without_suffix("ab", false), "a");
        assert_eq!(p("b*d").replace("abcdcde", "-", false), "a-e");
        assert_eq!(p("b").replace("abcb", "-", true), "a-c-");
        assert_eq!(p("b").replace("abcb", "-", false), "a-cb");
        assert_eq!(p("*").replace("abc", "-", true), "-");
        assert_eq!(p("").replace("ab", "-", true), "-a-b-");
        assert_eq!(p("").replace("ab", "-", false), "-ab");
        assert_eq!(p("*").without_prefix("a\nb", true), "\nb");
        assert!(Pattern::parse("\\a").is_err() && Pattern::parse("\\").is_err());
    }

    /// Not exponential, whatever the pattern.
    #[test]
    fn many_stars_are_no_trouble() {
        let pattern = Pattern::parse(&"*a".repeat(200)).unwrap();
        assert_eq!(pattern.without_prefix(&"a".repeat(199), true).len(), 199);
    }
}
