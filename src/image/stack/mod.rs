//! Layers one above the other: what is seen through all of them, and which one
//! each file comes from.
//!
//! This is what overlayfs does in the kernel, done once more outside of it, so
//! that it can be looked at layer by layer: the topmost that has a name wins, a
//! whiteout says that it is gone, directories are merged unless one is opaque.

mod changes;
mod layer;

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{FileType, Stat, readlinkat};
use rustix::io::{Errno, Result};

pub use changes::{Change, Kind, changes};
pub use layer::{Directory, Here, Layer, Marks, Seen, parts};

/// As many symbolic links as the kernel follows in one name.
const MOST_LINKS: usize = 40;

/// Layers, the topmost first.
#[derive(Debug)]
pub struct Stack(pub Vec<Layer>);

/// What is seen under a name.
#[derive(Debug, Clone)]
pub struct Found {
    /// The topmost layer that has it.
    pub layer: usize,
    /// Its owner, mode and times there.
    pub stat: Stat,
    /// The directory there that it is in.
    pub directory: Rc<OwnedFd>,
}

impl Found {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

/// What one layer has at a path, and whether that is seen.
#[derive(Debug)]
pub struct Traced {
    /// What it has.
    pub here: Here,
    /// Whether it is part of what is seen through all layers.
    pub seen: bool,
}

impl Stack {
    /// Every layer's word on a path, from the top down. No link is followed.
    pub fn trace(&self, path: &[Vec<u8>]) -> Result<Vec<Traced>> {
        let (mut at, mut covered, mut merging) = (path.to_vec(), false, false);
        let mut traced = Vec::new();
        for layer in &self.0 {
            let Seen { here, ends, below } = layer.look(&at)?;
            let seen = !covered
                && match here {
                    Here::Nothing | Here::Whiteout => false,
                    Here::File(_) => !merging,
                    Here::Directory(_) => true,
                };
            if !covered {
                at = below;
            }
            merging |= seen;
            covered |= ends;
            traced.push(Traced { here, seen });
        }
        Ok(traced)
    }

    /// All that is seen in a directory.
    pub fn list(&self, path: &[Vec<u8>]) -> Result<BTreeMap<Vec<u8>, Found>> {
        let (mut found, mut gone) = (BTreeMap::new(), HashSet::new());
        for (number, traced) in self.trace(path)?.into_iter().enumerate() {
            let Traced { here: Here::Directory(directory), seen: true } = traced else { continue };
            let directory = Rc::new(directory.fd);
            for name in Layer::names(&directory)? {
                if found.contains_key(&name) || gone.contains(&name) {
                    continue;
                }
                let stat = match self.0[number].entry(&directory, &name)? {
                    Here::Nothing => {
                        // fuse-overlayfs's own: `.wh.NAME`.
                        gone.extend(name.strip_prefix(b".wh.").map(<[u8]>::to_vec));
                        continue;
                    }
                    Here::Whiteout => {
                        gone.insert(name);
                        continue;
                    }
                    Here::Directory(below) => below.stat,
                    Here::File(stat) => stat,
                };
                found.insert(name, Found { layer: number, stat, directory: Rc::clone(&directory) });
            }
        }
        Ok(found)
    }

    /// What is seen at a path itself; no link is followed.
    pub fn find(&self, path: &[Vec<u8>]) -> Result<Option<Here>> {
        let mut traced = self.trace(path)?.into_iter();
        Ok(traced.find(|traced| traced.seen).map(|traced| traced.here))
    }

    /// The path without links on the way, each followed as a process whose `/`
    /// this is would follow it; a link at its end is what is asked for.
    pub fn resolve(&self, path: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let mut ahead: Vec<Vec<u8>> = path.iter().rev().cloned().collect();
        let (mut here, mut links) = (Vec::new(), 0);
        while let Some(name) = ahead.pop() {
            if name == b".." {
                here.pop();
                continue;
            }
            here.push(name);
            let target = match ahead.is_empty() {
                true => None,
                false => self.link(&here)?,
            };
            if let Some(target) = target {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::LOOP);
                }
                here.pop();
                if target.starts_with(b"/") {
                    here.clear();
                }
                let names = target.split(|byte| *byte == b'/');
                let names = names.filter(|name| !matches!(*name, b"" | b"."));
                ahead.extend(names.rev().map(<[u8]>::to_vec));
            }
        }
        Ok(here)
    }

    /// Where the link at this path points, if it is one.
    pub fn link(&self, path: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        let Some((last, parent)) = path.split_last() else { return Ok(None) };
        let Some(found) = self.list(parent)?.remove(last) else { return Ok(None) };
        if FileType::from_raw_mode(found.stat.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        readlinkat(&found.directory, &last[..], Vec::new()).map(|to| Some(to.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// Layers with the marks that anybody may make: `.wh.NAME` and `.wh..wh..opq`.
    fn layers(names: &[&[&str]]) -> (tempfile::TempDir, Stack) {
        let directory = tempfile::tempdir().unwrap();
        let layer = |(number, names): (usize, &&[&str])| {
            let root = directory.path().join(number.to_string());
            fs::create_dir(&root).unwrap();
            for name in *names {
                let path = root.join(name.trim_end_matches('/'));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                match name.split_once('>') {
                    Some((name, target)) => symlink(target, root.join(name)).unwrap(),
                    None if name.ends_with('/') => fs::create_dir_all(path).unwrap(),
                    None => fs::write(path, number.to_string()).unwrap(),
                }
            }
            Layer::open(&root, Marks::Fuse).unwrap()
        };
        let stack = Stack(names.iter().enumerate().map(layer).collect());
        (directory, stack)
    }

    fn names(stack: &Stack, path: &str) -> Vec<(String, usize)> {
        let found = stack.list(&parts(Path::new(path))).unwrap();
        let name =
            |(name, found): (Vec<u8>, Found)| (String::from_utf8(name).unwrap(), found.layer);
        found.into_iter().map(name).collect()
    }

    const UPPER: &[&str] =
        &["etc/new", "etc/.wh.gone", "opq/own", "opq/.wh..wh..opq", "dir", "file/in"];
    const LOWER: &[&str] =
        &["etc/gone", "etc/kept", "opq/hidden", "dir/below", "file", "lib/x", "out>../.."];
    const BASE: &[&str] =
        &["etc/gone", "etc/.wh.nothing", "etc/base", "opq/hidden", "lib64>/lib", "lib/x"];

    #[test]
    fn the_topmost_wins_what_is_gone_is_gone_and_directories_merge() {
        let (_directory, stack) = layers(&[UPPER, LOWER, BASE]);
        let pairs = |pairs: &[(&str, usize)]| -> Vec<_> {
            pairs.iter().map(|(name, layer)| ((*name).to_owned(), *layer)).collect()
        };
        assert_eq!(names(&stack, "/etc"), pairs(&[("base", 2), ("kept", 1), ("new", 0)]));
        assert_eq!(names(&stack, "/opq"), pairs(&[("own", 0)]));
        assert_eq!(names(&stack, "/dir"), pairs(&[]), "a file covers a directory");
        assert_eq!(names(&stack, "/file"), pairs(&[("in", 0)]), "a directory covers a file");
        let traced = stack.trace(&parts(Path::new("/etc/gone"))).unwrap();
        assert!(matches!(traced[0].here, Here::Whiteout) && traced.iter().all(|layer| !layer.seen));
        assert!(matches!(traced[1].here, Here::File(_)), "it is still there");
        assert!(stack.find(&parts(Path::new("/lib/x"))).unwrap().is_some());
    }

    #[test]
    fn links_are_followed_through_the_whole_and_never_out_of_it() {
        let (_directory, stack) = layers(&[UPPER, LOWER, BASE]);
        let resolve = |path: &str| stack.resolve(&parts(Path::new(path))).unwrap().join(&b'/');
        assert_eq!(resolve("/lib64/x"), b"lib/x");
        assert_eq!(resolve("/lib64"), b"lib64", "the last is what is asked for");
        assert_eq!(resolve("/out/etc/new"), b"etc/new", "`..` stays at the root");
        assert!(
            stack.find(&parts(Path::new("/lib64/x"))).unwrap().is_none(),
            "no link is followed"
        );
        assert_eq!(names(&stack, "/out"), [], "and none is listed");
    }

    #[test]
    fn changes_are_those_of_the_layer_on_top_however_they_are_looked_for() {
        let (directory, stack) = layers(&[UPPER, LOWER, BASE]);
        let open = |name| Layer::open(&directory.path().join(name), Marks::Fuse).unwrap();
        let below = Stack(vec![open("1"), open("2")]);
        for one_above in [true, false] {
            let found = changes(&below, &stack, &HashSet::new(), one_above).unwrap();
            let line = |change: &Change| {
                let path = change.path.join(&b'/');
                format!("{} {}", change.kind.letter(), String::from_utf8(path).unwrap())
            };
            let found: Vec<_> = found.iter().map(line).collect();
            let expected = [
                "C dir",
                "C etc",
                "A etc/new",
                "D etc/gone",
                "C file",
                "A file/in",
                "C opq",
                "A opq/own",
                "D opq/hidden",
            ];
            assert_eq!(found, expected, "{one_above}");
        }
    }
}
