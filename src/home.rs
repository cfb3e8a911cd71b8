//! Where this program keeps its files, and why it may trust them.
//!
//! | what | root | otherwise |
//! | --- | --- | --- |
//! | data: images, root file systems | /var/lib/under-the-hood | `$XDG_DATA_HOME/under-the-hood` |
//! | run: journals, running containers | /run/under-the-hood | `$XDG_RUNTIME_DIR/under-the-hood`, else /tmp/under-the-hood-UID |
//! | state: progress, notebooks | `$XDG_STATE_HOME/under-the-hood` | the same |
//! | cache: downloads | /var/cache/under-the-hood | `$XDG_CACHE_HOME/under-the-hood` |
//!
//! `UTH_HOME` puts all of them under one directory. A directory that somebody
//! else could have prepared is refused: a symbolic link is never followed into
//! it, it must belong to us, and nobody else may write in it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, Xdg};
use nix::errno::Errno;
use rustix::fs::{Mode, OFlags, fstat, mkdirat, openat};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

const NAME: &str = "under-the-hood";

/// One of the four places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Images and root file systems: survive a reboot.
    Data,
    /// Journals and running containers: gone after a reboot.
    Run,
    /// Progress and notebooks: the reader's.
    State,
    /// Downloads: may be deleted at any time.
    Cache,
}

/// The path of a place; nothing is made or checked.
pub fn path(place: Place) -> Result<PathBuf> {
    Ok(parts(place)?.0.join(parts(place)?.1))
}

/// A place, or a directory below it (`sub`, a relative path), made if it is not
/// there (mode 0700, or 0755 for data), and checked on every level.
pub fn open(place: Place, sub: &str) -> Result<PathBuf> {
    let (base, _) = parts(place)?;
    let mode = if place == Place::Data { 0o755 } else { 0o700 };
    std::fs::create_dir_all(&base)
        .tried(|| format!("mkdir({base:?})"))
        .map_err(|error| error.hint(elsewhere(&base)))?;
    // What was made is there.
    walk(place, sub, Some(mode))?.map_or_else(|| path(place), Ok)
}

/// The same, if it is there: checked as well, but nothing is made.
pub fn find(place: Place, sub: &str) -> Result<Option<PathBuf>> {
    walk(place, sub, None)
}

fn walk(place: Place, sub: &str, make: Option<u32>) -> Result<Option<PathBuf>> {
    let (mut path, name) = parts(place)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = match rustix::fs::open(&path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) if make.is_none() => return Ok(None),
        opened => opened.tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))?,
    };
    for component in Path::new(&name).join(sub).components() {
        path.push(component);
        match enter(directory, component.as_os_str(), &path, make)? {
            Some(entered) => directory = entered,
            None => return Ok(None),
        }
    }
    Ok(Some(path))
}

/// Opens (or makes) one level and refuses what is not ours.
fn enter(
    parent: OwnedFd,
    name: &std::ffi::OsStr,
    path: &Path,
    make: Option<u32>,
) -> Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::PATH;
    if let Some(mode) = make {
        match mkdirat(parent.as_fd(), name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => {
                return Err(errno)
                    .tried(|| format!("mkdir({path:?}, {mode:#o})"))
                    .map_err(|error| error.hint(elsewhere(path)));
            }
        }
    }
    let opened = match openat(parent.as_fd(), name, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) if make.is_none() => return Ok(None),
        opened => opened,
    };
    let directory = opened
        .tried(|| format!("open({path:?}, O_DIRECTORY|O_NOFOLLOW)"))
        .map_err(|error| match error.errno.map(Errno::from_raw) {
            Some(Errno::ELOOP | Errno::ENOTDIR) => error.hint(format!(
                "{} is a symbolic link or a file where this program keeps its own directory, and it is not followed. \
                 If you do not know who put it there, look at it with `ls -l`, then remove it.",
                path.display()
            )),
            _ => error,
        })?;
    let stat = fstat(&directory).tried(|| format!("fstat({path:?})"))?;
    let us = rustix::process::geteuid().as_raw();
    if stat.st_uid != us {
        return Err(Error::new(format!("using {}", path.display()))
            .said(format!(
                "it belongs to uid {}, not to uid {us} that runs this program",
                stat.st_uid
            ))
            .hint(elsewhere(path)));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(Error::new(format!("using {}", path.display()))
            .said(format!("others may write in it (mode {:o})", stat.st_mode & 0o7777))
            .hint(format!("If its content is yours: `chmod go-w {}`.", path.display())));
    }
    Ok(Some(directory))
}

fn elsewhere(path: &Path) -> String {
    format!(
        "{} cannot be used; UTH_HOME=DIR puts everything this program keeps under DIR.",
        path.display()
    )
}

/// The directory that must exist, and our own name (with a sub-directory) in it.
fn parts(place: Place) -> Result<(PathBuf, String)> {
    if let Some(home) = std::env::var_os("UTH_HOME").filter(|home| !home.is_empty()) {
        let home = PathBuf::from(home);
        if !home.is_absolute() {
            return Err(Error::usage(format!(
                "UTH_HOME={} is not an absolute path",
                home.display()
            )));
        }
        let sub = match place {
            Place::Data => "data",
            Place::Run => "run",
            Place::State => "state",
            Place::Cache => "cache",
        };
        return Ok((home, sub.to_owned()));
    }
    let root = rustix::process::geteuid().is_root();
    let base = match place {
        Place::Data if root => "/var/lib".into(),
        Place::Run if root => "/run".into(),
        Place::Cache if root => "/var/cache".into(),
        Place::Run => return Ok(user_run()),
        Place::Data => xdg()?.data_dir(),
        Place::Cache => xdg()?.cache_dir(),
        Place::State => {
            let xdg = xdg()?;
            xdg.state_dir().unwrap_or_else(|| xdg.home_dir().join(".local/state"))
        }
    };
    Ok((base, NAME.to_owned()))
}

fn xdg() -> Result<Xdg> {
    Xdg::new().map_err(|error| {
        Error::new("finding your home directory")
            .said(error)
            .hint("Set HOME, or UTH_HOME=DIR for this program's files.")
    })
}

/// `$XDG_RUNTIME_DIR` if it is there and ours, else a directory of our own in /tmp.
fn user_run() -> (PathBuf, String) {
    let us = rustix::process::geteuid().as_raw();
    let ours = |path: &PathBuf| {
        rustix::fs::lstat(path).is_ok_and(|stat| stat.st_uid == us && stat.st_mode & 0o022 == 0)
    };
    match std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .filter(ours)
    {
        Some(runtime) => (runtime, NAME.to_owned()),
        None => ("/tmp".into(), format!("{NAME}-{us}")),
    }
}
