//! Reading /proc/PID/ns and /proc/PID/fd of every process, fast.
//!
//! This is most of what `inspect ns` costs, so it is done by `readlinkat` into
//! a buffer on the stack: no path of more than two components is walked and
//! nothing is allocated per process. `benches/namespaces.rs` compares it with
//! the procfs crate, which takes three times as long and gives up all eight
//! links of a process when one of them is closed.

use std::collections::HashMap;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::Errno;

use super::{Id, Kind};
use crate::error::{Context, Result};
use crate::kernel::process;

/// The namespaces of a process, in the order of [`Kind::ALL`]; 0 where unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ids([u64; 8]);

impl Ids {
    /// The process's namespace of this type, where it could be read.
    pub fn get(&self, kind: Kind) -> Option<Id> {
        let inode = self.0[kind as usize];
        (inode != 0).then_some(Id { inode, kind })
    }

    /// Those that could be read.
    pub fn iter(&self) -> impl Iterator<Item = Id> + '_ {
        Kind::ALL.into_iter().filter_map(|kind| self.get(kind))
    }
}

/// Processes that have all eight namespaces in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Their namespaces.
    pub ids: Ids,
    /// The lowest of their pids.
    pub pid: i32,
    /// How many they are.
    pub processes: u32,
}

/// A namespace that a process has open as a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    pub id: Id,
    pub pid: i32,
    pub fd: i32,
}

/// What a look at every process gave.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Ordered by lowest pid.
    pub sets: Vec<Set>,
    pub open: Vec<Open>,
    pub closed: Vec<i32>,
}

/// The names under /proc/PID/ns, in the order of [`Kind::ALL`].
const LINKS: [&CStr; 8] = [c"cgroup", c"ipc", c"mnt", c"net", c"pid", c"time", c"user", c"uts"];

/// From how many processes on a second thread pays for its start.
const WORTH_A_THREAD: usize = 200;

/// Looks at every process below `proc`. Processes that end meanwhile are left out.
pub(super) fn scan(proc: &Path) -> Result<Scan> {
    let directory = open_proc(proc)?;
    let pids = pids(&directory).tried(|| format!("getdents({proc:?})"))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(pids.len() / WORTH_A_THREAD).clamp(1, 4);
    // Neighbouring pids tend to share their namespaces, so each thread takes
    // one stretch of them rather than every nth.
    let mut parts = pids.chunks(pids.len().div_ceil(threads).max(1));
    let first = parts.next().unwrap_or_default();
    let (mut scan, others) = std::thread::scope(|scope| {
        let others: Vec<_> =
            parts.map(|part| (part, scope.spawn(|| look(directory.as_fd(), part)))).collect();
        let scan = look(directory.as_fd(), first);
        // A thread that could not finish (it has nothing to panic about) is done again here.
        let redo = |part| look(directory.as_fd(), part);
        let others: Vec<_> = others
            .into_iter()
            .map(|(part, other)| other.join().unwrap_or_else(|_| redo(part)))
            .collect();
        (scan, others)
    });
    for other in others {
        scan.closed.extend(other.closed);
        scan.open.extend(other.open);
        scan.sets.extend(other.sets);
    }
    scan.sets = merged(scan.sets);
    Ok(scan)
}

/// The namespaces of one process; an error when there is no such process.
pub(super) fn ids(proc: &Path, pid: i32) -> Result<Ids> {
    let directory = open_proc(proc)?;
    match links(directory.as_fd(), pid) {
        Look::Open(ids) => Ok(ids),
        Look::Closed => Ok(Ids::default()),
        Look::Gone => Err(process::missing(proc, pid)),
    }
}

fn open_proc(proc: &Path) -> Result<OwnedFd> {
    rustix::fs::open(proc, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .tried(|| format!("open({proc:?}, O_RDONLY|O_DIRECTORY)"))
        .map_err(|error| {
            error
                .hint("Without /proc nothing of a process can be seen: `mount -t proc proc /proc`.")
        })
}

fn pids(proc: &OwnedFd) -> Result<Vec<i32>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut entries = RawDir::new(proc, &mut buffer);
    let mut pids = Vec::new();
    while let Some(entry) = entries.next() {
        pids.extend(number(entry?.file_name()));
    }
    Ok(pids)
}

fn number(name: &CStr) -> Option<i32> {
    name.to_str().ok()?.parse().ok()
}

/// Reads the links and open files of these processes.
fn look(proc: BorrowedFd<'_>, pids: &[i32]) -> Scan {
    let mut scan = Scan::default();
    let mut index: HashMap<Ids, usize> = HashMap::new();
    for &pid in pids {
        match links(proc, pid) {
            Look::Gone => {}
            Look::Closed => scan.closed.push(pid),
            Look::Open(ids) => {
                let at = *index.entry(ids).or_insert_with(|| {
                    scan.sets.push(Set { ids, pid, processes: 0 });
                    scan.sets.len() - 1
                });
                scan.sets[at].processes += 1;
                scan.sets[at].pid = scan.sets[at].pid.min(pid);
                open_namespaces(proc, pid, &mut scan.open);
            }
        }
    }
    scan
}

enum Look {
    Open(Ids),
    Closed,
    Gone,
}

/// Reads a process's links one by one: of a zombie only `pid` and `user` are
/// left, and an older kernel has fewer than eight.
fn links(proc: BorrowedFd<'_>, pid: i32) -> Look {
    // Of a zombie the directory is root's and may not be read by others, but
    // its links may still be followed by name; O_PATH asks for no more.
    let ns = match open_below(proc, pid, "ns", OFlags::PATH) {
        Ok(ns) => ns,
        Err(Errno::ACCESS | Errno::PERM) => return Look::Closed,
        Err(_) => return Look::Gone,
    };
    let mut ids = Ids::default();
    let mut closed = false;
    for (slot, link) in ids.0.iter_mut().zip(LINKS) {
        let mut buffer = [0u8; 40];
        match readlinkat_raw(&ns, link, &mut buffer[..]) {
            Ok(length) => *slot = Id::parse(&buffer[..length]).map_or(0, |id| id.inode),
            // All links of a process are guarded by one check, so the first speaks for all.
            Err(Errno::ACCESS | Errno::PERM) => {
                closed = true;
                break;
            }
            Err(_) => {}
        }
    }
    match (ids == Ids::default(), closed) {
        (false, _) => Look::Open(ids),
        (true, true) => Look::Closed,
        (true, false) => Look::Gone,
    }
}

/// Adds the namespaces that a process has open. That costs a `readlink` for
/// each open file; nothing cheaper tells an nsfs file from another.
fn open_namespaces(proc: BorrowedFd<'_>, pid: i32, open: &mut Vec<Open>) {
    // Fewer entries than surely fit into the buffer: there are no more, and
    // the second getdents that would say so can be saved.
    const SURELY_ALL: usize = 128;
    let Ok(directory) = open_below(proc, pid, "fd", OFlags::RDONLY) else { return };
    let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
    let mut entries = RawDir::new(&directory, &mut buffer);
    let mut seen = 0;
    while let Some(Ok(entry)) = entries.next() {
        seen += 1;
        let name = entry.file_name();
        if let Some(fd) = number(name) {
            let mut target = [0u8; 40];
            let length = readlinkat_raw(&directory, name, &mut target[..]).unwrap_or(0);
            open.extend(Id::parse(&target[..length]).map(|id| Open { id, pid, fd }));
        }
        if seen < SURELY_ALL && entries.is_buffer_empty() {
            break;
        }
    }
}

/// Opens /proc/PID/NAME without allocating.
fn open_below(proc: BorrowedFd<'_>, pid: i32, name: &str, how: OFlags) -> Result<OwnedFd, Errno> {
    use std::io::Write;
    let mut path = [0u8; 24];
    let mut rest = &mut path[..];
    write!(rest, "{pid}/{name}").map_err(|_| Errno::NAMETOOLONG)?;
    let length = 24 - rest.len();
    openat(proc, &path[..length], how | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// One entry for each distinct set, ordered by lowest pid.
fn merged(sets: Vec<Set>) -> Vec<Set> {
    let mut by_ids: HashMap<Ids, Set> = HashMap::with_capacity(sets.len());
    for set in sets {
        let merged = by_ids.entry(set.ids).or_insert(Set { processes: 0, ..set });
        merged.processes += set.processes;
        merged.pid = merged.pid.min(set.pid);
    }
    let mut sets: Vec<_> = by_ids.into_values().collect();
    sets.sort_by_key(|set| set.pid);
    sets
}
