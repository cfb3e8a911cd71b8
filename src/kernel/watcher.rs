//! The watcher: a small process, forked before anything is changed, that owns
//! the journal and undoes what is in it as soon as the command has ended,
//! however it ended.
//!
//! It is also the parent of the container: the shim that a reader finds with
//! `ps`. Under `-d` it stays, as the container's monitor. It lives in a session
//! of its own, so that Ctrl-C does not reach it, and keeps nothing open but its
//! channel and its journal.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Identity};
use crate::error::{Context, Error, Result};
use crate::home::Place;
use crate::journal::{self, Journal};
use crate::kernel::channel::Channel;
use crate::kernel::clone::{Child, CloneSpec};
use crate::kernel::{raw, undo};

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Intend(Effect),
    Done(u32, Identity),
    Release(u32),
    Clone(CloneSpec),
    Detach,
    End,
}

#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Ok(u32),
    Cloned {
        pid: i32,
        start: u64,
    },
    Failed(Error),
    /// Unasked: the container's first process ended, and its effects are undone.
    Exited {
        status: Status,
        left: Vec<String>,
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
    exited: Option<(Status, Vec<String>)>,
}

impl Watch {
    /// Sweeps what others left, then forks the watcher with a new journal in
    /// this place. Must be called while the program is single-threaded.
    pub fn start(place: Place, command: &str) -> Result<Self> {
        undo::sweep()?;
        let token = journal::new_token()?;
        let (ours, theirs) = Channel::pair()?;
        let pid = match raw::fork().tried(|| "fork()")? {
            Some(pid) => pid,
            None => {
                drop(ours);
                watcher(theirs, place, &token, command)
            }
        };
        drop(theirs);
        let mut watch = Self { channel: ours, pid, token, exited: None };
        watch.answer()?;
        Ok(watch)
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

    /// Has the watcher start a process as its child, in new namespaces.
    /// `fds` become the child's 0, 1, 2 and its channel. Its pid and start time.
    pub fn clone_child(&mut self, spec: &CloneSpec, fds: Vec<OwnedFd>) -> Result<(i32, u64)> {
        match self.ask(&Request::Clone(spec.clone()), fds)? {
            Reply::Cloned { pid, start } => Ok((pid, start)),
            other => Err(unexpected(&other)),
        }
    }

    /// Leaves the container to the watcher (`run -d`).
    pub fn detach(mut self) -> Result<()> {
        self.ask(&Request::Detach, Vec::new()).map(drop)
    }

    /// Undoes everything that was not released; what could not be undone.
    pub fn end(mut self) -> Result<Vec<String>> {
        let left = match self.ask(&Request::End, Vec::new())? {
            Reply::Ended { left } => left,
            other => return Err(unexpected(&other)),
        };
        raw::reap(self.pid);
        Ok(left)
    }

    /// Waits for the container's first process to end: how it ended, and what
    /// could not be undone afterwards.
    pub fn exited(&mut self) -> Result<(Status, Vec<String>)> {
        while self.exited.is_none() {
            self.answer()?;
        }
        self.exited.take().ok_or_else(gone)
    }

    fn ask(&mut self, request: &Request, fds: Vec<OwnedFd>) -> Result<Reply> {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        self.channel.send(request, &borrowed)?;
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
                self.exited = Some((status, left.clone()));
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

fn gone() -> Error {
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
}

#[derive(PartialEq, Eq)]
enum Launcher {
    Listening,
    Gone,
    Detached,
}

/// The watcher's whole life.
fn watcher(channel: Channel, place: Place, token: &str, command: &str) -> ! {
    let channel = raw::leave_the_launcher(channel);
    let journal = match Journal::begin(place, token, command) {
        Ok(journal) => journal,
        Err(error) => {
            let _ = channel.send(&Reply::Failed(error), &[]);
            raw::exit_now(1)
        }
    };
    let _ = channel.send(&Reply::Ok(0), &[]);
    let mut watcher = Watcher { channel, journal, child: None, launcher: Launcher::Listening };
    watcher.watch();
    let left = watcher.undo();
    if watcher.journal.entries().is_empty() {
        let _ = watcher.journal.end();
    }
    match (watcher.launcher, watcher.child.and_then(|child| child.status)) {
        (Launcher::Listening, Some(status)) => {
            let _ = watcher.channel.send(&Reply::Exited { status, left }, &[]);
            // The launcher may still be asking; it must not find us gone.
            let ended = || Error::new("the container's first process has ended already");
            while let Ok(Some(_)) = watcher.channel.receive::<Request>() {
                let _ = watcher.channel.send(&Reply::Failed(ended()), &[]);
            }
        }
        (Launcher::Listening, None) => {
            let _ = watcher.channel.send(&Reply::Ended { left }, &[]);
        }
        _ => {}
    }
    raw::exit_now(0)
}

impl Watcher {
    /// Until the launcher is done or gone, or the container has ended.
    fn watch(&mut self) {
        loop {
            let listening = self.launcher == Launcher::Listening;
            let mut polled = Vec::new();
            if let Some(child) = &self.child {
                polled.push(PollFd::new(&child.pidfd, PollFlags::IN));
            }
            if listening {
                polled.push(PollFd::new(&self.channel, PollFlags::IN));
            }
            if poll(&mut polled, None).is_err() {
                continue; // EINTR: every other error means a bug in this file
            }
            let ready: Vec<_> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
            if listening && ready.last() == Some(&true) {
                // What the launcher said before it died still counts, then its end does.
                match self.channel.receive::<Request>() {
                    Ok(Some((Request::End, _))) => return,
                    Ok(Some((request, fds))) => self.serve(request, fds),
                    Ok(None) | Err(_) => {
                        self.launcher = Launcher::Gone;
                        return;
                    }
                }
            } else if self.child.as_mut().is_some_and(Child::reap) {
                return;
            }
        }
    }

    fn serve(&mut self, request: Request, fds: Vec<OwnedFd>) {
        let result = match request {
            Request::Intend(effect) => self.journal.intend(effect).map(Reply::Ok),
            Request::Done(n, identity) => self.journal.done(n, identity).map(|()| Reply::Ok(n)),
            Request::Release(n) => self.journal.gone(n).map(|()| Reply::Ok(n)),
            Request::Clone(spec) => self.clone_child(&spec, fds),
            Request::Detach => {
                let _ = self.channel.send(&Reply::Ok(0), &[]);
                self.launcher = Launcher::Detached;
                return;
            }
            Request::End => return, // handled where the loop ends
        };
        let _ = self.channel.send(&result.unwrap_or_else(Reply::Failed), &[]);
    }

    fn clone_child(&mut self, spec: &CloneSpec, fds: Vec<OwnedFd>) -> Result<Reply> {
        raw::set_title(&format!("under-the-hood: shim of {}", spec.name));
        let n =
            self.journal.intend(Effect::Process { what: format!("container {}", spec.name) })?;
        let child = Child::start(spec, fds)?;
        let (pid, start) = (child.pid, child.start);
        self.child = Some(child);
        self.journal.done(n, Identity::Process { pid, start })?;
        Ok(Reply::Cloned { pid, start })
    }

    /// Ends the container if it lives, and undoes the journal; what is left.
    fn undo(&mut self) -> Vec<String> {
        if let Some(child) = &mut self.child {
            child.end();
        }
        let mut report = undo::Report::default();
        undo::undo_all(&mut self.journal, &mut report);
        report.left.iter().map(|(_, error)| error.to_string()).collect()
    }
}
