//! Where packets go: what `ip route` lists.

use std::net::IpAddr;

use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use serde::{Deserialize, Serialize};

use super::Socket;
use super::socket::DUMP;
use crate::error::Result;

/// One route of the main table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The addresses it is for; none: all others (`default`).
    pub to: Option<(IpAddr, u8)>,
    /// Who passes packets on; none: they are at the other end of the wire.
    pub via: Option<IpAddr>,
    /// The interface's index.
    pub out: Option<u32>,
    /// The sender's address, where it is fixed.
    pub from: Option<IpAddr>,
    /// Of two for the same addresses the lower counts.
    pub metric: Option<u32>,
    /// Whether it is IPv6.
    pub v6: bool,
    /// Who made it: `kernel`, `boot`, `static`, `ra`, `dhcp`, a number.
    pub by: String,
    /// `link` (no gateway needed), `global`, `host`.
    pub scope: String,
}

impl Route {
    /// `default`, or `10.0.0.0/24`.
    pub fn destination(&self) -> String {
        self.to.map_or("default".to_owned(), |(address, prefix)| format!("{address}/{prefix}"))
    }
}

/// The main routing tables of the socket's namespace, IPv4's before IPv6's.
pub fn list(socket: &Socket) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let answers = socket.route(&RouteNetlinkMessage::GetRoute(request), DUMP)?;
        routes.extend(answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(message) => route(message),
            _ => None,
        }));
    }
    Ok(routes)
}

/// The groups that tell of new routes, for [`Socket::subscribe`]:
/// `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`.
pub const NEWS: u32 = 0x40 | 0x400;

/// Whether a default route is among the next changes; waits for one.
pub fn default_is_new(socket: &Socket) -> Result<bool> {
    let is_default = |change| match change {
        RouteNetlinkMessage::NewRoute(message) => {
            route(message).is_some_and(|route| route.to.is_none() && route.via.is_some())
        }
        _ => false,
    };
    Ok(socket.news()?.into_iter().any(is_default))
}

fn route(message: RouteMessage) -> Option<Route> {
    let header = message.header;
    let mut route = Route {
        to: None,
        via: None,
        out: None,
        from: None,
        metric: None,
        v6: header.address_family == AddressFamily::Inet6,
        by: by(header.protocol),
        scope: scope(header.scope),
    };
    let mut table = u32::from(header.table);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = number,
            RouteAttribute::Destination(to) => {
                route.to = ip(to).map(|to| (to, header.destination_prefix_length));
            }
            RouteAttribute::Gateway(via) => route.via = ip(via),
            RouteAttribute::PrefSource(from) => route.from = ip(from),
            RouteAttribute::Oif(index) => route.out = Some(index),
            RouteAttribute::Priority(metric) => route.metric = Some(metric),
            _ => {}
        }
    }
    let main = table == u32::from(RouteHeader::RT_TABLE_MAIN);
    (main && header.kind == RouteType::Unicast).then_some(route)
}

fn ip(address: RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(address.into()),
        RouteAddress::Inet6(address) => Some(address.into()),
        _ => None,
    }
}

fn by(protocol: RouteProtocol) -> String {
    match protocol {
        RouteProtocol::Kernel => "kernel".to_owned(),
        RouteProtocol::Boot => "boot".to_owned(),
        RouteProtocol::Static => "static".to_owned(),
        RouteProtocol::Ra => "ra".to_owned(),
        RouteProtocol::Dhcp => "dhcp".to_owned(),
        other => u8::from(other).to_string(),
    }
}

fn scope(scope: RouteScope) -> String {
    match scope {
        RouteScope::Universe => "global".to_owned(),
        RouteScope::Site => "site".to_owned(),
        RouteScope::Link => "link".to_owned(),
        RouteScope::Host => "host".to_owned(),
        other => u8::from(other).to_string(),
    }
}
