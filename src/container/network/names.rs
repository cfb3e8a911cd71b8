//! Names of network namespaces. The kernel knows none: a name is a file, in a
//! directory that some tool looks into, with the namespace mounted on it.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use crate::error::{Error, Result};
use crate::kernel::namespace;
use crate::kernel::process::text;

/// Where `ip netns` looks, and with it Podman and CNI's plugins.
pub const RUN_NETNS: &str = "/run/netns";
/// Where Docker keeps its own.
const DOCKER: &str = "/run/docker/netns";

/// A file that is, or should be, a namespace's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The last part of the path.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The namespace mounted there; none: it is a plain file, and names nothing.
    pub inode: Option<u64>,
}

impl Name {
    /// How it is written as a TARGET, and in tables: `web`, `docker/4af…` for those that `ip` does not see.
    pub fn label(&self) -> String {
        match self.path.starts_with(RUN_NETNS) {
            true => self.name.clone(),
            false => self.path.strip_prefix("/run").map_or(self.name.clone(), |path| {
                text(path.as_os_str().as_encoded_bytes()).replace("/netns/", "/")
            }),
        }
    }
}

/// Every name in the known directories, sorted.
pub fn all() -> Vec<Name> {
    let mut names: Vec<_> =
        [RUN_NETNS, DOCKER].iter().flat_map(|directory| below(Path::new(directory))).collect();
    names.sort_by(|a, b| a.path.cmp(&b.path));
    names
}

fn below(directory: &Path) -> Vec<Name> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| Name {
        name: text(entry.file_name().as_encoded_bytes()),
        inode: namespace_at(&entry.path()),
        path: entry.path(),
    };
    entries.map(name).collect()
}

/// The namespace that is mounted on this path. It is not opened but looked at:
/// what lies there is another's choice.
pub fn namespace_at(path: &Path) -> Option<u64> {
    namespace::number_of(&rustix::fs::lstat(path).ok()?)
}

/// Opens the namespace mounted on this path, and nothing else.
pub fn open_namespace(path: &Path) -> Option<std::fs::File> {
    let found =
        open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()?;
    namespace::number_of(&rustix::fs::fstat(&found).ok()?)?;
    std::fs::File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).ok()
}

/// The mount that this path is in, as mountinfo numbers it (statx(2)).
pub fn mount_id(path: &Path) -> Option<u32> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
    u32::try_from(found.stx_mnt_id).ok()
}

/// A name that can stand in the directory: one component, nothing hidden.
pub fn check(name: &str) -> Result<()> {
    let wrong = |why: &str| {
        Err(Error::usage(format!("{name:?} cannot be a name in {RUN_NETNS}"))
            .said(why)
            .hint("A name is one file name: letters, digits, _ . - and not a dot or a dash first."))
    };
    let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '@' | ':');
    match name {
        "" => wrong("it is empty"),
        name if name.contains('/') => wrong("with a slash in it, it would be a path"),
        name if name.starts_with(['.', '-']) => wrong("it starts with a dot or a dash"),
        name if name.len() > 255 => wrong("it is longer than 255 bytes"),
        name if !name.chars().all(good) => {
            wrong("it has a character that other tools would trip over")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component() {
        for good in ["4711", "web", "cni-0b3d", "a.b_c", "ü"] {
            check(good).unwrap();
        }
        for wrong in ["", "/", "a/b", "..", ".", "../x", ".x", "-x", "a b", "a\n", "a\0"] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_plain_file_names_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(namespace_at(file.path()), None);
        assert!(open_namespace(file.path()).is_none());
        // A link under /proc is no mount: to follow it is what a bind mount is made for.
        assert_eq!(namespace_at(Path::new("/proc/self/ns/net")), None);
    }
}
