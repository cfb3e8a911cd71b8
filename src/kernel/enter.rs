//! Into a container: what a process of ours does between its birth and the
//! moment it becomes somebody's command.
//!
//! It first becomes `__init`: this same program, executed again from a
//! read-only clone of its file, so that it is single-threaded, and so that
//! nothing in a container can reach the file itself and write over it
//! (CVE-2019-5736). Where the watcher was executed so, as root, its child is that
//! already. What it is to do there comes over a channel as operations;
//! what it did goes back as steps.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::channel::Channel;
use crate::kernel::op::{Op, Operation, Slots, World, perform_all};
use crate::kernel::watcher::Status;
use crate::kernel::{binary, clone, raw};
use crate::step::{Actor, Observer, Step};

/// From the launcher to the process that enters.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToInit {
    /// The id maps are written: do this; then, if that opened our binary, become
    /// `__init`.
    Go {
        /// What to do.
        ops: Vec<Op>,
        /// What is known already.
        slots: Slots,
        /// Names of the descriptors beside the message.
        fds: Vec<String>,
        /// Whether each step is to be told.
        told: bool,
    },
    /// To `__init`, or whoever is as good.
    Plan {
        /// What to do.
        ops: Vec<Op>,
        /// What to do in a child of it (a process has to be born in a pid
        /// namespace to be in it).
        in_child: Option<Vec<Op>>,
        /// What is known already.
        slots: Slots,
        /// Names of the descriptors beside the message.
        fds: Vec<String>,
        /// Whether each step is to be told.
        told: bool,
    },
}

/// From the process that enters to the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromInit {
    /// This was done.
    Step(Step),
    /// This failed, and the process ends.
    Failed(Error),
    /// The other end of the container's terminal is beside this message.
    Console,
    /// The next moment the process becomes the command, if the kernel lets it:
    /// then it is heard of no more.
    Executing(Step),
    /// The command was started, in a child with this pid.
    Started(i32),
    /// That child ended.
    Exited(Status),
}

/// Tells the launcher, if it wants to know.
struct Reporter<'a>(&'a Channel, bool);

impl Observer for Reporter<'_> {
    fn step(&mut self, step: &Step) {
        if self.1 {
            let _ = self.0.send(&FromInit::Step(step.clone()), &[]);
        }
    }

    fn wants_steps(&self) -> bool {
        self.1
    }
}

/// The number of the channel in a process that was just forked or executed.
const CHANNEL: i32 = 3;

/// The life of a process just forked to enter a container. `fds` become its
/// 0, 1, 2 and its channel.
pub fn first_steps(fds: Vec<OwnedFd>) -> ! {
    if let Err((error, channel)) = raw::only_fds(fds) {
        let _ = Channel::from_fd(channel).send(&FromInit::Failed(error), &[]);
        raw::exit_now(1);
    }
    let channel = Channel::from_fd(raw::handed_over(CHANNEL));
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    raw::default_signals();
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    // When nothing comes, the launcher is gone.
    if let Ok(Some((ToInit::Go { ops, mut slots, fds: names, told }, fds))) = channel.receive() {
        let mut world = World::new(&mut slots);
        world.channel = Some(&channel);
        world.fds = names.into_iter().zip(fds).collect();
        let result = perform_all(&ops, Actor::Init, &mut world, &mut Reporter(&channel, told))
            .and_then(|()| match world.fds.remove("binary") {
                Some(binary) => Err(execute_binary(&binary)),
                // It was cloned from a watcher that is such a program already.
                None => obey(&channel, false),
            });
        if let Err(error) = result {
            let _ = channel.send(&FromInit::Failed(error), &[]);
        }
    }
    raw::exit_now(1)
}

/// Executes the clone of our binary. Returns only when that fails.
fn execute_binary(binary: &OwnedFd) -> Error {
    binary::execute(binary, &[c"under-the-hood".into(), c"__init".into()], &[])
}

/// `__init`: performs what the launcher sends. Returns only when that fails.
pub fn init() -> u8 {
    if !raw::is_socket(CHANNEL) {
        return 2; // typed by hand: there is nobody to obey
    }
    let channel = Channel::from_fd(raw::handed_over(CHANNEL));
    let result = obey(&channel, true);
    if let Err(error) = result {
        let _ = channel.send(&FromInit::Failed(error), &[]);
    }
    1
}

/// The step in which a process that enters becomes `__init`.
pub fn become_init() -> Step {
    Step {
        actor: Actor::Init,
        ..Step::new(
            "execveat(binary, \"\", [\"under-the-hood\", \"__init\"], AT_EMPTY_PATH)",
            "the same program from a fresh start, in the new namespaces: the container's init",
        )
    }
}

/// The step in which the process of `exec` is born into the pid namespace.
pub fn fork() -> Step {
    Step {
        actor: Actor::Init,
        ..Step::new(
            "fork()",
            "only a child is born into the pid namespace; this process itself stays where it was",
        )
    }
}

/// `executed`: it has just become `__init`, and says so.
fn obey(channel: &Channel, executed: bool) -> Result<()> {
    rustix::io::fcntl_setfd(channel, rustix::io::FdFlags::CLOEXEC)
        .tried(|| "fcntl(channel, FD_CLOEXEC)")?;
    let Some((ToInit::Plan { ops, in_child, mut slots, fds: names, told }, fds)) =
        channel.receive()?
    else {
        return Err(Error::new("the launcher ended before it said what to do"));
    };
    let mut reporter = Reporter(channel, told);
    if executed {
        reporter.step(&Step { result: Some(Ok("0".to_owned())), ..become_init() });
    }
    let mut world = World::new(&mut slots);
    world.channel = Some(channel);
    world.fds = names.into_iter().zip(fds).collect();
    perform_all(&ops, Actor::Init, &mut world, &mut reporter)?;
    match in_child {
        None => Ok(()),
        Some(ops) => continue_in_child(&ops, world, channel, told),
    }
}

/// Forks; the child goes on, the parent passes on what it says and how it ended.
fn continue_in_child(ops: &[Op], world: World<'_>, channel: &Channel, told: bool) -> Result<()> {
    let (ours, theirs) = Channel::pair()?;
    let parent = super::pidfd::PidFd::open(nix::unistd::getpid().as_raw())?;
    let Some(pid) = raw::fork().tried(|| "fork()")? else {
        drop(ours);
        let parent = parent.as_fd().try_clone_to_owned().tried(|| "dup(pidfd)")?;
        let fds = BTreeMap::from([("parent".to_owned(), parent)]);
        let mut world = World { channel: Some(&theirs), fds, ..world };
        if let Err(error) = perform_all(ops, Actor::Init, &mut world, &mut Reporter(&theirs, told))
        {
            let _ = theirs.send(&FromInit::Failed(error), &[]);
        }
        raw::exit_now(1)
    };
    drop(theirs);
    let forked = Step { result: Some(Ok(pid.to_string())), ..fork() };
    Reporter(channel, told).step(&forked);
    let mut failed = false;
    while let Some((message, fds)) = ours.receive::<FromInit>()? {
        failed |= matches!(message, FromInit::Failed(_));
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        channel.send(&message, &borrowed)?;
    }
    if !failed {
        channel.send(&FromInit::Started(pid), &[])?;
    }
    let status = loop {
        use nix::sys::wait::{WaitStatus, waitpid};
        match waitpid(nix::unistd::Pid::from_raw(pid), None) {
            Ok(WaitStatus::Exited(_, code)) => break Status::Code(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => break Status::Signal(signal as i32),
            Err(errno) if errno != Errno::EINTR => {
                return Err(errno).tried(|| format!("waitpid({pid})"));
            }
            _ => {}
        }
    };
    // The launcher may be gone (exec -d): then nobody wants to know.
    let _ = channel.send(&FromInit::Exited(status), &[]);
    raw::exit_now(0)
}

/// prctl(2) `PR_SET_DUMPABLE` 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Undumpable;

impl Operation for Undumpable {
    fn step(&self) -> Step {
        Step::new(
            "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)",
            "processes in there may not trace this one or open its /proc files before it is one of them",
        )
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .tried(|| "prctl(PR_SET_DUMPABLE, 0)")?;
        Ok("0".to_owned())
    }
}

/// unshare(2) `CLONE_NEWNS`: a place to clone the binary's mount in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnshareMounts;

impl Operation for UnshareMounts {
    fn step(&self) -> Step {
        Step::new("unshare(CLONE_NEWNS)", "mounts made from here on are seen by nobody else")
            .shell("unshare --mount sh")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        nix::sched::unshare(CloneFlags::CLONE_NEWNS)
            .tried(|| "unshare(CLONE_NEWNS)")
            .map(|()| "0".to_owned())
    }
}

/// unshare(2) `CLONE_NEWCGROUP`: what it is in by now becomes the top of its view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnshareCgroup;

impl Operation for UnshareCgroup {
    fn step(&self) -> Step {
        let why = "its group becomes the top of what it sees: made before, this view would begin higher up";
        Step::new("unshare(CLONE_NEWCGROUP)", why).shell("unshare --cgroup sh")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)
            .tried(|| "unshare(CLONE_NEWCGROUP)")
            .map(|()| "0".to_owned())
    }
}

/// setns(2) on a pidfd: into several namespaces of a process at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetNs {
    /// `mnt`, `pid`, ...
    pub namespaces: Vec<String>,
}

impl Operation for SetNs {
    fn step(&self) -> Step {
        let (flags, _) = clone::flags(&self.namespaces);
        let options: Vec<_> = self
            .namespaces
            .iter()
            .map(|name| match name.as_str() {
                "mnt" => "--mount".to_owned(),
                name => format!("--{name}"),
            })
            .collect();
        Step::new(
            format!("setns(pidfd of $target, {flags})"),
            "joins the container's namespaces: this is all that `exec` is",
        )
        .shell(format!("nsenter --target $target {} sh", options.join(" ")))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (text, number) = clone::flags(&self.namespaces);
        nix::sched::setns(world.fd("target")?, CloneFlags::from_bits_retain(number))
            .tried(|| format!("setns(pidfd, {text})"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EPERM) => error.hint("Only its owner, or root, may enter a container."),
                Some(Errno::ESRCH) => error.hint("The container has ended meanwhile."),
                _ => error,
            })
            .map(|()| "0".to_owned())
    }
}
