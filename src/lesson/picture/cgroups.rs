//! The control groups that processes are in, and those above them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kernel::cgroup::unit::{bytes, cpus};
use crate::kernel::cgroup::{self, Bound, Usage};
use crate::lesson::check::World;
use crate::ui::picture::{Cgroups, Group, Meter, Picture};

use super::{Drawn, called, pid};

/// Gathers them; whoever reads the lesson is among them.
pub fn gather(world: &World, who: &[String]) -> Drawn {
    let proc = Path::new("/proc");
    let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut all: Vec<&str> = vec!["self"];
    all.extend(who.iter().map(String::as_str).filter(|who| *who != "self"));
    for who in all {
        let group = cgroup::Group::of_process(proc, pid(world, who)?).map_err(|e| e.to_string())?;
        let path = if group.path.is_empty() { "/".to_owned() } else { group.path };
        members.entry(path).or_default().push(called(who));
    }
    let known = cgroup::all(proc).map_err(|error| error.to_string())?;
    if known.is_empty() {
        return Err("no control groups are mounted here".to_owned());
    }
    let above = |path: &str, member: &str| {
        path == "/" || member == path || member.starts_with(&format!("{path}/"))
    };
    let shown: Vec<_> = known
        .into_iter()
        .filter(|group| members.keys().any(|member| above(&group.path, member)))
        .collect();
    let paths: Vec<_> = shown.iter().map(|group| group.path.clone()).collect();
    let parent = |path: &str| {
        let at = path.rfind('/').filter(|_| path != "/")?;
        let up = if at == 0 { "/" } else { &path[..at] };
        paths.iter().position(|known| known == up)
    };
    let groups = shown.iter().map(|group| Group {
        name: name(&group.path),
        who: members.get(&group.path).map(|who| who.join(", ")),
        parent: parent(&group.path),
        meters: match group.path == "/" {
            true => Vec::new(),
            false => meters(&group.usage()),
        },
    });
    Ok(Picture::Cgroups(Cgroups { groups: groups.collect() }))
}

fn name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.is_empty() { "/".to_owned() } else { last.to_owned() }
}

/// What is limited, and how much of it is used.
fn meters(usage: &Usage) -> Vec<Meter> {
    let mut meters = Vec::new();
    let mut meter = |what: &str, text: String, share: Option<f64>| {
        meters.push(Meter { what: what.to_owned(), text, share });
    };
    if let Some((quota, period)) = usage.quota.and_then(|quota| Some((quota.quota?, quota.period)))
    {
        let throttled = usage.throttled.filter(|times| *times > 0);
        let times = throttled.map(|times| format!(", stopped {times} times")).unwrap_or_default();
        meter("cpu", format!("{}{times}", cpus(quota, period)), None);
    }
    if let (Some(used), Some(Bound::At(limit))) = (usage.memory, usage.memory_limit) {
        let share = used as f64 / limit.max(1) as f64;
        let killed = usage.oom_kills.filter(|killed| *killed > 0);
        let killed = killed.map(|killed| format!(", {killed} killed")).unwrap_or_default();
        meter("memory", format!("{} of {}{killed}", bytes(used), bytes(limit)), Some(share));
    }
    if let (Some(used), Some(Bound::At(limit))) = (usage.pids, usage.pids_limit) {
        let share = used as f64 / limit.max(1) as f64;
        meter("tasks", format!("{used} of {limit}"), Some(share));
    }
    // What everybody has by default is no limit (1024 in version 1, 100 in version 2).
    if let Some(weight) = usage.weight.filter(|weight| ![100, 1024].contains(weight)) {
        meter("weight", weight.to_string(), None);
    }
    meters
}
