//! Names of neighbours: hosts(5) files of containers that share a bridge.
//!
//! Each has a file of its own in one directory out here, which is mounted on
//! its /etc/hosts. Whoever starts writes a line into every file that is there,
//! and finds the others' lines in theirs; whoever ends has its line blanked.
//! A lock on the directory makes each of that one deed: so, as with an engine's
//! name server, a container finds those that were started after it, too.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::error::{Context, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::lock::{FlockOperation, lock};
use crate::step::Step;

/// Makes a container's file, and tells its neighbours. Whoever performs it holds
/// the lock on the directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShareName {
    /// The file: `DIRECTORY/ID.hosts`.
    pub path: String,
    /// What stands in it first.
    pub head: String,
    /// The container's own line; it ends with `# ID`, which makes it unique.
    pub line: String,
}

impl Operation for ShareName {
    fn step(&self) -> Step {
        Step::new(
            format!("write(open(\"{}\", O_WRONLY|O_CREAT|O_EXCL), {:?})", self.path, self.line),
            "its own name, and those of its neighbours on the bridge; in each of their files it \
             gets a line too, as long as it lives",
        )
        .shell(format!("echo '{}' | tee -a *.hosts", self.line.replace('\t', " ")))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = PathBuf::from(world.slots.fill(&self.path));
        let line = world.slots.fill(&self.line);
        let mut content = format!("{}{line}\n", world.slots.fill(&self.head));
        let neighbours = files(path.parent().unwrap_or(Path::new("/")))?;
        for neighbour in &neighbours {
            let text = fs::read_to_string(neighbour).unwrap_or_default();
            let mark = format!("# {}", stem(neighbour));
            content.extend(text.lines().filter(|l| l.ends_with(&mark)).map(|l| format!("{l}\n")));
        }
        let open = |path: &Path, options: &mut OpenOptions| {
            options.custom_flags(libc::O_NOFOLLOW).mode(0o644).open(path)
        };
        let write = |path: &Path, options: &mut OpenOptions, text: &str| {
            open(path, options)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .tried(|| format!("write({path:?})"))
        };
        write(&path, OpenOptions::new().write(true).create_new(true), &content)?;
        for neighbour in &neighbours {
            write(neighbour, OpenOptions::new().append(true), &format!("{line}\n"))?;
        }
        Ok(content.len().to_string())
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        let (path, line) = (slots.fill(&self.path).into(), slots.fill(&self.line));
        Some(Effect::Hosts { path, line })
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The hosts files in this directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).tried(|| format!("opendir({directory:?})"))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|kind| kind == "hosts")).collect())
}

/// Blanks a line in every file beside this one: in place, so that no reader
/// ever finds half a file.
pub fn forget(path: &Path, line: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let _lock = match lock(directory, FlockOperation::LockExclusive) {
        Err(error) if error.is(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    for other in files(directory)? {
        let text = fs::read_to_string(&other).unwrap_or_default();
        let starts = text.match_indices(line).map(|(at, _)| at);
        let Some(at) = starts.clone().find(|at| *at == 0 || text[..*at].ends_with('\n')) else {
            continue;
        };
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&other)
            .and_then(|file| file.write_all_at(" ".repeat(line.len()).as_bytes(), at as u64))
            .tried(|| format!("write({other:?})"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_names_of_those_that_run_whoever_came_first() {
        let directory = tempfile::tempdir().unwrap();
        let at = |id: &str| directory.path().join(format!("{id}.hosts"));
        let line = |n: u8, id: &str| format!("10.0.0.{n}\tbox{n} # {id}");
        for (n, id) in [(2, "aa"), (3, "bb"), (4, "cc")] {
            let path = at(id).to_string_lossy().into_owned();
            let share =
                ShareName { path, head: "127.0.0.1\tlocalhost\n".into(), line: line(n, id) };
            share.perform(&mut World::new(&mut Slots::default())).unwrap();
        }
        let names = |id: &str| {
            let text = fs::read_to_string(at(id)).unwrap();
            let mut names: Vec<_> = text
                .lines()
                .filter_map(|l| Some(l.split_whitespace().nth(1)?.to_owned()))
                .collect();
            names.sort();
            names
        };
        for id in ["aa", "bb", "cc"] {
            assert_eq!(names(id), ["box2", "box3", "box4", "localhost"]);
        }
        forget(&at("bb"), &line(3, "bb")).unwrap();
        forget(&at("bb"), &line(3, "bb")).unwrap();
        assert_eq!(names("aa"), ["box2", "box4", "localhost"]);
        assert_eq!(names("cc"), ["box2", "box4", "localhost"]);
    }
}
