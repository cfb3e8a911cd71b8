//! Whether what stands at a layer's path is what the overlay was made of.
//!
//! A mount keeps the directories that it was given; their paths may lead
//! elsewhere by now, where something else was mounted over one of them. What an
//! overlay shows has the times of the layer that it comes from, so one name that
//! only this layer can have is enough to tell.

use std::collections::{HashSet, VecDeque};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Stat, StatxAttributes, StatxFlags, statx};

use crate::error::{Context, Error, Result};
use crate::image::stack::{Here, Layer, Stack};

/// Directories that are looked through for such a name.
const MOST: usize = 200;

/// How often a file is looked at that changes meanwhile.
const TRIES: usize = 3;

type Parts = Vec<Vec<u8>>;

/// Layers that can be reached, and what they are together.
pub(super) struct Verifier<'a> {
    /// From the top down.
    pub stack: &'a Stack,
    /// The overlay itself.
    pub merged: &'a Layer,
    /// Where something else is mounted in it.
    pub covered: &'a HashSet<Parts>,
    /// Whether a layer above all of these is out of reach: it may hide anything.
    pub hidden: bool,
}

impl Verifier<'_> {
    /// Whether the layer of this number, at this path, is what the overlay shows.
    pub fn check(&self, number: usize, path: &Path) -> Result<()> {
        let same = self.compare(number).tried(|| format!("reading the layer {path:?}"))?;
        match same {
            Some(true) => Ok(()),
            Some(false) => Err(covered(path)),
            None if is_mount(path) => Err(covered(path)),
            None => Ok(()),
        }
    }

    /// `None` where no name could tell.
    fn compare(&self, number: usize) -> rustix::io::Result<Option<bool>> {
        let mut ahead = VecDeque::from([Parts::new()]);
        let mut left = MOST;
        while let Some(path) = ahead.pop_front() {
            if left == 0 || self.covered.contains(&path) {
                continue;
            }
            left -= 1;
            let above = self.stack.trace(&path)?;
            let own = above[..number].iter().all(|traced| matches!(traced.here, Here::Nothing));
            if !above[number].seen {
                continue;
            }
            // A whole layer that is hidden may have it too, and then it says nothing.
            let equal = own && self.is_equal(number, &path)?;
            match (own, self.hidden) {
                (true, _) if equal => return Ok(Some(true)),
                (true, false) => return Ok(Some(false)),
                _ => {}
            }
            if let Here::Directory(directory) = &above[number].here {
                let names = Layer::names(&directory.fd)?.into_iter();
                ahead.extend(names.map(|name| [&path[..], &[name]].concat()));
            }
        }
        Ok(None)
    }

    /// Whether the overlay shows this name with the times that it has in the layer.
    fn is_equal(&self, number: usize, path: &Parts) -> rustix::io::Result<bool> {
        for _ in 0..TRIES {
            let here = self.stack.trace(path)?.swap_remove(number).here;
            let there = self.merged.look(path)?.here;
            if let Some((here, there)) = stat(&here).zip(stat(&there))
                && times(here) == times(there)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn stat(here: &Here) -> Option<&Stat> {
    match here {
        Here::File(stat) => Some(stat),
        Here::Directory(directory) => Some(&directory.stat),
        Here::Nothing | Here::Whiteout => None,
    }
}

/// What overlayfs hands through as the layer has it.
fn times(stat: &Stat) -> impl PartialEq {
    let kind = FileType::from_raw_mode(stat.st_mode);
    (kind, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
}

/// Whether a path is where something is mounted; before Linux 5.8 nobody says so.
fn is_mount(path: &Path) -> bool {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn covered(path: &Path) -> Error {
    Error::new(format!("reading the layer {}", path.display()))
        .said("this is not what the overlay shows: something else is mounted there by now, or its files were replaced")
        .hint(format!(
            "The container still has what was there. `findmnt --target {}` names the mount that hides it.",
            path.display()
        ))
}
