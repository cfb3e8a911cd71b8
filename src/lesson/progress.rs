//! How far the reader has come: one small file in the state directory, the
//! reader's own under sudo too.
//!
//! Under sudo the home belongs to somebody else, and root must not be led by
//! what others can write. So the file is then read and written by a child that
//! has become that user (`lesson progress`, hidden), over its standard streams.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::build::clock;
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};

use super::check::Judged;
use super::score::{Answers, Score};
use super::{invoker, rehearsal};

/// Of one lesson.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The step that was reached, by id; none at the start and at the end.
    #[serde(default)]
    pub at: Option<String>,
    /// Whether it has been played to its end.
    #[serde(default)]
    pub finished: bool,
    /// How many of its claims held when it was.
    #[serde(default)]
    pub held: usize,
    /// How long the reader has been at it, all sittings together.
    #[serde(default)]
    pub seconds: u64,
    /// When that was last: `2026-11-26T11:02:13Z`. What sorts by it sorts by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_played: Option<String>,
    /// The predictions of the last run that came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// The run that is under way; another day it goes on.
    #[serde(default, skip_serializing_if = "Run::is_empty")]
    pub run: Run,
}

/// A run of a lesson, from its first step to its last, however many sittings it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// How long it has taken so far.
    #[serde(default)]
    pub seconds: u64,
    /// The questions that were answered.
    #[serde(default)]
    pub answers: Answers,
    /// The claims that were judged, by what was found last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

impl Run {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Progress {
    /// A step was reached in this run; so many more seconds have passed.
    pub fn reached(&mut self, step: Option<&str>, run: Run, fresh: u64) {
        self.at = step.map(str::to_owned);
        self.run = run;
        self.played(fresh);
    }

    /// It was played to its end: by a reader, with these answers.
    pub fn finish(&mut self, held: usize, answers: &Answers, seconds: u64) {
        (self.at, self.run) = (None, Run::default());
        self.score = Some(Score::of(answers)).filter(|score| *score != Score::default());
        self.finish_alone(held);
        self.played(seconds);
    }

    /// The same with nobody there: the run of a reader that is under way stays as it is.
    pub fn finish_alone(&mut self, held: usize) {
        (self.finished, self.held) = (true, held);
        self.played(0);
    }

    fn played(&mut self, seconds: u64) {
        self.seconds += seconds;
        let now = rehearsal::now().try_into().unwrap_or(i64::MAX);
        self.last_played = Some(format!("{}Z", clock::date(now)));
    }

    /// How the predictions went: of the run under way, or else of the last one.
    pub fn predictions(&self) -> Option<Score> {
        match self.run.answers.is_empty() {
            true => self.score.filter(|_| self.at.is_none()),
            false => Some(Score::of(&self.run.answers)),
        }
    }

    /// The day it was last played (UTC): `2026-11-26`.
    pub fn day(&self) -> Option<&str> {
        self.last_played.as_deref().map(|at| at.split('T').next().unwrap_or(at))
    }
}

/// Of every lesson, by its key.
pub type Book = BTreeMap<String, Progress>;

const FILE: &str = "progress.json";
const OLDEST_WORD: &str = "{}";

/// Reads it.
pub fn load() -> Result<Book> {
    let text = match invoker::user() {
        Some(user) => as_user(user, None, None)?,
        None => read_here()?,
    };
    serde_json::from_str(&text).map_err(|error| Error::new("reading your progress").said(error))
}

/// Changes one lesson's, and leaves the others as they are.
pub fn update(key: &str, change: impl FnOnce(&mut Progress)) -> Result<()> {
    let mut book = load()?;
    change(book.entry(key.to_owned()).or_default());
    book.retain(|_, progress| *progress != Progress::default());
    let text = serde_json::to_string_pretty(&book)
        .map_err(|error| Error::new("writing your progress").said(error))?;
    match invoker::user() {
        Some(user) => as_user(user, None, Some(&text)).map(drop),
        None => write_here(&text),
    }
}

/// Has a child that is that user read a file, or write it.
fn as_user(user: (u32, u32), file: Option<&str>, text: Option<&str>) -> Result<String> {
    let file = file.iter().flat_map(|name| ["--file", name]);
    let args = std::iter::once("progress").chain(text.map(|_| "--write")).chain(file);
    invoker::run(user, args, text, "keeping the progress")
}

/// Another file of the reader's, kept beside the progress; none if it is not there.
pub fn read_file(name: &str) -> Result<Option<String>> {
    let text = match invoker::user() {
        Some(user) => as_user(user, Some(name), None)?,
        None => read_named(name)?,
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Keeps it.
pub fn write_file(name: &str, text: &str) -> Result<()> {
    match invoker::user() {
        Some(user) => as_user(user, Some(name), Some(text)).map(drop),
        None => write_named(name, text),
    }
}

fn read_named(name: &str) -> Result<String> {
    let path = home::path(Place::State)?.join(plain(name)?);
    match fs::read(&path) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io(format!("open({path:?})"), &error)),
    }
}

/// A name that leads nowhere else.
fn plain(name: &str) -> Result<&str> {
    match name.contains('/') || name.starts_with('.') {
        true => Err(Error::usage(format!("{name:?} is no name of a file of progress"))),
        false => Ok(name),
    }
}

/// The child's side: the text of the file to standard output, or from standard input.
pub fn serve(file: Option<&str>, write: bool) -> Result<Option<String>> {
    if !write {
        return file.map_or_else(read_here, read_named).map(Some);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).tried(|| "read(0)")?;
    write_named(file.unwrap_or(FILE), &text).map(|()| None)
}

/// The text; of a file that is broken, none, and it is kept beside the new one.
fn read_here() -> Result<String> {
    let directory = home::path(Place::State)?;
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(OLDEST_WORD.to_owned());
        }
        Err(error) => return Err(Error::io(format!("open({path:?})"), &error)),
    };
    if serde_json::from_slice::<Book>(&text).is_ok() {
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let aside = (1..).map(|n| directory.join(format!("{FILE}.broken-{n}")));
    if let Some(aside) = aside.into_iter().find(|path| !path.exists()) {
        fs::rename(&path, &aside).tried(|| format!("rename({path:?}, {aside:?})"))?;
    }
    Ok(OLDEST_WORD.to_owned())
}

/// All or nothing: written beside it, then renamed over it.
fn write_here(text: &str) -> Result<()> {
    write_named(FILE, text)
}

fn write_named(name: &str, text: &str) -> Result<()> {
    let directory = home::open(Place::State, "")?;
    let path = directory.join(plain(name)?);
    let beside = directory.join(format!(".{name}.{}", std::process::id()));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
    written.tried(|| format!("write({path:?})")).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}
