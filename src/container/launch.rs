//! Starting a container: the plan is performed, by the launcher on this side
//! and by `__init` on the other.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::container::attach::{Ending, attach, hold_signals, release_signals, until_the_end};
use crate::container::machine::Machine;
use crate::container::network::{bridge, place};
use crate::container::plan::{self, NAMES, Plan, TREE};
use crate::container::registry::Container;
use crate::container::spec::{Network, NetworkKind, Process, Spec, clash, usage};
use crate::container::tried;
use crate::container::{kept, logs, registry};
use crate::error::{Context, Error, Exit, Result};
use crate::home::Place;
use crate::kernel::channel::Channel;
use crate::kernel::enter::{FromInit, ToInit};
use crate::kernel::netlink::lease;
use crate::kernel::netlink::nft::Forward;
use crate::kernel::netns::NET;
use crate::kernel::op::{Op, Slots, World, perform_all};
use crate::kernel::pidfd::PidFd;
use crate::kernel::standby::{Standby, become_watcher};
use crate::kernel::watcher::{Status, Watch};
use crate::step::{Actor, Observer, Step};

/// What became of a container.
#[derive(Debug)]
pub enum Outcome {
    /// It runs, and will go on in the background once it is detached.
    Running(Detachable),
    /// Its command ended, and this could not be undone.
    Ended(Status, Vec<String>),
}

/// A container that still ends with the launcher, until it is detached.
#[derive(Debug)]
pub struct Detachable {
    watch: Watch,
    output: Option<OwnedFd>,
    log: Option<PathBuf>,
}

impl Detachable {
    /// Leaves it to its shim.
    pub fn detach(self) -> Result<()> {
        self.watch.detach(self.output, self.log)
    }

    /// Ends it, and returns when everything is undone.
    pub fn end(self) {
        self.watch.end();
    }
}

/// The watcher of a container, which gets ready while the rest is planned. Must be
/// called while the program is single-threaded.
pub fn stand_by(machine: &Machine, observer: &mut dyn Observer) -> Result<Standby> {
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    perform_all(&plan::sealed(machine), Actor::Launcher, &mut world, observer)
        .inspect_err(tried::reconsider)?;
    Standby::fork(world.fds.remove("binary"))
}

/// Begins the journal of a container; its token is the container's id. What is
/// to be kept survives a reboot, and so does its journal.
pub fn watch(standby: Standby, command: &str, keep: bool) -> Result<Watch> {
    registry::directory()?;
    if keep {
        kept::directory()?;
    }
    standby.begin(if keep { Place::Data } else { Place::Run }, command)
}

/// Starts the container, and stays with it unless it is detached.
pub fn launch(
    spec: &Spec,
    machine: &Machine,
    mut watch: Watch,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let plan = Plan::new(spec, machine)?;
    hold_signals()?;
    let (streams, pipe) = match spec.process.detached && !spec.process.terminal {
        true => logged_streams()?,
        false => (standard_streams(&spec.process)?, None),
    };
    let stays = !spec.process.detached;
    let started = start(spec, plan, &mut watch, streams, stays, observer)
        .inspect(|_| tried::remember(machine.tried))
        .map(|started| Started { output: started.output.or(pipe), ..started });
    match started {
        Err(error) => {
            // Only when everything is undone again is the failure told.
            watch.end();
            tried::reconsider(&error);
            Err(error)
        }
        Ok(started) if spec.process.detached => {
            let log = logs::path(spec)?;
            Ok(Outcome::Running(Detachable { watch, output: started.output, log }))
        }
        Ok(started) => {
            let mut ending = ByWatch(watch);
            let status = attach(&started.process, started.output, &mut ending, observer)?;
            Ok(Outcome::Ended(status, ending.0.end()))
        }
    }
}

/// Starts a container that makes a layer of an image, and waits for its end. Nothing of it
/// is undone until the watch is ended, so that the layer can be taken away first. `streams`
/// become its 0, 1 and 2. `None`: it was killed, because we were asked to end.
pub fn step(
    spec: &Spec,
    machine: &Machine,
    watch: &mut Watch,
    streams: Vec<OwnedFd>,
    observer: &mut dyn Observer,
) -> Result<Option<Status>> {
    let plan = Plan::new(spec, machine)?;
    hold_signals()?;
    let status = (|| {
        let started = start(spec, plan, watch, streams, false, observer)
            .inspect(|_| tried::remember(machine.tried))
            .inspect_err(tried::reconsider)?;
        watch.wait_to_look()?;
        until_the_end(&started.process, watch)
    })();
    release_signals()?;
    status
}

struct Started {
    process: PidFd,
    /// Our end of its terminal, or of the pipe that it writes to in the background.
    output: Option<OwnedFd>,
}

/// `stays`: all that the launcher does from here on is to wait.
fn start(
    spec: &Spec,
    plan: Plan,
    watch: &mut Watch,
    streams: Vec<OwnedFd>,
    stays: bool,
    observer: &mut dyn Observer,
) -> Result<Started> {
    let (ours, theirs) = Channel::pair()?;
    let lock = registry::lock()?;
    name_is_free(spec)?;
    ports_are_free(&spec.network)?;
    let joined = match &spec.network.kind {
        NetworkKind::Container(name) => Some(place::open(Path::new("/proc"), name)?),
        _ => None,
    };
    let parent = PidFd::open(watch.pid())?;
    let mut slots = Slots::default();
    slots.set("shim", watch.pid());
    let mut world = World::new(&mut slots);
    world.hand_over = streams;
    world.hand_over.push(theirs.into());
    world.watch = Some(watch);
    let told = observer.wants_steps();
    let result = (|| {
        if told && plan.is_sealed() {
            world.watch()?.greet()?;
            observer.step(&Step { result: Some(Ok("0".to_owned())), ..become_watcher() });
        }
        let net = joined.as_ref().map(|place| place.file.as_fd());
        let handed: Vec<_> = net.into_iter().collect();
        let fds = vec![NET.to_owned(); handed.len()];
        let go = |slots| ToInit::Go { ops: plan.newborn, slots, fds, told };
        // It begins while we see to the rest out here: as soon as it is born, where
        // nothing has to be done to it before.
        let process = if let Some(Op::Clone(_)) = plan.birth.last() {
            ours.send(&go(world.slots.clone()), &handed)?;
            perform_all(&plan.birth, Actor::Launcher, &mut world, observer)?;
            PidFd::open(world.slots.number("pid")?)?
        } else {
            perform_all(&plan.birth, Actor::Launcher, &mut world, observer)?;
            let process = PidFd::open(world.slots.number("pid")?)?;
            ours.send(&go(world.slots.clone()), &handed)?;
            process
        };
        perform_all(&plan.launcher, Actor::Launcher, &mut world, observer)?;
        world.fds.remove(lease::LOCK);
        drop(lock);
        // The image's files with mapped owners, where the plan has made such a mount.
        let (tree, names) = (world.fds.remove(TREE), world.fds.remove(NAMES));
        let handed = [
            ("parent", Some(parent.as_fd())),
            (TREE, tree.as_ref().map(AsFd::as_fd)),
            (NAMES, names.as_ref().map(AsFd::as_fd)),
            (NET, net),
        ];
        let (fds, handed): (Vec<_>, Vec<_>) =
            handed.into_iter().filter_map(|(name, fd)| Some((name.to_owned(), fd?))).unzip();
        let slots = world.slots.clone();
        let rest = ToInit::Plan { ops: plan.init, in_child: None, slots, fds, told };
        ours.send(&rest, &handed)?;
        Ok(process)
    })();
    let process = result.map_err(|error| last_words(&ours).unwrap_or(error))?;
    // What is kept is so only when the command has begun; else all that is left to do is to listen.
    if stays && spec.keep.is_none() {
        watch.wait()?;
    }
    let console = listen(&ours, observer)?.console;
    spec.keep.iter().try_for_each(|own| watch.keep_tree(own))?;
    if stays && spec.keep.is_some() {
        watch.wait()?;
    }
    Ok(Started { process, output: console })
}

/// Why the process that we could not talk to is gone, if it has said so.
pub fn last_words(channel: &Channel) -> Option<Error> {
    while channel.has_news() {
        if let (FromInit::Failed(error), _) = channel.receive().ok()?? {
            return Some(in_container(error));
        }
    }
    None
}

/// Within its scope: what others call theirs is in nobody's way.
fn name_is_free(spec: &Spec) -> Result<()> {
    let name = &spec.name;
    let same = |other: &Container| other.name == *name && other.scope == spec.scope;
    let taken = |by: &str, hint: String| {
        Err(usage(format!("the name {name} is taken by {by}"))
            .hint(format!("{hint}, or choose another name.")))
    };
    if let Some(running) = registry::list()?.iter().find(|running| same(running)) {
        let stop = format!("Stop it with `under-the-hood stop {name}`");
        return taken(&format!("container {}", running.id), stop);
    }
    match kept::list()?.iter().find(|kept| same(&kept.container)) {
        None => Ok(()),
        Some(kept) => taken(
            &format!("container {}, which has ended and is kept", kept.container.id),
            format!("Remove it with `under-the-hood rm {name}`"),
        ),
    }
}

/// No port is published twice, or taken from somebody who listens on the host.
fn ports_are_free(network: &Network) -> Result<()> {
    for running in registry::list()? {
        let taken = |one: &&Forward| running.ports.iter().any(|other| clash(one, other));
        if let Some(port) = network.forwards.iter().find(taken) {
            let name = &running.name;
            return Err(usage(format!(
                "--publish: port {} is published by container {name}",
                port.port
            ))
            .hint(format!("Publish another, or stop it: `under-the-hood stop {name}`.")));
        }
    }
    bridge::ports_are_free(&network.forwards)
}

/// What was heard of a process until it became its command.
#[derive(Default)]
pub struct Heard {
    /// Our end of its terminal.
    pub console: Option<OwnedFd>,
    /// Its pid, when it is a child of the one that entered.
    pub pid: Option<i32>,
}

/// Hears of every step until the process has become its command.
pub fn listen(channel: &Channel, observer: &mut dyn Observer) -> Result<Heard> {
    let mut heard = Heard::default();
    let mut executing: Option<Step> = None;
    loop {
        match channel.receive::<FromInit>()? {
            Some((FromInit::Step(step), _)) => {
                // A step that failed may be the very exec that was announced.
                executing = None;
                observer.step(&step);
            }
            Some((FromInit::Console, fds)) => heard.console = fds.into_iter().next(),
            Some((FromInit::Executing(step), _)) => executing = Some(step),
            Some((FromInit::Failed(error), _)) => return Err(in_container(error)),
            Some((FromInit::Started(pid), _)) => {
                heard.pid = Some(pid);
                break;
            }
            None => break,
            Some((FromInit::Exited(_), _)) => return Err(died()),
        }
    }
    let mut step = executing.ok_or_else(died)?;
    step.result = Some(Ok("0".to_owned()));
    observer.step(&step);
    Ok(heard)
}

/// What failed before the command ran is docker's 125.
fn in_container(error: Error) -> Error {
    match error.exit {
        Exit::Failed => error.exit(Exit::Engine),
        _ => error,
    }
}

fn died() -> Error {
    Error::new("the container's init ended before it became the command")
        .said("somebody or something killed it")
        .hint("`--explain` shows how far it came; `dmesg` may say why the kernel killed it.")
        .exit(Exit::Engine)
}

/// What becomes 0, 1 and 2 of a process in the background, and where that is read.
fn logged_streams() -> Result<(Vec<OwnedFd>, Option<OwnedFd>)> {
    let null = File::open("/dev/null").tried(|| "open(\"/dev/null\")")?;
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).tried(|| "pipe2(O_CLOEXEC)")?;
    let second = write.try_clone().tried(|| "dup()")?;
    Ok((vec![null.into(), write, second], Some(read)))
}

/// What becomes 0, 1 and 2 of the process.
pub fn standard_streams(process: &Process) -> Result<Vec<OwnedFd>> {
    let null = || -> Result<OwnedFd> {
        let file = File::options().read(true).write(true).open("/dev/null");
        Ok(file.tried(|| "open(\"/dev/null\")")?.into())
    };
    let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().tried(|| "dup()");
    if process.terminal || process.detached {
        return Ok(vec![null()?, null()?, null()?]);
    }
    let stdin = if process.interactive { own(std::io::stdin().as_fd())? } else { null()? };
    Ok(vec![stdin, own(std::io::stdout().as_fd())?, own(std::io::stderr().as_fd())?])
}

/// The watcher says when the container has ended, with everything undone.
struct ByWatch(Watch);

impl Ending for ByWatch {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn ended(&mut self) -> Result<Status> {
        self.0.exited()
    }
}
