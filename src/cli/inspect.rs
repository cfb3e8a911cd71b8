//! Looking: `inspect host`, `inspect ns`, `inspect containers` and the others.

use clap::{Args, Subcommand, ValueEnum};

/// Look at this machine, its namespaces, containers and processes. Changes nothing.
#[derive(Debug, Subcommand)]
pub enum Inspect {
    /// The kernel and the distribution: one is shared, the other is only files
    Host,
    /// Every namespace on this machine, who owns it and what holds it
    ///
    /// As lsns shows them, and those that only a bind mount or an open file keeps
    /// alive. Without root only what may be seen; how many processes were closed is said.
    Ns(Ns),
    /// Every container on this machine, whoever started it
    ///
    /// Known by what the kernel shows: cgroups, ancestors, namespaces. An engine is asked
    /// for names, images and ports only. What has namespaces of its own and is no container
    /// is listed apart.
    Containers(Containers),
    /// One process under the hood
    Process(Process),
    /// Two processes or containers side by side: what they share, and what that means
    Compare(Compare),
    /// The layers of a container's root, and what it has changed so far
    ///
    /// Of any engine: by what the kernel says of the mount, no engine is asked. The
    /// layers are read as they lie on disk; nothing is changed, no link leads out of one.
    Layers(Layers),
}

/// `inspect containers`
#[derive(Debug, Args)]
#[command(after_long_help = crate::commands::inspect::containers_columns())]
pub struct Containers {
    /// All that is known of each: network, limits, users, powers, root file system
    #[arg(long)]
    pub wide: bool,
}

/// `inspect ns`
#[derive(Debug, Args)]
#[command(after_long_help = crate::commands::inspect::ns_columns())]
pub struct Ns {
    /// Only namespaces of this type
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    pub kind: Option<NsType>,
    /// Only the namespaces of this process
    #[arg(long, value_name = "PID", conflicts_with = "container", value_parser = clap::value_parser!(i32).range(1..))]
    pub pid: Option<i32>,
    /// Only the namespaces of this container (NAME or ENGINE:NAME)
    #[arg(long, value_name = "TARGET")]
    pub container: Option<String>,
    /// As a tree: parents and owning user namespaces
    #[arg(long)]
    pub tree: bool,
}

/// The eight types of namespaces, by the names that `lsns` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum NsType {
    Cgroup,
    Ipc,
    Mnt,
    Net,
    Pid,
    Time,
    User,
    Uts,
}

/// `inspect process`
#[derive(Debug, Args)]
pub struct Process {
    /// A pid, a container's name or id, ENGINE:NAME, `self` or `host`
    pub target: String,
}

/// `inspect compare`
#[derive(Debug, Args)]
#[command(after_long_help = crate::commands::inspect::compare_columns())]
pub struct Compare {
    /// A pid, a container's name or id, ENGINE:NAME, `self` (this program) or `host` (process 1)
    pub a: String,
    /// The other one
    #[arg(default_value = "self")]
    pub b: String,
}

/// `inspect layers`
#[derive(Debug, Args)]
#[command(after_long_help = crate::commands::inspect::layers_columns())]
pub struct Layers {
    /// A pid, a container's name or id, ENGINE:NAME
    pub target: String,
    /// Which layer this path of the container comes from
    #[arg(long, value_name = "PATH", conflicts_with = "changes")]
    pub path: Option<std::path::PathBuf>,
    /// All changes, not only the first few
    #[arg(long)]
    pub changes: bool,
}
