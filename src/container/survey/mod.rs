//! Every container on the machine in one view, and what else has namespaces of
//! its own without being one: a browser's sandbox, a service of systemd's, a
//! process that somebody gave a network of its own.
//!
//! The kernel knows no containers. What it shows is which processes have which
//! namespaces in common, who started them, and in which cgroup they are; a
//! container is what those signs say together.

mod closed;

use std::path::Path;

use super::engines::{Detective, Engine, Found, Host, Owner, Verdict};
use crate::kernel::namespace::{self, Census, Id, Ids, Kind, Set};
use crate::kernel::process::{self, Status};

/// What something with namespaces of its own is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A container: an engine claims it, or nobody does and it has process
    /// numbers and mount points of its own.
    Container,
    /// A program that has locked itself in, among the files of the host.
    Sandbox,
    /// Some namespaces, and that is all.
    Namespaces,
    /// A service that systemd has given namespaces.
    Service,
    /// An engine's own process, not what runs in a container.
    Helper,
}

impl What {
    /// As JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Sandbox => "sandbox",
            Self::Namespaces => "namespaces",
            Self::Service => "service",
            Self::Helper => "helper",
        }
    }
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it is.
    pub what: What,
    /// Whose, and what speaks for it.
    pub verdict: Verdict,
    /// Its first process.
    pub pid: i32,
    /// That process's namespaces; none where they are closed to us.
    pub ids: Ids,
    /// Which of them are not the host's, as far as can be seen.
    pub own: Vec<Kind>,
    /// How many processes are in it.
    pub processes: u32,
    /// Its namespaces are closed to us: all that is known is what
    /// /proc shows of everybody's processes.
    pub closed: bool,
}

impl Seen {
    /// The container, where an engine claims it.
    pub fn found(&self) -> Option<&Found> {
        match &self.verdict.owner {
            Owner::Container(found) => Some(found),
            Owner::Host | Owner::Unknown => None,
        }
    }

    /// The same, to add what only the engine knows.
    pub fn found_mut(&mut self) -> Option<&mut Found> {
        match &mut self.verdict.owner {
            Owner::Container(found) => Some(found),
            Owner::Host | Owner::Unknown => None,
        }
    }

    /// Whether more of this one was seen already.
    fn same(&self, found: &Found) -> bool {
        self.found().is_some_and(|known| named(known) && known.same(found))
    }
}

/// All that a census shows, containers first, each by its first process.
pub fn survey(proc: &Path, census: &Census, detective: &mut Detective) -> Vec<Seen> {
    let host = detective.host().clone();
    let mut seen: Vec<_> = groups(census, detective, &host)
        .iter()
        .filter_map(|group| group.seen(proc, detective, &host))
        .collect();
    joined(detective, &mut seen);
    closed::tell(proc, &census.closed, detective, &mut seen);
    seen.sort_by_key(|seen| (seen.what, seen.pid));
    seen
}

/// Sets of namespaces that are one thing.
struct Group {
    verdict: Verdict,
    /// The namespace that holds it together.
    key: Option<Id>,
    /// The first is its heart.
    sets: Vec<Set>,
}

fn groups(census: &Census, detective: &mut Detective, host: &Host) -> Vec<Group> {
    let judge = |set: &Set| (*set, detective.owner(set.pid, &set.ids));
    let mut judged: Vec<(Set, Verdict)> = census.sets.iter().map(judge).collect();
    // Those with a pid namespace of their own come first: a monitor can have a
    // mount namespace of its own too, and is not what is meant.
    judged.sort_by_key(|(set, verdict)| {
        let claimed = matches!(verdict.owner, Owner::Container(_));
        (!claimed, own(&set.ids, host, Kind::Pid).is_none(), set.pid)
    });
    let mut groups: Vec<Group> = Vec::new();
    for (set, verdict) in judged {
        let key = key(&set.ids, host);
        match groups.iter_mut().find(|group| group.takes(&verdict, key)) {
            Some(group) => group.sets.push(set),
            None => groups.push(Group { verdict, key, sets: vec![set] }),
        }
    }
    groups
}

/// The namespace of this type, if it is not the host's.
fn own(ids: &Ids, host: &Host, kind: Kind) -> Option<Id> {
    ids.get(kind).filter(|id| host.ids.get(kind) != Some(*id))
}

/// What tells one thing from another that nobody gives a name: a container has
/// one pid namespace, a sandbox's processes have their user namespace in common.
fn key(ids: &Ids, host: &Host) -> Option<Id> {
    let kinds = match own(ids, host, Kind::Mnt) {
        Some(_) => [Kind::Pid, Kind::Mnt],
        None => [Kind::User, Kind::Pid],
    };
    kinds.into_iter().find_map(|kind| own(ids, host, kind))
}

/// Whether its name or id tells it from every other. Names of ours are unique
/// in one registry only, and of what is in that the id is known.
fn named(found: &Found) -> bool {
    found.id.is_some() || found.engine != Engine::UnderTheHood && found.name.is_some()
}

impl Group {
    fn takes(&self, verdict: &Verdict, key: Option<Id>) -> bool {
        let together = key.is_some() && key == self.key;
        match (&self.verdict.owner, &verdict.owner) {
            (Owner::Container(known), Owner::Container(found)) if named(known) => known.same(found),
            (Owner::Container(known), Owner::Container(found)) => known == found && together,
            // What somebody moved in there by hand.
            (Owner::Container(_) | Owner::Unknown, Owner::Unknown) => together,
            (Owner::Host, Owner::Host) => self.verdict.evidence == verdict.evidence,
            _ => false,
        }
    }

    fn seen(&self, proc: &Path, detective: &mut Detective, host: &Host) -> Option<Seen> {
        let heart = self.sets.first()?;
        let apart = |set: &&Set| own(&set.ids, host, Kind::Pid).is_some();
        let processes = match own(&heart.ids, host, Kind::Pid) {
            Some(_) => self.sets.iter().filter(apart).map(|set| set.processes).sum(),
            None => self.sets.iter().map(|set| set.processes).sum(),
        };
        let mut seen = Seen {
            what: What::Container,
            verdict: self.verdict.clone(),
            pid: first(proc, detective, heart.pid),
            ids: heart.ids,
            own: Kind::ALL.into_iter().filter(|k| own(&heart.ids, host, *k).is_some()).collect(),
            processes,
            closed: false,
        };
        seen.what = what(proc, detective, &mut seen)?;
        Some(seen)
    }
}

/// `None` for what is the host's own: its processes, and threads of the kernel.
fn what(proc: &Path, detective: &mut Detective, seen: &mut Seen) -> Option<What> {
    match &seen.verdict.owner {
        Owner::Host => return detective.service(seen.pid, &seen.ids).map(|_| What::Service),
        // The process that holds the user namespace of rootless Podman.
        Owner::Container(Found { engine: Engine::Podman, id: None, name: None }) => {
            return Some(What::Helper);
        }
        Owner::Container(_) => return Some(What::Container),
        Owner::Unknown => {}
    }
    let evidence = &mut seen.verdict.evidence;
    let parent = detective.brief(seen.pid).map_or(0, |brief| brief.ppid);
    if let Some(parent_of) = detective.brief(parent) {
        evidence.push_str(&format!("; its parent is {} (pid {parent})", parent_of.comm));
    }
    let (files, processes) = (seen.own.contains(&Kind::Mnt), seen.own.contains(&Kind::Pid));
    if files && processes {
        return Some(What::Container);
    }
    let sign = (!files).then(|| locked_in(proc, detective, seen.pid)).flatten();
    if let Some(sign) = &sign {
        evidence.push_str(&format!("; {sign}"));
    }
    Some(if sign.is_some() { What::Sandbox } else { What::Namespaces })
}

/// The sign that a program has given up more than it shares: another root
/// directory, or more filters on its system calls than the one that started it.
fn locked_in(proc: &Path, detective: &mut Detective, pid: i32) -> Option<String> {
    let root = |pid: i32| std::fs::read_link(proc.join(format!("{pid}/root"))).ok();
    let host = detective.host().pid;
    if let (Some(its), Some(hosts)) = (root(pid), root(host))
        && its != hosts
    {
        return Some(format!("its root directory is {}", process::path_text(&its)));
    }
    let filters = |pid: i32| -> u32 {
        let status = Status::read(proc, pid).ok();
        status.and_then(|s| s.field("Seccomp_filters")?.parse().ok()).unwrap_or(0)
    };
    let parent = detective.brief(pid)?.ppid;
    (filters(pid) > filters(parent))
        .then(|| "it filters its system calls, and its parent does not".to_owned())
}

/// What has no namespace for itself but is in some of a container's: the
/// process that made it (`unshare --fork`), or one of its engine's that has
/// entered it, is part of it; of another it is told.
fn joined(detective: &mut Detective, seen: &mut Vec<Seen>) {
    let containers: Vec<_> = seen.iter().filter(|s| s.what == What::Container).cloned().collect();
    seen.retain_mut(|seen| {
        let its = |kind: &Kind| seen.ids.get(*kind);
        let inside = |c: &&Seen| {
            c.pid != seen.pid && seen.own.iter().all(|kind| c.ids.get(*kind) == its(kind))
        };
        let apart = seen.own.contains(&Kind::Pid);
        let Some(container) = containers.iter().find(inside).filter(|_| !apart) else {
            return true;
        };
        let engine = |seen: &Seen| seen.found().map(|found| found.engine);
        let (label, pid) = (container.verdict.owner.label(), container.pid);
        seen.verdict.evidence.push_str(&format!("; it has joined {label} (pid {pid})"));
        match seen.what {
            What::Container => engine(seen) != engine(container) || seen.found().is_some_and(named),
            _ => detective.brief(pid).is_none_or(|brief| brief.ppid != seen.pid),
        }
    });
}

/// Climbs from a process to the one that is pid 1 of the same pid namespace,
/// where that is an ancestor: what was started later by `exec` is not below it.
fn first(proc: &Path, detective: &mut Detective, pid: i32) -> i32 {
    let namespace = |pid| namespace::of_process(proc, pid).ok().and_then(|ids| ids.get(Kind::Pid));
    let mut at = pid;
    while let Some(parent) = detective.brief(at).map(|brief| brief.ppid) {
        if parent <= 0
            || namespace(parent) != namespace(at)
            || detective.host().ids.get(Kind::Pid) == namespace(at)
        {
            break;
        }
        at = parent;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process of a small machine: its pid and parent, its command, its cgroup,
    /// its root, and which namespaces differ from the host's.
    type Made<'a> = (i32, i32, &'a str, &'a str, &'a str, &'a [(&'a str, u64)]);

    fn machine(processes: &[Made<'_>]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (pid, ppid, command, cgroup, at, own) in processes {
            let comm = command.split(' ').next().unwrap_or_default();
            let directory = root.path().join(pid.to_string());
            std::fs::create_dir_all(directory.join("ns")).expect("made");
            let write = |name: &str, text: String| {
                std::fs::write(directory.join(name), text).expect("written");
            };
            write("status", format!("Name:\t{comm}\nPPid:\t{ppid}\nUid:\t0\t0\t0\t0\n"));
            write("cgroup", format!("0::{cgroup}\n"));
            write("cmdline", command.replace(' ', "\0") + "\0");
            std::os::unix::fs::symlink(at, directory.join("root")).expect("linked");
            for (number, kind) in Kind::ALL.iter().enumerate() {
                let name = kind.name();
                let own = own.iter().find(|(own, _)| *own == name).map(|(_, inode)| *inode);
                let inode = own.unwrap_or(100 + number as u64);
                let link = directory.join("ns").join(name);
                std::os::unix::fs::symlink(format!("{name}:[{inode}]"), link).expect("linked");
            }
        }
        root
    }

    fn seen(processes: &[Made<'_>]) -> Vec<(What, String, i32, u32)> {
        let root = machine(processes);
        let mut detective = Detective::new(root.path()).expect("a detective");
        let census = namespace::census(root.path()).expect("a census");
        let seen = survey(root.path(), &census, &mut detective);
        seen.iter().map(|s| (s.what, s.verdict.owner.label(), s.pid, s.processes)).collect()
    }

    #[test]
    fn what_is_no_container_is_not_called_one() {
        let id = "e".repeat(64);
        let docker = format!("/system.slice/docker-{id}.scope");
        let inside: &[(&str, u64)] = &[("mnt", 7), ("pid", 8), ("net", 9)];
        let user: &[(&str, u64)] = &[("user", 20), ("net", 21), ("pid", 22)];
        let tmp: &[(&str, u64)] = &[("mnt", 30)];
        let found = seen(&[
            (1, 0, "systemd", "/init.scope", "/", &[]),
            (2, 0, "kthreadd", "/", "/", &[]),
            (3, 2, "kdevtmpfs", "/", "/", &[("mnt", 99)]),
            (
                10,
                1,
                "containerd-shim -namespace moby",
                "/system.slice/containerd.service",
                "/",
                &[],
            ),
            (11, 10, "httpd", &docker, "/", inside),
            (12, 11, "httpd", &docker, "/", inside),
            // A process of it that has a network of its own, and one somebody moved in.
            (13, 11, "unshare", &docker, "/", &[("mnt", 7), ("pid", 8), ("net", 10)]),
            (14, 1, "nsenter", "/", "/", &[("mnt", 7), ("pid", 8)]),
            (20, 1, "chrome", "/user.slice/session-1.scope", "/", &[]),
            (21, 20, "chrome", "/user.slice/session-1.scope", "/proc/9/fdinfo", user),
            (
                22,
                21,
                "chrome",
                "/user.slice/session-1.scope",
                "/proc/9/fdinfo",
                &[("user", 20), ("net", 21), ("pid", 23)],
            ),
            (30, 1, "timesyncd", "/system.slice/systemd-timesyncd.service", "/", tmp),
            (40, 1, "sleep", "/user.slice/user@0.service/app.slice/a-1.scope", "/", &[("net", 40)]),
            (41, 1, "runc-init", "/somewhere", "/", &[("mnt", 50), ("pid", 51)]),
        ]);
        let expected = [
            (What::Container, format!("docker:{}", &id[..12]), 11, 4),
            (What::Container, "unknown".to_owned(), 41, 1),
            (What::Sandbox, "unknown".to_owned(), 21, 2),
            (What::Namespaces, "unknown".to_owned(), 40, 1),
            (What::Service, "host".to_owned(), 30, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_monitor_with_a_mount_namespace_is_not_the_container() {
        let found = seen(&[
            (1, 0, "systemd", "/init.scope", "/", &[]),
            (5, 1, "podman", "/podman-pause-1.scope", "/", &[("mnt", 7), ("user", 8)]),
            (6, 1, "lxc-start -n web", "/lxc.monitor.web", "/", &[("mnt", 9)]),
            (7, 6, "init", "/lxc.payload.web", "/", &[("mnt", 10), ("pid", 11)]),
            (8, 1, "bwrap", "/", "/", &[]),
            (9, 8, "bwrap", "/", "/", &[("mnt", 12), ("pid", 13), ("user", 14)]),
            (10, 9, "sleep", "/", "/", &[("mnt", 12), ("pid", 13), ("user", 15)]),
        ]);
        let expected = [
            (What::Container, "lxc:web".to_owned(), 7, 1),
            (What::Container, "bwrap".to_owned(), 9, 2),
            (What::Helper, "podman".to_owned(), 5, 1),
        ];
        assert_eq!(found, expected);
    }
}
