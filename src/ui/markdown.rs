//! Markdown for a terminal: paragraphs wrapped, emphasis and code coloured,
//! lists indented. What a lesson's prose uses, no more.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::style::{Style, paint};
use super::wrap::wrap;

/// The text as a terminal of this width shows it, without a line break at its end.
pub fn render(markdown: &str, width: usize, color: bool) -> String {
    let mut page = Page {
        width,
        color,
        blocks: Vec::new(),
        line: String::new(),
        styles: Vec::new(),
        lists: Vec::new(),
    };
    for event in Parser::new_ext(markdown, Options::empty()) {
        page.event(event);
    }
    page.flush();
    page.blocks.join("\n")
}

struct Page {
    width: usize,
    color: bool,
    blocks: Vec<String>,
    line: String,
    styles: Vec<Style>,
    /// The number of the next item of each list we are in; `None` for bullets.
    lists: Vec<Option<u64>>,
}

impl Page {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start(Tag::Paragraph) if self.lists.is_empty() && !self.blocks.is_empty() => {
                self.blocks.push(String::new());
            }
            Event::Start(Tag::Strong | Tag::Heading { .. }) => self.styles.push(Style::Heading),
            Event::Start(Tag::Emphasis) => self.styles.push(Style::Label),
            Event::End(TagEnd::Strong | TagEnd::Emphasis) => {
                self.styles.pop();
            }
            Event::Start(Tag::List(first)) => {
                self.flush();
                if self.lists.is_empty() && !self.blocks.is_empty() {
                    self.blocks.push(String::new());
                }
                self.lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                self.lists.pop();
            }
            Event::End(TagEnd::Heading(_)) => {
                self.styles.pop();
                self.flush();
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item) => self.flush(),
            Event::Text(text) => self.words(&text, self.styles.last().copied()),
            Event::Code(code) => self.words(&code, Some(Style::Command)),
            Event::SoftBreak => self.line.push(' '),
            Event::HardBreak => self.flush(),
            _ => {}
        }
    }

    /// Word by word, so that a colour never runs across the end of a line.
    fn words(&mut self, text: &str, style: Option<Style>) {
        for piece in text.split_inclusive(' ') {
            let word = piece.trim_end_matches(' ');
            match style {
                Some(style) if !word.is_empty() => {
                    self.line.push_str(&paint(word, style, self.color))
                }
                _ => self.line.push_str(word),
            }
            self.line.push_str(&piece[word.len()..]);
        }
    }

    fn flush(&mut self) {
        if self.line.trim().is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        let wrapped = match self.lists.len() {
            0 => wrap(line.trim(), self.width, ""),
            depth => {
                let bullet = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "- ".to_owned(),
                };
                let indent = "  ".repeat(depth - 1);
                wrap(
                    &format!("{indent}{bullet}{}", line.trim()),
                    self.width,
                    &" ".repeat(bullet.len()),
                )
            }
        };
        self.blocks.push(wrapped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_and_lists_indented() {
        let text = "One *two* `three` four\nfive.\n\n- a b c d\n- e\n\nEnd.";
        assert_eq!(render(text, 16, false), "One two three\nfour five.\n\n- a b c d\n- e\n\nEnd.");
        assert_eq!(render("1. first one\n2. second", 9, false), "1. first\n   one\n2. second");
    }

    #[test]
    fn colour_stays_within_a_word() {
        assert_eq!(render("`a b`", 80, true).matches("\u{1b}[0m").count(), 2);
    }
}
