//! Checks on how much of the machine a process may use, and how much it gets.
//! Limits and counters are the kernel's own files; what a process got of a CPU
//! is told by its own clock (/proc/PID/schedstat), not by its group's.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::kernel::cgroup::{Bound, Group, Usage};

use super::{Answer, Finding, Unknown, World, processes};

/// How long two clocks are watched.
const WATCHED: Duration = Duration::from_millis(1500);
/// How often, before it is said that somebody gets nothing.
const PATIENCE: u32 = 6;
/// From this share on there is nothing left for others. Who is let run only when real-time
/// processes must pause, and shares even that with all others on the CPU, gets little, and
/// not in every second: it is not nothing.
const ALL: f64 = 0.9999;
const MIB: u64 = 1 << 20;

/// Whether two processes are in the same groups, in every hierarchy.
pub fn same_group(world: &World, who: &str, whom: &str) -> Answer {
    let groups = |who: &str| {
        let path = format!("/proc/{}/cgroup", world.pid(who)?);
        fs::read_to_string(&path).map_err(|error| Unknown::Untestable(format!("{path}: {error}")))
    };
    let (one, other) = (groups(who)?, groups(whom)?);
    let difference = one.lines().find(|line| !other.lines().any(|known| known == *line));
    let evidence = match difference {
        None => format!("/proc/PID/cgroup says the same of {who} and {whom}"),
        Some(line) => format!("/proc/PID/cgroup of {who} says {line}, and of {whom} it does not"),
    };
    Ok(Finding::yes(one == other, evidence))
}

fn usage(pid: i32) -> Result<Usage, Unknown> {
    match Group::of_process(Path::new("/proc"), pid) {
        Ok(group) => Ok(group.usage()),
        Err(error) => Err(Unknown::Untestable(error.to_string())),
    }
}

/// The limit of its group: percent of one CPU, MiB, tasks; or `none`.
pub fn limit(world: &World, what: &str, who: &str) -> Answer {
    limit_of_process(what, world.pid(who)?)
}

/// The same for a process that the reader has started.
pub fn limit_of(world: &World, what: &str, command: &str) -> Answer {
    limit_of_process(what, processes::started(world, command)?)
}

fn limit_of_process(what: &str, pid: i32) -> Answer {
    let usage = usage(pid)?;
    let (value, words) = match (what, usage.memory_limit, usage.pids_limit) {
        ("cpu", ..) => match quota(&usage) {
            Some(share) => (format!("{:.0}", share * 100.0), "percent of one CPU"),
            None => ("none".to_owned(), ""),
        },
        ("memory", Some(Bound::At(bytes)), _) => ((bytes / MIB).to_string(), "MiB"),
        ("tasks", _, Some(Bound::At(tasks))) => (tasks.to_string(), "tasks"),
        _ => ("none".to_owned(), ""),
    };
    let evidence = format!("{what} of the group that {pid} is in: {value} {words}");
    Ok(Finding::new(value, evidence.trim_end()))
}

/// The quota as a share of one CPU.
fn quota(usage: &Usage) -> Option<f64> {
    let quota = usage.quota?;
    Some(quota.quota? as f64 / quota.period as f64)
}

/// How often its group met a limit.
pub fn counted(world: &World, what: &str, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let usage = usage(pid)?;
    let (number, words) = match what {
        "throttled" => (usage.throttled, "periods in which the quota was used up"),
        "killed" => (usage.oom_kills, "processes killed for memory"),
        _ => (usage.pids_refused, "forks refused"),
    };
    match number {
        Some(number) => {
            let evidence = format!("the group that {pid} is in counts {number} {words}");
            Ok(Finding::new(number.to_string(), evidence))
        }
        // At the top, where nothing can be limited, there is no such file at all.
        None if same_group(world, who, "self")?.value == "yes" => {
            Err(Unknown::Absent(format!("the group that {pid} is in is yours, and counts none")))
        }
        None => Err(Unknown::Untestable(format!("this kernel does not count {words} here"))),
    }
}

/// CPU time that a process has had, by its own clock.
fn clock(pid: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let first = text.split_whitespace().next()?.parse().ok();
    first.map(Duration::from_nanos)
}

/// What each of them gets of a CPU while they are watched (none: it has ended),
/// and for how long that is.
pub fn watched(pids: &[i32]) -> (Vec<Option<Duration>>, Duration) {
    let clocks = || pids.iter().map(|pid| clock(*pid)).collect::<Vec<_>>();
    let (begun, before) = (Instant::now(), clocks());
    std::thread::sleep(WATCHED);
    let (took, after) = (begun.elapsed(), clocks());
    let got = before.into_iter().zip(after).map(|pair| match pair {
        (Some(before), Some(after)) => Some(after.saturating_sub(before)),
        _ => None,
    });
    (got.collect(), took)
}

fn no_clock(pid: i32) -> Unknown {
    match Path::new("/proc/self/schedstat").exists() {
        true => no_process(pid),
        false => Unknown::Untestable("this kernel has no /proc/PID/schedstat".to_owned()),
    }
}

/// Whether it gets no more of a CPU than its quota, whatever its priority.
pub fn within_quota(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let Some(quota) = quota(&usage(pid)?) else {
        return Ok(Finding::yes(false, format!("{pid} is in a group without a quota")));
    };
    let (got, took) = watched(&[pid]);
    let got = got[0].ok_or_else(|| no_clock(pid))?;
    let rate = got.as_secs_f64() / took.as_secs_f64();
    let evidence = format!(
        "in {:.1} s the clock of {pid} went on by {:.2} s: {:.0} % of one CPU, where {:.0} % are allowed",
        took.as_secs_f64(),
        got.as_secs_f64(),
        rate * 100.0,
        quota * 100.0
    );
    // A period more than fits may have begun, and a tick may pass before it is stopped.
    let most = quota * 1.5;
    Ok(Finding::yes(rate <= most, evidence))
}

/// How one container and another share the CPU they both want.
pub fn cpu_split(world: &World, who: &str, whom: &str) -> Answer {
    let pids = [world.pid(who)?, world.pid(whom)?];
    let (got, _) = watched(&pids);
    let one = got[0].ok_or_else(|| no_clock(pids[0]))?;
    let other = got[1].ok_or_else(|| no_clock(pids[1]))?;
    split(one, other, who, whom)
}

/// How the processes of a container share: those with its lowest nice value, and the rest.
pub fn nice_split(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let nice = |pid: &i32| stat(*pid).map(|stat| stat.nice);
    let mut pids = processes::beside(pid)?;
    // A renice that was started a moment ago may not have come to it yet.
    for _ in 0..50 {
        if pids.iter().filter_map(nice).min() < pids.iter().filter_map(nice).max() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        pids = processes::beside(pid)?;
    }
    let lowest = pids.iter().filter_map(nice).min().unwrap_or_default();
    let (mut first, mut rest) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..PATIENCE {
        let (got, _) = watched(&pids);
        if got.iter().all(Option::is_none) {
            return Err(no_clock(pids.first().copied().unwrap_or(0)));
        }
        for (pid, got) in pids.iter().zip(got) {
            let got = got.unwrap_or_default();
            *(if nice(pid) == Some(lowest) { &mut first } else { &mut rest }) += got;
        }
        let nothing_left = share(first, rest) >= ALL;
        if !nothing_left {
            break;
        }
    }
    split(first, rest, &format!("nice {lowest}"), "the others")
}

/// What the first has of what both had; NaN if neither had any.
fn share(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / (one + other).as_secs_f64()
}

/// `alike`, `most`, `all`, or, the other way round, `less`.
fn split(one: Duration, other: Duration, first: &str, second: &str) -> Answer {
    let both = (one + other).as_secs_f64();
    if both < 0.01 {
        let evidence = format!("neither {first} nor {second} wanted a CPU");
        return Err(Unknown::Absent(evidence));
    }
    let value = match share(one, other) {
        ..0.4 => "less",
        ..0.6 => "alike",
        ..ALL => "most",
        _ => "all",
    };
    let share = share(one, other) * 100.0;
    let digits = if share > 99.0 { 2 } else { 0 };
    let evidence = format!(
        "of the CPU time of both, {first} had {share:.digits$} %, {second} {:.digits$} %",
        100.0 - share
    );
    Ok(Finding::new(value, evidence))
}

/// Its class, by the letters that ps prints (sched(7)).
pub fn class(world: &World, who: &str) -> Answer {
    const CLASSES: [&str; 8] = ["TS", "FF", "RR", "B", "ISO", "IDL", "DLN", "EXT"];
    let pid = world.pid(who)?;
    let policy = stat(pid).and_then(|stat| stat.policy).ok_or_else(|| no_process(pid))?;
    let name = CLASSES.get(policy as usize).copied().unwrap_or("?");
    Ok(Finding::new(name, format!("/proc/{pid}/stat, policy: {policy}, which ps calls {name}")))
}

/// Its nice value.
pub fn nice(world: &World, who: &str) -> Answer {
    nice_of_process(world.pid(who)?)
}

/// The same for a process that the reader has started.
pub fn nice_of(world: &World, command: &str) -> Answer {
    nice_of_process(processes::started(world, command)?)
}

fn nice_of_process(pid: i32) -> Answer {
    let nice = stat(pid).ok_or_else(|| no_process(pid))?.nice;
    Ok(Finding::new(nice.to_string(), format!("/proc/{pid}/stat: nice {nice}")))
}

fn stat(pid: i32) -> Option<procfs::process::Stat> {
    procfs::process::Process::new(pid).and_then(|process| process.stat()).ok()
}

fn no_process(pid: i32) -> Unknown {
    Unknown::Absent(format!("there is no process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_names() {
        let of = |one, other| {
            let (one, other) = (Duration::from_millis(one), Duration::from_millis(other));
            split(one, other, "a", "b").map(|found| found.value)
        };
        assert_eq!(of(500, 500).as_deref(), Ok("alike"));
        assert_eq!(of(900, 100).as_deref(), Ok("most"));
        assert_eq!(of(1000, 0).as_deref(), Ok("all"));
        assert_eq!(of(100, 900).as_deref(), Ok("less"));
        assert!(of(1, 1).is_err());
    }

    #[test]
    fn our_own_process_is_within_no_quota_and_in_its_own_group() {
        let world = World::default();
        assert_eq!(same_group(&world, "self", "self").map(|f| f.value).as_deref(), Ok("yes"));
        assert_eq!(class(&world, "self").map(|f| f.value).as_deref(), Ok("TS"));
    }
}
