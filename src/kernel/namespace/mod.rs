//! Namespaces: what a process sees of the machine, in eight parts, each of
//! which it may share with others or have for itself (namespaces(7)).
//!
//! A namespace has no name and stands in no list. It shows itself only where
//! something holds it: as a link under /proc/PID/ns, as an open file, or as a
//! bind mount of such a link. Finding all of them means looking everywhere.

mod family;
mod held;
mod scan;

use std::collections::HashMap;
use std::path::Path;

use crate::error::Result;

pub use family::{Family, Opener, families, number_of, open};
pub use held::Holder;
pub use scan::{Ids, Set};

/// The eight types of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    Cgroup,
    Ipc,
    Mnt,
    Net,
    Pid,
    Time,
    User,
    Uts,
}

impl Kind {
    /// All eight, in alphabetical order.
    pub const ALL: [Self; 8] = [
        Self::Cgroup,
        Self::Ipc,
        Self::Mnt,
        Self::Net,
        Self::Pid,
        Self::Time,
        Self::User,
        Self::Uts,
    ];

    /// Its name under /proc/PID/ns, which is also lsns's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mnt => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }

    /// What it separates, in a few words.
    pub fn separates(self) -> &'static str {
        match self {
            Self::Cgroup => "which cgroup looks like the root",
            Self::Ipc => "System V IPC and POSIX message queues",
            Self::Mnt => "mount points",
            Self::Net => "interfaces, routes, ports, firewall",
            Self::Pid => "process ids",
            Self::Time => "the boot and monotonic clocks",
            Self::User => "user ids and capabilities",
            Self::Uts => "host name and domain name",
        }
    }
}

/// One namespace: its type, and the inode number that nsfs gave it. The number
/// alone is unique among all types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The inode number: what `readlink` shows between the brackets.
    pub inode: u64,
    /// The type.
    pub kind: Kind,
}

impl Id {
    /// Reads the kernel's way of writing it: `net:[4026531833]`.
    pub fn parse(link: &[u8]) -> Option<Self> {
        let colon = link.iter().position(|byte| *byte == b':')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name().as_bytes() == &link[..colon])?;
        let digits = link[colon + 1..].strip_prefix(b"[")?.strip_suffix(b"]")?;
        let inode = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { inode, kind })
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:[{}]", self.kind.name(), self.inode)
    }
}

/// A namespace and all that keeps it alive, as far as we may see.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Which one it is.
    pub id: Id,
    /// How many processes are in it.
    pub processes: u32,
    /// The lowest pid of each group of processes in it that have all eight
    /// namespaces in common, ascending; empty when no process is in it.
    pub pids: Vec<i32>,
    /// What else holds it.
    pub holders: Vec<Holder>,
}

/// Everything that could be seen of the machine's namespaces.
#[derive(Debug)]
pub struct Census {
    /// The namespaces, ordered by inode number.
    pub namespaces: Vec<Namespace>,
    /// Groups of processes that have all eight namespaces in common, by lowest pid.
    pub sets: Vec<Set>,
    /// Processes that could not be looked into (proc(5): it takes ptrace
    /// access to another process to read its namespaces).
    pub closed: Vec<i32>,
}

/// Finds every namespace that a process of `proc` is in, and those that only
/// an open file or a bind mount holds.
pub fn census(proc: &Path) -> Result<Census> {
    let scan = scan::scan(proc)?;
    let mut found: HashMap<Id, Namespace> = HashMap::new();
    let new = |id| Namespace { id, processes: 0, pids: Vec::new(), holders: Vec::new() };
    for set in &scan.sets {
        for id in set.ids.iter() {
            let namespace = found.entry(id).or_insert_with(|| new(id));
            namespace.processes += set.processes;
            namespace.pids.push(set.pid);
        }
    }
    let open = scan.open.iter().map(|open| (open.id, Holder::File { pid: open.pid, fd: open.fd }));
    for (id, holder) in open.chain(held::by_mounts(proc, &scan.sets)) {
        found.entry(id).or_insert_with(|| new(id)).holders.push(holder);
    }
    let mut namespaces: Vec<_> = found.into_values().collect();
    namespaces.sort_by_key(|namespace| namespace.id);
    Ok(Census { namespaces, sets: scan.sets, closed: scan.closed })
}

/// The namespaces of one process; those that are closed to us are missing.
pub fn of_process(proc: &Path, pid: i32) -> Result<Ids> {
    scan::ids(proc, pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_the_kernel_writes_it() {
        let id = Id { inode: 4026531833, kind: Kind::Net };
        assert_eq!(Id::parse(b"net:[4026531833]"), Some(id));
        assert_eq!(id.to_string(), "net:[4026531833]");
        for wrong in ["pipe:[12]", "net:[x]", "net:12", "net:", "/dev/null", "", ":"] {
            assert_eq!(Id::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
