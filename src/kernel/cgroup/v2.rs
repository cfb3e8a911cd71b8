//! Version 2: one hierarchy, in which each level says which controllers its
//! children get (Documentation/admin-guide/cgroup-v2.rst).

use std::path::Path;

/// The files of a controller that say what is allowed, and what is used of it.
fn files(controller: &str) -> &'static [&'static str] {
    match controller {
        "memory" => &[
            "memory.max",
            "memory.high",
            "memory.low",
            "memory.min",
            "memory.swap.max",
            "memory.current",
        ],
        "cpu" => &["cpu.max", "cpu.weight"],
        "cpuset" => &["cpuset.cpus", "cpuset.mems", "cpuset.cpus.effective"],
        "pids" => &["pids.max", "pids.current"],
        "io" => &["io.max", "io.weight"],
        "hugetlb" => &["hugetlb.2MB.max", "hugetlb.1GB.max"],
        _ => &[],
    }
}

/// The controllers that rule in this cgroup.
pub(super) fn controllers(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("cgroup.controllers")).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// What a controller's files in this cgroup say; empty ones are left out. The
/// root cgroup has none of them: what has no limit needs no file.
pub(super) fn values(directory: &Path, controller: &str) -> Vec<(String, String)> {
    super::read(directory, files(controller))
}
