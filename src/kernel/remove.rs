//! Removing a directory with all that is in it, and nothing else: no symbolic
//! link is followed, and no other file system, nor another part of the same one,
//! that somebody mounted inside is entered.
//!
//! However deep the tree is, only a few descriptors are open: a hostile archive
//! can make one deeper than there are descriptors.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, chmodat, fchmod, fstat, openat,
    openat2, statat, unlinkat,
};
use rustix::io::Errno;

use crate::error::{Context, Error, Result};
use crate::kernel::mountinfo;

/// Which files stay, by device and inode.
pub type Keep<'a> = &'a dyn Fn(u64, u64) -> bool;

/// One directory on the way down.
struct Level {
    name: CString,
    identity: (u64, u64),
    /// Directories in it that are still to go.
    ahead: Vec<CString>,
}

/// Refuses when something is mounted beneath `path` (or on it), by the names in mountinfo.
pub fn refuse_mounts(path: &Path) -> Result<()> {
    let real = path.canonicalize().tried(|| format!("realpath({path:?})"))?;
    let mounts = mountinfo::list(Path::new("/proc"), nix::unistd::getpid().as_raw());
    let inside = mounts.unwrap_or_default().into_iter().find(|m| m.mount_point.starts_with(&real));
    match inside {
        None => Ok(()),
        Some(mount) => Err(mounted(&mount.mount_point)),
    }
}

fn mounted(place: &Path) -> Error {
    Error::new(format!("removing {}", place.display()))
        .said("another file system is mounted there")
        .hint(format!("`umount {}` first; nothing on it was touched.", place.display()))
}

/// Removes what `name` in `parent` is, a directory with all below it. What
/// `keep` names stays, and so do the directories that lead there.
pub fn tree(parent: impl AsFd, name: &CStr, shown: &Path, keep: Option<Keep<'_>>) -> Result<()> {
    let (first, stat) = enter(parent.as_fd(), name, shown)?;
    let mut here = first;
    let mut path = shown.to_owned();
    let ahead = clear_files(&here, &path, keep)?;
    let mut levels =
        vec![Level { name: name.to_owned(), identity: (stat.st_dev, stat.st_ino), ahead }];
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(()) };
        if let Some(name) = level.ahead.pop() {
            path.push(to_path(&name));
            let (below, stat) = enter(here.as_fd(), &name, &path)?;
            let ahead = clear_files(&below, &path, keep)?;
            here = below;
            levels.push(Level { name, identity: (stat.st_dev, stat.st_ino), ahead });
            continue;
        }
        let (name, identity) = (level.name.clone(), level.identity);
        if depth == 1 {
            return remove_empty(parent.as_fd(), &name, identity, &path, keep);
        }
        levels.pop();
        let expected = levels.last().map_or((0, 0), |level| level.identity);
        here = up(&here, expected, &path)?;
        remove_empty(here.as_fd(), &name, identity, &path, keep)?;
        path.pop();
    }
}

/// Opens a directory to empty it, refusing to cross a mount.
fn enter(parent: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<(OwnedFd, Stat)> {
    let call = || format!("open({path:?}, O_DIRECTORY|O_NOFOLLOW)");
    let opened = match open(parent, name) {
        Err(Errno::ACCESS) => {
            // A directory without its own read or search permission still has to go.
            make_accessible(parent, name).tried(|| format!("chmod({path:?}, 0700)"))?;
            open(parent, name)
        }
        other => other,
    };
    let directory = match opened {
        Err(Errno::XDEV) => return Err(mounted(path)),
        other => other.tried(call)?,
    };
    let stat = fstat(&directory).tried(|| format!("fstat({path:?})"))?;
    let outer = fstat(parent).tried(|| format!("fstat(parent of {path:?})"))?;
    if stat.st_dev != outer.st_dev {
        return Err(mounted(path));
    }
    Ok((directory, stat))
}

fn open(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
        Err(Errno::NOSYS | Errno::PERM) => openat(parent, name, flags, Mode::empty()),
        other => other,
    }
}

fn make_accessible(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    chmodat(CWD, format!("/proc/self/fd/{}", directory.as_raw_fd()), Mode::RWXU, AtFlags::empty())
}

/// Removes everything in a directory but directories, and names these.
fn clear_files(directory: &OwnedFd, path: &Path, keep: Option<Keep<'_>>) -> Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory).tried(|| format!("opendir({path:?})"))? {
        let entry = entry.tried(|| format!("readdir({path:?})"))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let here = || path.join(to_path(name));
        let stat = match (keep, entry.file_type()) {
            (None, FileType::Directory) => {
                directories.push(name.to_owned());
                continue;
            }
            _ => statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .tried(|| format!("lstat({:?})", here()))?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            directories.push(name.to_owned());
        } else if !keep.is_some_and(|keep| keep(stat.st_dev, stat.st_ino)) {
            unlink(directory.as_fd(), name, AtFlags::empty())
                .tried(|| format!("unlink({:?})", here()))?;
        }
    }
    Ok(directories)
}

/// A directory without its own w bit still has to be emptied.
fn unlink(parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match unlinkat(parent, name, flags) {
        Err(Errno::ACCESS) if fchmod(parent, Mode::RWXU).is_ok() => unlinkat(parent, name, flags),
        other => other,
    }
}

/// Back to the parent, if it is still the directory we came from.
fn up(here: &OwnedFd, expected: (u64, u64), path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let call = || format!("open(\"..\" of {path:?})");
    let parent = openat(here, c"..", flags, Mode::empty()).tried(call)?;
    let stat = fstat(&parent).tried(call)?;
    match (stat.st_dev, stat.st_ino) == expected {
        true => Ok(parent),
        false => Err(Error::new(format!("removing {}", path.display()))
            .said("somebody moved it elsewhere while it was emptied")),
    }
}

fn remove_empty(
    parent: BorrowedFd<'_>,
    name: &CStr,
    identity: (u64, u64),
    path: &Path,
    keep: Option<Keep<'_>>,
) -> Result<()> {
    if keep.is_some_and(|keep| keep(identity.0, identity.1)) {
        return Ok(());
    }
    match unlink(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) if keep.is_some() => Ok(()),
        other => other.tried(|| format!("rmdir({path:?})")),
    }
}

fn to_path(name: &CStr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn open_path(path: &Path) -> OwnedFd {
        openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn a_tree_deeper_than_there_are_descriptors_goes() {
        let directory = tempfile::tempdir().unwrap();
        let parent = open_path(directory.path());
        let mut here = parent.try_clone().unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&here, c"d", Mode::RWXU).unwrap();
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            here = openat(&here, c"d", flags, Mode::empty()).unwrap();
        }
        tree(&parent, c"d", &directory.path().join("d"), None).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn closed_directories_and_links_go_and_what_is_linked_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("t");
        fs::create_dir_all(root.join("closed/in")).unwrap();
        fs::write(directory.path().join("precious"), "x").unwrap();
        symlink("..", root.join("closed/in/up")).unwrap();
        symlink("../precious", root.join("link")).unwrap();
        for (path, mode) in [("closed/in", 0), ("closed", 0o500), ("", 0o100)] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        tree(open_path(directory.path()), c"t", &root, None).unwrap();
        assert!(!root.exists() && directory.path().join("precious").exists());
    }

    #[test]
    fn what_is_to_stay_stays_with_the_directories_that_lead_there() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("t");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join("c/d")).unwrap();
        fs::write(root.join("a/b/kept"), "").unwrap();
        fs::write(root.join("a/gone"), "").unwrap();
        let kept = fs::metadata(root.join("a/b/kept")).unwrap().ino();
        let keep = |_, inode| inode == kept;
        tree(open_path(directory.path()), c"t", &root, Some(&keep)).unwrap();
        assert!(root.join("a/b/kept").exists());
        assert!(!root.join("a/gone").exists() && !root.join("c").exists());
    }
}
