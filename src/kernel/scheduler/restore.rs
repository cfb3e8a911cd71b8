//! Giving a thread back how it was scheduled: what was changed in it since by
//! somebody else is left alone.

use super::affinity::{self, SetAffinity};
use super::policy::{self, SetPolicy};
use crate::effect::{Effect, Policy, Thread};
use crate::error::Result;
use crate::kernel::op::Operation;
use crate::kernel::pidfd::start_time;
use crate::kernel::undo::Undone;
use crate::step::Step;

const WHY: &str = "as it was before";

/// How a policy is given back, for people.
pub fn policy_step(thread: Thread, old: &Policy) -> Step {
    SetPolicy { tid: thread.tid.to_string(), to: *old, was: None, why: WHY.to_owned() }.step()
}

/// How the CPUs are given back, for people.
pub fn affinity_step(thread: Thread, old: &[usize]) -> Step {
    let (tid, cpus) = (thread.tid.to_string(), old.to_vec());
    SetAffinity { tid, cpus, was: None, why: WHY.to_owned() }.step()
}

/// Gives a policy back, if it is still the one that was set.
pub fn policy(thread: Thread, old: &Policy, new: &Policy) -> Result<Undone> {
    let now = || policy::policy(thread.tid);
    if !lives(thread) || *new == *old || now()? != *new {
        return Ok(Undone::NotThere);
    }
    policy::apply(thread.tid, old).map(|()| Undone::Removed)
}

/// Gives the CPUs back, if they are still those that were set.
pub fn affinity(thread: Thread, old: &[usize], new: &[usize]) -> Result<Undone> {
    if !lives(thread) || new == old || affinity::affinity(thread.tid)? != new {
        return Ok(Undone::NotThere);
    }
    affinity::apply(thread.tid, old).map(|()| Undone::Removed)
}

/// Whether the thread that an effect was on has ended, and the effect with it.
pub fn is_over(effect: &Effect) -> bool {
    match effect {
        Effect::Policy { thread, .. } | Effect::Affinity { thread, .. } => !lives(*thread),
        _ => false,
    }
}

/// Whether it is still there, and no other under its number.
fn lives(thread: Thread) -> bool {
    start_time(thread.tid) == Some(thread.start)
}
