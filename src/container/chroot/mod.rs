//! A command behind chroot(2), as the article does it by hand; or behind
//! pivot_root(2), as container engines do it.
//!
//! The command is a child of ours in our own session, at our own terminal:
//! nothing but the root directory is another one.

pub mod diagnose;
pub mod escape;

use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, waitpid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::thread::CapabilitySet;

use crate::container::launch::{listen, standard_streams};
use crate::container::scope;
use crate::container::spec::Process;
use crate::error::{Context, Result};
use crate::kernel::channel::Channel;
use crate::kernel::chroot::{Chroot, Unshare};
use crate::kernel::enter::{ToInit, first_steps};
use crate::kernel::execute::Execute;
use crate::kernel::files::{Chdir, WriteFile};
use crate::kernel::mount::{Mount, PivotRoot, Unmount};
use crate::kernel::op::{Op, Slots, literal};
use crate::kernel::pidfd::PidFd;
use crate::kernel::raw;
use crate::kernel::session::DeathSignal;
use crate::kernel::user::{self, IdMap, Kind};
use crate::kernel::watcher::Status;
use crate::step::Observer;

/// How the root is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// chroot(2).
    Chroot,
    /// pivot_root(2) in a mount namespace of its own.
    Pivot,
}

/// What is done for a command with another root.
pub fn plan(root: &Path, way: Way, command: &[String]) -> Result<Vec<Op>> {
    let path = literal(&root.to_string_lossy());
    let mut ops = namespaces(way == Way::Pivot)?;
    match way {
        Way::Chroot => {
            let why = "from now on `/` is this directory, for this process and its children";
            ops.push(Chroot { path, why: why.to_owned() }.into());
        }
        Way::Pivot => ops.extend(pivot(&path)),
    }
    let why = "the working directory is still the old one, and a way out; so it is changed too";
    ops.push(Chdir { path: "/".to_owned(), why: why.to_owned() }.into());
    ops.push(DeathSignal.into());
    ops.push(Execute { argv: command.to_vec(), env: environment() }.into());
    Ok(ops)
}

/// The root swapped for that of a mount, and the old one taken away.
fn pivot(path: &str) -> Vec<Op> {
    vec![
        Mount::bind(path, path, "pivot_root wants a mount point; this makes the directory one")
            .flags(&["MS_REC"])
            .into(),
        Chdir { path: path.to_owned(), why: "into the new root".to_owned() }.into(),
        PivotRoot { new_root: ".".to_owned(), put_old: ".".to_owned() }.into(),
        Unmount {
            target: ".".to_owned(),
            why: "the old root, which now lies over the new one, leaves the tree".to_owned(),
        }
        .into(),
    ]
}

/// The namespaces that are needed: one for mounts if there are any, and one for
/// users where we are not root.
pub fn namespaces(mounts: bool) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    let capabilities = rustix::thread::capabilities(None).tried(|| "capget()")?;
    if !capabilities.effective.contains(CapabilitySet::SYS_ADMIN) {
        let why = "only root may change its root; in a user namespace of your own you are";
        let namespaces = vec!["user".to_owned(), "mnt".to_owned()];
        ops.push(Unshare { namespaces, why: why.to_owned() }.into());
        let why = "an ordinary user may map groups only after giving up setgroups(2)";
        ops.push(WriteFile::tell("/proc/$pid/setgroups", "deny", why).into());
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        for (kind, id) in [(Kind::Uid, uid), (Kind::Gid, gid)] {
            ops.push(IdMap { kind, map: user::root_and(id, &[]), helper: None }.into());
        }
    } else if mounts {
        let why = "a mount namespace of its own: the machine's own mounts stay as they are";
        ops.push(Unshare { namespaces: vec!["mnt".to_owned()], why: why.to_owned() }.into());
    }
    if mounts {
        let why = "from here on no mount made in here is seen outside";
        ops.push(Mount::change("/", &["MS_REC", "MS_PRIVATE"], why).into());
    }
    Ok(ops)
}

/// The reader's own environment would name programs that are not there.
fn environment() -> Vec<String> {
    let mut environment = vec![
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        "HOME=/root".to_owned(),
    ];
    if let Ok(term) = std::env::var("TERM") {
        environment.push(format!("TERM={term}"));
    }
    // Whose it is: nothing else would tell it from what another player has started.
    environment.extend(scope::own().map(|scope| format!("{}={scope}", scope::VARIABLE)));
    environment
}

/// Performs a plan that ends in a command, in a child; how that ended.
pub fn enter(ops: Vec<Op>, observer: &mut dyn Observer) -> Result<Status> {
    let own = PidFd::open(nix::unistd::getpid().as_raw())?;
    let (ours, theirs) = Channel::pair()?;
    let streams = Process { interactive: true, ..Process::new(Vec::new(), &[]) };
    let mut fds = standard_streams(&streams)?;
    fds.push(theirs.into());
    let signals = hold_signals()?;
    let Some(pid) = raw::fork().tried(|| "fork()")? else { first_steps(fds) };
    drop(fds);
    let mut slots = Slots::default();
    slots.set("pid", pid);
    let told = observer.wants_steps();
    let go = ToInit::Go { ops, slots, fds: vec!["parent".to_owned()], told };
    let started = ours.send(&go, &[own.as_fd()]).and_then(|()| listen(&ours, observer));
    match started {
        Ok(_) => stay(pid, &signals),
        Err(error) => {
            raw::reap(pid);
            Err(error)
        }
    }
}

/// Signals that come from now on wait until [`stay`] passes them on.
fn hold_signals() -> Result<SigSet> {
    let signals = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ];
    let signals: SigSet = signals.into_iter().collect();
    signals.thread_block().tried(|| "sigprocmask(SIG_BLOCK)")?;
    Ok(signals)
}

/// Waits for the command. What is typed at the terminal (Ctrl-C) reaches it by
/// itself; what somebody sends to us is passed on.
fn stay(pid: i32, signals: &SigSet) -> Result<Status> {
    let incoming = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC).tried(|| "signalfd()")?;
    let process = PidFd::open(pid)?;
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            PollFd::new(&incoming, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.tried(|| "poll()")?,
        };
        let (ended, signalled) = (!polled[0].revents().is_empty(), !polled[1].revents().is_empty());
        if ended {
            break;
        }
        if signalled && let Some(signal) = incoming.read_signal().tried(|| "read(signalfd)")? {
            let from_the_terminal = signal.ssi_code > 0;
            if !from_the_terminal {
                process.signal(signal.ssi_signo.cast_signed())?;
            }
        }
    }
    loop {
        match waitpid(nix::unistd::Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Status::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Status::Signal(signal as i32)),
            Err(nix::errno::Errno::EINTR) | Ok(_) => {}
            Err(errno) => return Err(errno).tried(|| format!("waitpid({pid})")),
        }
    }
}
