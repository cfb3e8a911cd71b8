//! `--plain`: for a screen reader, a braille line, a log. Nothing is drawn and
//! nothing written over; what a sign says elsewhere, a word says here.

/// Whether `UTH_PLAIN` asks for it.
pub fn wanted() -> bool {
    std::env::var_os("UTH_PLAIN").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The text without what is drawn: lines and bars go, signs become words or plain marks.
pub fn linear(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let text =
        text.replace(" · ", "; ").replace("✓ ", "").replace("✗ ", "").replace("– cannot", "cannot");
    let lines = text.split('\n').map(|line| undrawn(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

/// A line without its drawing; `None` where it has none.
fn undrawn(line: &str) -> Option<String> {
    let drawn = |c: char| matches!(c, '\u{2500}'..='\u{259f}' | '…' | '→' | '✓' | '✗' | '·');
    if !line.contains(drawn) {
        return None;
    }
    let mut kept = String::new();
    let mut bar = false;
    for c in line.chars() {
        match c {
            '├' | '└' => kept.push('-'),
            '│' | '─' | '┬' | '┐' | '┘' | '┌' | '┤' | '┴' | '┼' => kept.push(' '),
            '\u{2500}'..='\u{259f}' => bar = true,
            // The gap after a bar goes with it.
            ' ' if bar => {}
            '…' => kept.push_str("..."),
            '→' => kept.push_str("to"),
            '✓' => kept.push_str("yes"),
            '✗' => kept.push_str("no"),
            '·' => kept.push(';'),
            c => {
                bar = false;
                kept.push(c);
            }
        }
    }
    Some(kept.trim_end().to_owned())
}

/// What a choice is called: a letter here, a number elsewhere.
pub fn choice(index: usize, plain: bool) -> String {
    match (plain, u8::try_from(index)) {
        (true, Ok(index @ 0..26)) => char::from(b'a' + index).to_string(),
        _ => (index + 1).to_string(),
    }
}

/// The choice that a key means, of so many.
pub fn chosen(key: char, most: usize, plain: bool) -> Option<usize> {
    let index = match plain {
        true => (key.to_ascii_lowercase() as usize).checked_sub('a' as usize),
        false => (key.to_digit(10)? as usize).checked_sub(1),
    };
    index.filter(|index| *index < most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_becomes_words_or_goes() {
        assert_eq!(linear("✓ holds · here\n├─1\n│ └─3"), "holds; here\n- 1\n  - 3");
        assert_eq!(linear("nice 0  ██░░┃  50 %"), "nice 0  50 %");
        assert_eq!(linear("a → b…"), "a to b...");
        assert_eq!(linear("– cannot be tested"), "cannot be tested");
        assert_eq!(linear("Größe: 漢字"), "Größe: 漢字");
    }

    #[test]
    fn choices_have_letters_when_plain() {
        assert_eq!((choice(0, true), choice(1, false)), ("a".to_owned(), "2".to_owned()));
        assert_eq!(chosen('b', 2, true), Some(1));
        assert_eq!((chosen('c', 2, true), chosen('1', 2, true)), (None, None));
        assert_eq!((chosen('2', 2, false), chosen('0', 2, false)), (Some(1), None));
    }
}
