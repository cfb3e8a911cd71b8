//! How namespaces are related: each belongs to a user namespace, and user and
//! pid namespaces have parents (`ioctl_nsfs(2)`).

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat, openat2};

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
    Opener::new(proc).open(namespace)
}

/// Opens many namespaces: those that are mounted somewhere mostly are so in one
/// and the same tree, whose root is opened once.
#[derive(Debug)]
pub struct Opener<'a> {
    proc: &'a Path,
    root: Mutex<Option<(i32, Arc<File>)>>,
}

impl<'a> Opener<'a> {
    /// For the processes of this /proc.
    pub fn new(proc: &'a Path) -> Self {
        Self { proc, root: Mutex::new(None) }
    }

    /// As [`open`].
    pub fn open(&self, namespace: &Namespace) -> Option<File> {
        let Id { kind, inode } = namespace.id;
        let file = |path: String| File::open(self.proc.join(path)).ok();
        let link = |pid: &i32| file(format!("{pid}/ns/{}", kind.name()));
        let held = |holder: &Holder| match holder {
            Holder::File { pid, fd } => file(format!("{pid}/fd/{fd}")),
            Holder::Mount { path, pid, .. } => below_root(&*self.root(*pid)?, path, inode),
        };
        let by_process = namespace.pids.iter().filter_map(link);
        by_process
            .chain(namespace.holders.iter().filter_map(held))
            .find(|file| file.metadata().is_ok_and(|metadata| metadata.ino() == inode))
    }

    /// The root directory of this process, as long as no other's is asked for.
    fn root(&self, pid: i32) -> Option<Arc<File>> {
        let mut last = self.root.lock().ok()?;
        if let Some((_, root)) = last.as_ref().filter(|(whose, _)| *whose == pid) {
            return Some(root.clone());
        }
        let root = Arc::new(File::open(self.proc.join(format!("{pid}/root"))).ok()?);
        *last = Some((pid, root.clone()));
        Some(root)
    }
}

/// The number of the namespace that this is, if it is one: all of them, and
/// nothing else, are files of one file system (nsfs), which has no path.
pub fn number_of(stat: &Stat) -> Option<u64> {
    static NSFS: OnceLock<Option<u64>> = OnceLock::new();
    let own = || rustix::fs::stat("/proc/self/ns/net").map(|own| own.st_dev).ok();
    NSFS.get_or_init(own).is_some_and(|nsfs| stat.st_dev == nsfs).then_some(stat.st_ino)
}

/// Opens a mount point of another process's tree. What lies there is another's
/// choice, so it is opened only after a look at what it is: opening a device
/// or a FIFO would do something.
fn below_root(root: &File, path: &Path, inode: u64) -> Option<File> {
    let path = path.strip_prefix("/").ok()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(root, path, flags, Mode::empty(), resolve).ok()?;
    let same = number_of(&rustix::fs::fstat(&found).ok()?) == Some(inode);
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    same.then(|| File::open(again).ok()).flatten()
}
