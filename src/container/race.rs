//! A race for one CPU: hogs with different nice values, or in cgroups with
//! different weights, and what each of them gets of it (`sched race`).
//!
//! The kernel gives whoever wants a CPU a share of it in proportion to its
//! weight. A task's weight is that of its nice value, and counts among the tasks
//! of its own task group; the group has a weight among groups.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::container::limited;
use crate::effect::Policy;
use crate::error::{Error, Result};
use crate::home::Place;
use crate::kernel::cgroup::limit::{self, Limits};
use crate::kernel::op::{Op, Slots, World, describe, perform_all};
use crate::kernel::scheduler::hog::{self, GATE, Hogs};
use crate::kernel::scheduler::{SetAffinity, SetPolicy, StartHog, autogroup, weight};
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// Where everything about processes is read.
const PROC: &str = "/proc";

/// The longest race, in seconds.
pub const LONGEST: u64 = 15;

/// Hogs end by themselves so long after the end of the race.
const SPARE: u64 = 3;

/// So long at most the clock waits until every racer runs: one may still be
/// waiting for a page of its program.
const WARM_UP: Duration = Duration::from_secs(1);

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Racer {
    /// How it is scheduled.
    pub policy: Policy,
    /// The weight of its group (100 is ordinary), if it has one of its own.
    pub group: Option<u64>,
}

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct Request {
    /// At least two.
    pub racers: Vec<Racer>,
    /// The CPU that all of them want.
    pub cpu: usize,
    /// CPUs for us to keep to meanwhile; empty where there is no other.
    pub elsewhere: Vec<usize>,
    /// How long.
    pub seconds: u64,
    /// Whether each gets a session of its own.
    pub own_session: bool,
}

/// Which weights are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Those of nice values: all are in one task group.
    Nice,
    /// Those of cgroups.
    Cgroup,
    /// Those of autogroups, one for each session, which weigh the same.
    Autogroup,
}

/// How things stand, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lap {
    /// Nanoseconds on the clock.
    pub wall: u64,
    /// CPU time of each racer, in nanoseconds.
    pub cpu: Vec<u64>,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// The last look.
    pub lap: Lap,
    /// The racers' pids.
    pub pids: Vec<i32>,
    /// How long the CPU had nothing to do, in nanoseconds: never, unless
    /// something holds the racers back.
    pub idle: Option<u64>,
    /// What could not be undone.
    pub left: Vec<String>,
}

impl Lap {
    /// What each racer has of what all of them have.
    pub fn shares(&self) -> Vec<f64> {
        shares(self.cpu.iter().map(|time| *time as f64))
    }

    /// How much of the CPU's time was not the racers'.
    pub fn others(&self) -> f64 {
        let racers: u64 = self.cpu.iter().sum();
        1.0 - (racers as f64 / self.wall.max(1) as f64).min(1.0)
    }
}

fn shares(values: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let sum: f64 = values.clone().sum();
    values.map(|value| if sum > 0.0 { value / sum } else { 0.0 }).collect()
}

impl Request {
    /// Which weights the kernel will compare here.
    pub fn rule(&self) -> Rule {
        let us = std::process::id().cast_signed();
        let proc = Path::new(PROC);
        if self.racers.iter().any(|racer| racer.group.is_some()) {
            Rule::Cgroup
        } else if self.own_session
            && autogroup::is_enabled(proc)
            && autogroup::cpu_group(proc, us).is_none()
        {
            Rule::Autogroup
        } else {
            Rule::Nice
        }
    }

    /// What each racer weighs, by this rule.
    pub fn weights(&self, rule: Rule) -> Vec<u64> {
        let of = |racer: &Racer| match rule {
            Rule::Nice => weight(racer.policy.nice).into(),
            Rule::Cgroup => racer.group.unwrap_or(100),
            Rule::Autogroup => weight(0).into(),
        };
        self.racers.iter().map(of).collect()
    }

    /// The share that each racer should get.
    pub fn predicted(&self, rule: Rule) -> Vec<f64> {
        shares(
            self.weights(rule).iter().map(|weight| *weight as f64).collect::<Vec<_>>().into_iter(),
        )
    }

    /// What `--dry-run` shows.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let lanes = self.lanes("$id")?;
        let mut ops = [self.keep_away(), lanes.make].concat();
        ops.extend((0..self.racers.len()).flat_map(|n| self.enter(n, lanes.join.get(n))));
        Ok(describe(&ops, Actor::Launcher))
    }

    fn keep_away(&self) -> Vec<Op> {
        let why = "this program keeps to the other CPUs".to_owned();
        let away =
            SetAffinity { tid: "0".to_owned(), cpus: self.elsewhere.clone(), was: None, why };
        (!self.elsewhere.is_empty()).then(|| away.into()).into_iter().collect()
    }

    /// What makes a hog and puts it where it belongs.
    fn enter(&self, racer: usize, join: Option<&Op>) -> Vec<Op> {
        let (tid, to) = ("$hog".to_owned(), self.racers[racer].policy);
        let (seconds, own_session) = (self.seconds + SPARE, self.own_session);
        let (one, own) = ("all on one CPU: they must share it", "its class, and its number in it");
        let pin =
            SetAffinity { tid: tid.clone(), cpus: vec![self.cpu], was: None, why: one.to_owned() };
        let set = SetPolicy { tid, to, was: None, why: own.to_owned() };
        let mut ops = vec![StartHog { seconds, own_session }.into(), pin.into(), set.into()];
        ops.extend(join.cloned());
        ops
    }

    /// The racers' cgroups: each in one of its own, all of them in one.
    fn lanes(&self, token: &str) -> Result<Lanes> {
        let mut lanes = Lanes::default();
        if self.racers.iter().all(|racer| racer.group.is_none()) {
            return Ok(lanes);
        }
        let name = limited::name(token);
        let limits = Limits { weight: Some(100), ..Limits::default() };
        let plan = limit::plan(&limits, &name, false)?;
        lanes.make = plan.make;
        let Some(seat) = plan.group.seat("cpu") else { return Ok(lanes) };
        lanes.make.extend(limit::lanes(seat));
        for (n, racer) in self.racers.iter().enumerate() {
            let (make, join) =
                limit::lane(seat, &format!("{name}.{n}"), racer.group.unwrap_or(100));
            lanes.make.extend(make);
            lanes.join.push(join);
        }
        Ok(lanes)
    }
}

#[derive(Default)]
struct Lanes {
    make: Vec<Op>,
    join: Vec<Op>,
}

/// Holds the race; `tick` is called four times a second.
pub fn run(
    request: &Request,
    observer: &mut dyn Observer,
    tick: &mut dyn FnMut(&Lap),
) -> Result<Outcome> {
    // Without groups nothing is made that the kernel would not remove by itself.
    let grouped = request.racers.iter().any(|racer| racer.group.is_some());
    let mut watch = grouped.then(|| Watch::start(Place::Run, "sched race")).transpose()?;
    let mut hogs = Hogs::default();
    let raced = start(request, watch.as_mut(), &mut hogs, observer).and_then(|gate| {
        drop(gate);
        measure(request, &hogs, tick)
    });
    drop(hogs);
    let left = watch.map(Watch::end).unwrap_or_default();
    raced.map(|outcome| Outcome { left, ..outcome })
}

/// Everything up to the start; what is returned holds the racers back until it is dropped.
fn start(
    request: &Request,
    watch: Option<&mut Watch>,
    hogs: &mut Hogs,
    observer: &mut dyn Observer,
) -> Result<std::os::fd::OwnedFd> {
    let lanes = request.lanes(watch.as_ref().map_or("", |watch| watch.token()))?;
    let (gate, opener) = hog::gate()?;
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    world.watch = watch;
    world.fds.insert(GATE.to_owned(), gate);
    let before = [request.keep_away(), lanes.make].concat();
    perform_all(&before, Actor::Launcher, &mut world, observer)?;
    for n in 0..request.racers.len() {
        for op in request.enter(n, lanes.join.get(n)) {
            op.perform(Actor::Launcher, &mut world, observer)?;
            if matches!(op, Op::StartHog(_)) {
                hogs.add(world.slots.number("hog")?)?;
            }
        }
    }
    Ok(opener)
}

fn measure(request: &Request, hogs: &Hogs, tick: &mut dyn FnMut(&Lap)) -> Result<Outcome> {
    let proc = Path::new(PROC);
    let pids: Vec<_> = hogs.pids().collect();
    let look = || pids.iter().map(|pid| hog::cpu_time(proc, *pid)).collect::<Result<Vec<u64>>>();
    let (opened, at_the_gate) = (Instant::now(), look()?);
    while opened.elapsed() < WARM_UP
        && look()?.iter().zip(&at_the_gate).any(|(now, then)| now == then)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (begun, first, idle) = (Instant::now(), look()?, hog::idle_time(proc, request.cpu));
    let end = begun + Duration::from_secs(request.seconds);
    loop {
        let now = Instant::now();
        std::thread::sleep(Duration::from_millis(250).min(end.saturating_duration_since(now)));
        let wall = begun.elapsed().as_nanos() as u64;
        let cpu = look()?.iter().zip(&first).map(|(now, then)| now.saturating_sub(*then)).collect();
        let lap = Lap { wall, cpu };
        tick(&lap);
        if Instant::now() >= end {
            if lap.cpu.iter().all(|time| *time == 0) {
                return Err(never_ran(request));
            }
            let idle = hog::idle_time(proc, request.cpu).zip(idle).map(|(now, then)| now - then);
            return Ok(Outcome { lap, pids, idle, left: Vec::new() });
        }
    }
}

/// Nothing was measured, and nothing is not zero.
fn never_ran(request: &Request) -> Error {
    Error::new(format!("measuring {} s on CPU {}", request.seconds, request.cpu))
        .said("none of the loops had any time on it")
        .hint("Something else had this CPU all the while; with --seconds it is tried for longer.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(racers: &[(i32, Option<u64>)]) -> Request {
        let racer = |(nice, group): &(i32, Option<u64>)| Racer {
            policy: Policy { nice: *nice, ..Policy::default() },
            group: *group,
        };
        let racers = racers.iter().map(racer);
        Request {
            racers: racers.collect(),
            cpu: 0,
            elsewhere: Vec::new(),
            seconds: 1,
            own_session: false,
        }
    }

    #[test]
    fn shares_are_as_the_weights_are() {
        let nice = request(&[(0, None), (5, None)]);
        let predicted = nice.predicted(Rule::Nice);
        assert!((predicted[0] - 1024.0 / 1359.0).abs() < 1e-9, "{predicted:?}");
        assert_eq!(nice.predicted(Rule::Autogroup), [0.5, 0.5]);
        let groups = request(&[(-20, Some(100)), (19, Some(300))]);
        assert_eq!(groups.rule(), Rule::Cgroup);
        assert_eq!(groups.predicted(Rule::Cgroup), [0.25, 0.75]);
    }

    #[test]
    fn what_nobody_raced_for_was_others() {
        let lap = Lap { wall: 1000, cpu: vec![600, 200] };
        assert_eq!(lap.shares(), [0.75, 0.25]);
        assert!((lap.others() - 0.2).abs() < 1e-9);
        assert_eq!(Lap { wall: 0, cpu: vec![0, 0] }.shares(), [0.0, 0.0]);
    }
}
