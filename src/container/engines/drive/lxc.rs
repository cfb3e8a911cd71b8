//! `lxc-start`: it takes a root file system, not an image, and settings, not flags.
//!
//! The image is unpacked by us, once; over it lies an overlay for each container, as
//! LXC's own `lxc-copy -s` would make it.

use std::path::Path;

use super::asked::bytes;
use super::{Asked, Start, With, line};
use crate::kernel::driven::LABEL;
use crate::kernel::user;
use crate::shell::quoted;

/// What the distribution's package says is common to all containers.
const COMMON: &str = "/usr/share/lxc/config/common.conf";

pub fn start(asked: &Asked, with: With<'_>) -> Result<Start, String> {
    let (name, roots, image) = (&asked.name, with.roots, with.image);
    let last = image.rsplit('/').next().unwrap_or(image);
    // As a shell takes them: the variable of the lesson's directory is its to fill in.
    let lower = format!("{roots}/{}", quoted(&last.replace([':', '@'], "-")));
    let upper = format!("{roots}/{}/upper", quoted(name));
    let mut settings = vec!["lxc.net.0.type=empty".to_owned()];
    if let Some(label) = with.label {
        settings.push(format!("lxc.environment={LABEL}={label}"));
    }
    if asked.userns {
        settings.extend(users()?);
    }
    let version_2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let limit = |one: &str, two: &str| match version_2 {
        true => format!("lxc.cgroup2.{two}"),
        false => format!("lxc.cgroup.{one}"),
    };
    let mut left_out = Vec::new();
    for (flag, value) in &asked.flags {
        match (flag.as_str(), value.as_str()) {
            ("--network", "none") => {}
            ("--network" | "--publish", _) => {
                return Err("LXC publishes no ports: it has the bridge lxcbr0, and leaves the rest to the machine's packet rules".to_owned());
            }
            ("--hostname", value) => settings.push(format!("lxc.uts.name={value}")),
            ("--memory", value) => {
                let bytes = bytes(value).ok_or_else(|| format!("--memory {value} is no size"))?;
                settings.push(limit(
                    &format!("memory.limit_in_bytes={bytes}"),
                    &format!("memory.max={bytes}"),
                ));
            }
            ("--memory-swap", value) if asked.flag("--memory") == Some(value) => {
                let bytes =
                    bytes(value).ok_or_else(|| format!("--memory-swap {value} is no size"))?;
                settings.push(limit(
                    &format!("memory.memsw.limit_in_bytes={bytes}"),
                    "memory.swap.max=0",
                ));
            }
            ("--pids-limit", value) => {
                settings.push(limit(&format!("pids.max={value}"), &format!("pids.max={value}")));
            }
            ("--cpus", value) => {
                let cpus: f64 =
                    value.parse().map_err(|_| format!("--cpus {value} is no number"))?;
                // 100 ms is the kernel's own period.
                let quota = (cpus * 100_000.0).round();
                settings.push(limit(
                    &format!("cpu.cfs_quota_us={quota}"),
                    &format!("cpu.max={quota} 100000"),
                ));
            }
            ("--cpu-shares", value) => {
                let shares: u64 =
                    value.parse().map_err(|_| format!("--cpu-shares {value} is no number"))?;
                // As runc turns one into the other.
                let weight = 1 + (shares.max(2) - 2) * 9999 / 262_142;
                settings
                    .push(limit(&format!("cpu.shares={shares}"), &format!("cpu.weight={weight}")));
            }
            (flag, value) => left_out.push(format!("{flag} {value}")),
        }
    }
    let mut words = Vec::new();
    for setting in settings {
        words.extend(["-s".to_owned(), setting]);
    }
    words.push("--".to_owned());
    words.extend(asked.command.iter().cloned());
    let (name, image) = (quoted(name), quoted(image));
    let unpack = format!("under-the-hood --quiet image unpack {image} {lower} >/dev/null");
    let unpack = match with.image {
        "base" => format!("{{ under-the-hood --quiet image base >/dev/null; {unpack}; }}"),
        _ => unpack,
    };
    let lines = vec![
        format!("test -d {lower} || {unpack}"),
        format!("mkdir -p {upper}"),
        format!(
            "lxc-start -n {name} -f {COMMON} -s lxc.rootfs.path=overlay:{lower}:{upper} {}",
            line(&words)
        ),
    ];
    Ok(Start { lines, left_out })
}

/// LXC maps with newuidmap(1), which allows root too only what /etc/subuid gives it.
fn users() -> Result<Vec<String>, String> {
    let given = |file: &str| user::subordinate(Path::new(file), Some("root"), 0).first().copied();
    match (given("/etc/subuid"), given("/etc/subgid")) {
        (Some((uid, uids)), Some((gid, gids))) => Ok(vec![
            format!("lxc.idmap=u 0 {uid} {uids}"),
            format!("lxc.idmap=g 0 {gid} {gids}"),
            "lxc.rootfs.options=idmap=container".to_owned(),
        ]),
        _ => Err("LXC maps root to nobody only with ids that /etc/subuid and /etc/subgid give root, and there are none".to_owned()),
    }
}
