//! One layer as a directory, and the marks in it: how it says that something of
//! the layers below is gone, or has moved.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, lgetxattr, openat,
    openat2, statat,
};
use rustix::io::{Errno, Result};

/// How a layer marks what is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// Not at all: a directory that is seen as it is.
    None,
    /// overlayfs, with its notes in `trusted.overlay.*` attributes, which only root sees.
    Trusted,
    /// overlayfs mounted by an ordinary user: `user.overlay.*`.
    User,
    /// fuse-overlayfs: one of these, or files called `.wh.NAME`.
    Fuse,
}

impl Marks {
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Trusted => &["trusted.overlay."],
            Self::User => &["user.overlay."],
            Self::Fuse => &["user.fuseoverlayfs.", "user.overlay.", "trusted.overlay."],
        }
    }
}

/// What a layer has under a name.
#[derive(Debug)]
pub enum Here {
    /// Nothing: layers below are asked.
    Nothing,
    /// A whiteout: what layers below have is gone.
    Whiteout,
    /// A directory, which is merged with those below.
    Directory(Directory),
    /// Anything else: it stands for itself.
    File(Stat),
}

/// A directory of a layer.
#[derive(Debug)]
pub struct Directory {
    /// To look into it (`O_PATH`).
    pub fd: OwnedFd,
    /// Its owner, mode and times.
    pub stat: Stat,
    /// Nothing of the layers below is seen in it.
    pub opaque: bool,
    /// It was renamed: layers below have it under this name, or path.
    redirect: Option<Vec<u8>>,
}

/// What a layer has at a path, and what that means for those below.
#[derive(Debug)]
pub struct Seen {
    /// What is there.
    pub here: Here,
    /// Nothing of the layers below is seen at this path.
    pub ends: bool,
    /// The path under which layers below have it.
    pub below: Vec<Vec<u8>>,
}

/// A layer.
#[derive(Debug)]
pub struct Layer {
    directory: OwnedFd,
    device: u64,
    marks: Marks,
}

impl Layer {
    /// The layer in this directory; links in its own path are followed, as when it was mounted.
    pub fn open(path: &Path, marks: Marks) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { device: fstat(&directory)?.st_dev, directory, marks })
    }

    /// What is at a path. It is gone through name by name and no link is
    /// followed: nothing outside the layer is ever looked at.
    pub fn look(&self, path: &[Vec<u8>]) -> Result<Seen> {
        let mut seen = Seen { here: self.root()?, ends: false, below: path.to_vec() };
        for (at, name) in path.iter().enumerate() {
            seen.here = match &seen.here {
                Here::Directory(parent) => self.entry(&parent.fd, name)?,
                // A file, or a whiteout, where a directory would have to be.
                _ => return Ok(Seen { here: Here::Nothing, ..seen }),
            };
            match &seen.here {
                Here::Nothing => return Ok(seen),
                Here::Whiteout | Here::File(_) => seen.ends = true,
                Here::Directory(directory) => {
                    seen.ends |= directory.opaque;
                    if let Some(other) = &directory.redirect {
                        redirect(&mut seen.below, path.len() - at, other);
                    }
                }
            }
        }
        Ok(seen)
    }

    fn root(&self) -> Result<Here> {
        let fd = self.directory.try_clone().map_err(|_| Errno::MFILE)?;
        let stat = fstat(&fd)?;
        Ok(Here::Directory(Directory { fd, stat, opaque: false, redirect: None }))
    }

    /// What has this name in a directory of the layer.
    pub fn entry(&self, directory: &OwnedFd, name: &[u8]) -> Result<Here> {
        if self.marks == Marks::Fuse {
            if name.starts_with(b".wh.") {
                return Ok(Here::Nothing);
            }
            if stat(directory, &[b".wh.", name].concat())?.is_some() {
                return Ok(Here::Whiteout);
            }
        }
        let Some(found) = stat(directory, name)? else { return Ok(Here::Nothing) };
        match FileType::from_raw_mode(found.st_mode) {
            // Something is mounted over a part of the layer, and overlayfs, which never
            // crosses a mount, shows what is below it.
            FileType::Directory if self.marks != Marks::None && found.st_dev != self.device => {
                Err(Errno::XDEV)
            }
            FileType::Directory => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = openat(directory, name, flags, Mode::empty())?;
                let opaque =
                    self.note(directory, name, "opaque").is_some_and(|value| value == b"y")
                        || self.marks == Marks::Fuse && stat(&fd, b".wh..wh..opq")?.is_some();
                let redirect = self.note(directory, name, "redirect");
                Ok(Here::Directory(Directory { fd, stat: found, opaque, redirect }))
            }
            FileType::CharacterDevice if found.st_rdev == 0 && self.marks != Marks::None => {
                Ok(Here::Whiteout)
            }
            // Since 6.7, for layers that are themselves on an overlay.
            FileType::RegularFile
                if found.st_size == 0 && self.note(directory, name, "whiteout").is_some() =>
            {
                Ok(Here::Whiteout)
            }
            _ => Ok(Here::File(found)),
        }
    }

    /// What overlayfs noted of a file.
    fn note(&self, directory: &OwnedFd, name: &[u8], note: &str) -> Option<Vec<u8>> {
        let note = |prefix: &&str| attribute(directory, name, &format!("{prefix}{note}"));
        self.marks.prefixes().iter().find_map(note)
    }

    /// Opens a regular file by its path, to be read: nothing outside the layer, and
    /// over no symbolic link.
    pub fn file(&self, path: &[Vec<u8>]) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat2(&self.directory, path.join(&b'/'), flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            other => return other,
        }
        // The same name by name, where the kernel has no openat2.
        let Some((last, parents)) = path.split_last() else { return Err(Errno::ISDIR) };
        let walk = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let first = openat(&self.directory, c".", walk, Mode::empty())?;
        let parent = parents
            .iter()
            .try_fold(first, |here, name| openat(&here, &name[..], walk, Mode::empty()))?;
        openat(&parent, &last[..], flags, Mode::empty())
    }

    /// The names in a directory of the layer.
    pub fn names(directory: &OwnedFd) -> Result<Vec<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = openat(directory, c".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&readable)? {
            names.push(entry?.file_name().to_bytes().to_vec());
        }
        names.retain(|name| !matches!(&name[..], b"." | b".."));
        Ok(names)
    }
}

/// From here on layers below have the last `rest` names under another one: of
/// the same directory, or anywhere.
fn redirect(below: &mut Vec<Vec<u8>>, rest: usize, other: &[u8]) {
    let at = below.len() - rest;
    match other.strip_prefix(b"/") {
        Some(_) => {
            below.splice(..=at, parts(Path::new(OsStr::from_bytes(other))));
        }
        None => below[at] = other.to_vec(),
    }
}

/// An extended attribute of what has this name itself.
pub fn attribute(directory: &OwnedFd, name: &[u8], attribute: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let mut value = vec![0; 4096];
    let length = lgetxattr(path.join(OsStr::from_bytes(name)), attribute, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

fn stat(directory: &OwnedFd, name: &[u8]) -> Result<Option<Stat>> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    match statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A path name by name; `..` stays within.
pub fn parts(path: &Path) -> Vec<Vec<u8>> {
    use std::path::Component;
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.as_bytes().to_vec()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts
}
