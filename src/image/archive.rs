//! A tree as a tar archive: always the same bytes for the same files, so that
//! its SHA-256 can name it. That is the `diff_id` the tree would have as a
//! layer of an OCI image.

use std::fs::File;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::error::{Context, Result};
use crate::kernel::tree::{Entry, Node};

/// Writes the archive; copies are read from the files they are copies of.
pub fn write(entries: &[Entry], out: impl Write) -> Result<()> {
    let mut archive = Builder::new(out);
    for entry in entries {
        append(&mut archive, entry)
            .tried(|| format!("adding {} to the archive", entry.path.display()))?;
    }
    archive.into_inner().and_then(|mut out| out.flush()).tried(|| "ending the archive")
}

fn append(archive: &mut Builder<impl Write>, entry: &Entry) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    let path = &entry.path;
    match &entry.node {
        Node::Directory(mode) => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            archive.append_data(&mut header, path.join(""), io::empty())
        }
        Node::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, path, target)
        }
        Node::Text(text) => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, path, text.as_bytes())
        }
        Node::Copy { from, mode } => {
            let file = File::open(from)?;
            let size = file.metadata()?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(*mode);
            header.set_size(size);
            archive.append_data(&mut header, path, Exactly { file, left: size })
        }
    }
}

/// A file that must not change its size while it is read: the header with the
/// old one is written already.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.file).take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("the file became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// How many bytes the archive has.
pub fn size(entries: &[Entry]) -> Result<u64> {
    let mut counted = Count(0);
    write(entries, &mut counted)?;
    Ok(counted.0)
}

struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The SHA-256 of the archive, in hexadecimal.
pub fn diff_id(entries: &[Entry]) -> Result<String> {
    let mut sum = Sum(Sha256::new());
    write(entries, io::BufWriter::with_capacity(1 << 16, &mut sum))?;
    Ok(sum.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Sum(Sha256);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
