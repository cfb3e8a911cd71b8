//! Control groups: `cgroup ls`, `cgroup tree`, `cgroup show`.

use clap::{Args, Subcommand, ValueEnum};

/// How much of the machine a group of processes may use.
#[derive(Debug, Subcommand)]
pub enum Cgroup {
    /// The control files of a group, each explained
    Ls(Ls),
    /// Every group: its controllers, its processes, what it uses of what it may
    Tree,
    /// Every limit and counter of a process or container, in words and units
    Show(Show),
    /// Run a command in a group of its own, with limits
    ///
    /// Makes the group, sets its limits, runs the command in it, shows what it
    /// uses while it runs, and at the end what the kernel counted. Then the group
    /// is removed; whatever the command left running in it is ended. With
    /// --format json the report follows the command's own output.
    Limit(Limit),
    /// Make limits bite, and read in the kernel's counters that they did
    ///
    /// Bounded loads of our own, each in a group made for it: a loop held to its
    /// CPU quota, memory that is not granted, forks that fail, a disk read slowly.
    /// Exits with 3 when a limit did not hold, with 4 when none could be tried.
    Prove(Prove),
    /// Show what a running group uses, again and again
    Watch(Watch),
}

/// `cgroup prove`
#[derive(Debug, Args)]
pub struct Prove {
    /// Which limit
    #[arg(value_enum, default_value_t = Proof::All)]
    pub what: Proof,
}

/// A limit that can be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Proof {
    Cpu,
    Memory,
    Pids,
    Io,
    All,
}

/// `cgroup watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// A pid, a container's name or id, ENGINE:NAME, or a group's path
    pub target: String,
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub interval: f64,
    /// Stop after so many looks
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
}

/// `cgroup limit`
#[derive(Debug, Args)]
pub struct Limit {
    /// CPU time, in CPUs: 0.2 is a fifth of one
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// Its share when CPU is scarce, 1 to 10000; 100 is ordinary
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10000))]
    pub cpu_weight: Option<u64>,
    /// Memory: 64M
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// So much of it may be moved to disk
    #[arg(long, value_name = "SIZE")]
    pub swap: Option<String>,
    /// How many tasks there may be
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub pids: Option<u64>,
    /// The CPUs it may run on: 0-1,3
    #[arg(long, value_name = "CPUS")]
    pub cpuset: Option<String>,
    /// Bytes a second that it may read from a disk: /dev/sda=10M
    #[arg(long, value_name = "DEV=SIZE")]
    pub io_read: Vec<String>,
    /// Bytes a second that it may write to a disk
    #[arg(long, value_name = "DEV=SIZE")]
    pub io_write: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// `cgroup ls`
#[derive(Debug, Args)]
pub struct Ls {
    /// A controller (`memory`), or a group's path as `cgroup tree` has it;
    /// without it the top of every hierarchy, as the article's `ls /sys/fs/cgroup`
    pub which: Option<String>,
}

/// `cgroup show`
#[derive(Debug, Args)]
pub struct Show {
    /// A pid, a container's name or id, ENGINE:NAME, or a group's path (`/docker`)
    pub target: String,
}
