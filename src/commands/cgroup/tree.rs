//! `cgroup tree`: the groups of all hierarchies in one tree, with what each
//! uses of what it may.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::none_mounted;
use crate::error::Result;
use crate::kernel::cgroup::group::CORE;
use crate::kernel::cgroup::unit::{bytes, cpus, time};
use crate::kernel::cgroup::{self, Bound, Group, Usage};
use crate::kernel::process::path_text;
use crate::ui::{Align, Column, Screen, Table, Value};

/// A group and where it stands in the tree.
struct Row {
    group: Group,
    usage: Usage,
    processes: usize,
    /// What the tree draws before the name.
    branch: String,
}

const TREE: Table<Row> = Table(&[
    Column {
        name: "CGROUP",
        align: Align::Left,
        help: "Its name, below its parent",
        value: |row| Value::Text(format!("{}{}", row.branch, row.name())),
    },
    Column {
        name: "PROCS",
        align: Align::Right,
        help: "Processes in it, without those below",
        value: |row| Value::Number(row.processes as u64),
    },
    Column {
        name: "MEMORY",
        align: Align::Left,
        help: "Memory used, of how much",
        value: |row| Value::maybe(of(row.usage.memory, row.usage.memory_limit, bytes)),
    },
    Column {
        name: "CPU",
        align: Align::Left,
        help: "CPU time used, and the quota",
        value: |row| Value::maybe(row.cpu()),
    },
    Column {
        name: "TASKS",
        align: Align::Left,
        help: "Tasks in it and below, of how many",
        value: |row| Value::maybe(of(row.usage.pids, row.usage.pids_limit, |n| n.to_string())),
    },
    Column {
        name: "CONTROLLERS",
        align: Align::Left,
        help: "What rules in it; v1 and v2 where a machine has both",
        value: |row| Value::List(row.controllers()),
    },
]);

impl Row {
    fn name(&self) -> String {
        let name = self.group.path.rsplit('/').next().unwrap_or_default();
        let hexadecimal = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        match name {
            "" => "/".to_owned(),
            id if hexadecimal => format!("{}…", &id[..12]),
            name => name.to_owned(),
        }
    }

    fn cpu(&self) -> Option<String> {
        let used = time(self.usage.cpu?);
        let quota = self.usage.quota.and_then(|quota| Some(cpus(quota.quota?, quota.period)));
        Some(quota.map_or(used.clone(), |quota| format!("{used}, {quota}")))
    }

    /// `memory`, and `memory (v1)` where the group has both versions.
    fn controllers(&self) -> Vec<String> {
        let seats = &self.group.seats;
        let mixed = seats.iter().any(|s| s.version == 1) && seats.iter().any(|s| s.version == 2);
        let name = |seat: &cgroup::Seat| match mixed && seat.version == 2 {
            true => format!("{} (v2)", seat.controller),
            false => seat.controller.clone(),
        };
        seats.iter().filter(|seat| seat.controller != CORE).map(name).collect()
    }

    fn json(&self) -> Json {
        let usage = &self.usage;
        let bound = |bound: Option<Bound>| match bound {
            Some(Bound::At(number)) => json!(number),
            Some(Bound::Unlimited) => json!("max"),
            None => Json::Null,
        };
        let seats = self.group.seats.iter().map(|seat| {
            json!({ "controller": seat.controller, "version": seat.version, "directory": path_text(&seat.directory) })
        });
        json!({
            "path": self.group.path,
            "controllers": seats.collect::<Vec<_>>(),
            "processes": self.group.processes(),
            "memory": usage.memory,
            "memory_limit": bound(usage.memory_limit),
            "cpu_ns": usage.cpu,
            "cpu_quota_us": usage.quota.map(|quota| quota.quota.map_or(json!("max"), |us| json!(us))),
            "cpu_period_us": usage.quota.map(|quota| quota.period),
            "tasks": usage.pids,
            "tasks_limit": bound(usage.pids_limit),
            "oom_kills": usage.oom_kills,
            "throttled": usage.throttled,
        })
    }
}

/// `12 MiB of 64 MiB`, or `12 MiB` where there is no limit.
fn of(used: Option<u64>, limit: Option<Bound>, words: fn(u64) -> String) -> Option<String> {
    let used = words(used?);
    Some(match limit {
        Some(Bound::At(limit)) => format!("{used} of {}", words(limit)),
        _ => used,
    })
}

/// Prints the tree.
pub fn run(proc: &Path, screen: &mut Screen) -> Result<u8> {
    let groups = cgroup::all(proc)?;
    if groups.is_empty() {
        return Err(none_mounted());
    }
    let branches = branches(&groups);
    let row = |(group, branch): (Group, String)| Row {
        usage: group.usage(),
        processes: group.processes().len(),
        group,
        branch,
    };
    let rows: Vec<_> = groups.into_iter().zip(branches).map(row).collect();
    if screen.json_wanted() {
        let all: Vec<_> = rows.iter().map(Row::json).collect();
        return screen.json(&json!({ "cgroups": all })).map(|()| 0);
    }
    screen.table(&TREE, &rows)?;
    screen.note("`under-the-hood cgroup show PATH` has every limit and counter of one of them.");
    Ok(0)
}

/// What is drawn before each name. The groups are ordered so that children
/// follow their parent.
fn branches(groups: &[Group]) -> Vec<String> {
    let parts = |group: &Group| -> Vec<String> {
        group.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let paths: Vec<_> = groups.iter().map(parts).collect();
    // The last of its siblings: nothing that follows has the same parent.
    let last = |index: usize, depth: usize| {
        let parent = &paths[index][..depth - 1];
        !paths[index + 1..].iter().any(|other| {
            other.len() >= depth
                && other[..depth - 1] == *parent
                && other[..depth] != paths[index][..depth]
        })
    };
    let branch = |index: usize| {
        let depth = paths[index].len();
        let line = |level: usize| match (level == depth, last(index, level)) {
            (true, true) => "└─",
            (true, false) => "├─",
            (false, true) => "  ",
            (false, false) => "│ ",
        };
        (1..=depth).map(line).collect::<String>()
    };
    (0..groups.len()).map(branch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_show_who_is_below_whom() {
        let group = |path: &str| Group { path: path.to_owned(), seats: Vec::new() };
        let groups: Vec<_> = ["/", "/a", "/a/x", "/b"].map(group).into();
        assert_eq!(branches(&groups), ["", "├─", "│ └─", "└─"]);
    }
}
