//! Two processes or containers side by side: which namespaces they share, what
//! one may do and the other not, what limits each.
//!
//! Everything is read of both in the same way, and what may be closed to us is
//! a `Result`: one closed part does not hide the others.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::engines::{Detective, Owner};
use super::target::Target;
use crate::error::{Context, Error, Result};
use crate::kernel::cgroup::{self, Controller};
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::namespace::{self, Id, Ids, Kind, Namespace};
use crate::kernel::netlink::links::{self, Link};
use crate::kernel::netlink::{Protocol, inside};
use crate::kernel::process::{self, IdMap, Limit, Status};
use crate::kernel::security::{self, Security};

/// One of the two.
pub struct Side {
    /// As it is called in sentences: `box`, `pid 4711`, `this program`.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// Whose it is, where its namespaces tell.
    pub owner: Option<Owner>,
    /// What it runs.
    pub command: String,
    /// Effective user id, as we count.
    pub uid: Option<u32>,
    /// Its namespaces; none where they are closed to us.
    pub ids: Ids,
    /// Its root directory.
    pub root: Result<Root>,
    /// Which ids outside stand behind those inside.
    pub uid_map: Result<Vec<IdMap>>,
    /// The same for groups.
    pub gid_map: Result<Vec<IdMap>>,
    /// Capabilities, seccomp, no_new_privs, label.
    pub security: Security,
    /// Its cgroups, with what they allow.
    pub cgroups: Result<Vec<Controller>>,
    /// Its resource limits (getrlimit(2)).
    pub limits: Result<Vec<Limit>>,
    /// What is mounted in its sight.
    pub mounts: Result<Vec<Mount>>,
    /// Its network interfaces, each with its addresses: `eth0 172.17.0.2/16`.
    pub interfaces: Result<Vec<String>>,
}

/// A root directory, and the mount it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Device and inode: two that are equal are one directory.
    pub identity: (u64, u64),
    /// Its path as far as we can see one.
    pub path: String,
    /// What is mounted there.
    pub mount: Option<Mount>,
}

impl Side {
    /// Reads all that is compared.
    pub fn look(
        proc: &Path,
        text: &str,
        target: &Target,
        detective: &mut Detective,
    ) -> Result<Self> {
        let pid = target.pid;
        let status = Status::read(proc, pid)?;
        let ids = namespace::of_process(proc, pid)?;
        // Where it was found by its name, the name is known.
        let named = target.container.clone().map(Owner::Container);
        let seen = ids.iter().next().is_some().then(|| detective.owner(pid, &ids).owner);
        let owner = named.or(seen);
        let mounts = mountinfo::list(proc, pid);
        Ok(Self {
            name: match (text, &target.container) {
                ("self", None) => "this program".to_owned(),
                ("host", None) => "the host".to_owned(),
                (_, None) => format!("pid {pid}"),
                (_, Some(_)) => text.to_owned(),
            },
            pid,
            owner,
            command: process::command(proc, pid, status.field("Name").unwrap_or_default()),
            uid: status.uid(),
            ids,
            root: root(proc, pid, mounts.as_ref()),
            interfaces: interfaces(proc, pid),
            mounts,
            uid_map: process::id_map(proc, pid, "uid_map"),
            gid_map: process::id_map(proc, pid, "gid_map"),
            security: security::of_process(proc, pid, &status),
            cgroups: cgroup::of_process(proc, pid),
            limits: process::limits(proc, pid),
        })
    }

    /// The parts that are closed to us, each with the call that failed.
    pub fn closed(&self) -> Vec<(&'static str, String)> {
        let namespaces = self.ids.iter().next().is_none();
        let call = || format!("readlink(\"/proc/{}/ns/…\"): EACCES", self.pid);
        let parts = [
            ("root", self.root.as_ref().err()),
            ("uid_map", self.uid_map.as_ref().err()),
            ("gid_map", self.gid_map.as_ref().err()),
            ("cgroups", self.cgroups.as_ref().err()),
            ("limits", self.limits.as_ref().err()),
            ("mounts", self.mounts.as_ref().err()),
            ("interfaces", self.interfaces.as_ref().err()),
        ];
        let parts =
            parts.into_iter().filter_map(|(part, error)| Some((part, error?.tried.clone())));
        namespaces.then(|| ("namespaces", call())).into_iter().chain(parts).collect()
    }

    /// What is covered in its /proc and /sys, so that it is not seen.
    pub fn masked(&self) -> Result<Vec<String>> {
        let covers = |mount: &&Mount| {
            let point = &mount.mount_point;
            let empty = mount.fs_type == "tmpfs" || mount.root == Path::new("/null");
            let inside = |top: &str| point.starts_with(top) && point != Path::new(top);
            // cgroup v1 has a tmpfs for its hierarchies.
            empty && (inside("/proc") || inside("/sys")) && !point.starts_with("/sys/fs/cgroup")
        };
        self.mount_points(covers)
    }

    /// What of its /proc and /sys can only be read.
    pub fn read_only(&self) -> Result<Vec<String>> {
        let read_only = |mount: &&Mount| {
            let kernels = matches!(mount.fs_type.as_str(), "proc" | "sysfs");
            kernels && mount.options.split(',').any(|option| option == "ro")
        };
        self.mount_points(read_only)
    }

    fn mount_points(&self, which: impl FnMut(&&Mount) -> bool) -> Result<Vec<String>> {
        let mounts = self.mounts.as_ref().map_err(Error::clone)?;
        let found = mounts.iter().filter(which);
        let mut paths: Vec<_> = found.map(|m| process::path_text(&m.mount_point)).collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }

    /// A set of capabilities by its name.
    pub fn capabilities(&self, set: &str) -> u64 {
        let sets = self.security.capabilities.iter();
        sets.filter(|(name, _)| *name == set).map(|(_, mask)| *mask).next().unwrap_or(0)
    }
}

fn root(proc: &Path, pid: i32, mounts: Result<&Vec<Mount>, &Error>) -> Result<Root> {
    let link = proc.join(format!("{pid}/root"));
    let path = std::fs::read_link(&link).tried(|| format!("readlink({link:?})"))?;
    let metadata = std::fs::metadata(&link).tried(|| format!("stat({link:?})"))?;
    let mounts = mounts.map_err(Error::clone)?;
    Ok(Root {
        identity: (metadata.dev(), metadata.ino()),
        path: process::path_text(&path),
        mount: mounts.iter().rev().find(|m| m.mount_point == Path::new("/")).cloned(),
    })
}

/// Must be called while the program has one thread.
fn interfaces(proc: &Path, pid: i32) -> Result<Vec<String>> {
    let net = super::network::place::of_process(proc, pid)?;
    let socket = inside::socket_in(&net.file, Protocol::Route)?;
    let words = |link: &Link| {
        let addresses = link.addresses.iter().map(ToString::to_string);
        std::iter::once(link.name.clone()).chain(addresses).collect::<Vec<_>>().join(" ")
    };
    Ok(links::list(&socket)?.iter().map(words).collect())
}

/// How the namespaces of one type lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is one namespace.
    Shared,
    /// Two, and neither is inside the other.
    Apart,
    /// The first one's lies inside the second one's (pid and user namespaces only).
    Inside,
    /// The other way round.
    Around,
    /// At least one of them is closed to us, or this kernel has no such type.
    Unknown,
}

/// One type, on both sides.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// The type.
    pub kind: Kind,
    /// The first one's.
    pub a: Option<Id>,
    /// The second one's.
    pub b: Option<Id>,
    /// How they lie to each other.
    pub relation: Relation,
}

/// All eight types of two processes.
pub fn namespaces(proc: &Path, a: &Side, b: &Side) -> Vec<Pair> {
    let held = |side: &Side| -> Vec<Namespace> {
        let nested = side.ids.iter().filter(|id| matches!(id.kind, Kind::Pid | Kind::User));
        let pids = vec![side.pid];
        let of = |id| Namespace { id, processes: 1, pids: pids.clone(), holders: Vec::new() };
        nested.map(of).collect()
    };
    let families = namespace::families(proc, &[held(a), held(b)].concat());
    // Whether `inner` has `outer` among its parents. A chain is 32 long at most (namespaces(7)).
    let inside = |inner: Id, outer: Id| {
        let parent = |id: &Id| families.get(id)?.parent;
        std::iter::successors(Some(inner), parent).skip(1).take(64).any(|id| id == outer)
    };
    let pair = |kind| {
        let (a, b) = (a.ids.get(kind), b.ids.get(kind));
        let relation = match (a, b) {
            (Some(a), Some(b)) if a == b => Relation::Shared,
            (Some(a), Some(b)) if inside(a, b) => Relation::Inside,
            (Some(a), Some(b)) if inside(b, a) => Relation::Around,
            (Some(_), Some(_)) => Relation::Apart,
            _ => Relation::Unknown,
        };
        Pair { kind, a, b, relation }
    };
    Kind::ALL.map(pair).into()
}

/// The limits that differ between two lists.
pub fn differing<'a>(a: &'a [Limit], b: &'a [Limit]) -> Vec<(&'a Limit, &'a Limit)> {
    let other = |limit: &Limit| b.iter().find(|other| other.name == limit.name);
    a.iter().filter_map(|limit| Some((limit, other(limit)?))).filter(|(a, b)| a != b).collect()
}
