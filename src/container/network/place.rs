//! Which network namespace a TARGET means, and holding on to it: from the
//! moment it is open, no pid that is given to another process can mislead.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::names::{self, RUN_NETNS};
use crate::container::target;
use crate::error::{Context, Error, Result};
use crate::kernel::namespace::{Id, Kind};
use crate::kernel::pidfd::PidFd;

/// A network namespace that is held open.
#[derive(Debug)]
pub struct Place {
    /// The namespace.
    pub file: File,
    /// Its number.
    pub inode: u64,
    /// The process by which it was found.
    pub pid: Option<i32>,
    /// What to call it: the name given, or the pid.
    pub label: String,
    /// Where it was found: `/proc/4711/ns/net`.
    pub path: PathBuf,
}

impl Place {
    /// `net:[4026532281]`
    pub fn id(&self) -> Id {
        Id { inode: self.inode, kind: Kind::Net }
    }
}

/// Opens what `text` means: a pid, a container, or `netns:NAME`; a bare NAME
/// too where no container is called so.
pub fn open(proc: &Path, text: &str) -> Result<Place> {
    if let Some(name) = text.strip_prefix("netns:") {
        return named(name);
    }
    match target::resolve(proc, text) {
        Ok(target) => {
            let mut place = of_process(proc, target.pid)?;
            if let Some(found) = target.container {
                place.label = found.name.or(found.id).unwrap_or(place.label);
            }
            Ok(place)
        }
        Err(error) => match names::check(text).and_then(|()| named(text)) {
            Ok(place) => Ok(place),
            Err(_) => Err(error),
        },
    }
}

/// The namespace with this name, in `ip`'s directory or one that a label names.
fn named(name: &str) -> Result<Place> {
    let all = names::all();
    let found = all.iter().find(|known| known.name == name || known.label() == name);
    let Some(found) = found else {
        return Err(Error::new(format!("no network namespace is called {name}")).hint(
            match all.as_slice() {
                [] => format!("{RUN_NETNS} has no names; `under-the-hood netns list` shows the unnamed ones too."),
                some => format!("There are: {}.", some.iter().map(names::Name::label).collect::<Vec<_>>().join(", ")),
            },
        ));
    };
    let file = names::open_namespace(&found.path).ok_or_else(|| {
        Error::new(format!("{} names no namespace", found.path.display()))
            .said("it is a plain file: whatever was mounted on it is gone")
            .hint(format!("`rm {}` removes it.", found.path.display()))
    })?;
    let inode = file.metadata().tried(|| format!("fstat({:?})", found.path))?.ino();
    Ok(Place { file, inode, pid: None, label: name.to_owned(), path: found.path.clone() })
}

/// The network namespace of a process that was still alive when it was opened.
pub fn of_process(proc: &Path, pid: i32) -> Result<Place> {
    let path = proc.join(format!("{pid}/ns/net"));
    let process = PidFd::open(pid).map_err(|error| gone(error, pid))?;
    let file =
        File::open(&path).tried(|| format!("open({path:?})")).map_err(|error| {
            match error.is(nix::errno::Errno::EACCES) {
                true => error.hint("Another user's process: as root (sudo) it can be looked into."),
                false => gone(error, pid),
            }
        })?;
    let inode = file.metadata().tried(|| format!("fstat({path:?})"))?.ino();
    // The pid could have become another's between the two; not if it never ended.
    if process.wait(0)? {
        return Err(gone(Error::call(format!("open({path:?})"), nix::errno::Errno::ESRCH), pid));
    }
    Ok(Place { file, inode, pid: Some(pid), label: pid.to_string(), path })
}

fn gone(error: Error, pid: i32) -> Error {
    error.hint(format!("Process {pid} has ended, and its namespace may have gone with it."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_has_no_network_and_ours_has() {
        let ours = of_process(Path::new("/proc"), std::process::id().cast_signed()).unwrap();
        let link = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert_eq!(link.to_string_lossy(), ours.id().to_string());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().cast_signed();
        child.wait().unwrap();
        assert!(of_process(Path::new("/proc"), pid).is_err());
    }
}
