//! `netns ports`: who listens, namespace by namespace.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use crate::container::engines::{Detective, Owner};
use crate::container::network::names::{self, Name};
use crate::error::{Error, Result};
use crate::kernel::namespace::{self, Kind};
use crate::kernel::netlink::diag::{self, Listener};
use crate::kernel::netlink::{Protocol, inside};
use crate::kernel::process;
use crate::ui::{Align, Column, Screen, Table, Value};

/// A socket that waits, and whose it is.
pub struct Row {
    namespace: u64,
    owner: String,
    listener: Listener,
    process: Option<(i32, String)>,
}

/// One socket a row.
pub const TABLE: Table<Row> = Table(&[
    Column {
        name: "NS",
        align: Align::Right,
        help: "The network namespace: a port is taken in there only",
        value: |row| Value::Number(row.namespace),
    },
    Column {
        name: "OWNER",
        align: Align::Left,
        help: "host, a container, a name under /run/netns, or unknown",
        value: |row| Value::Text(row.owner.clone()),
    },
    Column {
        name: "PROTO",
        align: Align::Left,
        help: "tcp or udp",
        value: |row| Value::Text(row.listener.protocol.clone()),
    },
    Column {
        name: "ADDRESS",
        align: Align::Left,
        help: "Where it listens; 0.0.0.0 and :: are every address of the namespace",
        value: |row| Value::Text(row.listener.address.ip().to_string()),
    },
    Column {
        name: "PORT",
        align: Align::Right,
        help: "The port",
        value: |row| Value::Number(row.listener.address.port().into()),
    },
    Column {
        name: "PID",
        align: Align::Right,
        help: "The first process that has it open",
        value: |row| {
            let pid = row.process.as_ref().and_then(|(pid, _)| u64::try_from(*pid).ok());
            pid.map_or(Value::None, Value::Number)
        },
    },
    Column {
        name: "COMMAND",
        align: Align::Left,
        help: "That process's command",
        value: |row| Value::maybe(row.process.as_ref().map(|(_, command)| command.clone())),
    },
]);

/// `netns ports`
pub fn run(proc: &Path, screen: &mut Screen) -> Result<u8> {
    let census = namespace::census(proc)?;
    let mut detective = Detective::new(proc)?;
    let found: Vec<_> =
        census.namespaces.iter().filter(|found| found.id.kind == Kind::Net).collect();
    let opener = namespace::Opener::new(proc);
    let open = |n: usize| {
        opener
            .open(found[n])
            .ok_or_else(|| Error::call(format!("open({})", found[n].id), nix::errno::Errno::EACCES))
    };
    let listeners = inside::each(found.len(), Protocol::Diag, open, |s, _| diag::listeners(s));
    let (processes, names) = (holders(proc), names::all());
    let mut closed = census.closed.len();
    let mut rows = Vec::new();
    for (namespace, listeners) in found.iter().zip(listeners) {
        let owner = owner(&mut detective, &census, &names, namespace);
        let Ok(listeners) = listeners else {
            closed += 1;
            continue;
        };
        rows.extend(listeners.into_iter().map(|listener| Row {
            namespace: namespace.id.inode,
            owner: owner.clone(),
            process: processes.get(&listener.inode).map(|pid| (*pid, command(proc, *pid))),
            listener,
        }));
    }
    if screen.json_wanted() {
        let object = |row: &Row| {
            json!({
                "ns": row.namespace, "owner": row.owner, "protocol": row.listener.protocol,
                "address": row.listener.address.ip(), "port": row.listener.address.port(),
                "inode": row.listener.inode, "uid": row.listener.uid,
                "pid": row.process.as_ref().map(|(pid, _)| pid),
                "command": row.process.as_ref().map(|(_, command)| command),
            })
        };
        let all: Vec<_> = rows.iter().map(object).collect();
        return screen.json(&json!({ "listeners": all, "closed": closed })).map(|()| 0);
    }
    match rows.is_empty() {
        true => screen.out("Nobody listens on any port.")?,
        false => screen.table(&TABLE, &rows)?,
    }
    if closed > 0 && !rustix::process::geteuid().is_root() {
        screen.note("Processes of others are closed to us: as root (sudo) you see all.");
    }
    Ok(0)
}

fn owner(
    detective: &mut Detective,
    census: &namespace::Census,
    names: &[Name],
    namespace: &namespace::Namespace,
) -> String {
    if detective.host().ids.get(Kind::Net) == Some(namespace.id) {
        return Owner::Host.label();
    }
    for pid in &namespace.pids {
        let Some(set) = census.sets.iter().find(|set| set.pid == *pid) else { continue };
        let owner = detective.owner(*pid, &set.ids).owner;
        if matches!(owner, Owner::Container(_)) {
            return owner.label();
        }
    }
    let named = names.iter().find(|name| name.inode == Some(namespace.id.inode));
    named.map_or(Owner::Unknown.label(), |name| format!("netns:{}", name.label()))
}

fn command(proc: &Path, pid: i32) -> String {
    let comm = process::brief(proc, pid).map(|brief| brief.comm).unwrap_or_default();
    process::command(proc, pid, &comm)
}

/// Which process has which socket open: the links under /proc/PID/fd say
/// `socket:[INODE]`. Where several share one, the first.
fn holders(proc: &Path) -> HashMap<u64, i32> {
    let mut holders = HashMap::new();
    let mut pids: Vec<i32> = std::fs::read_dir(proc)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        let fds = std::fs::read_dir(proc.join(format!("{pid}/fd"))).into_iter().flatten().flatten();
        for fd in fds {
            let Ok(link) = std::fs::read_link(fd.path()) else { continue };
            let inode = link.to_str().and_then(|link| {
                link.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
            });
            if let Some(inode) = inode {
                holders.entry(inode).or_insert(pid);
            }
        }
    }
    holders
}
