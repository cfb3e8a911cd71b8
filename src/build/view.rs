//! What the image that is being built has by now, path by path: owners and modes
//! of directories, and where links lead. Nothing is unpacked or mounted to know
//! that: the layers' listings say it, and for the base its tree if there is one.

use std::collections::{HashMap, HashSet};

use rustix::fs::{FileType, Stat};

use crate::error::{Context, Error, Result};
use crate::image::dissect::Layer;
use crate::image::dissect::listing::{Entry, Kind};
use crate::image::stack::{Here, Stack};
use crate::image::unpack::member::{Kind as MemberKind, Member};
use crate::image::unpack::name::shown;
use crate::image::unpack::pax::Time;

/// As many symbolic links as the kernel follows in one name.
const MOST_LINKS: usize = 40;

/// A path, name by name.
pub type Parts = Vec<Vec<u8>>;

/// What is seen at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last changed.
    pub mtime: Time,
}

/// What a node is, as far as that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// A symbolic link, and what it says.
    Symlink(Vec<u8>),
    /// Anything else.
    Other,
}

/// The image so far.
pub struct View {
    /// The topmost first.
    sheets: Vec<Sheet>,
    /// The base, where its files are on the disk as it is in the image.
    tree: Option<Stack>,
}

/// A layer's listing, to be asked.
#[derive(Default)]
struct Sheet {
    nodes: HashMap<Vec<u8>, Node>,
    gone: HashSet<Vec<u8>>,
    opaque: HashSet<Vec<u8>>,
}

/// A layer's word on a path.
enum Word<'a> {
    Has(&'a Node),
    /// What layers below have is not seen.
    Gone,
    Silent,
}

impl View {
    /// Of layers, the lowest first, above the tree of the base, if that is to be asked.
    pub fn new(layers: &[Layer], tree: Option<Stack>) -> Self {
        Self { sheets: layers.iter().rev().map(Sheet::of).collect(), tree }
    }

    /// From here on, what is noted is a layer of its own.
    pub fn begin(&mut self) {
        self.sheets.insert(0, Sheet::default());
    }

    /// Notes a member that is going to be there.
    pub fn note(&mut self, member: &Member) {
        let kind = match &member.kind {
            MemberKind::Directory => NodeKind::Directory,
            MemberKind::Symlink(to) => NodeKind::Symlink(to.clone()),
            _ => NodeKind::Other,
        };
        let Member { mode, uid, gid, mtime, .. } = *member;
        if let Some(sheet) = self.sheets.first_mut() {
            sheet.nodes.insert(member.name.clone(), Node { kind, mode, uid, gid, mtime });
        }
    }

    /// Whether it was noted.
    pub fn is_new(&self, path: &[Vec<u8>]) -> bool {
        self.sheets.first().is_some_and(|sheet| sheet.nodes.contains_key(&path.join(&b'/')))
    }

    /// What is seen at a path; no link is followed.
    pub fn get(&self, path: &[Vec<u8>]) -> Result<Option<Node>> {
        for sheet in &self.sheets {
            match sheet.word(path) {
                Word::Has(node) => return Ok(Some(node.clone())),
                Word::Gone => return Ok(None),
                Word::Silent => {}
            }
        }
        let Some(tree) = &self.tree else { return Ok(None) };
        let call = || format!("lstat(\"{}\") in the base", shown(&path.join(&b'/')));
        let node = |stat: &Stat, kind| Node {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Time { seconds: stat.st_mtime, nanos: 0 },
        };
        Ok(match tree.find(path).tried(call)? {
            Some(Here::Directory(found)) => Some(node(&found.stat, NodeKind::Directory)),
            Some(Here::File(stat))
                if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink =>
            {
                let to = tree.link(path).tried(call)?.unwrap_or_default();
                Some(node(&stat, NodeKind::Symlink(to)))
            }
            Some(Here::File(stat)) => Some(node(&stat, NodeKind::Other)),
            _ => None,
        })
    }

    /// The path that this one leads to, links followed as a process whose `/` the
    /// image is would follow them, the last one too. It needs not be there.
    pub fn resolve(&self, path: &[Vec<u8>]) -> Result<Parts> {
        let mut ahead: Parts = path.iter().rev().cloned().collect();
        let (mut here, mut links) = (Parts::new(), 0);
        while let Some(name) = ahead.pop() {
            if name == b".." {
                here.pop();
                continue;
            }
            here.push(name);
            let Some(Node { kind: NodeKind::Symlink(to), .. }) = self.get(&here)? else { continue };
            links += 1;
            if links > MOST_LINKS {
                return Err(Error::new(format!(
                    "finding {} in the image",
                    shown(&path.join(&b'/'))
                ))
                .said("symbolic links on the way lead in a circle"));
            }
            here.pop();
            if to.starts_with(b"/") {
                here.clear();
            }
            ahead.extend(names(&to).rev());
        }
        Ok(here)
    }
}

/// The names in a path; `..` is among them.
pub fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !matches!(*name, b"" | b".")).map(<[u8]>::to_vec)
}

/// The names in a path by its text alone: `..` goes one back, and stays at the root.
pub fn cleaned(path: &str) -> Parts {
    let mut parts = Parts::new();
    for name in names(path.as_bytes()) {
        match &name[..] {
            b".." => drop(parts.pop()),
            _ => parts.push(name),
        }
    }
    parts
}

impl Sheet {
    fn of(layer: &Layer) -> Self {
        let mut sheet = Self::default();
        for entry in layer.listing.iter() {
            match (entry.kind, entry.hides()) {
                (Kind::Note, _) => {}
                (Kind::Opaque, Some(hidden)) => drop(sheet.opaque.insert(hidden)),
                (_, Some(hidden)) => drop(sheet.gone.insert(hidden)),
                _ => drop(sheet.nodes.insert(entry.path.to_vec(), node(&entry))),
            }
        }
        sheet
    }

    fn word(&self, path: &[Vec<u8>]) -> Word<'_> {
        let whole = path.join(&b'/');
        if let Some(node) = self.nodes.get(&whole) {
            return Word::Has(node);
        }
        let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let above = [0].into_iter().chain(ends).map(|end| &whole[..end]);
        let hidden = above.into_iter().any(|above| {
            let covers = |node: &Node| node.kind != NodeKind::Directory;
            self.opaque.contains(above)
                || self.gone.contains(above)
                || self.nodes.get(above).is_some_and(covers)
        });
        match hidden || self.gone.contains(&whole) {
            true => Word::Gone,
            false => Word::Silent,
        }
    }
}

fn node(entry: &Entry<'_>) -> Node {
    let kind = match (entry.kind, entry.link) {
        (Kind::Directory, _) => NodeKind::Directory,
        (Kind::Symlink, Some(to)) => NodeKind::Symlink(to.to_vec()),
        _ => NodeKind::Other,
    };
    let Entry { mode, uid, gid, mtime, .. } = *entry;
    Node { kind, mode, uid, gid, mtime }
}
