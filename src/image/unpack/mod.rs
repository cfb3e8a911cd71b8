//! Unpacking: an archive becomes a directory tree, the only way in this program.
//!
//! An archive is a list of instructions by somebody we do not know: make this,
//! link that, remove the other. Every name in it means what it would mean to a
//! process whose `/` is the target (kernel/resolve.rs), and what is there is
//! never written to: it is removed, and a new file takes its place, so that no
//! link, hard or symbolic, leads a write, a chmod or a chown out of the tree.
//!
//! Names are read as GNU tar reads them: without a leading `/`, and none may have
//! `..` in it. As in GNU tar a directory keeps what is in it, everything else is
//! replaced, and the modes and times of directories are set last. Other than GNU tar, a file replaces a directory that is not
//! empty: a layer of an image may say so.
//!
//! The way through here: [`compression`] finds out what the bytes are packed
//! with, [`archive`] goes through the bytes, [`member`] reads what they say,
//! [`name`] makes names safe, [`target`] makes the files, [`attributes`] gives
//! them owner, mode and times, [`directories`] those of directories at the end,
//! [`whiteout`] takes away what a layer hides.

mod archive;
mod attributes;
pub mod compression;
mod directories;
pub mod member;
pub mod name;
pub mod pax;
mod sparse;
mod target;
pub mod whiteout;

use std::io::{BufRead, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::image::stack::Marks;
use crate::kernel::resolve::Root;
use crate::step::Observer;

pub use attributes::LeftOut;

/// What an archive may come to, so that a small one cannot fill a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive when it is not compressed, and of its files.
    pub bytes: u64,
    /// Members.
    pub entries: u64,
    /// Names in a path.
    pub depth: usize,
    /// Bytes of one extended header, or of a sparse file's map.
    pub extended_header: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 32 << 30, entries: 2_000_000, depth: 255, extended_header: 1 << 20 }
    }
}

impl Limits {
    /// `bytes=64000000000`: raises (or lowers) one of them.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let wrong = || {
            Error::usage(format!("--limit {text}"))
                .hint("Give bytes=N, entries=N, depth=N or pax=N, as in --limit entries=5000000.")
        };
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let value: u64 = value.parse().map_err(|_| wrong())?;
        match name {
            "bytes" => self.bytes = value,
            "entries" => self.entries = value,
            "depth" => self.depth = usize::try_from(value).unwrap_or(usize::MAX),
            "pax" => self.extended_header = value,
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

/// How an archive is unpacked.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether `.wh.NAME` hides NAME: so in a layer of an image, not elsewhere.
    pub whiteouts: bool,
    /// The tree is a layer by itself, to be laid over others by overlayfs: a whiteout
    /// becomes the kernel's mark instead of taking something away.
    pub marks: Option<Marks>,
    /// What it may come to.
    pub limits: Limits,
    /// Do without openat2(2), as where the kernel has none.
    pub by_hand: bool,
}

/// What became of an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// How many members it had.
    pub entries: u64,
    /// The size of its files.
    pub bytes: u64,
    /// What could not be kept, and is said.
    pub left_out: LeftOut,
}

impl Unpacked {
    /// With what became of another.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.left_out.add(&other.left_out);
    }
}

/// Unpacks an archive, compressed or not, into a directory.
pub fn unpack(
    archive: impl Read,
    directory: &Path,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Unpacked> {
    let archive = compression::decompressed(archive)?;
    unpack_tar(archive, directory, options, observer)
}

/// What the progress of it is called.
const UNPACKING: &str = "unpacking";

/// Unpacks a plain archive, and reads it to its very end.
pub fn unpack_tar(
    archive: impl BufRead,
    directory: &Path,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Unpacked> {
    use crate::error::Context;
    let root =
        Root::open(directory).tried(|| format!("open({directory:?}, O_PATH|O_DIRECTORY)"))?;
    let root = if options.by_hand { root.by_hand() } else { root };
    let mut archive = member::Archive::new(archive, &options.limits);
    let mut target = target::Target::new(root, options);
    let mut all = || -> Result<()> {
        while let Some(member) = archive.next_member()? {
            target.add(&member, &mut archive)?;
            if target.unpacked.entries.is_multiple_of(256) {
                observer.progress(UNPACKING, target.unpacked.bytes, 0);
            }
        }
        archive.finish()
    };
    let read = all();
    observer.progress_over(UNPACKING);
    read.and_then(|()| target.finish())
}

/// An archive that cannot be read as one.
fn broken(what: impl std::fmt::Display) -> Error {
    Error::new("reading the archive")
        .said(what)
        .hint("It is damaged, or it is not a tar archive. Nothing of it is kept.")
}

/// An archive that comes to more than it may.
fn too_much(what: &str, limit: u64, name: &str) -> Error {
    Error::new("unpacking the archive")
        .said(format!("{what} comes to more than the limit of {limit}"))
        .hint(format!(
            "A small archive can be made to fill a disk, so there is a limit. If you trust this \
             one, raise it: --limit {name}=NUMBER."
        ))
}
