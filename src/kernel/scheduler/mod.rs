//! The scheduler: which process may run next, and for how long (sched(7)).
//!
//! Every thread has a policy (its class), and within the class a number: for
//! ordinary ones nice, from -20 to 19, for real-time ones a priority from 1 to
//! 99. [`tasks`] reads them for the whole machine at once.

pub mod affinity;
pub mod autogroup;
pub mod hog;
pub mod policy;
pub mod realtime;
mod refusal;
pub mod restore;
mod scan;

use crate::effect::Thread;
use crate::error::{Error, Result};
use crate::kernel::op::Slots;
use crate::kernel::pidfd::start_time;

pub use affinity::SetAffinity;
pub use hog::StartHog;
pub use policy::SetPolicy;
pub use refusal::may_go_back;
pub use scan::{Autogroup, Task, Which, tasks};

/// A scheduling policy, by the letters that `ps` prints for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// `SCHED_OTHER`: time-sharing.
    Ts,
    /// `SCHED_FIFO`: real-time, first in, first out.
    Ff,
    /// `SCHED_RR`: real-time, taking turns.
    Rr,
    /// `SCHED_BATCH`: as time-sharing, for long computations.
    B,
    /// `SCHED_ISO`: a number that no kernel has ever used.
    Iso,
    /// `SCHED_IDLE`: when nobody else wants the CPU.
    Idl,
    /// `SCHED_DEADLINE`: a runtime in every period.
    Dln,
    /// `SCHED_EXT`: scheduled by a BPF program (Linux 6.12).
    Ext,
    /// One that is newer than this program.
    Unknown,
}

impl Class {
    /// Each at the place of its number.
    const BY_NUMBER: [Self; 8] =
        [Self::Ts, Self::Ff, Self::Rr, Self::B, Self::Iso, Self::Idl, Self::Dln, Self::Ext];

    /// From the number that /proc/PID/stat has in field 41.
    pub fn of(policy: u32) -> Self {
        let found = usize::try_from(policy).ok().and_then(|n| Self::BY_NUMBER.get(n));
        found.map_or(Self::Unknown, |class| *class)
    }

    /// Its number, for sched_setattr(2).
    pub fn number(self) -> u32 {
        (0..).zip(Self::BY_NUMBER).find(|(_, class)| *class == self).map_or(u32::MAX, |(n, _)| n)
    }

    /// As `ps` abbreviates it.
    pub fn letters(self) -> &'static str {
        match self {
            Self::Ts => "TS",
            Self::Ff => "FF",
            Self::Rr => "RR",
            Self::B => "B",
            Self::Iso => "ISO",
            Self::Idl => "IDL",
            Self::Dln => "DLN",
            Self::Ext => "EXT",
            Self::Unknown => "?",
        }
    }

    /// As the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ts => "SCHED_OTHER",
            Self::Ff => "SCHED_FIFO",
            Self::Rr => "SCHED_RR",
            Self::B => "SCHED_BATCH",
            Self::Iso => "SCHED_ISO",
            Self::Idl => "SCHED_IDLE",
            Self::Dln => "SCHED_DEADLINE",
            Self::Ext => "SCHED_EXT",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is one of the two with priorities from 1 to 99.
    pub fn is_real_time(self) -> bool {
        matches!(self, Self::Ff | Self::Rr)
    }

    /// Whether nice says anything here: in the fair classes but idle.
    pub fn is_nice(self) -> bool {
        matches!(self, Self::Ts | Self::B | Self::Ext)
    }
}

/// The kernel's table `sched_prio_to_weight`, from nice -20 to 19: the share of
/// a CPU is the weight divided by the sum of the weights of all who want it.
/// Each step is about a quarter.
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];

/// What `SCHED_IDLE` weighs (`WEIGHT_IDLEPRIO`).
pub const IDLE_WEIGHT: u32 = 3;

/// The weight of a nice value; nice 0 weighs 1024.
pub fn weight(nice: i32) -> u32 {
    let index = usize::try_from(nice.clamp(-20, 19) + 20).unwrap_or(20);
    WEIGHTS[index]
}

/// The thread that an operation is about, from a number or a slot: `expected`,
/// if it was there before us and could have ended meanwhile.
fn tid(text: &str, slots: &Slots, expected: Option<Thread>) -> Result<i32> {
    let text = slots.fill(text);
    let tid = text.parse().map_err(|_| Error::new(format!("{text} is not a thread's number")))?;
    match expected {
        Some(thread) if start_time(tid) != Some(thread.start) => {
            Err(Error::call(format!("finding thread {tid}"), nix::errno::Errno::ESRCH)
                .hint("It has ended meanwhile."))
        }
        _ => Ok(tid),
    }
}

/// What a task's priority means, for somebody who has never read sched(7).
pub fn meaning(task: &Task) -> String {
    let ahead = match task.rt_priority {
        99 => "before every TS and all other real-time tasks".to_owned(),
        n => format!("before every TS; of real-time tasks, after those above {n}"),
    };
    match task.class {
        Class::Ts => share(task.nice),
        Class::B => format!("{}; does not push others off the CPU", share(task.nice)),
        Class::Idl => format!("only what nobody else wants (weight {IDLE_WEIGHT})"),
        Class::Ff => format!("{ahead}; runs until it waits"),
        Class::Rr => format!("{ahead}; takes turns with equals"),
        Class::Dln => "a reserved runtime in every period, before all others".to_owned(),
        Class::Ext => "as the loaded BPF scheduler decides".to_owned(),
        Class::Iso | Class::Unknown => "a class that this program does not know".to_owned(),
    }
}

fn share(nice: i32) -> String {
    let weight = weight(nice);
    let ratio = f64::from(weight) / 1024.0;
    let digits =
        |value: f64| if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    match nice {
        0 => format!("an ordinary share (weight {weight})"),
        ..0 => format!("{} times an ordinary share (weight {weight})", digits(ratio)),
        1.. => format!("1/{} of an ordinary share (weight {weight})", digits(1.0 / ratio)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_nice_is_about_a_quarter() {
        assert_eq!((weight(-20), weight(0), weight(19)), (88761, 1024, 15));
        assert_eq!((weight(-21), weight(40)), (88761, 15));
        for nice in -20..19 {
            let step = f64::from(weight(nice)) / f64::from(weight(nice + 1));
            assert!((1.15..1.35).contains(&step), "{nice}: {step}");
        }
    }

    #[test]
    fn classes_are_numbered_as_in_the_kernel() {
        let letters: Vec<_> = (0..9).map(|n| Class::of(n).letters()).collect();
        assert_eq!(letters, ["TS", "FF", "RR", "B", "ISO", "IDL", "DLN", "EXT", "?"]);
    }
}
