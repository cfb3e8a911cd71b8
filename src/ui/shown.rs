//! Text of others (names, labels, what a Dockerfile said) as it is shown: what
//! could drive a terminal, or make its text read otherwise, is escaped.

/// `text` with every character that is not seen as itself as Rust would write it: `\u{1b}`.
pub fn shown(text: &str) -> String {
    let as_it_is = |c: char| matches!(c, '\\' | '"' | '\'');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match as_it_is(c) {
            true => shown.push(c),
            false => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped() {
        assert_eq!(shown("é \\x2d \"漢\""), "é \\x2d \"漢\"");
        assert_eq!(shown("\u{1b}[31m\u{9b}\u{202e}\r\n\t"), "\\u{1b}[31m\\u{9b}\\u{202e}\\r\\n\\t");
    }
}
