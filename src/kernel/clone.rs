//! A process in namespaces of its own: clone3(2), performed by the watcher so
//! that it is the container's parent.

use std::os::fd::OwnedFd;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::kernel::pidfd::{PidFd, start_time};
use crate::kernel::watcher::Status;
use crate::kernel::{enter, raw};
use crate::step::{Actor, Step};

/// The types of namespaces that can be made, as lsns(8) calls them, with the
/// flag of clone(2) and what each isolates.
pub const NAMESPACES: [(&str, &str, i32, &str); 7] = [
    ("user", "CLONE_NEWUSER", libc::CLONE_NEWUSER, "user and group ids"),
    ("mnt", "CLONE_NEWNS", libc::CLONE_NEWNS, "mount points"),
    ("uts", "CLONE_NEWUTS", libc::CLONE_NEWUTS, "the host name"),
    ("ipc", "CLONE_NEWIPC", libc::CLONE_NEWIPC, "shared memory and message queues"),
    ("pid", "CLONE_NEWPID", libc::CLONE_NEWPID, "process ids"),
    ("net", "CLONE_NEWNET", libc::CLONE_NEWNET, "interfaces, addresses, routes, firewall"),
    ("cgroup", "CLONE_NEWCGROUP", libc::CLONE_NEWCGROUP, "the view of the cgroup tree"),
];

/// The flags of these namespaces, as text and as a number.
pub fn flags(namespaces: &[String]) -> (String, i32) {
    let wanted =
        NAMESPACES.iter().filter(|(name, ..)| namespaces.iter().any(|wanted| wanted == name));
    let (mut text, mut number) = (Vec::new(), 0);
    for (_, flag, value, _) in wanted {
        text.push(*flag);
        number |= value;
    }
    (text.join("|"), number)
}

/// Which namespaces the new process gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloneSpec {
    /// The container's name, for the shim's title.
    pub name: String,
    /// `mnt`, `pid`, ...
    pub namespaces: Vec<String>,
}

/// Makes the container's first process; `$pid` is its pid afterwards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Clone(pub CloneSpec);

impl Operation for Clone {
    fn step(&self) -> Step {
        let flags = flags(&self.0.namespaces).0;
        let options: Vec<_> = self
            .0
            .namespaces
            .iter()
            .map(|name| match name.as_str() {
                "mnt" => "--mount".to_owned(),
                name => format!("--{name}"),
            })
            .collect();
        let call = |flags| format!("clone3({{flags={flags}CLONE_PIDFD, exit_signal=SIGCHLD}})");
        let step = if options.is_empty() {
            let why = "a process; it waits until it is told what to become";
            Step::new(call(String::new()), why)
        } else {
            let why = "one call makes a process and its new namespaces: this is the moment a container begins";
            Step::new(call(format!("{flags}|")), why)
                .shell(format!("unshare --fork {} sh", options.join(" ")))
        };
        Step { actor: Actor::Shim, ..step }
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let fds = std::mem::take(&mut world.hand_over);
        let (pid, start) = world.watch()?.clone_child(&self.0, fds)?;
        world.slots.set("pid", pid);
        world.slots.set("start", start);
        Ok(pid.to_string())
    }
}

/// The container's first process, as its parent holds it.
#[derive(Debug)]
pub struct Child {
    /// Its pid, outside.
    pub pid: i32,
    /// When it was started, in clock ticks since boot.
    pub start: u64,
    /// The same process, unmistakably.
    pub pidfd: PidFd,
    /// Set once it has ended.
    pub status: Option<Status>,
}

impl Child {
    /// Starts it; `fds` become its 0, 1, 2 and its channel to the launcher, on
    /// which it waits to be told to go on.
    pub fn start(spec: &CloneSpec, fds: Vec<OwnedFd>) -> Result<Self> {
        let (text, number) = flags(&spec.namespaces);
        let call = || format!("clone3({text})");
        match raw::clone3(u64::from(number.cast_unsigned()))
            .tried(call)
            .map_err(|error| explain(error, &text))?
        {
            None => enter::first_steps(fds),
            Some((pid, pidfd)) => Ok(Self {
                pid,
                start: start_time(pid).unwrap_or_default(),
                pidfd: PidFd::from_fd(pidfd),
                status: None,
            }),
        }
    }

    /// Whether it has ended; keeps how.
    pub fn reap(&mut self) -> bool {
        if self.status.is_none() {
            self.status = match waitpid(Pid::from_raw(self.pid), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => Some(Status::Code(code)),
                Ok(WaitStatus::Signaled(_, signal, _)) => Some(Status::Signal(signal as i32)),
                _ => None,
            };
        }
        self.status.is_some()
    }

    /// Ends it if it has not, and waits for it.
    pub fn end(&mut self) {
        while !self.reap() {
            if self.pidfd.signal(libc::SIGKILL).is_err() || self.pidfd.wait(2000).is_err() {
                return;
            }
        }
    }
}

fn explain(error: Error, flags: &str) -> Error {
    use nix::errno::Errno;
    match error.errno.map(Errno::from_raw) {
        Some(Errno::EPERM) if flags.contains("CLONE_NEWUSER") => error.hint(
            "This kernel does not let an ordinary user make user namespaces; \
             `under-the-hood doctor` names the switch. As root it works: use sudo.",
        ),
        Some(Errno::EPERM) => error.hint("New namespaces need CAP_SYS_ADMIN; this root has not got it."),
        Some(Errno::ENOSPC) => error.hint(
            "ENOSPC is not about a disk here: the limit in /proc/sys/user/max_*_namespaces is reached.",
        ),
        Some(Errno::ENOSYS) => error.hint("clone3 needs Linux 5.3, and is denied by some seccomp filters."),
        _ => error,
    }
}
