//! Paths of a container, resolved from outside: the kernel treats a directory
//! as the root while it resolves (openat2(2), `RESOLVE_IN_ROOT`), so that no
//! symbolic link and no `..` of an image ever leads out of it, and whatever was
//! found is held by its descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, open, openat, openat2};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::World;

pub use ops::{EnterDir, MakeInRoot, WriteInRoot};

mod ops;

/// Names the slot with the file systems that are the container's alone.
const OWN: &str = "own_file_systems";

/// A directory that is the root of whatever is resolved in it.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: String,
}

impl Root {
    /// The directory at this path; a symbolic link there is not followed.
    pub fn open(path: &str) -> Result<Self> {
        let path = if path.is_empty() { "/" } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open(path, flags, Mode::empty())
            .tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY|O_NOFOLLOW)"))
            .map(|fd| Self { fd, path: path.to_owned() })
    }

    /// The root that another process has, if one may look at it.
    pub fn of_process(pid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/root");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(&path, flags, Mode::empty())
            .tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))?;
        Ok(Self { fd, path })
    }

    /// What is at `path`, symbolic links followed inside; never through a
    /// magic one such as /proc/self/fd/7, which could lead anywhere.
    pub fn find(&self, path: &str, flags: OFlags, more: ResolveFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        let flags = flags | OFlags::CLOEXEC;
        let relative = relative(path);
        // EAGAIN: something was renamed while `..` was resolved.
        let mut tries = 0;
        loop {
            match openat2(&self.fd, relative, flags, Mode::empty(), resolve) {
                Err(rustix::io::Errno::AGAIN) if tries < 100 => tries += 1,
                other => {
                    return other
                        .tried(|| format!("openat2({:?}, {path:?}, RESOLVE_IN_ROOT)", self.path))
                        .map_err(|error| explain(error, path));
                }
            }
        }
    }

    /// Where a descriptor's file is, as seen from this root; `None` when it is
    /// not below it.
    pub fn name_of(&self, fd: impl AsFd) -> Result<Option<PathBuf>> {
        let name = |fd: i32| {
            let link = format!("/proc/self/fd/{fd}");
            std::fs::read_link(&link).tried(|| format!("readlink({link:?})"))
        };
        let (root, found) = (name(self.fd.as_raw_fd())?, name(fd.as_fd().as_raw_fd())?);
        Ok(found.strip_prefix(root).ok().map(|below| Path::new("/").join(below)))
    }

    /// A regular file's content, at most so many bytes of it; `None` when there
    /// is no such file. Nothing but the image's own files is read.
    pub fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>> {
        use std::io::Read;
        // A FIFO must not make us wait, a device must not be opened at all.
        let looked = self.find(path, OFlags::PATH, ResolveFlags::NO_XDEV);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match looked {
            Err(error) if error.is(Errno::ENOENT) || error.is(Errno::ENOTDIR) => return Ok(None),
            Err(error) => return Err(error),
            Ok(found) if !is(&found, FileType::RegularFile)? => {
                return Err(Error::new(format!("reading {path} of the image"))
                    .said("it is no regular file"));
            }
            Ok(_) => self.find(path, flags, ResolveFlags::NO_XDEV)?,
        };
        let mut content = Vec::new();
        let file = std::fs::File::from(file);
        file.take(most + 1).read_to_end(&mut content).tried(|| format!("read({path:?})"))?;
        match content.len() as u64 > most {
            false => Ok(Some(content)),
            true => Err(Error::new(format!("reading {path} of the image"))
                .said(format!("it is longer than {most} bytes"))),
        }
    }

    /// Makes a directory and those above it where they are missing, or an empty
    /// file; whether anything had to be made. Only on file systems that are the
    /// container's alone: nothing is ever made on the host.
    fn make(&self, path: &str, kind: Kind, world: &World<'_>) -> Result<bool> {
        let own = Own::of(self, world)?;
        let (mut here, mut made) = (PathBuf::from("/"), false);
        let names: Vec<_> = names(path).collect();
        for (index, name) in names.iter().enumerate() {
            let parent = here.clone();
            here.push(name);
            let path = here.to_string_lossy();
            let last = index + 1 == names.len();
            match self.find(&path, OFlags::PATH, ResolveFlags::empty()) {
                Ok(found) => kind.expect_when(last, &found, &path)?,
                Err(error) if error.is(Errno::ENOENT) => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY;
                    let parent =
                        self.find(&parent.to_string_lossy(), flags, ResolveFlags::empty())?;
                    own.allow(&parent, &path)?;
                    let kind = if last { kind } else { Kind::Directory };
                    kind.make(&parent, name).map_err(|error| match error.is(Errno::EEXIST) {
                        true => error.hint(format!(
                            "The image has a symbolic link at {path} that leads nowhere."
                        )),
                        false => error,
                    })?;
                    made = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }
}

/// Without what would lead up: `..` at the root stays there anyway.
fn names(path: &str) -> impl Iterator<Item = &str> {
    Path::new(path).components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

fn relative(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        below => below,
    }
}

fn is(fd: &OwnedFd, kind: FileType) -> Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd).tried(|| "fstat()")?.st_mode) == kind)
}

fn explain(error: Error, path: &str) -> Error {
    match error.errno.map(Errno::from_raw) {
        Some(Errno::ELOOP) => error.hint(format!(
            "There are too many symbolic links at {path}, or one of those in /proc that lead out of \
             the container (CVE-2024-21626)."
        )),
        Some(Errno::ENOSYS) => error.hint("openat2 needs Linux 5.6."),
        Some(Errno::EXDEV) => error.hint(format!("{path} leads to another file system.")),
        _ => error,
    }
}

/// A directory, or something else to mount a file on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file.
    File,
}

impl Kind {
    fn expect_when(self, last: bool, found: &OwnedFd, path: &str) -> Result<()> {
        let wanted = if last { self } else { Self::Directory };
        if is(found, FileType::Directory)? == (wanted == Self::Directory) {
            return Ok(());
        }
        let (here, there) = match (wanted, last) {
            (Self::Directory, false) => ("is no directory", "what is to be below it has no place"),
            (Self::Directory, true) => {
                ("is no directory", "a directory can only be mounted on one")
            }
            (Self::File, _) => ("is a directory", "a file can only be mounted on a file"),
        };
        Err(Error::new(format!("{path} in the container {here}")).said(there))
    }

    fn make(self, parent: &OwnedFd, name: &str) -> Result<()> {
        match self {
            Self::Directory => mkdirat(parent, name, Mode::from_raw_mode(0o755))
                .tried(|| format!("mkdirat({name:?}, 0755)")),
            Self::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                openat(parent, name, flags, Mode::from_raw_mode(0o644))
                    .tried(|| format!("openat({name:?}, O_WRONLY|O_CREAT|O_EXCL)"))
                    .map(drop)
            }
        }
    }
}

/// The file systems that nobody but this container has: its root, and those
/// that were mounted new in it.
struct Own(Vec<u64>);

impl Own {
    fn of(root: &Root, world: &World<'_>) -> Result<Self> {
        let mut devices = vec![fstat(&root.fd).tried(|| "fstat(root)")?.st_dev];
        let noted = world.slots.fill(&format!("${OWN}"));
        devices.extend(noted.split(',').filter_map(|number| number.parse::<u64>().ok()));
        Ok(Self(devices))
    }

    fn allow(&self, parent: &OwnedFd, path: &str) -> Result<()> {
        if self.0.contains(&fstat(parent).tried(|| "fstat()")?.st_dev) {
            return Ok(());
        }
        Err(Error::new(format!("there is no {path} in the container"))
            .said("it would have to be made in a directory of the host")
            .hint(
                "Nothing is made on the host for a container: make it there yourself, then again.",
            ))
    }
}

/// Notes that the file system at `path` is new, and the container's alone.
pub fn note_own(root: &Root, path: &str, world: &mut World<'_>) -> Result<()> {
    let found = root.find(path, OFlags::PATH, ResolveFlags::empty())?;
    let device = fstat(&found).tried(|| "fstat()")?.st_dev;
    let noted = world.slots.fill(&format!("${OWN}"));
    world.slots.set(OWN, format!("{noted},{device}"));
    Ok(())
}

/// Places of a container that nothing else may be mounted on.
const TAKEN: [(&str, bool, &str); 5] = [
    ("/", false, "it is the root itself"),
    ("/proc", true, "what programs and this one believe of processes is read there"),
    ("/sys", false, "parts of it are covered for good reason; a directory in it may be mounted on"),
    (
        "/dev",
        false,
        "it holds the few devices that a container may use; a file in it may be mounted on",
    ),
    ("/dev/pts", true, "terminals are made there"),
];

/// Why nothing may be mounted at this path of a container, if so.
pub fn taken(path: &Path) -> Option<&'static str> {
    let covers = |(taken, below, _): &&(&str, bool, &str)| {
        path == Path::new(taken) || (*below && path.starts_with(taken))
    };
    TAKEN.iter().find(covers).map(|(_, _, why)| *why)
}

/// The place to mount on, held: what it is called now says whether it may be
/// mounted on, and what is held is what will be mounted on.
pub fn place(root: &Root, target: &str) -> Result<OwnedFd> {
    let found = root.find(target, OFlags::PATH, ResolveFlags::empty())?;
    let refuse = |why: &str| {
        Err(Error::new(format!("mounting on {target} in the container")).said(why.to_owned()))
    };
    match root.name_of(&found)? {
        None => refuse("it has left the container's root meanwhile"),
        Some(name) => match taken(&name) {
            Some(why) => refuse(&format!("that is {}: {why}", name.display())),
            None => Ok(found),
        },
    }
}
