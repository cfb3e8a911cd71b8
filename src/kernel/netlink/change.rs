//! Changing the network: each change is one message, and an operation.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::lease::MARK;
use super::links::{self, Link};
use super::socket::CREATE;
use super::{Protocol, Socket, inside};
use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::kernel::netns::NET;
use crate::kernel::op::{Operation, Slots, World};
use crate::step::Step;

/// The descriptor of a netlink socket in the namespace that is connected.
pub const INSIDE: &str = "inside";

/// The socket to talk to: in the namespace that is connected, or in our own.
fn socket(world: &World<'_>, inside: bool) -> Result<Socket> {
    match inside {
        true => world.fd(INSIDE)?.try_clone().tried(|| "dup(netlink)").map(Socket::from_fd),
        false => Socket::open(Protocol::Route),
    }
}

/// The interface with this name.
pub fn find(socket: &Socket, name: &str) -> Result<Link> {
    let found = links::list(socket)?.into_iter().find(|link| link.name == name);
    found.ok_or_else(|| Error::call(format!("finding the interface {name}"), Errno::ENODEV))
}

fn ask(socket: &Socket, message: RouteNetlinkMessage, flags: u16) -> Result<String> {
    socket.route(&message, flags).map(|_| "0".to_owned()).map_err(|error| {
        match error.is(Errno::EPERM) {
            true => error.hint("Changing a network needs CAP_NET_ADMIN over it: use sudo."),
            false => error,
        }
    })
}

/// Sets the loopback interface of the network namespace up. It is interface 1
/// in every one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkUp;

impl Operation for LinkUp {
    fn step(&self) -> Step {
        Step::new(
            "sendto(netlink, RTM_SETLINK {index=1, flags=IFF_UP})",
            "a new network namespace has one interface, lo, and it is down",
        )
        .shell("ip link set lo up")
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let mut link = LinkMessage::default();
        link.header.index = 1;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        let inside = world.fds.contains_key(INSIDE);
        ask(&socket(world, inside)?, RouteNetlinkMessage::SetLink(link), 0)
    }
}

/// A bridge, unless it is there already. Its alias keeps what `ip_forward` was
/// before there was one, so that whoever removes the bridge can put it back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BridgeAdd {
    /// Its name.
    pub name: String,
}

impl Operation for BridgeAdd {
    fn step(&self) -> Step {
        Step::new(
            format!(
                "sendto(netlink, RTM_NEWLINK {{{}, kind=bridge, address=$bridge_mac}})",
                self.name
            ),
            "a switch made of software: the host's ends of all the cables go into it",
        )
        .shell(format!("ip link add {} type bridge", self.name))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let socket = socket(world, false)?;
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(self.name.clone()));
        link.attributes.push(LinkAttribute::Address(mac(&world.slots.fill("$bridge_mac"))?));
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        match ask(&socket, RouteNetlinkMessage::NewLink(link), CREATE) {
            Ok(_) => note(
                &socket,
                &self.name,
                world.slots.fill(&format!("{MARK} bridge, ip_forward was $forward")),
            ),
            Err(error) if error.is(Errno::EEXIST) => Ok("-1 EEXIST, as good".to_owned()),
            Err(error) => Err(error),
        }
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        let mac = slots.fill("$bridge_mac");
        Some(Effect::Bridge { name: self.name.clone(), mac, netns: inside::own()? })
    }
}

/// Writes an alias on an interface.
pub(super) fn note(socket: &Socket, name: &str, alias: String) -> Result<String> {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link.attributes.push(LinkAttribute::IfAlias(alias));
    ask(socket, RouteNetlinkMessage::SetLink(link), 0)
}

fn mac(text: &str) -> Result<Vec<u8>> {
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes.ok_or_else(|| Error::new(format!("the plan needs a hardware address, not {text}")))
}

/// A cable: one end here, the other in the namespace of `$pid`, or in the one
/// that is held open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VethAdd {
    /// The end that stays here: `uth$token`.
    pub name: String,
    /// The end over there: `eth0`.
    pub peer: String,
    /// Whether over there is `$pid`'s.
    pub of_pid: bool,
}

impl Operation for VethAdd {
    fn step(&self) -> Step {
        let there = if self.of_pid { "netns of $pid" } else { "netns" };
        let option = if self.of_pid { "$pid" } else { "NAME" };
        Step::new(
            format!(
                "sendto(netlink, RTM_NEWLINK {{{}, kind=veth, peer={{{}, {there}}}}})",
                self.name, self.peer
            ),
            "a virtual cable through the wall: what goes in at one end comes out at the other",
        )
        .shell(format!(
            "ip link add {} type veth peer name {} netns {option}",
            self.name, self.peer
        ))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let mut peer = LinkMessage::default();
        peer.attributes.push(LinkAttribute::IfName(self.peer.clone()));
        peer.attributes.push(LinkAttribute::Address(mac(&world.slots.fill("$mac"))?));
        peer.attributes.push(match self.of_pid {
            true => LinkAttribute::NetNsPid(world.slots.number("pid")?),
            false => LinkAttribute::NetNsFd(world.fd(NET)?.as_raw_fd()),
        });
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(world.slots.fill(&self.name)));
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        ask(&socket(world, false)?, RouteNetlinkMessage::NewLink(link), CREATE)
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        Some(Effect::Veth { name: slots.fill(&self.name), netns: inside::own()? })
    }
}

/// Changes an interface: into a bridge, with an alias, up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkSet {
    /// Its name.
    pub name: String,
    /// The bridge it goes into.
    pub bridge: Option<String>,
    /// What is written on it.
    pub alias: Option<String>,
    /// Whether it is over there.
    pub inside: bool,
    /// Why.
    pub why: String,
}

impl Operation for LinkSet {
    fn step(&self) -> Step {
        let bridge =
            self.bridge.as_ref().map_or(String::new(), |bridge| format!(", master={bridge}"));
        let alias =
            self.alias.as_ref().map_or(String::new(), |alias| format!(", alias=\"{alias}\""));
        let shell =
            self.bridge.as_ref().map_or(String::new(), |bridge| format!(" master {bridge}"));
        Step::new(
            format!("sendto(netlink, RTM_SETLINK {{{}{bridge}{alias}, flags=IFF_UP}})", self.name),
            &self.why,
        )
        .shell(format!("ip link set {}{shell} up", self.name))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let socket = socket(world, self.inside)?;
        let mut link = LinkMessage::default();
        link.header.index = find(&socket, &world.slots.fill(&self.name))?.index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        if let Some(bridge) = &self.bridge {
            let index = find(&socket, bridge)?.index;
            link.attributes.push(LinkAttribute::Controller(index));
        }
        if let Some(alias) = &self.alias {
            link.attributes.push(LinkAttribute::IfAlias(world.slots.fill(alias)));
        }
        ask(&socket, RouteNetlinkMessage::SetLink(link), 0)
    }
}

/// Gives an interface an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddressAdd {
    /// The interface.
    pub name: String,
    /// The address.
    pub address: String,
    /// Whether it is over there.
    pub inside: bool,
    /// Why.
    pub why: String,
}

impl Operation for AddressAdd {
    fn step(&self) -> Step {
        Step::new(
            format!("sendto(netlink, RTM_NEWADDR {{{}, {}/$prefix}})", self.name, self.address),
            &self.why,
        )
        .shell(format!("ip addr add {}/$prefix dev {}", self.address, self.name))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let socket = socket(world, self.inside)?;
        let address = ipv4(&world.slots.fill(&self.address))?;
        let prefix: u8 = world.slots.number("prefix")?;
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix;
        message.header.scope = AddressScope::Universe;
        message.header.index = find(&socket, &self.name)?.index;
        let last = u32::from(address) | (u32::MAX >> prefix.min(31));
        message.attributes = vec![
            AddressAttribute::Local(IpAddr::V4(address)),
            AddressAttribute::Address(IpAddr::V4(address)),
            AddressAttribute::Broadcast(Ipv4Addr::from(last)),
        ];
        match ask(&socket, RouteNetlinkMessage::NewAddress(message), CREATE) {
            Err(error) if error.is(Errno::EEXIST) => Ok("-1 EEXIST, as good".to_owned()),
            other => other,
        }
    }
}

fn ipv4(text: &str) -> Result<Ipv4Addr> {
    text.parse().map_err(|_| Error::new(format!("the plan needs an address, not {text}")))
}

/// The default route, by way of the bridge's address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteAdd {
    /// Whether it is over there.
    pub inside: bool,
}

impl Operation for RouteAdd {
    fn step(&self) -> Step {
        Step::new(
            "sendto(netlink, RTM_NEWROUTE {default, via $gateway})",
            "whatever is not next door goes to the bridge, and the host passes it on",
        )
        .shell("ip route add default via $gateway")
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let gateway = ipv4(&world.slots.fill("$gateway"))?;
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Boot;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
        ask(&socket(world, self.inside)?, RouteNetlinkMessage::NewRoute(message), CREATE)
    }
}
