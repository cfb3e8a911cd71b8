//! Which container a process belongs to, by what the kernel shows of it: its
//! cgroup's path and the command lines of its ancestors. No engine is asked,
//! so this works for any of them, and when none of them runs. What only the engine
//! knows (the name of a container of Docker's, images, ports) is added by [`state`].

mod ancestors;
mod cgroup_path;
pub mod drive;
mod found;
pub mod reach;
pub mod state;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use found::{Engine, Found};

use super::registry::{self, Container};
use crate::kernel::namespace::{Ids, Kind, of_process};
use crate::kernel::process::{self, Brief};

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

    /// Where it reads of processes.
    pub fn proc(&self) -> &Path {
        &self.proc
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
                (found::combined(found, other), format!("cgroup {path}, {evidence}"))
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
            let Some(found) = self.monitor(pid) else { continue };
            let relation = if pid == chain[0] { "it is" } else { "ancestor" };
            let comm = self.brief(pid).map_or(String::new(), |brief| brief.comm.clone());
            return Some((found, format!("{relation} {comm} (pid {pid})")));
        }
        None
    }

    /// The container that a process looks after, if it is a monitor.
    fn monitor(&mut self, pid: i32) -> Option<Found> {
        let comm = self.brief(pid)?.comm.clone();
        ancestors::promising(&comm).then_some(())?;
        ancestors::engine(&comm, self.arguments_of(pid))
    }

    /// The command line of a process, read once.
    fn arguments_of(&mut self, pid: i32) -> &[String] {
        let proc = &self.proc;
        self.arguments.entry(pid).or_insert_with(|| process::arguments(proc, pid))
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
