//! Checks on root directories: which one a process has, whether it can be left,
//! and which layer a file in it comes from.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;

use crate::error::Context;
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::probe::child;

use super::{Answer, Finding, Unknown, World, namespaces, processes};

/// A directory as the kernel tells it from others.
type Identity = (u64, u64);

fn identity(path: &str) -> Result<Identity, Unknown> {
    match fs::metadata(path) {
        Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Unknown::Absent(format!("there is no {path}")))
        }
        Err(error) => Err(Unknown::Untestable(format!("{path}: {error}"))),
    }
}

/// Processes of the reader's with this command line and a root other than ours.
fn locked_in(world: &World, wanted: &str) -> Result<Vec<i32>, Unknown> {
    let ours = identity("/")?;
    let pids = processes::answers(world, wanted).into_iter();
    Ok(pids
        .filter(|pid| identity(&format!("/proc/{pid}/root/")).is_ok_and(|root| root != ours))
        .collect())
}

fn one_locked_in(world: &World, wanted: &str) -> Result<i32, Unknown> {
    let found = locked_in(world, wanted)?;
    found
        .first()
        .copied()
        .ok_or_else(|| Unknown::Absent(format!("no process `{wanted}` has a root of its own")))
}

/// Whether a process with this command line has another root than we have.
pub fn apart(world: &World, wanted: &str) -> Answer {
    let found = locked_in(world, wanted)?;
    let evidence = match found.first() {
        Some(pid) => {
            let (dev, ino) = identity(&format!("/proc/{pid}/root/"))?;
            let ours = identity("/")?;
            format!(
                "/ of {pid} {wanted} is inode {ino} of device {dev}, yours inode {} of device {}",
                ours.1, ours.0
            )
        }
        None => format!("no process `{wanted}` has a root of its own"),
    };
    Ok(Finding::yes(!found.is_empty(), evidence))
}

/// Whether that process shares namespaces of these types with us.
pub fn shares(world: &World, kinds: &str, wanted: &str) -> Answer {
    let pid = one_locked_in(world, wanted)?;
    let us = world.pid("self")?;
    let mut evidence = Vec::new();
    let mut all = true;
    for kind in kinds.split(',') {
        let (theirs, ours) = (namespaces::link(pid, kind)?, namespaces::link(us, kind)?);
        all &= theirs == ours;
        evidence.push(format!("{theirs} for {pid} {wanted}, {ours} for you"));
    }
    Ok(Finding::yes(all, evidence.join("; ")))
}

/// Whether that process's root is a mount of its own, or only a directory.
pub fn kind(world: &World, wanted: &str) -> Answer {
    kind_of(one_locked_in(world, wanted)?)
}

/// The same for a container.
pub fn container_kind(world: &World, who: &str) -> Answer {
    kind_of(world.pid(who)?)
}

fn mounts(pid: i32) -> Result<Vec<Mount>, Unknown> {
    mountinfo::list(Path::new("/proc"), pid).map_err(|error| Unknown::Untestable(error.to_string()))
}

fn kind_of(pid: i32) -> Answer {
    match mounts(pid)?.into_iter().rfind(|mount| mount.mount_point == Path::new("/")) {
        Some(mount) => Ok(Finding::new(
            "mount",
            format!("/proc/{pid}/mountinfo: {} {} on /", mount.id, mount.fs_type),
        )),
        None => Ok(Finding::new("directory", format!("/proc/{pid}/mountinfo has no mount on /"))),
    }
}

/// Where that process's root can lead a root user who tries: `out`, or still `in`.
pub fn escape(world: &World, wanted: &str) -> Answer {
    escape_from(one_locked_in(world, wanted)?)
}

/// The same from a container.
pub fn container_escape(world: &World, who: &str) -> Answer {
    escape_from(world.pid(who)?)
}

/// A child of ours goes where the process is, and tries to leave: it moves its
/// root down, keeps its working directory, and climbs.
fn escape_from(pid: i32) -> Answer {
    let ours = identity("/")?;
    if identity(&format!("/proc/{pid}/root/"))? == ours {
        return Ok(Finding::new(
            "out",
            format!("/ of {pid} is this machine's own: it is not locked in"),
        ));
    }
    let tried = child::attempt("leaving a root", Duration::from_secs(5), || {
        let path = |name: &str| format!("/proc/{pid}/{name}");
        let opened = |name: &str, flags: OFlag| {
            open(path(name).as_str(), flags | OFlag::O_CLOEXEC, Mode::empty())
                .tried(|| format!("open({:?})", path(name)))
        };
        let root = opened("root", OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let mut namespaces = Vec::new();
        for (name, flag) in
            [("ns/user", CloneFlags::CLONE_NEWUSER), ("ns/mnt", CloneFlags::CLONE_NEWNS)]
        {
            let own = fs::read_link(format!("/proc/self/{name}")).ok();
            if own != fs::read_link(path(name)).ok() {
                namespaces.push((opened(name, OFlag::O_RDONLY)?, flag));
            }
        }
        for (namespace, flag) in namespaces {
            setns(namespace, flag).tried(|| "setns()")?;
        }
        let here =
            || fs::metadata("/").map(|found| (found.dev(), found.ino())).tried(|| "stat(\"/\")");
        nix::unistd::fchdir(&root).tried(|| "fchdir()")?;
        nix::unistd::chroot(".").tried(|| "chroot(\".\")")?;
        let inside = here()?;
        let entries = fs::read_dir(".").tried(|| "opendir(\".\")")?.flatten();
        let below =
            entries.map(|entry| entry.path()).find(|path| path.is_dir() && !path.is_symlink());
        nix::unistd::chroot(&below.unwrap_or_else(|| PathBuf::from("."))).tried(|| "chroot()")?;
        for _ in 0..64 {
            nix::unistd::chdir("..").tried(|| "chdir(\"..\")")?;
        }
        nix::unistd::chroot(".").tried(|| "chroot(\".\")")?;
        Ok((inside, here()?))
    });
    let (inside, after) = tried.map_err(|error| Unknown::Untestable(error.to_string()))?;
    let named = |identity: Identity| format!("inode {} of device {}", identity.1, identity.0);
    let value = if after == ours { "out" } else { "in" };
    let evidence = format!(
        "a process locked in there had / at {}; after it tried to leave, at {}; this machine's is {}",
        named(inside),
        named(after),
        named(ours)
    );
    Ok(Finding::new(value, evidence))
}

/// Where a container's file comes from: `image`, `changed`, `added`, `hidden`, or
/// `nowhere`. The kernel's mount table says where the image is; the rest is
/// comparing files.
pub fn layer(world: &World, who: &str, path: &str) -> Answer {
    let pid = world.pid(who)?;
    let root = mounts(pid)?.into_iter().rfind(|mount| mount.mount_point == Path::new("/"));
    let overlay = root.filter(|mount| mount.fs_type == "overlay");
    let lower = overlay.as_ref().and_then(|mount| {
        let options = mount.super_options.split(',');
        options.into_iter().find_map(|option| option.strip_prefix("lowerdir=")).map(str::to_owned)
    });
    let Some(lower) = lower else {
        return Err(Unknown::Untestable(format!("the root of {who} is no overlay here")));
    };
    // Engines lay several over each other, the topmost first: that one counts which has it.
    let relative = path.trim_start_matches('/');
    let layers: Vec<_> =
        lower.split(':').map(|directory| format!("{directory}/{relative}")).collect();
    let has_it = |path: &&String| fs::symlink_metadata(path).is_ok();
    let below = layers.iter().find(has_it).or(layers.last()).cloned().unwrap_or_default();
    let merged = format!("/proc/{pid}/root{path}");
    let read = |path: &str| match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::read(path)
            .map(Some)
            .map_err(|error| Unknown::Untestable(format!("{path}: {error}"))),
        // A whiteout: a higher layer of the image says that it is not there.
        Ok(metadata) if metadata.file_type().is_char_device() && metadata.rdev() == 0 => Ok(None),
        Ok(_) => Ok(Some(Vec::new())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unknown::Untestable(format!("{path}: {error}"))),
    };
    let (value, told) = match (read(&below)?, read(&merged)?) {
        (None, None) => ("nowhere", "is in neither"),
        (Some(_), None) => ("hidden", "is in the image, and cannot be seen in the container"),
        (None, Some(_)) => ("added", "is in the container, and not in the image"),
        (Some(a), Some(b)) if a == b => ("image", "is the same in the image and in the container"),
        (Some(_), Some(_)) => ("changed", "is another in the container than in the image"),
    };
    Ok(Finding::new(value, format!("{path} {told}")))
}
