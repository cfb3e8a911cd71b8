//! A command of this machine in a group with limits: no namespace, no image,
//! only a cgroup. (`cgroup limit`; a container is that and more.)

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::container::attach::{hold_signals, watched};
use crate::container::launch::{last_words, listen};
use crate::container::registry::Container;
use crate::error::{Context, Exit, Result};
use crate::home::Place;
use crate::kernel::cgroup::change;
use crate::kernel::cgroup::limit::{self, Limits};
use crate::kernel::cgroup::{Group, Usage};
use crate::kernel::channel::Channel;
use crate::kernel::clone::{Clone, CloneSpec};
use crate::kernel::enter::ToInit;
use crate::kernel::execute::Execute;
use crate::kernel::files::Chdir;
use crate::kernel::op::{Op, Slots, World, describe, literal, perform_all};
use crate::kernel::pidfd::PidFd;
use crate::kernel::session::{DeathSignal, NewSession};
use crate::kernel::watcher::{Status, Watch};
use crate::step::{Actor, Observer, Step};

/// What is done, by whom.
#[derive(Debug)]
pub struct Plan {
    launcher: Vec<Op>,
    command: Vec<Op>,
    group: Group,
}

/// What is to be run.
#[derive(Debug)]
pub struct Request {
    /// Its limits.
    pub limits: Limits,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Whether nothing of what it says is to be seen.
    pub silent: bool,
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// How the command ended.
    pub status: Status,
    /// What the counters said in the end.
    pub usage: Usage,
    /// How long it took.
    pub took: Duration,
    /// What could not be undone.
    pub left: Vec<String>,
}

/// The name of a group: the journal's token is in it.
pub fn name(token: &str) -> String {
    format!("under-the-hood-{token}")
}

/// What puts a process, by itself, into the group of a container that has one.
pub fn join(container: &Container) -> Result<Vec<Op>> {
    let group = Group::of_process(Path::new("/proc"), container.pid)?;
    if container.shim == 0 {
        return Ok(join_foreign(group));
    }
    let name = name(&container.id);
    let mut directories: Vec<_> = group.seats.into_iter().map(|seat| seat.directory).collect();
    // Its first process may have moved on to a group further down, as systemd does.
    directories.retain(|directory| directory.iter().any(|part| part == name.as_str()));
    directories.dedup();
    Ok(directories.into_iter().map(join_at).collect())
}

fn join_at(directory: PathBuf) -> Op {
    let path = literal(&directory.join("cgroup.procs").to_string_lossy());
    let why = "into the container's group: its limits are for all that runs in it".to_owned();
    change::Set { path, value: "0".to_owned(), why }.into()
}

/// Of another engine's container: wherever its first process is and we are not.
fn join_foreign(group: Group) -> Vec<Op> {
    let ours = Group::of_process(Path::new("/proc"), std::process::id().cast_signed());
    let ours: Vec<_> = ours.map(|ours| ours.seats).unwrap_or_default();
    let mut directories: Vec<_> = group.seats.into_iter().map(|seat| seat.directory).collect();
    directories.retain(|directory| ours.iter().all(|seat| seat.directory != *directory));
    directories.sort_unstable();
    directories.dedup();
    directories.into_iter().map(join_at).collect()
}

impl Plan {
    /// The plan for this command; `token` is the journal's, or `$id`.
    pub fn new(limits: &Limits, command: &[String], token: &str) -> Result<Self> {
        let limit::Plan { mut make, join, group } = limit::plan(limits, &name(token), true)?;
        let here = std::env::current_dir().tried(|| "getcwd()")?;
        let namespaces = Vec::new();
        make.push(Clone(CloneSpec { name: "cgroup limit".to_owned(), namespaces }).into());
        make.extend(join);
        // As the shell would start it: the environment there is.
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some(format!("{}={}", name.into_string().ok()?, value.into_string().ok()?))
        });
        let path = literal(&here.to_string_lossy());
        let why = "the watcher, its parent, keeps out of any directory".to_owned();
        Ok(Self {
            launcher: make,
            command: vec![
                NewSession.into(),
                Chdir { path, why }.into(),
                DeathSignal.into(),
                Execute { argv: command.to_vec(), env: env.collect() }.into(),
            ],
            group,
        })
    }

    /// What `--dry-run` shows.
    pub fn steps(&self) -> Vec<Step> {
        let launcher = describe(&self.launcher, Actor::Launcher);
        [launcher, describe(&self.command, Actor::Init)].concat()
    }
}

/// Runs the command to its end; `tick` is called twice a second with what it uses.
pub fn run(
    request: &Request,
    observer: &mut dyn Observer,
    tick: &mut dyn FnMut(&Usage),
) -> Result<Outcome> {
    let line = format!("cgroup limit {}", request.command.join(" "));
    let mut watch = Watch::start(Place::Run, &line)?;
    hold_signals()?;
    let begun = std::time::Instant::now();
    match start(request, &mut watch, observer) {
        Err(error) => {
            watch.end();
            Err(error)
        }
        Ok((process, group)) => {
            let ended = wait(&process, &mut watch, &group, tick);
            // Read while the group is there: the watcher undoes nothing before we say so.
            let (usage, took) = (group.usage(), begun.elapsed());
            let left = watch.end();
            Ok(Outcome { status: ended?, usage, took, left })
        }
    }
}

fn start(
    request: &Request,
    watch: &mut Watch,
    observer: &mut dyn Observer,
) -> Result<(PidFd, Group)> {
    // Read only now: the watcher is one of the processes that may have to move.
    let plan = Plan::new(&request.limits, &request.command, watch.token())?;
    let (ours, theirs) = Channel::pair()?;
    let parent = PidFd::open(watch.pid())?;
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    world.hand_over = streams(request.silent)?;
    world.hand_over.push(theirs.into());
    world.watch = Some(watch);
    let told = observer.wants_steps();
    let result = (|| {
        perform_all(&plan.launcher, Actor::Launcher, &mut world, observer)?;
        let process = PidFd::open(world.slots.number("pid")?)?;
        let (slots, fds) = (world.slots.clone(), vec!["parent".to_owned()]);
        ours.send(&ToInit::Go { ops: plan.command, slots, fds, told }, &[parent.as_fd()])?;
        Ok(process)
    })();
    let process = result.map_err(|error| last_words(&ours).unwrap_or(error))?;
    listen(&ours, observer).map_err(|error| match error.exit {
        Exit::NotFound => error.hint("There is no such program along your PATH."),
        _ => error,
    })?;
    watch.wait_to_look()?;
    Ok((process, plan.group))
}

/// What becomes 0, 1 and 2 of the command.
fn streams(silent: bool) -> Result<Vec<OwnedFd>> {
    if silent {
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = OwnedFd::from(null.tried(|| "open(\"/dev/null\")")?);
        let again = || null.try_clone().tried(|| "dup()");
        return Ok(vec![again()?, again()?, again()?]);
    }
    let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().tried(|| "dup()");
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    Ok(vec![own(stdin.as_fd())?, own(stdout.as_fd())?, own(stderr.as_fd())?])
}

/// Until the command has ended; signals that come meanwhile are passed on.
fn wait(
    process: &PidFd,
    watch: &mut Watch,
    group: &Group,
    tick: &mut dyn FnMut(&Usage),
) -> Result<Status> {
    let watched: SigSet = watched();
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC).tried(|| "signalfd()")?;
    let half_a_second = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
    let mut asked_to_end = 0;
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        match poll(&mut polled, Some(&half_a_second)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.tried(|| "poll()")?,
        };
        let [ended, signalled] = polled.map(|fd| !fd.revents().is_empty());
        if ended {
            return watch.exited();
        }
        if signalled && let Some(signal) = signals.read_signal().tried(|| "read(signalfd)")? {
            let number = signal.ssi_signo.cast_signed();
            asked_to_end += u32::from(matches!(number, libc::SIGINT | libc::SIGTERM));
            match (number, asked_to_end) {
                (libc::SIGWINCH, _) => {}
                (_, 3..) => process.signal(libc::SIGKILL)?,
                _ => process.signal(number)?,
            }
            continue;
        }
        tick(&group.usage());
    }
}
