//! How a thread is scheduled, read and changed (sched_setattr(2)).

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::{Class, refusal};
use crate::effect::{Effect, Policy, Thread};
use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::kernel::raw;
use crate::step::Step;

/// The flags that are a thread's own; others only say what a call is to leave alone.
const FLAGS: libc::c_int =
    libc::SCHED_FLAG_RESET_ON_FORK | libc::SCHED_FLAG_RECLAIM | libc::SCHED_FLAG_DL_OVERRUN;

/// How a thread is scheduled; 0 is the caller.
pub fn policy(tid: i32) -> Result<Policy> {
    let found = raw::sched_getattr(tid).tried(|| format!("sched_getattr({tid})"))?;
    let runtime = match found.sched_policy == Class::Dln.number() {
        true => found.sched_runtime,
        false => own_slice(found.sched_runtime),
    };
    Ok(Policy {
        number: found.sched_policy,
        flags: found.sched_flags & u64::from(FLAGS.cast_unsigned()),
        nice: found.sched_nice,
        priority: found.sched_priority,
        runtime,
        deadline: found.sched_deadline,
        period: found.sched_period,
    })
}

/// Since Linux 6.12 an ordinary task's slice stands where a deadline task has its
/// runtime, and 0 gives it the kernel's own. So 0 if it is that.
fn own_slice(slice: u64) -> u64 {
    if slice == 0 || kernels_slice() == Some(slice) { 0 } else { slice }
}

/// What a task gets that asks for no slice: asked of the kernel by asking for
/// none, for a moment, if this thread has one of its own.
fn kernels_slice() -> Option<u64> {
    let own = raw::sched_getattr(0).ok()?;
    let asks = [Class::Ts, Class::B].map(Class::number).contains(&own.sched_policy);
    let size = size_of::<libc::sched_attr>() as u32;
    let none = libc::sched_attr { size, sched_runtime: 0, ..own };
    raw::sched_setattr(0, &none).ok().filter(|()| asks)?;
    let found = raw::sched_getattr(0).ok();
    raw::sched_setattr(0, &libc::sched_attr { size, ..own }).ok()?;
    found.map(|found| found.sched_runtime)
}

/// sched_setattr(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetPolicy {
    /// The thread's number, or a slot.
    pub tid: String,
    /// How it is to be scheduled.
    pub to: Policy,
    /// Which thread that is and how it was scheduled before, if it is not ours
    /// and must get that back.
    pub was: Option<(Thread, Policy)>,
    /// Why.
    pub why: String,
}

impl Operation for SetPolicy {
    fn step(&self) -> Step {
        Step::new(call(&self.tid, &self.to), &self.why).shell(shell(&self.tid, &self.to))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let tid = super::tid(&self.tid, world.slots, self.was.map(|(thread, _)| thread))?;
        apply(tid, &self.to)?;
        Ok("0".to_owned())
    }

    fn effect(&self, _: &Slots) -> Option<Effect> {
        self.was.map(|(thread, old)| Effect::Policy { thread, old, new: self.to })
    }
}

/// Schedules a thread so.
pub fn apply(tid: i32, to: &Policy) -> Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: to.number,
        sched_flags: to.flags,
        sched_nice: to.nice,
        sched_priority: to.priority,
        sched_runtime: to.runtime,
        sched_deadline: to.deadline,
        sched_period: to.period,
    };
    raw::sched_setattr(tid, &attributes)
        .map_err(|errno: Errno| Error::call(call(&tid.to_string(), to), errno))
        .map_err(|error| refusal::policy(error, tid, to))
}

/// The call as `strace` prints it, with the numbers that count in the class.
pub fn call(tid: &str, to: &Policy) -> String {
    let class = Class::of(to.number);
    let numbers = match class {
        Class::Ff | Class::Rr => format!(", sched_priority={}", to.priority),
        Class::Dln => format!(
            ", sched_runtime={}, sched_deadline={}, sched_period={}",
            to.runtime, to.deadline, to.period
        ),
        Class::Idl => String::new(),
        _ if to.runtime > 0 => format!(", sched_nice={}, sched_runtime={}", to.nice, to.runtime),
        _ => format!(", sched_nice={}", to.nice),
    };
    format!("sched_setattr({tid}, {{sched_policy={}{numbers}}}, 0)", class.name())
}

/// With the machine's own tools: chrt(1), renice(1).
pub fn shell(tid: &str, to: &Policy) -> String {
    let Policy { nice, priority, runtime, deadline, period, .. } = to;
    // chrt knows slices since util-linux 2.41.
    let slice = if *runtime > 0 { format!(" -T {runtime}") } else { String::new() };
    match Class::of(to.number) {
        Class::Ff => format!("chrt --fifo -p {priority} {tid}"),
        Class::Rr => format!("chrt --rr -p {priority} {tid}"),
        Class::Dln => {
            format!("chrt --deadline -T {runtime} -D {deadline} -P {period} -p 0 {tid}")
        }
        Class::Idl => format!("chrt --idle -p 0 {tid}"),
        Class::B => format!("chrt --batch{slice} -p 0 {tid}; renice -n {nice} -p {tid}"),
        _ => format!("chrt --other{slice} -p 0 {tid}; renice -n {nice} -p {tid}"),
    }
}
