//! Reading the scheduler's side of every process, fast: four small files each,
//! into one buffer, by two threads where there are many. `benches/scheduler.rs`
//! compares it with `ps`.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat_raw};
use rustix::io::Errno;

use super::{Class, affinity};
use crate::error::{Context, Result};
use crate::kernel::process;

/// The autogroup of a session: a group that the kernel makes by itself, so that
/// the nice values of one session count among themselves only (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autogroup {
    /// Its number.
    pub number: u64,
    /// The nice value of the group as a whole.
    pub nice: i32,
}

/// A process, or one thread of it, as the scheduler has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The process.
    pub pid: i32,
    /// The thread; the first has the process's number.
    pub tid: i32,
    /// The name of the thread, at most 15 bytes (longer for kernel workers).
    pub comm: String,
    /// R, S, D, ...: proc_pid_stat(5).
    pub state: char,
    /// Its policy.
    pub class: Class,
    /// 1 to 99 for real-time classes, else 0.
    pub rt_priority: u32,
    /// -20 to 19.
    pub nice: i32,
    /// CPU time used, in clock ticks.
    pub ticks: u64,
    /// The CPU it ran on last.
    pub cpu: u32,
    /// The CPUs it may run on, as `0-1`.
    pub cpus: Option<Arc<str>>,
    /// Its session's autogroup, where the kernel has them.
    pub autogroup: Option<Autogroup>,
    /// The lines of /proc/PID/cgroup.
    pub cgroup: Option<Arc<str>>,
    /// The inode of its mount namespace, where we may see it.
    pub mount_namespace: Option<u64>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One line for each process.
    Processes,
    /// One line for each thread.
    Threads,
}

/// From how many processes on a second thread pays for its start.
const WORTH_A_THREAD: usize = 200;

/// Every task below `proc`, by number. Those that end meanwhile are left out.
pub fn tasks(proc: &Path, which: Which) -> Result<Vec<Task>> {
    let directory = open(proc)?;
    let pids = numbers(&directory).tried(|| format!("getdents({proc:?})"))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(pids.len() / WORTH_A_THREAD).clamp(1, 4);
    let mut parts = pids.chunks(pids.len().div_ceil(threads).max(1));
    let first = parts.next().unwrap_or_default();
    let look = |part: &[i32]| Look::default().all(directory.as_fd(), part, which);
    let mut tasks = std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| (part, scope.spawn(|| look(part)))).collect();
        let mut tasks = look(first);
        for (part, other) in others {
            tasks.extend(other.join().unwrap_or_else(|_| look(part)));
        }
        tasks
    });
    tasks.sort_by_key(|task| (task.pid, task.tid));
    Ok(tasks)
}

fn open(proc: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(proc, flags, Mode::empty()).tried(|| format!("open({proc:?})")).map_err(
        |error| {
            error.hint("Without /proc no process can be seen: `mount -t proc proc /proc` as root.")
        },
    )
}

/// The names in a directory that are numbers.
fn numbers(directory: &OwnedFd) -> Result<Vec<i32>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        found.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(found)
}

/// One thread's work: a buffer, and texts that many processes have in common.
struct Look {
    buffer: Vec<u8>,
    texts: HashMap<Vec<u8>, Arc<str>>,
    sets: HashMap<rustix::thread::CpuSet, Arc<str>>,
}

impl Default for Look {
    fn default() -> Self {
        Self { buffer: vec![0; 8192], texts: HashMap::new(), sets: HashMap::new() }
    }
}

impl Look {
    fn all(mut self, proc: BorrowedFd<'_>, pids: &[i32], which: Which) -> Vec<Task> {
        let mut tasks = Vec::with_capacity(pids.len());
        for &pid in pids {
            let Some(process) = self.process(proc, pid) else { continue };
            match which {
                Which::Processes => tasks.push(process),
                Which::Threads => self.threads(proc, &process, &mut tasks),
            }
        }
        tasks
    }

    fn process(&mut self, proc: BorrowedFd<'_>, pid: i32) -> Option<Task> {
        let mut task = self.stat(proc, format_args!("{pid}/stat"), pid)?;
        self.set_cpus(&mut task);
        task.autogroup = self.read(proc, format_args!("{pid}/autogroup")).and_then(autogroup);
        task.cgroup = self.cgroup(proc, format_args!("{pid}/cgroup"));
        task.mount_namespace = mount_namespace(proc, pid);
        Some(task)
    }

    /// Every thread of a process: what belongs to the process is taken from it.
    fn threads(&mut self, proc: BorrowedFd<'_>, process: &Task, tasks: &mut Vec<Task>) {
        let pid = process.pid;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(below) = openat(proc, format!("{pid}/task"), flags, Mode::empty()) else { return };
        for tid in numbers(&below).unwrap_or_default() {
            let Some(mut task) = self.stat(proc, format_args!("{pid}/task/{tid}/stat"), pid) else {
                continue;
            };
            task.tid = tid;
            self.set_cpus(&mut task);
            task.autogroup = process.autogroup;
            task.cgroup = self.cgroup(proc, format_args!("{pid}/task/{tid}/cgroup"));
            task.mount_namespace = process.mount_namespace;
            tasks.push(task);
        }
    }

    /// Reads a file of /proc in one read; `None` when there is none.
    fn read(&mut self, proc: BorrowedFd<'_>, path: std::fmt::Arguments<'_>) -> Option<&[u8]> {
        use std::io::Write;
        let mut name = [0u8; 64];
        let mut rest = &mut name[..];
        rest.write_fmt(path).ok()?;
        let length = 64 - rest.len();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(proc, &name[..length], flags, Mode::empty()).ok()?;
        let read = rustix::io::read(&file, &mut self.buffer[..]).ok()?;
        Some(&self.buffer[..read])
    }

    fn stat(
        &mut self,
        proc: BorrowedFd<'_>,
        path: std::fmt::Arguments<'_>,
        pid: i32,
    ) -> Option<Task> {
        stat(self.read(proc, path)?, pid)
    }

    fn cgroup(&mut self, proc: BorrowedFd<'_>, path: std::fmt::Arguments<'_>) -> Option<Arc<str>> {
        let bytes = self.read(proc, path)?.to_vec();
        let text = || Arc::from(process::text(&bytes));
        Some(self.texts.entry(bytes.clone()).or_insert_with(text).clone())
    }

    fn set_cpus(&mut self, task: &mut Task) {
        let pid = rustix::process::Pid::from_raw(task.tid);
        let Some(set) = pid.and_then(|pid| rustix::thread::sched_getaffinity(Some(pid)).ok())
        else {
            return;
        };
        let text = || Arc::from(affinity::text(&affinity::members(&set)));
        task.cpus = Some(self.sets.entry(set).or_insert_with(text).clone());
    }
}

/// proc_pid_stat(5). The name stands in parentheses and may hold any byte, so
/// the fields are counted from the last one.
fn stat(bytes: &[u8], pid: i32) -> Option<Task> {
    let opens = bytes.iter().position(|byte| *byte == b'(')?;
    let closes = bytes.iter().rposition(|byte| *byte == b')')?;
    let comm = process::text(bytes.get(opens + 1..closes)?);
    let rest = std::str::from_utf8(bytes.get(closes + 2..)?).ok()?;
    // The first of these is field 3.
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |n: usize| field(n)?.parse::<u64>().ok();
    Some(Task {
        pid,
        tid: pid,
        comm,
        state: field(3)?.chars().next()?,
        ticks: number(14)? + number(15)?,
        nice: field(19)?.parse().ok()?,
        cpu: field(39)?.parse().ok()?,
        rt_priority: field(40)?.parse().ok()?,
        class: Class::of(field(41)?.parse().ok()?),
        cpus: None,
        autogroup: None,
        cgroup: None,
        mount_namespace: None,
    })
}

/// `/autogroup-25 nice 0`
fn autogroup(bytes: &[u8]) -> Option<Autogroup> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let (number, nice) = text.strip_prefix("/autogroup-")?.split_once(" nice ")?;
    Some(Autogroup { number: number.parse().ok()?, nice: nice.parse().ok()? })
}

fn mount_namespace(proc: BorrowedFd<'_>, pid: i32) -> Option<u64> {
    let mut buffer = [0u8; 40];
    let length = readlinkat_raw(proc, format!("{pid}/ns/mnt"), &mut buffer[..]).ok()?;
    let text = std::str::from_utf8(&buffer[..length]).ok()?;
    text.strip_prefix("mnt:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        let line = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 -51 -2 1 0 99 0 0 \
            18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 50 1 0 0 0";
        let task = stat(line, 7).expect("a task");
        assert_eq!((task.comm.as_str(), task.state), ("a) b (c", 'S'));
        assert_eq!((task.ticks, task.nice, task.cpu), (42, -2, 1));
        assert_eq!((task.rt_priority, task.class), (50, Class::Ff));
    }

    #[test]
    fn autogroups_have_a_number_and_a_nice_value() {
        let found = autogroup(b"/autogroup-8091 nice -3\n");
        assert_eq!(found, Some(Autogroup { number: 8091, nice: -3 }));
        assert_eq!(autogroup(b""), None);
    }

    #[test]
    fn we_are_among_the_tasks_and_so_are_our_threads() {
        let us = std::process::id().cast_signed();
        let all = tasks(Path::new("/proc"), Which::Processes).expect("tasks");
        assert!(all.iter().any(|task| task.pid == us && task.cpus.is_some()));
        let threads = tasks(Path::new("/proc"), Which::Threads).expect("threads");
        assert!(threads.iter().any(|task| task.pid == us && task.tid != us));
    }
}
