//! Containers that are kept when they have ended (`run --keep`): a directory
//! each in the data directory, with the layer of what they changed, their
//! record, and what they wrote if they ran in the background. Its name is in a
//! journal, as kept: `cleanup --list` shows it, `rm` and `cleanup` remove it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::container::registry::{self, Container};
use crate::container::scope;
use crate::container::spec::Spec;
use crate::error::{Error, Result};
use crate::home::{self, Place};
use crate::journal::Journal;
use crate::kernel::files::{MakeDir, WriteFile};
use crate::kernel::op::{Op, literal};
use crate::kernel::tree::NewTree;
use crate::kernel::undo;
use crate::step::{Observer, Step};

/// Where a container's directory is.
pub fn path(id: &str) -> Result<PathBuf> {
    Ok(home::path(Place::Data)?.join("kept").join(id))
}

/// The directory of all of them, made and checked.
pub fn directory() -> Result<PathBuf> {
    home::open(Place::Data, "kept")
}

/// What makes the directory of a container that is to be kept.
pub fn plan(spec: &Spec, own: &Path) -> Vec<Op> {
    let own = literal(&own.to_string_lossy());
    let make = |name: &str, why: &str| {
        Op::from(MakeDir { path: format!("{own}/{name}"), mode: 0o755, why: why.to_owned() })
    };
    let why = "what is kept of it when it has ended; --keep asks for that";
    let record = "who it was, for later";
    vec![
        NewTree { path: own.clone(), why: why.to_owned() }.into(),
        make("upper", "what the container changes goes here, on disk"),
        make("work", "overlayfs needs a directory for its own work, on the same disk"),
        WriteFile::new(format!("{own}/container.json"), registry::record(spec), record).into(),
    ]
}

/// A container that is kept.
#[derive(Debug)]
pub struct Kept {
    /// Its record; its processes are gone.
    pub container: Container,
    /// Its directory.
    pub path: PathBuf,
}

/// Every container that has ended and is kept. Reads only.
pub fn list() -> Result<Vec<Kept>> {
    let entries = match fs::read_dir(home::path(Place::Data)?.join("kept")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("opendir(\"kept\")", &error)),
    };
    let mut kept: Vec<_> = entries.flatten().filter_map(|entry| read(entry.path())).collect();
    kept.retain(|kept| !kept.container.alive());
    kept.sort_by_key(|kept| (kept.container.created, kept.container.id.clone()));
    Ok(kept)
}

fn read(path: PathBuf) -> Option<Kept> {
    let container = serde_json::from_slice(&fs::read(path.join("container.json")).ok()?).ok()?;
    Some(Kept { container, path })
}

/// The kept container with this name, or whose id starts like this.
pub fn find(target: &str) -> Result<Kept> {
    let (mut all, own) = (list()?, scope::own());
    let chosen = registry::choose(all.iter().map(|kept| &kept.container), target, own.as_deref())?;
    match chosen {
        Some(index) => Ok(all.swap_remove(index)),
        None => {
            Err(Error::new(format!("no container {target} is kept")).hint(match all.as_slice() {
                [] => "Only `run --keep` leaves something of a container when it has ended."
                    .to_owned(),
                some => {
                    format!(
                        "Kept: {}.",
                        registry::names(some.iter().map(|kept| &kept.container), own.as_deref())
                    )
                }
            }))
        }
    }
}

/// What `rm` does, for `--dry-run`.
pub fn removal(kept: &Kept) -> Result<Vec<Step>> {
    let journal = journal(kept)?;
    Ok(journal.entries().iter().rev().map(undo::step).collect())
}

/// Removes what is kept of a container, as its journal names it.
pub fn remove(kept: &Kept, observer: &mut dyn Observer) -> Result<()> {
    let mut journal = journal(kept)?;
    let mut report = undo::Report::default();
    undo::undo_all(&mut journal, true, &mut report, observer);
    if let Some((_, error)) = report.left.into_iter().next() {
        let rm = format!("unshare --map-auto --map-root-user rm -r {}", kept.path.display());
        return Err(match rustix::process::geteuid().is_root() {
            true => error,
            false => error.hint(format!(
                "The container had other users, whose files are not yours out here: \
                 `{rm}` removes them from inside such a map; then repeat this."
            )),
        });
    }
    journal.end_if_empty()
}

fn journal(kept: &Kept) -> Result<Journal> {
    let name = format!("{}.jsonl", kept.container.id);
    let path = home::path(Place::Data)?.join("journal").join(name);
    Journal::adopt(&path)?.ok_or_else(|| {
        Error::new(format!("no journal names {}", kept.path.display())).hint(
            "It has been removed, or is being removed just now; what no journal names is not touched.",
        )
    })
}
