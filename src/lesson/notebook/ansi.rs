//! What commands wrote, for a page: colours stay, and whatever else could drive a
//! terminal goes. Output may contain any bytes at all.

/// A stretch of text of one look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Classes of the style sheet: `bold`, `red`.
    pub classes: Vec<&'static str>,
    /// The text.
    pub text: String,
}

/// The text in stretches of one look.
pub fn spans(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = vec![Span::default()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                let Some(look) = escape(&mut chars) else { continue };
                let mut classes = spans.last().map(|span| span.classes.clone()).unwrap_or_default();
                change(&mut classes, &look);
                spans.push(Span { classes, text: String::new() });
            }
            // A line that was written over again and again: each stands for itself.
            '\r' if chars.peek() != Some(&'\n') => push(&mut spans, '\n'),
            c if is_shown(c) => push(&mut spans, c),
            _ => {}
        }
    }
    spans.retain(|span| !span.text.is_empty());
    spans
}

/// Only the text.
pub fn plain(text: &str) -> String {
    spans(text).into_iter().map(|span| span.text).collect()
}

fn push(spans: &mut [Span], c: char) {
    if let Some(span) = spans.last_mut() {
        span.text.push(c);
    }
}

/// Neither a control character, nor one that turns the direction of text around
/// (what follows would be read in another order), nor one that is none (HTML
/// forbids those).
fn is_shown(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let none = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    matches!(c, '\n' | '\t') || !(c.is_control() || turns || none)
}

/// Reads an escape sequence to its end; what it says, if it is about the look of text.
fn escape(chars: &mut std::iter::Peekable<std::str::Chars>) -> Option<String> {
    match chars.next()? {
        '[' => {
            let mut inside = String::new();
            for c in chars.by_ref() {
                match c {
                    'm' => return Some(inside),
                    '\u{40}'..='\u{7e}' => return None,
                    c => inside.push(c),
                }
            }
            None
        }
        // A title, a link: up to BEL or ESC \.
        ']' | 'P' | '^' | '_' | 'X' => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
            None
        }
        '(' | ')' | '#' | '%' | ' ' => chars.next().and(None),
        _ => None,
    }
}

const COLOURS: [&str; 8] = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// Select Graphic Rendition, as far as a style sheet has names for it.
fn change(classes: &mut Vec<&'static str>, parameters: &str) {
    let numbers: Vec<u32> =
        parameters.split([';', ':']).map(|part| part.parse().unwrap_or(0)).collect();
    let mut numbers = numbers.into_iter();
    let mut set = |class: Option<&'static str>, not: &[&str]| {
        classes.retain(|known| !not.contains(known));
        classes.extend(class);
    };
    while let Some(number) = numbers.next() {
        match number {
            0 => {
                let all = ["bold", "dim", "italic", "underline"];
                set(None, &[&all[..], &COLOURS[..]].concat());
            }
            1 => set(Some("bold"), &["bold"]),
            2 => set(Some("dim"), &["dim"]),
            3 => set(Some("italic"), &["italic"]),
            4 => set(Some("underline"), &["underline"]),
            22 => set(None, &["bold", "dim"]),
            23 => set(None, &["italic"]),
            24 => set(None, &["underline"]),
            30..=37 | 90..=97 => set(Some(COLOURS[(number % 10) as usize]), &COLOURS),
            39 => set(None, &COLOURS),
            // Of 256, or of all: the first eight have names.
            38 | 48 => match numbers.next() {
                Some(5) => {
                    let colour = numbers.next().and_then(|n| COLOURS.get(n as usize).copied());
                    if number == 38 {
                        set(colour, &COLOURS);
                    }
                }
                Some(2) => drop((numbers.next(), numbers.next(), numbers.next())),
                _ => {}
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, String)> {
        spans(text).into_iter().map(|span| (span.classes.join(" "), span.text)).collect()
    }

    #[test]
    fn colours_stay_and_everything_else_goes() {
        let of = |class: &str, text: &str| (class.to_owned(), text.to_owned());
        assert_eq!(
            told("a\u{1b}[1;31mb\u{1b}[0mc"),
            [of("", "a"), of("bold red", "b"), of("", "c")]
        );
        assert_eq!(
            told("\u{1b}[38;5;2mg\u{1b}[38;2;1;1;1mh"),
            [of("green", "g"), of("green", "h")]
        );
        assert_eq!(
            plain("\u{1b}[2J\u{1b}[Hx\u{1b}]0;title\u{7}y\u{1b}]8;;http://a\u{1b}\\z"),
            "xyz"
        );
        assert_eq!(
            plain("one\rtwo\r\nthree\u{0}\u{9b}\u{202e}\u{fffe}\u{10ffff}\u{fdd0}"),
            "one\ntwo\nthree"
        );
        assert_eq!(plain("cut \u{1b}["), "cut ");
        assert_eq!(plain("cut \u{1b}]0;never ends"), "cut ");
        assert_eq!(plain("</pre><script>"), "</pre><script>");
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_nothing_drives_a_terminal(text in "\\PC*|[\u{1b}\\[\\];m0-9a\u{7}\\\\\r\n]*") {
            let shown = plain(&text);
            proptest::prop_assert!(shown.chars().all(is_shown));
        }
    }
}
