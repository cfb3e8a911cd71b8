//! Which container a process belongs to, by what the kernel shows of it: its
//! cgroup's path and the command lines of its ancestors. No engine is asked,
//! so this works for any of them, and when none of them runs. What only the engine
//! knows (the name of a container of Docker's, images, ports) is added by [`state`].

mod ancestors;
mod cgroup_path;
pub mod drive;
pub mod state;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::registry::{self, Container};
use crate::kernel::namespace::{Ids, Kind, of_process};
use crate::kernel::process::{self, Brief};

/// What starts containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This program.
    UnderTheHood,
    /// Docker.
    Docker,
    /// containerd, by `ctr` or `nerdctl`.
    Containerd,
    /// Kubernetes, by whichever runtime.
    Kubernetes,
    /// Podman.
    Podman,
    /// LXC, LXD and Incus.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// bubblewrap, and so Flatpak.
    Bwrap,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::UnderTheHood,
        Self::Docker,
        Self::Containerd,
        Self::Kubernetes,
        Self::Podman,
        Self::Lxc,
        Self::Nspawn,
        Self::Bwrap,
    ];

    /// What stands before the colon in `ENGINE:NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnderTheHood => "under-the-hood",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Kubernetes => "kubernetes",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Bwrap => "bwrap",
        }
    }
}

/// A container, as far as the kernel tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Found {
    /// What started it.
    pub engine: Engine,
    /// Its id, where a cgroup or a command line has it.
    pub id: Option<String>,
    /// Its name, likewise.
    pub name: Option<String>,
}

impl Found {
    /// `docker:3564a12dd942`, `lxc:web`; `bwrap` where there is neither.
    pub fn label(&self) -> String {
        let engine = self.engine.name();
        match (&self.name, &self.id) {
            (Some(name), _) => format!("{engine}:{name}"),
            (None, Some(id)) => format!("{engine}:{}", short(id)),
            (None, None) => engine.to_owned(),
        }
    }

    /// Whether both are the same container: one may know more of it than the other.
    pub fn same(&self, other: &Self) -> bool {
        let equal = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        self.engine == other.engine
            && (self == other || equal(&self.id, &other.id) || equal(&self.name, &other.name))
    }
}

/// The first twelve of the 64 hexadecimal digits that engines use.
fn short(id: &str) -> &str {
    let hexadecimal = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { &id[..12] } else { id }
}

/// Whom a process or a namespace belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The machine itself.
    Host,
    /// A container.
    Container(Found),
    /// Neither the machine's, nor any known engine's.
    Unknown,
}

impl Owner {
    /// `host`, a container's label, or `unknown`.
    pub fn label(&self) -> String {
        match self {
            Self::Host => "host".to_owned(),
            Self::Container(found) => found.label(),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

/// An owner and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whose it is.
    pub owner: Owner,
    /// By which sign: `cgroup /docker/3564…`.
    pub evidence: String,
}

/// Which namespaces are the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its namespaces.
    pub ids: Ids,
    /// The process they were read from.
    pub pid: i32,
    /// What that process is: `pid 1`, `pid 2 (kthreadd)`, `this command`.
    pub what: &'static str,
}

impl Host {
    /// The namespaces of pid 1; where that is closed to us those of the
    /// kernel's own threads, and where they are closed too, ours.
    pub fn find(proc: &Path) -> crate::error::Result<Self> {
        let readable = |pid| of_process(proc, pid).ok().filter(|ids| ids.iter().next().is_some());
        if let Some(ids) = readable(1) {
            return Ok(Self { ids, pid: 1, what: "pid 1" });
        }
        let kthreadd =
            process::brief(proc, 2).filter(|two| two.comm == "kthreadd" && two.ppid == 0);
        if let Some(ids) = kthreadd.and_then(|_| readable(2)) {
            return Ok(Self { ids, pid: 2, what: "pid 2 (kthreadd)" });
        }
        let pid = std::process::id().cast_signed();
        Ok(Self { ids: of_process(proc, pid)?, pid, what: "this command" })
    }
}

/// A container of ours and the namespaces of its first process.
struct Ours {
    container: Container,
    ids: Ids,
}

/// Finds owners and remembers what it read of ancestors on the way.
pub struct Detective {
    proc: PathBuf,
    host: Host,
    ours: Vec<Ours>,
    briefs: HashMap<i32, Option<Brief>>,
    arguments: HashMap<i32, Vec<String>>,
    verdicts: HashMap<(i32, Ids), Verdict>,
    host_cgroups: Vec<String>,
}

impl Detective {
    /// Starts work on `proc`; reads which containers of ours are running.
    pub fn new(proc: &Path) -> crate::error::Result<Self> {
        let host = Host::find(proc)?;
        let with_ids = |container: Container| Ours {
            ids: of_process(proc, container.pid).unwrap_or_default(),
            container,
        };
        let host_cgroups = cgroup_path::of(proc, host.pid);
        Ok(Self {
            host,
            // A registry that cannot be read only means that names are missing.
            ours: registry::list().unwrap_or_default().into_iter().map(with_ids).collect(),
            briefs: HashMap::new(),
            arguments: HashMap::new(),
            verdicts: HashMap::new(),
            host_cgroups,
            proc: proc.to_owned(),
        })
    }

    /// Which namespaces it takes for the host's.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The containers of ours that are running.
    pub fn ours(&self) -> impl Iterator<Item = &Container> {
        self.ours.iter().map(|ours| &ours.container)
    }

    /// Whom a process with these namespaces belongs to. Asked again (one process
    /// can hold a thousand namespaces), it reads nothing again.
    pub fn owner(&mut self, pid: i32, ids: &Ids) -> Verdict {
        if let Some(known) = self.verdicts.get(&(pid, *ids)) {
            return known.clone();
        }
        let verdict = self.find_owner(pid, ids);
        self.verdicts.insert((pid, *ids), verdict.clone());
        verdict
    }

    fn find_owner(&mut self, pid: i32, ids: &Ids) -> Verdict {
        if ids.iter().all(|id| self.host.ids.get(id.kind) == Some(id)) {
            return Verdict {
                owner: Owner::Host,
                evidence: "shares all its namespaces".to_owned(),
            };
        }
        self.claimed(pid, ids).unwrap_or_else(|| self.of_nobody(pid, ids))
    }

    /// The container that a process belongs to, if an engine's sign is on it.
    /// All but the namespaces may be read of everybody's processes.
    pub fn claimed(&mut self, pid: i32, ids: &Ids) -> Option<Verdict> {
        let chain = self.chain(pid);
        if let Some(verdict) = self.registered(&chain, ids) {
            return Some(verdict);
        }
        let by_path = self.path(pid);
        let by_ancestor = self.by_ancestor(&chain);
        let (found, evidence) = match (by_path, by_ancestor) {
            (Some((found, path)), Some((other, evidence))) => {
                (combined(found, other), format!("cgroup {path}, {evidence}"))
            }
            (Some((found, path)), None) => (found, format!("cgroup {path}")),
            (None, other) => other?,
        };
        Some(Verdict { owner: Owner::Container(found), evidence })
    }

    /// The container that a process is of by its cgroup alone.
    pub fn by_cgroup(&self, pid: i32) -> Option<Verdict> {
        let (found, path) = self.path(pid)?;
        Some(Verdict { owner: Owner::Container(found), evidence: format!("cgroup {path}") })
    }

    fn path(&self, pid: i32) -> Option<(Found, String)> {
        let paths = self.cgroups(pid).into_iter();
        paths.filter_map(|path| Some((cgroup_path::engine(&path)?, path))).next()
    }

    /// The systemd service that a process is of, where it has a user
    /// namespace in common with the host.
    pub fn service(&self, pid: i32, ids: &Ids) -> Option<String> {
        let paths = self.cgroups(pid);
        let unit = paths.iter().find_map(|path| cgroup_path::service(path))?;
        (!self.own_user_namespace(ids)).then(|| unit.to_owned())
    }

    fn own_user_namespace(&self, ids: &Ids) -> bool {
        ids.get(Kind::User) != self.host.ids.get(Kind::User)
    }

    /// The cgroups of a process. What the host itself runs in (when it is a
    /// container) says nothing of who is inside of it.
    fn cgroups(&self, pid: i32) -> Vec<String> {
        let mut paths = cgroup_path::of(&self.proc, pid);
        paths.retain(|path| !self.host_cgroups.contains(path));
        paths
    }

    /// The process and its ancestors, the process first.
    pub fn chain(&mut self, pid: i32) -> Vec<i32> {
        let mut chain = vec![pid];
        let mut at = pid;
        while let Some(brief) = self.brief(at) {
            let parent = brief.ppid;
            if parent <= 0 || chain.contains(&parent) {
                break;
            }
            chain.push(parent);
            at = parent;
        }
        chain
    }

    /// What was read of a process, once.
    pub fn brief(&mut self, pid: i32) -> Option<&Brief> {
        let proc = &self.proc;
        self.briefs.entry(pid).or_insert_with(|| process::brief(proc, pid)).as_ref()
    }

    /// Ours: it descends from the first process of a container that `run` wrote
    /// down, or is in its pid or mount namespace (what `exec` started, and the
    /// process that waits for that).
    fn registered(&mut self, chain: &[i32], ids: &Ids) -> Option<Verdict> {
        let own = |ids: &Ids, kind| ids.get(kind).filter(|id| self.host.ids.get(kind) != Some(*id));
        let joined =
            |ours: &Ours, kind| own(ids, kind).is_some_and(|id| Some(id) == own(&ours.ids, kind));
        let ours = self.ours.iter().find(|ours| {
            chain.contains(&ours.container.pid)
                || joined(ours, Kind::Pid)
                || joined(ours, Kind::Mnt)
        })?;
        let Container { id, name, pid, .. } = &ours.container;
        let found =
            Found { engine: Engine::UnderTheHood, id: Some(id.clone()), name: Some(name.clone()) };
        let first = *pid;
        let shim = self.brief(first).map_or(0, |brief| brief.ppid);
        Some(Verdict {
            owner: Owner::Container(found),
            evidence: format!("its first process is pid {first}, its shim pid {shim}"),
        })
    }

    fn by_ancestor(&mut self, chain: &[i32]) -> Option<(Found, String)> {
        for &pid in chain {
            let Some(comm) = self.brief(pid).map(|brief| brief.comm.clone()) else { continue };
            if !ancestors::promising(&comm) {
                continue;
            }
            let proc = &self.proc;
            let arguments =
                self.arguments.entry(pid).or_insert_with(|| process::arguments(proc, pid));
            if let Some(found) = ancestors::engine(&comm, arguments) {
                let relation = if pid == chain[0] { "it is" } else { "ancestor" };
                return Some((found, format!("{relation} {comm} (pid {pid})")));
            }
        }
        None
    }

    /// Not of any container we know of: a kernel thread or a service with a
    /// namespace of its own is the host's; anything else stays unknown.
    fn of_nobody(&mut self, pid: i32, ids: &Ids) -> Verdict {
        let host = |evidence: String| Verdict { owner: Owner::Host, evidence };
        if self.chain(pid).last() == Some(&2) {
            return host("a kernel thread".to_owned());
        }
        if let Some(unit) = self.service(pid, ids) {
            return host(format!("systemd unit {unit}"));
        }
        let own_user_namespace = self.own_user_namespace(ids);
        let mut evidence = "no engine's sign in its cgroup or ancestors".to_owned();
        if let Some(path) = self.cgroups(pid).iter().find(|path| path.as_str() != "/") {
            evidence = format!("{evidence}; cgroup {path}");
        }
        if let Ok(map) = process::id_map(&self.proc, pid, "uid_map")
            && own_user_namespace
        {
            let ranges: Vec<_> =
                map.iter().map(|r| format!("{} {} {}", r.inside, r.outside, r.count)).collect();
            evidence = format!("{evidence}; uid map {}", ranges.join(", "));
        }
        Verdict { owner: Owner::Unknown, evidence }
    }
}

/// What two signs say together: of one engine, the cgroup has the id and the
/// monitor the name. Of two, one runs inside the other (bubblewrap in a
/// container of Docker's, say), and the nearest ancestor is the inner one.
fn combined(by_path: Found, by_ancestor: Found) -> Found {
    if by_path.engine != by_ancestor.engine {
        return by_ancestor;
    }
    Found {
        engine: by_path.engine,
        id: by_path.id.or(by_ancestor.id),
        name: by_ancestor.name.or(by_path.name),
    }
}
