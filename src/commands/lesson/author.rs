//! For those who write lessons: `lesson check`, `lesson test`, `lesson new`.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::cli::Global;
use crate::error::{Context, Error, Exit, Result};
use crate::lesson::fault::Fault;
use crate::lesson::library;
use crate::lesson::trial::{self, Tried};
use crate::step::Step;
use crate::ui::{Align, Column, Screen, Table, Value, shown};

use super::{Clap, play};

/// `lesson check PATH`: every mistake with its place, or a word that there is none; of a
/// directory the translations too.
pub(super) fn check(path: &Path, screen: &mut Screen) -> Result<u8> {
    let (lesson, faults) = library::examine(path, &Clap)?;
    let mut texts = vec![(lesson.path.clone(), faults)];
    if path.is_dir() {
        texts.extend(library::translations(&lesson, path, &Clap)?);
    }
    let count: usize = texts.iter().map(|(_, faults)| faults.len()).sum();
    if screen.json_wanted() {
        let told =
            |(path, faults): &(String, Vec<Fault>)| json!({ "path": path, "mistakes": faults });
        screen.json(&json!({ "texts": texts.iter().map(told).collect::<Vec<_>>() }))?;
    } else if count == 0 {
        let (steps, claims) = (lesson.steps.len(), lesson.claims().count());
        let good =
            |(path, _): &(String, _)| format!("{path}: good ({steps} steps, {claims} claims)");
        screen.out(&texts.iter().map(good).collect::<Vec<_>>().join("\n"))?;
    } else {
        let line = |path: &str, fault: &Fault| shown(&format!("{path}:{fault}"));
        let lines = texts
            .iter()
            .flat_map(|(path, faults)| faults.iter().map(move |fault| line(path, fault)));
        screen.out(&lines.collect::<Vec<_>>().join("\n"))?;
    }
    match count {
        0 => Ok(0),
        1 => Err(Error::new(format!("{} has 1 mistake", lesson.path))),
        many => Err(Error::new(format!("{} has {many} mistakes", lesson.path))),
    }
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
            Step::new(format!("write({file:?})"), "a lesson of two steps, to change"),
        ])?;
        return Ok(0);
    }
    if let Err(error) = fs::create_dir(dir)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(error).tried(|| format!("mkdir({dir:?})"));
    }
    if fs::read_dir(dir).tried(|| format!("opendir({dir:?})"))?.next().is_some() {
        return Err(Error::new(format!("starting a lesson in {}", dir.display()))
            .said("the directory is not empty")
            .hint("Name one that is empty or not there yet, as lessons/42-signals."));
    }
    let mut made = fs::File::create_new(&file).tried(|| format!("open({file:?}, O_EXCL)"))?;
    made.write_all(NEW.as_bytes()).tried(|| format!("write({file:?})"))?;
    let (file, dir) = (file.display(), dir.display());
    screen.note(&format!(
        "{file} is a lesson of two steps that plays: `under-the-hood lesson {dir}`. Change it, and check what you change: `under-the-hood lesson check {dir}`, then `under-the-hood lesson test {dir}`."
    ));
    Ok(0)
}
