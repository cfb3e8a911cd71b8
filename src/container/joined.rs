//! All that the kernel shows of a container, for the joined view: its root file
//! system, cgroup and limits, users, powers. Of a thousand containers at once, so
//! what is common to all of them is read once.

use std::path::{Path, PathBuf};

use super::survey::Seen;
use crate::error::{Error, Result};
use crate::kernel::capability;
use crate::kernel::cgroup::{Group, Hierarchies, Usage};
use crate::kernel::credentials::DOCKER_DEFAULT;
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::overlay::Overlay;
use crate::kernel::process::{self, IdMap, Status};
use crate::kernel::security::{self, Security};

/// What is common to all.
pub struct Reader<'a> {
    proc: &'a Path,
    hierarchies: Result<Hierarchies>,
    /// Our own mounts: by them a path in there is found out here.
    ours: Vec<Mount>,
    /// The cgroup that this machine's first process is in.
    host: String,
}

/// What is read of one. What may be closed to us is a `Result` of its own.
#[derive(Debug)]
pub struct Joined {
    /// What its `/` is.
    pub root: Result<Root>,
    /// Its cgroup.
    pub cgroup: Result<Cgroup>,
    /// Which ids outside stand behind those inside.
    pub uid_map: Result<Vec<IdMap>>,
    /// Capabilities, seccomp, no_new_privs, label.
    pub security: Result<Security>,
}

/// A root file system, as its mount tells.
#[derive(Debug)]
pub struct Root {
    /// `overlay`, `ext4`, `tmpfs`.
    pub kind: String,
    /// The directories that an overlay is merged from.
    pub overlay: Option<Overlay>,
    /// Where the same directory is out here, if it is to be seen.
    pub path: Option<PathBuf>,
    /// Nothing in it can be changed.
    pub read_only: bool,
}

/// A cgroup and what it allows.
#[derive(Debug)]
pub struct Cgroup {
    /// Its path.
    pub path: String,
    /// It is the group of the machine's own processes: what it allows is nobody's limit.
    pub hosts: bool,
    /// Limits and use.
    pub usage: Usage,
}

impl<'a> Reader<'a> {
    /// Reads what is common; `host` is the process that stands for the machine.
    pub fn new(proc: &'a Path, host: i32) -> Self {
        let hierarchies = Hierarchies::read(proc);
        let group = hierarchies.as_ref().ok().and_then(|all| Group::of(all, proc, host).ok());
        Self {
            proc,
            ours: mountinfo::list(proc, std::process::id().cast_signed()).unwrap_or_default(),
            host: group.map_or_else(|| "/".to_owned(), |group| group.path),
            hierarchies,
        }
    }

    /// Reads one container.
    pub fn read(&self, seen: &Seen) -> Joined {
        let (proc, pid) = (self.proc, seen.pid);
        let security = |status| security::of_process(proc, pid, &status);
        Joined {
            root: self.root(pid),
            cgroup: self.cgroup(pid),
            uid_map: process::id_map(proc, pid, "uid_map"),
            security: Status::read(proc, pid).map(security),
        }
    }

    fn cgroup(&self, pid: i32) -> Result<Cgroup> {
        let hierarchies = self.hierarchies.as_ref().map_err(Error::clone)?;
        let group = Group::of(hierarchies, self.proc, pid)?;
        let hosts = group.path == self.host || group.path == "/";
        let group = group.own();
        Ok(Cgroup { usage: group.usage(), path: group.path, hosts })
    }

    fn root(&self, pid: i32) -> Result<Root> {
        let mounts = mountinfo::list(self.proc, pid)?;
        let at_root = |mount: &&Mount| mount.mount_point == Path::new("/");
        let Some(mount) = mounts.iter().rev().find(at_root) else {
            return Err(Error::new(format!("finding the mount at the root of process {pid}"))
                .said("it is in a directory that is no mount of its own"));
        };
        let overlay = Overlay::of(mount).or_else(|| Overlay::of_fuse(self.proc, mount));
        Ok(Root {
            kind: mount.fs_type.clone(),
            path: if overlay.is_some() { None } else { self.out_here(mount) },
            overlay,
            read_only: mount.options.split(',').any(|option| option == "ro"),
        })
    }

    /// The directory that is mounted there, by a mount of ours that it is in too.
    fn out_here(&self, mount: &Mount) -> Option<PathBuf> {
        let here = self.ours.iter().filter(|ours| ours.device == mount.device);
        let here = here.filter_map(|ours| Some((ours, mount.root.strip_prefix(&ours.root).ok()?)));
        let (ours, below) = here.max_by_key(|(ours, _)| ours.root.as_os_str().len())?;
        Some(if below.as_os_str().is_empty() {
            ours.mount_point.clone()
        } else {
            ours.mount_point.join(below)
        })
    }
}

/// A set of capabilities beside docker's default: what it has beyond, and what it lacks of it.
pub fn beside_the_default(set: u64) -> (Vec<String>, Vec<String>) {
    let default = DOCKER_DEFAULT.iter().filter_map(|name| capability::number(name));
    let default = default.fold(0u64, |set, number| set | 1 << number);
    (capability::names(set & !default), capability::names(default & !set))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_told_beside_dockers() {
        assert_eq!(beside_the_default(0xa804_25fb), (vec![], vec![]));
        let (beyond, below) = beside_the_default((0xa804_25fb | 1 << 21) & !(1 << 13));
        assert_eq!((beyond, below), (vec!["CAP_SYS_ADMIN".into()], vec!["CAP_NET_RAW".into()]));
    }

    #[test]
    fn our_own_root_is_where_it_is() {
        let proc = Path::new("/proc");
        let reader = Reader::new(proc, std::process::id().cast_signed());
        let root = reader.root(std::process::id().cast_signed()).expect("our root");
        if root.overlay.is_none() {
            assert_eq!(root.path.as_deref(), Some(Path::new("/")));
        }
    }
}
