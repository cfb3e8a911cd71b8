//! Why the kernel refuses to schedule a thread otherwise: EPERM has six causes,
//! and here it is looked up which it was (sched(7)).

use std::fs;
use std::path::Path;

use nix::errno::Errno;

use super::{Class, autogroup};
use crate::effect::Policy;
use crate::error::Error;
use crate::kernel::process::Status;

/// Linux 2.6.0: the capability that frees from all of these but the budgets.
const CAP_SYS_NICE: u64 = 1 << 23;

/// The error of a sched_setattr(2), with the rule that was hit.
pub(super) fn policy(error: Error, tid: i32, to: &Policy) -> Error {
    let hint = match error.errno.map(Errno::from_raw) {
        Some(Errno::EPERM) => not_permitted(tid, to),
        Some(Errno::EBUSY) => no_bandwidth(to),
        Some(Errno::EINVAL) => invalid(to).to_owned(),
        Some(Errno::ESRCH) => "It has ended meanwhile.".to_owned(),
        _ => return error,
    };
    error.hint(hint)
}

/// The error of a sched_setaffinity(2).
pub(super) fn affinity(error: Error, tid: i32) -> Error {
    let hint = match error.errno.map(Errno::from_raw) {
        Some(Errno::EINVAL) => {
            "None of these CPUs is there for it: CPUs that are offline, or not in its cgroup's cpuset."
        }
        Some(Errno::EBUSY) => {
            "A deadline task must be allowed on all CPUs that its reserve was counted on: give it \
             another policy first."
        }
        Some(Errno::EPERM) if !is_ours(tid) => OTHERS,
        _ => return error,
    };
    error.hint(hint)
}

const OTHERS: &str =
    "It belongs to another user: only its owner, or root (CAP_SYS_NICE), may change it.";

/// EPERM: whichever of the rules it was.
fn not_permitted(tid: i32, to: &Policy) -> String {
    let able = is_able();
    let class = Class::of(to.number);
    match class {
        _ if !able && !is_ours(tid) => OTHERS.to_owned(),
        Class::Dln if !able => "SCHED_DEADLINE wants CAP_SYS_NICE on the machine itself, which no \
             limit replaces: use sudo."
            .to_owned(),
        Class::Dln => "A deadline task must be allowed on every CPU of its domain, since its \
             reserve is counted over all of them: give it all CPUs first (`--cpus`), and no cpuset."
            .to_owned(),
        Class::Ff | Class::Rr if able => no_budget(tid),
        Class::Ff | Class::Rr => format!(
            "Without CAP_SYS_NICE real-time priorities reach as far as RLIMIT_RTPRIO, which is {} \
             for it (`ulimit -r`): use sudo, or have the limit raised (/etc/security/limits.conf: rtprio).",
            limit(tid, "realtime priority")
        ),
        _ => {
            format!(
                "Anyone may be nicer, and nobody may take that back: without CAP_SYS_NICE nice {} is out \
                 of reach, RLIMIT_NICE allows it no lower than {} (`ulimit -e`). Use sudo.",
                to.nice,
                lowest_nice(tid)
            )
        }
    }
}

/// With every right, a real-time class is still refused where the group has no
/// real-time budget (CONFIG_RT_GROUP_SCHED).
fn no_budget(tid: i32) -> String {
    let group = autogroup::cpu_group(Path::new("/proc"), tid);
    let budget = group.as_ref().and_then(|group| {
        let text = fs::read_to_string(group.join("cpu.rt_runtime_us")).ok()?;
        Some((group.join("cpu.rt_runtime_us"), text.trim().to_owned()))
    });
    match budget {
        Some((file, value)) if value == "0" => format!(
            "Its cgroup has no real-time budget: {} is 0, as in every new group \
             (CONFIG_RT_GROUP_SCHED). Whoever owns the group may give it microseconds of each \
             period there, out of its parent's.",
            file.display()
        ),
        _ => "You have the right, and something else forbids it: a security module, a seccomp \
             filter, or CAP_SYS_NICE that is only that of a user namespace."
            .to_owned(),
    }
}

/// EBUSY: of all that is reserved, no more is left.
fn no_bandwidth(to: &Policy) -> String {
    let read = |name: &str| -> Option<f64> {
        fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?.trim().parse().ok()
    };
    let share = read("sched_rt_runtime_us").zip(read("sched_rt_period_us"));
    let share = share.map_or(95.0, |(runtime, period)| runtime / period * 100.0);
    let wanted = to.runtime as f64 / to.period.max(1) as f64 * 100.0;
    format!(
        "Admission control: all deadline tasks together may reserve {share:.0} % of the CPUs they \
         share (sched_rt_runtime_us of sched_rt_period_us), and {wanted:.0} % of one more are not \
         left. Ask for less runtime, or a longer period."
    )
}

fn invalid(to: &Policy) -> &'static str {
    match Class::of(to.number) {
        Class::Dln => {
            "A runtime is at least 1024 ns, and no longer than the deadline, which is no longer than \
             the period; and no period is shorter or longer than sched_deadline_period_min_us and \
             _max_us allow."
        }
        Class::Ff | Class::Rr => "Real-time priorities are 1 to 99.",
        _ => "This kernel does not have that class, or not with these numbers.",
    }
}

/// The lowest nice value that RLIMIT_NICE allows a thread.
fn lowest_nice(tid: i32) -> i32 {
    (20 - i32::try_from(limit(tid, "nice priority")).unwrap_or(40)).min(19)
}

/// Whether we may give a thread its old policy back once it has the new one: an
/// ordinary user may be nicer, and not take that back.
pub fn may_go_back(tid: i32, old: &Policy, new: &Policy) -> bool {
    let [before, after] = [old, new].map(|policy| Class::of(policy.number));
    let nicer = new.nice > old.nice || (after == Class::Idl && before != Class::Idl);
    is_able() || before.is_real_time() || !nicer || lowest_nice(tid) <= old.nice
}

/// Whether this process has CAP_SYS_NICE.
fn is_able() -> bool {
    let status = Status::read(Path::new("/proc"), std::process::id().cast_signed());
    let mask = status.ok().and_then(|s| u64::from_str_radix(s.field("CapEff")?, 16).ok());
    mask.is_some_and(|mask| mask & CAP_SYS_NICE != 0)
}

fn is_ours(tid: i32) -> bool {
    let uid = Status::read(Path::new("/proc"), tid).ok().and_then(|status| status.uid());
    uid == Some(rustix::process::geteuid().as_raw())
}

/// A soft limit of the thread itself, which is the one that counts.
fn limit(tid: i32, name: &str) -> u64 {
    let limits = crate::kernel::process::limits(Path::new("/proc"), tid).unwrap_or_default();
    let found = limits.iter().find(|limit| limit.name == name);
    found.and_then(|limit| limit.soft.parse().ok()).unwrap_or(0)
}
