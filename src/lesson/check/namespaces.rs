//! Checks on namespaces: which are shared, which are one's own.
//!
//! `readlink /proc/PID/ns/net` gives the namespace's inode number; two
//! processes are in one namespace exactly when the numbers are equal
//! (namespaces(7)).

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use super::{Answer, Finding, Unknown, World};

/// The eight types, by their names under /proc/PID/ns.
pub const TYPES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// `net:[4026531840]`: the namespace of this type that a process is in.
pub fn link(pid: i32, kind: &str) -> Result<String, Unknown> {
    let path = format!("/proc/{pid}/ns/{kind}");
    match fs::read_link(&path) {
        Ok(link) => Ok(link.to_string_lossy().into_owned()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Unknown::Untestable(format!("{path} is closed to you; it needs root")))
        }
        Err(_) if fs::exists(format!("/proc/{pid}")).unwrap_or(false) => {
            Err(Unknown::Untestable(format!("this kernel has no {kind} namespaces")))
        }
        Err(_) => Err(Unknown::Absent(format!("there is no process {pid}"))),
    }
}

/// Whether two are in different namespaces of a type.
pub fn differs(world: &World, kind: &str, a: &str, b: &str) -> Answer {
    let (left, right) = (link(world.pid(a)?, kind)?, link(world.pid(b)?, kind)?);
    Ok(Finding::yes(left != right, both(a, &left, b, &right)))
}

/// Whether two are in the same namespace of a type.
pub fn same(world: &World, kind: &str, a: &str, b: &str) -> Answer {
    let (left, right) = (link(world.pid(a)?, kind)?, link(world.pid(b)?, kind)?);
    Ok(Finding::yes(left == right, both(a, &left, b, &right)))
}

fn both(a: &str, left: &str, b: &str, right: &str) -> String {
    let name = |who: &str| if who == "self" { "this program".to_owned() } else { who.to_owned() };
    format!("{} is in {left}, {} in {right}", name(a), name(b))
}

/// How many of its namespaces are not the ones this program is in.
pub fn own(world: &World, who: &str) -> Answer {
    let (pid, us) = (world.pid(who)?, world.pid("self")?);
    let mut own = Vec::new();
    let mut shared = Vec::new();
    for kind in TYPES {
        match (link(pid, kind), link(us, kind)) {
            (Ok(theirs), Ok(ours)) if theirs != ours => own.push(kind),
            (Ok(_), Ok(_)) => shared.push(kind),
            (Err(Unknown::Untestable(why)), _) if why.contains("closed") => {
                return Err(Unknown::Untestable(why));
            }
            _ => {}
        }
    }
    let evidence =
        format!("own: {}; shared with this machine: {}", own.join(" "), shared.join(" "));
    Ok(Finding::new(own.len().to_string(), evidence))
}

/// The host name that a process lives under, by way of its UTS namespace.
pub fn hostname(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    if link(pid, "uts")? == link(world.pid("self")?, "uts")? {
        let ours = rustix::system::uname().nodename().to_string_lossy().into_owned();
        return Ok(Finding::new(ours.clone(), format!("{who} shares this machine's name, {ours}")));
    }
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--target", &pid.to_string()]);
    if link(pid, "user")? != link(world.pid("self")?, "user")? {
        nsenter.args(["--user", "--preserve-credentials"]);
    }
    match nsenter.args(["--uts", "uname", "-n"]).output() {
        Ok(output) if output.status.success() => {
            let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let ours = rustix::system::uname().nodename().to_string_lossy().into_owned();
            Ok(Finding::new(name.clone(), format!("inside: {name}; outside: {ours}")))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Unknown::Untestable(format!("nsenter could not enter: {said}")))
        }
        Err(_) => {
            Err(Unknown::Untestable("nsenter is not installed (package util-linux)".to_owned()))
        }
    }
}
