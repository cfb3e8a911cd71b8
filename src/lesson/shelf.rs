//! Lessons of others, installed by name: `NN-name/lesson.md` in the directory
//! `lessons` of our data directory, and of each of `$XDG_DATA_DIRS` for what
//! one person installs for all.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::home::{self, Place};

use super::source;

/// More than this are not looked at.
const MOST: usize = 200;

/// The directories that may hold lessons.
pub fn directories() -> Result<Vec<PathBuf>> {
    let mut all = vec![home::path(Place::Data)?.join("lessons")];
    let alone = std::env::var_os("UTH_HOME").is_some_and(|home| !home.is_empty());
    if !alone {
        let given = std::env::var_os("XDG_DATA_DIRS").filter(|dirs| !dirs.is_empty());
        let dirs = given.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
        let absolute = std::env::split_paths(&dirs).filter(|dir| dir.is_absolute());
        all.extend(absolute.map(|dir| dir.join("under-the-hood/lessons")));
    }
    Ok(all)
}

/// Each directory with a lesson in it, in the order of their names. One that comes earlier
/// hides a later one of the same name.
pub fn installed() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    for shelf in directories()? {
        let entries = std::fs::read_dir(shelf).into_iter().flatten().flatten().take(MOST);
        let mut here: Vec<_> = entries.map(|entry| entry.path()).collect();
        here.retain(|path| path.join("lesson.md").exists());
        here.retain(|path| found.iter().all(|known| known.file_name() != path.file_name()));
        found.extend(here);
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(found)
}

/// Root is led by nobody who put a lesson on the shelf: what others can change is refused.
pub fn trustworthy(path: &Path) -> Result<()> {
    let Some(why) = source::changeable(path) else { return Ok(()) };
    Err(Error::new(format!("playing the lesson {} as root", path.display())).said(why).hint(format!(
        "If you trust it: `chown -R root: {0}` and `chmod -R go-w {0}`, or name it by its path and read what it would perform.",
        path.display()
    )))
}
