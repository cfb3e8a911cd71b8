//! What keeps real-time tasks from starving the machine. A task of
//! `SCHED_FIFO` that never waits would have its CPU for ever; so the kernel
//! keeps a part of each CPU for ordinary tasks: since Linux 6.12 the fair server,
//! a deadline reserve that runs them when they starve, before that RT throttling,
//! which makes real-time tasks pause (sched(7)).

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::autogroup::cpu_group;
use crate::error::{Context, Error, Result};

/// Microseconds of real-time tasks in each period; none: as many as they want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many they get.
    pub runtime: Option<u64>,
    /// How long a period is.
    pub period: u64,
}

/// What the fair server keeps of one CPU, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Of this CPU.
    pub cpu: usize,
    /// So much.
    pub runtime: u64,
    /// In each of these.
    pub period: u64,
}

/// What is known of the fair server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FairServer {
    /// This kernel is older than it.
    None,
    /// It is there, and these are its reserves.
    Read(Vec<Server>),
    /// It is there, and what it keeps cannot be read: why.
    Closed(Error),
}

/// All that stands between ordinary tasks and starving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// sched_rt_runtime_us and sched_rt_period_us.
    pub all: Budget,
    /// The fair server.
    pub server: FairServer,
    /// The real-time budget of our cgroup, and its file, where the kernel gives
    /// groups such (CONFIG_RT_GROUP_SCHED).
    pub group: Option<(PathBuf, Budget)>,
}

/// What does it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The fair server.
    FairServer,
    /// RT throttling.
    Throttling,
    /// Nothing: it was switched off.
    Nothing,
}

/// What the fair server keeps unless told otherwise: 50 ms of each second
/// (`fair_server_init` in kernel/sched/deadline.c).
const DEFAULT: (u64, u64) = (50_000_000, 1_000_000_000);

impl Guard {
    /// Reads all of it.
    pub fn read(proc: &Path) -> Result<Self> {
        let number = |name: &str| -> Result<i64> {
            let path = proc.join("sys/kernel").join(name);
            let text = fs::read_to_string(&path).tried(|| format!("read({path:?})"))?;
            text.trim().parse().map_err(|_| Error::new(format!("read({path:?})")).said(text))
        };
        let budget = |runtime: i64, period: i64| Budget {
            runtime: u64::try_from(runtime).ok(),
            period: period.unsigned_abs(),
        };
        let all = budget(number("sched_rt_runtime_us")?, number("sched_rt_period_us")?);
        Ok(Self { all, server: server(), group: group(proc) })
    }

    /// What does it here.
    pub fn mechanism(&self) -> Mechanism {
        match &self.server {
            FairServer::Read(servers) if servers.iter().all(|server| server.runtime == 0) => {
                Mechanism::Nothing
            }
            FairServer::Read(_) | FairServer::Closed(_) => Mechanism::FairServer,
            FairServer::None if self.all.runtime.is_none() => Mechanism::Nothing,
            FairServer::None => Mechanism::Throttling,
        }
    }

    /// The part of a CPU that is kept for ordinary tasks, and whether it was
    /// read rather than taken for the kernel's default.
    pub fn promised(&self, cpu: usize) -> (f64, bool) {
        match (&self.server, self.all) {
            (FairServer::Read(servers), _) => {
                let of = servers.iter().find(|server| server.cpu == cpu);
                let share = of.map(|of| of.runtime as f64 / of.period.max(1) as f64);
                (share.unwrap_or(0.0), true)
            }
            (FairServer::Closed(_), _) => (DEFAULT.0 as f64 / DEFAULT.1 as f64, false),
            (FairServer::None, Budget { runtime: Some(runtime), period }) => {
                (1.0 - runtime as f64 / period.max(1) as f64, true)
            }
            (FairServer::None, _) => (0.0, true),
        }
    }
}

fn group(proc: &Path) -> Option<(PathBuf, Budget)> {
    let us = std::process::id().cast_signed();
    let directory = cpu_group(proc, us).or_else(|| {
        // At the top the budget is that of the whole machine, and has a file too.
        let top = PathBuf::from("/sys/fs/cgroup/cpu");
        top.join("cpu.rt_runtime_us").exists().then_some(top)
    })?;
    let read = |name: &str| -> Option<i64> {
        fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok()
    };
    let (runtime, period) = (read("cpu.rt_runtime_us")?, read("cpu.rt_period_us")?);
    let budget = Budget { runtime: u64::try_from(runtime).ok(), period: period.unsigned_abs() };
    Some((directory.join("cpu.rt_runtime_us"), budget))
}

/// The nearest group above that of this file (`cpu.rt_runtime_us`) that has a
/// real-time budget.
pub fn budgeted(file: &Path) -> Option<PathBuf> {
    let has = |directory: &&Path| {
        let text = fs::read_to_string(directory.join("cpu.rt_runtime_us")).unwrap_or_default();
        text.trim().parse::<i64>().is_ok_and(|runtime| runtime != 0)
    };
    file.ancestors().skip(2).find(has).map(Path::to_owned)
}

fn server() -> FairServer {
    let release = procfs::sys::kernel::Version::current();
    let old = release.as_ref().is_ok_and(|v| (v.major, v.minor) < (6, 12));
    if old {
        return FairServer::None;
    }
    match servers() {
        Ok(servers) => FairServer::Read(servers),
        Err(error) => FairServer::Closed(error),
    }
}

/// sched/fair_server/cpuN in debugfs.
fn servers() -> Result<Vec<Server>> {
    let debugfs = debugfs()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let read = |name: &str| -> Result<u64> {
        let call = || format!("read(debugfs, \"{name}\")");
        let file = openat(&debugfs, name, flags, Mode::empty()).tried(call).map_err(locked)?;
        let mut buffer = [0_u8; 32];
        let length = rustix::io::read(&file, &mut buffer[..]).tried(call)?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap_or_default().trim();
        text.parse().map_err(|_| Error::new(call()).said(text))
    };
    let cpus = super::affinity::affinity(0)?;
    let server = |cpu: usize| {
        let file = |name: &str| format!("sched/fair_server/cpu{cpu}/{name}");
        Ok(Server { cpu, runtime: read(&file("runtime"))?, period: read(&file("period"))? })
    };
    cpus.into_iter().map(server).collect()
}

fn locked(error: Error) -> Error {
    match error.errno.map(Errno::from_raw) {
        Some(Errno::EPERM) => error.hint(
            "The kernel is locked down: of debugfs it shows only what nobody could change \
             (/sys/kernel/security/lockdown).",
        ),
        Some(Errno::EACCES) => error.hint("Only root may look into debugfs: use sudo."),
        _ => error,
    }
}

/// The kernel's debugging files: where they are mounted, or else a mount of our
/// own that is attached nowhere, and gone when it is closed.
fn debugfs() -> Result<OwnedFd> {
    let usual = "/sys/kernel/debug";
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if fs::exists(format!("{usual}/sched")).unwrap_or(false) {
        return openat(CWD, usual, flags, Mode::empty()).tried(|| format!("open({usual:?})"));
    }
    let context = fsopen("debugfs", FsOpenFlags::FSOPEN_CLOEXEC).tried(|| "fsopen(\"debugfs\")")?;
    fsconfig_create(&context).tried(|| "fsconfig(debugfs, FSCONFIG_CMD_CREATE)")?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
        .tried(|| "fsmount(debugfs)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(runtime: Option<u64>, server: FairServer) -> Guard {
        Guard { all: Budget { runtime, period: 1_000_000 }, server, group: None }
    }

    #[test]
    fn what_is_promised_is_what_is_in_force() {
        let throttled = guard(Some(950_000), FairServer::None);
        assert_eq!(throttled.mechanism(), Mechanism::Throttling);
        assert!((throttled.promised(0).0 - 0.05).abs() < 1e-9 && throttled.promised(0).1);
        let off = guard(None, FairServer::None);
        assert_eq!((off.mechanism(), off.promised(0)), (Mechanism::Nothing, (0.0, true)));
        let server = Server { cpu: 1, runtime: 100, period: 1000 };
        let served = guard(Some(950_000), FairServer::Read(vec![server]));
        assert_eq!((served.mechanism(), served.promised(1)), (Mechanism::FairServer, (0.1, true)));
        let closed = guard(None, FairServer::Closed(Error::new("read")));
        assert_eq!(closed.promised(0), (0.05, false), "not read is said to be not read");
    }

    #[test]
    fn this_machine_has_a_guard_or_says_that_it_has_none() {
        let guard = Guard::read(Path::new("/proc")).expect("the sysctls");
        assert!(guard.all.period > 0);
    }
}
