//! Layers put one on the other: what each entry does to what is below, where it
//! is hidden again, and the tree that is seen in the end.
//!
//! Names are taken as they are: a layer that goes through a symbolic link of a
//! layer below is shown where its archive says, not where the link leads.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::Layer;
use super::listing::{Entry, Kind};

/// What an entry does to what the layers below have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There was nothing under this name.
    Added,
    /// There was something else, or it had other rights or another content.
    Changed,
    /// It is there already, all the same.
    Unchanged,
    /// A whiteout: it takes something away.
    Removed,
    /// A note of aufs: nothing.
    Nothing,
}

impl Change {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
            Self::Nothing => "nothing",
        }
    }
}

/// An entry by its layer (the lowest is 0) and its place in there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The layer.
    pub layer: usize,
    /// The entry.
    pub entry: usize,
}

/// An entry that is no longer seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// What is hidden.
    pub what: Place,
    /// What hides it: a whiteout, or something that took its place.
    pub by: Place,
}

/// Layers, one on the other.
pub struct Stack<'a> {
    layers: &'a [Layer],
    /// For each layer, what each of its entries does.
    pub changes: Vec<Vec<Change>>,
    /// What is hidden, in the order in which that happens.
    pub hidden: Vec<Hidden>,
    /// What is seen in the end, by path.
    pub tree: BTreeMap<&'a [u8], Place>,
}

impl<'a> Stack<'a> {
    /// Puts them one on the other, the first at the bottom.
    pub fn of(layers: &'a [Layer]) -> Self {
        let mut stack =
            Self { layers, changes: Vec::new(), hidden: Vec::new(), tree: BTreeMap::new() };
        for at in 0..layers.len() {
            stack.put(at);
        }
        stack
    }

    /// The entry at a place.
    pub fn entry(&self, place: Place) -> Entry<'a> {
        self.layers[place.layer].listing.get(place.entry)
    }

    /// What is seen in the end, by path.
    pub fn seen(&self) -> impl Iterator<Item = (Place, Entry<'a>)> {
        self.tree.values().map(|place| (*place, self.entry(*place)))
    }

    /// Whiteouts of a layer come before what it brings, wherever they stand in
    /// it: they hide what is below, never what is beside them.
    fn put(&mut self, layer: usize) {
        let listing = &self.layers[layer].listing;
        let changes = listing.iter().map(|entry| self.change(&entry)).collect();
        self.changes.push(changes);
        for (at, entry) in listing.iter().enumerate() {
            if let Some(hidden) = entry.hides() {
                let by = Place { layer, entry: at };
                if entry.kind == Kind::Whiteout
                    && let Some(what) = self.tree.remove(&hidden[..])
                {
                    self.hidden.push(Hidden { what, by });
                }
                self.hide_below(&hidden, by);
            }
        }
        for (at, entry) in listing.iter().enumerate() {
            if entry.kind.is_whiteout() || entry.kind == Kind::Note {
                continue;
            }
            let place = Place { layer, entry: at };
            if let Some(what) = self.tree.insert(entry.path, place) {
                self.hidden.push(Hidden { what, by: place });
                if entry.kind != Kind::Directory && self.entry(what).kind == Kind::Directory {
                    self.hide_below(entry.path, place);
                }
            }
        }
    }

    fn change(&self, entry: &Entry<'a>) -> Change {
        match (entry.kind, self.tree.get(entry.path)) {
            (Kind::Whiteout | Kind::Opaque, _) => Change::Removed,
            (Kind::Note, _) => Change::Nothing,
            (_, None) => Change::Added,
            (_, Some(below)) if self.entry(*below).same(entry) => Change::Unchanged,
            _ => Change::Changed,
        }
    }

    /// Takes away everything in a directory, which itself stays.
    fn hide_below(&mut self, directory: &[u8], by: Place) {
        let mut start = directory.to_vec();
        if !start.is_empty() {
            start.push(b'/');
        }
        let from = (Bound::Excluded(&start[..]), Bound::Unbounded);
        let below = self.tree.range::<[u8], _>(from);
        let below: Vec<_> = below
            .map(|(path, what)| (*path, *what))
            .take_while(|(path, _)| path.starts_with(&start))
            .collect();
        for (path, what) in below {
            self.tree.remove(path);
            self.hidden.push(Hidden { what, by });
        }
    }
}
