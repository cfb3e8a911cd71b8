//! Checks that cannot fail: a shell's line exits with what its last command does,
//! and a filter at the end of a pipe succeeds whether or not anything came to it.

/// Filters that exit with 0 whatever they read. Not `sed` and `sort`: they can be told to fail
/// (`q1`, `-c`).
const CONTENT: [&str; 9] = ["cat", "column", "cut", "head", "nl", "tail", "tr", "uniq", "wc"];

/// The filter at the end of a line that makes it hold always, if there is one. Not a shell's
/// grammar: what is quoted or in parentheses is passed over.
pub fn content_filter(line: &str) -> Option<&'static str> {
    let (mut quote, mut depth, mut piped) = (None, 0_usize, false);
    let mut last = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (Some(_), _) => {}
            (None, '\\') => drop(chars.next()),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, '|' | '&' | ';') if depth == 0 => {
                let twice = chars.next_if_eq(&c).is_some();
                piped = c == '|' && !twice;
                last.clear();
            }
            (None, c) if depth == 0 => last.push(c),
            (None, _) => {}
        }
    }
    let first = last.split_whitespace().next().filter(|_| piped)?;
    CONTENT.into_iter().find(|filter| *filter == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_at_the_end_hides_what_failed_before_it() {
        for line in ["grep x y | cut -c 1", "a && b | uniq", "x=$(false); ls | wc -l"] {
            assert!(content_filter(line).is_some(), "{line}");
        }
        for line in [
            "grep x y | cut -c 1 | grep .",
            "test $(ls | wc -l) = 1",
            "ls | head -n 1 || echo none",
            "ls | cut -c 1 && false",
            "echo 'a | cat'",
            "cat x",
            "cat x | sort -c",
            "cat x | sed -n '/y/q; $q1'",
        ] {
            assert_eq!(content_filter(line), None, "{line}");
        }
    }
}
