//! What it means that two containers differ: a sentence for each difference.

use super::facts;
use crate::container::compare::Side;
use crate::kernel::capability;
use crate::kernel::process::{IdMap, Users};
use crate::kernel::security::Seccomp;

/// What can be done with a capability (capabilities(7)), those that matter most first.
const ALLOWS: [(&str, &str); 14] = [
    ("CAP_SYS_ADMIN", "mount file systems, and much else"),
    ("CAP_SYS_MODULE", "load code into the kernel"),
    ("CAP_SYS_RAWIO", "reach ports and memory of the machine"),
    ("CAP_SYS_PTRACE", "look into other processes that it sees"),
    ("CAP_NET_ADMIN", "change interfaces, routes and firewall rules"),
    ("CAP_SYS_BOOT", "restart the machine"),
    ("CAP_SYS_TIME", "set the clock"),
    ("CAP_DAC_READ_SEARCH", "read any file, and open one by its handle"),
    ("CAP_DAC_OVERRIDE", "ignore the permissions of files"),
    ("CAP_SYS_RESOURCE", "exceed limits"),
    ("CAP_SYS_NICE", "give itself more of the CPUs"),
    ("CAP_MKNOD", "make device files"),
    ("CAP_NET_RAW", "send packets with any address on them"),
    ("CAP_SYS_CHROOT", "call chroot"),
];

/// Of two sets: what either can do and the other not.
pub(super) fn capabilities(a: &Side, b: &Side) -> Option<String> {
    let (left, right) = (a.capabilities("effective"), b.capabilities("effective"));
    let more = |side: &Side, mine: u64, other: u64| {
        let alone = capability::names(mine & !other);
        let allows = ALLOWS.iter().filter(|(name, _)| alone.iter().any(|one| one == name));
        let allows: Vec<_> = allows.take(3).map(|(_, what)| *what).collect();
        (!allows.is_empty()).then(|| format!("{} alone can {}", side.name, allows.join("; ")))
    };
    let parts = [more(a, left, right), more(b, right, left)];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(". "))
}

/// Of filters on system calls.
pub(super) fn seccomp(a: &Side, b: &Side) -> Option<String> {
    let filters = |side: &Side| !matches!(side.security.seccomp, None | Some(Seccomp::Disabled));
    let (open, closed) = match (filters(a), filters(b)) {
        (false, true) => (a, b),
        (true, false) => (b, a),
        _ => return Some("both filter system calls, by different filters".to_owned()),
    };
    let (open, closed) = (&open.name, &closed.name);
    Some(format!(
        "{open} can make every system call; {closed} only those that its filter lets through"
    ))
}

/// Of no_new_privs.
pub(super) fn no_new_privs(a: &Side, b: &Side) -> Option<String> {
    let (with, without) = match (a.security.no_new_privs?, b.security.no_new_privs?) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ => return None,
    };
    let (with, without) = (&with.name, &without.name);
    Some(format!("a set-uid program makes its user root in {without}, and in {with} it does not"))
}

/// Of user maps: who root in there is out here.
pub(super) fn uid_map(a: &Side, b: &Side, users: &Users) -> Option<String> {
    let outside = |map: &[IdMap]| map.iter().find(|r| r.inside == 0).map(|range| range.outside);
    let root = |side: &Side| {
        let name = &side.name;
        Some(match outside(side.uid_map.as_ref().ok()?) {
            Some(0) => format!("root of {name} is root out here, and stays root if it gets out"),
            Some(id) => format!("root of {name} is {} out here", users.name(id)),
            None => format!("{name} has no root"),
        })
    };
    let (left, right) = (root(a)?, root(b)?);
    Some(format!("{left}; {right}"))
}

/// Of root file systems.
pub(super) fn root(a: &Side, b: &Side) -> Option<String> {
    let layered = |side: &Side| {
        let mount = side.root.as_ref().ok()?.mount.as_ref()?;
        Some(mount.fs_type == "overlay" || mount.fs_type == "fuse.fuse-overlayfs")
    };
    let (above, itself) = match (layered(a)?, layered(b)?) {
        (true, true) => {
            return Some("each has its changes in a layer of its own above an image".to_owned());
        }
        (true, false) => (a, b),
        (false, true) => (b, a),
        (false, false) => return None,
    };
    let (above, itself) = (&above.name, &itself.name);
    Some(format!("{above} writes into a layer above its image, {itself} into the directory itself"))
}

/// Of limits: those of memory, CPU and tasks by what happens without.
pub(super) fn limits(a: &Side, b: &Side) -> Option<String> {
    const FILES: [(&str, [&str; 2]); 3] = [
        ("all of the memory", ["memory.limit_in_bytes", "memory.max"]),
        ("all of the CPUs", ["cpu.cfs_quota_us", "cpu.max"]),
        ("all process numbers", ["pids.max", "pids.max"]),
    ];
    let differing = facts::controls(a, b);
    let limited = |value: Option<&str>| {
        value.is_some_and(|value| {
            !value.starts_with("max")
                && value != "-1"
                && super::sections::limit(value) != "unlimited"
        })
    };
    let mut parts = Vec::new();
    for (what, files) in FILES {
        let of = |(name, ..): &&(&str, Option<&str>, Option<&str>)| files.contains(name);
        let Some((_, left, right)) = differing.iter().find(of) else { continue };
        match (limited(*left), limited(*right)) {
            (true, false) => parts.push(format!("{} can take {what}", b.name)),
            (false, true) => parts.push(format!("{} can take {what}", a.name)),
            _ => {}
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Of what is covered in /proc and /sys.
pub(super) fn masked(a: &Side, b: &Side) -> Option<String> {
    let open = |one: &Side, other: &Side| {
        let theirs = other.masked();
        let alone = one
            .masked()
            .ok()?
            .into_iter()
            .filter(|path| theirs.as_ref().is_ok_and(|t| !t.contains(path)));
        let paths: Vec<_> = alone.take(4).collect();
        (!paths.is_empty()).then(|| format!("{} sees {}", other.name, paths.join(" ")))
    };
    let parts: Vec<_> = [open(a, b), open(b, a)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("{}: what tells of the whole machine", parts.join("; ")))
}

/// Of what may only be read there.
pub(super) fn read_only(a: &Side, b: &Side) -> Option<String> {
    let count = |side: &Side| side.read_only().map(|paths| paths.len()).ok();
    let (more, less) = match (count(a)?, count(b)?) {
        (left, right) if left > right => (a, b),
        (left, right) if left < right => (b, a),
        _ => return None,
    };
    let (more, less) = (&more.name, &less.name);
    Some(format!("root in {less} can set more of the kernel's switches than root in {more}"))
}

/// Of interfaces and addresses.
pub(super) fn network(a: &Side, b: &Side) -> Option<String> {
    let out = |side: &Side| {
        let all = side.interfaces.as_ref().ok()?;
        Some(all.iter().any(|one| !one.starts_with("lo") && one.contains(' ')))
    };
    match (out(a)?, out(b)?) {
        (true, true) => Some("each has addresses of its own".to_owned()),
        (true, false) => Some(format!("{} is reached from outside, {} is cut off", a.name, b.name)),
        (false, true) => Some(format!("{} is reached from outside, {} is cut off", b.name, a.name)),
        (false, false) => None,
    }
}
