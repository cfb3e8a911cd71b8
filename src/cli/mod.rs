//! The command line: clap's derive types and help texts, nothing else.
//! One file per chapter; what a command does is in `commands/`.

pub mod build;
pub mod cgroup;
pub mod chroot;
pub mod container;
pub mod dissect;
pub mod image;
pub mod inspect;
pub mod lesson;
pub mod netns;
pub mod run;
pub mod sched;
pub mod setup;

use clap::{Args, Parser, Subcommand};

use crate::ui::{ColorChoice, Format};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 a check or claim does not hold yet; \
4 this machine cannot do it (the error names what is missing). `run` and `exec` exit as docker's: \
the command's own code, 128 + the signal that ended it, 125 when the container could not be made, \
126 when the command cannot be executed, 127 when it is not there.";

/// Learn what a container really is, by doing it on your own Linux kernel.
///
/// Every command performs the real kernel operation; --explain shows each one
/// as it happens, --dry-run shows the plan and touches nothing.
#[derive(Debug, Parser)]
#[command(name = "under-the-hood", version, after_long_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub global: Global,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

/// The same where `run` comes first and is all right: for a container that is to start
/// fast, the tree of all other commands is not made. Whatever it does not take, [`Cli`]
/// is asked, which has the better answers.
#[derive(Debug, Parser)]
#[command(name = "under-the-hood", version)]
pub struct RunFirst {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub global: Global,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: OnlyRun,
}

/// The one command of [`RunFirst`].
#[derive(Debug, Subcommand)]
pub enum OnlyRun {
    /// Start a container
    Run(Box<run::Run>),
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Show each kernel operation as it is performed (to standard error)
    #[arg(long, global = true)]
    pub explain: bool,
    /// Show the plan and touch nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
    /// Plain lines for a screen reader: nothing drawn or written over, states in words
    ///
    /// The same as UTH_PLAIN=1 in the environment.
    #[arg(long, global = true)]
    pub plain: bool,
    /// No notes, only results, warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Do not ask, take yes for an answer
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Report steps as JSON lines on this descriptor (a lesson's player listens)
    #[arg(long, global = true, hide = true, value_name = "FD")]
    pub report_fd: Option<i32>,
}

/// The commands, in the order of the chapters; the flags of one are only built
/// (`defer`) when it is the one that was typed.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// What this machine can do, lesson by lesson, and the fix for what it cannot
    Doctor(setup::Doctor),
    /// Play a lesson, or list them with your progress
    Lesson(lesson::Lesson),
    /// Check every claim of every lesson on this machine, in one table
    Verify(lesson::Verify),
    /// Look at this machine, its namespaces and its processes
    #[command(subcommand)]
    Inspect(inspect::Inspect),
    /// Network namespaces: find them, name them, look and work inside them
    #[command(subcommand)]
    Netns(netns::Netns),
    /// Start a container
    Run(Box<run::Run>),
    /// Start another process in a running container
    Exec(container::Exec),
    /// Stop a container started with `run -d`
    Stop(container::Stop),
    /// Show what a container in the background writes
    Logs(container::Logs),
    /// Remove a container that was kept when it ended
    Rm(container::Rm),
    /// Who gets the CPU: classes, priorities and nice values
    #[command(subcommand)]
    Sched(sched::Sched),
    /// How much of the machine a group of processes may use
    #[command(subcommand)]
    Cgroup(cgroup::Cgroup),
    /// Start a command with another directory as its `/`
    Chroot(chroot::Chroot),
    /// Images and root file systems
    #[command(subcommand)]
    Image(image::Image),
    /// Undo what a killed command left behind, or list what is meant to stay
    Cleanup(setup::Cleanup),
    /// Print a completion script for a shell
    Completions(setup::Completions),
    /// Print the manual page
    Man(setup::Man),
    /// The first program in a container, before it becomes the command
    #[command(name = "__init", hide = true)]
    Init,
    /// A bounded load for `cgroup prove`
    #[command(name = "__load", hide = true)]
    Load {
        /// `cpu`, `memory`, `forks` or `read`
        kind: String,
        /// Milliseconds, bytes or forks
        amount: u64,
    },
}
