//! Version 1: a hierarchy of its own for each controller
//! (Documentation/admin-guide/cgroup-v1).

use std::path::Path;

/// The files of a controller that say what is allowed, and what is used of it.
fn files(controller: &str) -> &'static [&'static str] {
    match controller {
        "memory" => &[
            "memory.limit_in_bytes",
            "memory.soft_limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "memory.usage_in_bytes",
        ],
        "cpu" => &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.rt_runtime_us"],
        "cpuset" => &["cpuset.cpus", "cpuset.mems"],
        "pids" => &["pids.max", "pids.current"],
        "blkio" => &[
            "blkio.weight",
            "blkio.throttle.read_bps_device",
            "blkio.throttle.write_bps_device",
            "blkio.throttle.read_iops_device",
            "blkio.throttle.write_iops_device",
        ],
        "devices" => &["devices.list"],
        "freezer" => &["freezer.state"],
        "hugetlb" => &["hugetlb.2MB.limit_in_bytes", "hugetlb.1GB.limit_in_bytes"],
        _ => &[],
    }
}

/// What a controller's files in this cgroup say; empty ones are left out.
pub(super) fn values(directory: &Path, controller: &str) -> Vec<(String, String)> {
    super::read(directory, files(controller))
}
