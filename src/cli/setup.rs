//! Set-up: `doctor`, `cleanup`, `completions`, `man`.

use clap::Args;

/// Look at this machine and say, per lesson, whether it is ready.
///
/// Changes nothing: what has to be tried is tried in child processes, in
/// namespaces that end with them. Exits with 4 when no lesson can run here.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Do not ask the network whether images can be fetched
    #[arg(long)]
    pub offline: bool,
    /// Say how each engine is installed, on other distributions too, and nothing else
    #[arg(long)]
    pub install: bool,
}

/// Undo what a killed command left behind. Touches nothing that no journal names.
#[derive(Debug, Args)]
pub struct Cleanup {
    /// Only list what is there: leftovers, and what is meant to stay
    #[arg(long)]
    pub list: bool,
}

/// Print a completion script.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell to complete in
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Print a manual page: `under-the-hood man run | man -l -` shows it.
#[derive(Debug, Args)]
pub struct Man {
    /// The command that it is about (`inspect ns`); without one, the whole program
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
}
