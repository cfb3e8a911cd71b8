//! chroot(2): another directory as `/`, for one process and its children; and
//! what shows whether a process has left it.

use nix::errno::Errno;
use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::clone;
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// chroot(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chroot {
    /// The directory that becomes `/`.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Operation for Chroot {
    fn step(&self) -> Step {
        Step::new(format!("chroot(\"{}\")", self.path), &self.why)
            .shell(format!("chroot {} sh", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        nix::unistd::chroot(path.as_str())
            .tried(|| format!("chroot({path:?})"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EPERM) => {
                    error.hint("chroot needs CAP_SYS_CHROOT, which this process has not got.")
                }
                Some(Errno::EACCES) => {
                    error.hint("Every directory on the way there must let you in.")
                }
                Some(Errno::ENOTDIR) => error.hint("Only a directory can become `/`."),
                _ => error,
            })
            .map(|()| "0".to_owned())
    }
}

/// unshare(2): this process leaves namespaces that it shared with its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unshare {
    /// `user`, `mnt`, ...
    pub namespaces: Vec<String>,
    /// Why.
    pub why: String,
}

impl Operation for Unshare {
    fn step(&self) -> Step {
        let options = self.namespaces.iter().map(|name| match name.as_str() {
            "mnt" => "--mount".to_owned(),
            "user" => "--user --map-root-user".to_owned(),
            name => format!("--{name}"),
        });
        Step::new(format!("unshare({})", clone::flags(&self.namespaces).0), &self.why)
            .shell(format!("unshare {} sh", options.collect::<Vec<_>>().join(" ")))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let (text, number) = clone::flags(&self.namespaces);
        nix::sched::unshare(CloneFlags::from_bits_retain(number))
            .tried(|| format!("unshare({text})"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EPERM) => error.hint(
                    "Something forbids new namespaces here; `under-the-hood doctor` finds out what, and how to allow it.",
                ),
                Some(Errno::ENOSPC) => error.hint(
                    "ENOSPC is not about a disk here: the limit in /proc/sys/user/max_*_namespaces is reached.",
                ),
                _ => error,
            })
            .map(|()| "0".to_owned())
    }
}

/// chdir(2) to `..`, again and again: up to wherever there is no more up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClimbUp {
    /// How often.
    pub times: u32,
}

impl Operation for ClimbUp {
    fn step(&self) -> Step {
        Step::new(
            format!("chdir(\"..\") {} times", self.times),
            "`..` stops only at this process's root; a working directory outside of it never meets that",
        )
        .shell("cd ../../../../../../../..")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        (0..self.times)
            .try_for_each(|_| nix::unistd::chdir(".."))
            .tried(|| "chdir(\"..\")")
            .map(|()| "0".to_owned())
    }
}

/// stat(2) of `/`: which directory it is for this process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookAtRoot {
    /// Why.
    pub why: String,
}

impl Operation for LookAtRoot {
    fn step(&self) -> Step {
        Step::new("stat(\"/\")", &self.why).shell("stat -c 'inode %i of device %d' /")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        root_of_this_process()
    }
}

/// Which directory `/` is for us.
pub fn root_of_this_process() -> Result<String> {
    let stat = rustix::fs::stat("/").tried(|| "stat(\"/\")")?;
    Ok(format!("inode {} of device {}", stat.st_ino, stat.st_dev))
}

/// Goes on only in a mount namespace other than the one named: whatever comes
/// after it must not happen on the machine itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnlyInSandbox {
    /// What `/proc/self/ns/mnt` of the launcher says.
    pub outside: String,
}

impl Operation for OnlyInSandbox {
    fn step(&self) -> Step {
        Step::new(
            "readlink(\"/proc/self/ns/mnt\")",
            "what follows is done in a mount namespace of its own, or not at all",
        )
        .shell("readlink /proc/self/ns/mnt")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let inside =
            std::fs::read_link("/proc/self/ns/mnt").tried(|| "readlink(\"/proc/self/ns/mnt\")")?;
        let inside = inside.to_string_lossy().into_owned();
        match self.outside.is_empty() || inside == self.outside {
            true => Err(Error::new("showing an escape")
                .said("this is not a mount namespace of its own")
                .hint("Nothing was done. Please report this: it should never happen.")),
            false => Ok(inside),
        }
    }
}
