//! Another process in a running container: setns(2), then as in `run`.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::container::attach::{Ending, attach, hold_signals};
use crate::container::launch::{last_words, listen, standard_streams};
use crate::container::limited;
use crate::container::machine::{Machine, setgroups_allowed};
use crate::container::plan;
use crate::container::registry::Container;
use crate::container::spec::Process;
use crate::container::tried;
use crate::error::{Context, Error, Exit, Result};
use crate::kernel::channel::Channel;
use crate::kernel::enter::{FromInit, SetNs, ToInit, Undumpable, UnshareMounts, first_steps};
use crate::kernel::op::{Op, Slots, describe};
use crate::kernel::pidfd::PidFd;
use crate::kernel::session::{DeathSignal, NewSession};
use crate::kernel::watcher::Status;
use crate::kernel::{enter, process, raw};
use crate::step::{Actor, Observer, Step};

/// What is done to enter.
pub struct Plan {
    newborn: Vec<Op>,
    init: Vec<Op>,
    in_child: Vec<Op>,
}

impl Plan {
    /// The plan for a process in this container.
    pub fn new(container: &Container, process: &Process, machine: &Machine) -> Result<Self> {
        let differing = differing_namespaces(container.pid)?;
        let (user, others): (Vec<_>, Vec<_>) =
            differing.into_iter().partition(|name| name == "user");
        let mut newborn = limited::join(container)?;
        newborn.push(Undumpable.into());
        let nobody = !user.is_empty() && !is_root_in(container.pid)?;
        if !user.is_empty() {
            // First: it gives the right to enter the others.
            newborn.push(SetNs { namespaces: user }.into());
        }
        newborn.push(UnshareMounts.into());
        newborn.extend(plan::binary(machine));
        if nobody {
            newborn.extend(plan::become_root());
        }
        if !process.detached {
            newborn.push(DeathSignal.into());
        }
        let mut init = vec![Op::from(Undumpable), SetNs { namespaces: others }.into()];
        if process.detached {
            init.push(NewSession.into());
        }
        let mut in_child = vec![Op::from(NewSession)];
        // The target's user namespace decides, not the one that we would make.
        let setgroups = setgroups_allowed(&container.pid.to_string());
        in_child.extend(plan::command(process, &Machine { setgroups, ..machine.clone() })?);
        Ok(Self { newborn, init, in_child })
    }

    /// What `--dry-run` shows.
    pub fn steps(&self) -> Vec<Step> {
        let of = |ops: &[Op]| describe(ops, Actor::Init);
        let (executed, forked) = (vec![enter::become_init()], vec![enter::fork()]);
        [of(&self.newborn), executed, of(&self.init), forked, of(&self.in_child)].concat()
    }
}

/// Whether we, out here, are root in the user namespace of this process.
fn is_root_in(pid: i32) -> Result<bool> {
    let map = process::id_map(Path::new("/proc"), pid, "uid_map")?;
    let own = rustix::process::geteuid().as_raw();
    Ok(map.iter().any(|range| range.inside == 0 && range.outside == own))
}

/// The namespaces in which this process is not already.
fn differing_namespaces(pid: i32) -> Result<Vec<String>> {
    let mut differing = Vec::new();
    for (name, ..) in crate::kernel::clone::NAMESPACES {
        let link = |process: &str| {
            let path = format!("/proc/{process}/ns/{name}");
            std::fs::read_link(&path).tried(|| format!("readlink({path:?})"))
        };
        if link(&pid.to_string())? != link("self")? {
            differing.push(name.to_owned());
        }
    }
    Ok(differing)
}

/// Starts a process in the container; how it ended, or `None` when it goes on
/// in the background.
pub fn exec(
    container: &Container,
    process: &Process,
    plan: Plan,
    observer: &mut dyn Observer,
) -> Result<Option<Status>> {
    let target = PidFd::open_if_started_at(container.pid, container.start)?.ok_or_else(|| {
        Error::new(format!("container {} has ended meanwhile", container.name)).exit(Exit::Engine)
    })?;
    let own = PidFd::open(nix::unistd::getpid().as_raw())?;
    let (ours, theirs) = Channel::pair()?;
    let mut fds = standard_streams(process)?;
    fds.push(theirs.into());
    hold_signals()?;
    let Some(pid) = raw::fork().tried(|| "fork()")? else { first_steps(fds) };
    drop(fds);
    let names = || vec!["target".to_owned(), "parent".to_owned()];
    let handed = [target.as_fd(), own.as_fd()];
    let mut slots = Slots::default();
    slots.set("target", container.pid);
    let told = observer.wants_steps();
    let go = ToInit::Go { ops: plan.newborn, fds: names(), slots: slots.clone(), told };
    let in_child = Some(plan.in_child);
    let rest = ToInit::Plan { ops: plan.init, in_child, slots, fds: names(), told };
    let sent = ours.send(&go, &handed).and_then(|()| ours.send(&rest, &handed));
    let started = sent
        .map_err(|error| last_words(&ours).unwrap_or(error))
        .and_then(|()| listen(&ours, observer))
        .inspect_err(tried::reconsider);
    if process.detached {
        return started.map(|_| None);
    }
    let result = started.and_then(|started| {
        // A short command may have ended and been reaped by the process in between;
        // that one is our own child, so that it is there until we reap it.
        let process = PidFd::open(started.pid.unwrap_or(pid)).or_else(|_| PidFd::open(pid))?;
        attach(&process, started.console, &mut ByChannel(&ours), observer)
    });
    drop(ours);
    raw::reap(pid);
    result.map(Some)
}

/// The process in between says how its child ended.
struct ByChannel<'a>(&'a Channel);

impl Ending for ByChannel<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn ended(&mut self) -> Result<Status> {
        match self.0.receive::<FromInit>()? {
            Some((FromInit::Exited(status), _)) => Ok(status),
            // Killed with the whole container, or by hand.
            _ => Ok(Status::Signal(libc::SIGKILL)),
        }
    }
}
