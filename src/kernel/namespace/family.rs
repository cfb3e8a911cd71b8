//! How namespaces are related: each belongs to a user namespace, and user and
//! pid namespaces have parents (`ioctl_nsfs(2)`).

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::{Holder, Id, Kind, Namespace};
use crate::kernel::raw;

/// A namespace's relatives; `None` where they lie outside of what we may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Family {
    /// The parent, for user and pid namespaces.
    pub parent: Option<Id>,
    /// The user namespace it belongs to; a user namespace belongs to its parent.
    pub owner: Option<Id>,
    /// For a user namespace: the uid that made it.
    pub uid: Option<u32>,
}

/// The relatives of these namespaces, and of ancestors that are not among them:
/// a user namespace lives on without a process while another belongs to it.
pub fn families(proc: &Path, namespaces: &[Namespace]) -> HashMap<Id, Family> {
    let mut known = HashMap::new();
    for namespace in namespaces {
        if let Some(file) = open(proc, namespace) {
            relate(&file, namespace.id, &mut known);
        }
    }
    known
}

/// Asks the kernel for a namespace's relatives, and for theirs.
fn relate(file: &File, id: Id, known: &mut HashMap<Id, Family>) {
    if known.contains_key(&id) {
        return;
    }
    let mut relative = |file: nix::Result<File>, kind| {
        let file = file.ok()?;
        let id = Id { inode: file.metadata().ok()?.ino(), kind };
        relate(&file, id, known);
        Some(id)
    };
    let family = match id.kind {
        Kind::User => {
            let parent = relative(raw::ns_parent(file), Kind::User);
            Family { parent, owner: parent, uid: raw::ns_owner_uid(file).ok() }
        }
        kind => Family {
            parent: if kind == Kind::Pid { relative(raw::ns_parent(file), kind) } else { None },
            owner: relative(raw::ns_user(file), Kind::User),
            uid: None,
        },
    };
    known.insert(id, family);
}

/// Opens the namespace by whatever holds it, and makes sure that it is the one meant.
pub fn open(proc: &Path, namespace: &Namespace) -> Option<File> {
    let Id { kind, inode } = namespace.id;
    let link = |pid: &i32| File::open(proc.join(format!("{pid}/ns/{}", kind.name()))).ok();
    let held = |holder: &Holder| match holder {
        Holder::File { pid, fd } => File::open(proc.join(format!("{pid}/fd/{fd}"))).ok(),
        Holder::Mount { path, pid, .. } => below_root(proc, *pid, path, inode),
    };
    let by_process = namespace.pids.iter().filter_map(link);
    by_process
        .chain(namespace.holders.iter().filter_map(held))
        .find(|file| file.metadata().is_ok_and(|metadata| metadata.ino() == inode))
}

/// Opens a mount point of another process's tree. What lies there is another's
/// choice, so it is opened only after a look at what it is: opening a device
/// or a FIFO would do something.
fn below_root(proc: &Path, pid: i32, path: &Path, inode: u64) -> Option<File> {
    const NSFS_MAGIC: u64 = 0x6e73_6673; // linux/magic.h
    let root = File::open(proc.join(format!("{pid}/root"))).ok()?;
    let path = path.strip_prefix("/").ok()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&root, path, flags, Mode::empty(), resolve).ok()?;
    let nsfs = rustix::fs::fstatfs(&found).ok()?.f_type as u64 == NSFS_MAGIC;
    let same = rustix::fs::fstat(&found).ok()?.st_ino == inode;
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    (nsfs && same).then(|| File::open(again).ok()).flatten()
}
