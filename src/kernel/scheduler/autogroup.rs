//! Whose nice values are compared with whose: those within one task group,
//! which is a cgroup with a CPU weight, or, for what is in none, the autogroup
//! of its session (sched(7)).

use std::fs;
use std::path::{Path, PathBuf};

use crate::kernel::cgroup::Hierarchies;

/// The cgroup whose CPU weight counts for a process: the nearest above it that
/// has one. None at the top, where autogroups are.
pub fn cpu_group(proc: &Path, pid: i32) -> Option<PathBuf> {
    let text = fs::read_to_string(proc.join(format!("{pid}/cgroup"))).ok()?;
    let places = Hierarchies::read(proc).ok()?.places(&text);
    let v1 = places.iter().find(|place| place.controllers.iter().any(|name| name == "cpu"));
    if let Some(directory) = v1.and_then(|place| place.directory.clone()) {
        // Only the top of a hierarchy of version 1 has this file.
        return (!directory.join("release_agent").exists()).then_some(directory);
    }
    let v2 = places.iter().find(|place| place.version == 2)?.directory.clone()?;
    let has_weight = |directory: &&Path| directory.join("cpu.weight").exists();
    v2.ancestors().find(has_weight).map(Path::to_owned)
}

/// Whether this kernel groups sessions automatically.
pub fn is_enabled(proc: &Path) -> bool {
    let text = fs::read_to_string(proc.join("sys/kernel/sched_autogroup_enabled"));
    text.is_ok_and(|text| text.trim() != "0")
}
