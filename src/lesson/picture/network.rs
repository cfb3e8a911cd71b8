//! The networks of containers, and how they hang together with the machine's.

use std::path::Path;

use crate::container::network::survey::{self, Net, Survey};
use crate::kernel::namespace::{self, Kind};
use crate::kernel::netlink::links::Link;
use crate::lesson::check::World;
use crate::ui::picture::{Cable, Interface, Network, Picture, Place};

use super::{Drawn, called, pid};

/// More interfaces than this of one place are not drawn.
const MOST: usize = 4;

/// Gathers them: the machine's (the reader's own), and those of the containers.
pub fn gather(world: &World, who: &[String]) -> Drawn {
    let proc = Path::new("/proc");
    let number = |who: &str| {
        let ids = namespace::of_process(proc, pid(world, who)?).map_err(|e| e.to_string())?;
        ids.get(Kind::Net)
            .map(|id| id.inode)
            .ok_or_else(|| format!("the network namespace of {who} is closed to you"))
    };
    let numbers = who.iter().map(|who| number(who)).collect::<Result<Vec<_>, _>>()?;
    let host = number("self")?;
    let survey = survey::survey(proc).map_err(|error| error.to_string())?;
    let ours = find(&survey, host)?;
    let links = links(ours)?;
    let mut bridge = None;
    let mut containers = Vec::new();
    for (name, number) in who.iter().zip(numbers) {
        let (place, plugged) = container(name, find(&survey, number)?, host, links)?;
        bridge = bridge.or(plugged);
        containers.push(place);
    }
    let own = links.iter().filter(|link| !link.is_veth() && link.kind.as_deref() != Some("bridge"));
    let host = Place {
        name: "this machine".to_owned(),
        namespace: host,
        interfaces: own
            .filter(|link| !link.addresses.is_empty())
            .take(MOST)
            .map(interface)
            .collect(),
        cable: None,
        note: String::new(),
    };
    Ok(Picture::Network(Network { host, bridge, containers }))
}

fn find(survey: &Survey, number: u64) -> Result<&Net, String> {
    let found = survey.nets.iter().find(|net| net.id().inode == number);
    found.ok_or_else(|| format!("the network namespace {number} is not to be found"))
}

fn links(net: &Net) -> Result<&[Link], String> {
    net.links.as_deref().map_err(|error| error.to_string())
}

/// A container's place, and the bridge that its cable is plugged into.
fn container(
    name: &str,
    net: &Net,
    host: u64,
    outside: &[Link],
) -> Result<(Place, Option<Interface>), String> {
    let inside = links(net)?;
    let mut place = Place {
        name: called(name),
        namespace: net.id().inode,
        interfaces: inside.iter().take(MOST).map(interface).collect(),
        cable: None,
        note: "no cable leads to it".to_owned(),
    };
    if net.id().inode == host {
        place.note = "it is the machine's own".to_owned();
        return Ok((place, None));
    }
    if inside.iter().any(|link| link.kind.as_deref() == Some("tun")) {
        place.note = "a program out here serves its tap".to_owned();
    }
    let cable = inside.iter().find_map(|link| {
        let peer = net.peers.get(&link.index).filter(|peer| peer.inode == host)?;
        Some((link, outside.iter().find(|far| far.name == peer.name)?))
    });
    let Some((near, far)) = cable else { return Ok((place, None)) };
    let bridge = outside.iter().find(|link| Some(link.index) == far.master);
    place.cable =
        Some(Cable { near: near.name.clone(), far: far.name.clone(), bridged: bridge.is_some() });
    Ok((place, bridge.map(interface)))
}

/// With its first address; IPv4 is the shorter.
fn interface(link: &Link) -> Interface {
    let addresses = &link.addresses;
    let address = addresses.iter().find(|a| a.address.is_ipv4()).or(addresses.first());
    Interface { name: link.name.clone(), address: address.map(ToString::to_string) }
}
