//! The watcher: a small process, forked before anything is changed, that owns
//! the journal and undoes what is in it as soon as the command has ended,
//! however it ended.
//!
//! It is also the parent of the container: the shim that a reader finds with
//! `ps`. Under `-d` it stays, as the container's monitor. It lives in a session
//! of its own, so that Ctrl-C does not reach it, and keeps nothing open but its
//! channel and its journal.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Identity};
use crate::error::{Error, Result};
use crate::home::Place;
use crate::journal::{self, Journal};
use crate::kernel::channel::Channel;
use crate::kernel::clone::{Child, CloneSpec};
use crate::kernel::standby::Standby;
use crate::kernel::{helper, log, raw, undo};
use crate::step::Deaf;

/// From the launcher to the watcher.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// First of all: where its journal is, what it is called, what was typed.
    Begin {
        place: Place,
        token: String,
        command: String,
    },
    /// Only asks whether it is there.
    Greet,
    Intend(Effect),
    Done(u32, Identity),
    Release(u32),
    /// All that was made is meant to stay when the command has ended, or this tree of it.
    Keep(Option<PathBuf>),
    Wait,
    WaitToLook,
    Clone(CloneSpec),
    /// A program of this machine that serves the container.
    Help(Vec<String>),
    /// The launcher goes; what comes out of the container is beside the
    /// message, and goes to this file.
    Detach(Option<PathBuf>),
    End,
}

/// From the watcher to the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    Ok(u32),
    Cloned {
        pid: i32,
        start: u64,
    },
    Failed(Error),
    /// Unasked: the container's first process ended, and its effects are undone
    /// but for these; `None` when nothing is, because the launcher wants to look.
    Exited {
        status: Status,
        left: Option<Vec<String>>,
    },
    /// To `End`: everything is undone but these.
    Ended {
        left: Vec<String>,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Status {
    /// The exit code that a shell and docker give it: 128 + the signal.
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// The launcher's side: a journal, and somebody who will undo it.
#[derive(Debug)]
pub struct Watch {
    channel: Channel,
    pid: i32,
    token: String,
    exited: Option<Status>,
    /// Once everything is undone: what could not be.
    left: Option<Vec<String>>,
}

impl Watch {
    /// Forks the watcher, sweeps what others left, and has it begin a journal in
    /// this place. Must be called while the program is single-threaded. Where no
    /// journal can be begun, the answer to the first request says so.
    pub fn start(place: Place, command: &str) -> Result<Self> {
        Standby::fork(None)?.begin(place, command)
    }

    /// One that has been told to begin.
    pub(super) fn over(channel: Channel, pid: i32, token: String) -> Self {
        Self { channel, pid, token, exited: None, left: None }
    }

    /// Why it is gone, if it has said so.
    pub(super) fn last_words(&mut self) -> Option<Error> {
        self.answer().err()
    }

    /// Returns when it is there.
    pub fn greet(&mut self) -> Result<()> {
        self.ask(&Request::Greet, Vec::new()).map(drop)
    }

    /// Names of what this journal makes carry its token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The watcher's pid.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Writes down that something is about to be made; its number.
    pub fn intend(&mut self, effect: &Effect) -> Result<u32> {
        match self.ask(&Request::Intend(effect.clone()), Vec::new())? {
            Reply::Ok(n) => Ok(n),
            other => Err(unexpected(&other)),
        }
    }

    /// Writes down that it was made, and how to tell it from another.
    pub fn done(&mut self, n: u32, identity: &Identity) -> Result<()> {
        self.ask(&Request::Done(n, identity.clone()), Vec::new()).map(drop)
    }

    /// It is no longer this journal's to undo (renamed into its place, say).
    pub fn release(&mut self, n: u32) -> Result<()> {
        self.ask(&Request::Release(n), Vec::new()).map(drop)
    }

    /// All that was made so far is meant to stay when the command has ended.
    pub fn keep(&mut self) -> Result<()> {
        self.ask(&Request::Keep(None), Vec::new()).map(drop)
    }

    /// Has the watcher start a process as its child, in new namespaces.
    /// `fds` become the child's 0, 1, 2 and its channel. Its pid and start time.
    pub fn clone_child(&mut self, spec: &CloneSpec, fds: Vec<OwnedFd>) -> Result<(i32, u64)> {
        match self.ask(&Request::Clone(spec.clone()), fds)? {
            Reply::Cloned { pid, start } => Ok((pid, start)),
            other => Err(unexpected(&other)),
        }
    }

    /// Has the watcher start a program of this machine as its child, which ends
    /// when it does; `fds` become its 0, 1, 2. Its pid and start time.
    pub fn help(&mut self, argv: Vec<String>, fds: Vec<OwnedFd>) -> Result<(i32, u64)> {
        match self.ask(&Request::Help(argv), fds)? {
            Reply::Cloned { pid, start } => Ok((pid, start)),
            other => Err(unexpected(&other)),
        }
    }

    /// From here on the launcher only waits: when the process ends, everything
    /// is undone, and then its end is told. Before this is said nothing is
    /// undone, however short the process lived: what the launcher is just making
    /// would stay, and undoing could need a lock that it holds.
    pub fn wait(&mut self) -> Result<()> {
        self.ask(&Request::Wait, Vec::new()).map(drop)
    }

    /// From here on the launcher only waits, and the end of the process is told
    /// at once: nothing is undone until [`Watch::end`], so that its counters can
    /// be read.
    pub fn wait_to_look(&mut self) -> Result<()> {
        self.ask(&Request::WaitToLook, Vec::new()).map(drop)
    }

    /// A tree that this journal names is meant to stay.
    pub fn keep_tree(&mut self, tree: &Path) -> Result<()> {
        self.ask(&Request::Keep(Some(tree.to_owned())), Vec::new()).map(drop)
    }

    /// Leaves the container to the watcher (`run -d`), and what comes out of
    /// it (a pipe, or our end of its terminal), which goes to this file.
    pub fn detach(mut self, output: Option<OwnedFd>, log: Option<PathBuf>) -> Result<()> {
        self.ask(&Request::Detach(log), output.into_iter().collect()).map(drop)
    }

    /// Ends the container if there is one, undoes everything that was not
    /// released, and returns when the watcher is gone: what could not be undone.
    pub fn end(mut self) -> Vec<String> {
        if self.left.is_none() {
            match self.ask(&Request::End, Vec::new()) {
                Ok(Reply::Ended { left }) => self.left = Some(left),
                // Where the container ended just before, the watcher has said so, and is gone.
                Err(error) if self.left.is_none() => self.left = Some(vec![error.to_string()]),
                _ => {}
            }
        }
        let Self { channel, pid, left, .. } = self;
        drop(channel);
        raw::reap(pid);
        left.unwrap_or_default()
    }

    /// Waits for the container's first process to end: how it ended. By then
    /// its effects are undone.
    pub fn exited(&mut self) -> Result<Status> {
        while self.exited.is_none() {
            self.answer()?;
        }
        self.exited.ok_or_else(gone)
    }

    fn ask(&mut self, request: &Request, fds: Vec<OwnedFd>) -> Result<Reply> {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        if let Err(error) = self.channel.send(request, &borrowed) {
            // It is gone, and may have said why.
            return self.answer().and(Err(error));
        }
        loop {
            let reply = self.answer()?;
            if !matches!(reply, Reply::Exited { .. }) {
                return Ok(reply);
            }
        }
    }

    fn answer(&mut self) -> Result<Reply> {
        match self.channel.receive::<Reply>()?.ok_or_else(gone)?.0 {
            Reply::Failed(error) => Err(error),
            Reply::Exited { status, left } => {
                (self.exited, self.left) = (Some(status), left.clone());
                Ok(Reply::Exited { status, left })
            }
            reply => Ok(reply),
        }
    }
}

/// Readable when the watcher has something to say.
impl AsFd for Watch {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

pub(super) fn gone() -> Error {
    Error::new("the watcher that keeps the journal has ended")
        .hint("Somebody killed it. `under-the-hood cleanup` undoes what is left.")
}

fn unexpected(reply: &Reply) -> Error {
    Error::new("the watcher answered something else than it was asked").said(format!("{reply:?}"))
}

/// The watcher's side.
struct Watcher {
    channel: Channel,
    journal: Journal,
    child: Option<Child>,
    launcher: Launcher,
    /// What comes out of a detached container.
    output: log::Output,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Launcher {
    /// It makes things: nothing is undone under its hands.
    AtWork,
    /// It waits for the end of the child with everything undone.
    Waiting,
    /// It wants to look when the child has ended, before anything is undone.
    WaitingToLook,
    /// It has been told to look, and will say when it has.
    Looking,
    /// It has left the child to us.
    Detached,
    /// It died.
    Gone,
}

/// The watcher's whole life, from the moment it listens.
pub(super) fn serve(channel: Channel) -> ! {
    let Ok(Some((Request::Begin { place, token, command }, _))) = channel.receive() else {
        raw::exit_now(0) // the launcher is gone, or does not need us
    };
    let journal = match Journal::begin(place, &token, &command) {
        Ok(journal) => journal,
        Err(error) => {
            let _ = channel.send(&Reply::Failed(error), &[]);
            raw::exit_now(1)
        }
    };
    let (launcher, output) = (Launcher::AtWork, log::Output::default());
    let mut watcher = Watcher { channel, journal, child: None, launcher, output };
    let asked_to_end = watcher.watch();
    watcher.output.drain();
    let mut left = watcher.undo();
    let Watcher { channel, journal, child, launcher, .. } = watcher;
    if let Err(error) = journal.end_if_empty() {
        left.push(error.to_string());
    }
    if asked_to_end {
        let _ = channel.send(&Reply::Ended { left }, &[]);
    } else if let (Launcher::Waiting, Some(status)) =
        (launcher, child.and_then(|child| child.status))
    {
        let _ = channel.send(&Reply::Exited { status, left: Some(left) }, &[]);
    }
    raw::exit_now(0)
}

impl Watcher {
    /// Until the launcher is done or gone, or the container has ended; whether
    /// the launcher asked for the end and waits for the answer.
    fn watch(&mut self) -> bool {
        loop {
            let mut polled = Vec::new();
            let mut add = |fd| {
                polled.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                polled.len() - 1
            };
            let heard = !matches!(self.launcher, Launcher::Detached | Launcher::Gone);
            let channel = heard.then(|| add(self.channel.as_fd()));
            let living = self.child.as_ref().filter(|child| child.status.is_none());
            let child = living.map(|child| add(child.pidfd.as_fd()));
            let output = self.output.source().map(add);
            if poll(&mut polled, None).is_err() {
                continue; // EINTR: every other error means a bug in this file
            }
            let polled: Vec<_> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            let ready = |index: Option<usize>| index.is_some_and(|index| polled[index]);
            if ready(channel) {
                // What the launcher said before it died still counts, then its end does.
                match self.channel.receive::<Request>() {
                    Ok(Some((Request::End, _))) => return true,
                    Ok(Some((request, fds))) => self.serve(request, fds),
                    Ok(None) | Err(_) => {
                        self.launcher = Launcher::Gone;
                        return false;
                    }
                }
            } else if ready(child) {
                self.child.as_mut().map(Child::reap);
            } else if ready(output) {
                self.output.pass_on();
            }
            let Some(status) = self.child.as_ref().and_then(|child| child.status) else { continue };
            match self.launcher {
                Launcher::AtWork | Launcher::Looking => {}
                Launcher::WaitingToLook => {
                    self.launcher = Launcher::Looking;
                    let _ = self.channel.send(&Reply::Exited { status, left: None }, &[]);
                }
                Launcher::Waiting | Launcher::Detached | Launcher::Gone => return false,
            }
        }
    }

    fn serve(&mut self, request: Request, fds: Vec<OwnedFd>) {
        let title = match &request {
            Request::Clone(spec) => Some(format!("under-the-hood: shim of {}", spec.name)),
            _ => None,
        };
        let result = match request {
            Request::Intend(effect) => self.journal.intend(effect).map(Reply::Ok),
            Request::Done(n, identity) => self.journal.done(n, identity).map(|()| Reply::Ok(n)),
            Request::Release(n) => self.journal.gone(n).map(|()| Reply::Ok(n)),
            Request::Clone(spec) => self.clone_child(&spec, fds),
            Request::Help(argv) => self.help(&argv, fds),
            Request::Wait => Ok(self.launcher_is(Launcher::Waiting)),
            Request::WaitToLook => Ok(self.launcher_is(Launcher::WaitingToLook)),
            Request::Keep(tree) => self.keep(tree.as_deref()).map(|()| Reply::Ok(0)),
            Request::Detach(path) => log::Output::to(path, fds).map(|output| {
                self.output = output;
                self.launcher_is(Launcher::Detached)
            }),
            Request::Greet => Ok(Reply::Ok(0)),
            // Handled where the loop ends, and before it begins.
            Request::End | Request::Begin { .. } => return,
        };
        let _ = self.channel.send(&result.unwrap_or_else(Reply::Failed), &[]);
        // For `ps`; nobody waits for it.
        title.as_deref().map(raw::set_title);
    }

    fn launcher_is(&mut self, launcher: Launcher) -> Reply {
        self.launcher = launcher;
        Reply::Ok(0)
    }

    fn keep(&mut self, tree: Option<&Path>) -> Result<()> {
        let wanted = |entry: &&journal::Entry| {
            tree.is_none_or(|tree| matches!(&entry.effect, Effect::Tree { path } if path == tree))
        };
        let wanted: Vec<_> = self.journal.entries().iter().filter(wanted).map(|e| e.n).collect();
        wanted.into_iter().try_for_each(|n| self.journal.keep(n))
    }

    fn clone_child(&mut self, spec: &CloneSpec, fds: Vec<OwnedFd>) -> Result<Reply> {
        let n =
            self.journal.intend(Effect::Process { what: format!("container {}", spec.name) })?;
        let child = Child::start(spec, fds)?;
        let (pid, start) = (child.pid, child.start);
        self.child = Some(child);
        self.journal.done(n, Identity::Process { pid, start })?;
        Ok(Reply::Cloned { pid, start })
    }

    fn help(&mut self, argv: &[String], fds: Vec<OwnedFd>) -> Result<Reply> {
        let n = self.journal.intend(Effect::Process { what: argv.join(" ") })?;
        let (pid, start) = helper::start(argv, fds)?;
        self.journal.done(n, Identity::Process { pid, start })?;
        Ok(Reply::Cloned { pid, start })
    }

    /// Ends the container if it lives, and undoes the journal; what is left.
    fn undo(&mut self) -> Vec<String> {
        if let Some(child) = &mut self.child {
            child.end();
        }
        let mut report = undo::Report::default();
        undo::undo_all(&mut self.journal, false, &mut report, &mut Deaf);
        report.left.iter().map(|(_, error)| error.to_string()).collect()
    }
}
