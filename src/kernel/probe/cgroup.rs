//! Control groups, controller by controller: one kernel can have some in
//! version 1, others in version 2 and some in neither (hybrid).

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{COMMAND, Verdict, identity};
use crate::kernel::cgroup::Quota;
use crate::kernel::cgroup::limit::{self, Limits, must_ask_systemd};
use crate::shell::quoted;

/// Where a controller lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// In a hierarchy of version 1, mounted here.
    V1(PathBuf),
    /// In the unified hierarchy.
    V2,
    /// Version 2 has what it does without a controller of that name.
    Inherent(&'static str),
    /// The kernel has it, but no hierarchy does.
    Unused,
    /// Switched off at boot (`cgroup_disable=`).
    Disabled,
}

/// The control groups of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// Each controller with its version, by name.
    pub controllers: Vec<(String, Version)>,
    /// Where the unified hierarchy is mounted.
    pub unified: Option<PathBuf>,
    /// Our own cgroup in it, as a directory.
    pub own: Option<PathBuf>,
}

impl Cgroups {
    /// From /proc/cgroups, /proc/self/mountinfo, /proc/self/cgroup and the unified
    /// hierarchy's cgroup.controllers; `root` is `/`, or a fixture's directory.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let mounts = mounts(&text("proc/self/mountinfo"));
        let unified = mounts.iter().find(|mount| mount.unified).map(|mount| mount.at.clone());
        let unified_controllers = unified.as_deref().map(|at| controllers_of(&below(root, at)));
        let unified_controllers = unified_controllers.unwrap_or_default();
        let version = |name: &str, enabled: bool| {
            if unified_controllers.iter().any(|controller| controller == name) {
                Version::V2
            } else if let Some(mount) = mounts.iter().find(|mount| mount.has(name)) {
                Version::V1(mount.at.clone())
            } else if !enabled {
                Version::Disabled
            } else {
                let inherent = unified.as_ref().and_then(|_| inherent(name));
                inherent.map_or(Version::Unused, Version::Inherent)
            }
        };
        let mut controllers: Vec<(String, Version)> = Vec::new();
        for line in text("proc/cgroups").lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<_> = line.split_whitespace().collect();
            if let [name, _, _, enabled] = fields[..] {
                controllers.push((name.to_owned(), version(name, enabled == "1")));
            }
        }
        // Newer kernels leave controllers out of /proc/cgroups that have no version 1.
        for name in &unified_controllers {
            if !controllers.iter().any(|(known, _)| known == name) {
                controllers.push((name.clone(), Version::V2));
            }
        }
        let path = text("proc/self/cgroup");
        let path = path.lines().find_map(|line| line.strip_prefix("0::/"));
        let own = unified.as_ref().zip(path).map(|(at, path)| at.join(path));
        Self { controllers, unified, own }
    }

    /// v1, v2, hybrid or none, in a word.
    pub fn layout(&self) -> &'static str {
        let v1 = self.controllers.iter().any(|(_, version)| matches!(version, Version::V1(_)));
        match (v1, self.unified.is_some()) {
            (true, true) => "hybrid (v1 and v2)",
            (true, false) => "v1",
            (false, true) => "v2",
            (false, false) => "none mounted",
        }
    }

    /// The verdict on the need `cgroup-v1`.
    pub fn v1(&self) -> Verdict {
        let mounted = self.controllers.iter().filter_map(|(_, version)| match version {
            Version::V1(at) => Some(at),
            _ => None,
        });
        let mounted: Vec<_> = mounted.collect();
        if mounted.is_empty() {
            return Verdict::missing(match self.unified {
                Some(_) => "this machine has version 2 only",
                None => "no control groups are mounted",
            });
        }
        if mounted.iter().any(|at| may_write(at)) {
            return Verdict::Met;
        }
        not_writable(mounted[0])
    }

    /// The verdict on the need `cgroup-v2`: as root the hierarchy, otherwise a
    /// subtree that was delegated to us.
    pub fn v2(&self) -> Verdict {
        let Some(at) = &self.unified else {
            return Verdict::missing("the unified hierarchy is not mounted");
        };
        if !self.controllers.iter().any(|(_, version)| *version == Version::V2) {
            let reason =
                format!("{} has no controllers: version 1 has them (hybrid)", at.display());
            return Verdict::missing(reason);
        }
        if may_write(at) || self.delegated().is_some() {
            return Verdict::Met;
        }
        if rustix::process::geteuid().is_root() {
            return not_writable(at);
        }
        let program = quoted(&identity::program().to_string_lossy());
        let own_user_manager = Path::new("/run/systemd/system").exists();
        let systemd = "systemd-run --user --scope -p Delegate=yes";
        let sudo = identity::sudo_hint(COMMAND);
        Verdict::fixable(
            "your shell's cgroup is not delegated to you",
            if own_user_manager {
                format!("{systemd} {program} {COMMAND}\nor: {sudo}")
            } else {
                sudo
            },
        )
    }

    /// The controllers of our own cgroup, if it was delegated: if we may make
    /// cgroups in it and hand controllers to them (cgroups(7), "delegation").
    pub fn delegated(&self) -> Option<Vec<String>> {
        let own = self.own.as_deref()?;
        let needed = ["", "cgroup.procs", "cgroup.subtree_control"];
        needed.iter().all(|file| may_write(&own.join(file))).then(|| controllers_of(own))
    }
}

/// The verdict on the need `limits`: asked of the very plan that would set them.
pub fn limits() -> Verdict {
    if must_ask_systemd() {
        return Verdict::Met;
    }
    let wanted = Limits {
        cpu: Some(Quota { quota: Some(10_000), period: 100_000 }),
        memory: Some(32 << 20),
        pids: Some(20),
        ..Limits::default()
    };
    match limit::plan(&wanted, "probe", false) {
        Ok(_) => Verdict::Met,
        Err(error) => {
            let said = error.said.iter().map(|said| format!(": {said}")).collect::<String>();
            let reason = format!("{}{said}", error.tried);
            match rustix::process::geteuid().is_root() {
                true => Verdict::missing(reason),
                false => Verdict::fixable(reason, identity::sudo_hint(COMMAND)),
            }
        }
    }
}

/// What became of a controller of version 1 in version 2 (cgroups(7), "cgroups version 2").
fn inherent(name: &str) -> Option<&'static str> {
    match name {
        "cpuacct" => Some("cpu.stat"),
        "blkio" => Some("the io controller"),
        "devices" => Some("a BPF program"),
        "freezer" => Some("cgroup.freeze"),
        "perf_event" => Some("always on"),
        _ => None,
    }
}

fn not_writable(at: &Path) -> Verdict {
    let reason = format!("{} is not writable", at.display());
    if rustix::process::geteuid().is_root() {
        return Verdict::missing(format!("{reason}, though you are root (mounted read-only?)"));
    }
    Verdict::fixable(reason, identity::sudo_hint(COMMAND))
}

fn may_write(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}

fn controllers_of(cgroup: &Path) -> Vec<String> {
    let text = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// A path of the machine, seen from a fixture's root.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

struct Mount {
    at: PathBuf,
    unified: bool,
    options: String,
}

impl Mount {
    fn has(&self, controller: &str) -> bool {
        !self.unified && self.options.split(',').any(|option| option == controller)
    }
}

/// The control group mounts in a mountinfo (proc_pid_mountinfo(5)): the fifth
/// field is where; after the lone `-` stand type, source and the options.
fn mounts(mountinfo: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        let at = PathBuf::from(front.split(' ').nth(4)?);
        let mut back = back.split(' ');
        let unified = match back.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        Some(Mount { at, unified, options: back.nth(1).unwrap_or_default().to_owned() })
    };
    mountinfo.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cgroups: &str, mountinfo: &str, own: &str, v2: &[(&str, &str)]) -> Cgroups {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        };
        write("proc/cgroups", cgroups);
        write("proc/self/mountinfo", mountinfo);
        write("proc/self/cgroup", own);
        for (at, controllers) in v2 {
            write(&format!("{at}/cgroup.controllers"), controllers);
        }
        Cgroups::read(root.path())
    }

    const KERNEL: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
        cpu\t1\t1\t1\nmemory\t4\t13\t1\nnet_cls\t0\t1\t1\n\
        hugetlb\t0\t1\t0\nfreezer\t0\t1\t1\n";
    const V1: &str = "\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";

    fn of<'a>(cgroups: &'a Cgroups, name: &str) -> &'a Version {
        let found = cgroups.controllers.iter().find(|(controller, _)| controller == name);
        &found.expect(name).1
    }

    #[test]
    fn version_1() {
        let v1 = machine(KERNEL, V1, "4:memory:/\n", &[]);
        assert_eq!(v1.layout(), "v1");
        assert_eq!(of(&v1, "cpu"), &Version::V1("/sys/fs/cgroup/cpu".into()));
        assert_eq!(of(&v1, "net_cls"), &Version::Unused);
        assert_eq!(of(&v1, "hugetlb"), &Version::Disabled);
        assert!(!v1.v2().met());
    }

    #[test]
    fn version_2() {
        let mountinfo = "28 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let own = "0::/user.slice/user-1000.slice/session-1.scope\n";
        let v2 = machine(KERNEL, mountinfo, own, &[("sys/fs/cgroup", "cpu memory misc\n")]);
        assert_eq!(v2.layout(), "v2");
        assert_eq!(of(&v2, "memory"), &Version::V2);
        assert_eq!(of(&v2, "misc"), &Version::V2);
        assert_eq!(of(&v2, "freezer"), &Version::Inherent("cgroup.freeze"));
        let own = "/sys/fs/cgroup/user.slice/user-1000.slice/session-1.scope";
        assert_eq!(v2.own.as_deref(), Some(Path::new(own)));
        assert!(
            matches!(v2.v1(), Verdict::Missing { reason, .. } if reason.contains("version 2 only"))
        );
    }

    #[test]
    fn hybrid_says_so_per_controller() {
        let mountinfo =
            format!("{V1}41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
        let hybrid =
            machine(KERNEL, &mountinfo, "0::/\n", &[("sys/fs/cgroup/unified", "hugetlb\n")]);
        assert_eq!(hybrid.layout(), "hybrid (v1 and v2)");
        assert_eq!(of(&hybrid, "cpu"), &Version::V1("/sys/fs/cgroup/cpu".into()));
        assert_eq!(of(&hybrid, "hugetlb"), &Version::V2);
        let empty = machine(KERNEL, &mountinfo, "0::/\n", &[("sys/fs/cgroup/unified", "\n")]);
        assert!(
            matches!(empty.v2(), Verdict::Missing { reason, .. } if reason.contains("no controllers"))
        );
    }
}
