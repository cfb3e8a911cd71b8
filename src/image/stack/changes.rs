//! What changed between two views of a tree, told as `docker diff` tells it.

use std::collections::HashSet;

use rustix::io::Result;

use super::layer::attribute;
use super::{Found, Stack};

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// It is new: `A`.
    Added,
    /// It, or something in it, is another now: `C`.
    Changed,
    /// It is gone, with all that was in it: `D`.
    Deleted,
}

impl Kind {
    /// docker diff's letter.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Added => "A",
            Self::Changed => "C",
            Self::Deleted => "D",
        }
    }
}

/// One file that changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// How.
    pub kind: Kind,
    /// Which, name by name.
    pub path: Vec<Vec<u8>>,
}

/// The changes that led from one view to another.
struct Changes<'a> {
    old: &'a Stack,
    new: &'a Stack,
    /// Paths that are not looked at: something else is mounted there.
    covered: &'a HashSet<Vec<Vec<u8>>>,
    /// `new` is `old` with one layer on top: what is not in that one has not changed.
    one_above: bool,
    found: Vec<Change>,
}

/// All changes, each directory's before those in it. `one_above`: `new` is
/// `old` with one layer on top, and only what that one has is looked at.
pub fn changes(
    old: &Stack,
    new: &Stack,
    covered: &HashSet<Vec<Vec<u8>>>,
    one_above: bool,
) -> Result<Vec<Change>> {
    let mut changes = Changes { old, new, covered, one_above, found: Vec::new() };
    changes.within(&mut Vec::new(), true)?;
    Ok(changes.found)
}

impl Changes<'_> {
    /// Compares what is in a directory; `was` says whether it was one before.
    fn within(&mut self, path: &mut Vec<Vec<u8>>, was: bool) -> Result<()> {
        let mut old = if was { self.old.list(path)? } else { Default::default() };
        for (name, now) in self.new.list(path)? {
            path.push(name);
            let before = path.last().and_then(|name| old.remove(name));
            if !self.covered.contains(path) {
                self.one(path, before.as_ref(), &now)?;
            }
            path.pop();
        }
        for name in old.into_keys() {
            path.push(name);
            if !self.covered.contains(path) {
                self.note(Kind::Deleted, path);
            }
            path.pop();
        }
        Ok(())
    }

    fn one(&mut self, path: &mut Vec<Vec<u8>>, old: Option<&Found>, new: &Found) -> Result<()> {
        if self.one_above && new.layer > 0 {
            return Ok(());
        }
        let at = self.found.len();
        let name = path.last().cloned().unwrap_or_default();
        match old {
            None => self.note(Kind::Added, path),
            Some(old) if differ(old, new, &name) => self.note(Kind::Changed, path),
            Some(_) => {}
        }
        let told = self.found.len() > at;
        if new.is_directory() {
            self.within(path, old.is_some_and(Found::is_directory))?;
            if !told && self.found.len() > at {
                self.found.insert(at, Change { kind: Kind::Changed, path: path.clone() });
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: Kind, path: &[Vec<u8>]) {
        self.found.push(Change { kind, path: path.to_vec() });
    }
}

/// Whether a file is another, by what stat(2) tells: a directory's size and
/// times are not looked at, they change with what is in it.
fn differ(old: &Found, new: &Found, name: &[u8]) -> bool {
    let (a, b) = (&old.stat, &new.stat);
    // Some file systems keep no nanoseconds.
    let nanos = (a.st_mtime_nsec, b.st_mtime_nsec);
    (a.st_mode, a.st_uid, a.st_gid, a.st_rdev) != (b.st_mode, b.st_uid, b.st_gid, b.st_rdev)
        || !new.is_directory()
            && (a.st_size != b.st_size
                || a.st_mtime != b.st_mtime
                || nanos.0 != nanos.1 && nanos.0 != 0 && nanos.1 != 0)
        || attribute(&old.directory, name, "security.capability")
            != attribute(&new.directory, name, "security.capability")
}
