//! Containers: `exec`, `stop`, `logs`, `rm`; and what they share with `run`.

use clap::Args;

use crate::container::spec::UserNamespace;

/// What `run` and `exec` both say of the process.
#[derive(Debug, Clone, Args)]
pub struct ProcessFlags {
    /// Set an environment variable (NAME takes its value from here)
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Set those of a file, one NAME=VALUE a line; --env wins
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<std::path::PathBuf>,
    /// Directory to start in
    #[arg(long, short, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User to run as, by name or number; names are those of the image
    #[arg(long, short, value_name = "USER[:GROUP]", allow_hyphen_values = true)]
    pub user: Option<String>,
}

/// What is to be run somewhere else: all that comes after the TARGET.
#[derive(Debug, Clone, Args)]
pub struct CommandLine {
    /// The command and its arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    pub command: Vec<String>,
}

/// What a container may do.
#[derive(Debug, Clone, Default, Args)]
pub struct RightsFlags {
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Take a capability away, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges=false, systempaths=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Every capability and system call, the host's devices, nothing covered: no container
    /// as far as root is concerned
    #[arg(long)]
    pub privileged: bool,
    /// Its own user ids: root in there is nobody out here
    ///
    /// The ids are those that /etc/subuid and /etc/subgid give root, else the first 65536 from
    /// 100000 on that no user and no line there has. Without root it is always so, but for root
    /// in there, who is you.
    #[arg(long, value_enum, value_name = "MODE", num_args = 0..=1, require_equals = true,
        default_missing_value = "auto")]
    pub userns: Option<UserNamespace>,
}

/// Start another process in the namespaces of a running container, of any engine.
///
/// In one of another engine's, it gets what the container's first process has: user,
/// environment, capabilities, cgroup.
#[derive(Debug, Args)]
pub struct Exec {
    /// Keep standard input connected
    #[arg(long, short)]
    pub interactive: bool,
    /// Give the process a terminal
    #[arg(long, short)]
    pub tty: bool,
    /// Leave it running in the background
    #[arg(long, short)]
    pub detach: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub process: ProcessFlags,
    /// With every capability (its system calls stay those of the container)
    #[arg(long)]
    pub privileged: bool,
    /// The container's name, the beginning of its id, ENGINE:NAME, or a pid
    pub target: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub line: CommandLine,
}

/// Stop a container: SIGTERM, then SIGKILL after a time.
#[derive(Debug, Args)]
pub struct Stop {
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, short, default_value_t = 10, value_name = "SECONDS")]
    pub time: u32,
    /// The container's name, or the beginning of its id
    pub target: String,
}

/// Show what a container wrote that runs, or ran, in the background.
///
/// The last part of it is kept, 1 MiB at least. It goes with the container,
/// unless that was started with `run --keep`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Go on as it writes more, until it ends
    #[arg(long, short)]
    pub follow: bool,
    /// The container's name, or the beginning of its id
    pub target: String,
}

/// Remove what is kept of a container that has ended (`run --keep`).
#[derive(Debug, Args)]
pub struct Rm {
    /// The container's name, or the beginning of its id
    pub target: String,
}
