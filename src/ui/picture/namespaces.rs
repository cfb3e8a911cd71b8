//! Two processes, and for each type of namespace whether they are in the same one.

use super::{Drawing, Ink, Role, listed};

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Namespaces {
    /// What the one is called.
    pub one: String,
    /// What the other is called.
    pub other: String,
    /// Every type there is.
    pub types: Vec<Namespace>,
}

/// One type, and which of its namespaces the two are in.
#[derive(Debug, Clone, PartialEq)]
pub struct Namespace {
    /// `mnt`
    pub name: String,
    /// What it separates.
    pub about: String,
    /// The one's, by its number.
    pub one: u64,
    /// The other's.
    pub other: u64,
}

/// Columns for the types' names, and between the two.
const NAMES: usize = 7;
const GAP: usize = 3;
/// Columns for what each type separates, where there is room.
const ABOUT: usize = 20;

impl Namespaces {
    pub(super) fn title(&self) -> String {
        format!("Namespaces: {} and {}", self.one, self.other)
    }

    fn divided(&self) -> (Vec<&Namespace>, Vec<&Namespace>) {
        self.types.iter().partition(|namespace| namespace.one != namespace.other)
    }

    pub(super) fn words(&self) -> String {
        let (own, shared) = self.divided();
        let names = |some: &[&Namespace]| {
            listed(&some.iter().map(|known| known.name.clone()).collect::<Vec<_>>())
        };
        let Self { one, other, types } = self;
        format!(
            "Of {} types of namespaces, {other} has {} to itself ({}) and {} in common with {one} ({}).",
            types.len(),
            own.len(),
            names(&own),
            shared.len(),
            names(&shared)
        )
    }

    pub(super) fn draw(&self, width: usize) -> Drawing {
        let about = if width >= 70 { ABOUT } else { 0 };
        let wide = ((width - NAMES - GAP - about) / 2).min(26);
        let right = NAMES + wide + GAP;
        let mut drawing = Drawing::new(right + wide + about);
        drawing.text((NAMES + 2, 0), wide - 2, &self.one, Ink::Strong);
        drawing.text((right + 2, 0), wide - 2, &self.other, Ink::Strong);
        let (own, shared) = self.divided();
        let mut y = 1;
        for (some, apart) in [(own, true), (shared, false)] {
            if some.is_empty() {
                continue;
            }
            let high = some.len() + 2;
            if apart {
                drawing.frame((NAMES, y), (wide, high), Role::Host);
                drawing.frame((right, y), (wide, high), Role::Own);
            } else {
                drawing.frame((NAMES, y), (right + wide - NAMES, high), Role::Shared);
            }
            for (n, namespace) in some.iter().enumerate() {
                let row = y + 1 + n;
                drawing.text((0, row), NAMES - 1, &namespace.name, Ink::Strong);
                drawing.text((NAMES + 2, row), wide - 4, &namespace.one.to_string(), Ink::Plain);
                let (text, ink) = match apart {
                    true => (namespace.other.to_string(), Ink::Plain),
                    false => ("the same".to_owned(), Ink::Dim),
                };
                drawing.text((right + 2, row), wide - 4, &text, ink);
                if about > 0 {
                    drawing.text((right + wide + 2, row), about - 2, &namespace.about, Ink::Dim);
                }
            }
            y += high;
        }
        drawing
    }
}
