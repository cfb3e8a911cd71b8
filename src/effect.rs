//! What an operation leaves behind that the kernel will not remove by itself:
//! plain data, written to the journal before the deed and undone from there.
//!
//! The list is closed on purpose: a journal is a file, and replaying it must
//! never be able to do more than what stands here.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Something on this machine that is ours to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A regular file.
    File {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A container's hosts file, and its line in those of its neighbours.
    Hosts {
        /// Its absolute path.
        path: PathBuf,
        /// The line.
        line: String,
    },
    /// A directory and all below it, on its own file system.
    Tree {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A network namespace's name: undone by taking its mount and its file away.
    NetnsName {
        /// The file that the namespace is mounted on.
        path: PathBuf,
        /// The namespace's number.
        namespace: u64,
    },
    /// A cgroup, with what is below it.
    Cgroup {
        /// Its directory.
        path: PathBuf,
        /// Whether its processes go back to the parent; else they are killed.
        lent: bool,
    },
    /// Controllers that a cgroup hands on to its children: undone by keeping them back.
    Controllers {
        /// The cgroup's directory.
        directory: PathBuf,
        /// Those that were not handed on before.
        controllers: Vec<String>,
    },
    /// Our end of a virtual cable.
    Veth {
        /// Its name, which carries the journal's token.
        name: String,
        /// The network namespace that it is in.
        netns: u64,
    },
    /// A bridge: undone when its last cable is gone.
    Bridge {
        /// Its name.
        name: String,
        /// Its hardware address, by which it is told from another.
        mac: String,
        /// The network namespace that it is in.
        netns: u64,
    },
    /// A table of packet rules.
    NftTable {
        /// Its name, which carries the journal's token.
        name: String,
        /// The network namespace that it is in.
        netns: u64,
    },
    /// A process: undone by SIGKILL.
    Process {
        /// What it is, for people: `container box`.
        what: String,
    },
    /// Containers of another engine, that a lesson has had started there: undone by
    /// that engine's own command. The label is random, and nobody else's container has it.
    Labelled {
        /// Which engine.
        engine: Driven,
        /// The label's value, which is this journal's token.
        label: String,
        /// Where the engine was found: variables of its own client's.
        settings: Vec<(String, String)>,
    },
    /// An image that was loaded into another engine, which had none of this name.
    Loaded {
        /// Which engine.
        engine: Driven,
        /// The image's name there.
        image: String,
        /// Where the engine was found: variables of its own client's.
        settings: Vec<(String, String)>,
    },
    /// A thread's scheduling policy: undone by giving it the old one.
    Policy {
        /// Which thread.
        thread: Thread,
        /// What it had.
        old: Policy,
        /// What it gets; if it has another by then, somebody else gave it that.
        new: Policy,
    },
    /// The CPUs that a thread may run on: undone by giving it back the old ones.
    Affinity {
        /// Which thread.
        thread: Thread,
        /// Where it might run.
        old: Vec<usize>,
        /// Where it may run.
        new: Vec<usize>,
    },
}

/// Another engine, that lessons can be played with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driven {
    /// Docker, by `docker`.
    Docker,
    /// containerd, by `ctr`.
    Containerd,
    /// Podman, by `podman`.
    Podman,
    /// LXC, by `lxc-start` and its sisters.
    Lxc,
}

impl Driven {
    /// In the order in which they are looked for.
    pub const ALL: [Self; 4] = [Self::Docker, Self::Containerd, Self::Podman, Self::Lxc];

    /// As `--engine` and a TARGET write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
        }
    }

    /// The program that people type.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "ctr",
            Self::Podman => "podman",
            Self::Lxc => "lxc-start",
        }
    }
}

/// A thread that is there already, and so has an identity before anything is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number; a process's first thread has the process's.
    pub tid: i32,
    /// When it was started, in clock ticks since boot.
    pub start: u64,
}

/// How a thread is scheduled, as sched_setattr(2) takes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `SCHED_OTHER` is 0, and so on (sched(7)).
    pub number: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// -20 to 19; of the ordinary classes.
    pub nice: i32,
    /// 1 to 99; of `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// Nanoseconds of CPU time in each period, of `SCHED_DEADLINE`; of the
    /// ordinary classes the slice that the task asks for, 0 if it asks for none.
    pub runtime: u64,
    /// Nanoseconds from the beginning of a period in which it gets them.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// How an object is told from another that took its place: nothing is undone
/// whose identity differs from the one written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A file or directory, by `stat(2)`.
    Inode {
        /// `st_dev`.
        dev: u64,
        /// `st_ino`.
        ino: u64,
    },
    /// A network interface, by its index: no other gets the same one in that namespace.
    Link {
        /// The index.
        index: u32,
    },
    /// Its name carries the journal's token, and that says it all.
    Token,
    /// A process, by pid and field 22 of `/proc/PID/stat` (clock ticks since boot).
    Process {
        /// The pid in the host's namespace.
        pid: i32,
        /// When it started, in clock ticks since boot.
        start: u64,
    },
}
