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

/// Whether two are in different namespaces of a type, or of each of several.
pub fn differs(world: &World, kinds: &str, a: &str, b: &str) -> Answer {
    compare(world, kinds, (a, b), |left, right| left != right)
}

/// Whether two are in the same namespace of a type, or of each of several.
pub fn same(world: &World, kinds: &str, a: &str, b: &str) -> Answer {
    compare(world, kinds, (a, b), |left, right| left == right)
}

fn compare(
    world: &World,
    kinds: &str,
    (a, b): (&str, &str),
    wanted: fn(&str, &str) -> bool,
) -> Answer {
    let (left_pid, right_pid) = (world.pid(a)?, world.pid(b)?);
    let mut all = true;
    let mut links = Vec::new();
    for kind in kinds.split(',') {
        let (left, right) = (link(left_pid, kind)?, link(right_pid, kind)?);
        all &= wanted(&left, &right);
        links.push((left, right));
    }
    let number = |link: &str| link.replace(['[', ']'], "").replace(':', " ");
    let evidence = match links.as_slice() {
        [(left, right)] => format!("{} is in {left}, {} in {right}", name(a), name(b)),
        several => {
            let pair = |(left, right): &(String, String)| {
                let right = number(right);
                format!("{} / {}", number(left), right.split(' ').next_back().unwrap_or_default())
            };
            let pairs: Vec<_> = several.iter().map(pair).collect();
            format!("{} / {}: {}", name(a), name(b), pairs.join(", "))
        }
    };
    Ok(Finding::yes(all, evidence))
}

fn name(who: &str) -> String {
    match who {
        "self" => "this program".to_owned(),
        "host" => "this machine's first process".to_owned(),
        name => name.to_owned(),
    }
}

/// How many of its namespaces are not the ones this program is in.
pub fn own(world: &World, who: &str) -> Answer {
    let (shared, own) = sorted(world, who, "self")?;
    let evidence =
        format!("own: {}; shared with this machine: {}", own.join(" "), shared.join(" "));
    Ok(Finding::new(own.len().to_string(), evidence))
}

/// In how many of their namespaces two are together.
pub fn shared(world: &World, a: &str, b: &str) -> Answer {
    let (shared, apart) = sorted(world, a, b)?;
    let list = |kinds: &[&str]| if kinds.is_empty() { "none".into() } else { kinds.join(" ") };
    let evidence = format!("common: {}; apart: {}", list(&shared), list(&apart));
    Ok(Finding::new(shared.len().to_string(), evidence))
}

/// The types of which two have one namespace, and those of which they have two.
fn sorted(
    world: &World,
    a: &str,
    b: &str,
) -> Result<(Vec<&'static str>, Vec<&'static str>), Unknown> {
    let (left, right) = (world.pid(a)?, world.pid(b)?);
    let (mut shared, mut apart) = (Vec::new(), Vec::new());
    for kind in TYPES {
        match (link(left, kind), link(right, kind)) {
            (Ok(left), Ok(right)) if left != right => apart.push(kind),
            (Ok(_), Ok(_)) => shared.push(kind),
            (Err(Unknown::Untestable(why)), _) | (_, Err(Unknown::Untestable(why)))
                if why.contains("closed") =>
            {
                return Err(Unknown::Untestable(why));
            }
            _ => {}
        }
    }
    Ok((shared, apart))
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
