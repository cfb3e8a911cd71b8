//! `sched set`: another class, priority, nice value or other CPUs for a process.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::Global;
use crate::cli::sched::{PolicyName, Set};
use crate::container::schedule::{self, Change, Wish, words};
use crate::container::target;
use crate::effect::Policy;
use crate::error::{Error, Result};
use crate::kernel::scheduler::{Class, affinity, may_go_back};
use crate::ui::Screen;

/// Changes it, or gives back what it had.
pub fn run(proc: &Path, args: &Set, global: &Global, screen: &mut Screen) -> Result<u8> {
    let wish = wish(args)?;
    let pid = target::resolve(proc, &args.target)?.pid;
    if args.back {
        return back(proc, pid, screen);
    }
    if wish == Wish::default() {
        return Err(Error::usage("sched set without anything to set")
            .hint("Say what: `under-the-hood sched set TARGET --policy batch --nice 10`."));
    }
    let changes = wish.changes(proc, pid)?;
    if global.dry_run {
        return screen.plan(&schedule::steps(&changes)).map(|()| 0);
    }
    schedule::perform(&changes, &format!("sched set {}", args.target), screen)?;
    report(pid, &changes, screen)?;
    Ok(0)
}

fn wish(args: &Set) -> Result<Wish> {
    let cpus = args.cpus.as_deref().map(|list| {
        affinity::parse(list)
            .ok_or_else(|| Error::usage(format!("--cpus {list}")).hint("A list of CPUs: 0-2,5."))
    });
    Ok(Wish {
        class: args.policy.map(class),
        nice: args.nice,
        priority: args.priority,
        runtime: args.runtime,
        deadline: args.deadline,
        period: args.period,
        cpus: cpus.transpose()?,
    })
}

fn class(name: PolicyName) -> Class {
    match name {
        PolicyName::Other => Class::Ts,
        PolicyName::Batch => Class::B,
        PolicyName::Idle => Class::Idl,
        PolicyName::Fifo => Class::Ff,
        PolicyName::Rr => Class::Rr,
        PolicyName::Deadline => Class::Dln,
    }
}

fn back(proc: &Path, pid: i32, screen: &mut Screen) -> Result<u8> {
    let given = schedule::back(proc, pid, screen)?;
    if screen.json_wanted() {
        return screen.json(&json!({ "pid": pid, "given_back": given.len() })).map(|()| 0);
    }
    screen.out(&match given.len() {
        0 => format!("Nothing of process {pid} is as `sched set` made it."),
        _ => format!("Process {pid} has back what it had."),
    })?;
    Ok(0)
}

fn policy_json(policy: &Policy, cpus: &[usize]) -> Json {
    let class = Class::of(policy.number);
    json!({
        "policy": class.name(),
        "nice": policy.nice,
        "priority": policy.priority,
        "runtime_ns": policy.runtime,
        "deadline_ns": policy.deadline,
        "period_ns": policy.period,
        "cpus": affinity::text(cpus),
    })
}

fn report(pid: i32, changes: &[Change], screen: &mut Screen) -> Result<()> {
    let stuck = changes.iter().any(|c| !may_go_back(c.thread.tid, &c.old, &c.new));
    if stuck {
        screen.warn(
            "the kernel lets anyone be nicer, and only CAP_SYS_NICE take that back: `cleanup` will be \
             refused what it was before.",
        );
    }
    if screen.json_wanted() {
        let threads: Vec<_> = changes
            .iter()
            .map(|c| {
                json!({
                    "tid": c.thread.tid,
                    "old": policy_json(&c.old, &c.old_cpus),
                    "new": policy_json(&c.new, &c.new_cpus),
                })
            })
            .collect();
        return screen.json(&json!({ "pid": pid, "threads": threads, "can_go_back": !stuck }));
    }
    for change in changes {
        screen.out(&format!(
            "thread {}: {} on CPUs {} (was {} on {})",
            change.thread.tid,
            words(&change.new),
            affinity::text(&change.new_cpus),
            words(&change.old),
            affinity::text(&change.old_cpus),
        ))?;
    }
    screen.note(&format!(
        "Until it ends, or `under-the-hood sched set {pid} --back` (or `cleanup`) gives back what it had."
    ));
    Ok(())
}
