//! The programs that lessons use beside this one, and the package that has
//! each on the distribution at hand.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{Verdict, identity};

/// How packages are installed: one entry per family of distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Debian,
    Fedora,
    /// Red Hat's, which has fewer packages than Fedora, by the same names.
    Rhel,
    Arch,
    Alpine,
    Suse,
}

/// os-release(5), by keys.
pub type OsRelease = BTreeMap<String, String>;

/// A program and its package on Debian, Fedora, Arch, Alpine and openSUSE. How engines are
/// installed is more than a package: see [`super::install`].
type Package = (&'static str, [&'static str; 5]);

const PACKAGES: &[Package] = &[
    ("ps", ["procps", "procps-ng", "procps-ng", "procps", "procps"]),
    ("pgrep", ["procps", "procps-ng", "procps-ng", "procps", "procps"]),
    ("sysctl", ["procps", "procps-ng", "procps-ng", "procps", "procps"]),
    ("lsns", ["util-linux", "util-linux", "util-linux", "util-linux", "util-linux"]),
    ("unshare", ["util-linux", "util-linux", "util-linux", "util-linux", "util-linux"]),
    ("nsenter", ["util-linux", "util-linux", "util-linux", "util-linux", "util-linux"]),
    ("findmnt", ["util-linux", "util-linux", "util-linux", "util-linux", "util-linux"]),
    ("mount", ["mount", "util-linux", "util-linux", "util-linux", "util-linux"]),
    ("ip", ["iproute2", "iproute", "iproute2", "iproute2", "iproute2"]),
    ("ss", ["iproute2", "iproute", "iproute2", "iproute2-ss", "iproute2"]),
    ("busybox", ["busybox-static", "busybox", "busybox", "busybox-static", "busybox-static"]),
    ("pasta", ["passt", "passt", "passt", "passt", "passt"]),
    ("slirp4netns", ["slirp4netns", "slirp4netns", "slirp4netns", "slirp4netns", "slirp4netns"]),
    ("hostname", ["hostname", "hostname", "inetutils", "net-tools", "hostname"]),
    ("lsmod", ["kmod", "kmod", "kmod", "kmod", "kmod"]),
    ("modprobe", ["kmod", "kmod", "kmod", "kmod", "kmod"]),
    ("insmod", ["kmod", "kmod", "kmod", "kmod", "kmod"]),
    ("capsh", ["libcap2-bin", "libcap", "libcap", "libcap-utils", "libcap-progs"]),
    ("newuidmap", ["uidmap", "shadow-utils", "shadow", "shadow-uidmap", "shadow"]),
    ("newgidmap", ["uidmap", "shadow-utils", "shadow", "shadow-uidmap", "shadow"]),
    ("strace", ["strace", "strace", "strace", "strace", "strace"]),
    ("uname", ["coreutils", "coreutils", "coreutils", "coreutils", "coreutils"]),
    ("lxd", ["lxd", "lxd", "lxd", "lxd", "lxd"]),
    (
        "systemd-nspawn",
        ["systemd-container", "systemd-container", "systemd", "systemd", "systemd-container"],
    ),
    ("bwrap", ["bubblewrap", "bubblewrap", "bubblewrap", "bubblewrap", "bubblewrap"]),
];

/// The programs that doctor reports on even when no lesson asks.
pub const USUAL: [&str; 8] =
    ["ps", "lsns", "ip", "hostname", "mount", "unshare", "nsenter", "strace"];

/// Where a program is on PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(name, std::env::var_os("PATH").as_deref()?)
}

fn find_in(name: &str, path: &OsStr) -> Option<PathBuf> {
    let executable = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    std::env::split_paths(path).map(|directory| directory.join(name)).find(executable)
}

/// Where a program is, also in the directories that an ordinary user's PATH leaves out.
pub fn find_anywhere(name: &str) -> Option<PathBuf> {
    find(name).or_else(|| find_in(name, OsStr::new("/usr/local/sbin:/usr/sbin:/sbin")))
}

/// Whether a lesson can call the program by name, and else how to get it.
pub fn check(name: &str, os: &OsRelease) -> Verdict {
    if find(name).is_some() {
        return Verdict::Met;
    }
    if let Some(path) = find_anywhere(name) {
        let directory = path.parent().unwrap_or(Path::new("/usr/sbin")).display();
        let reason = format!("{name} is in {directory}, which is not on your PATH");
        return Verdict::fixable(reason, format!("export PATH=\"$PATH:{directory}\""));
    }
    let reason = format!("{name} is not installed");
    match install(name, os) {
        Some(command) => Verdict::fixable(reason, command),
        None => Verdict::fixable(reason, format!("install the package that has {name}")),
    }
}

/// Whether pasta can open a way out for the container of an ordinary user.
pub fn pasta(os: &OsRelease) -> Verdict {
    let tun = "/dev/net/tun";
    match (check("pasta", os), access(tun, Access::READ_OK | Access::WRITE_OK)) {
        (Verdict::Met, Err(errno)) => Verdict::fixable(
            format!("pasta must open {tun}, and may not ({errno})"),
            identity::privileged(&format!("sh -c 'modprobe tun; chmod 666 {tun}'")),
        ),
        (verdict, _) => verdict,
    }
}

/// The command that installs a program here.
pub fn install(name: &str, os: &OsRelease) -> Option<String> {
    let family = family(os)?;
    let (_, packages) = PACKAGES.iter().find(|(program, _)| *program == name)?;
    let package = packages[match family {
        Family::Debian => 0,
        Family::Fedora | Family::Rhel => 1,
        Family::Arch => 2,
        Family::Alpine => 3,
        Family::Suse => 4,
    }];
    Some(identity::privileged(&installer(family, package)))
}

/// The command that installs packages, for root.
pub(super) fn installer(family: Family, packages: &str) -> String {
    let command = match family {
        Family::Debian => "apt-get install",
        Family::Fedora | Family::Rhel => "dnf install",
        Family::Arch => "pacman -S",
        Family::Alpine => "apk add",
        Family::Suse => "zypper install",
    };
    format!("{command} {packages}")
}

/// By ID, then by ID_LIKE (os-release(5)).
pub(super) fn family(os: &OsRelease) -> Option<Family> {
    let ids: Vec<_> = ["ID", "ID_LIKE"].into_iter().filter_map(|key| os.get(key)).collect();
    ids.iter().flat_map(|ids| ids.split_whitespace()).find_map(|id| match id {
        "debian" | "ubuntu" => Some(Family::Debian),
        "fedora" => Some(Family::Fedora),
        // Oracle's, which says only that it is like Fedora.
        "rhel" | "centos" | "ol" => Some(Family::Rhel),
        "arch" => Some(Family::Arch),
        "alpine" => Some(Family::Alpine),
        "suse" | "opensuse" => Some(Family::Suse),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, like: &str) -> OsRelease {
        [("ID", id), ("ID_LIKE", like)].map(|(key, value)| (key.into(), value.into())).into()
    }

    #[test]
    fn packages_are_named_as_the_distribution_names_them() {
        let command = |id, like| {
            let command = install("ps", &os(id, like))?;
            Some(command.trim_start_matches("sudo ").trim_start_matches("su -c ").replace('\'', ""))
        };
        assert_eq!(command("debian", "").as_deref(), Some("apt-get install procps"));
        let mint = command("linuxmint", "ubuntu debian");
        assert_eq!(mint.as_deref(), Some("apt-get install procps"));
        let rocky = command("rocky", "rhel centos fedora");
        assert_eq!(rocky.as_deref(), Some("dnf install procps-ng"));
        assert_eq!(command("plan9", ""), None);
        assert_eq!(install("no-such-program", &os("debian", "")), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_missing() {
        assert_eq!(check("sh", &os("debian", "")), Verdict::Met);
        assert!(!check("no-such-program", &os("debian", "")).met());
    }
}
