//! What a container in the background writes, in a file: the last part of it.
//! Whoever writes without end fills no disk, and never waits for one.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FallocateFlags, fallocate};

use crate::error::{Context, Result};

/// So much is kept at least, in bytes; at most twice as much.
pub const KEPT: u64 = 1 << 20;

/// Holes begin and end at such offsets on every file system.
const BLOCK: u64 = 4096;

/// The side that writes.
#[derive(Debug)]
pub struct Writer {
    file: File,
    written: u64,
    given_back: u64,
}

impl Writer {
    /// Goes on at the end of this file, which is there already.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = File::options();
        let opened = options.write(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let mut file = opened.tried(|| format!("open({path:?}, O_WRONLY)"))?;
        let written = file.seek(SeekFrom::End(0)).tried(|| format!("lseek({path:?})"))?;
        Ok(Self { file, written, given_back: 0 })
    }

    /// Adds to it. On a full disk what does not fit is lost: the container must
    /// not wait for whoever makes room.
    pub fn add(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes);
        self.written = self.file.stream_position().unwrap_or(self.written);
        if self.written - self.given_back > 2 * KEPT {
            self.give_back();
        }
    }

    /// The oldest part becomes a hole: later bytes stay at their offsets, so
    /// that somebody who is just reading loses nothing else.
    fn give_back(&mut self) {
        let until = (self.written - KEPT) / BLOCK * BLOCK;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(&self.file, flags, self.given_back, until - self.given_back).is_ok() {
            self.given_back = until;
        } else {
            // No holes on this file system: it begins anew.
            let _ = self.file.set_len(0).and_then(|()| self.file.rewind());
            (self.written, self.given_back) = (0, 0);
        }
    }
}

/// What comes out of a container (a pipe, or our end of its terminal), and the
/// file that it goes to. Without a file it is read all the same, or whoever
/// writes would wait for ever.
#[derive(Debug, Default)]
pub struct Output {
    source: Option<OwnedFd>,
    log: Option<Writer>,
}

impl Output {
    /// From the first of these descriptors to this file.
    pub fn to(path: Option<PathBuf>, source: Vec<OwnedFd>) -> Result<Self> {
        let log = path.map(|path| Writer::open(&path)).transpose()?;
        Ok(Self { source: source.into_iter().next(), log })
    }

    /// Readable when there is something to pass on; none when there never will be.
    pub fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Passes on what is there.
    pub fn pass_on(&mut self) {
        let mut bytes = [0_u8; 16 * 1024];
        let read = self.source.as_ref().map(|source| rustix::io::read(source, &mut bytes[..]));
        match (read, &mut self.log) {
            (Some(Ok(count @ 1..)), Some(log)) => log.add(&bytes[..count]),
            (Some(Ok(1..) | Err(rustix::io::Errno::INTR)), _) => {}
            _ => self.source = None,
        }
    }

    /// Passes on what the container wrote last, before it ended.
    pub fn drain(&mut self) {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Some(source) = &self.source {
            let mut polled = [PollFd::new(source, PollFlags::IN)];
            match poll(&mut polled, Some(&now)) {
                Ok(0) => return,
                _ => self.pass_on(),
            }
        }
    }
}

/// The side that reads.
#[derive(Debug)]
pub struct Reader {
    file: File,
    at: u64,
}

impl Reader {
    /// From the first whole line that is kept.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = File::options();
        let opened = options.read(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let mut reader = Self { file: opened.tried(|| format!("open({path:?})"))?, at: 0 };
        let mut bytes = reader.read()?;
        let begins_in_a_line = reader.at > bytes.len() as u64;
        loop {
            let line = bytes.iter().position(|byte| *byte == b'\n');
            let skipped = match (begins_in_a_line, line) {
                (false, _) => 0,
                (true, Some(end)) => end + 1,
                // No line has ended yet: from here on.
                (true, None) if bytes.is_empty() => 0,
                (true, None) => {
                    bytes = reader.read()?;
                    continue;
                }
            };
            reader.at -= (bytes.len() - skipped) as u64;
            return Ok(reader);
        }
    }

    /// What comes next; nothing at the (present) end.
    pub fn read(&mut self) -> Result<Vec<u8>> {
        let length = self.file.metadata().tried(|| "fstat(log)")?.len();
        if length < self.at {
            self.at = 0; // it began anew
        }
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(self.at)) {
            Ok(data) => self.at = data,
            Err(rustix::io::Errno::NXIO) => return Ok(Vec::new()),
            Err(_) => {} // a file system without holes
        }
        let mut bytes = vec![0; 64 * 1024];
        let count = self.file.read_at(&mut bytes, self.at).tried(|| "read(log)")?;
        bytes.truncate(count);
        self.at += count as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &Path) -> Vec<u8> {
        let (mut reader, mut all) = (Reader::open(path).unwrap(), Vec::new());
        loop {
            match reader.read().unwrap() {
                bytes if bytes.is_empty() => return all,
                bytes => all.extend(bytes),
            }
        }
    }

    #[test]
    fn the_last_part_is_kept_in_whole_lines_and_the_disk_is_spared() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut log = Writer::open(file.path()).unwrap();
        log.add(b"the first line\n");
        assert_eq!(all(file.path()), b"the first line\n");
        log.add(&[b'x'; 100_000]); // longer than what is read at once
        for number in 0..400_000 {
            log.add(format!("line {number}\n").as_bytes());
        }
        let kept = all(file.path());
        assert!((KEPT..=2 * KEPT).contains(&(kept.len() as u64 + BLOCK)), "{}", kept.len());
        assert!(kept.starts_with(b"line ") && kept.ends_with(b"line 399999\n"));
        let on_disk = file.as_file().metadata().unwrap().blocks() * 512;
        assert!(on_disk <= 2 * KEPT + 64 * BLOCK, "{on_disk} bytes on disk");
    }
}
