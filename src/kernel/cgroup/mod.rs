//! Cgroups: how much of the machine a group of processes may use (cgroups(7)).
//!
//! There are two versions, and a machine can use both at once (hybrid), so
//! which one rules is asked for each controller, never for the machine.

pub mod change;
mod files;
pub mod group;
mod hierarchy;
pub mod limit;
pub mod unit;
mod v1;
mod v2;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::kernel::process;

pub use files::{Doc, Kind, Reading, explain, names, number, readings};
pub use group::{Bound, Group, Quota, Seat, Usage, all};
pub use hierarchy::{Hierarchies, Place, Root, Weight};
pub use unit::bytes;

/// Where a controller's files are for a process, and what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// `memory`, `cpu`, `pids`; `name=systemd` for a v1 hierarchy without a
    /// controller; empty for the v2 hierarchy as such.
    pub name: String,
    /// 1 or 2.
    pub version: u8,
    /// The cgroup, as /proc/PID/cgroup has it.
    pub path: String,
    /// The directory, where the hierarchy is mounted in our sight.
    pub directory: Option<PathBuf>,
    /// Limits and use, by the names of the files they were read from.
    pub values: Vec<(String, String)>,
}

/// Every controller that has a say over a process.
pub fn of_process(proc: &Path, pid: i32) -> Result<Vec<Controller>> {
    let file = proc.join(format!("{pid}/cgroup"));
    let lines = fs::read(&file).tried(|| format!("read({file:?})"))?;
    let hierarchies = Hierarchies::read(proc).unwrap_or_default();
    let mut found = Vec::new();
    for place in hierarchies.places(&process::text(&lines)) {
        let directory = place.directory;
        let of = |name: String, values| Controller {
            name,
            version: place.version,
            path: place.path.clone(),
            directory: directory.clone(),
            values,
        };
        if place.version == 1 {
            let values = |name: &str| directory.as_deref().map(|dir| v1::values(dir, name));
            for name in &place.controllers {
                found.push(of(name.clone(), values(name).unwrap_or_default()));
            }
            continue;
        }
        found.push(of(String::new(), Vec::new()));
        for name in directory.as_deref().map(v2::controllers).unwrap_or_default() {
            let values = directory.as_deref().map(|dir| v2::values(dir, &name));
            found.push(of(name, values.unwrap_or_default()));
        }
    }
    found.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
    Ok(found)
}

/// The content of small files that are there, as `name: first line`; of files
/// with several lines all, joined by `; `.
fn read(directory: &Path, names: &[&str]) -> Vec<(String, String)> {
    let value = |name: &&str| {
        let text = fs::read(directory.join(name)).ok()?;
        let text = process::text(&text);
        let lines: Vec<_> = text.lines().collect();
        (!lines.is_empty()).then(|| ((*name).to_owned(), lines.join("; ")))
    };
    names.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that uses both versions: memory and `name=systemd` by 1, pids by 2.
    fn hybrid() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        let us = std::process::id();
        let at = |path: &str| root.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().expect("a parent")).expect("made");
            fs::write(at(path), text).expect("written");
        };
        write("7/cgroup", "4:memory:/box\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/web\n");
        let mount = |at: PathBuf, fs_type: &str, options: &str| {
            format!("1 2 0:3 / {} rw - {fs_type} {fs_type} rw{options}\n", at.display())
        };
        let mounts = mount(at("memory"), "cgroup", ",memory")
            + &mount(at("unified"), "cgroup2", "")
            + &mount(at("cpu"), "cgroup", ",cpu,cpuacct");
        write(&format!("{us}/mountinfo"), &mounts);
        write("memory/box/memory.limit_in_bytes", "67108864\n");
        write("unified/web/cgroup.controllers", "pids\n");
        write("unified/web/pids.max", "max\n");
        write("cpu/cpu.shares", "1024\n");
        root
    }

    #[test]
    fn the_version_is_asked_for_each_controller() {
        let root = hybrid();
        let found = of_process(root.path(), 7).expect("read");
        let seen: Vec<_> = found
            .iter()
            .map(|found| {
                (found.version, found.name.as_str(), found.path.as_str(), found.values.len())
            })
            .collect();
        let expected = [
            (1, "cpu", "/", 1),
            (1, "cpuacct", "/", 0),
            (1, "memory", "/box", 1),
            (1, "name=systemd", "/", 0),
            (2, "", "/web", 0),
            (2, "pids", "/web", 1),
        ];
        assert_eq!(seen, expected);
        assert_eq!(found[2].values, [("memory.limit_in_bytes".into(), "67108864".into())]);
        assert_eq!(found[3].directory, None);
    }

    #[test]
    fn a_process_that_has_ended_is_an_error() {
        assert!(of_process(hybrid().path(), 8).is_err());
    }
}
