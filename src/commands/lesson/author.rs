//! For those who write lessons: `lesson check`, `lesson test`, `lesson new`.

use std::fs;
use std::path::Path;

use crate::cli::Global;
use crate::error::{Context, Error, Exit, Result};
use crate::lesson::library;
use crate::lesson::trial::{self, Tried};
use crate::step::Step;
use crate::ui::{Align, Column, Screen, Table, Value};

use super::{Clap, play};

/// `lesson check PATH`: every mistake with its line, or a word that there is none.
pub(super) fn check(path: &Path, screen: &mut Screen) -> Result<u8> {
    let (lesson, faults) = library::examine(path, &Clap)?;
    if faults.is_empty() {
        let (steps, claims) = (lesson.steps.len(), lesson.claims().count());
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

const TRIED: Table<Tried> = Table(&[
    Column {
        name: "CLAIM",
        align: Align::Left,
        help: "its id",
        value: |row| Value::Text(row.id.clone()),
    },
    Column {
        name: "CHECK",
        align: Align::Left,
        help: "good: true with its effect and false without; untested: not on this machine",
        value: |row| {
            Value::Text(
                if !row.tested() {
                    "untested"
                } else if row.good() {
                    "good"
                } else {
                    "bad"
                }
                .to_owned(),
            )
        },
    },
    Column {
        name: "WITH",
        align: Align::Left,
        help: "the verdict with its effect; it must hold",
        value: |row| Value::Text(row.with.verdict.word().to_owned()),
    },
    Column {
        name: "WITHOUT",
        align: Align::Left,
        help: "the verdict without; it must not hold",
        value: |row| Value::maybe(row.without.as_ref().map(|judgement| judgement.verdict.word())),
    },
    Column {
        name: "EVIDENCE",
        align: Align::Left,
        help: "what was found without the effect; for a check that is not good, all of it",
        value: |row| {
            let with = &row.with.evidence;
            Value::Text(match &row.without {
                Some(without) if row.good() => without.evidence.clone(),
                Some(without) => format!("with: {with}; without: {}", without.evidence),
                None => with.clone(),
            })
        },
    },
]);

/// `lesson test PATH`: every check with its effect and without.
pub(super) fn test(path: &Path, trust: bool, global: &Global, screen: &mut Screen) -> Result<u8> {
    let mut lesson = library::open(path, &Clap)?;
    // Whoever tests one of the lessons that this program was built from trusts it already.
    lesson.embedded = library::is_embedded(path);
    play::trusted(&lesson, trust || global.yes, screen)?;
    let tried = trial::trial(&lesson)?;
    if screen.json_wanted() {
        screen.json(&TRIED.json(&tried))?;
    } else {
        screen.table(&TRIED, &tried)?;
    }
    let bad = tried.iter().filter(|tried| tried.tested() && !tried.good()).count();
    if bad > 0 {
        let exit = Exit::DoesNotHold;
        return Err(Error::new(format!("{bad} of {} checks are not good", tried.len())).exit(exit).hint(
            "A check must hold with its effect and must not without: an `opposite:` line says what makes it false.",
        ));
    }
    Ok(if tried.iter().any(Tried::tested) || tried.is_empty() { 0 } else { Exit::CannotRun.code() })
}

const NEW: &str = include_str!("../../../assets/lesson.md");

/// `lesson new DIR`: a directory with a lesson that plays.
pub(super) fn new(dir: &Path, global: &Global, screen: &mut Screen) -> Result<u8> {
    let file = dir.join("lesson.md");
    if global.dry_run {
        screen.plan(&[
            Step::new(format!("mkdir({dir:?}, 0777)"), "the lesson's own directory"),
            Step::new(format!("write({file:?})"), "a lesson of one step, to change"),
        ])?;
        return Ok(0);
    }
    fs::create_dir(dir).tried(|| format!("mkdir({dir:?})"))?;
    fs::write(&file, NEW).tried(|| format!("write({file:?})"))?;
    screen.note(&format!(
        "{} is a lesson of one step. Change it, then `under-the-hood lesson check {}`.",
        file.display(),
        dir.display()
    ));
    Ok(0)
}
