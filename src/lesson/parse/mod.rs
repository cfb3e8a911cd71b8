//! From a lesson's Markdown to its steps.
//!
//! pulldown-cmark says where the blocks are; what stands in a fence's info
//! string is read in `fence`, what stands in a quoted block in `quote`. Every
//! mistake is noted with its line, and reading goes on.

mod fence;
mod front;
mod quote;

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

use super::fault::Fault;
use super::model::{Block, Front, Kind, Step};

/// A lesson's file taken apart; the mistakes found on the way.
pub struct Parsed {
    /// Front matter.
    pub front: Front,
    /// Blocks before the first step.
    pub intro: Vec<Block>,
    /// The steps.
    pub steps: Vec<Step>,
    /// What is wrong, in the order of the file.
    pub faults: Vec<Fault>,
}

/// Reads a lesson's text.
pub fn parse(text: &str) -> Parsed {
    let mut faults = Vec::new();
    let (front, body_at) = front::parse(text, &mut faults);
    let mut reader = Reader { text, faults, intro: Vec::new(), steps: Vec::new() };
    let options = Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_TABLES;
    let mut events = Parser::new_ext(&text[body_at..], options).into_offset_iter();
    while let Some((event, range)) = events.next() {
        let range = range.start + body_at..range.end + body_at;
        match event {
            Event::Start(tag) => {
                let mut depth = 1;
                for (event, _) in events.by_ref() {
                    match event {
                        Event::Start(_) => depth += 1,
                        Event::End(_) => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
                reader.block(&tag, range);
            }
            Event::Rule => {}
            _ => reader.prose(range),
        }
    }
    let Reader { mut faults, intro, steps, .. } = reader;
    faults.sort();
    Parsed { front, intro, steps, faults }
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
    intro: Vec<Block>,
    steps: Vec<Step>,
}

impl Reader<'_> {
    fn block(&mut self, tag: &Tag, range: Range<usize>) {
        let line = self.line(range.start);
        match tag {
            Tag::Heading { level, id, .. } => self.heading(*level, id.as_deref(), range),
            Tag::CodeBlock(CodeBlockKind::Fenced(info)) => {
                let source = &self.text[range];
                if !fence::is_closed(source) {
                    let what = "this block of code does not end";
                    let fault = Fault::new(line, what).allowed("close it with a line ```");
                    return self.faults.push(fault);
                }
                let body = fence::body(source);
                if let Some(kind) = fence::parse(line, info, body, &mut self.faults) {
                    self.push(line, kind);
                }
            }
            Tag::CodeBlock(CodeBlockKind::Indented) => self.faults.push(
                Fault::new(line, "an indented block of code")
                    .allowed("put commands in a fence: ```sh run"),
            ),
            Tag::BlockQuote(_) => {
                if let Some(kind) = quote::parse(line, &self.text[range], &mut self.faults) {
                    self.push(line, kind);
                }
            }
            Tag::HtmlBlock => self.comment(line, range),
            _ => self.prose(range),
        }
    }

    fn heading(&mut self, level: HeadingLevel, id: Option<&str>, range: Range<usize>) {
        let line = self.line(range.start);
        if level != HeadingLevel::H2 {
            let what = "a heading that is not a step's";
            self.faults.push(Fault::new(line, what).allowed("a step starts with `## Title {#id}`"));
            return;
        }
        let heading = self.text[range].lines().next().unwrap_or_default();
        let title = heading.trim_start_matches('#').split("{#").next().unwrap_or_default().trim();
        let (title, more) = match title.strip_prefix("(more)") {
            Some(rest) => (rest.trim(), true),
            None => (title, false),
        };
        if id.is_none() {
            let what = format!("the step \"{title}\" has no id");
            self.faults.push(Fault::new(line, what).allowed("end the heading with `{#a-word}`"));
        }
        let id = id.unwrap_or_default().to_owned();
        self.steps.push(Step { line, id, title: title.to_owned(), more, blocks: Vec::new() });
    }

    fn comment(&mut self, line: usize, range: Range<usize>) {
        let text = self.text[range].trim();
        match text.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) {
            Some(inner) => {
                if let Some(notes) = inner.trim().strip_prefix("notes:") {
                    self.push(line, Kind::Notes(notes.trim().to_owned()));
                }
            }
            None => self.faults.push(
                Fault::new(line, "HTML outside a quoted block")
                    .allowed("only comments: <!-- notes: for the instructor -->"),
            ),
        }
    }

    fn prose(&mut self, range: Range<usize>) {
        let line = self.line(range.start);
        let text = self.text[range].trim_end().to_owned();
        if !text.is_empty() {
            self.push(line, Kind::Prose(text));
        }
    }

    fn push(&mut self, line: usize, kind: Kind) {
        let blocks = self.steps.last_mut().map_or(&mut self.intro, |step| &mut step.blocks);
        blocks.push(Block { line, kind });
    }

    fn line(&self, offset: usize) -> usize {
        line_of(self.text, offset)
    }
}

/// The line that a byte offset is on, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
