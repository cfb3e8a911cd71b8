//! Work that talks to a server, done in a child: an HTTP client starts threads,
//! and a process with threads can make no user namespace.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernel::channel::Channel;
use crate::kernel::probe::child;
use crate::kernel::raw;
use crate::step::{Observer, Step};

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
enum Heard<T> {
    Step(Step),
    Progress(String, u64, u64),
    ProgressOver(String),
    Note(String),
    Ended(Result<T>),
}

/// Does `work` in a child; `observer` hears of it as if it were done here. Call
/// it while there is one thread only.
pub fn in_child<T: Serialize + DeserializeOwned>(
    observer: &mut dyn Observer,
    work: impl FnOnce(Teller) -> Result<T>,
) -> Result<T> {
    let us = nix::unistd::getpid();
    let wants_steps = observer.wants_steps();
    let (ours, theirs) = Channel::pair()?;
    let teller = Teller { channel: Arc::new(Mutex::new(theirs)), wants_steps };
    let pid = child::fork(|| {
        raw::broken_pipes_are_errors();
        let result = child::die_with(us).and_then(|()| work(teller.clone()));
        teller.send(&Heard::Ended(result));
        0
    })?;
    drop(teller);
    let result = loop {
        match ours.receive::<Heard<T>>() {
            Ok(Some((Heard::Step(step), _))) => observer.step(&step),
            Ok(Some((Heard::Progress(what, done, total), _))) => {
                observer.progress(&what, done, total);
            }
            Ok(Some((Heard::ProgressOver(what), _))) => observer.progress_over(&what),
            Ok(Some((Heard::Note(text), _))) => observer.note(&text),
            Ok(Some((Heard::Ended(result), _))) => break result,
            Ok(None) => {
                break Err(Error::new("downloading").said("the process that did it was killed"));
            }
            Err(error) => break Err(error),
        }
    };
    raw::reap(pid.as_raw());
    result
}

/// Tells the parent; when that is gone, there is nobody to work for. Each thread
/// that works has one.
#[derive(Clone)]
pub struct Teller {
    channel: Arc<Mutex<Channel>>,
    wants_steps: bool,
}

impl Teller {
    fn tell(&self, heard: &Heard<()>) {
        self.send(heard);
    }

    fn send<T: Serialize>(&self, heard: &Heard<T>) {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if channel.send(heard, &[]).is_err() {
            raw::exit_now(1);
        }
    }
}

impl Observer for Teller {
    fn step(&mut self, step: &Step) {
        if self.wants_steps {
            self.tell(&Heard::Step(step.clone()));
        }
    }

    fn wants_steps(&self) -> bool {
        self.wants_steps
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.tell(&Heard::Progress(what.to_owned(), done, total));
    }

    fn progress_over(&mut self, what: &str) {
        self.tell(&Heard::ProgressOver(what.to_owned()));
    }

    fn note(&mut self, text: &str) {
        self.tell(&Heard::Note(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Deaf, Recorder};

    #[test]
    fn what_is_done_in_the_child_is_told_here_and_so_is_its_failure() {
        let mut heard = Recorder::default();
        let found = in_child(&mut heard, |mut observer| {
            observer.step(&Step::new("GET(\"x\")", "a step"));
            Ok(std::process::id())
        });
        assert_ne!(found.unwrap(), std::process::id());
        assert_eq!(heard.0[0].call, "GET(\"x\")");
        let error = Error::new("trying").said("no").hint("another");
        let failed = in_child::<()>(&mut Deaf, |_| Err(error.clone()));
        assert_eq!(failed, Err(error));
        let killed = in_child::<()>(&mut Deaf, |_| raw::exit_now(3)).unwrap_err();
        assert!(killed.said.is_some_and(|said| said.contains("killed")));
    }
}
