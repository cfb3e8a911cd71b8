//! Names for network namespaces, as ip-netns(8) gives them: a file in
//! /run/netns with the namespace mounted on it. The mount is also what keeps
//! the namespace alive when its last process has ended.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, linkat, openat, statat, unlinkat};
use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Identity};
use crate::error::{Context, Result};
use crate::kernel::namespace::number_of;
use crate::kernel::op::{Operation, Slots, World};
use crate::kernel::undo::Undone;
use crate::lock::{FlockOperation, lock};
use crate::step::Step;

/// The descriptor of the namespace that operations here are about.
pub const NET: &str = "net";
const LOCK: &str = "lock";
const NAME: &str = "name";

/// Takes the lock that `ip netns` takes too: flock(2) on the directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LockNames {
    /// /run/netns
    pub directory: String,
}

impl Operation for LockNames {
    fn step(&self) -> Step {
        Step::new(
            format!("flock(open(\"{}\"), LOCK_EX)", self.directory),
            "`ip netns add` takes the same lock: nobody else changes the names meanwhile",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let lock = lock(Path::new(&self.directory), FlockOperation::LockExclusive)?;
        world.fds.insert(LOCK.to_owned(), lock.into());
        Ok("0".to_owned())
    }
}

/// A file without a name, for the namespace to be mounted on. Its inode is
/// written down before it gets one: so it can be told from any other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewNameFile {
    /// Where its name is going to be.
    pub path: String,
    /// The namespace's number.
    pub namespace: u64,
}

impl Operation for NewNameFile {
    fn step(&self) -> Step {
        let directory = self.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        Step::new(
            format!("openat(AT_FDCWD, \"{directory}\", O_TMPFILE|O_WRONLY, 0)"),
            "something to mount on; a file without a name yet, so that it never stands there half made",
        )
        .shell(format!("touch {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        let directory = Path::new(&path).parent().unwrap_or(Path::new("/"));
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(CWD, directory, flags, Mode::empty())
            .tried(|| format!("open({directory:?}, O_TMPFILE)"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
                    error.hint("Only root may give names here: use sudo.")
                }
                Some(Errno::EOPNOTSUPP | Errno::EISDIR) => {
                    error.hint("The file system there knows no O_TMPFILE; /run should be a tmpfs.")
                }
                _ => error,
            })?;
        let number = file.as_raw_fd().to_string();
        world.fds.insert(NAME.to_owned(), file);
        Ok(number)
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        let path = slots.fill(&self.path).into();
        Some(Effect::NetnsName { path, namespace: self.namespace })
    }
}

/// The identity of what [`NewNameFile`] has just made.
pub fn identity(world: &World<'_>) -> Result<Identity> {
    let stat = rustix::fs::fstat(world.fd(NAME)?).tried(|| "fstat(name)")?;
    Ok(Identity::Inode { dev: stat.st_dev, ino: stat.st_ino })
}

/// The file gets its name, unless that is taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NameFile {
    /// Its path.
    pub path: String,
}

impl Operation for NameFile {
    fn step(&self) -> Step {
        Step::new(
            format!("link(\"/proc/self/fd/N\", \"{}\")", self.path),
            "now it has its name; if that had been taken meanwhile, this would fail and change nothing",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        let from = format!("/proc/self/fd/{}", world.fd(NAME)?.as_raw_fd());
        linkat(CWD, from, CWD, path.as_str(), AtFlags::SYMLINK_FOLLOW)
            .tried(|| format!("link({path:?})"))?;
        Ok("0".to_owned())
    }
}

/// Mounts the namespace on the file: by its open descriptor, so that it is the
/// one that was looked at, whatever has become of the pid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MountNamespace {
    /// Where it was found: `/proc/4711/ns/net`.
    pub source: String,
    /// The file.
    pub path: String,
}

impl Operation for MountNamespace {
    fn step(&self) -> Step {
        Step::new(
            format!("mount(\"{}\", \"{}\", NULL, MS_BIND, NULL)", self.source, self.path),
            "the namespace itself, on the file: this is what keeps it alive and lets `ip` find it",
        )
        .shell(format!("mount --bind {} {}", self.source, self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        bind(world.fd(NET)?, Path::new(&path))?;
        Ok("0".to_owned())
    }
}

fn bind(namespace: &impl AsRawFd, path: &Path) -> Result<()> {
    let source = format!("/proc/self/fd/{}", namespace.as_raw_fd());
    mount(Some(source.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .tried(|| format!("mount(net, {path:?}, MS_BIND)"))
        .map_err(|error| match error.errno.map(Errno::from_raw) {
            Some(Errno::EPERM) => error.hint("Mounting needs CAP_SYS_ADMIN: use sudo."),
            Some(Errno::EINVAL) => error.hint(
                "The kernel refuses to mount a namespace in a mount namespace that is older or locked.",
            ),
            _ => error,
        })
}

/// setns(2): this process goes into the network namespace, and only into that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnterNet {
    /// Where it was found.
    pub source: String,
}

impl Operation for EnterNet {
    fn step(&self) -> Step {
        Step::new(
            format!("setns(open(\"{}\"), CLONE_NEWNET)", self.source),
            "joins this one namespace: files, processes, users and the host name stay yours",
        )
        .shell(format!("nsenter --net={} sh", self.source))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        setns(world.fd(NET)?, CloneFlags::CLONE_NEWNET)
            .tried(|| format!("setns({:?}, CLONE_NEWNET)", self.source))
            .map_err(|error| match error.is(Errno::EPERM) {
                true => error.hint("It needs CAP_SYS_ADMIN, here and over there: use sudo."),
                false => error,
            })?;
        Ok("0".to_owned())
    }
}

/// setns(2) into the user namespace that the network namespace belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnterOwner;

impl Operation for EnterOwner {
    fn step(&self) -> Step {
        Step::new(
            "setns(ioctl(net, NS_GET_USERNS), CLONE_NEWUSER)",
            "the user namespace that it belongs to: there you have the right to enter it",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let net = File::from(world.fd(NET)?.try_clone().tried(|| "dup(net)")?);
        let user = super::raw::ns_user(&net)
            .tried(|| "ioctl(net, NS_GET_USERNS)")
            .map_err(|error| error.hint("It belongs to somebody else: only root may enter it."))?;
        setns(user, CloneFlags::CLONE_NEWUSER)
            .tried(|| "setns(user, CLONE_NEWUSER)")
            .map_err(|error| error.hint("It belongs to somebody else: only root may enter it."))?;
        Ok("0".to_owned())
    }
}

fn stat(path: &Path) -> Result<Option<Stat>> {
    match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno).tried(|| format!("lstat({path:?})")),
    }
}

fn is(stat: &Stat, identity: &Identity) -> bool {
    matches!(identity, Identity::Inode { dev, ino } if (stat.st_dev, stat.st_ino) == (*dev, *ino))
}

/// The namespace mounted on this path, if it is this one, held open.
fn mounted(path: &Path, namespace: u64) -> Option<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(CWD, path, flags, Mode::empty()).ok()?;
    let same = number_of(&rustix::fs::fstat(&found).ok()?) == Some(namespace);
    same.then(|| File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()).flatten()
}

/// Takes a name away: the mount, then the file, if both are those written
/// down. `identity` is the file's; or the mounted namespace's own, where
/// somebody else made the name and left it to us.
pub fn unname(path: &Path, namespace: u64, identity: &Identity) -> Result<Undone> {
    let Some(before) = stat(path)? else { return Ok(Undone::NotThere) };
    let _lock =
        path.parent().map(|names| lock(names, FlockOperation::LockExclusive)).transpose()?;
    let adopted = is(&before, identity);
    // Propagation can have put it there more than once.
    for _ in 0..4 {
        let Some(net) = mounted(path, namespace) else { break };
        umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .tried(|| format!("umount2({path:?}, MNT_DETACH)"))?;
        let below = stat(path)?;
        let ours = below.is_some_and(|below| {
            adopted || is(&below, identity) || mounted(path, namespace).is_some()
        });
        if !ours {
            // Somebody else gave this very namespace this name, on a file of their own.
            bind(&net, path)?;
            return Ok(Undone::NotThere);
        }
    }
    match stat(path)? {
        Some(now) if is(&now, identity) || (adopted && now.st_size == 0) => {
            unlinkat(CWD, path, AtFlags::empty()).tried(|| format!("unlink({path:?})"))?;
            Ok(Undone::Removed)
        }
        _ => Ok(Undone::NotThere),
    }
}
