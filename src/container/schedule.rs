//! Scheduling a process otherwise, until it ends or `cleanup` gives back what it
//! had (`sched set`).
//!
//! The scheduler knows threads only, so every thread of the process is changed,
//! and what each had is written down for itself.

use std::path::Path;

use crate::effect::{Effect, Policy, Thread};
use crate::error::{Context, Error, Result};
use crate::home::Place;
use crate::journal::Entry;
use crate::kernel::op::{Op, Slots, World, describe, perform_all};
use crate::kernel::pidfd::start_time;
use crate::kernel::process;
use crate::kernel::scheduler::{Class, SetAffinity, SetPolicy, affinity, policy};
use crate::kernel::undo;
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// What is asked for; what is not said stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The class.
    pub class: Option<Class>,
    /// -20 to 19.
    pub nice: Option<i32>,
    /// 1 to 99.
    pub priority: Option<u32>,
    /// Nanoseconds.
    pub runtime: Option<u64>,
    /// Nanoseconds; the period, if not given.
    pub deadline: Option<u64>,
    /// Nanoseconds; the deadline, if not given.
    pub period: Option<u64>,
    /// Where it may run.
    pub cpus: Option<Vec<usize>>,
}

/// A thread, as it is and as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub thread: Thread,
    /// How it is scheduled.
    pub old: Policy,
    /// How it is to be.
    pub new: Policy,
    /// Where it may run.
    pub old_cpus: Vec<usize>,
    /// Where it is to run.
    pub new_cpus: Vec<usize>,
}

impl Wish {
    /// What this makes of a policy; numbers that say nothing in the class are
    /// refused rather than forgotten.
    pub fn of(&self, old: &Policy) -> Result<Policy> {
        let class = self.class.unwrap_or(Class::of(old.number));
        let stays = class == Class::of(old.number);
        let mut new = Policy { number: class.number(), flags: old.flags, ..Policy::default() };
        let fair = matches!(class, Class::Ts | Class::B | Class::Idl | Class::Ext);
        let says_nothing = [
            ("--nice", self.nice.is_some() && !matches!(class, Class::Ts | Class::B)),
            ("--priority", self.priority.is_some() && !class.is_real_time()),
            ("--runtime", self.runtime.is_some() && class != Class::Dln),
            ("--deadline", self.deadline.is_some() && class != Class::Dln),
            ("--period", self.period.is_some() && class != Class::Dln),
        ];
        if let Some((flag, _)) = says_nothing.iter().find(|(_, wrong)| *wrong) {
            return Err(Error::usage(format!("{flag} says nothing in {}", class.name())).hint(
                "--nice goes with --policy other and batch, --priority with fifo and rr, \
                 --runtime, --deadline and --period with deadline.",
            ));
        }
        if fair {
            new.nice = self.nice.unwrap_or(old.nice);
            if matches!(Class::of(old.number), Class::Ts | Class::B | Class::Idl | Class::Ext) {
                new.runtime = old.runtime; // its slice
            }
        } else if class.is_real_time() {
            let kept = stays.then_some(old.priority);
            new.priority = self.priority.or(kept).ok_or_else(|| {
                Error::usage(format!("{} without a priority", class.name()))
                    .hint("--priority 1 comes before every ordinary task, 99 before everything.")
            })?;
        } else {
            let kept = |value: u64| stays.then_some(value);
            let period = self.period.or(self.deadline).or(kept(old.period));
            let runtime = self.runtime.or(kept(old.runtime));
            let (Some(runtime), Some(period)) = (runtime, period) else {
                return Err(Error::usage("SCHED_DEADLINE without a reserve")
                    .hint("So much CPU time in each period: `--runtime 10ms --period 100ms`."));
            };
            let deadline = self.deadline.or(kept(old.deadline).filter(|_| self.period.is_none()));
            (new.runtime, new.period) = (runtime, period);
            new.deadline = deadline.unwrap_or(period);
        }
        Ok(new)
    }

    /// What this makes of every thread of a process.
    pub fn changes(&self, proc: &Path, pid: i32) -> Result<Vec<Change>> {
        let directory = proc.join(format!("{pid}/task"));
        let entries = std::fs::read_dir(&directory).tried(|| format!("opendir({directory:?})"))?;
        let mut changes = Vec::new();
        for entry in entries.flatten() {
            let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A thread that has ended meanwhile needs no change.
            let Some(start) = start_time(tid) else { continue };
            let (old, old_cpus) = (policy::policy(tid)?, affinity::affinity(tid)?);
            let new_cpus = self.cpus.clone().unwrap_or_else(|| old_cpus.clone());
            let thread = Thread { tid, start };
            changes.push(Change { thread, new: self.of(&old)?, old, old_cpus, new_cpus });
        }
        changes.sort_by_key(|change| change.thread.tid);
        match changes.is_empty() {
            true => Err(process::missing(proc, pid)),
            false => Ok(changes),
        }
    }
}

impl Change {
    fn ops(&self) -> Vec<Op> {
        let (tid, thread) = (self.thread.tid.to_string(), self.thread);
        let to = Class::of(self.new.number);
        let set = (self.new != self.old).then(|| {
            let why = format!("it was {}; that is written down", words(&self.old));
            SetPolicy { tid: tid.clone(), to: self.new, was: Some((thread, self.old)), why }.into()
        });
        let pin = (self.new_cpus != self.old_cpus).then(|| {
            let (cpus, old) = (self.new_cpus.clone(), self.old_cpus.clone());
            let why = format!("it might run on {}; that is written down", affinity::text(&old));
            SetAffinity { tid, cpus, was: Some((thread, old)), why }.into()
        });
        // A deadline task must be allowed everywhere while it is one.
        let ops = if to == Class::Dln { [pin, set] } else { [set, pin] };
        ops.into_iter().flatten().collect()
    }
}

/// A policy in words: `SCHED_FIFO, priority 10`.
pub fn words(policy: &Policy) -> String {
    let class = Class::of(policy.number);
    let name = class.name();
    let ms = |ns: u64| ns as f64 / 1e6;
    match class {
        Class::Ff | Class::Rr => format!("{name}, priority {}", policy.priority),
        Class::Dln => {
            format!("{name}, {} ms in every {} ms", ms(policy.runtime), ms(policy.period))
        }
        Class::Ts | Class::B => format!("{name}, nice {}", policy.nice),
        _ => name.to_owned(),
    }
}

/// What `--dry-run` shows.
pub fn steps(changes: &[Change]) -> Vec<Step> {
    describe(&changes.iter().flat_map(Change::ops).collect::<Vec<_>>(), Actor::Launcher)
}

/// Does it, to stay; if any of it fails, all of it is undone.
pub fn perform(changes: &[Change], command: &str, observer: &mut dyn Observer) -> Result<()> {
    let ops: Vec<_> = changes.iter().flat_map(Change::ops).collect();
    let mut watch = Watch::start(Place::Run, command)?;
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    world.watch = Some(&mut watch);
    let done = perform_all(&ops, Actor::Launcher, &mut world, observer);
    let done = done.and_then(|()| watch.keep());
    let left = watch.end();
    done?;
    match left.as_slice() {
        [] => Ok(()),
        left => Err(Error::new("scheduling it otherwise").said(left.join("; "))),
    }
}

/// Gives the threads of a process back what they had: what was given back.
pub fn back(proc: &Path, pid: i32, observer: &mut dyn Observer) -> Result<Vec<Effect>> {
    let is_its = |thread: &Thread| {
        proc.join(format!("{pid}/task/{}", thread.tid)).exists()
            && start_time(thread.tid) == Some(thread.start)
    };
    let chosen = |entries: &[Entry]| {
        entries.iter().any(|entry| match &entry.effect {
            Effect::Policy { thread, .. } | Effect::Affinity { thread, .. } => is_its(thread),
            _ => false,
        })
    };
    let report = undo::take_back(chosen, observer)?;
    match report.left.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(report.removed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: Policy =
        Policy { number: 0, flags: 0, nice: 3, priority: 0, runtime: 0, deadline: 0, period: 0 };

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let batch = Wish { class: Some(Class::B), ..Wish::default() }.of(&ORDINARY).expect("batch");
        assert_eq!((batch.number, batch.nice), (3, 3));
        let fifo = Wish { class: Some(Class::Ff), priority: Some(7), ..Wish::default() };
        let fifo = fifo.of(&ORDINARY).expect("fifo");
        assert_eq!((fifo.number, fifo.priority, fifo.nice), (1, 7, 0));
        let pinned = Wish { cpus: Some(vec![0]), ..Wish::default() };
        assert_eq!(pinned.of(&fifo).expect("the same"), fifo);
        let reserve =
            Wish { class: Some(Class::Dln), runtime: Some(5), period: Some(50), ..Wish::default() };
        let reserve = reserve.of(&ORDINARY).expect("deadline");
        assert_eq!((reserve.runtime, reserve.deadline, reserve.period), (5, 50, 50));
    }

    #[test]
    fn numbers_that_say_nothing_are_refused() {
        for wish in [
            Wish { priority: Some(5), ..Wish::default() },
            Wish { class: Some(Class::Ff), ..Wish::default() },
            Wish { class: Some(Class::Ff), nice: Some(5), priority: Some(1), ..Wish::default() },
            Wish { class: Some(Class::Dln), ..Wish::default() },
            Wish { runtime: Some(5), ..Wish::default() },
        ] {
            assert_eq!(wish.of(&ORDINARY).expect_err("refused").exit.code(), 2, "{wish:?}");
        }
    }
}
