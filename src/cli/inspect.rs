//! Looking: `inspect host`, `inspect ns`, `inspect process`.

use clap::{Args, Subcommand, ValueEnum};

/// Look at this machine, its namespaces and its processes. Changes nothing.
#[derive(Debug, Subcommand)]
pub enum Inspect {
    /// The kernel and the distribution: one is shared, the other is only files
    Host,
    /// Every namespace on this machine, who owns it and what holds it
    ///
    /// As lsns shows them, and those that only a bind mount or an open file keeps
    /// alive. Without root only what may be seen; how many processes were closed is said.
    Ns(Ns),
    /// One process under the hood
    Process(Process),
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
    /// A pid, a container's name or id, or ENGINE:NAME
    pub target: String,
}
