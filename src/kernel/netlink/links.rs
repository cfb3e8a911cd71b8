//! Interfaces and their addresses: what `ip addr` lists.

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::Emitable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkInfo, LinkMessage, State,
};
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use serde::{Deserialize, Serialize};

use super::Socket;
use super::socket::DUMP;
use crate::error::Result;

/// Names of interface flags, as `ip` prints them (linux/if.h).
const FLAGS: [(u32, &str); 11] = [
    (0x8, "LOOPBACK"),
    (0x2, "BROADCAST"),
    (0x10, "POINTOPOINT"),
    (0x1000, "MULTICAST"),
    (0x80, "NOARP"),
    (0x100, "PROMISC"),
    (0x200, "ALLMULTI"),
    (0x400, "MASTER"),
    (0x800, "SLAVE"),
    (0x1, "UP"),
    (0x1_0000, "LOWER_UP"),
];

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// `eth0`.
    pub name: String,
    /// `veth`, `bridge`; none for what is not made by software, and for lo.
    pub kind: Option<String>,
    /// `UP`, `DOWN`, `UNKNOWN` (lo cannot tell).
    pub state: String,
    /// `BROADCAST`, `UP`, ...
    pub flags: Vec<String>,
    /// The largest packet.
    pub mtu: u32,
    /// Its hardware address.
    pub mac: Vec<u8>,
    /// The bridge it belongs to, by index.
    pub master: Option<u32>,
    /// What somebody wrote on it (`ip link set ... alias`).
    pub alias: Option<String>,
    /// The index of what it is tied to: a veth's other end.
    pub tied_to: Option<u32>,
    /// In which namespace that is, as this one counts its neighbours; none: in this one.
    pub tied_in: Option<i32>,
    /// Its addresses.
    pub addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface.
    pub index: u32,
    /// The address itself.
    pub address: IpAddr,
    /// How many of its bits name the network.
    pub prefix: u8,
    /// `global`, `link`, `host`.
    pub scope: String,
    /// Not usable yet: IPv6 still asks whether somebody else has it.
    pub tentative: bool,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Link {
    /// Whether it is one end of a virtual cable.
    pub fn is_veth(&self) -> bool {
        self.kind.as_deref() == Some("veth")
    }

    /// `02:42:ac:11:00:02`; none where it has no hardware address of six bytes.
    pub fn mac_text(&self) -> Option<String> {
        let bytes: Vec<_> = self.mac.iter().map(|byte| format!("{byte:02x}")).collect();
        (bytes.len() == 6).then(|| bytes.join(":"))
    }
}

/// The interfaces of the socket's namespace, with their addresses.
pub fn list(socket: &Socket) -> Result<Vec<Link>> {
    let mut request = LinkMessage::default();
    // Counters nobody asked for are most of an answer.
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let answers = socket.route(&RouteNetlinkMessage::GetLink(request), DUMP)?;
    let mut links: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(message) => Some(link(message)),
            _ => None,
        })
        .collect();
    for address in addresses(socket)? {
        if let Some(link) = links.iter_mut().find(|link| link.index == address.index) {
            link.addresses.push(address);
        }
    }
    Ok(links)
}

fn link(message: LinkMessage) -> Link {
    let bits = message.header.flags.bits();
    let mut link = Link {
        index: message.header.index,
        flags: FLAGS
            .iter()
            .filter(|(bit, _)| bits & bit != 0)
            .map(|(_, name)| (*name).to_owned())
            .collect(),
        state: "UNKNOWN".to_owned(),
        ..Link::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(mac) => link.mac = mac,
            LinkAttribute::Controller(index) => link.master = Some(index),
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Link(index) => link.tied_to = Some(index),
            LinkAttribute::LinkNetNsId(id) => link.tied_in = Some(id),
            LinkAttribute::OperState(state) => link.state = state_name(state).to_owned(),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind_name(&kind)),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    link
}

fn kind_name(kind: &InfoKind) -> String {
    kind.to_string()
}

/// As `ip` prints `operstate`.
fn state_name(state: State) -> &'static str {
    match state {
        State::Up => "UP",
        State::Down => "DOWN",
        State::NotPresent => "NOTPRESENT",
        State::LowerLayerDown => "LOWERLAYERDOWN",
        State::Testing => "TESTING",
        State::Dormant => "DORMANT",
        _ => "UNKNOWN",
    }
}

fn addresses(socket: &Socket) -> Result<Vec<Address>> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = socket.route(&request, DUMP)?;
    let address = |answer| match answer {
        RouteNetlinkMessage::NewAddress(message) => address(message),
        _ => None,
    };
    Ok(answers.into_iter().filter_map(address).collect())
}

fn address(message: AddressMessage) -> Option<Address> {
    let mut local = None;
    let mut other = None;
    for attribute in message.attributes {
        match attribute {
            // On a point-to-point link, ADDRESS is the far end's.
            AddressAttribute::Local(ip) => local = Some(ip),
            AddressAttribute::Address(ip) => other = Some(ip),
            _ => {}
        }
    }
    let scope = match message.header.scope {
        AddressScope::Universe => "global".to_owned(),
        AddressScope::Site => "site".to_owned(),
        AddressScope::Link => "link".to_owned(),
        AddressScope::Host => "host".to_owned(),
        other => u8::from(other).to_string(),
    };
    Some(Address {
        index: message.header.index,
        address: local.or(other)?,
        prefix: message.header.prefix_len,
        scope,
        tentative: message.header.flags.contains(AddressHeaderFlags::Tentative),
    })
}

/// Which number the socket's namespace has for another one; none when it has
/// nothing to do with it. This is what a veth's far end is given by.
pub fn number_of(socket: &Socket, namespace: impl AsFd) -> Result<Option<i32>> {
    const RTM_GETNSID: u16 = 90;
    let mut request = NsidMessage::default();
    let fd = namespace.as_fd().as_raw_fd();
    request.attributes.push(NsidAttribute::Fd(fd.cast_unsigned()));
    let mut body = vec![0; request.buffer_len()];
    request.emit(&mut body);
    let answers = socket.ask(RTM_GETNSID, 0, &body)?;
    let id = answers.iter().find_map(|(_, body)| {
        use netlink_packet_core::Parseable;
        let message = NsidMessage::parse(body.as_slice()).ok()?;
        message.attributes.into_iter().find_map(|attribute| match attribute {
            NsidAttribute::Id(id) => Some(id),
            _ => None,
        })
    });
    Ok(id.filter(|id| *id >= 0))
}

#[cfg(test)]
mod tests {
    use super::super::Protocol;
    use super::*;

    #[test]
    fn every_namespace_has_lo_and_our_own_has_a_name_for_itself() {
        let socket = Socket::open(Protocol::Route).unwrap();
        let links = list(&socket).unwrap();
        let lo = links.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!((lo.index, lo.kind.as_deref()), (1, None));
        assert!(lo.flags.contains(&"LOOPBACK".to_owned()), "{lo:?}");
    }
}
