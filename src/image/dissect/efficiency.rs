//! How much of an image is wasted, as dive(1) counts it, so that the numbers
//! can be compared (github.com/wagoodman/dive, dive/filetree/efficiency.go):
//!
//! - Every path that is a leaf of some layer's tree counts once for each layer
//!   that has it: with its size there, or, where the layer has a whiteout of it,
//!   with the size of the directory that is taken away (0 for a file).
//! - *efficiency*: the sum of the smallest of each path's sizes, over the sum of
//!   all of them.
//! - *wasted bytes*: the sum over all paths that more than one layer has.
//!
//! What dive leaves out is left out here too: opaque whiteouts hide nothing, and
//! a whiteout of something that is not there ends the count of its layer.

use std::collections::{BTreeMap, HashMap};

use super::Layer;
use super::listing::Kind;

/// How well the layers use their bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Efficiency {
    /// Bytes of all files of all layers.
    pub size: u64,
    /// Bytes of files that more than one layer has.
    pub wasted: u64,
    /// From 0 to 1: nothing is there twice.
    pub score: f64,
    /// What is wasted, the most first.
    pub paths: Vec<Wasted>,
}

/// A path that more than one layer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wasted {
    /// The path.
    pub path: Vec<u8>,
    /// Bytes in all layers together.
    pub bytes: u64,
    /// How many layers have it.
    pub layers: u64,
}

/// A file or directory of a tree.
#[derive(Debug, Default)]
struct Node {
    size: u64,
    directory: bool,
    children: BTreeMap<Vec<u8>, usize>,
}

/// A tree of files by name; node 0 is the root.
struct Tree(Vec<Node>);

/// What is known of a path so far.
#[derive(Default)]
struct Count {
    bytes: u64,
    least: u64,
    layers: u64,
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh.";

/// Counts.
pub fn of(layers: &[Layer]) -> Efficiency {
    let mut counts: HashMap<Vec<u8>, Count> = HashMap::new();
    let mut stacked = Tree(vec![Node::default()]);
    let mut size = 0;
    for (at, layer) in layers.iter().enumerate() {
        let tree = Tree::of(layer);
        size += layer.files_size();
        if at == 0 {
            // There is nothing below: dive looks into the layer itself.
            tree.visit(0, &mut Vec::new(), &mut |_, path, node| {
                stacked.add(path, node.size, node.directory);
                true
            });
        }
        tree.visit(0, &mut Vec::new(), &mut |is_leaf, path, node| {
            if !is_leaf {
                return true;
            }
            let (path, size) = match shown_path(path) {
                None => (path.to_vec(), node.size),
                Some(hidden) => match stacked.find(&hidden) {
                    None => return false,
                    Some(below) => (hidden, stacked.hidden_size(below)),
                },
            };
            let count = counts.entry(path).or_default();
            count.least = if count.layers == 0 { size } else { count.least.min(size) };
            count.bytes += size;
            count.layers += 1;
            true
        });
        tree.visit(0, &mut Vec::new(), &mut |_, path, node| {
            match shown_path(path) {
                Some(hidden) => stacked.remove(&hidden),
                None => stacked.add(path, node.size, node.directory),
            }
            true
        });
    }
    sum_up(size, counts)
}

fn sum_up(size: u64, counts: HashMap<Vec<u8>, Count>) -> Efficiency {
    let least: u64 = counts.values().map(|count| count.least).sum();
    let all: u64 = counts.values().map(|count| count.bytes).sum();
    let twice = counts.into_iter().filter(|(_, count)| count.layers > 1);
    let mut paths: Vec<_> =
        twice.map(|(path, Count { bytes, layers, .. })| Wasted { path, bytes, layers }).collect();
    paths.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    Efficiency {
        size,
        wasted: paths.iter().map(|wasted| wasted.bytes).sum(),
        score: if all == 0 { 1.0 } else { least as f64 / all as f64 },
        paths,
    }
}

/// Of a path whose last name is a whiteout: the path that it hides.
fn shown_path(path: &[u8]) -> Option<Vec<u8>> {
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = path[start..].strip_prefix(WHITEOUT)?;
    Some([&path[..start], name].concat())
}

impl Tree {
    fn of(layer: &Layer) -> Self {
        let mut tree = Self(vec![Node::default()]);
        for entry in layer.listing.iter() {
            tree.add(entry.path, entry.size, entry.kind == Kind::Directory);
        }
        tree
    }

    /// Adds a path, or gives one that is there another size; directories that
    /// nobody named are added with it.
    fn add(&mut self, path: &[u8], size: u64, directory: bool) {
        let mut node = 0;
        for name in names(path) {
            node = match self.0[node].children.get(name) {
                Some(child) => *child,
                None if name.starts_with(OPAQUE) => return,
                None => {
                    let child = self.0.len();
                    self.0.push(Node::default());
                    self.0[node].children.insert(name.to_vec(), child);
                    child
                }
            };
        }
        (self.0[node].size, self.0[node].directory) = (size, directory);
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        names(path).try_fold(0, |node, name| self.0[node].children.get(name).copied())
    }

    fn remove(&mut self, path: &[u8]) {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (self.find(&path[..slash]), &path[slash + 1..]),
            None => (Some(0), path),
        };
        if let Some(parent) = parent {
            self.0[parent].children.remove(name);
        }
    }

    /// What counts as taken away with this: for a file, dive says, nothing.
    fn hidden_size(&self, node: usize) -> u64 {
        if self.0[node].directory { self.whole_size(node) } else { 0 }
    }

    fn whole_size(&self, node: usize) -> u64 {
        let children = self.0[node].children.values();
        self.0[node].size + children.map(|child| self.whole_size(*child)).sum::<u64>()
    }

    /// Visits everything but the root, by name, what is in a directory before
    /// the directory; `see` is told whether it is a leaf, and ends it with false.
    fn visit(
        &self,
        node: usize,
        path: &mut Vec<u8>,
        see: &mut impl FnMut(bool, &[u8], &Node) -> bool,
    ) -> bool {
        for (name, child) in &self.0[node].children {
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let child = *child;
            let leaf = self.0[child].children.is_empty();
            let go_on = self.visit(child, path, see) && see(leaf, path, &self.0[child]);
            path.truncate(length);
            if !go_on {
                return false;
            }
        }
        true
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}
