//! Lessons: `lesson`, `verify`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Play a lesson; without one, list them with your progress.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Lesson {
    /// A number, a name, the article's heading, or the path of a lesson
    #[arg(value_name = "LESSON")]
    pub lesson: Option<String>,
    /// Play straight through, playing the solutions; exit 3 if a claim does not hold
    #[arg(long)]
    pub auto: bool,
    /// Begin at this step (its number or its id); what comes before is replayed
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// Play the steps headed (more) too
    #[arg(long)]
    pub more: bool,
    /// Run the commands of a lesson from elsewhere without asking
    #[arg(long)]
    pub trust: bool,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Option<LessonCommand>,
}

/// Working on lessons.
#[derive(Debug, Subcommand)]
pub enum LessonCommand {
    /// Check a lesson file without running it: blocks, checks, commands
    Check {
        /// A lesson.md or the directory it is in
        path: PathBuf,
    },
    /// Run every check of a lesson twice: false without its effect, true with it
    Test {
        /// A lesson.md or the directory it is in
        path: PathBuf,
        /// Run its commands without asking
        #[arg(long)]
        trust: bool,
    },
    /// Start a new lesson
    New {
        /// The directory to make
        dir: PathBuf,
    },
    /// Forget the progress of a lesson
    Reset {
        /// A number or a name; a lesson's path for one of your own
        lesson: String,
    },
    /// Print the variables of the lesson being played, for a second terminal
    Env,
    /// Read or write the progress file as the user who typed `sudo`
    #[command(hide = true)]
    Progress {
        /// Take the new text from standard input
        #[arg(long)]
        write: bool,
    },
}

/// Check every claim of every lesson (or of some) on this machine.
#[derive(Debug, Args)]
pub struct Verify {
    /// Numbers or names; all lessons without any
    #[arg(value_name = "LESSON")]
    pub lessons: Vec<String>,
}
