//! Which mounts a process sees: /proc/PID/mountinfo (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Unique while it is mounted.
    pub id: u32,
    /// The mount it is mounted on.
    pub parent: u32,
    /// `major:minor` of the file system.
    pub device: String,
    /// Which part of the file system is mounted: `/`, a directory of a bind
    /// mount, or `net:[4026531833]`.
    pub root: PathBuf,
    /// Where, as the process sees it.
    pub mount_point: PathBuf,
    /// Options of this mount: `rw,nosuid`.
    pub options: String,
    /// How mounts below it spread (`shared:1`, `master:2`); empty when private.
    pub propagation: Vec<String>,
    /// `ext4`, `overlay`, `cgroup2`, `nsfs`.
    pub fs_type: String,
    /// A device, or whatever the file system calls its source.
    pub source: String,
    /// Options of the file system itself: `rw,lowerdir=…`.
    pub super_options: String,
    /// The same as the kernel writes them, a comma within a value as `\054`.
    escaped_options: Vec<u8>,
}

impl Mount {
    /// Reads one line; `None` where it is not a mount.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut next = || fields.next();
        let id = text(next()?).parse().ok()?;
        let parent = text(next()?).parse().ok()?;
        let device = text(next()?);
        let root = path(next()?);
        let mount_point = path(next()?);
        let options = text(next()?);
        let mut propagation = Vec::new();
        loop {
            match next()? {
                b"-" => break,
                field => propagation.push(text(field)),
            }
        }
        let (fs_type, source) = (text(next()?), path(next()?).to_string_lossy().into_owned());
        let escaped_options = next()?.to_vec();
        let super_options = path(&escaped_options).to_string_lossy().into_owned();
        Some(Self {
            id,
            parent,
            device,
            root,
            mount_point,
            options,
            propagation,
            fs_type,
            source,
            super_options,
            escaped_options,
        })
    }

    /// The options of the file system one by one, each with its value, as its
    /// own file system understands them.
    pub fn each_option(&self) -> impl Iterator<Item = (String, PathBuf)> {
        self.escaped_options.split(|byte| *byte == b',').map(|option| {
            let at = option.iter().position(|byte| *byte == b'=').unwrap_or(option.len());
            (text(&option[..at]), path(option.get(at + 1..).unwrap_or_default()))
        })
    }
}

/// The mounts that a process sees.
pub fn list(proc: &Path, pid: i32) -> Result<Vec<Mount>> {
    let path = proc.join(format!("{pid}/mountinfo"));
    let lines = std::fs::read(&path).tried(|| format!("open({path:?})"))?;
    Ok(lines.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect())
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Undoes the kernel's escapes: space, tab, newline and backslash stand as `\040` and the like.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = (byte == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart_and_its_escapes_undone() {
        let mount = Mount::parse(
            b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue",
        )
        .expect("a mount");
        assert_eq!((mount.id, mount.parent), (36, 35));
        assert_eq!(mount.mount_point, Path::new("/mnt two"));
        assert_eq!(mount.propagation, ["shared:1", "master:2"]);
        assert_eq!((mount.fs_type.as_str(), mount.source.as_str()), ("ext3", "/dev/root"));
        assert_eq!(mount.super_options, "rw,errors=continue");
        let mount =
            Mount::parse(b"1 2 0:3 / / rw - overlay overlay rw,upperdir=/a\\054b\\075c,index=off")
                .expect("a mount");
        let options: Vec<_> = mount.each_option().collect();
        assert_eq!(options[1], ("upperdir".to_owned(), PathBuf::from("/a,b=c")));
        assert_eq!((options[0].1.as_os_str().len(), options.len()), (0, 3));
        assert_eq!(Mount::parse(b""), None);
        assert_eq!(Mount::parse(b"36 35 98:0 / / rw"), None);
    }

    #[test]
    fn a_path_need_not_be_utf8() {
        let mount = Mount::parse(b"1 2 0:3 / /\xff\\134x rw - tmpfs none rw").expect("a mount");
        assert_eq!(mount.mount_point.as_os_str().as_encoded_bytes(), b"/\xff\\x");
    }
}
