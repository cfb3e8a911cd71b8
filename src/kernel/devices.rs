//! Device files: a name for a driver of the kernel, by two numbers (mknod(2)).
//! A container that is to reach the host's devices gets such names.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// A device file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Where.
    pub path: String,
    /// Whether it is a block device (a disk), not a character device.
    pub block: bool,
    /// Which driver.
    pub major: u64,
    /// Which of its devices.
    pub minor: u64,
    /// Its permissions.
    pub mode: u32,
}

/// mknod(2), for each of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeNodes {
    /// The files to make.
    pub nodes: Vec<Node>,
}

impl Operation for MakeNodes {
    fn step(&self) -> Step {
        let disks = self.nodes.iter().filter(|node| node.block).count();
        Step::new(
            format!("mknod(...) for {} devices, {disks} of them disks", self.nodes.len()),
            "the host's own devices: whoever may open a disk may read and write all that is on it",
        )
        .shell("mknod /dev/sda b 8 0, and so on")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        for Node { path, block, major, minor, mode } in &self.nodes {
            let kind = if *block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
            let mode = Mode::from_bits_truncate(*mode);
            mknod(path.as_str(), kind, mode, makedev(*major, *minor))
                .tried(|| format!("mknod({path:?}, {kind:?}, {major}, {minor})"))?;
        }
        Ok(format!("0, {} times", self.nodes.len()))
    }
}

/// The device files below a directory such as /dev and the directories they
/// are in, parents first; without what `but` names right below it.
pub fn below(root: &Path, but: &[&str]) -> (Vec<String>, Vec<Node>) {
    let (mut directories, mut nodes) = (Vec::new(), Vec::new());
    let mut to_read = vec![root.to_owned()];
    while let Some(directory) = to_read.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let (Some(path), Ok(metadata)) =
                (entry.path().to_str().map(str::to_owned), entry.metadata())
            else {
                continue;
            };
            let kind = metadata.file_type();
            if directory == root && but.iter().any(|but| name == **but) {
                continue;
            } else if kind.is_dir() {
                to_read.push(entry.path());
                directories.push(path);
            } else if kind.is_block_device() || kind.is_char_device() {
                nodes.push(Node {
                    path,
                    block: kind.is_block_device(),
                    major: rustix::fs::major(metadata.rdev()).into(),
                    minor: rustix::fs::minor(metadata.rdev()).into(),
                    mode: metadata.mode() & 0o777,
                });
            }
        }
    }
    directories.sort_unstable();
    directories.retain(|directory| {
        nodes.iter().any(|node| node.path.starts_with(&format!("{directory}/")))
    });
    (directories, nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_of_this_machine_are_found() {
        let (directories, nodes) = below(Path::new("/dev"), &["zero", "pts"]);
        let null = nodes.iter().find(|node| node.path == "/dev/null").expect("a /dev/null");
        assert_eq!((null.block, null.major, null.minor), (false, 1, 3));
        assert!(!nodes.iter().any(|node| node.path == "/dev/zero"));
        assert!(!directories.iter().any(|directory| directory.starts_with("/dev/pts")));
        assert!(directories.is_sorted());
    }
}
