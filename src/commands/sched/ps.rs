//! `sched ps`: every process with its class and priority, whose it is, and
//! what that means.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::sched::{ClassName, Ps, Sort, SortKey};
use crate::container::engines::{Detective, Found, Owner};
use crate::container::target;
use crate::error::{Error, Result};
use crate::kernel::cgroup::{Hierarchies, Weight};
use crate::kernel::namespace::{self, Ids, Kind};
use crate::kernel::process;
use crate::kernel::scheduler::{Class, Task, Which, meaning, tasks};
use crate::ui::{Align, Column, Screen, Table, Value};

/// A line.
struct Row {
    task: Task,
    weight: Option<Weight>,
    /// None where the kernel does not let us see.
    owner: Option<Owner>,
}

const PID: Column<Row> = Column {
    name: "PID",
    align: Align::Right,
    help: "The process",
    value: |row| Value::Signed(row.task.pid.into()),
};
const TID: Column<Row> = Column {
    name: "TID",
    align: Align::Right,
    help: "The thread; the first one has the process's number",
    value: |row| Value::Signed(row.task.tid.into()),
};
const CLS: Column<Row> = Column {
    name: "CLS",
    align: Align::Left,
    help: "Class: TS time-sharing, FF first in first out, RR round robin, B batch,\n          IDL idle, DLN deadline, EXT a BPF scheduler",
    value: |row| Value::Text(row.task.class.letters().into()),
};
const RTPRIO: Column<Row> = Column {
    name: "RTPRIO",
    align: Align::Right,
    help: "Priority among real-time tasks, 1 to 99 (the highest)",
    value: |row| row.rt_priority().map_or(Value::None, |number| Value::Number(number.into())),
};
const NI: Column<Row> = Column {
    name: "NI",
    align: Align::Right,
    help: "Nice, -20 to 19: only where the class asks for it",
    value: |row| row.nice().map_or(Value::None, |nice| Value::Signed(nice.into())),
};
const COMMAND: Column<Row> = Column {
    name: "COMMAND",
    align: Align::Left,
    help: "The name of the program",
    value: |row| Value::Text(row.task.comm.clone()),
};
const S: Column<Row> = Column {
    name: "S",
    align: Align::Left,
    help: "State: R runs or could, S sleeps, D waits for a device, I idle kernel\n          thread, T stopped, Z ended",
    value: |row| Value::Text(row.task.state.into()),
};
const TIME: Column<Row> = Column {
    name: "TIME",
    align: Align::Right,
    help: "CPU time used, [days-]hours:minutes:seconds",
    value: |row| Value::Text(clock(row.task.ticks / ticks_per_second())),
};
const CPUS: Column<Row> = Column {
    name: "CPUS",
    align: Align::Left,
    help: "The CPUs it may run on",
    value: |row| Value::maybe(row.task.cpus.as_deref()),
};
const GROUP: Column<Row> = Column {
    name: "AUTOGROUP",
    align: Align::Right,
    help: "Its session's automatic group; nice counts only within it",
    value: |row| Value::maybe(row.autogroup()),
};
const WEIGHT: Column<Row> = Column {
    name: "WEIGHT",
    align: Align::Right,
    help: "Of its cgroup against its siblings (v2 cpu.weight: 100 is ordinary;\n          v1 cpu.shares: 1024 is)",
    value: |row| row.weight.as_ref().map_or(Value::None, |weight| Value::Number(weight.value)),
};
const OWNER: Column<Row> = Column {
    name: "OWNER",
    align: Align::Left,
    help: "host, the container it belongs to, or unknown; - where we may not look",
    value: |row| Value::maybe(row.owner.as_ref().map(Owner::label)),
};
const MEANING: Column<Row> = Column {
    name: "MEANING",
    align: Align::Left,
    help: "What class and priority come to",
    value: |row| Value::Text(meaning(&row.task)),
};
const TABLE: Table<Row> =
    Table(&[PID, CLS, RTPRIO, NI, COMMAND, S, TIME, CPUS, GROUP, WEIGHT, OWNER, MEANING]);
const THREADS: Table<Row> =
    Table(&[PID, TID, CLS, RTPRIO, NI, COMMAND, S, TIME, CPUS, GROUP, WEIGHT, OWNER, MEANING]);

/// What the columns say, for `--help`.
pub(super) fn columns() -> String {
    THREADS.help()
}

impl Row {
    /// As `ps` has it: time-sharing has none.
    fn rt_priority(&self) -> Option<u32> {
        (self.task.class != Class::Ts).then_some(self.task.rt_priority)
    }

    /// As `ps` has it: where the class does not ask, there is none.
    fn nice(&self) -> Option<i32> {
        matches!(self.task.class, Class::Ts | Class::B).then_some(self.task.nice)
    }

    fn autogroup(&self) -> Option<String> {
        let group = self.task.autogroup?;
        Some(match group.nice {
            0 => group.number.to_string(),
            nice => format!("{} (nice {nice})", group.number),
        })
    }

    fn json(&self) -> Json {
        let task = &self.task;
        json!({
            "pid": task.pid,
            "tid": task.tid,
            "class": task.class.letters(),
            "policy": task.class.name(),
            "rtprio": self.rt_priority(),
            "nice": self.nice(),
            "comm": task.comm,
            "state": task.state.to_string(),
            "cpu_ms": task.ticks * 1000 / ticks_per_second(),
            "cpus": task.cpus.as_deref(),
            "last_cpu": task.cpu,
            "autogroup": task.autogroup.map(|group| group.number),
            "autogroup_nice": task.autogroup.map(|group| group.nice),
            "cgroup_weight": self.weight.as_ref().map(|weight| weight.value),
            "cgroup_weight_file": self.weight.as_ref().map(|weight| process::path_text(&weight.file)),
            "owner": self.owner.as_ref().map(Owner::label),
            "meaning": meaning(task),
        })
    }
}

/// Prints the tasks that were asked for.
pub fn run(proc: &Path, args: &Ps, screen: &mut Screen) -> Result<u8> {
    let mut detective = Detective::new(proc)?;
    let only = args.container.as_deref().map(|text| wanted(proc, text, &mut detective));
    let only = only.transpose()?;
    let which = if args.threads { Which::Threads } else { Which::Processes };
    let mut rows = rows(proc, tasks(proc, which)?, &args.class, &mut detective);
    if let Some(found) = &only {
        rows.retain(|row| matches!(&row.owner, Some(Owner::Container(its)) if its.same(found)));
    }
    order(&mut rows, args.sort);
    if screen.json_wanted() {
        let tasks: Vec<_> = rows.iter().map(Row::json).collect();
        return screen.json(&json!({ "tasks": tasks })).map(|()| 0);
    }
    screen.table(if args.threads { &THREADS } else { &TABLE }, &rows)?;
    if process::hidden(proc) {
        screen.note("/proc is mounted with hidepid: processes of others are not listed.");
    }
    Ok(0)
}

/// The container that a TARGET means: its name, or any process in it.
fn wanted(proc: &Path, text: &str, detective: &mut Detective) -> Result<Found> {
    let target = target::resolve(proc, text)?;
    if let Some(found) = target.container {
        return Ok(found);
    }
    let ids = namespace::of_process(proc, target.pid)?;
    match detective.owner(target.pid, &ids).owner {
        Owner::Container(found) => Ok(found),
        _ => Err(Error::usage(format!("process {} is in no container that we know", target.pid))
            .hint("`under-the-hood inspect ns` lists the containers there are.")),
    }
}

fn rows(
    proc: &Path,
    tasks: Vec<Task>,
    classes: &[ClassName],
    detective: &mut Detective,
) -> Vec<Row> {
    let hierarchies = Hierarchies::read(proc).unwrap_or_default();
    let mut weights = HashMap::new();
    let mut owners = HashMap::new();
    let chosen =
        |task: &Task| classes.is_empty() || classes.iter().any(|c| class(*c) == task.class);
    let row = |task: Task| Row {
        weight: task.cgroup.clone().and_then(|text| {
            let weigh = |text: &str| hierarchies.cpu_weight(text);
            weights.entry(text.clone()).or_insert_with(|| weigh(&text)).clone()
        }),
        owner: owner(proc, &task, detective, &mut owners),
        task,
    };
    tasks.into_iter().filter(chosen).map(row).collect()
}

/// Whose a task is. A container is at least a mount namespace of its own, so of
/// a process that has the host's only that one link is read.
fn owner(
    proc: &Path,
    task: &Task,
    detective: &mut Detective,
    known: &mut HashMap<Ids, Owner>,
) -> Option<Owner> {
    let own = task.mount_namespace?;
    let host = detective.host().ids.get(Kind::Mnt).map(|id| id.inode);
    if host == Some(own) {
        return Some(Owner::Host);
    }
    let ids = namespace::of_process(proc, task.pid).ok()?;
    Some(known.entry(ids).or_insert_with(|| detective.owner(task.pid, &ids).owner).clone())
}

fn class(name: ClassName) -> Class {
    match name {
        ClassName::Ts => Class::Ts,
        ClassName::Ff => Class::Ff,
        ClassName::Rr => Class::Rr,
        ClassName::B => Class::B,
        ClassName::Idl => Class::Idl,
        ClassName::Dln => Class::Dln,
        ClassName::Ext => Class::Ext,
    }
}

fn order(rows: &mut [Row], sort: Sort) {
    // The order by number is there already, and a stable sort keeps it among equals.
    match sort.key {
        SortKey::Pid => {}
        SortKey::Class => rows.sort_by_key(|row| row.task.class),
        SortKey::Rtprio => rows.sort_by_key(|row| row.task.rt_priority),
        SortKey::Ni => rows.sort_by_key(|row| row.nice().unwrap_or(i32::MIN)),
        SortKey::Comm => rows.sort_by(|a, b| a.task.comm.cmp(&b.task.comm)),
        SortKey::Time => rows.sort_by_key(|row| row.task.ticks),
        SortKey::Owner => rows.sort_by_cached_key(|row| row.owner.as_ref().map(Owner::label)),
    }
    if sort.reverse {
        rows.reverse();
    }
}

fn ticks_per_second() -> u64 {
    procfs::ticks_per_second().max(1)
}

/// Seconds as `ps` prints them.
fn clock(seconds: u64) -> String {
    let (days, hours) = (seconds / 86400, seconds / 3600 % 24);
    let rest = format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if days == 0 { rest } else { format!("{days}-{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_written_as_ps_does() {
        assert_eq!(clock(59), "00:00:59");
        assert_eq!(clock(90_061), "1-01:01:01");
    }
}
