//! `inspect compare A B`: what two processes or containers share, what not,
//! and what that means.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{as_root, facts, sections};
use crate::cli::inspect::Compare;
use crate::container::compare::{self, Pair, Relation, Side};
use crate::container::engines::{Detective, Owner};
use crate::container::target;
use crate::error::Result;
use crate::kernel::namespace::Kind;
use crate::ui::{Align, Column, Screen, Style, Table, Value};

/// A pair of namespaces, with what it means in words.
struct Row {
    pair: Pair,
    means: String,
}

const NAMESPACES: Table<Row> = Table(&[
    Column {
        name: "TYPE",
        align: Align::Left,
        help: "Type of namespace",
        value: |row| Value::Text(row.pair.kind.name().into()),
    },
    Column {
        name: "A",
        align: Align::Right,
        help: "The first one's, by its inode number",
        value: |row| row.pair.a.map_or(Value::None, |id| Value::Number(id.inode)),
    },
    Column {
        name: "B",
        align: Align::Right,
        help: "The second one's",
        value: |row| row.pair.b.map_or(Value::None, |id| Value::Number(id.inode)),
    },
    Column {
        name: "SHARED",
        align: Align::Left,
        help: "Whether it is one namespace",
        value: |row| match row.pair.relation {
            Relation::Unknown => Value::None,
            relation => Value::Bool(relation == Relation::Shared),
        },
    },
    Column {
        name: "MEANS",
        align: Align::Left,
        help: "What that means",
        value: |row| Value::Text(row.means.clone()),
    },
]);

/// What the columns say, for `--help`.
pub(super) fn columns() -> String {
    NAMESPACES.help()
}

/// Prints both side by side.
pub fn run(proc: &Path, args: &Compare, screen: &mut Screen) -> Result<u8> {
    let targets = [target::resolve(proc, &args.a)?, target::resolve(proc, &args.b)?];
    let mut detective = Detective::new(proc)?;
    let a = Side::look(proc, &args.a, &targets[0], &mut detective)?;
    let b = Side::look(proc, &args.b, &targets[1], &mut detective)?;
    let pairs = compare::namespaces(proc, &a, &b);
    let rows: Vec<_> = pairs
        .iter()
        .map(|pair| Row { pair: *pair, means: means(pair, &a.name, &b.name) })
        .collect();
    if screen.json_wanted() {
        let mut json = facts::json(&a, &b);
        json["a"] = side(&a);
        json["b"] = side(&b);
        json["namespaces"] = NAMESPACES.json(&rows);
        for (row, pair) in json["namespaces"].as_array_mut().into_iter().flatten().zip(&pairs) {
            row["relation"] = json!(word(pair.relation));
        }
        json["summary"] = json!(summary(&pairs, &a.name, &b.name));
        screen.json(&json)?;
        return Ok(0);
    }
    for (letter, side) in [("A", &a), ("B", &b)] {
        let owner = side.owner.as_ref().filter(|owner| **owner != Owner::Host);
        let owner = owner.map_or(String::new(), |owner| format!("{}, ", owner.label()));
        sections::line(screen, letter, &format!("{owner}pid {}: {}", side.pid, side.command))?;
    }
    let summary = summary(&pairs, &a.name, &b.name);
    let summary = crate::ui::wrap(&summary, screen.width().min(100), "");
    let painted: Vec<_> = summary.lines().map(|line| screen.paint(line, Style::Label)).collect();
    screen.out(&format!("{}\n", painted.join("\n")))?;
    match screen.width() < 72 {
        _ if pairs.iter().all(|pair| pair.a.is_none() && pair.b.is_none()) => {
            sections::line(screen, "namespaces", "closed to us, of both")?;
        }
        true => screen.records(NAMESPACES.0.iter(), &rows)?,
        false => screen.hanging(&NAMESPACES, &rows)?,
    }
    screen.out("")?;
    facts::print(&a, &b, screen)?;
    if let Some((_, call)) = a.closed().into_iter().chain(b.closed()).next() {
        screen.note(&format!("Some parts are closed to us ({call}). {}", as_root("compare")));
    }
    Ok(0)
}

fn side(side: &Side) -> Json {
    let closed = side.closed();
    let closed = closed.iter().map(|(part, call)| json!({ "part": part, "error": call }));
    json!({
        "name": side.name,
        "pid": side.pid,
        "owner": side.owner.as_ref().map(Owner::label),
        "command": side.command,
        "uid": side.uid,
        "closed": closed.collect::<Vec<_>>(),
    })
}

fn word(relation: Relation) -> &'static str {
    match relation {
        Relation::Shared => "shared",
        Relation::Apart => "apart",
        Relation::Inside => "a_inside_b",
        Relation::Around => "b_inside_a",
        Relation::Unknown => "unknown",
    }
}

/// One pair in words.
fn means(pair: &Pair, a: &str, b: &str) -> String {
    let (inner, outer) = if pair.relation == Relation::Around { (b, a) } else { (a, b) };
    let shared = pair.relation == Relation::Shared;
    let nested = matches!(pair.relation, Relation::Inside | Relation::Around);
    let unknown = || match (pair.a, pair.b) {
        (Some(_), _) => format!("{b} is closed to us"),
        (_, Some(_)) => format!("{a} is closed to us"),
        _ => "not in this kernel, or closed to us".to_owned(),
    };
    let words = match pair.kind {
        _ if pair.relation == Relation::Unknown => return unknown(),
        Kind::Pid if nested => return format!("{outer} sees {inner}, and is not seen from there"),
        Kind::User if nested => return format!("root of {inner} is not root over {outer}"),
        Kind::Cgroup if shared => "the same cgroup looks like the root",
        Kind::Cgroup => "another cgroup looks like the root",
        Kind::Ipc if shared => "shared memory is common to both",
        Kind::Ipc => "no shared memory in common",
        Kind::Mnt if shared => "one table of mounts",
        Kind::Mnt => "a mount by one is not in the other",
        Kind::Net if shared => "one network: ports, addresses, routes",
        Kind::Net => "both can listen on the same port",
        Kind::Pid if shared => "each sees the other's processes",
        Kind::Pid => "neither sees the other's processes",
        Kind::Time if shared => "the same clocks since boot",
        Kind::Time => "clocks since boot can differ",
        Kind::User if shared => "a user id is the same user in both",
        Kind::User => "the same id can be two users",
        Kind::Uts if shared => "one host name",
        Kind::Uts => "each has a host name of its own",
    };
    words.to_owned()
}

/// All of it in a sentence or two, what matters most first.
fn summary(pairs: &[Pair], a: &str, b: &str) -> String {
    const SHARED: [(Kind, &str); 8] = [
        (Kind::Net, "each sees the other's network"),
        (Kind::Pid, "each sees the other's processes"),
        (Kind::Mnt, "each sees the other's mounts"),
        (Kind::User, "a user id is the same user in both"),
        (Kind::Ipc, "shared memory is common to both"),
        (Kind::Uts, "there is one host name"),
        (Kind::Time, "the clocks are the same"),
        (Kind::Cgroup, "the same cgroup looks like the root"),
    ];
    let is = |kind: Kind, relation| {
        pairs.iter().any(|pair| pair.kind == kind && pair.relation == relation)
    };
    let of = pairs.iter().filter(|pair| pair.relation != Relation::Unknown).count();
    let said: Vec<_> =
        SHARED.iter().filter(|(k, _)| is(*k, Relation::Shared)).map(|(_, words)| *words).collect();
    let sentence = match (said.len(), of) {
        (_, 0) => return "Which namespaces they share is closed to us.".to_owned(),
        (0, of) => format!("They share none of {of} namespaces, only the kernel below them."),
        (shared, of) if shared == of => {
            format!("They share all {of} namespaces: to the kernel they are in one place.")
        }
        (shared, of) => format!("They share {shared} of {of} namespaces: {}.", said.join(", ")),
    };
    let one_way = if is(Kind::Pid, Relation::Inside) {
        format!(" {b} sees the processes of {a}, not the other way round.")
    } else if is(Kind::Pid, Relation::Around) {
        format!(" {a} sees the processes of {b}, not the other way round.")
    } else {
        String::new()
    };
    sentence + &one_way.replacen(" t", " T", usize::from(one_way.starts_with(" t")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: impl Fn(Kind) -> Relation) -> Vec<Pair> {
        Kind::ALL.map(|kind| Pair { kind, a: None, b: None, relation: of(kind) }).into()
    }

    #[test]
    fn the_summary_says_what_is_shared() {
        let told = |of: &dyn Fn(Kind) -> Relation| summary(&pairs(of), "box", "this program");
        let shared = [Kind::Net, Kind::User, Kind::Time];
        let relation = |kind| match kind {
            kind if shared.contains(&kind) => Relation::Shared,
            Kind::Pid => Relation::Inside,
            _ => Relation::Apart,
        };
        assert_eq!(
            told(&relation),
            "They share 3 of 8 namespaces: each sees the other's network, a user id is the same \
             user in both, the clocks are the same. This program sees the processes of box, not \
             the other way round."
        );
        assert!(told(&|_| Relation::Shared).contains("all 8"));
        assert!(told(&|_| Relation::Apart).contains("none of 8"));
        assert!(told(&|_| Relation::Unknown).contains("closed"));
    }
}
