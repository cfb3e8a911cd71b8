//! What a container changed, as a layer: the upper directory of its overlay, with
//! the kernel's marks (a character device 0/0 for a file that is gone, an attribute
//! for a directory that hides what is below) turned into those of an archive.

use std::path::Path;

use rustix::fs::{FileType, Stat};

use super::source::{self, Names, Owners};
use super::{Writer, cannot_be_named, joined, whiteout};
use crate::error::{Context, Result};
use crate::image::stack::{Directory, Here, Layer, Marks, Stack};
use crate::image::unpack::member::{Kind, Member};
use crate::image::unpack::name::shown;

/// An upper directory while it is read.
struct Upper<'a, 'b> {
    layer: Layer,
    below: &'a Stack,
    stubs: &'a [&'a str],
    writer: &'a mut Writer<'b>,
    owners: Owners,
    names: Names,
    /// Directories on the way that are not written yet: they are if something in them is,
    /// or if they are new, or other than below.
    pending: Vec<Option<Member>>,
}

/// Adds all that an upper directory has to a layer. `stubs` are paths that were made
/// only to mount something there: what is empty of them, and new, is left out.
pub fn write(
    directory: &Path,
    marks: Marks,
    below: &Stack,
    stubs: &[&str],
    writer: &mut Writer<'_>,
) -> Result<()> {
    let open = || format!("open({directory:?}, O_PATH|O_DIRECTORY)");
    let layer = Layer::open(directory, marks).tried(open)?;
    let (owners, names, pending) = (Owners::ours(), Names::new(), Vec::new());
    let mut upper = Upper { layer, below, stubs, writer, owners, names, pending };
    let seen = upper.layer.look(&[]).tried(open)?;
    match seen.here {
        Here::Directory(root) => upper.within(&mut Vec::new(), &root, true),
        _ => Ok(()),
    }
}

impl Upper<'_, '_> {
    /// All that is in a directory; `was` says whether the layers below have it too.
    fn within(&mut self, path: &mut Vec<Vec<u8>>, here: &Directory, was: bool) -> Result<()> {
        let call = |path: &[Vec<u8>]| format!("reading \"{}\"", shown(&path.join(&b'/')));
        let mut names = Layer::names(&here.fd).tried(|| call(path))?;
        names.sort();
        if here.opaque && was {
            for hidden in self.below.list(path).tried(|| call(path))?.into_keys() {
                if names.binary_search(&hidden).is_err() {
                    self.emit(whiteout(path, &hidden)?, None)?;
                }
            }
        }
        for name in names {
            let entry = self.layer.entry(&here.fd, &name).tried(|| call(path))?;
            if !matches!(entry, Here::Whiteout) && name.starts_with(b".wh.") {
                return Err(cannot_be_named(&joined(path, &name)));
            }
            match entry {
                Here::Nothing => {}
                Here::Whiteout => {
                    path.push(name);
                    let hides = was && self.find(path)?.is_some();
                    let name = path.pop().unwrap_or_default();
                    if hides {
                        self.emit(whiteout(path, &name)?, None)?;
                    }
                }
                Here::File(stat) => self.file(path, here, &name, &stat, was)?,
                Here::Directory(directory) => self.directory(path, here, name, &directory, was)?,
            }
        }
        Ok(())
    }

    fn find(&self, path: &[Vec<u8>]) -> Result<Option<Here>> {
        self.below.find(path).tried(|| format!("lstat(\"{}\")", shown(&path.join(&b'/'))))
    }

    fn directory(
        &mut self,
        path: &mut Vec<Vec<u8>>,
        parent: &Directory,
        name: Vec<u8>,
        here: &Directory,
        was: bool,
    ) -> Result<()> {
        let whole = joined(path, &name);
        let member = source::member(&parent.fd, &name, &here.stat, whole, self.owners)?;
        path.push(name);
        let before = if was { self.find(path)? } else { None };
        let before = match &before {
            Some(Here::Directory(before)) => Some(before),
            _ => None,
        };
        let same = before.is_some_and(|before| alike(&before.stat, &here.stat));
        let stub = before.is_none() && self.is_stub(path);
        self.pending.push(member);
        let within = self.within(path, here, before.is_some());
        path.pop();
        within?;
        // Nothing in it was written, or this was with it.
        if let Some(Some(member)) = self.pending.pop()
            && !same
            && !stub
        {
            self.emit(member, None)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &mut Vec<Vec<u8>>,
        parent: &Directory,
        name: &[u8],
        stat: &Stat,
        was: bool,
    ) -> Result<()> {
        path.push(name.to_vec());
        let new = self.is_stub(path) && (!was || self.find(path)?.is_none());
        path.pop();
        if new && stat.st_size == 0 {
            return Ok(());
        }
        let whole = joined(path, name);
        let member = source::member(&parent.fd, name, stat, whole, self.owners)?;
        let Some(mut member) = member else { return Ok(()) };
        if stat.st_nlink > 1 {
            let identity = (stat.st_dev, stat.st_ino);
            match self.names.get(&identity) {
                Some(first) => member.kind = Kind::HardLink(first.clone()),
                None => drop(self.names.insert(identity, member.name.clone())),
            }
        }
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let content = match is_file && matches!(member.kind, Kind::File(_)) {
            true => Some(source::open(&parent.fd, name, stat)?),
            false => None,
        };
        self.emit(member, content)
    }

    fn is_stub(&self, path: &[Vec<u8>]) -> bool {
        let path = path.join(&b'/');
        self.stubs.iter().any(|stub| stub.as_bytes() == path)
    }

    /// Writes a member, after the directories that it is in.
    fn emit(&mut self, member: Member, content: Option<std::fs::File>) -> Result<()> {
        for directory in self.pending.iter_mut().filter_map(Option::take) {
            self.writer.add(directory)?;
        }
        match content {
            Some(content) => self.writer.add_with(member, content).map(drop),
            None => self.writer.add(member),
        }
    }
}

/// Whether a directory is as it was, apart from what is in it.
fn alike(one: &Stat, other: &Stat) -> bool {
    (one.st_mode, one.st_uid, one.st_gid) == (other.st_mode, other.st_uid, other.st_gid)
}
