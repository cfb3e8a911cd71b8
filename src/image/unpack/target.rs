//! The tree that an archive becomes: every member is made here, with `*at`
//! calls on a descriptor of the directory it goes into.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fstat, ftruncate, linkat, makedev, mkdirat, mknodat,
    openat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::directories::Directories;
use super::member::{Archive, Content, Kind, Member};
use super::name::{Name, shown};
use super::{Options, Unpacked, broken, too_much, whiteout};
use crate::error::{Context, Error, Result};
use crate::kernel::remove;
use crate::kernel::resolve::Root;

/// As many directories are kept open: an archive mostly stays in a few.
const MOST_OPEN: usize = 64;

/// How often something is made again that somebody else put there meanwhile.
const MOST_TRIES: usize = 8;

/// A file by device and inode.
pub type Identity = (u64, u64);

/// A tree while an archive is unpacked into it.
pub struct Target<'a> {
    root: Root,
    options: &'a Options,
    parents: HashMap<Vec<u8>, Rc<OwnedFd>>,
    directories: Directories,
    /// What this archive made or named; noted only where whiteouts count.
    pub made: HashSet<Identity>,
    pub unpacked: Unpacked,
}

impl<'a> Target<'a> {
    /// The directory that becomes the tree's root.
    pub fn new(root: Root, options: &'a Options) -> Self {
        let unpacked = Unpacked::default();
        let (parents, made) = Default::default();
        let directories = Directories::new(options.whiteouts);
        Self { root, options, parents, directories, made, unpacked }
    }

    /// Makes one member.
    pub fn add(&mut self, member: &Member, archive: &mut Archive<'_, impl BufRead>) -> Result<()> {
        let limits = &self.options.limits;
        self.unpacked.entries += 1;
        if self.unpacked.entries > limits.entries {
            return Err(too_much("the number of members", limits.entries, "entries"));
        }
        if let Kind::File(content) = &member.kind {
            self.unpacked.bytes = self.unpacked.bytes.saturating_add(content.size);
            if self.unpacked.bytes > limits.bytes {
                return Err(too_much("the size of its files", limits.bytes, "bytes"));
            }
        }
        let name = Name::of(&member.name, limits.depth)?;
        let Some(last) = name.last else { return self.root_itself(member) };
        if self.options.whiteouts
            && let Some(hidden) = whiteout::read(last)?
        {
            return self.hide(&name.parent, hidden);
        }
        let attributes = Attributes::of(member);
        let failed = |error: Error| explain(error, &member.name);
        let parent = self.parent(&name.parent).map_err(failed)?;
        let parent = parent.as_fd();
        match &member.kind {
            Kind::File(content) => self.file(parent, last, content, &attributes, archive),
            Kind::Directory => {
                let path = [&name.parent[..], last].join(&b'/');
                self.directory(parent, last, path, attributes)
            }
            Kind::Symlink(to) => self.symlink(parent, last, to, &attributes),
            Kind::HardLink(to) => self.hard_link(parent, last, to),
            kind => self.special(parent, last, kind, &attributes),
        }
        .map_err(failed)
    }

    /// `./` is a member of many archives: it says what the root is like.
    fn root_itself(&mut self, member: &Member) -> Result<()> {
        if member.kind != Kind::Directory {
            return Err(broken(format!(
                "{} would replace the root of the tree itself",
                shown(&member.name)
            )));
        }
        let root = self.root.directory(b"").tried(|| "open(root of the tree)")?;
        let stat = fstat(root).tried(|| "fstat(root of the tree)")?;
        self.directories.note(&stat, Vec::new(), Attributes::of(member));
        Ok(())
    }

    /// The directory of this name, made if it is not there.
    fn parent(&mut self, name: &[u8]) -> Result<Rc<OwnedFd>> {
        if let Some(parent) = self.parents.get(name) {
            return Ok(Rc::clone(parent));
        }
        let call = || format!("openat2(\"{}\", RESOLVE_IN_ROOT)", shown(name));
        let found = match self.directories.find(&self.root, name) {
            Err(Errno::NOENT) => self.root.made(name),
            other => other,
        };
        let parent = Rc::new(found.tried(call)?);
        self.directories.enter(&parent, name).tried(call)?;
        if self.parents.len() >= MOST_OPEN {
            self.parents.clear();
        }
        self.parents.insert(name.to_vec(), Rc::clone(&parent));
        Ok(parent)
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        content: &Content,
        attributes: &Attributes,
        archive: &mut Archive<'_, impl BufRead>,
    ) -> Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.place(parent, name, "open", |name| {
            openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        match &content.map {
            None => write(&file, 0, content.size, archive)?,
            Some(map) => {
                map.iter().try_for_each(|(at, length)| write(&file, *at, *length, archive))?;
                ftruncate(&file, content.size).tried(|| format!("ftruncate({})", content.size))?;
            }
        }
        self.note(&file)?;
        let set = attributes.set(&file, &mut self.unpacked.left_out);
        set.tried(|| format!("fchown, fchmod(\"{}\")", shown(name)))
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: Vec<u8>,
        attributes: Attributes,
    ) -> Result<()> {
        let made = mkdirat(parent, name, Mode::RWXU);
        let stat = || statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_directory =
            |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !(made == Err(Errno::EXIST) && stat().is_ok_and(|stat| is_directory(&stat))) {
            match made {
                Err(Errno::EXIST) => {
                    self.place(parent, name, "mkdir", |name| mkdirat(parent, name, Mode::RWXU))?;
                }
                other => other.tried(|| format!("mkdir(\"{}\")", shown(name)))?,
            }
        }
        let stat = stat().tried(|| format!("lstat(\"{}\")", shown(name)))?;
        if self.options.whiteouts {
            self.made.insert(identity(&stat));
        }
        if made.is_err() {
            let there = self.directories.find(&self.root, &path);
            let call = || format!("openat2(\"{}\")", shown(&path));
            there.and_then(|there| self.directories.enter(&there, &path)).tried(call)?;
        }
        self.directories.note(&stat, path, attributes);
        Ok(())
    }

    fn symlink(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        to: &[u8],
        attributes: &Attributes,
    ) -> Result<()> {
        self.place(parent, name, "symlink", |name| symlinkat(to, parent, name))?;
        self.note_name(parent, name)?;
        let set = attributes.set_link(parent, name, &mut self.unpacked.left_out);
        set.tried(|| format!("fchownat(\"{}\", AT_SYMLINK_NOFOLLOW)", shown(name)))
    }

    /// The other name is looked for inside the tree, and a link is not followed:
    /// no inode is ever shared with the outside.
    fn hard_link(&mut self, parent: BorrowedFd<'_>, name: &[u8], to: &[u8]) -> Result<()> {
        let limits = &self.options.limits;
        let other = Name::of(to, limits.depth)?;
        let Some(last) = other.last else {
            return Err(broken(format!("{} would be another name of a directory", shown(name))));
        };
        let call = || format!("link(\"{}\", \"{}\")", shown(to), shown(name));
        let from = match self.parents.get(&other.parent) {
            Some(from) => Rc::clone(from),
            None => Rc::new(self.directories.find(&self.root, &other.parent).tried(call)?),
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let source = statat(&from, last, flags).tried(call)?;
        // A link to itself, or one that is there already: nothing to do, and nothing to remove.
        if statat(parent, name, flags).is_ok_and(|there| identity(&there) == identity(&source)) {
            return Ok(());
        }
        self.place(parent, name, "link", |name| {
            linkat(&from, last, parent, name, AtFlags::empty())
        })?;
        self.note_name(parent, name)
    }

    fn special(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        kind: &Kind,
        attributes: &Attributes,
    ) -> Result<()> {
        let (file_type, device) = match kind {
            Kind::Character(major, minor) => (FileType::CharacterDevice, makedev(*major, *minor)),
            Kind::Block(major, minor) => (FileType::BlockDevice, makedev(*major, *minor)),
            _ => (FileType::Fifo, 0),
        };
        let mode = Mode::RUSR | Mode::WUSR;
        let made = self
            .place(parent, name, "mknod", |name| mknodat(parent, name, file_type, mode, device));
        match made {
            Err(error) if error.is(nix::errno::Errno::EPERM) && file_type != FileType::Fifo => {
                self.unpacked.left_out.devices += 1;
                return Ok(());
            }
            other => other?,
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let call = || format!("fchownat(\"{}\")", shown(name));
        let node = openat(parent, name, flags, Mode::empty()).tried(call)?;
        let stat = fstat(&node).tried(call)?;
        if FileType::from_raw_mode(stat.st_mode) != file_type {
            return Err(broken(format!("somebody replaced {} while it was made", shown(name))));
        }
        self.note(&node)?;
        attributes.set_special(node.as_fd(), &mut self.unpacked.left_out).tried(call)
    }

    /// Makes something under a new name. What has the name goes first; it is
    /// never written to.
    fn place<T>(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        call: &str,
        make: impl Fn(&[u8]) -> rustix::io::Result<T>,
    ) -> Result<T> {
        for _ in 0..MOST_TRIES {
            match make(name) {
                Err(Errno::EXIST) => self.clear(parent, name)?,
                other => return other.tried(|| format!("{call}(\"{}\")", shown(name))),
            }
        }
        Err(Error::call(format!("{call}(\"{}\")", shown(name)), nix::errno::Errno::EEXIST)
            .hint("Somebody else keeps making it while it is unpacked."))
    }

    /// Removes what has this name.
    fn clear(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let call = || format!("unlink(\"{}\")", shown(name));
        let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.tried(call)?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.forget_parents();
                let c_name = c_string(name)?;
                return remove::tree(parent, &c_name, &PathBuf::from(shown(name)), None);
            }
            FileType::Symlink => self.forget_parents(),
            _ => {}
        }
        match unlinkat(parent, name, AtFlags::empty()) {
            Err(Errno::NOENT | Errno::ISDIR) => Ok(()), // somebody was faster: look again
            other => other.tried(call),
        }
    }

    /// Names may lead elsewhere from now on.
    fn forget_parents(&mut self) {
        self.parents.clear();
    }

    /// Takes away what a layer below has under this name, or in this directory.
    fn hide(&mut self, parent: &[u8], hidden: whiteout::Hidden<'_>) -> Result<()> {
        if let Some(marks) = self.options.marks {
            let directory = self.parent(parent)?;
            return whiteout::mark(&directory, hidden, marks);
        }
        let call = || format!("openat2(\"{}\")", shown(parent));
        let directory = match self.directories.find(&self.root, parent) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()), // then there is nothing to hide
            other => other.tried(call)?,
        };
        self.directories.enter(&directory, parent).tried(call)?;
        self.forget_parents();
        whiteout::hide(&directory, hidden, &self.made)
    }

    fn note(&mut self, file: &OwnedFd) -> Result<()> {
        if self.options.whiteouts {
            let stat = fstat(file).tried(|| "fstat()")?;
            self.made.insert(identity(&stat));
        }
        Ok(())
    }

    fn note_name(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        if self.options.whiteouts {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).tried(|| "lstat()")?;
            self.made.insert(identity(&stat));
        }
        Ok(())
    }

    /// What is left to do when the archive has been read.
    pub fn finish(mut self) -> Result<Unpacked> {
        self.forget_parents();
        self.directories.finish(&self.root, &mut self.unpacked.left_out)?;
        Ok(self.unpacked)
    }
}

/// Writes so much of the archive at an offset of a file.
fn write(
    file: &OwnedFd,
    mut at: u64,
    mut left: u64,
    archive: &mut Archive<'_, impl BufRead>,
) -> Result<()> {
    while left > 0 {
        let chunk = archive.chunk(left)?;
        if chunk.is_empty() {
            return Err(broken("a file is shorter than it says"));
        }
        let written = match rustix::io::pwrite(file, chunk, at) {
            Err(Errno::INTR) => continue,
            other => other.tried(|| "write(file)")?,
        };
        archive.consume(written);
        archive.check_length()?;
        at += written as u64;
        left -= written as u64;
    }
    Ok(())
}

/// Device and inode.
pub fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// A name for the kernel.
pub fn c_string(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| broken("a name has a zero byte in it"))
}

fn explain(error: Error, member: &[u8]) -> Error {
    use nix::errno::Errno;
    if error.hint.is_some() {
        return error;
    }
    let member = shown(member);
    match error.errno.map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => {
            error.hint("The disk is full. Nothing is kept of what was unpacked.")
        }
        Some(Errno::ENOTDIR) => error.hint(format!(
            "A part of the path {member} is a file in this archive, not a directory."
        )),
        Some(Errno::ELOOP) => {
            error.hint(format!("Symbolic links on the way to {member} lead in a circle."))
        }
        Some(Errno::ENOENT) => {
            error.hint(format!("{member} needs something that this archive has not got."))
        }
        Some(Errno::ENAMETOOLONG) => error.hint("A name may be 255 bytes long."),
        _ => error.hint(format!("This came from the archive's member {member}.")),
    }
}
