//! What is in a layer: one entry for each member of its archive, in the
//! archive's order, kept as compactly as it is written to the index
//! (`index.rs`), because an image may have a million files.

use crate::image::unpack::member::{Kind as MemberKind, Member};
use crate::image::unpack::name::Name;
use crate::image::unpack::pax::Time;
use crate::image::unpack::whiteout::{self, Hidden};

use crate::error::Result;

/// What a member of a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of a file of this layer.
    HardLink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// `.wh.NAME`: NAME of the layers below is gone.
    Whiteout,
    /// `.wh..wh..opq`: all that the layers below have in this directory is gone.
    Opaque,
    /// A note that aufs made for itself: it is in the archive and in no tree.
    Note,
}

const KINDS: [(Kind, &str, char); 10] = [
    (Kind::File, "file", '-'),
    (Kind::Directory, "directory", 'd'),
    (Kind::Symlink, "symlink", 'l'),
    (Kind::HardLink, "hardlink", 'h'),
    (Kind::Character, "character", 'c'),
    (Kind::Block, "block", 'b'),
    (Kind::Fifo, "fifo", 'p'),
    (Kind::Whiteout, "whiteout", 'w'),
    (Kind::Opaque, "opaque", 'w'),
    (Kind::Note, "note", 'n'),
];

impl Kind {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// The letter that ls(1) has for it; `h` for a hard link (as tar(1)), `w` for a whiteout.
    pub fn letter(self) -> char {
        KINDS[self as usize].2
    }

    /// Whether it takes something away and brings nothing.
    pub fn is_whiteout(self) -> bool {
        matches!(self, Self::Whiteout | Self::Opaque)
    }

    fn of(member: &Member, last: &[u8]) -> Result<Self> {
        Ok(match (whiteout::read(last)?, &member.kind) {
            (Some(Hidden::Name(_)), _) => Self::Whiteout,
            (Some(Hidden::All), _) => Self::Opaque,
            (Some(Hidden::Nothing), _) => Self::Note,
            (None, MemberKind::File(_)) => Self::File,
            (None, MemberKind::Directory) => Self::Directory,
            (None, MemberKind::Symlink(_)) => Self::Symlink,
            (None, MemberKind::HardLink(_)) => Self::HardLink,
            (None, MemberKind::Character(..)) => Self::Character,
            (None, MemberKind::Block(..)) => Self::Block,
            (None, MemberKind::Fifo) => Self::Fifo,
        })
    }
}

/// The SHA-256 of a file's content.
pub type Sum = [u8; 32];

/// One member, as it stands in a [`Listing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it is, from the image's root: `usr/bin/env`; empty for the root itself.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Bytes of a regular file's content.
    pub size: u64,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last changed.
    pub mtime: Time,
    /// What a symbolic link says, or the other name of a hard link.
    pub link: Option<&'a [u8]>,
    /// The SHA-256 of a regular file's content.
    pub sum: Option<&'a Sum>,
}

impl<'a> Entry<'a> {
    /// The directory that it is in.
    pub fn parent(&self) -> &'a [u8] {
        match self.path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => &self.path[..slash],
            None => b"",
        }
    }

    /// What a whiteout takes away: a path, or what is below one.
    pub fn hides(&self) -> Option<Vec<u8>> {
        let parent = self.parent();
        match self.kind {
            Kind::Opaque => Some(parent.to_vec()),
            Kind::Whiteout => {
                let start = if parent.is_empty() { 0 } else { parent.len() + 1 };
                let name = self.path[start..].strip_prefix(b".wh.")?;
                Some([&self.path[..start], name].concat())
            }
            _ => None,
        }
    }

    /// Whether it is the same to whoever opens it: times aside, which change
    /// with every build.
    pub fn same(&self, other: &Self) -> bool {
        (self.kind, self.size, self.mode, self.uid, self.gid, self.link, self.sum)
            == (other.kind, other.size, other.mode, other.uid, other.gid, other.link, other.sum)
    }
}

/// The entries of a layer, encoded one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Listing {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// All of them, in the archive's order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// One of them; `at` is less than [`Self::len`].
    pub fn get(&self, at: usize) -> Entry<'_> {
        // What is in here was written by `push`, or read once by `decode`.
        let mut reader = Reader { bytes: &self.bytes[self.starts[at]..] };
        reader.entry().unwrap_or(NOTHING)
    }

    /// Adds a member of the archive; `sum` belongs to a regular file.
    pub fn push(&mut self, member: &Member, depth: usize, sum: Option<&Sum>) -> Result<()> {
        let name = Name::of(&member.name, depth)?;
        let last = name.last.unwrap_or_default();
        let path = match name.parent.is_empty() {
            true => last.to_vec(),
            false => [&name.parent[..], last].join(&b'/'),
        };
        let (size, link) = match &member.kind {
            MemberKind::File(content) => (content.size, None),
            MemberKind::Symlink(to) | MemberKind::HardLink(to) => (0, Some(&to[..])),
            _ => (0, None),
        };
        let kind = Kind::of(member, last)?;
        let Member { mode, uid, gid, mtime, .. } = *member;
        self.add(&Entry { path: &path, kind, size, mode, uid, gid, mtime, link, sum });
        Ok(())
    }

    fn add(&mut self, entry: &Entry<'_>) {
        self.starts.push(self.bytes.len());
        let to = &mut self.bytes;
        to.push(entry.kind as u8);
        write_bytes(to, entry.path);
        for number in [entry.size, entry.mode.into(), entry.uid.into(), entry.gid.into()] {
            write_number(to, number);
        }
        write_number(to, entry.mtime.seconds.cast_unsigned());
        write_number(to, entry.mtime.nanos.into());
        to.push(u8::from(entry.link.is_some()) | u8::from(entry.sum.is_some()) << 1);
        if let Some(link) = entry.link {
            write_bytes(to, link);
        }
        to.extend(entry.sum.into_iter().flatten());
    }

    /// As bytes, for the index.
    pub fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// From such bytes; `None` if they are none.
    pub fn decode(bytes: Vec<u8>) -> Option<Self> {
        let mut starts = Vec::new();
        let mut reader = Reader { bytes: &bytes };
        while !reader.bytes.is_empty() {
            starts.push(bytes.len() - reader.bytes.len());
            reader.entry()?;
        }
        Some(Self { bytes, starts })
    }
}

const NOTHING: Entry<'static> = Entry {
    path: b"",
    kind: Kind::Note,
    size: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: Time { seconds: 0, nanos: 0 },
    link: None,
    sum: None,
};

/// Seven bits a byte, the lowest first; the highest bit says that more follow (LEB128).
pub fn write_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// The length, then the bytes.
pub fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    write_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// Reads what the two functions above wrote; `None` where it does not fit.
pub struct Reader<'a> {
    /// What is left.
    pub bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Bytes with their length before them.
    pub fn with_length(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(bytes)
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let kind = KINDS.get(usize::from(self.byte()?))?.0;
        let path = self.with_length()?;
        let size = self.number()?;
        let mut small = || self.number().and_then(|number| u32::try_from(number).ok());
        let (mode, uid, gid) = (small()?, small()?, small()?);
        let seconds = self.number()?.cast_signed();
        let nanos = u32::try_from(self.number()?).ok()?;
        let flags = self.byte()?;
        let link = if flags & 1 != 0 { Some(self.with_length()?) } else { None };
        let sum = match flags & 2 {
            0 => None,
            _ => {
                let (sum, rest) = self.bytes.split_first_chunk()?;
                self.bytes = rest;
                Some(sum)
            }
        };
        let mtime = Time { seconds, nanos };
        Some(Entry { path, kind, size, mode, uid, gid, mtime, link, sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut listing = Listing::default();
        let sum = [7; 32];
        let file = Entry {
            path: b"usr/bin/\xffx",
            kind: Kind::File,
            size: u64::MAX,
            mode: 0o4755,
            uid: u32::MAX - 1,
            gid: 0,
            mtime: Time { seconds: -1, nanos: 999_999_999 },
            link: None,
            sum: Some(&sum),
        };
        let link = Entry { kind: Kind::Symlink, link: Some(b"../x"), sum: None, ..file };
        listing.add(&file);
        listing.add(&link);
        let again = Listing::decode(listing.encoded().to_vec()).unwrap();
        assert_eq!(again, listing);
        assert_eq!((again.get(0), again.get(1)), (file, link));
        assert!(!file.same(&link));
        for cut in 1..listing.encoded().len() {
            let cut = Listing::decode(listing.encoded()[..cut].to_vec());
            assert!(cut.is_none_or(|cut| cut.len() < 2));
        }
    }

    #[test]
    fn what_a_whiteout_hides() {
        let of = |path: &'static str, kind| Entry { path: path.as_bytes(), kind, ..NOTHING };
        assert_eq!(of(".wh.x", Kind::Whiteout).hides().unwrap(), b"x");
        assert_eq!(of("a/b/.wh.x", Kind::Whiteout).hides().unwrap(), b"a/b/x");
        assert_eq!(of("a/.wh..wh..opq", Kind::Opaque).hides().unwrap(), b"a");
        assert_eq!(of(".wh..wh..opq", Kind::Opaque).hides().unwrap(), b"");
        assert_eq!(of("a/x", Kind::File).hides(), None);
    }
}
