//! `lesson` and `verify`: which lesson, and what to do with it. How a lesson
//! is played stands in `lesson/`.

use std::path::Path;

use clap::Parser;

use crate::cli::lesson::{Lesson as LessonArgs, LessonCommand, Verify};
use crate::cli::{Cli, Global};
use crate::error::{Error, Result};
use crate::lesson::{Grammar, library};
use crate::ui::{Align, Column, Screen, Table, Value};

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
    let _ = global;
    match (&args.command, &args.lesson) {
        (Some(LessonCommand::Check { path }), _) => check(path, screen),
        (None, None) => list(screen),
        _ => Err(Error::new("not built")),
    }
}

/// One row of the list.
struct Listed {
    number: Option<u32>,
    name: String,
    chapter: String,
    minutes: u32,
    progress: String,
}

const LIST: Table<Listed> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Right,
        help: "what to type: under-the-hood lesson 1",
        value: |row| row.number.map_or(Value::None, |number| Value::Number(u64::from(number))),
    },
    Column { name: "NAME", align: Align::Left, help: "or this", value: |row| Value::Text(row.name.clone()) },
    Column {
        name: "ARTICLE",
        align: Align::Left,
        help: "or the article's heading that it follows",
        value: |row| Value::Text(row.chapter.clone()),
    },
    Column {
        name: "MINUTES",
        align: Align::Right,
        help: "how long it takes",
        value: |row| Value::Number(u64::from(row.minutes)),
    },
    Column {
        name: "PROGRESS",
        align: Align::Left,
        help: "how far you have come",
        value: |row| Value::Text(row.progress.clone()),
    },
]);

fn list(screen: &mut Screen) -> Result<u8> {
    let row = |lesson: crate::lesson::model::Lesson| Listed {
        number: lesson.number,
        name: lesson.name,
        chapter: lesson.front.chapter,
        minutes: lesson.front.minutes,
        progress: String::new(),
    };
    let rows: Vec<_> = library::embedded().into_iter().map(row).collect();
    if screen.json_wanted() {
        screen.json(&LIST.json(&rows))?;
    } else {
        screen.table(&LIST, &rows)?;
    }
    Ok(0)
}

/// `lesson check PATH`: every mistake with its line, or a word that there is none.
fn check(path: &Path, screen: &mut Screen) -> Result<u8> {
    let (lesson, faults) = library::examine(path, &Clap)?;
    if faults.is_empty() {
        let steps = lesson.steps.len();
        let claims = lesson.claims().count();
        screen.out(&format!("{}: good ({steps} steps, {claims} claims)", lesson.path))?;
        return Ok(0);
    }
    let lines: Vec<_> = faults.iter().map(|fault| format!("{}:{fault}", lesson.path)).collect();
    screen.out(&lines.join("\n"))?;
    let count = match lines.len() {
        1 => "1 mistake".to_owned(),
        many => format!("{many} mistakes"),
    };
    Err(Error::new(format!("{} has {count}", lesson.path)))
}

/// `verify`
pub fn verify(_: &Verify, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
