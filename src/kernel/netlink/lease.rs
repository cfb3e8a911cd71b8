//! A free address. What is taken is written on the interfaces themselves: the
//! host's end of each cable carries the address of the other end as its alias.
//! So an address is free again at the moment its interface is gone, however
//! that happened, and no list can disagree with what is there.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::links::{self, Link};
use super::{Protocol, Socket, routes};
use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::lock::{FlockOperation, lock};
use crate::step::Step;

/// How the alias of everything of ours begins.
pub const MARK: &str = "under-the-hood";
/// The descriptor of the lock.
pub const LOCK: &str = "network lock";

/// A range of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its first address.
    pub base: Ipv4Addr,
    /// How many bits all of them have in common.
    pub prefix: u8,
}

impl Subnet {
    /// What containers get unless something else is asked for.
    pub const DEFAULT: Self = Self { base: Ipv4Addr::new(10, 213, 0, 0), prefix: 24 };

    /// Reads `10.88.0.0/24`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(format!("{text} is no range of addresses"))
                .said(why)
                .hint("As in --subnet 10.88.0.0/24.")
        };
        let (base, prefix) = text.split_once('/').ok_or_else(|| wrong("it has no /PREFIX"))?;
        let base: Ipv4Addr =
            base.parse().map_err(|_| wrong("what stands before the / is no IPv4 address"))?;
        let prefix: u8 =
            prefix.parse().map_err(|_| wrong("what stands behind the / is no number"))?;
        if !(8..=30).contains(&prefix) {
            return Err(wrong("the prefix must be 8 to 30: room for a gateway and a container"));
        }
        let subnet = Self { base, prefix };
        if u32::from(base) & !subnet.mask() != 0 {
            return Err(wrong("it does not start at the first address of the range"));
        }
        if base.is_loopback() || base.is_multicast() || base.is_unspecified() {
            return Err(wrong("these addresses have another meaning"));
        }
        Ok(subnet)
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - u32::from(self.prefix))
    }

    /// The first usable address: the bridge's own.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) + 1)
    }

    /// Whether the two have an address in common.
    fn overlaps(self, base: Ipv4Addr, prefix: u8) -> bool {
        let mask = Self { base, prefix: prefix.min(self.prefix) }.mask();
        u32::from(self.base) & mask == u32::from(base) & mask
    }

    /// The lowest address that is neither taken nor special.
    fn free(self, taken: &[Ipv4Addr]) -> Option<Ipv4Addr> {
        let last = u32::from(self.base) | !self.mask();
        (u32::from(self.base) + 2..last).map(Ipv4Addr::from).find(|free| !taken.contains(free))
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Takes the lock of this network namespace and finds a free address;
/// afterwards `$address`, `$mac`, `$gateway`, `$bridge_mac` and `$forward` are known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeAddress {
    /// The bridge.
    pub bridge: String,
    /// The range; none: the bridge's, or the default.
    pub subnet: Option<Subnet>,
}

impl Operation for TakeAddress {
    fn step(&self) -> Step {
        Step::new(
            "flock(open(\"/proc/self/ns/net\"), LOCK_EX)",
            "one at a time: nobody else chooses an address meanwhile; $address is free",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let lock = lock(Path::new("/proc/self/ns/net"), FlockOperation::LockExclusive)?;
        world.fds.insert(LOCK.to_owned(), lock.into());
        let socket = Socket::open(Protocol::Route)?;
        let links = links::list(&socket)?;
        let bridge = links.iter().find(|link| link.name == self.bridge);
        let subnet = self.subnet(&socket, &links, bridge)?;
        let address = subnet.free(&taken(&links)).ok_or_else(|| {
            Error::new(format!("no address of {subnet} is free"))
                .hint("Stop a container, or use another bridge with a range of its own.")
        })?;
        let token = world.watch()?.token().to_owned();
        let forward = std::fs::read_to_string(FORWARD).tried(|| format!("read({FORWARD:?})"))?;
        let [a, b, c, d] = address.octets();
        let slots = &mut world.slots;
        slots.set("address", address);
        slots.set("mac", format!("02:75:{a:02x}:{b:02x}:{c:02x}:{d:02x}"));
        slots.set("gateway", subnet.gateway());
        slots.set("prefix", subnet.prefix);
        slots.set("forward", forward.trim());
        slots.set("token", &token);
        let mac = bridge.and_then(Link::mac_text);
        slots.set("bridge_mac", mac.unwrap_or_else(|| mac_of(&token)));
        Ok("0".to_owned())
    }
}

/// Whether packets are passed on between interfaces.
pub const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

impl TakeAddress {
    fn subnet(&self, socket: &Socket, links: &[Link], bridge: Option<&Link>) -> Result<Subnet> {
        let Some(bridge) = bridge else {
            let subnet = self.subnet.unwrap_or(Subnet::DEFAULT);
            return in_use(socket, links, subnet).map(|()| subnet);
        };
        let ours = bridge.alias.as_deref().is_some_and(|alias| alias.starts_with(MARK));
        if !ours || bridge.kind.as_deref() != Some("bridge") {
            return Err(Error::new(format!(
                "the interface {} is not a bridge of ours",
                bridge.name
            ))
            .hint("Choose another name with --bridge; what is not ours is not changed."));
        }
        let of = |address: &links::Address| match address.address {
            IpAddr::V4(gateway) => {
                let mask = u32::MAX << (32 - u32::from(address.prefix.clamp(1, 32)));
                let base = Ipv4Addr::from(u32::from(gateway) & mask);
                Some(Subnet { base, prefix: address.prefix })
            }
            IpAddr::V6(_) => None,
        };
        let has = bridge.addresses.iter().find_map(of);
        match (has, self.subnet) {
            (Some(has), Some(asked)) if has != asked => {
                Err(Error::new(format!("the bridge {} has {has}, not {asked}", bridge.name))
                    .hint("Leave --subnet away, or choose another --bridge."))
            }
            // Somebody was killed between making it and giving it an address.
            (None, asked) => Ok(asked.unwrap_or(Subnet::DEFAULT)),
            (Some(has), _) => Ok(has),
        }
    }
}

/// Refuses a range that this machine reaches in another way already.
fn in_use(socket: &Socket, links: &[Link], subnet: Subnet) -> Result<()> {
    let taken = |by: String| {
        Err(Error::new(format!("the addresses {subnet} are in use"))
            .said(by)
            .hint("Give another range with --subnet, as in --subnet 10.88.0.0/24."))
    };
    for link in links {
        for address in &link.addresses {
            if let IpAddr::V4(v4) = address.address
                && subnet.overlaps(v4, address.prefix)
            {
                return taken(format!("{} has {address}", link.name));
            }
        }
    }
    for route in routes::list(socket)? {
        if let Some((IpAddr::V4(to), prefix)) = route.to
            && subnet.overlaps(to, prefix)
        {
            return taken(format!("there is a route to {}", route.destination()));
        }
    }
    Ok(())
}

fn taken(links: &[Link]) -> Vec<Ipv4Addr> {
    let lease = |link: &Link| {
        link.alias.as_deref()?.strip_prefix(MARK)?.trim().split(' ').next()?.parse().ok()
    };
    links.iter().filter_map(lease).collect()
}

/// A hardware address that carries a journal's token (locally administered, not a group's).
fn mac_of(token: &str) -> String {
    let byte = |n: usize| u8::from_str_radix(token.get(2 * n..2 * n + 2).unwrap_or("0"), 16);
    let mut bytes: Vec<u8> = (0..6).map(|n| byte(n).unwrap_or_default()).collect();
    bytes[0] = bytes[0] & 0xfc | 0x02;
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_exact() {
        let subnet = Subnet::parse("10.88.0.0/30").unwrap();
        assert_eq!(subnet.gateway(), Ipv4Addr::new(10, 88, 0, 1));
        assert_eq!(subnet.free(&[]), Some(Ipv4Addr::new(10, 88, 0, 2)));
        assert_eq!(subnet.free(&[Ipv4Addr::new(10, 88, 0, 2)]), None);
        for wrong in [
            "",
            "10.0.0.0",
            "10.0.0.1/24",
            "10.0.0.0/31",
            "10.0.0.0/7",
            "x/24",
            "127.0.0.0/8",
            "::/64",
            "10.0.0.0/+24x",
        ] {
            assert!(Subnet::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_that_share_an_address_overlap() {
        let ours = Subnet::parse("10.88.0.0/24").unwrap();
        for (base, prefix, expected) in [
            ([10, 88, 0, 7], 32, true),
            ([10, 88, 0, 0], 16, true),
            ([10, 0, 0, 0], 8, true),
            ([10, 88, 1, 0], 24, false),
            ([192, 168, 0, 0], 16, false),
        ] {
            assert_eq!(ours.overlaps(base.into(), prefix), expected, "{base:?}/{prefix}");
        }
    }

    #[test]
    fn a_mac_carries_the_token() {
        assert_eq!(mac_of("ffeeddccbbaa"), "fe:ee:dd:cc:bb:aa");
    }
}
