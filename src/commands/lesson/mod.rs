//! `lesson` and `verify`: which lesson, and what to do with it. How a lesson
//! is read, played and checked stands in `lesson/`.

mod author;
mod engine;
mod fetch;
mod list;
mod next;
mod notes;
mod play;
mod rehearse;
mod reports;
mod search;
mod verify;

use clap::Parser;

use crate::cli::lesson::{Lesson as LessonArgs, LessonCommand};
use crate::cli::{Cli, Global};
use crate::error::{Error, Result};
use crate::lesson::{Grammar, library, notebook, perform, progress, report, session};
use crate::shell::in_quotes;
use crate::step::Step;
use crate::ui::Screen;

pub use verify::verify;

/// Our own command line's grammar, for the lines of a lesson.
struct Clap;

impl Grammar for Clap {
    fn parse(&self, words: &[String]) -> Result<()> {
        let program = std::iter::once("under-the-hood");
        let words = program.chain(words.iter().map(String::as_str));
        Cli::try_parse_from(words).map(drop).map_err(|error| {
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let tip = lines.find_map(|line| line.strip_prefix("tip: ").map(str::to_owned));
            Error { hint: tip, ..Error::usage(what) }
        })
    }
}

/// `lesson ...`
pub fn run(args: &LessonArgs, global: &Global, screen: &mut Screen) -> Result<u8> {
    match (&args.command, &args.lesson) {
        (Some(LessonCommand::Next(playing)), _) => next::next(playing, global, screen),
        (Some(LessonCommand::Search(args)), _) => search::search(args, screen),
        (Some(LessonCommand::Check { path }), _) => author::check(path, screen),
        (Some(LessonCommand::Test { path, trust }), _) => {
            author::test(path, *trust, global, screen)
        }
        (Some(LessonCommand::New { dir }), _) => author::new(dir, global, screen),
        (Some(LessonCommand::Fetch(args)), _) => fetch::fetch(args, global, screen),
        (Some(LessonCommand::Reset { lesson }), _) => reset(lesson, global, screen),
        (Some(LessonCommand::Env { run }), _) => env(run.as_deref(), screen),
        (Some(LessonCommand::Notebook { path, write }), _) => {
            notebook::serve(path, *write, global.yes).map(|()| 0)
        }
        (Some(LessonCommand::Notes { run, once }), _) => {
            notes::notes(run.as_deref(), *once, screen)
        }
        (Some(LessonCommand::Reports { dir }), _) => reports::reports(dir, screen),
        (Some(LessonCommand::Keep { file, only_try }), _) => {
            report::serve(file, *only_try).map(|()| 0)
        }
        (Some(LessonCommand::Progress { file, write }), _) => {
            progress::serve(file.as_deref(), *write)?
                .map_or(Ok(0), |text| screen.out(&text).map(|()| 0))
        }
        (None, None) => list::list(screen),
        (None, Some(wanted)) => {
            play::play(&library::find(wanted, &Clap)?, &args.playing, global, screen)
        }
    }
}

/// `lesson reset`: forgets how far the reader has come in one lesson.
fn reset(wanted: &str, global: &Global, screen: &mut Screen) -> Result<u8> {
    let key = library::find(wanted, &Clap)?.key();
    if global.dry_run {
        let step =
            Step::new(format!("write(progress.json without lesson {key})"), "to begin it anew");
        screen.plan(&[step])?;
        return Ok(0);
    }
    progress::update(&key, |progress| *progress = progress::Progress::default())?;
    screen.note(&format!("Lesson {key} begins anew."));
    Ok(0)
}

/// `lesson env`: for `eval` in a second terminal.
fn env(run: Option<&str>, screen: &mut Screen) -> Result<u8> {
    let mut lines = Vec::new();
    for (name, value) in session::find(run)?.variables {
        lines.push(format!("export {name}={}", in_quotes(&value)));
    }
    let path = perform::search_path(&perform::own_program()?);
    lines.push(format!("export PATH={}", in_quotes(&path.to_string_lossy())));
    screen.out(&lines.join("\n"))?;
    Ok(0)
}
