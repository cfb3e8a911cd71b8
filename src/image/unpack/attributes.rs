//! Owner, mode, times and extended attributes, always of a descriptor we hold:
//! a name could be made to mean something else in between (CVE-2026-33056).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, futimens, lsetxattr, utimensat,
};
use rustix::io::{Errno, Result};

use super::member::Member;

/// What could not be kept of an archive, as counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Files that belong to us instead of their owner.
    pub owners: u64,
    /// Devices that were not made.
    pub devices: u64,
    /// Extended attributes.
    pub attributes: u64,
    /// Set-uid and set-gid bits of files whose owner was left out.
    pub set_id: u64,
}

impl LeftOut {
    /// Counts in what another archive left out.
    pub fn add(&mut self, other: &Self) {
        self.owners += other.owners;
        self.devices += other.devices;
        self.attributes += other.attributes;
        self.set_id += other.set_id;
    }

    /// A sentence for the reader; none if nothing was left out.
    pub fn sentence(&self) -> Option<String> {
        let parts: Vec<_> = [
            (self.owners, "the owner of", "file", "files"),
            (self.devices, "", "device", "devices"),
            (self.set_id, "the set-uid or set-gid bit of", "file", "files"),
            (self.attributes, "", "extended attribute", "extended attributes"),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, of, one, several)| {
            let noun = if count == 1 { one } else { several };
            format!("{of} {count} {noun}").trim().to_owned()
        })
        .collect();
        (!parts.is_empty()).then(|| format!("Left out: {}.", parts.join(", ")))
    }
}

/// The attributes of a member, and who may set which.
#[derive(Debug, Clone)]
pub struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    times: Timestamps,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Those of a member.
    pub fn of(member: &Member) -> Self {
        let mtime =
            Timespec { tv_sec: member.mtime.seconds, tv_nsec: i64::from(member.mtime.nanos) };
        let omitted = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Self {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            times: Timestamps { last_access: omitted, last_modification: mtime },
            xattrs: member.xattrs.clone(),
        }
    }

    /// Sets all of them on an open file or directory.
    pub fn set(&self, file: impl AsFd, left_out: &mut LeftOut) -> Result<()> {
        let owned = self.owner(fchown(&file, Some(self.uid()), Some(self.gid())), left_out)?;
        // After the owner: changing it takes the set-uid bit and the capabilities away.
        fchmod(&file, self.mode(owned, left_out))?;
        for (name, value) in &self.xattrs {
            if !is_for_us(name) {
                left_out.attributes += 1;
                continue;
            }
            let set = fsetxattr(&file, name.as_slice(), value, XattrFlags::empty());
            tolerate(set, &mut left_out.attributes)?;
        }
        futimens(&file, &self.times)
    }

    /// Sets what a symbolic link has: it has no mode, and cannot be opened.
    pub fn set_link(
        &self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        left_out: &mut LeftOut,
    ) -> Result<()> {
        let owner = (Some(self.uid()), Some(self.gid()));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        self.owner(chownat(parent, name, owner.0, owner.1, flags), left_out)?;
        for (key, value) in &self.xattrs {
            if !is_for_us(key) {
                left_out.attributes += 1;
                continue;
            }
            let path = [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name].concat();
            let set = lsetxattr(path.as_slice(), key.as_slice(), value, XattrFlags::empty());
            tolerate(set, &mut left_out.attributes)?;
        }
        utimensat(parent, name, &self.times, flags)
    }

    /// Sets those of a device or pipe, held by an `O_PATH` descriptor: opening
    /// it for real could wait, or do something.
    pub fn set_special(&self, node: BorrowedFd<'_>, left_out: &mut LeftOut) -> Result<()> {
        let owner = (Some(self.uid()), Some(self.gid()));
        let owned =
            self.owner(chownat(node, c"", owner.0, owner.1, AtFlags::EMPTY_PATH), left_out)?;
        let path = format!("/proc/self/fd/{}", node.as_raw_fd());
        chmodat(CWD, path.as_str(), self.mode(owned, left_out), AtFlags::empty())?;
        utimensat(CWD, path.as_str(), &self.times, AtFlags::empty())
    }

    fn uid(&self) -> Uid {
        Uid::from_raw(self.uid)
    }

    fn gid(&self) -> Gid {
        Gid::from_raw(self.gid)
    }

    /// Whether the owner is as it should be. Without root, or where an id is not
    /// mapped, it is left out.
    fn owner(&self, changed: Result<()>, left_out: &mut LeftOut) -> Result<bool> {
        match changed {
            Ok(()) => Ok(true),
            Err(Errno::PERM | Errno::INVAL) => {
                left_out.owners += 1;
                Ok(false)
            }
            Err(errno) => Err(errno),
        }
    }

    /// A program that is to run as its owner must not run as another one.
    fn mode(&self, owned: bool, left_out: &mut LeftOut) -> Mode {
        if owned || self.mode & 0o6000 == 0 {
            return Mode::from_raw_mode(self.mode);
        }
        left_out.set_id += 1;
        Mode::from_raw_mode(self.mode & !0o6000)
    }
}

/// overlayfs reads its own notes from these: in a layer they could redirect it.
fn is_for_us(name: &[u8]) -> bool {
    !name.is_empty()
        && !name.contains(&0)
        && !name.starts_with(b"trusted.overlay.")
        && !name.starts_with(b"user.overlay.")
}

fn tolerate(set: Result<()>, left_out: &mut u64) -> Result<()> {
    match set {
        Err(Errno::NOTSUP | Errno::PERM | Errno::INVAL | Errno::RANGE) => {
            *left_out += 1;
            Ok(())
        }
        other => other,
    }
}
