//! What this machine offers a container, looked at before anything is planned,
//! so that a plan has no branches.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;

use crate::container::tried::{self, Known};
use crate::error::{Context, Result};
use crate::kernel::probe;
use crate::kernel::raw;
use crate::kernel::user::{self, Kind, Range};

/// Paths in /proc and /sys that docker hides from a container: they tell about
/// the host, or belong to it.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths in /proc that docker makes read-only: writing there is felt outside.
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The facts that a plan depends on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where our own program is.
    pub binary: PathBuf,
    /// The id maps of a new user namespace, when one is needed: without
    /// CAP_SYS_ADMIN it is what gives the right to all other namespaces.
    pub user: Option<UserMap>,
    /// Whether the mount namespace belongs to our user namespace: the right to mount in it.
    pub owns_mounts: bool,
    /// Whether groups may be dropped: not where an ordinary user mapped them.
    pub setgroups: bool,
    /// What is masked, and whether it is a directory.
    pub masked: Vec<(String, bool)>,
    /// What is made read-only.
    pub read_only: Vec<String>,
    /// What can be had of that which can be done without: overlayfs, a mount of our binary.
    pub tried: Known,
    /// What /etc/resolv.conf says.
    pub name_servers: String,
}

/// Who is who in a new user namespace.
#[derive(Debug, Clone)]
pub struct UserMap {
    /// The maps for users and for groups.
    pub maps: [(Kind, Vec<Range>, Option<PathBuf>); 2],
    /// Whether more than one id is mapped.
    pub full: bool,
    /// Whether root in there is nobody out here: neither root nor a user of this machine.
    pub nobody: bool,
}

impl UserMap {
    /// Only root is mapped, to whom we are: nobody else is there.
    pub fn only_root(&mut self) {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        self.maps = [
            (Kind::Uid, user::root_and(uid, &[]), None),
            (Kind::Gid, user::root_and(gid, &[]), None),
        ];
        self.full = false;
    }
}

impl Machine {
    /// Looks at this machine. Changes nothing.
    pub fn look() -> Result<Self> {
        let binary = std::env::current_exe().tried(|| "readlink(\"/proc/self/exe\")")?;
        let capabilities = rustix::thread::capabilities(None).tried(|| "capget()")?;
        let user = (!capabilities.effective.contains(CapabilitySet::SYS_ADMIN)).then(user_map);
        let masked = MASKED.iter().filter_map(|path| {
            let metadata = Path::new(path).metadata().ok()?;
            Some(((*path).to_owned(), metadata.is_dir()))
        });
        let read_only = READ_ONLY.iter().filter(|path| Path::new(path).exists());
        let setgroups = match &user {
            Some(user) => user.full,
            None => setgroups_allowed("self"),
        };
        Ok(Self {
            setgroups,
            owns_mounts: owns_mounts().unwrap_or(false),
            tried: tried::look(user.is_some(), &binary),
            name_servers: std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
            binary,
            user,
            masked: masked.collect(),
            read_only: read_only.map(|path| (*path).to_owned()).collect(),
        })
    }
}

impl Machine {
    /// Whether the watcher can be our program executed from a mount of its own
    /// that nobody can write to, and what it clones with it: in a user namespace of
    /// the container's, its first process needs a mount made in there.
    pub fn seals_the_watcher(&self) -> bool {
        self.user.is_none() && self.owns_mounts && self.tried.liked.binary_mount
    }

    /// Whether containers get a user namespace in which root is nobody out here.
    pub fn nobody(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.nobody)
    }
}

fn owns_mounts() -> Option<bool> {
    let mounts = File::open("/proc/self/ns/mnt").ok()?;
    let owner = raw::ns_user(&mounts).ok()?.metadata().ok()?;
    Some(owner.ino() == std::fs::metadata("/proc/self/ns/user").ok()?.ino())
}

fn user_map() -> UserMap {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let name = nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name);
    let ranges = |file: &str| user::subordinate(Path::new(file), name.as_deref(), uid);
    let (uids, gids) = (ranges("/etc/subuid"), ranges("/etc/subgid"));
    let helpers = (helper("newuidmap"), helper("newgidmap"));
    if let (Some(newuidmap), Some(newgidmap), false, false) =
        (helpers.0, helpers.1, uids.is_empty(), gids.is_empty())
    {
        return UserMap {
            maps: [
                (Kind::Uid, user::root_and(uid, &uids), Some(newuidmap)),
                (Kind::Gid, user::root_and(gid, &gids), Some(newgidmap)),
            ],
            full: true,
            nobody: false,
        };
    }
    UserMap {
        maps: [
            (Kind::Uid, user::root_and(uid, &[]), None),
            (Kind::Gid, user::root_and(gid, &[]), None),
        ],
        full: false,
        nobody: false,
    }
}

/// What /proc/PID/setgroups says of a process's user namespace.
pub fn setgroups_allowed(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/setgroups"))
        .is_ok_and(|text| text.trim() == "allow")
}

/// newuidmap or newgidmap, if executing it gives the privilege that it needs.
fn helper(name: &str) -> Option<PathBuf> {
    program(name).filter(|path| probe::privilege(path).is_some())
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}
