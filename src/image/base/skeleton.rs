//! What is ours in the base image: its directories, and the few texts in /etc
//! that make it look like a distribution of its own.

use super::tree::Tree;
use crate::kernel::tree::Node;

const TEXTS: [(&str, &str); 8] = [
    ("etc/os-release", include_str!("../../../assets/base/os-release")),
    ("etc/passwd", include_str!("../../../assets/base/passwd")),
    ("etc/group", include_str!("../../../assets/base/group")),
    ("etc/nsswitch.conf", include_str!("../../../assets/base/nsswitch.conf")),
    ("etc/profile", include_str!("../../../assets/base/profile")),
    // Placeholders: `run` mounts a container's own over these.
    ("etc/hostname", include_str!("../../../assets/base/hostname")),
    ("etc/hosts", include_str!("../../../assets/base/hosts")),
    ("etc/resolv.conf", ""),
];

const DIRECTORIES: [(&str, u32); 12] = [
    ("dev", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// The tree before any program is in it.
pub fn tree() -> Tree {
    let mut tree = Tree::default();
    for (path, mode) in DIRECTORIES {
        tree.put(path, Node::Directory(mode));
    }
    for (path, text) in TEXTS {
        tree.put(path, Node::Text(text.to_owned()));
    }
    tree
}
