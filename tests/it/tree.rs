//! A directory tree as it is on the disk, to hold two of them side by side.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};
use under_the_hood::image::oci::Digest;

/// By path: kind, mode, owner, time to the nanosecond, links, device numbers,
/// extended attributes, and a sum of the content. The root's own time is not among
/// them: most layers do not name it, and then nobody says what it should be.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    // Which names are one file.
    let mut files: HashMap<u64, Vec<PathBuf>> = HashMap::new();
    while let Some(path) = open.pop() {
        let stat = path.symlink_metadata().unwrap();
        let below = path.strip_prefix(root).unwrap().to_owned();
        let kind = stat.file_type();
        let mut line = format!("{:o} {}:{}", stat.mode(), stat.uid(), stat.gid());
        if path != root {
            line += &format!(" {}.{:09}", stat.mtime(), stat.mtime_nsec());
        }
        if kind.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.entry(stat.ino()).or_default().push(below.clone());
        }
        if kind.is_symlink() {
            line += &format!(" -> {:?}", std::fs::read_link(&path).unwrap());
        } else if kind.is_file() {
            line += &format!(" {} {}", stat.size(), Digest::of(&std::fs::read(&path).unwrap()));
        } else if kind.is_block_device() || kind.is_char_device() {
            line += &format!(" device {:x}", stat.rdev());
        }
        line += &attributes(&path);
        found.insert(below, line);
    }
    for names in files.values_mut().filter(|names| names.len() > 1) {
        names.sort();
        for name in names.iter() {
            *found.get_mut(name).unwrap() += &format!(" one of {names:?}");
        }
    }
    found
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0_u8; 1 << 16];
    let length = llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut all: Vec<_> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0_u8; 1 << 16];
            let name = std::ffi::OsStr::from_bytes(name);
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            format!(" {name:?}={:02x?}", &value[..length])
        })
        .collect();
    all.sort();
    all.concat()
}

/// Fails if they differ, and names what does.
#[track_caller]
pub fn same(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (tree(ours), tree(theirs));
    let mut paths: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| ours.get(*path) != theirs.get(*path));
    let line = |path: &&PathBuf| {
        format!("{path:?}\n  ours   {:?}\n  theirs {:?}\n", ours.get(*path), theirs.get(*path))
    };
    let lines: String = paths.iter().take(10).map(line).collect();
    assert!(paths.is_empty(), "{} of {} differ:\n{lines}", paths.len(), ours.len());
}

#[test]
fn trees_that_differ_in_anything_are_not_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let root = |name: &str| {
        let root = directory.path().join(name);
        std::fs::create_dir_all(root.join("d")).unwrap();
        std::fs::write(root.join("d/f"), "1").unwrap();
        std::fs::write(root.join("d/g"), "1").unwrap();
        std::os::unix::fs::symlink("f", root.join("d/l")).unwrap();
        for file in ["d/f", "d/g", "d"] {
            let file = std::fs::File::open(root.join(file)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        root
    };
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 5] = [
        ("content", |root| std::fs::write(root.join("d/f"), "2").unwrap()),
        ("mode", |root| {
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(root.join("d/f"), mode).unwrap();
        }),
        ("missing", |root| std::fs::remove_file(root.join("d/f")).unwrap()),
        ("one file", |root| {
            std::fs::remove_file(root.join("d/g")).unwrap();
            std::fs::hard_link(root.join("d/f"), root.join("d/g")).unwrap();
        }),
        ("link", |root| {
            std::fs::remove_file(root.join("d/l")).unwrap();
            std::os::unix::fs::symlink("g", root.join("d/l")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let one = root(&format!("{what} one"));
        let lines = tree(&one);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert_eq!(lines, tree(&one));
        change(&one);
        let changed = tree(&one);
        assert!(lines != changed, "{what} is not seen: {lines:#?}");
    }
}
