//! `run`, with docker's flags.

use clap::{Args, ValueEnum};

use crate::cli::container::{ProcessFlags, RightsFlags};

/// Start a container: new namespaces, a root file system of its own, fewer
/// capabilities, a seccomp filter; then your command as its pid 1.
///
/// The container is removed when its command ends, unless it is to be kept.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Keep standard input connected
    #[arg(long, short)]
    pub interactive: bool,
    /// Give the container a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// Leave it running in the background and print its id
    #[arg(long, short)]
    pub detach: bool,
    /// Remove it when its command ends: what happens anyhow, as docker's flag
    #[arg(long, conflicts_with = "keep")]
    pub rm: bool,
    /// Keep what it changed, its record and its log when its command ends
    #[arg(long)]
    pub keep: bool,
    /// A name to find it by
    #[arg(long)]
    pub name: Option<String>,
    /// Its host name (default: its id)
    #[arg(long, short = 'H')]
    pub hostname: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub process: ProcessFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub rights: RightsFlags,
    /// The program to run in place of the image's; the command becomes its arguments
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Start it below an init of ours, which reaps orphans and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Whether the image is fetched from its registry
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub pull: PullWhen,
    /// Where the image cannot be had, run `base` instead, and say so
    #[arg(long)]
    pub or_base: bool,
    /// The image: NAME[:TAG], oci:DIR[:TAG], docker-archive:FILE, a path, or `base`
    pub image: String,
    /// The command and its arguments (default: the image's shell)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub files: FileFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: LimitFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub network: NetworkFlags,
}

/// When `run` fetches its image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PullWhen {
    /// If it is not here
    #[default]
    Missing,
    /// Each time, should its name mean something newer by now
    Always,
    /// Only what is here is run
    Never,
}

/// What its processes may use.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitFlags {
    /// Limit each of its processes, as getrlimit(2) does (-1: unlimited)
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// Kill it sooner (to 1000) or later (to -1000) when memory runs out
    #[arg(long, value_name = "SCORE", allow_hyphen_values = true)]
    pub oom_score_adj: Option<String>,
    /// CPU time that all of it together may use, in CPUs: 0.2 is a fifth of one
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// Its share when CPU is scarce, 2 to 262144; 1024 is ordinary
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=262_144))]
    pub cpu_shares: Option<u64>,
    /// The CPUs that it may run on: 0-1,3
    #[arg(long, value_name = "CPUS")]
    pub cpuset_cpus: Option<String>,
    /// Memory that all of it together may use: 64M
    #[arg(long, short, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory and swap together (-1: as much swap as there is)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, requires = "memory")]
    pub memory_swap: Option<String>,
    /// How many tasks there may be (-1: no limit)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Bytes a second that it may read from a disk: /dev/sda:10M
    #[arg(long, value_name = "DEV:SIZE")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second that it may write to a disk
    #[arg(long, value_name = "DEV:SIZE")]
    pub device_write_bps: Vec<String>,
    /// Reads a second from a disk
    #[arg(long, value_name = "DEV:N")]
    pub device_read_iops: Vec<String>,
    /// Writes a second to a disk
    #[arg(long, value_name = "DEV:N")]
    pub device_write_iops: Vec<String>,
}

/// What else of file systems a container gets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Files")]
pub struct FileFlags {
    /// Lend it a directory or file of the host; with `:ro` it may only read
    #[arg(long, short, value_name = "SRC:DST[:ro]")]
    pub volume: Vec<String>,
    /// Give it an empty file system in memory (options: size=, mode=, exec, ...)
    #[arg(long, value_name = "DST[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Make its root file system read-only
    #[arg(long)]
    pub read_only: bool,
}

/// Which network a container gets.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// none: only a loopback interface of its own; bridge: a way out, an address of its
    /// own (as root); pasta, slirp4netns: a way out by that program (without root);
    /// host: the host's network; container:NAME: that of another (default: none)
    ///
    /// Containers on the bridge find each other by name: /etc/hosts of each is one file out
    /// here, which gets a line when another starts, and loses it when that one ends.
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Make a port of the host lead into the container (and give it a bridge; without
    /// root, pasta)
    #[arg(long, short, value_name = "[IP:]HOST:CONTAINER[/udp]")]
    pub publish: Vec<String>,
    /// A name server instead of the host's
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<String>,
}
