//! What a lesson or a claim can need of a machine: a closed list, so that a
//! lesson's file cannot ask for something that nobody checks.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};

/// One requirement, written as in a lesson's `needs = ["container", "tool:lsns"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Need {
    /// `root`: uid 0 of this machine, with what root may do.
    Root,
    /// `container`: all that `run` does on the way to a container; as root
    /// directly, otherwise inside a user namespace.
    Container,
    /// `container-network`: a container can get a way out: as root by a bridge,
    /// otherwise by pasta.
    ContainerNetwork,
    /// `user-namespace`: `unshare(CLONE_NEWUSER)` succeeds.
    UserNamespace,
    /// `mount-in-user-namespace`: and file systems can be mounted in it.
    MountInUserNamespace,
    /// `subordinate-ids`: a range of ids for a user namespace, and the programs that map it.
    SubordinateIds,
    /// `overlay`: overlayfs can be mounted (without root: in a user namespace).
    Overlay,
    /// `cgroup-v1`: controllers of version 1, and we may make cgroups there.
    CgroupV1,
    /// `cgroup-v2`: the unified hierarchy, and we may make cgroups there.
    CgroupV2,
    /// `limits`: CPU time, memory and tasks can be limited, in whichever version each
    /// controller has (without root: in what is delegated, by systemd where there is one).
    Limits,
    /// `pid-namespace` and the like: a namespace of this type can be made.
    Namespace(Namespace),
    /// `real-time`: a process may be put into a real-time class, and another CPU stays free.
    RealTime,
    /// `seccomp`: the kernel takes seccomp filters.
    Seccomp,
    /// `network`: the registry and the mirror of the lessons answer.
    Network,
    /// `tool:lsns`: a program is installed.
    Tool(String),
    /// `engine:docker`: an engine is installed, runs, and its containers are on this kernel.
    Engine(Engine),
}

/// A type of namespace other than `user`, which has a need of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Namespace {
    Cgroup,
    Ipc,
    Mnt,
    Net,
    Pid,
    Time,
    Uts,
}

impl Namespace {
    /// All of them, in the order of `lsns`.
    pub const ALL: [Self; 7] =
        [Self::Cgroup, Self::Ipc, Self::Mnt, Self::Net, Self::Pid, Self::Time, Self::Uts];

    /// Its name under /proc/PID/ns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mnt => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::Uts => "uts",
        }
    }
}

/// A container engine that doctor knows how to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Engine {
    Docker,
    Containerd,
    Podman,
    Lxc,
    Lxd,
    Incus,
    Nspawn,
    Bwrap,
}

impl Engine {
    /// All of them, the article's first.
    pub const ALL: [Self; 8] = [
        Self::Docker,
        Self::Containerd,
        Self::Podman,
        Self::Lxc,
        Self::Lxd,
        Self::Incus,
        Self::Nspawn,
        Self::Bwrap,
    ];

    /// Its name in a need and in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Lxd => "lxd",
            Self::Incus => "incus",
            Self::Nspawn => "nspawn",
            Self::Bwrap => "bwrap",
        }
    }
}

/// The needs that are one word.
const WORDS: [(&str, Need); 13] = [
    ("root", Need::Root),
    ("container", Need::Container),
    ("container-network", Need::ContainerNetwork),
    ("user-namespace", Need::UserNamespace),
    ("mount-in-user-namespace", Need::MountInUserNamespace),
    ("subordinate-ids", Need::SubordinateIds),
    ("overlay", Need::Overlay),
    ("cgroup-v1", Need::CgroupV1),
    ("cgroup-v2", Need::CgroupV2),
    ("limits", Need::Limits),
    ("real-time", Need::RealTime),
    ("seccomp", Need::Seccomp),
    ("network", Need::Network),
];

impl FromStr for Need {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let word = WORDS.iter().find(|(word, _)| *word == text).map(|(_, need)| need.clone());
        let namespace = || {
            let kind = text.strip_suffix("-namespace")?;
            Namespace::ALL.into_iter().find(|n| n.name() == kind).map(Self::Namespace)
        };
        let tool = || {
            let name = text.strip_prefix("tool:")?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
            (!name.is_empty() && name.chars().all(plain)).then(|| Self::Tool(name.to_owned()))
        };
        let engine = || {
            let name = text.strip_prefix("engine:")?;
            Engine::ALL.into_iter().find(|e| e.name() == name).map(Self::Engine)
        };
        word.or_else(namespace).or_else(tool).or_else(engine).ok_or_else(|| {
            Error::usage(format!("{text:?} is not a need that is known"))
                .hint(format!("Allowed: {}.", allowed()))
        })
    }
}

/// Every need that there is, for error messages.
fn allowed() -> String {
    let words = WORDS.iter().map(|(word, _)| (*word).to_owned());
    let namespaces = Namespace::ALL.iter().map(|n| format!("{}-namespace", n.name()));
    let engines = Engine::ALL.iter().map(|e| format!("engine:{}", e.name()));
    let tool = std::iter::once("tool:PROGRAM".to_owned());
    words.chain(namespaces).chain(engines).chain(tool).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(kind) => write!(f, "{}-namespace", kind.name()),
            Self::Tool(name) => write!(f, "tool:{name}"),
            Self::Engine(engine) => write!(f, "engine:{}", engine.name()),
            word => {
                let found = WORDS.iter().find(|(_, need)| need == word);
                f.write_str(found.map_or("", |(word, _)| word))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_reads_back_as_it_is_written() {
        for text in allowed().replace("tool:PROGRAM", "tool:lsns").split(", ") {
            assert_eq!(text.parse::<Need>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn an_unknown_need_is_answered_with_the_list() {
        for text in ["rooot", "tool:", "tool:a b", "engine:rkt", "user_namespace", ""] {
            let error = text.parse::<Need>().expect_err(text);
            let hint = error.hint.unwrap_or_default();
            assert!(hint.contains("mount-in-user-namespace") && hint.contains("engine:podman"));
            assert_eq!(error.exit.code(), 2);
        }
    }
}
