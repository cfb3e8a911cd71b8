//! The files of a tar archive, to be opened in any order: it is looked through
//! once, and where each file begins is remembered.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::{Blob, Files};
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::unpack::compression::{self, Compression};

/// An archive of an image has a few files for each layer.
const MOST_FILES: usize = 20_000;

/// How often a link of the archive leads to a link.
const MOST_LINKS: usize = 8;

/// Bytes that an archive may come to, or may come from docker.
const MOST_BYTES: u64 = 64 << 30;

/// A tar archive.
pub struct Tarred {
    file: Arc<File>,
    members: HashMap<String, Member>,
}

enum Member {
    At(u64, u64),
    Link(String),
}

impl Tarred {
    /// The archive at this path; a compressed one is unpacked into a file that has no name.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).tried(|| format!("open({path:?})"))?;
        let mut start = [0; 6];
        let count = file.read(&mut start).tried(|| format!("read({path:?})"))?;
        file.seek(SeekFrom::Start(0)).tried(|| format!("lseek({path:?})"))?;
        let file = match compression::detect(&start[..count])? {
            Compression::Plain => file,
            _ => spooled(compression::decompressed(file)?)?,
        };
        Self::of(file, path)
    }

    /// An archive that is open already.
    pub fn of(file: File, shown: &Path) -> Result<Self> {
        let broken = |error: io::Error| {
            Error::io(format!("reading {}", shown.display()), &error)
                .hint("It is damaged, or it is not a tar archive.")
        };
        let mut copy = file.try_clone().tried(|| "dup()")?;
        copy.seek(SeekFrom::Start(0)).tried(|| "lseek()")?;
        let mut archive = tar::Archive::new(BufReader::new(copy));
        let mut members = HashMap::new();
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = normal("", &String::from_utf8_lossy(&entry.path_bytes()));
            let link = entry.link_name_bytes().map(|to| String::from_utf8_lossy(&to).into_owned());
            let member = match (entry.header().entry_type(), link) {
                (kind, _) if kind.is_file() => Member::At(entry.raw_file_position(), entry.size()),
                (kind, Some(to)) if kind.is_symlink() => Member::Link(normal(&name, &to)),
                (kind, Some(to)) if kind.is_hard_link() => Member::Link(normal("", &to)),
                _ => continue,
            };
            members.insert(name, member);
            if members.len() > MOST_FILES {
                return Err(Error::new(format!("reading {}", shown.display()))
                    .said(format!("it has more than {MOST_FILES} files"))
                    .hint("This is not an archive of an image, which has a few for each layer."));
            }
        }
        Ok(Self { file: Arc::new(file), members })
    }

    /// Whether it has a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }
}

impl Files for Tarred {
    fn open(&self, name: &str) -> Result<Option<(Blob, u64)>> {
        let mut name = normal("", name);
        for _ in 0..=MOST_LINKS {
            match self.members.get(&name) {
                None => return Ok(None),
                Some(Member::Link(to)) => name.clone_from(to),
                Some(Member::At(at, size)) => {
                    let part = Part { file: Arc::clone(&self.file), at: *at, left: *size };
                    return Ok(Some((Box::new(part), *size)));
                }
            }
        }
        Err(Error::new(format!("reading {name}")).said("links of the archive lead in a circle"))
    }
}

/// A name without `.` and `..`, seen from the directory that `from` is in.
fn normal(from: &str, name: &str) -> String {
    let mut parts: Vec<_> = from.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A part of a file, read without moving the file's own position.
struct Part {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Everything that comes, in a file that has no name: it is gone when it is closed.
pub fn spooled(source: impl Read) -> Result<File> {
    let mut file = nameless()?;
    let copied = io::copy(&mut source.take(MOST_BYTES + 1), &mut file);
    match copied.tried(|| "copying the archive to a file without a name")? {
        bytes if bytes > MOST_BYTES => {
            Err(Error::new("copying the archive to a file without a name")
                .said(format!("it has more than {MOST_BYTES} bytes")))
        }
        _ => Ok(file),
    }
}

fn nameless() -> Result<File> {
    let directory = home::open(Place::Cache, "")?;
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(&directory, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Not every file system knows files without names.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let path = directory.join(format!("spool-{}", crate::journal::new_token()?));
            let mut options = File::options();
            let file = options.read(true).write(true).create_new(true).open(&path);
            let file = file.tried(|| format!("open({path:?}, O_CREAT|O_EXCL)"))?;
            std::fs::remove_file(&path).tried(|| format!("unlink({path:?})"))?;
            Ok(file)
        }
        Err(errno) => Err(errno).tried(|| format!("open({directory:?}, O_TMPFILE)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_seen_from_where_they_stand() {
        assert_eq!(normal("", "./a/b"), "a/b");
        assert_eq!(normal("x/layer.tar", "../y/layer.tar"), "y/layer.tar");
        assert_eq!(normal("", "/../../a"), "a");
    }
}
