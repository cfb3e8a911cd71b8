//! A member of a tar archive as bytes: a ustar header, and before it an extended
//! one (pax(1)) for what that has no room for.

use tar::{EntryType, Header};

use crate::image::unpack::member::{Kind, Member};

/// What a tar archive is counted in.
pub const BLOCK: usize = 512;

/// Names in a ustar header.
const NAME: usize = 100;

/// Numbers of seven octal digits, and of eleven.
const SMALL: u64 = 0o777_7777;
const LARGE: u64 = 0o777_7777_7777;

/// The header or headers of a member; its content, padded to [`BLOCK`], follows.
pub fn header(member: &Member) -> Vec<u8> {
    let mut pax = Vec::new();
    let mut name = member.name.clone();
    if member.kind == Kind::Directory && !name.ends_with(b"/") {
        name.push(b'/');
    }
    let (kind, link, size, device) = parts(&member.kind);
    let mut ustar = Header::new_ustar();
    ustar.set_entry_type(kind);
    ustar.set_mode(member.mode & 0o7777);
    text(&mut ustar.as_old_mut().name, &name, "path", &mut pax);
    text(&mut ustar.as_old_mut().linkname, link, "linkpath", &mut pax);
    ustar.set_uid(number(u64::from(member.uid), SMALL, "uid", &mut pax));
    ustar.set_gid(number(u64::from(member.gid), SMALL, "gid", &mut pax));
    ustar.set_size(number(size, LARGE, "size", &mut pax));
    let seconds = member.mtime.seconds;
    let mtime = u64::try_from(seconds).unwrap_or(0);
    if seconds < 0 {
        record("mtime", seconds.to_string().as_bytes(), &mut pax);
    }
    ustar.set_mtime(number(mtime, LARGE, "mtime", &mut pax));
    if let Some((major, minor)) = device {
        // A ustar header has room for them whatever they are but absurd.
        let _ = ustar.set_device_major(major).and_then(|()| ustar.set_device_minor(minor));
    }
    for (name, value) in &member.xattrs {
        record(&format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value, &mut pax);
    }
    ustar.set_cksum();
    let mut bytes = Vec::new();
    if !pax.is_empty() {
        bytes.extend_from_slice(extended(pax.len()).as_bytes());
        bytes.extend_from_slice(&pax);
        pad(&mut bytes);
    }
    bytes.extend_from_slice(ustar.as_bytes());
    bytes
}

/// Zeroes up to the next block.
pub fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}

type Parts<'a> = (EntryType, &'a [u8], u64, Option<(u32, u32)>);

fn parts(kind: &Kind) -> Parts<'_> {
    match kind {
        Kind::File(content) => (EntryType::Regular, b"", content.size, None),
        Kind::Directory => (EntryType::Directory, b"", 0, None),
        Kind::Symlink(to) => (EntryType::Symlink, to, 0, None),
        Kind::HardLink(to) => (EntryType::Link, to, 0, None),
        Kind::Character(major, minor) => (EntryType::Char, b"", 0, Some((*major, *minor))),
        Kind::Block(major, minor) => (EntryType::Block, b"", 0, Some((*major, *minor))),
        Kind::Fifo => (EntryType::Fifo, b"", 0, None),
    }
}

fn extended(length: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.as_old_mut().name[..11].copy_from_slice(b"PaxHeaders.");
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(length as u64);
    header.set_cksum();
    header
}

/// A name in its field, or in a record where it is too long or not ASCII.
fn text(field: &mut [u8; NAME], value: &[u8], key: &str, pax: &mut Vec<u8>) {
    let cut = value.len().min(NAME);
    field[..cut].copy_from_slice(&value[..cut]);
    if value.len() > NAME || !value.is_ascii() {
        record(key, value, pax);
    }
}

fn number(value: u64, most: u64, key: &str, pax: &mut Vec<u8>) -> u64 {
    if value <= most {
        return value;
    }
    record(key, value.to_string().as_bytes(), pax);
    0
}

/// `LENGTH KEY=VALUE\n`, where LENGTH counts itself.
fn record(key: &str, value: &[u8], pax: &mut Vec<u8>) {
    let rest = 3 + key.len() + value.len();
    let digits = |length: usize| length.to_string().len();
    let mut length = rest + digits(rest);
    if rest + digits(length) != length {
        length = rest + digits(length);
    }
    pax.extend_from_slice(format!("{length} {key}=").as_bytes());
    pax.extend_from_slice(value);
    pax.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::unpack::Limits;
    use crate::image::unpack::member::{Archive, Content};
    use crate::image::unpack::pax::Time;

    fn read(bytes: &[u8]) -> Member {
        let limits = Limits::default();
        Archive::new(bytes, &limits).next_member().unwrap().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = [b"a/".repeat(60), vec![0xff], b"b".repeat(90)].concat();
        let plain = Member {
            name: b"etc/passwd".to_vec(),
            kind: Kind::File(Content { size: 0, map: None }),
            mode: 0o4755,
            uid: 1000,
            gid: 33,
            mtime: Time { seconds: 1_700_000_000, nanos: 0 },
            xattrs: Vec::new(),
        };
        let xattrs = vec![(b"security.capability".to_vec(), vec![1, 0, b'\n', b'=', 2])];
        for member in [
            plain.clone(),
            Member { name: long.clone(), xattrs, ..plain.clone() },
            Member { uid: u32::MAX - 1, gid: 3_000_000, ..plain.clone() },
            Member { mtime: Time { seconds: -7, nanos: 0 }, ..plain.clone() },
            Member { kind: Kind::Symlink(long.clone()), ..plain.clone() },
            Member { kind: Kind::HardLink(long), ..plain.clone() },
            Member { kind: Kind::Character(259, 70_000), ..plain.clone() },
            Member { kind: Kind::Fifo, ..plain.clone() },
        ] {
            let bytes = header(&member);
            assert_eq!(bytes.len() % BLOCK, 0);
            assert_eq!(read(&bytes), member);
        }
        let directory = Member { name: b"etc".to_vec(), kind: Kind::Directory, ..plain };
        assert_eq!(read(&header(&directory)).name, b"etc/");
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 80..120 {
            let mut pax = Vec::new();
            record("path", &b"x".repeat(length), &mut pax);
            let said = String::from_utf8_lossy(&pax).split(' ').next().unwrap().parse();
            assert_eq!(said, Ok(pax.len()));
        }
    }
}
