//! Pictures of what is really there. Each is rows that somebody has gathered; from
//! them come three faces: characters for a terminal, a drawing for a page (SVG), and
//! the same in words for whoever hears it read.
//!
//! The first two are one layout, made of frames, lines, bars and text on squared
//! paper: what fits its frame in the terminal fits it on the page.

mod cgroups;
mod cpu;
mod layers;
mod namespaces;
mod network;
mod svg;
mod text;

pub use cgroups::{Cgroups, Group, Meter};
pub use cpu::{Cpu, Runner};
pub use layers::{Layer, Layers};
pub use namespaces::{Namespace, Namespaces};
pub use network::{Cable, Interface, Network, Place};
pub use svg::svg;
pub use text::text;

use super::wrap::width_of;

/// One of the pictures there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// Which namespaces two processes have each, and which together.
    Namespaces(Namespaces),
    /// Control groups below each other, with their limits.
    Cgroups(Cgroups),
    /// Containers, and the cables that lead to them.
    Network(Network),
    /// What a root file system is stacked of.
    Layers(Layers),
    /// Who had how much of a CPU.
    Cpu(Cpu),
}

impl Picture {
    /// What it is of, in a few words.
    pub fn title(&self) -> String {
        match self {
            Self::Namespaces(picture) => picture.title(),
            Self::Cgroups(picture) => picture.title(),
            Self::Network(picture) => picture.title(),
            Self::Layers(picture) => picture.title(),
            Self::Cpu(picture) => picture.title(),
        }
    }

    /// All that it says, in sentences: for whoever does not see it.
    pub fn words(&self) -> String {
        match self {
            Self::Namespaces(picture) => picture.words(),
            Self::Cgroups(picture) => picture.words(),
            Self::Network(picture) => picture.words(),
            Self::Layers(picture) => picture.words(),
            Self::Cpu(picture) => picture.words(),
        }
    }

    /// Drawn on so many columns.
    pub fn draw(&self, width: usize) -> Drawing {
        let width = width.max(30);
        match self {
            Self::Namespaces(picture) => picture.draw(width),
            Self::Cgroups(picture) => picture.draw(width),
            Self::Network(picture) => picture.draw(width),
            Self::Layers(picture) => picture.draw(width),
            Self::Cpu(picture) => picture.draw(width),
        }
    }
}

/// What a frame or a bar stands for; colours follow from it, and never say anything alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The machine's.
    Host,
    /// The container's own.
    Own,
    /// What several have together.
    Shared,
}

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// A name.
    Strong,
    /// A value.
    Plain,
    /// What is said beside it.
    Dim,
}

/// A piece of a drawing, by columns and rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A rectangle.
    Frame {
        /// Its left column.
        x: usize,
        /// Its top row.
        y: usize,
        /// How wide.
        w: usize,
        /// How high.
        h: usize,
        /// What it stands for.
        role: Role,
    },
    /// A line through these points, along columns and rows.
    Line(Vec<(usize, usize)>),
    /// From below a row down to another, and there to the right: who stands below whom.
    Branch {
        /// The column.
        x: usize,
        /// The row above.
        from: usize,
        /// The row that it ends at.
        y: usize,
        /// The column that it ends at.
        to: usize,
    },
    /// A row of text.
    Text {
        /// Where it starts.
        x: usize,
        /// Its row.
        y: usize,
        /// What it says.
        text: String,
        /// How it stands out.
        ink: Ink,
    },
    /// A part of a whole.
    Bar {
        /// Where it starts.
        x: usize,
        /// Its row.
        y: usize,
        /// How wide the whole is.
        w: usize,
        /// How much of it is filled.
        share: f64,
        /// A place on it that is marked: a limit.
        mark: Option<f64>,
        /// What it stands for.
        role: Role,
    },
}

/// A picture on squared paper.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawing {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// What is drawn, the lowest first.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    fn reach(&mut self, row: usize) {
        self.height = self.height.max(row + 1);
    }

    fn frame(&mut self, (x, y): (usize, usize), (w, h): (usize, usize), role: Role) {
        self.reach(y + h - 1);
        self.shapes.push(Shape::Frame { x, y, w, h, role });
    }

    fn line(&mut self, points: &[(usize, usize)]) {
        points.iter().for_each(|(_, y)| self.reach(*y));
        self.shapes.push(Shape::Line(points.to_vec()));
    }

    fn branch(&mut self, (x, from): (usize, usize), (to, y): (usize, usize)) {
        self.reach(y);
        self.shapes.push(Shape::Branch { x, from, y, to });
    }

    /// A text that takes `room` columns at most; how many it took.
    fn text(&mut self, (x, y): (usize, usize), room: usize, text: &str, ink: Ink) -> usize {
        let text = fit(text, room.min(self.width.saturating_sub(x)));
        let took = width_of(&text);
        if took > 0 {
            self.reach(y);
            self.shapes.push(Shape::Text { x, y, text, ink });
        }
        took
    }

    /// The same, and it ends before column `end`.
    fn text_to(&mut self, (end, y): (usize, usize), room: usize, text: &str, ink: Ink) -> usize {
        let text = fit(text, room);
        self.text((end.saturating_sub(width_of(&text)), y), room, &text, ink)
    }

    fn bar(&mut self, (x, y): (usize, usize), w: usize, share: f64, mark: Option<f64>, role: Role) {
        self.reach(y);
        self.shapes.push(Shape::Bar { x, y, w, share, mark, role });
    }
}

/// Text without what could drive a terminal, cut where there is no more room.
pub fn fit(text: &str, room: usize) -> String {
    let text = super::table::printable(text);
    if width_of(&text) <= room {
        return text;
    }
    let mut cut = String::new();
    for c in text.chars() {
        if width_of(&cut) + width_of(c.encode_utf8(&mut [0; 4])) + 1 > room {
            break;
        }
        cut.push(c);
    }
    if room > 0 {
        cut.push('…');
    }
    cut
}

/// `a`, `a and b`, `a, b and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests;
