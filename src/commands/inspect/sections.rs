//! The sections of `inspect process`, each a table or a line or two.

use super::process::View;
use crate::error::Result;
use crate::kernel::capability;
use crate::kernel::cgroup::Controller;
use crate::kernel::mountinfo::Mount;
use crate::kernel::namespace::{Id, Kind};
use crate::kernel::process::{self, IdMap, Ps};
use crate::kernel::raw;
use crate::kernel::security::Seccomp;
use crate::ui::table::printable;
use crate::ui::{Align, Column, Screen, Style, Table, Value, wrap};

/// A process of the parent chain, with its user's name.
pub(super) struct Link {
    ps: Ps,
    user: String,
    now: u64,
}

/// The columns of `ps -ef`.
pub(super) const PS: Table<Link> = Table(&[
    Column {
        name: "UID",
        align: Align::Left,
        help: "User",
        value: |l| Value::Text(l.user.clone()),
    },
    Column { name: "PID", align: Align::Right, help: "Process", value: |l| pid(l.ps.pid) },
    Column { name: "PPID", align: Align::Right, help: "Its parent", value: |l| pid(l.ps.ppid) },
    Column {
        name: "C",
        align: Align::Right,
        help: "Processor use in percent",
        value: |l| Value::Number(l.ps.cpu),
    },
    Column {
        name: "STIME",
        align: Align::Left,
        help: "When it started",
        value: |l| Value::Text(start_time(l.ps.started, l.now)),
    },
    Column {
        name: "TTY",
        align: Align::Left,
        help: "Its terminal",
        value: |l| Value::Text(l.ps.tty.clone().unwrap_or_else(|| "?".to_owned())),
    },
    Column {
        name: "TIME",
        align: Align::Right,
        help: "Processor time used",
        value: |l| Value::Text(clock(l.ps.time)),
    },
    Column {
        name: "CMD",
        align: Align::Left,
        help: "Its command",
        value: |l| Value::Text(l.ps.command.clone()),
    },
]);

fn pid(pid: i32) -> Value {
    u64::try_from(pid).map_or(Value::None, Value::Number)
}

/// The process and its ancestors, the eldest first.
pub(super) fn chain(view: &View) -> Vec<Link> {
    let now = process::now();
    let link = |ps: &Ps| Link { ps: ps.clone(), user: view.users.name(ps.uid), now };
    view.chain.iter().map(link).collect()
}

/// The clock today, the day within this year, else the year: as ps writes it.
pub(super) fn start_time(started: u64, now: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let local = |seconds| i64::try_from(seconds).ok().and_then(raw::local_time);
    let (Some(then), Some(now)) = (local(started), local(now)) else { return "?".to_owned() };
    let month = usize::try_from(then.tm_mon).ok().and_then(|month| MONTHS.get(month));
    match month {
        _ if then.tm_year != now.tm_year => (i64::from(then.tm_year) + 1900).to_string(),
        Some(month) if then.tm_yday != now.tm_yday => format!("{month}{:02}", then.tm_mday),
        _ => format!("{:02}:{:02}", then.tm_hour, then.tm_min),
    }
}

/// `[DD-]HH:MM:SS`.
fn clock(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let rest = format!("{hours:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if days > 0 { format!("{days}-{rest}") } else { rest }
}

/// A namespace of the process beside the host's of the same type.
pub(super) struct Pair {
    kind: Kind,
    its: Option<Id>,
    hosts: Option<Id>,
}

impl Pair {
    fn differs(&self) -> Option<bool> {
        Some(self.its? != self.hosts?)
    }
}

/// Namespaces compared with the host's.
pub(super) const NAMESPACES: Table<Pair> = Table(&[
    Column {
        name: "TYPE",
        align: Align::Left,
        help: "Type",
        value: |p| Value::Text(p.kind.name().into()),
    },
    Column { name: "NS", align: Align::Right, help: "The process's", value: |p| inode(p.its) },
    Column { name: "HOST", align: Align::Right, help: "The host's", value: |p| inode(p.hosts) },
    Column {
        name: "DIFFERS",
        align: Align::Left,
        help: "Whether it has its own",
        value: |p| p.differs().map_or(Value::None, Value::Bool),
    },
    Column {
        name: "SEPARATES",
        align: Align::Left,
        help: "What this type separates",
        value: |p| Value::Text(p.kind.separates().into()),
    },
]);

fn inode(id: Option<Id>) -> Value {
    id.map_or(Value::None, |id| Value::Number(id.inode))
}

/// All eight types.
pub(super) fn namespaces(view: &View) -> Vec<Pair> {
    let pair = |kind| Pair { kind, its: view.ids.get(kind), hosts: view.host.ids.get(kind) };
    Kind::ALL.map(pair).into()
}

const CGROUPS: Table<Controller> = Table(&[
    Column {
        name: "CONTROLLER",
        align: Align::Left,
        help: "What is limited",
        value: |c| match c.name.as_str() {
            "" => Value::Text("(none)".into()),
            name => Value::Text(name.into()),
        },
    },
    Column {
        name: "VERSION",
        align: Align::Left,
        help: "Cgroup version that rules it",
        value: |c| Value::Text(format!("v{}", c.version)),
    },
    Column {
        name: "CGROUP",
        align: Align::Left,
        help: "Path",
        value: |c| Value::Text(c.path.clone()),
    },
    Column {
        name: "LIMITS AND USE",
        align: Align::Left,
        help: "The controller's files",
        value: |c| match c.values.as_slice() {
            [] => Value::None,
            values => Value::Text(
                values
                    .iter()
                    .map(|(name, value)| format!("{name}={}", limit(value)))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
        },
    },
]);

const MOUNTS: Table<Mount> = Table(&[
    Column {
        name: "MOUNT POINT",
        align: Align::Left,
        help: "Where, as the process sees it",
        value: |m| Value::Text(process::path_text(&m.mount_point)),
    },
    Column {
        name: "TYPE",
        align: Align::Left,
        help: "File system",
        value: |m| Value::Text(m.fs_type.clone()),
    },
    Column {
        name: "SOURCE",
        align: Align::Left,
        help: "What is mounted",
        value: |m| Value::Text(m.source.clone()),
    },
    Column {
        name: "OPTIONS",
        align: Align::Left,
        help: "Options of the mount",
        value: |m| Value::Text(m.options.clone()),
    },
]);

/// Version 1 has no word for "no limit": it is the largest multiple of a page.
pub(super) fn limit(value: &str) -> &str {
    const NONE: u64 = i64::MAX as u64 / 65_536 * 65_536;
    if value.parse().is_ok_and(|bytes: u64| bytes >= NONE) { "unlimited" } else { value }
}

/// Prints all sections.
pub(super) fn print(view: &View, screen: &mut Screen) -> Result<()> {
    let title = format!("Process {} and its ancestors", view.pid);
    screen.out(&screen.paint(&title, Style::Heading))?;
    screen.table(&PS, &chain(view))?;
    line(
        screen,
        "belongs to",
        &format!("{} ({})", view.verdict.owner.label(), view.verdict.evidence),
    )?;
    if view.pids.len() > 1 {
        let pids: Vec<_> = view.pids.iter().map(i32::to_string).collect();
        line(
            screen,
            "its pids",
            &format!("{} (from the outer pid namespace to its own)", pids.join(" → ")),
        )?;
    }
    print_namespaces(view, screen)?;
    heading(screen, "Root and mounts")?;
    line(screen, "root", &view.root.clone().unwrap_or_else(|error| closed(&error)))?;
    match &view.mounts {
        Ok(mounts) => screen.table(&MOUNTS, mounts)?,
        Err(error) => line(screen, "mounts", &closed(error))?,
    }
    heading(screen, "Cgroups")?;
    match &view.cgroups {
        Ok(cgroups) => screen.table(&CGROUPS, cgroups)?,
        Err(error) => line(screen, "cgroups", &closed(error))?,
    }
    heading(screen, "Identity and limits of power")?;
    for (name, map) in [("uid map", &view.uid_map), ("gid map", &view.gid_map)] {
        let text = map.as_ref().map_or_else(closed, |map| id_map(map));
        line(screen, name, &text)?;
    }
    print_security(view, screen)
}

fn print_namespaces(view: &View, screen: &mut Screen) -> Result<()> {
    heading(screen, &format!("Namespaces, compared with those of {}", view.host.what))?;
    if view.ids.iter().next().is_none() {
        return line(screen, "namespaces", "closed to us (EACCES)");
    }
    let pairs = namespaces(view);
    screen.table(&NAMESPACES, &pairs)?;
    let own = pairs.iter().filter(|pair| pair.differs() == Some(true));
    let own: Vec<_> = own.map(|pair| pair.kind.name()).collect();
    match own.as_slice() {
        [] => screen.note("It has no namespace of its own: it sees what the host sees."),
        own => screen
            .note(&format!("Its own: {}. The others it shares with the host.", own.join(", "))),
    }
    Ok(())
}

pub(super) fn seccomp_words(state: Option<Seccomp>) -> String {
    match seccomp(state) {
        (Some(mode), Some(filters)) => {
            format!("{mode}, {filters} filter{}", if filters == 1 { "" } else { "s" })
        }
        (Some(mode), None) => mode.to_owned(),
        (None, _) => "this kernel has none".to_owned(),
    }
}

fn print_security(view: &View, screen: &mut Screen) -> Result<()> {
    for (set, mask) in &view.security.capabilities {
        line(screen, set, &capabilities(*mask))?;
    }
    line(screen, "seccomp", &seccomp_words(view.security.seccomp))?;
    let no_new_privs = view.security.no_new_privs;
    let no_new_privs =
        no_new_privs.map_or("not shown by this kernel", |on| if on { "yes" } else { "no" });
    line(screen, "no_new_privs", no_new_privs)?;
    let label = view.security.label.as_deref();
    line(screen, "LSM label", label.unwrap_or("none: no security module labels it"))
}

/// The names in a set; where nearly all are in it, those that are missing say more.
pub(super) fn capabilities(mask: u64) -> String {
    let all = (1_u64 << (capability::LAST + 1)) - 1;
    let missing = capability::names(all & !mask);
    match mask {
        0 => "none".to_owned(),
        _ if missing.is_empty() => format!("all {}", capability::LAST + 1),
        _ if missing.len() <= 8 => format!("all but {}", missing.join(" ")),
        _ => capability::names(mask).join(" "),
    }
}

/// Those that tell most about a process, before the others.
const TELLING: [&str; 6] = [
    "CAP_SYS_ADMIN",
    "CAP_NET_ADMIN",
    "CAP_SYS_MODULE",
    "CAP_SYS_PTRACE",
    "CAP_SYS_TIME",
    "CAP_DAC_OVERRIDE",
];

/// The few capabilities of a list that tell most.
pub(super) fn telling(names: &[String], few: usize) -> Vec<&str> {
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.sort_by_key(|name| !TELLING.contains(name));
    names.truncate(few);
    names
}

/// The mode by its name in seccomp(2), and how many filters.
pub(super) fn seccomp(seccomp: Option<Seccomp>) -> (Option<&'static str>, Option<u32>) {
    match seccomp {
        None => (None, None),
        Some(Seccomp::Disabled) => (Some("disabled"), None),
        Some(Seccomp::Strict) => (Some("strict"), None),
        Some(Seccomp::Filter(filters)) => (Some("filter"), filters),
    }
}

pub(super) fn id_map(map: &[IdMap]) -> String {
    let range = |range: &IdMap| match range {
        IdMap { inside: 0, outside: 0, count: u32::MAX } => "every id as it is".to_owned(),
        IdMap { inside, outside, count: 1 } => format!("{inside} is {outside} outside"),
        IdMap { inside, outside, count } => format!(
            "{inside}-{} are {outside}-{} outside",
            inside.saturating_add(count - 1),
            outside.saturating_add(count - 1)
        ),
    };
    match map {
        [] => "empty: no id is mapped yet".to_owned(),
        map => map.iter().map(range).collect::<Vec<_>>().join("; "),
    }
}

fn closed(error: &crate::error::Error) -> String {
    format!("closed to us: {}", error.tried)
}

pub(super) fn heading(screen: &mut Screen, text: &str) -> Result<()> {
    let text = wrap(text, screen.width(), "");
    let lines: Vec<_> = text.lines().map(|line| screen.paint(line, Style::Heading)).collect();
    screen.out(&format!("\n{}", lines.join("\n")))
}

/// A name and its value, wrapped below itself.
pub(super) fn line(screen: &mut Screen, name: &str, value: &str) -> Result<()> {
    const NAME: usize = 14;
    let text = wrap(&printable(value), screen.width().saturating_sub(NAME).max(20), "");
    let hang = format!("\n{:NAME$}", "");
    let name = screen.paint(&format!("{name:NAME$}"), Style::Label);
    screen.out(&format!("{name}{}", text.replace('\n', &hang)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_ps_does() {
        assert_eq!(clock(59), "00:00:59");
        assert_eq!(clock(90_061), "1-01:01:01");
        assert_eq!(start_time(0, 1_000_000_000).len(), 4);
    }

    #[test]
    fn sets_are_told_by_what_is_shorter() {
        let all = (1 << (capability::LAST + 1)) - 1;
        assert_eq!(capabilities(0), "none");
        assert_eq!(capabilities(all), "all 41");
        assert_eq!(capabilities(all & !(1 << 24)), "all but CAP_SYS_RESOURCE");
        assert_eq!(capabilities(1 << 13), "CAP_NET_RAW");
    }

    #[test]
    fn id_maps_are_told_in_words() {
        let map = |inside, outside, count| IdMap { inside, outside, count };
        assert_eq!(id_map(&[map(0, 0, u32::MAX)]), "every id as it is");
        assert_eq!(
            id_map(&[map(0, 1000, 1), map(1, 100_000, 65_536)]),
            "0 is 1000 outside; 1-65536 are 100000-165535 outside"
        );
    }
}
