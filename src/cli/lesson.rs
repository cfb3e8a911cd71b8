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
    #[command(flatten)]
    #[allow(missing_docs)]
    pub playing: Playing,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Option<LessonCommand>,
}

/// How a lesson is played.
#[derive(Debug, Args)]
pub struct Playing {
    /// Play straight through, playing the solutions; exit 3 if a claim does not hold
    #[arg(long)]
    pub auto: bool,
    /// Begin at this step (its number or its id); what comes before is replayed
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// Present it on a stage: one thing at a time, commands appear as typed
    #[arg(long, conflicts_with = "auto")]
    pub present: bool,
    /// With --present: how many characters a second are typed
    #[arg(long, value_name = "CHARS_PER_SECOND", default_value_t = 25, requires = "present",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub typing: u32,
    /// Play every step now, say what would fail on stage, and record what each command prints
    #[arg(long, conflicts_with_all = ["auto", "present", "from"])]
    pub rehearse: bool,
    /// Play the steps headed (more) too
    #[arg(long)]
    pub more: bool,
    /// Keep this run as a page of your own: text, output, evidence, pictures (.html or .md).
    /// It is written as you play: even after `kill -9` it has all up to the last key
    #[arg(long, value_name = "FILE")]
    pub notebook: Option<PathBuf>,
    /// Draw pictures in ASCII (they are where the locale is not UTF-8)
    #[arg(long)]
    pub ascii: bool,
    /// Run the commands of a lesson from elsewhere without asking
    #[arg(long)]
    pub trust: bool,
    /// Do without any network: what is not here comes from there (see `lesson fetch`)
    #[arg(long, value_name = "DIR")]
    pub offline: Option<PathBuf>,
    /// Read it in this language, where it is translated (de, pt_BR); else as the locale says
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Write what it came to (claims, predictions, time; no names) to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The name that the report is to bear
    #[arg(long, value_name = "NAME", requires = "report")]
    pub name: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: EngineFlag,
}

/// Working on lessons.
#[derive(Debug, Subcommand)]
pub enum LessonCommand {
    /// Go on where you stopped; else begin the first lesson that you have not finished
    ///
    /// The lesson that was played last goes on at its step; what this machine cannot
    /// play is passed over, and said so.
    Next(Playing),
    /// Find the steps that speak of something, and the command that goes there
    ///
    /// A step is found when all words are in it: in its title, its text, its commands,
    /// questions, claims, exercises, or the article's output. Solutions, hints and what
    /// may be answered are not searched. Exits 1 when nothing is found.
    Search(Search),
    /// Check a lesson file without running it: blocks, checks, commands, translations
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
    Env {
        /// Which run, where several are played: lesson3-3fa2c1
        #[arg(value_name = "RUN")]
        run: Option<String>,
    },
    /// The presenter's notes and the clock, in a second terminal, as the player goes on
    Notes {
        /// Which run, where several are played: lesson3-3fa2c1
        #[arg(value_name = "RUN")]
        run: Option<String>,
        /// Print how it is now, and end
        #[arg(long)]
        once: bool,
    },
    /// What a class has come to: the reports of a directory in one table
    ///
    /// Each participant plays with --report FILE; the instructor gathers the files.
    Reports {
        /// Where they are
        dir: PathBuf,
    },
    /// Write a notebook as the user who typed `sudo`
    #[command(hide = true)]
    Notebook {
        /// Where
        path: PathBuf,
        /// Take it from standard input; else only look whether it could be written
        #[arg(long)]
        write: bool,
    },
    /// Write a report as the user who typed `sudo`
    #[command(hide = true)]
    Keep {
        /// Where to
        file: PathBuf,
        /// Only find out whether that can be done
        #[arg(long = "try")]
        only_try: bool,
    },
    /// Read or write the progress file as the user who typed `sudo`
    #[command(hide = true)]
    Progress {
        /// Another file of the same directory
        #[arg(long, value_name = "NAME")]
        file: Option<String>,
        /// Take the new text from standard input
        #[arg(long)]
        write: bool,
    },
}

/// `lesson search`
#[derive(Debug, Args)]
pub struct Search {
    /// What to look for, in upper or lower case; several words in quotes stand together
    #[arg(value_name = "WORD", required = true)]
    pub words: Vec<String>,
    /// Only in this lesson (a number, a name or a path; may be repeated); else in all
    /// that come with the program or are installed
    #[arg(long = "in", value_name = "LESSON")]
    pub lessons: Vec<String>,
    /// In this language, where a lesson is translated (de, pt_BR); else as the locale says
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
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
