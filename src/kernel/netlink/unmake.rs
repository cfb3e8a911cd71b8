//! Taking back what was made in a network: in the namespace in which it was
//! made, and only what can be told to be ours.

use std::fs::File;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use nix::errno::Errno;
use rustix::fs::{FlockOperation, flock};

use super::change::{self, note};
use super::lease::{FORWARD, MARK};
use super::links::{self, Link};
use super::{Protocol, Socket, inside, nft};
use crate::effect::Identity;
use crate::error::{Context, Result};
use crate::kernel::undo::Undone;

/// How an interface that was just made in our own namespace is known again.
pub fn identity(name: &str) -> Result<Identity> {
    let link = change::find(&Socket::open(Protocol::Route)?, name)?;
    Ok(Identity::Link { index: link.index })
}

fn is(link: &Link, identity: Option<&Identity>) -> bool {
    identity
        .is_none_or(|identity| matches!(identity, Identity::Link { index } if *index == link.index))
}

/// Removes our end of a cable, and with it the other.
pub fn veth(name: &str, netns: u64, identity: Option<&Identity>) -> Result<Undone> {
    let Some(namespace) = inside::find(netns)? else { return Ok(Undone::NotThere) };
    let socket = inside::socket_in(&namespace, Protocol::Route)?;
    let ours = |link: &Link| link.name == name && is(link, identity);
    match links::list(&socket)?.into_iter().find(ours) {
        Some(link) => delete(&socket, link.index),
        None => Ok(Undone::NotThere),
    }
}

/// Whether it is still there.
pub fn veth_is_there(name: &str, netns: u64) -> bool {
    let list = || -> Result<bool> {
        let Some(namespace) = inside::find(netns)? else { return Ok(false) };
        let socket = inside::socket_in(&namespace, Protocol::Route)?;
        Ok(links::list(&socket)?.iter().any(|link| link.name == name))
    };
    // Where nothing can be found out, nothing is concluded.
    list().unwrap_or(true)
}

fn delete(socket: &Socket, index: u32) -> Result<Undone> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    match socket.route(&RouteNetlinkMessage::DelLink(link), 0) {
        Ok(_) => Ok(Undone::Removed),
        // Its namespace, or the other end, took it along.
        Err(error) if error.is(Errno::ENODEV) => Ok(Undone::NotThere),
        Err(error) => Err(error),
    }
}

/// Removes a bridge when its last cable is gone, and puts `ip_forward` back.
pub fn bridge(name: &str, mac: &str, netns: u64) -> Result<Undone> {
    let Some(namespace) = inside::find(netns)? else { return Ok(Undone::NotThere) };
    flock(&namespace, FlockOperation::LockExclusive).tried(|| "flock(net, LOCK_EX)")?;
    let socket = inside::socket_in(&namespace, Protocol::Route)?;
    let links = links::list(&socket)?;
    let ours = |link: &&Link| {
        link.name == name
            && link.mac_text().as_deref() == Some(mac)
            && link.kind.as_deref() == Some("bridge")
    };
    let Some(bridge) = links.iter().find(ours) else { return Ok(Undone::NotThere) };
    if links.iter().any(|link| link.master == Some(bridge.index)) {
        // Somebody else still uses it, and has written it down too.
        return Ok(Undone::NotThere);
    }
    if bridge.alias.as_deref().is_some_and(|alias| alias.ends_with("ip_forward was 0")) {
        let other = links.iter().find(|link| {
            link.index != bridge.index
                && link.kind.as_deref() == Some("bridge")
                && link.alias.as_deref().is_some_and(|alias| alias.starts_with(MARK))
        });
        match other {
            Some(other) => {
                note(&socket, &other.name, format!("{MARK} bridge, ip_forward was 0"))?;
            }
            None => inside::within(&namespace, || {
                std::fs::write(FORWARD, "0").tried(|| format!("write({FORWARD:?})"))
            })?,
        }
    }
    delete(&socket, bridge.index)
}

/// Removes a table of packet rules.
pub fn table(name: &str, netns: u64) -> Result<Undone> {
    let Some(namespace) = inside::find(netns)? else { return Ok(Undone::NotThere) };
    let remove = |namespace: &File| {
        let socket = inside::socket_in(namespace, Protocol::Netfilter)?;
        nft::remove(&socket, name)
    };
    Ok(match remove(&namespace)? {
        true => Undone::Removed,
        false => Undone::NotThere,
    })
}
