//! Control groups: `cgroup ls`, `cgroup tree`, `cgroup show`.

use clap::{Args, Subcommand};

/// How much of the machine a group of processes may use.
#[derive(Debug, Subcommand)]
pub enum Cgroup {
    /// The control files of a group, each explained
    Ls(Ls),
    /// Every group: its controllers, its processes, what it uses of what it may
    Tree,
    /// Every limit and counter of a process or container, in words and units
    Show(Show),
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
