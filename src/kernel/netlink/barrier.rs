//! Rules of others that stop what we pass on. Where Docker runs, packets
//! between interfaces are dropped unless a rule lets them through: whoever is
//! behind a bridge of ours gets an address, a route and translation, and still
//! no answer. Such rules are read here, and never changed.

use super::Socket;
use super::legacy::Filter;
use super::socket::{DUMP, number};
use crate::error::Result;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const GETCHAIN: u16 = NFNL_SUBSYS_NFTABLES << 8 | 4;
const GETRULE: u16 = NFNL_SUBSYS_NFTABLES << 8 | 7;
/// linux/netfilter.h: the hook that a packet passes between two interfaces, and a verdict.
const FORWARD: u32 = 2;
const DROP: u32 = 0;
/// The chain that Docker leaves to others, and looks into first.
const DOCKER_USER: &str = "DOCKER-USER";

/// A chain that drops what is passed on from one interface to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barrier {
    /// `ip filter`: the family and the table.
    pub table: String,
    /// `FORWARD`.
    pub chain: String,
    /// Whether Docker's chain for the rules of others is in that table.
    docker_user: bool,
    /// Whether it is the older iptables', which nft does not know.
    legacy: bool,
}

impl Barrier {
    /// What lets through what comes from this bridge, and what goes to it.
    pub fn remedy(&self, bridge: &str) -> String {
        let Self { table, chain, docker_user, legacy } = self;
        let rule = |from: &str, into: &str| match docker_user {
            _ if *legacy => {
                let chain = if *docker_user { DOCKER_USER } else { chain };
                format!("iptables-legacy -I {chain} {from} {bridge} -j ACCEPT")
            }
            true => format!("iptables -I {DOCKER_USER} {from} {bridge} -j ACCEPT"),
            false => format!("nft insert rule {table} {chain} {into} {bridge} accept"),
        };
        format!("{} && {}", rule("-i", "iifname"), rule("-o", "oifname"))
    }
}

/// What nf_tables says of a chain.
struct Chain {
    family: u8,
    table: String,
    name: String,
    drops_forwarded: bool,
}

/// The first chain of the socket's namespace, which this thread is in, that drops
/// what is passed on, and in whose table no rule names the bridge: one that does
/// was written for it.
pub fn find(socket: &Socket, bridge: &str) -> Result<Option<Barrier>> {
    let found = among_nf_tables(socket, bridge);
    match (&found, Filter::read()) {
        (Ok(None) | Err(_), Some(filter)) if filter.drops_forwarded && !filter.names(bridge) => {
            let (table, chain) = ("filter (iptables-legacy)".to_owned(), "FORWARD".to_owned());
            let docker_user = filter.names(DOCKER_USER);
            Ok(Some(Barrier { table, chain, docker_user, legacy: true }))
        }
        _ => found,
    }
}

fn among_nf_tables(socket: &Socket, bridge: &str) -> Result<Option<Barrier>> {
    let all: Vec<_> =
        socket.ask(GETCHAIN, DUMP, &[0; 4])?.iter().filter_map(|(_, body)| chain(body)).collect();
    if !all.iter().any(|chain| chain.drops_forwarded) {
        return Ok(None);
    }
    let mut wanted = bridge.as_bytes().to_vec();
    wanted.push(0);
    let names_it = |body: &[u8]| body.windows(wanted.len()).any(|bytes| bytes == wanted);
    let rules = socket.ask(GETRULE, DUMP, &[0; 4])?;
    let opened: Vec<_> = rules
        .iter()
        .filter(|(_, body)| names_it(body))
        .filter_map(|(_, body)| Some((*body.first()?, string(attributes(body, 4), 1)?)))
        .collect();
    let same = |chain: &&Chain, other: &Chain| {
        (chain.family, &chain.table) == (other.family, &other.table)
    };
    let closed = all.iter().find(|chain| {
        chain.drops_forwarded && !opened.contains(&(chain.family, chain.table.clone()))
    });
    Ok(closed.map(|chain| Barrier {
        table: format!("{} {}", if chain.family == 1 { "inet" } else { "ip" }, chain.table),
        chain: chain.name.clone(),
        docker_user: all.iter().any(|other| same(&chain, other) && other.name == DOCKER_USER),
        legacy: false,
    }))
}

/// One chain of a dump, if it is about IPv4 packets (families `inet`, `ip`).
fn chain(body: &[u8]) -> Option<Chain> {
    let family = *body.first().filter(|family| matches!(family, 1 | 2))?;
    let hook = attributes(body, 4).find(|(kind, _)| *kind == 4);
    let hooked = hook.and_then(|(_, hook)| big(attributes(hook, 0), 1));
    Some(Chain {
        family,
        table: string(attributes(body, 4), 1)?,
        name: string(attributes(body, 4), 3)?,
        drops_forwarded: hooked == Some(FORWARD) && big(attributes(body, 4), 5) == Some(DROP),
    })
}

/// `struct nlattr` after `struct nlattr`: kind and content.
fn attributes(body: &[u8], from: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(from..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [a, b, c, d] = number(rest, 0)?.to_ne_bytes();
        let (length, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]));
        let content = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & 0x3fff, content))
    })
}

fn string<'a>(mut all: impl Iterator<Item = (u16, &'a [u8])>, kind: u16) -> Option<String> {
    let (_, content) = all.find(|(known, _)| *known == kind)?;
    Some(String::from_utf8_lossy(content.strip_suffix(&[0]).unwrap_or(content)).into_owned())
}

/// A number as nf_tables writes it: the high byte first.
fn big<'a>(mut all: impl Iterator<Item = (u16, &'a [u8])>, kind: u16) -> Option<u32> {
    let (_, content) = all.find(|(known, _)| *known == kind)?;
    Some(u32::from_be_bytes(content.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_where_the_bytes_do() {
        let body = [8, 0, 1, 0, b'a', b'b', b'c', 0, 5, 0, 5, 0x80, 7, 0, 0, 0, 9, 0, 2, 0];
        let all: Vec<_> = attributes(&body, 0).collect();
        assert_eq!(all, [(1, &b"abc\0"[..]), (5, &[7][..])]);
        assert_eq!(string(attributes(&body, 0), 1).as_deref(), Some("abc"));
        assert_eq!(attributes(&[0; 8], 0).count(), 0, "a length of 0 must not go on for ever");
    }

    #[test]
    fn the_remedy_is_dockers_where_docker_is() {
        let (table, chain) = ("ip filter".to_owned(), "FORWARD".to_owned());
        let mut barrier = Barrier { table, chain, docker_user: true, legacy: false };
        assert!(barrier.remedy("uth0").starts_with("iptables -I DOCKER-USER -i uth0 -j ACCEPT"));
        barrier.docker_user = false;
        assert!(
            barrier
                .remedy("uth0")
                .ends_with("nft insert rule ip filter FORWARD oifname uth0 accept")
        );
        barrier.legacy = true;
        assert!(barrier.remedy("uth0").starts_with("iptables-legacy -I FORWARD -i uth0 -j ACCEPT"));
    }
}
