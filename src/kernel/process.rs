//! Processes, as /proc shows them (proc(5)).
//!
//! What is asked of every process at once is read in kernel/namespace/scan.rs;
//! here is what is asked of a few, through the procfs crate where that serves.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use procfs::KernelStats;
use procfs::prelude::FromReadSI;
use procfs::process::{Process, Stat};

use crate::error::{Context, Error, Result};
use crate::kernel::mountinfo;

/// /proc/PID/status, field by field. (The procfs crate reads it too, but not
/// where a program has given itself a name that is not UTF-8.)
#[derive(Debug, Clone)]
pub struct Status(String);

impl Status {
    /// Reads it; one clear error where there is no such process.
    pub fn read(proc: &Path, pid: i32) -> Result<Self> {
        let path = proc.join(format!("{pid}/status"));
        match fs::read(&path) {
            Ok(status) => Ok(Self(text(&status))),
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT | Errno::ESRCH) => Err(missing(proc, pid)),
                _ => Err(Error::io(format!("read({path:?})"), &error)),
            },
        }
    }

    /// A field, by its name in proc_pid_status(5).
    pub fn field(&self, name: &str) -> Option<&str> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(value.trim())
    }

    /// Effective user id.
    pub fn uid(&self) -> Option<u32> {
        self.field("Uid")?.split_whitespace().nth(1)?.parse().ok()
    }
}

/// The little that is read of many processes: one file, no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// Its parent; 0 when it has none that this pid namespace can see.
    pub ppid: i32,
    /// Its effective user id.
    pub uid: u32,
    /// The name of its program, at most 15 bytes (`comm`).
    pub comm: String,
}

/// Reads a process's [`Brief`]; `None` when there is no such process (any more).
pub fn brief(proc: &Path, pid: i32) -> Option<Brief> {
    let status = Status::read(proc, pid).ok()?;
    Some(Brief {
        ppid: status.field("PPid")?.parse().ok()?,
        uid: status.uid()?,
        comm: status.field("Name")?.to_owned(),
    })
}

/// A process's arguments; empty for a kernel thread and a zombie.
pub fn arguments(proc: &Path, pid: i32) -> Vec<String> {
    let line = fs::read(proc.join(format!("{pid}/cmdline"))).unwrap_or_default();
    // A process that has written a title over its arguments pads it with zeroes.
    let length = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match &line[..length] {
        [] => Vec::new(),
        line => line.split(|byte| *byte == 0).map(text).collect(),
    }
}

/// What `ps` shows as the command: the arguments, or the program's name in
/// brackets where there are none.
pub fn command(proc: &Path, pid: i32, comm: &str) -> String {
    match arguments(proc, pid).as_slice() {
        [] => format!("[{comm}]"),
        arguments => arguments.join(" ").trim_end().to_owned(),
    }
}

/// Bytes of others as text: what is not UTF-8 is written `\xff`.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// A path as text, escaped in the same way.
pub fn path_text(path: &Path) -> String {
    text(path.as_os_str().as_encoded_bytes())
}

/// The columns of `ps -ef`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ps {
    /// Effective user id.
    pub uid: u32,
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Processor use over its lifetime, in percent.
    pub cpu: u64,
    /// When it started, in seconds since the epoch.
    pub started: u64,
    /// Its terminal: `pts/0`.
    pub tty: Option<String>,
    /// Processor time used, in seconds.
    pub time: u64,
    /// Its command.
    pub command: String,
}

/// A process with its ancestors, the eldest first.
pub fn ancestry(proc: &Path, pid: i32) -> Result<Vec<Ps>> {
    let boot = boot_time(proc)?;
    let mut chain = vec![ps(proc, pid, boot)?];
    while let Some(youngest) = chain.last().filter(|last| last.ppid > 0 && last.ppid != last.pid) {
        // A parent that has just ended is no error: its child was handed on meanwhile.
        let Ok(parent) = ps(proc, youngest.ppid, boot) else { break };
        chain.push(parent);
    }
    chain.reverse();
    Ok(chain)
}

/// When the machine was started, in seconds since the epoch.
pub fn boot_time(proc: &Path) -> Result<u64> {
    let path = proc.join("stat");
    KernelStats::from_file(&path, procfs::current_system_info())
        .map(|stat| stat.btime)
        .map_err(|error| tried(&path, error))
}

/// Why a process is still there after SIGKILL, and what to look at, by its state in
/// proc_pid_stat(5): a signal takes effect when the process runs next.
pub fn outlives_kill(proc: &Path, pid: i32) -> String {
    match stat(proc, pid).map(|stat| stat.state) {
        Ok('R') => format!(
            "Process {pid} is ready to run and gets no processor: what is more urgent, or a limit of its cgroup, leaves it none. `under-the-hood sched ps` shows who runs."
        ),
        Ok('D') => format!(
            "Process {pid} is stuck in the kernel (state D); `cat /proc/{pid}/stack`, as root, shows where."
        ),
        Ok(state) => {
            format!("Process {pid} is in state {state}; `cat /proc/{pid}/status` shows more.")
        }
        Err(_) => format!("Process {pid} has ended meanwhile: try once more."),
    }
}

/// The error for a process that is not there, or for a /proc that is not.
pub fn missing(proc: &Path, pid: i32) -> Error {
    if !proc.join("version").exists() {
        return Error::call(format!("open({:?})", proc.join(pid.to_string())), Errno::ENOENT).hint(
            "Without /proc nothing can be seen of a process; root gets one by `mount -t proc proc /proc`.",
        );
    }
    Error { errno: Some(Errno::ESRCH as i32), ..Error::new(format!("no process has pid {pid}")) }
        .hint("`ps -ef` lists the pids there are; `under-the-hood inspect ns` those of containers.")
}

/// Whether processes of others are not even listed to us: the `hidepid` of the
/// /proc we read (proc(5)).
pub fn hidden(proc: &Path) -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    let mounts = mountinfo::list(proc, std::process::id().cast_signed()).unwrap_or_default();
    let mount = mounts.iter().rev().find(|mount| mount.mount_point == proc);
    mount.is_some_and(|mount| {
        let mode =
            mount.super_options.split(',').find_map(|option| option.strip_prefix("hidepid="));
        mode.is_some_and(|mode| !matches!(mode, "0" | "off"))
    })
}

/// /proc/PID/stat, by the procfs crate; one clear error where there is no such process.
pub fn stat(proc: &Path, pid: i32) -> Result<Stat> {
    let path = proc.join(pid.to_string());
    let stat = Process::new_with_root(path.clone()).and_then(|process| process.stat());
    stat.map_err(|error| match error {
        procfs::ProcError::NotFound(_) => missing(proc, pid),
        error => tried(&path.join("stat"), error),
    })
}

fn ps(proc: &Path, pid: i32, boot: u64) -> Result<Ps> {
    let stat = stat(proc, pid)?;
    let uid = Status::read(proc, pid)?.uid().unwrap_or_default();
    let ticks = procfs::ticks_per_second().max(1);
    let time = (stat.utime + stat.stime) / ticks;
    let started = started(&stat, boot);
    let lived = now().saturating_sub(started).max(1);
    Ok(Ps {
        uid,
        pid,
        ppid: stat.ppid,
        cpu: (time * 100 / lived).min(99),
        started,
        tty: terminal(stat.tty_nr),
        time,
        command: command(proc, pid, &stat.comm),
    })
}

/// When a process started, in seconds since the epoch, on a machine that was
/// started at `boot`.
pub fn started(stat: &Stat, boot: u64) -> u64 {
    boot + stat.starttime / procfs::ticks_per_second().max(1)
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// The name of a terminal's device number, as /dev has it.
fn terminal(device: i32) -> Option<String> {
    let device = u64::try_from(device).ok().filter(|device| *device != 0)?;
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    if (136..=143).contains(&major) {
        return Some(format!("pts/{}", (major - 136) * 256 + minor)); // linux/major.h
    }
    let event = fs::read_to_string(format!("/sys/dev/char/{major}:{minor}/uevent")).ok()?;
    event.lines().find_map(|line| line.strip_prefix("DEVNAME=")).map(str::to_owned)
}

fn tried(path: &Path, error: procfs::ProcError) -> Error {
    match error {
        procfs::ProcError::Io(error, _) => Error::io(format!("read({path:?})"), &error),
        procfs::ProcError::PermissionDenied(_) => {
            Error::call(format!("read({path:?})"), Errno::EACCES)
        }
        procfs::ProcError::NotFound(_) => Error::call(format!("read({path:?})"), Errno::ENOENT),
        error => Error::new(format!("reading {}", path.display())).said(error),
    }
}

/// Names of users, read once.
///
/// From the file, not by `getpwuid(3)`: a static program cannot load the
/// libraries that nsswitch.conf may ask for. Who is not in it keeps the number.
#[derive(Debug, Default)]
pub struct Users(HashMap<u32, String>);

impl Users {
    /// Reads a passwd(5) file; without one every user keeps the number.
    pub fn read(passwd: &Path) -> Self {
        let lines = fs::read(passwd).unwrap_or_default();
        let mut users = HashMap::new();
        for line in text(&lines).lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
                users.entry(uid).or_insert_with(|| name.to_owned());
            }
        }
        Self(users)
    }

    /// The user's name, or the number as text.
    pub fn name(&self, uid: u32) -> String {
        self.0.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}

/// A range of ids of a user namespace, as /proc/PID/uid_map has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct IdMap {
    /// The first id inside.
    pub inside: u32,
    /// The id it stands for, as our own user namespace counts.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// `uid_map` or `gid_map` of a process.
pub fn id_map(proc: &Path, pid: i32, name: &str) -> Result<Vec<IdMap>> {
    let path: PathBuf = proc.join(format!("{pid}/{name}"));
    let text = fs::read_to_string(&path).tried(|| format!("read({path:?})"))?;
    let range = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(IdMap { inside: next()?, outside: next()?, count: next()? })
    };
    Ok(text.lines().filter_map(range).collect())
}

/// A resource limit of a process (getrlimit(2)).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// As /proc has it: `open files`.
    pub name: String,
    /// What holds now: a number, or `unlimited`.
    pub soft: String,
    /// Up to what the process may raise that itself.
    pub hard: String,
}

/// `limits` of a process.
pub fn limits(proc: &Path, pid: i32) -> Result<Vec<Limit>> {
    let path = proc.join(format!("{pid}/limits"));
    let table = fs::read_to_string(&path).tried(|| format!("read({path:?})"))?;
    let limit = |line: &str| {
        // `Max open files            1024                 1048576              files`
        let mut columns = line.strip_prefix("Max ")?.split("  ").map(str::trim);
        let mut next = || columns.find(|column| !column.is_empty()).map(str::to_owned);
        Some(Limit { name: next()?, soft: next()?, hard: next()? })
    };
    Ok(table.lines().filter_map(limit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_outlives_a_kill_is_told_apart() {
        let proc = std::env::temp_dir().join(format!("uth-process-{}", std::process::id()));
        let zeroes = "0 ".repeat(49);
        let told = |state: &str| {
            fs::create_dir_all(proc.join("7")).expect("it can be made");
            let line = format!("7 (a) b) {state} {zeroes}\n");
            fs::write(proc.join("7/stat"), line).expect("it can be written");
            outlives_kill(&proc, 7)
        };
        assert!(told("R").contains("gets no processor"), "{}", told("R"));
        assert!(told("D").contains("/proc/7/stack"), "{}", told("D"));
        assert!(told("t").contains("in state t"), "{}", told("t"));
        fs::remove_dir_all(&proc).expect("it can be removed");
        assert!(outlives_kill(&proc, 7).contains("has ended"));
    }

    #[test]
    fn limits_are_those_of_getrlimit() {
        let limits = limits(Path::new("/proc"), std::process::id() as i32).expect("our limits");
        let files = limits.iter().find(|limit| limit.name == "open files").expect("it is there");
        let ours = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(files.soft.parse().ok(), ours.current);
        assert_eq!(files.hard.parse().ok(), ours.maximum);
        assert_eq!(limits.len(), 16);
    }

    #[test]
    fn what_is_not_utf8_is_escaped() {
        assert_eq!(text(b"a\xff\xc3\xa4b"), "a\\xffäb");
    }

    #[test]
    fn users_without_a_name_keep_the_number() {
        let directory = tempfile::tempdir().expect("a directory");
        let passwd = directory.path().join("passwd");
        fs::write(&passwd, "root:x:0:0:root:/root:/bin/sh\n#odd\n::\nlearner:x:1000:")
            .expect("written");
        let users = Users::read(&passwd);
        assert_eq!((users.name(0), users.name(1000)), ("root".into(), "learner".into()));
        assert_eq!(users.name(7), "7");
        assert_eq!(Users::read(Path::new("/nowhere")).name(0), "0");
    }

    #[test]
    fn a_process_that_is_not_there_is_one_clear_error() {
        let error = stat(Path::new("/proc"), i32::MAX).expect_err("no such pid");
        assert_eq!(error.tried, format!("no process has pid {}", i32::MAX));
        assert!(error.is(Errno::ESRCH));
    }

    #[test]
    fn we_are_the_youngest_of_our_ancestry() {
        let us = std::process::id() as i32;
        let chain = ancestry(Path::new("/proc"), us).expect("our own ancestors");
        assert_eq!(chain.last().map(|ps| ps.pid), Some(us));
        assert!(chain.windows(2).all(|pair| pair[1].ppid == pair[0].pid));
    }
}
