//! The CPUs that a thread may run on (sched_setaffinity(2)).

use nix::errno::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

use super::refusal;
use crate::effect::{Effect, Thread};
use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::step::Step;

/// The CPUs that a thread may run on; 0 is the caller.
pub fn affinity(tid: i32) -> Result<Vec<usize>> {
    let set =
        sched_getaffinity(Pid::from_raw(tid)).tried(|| format!("sched_getaffinity({tid})"))?;
    Ok(members(&set))
}

/// The numbers in a set.
pub(super) fn members(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

/// `[0, 1, 2, 5]` as `0-2,5`, as the kernel writes lists of CPUs (cpuset(7)).
pub fn text(cpus: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let range = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

/// `0-2,5` as `[0, 1, 2, 5]`.
pub fn parse(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= CpuSet::MAX_CPU {
            return None;
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

/// sched_setaffinity(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetAffinity {
    /// The thread's number, or a slot; 0 is the caller.
    pub tid: String,
    /// Where it may run.
    pub cpus: Vec<usize>,
    /// Which thread that is and where it might run before, if it is not ours
    /// and must get that back.
    pub was: Option<(Thread, Vec<usize>)>,
    /// Why.
    pub why: String,
}

impl Operation for SetAffinity {
    fn step(&self) -> Step {
        let (tid, cpus) = (&self.tid, text(&self.cpus));
        let shell = if tid == "0" { "$$$$" } else { tid };
        Step::new(format!("sched_setaffinity({tid}, {{{cpus}}})"), &self.why)
            .shell(format!("taskset -p -c {cpus} {shell}"))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let tid = super::tid(&self.tid, world.slots, self.was.as_ref().map(|(thread, _)| *thread))?;
        apply(tid, &self.cpus)?;
        Ok("0".to_owned())
    }

    fn effect(&self, _: &Slots) -> Option<Effect> {
        let (thread, old) = self.was.clone()?;
        Some(Effect::Affinity { thread, old, new: self.cpus.clone() })
    }
}

/// Lets a thread run on these CPUs only.
pub(super) fn apply(tid: i32, cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    let call = || format!("sched_setaffinity({tid}, {{{}}})", text(cpus));
    sched_setaffinity(Pid::from_raw(tid), &set)
        .map_err(|errno| Error::call(call(), Errno::from_raw(errno.raw_os_error())))
        .map_err(|error| refusal::affinity(error, tid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_written_and_read_as_the_kernel_does() {
        for (numbers, list) in [(vec![0, 1, 2, 5, 7, 8], "0-2,5,7-8"), (vec![3], "3")] {
            assert_eq!(text(&numbers), list);
            assert_eq!(parse(list), Some(numbers));
        }
        assert_eq!(text(&[]), "");
        for wrong in ["", "a", "2-1", "0,", "0-99999999999", "-1"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
