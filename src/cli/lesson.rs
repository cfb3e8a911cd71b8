//! Lessons: `lesson`, `verify`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::image::RegistryFlags;

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
    /// Do without any network: what is not here comes from there (see `lesson fetch`)
    #[arg(long, value_name = "DIR")]
    pub offline: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: EngineFlag,
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
    /// Fetch what lessons take from the network: images, Alpine's minirootfs
    ///
    /// With --to it can be taken along: a registry limits how much one address may
    /// pull, and a class has one address.
    Fetch(Fetch),
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

/// `lesson fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// Numbers or names; all lessons without any
    #[arg(value_name = "LESSON")]
    pub lessons: Vec<String>,
    /// Put it there as well: an OCI image layout, with Alpine's archive beside it
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Fetch Alpine from this mirror
    #[arg(long, value_name = "URL", default_value = crate::image::alpine::MIRROR)]
    pub alpine_mirror: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub registry: RegistryFlags,
}

/// Check every claim of every lesson (or of some) on this machine.
#[derive(Debug, Args)]
pub struct Verify {
    /// Numbers or names; all lessons without any
    #[arg(value_name = "LESSON")]
    pub lessons: Vec<String>,
    /// Do without any network: what is not here comes from there (see `lesson fetch`)
    #[arg(long, value_name = "DIR")]
    pub offline: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: EngineFlag,
}

/// Whose containers the lessons are about.
#[derive(Debug, Args)]
pub struct EngineFlag {
    /// Start the containers in this engine, by its own commands; auto: in the first
    /// of docker, containerd, podman, lxc that can be used here
    #[arg(
        long,
        value_name = "ENGINE",
        default_value = "builtin",
        value_parser = ["builtin", "docker", "containerd", "podman", "lxc", "auto"]
    )]
    pub engine: String,
}
