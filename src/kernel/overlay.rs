//! overlayfs: several directories seen as one (the kernel's
//! Documentation/filesystems/overlayfs.rst), as its mount tells of itself.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::kernel::mountinfo::Mount;
use crate::kernel::process;

/// An overlay, by the paths that whoever mounted it gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Where changes go; none where it can only be read.
    pub upper: Option<PathBuf>,
    /// Where overlayfs prepares them.
    pub work: Option<PathBuf>,
    /// What lies below, the topmost first.
    pub lower: Vec<PathBuf>,
    /// Below all: only the data of files that a layer above has the names of.
    pub data: Vec<PathBuf>,
    /// Its notes are in `user.overlay.*` attributes, not in `trusted.overlay.*`.
    pub user_attributes: bool,
    /// By fuse-overlayfs, a program, not by the kernel.
    pub fuse: bool,
}

impl Overlay {
    /// What a mount says, if it is an overlay's and not of fuse-overlayfs,
    /// whose mount says nothing.
    pub fn of(mount: &Mount) -> Option<Self> {
        (mount.fs_type == "overlay").then(|| Self::from_options(mount.each_option()))
    }

    /// The one that fuse-overlayfs serves at a mount: by the arguments of its
    /// process, whatever they may be worth.
    pub fn of_fuse(proc: &Path, mount: &Mount) -> Option<Self> {
        let fuse = mount.fs_type == "fuse.fuse-overlayfs" || mount.source == "fuse-overlayfs";
        if !fuse {
            return None;
        }
        let pids = std::fs::read_dir(proc).ok()?.flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: i32| {
            process::brief(proc, pid).filter(|brief| brief.comm == "fuse-overlayfs")?;
            let arguments = process::arguments(proc, pid);
            let serves = Path::new(arguments.last()?);
            let mounts = super::mountinfo::list(proc, pid).ok()?;
            let here = |seen: &Mount| seen.device == mount.device && seen.mount_point == serves;
            mounts.iter().any(here).then(|| Self::from_arguments(&arguments))
        })
    }

    fn from_arguments(arguments: &[String]) -> Self {
        let value = |at: usize| match arguments[at].strip_prefix("-o") {
            Some("") => arguments.get(at + 1).map(String::as_str),
            other => other,
        };
        let options =
            (0..arguments.len()).filter_map(value).flat_map(|text| split(text.as_bytes(), b','));
        let pairs = options.map(|option| {
            let at = option.iter().position(|byte| *byte == b'=').unwrap_or(option.len());
            let name = String::from_utf8_lossy(&option[..at]).into_owned();
            (name, to_path(option.get(at + 1..).unwrap_or_default().to_vec()))
        });
        Self { fuse: true, ..Self::from_options(pairs) }
    }

    fn from_options(options: impl Iterator<Item = (String, PathBuf)>) -> Self {
        let mut overlay = Self::default();
        for (name, value) in options {
            match name.as_str() {
                "lowerdir" => overlay.lower_list(value.as_os_str().as_bytes()),
                // Since 6.8 one by one, and then nothing in them is escaped.
                "lowerdir+" => overlay.lower.push(value),
                "datadir+" => overlay.data.push(value),
                "upperdir" => overlay.upper = Some(unescaped(value.as_os_str().as_bytes())),
                "workdir" => overlay.work = Some(unescaped(value.as_os_str().as_bytes())),
                "userxattr" => overlay.user_attributes = true,
                _ => {}
            }
        }
        overlay
    }

    /// `top:middle:bottom`; what comes after `::` are directories of data.
    fn lower_list(&mut self, list: &[u8]) {
        let mut data = false;
        for part in split(list, b':') {
            match (part.is_empty(), data) {
                (true, _) => data = true,
                (false, false) => self.lower.push(unescaped(&part)),
                (false, true) => self.data.push(unescaped(&part)),
            }
        }
    }
}

/// Parts between separators that no backslash stands before; the backslashes stay.
fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let (mut parts, mut escaped) = (vec![Vec::new()], false);
    for &byte in text {
        if byte == separator && !escaped {
            parts.push(Vec::new());
            continue;
        }
        escaped = byte == b'\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts
}

/// As overlayfs reads a path: a backslash takes the next byte for what it is.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = text.iter();
    let next = || match bytes.next() {
        Some(b'\\') => bytes.next().copied(),
        other => other.copied(),
    };
    to_path(std::iter::from_fn(next).collect())
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &str) -> Overlay {
        let line = format!("36 35 0:50 / / rw - overlay overlay rw,{options}");
        Overlay::of(&Mount::parse(line.as_bytes()).unwrap()).unwrap()
    }

    fn paths(of: &[PathBuf]) -> Vec<&str> {
        of.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn layers_are_taken_apart_as_overlayfs_does() {
        // One directory is called `c:d`, one `e,f`, one `g\h`: as mountinfo shows them.
        let options = r"lowerdir=l/A:/b/c\134:d:/e\134\054f:/g\134\134h,upperdir=/up\134:per,workdir=/w,userxattr";
        let overlay = of(options);
        assert_eq!(paths(&overlay.lower), ["l/A", "/b/c:d", "/e,f", r"/g\h"]);
        assert_eq!(overlay.upper.as_deref(), Some(Path::new("/up:per")));
        assert!(overlay.user_attributes && !overlay.fuse);
        let overlay = of(r"lowerdir+=/a:b,lowerdir+=/c,datadir+=/d");
        assert_eq!((paths(&overlay.lower), paths(&overlay.data)), (vec!["/a:b", "/c"], vec!["/d"]));
        let overlay = of("lowerdir=/a:/b::/c::/d");
        assert_eq!(
            (paths(&overlay.lower), paths(&overlay.data)),
            (vec!["/a", "/b"], vec!["/c", "/d"])
        );
        assert_eq!(overlay.upper, None);
    }

    #[test]
    fn fuse_overlayfs_has_them_in_its_arguments() {
        let line = r"fuse-overlayfs -o lowerdir=/a\:x:/b,upperdir=/u,workdir=/w -onoacl /merged";
        let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let overlay = Overlay::from_arguments(&arguments);
        assert_eq!(paths(&overlay.lower), ["/a:x", "/b"]);
        assert!(overlay.fuse && overlay.upper.is_some() && overlay.work.is_some());
    }
}
