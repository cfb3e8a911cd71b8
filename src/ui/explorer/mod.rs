//! A full-screen explorer: parts on the left, a tree of what is in the chosen one on the
//! right, a text to read where one is asked for. It knows nothing of images: what it
//! shows is handed to it by a [`Source`], and every text is made harmless there.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use unicode_width::UnicodeWidthChar;

use super::full::{Event, FullScreen};
use super::style::{Style, paint};
use super::wrap::{fold, width_of};
use crate::error::Result;

/// A tree of more lines than this begins with its directories closed.
const MOST_OPEN: usize = 200;

/// Rows that are not the two panes': title, heads, two of details, keys.
const OTHER_ROWS: usize = 5;

const KEYS: &str = "↑↓ move  Tab pane  Enter open  a all  w wasted  / filter  Esc back  q quit";

/// What something is, compared with what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The same.
    Same,
    /// New.
    Added,
    /// In the place of another.
    Changed,
    /// Taken away.
    Removed,
}

/// A part, on the left.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its line.
    pub line: String,
    /// What is said of it below, when it is chosen.
    pub about: String,
}

/// A line of a tree, on the right.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its whole path: what a filter looks at.
    pub path: String,
    /// Its last name.
    pub name: String,
    /// How deep it is; 0 at the top.
    pub depth: usize,
    /// How large, for people.
    pub size: String,
    /// What it does to what is below.
    pub mark: Mark,
    /// Whether others are in it.
    pub directory: bool,
    /// What is said of it below, when it is chosen.
    pub about: String,
    /// By what the source knows its content; none where there is none.
    pub content: Option<(usize, usize)>,
}

/// What is explored.
pub trait Source {
    /// The first row.
    fn title(&self) -> String;
    /// The parts, the lowest first.
    fn parts(&self) -> Vec<Part>;
    /// A part's tree: what it changes, or all that is there with it.
    fn tree(&self, part: usize, all: bool) -> Vec<Line>;
    /// What is wasted.
    fn wasted(&self) -> Vec<Line>;
    /// A file's text.
    fn text(&self, content: (usize, usize)) -> Result<String>;
}

/// Explores until somebody has seen enough.
pub fn run(source: &dyn Source, color: bool) -> Result<()> {
    let mut view = View::new(source, color);
    let mut screen = FullScreen::take()?;
    loop {
        let (columns, rows) = FullScreen::size();
        screen.draw(&view.rows(columns, rows))?;
        if !view.handle(screen.event()?) {
            return Ok(());
        }
    }
}

/// A text that is read instead of the tree.
struct Page {
    title: String,
    text: String,
    top: usize,
}

struct View<'a> {
    source: &'a dyn Source,
    color: bool,
    parts: Vec<Part>,
    part: usize,
    on_tree: bool,
    all: bool,
    wasted: bool,
    lines: Vec<Line>,
    /// Directories that are otherwise than they begin.
    turned: HashSet<String>,
    filter: String,
    typing: bool,
    /// Which lines are seen.
    seen: Vec<usize>,
    cursor: usize,
    top: usize,
    page: Option<Page>,
    height: usize,
}

impl<'a> View<'a> {
    fn new(source: &'a dyn Source, color: bool) -> Self {
        let mut view = Self {
            source,
            color,
            parts: source.parts(),
            part: 0,
            on_tree: false,
            all: false,
            wasted: false,
            lines: Vec::new(),
            turned: HashSet::new(),
            filter: String::new(),
            typing: false,
            seen: Vec::new(),
            cursor: 0,
            top: 0,
            page: None,
            height: 1,
        };
        view.load();
        view
    }

    /// Another tree.
    fn load(&mut self) {
        self.lines = match self.wasted {
            true => self.source.wasted(),
            false if self.parts.is_empty() => Vec::new(),
            false => self.source.tree(self.part, self.all),
        };
        self.turned.clear();
        self.look();
    }

    fn is_open(&self, line: &Line) -> bool {
        (self.lines.len() <= MOST_OPEN) != self.turned.contains(&line.path)
    }

    /// Which lines are seen now: what is in open directories, or what the filter finds
    /// and the directories it is in.
    fn look(&mut self) {
        let wanted = self.filter.to_lowercase();
        let (mut seen, mut on_the_way, mut closed) = (Vec::new(), Vec::<usize>::new(), None);
        for (at, line) in self.lines.iter().enumerate() {
            if wanted.is_empty() {
                if closed.is_some_and(|depth| line.depth > depth) {
                    continue;
                }
                closed = (line.directory && !self.is_open(line)).then_some(line.depth);
                seen.push(at);
                continue;
            }
            on_the_way.retain(|above| self.lines[*above].depth < line.depth);
            if line.path.to_lowercase().contains(&wanted) {
                for above in on_the_way.drain(..) {
                    if seen.last().is_none_or(|last| *last < above) {
                        seen.push(above);
                    }
                }
                seen.push(at);
            } else if line.directory {
                on_the_way.push(at);
            }
        }
        self.seen = seen;
        self.cursor = self.cursor.min(self.seen.len().saturating_sub(1));
    }

    fn chosen(&self) -> Option<&Line> {
        self.seen.get(self.cursor).map(|at| &self.lines[*at])
    }

    /// Whether to go on.
    fn handle(&mut self, event: Event) -> bool {
        if event == Event::Char('\u{3}') {
            return false;
        }
        if self.typing {
            self.type_filter(event);
            return true;
        }
        match event {
            Event::Char('q') => return false,
            Event::Char('\u{1b}') => self.back(),
            Event::Up | Event::Char('k') => self.step(-1),
            Event::Down | Event::Char('j') => self.step(1),
            Event::PageUp => self.step(-self.screenful()),
            Event::PageDown | Event::Char(' ') if self.page.is_some() => {
                self.step(self.screenful());
            }
            Event::PageDown => self.step(self.screenful()),
            Event::Home | Event::Char('g') => self.step(isize::MIN / 2),
            Event::End | Event::Char('G') => self.step(isize::MAX / 2),
            _ if self.page.is_some() => {}
            Event::Char('\t') => self.on_tree = !self.on_tree,
            Event::Left => self.on_tree = false,
            Event::Right => self.on_tree = true,
            Event::Char('\n' | ' ') => self.open(),
            Event::Char('a') => {
                (self.all, self.wasted) = (!self.all, false);
                self.load();
            }
            Event::Char('w') => {
                self.wasted = !self.wasted;
                self.filter.clear();
                (self.on_tree, self.cursor) = (true, 0);
                self.load();
            }
            Event::Char('/') => (self.typing, self.on_tree) = (true, true),
            _ => {}
        }
        true
    }

    fn type_filter(&mut self, event: Event) {
        match event {
            Event::Char('\n') => self.typing = false,
            Event::Char('\u{1b}') => {
                self.typing = false;
                self.filter.clear();
            }
            Event::Char('\u{8}') => drop(self.filter.pop()),
            Event::Char(character) if !character.is_control() => self.filter.push(character),
            _ => self.typing = false,
        }
        self.cursor = 0;
        self.look();
    }

    fn back(&mut self) {
        if self.page.take().is_some() {
            return;
        }
        let filtered = !self.filter.is_empty();
        self.filter.clear();
        match filtered {
            true => self.look(),
            false if self.wasted => {
                self.wasted = false;
                self.load();
            }
            false => self.on_tree = false,
        }
    }

    fn screenful(&self) -> isize {
        isize::try_from(self.height).unwrap_or(1).max(1)
    }

    fn step(&mut self, by: isize) {
        let within =
            |at: usize, count: usize| at.saturating_add_signed(by).min(count.saturating_sub(1));
        if let Some(page) = &mut self.page {
            page.top = page.top.saturating_add_signed(by);
        } else if self.on_tree {
            self.cursor = within(self.cursor, self.seen.len());
        } else {
            let part = within(self.part, self.parts.len());
            if std::mem::replace(&mut self.part, part) != part {
                (self.cursor, self.wasted) = (0, false);
                self.load();
            }
        }
    }

    fn open(&mut self) {
        if !self.on_tree {
            self.on_tree = true;
            return;
        }
        let Some(line) = self.chosen().cloned() else { return };
        if let Some(content) = line.content {
            let text = match self.source.text(content) {
                Ok(text) => text,
                Err(error) => error.to_string(),
            };
            self.page = Some(Page { title: line.path, text, top: 0 });
        } else if line.directory && self.filter.is_empty() {
            if !self.turned.remove(&line.path) {
                self.turned.insert(line.path);
            }
            self.look();
        }
    }

    /// The whole screen.
    fn rows(&mut self, columns: usize, rows: usize) -> Vec<String> {
        if columns < 40 || rows < OTHER_ROWS + 2 {
            return vec![cut("This window is too small.", columns)];
        }
        self.height = rows - OTHER_ROWS;
        let mut screen = vec![reversed(&cut(&format!(" {}", self.source.title()), columns))];
        match self.page.is_some() {
            true => self.page_rows(columns, &mut screen),
            false => self.pane_rows(columns, &mut screen),
        }
        screen
    }

    fn page_rows(&mut self, columns: usize, screen: &mut Vec<String>) {
        let Some(page) = &mut self.page else { return };
        let folded = fold(&page.text, columns);
        let lines: Vec<_> = folded.lines().collect();
        let height = self.height + 2;
        page.top = page.top.min(lines.len().saturating_sub(height));
        let head = format!("{}  line {} of {}", page.title, page.top + 1, lines.len());
        screen.push(paint(&cut(&head, columns), Style::Heading, self.color));
        let shown = lines.iter().skip(page.top).take(height);
        screen.extend(shown.map(|line| cut(line, columns)));
        screen.resize(height + 2, String::new());
        screen.push(paint(
            &cut("↑↓ PgUp PgDn move  Esc back  q quit", columns),
            Style::Dim,
            self.color,
        ));
    }

    fn pane_rows(&mut self, columns: usize, screen: &mut Vec<String>) {
        let left = (columns * 2 / 5).clamp(20, 44);
        let right = columns - left - 1;
        if self.cursor < self.top || self.cursor >= self.top + self.height {
            self.top = self.cursor.saturating_sub(self.height / 2);
        }
        let head = match (self.wasted, self.all) {
            (true, _) => "wasted: in more than one layer".to_owned(),
            (_, true) => format!("all files up to layer {}", self.part + 1),
            (_, false) => format!("what layer {} changes", self.part + 1),
        };
        let filter = match (self.typing, self.filter.is_empty()) {
            (true, _) => format!("  /{}_", self.filter),
            (false, true) => String::new(),
            (false, false) => format!("  /{}", self.filter),
        };
        let heading = |text: &str, width, on: bool| {
            let text = cut(&format!("{}{text}", if on { "● " } else { "  " }), width);
            paint(&text, Style::Heading, self.color)
        };
        screen.push(format!(
            "{}│{}",
            heading("layers", left, !self.on_tree),
            heading(&format!("{head}{filter}"), right, self.on_tree)
        ));
        let first = self.part.saturating_sub(self.height.saturating_sub(1));
        for row in 0..self.height {
            let part = self.parts.get(first + row).map_or(String::new(), |part| part.line.clone());
            let part = chosen(cut(&part, left), first + row == self.part, !self.on_tree);
            let line = self.seen.get(self.top + row).map(|at| &self.lines[*at]);
            let line = line.map_or(String::new(), |line| self.line(line, right));
            let line = chosen(line, self.top + row == self.cursor, self.on_tree);
            screen.push(format!("{part}│{line}"));
        }
        let about = match (self.on_tree, self.chosen()) {
            (true, Some(line)) => &line.about,
            (true, None) => "nothing",
            _ => self.parts.get(self.part).map_or("", |part| &part.about),
        };
        let about = fold(about, columns);
        let mut about = about.lines().map(|line| cut(line, columns));
        screen.extend([about.next().unwrap_or_default(), about.next().unwrap_or_default()]);
        screen.push(paint(&cut(KEYS, columns), Style::Dim, self.color));
    }

    fn line(&self, line: &Line, width: usize) -> String {
        let open = self.is_open(line) || !self.filter.is_empty();
        let arrow = match (line.directory, open) {
            (false, _) => "  ",
            (true, true) => "▾ ",
            (true, false) => "▸ ",
        };
        let (mark, style) = match line.mark {
            Mark::Same => (' ', None),
            Mark::Added => ('+', Some(Style::Good)),
            Mark::Changed => ('~', Some(Style::Warning)),
            Mark::Removed => ('-', Some(Style::Error)),
        };
        let indent = "  ".repeat(line.depth.min(width / 4));
        let text = cut(&format!("{mark}{:>10} {indent}{arrow}{}", line.size, line.name), width);
        style.map_or_else(|| text.clone(), |style| paint(&text, style, self.color))
    }
}

/// Which line is chosen is to be seen without colours, too.
fn chosen(text: String, is: bool, active: bool) -> String {
    match (is, active) {
        (true, true) => reversed(&text),
        (true, false) => format!("\u{1b}[4m{text}\u{1b}[24m"),
        _ => text,
    }
}

fn reversed(text: &str) -> String {
    format!("\u{1b}[7m{text}\u{1b}[27m")
}

/// Exactly so many columns.
fn cut(text: &str, columns: usize) -> String {
    let (mut cut, mut width) = (String::new(), 0);
    let too_long = width_of(text) > columns;
    let room = if too_long { columns.saturating_sub(1) } else { columns };
    for character in text.chars() {
        width += character.width().unwrap_or(0);
        if width > room {
            break;
        }
        cut.push(character);
    }
    if too_long {
        cut.push('…');
    }
    let missing = columns.saturating_sub(width_of(&cut));
    cut + &" ".repeat(missing)
}
