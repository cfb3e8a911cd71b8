//! nf_tables: the kernel's packet rules, as nft(8) writes them. A change is a
//! batch of messages that takes effect as a whole or not at all; a table of our
//! own can come and go without touching anybody else's.

use std::net::Ipv4Addr;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::{Protocol, Socket};
use crate::effect::Effect;
use crate::error::{Error, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::step::Step;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = NFNL_SUBSYS_NFTABLES << 8;
const DELTABLE: u16 = NFNL_SUBSYS_NFTABLES << 8 | 2;
const NEWCHAIN: u16 = NFNL_SUBSYS_NFTABLES << 8 | 3;
const NEWRULE: u16 = NFNL_SUBSYS_NFTABLES << 8 | 6;
const NESTED: u16 = 0x8000;
const CREATE: u16 = 0x400;
const CREATE_LAST: u16 = 0xc00;

/// A port of the host that leads to one of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Only at this address of the host; none: at each.
    pub at: Option<Ipv4Addr>,
    /// The host's port.
    pub port: u16,
    /// The container's.
    pub to: u16,
    /// UDP rather than TCP.
    pub udp: bool,
}

impl std::fmt::Display for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = if self.udp { "udp" } else { "tcp" };
        let at = self.at.unwrap_or(Ipv4Addr::UNSPECIFIED);
        write!(f, "{at}:{}->{}/{protocol}", self.port, self.to)
    }
}

/// A table of our own for one container: what it sends out leaves under the
/// host's address, and what comes in at its published ports goes to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NatTable {
    /// `under-the-hood-TOKEN`
    pub name: String,
    /// The container's address.
    pub address: String,
    /// The bridge it is behind.
    pub bridge: String,
    /// Its published ports.
    pub forwards: Vec<Forward>,
}

impl Operation for NatTable {
    fn step(&self) -> Step {
        let ports: Vec<_> = self.forwards.iter().map(Forward::to_string).collect();
        let dnat = match ports.as_slice() {
            [] => String::new(),
            ports => format!(", dnat {}", ports.join(" ")),
        };
        Step::new(
            format!(
                "sendto(netlink, NFT_MSG_NEWTABLE {{ip {}: masquerade {}{dnat}}})",
                self.name, self.address
            ),
            "address translation in a table of its own: nobody else's rules are touched, and one call removes it",
        )
        .shell(format!("nft -f - # table ip {} {{ ... }}", self.name))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let address = world.slots.fill(&self.address);
        let address: Ipv4Addr = address
            .parse()
            .map_err(|_| Error::new(format!("the plan needs an address, not {address}")))?;
        let name = world.slots.fill(&self.name);
        batch(&Socket::open(Protocol::Netfilter)?, &messages(&name, address, &self.bridge, &self.forwards))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EOPNOTSUPP | Errno::ENOENT | Errno::EPROTONOSUPPORT) => error.hint(
                    "This kernel lacks a part of nf_tables: CONFIG_NFT_NAT, CONFIG_NFT_MASQ, CONFIG_NFT_FIB_IPV4.",
                ),
                _ => error,
            })?;
        Ok("0".to_owned())
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        Some(Effect::NftTable { name: slots.fill(&self.name), netns: super::inside::own()? })
    }
}

/// Removes a table; whether it was there.
pub fn remove(socket: &Socket, name: &str) -> Result<bool> {
    let table = attribute(1, &text(name));
    match batch(socket, &[(DELTABLE, 0, table)]) {
        Ok(()) => Ok(true),
        Err(error) if error.is(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

type Message = (u16, u16, Vec<u8>);

/// Sends messages as one transaction.
fn batch(socket: &Socket, messages: &[Message]) -> Result<()> {
    let frame = |kind| (kind, 0, header(0, NFNL_SUBSYS_NFTABLES));
    let body = |(kind, flags, attributes): &Message| {
        (*kind, *flags, [header(2, 0), attributes.clone()].concat())
    };
    let mut all = vec![frame(BATCH_BEGIN)];
    all.extend(messages.iter().map(body));
    all.push(frame(BATCH_END));
    socket.transact(&all)
}

/// `struct nfgenmsg`: family 2 is IPv4.
fn header(family: u8, resource: u16) -> Vec<u8> {
    let resource = resource.to_be_bytes();
    vec![family, 0, resource[0], resource[1]]
}

/// What makes the table.
fn messages(name: &str, address: Ipv4Addr, bridge: &str, forwards: &[Forward]) -> Vec<Message> {
    let chain = |chain: &str, kind: &str, hook: u32, priority: i32| {
        let at = [number(1, hook), number(2, priority.cast_unsigned())].concat();
        let attributes = [
            attribute(1, &text(name)),
            attribute(3, &text(chain)),
            attribute(4 | NESTED, &at),
            attribute(7, &text(kind)),
        ];
        (NEWCHAIN, CREATE, attributes.concat())
    };
    let rule = |chain: &str, expressions: Vec<Vec<u8>>| {
        let list: Vec<_> = expressions.iter().map(|one| attribute(1 | NESTED, one)).collect();
        let attributes = [
            attribute(1, &text(name)),
            attribute(2, &text(chain)),
            attribute(4 | NESTED, &list.concat()),
        ];
        (NEWRULE, CREATE_LAST, attributes.concat())
    };
    let mut all = vec![
        (NEWTABLE, CREATE, attribute(1, &text(name))),
        chain("out", "nat", 4, 100),
        rule(
            "out",
            [from(address, 32), other_interface(bridge), vec![expression("masq", &[])]].concat(),
        ),
    ];
    if forwards.is_empty() {
        return all;
    }
    let loopback = Ipv4Addr::new(127, 0, 0, 0);
    all.extend([
        chain("guard", "filter", 0, -300),
        // The bridge passes 127.0.0.1 on for us; it must not let the container use that way back.
        rule("guard", [this_interface(bridge), to(loopback, 8), vec![drop()]].concat()),
        rule("out", [from(loopback, 8), to(address, 32), vec![expression("masq", &[])]].concat()),
        chain("in", "nat", 0, -100),
        chain("own", "nat", 3, -100),
    ]);
    for forward in forwards {
        for chain in ["in", "own"] {
            let at = forward.at.map_or_else(local, |at| to(at, 32));
            let port = port(if forward.udp { 17 } else { 6 }, forward.port);
            all.push(rule(chain, [at, port, dnat(address, forward.to)].concat()));
        }
    }
    all
}

/// The sender's address begins like this.
fn from(address: Ipv4Addr, prefix: u32) -> Vec<Vec<u8>> {
    network_bytes(12, address, prefix)
}

/// The receiver's does.
fn to(address: Ipv4Addr, prefix: u32) -> Vec<Vec<u8>> {
    network_bytes(16, address, prefix)
}

fn network_bytes(offset: u32, address: Ipv4Addr, prefix: u32) -> Vec<Vec<u8>> {
    let load = [number(1, 1), number(2, 1), number(3, offset), number(4, 4)].concat();
    let mut all = vec![expression("payload", &load)];
    if prefix < 32 {
        let mask = (u32::MAX << (32 - prefix)).to_be_bytes();
        let cut = [number(1, 1), number(2, 1), number(3, 4), value(4, &mask), value(5, &[0; 4])];
        all.push(expression("bitwise", &cut.concat()));
    }
    all.push(compare(0, &address.octets()));
    all
}

/// It is for one of the host's own addresses.
fn local() -> Vec<Vec<u8>> {
    let ask = [number(1, 1), number(2, 3), number(3, 2)].concat(); // type of the destination
    vec![expression("fib", &ask), compare(0, &2_u32.to_ne_bytes())] // RTN_LOCAL
}

fn this_interface(name: &str) -> Vec<Vec<u8>> {
    interface(6, 0, name)
}

fn other_interface(name: &str) -> Vec<Vec<u8>> {
    interface(7, 1, name)
}

fn interface(key: u32, operator: u32, name: &str) -> Vec<Vec<u8>> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    vec![expression("meta", &[number(1, 1), number(2, key)].concat()), compare(operator, &bytes)]
}

fn port(protocol: u8, port: u16) -> Vec<Vec<u8>> {
    let load = [number(1, 1), number(2, 2), number(3, 2), number(4, 2)].concat();
    vec![
        expression("meta", &[number(1, 1), number(2, 16)].concat()), // the protocol
        compare(0, &[protocol]),
        expression("payload", &load), // its destination port
        compare(0, &port.to_be_bytes()),
    ]
}

fn dnat(address: Ipv4Addr, port: u16) -> Vec<Vec<u8>> {
    let immediate = |register: u32, bytes: &[u8]| {
        expression("immediate", &[number(1, register), value(2, bytes)].concat())
    };
    let nat = [number(1, 1), number(2, 2), number(3, 1), number(4, 1), number(5, 2), number(6, 2)];
    vec![
        immediate(1, &address.octets()),
        immediate(2, &port.to_be_bytes()),
        expression("nat", &nat.concat()),
    ]
}

fn drop() -> Vec<u8> {
    let verdict = attribute(2 | NESTED, &number(1, 0));
    expression("immediate", &[number(1, 0), attribute(2 | NESTED, &verdict)].concat())
}

fn compare(operator: u32, bytes: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, 1), number(2, operator), value(3, bytes)].concat())
}

fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    [attribute(1, &text(name)), attribute(2 | NESTED, data)].concat()
}

fn value(kind: u16, bytes: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, &attribute(1, bytes))
}

fn number(kind: u16, number: u32) -> Vec<u8> {
    attribute(kind, &number.to_be_bytes())
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

/// `struct nlattr` and its content, padded to four bytes.
fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + content.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
