//! Whiteouts: how a layer says that something of the layers below is gone.
//!
//! `.wh.NAME` hides NAME; `.wh..wh..opq` hides all that is in its directory.
//! Both hide the layers below only, wherever they stand in the archive: what
//! the layer itself brings is kept.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, XattrFlags, fsetxattr, mknodat, openat, statat, unlinkat,
};
use rustix::io::Errno;

use super::broken;
use super::name::shown;
use super::target::{Identity, c_string, identity};
use crate::error::{Context, Result};
use crate::image::stack::Marks;
use crate::kernel::remove;

/// What a whiteout hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden<'a> {
    /// One name.
    Name(&'a [u8]),
    /// Everything in the directory.
    All,
    /// Nothing: a note that aufs made for itself.
    Nothing,
}

/// Reads the last part of a name; `None` if it is no whiteout.
pub fn read(name: &[u8]) -> Result<Option<Hidden<'_>>> {
    let Some(hidden) = name.strip_prefix(b".wh.") else { return Ok(None) };
    match hidden {
        b".wh..opq" => Ok(Some(Hidden::All)),
        // `.wh.`, `.wh..` and `.wh...` would hide the directory itself, or its parent.
        b"" | b"." | b".." => Err(broken(format!("{} is a whiteout of no name", shown(name)))),
        _ if hidden.starts_with(b".wh.") => Ok(Some(Hidden::Nothing)),
        _ => Ok(Some(Hidden::Name(hidden))),
    }
}

/// Takes away what is hidden in this directory, but nothing of `made`.
pub fn hide(directory: &OwnedFd, hidden: Hidden<'_>, made: &HashSet<Identity>) -> Result<()> {
    match hidden {
        Hidden::Nothing => Ok(()),
        Hidden::Name(name) => hide_one(directory, name, made),
        Hidden::All => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let call = || "opendir(directory of a whiteout)";
            let readable = openat(directory, c".", flags, Mode::empty()).tried(call)?;
            let mut names = Vec::new();
            for entry in Dir::read_from(&readable).tried(call)? {
                names.push(entry.tried(call)?.file_name().to_bytes().to_vec());
            }
            names.retain(|name| !matches!(&name[..], b"." | b".."));
            names.iter().try_for_each(|name| hide_one(directory, name, made))
        }
    }
}

fn hide_one(directory: &OwnedFd, name: &[u8], made: &HashSet<Identity>) -> Result<()> {
    let call = || format!("unlink(\"{}\"), as a whiteout says", shown(name));
    let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NAMETOOLONG) => return Ok(()),
        other => other.tried(call)?,
    };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let keep = |device, inode| made.contains(&(device, inode));
        return remove::tree(
            directory.as_fd(),
            &c_string(name)?,
            &PathBuf::from(shown(name)),
            Some(&keep),
        );
    }
    match made.contains(&identity(&stat)) {
        true => Ok(()),
        false => unlinkat(directory, name, AtFlags::empty()).tried(call),
    }
}

/// Says the same to overlayfs: a character device 0/0 stands for a file that is gone,
/// an attribute of a directory for all that layers below have in it. What the layer
/// itself brings is never marked.
pub fn mark(directory: &OwnedFd, hidden: Hidden<'_>, marks: Marks) -> Result<()> {
    match hidden {
        Hidden::Nothing => Ok(()),
        Hidden::Name(name) => {
            let kind = FileType::CharacterDevice;
            match mknodat(directory, name, kind, Mode::empty(), 0) {
                Err(Errno::EXIST) => Ok(()),
                other => other.tried(|| format!("mknod(\"{}\", S_IFCHR, 0)", shown(name))),
            }
        }
        Hidden::All => {
            let name = match marks {
                Marks::User => "user.overlay.opaque",
                _ => "trusted.overlay.opaque",
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let call = || format!("fsetxattr(\"{name}\", \"y\")");
            let opened = openat(directory, c".", flags, Mode::empty()).tried(call)?;
            fsetxattr(&opened, name, b"y", XattrFlags::empty()).tried(call)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiteouts_of_no_name_are_refused() {
        assert_eq!(read(b".wh.etc").unwrap(), Some(Hidden::Name(b"etc")));
        assert_eq!(read(b".wh..wh..opq").unwrap(), Some(Hidden::All));
        assert_eq!(read(b".wh..wh.aufs").unwrap(), Some(Hidden::Nothing));
        assert_eq!(read(b".wh...x").unwrap(), Some(Hidden::Name(b"..x")));
        assert_eq!(read(b"x.wh.").unwrap(), None);
        for name in [&b".wh."[..], b".wh..", b".wh..."] {
            assert!(read(name).is_err());
        }
    }
}
