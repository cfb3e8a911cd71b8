//! Namespaces that a bind mount keeps alive.
//!
//! Binding /proc/PID/ns/net to a file makes the namespace outlive its last
//! process; `ip netns add` does nothing else. Such mounts stand in the
//! mountinfo of the mount namespace they were made in, and there only.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::scan::Set;
use super::{Id, Kind};
use crate::kernel::mountinfo::Mount;

/// What keeps a namespace alive besides the processes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A process has it open as a file.
    File {
        /// The process.
        pid: i32,
        /// The descriptor.
        fd: i32,
    },
    /// It is mounted on a file.
    Mount {
        /// The file, as processes of that mount namespace see it.
        path: PathBuf,
        /// The mount namespace in which it is mounted.
        namespace: Id,
        /// A process in that mount namespace, through whose /proc/PID/root the file can be reached.
        pid: i32,
    },
}

/// Every bind mount of a namespace; mountinfo is read once per mount namespace.
pub(super) fn by_mounts(proc: &Path, sets: &[Set]) -> Vec<(Id, Holder)> {
    let mut read = HashSet::new();
    let mut found = Vec::new();
    for set in sets {
        let Some(namespace) = set.ids.get(Kind::Mnt).filter(|id| !read.contains(id)) else {
            continue;
        };
        // Where this process has just ended, the next set of the same mount namespace is tried.
        let Ok(text) = fs::read(proc.join(format!("{}/mountinfo", set.pid))) else { continue };
        read.insert(namespace);
        for mount in text.split(|byte| *byte == b'\n').filter(|line| mentions_nsfs(line)) {
            if let Some(mount) = Mount::parse(mount).filter(|mount| mount.fs_type == "nsfs")
                && let Some(id) = Id::parse(mount.root.as_os_str().as_encoded_bytes())
            {
                let holder = Holder::Mount { path: mount.mount_point, namespace, pid: set.pid };
                found.push((id, holder));
            }
        }
    }
    found
}

/// Whether the line can be an nsfs mount at all: parsing every mount of every
/// mount namespace would cost more than reading them.
fn mentions_nsfs(line: &[u8]) -> bool {
    line.windows(6).rev().any(|window| window == b" nsfs ")
}
