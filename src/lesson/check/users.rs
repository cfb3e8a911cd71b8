//! Checks on who a process is: one number in its own user namespace, perhaps
//! another in ours (user_namespaces(7)).

use std::path::Path;

use crate::kernel::process::{Users, id_map};

use super::{Answer, Finding, Unknown, World, processes};

/// Its effective user id as we count, and as its own user namespace does;
/// there it can have none.
fn numbers(pid: i32) -> Result<(u32, Option<u32>), Unknown> {
    let ids = processes::status(pid, "Uid")?;
    let outside: u32 = ids
        .split_whitespace()
        .nth(1)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Unknown::Untestable(format!("Uid of {pid} is {ids}")))?;
    let map = id_map(Path::new("/proc"), pid, "uid_map")
        .map_err(|error| Unknown::Untestable(error.to_string()))?;
    let inside = map.iter().find_map(|range| {
        let offset = outside.checked_sub(range.outside).filter(|offset| *offset < range.count)?;
        range.inside.checked_add(offset)
    });
    Ok((outside, inside))
}

/// Whether it is another user in its own user namespace than here.
pub fn differs(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let (outside, inside) = numbers(pid)?;
    let told = inside.map_or("none".to_owned(), |inside| inside.to_string());
    let evidence = format!("uid {outside} in /proc/{pid}/status, by its uid_map {told} inside");
    Ok(Finding::yes(inside != Some(outside), evidence))
}

/// Who it is to this machine: `root`, `you`, `another`, or `nobody` where no
/// line of passwd has the number.
pub fn outside(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let (outside, _) = numbers(pid)?;
    let name = Users::read(Path::new("/etc/passwd")).name(outside);
    let known = name != outside.to_string();
    let us = rustix::process::geteuid().as_raw();
    let value = match outside {
        0 => "root",
        _ if outside == us => "you",
        _ if known => "another",
        _ => "nobody",
    };
    let name = if known { format!(", {name}") } else { ", whom /etc/passwd does not know".into() };
    Ok(Finding::new(value, format!("its uid in /proc/{pid}/status is {outside}{name}")))
}
