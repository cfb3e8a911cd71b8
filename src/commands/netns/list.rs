//! `netns list`: every network namespace, named or not.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::commands::inspect::owner_json;
use crate::container::network::survey::{Net, Stale, survey};
use crate::error::Result;
use crate::kernel::namespace::Holder;
use crate::kernel::netlink::links::Link;
use crate::kernel::process::path_text;
use crate::ui::{Align, Column, Screen, Table, Value};

/// One namespace a row.
pub const TABLE: Table<Net> = Table(&[
    Column {
        name: "NS",
        align: Align::Right,
        help: "The inode number, which identifies the namespace",
        value: |net| Value::Number(net.id().inode),
    },
    Column {
        name: "NAME",
        align: Align::Left,
        help: "Its names: under /run/netns as they are, elsewhere with the directory",
        value: |net| match net.names.as_slice() {
            [] => Value::None,
            names => Value::List(names.iter().map(|name| name.label()).collect()),
        },
    },
    Column {
        name: "OWNER",
        align: Align::Left,
        help: "host, the container it belongs to (ENGINE:NAME or ENGINE:ID), or unknown",
        value: |net| Value::Text(net.verdict.owner.label()),
    },
    Column {
        name: "PID",
        align: Align::Right,
        help: "The lowest pid in it",
        value: |net| {
            let pid = net.namespace.pids.first().and_then(|pid| u64::try_from(*pid).ok());
            pid.map_or(Value::None, Value::Number)
        },
    },
    Column {
        name: "HELD BY",
        align: Align::Left,
        help: "What keeps it alive: processes, names (bind mounts), open files",
        value: |net| Value::Text(net.held_by()),
    },
    Column {
        name: "INTERFACES",
        align: Align::Left,
        help: "Each with its addresses, and > the interface at the other end of the cable",
        value: |net| match &net.links {
            Ok(links) => Value::List(links.iter().map(|link| interface(net, link)).collect()),
            Err(_) => Value::Text("(closed to us)".to_owned()),
        },
    },
]);

/// `eth0 10.0.0.2/24 > veth7 in 4026531840`
fn interface(net: &Net, link: &Link) -> String {
    let addresses = link.addresses.iter().filter(|address| address.scope != "link");
    let mut text = link.name.clone();
    for address in addresses {
        text.push_str(&format!(" {address}"));
    }
    if let Some(peer) = net.peers.get(&link.index) {
        text.push_str(&format!(" > {}", peer.name));
        if peer.inode != net.id().inode {
            text.push_str(&format!(" in {}", peer.inode));
        }
    }
    text
}

/// A name that no longer does its work.
const STALE: Table<Stale> = Table(&[
    Column {
        name: "STALE NAME",
        align: Align::Left,
        help: "A name that names nothing any more, or nothing that is used",
        value: |stale| Value::Text(stale.name.label()),
    },
    Column {
        name: "REPAIR",
        align: Align::Left,
        help: "The command that mends it",
        value: |stale| Value::Text(stale.repair.clone()),
    },
    Column {
        name: "WHY",
        align: Align::Left,
        help: "What is wrong with it",
        value: |stale| Value::Text(stale.why.to_owned()),
    },
]);

/// `netns list`
pub fn run(proc: &Path, screen: &mut Screen) -> Result<u8> {
    let survey = survey(proc)?;
    if screen.json_wanted() {
        screen.json(&json!({
            "namespaces": survey.nets.iter().map(object).collect::<Vec<_>>(),
            "stale": survey.stale.iter().map(stale).collect::<Vec<_>>(),
            "closed_processes": survey.closed,
        }))?;
        return Ok(0);
    }
    screen.table(&TABLE, &survey.nets)?;
    if !survey.stale.is_empty() {
        screen.out("")?;
        screen.table(&STALE, &survey.stale)?;
    }
    if survey.closed > 0 && !rustix::process::geteuid().is_root() {
        screen.note(&format!(
            "{} processes were closed to us: network namespaces that only they are in are not listed. \
             As root (sudo) you see all.",
            survey.closed
        ));
    }
    Ok(0)
}

fn object(net: &Net) -> Json {
    let held_by = |holder: &Holder| match holder {
        Holder::File { pid, fd } => json!({ "kind": "open_file", "pid": pid, "fd": fd }),
        Holder::Mount { path, namespace, pid } => json!({
            "kind": "bind_mount", "path": path_text(path),
            "mount_namespace": namespace.inode, "pid": pid,
        }),
    };
    json!({
        "ns": net.id().inode,
        "names": net.names.iter().map(|name| json!({
            "name": name.name, "path": path_text(&name.path),
        })).collect::<Vec<_>>(),
        "owner": owner_json(&net.verdict),
        "processes": net.namespace.processes,
        "pid": net.namespace.pids.first(),
        "held_by": net.namespace.holders.iter().map(held_by).collect::<Vec<_>>(),
        "interfaces": net.links.as_ref().ok().map(|links| {
            links.iter().map(|link| super::addr::object(link, net.peers.get(&link.index))).collect::<Vec<_>>()
        }),
        "closed": net.links.as_ref().err().map(|error| error.to_string()),
    })
}

fn stale(stale: &Stale) -> Json {
    json!({
        "name": stale.name.name, "path": path_text(&stale.name.path),
        "why": stale.why, "repair": stale.repair,
    })
}
