//! A file on the disk as a member of a layer: by a descriptor of its directory
//! and its name there, so that nothing is looked up twice and no link is followed.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{
    FileType, Mode, OFlags, Stat, fstat, lgetxattr, llistxattr, major, minor, openat, readlinkat,
};

use crate::error::{Context, Error, Result};
use crate::image::unpack::member::{Content, Kind, Member};
use crate::image::unpack::name::shown;
use crate::image::unpack::pax::Time;

/// Whose a file is in the image, by whose it is on the disk.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    /// Who is root in the image, where that is not root out here.
    root: Option<(u32, u32)>,
}

impl Owners {
    /// As containers of ours have it: an ordinary user is root in there.
    pub fn ours() -> Self {
        let us = (rustix::process::geteuid(), rustix::process::getegid());
        Self { root: (!us.0.is_root()).then(|| (us.0.as_raw(), us.1.as_raw())) }
    }

    fn of(self, stat: &Stat) -> (u32, u32) {
        match self.root {
            None => (stat.st_uid, stat.st_gid),
            Some((uid, gid)) => (
                if stat.st_uid == uid { 0 } else { stat.st_uid },
                if stat.st_gid == gid { 0 } else { stat.st_gid },
            ),
        }
    }
}

/// Files that have more than one name: the first name that was added of each.
pub type Names = HashMap<(u64, u64), Vec<u8>>;

/// What is there, as a member called `name`; `None` for a socket, which no archive
/// has. The file's content is to be added with it, where it is one.
pub fn member(
    directory: impl AsFd,
    file: &[u8],
    stat: &Stat,
    name: Vec<u8>,
    owners: Owners,
) -> Result<Option<Member>> {
    let device = || (major(stat.st_rdev), minor(stat.st_rdev));
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            Kind::File(Content { size: stat.st_size.cast_unsigned(), map: None })
        }
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let to = readlinkat(&directory, file, Vec::new());
            Kind::Symlink(to.tried(|| format!("readlink(\"{}\")", shown(&name)))?.into_bytes())
        }
        FileType::CharacterDevice => Kind::Character(device().0, device().1),
        FileType::BlockDevice => Kind::Block(device().0, device().1),
        FileType::Fifo => Kind::Fifo,
        _ => return Ok(None),
    };
    let (uid, gid) = owners.of(stat);
    let xattrs = match kind {
        Kind::File(_) | Kind::Directory => attributes(&directory, file),
        _ => Vec::new(),
    };
    let mode = stat.st_mode & 0o7777;
    let mtime = Time { seconds: stat.st_mtime, nanos: 0 };
    Ok(Some(Member { name, kind, mode, uid, gid, mtime, xattrs }))
}

/// Opens a regular file, which must still be the one that was looked at.
pub fn open(directory: impl AsFd, file: &[u8], stat: &Stat) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let call = || format!("open(\"{}\", O_RDONLY|O_NOFOLLOW)", shown(file));
    let opened = openat(directory, file, flags, Mode::empty()).tried(call)?;
    let now = fstat(&opened).tried(call)?;
    match (now.st_dev, now.st_ino, now.st_size) == (stat.st_dev, stat.st_ino, stat.st_size) {
        true => Ok(opened.into()),
        false => Err(changed(file)),
    }
}

/// What was looked at first is not what was read then.
pub fn changed(file: &[u8]) -> Error {
    Error::new(format!("reading {}", shown(file)))
        .said("somebody changed it while it was read")
        .hint("Nothing of the layer is kept. Build again when it is left alone.")
}

/// Extended attributes that belong into a layer: capabilities of a program, and
/// users' own; not what overlayfs notes there, nor what this machine's security modules do.
fn attributes(directory: impl AsFd, file: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fd = directory.as_fd().as_raw_fd();
    let path = [format!("/proc/self/fd/{fd}/").as_bytes(), file].concat();
    let mut names = vec![0; 4096];
    let length = match llistxattr(&path[..], &mut names[..]) {
        Ok(length) => length,
        Err(_) => {
            names.resize(1 << 16, 0);
            llistxattr(&path[..], &mut names[..]).unwrap_or(0)
        }
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| belongs(name));
    let mut found: Vec<_> = names
        .filter_map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = lgetxattr(&path[..], name, &mut value[..]).ok()?;
            value.truncate(length);
            Some((name.to_vec(), value))
        })
        .collect();
    found.sort();
    found
}

fn belongs(name: &[u8]) -> bool {
    let notes: [&[u8]; 2] = [b"user.overlay.", b"user.fuseoverlayfs."];
    name == b"security.capability"
        || name.starts_with(b"user.") && !notes.iter().any(|note| name.starts_with(note))
}
