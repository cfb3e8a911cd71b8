//! Wrapping of prose, by what a terminal shows rather than by bytes.

use unicode_width::UnicodeWidthChar;

/// Columns that `text` takes on a terminal; escape sequences of colour take none.
pub fn width_of(text: &str) -> usize {
    // Most of what is shown, and there is much of it in a table.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.len();
    }
    let mut width = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            for c in chars.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            width += c.width().unwrap_or(0);
        }
    }
    width
}

/// Breaks each line of `text` at spaces so that it fits `width` columns;
/// continuation lines start with the line's own indentation and `hang`.
pub fn wrap(text: &str, width: usize, hang: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| wrap_line(line, width, hang)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, width: usize, hang: &str) -> String {
    if width_of(line) <= width {
        return line.to_owned();
    }
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut result = String::new();
    let mut current = indent.to_owned();
    let mut empty = true;
    for word in line.split_whitespace() {
        if !empty && width_of(&current) + 1 + width_of(word) > width {
            result.push_str(&current);
            result.push('\n');
            current = format!("{indent}{hang}");
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(word);
        empty = false;
    }
    result + &current
}

/// The same, and what no space divides is broken where the line ends.
pub fn fold(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in wrap(text, width, "").lines() {
        let mut rest = String::new();
        for c in line.chars() {
            if width_of(&rest) + c.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut rest));
            }
            rest.push(c);
        }
        lines.push(rest);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_spaces_and_keeps_indentation() {
        assert_eq!(wrap("  one two three", 9, "> "), "  one two\n  > three");
        assert_eq!(wrap("short", 9, ""), "short");
        assert_eq!(wrap("unbreakably long", 5, ""), "unbreakably\nlong");
    }

    #[test]
    fn colour_takes_no_columns() {
        assert_eq!(width_of("\u{1b}[1;31mred\u{1b}[0m"), 3);
        assert_eq!(width_of("漢字"), 4);
    }
}
