//! How far the reader has come: one small file in the state directory, the
//! reader's own under sudo too.
//!
//! Under sudo the home belongs to somebody else, and root must not be led by
//! what others can write. So the file is then read and written by a child that
//! has become that user (`lesson progress`, hidden), over its standard streams.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

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
    let text = match invoker::who() {
        Some(user) => as_user(user, None)?,
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
    match invoker::who() {
        Some(user) => as_user(user, Some(&text)).map(drop),
        None => write_here(&text),
    }
}

/// Has a child that is that user read the file, or write it.
fn as_user((uid, gid): (u32, u32), text: Option<&str>) -> Result<String> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(super::review::PROGRAM).args(["lesson", "progress"]).uid(uid).gid(gid);
    // The user's own directories; where they are is for the child to find out.
    for name in ["HOME", "XDG_STATE_HOME", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    command.args(text.map(|_| "--write"));
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let call = || format!("execve(\"/proc/self/exe\") as uid {uid}");
    let mut child = command.spawn().tried(call)?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), text) {
        // A child that has died says why on its other stream.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().tried(call)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(Error::new(format!("keeping the progress of uid {uid}")).said(said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The child's side: the text of the file to standard output, or from standard input.
pub fn serve(write: bool) -> Result<Option<String>> {
    if !write {
        return read_here().map(Some);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).tried(|| "read(0)")?;
    write_here(&text).map(|()| None)
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
    let directory = home::open(Place::State, "")?;
    let path = directory.join(FILE);
    let beside = directory.join(format!(".{FILE}.{}", std::process::id()));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
    written.tried(|| format!("write({path:?})")).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}
