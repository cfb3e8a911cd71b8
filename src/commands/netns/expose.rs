//! `netns expose` and `netns hide`: a name that `ip` can find, given and taken back.

use std::path::Path;

use serde_json::json;

use crate::cli::Global;
use crate::cli::netns::{Expose, Hide};
use crate::container::network::expose::{self as giving, Exposure};
use crate::container::network::{names, place, survey};
use crate::error::Result;
use crate::kernel::process::path_text;
use crate::ui::Screen;

/// `netns expose`
pub fn expose(proc: &Path, args: &Expose, global: &Global, screen: &mut Screen) -> Result<u8> {
    args.name.as_deref().map_or(Ok(()), names::check)?;
    let place = place::open(proc, &args.target)?;
    let name = args.name.clone().or_else(|| place.pid.map(|pid| pid.to_string()));
    let name = name.unwrap_or_else(|| place.label.clone());
    let exposure = Exposure::new(&place, &name)?;
    let there = exposure.is_there()?;
    if global.dry_run {
        return screen.plan(&if there { Vec::new() } else { exposure.steps() }).map(|()| 0);
    }
    if !there {
        exposure.perform(&format!("netns expose {}", args.target), screen)?;
    }
    let held = held(proc, place.inode).unwrap_or_else(|| "this name".to_owned());
    if screen.json_wanted() {
        screen.json(&json!({
            "name": name, "path": path_text(exposure.path()), "ns": place.inode,
            "made": !there, "held_by": held,
        }))?;
        return Ok(0);
    }
    screen.out(&name)?;
    let told = if there { "has that name already" } else { "now has a name for `ip netns`" };
    screen.note(&format!(
        "{} {told}: {}. It is held by {held}; the name alone keeps it alive, until `under-the-hood netns hide {name}`.",
        place.id(),
        exposure.path().display()
    ));
    Ok(0)
}

/// `netns hide`
pub fn hide(proc: &Path, args: &Hide, global: &Global, screen: &mut Screen) -> Result<u8> {
    let given = giving::given(&args.name)?;
    if global.dry_run {
        return screen.plan(std::slice::from_ref(&given.step)).map(|()| 0);
    }
    giving::hide(&given, screen)?;
    let held = held(proc, given.namespace);
    if screen.json_wanted() {
        screen.json(&json!({ "name": args.name, "ns": given.namespace, "held_by": held }))?;
        return Ok(0);
    }
    screen.out(&args.name)?;
    let id = format!("net:[{}]", given.namespace);
    screen.note(&match held {
        Some(held) => format!("{id} lives on: it is held by {held}."),
        None => format!("Nothing else held {id}: it is gone."),
    });
    Ok(0)
}

/// What holds a namespace; none when it is gone.
fn held(proc: &Path, inode: u64) -> Option<String> {
    let survey = survey::survey(proc).ok()?;
    survey.nets.iter().find(|net| net.id().inode == inode).map(survey::Net::held_by)
}
