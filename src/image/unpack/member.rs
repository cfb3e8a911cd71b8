//! The members of a tar archive, one after the other.
//!
//! The crate `tar` reads the headers. Going from one to the next is done here,
//! because where a header and an extended header disagree about a size, or a
//! directory claims to have content, two readers that decide differently see
//! two different archives (CVE-2025-62518). Here the extended header always
//! wins, as POSIX says, and only regular files have content.

use std::io::BufRead;

use tar::{EntryType, Header};

use super::archive::BLOCK;
use super::pax::{Extended, Time};
use super::{broken, sparse, too_much};
use crate::error::{Error, Result};

pub use super::archive::Archive;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(Content),
    /// A directory.
    Directory,
    /// A symbolic link and what it says.
    Symlink(Vec<u8>),
    /// Another name of the member with this name.
    HardLink(Vec<u8>),
    /// A character device.
    Character(u32, u32),
    /// A block device.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// What is in a regular file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Its length.
    pub size: u64,
    /// Where its data is (offset, length), if it has holes.
    pub map: Option<Vec<(u64, u64)>>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As it stands in the archive: believe nothing of it.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last changed.
    pub mtime: Time,
    /// Its extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: BufRead> Archive<'_, R> {
    /// The next member; what was not read of the one before is passed over.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        let mut local: Option<Extended> = None;
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.pass_over()?;
            let Some(header) = self.header()? else {
                let dangling = local.is_some() || long_name.is_some() || long_link.is_some();
                return if dangling {
                    Err(broken("it ends after an extended header"))
                } else {
                    Ok(None)
                };
            };
            let kind = header.entry_type();
            match kind.as_byte() {
                b'x' | b'X' => {
                    let records = self.extension(&header)?;
                    local.get_or_insert_with(|| self.global.clone()).read(&records)?;
                }
                b'g' => {
                    let records = self.extension(&header)?;
                    self.global.read(&records)?;
                }
                b'L' => long_name = Some(until_nul(self.extension(&header)?)),
                b'K' => long_link = Some(until_nul(self.extension(&header)?)),
                b'V' => self.content_is(0, number(header.size())?), // a volume's label
                b'M' => {
                    return Err(broken("it is the second part of an archive on several volumes"));
                }
                _ => {
                    let mut extended = local.unwrap_or_else(|| self.global.clone());
                    extended.path = extended.path.or(long_name);
                    extended.link = extended.link.or(long_link);
                    return self.member(&header, extended).map(Some);
                }
            }
        }
    }

    fn member(&mut self, header: &Header, extended: Extended) -> Result<Member> {
        let stored = match extended.size {
            Some(size) => size,
            None => number(field(&header.as_old().size, || header.entry_size()))?,
        };
        let mut name = extended.path.clone().unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extended.link.clone();
        let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let link = link.unwrap_or_default();
        let device = || -> Result<(u32, u32)> {
            let part =
                |part: std::io::Result<Option<u32>>| number(part).map(Option::unwrap_or_default);
            Ok((part(header.device_major())?, part(header.device_minor())?))
        };
        let kind = match header.entry_type() {
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(link),
            EntryType::Link => Kind::HardLink(link),
            EntryType::Char => device().map(|(major, minor)| Kind::Character(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| Kind::Block(major, minor))?,
            EntryType::Fifo => Kind::Fifo,
            kind if kind.as_byte() == b'D' => {
                self.content_is(0, stored); // GNU's list of what was in the directory
                Kind::Directory
            }
            EntryType::GNUSparse => Kind::File(self.old_sparse(header, stored)?),
            // Before POSIX a directory was a file whose name ends in a slash.
            _ if name.ends_with(b"/") && !extended.sparse.any => {
                self.content_is(0, stored);
                Kind::Directory
            }
            // As POSIX asks, what nobody knows is a regular file.
            _ => {
                self.content_is(stored, 0);
                let content = self.pax_sparse(&extended, stored)?;
                if let Some(real) = extended.sparse.name.clone().filter(|_| extended.sparse.any) {
                    name = real;
                }
                Kind::File(content)
            }
        };
        if name.contains(&0)
            || matches!(&kind, Kind::Symlink(to) | Kind::HardLink(to) if to.contains(&0))
        {
            return Err(broken("a name has a zero byte in it"));
        }
        let mtime = match extended.mtime {
            Some(time) => time,
            None => {
                // Before 1970 GNU tar writes it as a negative number of 64 bits.
                let seconds = number(field(&header.as_old().mtime, || header.mtime()))?;
                Time { seconds: seconds.cast_signed(), nanos: 0 }
            }
        };
        Ok(Member {
            mode: number(field(&header.as_old().mode, || header.mode().map(u64::from)))? as u32
                & 0o7777,
            uid: id(extended.uid, field(&header.as_old().uid, || header.uid()))?,
            gid: id(extended.gid, field(&header.as_old().gid, || header.gid()))?,
            mtime,
            xattrs: extended.xattrs,
            name,
            kind,
        })
    }

    fn pax_sparse(&mut self, extended: &Extended, stored: u64) -> Result<Content> {
        let sparse = &extended.sparse;
        if !sparse.any {
            return Ok(Content { size: stored, map: None });
        }
        let numbers = match sparse.major {
            Some(1) if sparse.minor == Some(0) => self.leading_map()?,
            None | Some(0) => sparse.map.clone(),
            Some(_) => return Err(broken("it has a sparse file of a kind that is not known")),
        };
        sparse::content(&numbers, sparse.real_size, self.left)
    }

    /// Version 1.0 keeps the map before the data: decimal numbers, a line each.
    fn leading_map(&mut self) -> Result<Vec<u64>> {
        let mut lines = sparse::Lines::new(self.limits.extended_header);
        while !lines.complete()? {
            let mut block = [0; BLOCK];
            let mut filled = 0;
            while filled < BLOCK {
                let chunk = self.chunk((BLOCK - filled) as u64)?;
                if chunk.is_empty() {
                    return Err(broken("the map of a sparse file is cut"));
                }
                block[filled..filled + chunk.len()].copy_from_slice(chunk);
                let length = chunk.len();
                self.consume(length);
                filled += length;
            }
            lines.add(&block)?;
        }
        Ok(lines.numbers)
    }

    /// GNU's first way: four places in the header, and 21 in each block after it.
    fn old_sparse(&mut self, header: &Header, stored: u64) -> Result<Content> {
        let gnu = header.as_gnu().ok_or_else(|| broken("a sparse file without a GNU header"))?;
        let mut numbers = Vec::new();
        let mut add = |place: &tar::GnuSparseHeader| -> Result<()> {
            if !place.is_empty() {
                numbers.extend([number(place.offset())?, number(place.length())?]);
            }
            Ok(())
        };
        gnu.sparse.iter().try_for_each(&mut add)?;
        let mut more = gnu.is_extended();
        let mut blocks = 0;
        while more {
            let mut next = tar::GnuExtSparseHeader::new();
            self.exactly(next.as_mut_bytes())?;
            next.sparse().iter().try_for_each(&mut add)?;
            more = next.is_extended();
            blocks += BLOCK as u64;
            if blocks > self.limits.extended_header {
                return Err(too_much(
                    "the map of a sparse file",
                    self.limits.extended_header,
                    "pax",
                ));
            }
        }
        let real = number(gnu.real_size())?;
        self.content_is(stored, 0);
        sparse::content(&numbers, Some(real), stored)
    }

    /// The next header whose checksum is right; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        let bytes = header.as_mut_bytes();
        if self.at_end()? {
            return Ok(None);
        }
        self.exactly(bytes)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let wanted = header.cksum().map_err(|_| not_a_header(self.position))?;
        let bytes = header.as_bytes();
        // The checksum counts itself as spaces; some old programs added signed bytes.
        let outside = || bytes.iter().enumerate().filter(|(at, _)| !(148..156).contains(at));
        let unsigned: u32 = outside().map(|(_, byte)| u32::from(*byte)).sum::<u32>() + 8 * 32;
        let signed: i32 =
            outside().map(|(_, byte)| i32::from(byte.cast_signed())).sum::<i32>() + 8 * 32;
        match wanted == unsigned || wanted.cast_signed() == signed {
            true => Ok(Some(header)),
            false => Err(not_a_header(self.position)),
        }
    }

    /// The whole content of an extended header.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = number(header.entry_size())?;
        if size > self.limits.extended_header {
            return Err(too_much("an extended header", self.limits.extended_header, "pax"));
        }
        self.content_is(size, 0);
        let mut bytes = Vec::new();
        loop {
            let chunk = self.chunk(u64::MAX)?;
            if chunk.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(chunk);
            let length = chunk.len();
            self.consume(length);
        }
    }
}

/// A numeric field; one that is all blank is 0.
fn field(bytes: &[u8], value: impl FnOnce() -> std::io::Result<u64>) -> std::io::Result<u64> {
    match bytes.iter().all(|byte| matches!(byte, 0 | b' ')) {
        true => Ok(0),
        false => value(),
    }
}

fn number<N>(value: std::io::Result<N>) -> Result<N> {
    value.map_err(|error| broken(format!("a header has a number that is none: {error}")))
}

fn id(extended: Option<u64>, header: std::io::Result<u64>) -> Result<u32> {
    let id = extended.map_or_else(|| number(header), Ok)?;
    u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| {
        broken(format!("{id} is no user or group id: the kernel counts to 4294967294"))
    })
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn not_a_header(position: u64) -> Error {
    broken(format!("at byte {} there is no tar header", position.saturating_sub(BLOCK as u64)))
}
