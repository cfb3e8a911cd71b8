//! Archives, member by member, as no honest program would write them.

use tar::{EntryType, Header};

/// An archive in the making.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

/// A header with a name that nobody checks.
pub fn header(kind: u8, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_600_000_000);
    header.set_size(size);
    header
}

/// One record of an extended header.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    /// A header as it is, with its checksum, and content padded to a block.
    pub fn raw(mut self, mut header: Header, content: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.bytes(content)
    }

    /// Content padded to a block.
    pub fn bytes(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A header changed before it is added.
    pub fn with(self, kind: u8, name: &str, content: &[u8], change: impl Fn(&mut Header)) -> Self {
        let mut header = header(kind, name.as_bytes(), content.len() as u64);
        change(&mut header);
        self.raw(header, content)
    }

    pub fn file(self, name: &str, content: &str) -> Self {
        self.with(b'0', name, content.as_bytes(), |_| {})
    }

    pub fn dir(self, name: &str, mode: u32) -> Self {
        self.with(b'5', name, b"", |header| header.set_mode(mode))
    }

    pub fn link(self, kind: u8, name: &str, to: &str) -> Self {
        self.with(kind, name, b"", |header| {
            let field = &mut header.as_old_mut().linkname;
            field[..to.len()].copy_from_slice(to.as_bytes());
        })
    }

    pub fn symlink(self, name: &str, to: &str) -> Self {
        self.link(b'2', name, to)
    }

    pub fn hard(self, name: &str, to: &str) -> Self {
        self.link(b'1', name, to)
    }

    pub fn device(self, kind: u8, name: &str, major: u32, minor: u32) -> Self {
        self.with(kind, name, b"", |header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    /// An extended header (`x`, or `g` for all that follow).
    pub fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.with(kind, "././@PaxHeader", &records, |_| {})
    }

    /// GNU's long name (`L`) or long link (`K`).
    pub fn long(self, kind: u8, text: &[u8]) -> Self {
        self.with(kind, "././@LongLink", &[text, b"\0"].concat(), |_| {})
    }

    /// The two blocks of zeroes.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
