//! Connecting a network namespace that has nothing but itself, to stay
//! connected until that is taken back or the namespace is gone.

use std::os::fd::OwnedFd;

use super::bridge::Wiring;
use super::place::Place;
use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::home::Place as Home;
use crate::journal::Entry;
use crate::kernel::netlink::links::{self, Link};
use crate::kernel::netlink::{INSIDE, Protocol, Socket, inside};
use crate::kernel::netns::NET;
use crate::kernel::op::{Slots, World, describe, perform_all};
use crate::kernel::undo;
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// A cable of ours that was meant to stay.
#[derive(Debug, Clone)]
pub struct Cable {
    /// Our end.
    pub name: String,
    /// The address at the other end.
    pub address: Option<String>,
    /// How it is taken back.
    pub steps: Vec<Step>,
}

/// The first name that is free over there: `eth0`, `eth1`, ...
pub fn free_interface(place: &Place) -> Result<String> {
    if inside::own() == Some(place.inode) {
        return Err(Error::new(format!(
            "{} is the network namespace that this command is in",
            place.id()
        ))
        .hint("There is nothing to connect it to; give a container, or another namespace."));
    }
    let links = links::list(&inside::socket_in(&place.file, Protocol::Route)?)?;
    let free =
        (0..1000).map(|n| format!("eth{n}")).find(|name| links.iter().all(|l| l.name != *name));
    free.ok_or_else(|| Error::new("no name eth0 to eth999 is free over there"))
}

/// What `--dry-run` shows.
pub fn steps(wiring: &Wiring) -> Vec<Step> {
    describe(&[wiring.outside(), wiring.inside()].concat(), Actor::Launcher)
}

/// Connects it; the address it got. Nothing is left if that fails.
pub fn connect(
    place: &Place,
    wiring: &Wiring,
    command: &str,
    observer: &mut dyn Observer,
) -> Result<String> {
    let mut watch = Watch::start(Home::Run, command)?;
    let done = wire(place, wiring, &mut watch, observer);
    let done = done.and_then(|address| watch.keep().map(|()| address));
    let left = watch.end();
    let address = done?;
    match left.as_slice() {
        [] => Ok(address),
        left => Err(Error::new("connecting").said(left.join("; "))),
    }
}

fn wire(
    place: &Place,
    wiring: &Wiring,
    watch: &mut Watch,
    observer: &mut dyn Observer,
) -> Result<String> {
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    let net: OwnedFd = place.file.try_clone().tried(|| "dup(net)")?.into();
    world.fds.insert(NET.to_owned(), net);
    world.fds.insert(INSIDE.to_owned(), inside::socket_in(&place.file, Protocol::Route)?.into());
    world.watch = Some(watch);
    let ops = [wiring.outside(), wiring.inside()].concat();
    perform_all(&ops, Actor::Launcher, &mut world, observer)?;
    Ok(world.slots.fill("$address"))
}

/// The cables of ours, meant to stay, that end in this namespace.
pub fn cables(place: &Place) -> Result<Vec<Cable>> {
    let socket = Socket::open(Protocol::Route)?;
    let number = links::number_of(&socket, &place.file)?;
    let there: Vec<Link> = links::list(&socket)?
        .into_iter()
        .filter(|link| link.is_veth() && link.tied_in.is_some() && link.tied_in == number)
        .collect();
    let leftovers = undo::leftovers()?;
    let cable = |left: &undo::Leftover| {
        let Effect::Veth { name, .. } = &left.entry.effect else { return None };
        let link = there.iter().find(|link| left.entry.kept && link.name == *name)?;
        let same = leftovers.iter().filter(|other| other.token == left.token);
        Some(Cable {
            name: name.clone(),
            address: link
                .alias
                .as_deref()
                .and_then(|alias| alias.rsplit(' ').next())
                .map(str::to_owned),
            steps: same.rev().map(|left| undo::step(&left.entry)).collect(),
        })
    };
    Ok(leftovers.iter().filter_map(cable).collect())
}

/// Takes a cable away, with the address translation that goes with it, and the
/// bridge if it was the last.
pub fn disconnect(cable: &Cable, observer: &mut dyn Observer) -> Result<()> {
    let has = |entries: &[Entry]| {
        let is = |entry: &Entry| matches!(&entry.effect, Effect::Veth { name, .. } if *name == cable.name);
        entries.iter().any(is)
    };
    let report = undo::take_back(has, observer)?;
    report.left.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
}
