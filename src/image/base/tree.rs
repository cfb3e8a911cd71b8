//! The files of a root file system before they are made: a plan, put together
//! from files of a host and texts of ours.
//!
//! A host's file comes in under the name it has there, with every symbolic link
//! on the way (`/lib64 -> usr/lib64`, `libc.so.6 -> libc-2.31.so`), because
//! that is the name a program's loader will look for.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::kernel::tree::{Entry, Node};

/// A machine's files, seen from its root directory.
#[derive(Debug, Clone)]
pub struct Host(pub PathBuf);

impl Host {
    /// Where a path of the host is for us.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path without symbolic links, `.` and `..`; the host's root is `/` throughout.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.walk(path, |_, _| {})
    }

    /// Resolves a path as the kernel does (path_resolution(7)) and shows every
    /// directory, link and file that it leads through.
    fn walk(&self, path: &Path, mut visit: impl FnMut(&Path, Node)) -> io::Result<PathBuf> {
        const MOST_LINKS: usize = 40;
        let mut here = PathBuf::from("/");
        let mut ahead: VecDeque<OsString> = names(path).collect();
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let path = here.join(&name);
            let file = self.at(&path);
            let metadata = std::fs::symlink_metadata(&file)?;
            if metadata.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                let target = std::fs::read_link(&file)?;
                for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(name);
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                visit(&path, Node::Link(target));
                continue;
            }
            if metadata.is_dir() {
                visit(&path, Node::Directory(0o755));
            } else {
                // Set-uid programs come in as ordinary ones: an image is no place for them.
                let mode = metadata.permissions().mode() & 0o777;
                visit(&path, Node::Copy { from: file, mode });
            }
            here = path;
        }
        Ok(here)
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// Files by their path; the order is that of the archive.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<PathBuf, Node>);

impl Tree {
    /// Brings in a file of the host and what its path leads through.
    pub fn import(&mut self, host: &Host, path: &Path) -> io::Result<PathBuf> {
        let mut found = Vec::new();
        let resolved = host.walk(path, |path, node| found.push((path.to_owned(), node)))?;
        for (path, node) in found {
            self.0.entry(relative(&path)).or_insert(node);
        }
        Ok(resolved)
    }

    /// Puts a file of ours in, and the directories above it.
    pub fn put(&mut self, path: impl AsRef<Path>, node: Node) {
        let path = relative(path.as_ref());
        for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("")) {
            self.0.entry(parent.to_owned()).or_insert(Node::Directory(0o755));
        }
        self.0.insert(path, node);
    }

    /// Whether something stands at this path.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.0.contains_key(&relative(path.as_ref()))
    }

    /// The tree that stands in a directory.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        let mut ahead = vec![PathBuf::new()];
        while let Some(directory) = ahead.pop() {
            for entry in std::fs::read_dir(root.join(&directory))? {
                let entry = entry?;
                let path = directory.join(entry.file_name());
                let metadata = entry.metadata()?;
                let mode = metadata.permissions().mode() & 0o7777;
                let node = if metadata.is_symlink() {
                    Node::Link(std::fs::read_link(entry.path())?)
                } else if metadata.is_dir() {
                    ahead.push(path.clone());
                    Node::Directory(mode)
                } else if metadata.is_file() {
                    Node::Copy { from: entry.path(), mode }
                } else {
                    return Err(io::Error::other(format!(
                        "{} is a device, pipe or socket",
                        path.display()
                    )));
                };
                tree.0.insert(path, node);
            }
        }
        Ok(tree)
    }

    /// The files, parents before what is in them.
    pub fn entries(&self) -> Vec<Entry> {
        let entry =
            |(path, node): (&PathBuf, &Node)| Entry { path: path.clone(), node: node.clone() };
        self.0.iter().map(entry).collect()
    }
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn host() -> (tempfile::TempDir, Host) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::write(root.join("usr/lib/libx.so.1.2"), "x").unwrap();
        symlink("libx.so.1.2", root.join("usr/lib/libx.so.1")).unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink("/lib", root.join("lib64")).unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        (directory, Host(root))
    }

    #[test]
    fn a_file_comes_with_every_link_on_its_way() {
        let (_directory, host) = host();
        let mut tree = Tree::default();
        let resolved = tree.import(&host, Path::new("/lib64/libx.so.1")).unwrap();
        assert_eq!(resolved, Path::new("/usr/lib/libx.so.1.2"));
        let paths: Vec<_> = tree.entries().into_iter().map(|entry| entry.path).collect();
        let expected =
            ["lib", "lib64", "usr", "usr/lib", "usr/lib/libx.so.1", "usr/lib/libx.so.1.2"];
        assert_eq!(paths, expected.map(PathBuf::from));
    }

    #[test]
    fn links_that_lead_nowhere_or_in_circles_are_errors() {
        let (_directory, host) = host();
        assert!(host.resolve(Path::new("/a")).is_err());
        assert!(host.resolve(Path::new("/lib/none")).is_err());
        assert_eq!(host.resolve(Path::new("/../usr/../lib")).unwrap(), Path::new("/usr/lib"));
    }
}
