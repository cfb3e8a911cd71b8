//! `netns connect`: a way out for a network namespace, and its end.

use std::path::Path;

use serde_json::json;

use crate::cli::Global;
use crate::cli::netns::Connect;
use crate::container::network::bridge::{Wiring, barrier, check_interface};
use crate::container::network::connect::{self as wiring, Cable};
use crate::container::network::place::{self, Place};
use crate::error::{Error, Result};
use crate::kernel::netlink::lease::Subnet;
use crate::ui::Screen;

/// `netns connect`
pub fn run(proc: &Path, args: &Connect, global: &Global, screen: &mut Screen) -> Result<u8> {
    check_interface(&args.bridge)?;
    let subnet = args.subnet.as_deref().map(Subnet::parse).transpose()?;
    let place = place::open(proc, &args.target)?;
    let cables = wiring::cables(&place)?;
    if args.undo {
        return undo(args, &cables, global, screen);
    }
    if let Some(barrier) = barrier(&args.bridge) {
        screen.warn(&barrier);
    }
    if let Some(cable) = cables.first() {
        let address = cable.address.clone().unwrap_or_default();
        return told(args, &place, &address, false, screen);
    }
    let wired = Wiring {
        bridge: args.bridge.clone(),
        subnet,
        interface: wiring::free_interface(&place)?,
        forwards: Vec::new(),
        of_pid: false,
    };
    if global.dry_run {
        return screen.plan(&wiring::steps(&wired)).map(|()| 0);
    }
    let command = format!("netns connect {}", args.target);
    let address = wiring::connect(&place, &wired, &command, screen)?;
    told(args, &place, &address, true, screen)
}

fn told(
    args: &Connect,
    place: &Place,
    address: &str,
    made: bool,
    screen: &mut Screen,
) -> Result<u8> {
    if screen.json_wanted() {
        let result =
            json!({ "ns": place.inode, "address": address, "bridge": args.bridge, "made": made });
        return screen.json(&result).map(|()| 0);
    }
    screen.out(address)?;
    let now = if made { "is connected" } else { "was connected already" };
    screen.note(&format!(
        "{} {now}: it is {address}, and reaches what this machine reaches. `under-the-hood netns connect {} --undo` takes it back.",
        place.id(),
        args.target
    ));
    Ok(0)
}

fn undo(args: &Connect, cables: &[Cable], global: &Global, screen: &mut Screen) -> Result<u8> {
    let Some(cable) = cables.first() else {
        return Err(Error::new(format!(
            "{} has no connection that `netns connect` made",
            args.target
        ))
        .hint("`under-the-hood cleanup --list` shows what is meant to stay."));
    };
    if global.dry_run {
        return screen.plan(&cable.steps).map(|()| 0);
    }
    wiring::disconnect(cable, screen)?;
    if screen.json_wanted() {
        return screen
            .json(&json!({ "removed": cable.name, "address": cable.address }))
            .map(|()| 0);
    }
    screen.out(&cable.name)?;
    Ok(0)
}
