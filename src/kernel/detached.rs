//! Mounts that are attached nowhere yet (open_tree(2)): what somebody lends to a
//! container is held before anything is resolved in the container, gets its
//! flags, and is attached by descriptor. No name is looked at twice.

use std::fs::File;

use nix::errno::Errno;
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::in_root::{Root, place};
use crate::kernel::op::{Operation, World};
use crate::kernel::raw;
use crate::step::Step;

/// open_tree(2): what is at a path, and everything mounted below it, as a
/// mount of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenTree {
    /// The path, on the host.
    pub source: String,
    /// What its descriptor is called.
    pub name: String,
}

impl Operation for OpenTree {
    fn step(&self) -> Step {
        Step::new(
            format!(
                "open_tree(AT_FDCWD, \"{}\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)",
                self.source
            ),
            format!(
                "{}: the same files under a mount of their own, attached nowhere yet",
                self.name
            ),
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let source = world.slots.fill(&self.source);
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, source.as_str(), flags)
            .tried(|| format!("open_tree({source:?}, OPEN_TREE_CLONE|AT_RECURSIVE)"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EACCES) => error.hint(
                    "Being root in a container gives you no more rights on the host's files than you have outside.",
                ),
                Some(Errno::ENOSYS) => error.hint("open_tree needs Linux 5.2."),
                Some(Errno::EINVAL) => error.hint(
                    "The kernel does not let this mount be cloned: it is unbindable, or /proc of a process.",
                ),
                _ => error,
            })?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&tree).to_string();
        world.fds.insert(self.name.clone(), tree);
        Ok(number)
    }
}

/// mount_setattr(2) on such a mount and everything below it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MountAttributes {
    /// What its descriptor is called.
    pub name: String,
    /// Whether it becomes read-only, besides nodev.
    pub read_only: bool,
}

impl Operation for MountAttributes {
    fn step(&self) -> Step {
        let (more, why) = match self.read_only {
            true => (
                "MOUNT_ATTR_RDONLY|",
                "read-only, with all that is mounted below it; and no device file in it opens",
            ),
            false => {
                ("", "no device file in it opens: whoever may make files there may make those")
            }
        };
        Step::new(
            format!(
                "mount_setattr({}, \"\", AT_EMPTY_PATH|AT_RECURSIVE, {{attr_set={more}MOUNT_ATTR_NODEV}})",
                self.name
            ),
            why,
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let read_only = if self.read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
        raw::mount_attributes(world.fd(&self.name)?, read_only | libc::MOUNT_ATTR_NODEV)
            .tried(|| world.slots.fill(&self.step().call))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::ENOSYS) => error.hint("mount_setattr needs Linux 5.12."),
                _ => error,
            })
            .map(|()| "0".to_owned())
    }
}

/// mount_setattr(2) `MOUNT_ATTR_IDMAP`, with the map of `$pid`'s user namespace:
/// what belongs to root on the disk belongs, through this mount, to root of the
/// container, and nothing on the disk is changed for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MapOwners {
    /// What its descriptor is called.
    pub name: String,
}

impl Operation for MapOwners {
    fn step(&self) -> Step {
        Step::new(
            format!(
                "mount_setattr({}, \"\", AT_EMPTY_PATH, {{attr_set=MOUNT_ATTR_RDONLY|MOUNT_ATTR_IDMAP, \
                 userns_fd=\"/proc/$pid/ns/user\"}})",
                self.name
            ),
            "in it the owners are those that the container counts: root's files are its root's",
        )
        .shell("mount --bind -o ro,X-mount.idmap=/proc/$pid/ns/user TREE DIR")
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = format!("/proc/{}/ns/user", world.slots.number::<i32>("pid")?);
        let namespace = File::open(&path).tried(|| format!("open({path:?})"))?;
        raw::mount_mapped(world.fd(&self.name)?, &namespace)
            .tried(|| "mount_setattr(MOUNT_ATTR_IDMAP)")
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EINVAL) => error.hint(
                    "The file system that the images are on shows no mapped owners (ext4, xfs, btrfs do, \
                     tmpfs since Linux 6.3, overlayfs not): put them elsewhere with UTH_HOME=DIR, or do without --userns.",
                ),
                Some(Errno::ENOSYS | Errno::EPERM) => error.hint(
                    "Mapped mounts need Linux 5.12, and root of the machine itself: do without --userns.",
                ),
                _ => error,
            })
            .map(|()| "0".to_owned())
    }
}

/// move_mount(2): attaches it in a container's root, by descriptor on both sides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attach {
    /// What its descriptor is called.
    pub name: String,
    /// The root, from outside.
    pub root: String,
    /// Where in it.
    pub path: String,
    /// What a person would type.
    pub shell: String,
}

impl Operation for Attach {
    fn step(&self) -> Step {
        Step::new(
            format!(
                "move_mount({}, \"\", \"{}{}\", \"\", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)",
                self.name, self.root, self.path
            ),
            "attached: both ends are descriptors, so that a name changed at this moment changes nothing",
        )
        .shell(self.shell.clone())
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (root, path) = (world.slots.fill(&self.root), world.slots.fill(&self.path));
        let target = place(&Root::open(&root)?, &path)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        let name = &self.name;
        move_mount(world.fd(name)?, "", &target, "", flags)
            .tried(|| format!("move_mount({name}, {path:?})"))
            .map_err(explain)?;
        world.fds.remove(name);
        Ok("0".to_owned())
    }
}

fn explain(error: Error) -> Error {
    match error.errno.map(Errno::from_raw) {
        Some(Errno::ENOTDIR) => {
            error.hint("A directory can only be mounted on a directory, a file only on a file.")
        }
        Some(Errno::ENOSPC) => error.hint(
            "ENOSPC from a mount is a limit, not a full disk: /proc/sys/fs/mount-max mounts per mount namespace.",
        ),
        _ => error,
    }
}
