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

use crate::error::{Context, Error, Result};
use crate::home::{self, Place};

use super::invoker;

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
