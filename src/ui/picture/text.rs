//! The face for a terminal: box drawings, or ASCII where there are none.

use unicode_width::UnicodeWidthChar;

use super::super::style::{Style, paint};
use super::{Drawing, Ink, Role, Shape};

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

#[derive(Clone, Copy, Default)]
struct Cell {
    /// Which ways a line leaves it.
    ways: u8,
    c: Option<char>,
    /// The second column of a wide character.
    taken: bool,
    style: Option<Style>,
}

/// The drawing as lines of text, without a line break at the end.
pub fn text(drawing: &Drawing, ascii: bool, color: bool) -> String {
    let mut sheet = Sheet {
        width: drawing.width,
        height: drawing.height,
        cells: vec![Cell::default(); drawing.width * drawing.height],
        ascii,
    };
    drawing.shapes.iter().for_each(|shape| sheet.put(shape));
    let lines = sheet.cells.chunks(drawing.width.max(1)).map(|row| line(row, ascii, color));
    lines.collect::<Vec<_>>().join("\n")
}

struct Sheet {
    width: usize,
    height: usize,
    cells: Vec<Cell>,
    ascii: bool,
}

impl Sheet {
    fn at(&mut self, x: usize, y: usize) -> Option<&mut Cell> {
        (x < self.width && y < self.height).then(|| &mut self.cells[y * self.width + x])
    }

    fn put(&mut self, shape: &Shape) {
        match shape {
            Shape::Frame { x, y, w, h, role } => {
                let (right, bottom) = (x + w - 1, y + h - 1);
                let style = frame_style(*role);
                self.line((*x, *y), (right, *y), style);
                self.line((*x, bottom), (right, bottom), style);
                self.line((*x, *y), (*x, bottom), style);
                self.line((right, *y), (right, bottom), style);
            }
            Shape::Line(points) => {
                for pair in points.windows(2) {
                    self.line(pair[0], pair[1], None);
                }
            }
            Shape::Branch { x, from, y, to } => {
                self.line((*x, *from), (*x, *y), None);
                self.line((*x, *y), (*to, *y), None);
                // Where it begins, the name stands.
                if let Some(cell) = self.at(*x, *from).filter(|cell| cell.c.is_some()) {
                    cell.ways = 0;
                }
            }
            Shape::Text { x, y, text, ink } => self.text(*x, *y, text, *ink),
            Shape::Bar { x, y, w, share, mark, .. } => self.bar((*x, *y), *w, *share, *mark),
        }
    }

    fn line(&mut self, from: (usize, usize), to: (usize, usize), style: Option<Style>) {
        let across = from.1 == to.1;
        let (first, last) = if from <= to { (from, to) } else { (to, from) };
        let (back, on) = if across { (LEFT, RIGHT) } else { (UP, DOWN) };
        let length = if across { last.0 - first.0 } else { last.1 - first.1 };
        for step in 0..=length {
            let (x, y) = if across { (first.0 + step, first.1) } else { (first.0, first.1 + step) };
            let ways = if step > 0 { back } else { 0 } | if step < length { on } else { 0 };
            if let Some(cell) = self.at(x, y) {
                cell.ways |= ways;
                cell.style = style.or(cell.style);
            }
        }
    }

    fn text(&mut self, mut x: usize, y: usize, text: &str, ink: Ink) {
        let style = match ink {
            Ink::Strong => Some(Style::Heading),
            Ink::Plain => None,
            Ink::Dim => Some(Style::Dim),
        };
        for c in text.chars() {
            let c = if self.ascii { plain(c) } else { c };
            let width = c.width().unwrap_or(0);
            if let Some(cell) = self.at(x, y).filter(|_| width > 0) {
                *cell = Cell { c: Some(c), style, ..Cell::default() };
            }
            if let Some(cell) = self.at(x + 1, y).filter(|_| width > 1) {
                *cell = Cell { taken: true, style, ..Cell::default() };
            }
            x += width;
        }
    }

    fn bar(&mut self, (x, y): (usize, usize), w: usize, share: f64, mark: Option<f64>) {
        let filled = (share.clamp(0.0, 1.0) * w as f64).round() as usize;
        // What is there at all is seen.
        let filled = if share > 0.0 { filled.max(1) } else { filled };
        let mark = mark.map(|mark| ((mark.clamp(0.0, 1.0) * w as f64).round() as usize).max(1));
        let [full, empty, line] = if self.ascii { ['#', '.', '|'] } else { ['█', '░', '┃'] };
        for step in 0..w {
            let c = match () {
                () if mark == Some(step + 1) => line,
                () if step < filled => full,
                () => empty,
            };
            if let Some(cell) = self.at(x + step, y) {
                *cell = Cell { c: Some(c), ..Cell::default() };
            }
        }
    }
}

fn frame_style(role: Role) -> Option<Style> {
    match role {
        Role::Own => Some(Style::Call),
        Role::Host | Role::Shared => None,
    }
}

/// One row: each stretch of one style painted by itself.
fn line(row: &[Cell], ascii: bool, color: bool) -> String {
    let used = row.iter().rposition(|cell| cell.ways > 0 || cell.c.is_some_and(|c| c != ' '));
    let row = &row[..used.map_or(0, |last| last + 1)];
    let row: Vec<_> = row.iter().filter(|cell| !cell.taken).collect();
    let mut text = String::new();
    for stretch in row.chunk_by(|one, other| one.style == other.style) {
        let part: String = stretch.iter().map(|cell| character(cell, ascii)).collect();
        match stretch[0].style {
            Some(style) if !part.trim().is_empty() => text += &paint(&part, style, color),
            _ => text += &part,
        }
    }
    text
}

fn character(cell: &Cell, ascii: bool) -> char {
    const LINES: [char; 16] =
        [' ', '│', '│', '│', '─', '┘', '┐', '┤', '─', '└', '┌', '├', '─', '┴', '┬', '┼'];
    match (cell.c, cell.ways) {
        (Some(c), _) => c,
        (None, ways) if !ascii => LINES[usize::from(ways)],
        (None, 0) => ' ',
        (None, ways) if ways & (UP | DOWN) == 0 => '-',
        (None, ways) if ways & (LEFT | RIGHT) == 0 => '|',
        (None, _) => '+',
    }
}

/// The next best character of ASCII: one column wide, as the layout has counted it.
fn plain(c: char) -> char {
    match c {
        ' '..='~' => c,
        '…' => '~',
        '·' | '–' => '-',
        '▼' => 'v',
        _ => '?',
    }
}
