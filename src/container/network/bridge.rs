//! A way out: a cable from a network namespace to a bridge of the host, an
//! address at the end of it, and address translation at the host's door.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};

use crate::error::{Error, Result};
use crate::kernel::files::WriteFile;
use crate::kernel::netlink::lease::{FORWARD, MARK, Subnet, TakeAddress};
use crate::kernel::netlink::nft::{Forward, NatTable};
use crate::kernel::netlink::{
    AddressAdd, BridgeAdd, LinkSet, LinkUp, Protocol, RouteAdd, Socket, VethAdd, barrier,
};
use crate::kernel::op::Op;

/// The bridge that containers get unless another is asked for.
pub const BRIDGE: &str = "uth0";

/// What is to be wired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// The bridge.
    pub bridge: String,
    /// The range of addresses, where one was asked for.
    pub subnet: Option<Subnet>,
    /// What the interface over there is called.
    pub interface: String,
    /// Ports of the host that lead there.
    pub forwards: Vec<Forward>,
    /// Whether it is a container that is just being made (`$pid`), which does
    /// its own end itself; else a namespace that is held open.
    pub of_pid: bool,
}

impl Wiring {
    /// What is done on the host's side.
    pub fn outside(&self) -> Vec<Op> {
        let bridge = &self.bridge;
        let set = |name: &str, into: Option<&String>, alias: Option<String>, why: &str| {
            let (name, bridge) = (name.to_owned(), into.cloned());
            Op::from(LinkSet { name, bridge, alias, inside: false, why: why.to_owned() })
        };
        let mut ops = vec![
            Op::from(TakeAddress { bridge: bridge.clone(), subnet: self.subnet }),
            BridgeAdd { name: bridge.clone() }.into(),
            AddressAdd {
                name: bridge.clone(),
                address: "$gateway".to_owned(),
                inside: false,
                why: "the host's own address on the bridge: the gateway of everybody on it"
                    .to_owned(),
            }
            .into(),
            set(bridge, None, None, "a new interface is down"),
        ];
        let why = "the host passes packets on between its interfaces, as a router does";
        ops.push(WriteFile::tell(FORWARD, "1", why).into());
        if !self.forwards.is_empty() {
            let path = format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet");
            let why = "what is sent to 127.0.0.1 may leave by this one bridge: so a published port is found there too";
            ops.push(WriteFile::tell(path, "1", why).into());
        }
        let veth = "uth$token";
        let (name, peer) = (veth.to_owned(), self.interface.clone());
        ops.push(VethAdd { name, peer, of_pid: self.of_pid }.into());
        let alias = Some(format!("{MARK} $address"));
        let why = "its end here goes into the bridge; the alias says which address is taken";
        ops.push(set(veth, Some(bridge), alias, why));
        ops.push(
            NatTable {
                name: format!("{MARK}-$token"),
                address: "$address".to_owned(),
                bridge: bridge.clone(),
                forwards: self.forwards.clone(),
            }
            .into(),
        );
        ops
    }

    /// What is done at the other end.
    pub fn inside(&self) -> Vec<Op> {
        let (name, inside) = (self.interface.clone(), !self.of_pid);
        let why = "its own address on the bridge's network".to_owned();
        let up = "this end of the cable is up too".to_owned();
        vec![
            LinkUp.into(),
            AddressAdd { name: name.clone(), address: "$address".to_owned(), inside, why }.into(),
            LinkSet { name, bridge: None, alias: None, inside, why: up }.into(),
            RouteAdd { inside }.into(),
        ]
    }
}

/// A warning, with the remedy, where rules of others drop what a bridge passes on.
/// Where they cannot be read, making our own fails in a moment, and says why.
pub fn barrier(bridge: &str) -> Option<String> {
    let socket = Socket::open(Protocol::Netfilter).ok()?;
    let barrier = barrier::find(&socket, bridge).ok()??;
    Some(format!(
        "chain {} of table {} drops what is passed on between interfaces, as Docker and firewalls set it: \
         from behind {bridge} nothing beyond this machine is reached. It is not ours to change; \
         `{}` lets {bridge} through.",
        barrier.chain,
        barrier.table,
        barrier.remedy(bridge)
    ))
}

/// A name that the kernel takes for an interface (15 bytes, no slash, no space).
pub fn check_interface(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if (1..=15).contains(&name.len()) && name.chars().all(good) && !matches!(name, "." | "..") {
        return Ok(());
    }
    Err(Error::usage(format!(
        "--bridge {name:?}: an interface's name has 1 to 15 characters, no space and no slash"
    )))
}

/// Whether each port is free on the host: translation would otherwise take it
/// away from whoever listens there.
pub fn ports_are_free(forwards: &[Forward]) -> Result<()> {
    for forward in forwards {
        let at = forward.at.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
        let tried = match forward.udp {
            true => UdpSocket::bind((at, forward.port)).map(drop),
            false => TcpListener::bind((at, forward.port)).map(drop),
        };
        if let Err(error) = tried {
            let call = format!("bind({at}:{})", forward.port);
            return Err(Error::io(call, &error).hint(match error.kind() {
                ErrorKind::PermissionDenied => {
                    "Ports below /proc/sys/net/ipv4/ip_unprivileged_port_start are root's. Publish another port."
                }
                ErrorKind::AddrNotAvailable => {
                    "This machine has no such address: `ip addr` shows those that it has."
                }
                _ => {
                    "Somebody on this machine listens there: `under-the-hood netns ports` shows who. Publish another port."
                }
            }));
        }
    }
    Ok(())
}
