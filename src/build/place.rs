//! Where COPY and ADD put things, by docker's rules, and the layer that comes of
//! it. It is written as an archive at once: nothing is mounted, nothing unpacked.
//!
//! What is missing of the way to the destination is made (0755); directories that
//! are there already stand in the layer as they are, so that a layer says of every
//! file which directories it is in.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use crate::build::chmod::Chmod;
use crate::build::layer::{Writer, cannot_be_named};
use crate::build::pick::{File, Picked, Tree};
use crate::build::view::{Node, NodeKind, Parts, View, cleaned};
use crate::error::{Error, Result};
use crate::image::unpack::member::{Archive, Content, Kind, Member};
use crate::image::unpack::name::{Name, shown};
use crate::image::unpack::pax::Time;
use crate::image::unpack::{Limits, compression};

/// How things are put there.
#[derive(Debug, Clone)]
pub struct How {
    /// The destination as it was given, absolute; with a `/` at its end it is a directory.
    pub dest: String,
    /// `--chown`: whose everything is.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`
    pub mode: Option<Chmod>,
    /// Whether files keep their owners where nobody says otherwise: those of another image do.
    pub keep_owner: bool,
    /// The time that new directories get, in seconds since 1970.
    pub now: i64,
}

/// Where a member's content comes from.
enum From<'a> {
    Nothing,
    File(&'a Tree, &'a File),
    Text(Vec<u8>),
}

/// The members of a layer before it is written, by path.
pub struct Placement<'a> {
    view: &'a mut View,
    how: &'a How,
    members: BTreeMap<Vec<u8>, (Member, From<'a>)>,
}

impl<'a> Placement<'a> {
    /// Nothing is placed yet.
    pub fn new(view: &'a mut View, how: &'a How) -> Self {
        view.begin();
        Self { view, how, members: BTreeMap::new() }
    }

    /// The destination, links in it followed; and whether it is a directory, there or to be made.
    fn dest(&self) -> Result<(Parts, bool)> {
        let path = self.view.resolve(&cleaned(&self.how.dest))?;
        let there = match path.is_empty() {
            true => true,
            false => self.view.get(&path)?.is_some_and(|node| node.kind == NodeKind::Directory),
        };
        Ok((path, there || self.how.dest.ends_with('/')))
    }

    /// Places what a source came to.
    pub fn put(&mut self, tree: &'a Tree, picked: &'a Picked) -> Result<()> {
        let (mut path, is_directory) = self.dest()?;
        if !picked.directory {
            let Some(file) = picked.files.first() else { return Ok(()) };
            if is_directory {
                path.push(picked.name.clone());
            }
            return self.file(path, tree, file);
        }
        self.directory(&path)?;
        for file in &picked.files {
            let below = &file.path[picked.root.len()..];
            self.file([&path[..], below].concat(), tree, file)?;
        }
        Ok(())
    }

    /// Places a file whose text stands in the Dockerfile.
    pub fn text(&mut self, name: &str, text: &str) -> Result<()> {
        let (mut path, is_directory) = self.dest()?;
        if is_directory {
            path.push(name.as_bytes().to_vec());
        }
        let bytes = text.as_bytes().to_vec();
        let member = Member {
            name: Vec::new(),
            kind: Kind::File(Content { size: bytes.len() as u64, map: None }),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time { seconds: self.how.now, nanos: 0 },
            xattrs: Vec::new(),
        };
        self.member(path, member, From::Text(bytes))
    }

    fn file(&mut self, path: Parts, tree: &'a Tree, file: &'a File) -> Result<()> {
        self.member(path, file.member.clone(), From::File(tree, file))
    }

    fn member(&mut self, path: Parts, mut member: Member, from: From<'a>) -> Result<()> {
        let Some((last, parent)) = path.split_last() else {
            return Err(Error::new("putting a file in place of the image's root"));
        };
        if last.starts_with(b".wh.") {
            return Err(cannot_be_named(last));
        }
        // A link at the end is followed when it is the destination itself, which was resolved
        // before; one inside of it is replaced.
        self.directory(parent)?;
        let directory = member.kind == Kind::Directory;
        match self.view.get(&path)?.map(|node| node.kind) {
            Some(NodeKind::Directory) if !directory => {
                return Err(self.clash(&path, "a file", "a directory"));
            }
            Some(NodeKind::Other | NodeKind::Symlink(_)) if directory => {
                return Err(self.clash(&path, "a directory", "a file or a link"));
            }
            _ => {}
        }
        let owner = if self.how.keep_owner { (member.uid, member.gid) } else { (0, 0) };
        (member.uid, member.gid) = self.how.owner.unwrap_or(owner);
        if let (Some(chmod), false) = (&self.how.mode, matches!(member.kind, Kind::Symlink(_))) {
            member.mode = chmod.apply(member.mode, directory);
        }
        member.name = path.join(&b'/');
        self.view.note(&member);
        self.members.insert(member.name.clone(), (member, from));
        Ok(())
    }

    fn clash(&self, path: &[Vec<u8>], new: &str, old: &str) -> Error {
        let path = shown(&path.join(&b'/'));
        Error::new(format!("copying to /{path}"))
            .said(format!("{new} would take the place of {old}"))
            .hint("Docker refuses this, too: a directory is merged with a directory only. RUN rm removes what is in the way.")
    }

    /// A directory and those above it: as they are, or new.
    pub fn directory(&mut self, path: &[Vec<u8>]) -> Result<()> {
        for end in 1..=path.len() {
            let whole = path[..end].join(&b'/');
            if self.members.contains_key(&whole) {
                continue;
            }
            let node = self.view.get(&path[..end])?;
            if let Some(Node { kind: NodeKind::Other | NodeKind::Symlink(_), .. }) = node {
                return Err(Error::new(format!(
                    "making /{} in the image",
                    shown(&path.join(&b'/'))
                ))
                .said(format!("/{} is there and is no directory", shown(&whole))));
            }
            let (uid, gid) = self.how.owner.unwrap_or((0, 0));
            let (mode, mtime) = (0o755, Time { seconds: self.how.now, nanos: 0 });
            let node = node.unwrap_or(Node { kind: NodeKind::Directory, mode, uid, gid, mtime });
            let member = as_member(whole.clone(), &node);
            self.view.note(&member);
            self.members.insert(whole, (member, From::Nothing));
        }
        Ok(())
    }

    /// Writes all of it, in the order of the paths.
    pub fn write(self, writer: &mut Writer<'_>) -> Result<()> {
        for (member, from) in self.members.into_values() {
            match from {
                From::Nothing => writer.add(member)?,
                From::Text(bytes) => drop(writer.add_with(member, &bytes[..])?),
                From::File(tree, file) if matches!(member.kind, Kind::File(_)) => {
                    let sum = writer.add_with(member, tree.open(file)?)?;
                    // What is in the layer must be what the cache knows it by.
                    let sum = sum.map(|sum| crate::image::oci::hex(&sum));
                    if sum.as_ref() != Some(&file.sum) {
                        return Err(crate::build::layer::source::changed(&file.path.join(&b'/')));
                    }
                }
                From::File(..) => writer.add(member)?,
            }
        }
        Ok(())
    }
}

fn as_member(name: Vec<u8>, node: &Node) -> Member {
    let Node { mode, uid, gid, mtime, .. } = *node;
    Member { name, kind: Kind::Directory, mode, uid, gid, mtime, xattrs: Vec::new() }
}

/// Whether a file is an archive that ADD unpacks, by its content as docker tells it.
pub fn is_archive(file: impl Read) -> bool {
    let limits = Limits::default();
    let Ok(mut plain) = compression::decompressed(file) else { return false };
    let Ok(start) = plain.fill_buf() else { return false };
    // Every tar archive of this century says so; without, any file could be one.
    let says_so = start.get(257..262) == Some(b"ustar");
    says_so && Archive::new(plain, &limits).next_member().is_ok_and(|member| member.is_some())
}

/// Unpacks an archive into the layer, below the destination: its members, under
/// their new names, with their owners. A link in the archive or the image is followed
/// with the image's root as `/`.
pub fn unpack(
    archive: impl Read,
    view: &mut View,
    how: &How,
    writer: &mut Writer<'_>,
) -> Result<()> {
    let limits = Limits::default();
    let mut archive = Archive::new(compression::decompressed(archive)?, &limits);
    let dest = view.resolve(&cleaned(&how.dest))?;
    let mut adding = Adding { view, how, writer, bytes: 0 };
    adding.directory(&dest)?;
    while let Some(member) = archive.next_member()? {
        adding.member(&dest, member, &mut archive, &limits)?;
    }
    archive.finish()
}

/// An archive on its way into a layer.
struct Adding<'a, 'b> {
    view: &'a mut View,
    how: &'a How,
    writer: &'a mut Writer<'b>,
    bytes: u64,
}

impl Adding<'_, '_> {
    fn member(
        &mut self,
        dest: &[Vec<u8>],
        mut member: Member,
        archive: &mut Archive<'_, impl BufRead>,
        limits: &Limits,
    ) -> Result<()> {
        let name = Name::of(&member.name, limits.depth)?;
        let Some(last) = name.last.map(<[u8]>::to_vec) else { return Ok(()) };
        if last.starts_with(b".wh.") {
            return Err(cannot_be_named(&member.name));
        }
        let parent: Parts = [dest, &cleaned_bytes(&name.parent)].concat();
        let parent = self.view.resolve(&parent)?;
        self.directory(&parent)?;
        let path = [&parent[..], &[last]].concat();
        if let Kind::HardLink(to) = &member.kind {
            let to = Name::of(to, limits.depth)?;
            let other = [dest, &cleaned_bytes(&to.parent)].concat();
            let mut other = self.view.resolve(&other)?;
            other.extend(to.last.map(<[u8]>::to_vec));
            if !self.view.is_new(&other) {
                return Err(Error::new(format!("unpacking {}", shown(&member.name)))
                    .said("it is another name of a file that the archive has not brought"));
            }
            member.kind = Kind::HardLink(other.join(&b'/'));
        }
        if let Some(owner) = self.how.owner {
            (member.uid, member.gid) = owner;
        }
        member.name = path.join(&b'/');
        self.view.note(&member);
        let Kind::File(content) = &mut member.kind else { return self.writer.add(member) };
        self.bytes = self.bytes.saturating_add(content.size);
        if self.bytes > limits.bytes {
            return Err(Error::new("unpacking the archive")
                .said(format!("its files come to more than {} bytes", limits.bytes)));
        }
        let map = content.map.take();
        let whole = Whole::new(archive, map, content.size);
        self.writer.add_with(member, whole).map(drop)
    }

    fn directory(&mut self, path: &[Vec<u8>]) -> Result<()> {
        for end in 1..=path.len() {
            if self.view.is_new(&path[..end]) {
                continue;
            }
            let node = self.view.get(&path[..end])?;
            let (uid, gid) = self.how.owner.unwrap_or((0, 0));
            let mtime = Time { seconds: self.how.now, nanos: 0 };
            let new = Node { kind: NodeKind::Directory, mode: 0o755, uid, gid, mtime };
            let node = node.filter(|node| node.kind == NodeKind::Directory).unwrap_or(new);
            let member = as_member(path[..end].join(&b'/'), &node);
            self.view.note(&member);
            self.writer.add(member)?;
        }
        Ok(())
    }
}

fn cleaned_bytes(path: &[u8]) -> Parts {
    crate::build::view::names(path).collect()
}

/// A member's content with its holes filled.
struct Whole<'a, 'b, R> {
    archive: &'a mut Archive<'b, R>,
    /// Where data is, the first last.
    map: Vec<(u64, u64)>,
    at: u64,
}

impl<'a, 'b, R: BufRead> Whole<'a, 'b, R> {
    fn new(archive: &'a mut Archive<'b, R>, map: Option<Vec<(u64, u64)>>, size: u64) -> Self {
        let mut map = map.unwrap_or_else(|| vec![(0, size)]);
        map.reverse();
        Self { archive, map, at: 0 }
    }
}

impl<R: BufRead> Read for Whole<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.map.last().is_some_and(|(start, length)| self.at >= start + length) {
            self.map.pop();
        }
        let most = |length: u64| usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
        let count = match self.map.last() {
            // A hole, up to the next data or for ever: as much is taken as the file has.
            None => {
                buffer.fill(0);
                buffer.len()
            }
            Some((start, _)) if *start > self.at => {
                let count = most(start - self.at);
                buffer[..count].fill(0);
                count
            }
            Some((start, length)) => {
                let left = start + length - self.at;
                let chunk = self.archive.chunk(left).map_err(std::io::Error::other)?;
                let count = chunk.len().min(buffer.len());
                buffer[..count].copy_from_slice(&chunk[..count]);
                self.archive.consume(count);
                count
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}

/// Opens a picked file, to see whether it is an archive.
pub fn archive(tree: &Tree, picked: &Picked) -> Result<bool> {
    match picked.files.as_slice() {
        [file] if !picked.directory && !file.sum.is_empty() => {
            Ok(is_archive(std::io::BufReader::new(tree.open(file)?)))
        }
        _ => Ok(false),
    }
}

/// Opens it again, to be unpacked.
pub fn opened(tree: &Tree, picked: &Picked) -> Result<std::fs::File> {
    let file = picked.files.first().ok_or_else(|| Error::new("there is no archive"))?;
    tree.open(file)
}
