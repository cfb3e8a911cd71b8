//! Names as a process sees them whose `/` is some directory: symbolic links
//! and `..` on the way never lead out of it.
//!
//! openat2(2) does that in the kernel, in one call and without a race. Where it
//! is missing (before Linux 5.6, or denied by a seccomp filter that does not
//! know it) the same is done by hand, one name at a time: nothing is followed
//! that was not looked at first, and `..` goes back to the descriptor we came from.

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, fchmod, fstat, mkdirat, openat, openat2, readlinkat,
};
use rustix::io::{Errno, Result};

/// As many symbolic links as the kernel follows in one name.
const MOST_LINKS: usize = 40;
/// As many names as one can go back with `..`.
const LONGEST_TRAIL: usize = 256;

/// A directory that is `/` for every name asked of it.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    in_kernel: Cell<bool>,
}

impl Root {
    /// Opens the directory; its own name is taken as it is.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { directory, in_kernel: Cell::new(true) })
    }

    /// The same without openat2, as on a kernel that has none.
    #[must_use]
    pub fn by_hand(self) -> Self {
        self.in_kernel.set(false);
        self
    }

    /// The directory with this name, for `*at` calls (`O_PATH`).
    pub fn directory(&self, name: &[u8]) -> Result<OwnedFd> {
        self.find(name, OFlags::PATH)
    }

    /// The directory with this name, to read it or change its attributes.
    pub fn readable(&self, name: &[u8]) -> Result<OwnedFd> {
        self.find(name, OFlags::RDONLY)
    }

    /// The directory with this name; it and its parents are made where they are
    /// missing, and where a link that leads nowhere points.
    pub fn made(&self, name: &[u8]) -> Result<OwnedFd> {
        self.walk(name, true)
    }

    fn find(&self, name: &[u8], access: OFlags) -> Result<OwnedFd> {
        let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let name: &[u8] = if name.is_empty() { b"." } else { name };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if self.in_kernel.get() {
            // EAGAIN: something was renamed while the kernel went through a `..`.
            for _ in 0..16 {
                match openat2(&self.directory, name, flags, Mode::empty(), resolve) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(Errno::NOSYS | Errno::PERM) => {
                        self.in_kernel.set(false);
                        break;
                    }
                    Err(Errno::NAMETOOLONG) => break, // longer than PATH_MAX; each part may be lawful
                    other => return other,
                }
            }
        }
        let found = self.walk(name, false)?;
        openat(&found, c".", flags, Mode::empty())
    }

    /// Goes from name to name as path_resolution(7) says.
    fn walk(&self, name: &[u8], make: bool) -> Result<OwnedFd> {
        let mut here = Trail::default();
        let mut ahead: Vec<Vec<u8>> = names_reversed(name);
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == b".." {
                here.back()?;
                continue;
            }
            let parent = here.last().unwrap_or(&self.directory);
            let next = match look(parent, &name) {
                Err(Errno::NOENT) if make => {
                    make_directory(parent, &name)?;
                    look(parent, &name)?
                }
                other => other?,
            };
            match FileType::from_raw_mode(fstat(&next)?.st_mode) {
                FileType::Directory => here.go_to(next),
                FileType::Symlink => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP);
                    }
                    let target = readlinkat(&next, c"", Vec::new())?.into_bytes();
                    if target.starts_with(b"/") {
                        here = Trail::default();
                    }
                    ahead.append(&mut names_reversed(&target));
                }
                _ => return Err(Errno::NOTDIR),
            }
        }
        // Where we arrived is kept, however much of the way was forgotten.
        match here.kept.pop_back() {
            Some(found) => Ok(found),
            None => self.directory.try_clone().map_err(|_| Errno::MFILE),
        }
    }
}

/// The way we came, as far back as descriptors are kept of it: a tree may be
/// deeper than a process may have files open.
#[derive(Default)]
struct Trail {
    kept: VecDeque<OwnedFd>,
    forgotten: usize,
}

impl Trail {
    fn last(&self) -> Option<&OwnedFd> {
        self.kept.back()
    }

    fn go_to(&mut self, directory: OwnedFd) {
        if self.kept.len() == LONGEST_TRAIL {
            self.kept.pop_front();
            self.forgotten += 1;
        }
        self.kept.push_back(directory);
    }

    /// One step back: from where; `None` at the root, where `..` stays.
    fn back(&mut self) -> Result<Option<OwnedFd>> {
        let from = self.kept.pop_back();
        match self.kept.is_empty() && self.forgotten > 0 {
            true => Err(Errno::NAMETOOLONG),
            false => Ok(from),
        }
    }
}

/// Whatever has this name, itself: a link is not followed, a device not opened.
fn look(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// A directory that everybody may read, whatever the umask.
fn make_directory(parent: impl AsFd, name: &[u8]) -> Result<()> {
    match mkdirat(&parent, name, Mode::RWXU) {
        Err(Errno::EXIST) => return Ok(()),
        other => other?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent, name, flags, Mode::empty())?;
    fchmod(&made, Mode::from_raw_mode(0o755))
}

/// The parts of a name, last first; empty ones and `.` mean nothing.
fn names_reversed(name: &[u8]) -> Vec<Vec<u8>> {
    let parts = name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(directory.path().join("outside")).unwrap();
        symlink("/a", root.join("absolute")).unwrap();
        symlink("../../../../a/b", root.join("a/up")).unwrap();
        symlink("../outside", root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/new/place", root.join("dangling")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        directory
    }

    fn inode(found: Result<OwnedFd>) -> std::result::Result<u64, Errno> {
        found.map(|fd| fstat(fd).unwrap().st_ino)
    }

    #[test]
    fn by_hand_and_in_the_kernel_names_mean_the_same() {
        let directory = tree();
        let root = directory.path().join("root");
        let kernel = Root::open(&root).unwrap();
        let hand = Root::open(&root).unwrap().by_hand();
        let of = |path: &str| fs::metadata(root.join(path)).unwrap().ino();
        for (name, expected) in [
            ("", Ok(of(""))),
            ("a/b", Ok(of("a/b"))),
            ("./a//b/.", Ok(of("a/b"))),
            ("absolute/b", Ok(of("a/b"))),
            ("a/up", Ok(of("a/b"))),
            ("../../a", Ok(of("a"))),
            ("out", Err(Errno::NOENT)),
            ("loop", Err(Errno::LOOP)),
            ("file", Err(Errno::NOTDIR)),
            ("file/x", Err(Errno::NOTDIR)),
            ("none", Err(Errno::NOENT)),
        ] {
            assert_eq!(inode(kernel.directory(name.as_bytes())), expected, "{name}");
            assert_eq!(inode(hand.directory(name.as_bytes())), expected, "{name} by hand");
        }
    }

    #[test]
    fn the_way_back_is_as_long_as_what_is_kept_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap().by_hand();
        let down = "d/".repeat(LONGEST_TRAIL + 3);
        let deep = |back: usize| format!("{down}{}", "../".repeat(back)).into_bytes();
        root.made(&deep(0)).unwrap();
        // One kept directory is left then, and it is the one that was asked for.
        let last = LONGEST_TRAIL - 1;
        let found = inode(root.directory(&deep(last))).unwrap();
        let expected = Root::open(directory.path()).unwrap().directory(b"d/d/d/d").unwrap();
        assert_eq!(found, fstat(expected).unwrap().st_ino);
        assert_eq!(inode(root.directory(&deep(last + 1))), Err(Errno::NAMETOOLONG));
        // A shorter way is never forgotten.
        let whole = format!("{}{}", "d/".repeat(9), "../".repeat(20));
        assert_eq!(inode(root.directory(whole.as_bytes())), inode(root.directory(b"")));
    }

    #[test]
    fn missing_directories_are_made_inside_even_through_a_dangling_link() {
        let directory = tree();
        let root = Root::open(&directory.path().join("root")).unwrap();
        root.made(b"dangling/x/../y").unwrap();
        let made = directory.path().join("root/new/place/y");
        assert_eq!(made.metadata().unwrap().mode() & 0o7777, 0o755);
        root.made(b"out/z").unwrap();
        assert!(directory.path().join("root/outside/z").is_dir());
        assert_eq!(fs::read_dir(directory.path().join("outside")).unwrap().count(), 0);
    }
}
