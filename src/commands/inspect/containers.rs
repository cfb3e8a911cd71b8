//! `inspect containers`: every container of this machine, whoever started it,
//! and how that is known.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{as_root, ns, owner_json, sections, wide};
use crate::cli::inspect::Containers;
use crate::container::engines::state::{self, Heard, Said};
use crate::container::engines::{Detective, Engine};
use crate::container::survey::{self, Seen, What};
use crate::error::{Error, Result};
use crate::kernel::namespace::{self, Census, Kind};
use crate::kernel::process::{self, IdMap, Users};
use crate::ui::{Align, Column, Screen, Table, Value};

/// One container as it is shown.
pub(super) struct Row {
    pub seen: Seen,
    started: Option<u64>,
    now: u64,
    pub command: String,
    uid_map: Option<Vec<IdMap>>,
    /// Who its root is outside.
    root: Option<String>,
    /// What its engine says of it.
    pub said: Option<Said>,
}

const CONTAINER: Column<Row> = Column {
    name: "CONTAINER",
    align: Align::Left,
    help: "Whose it is (ENGINE:NAME or ENGINE:ID); unknown where no engine has left a sign",
    value: |row| Value::Text(row.seen.verdict.owner.label()),
};
const WHAT: Column<Row> = Column {
    name: "WHAT",
    align: Align::Left,
    help: "sandbox, namespaces (and nothing else) or helper (an engine's own process)",
    value: |row| Value::Text(row.seen.what.word().into()),
};
const PID: Column<Row> = Column {
    name: "PID",
    align: Align::Right,
    help: "Its first process",
    value: |row| u64::try_from(row.seen.pid).map_or(Value::None, Value::Number),
};
const SINCE: Column<Row> = Column {
    name: "SINCE",
    align: Align::Left,
    help: "When that process started",
    value: |row| Value::maybe(row.started.map(|at| sections::start_time(at, row.now))),
};
const NPROCS: Column<Row> = Column {
    name: "NPROCS",
    align: Align::Right,
    help: "How many processes are in it",
    value: |row| Value::Number(row.seen.processes.into()),
};
const OWN: Column<Row> = Column {
    name: "OWN",
    align: Align::Left,
    help: "Which of the eight types of namespaces are its own and not the host's",
    value: |row| Value::Text(own(&row.seen)),
};
const ROOT: Column<Row> = Column {
    name: "ROOT IS",
    align: Align::Left,
    help: "Who its root is outside, by its user map",
    value: |row| Value::maybe(row.root.clone()),
};
const COMMAND: Column<Row> = Column {
    name: "COMMAND",
    align: Align::Left,
    help: "What its first process runs",
    value: |row| Value::Text(row.command.clone()),
};
const IMAGE: Column<Row> = Column {
    name: "IMAGE",
    align: Align::Left,
    help: "The image that it was started from, by its engine's own word",
    value: |row| Value::maybe(row.said.as_ref().and_then(|said| said.image.clone())),
};
const PORTS: Column<Row> = Column {
    name: "PORTS",
    align: Align::Left,
    help: "Ports of the host that lead to it, likewise",
    value: |row| Value::maybe(row.ports()),
};
const EVIDENCE: Column<Row> = Column {
    name: "KNOWN BY",
    align: Align::Left,
    help: "The signs that speak for it",
    value: |row| Value::Text(shortened(&row.seen.verdict.evidence)),
};
const TABLE: Table<Row> = Table(&[CONTAINER, PID, SINCE, NPROCS, OWN, COMMAND]);
const OTHERS: Table<Row> = Table(&[WHAT, PID, SINCE, NPROCS, OWN, COMMAND]);
const SIGNS: Table<Row> = Table(&[PID, ROOT, EVIDENCE]);
const IMAGES: Table<Row> = Table(&[PID, IMAGE, PORTS]);
const WHOLE: Table<Row> =
    Table(&[CONTAINER, WHAT, PID, SINCE, NPROCS, OWN, ROOT, COMMAND, IMAGE, PORTS, EVIDENCE]);

/// What the columns say, for `--help`.
pub(super) fn columns() -> String {
    WHOLE.help()
}

/// Prints every container, and what else has namespaces of its own.
pub fn run(proc: &Path, args: &Containers, screen: &mut Screen) -> Result<u8> {
    let mut detective = Detective::new(proc)?;
    let census = namespace::census(proc)?;
    let mut seen = survey::survey(proc, &census, &mut detective);
    let found = seen.iter().filter_map(|seen| Some((seen.pid, seen.found()?)));
    let heard = state::ask(found, &mut detective);
    for seen in &mut seen {
        let pid = seen.pid;
        seen.found_mut().into_iter().for_each(|found| heard.name(pid, found));
    }
    let rows = rows(proc, seen, &heard);
    let in_containers = rows.iter().filter(|row| row.seen.what == What::Container);
    let wide = args.wide.then(|| wide::Wide::read(proc, in_containers, &census, &mut detective));
    if screen.json_wanted() {
        let mut value = json(&rows, &census, &detective, process::hidden(proc));
        let silent = |(engine, error): &(Engine, Error)| json!({ "engine": engine.name(), "error": error.to_string() });
        if let Some(wide) = &wide {
            value["containers"] = wide.json().into();
        }
        value["silent_engines"] = heard.silent.iter().map(silent).collect();
        screen.json(&value)?;
        return Ok(0);
    }
    let rkt = rows.iter().any(|row| wide::of(row, Engine::Rkt));
    match &wide {
        Some(wide) if !wide.is_empty() => wide.print(screen)?,
        _ => tables(rows, screen)?,
    }
    if rkt {
        screen.note("rkt's development ended in 2020: nothing in it has been mended since.");
    }
    let closed = match census.closed.len() {
        0 => None,
        1 => Some("1 process was closed to us. Of it".to_owned()),
        many => Some(format!("{many} processes were closed to us. Of them")),
    };
    if let Some(closed) = closed {
        let what = "we know only what everybody may: cgroup, ancestors, process numbers.";
        screen.note(&format!("{closed} {what} {}", as_root("containers")));
    }
    if let Some(silence) = heard.silence() {
        screen.note(&silence);
    }
    ns::say_how_it_was_looked_at(&detective, process::hidden(proc), screen);
    Ok(0)
}

/// The containers, and below them what is none.
fn tables(rows: Vec<Row>, screen: &mut Screen) -> Result<()> {
    let (containers, others): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.seen.what == What::Container);
    let (services, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|row| row.seen.what == What::Service);
    match containers.as_slice() {
        [] => screen.prose("No container shows itself on this machine.")?,
        some => show(&TABLE, some, screen)?,
    }
    if !others.is_empty() {
        sections::heading(screen, "Namespaces of their own, but no containers")?;
        show(&OTHERS, &others, screen)?;
    }
    if let count @ 1.. = services.len() {
        let what = match count {
            1 => "1 service of systemd's has".to_owned(),
            many => format!("{many} services of systemd's have"),
        };
        screen.note(&format!(
            "{what} namespaces, too; `under-the-hood inspect ns` lists all there are."
        ));
    }
    Ok(())
}

/// A table, and below it what speaks for each row; where the screen is too
/// narrow for columns, one row after the other.
fn show(table: &Table<Row>, rows: &[Row], screen: &mut Screen) -> Result<()> {
    if screen.width() < 72 {
        let first = table.0.first().map_or("", |column| column.name);
        let columns = WHOLE.0.iter().filter(|c| c.name == first || !is_first(c.name));
        return screen.records(columns, rows);
    }
    screen.table(table, rows)?;
    screen.out("")?;
    screen.hanging(&SIGNS, rows)?;
    if rows.iter().all(|row| row.said.is_none()) {
        return Ok(());
    }
    screen.out("")?;
    screen.hanging(&IMAGES, rows)
}

fn is_first(name: &str) -> bool {
    [CONTAINER.name, WHAT.name].contains(&name)
}

fn rows(proc: &Path, seen: Vec<Seen>, heard: &Heard) -> Vec<Row> {
    let users = Users::read(Path::new("/etc/passwd"));
    let (boot, now) = (process::boot_time(proc).ok(), process::now());
    let row = |seen: Seen| {
        let stat = process::stat(proc, seen.pid).ok();
        let comm = stat.as_ref().map_or("", |stat| stat.comm.as_str());
        let uid_map = process::id_map(proc, seen.pid, "uid_map").ok();
        let outside = |map: &Vec<IdMap>| {
            map.iter().find(|range| range.inside == 0).map(|range| users.name(range.outside))
        };
        Row {
            started: stat.as_ref().and_then(|stat| Some(process::started(stat, boot?))),
            now,
            command: process::command(proc, seen.pid, comm),
            root: uid_map.as_ref().and_then(outside),
            uid_map,
            said: heard.of(seen.pid).cloned(),
            seen,
        }
    };
    seen.into_iter().map(row).collect()
}

/// In as few words as there are.
pub(super) fn own(seen: &Seen) -> String {
    let list = |kinds: &[Kind]| kinds.iter().map(|k| k.name()).collect::<Vec<_>>().join(",");
    let others: Vec<_> = Kind::ALL.into_iter().filter(|kind| !seen.own.contains(kind)).collect();
    match (seen.own.as_slice(), others.as_slice()) {
        ([], _) if seen.closed => "closed to us".to_owned(),
        (some, _) if seen.closed => format!("{}, rest closed", list(some)),
        ([], _) => "none".to_owned(),
        (_, []) => "all".to_owned(),
        ([one], _) => format!("{} only", one.name()),
        (some, others) if others.len() < some.len() => format!("all but {}", list(others)),
        (some, _) => list(some),
    }
}

/// With ids as engines show them: twelve of their 64 hexadecimal digits.
fn shortened(evidence: &str) -> String {
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut text = String::new();
    let mut rest = evidence;
    while !rest.is_empty() {
        let length = rest.find(|c| !hexadecimal(c)).unwrap_or(rest.len());
        let (id, after) = rest.split_at(length);
        text.push_str(if length == 64 { &id[..12] } else { id });
        text.push_str(if length == 64 { "…" } else { "" });
        let next = after.chars().next();
        text.extend(next);
        rest = &after[next.map_or(0, char::len_utf8)..];
    }
    text
}

fn json(rows: &[Row], census: &Census, detective: &Detective, hidden: bool) -> Json {
    let of = |container: bool| -> Vec<Json> {
        let some = rows.iter().filter(|row| (row.seen.what == What::Container) == container);
        some.map(Row::json).collect()
    };
    json!({
        "containers": of(true),
        "others": of(false),
        "closed_processes": census.closed.len(),
        "others_hidden": hidden,
        "host_pid": detective.host().pid,
    })
}

impl Row {
    fn ports(&self) -> Option<String> {
        self.said.as_ref().filter(|said| !said.ports.is_empty()).map(|said| said.ports.join(", "))
    }

    pub(super) fn json(&self) -> Json {
        let ids = self.seen.ids.iter().map(|id| (id.kind.name().to_owned(), json!(id.inode)));
        json!({
            "what": self.seen.what.word(),
            "owner": owner_json(&self.seen.verdict),
            "pid": self.seen.pid,
            "since": self.started,
            "nprocs": self.seen.processes,
            "own": self.seen.own.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            "namespaces": ids.collect::<serde_json::Map<_, _>>(),
            "namespaces_closed": self.seen.closed,
            "uid_map": self.uid_map,
            "root_is": self.root,
            "command": self.command,
            "image": self.said.as_ref().and_then(|said| said.image.clone()),
            "ports": self.said.as_ref().map(|said| said.ports.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_and_nothing_else() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(
            shortened(&format!("cgroup /docker/{id}, x")),
            "cgroup /docker/0123456789ab…, x"
        );
        assert_eq!(shortened("cgroup /é/abc"), "cgroup /é/abc");
        assert_eq!(shortened(&format!("{id}0")), format!("{id}0"));
    }
}
