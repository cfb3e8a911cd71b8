//! What others are told of a lesson that is being played: a small file in the
//! run directory. `lesson env` gives a second terminal its variables, `lesson
//! notes` shows the instructor where the player is.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::container::scope;
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};

use super::check::start_of;

/// A player, as its file says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// The player's process, and when it started.
    pub pid: i32,
    /// In clock ticks since boot.
    pub start: u64,
    /// Which run of which lesson: `lesson3-3fa2c1`.
    pub scope: String,
    /// What the lesson's commands find in their environment.
    pub variables: Vec<(String, String)>,
    /// Where the player is.
    #[serde(default)]
    pub now: Option<Now>,
}

/// Where a player is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// The lesson's key, by which its file is found again.
    pub lesson: String,
    /// Its title.
    pub title: String,
    /// The step, from 0.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// Its heading.
    pub heading: String,
    /// The next step's heading.
    pub next: Option<String>,
    /// What the instructor noted for it.
    pub notes: Vec<String>,
    /// How many minutes the lesson is meant to take.
    pub minutes: u32,
    /// When it began, in seconds since the epoch.
    pub since: u64,
    /// When this step began.
    pub step_since: u64,
}

impl Session {
    /// Of this process.
    pub fn own(scope: String, variables: Vec<(String, String)>, now: Option<Now>) -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self { pid, start: start_of(pid).unwrap_or(0), scope, variables, now }
    }

    /// Tells it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::new("writing the lesson's variables").said(error))?;
        fs::write(path, text).tried(|| format!("write({path:?})"))
    }

    /// One of its variables.
    pub fn variable(&self, wanted: &str) -> Option<&str> {
        self.variables.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// Whether its player still plays.
    pub fn alive(&self) -> bool {
        start_of(self.pid) == Some(self.start)
    }
}

/// A file that is just being written is read once more.
fn read(path: &Path) -> Option<Session> {
    for _ in 0..20 {
        match serde_json::from_slice(&fs::read(path).ok()?) {
            Ok(session) => return Some(session),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    }
    None
}

/// Waits until no other run is choosing what shall be its own, and keeps others waiting
/// until this is dropped.
pub fn turn() -> Result<fs::File> {
    let directory = home::open(Place::Run, "")?;
    let file = fs::File::open(&directory).tried(|| format!("open({directory:?})"))?;
    rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
        .tried(|| format!("flock({directory:?})"))?;
    Ok(file)
}

/// Every lesson that is being played by this user, the one that moved last first. What they
/// say is performed (`eval`), so the directory must be nobody else's to write.
pub fn list() -> Result<Vec<Session>> {
    let Some(directory) = home::find(Place::Run, "")? else { return Ok(Vec::new()) };
    let entries = fs::read_dir(&directory).tried(|| format!("opendir({directory:?})"))?;
    let mut files: Vec<fs::DirEntry> = entries.flatten().collect();
    files.retain(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("lesson-") && name.ends_with(".json")
    });
    files.sort_by_key(|entry| {
        std::cmp::Reverse(entry.metadata().and_then(|metadata| metadata.modified()).ok())
    });
    let paths: Vec<PathBuf> = files.iter().map(fs::DirEntry::path).collect();
    Ok(paths.iter().filter_map(|path| read(path)).filter(Session::alive).collect())
}

/// The session that is meant: the named one, else that of this shell, else the only one.
pub fn find(wanted: Option<&str>) -> Result<Session> {
    let all = list()?;
    let own = scope::own();
    let wanted_scope = wanted.or(own.as_deref());
    if let Some(found) = all.iter().find(|session| Some(&*session.scope) == wanted_scope) {
        return Ok(found.clone());
    }
    let names = all.iter().map(|session| session.scope.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, all.as_slice()) {
        (None, [one]) => Ok(one.clone()),
        (_, []) => Err(Error::new("no lesson is being played here")
            .hint("Start one in another terminal: `under-the-hood lesson 1` (and as the same user: with sudo in both, or in neither).")),
        (None, _) => Err(Error::usage("several lessons are being played here")
            .said(names)
            .hint("Say which: `under-the-hood lesson env NAME`. The player shows the name of its own with every exercise.")),
        (Some(wanted), _) => Err(Error::usage(format!("no lesson called {wanted} is being played here"))
            .hint(format!("There is: {names}."))),
    }
}
