//! `netns addr`: what `ip addr` would list inside, read over a netlink socket
//! that was made in there.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::netns::Addr;
use crate::container::network::place;
use crate::container::network::survey::Peer;
use crate::error::Result;
use crate::kernel::netlink::links::{self, Address, Link};
use crate::kernel::netlink::routes::{self, Route};
use crate::kernel::netlink::{Protocol, inside};
use crate::ui::{Align, Column, Screen, Table, Value};

const TABLE: Table<Link> = Table(&[
    Column {
        name: "INDEX",
        align: Align::Right,
        help: "Its number",
        value: |link| Value::Number(link.index.into()),
    },
    Column {
        name: "INTERFACE",
        align: Align::Left,
        help: "Its name",
        value: |link| Value::Text(link.name.clone()),
    },
    Column {
        name: "KIND",
        align: Align::Left,
        help: "veth, bridge, ...",
        value: |link| Value::maybe(link.kind.clone()),
    },
    Column {
        name: "STATE",
        align: Align::Left,
        help: "UP, DOWN, or UNKNOWN where the driver cannot tell",
        value: |link| Value::Text(link.state.clone()),
    },
    Column {
        name: "MTU",
        align: Align::Right,
        help: "The largest packet, in bytes",
        value: |link| Value::Number(link.mtu.into()),
    },
    Column {
        name: "MAC",
        align: Align::Left,
        help: "Its hardware address",
        value: |link| Value::maybe(link.mac_text()),
    },
    Column {
        name: "ADDRESSES",
        align: Align::Left,
        help: "Its addresses",
        value: |link| match link.addresses.as_slice() {
            [] => Value::None,
            some => Value::List(some.iter().map(Address::to_string).collect()),
        },
    },
]);

/// A route, and the name of its interface.
struct Row(Route, Option<String>);

const ROUTES: Table<Row> = Table(&[
    Column {
        name: "TO",
        align: Align::Left,
        help: "The addresses it is for",
        value: |row| Value::Text(row.0.destination()),
    },
    Column {
        name: "VIA",
        align: Align::Left,
        help: "Who passes packets on",
        value: |row| Value::maybe(row.0.via.map(|via| via.to_string())),
    },
    Column {
        name: "INTERFACE",
        align: Align::Left,
        help: "Where they leave",
        value: |row| Value::maybe(row.1.clone()),
    },
    Column {
        name: "FROM",
        align: Align::Left,
        help: "The sender's address",
        value: |row| Value::maybe(row.0.from.map(|from| from.to_string())),
    },
    Column {
        name: "METRIC",
        align: Align::Right,
        help: "Of two, the lower counts",
        value: |row| row.0.metric.map_or(Value::None, |metric| Value::Number(metric.into())),
    },
    Column {
        name: "BY",
        align: Align::Left,
        help: "Who made it",
        value: |row| Value::Text(row.0.by.clone()),
    },
]);

/// `netns addr`
pub fn run(proc: &Path, args: &Addr, screen: &mut Screen) -> Result<u8> {
    let place = place::open(proc, &args.target)?;
    let socket = inside::socket_in(&place.file, Protocol::Route)?;
    let links = links::list(&socket)?;
    let routes = if args.routes { routes::list(&socket)? } else { Vec::new() };
    let name = |route: &Route| {
        links.iter().find(|link| Some(link.index) == route.out).map(|link| link.name.clone())
    };
    if screen.json_wanted() {
        let mut result = json!({
            "ns": place.inode,
            "pid": place.pid,
            "interfaces": links.iter().map(|link| object(link, None)).collect::<Vec<_>>(),
        });
        if args.routes {
            let route = |route: &Route| {
                json!({
                    "to": route.destination(), "via": route.via, "interface": name(route),
                    "from": route.from, "metric": route.metric, "by": route.by, "scope": route.scope,
                    "family": if route.v6 { "inet6" } else { "inet" },
                })
            };
            result["routes"] = routes.iter().map(route).collect();
        }
        return screen.json(&result).map(|()| 0);
    }
    screen.note(&format!("{} ({})", place.id(), place.label));
    screen.table(&TABLE, &links)?;
    if args.routes {
        screen.out("")?;
        let rows: Vec<_> = routes.into_iter().map(|route| (name(&route), route)).collect();
        let rows: Vec<_> = rows.into_iter().map(|(name, route)| Row(route, name)).collect();
        match rows.is_empty() {
            true => screen.out("There is no route: packets can only stay inside.")?,
            false => screen.table(&ROUTES, &rows)?,
        }
    }
    Ok(0)
}

/// An interface in JSON, for `netns list` too.
pub fn object(link: &Link, peer: Option<&Peer>) -> Json {
    let address = |address: &Address| {
        json!({
            "address": address.address, "prefix": address.prefix, "scope": address.scope,
            "tentative": address.tentative,
        })
    };
    json!({
        "index": link.index, "name": link.name, "kind": link.kind, "state": link.state,
        "flags": link.flags, "mtu": link.mtu, "mac": link.mac_text(), "master": link.master,
        "alias": link.alias,
        "addresses": link.addresses.iter().map(address).collect::<Vec<_>>(),
        "peer": peer.map(|peer| json!({ "ns": peer.inode, "interface": peer.name })),
    })
}
