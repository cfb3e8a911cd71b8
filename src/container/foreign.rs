//! A container that somebody else has started, as `exec` needs it: what its engine gave
//! its first process is read of that process.

use std::path::Path;

use super::engines::Found;
use super::passwd::User;
use super::registry::Container;
use super::spec::{Rights, Seccomp};
use super::target::Target;
use crate::error::{Context, Error, Result};
use crate::kernel::capability;
use crate::kernel::pidfd::start_time;
use crate::kernel::process::{self, IdMap, Status};
use crate::kernel::security;

/// The container, and what cannot be carried over from its first process.
pub fn container(proc: &Path, target: &Target) -> Result<(Container, Option<&'static str>)> {
    let pid = target.pid;
    let status = Status::read(proc, pid)?;
    let start = start_time(pid).ok_or_else(|| process::missing(proc, pid))?;
    let security = security::of_process(proc, pid, &status);
    let user = user(proc, pid, &status)?;
    let set = |name: &str| {
        let sets = security.capabilities.iter();
        sets.filter(|(set, _)| *set == name).map(|(_, mask)| *mask).next().unwrap_or(0)
    };
    // Root has what the first process has; another user could have it by a program of root's.
    let most = if user.uid == 0 { set("effective") } else { set("bounding") };
    let filtered = matches!(security.seccomp, Some(security::Seccomp::Filter(_)));
    let rights = Rights {
        capabilities: capability::names(most),
        seccomp: if filtered { Seccomp::Default } else { Seccomp::Unconfined },
        calls_as_for: None,
        no_new_privileges: security.no_new_privs.unwrap_or(false),
        system_paths: false,
        devices: false,
    };
    let link = |name: &str| {
        let path = proc.join(format!("{pid}/{name}"));
        std::fs::read_link(&path).tried(|| format!("readlink({path:?})"))
    };
    let oom = std::fs::read_to_string(proc.join(format!("{pid}/oom_score_adj"))).ok();
    let name = match &target.container {
        Some(found) => found.label(),
        None => format!("pid {pid}"),
    };
    let container = Container {
        id: target.container.as_ref().and_then(id).unwrap_or_else(|| pid.to_string()),
        name,
        scope: None,
        pid,
        start,
        shim: 0,
        image: String::new(),
        command: process::arguments(proc, pid),
        hostname: String::new(),
        env: environment(proc, pid)?,
        rights,
        user,
        limits: Vec::new(),
        oom_score: oom.and_then(|text| text.trim().parse().ok()),
        workdir: link("cwd")?.to_string_lossy().into_owned(),
        stop_signal: None,
        rootfs: String::new(),
        created: 0,
        address: None,
        ports: Vec::new(),
    };
    let note = "Its filter on system calls cannot be read out again: docker's default stands in its place.";
    Ok((container, filtered.then_some(note)))
}

fn id(found: &Found) -> Option<String> {
    found.id.clone().or_else(|| found.name.clone())
}

/// What the first process was started with.
fn environment(proc: &Path, pid: i32) -> Result<Vec<String>> {
    let path = proc.join(format!("{pid}/environ"));
    let bytes = std::fs::read(&path).tried(|| format!("read({path:?})"))?;
    let variables = bytes.split(|byte| *byte == 0).map(process::text);
    Ok(variables.filter(|variable| variable.contains('=')).collect())
}

/// Who the first process is, as its user namespace counts.
fn user(proc: &Path, pid: i32, status: &Status) -> Result<User> {
    let (uids, gids) =
        (process::id_map(proc, pid, "uid_map")?, process::id_map(proc, pid, "gid_map")?);
    let numbers = |field: &str| -> Vec<u32> {
        let text = status.field(field).unwrap_or_default();
        text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    let inside = |field: &str, map: &[IdMap]| {
        let outside = numbers(field).get(1).copied();
        outside.and_then(|id| within(map, id)).ok_or_else(|| {
            Error::new(format!("finding who process {pid} is in its user namespace"))
                .said(format!("{field} is an id that is not in its map"))
                .hint("Name a user: --user USER[:GROUP].")
        })
    };
    let (uid, gid) = (inside("Uid", &uids)?, inside("Gid", &gids)?);
    let groups = numbers("Groups").into_iter().filter_map(|group| within(&gids, group));
    let home = if uid == 0 { "/root" } else { "/" };
    Ok(User { uid, gid, groups: groups.collect(), home: home.to_owned() })
}

fn within(map: &[IdMap], outside: u32) -> Option<u32> {
    let range = map.iter().find(|r| outside >= r.outside && outside - r.outside < r.count)?;
    range.inside.checked_add(outside - range.outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_outside_is_found_inside() {
        let map = [(0, 1000, 1), (1, 100_000, 65_535)].map(|(inside, outside, count)| IdMap {
            inside,
            outside,
            count,
        });
        assert_eq!((within(&map, 1000), within(&map, 100_000)), (Some(0), Some(1)));
        assert_eq!((within(&map, 0), within(&map, 165_535)), (None, None));
    }

    #[test]
    fn our_own_process_is_read_as_it_is() {
        let pid = std::process::id().cast_signed();
        let target = Target { pid, container: None };
        let (container, _) = container(Path::new("/proc"), &target).expect("ourselves");
        assert_eq!(container.user.uid, rustix::process::geteuid().as_raw());
        assert_eq!(Path::new(&container.workdir), std::env::current_dir().expect("a directory"));
        assert!(container.env.iter().any(|variable| variable.starts_with("PATH=")));
    }
}
