//! Set-up: `doctor`, `cleanup`, `completions`.

use clap::Args;

/// Look at this machine and say, per lesson, whether it is ready.
///
/// Exits with 4 when no lesson can run here.
#[derive(Debug, Args)]
pub struct Doctor {}

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
