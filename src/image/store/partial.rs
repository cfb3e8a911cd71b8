//! Bringing a blob in: written under another name, verified, then renamed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use super::{Lease, Store};
use crate::error::{Context, Error, Result};
use crate::image::oci::{Descriptor, Digest, Hasher};
use crate::step::{Observer, Step};

/// What the store says to a blob that somebody wants to bring in.
pub enum Entry {
    /// It is here already.
    Here,
    /// It is not; this takes it.
    New(Box<Writer>),
}

/// Takes the bytes of one blob. What was written before stays when this is
/// dropped, so that the next one goes on from there ([`Writer::have`]); it is
/// removed by [`Writer::discard`], by bytes that turn out to be wrong, and by
/// the next removal of an image.
pub struct Writer {
    file: File,
    partial: PathBuf,
    target: PathBuf,
    descriptor: Descriptor,
    hasher: Hasher,
    have: u64,
}

impl Store {
    /// Bytes of a blob that are here, all of them or the beginning.
    pub fn bytes_of(&self, digest: &Digest) -> u64 {
        let files = [self.blob_path(digest), self.partial_path(digest)];
        files.iter().find_map(|path| path.symlink_metadata().ok()).map_or(0, |file| file.len())
    }

    /// The step in which a blob gets its name.
    pub fn entering(&self, digest: &Digest) -> Step {
        step(&self.partial_path(digest), &self.blob_path(digest))
    }

    /// Where a blob is written until it is verified.
    fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("partial").join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }
}

impl Lease {
    /// Begins with a blob, or goes on with it where the last attempt was cut.
    /// Waits while another process brings the same one in.
    pub fn enter(&self, descriptor: &Descriptor) -> Result<Entry> {
        let store = self.store();
        let digest = &descriptor.digest;
        let target = store.blob_path(digest);
        let partial = store.partial_path(digest);
        if store.has(descriptor) {
            return Ok(Entry::Here);
        }
        let Some(file) = locked(&partial)? else { return self.enter(descriptor) };
        if store.has(descriptor) {
            // Whoever we waited for has finished it.
            let fresh = file.metadata().is_ok_and(|file| same(&file, &partial));
            fresh.then(|| std::fs::remove_file(&partial));
            return Ok(Entry::Here);
        }
        let (hasher, descriptor) = (digest.hasher(), descriptor.clone());
        let mut writer = Writer { file, partial, target, descriptor, hasher, have: 0 };
        writer.take_up()?;
        Ok(Entry::New(Box::new(writer)))
    }

    /// A document, whole.
    pub fn put(
        &self,
        descriptor: &Descriptor,
        bytes: &[u8],
        observer: &mut dyn Observer,
    ) -> Result<()> {
        match self.enter(descriptor)? {
            Entry::Here => Ok(()),
            Entry::New(mut writer) => {
                writer.restart()?;
                writer.write_all(bytes).map_err(|error| writer.failed(&error))?;
                writer.finish(observer)
            }
        }
    }
}

/// The file that a blob is written to, locked: its lock is who writes it. None if
/// it got another name, or was removed, while we waited.
fn locked(partial: &Path) -> Result<Option<File>> {
    let call = || format!("open({partial:?}, O_CREAT)");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o644).custom_flags(libc::O_NOFOLLOW).open(partial).tried(call)?;
    retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
        .tried(|| format!("flock({partial:?})"))?;
    let metadata = file.metadata().tried(call)?;
    Ok(same(&metadata, partial).then_some(file))
}

fn step(partial: &Path, target: &Path) -> Step {
    Step::new(
        format!("rename({partial:?}, {target:?})"),
        "its size and SHA-256 are right: only now it gets its name, which is that sum",
    )
    .shell(format!("sha256sum {0}; mv {0} {1}", partial.display(), target.display()))
}

/// Whether an open file still has this name.
fn same(file: &Metadata, path: &Path) -> bool {
    let named = path.symlink_metadata();
    named.is_ok_and(|named| (named.dev(), named.ino()) == (file.dev(), file.ino()))
}

impl Writer {
    /// Bytes that are here already: what is written next comes after them.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// What is being brought in.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Sums up what is there already.
    fn take_up(&mut self) -> Result<()> {
        let call = || format!("read({:?})", self.partial);
        let metadata = self.file.metadata().tried(call)?;
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if metadata.len() > self.descriptor.size || !metadata.is_file() || !ours {
            return self.restart();
        }
        let mut buffer = vec![0; 1 << 17];
        loop {
            match self.file.read(&mut buffer).tried(call)? {
                0 => return Ok(()),
                count => self.hasher.update(&buffer[..count]),
            }
            self.have = self.file.stream_position().tried(call)?;
        }
    }

    /// Begins anew: the server could not go on from where it was cut.
    pub fn restart(&mut self) -> Result<()> {
        let call = || format!("ftruncate({:?}, 0)", self.partial);
        self.file.set_len(0).tried(call)?;
        self.file.seek(SeekFrom::Start(0)).tried(call)?;
        self.hasher = self.descriptor.digest.hasher();
        self.have = 0;
        Ok(())
    }

    /// Throws away what was written.
    pub fn discard(self) -> Result<()> {
        std::fs::remove_file(&self.partial).tried(|| format!("unlink({:?})", self.partial))
    }

    /// All is written: it gets its name if it is what the descriptor says, and
    /// is thrown away if not.
    pub fn finish(mut self, observer: &mut dyn Observer) -> Result<()> {
        let digest = self.descriptor.digest.clone();
        let found = std::mem::take(&mut self.hasher).finish();
        if self.have != self.descriptor.size || found != digest {
            let (have, size) = (self.have, self.descriptor.size);
            self.discard()?;
            return Err(Error::new(format!("verifying {digest}"))
                .said(match have == size {
                    true => format!("the sum of what came is {found}"),
                    false => format!("{have} bytes came, and it should have {size}"),
                })
                .hint("It was refused and removed. A proxy may have changed it, or the registry is broken."));
        }
        // A blob must not get its name before its bytes are on the disk: it would
        // be believed after a power cut.
        self.file.sync_data().tried(|| format!("fdatasync({:?})", self.partial))?;
        let renamed = std::fs::rename(&self.partial, &self.target)
            .tried(|| format!("rename({:?}, {:?})", self.partial, self.target));
        if observer.wants_steps() {
            let result = Some(renamed.clone().map(|()| "0".to_owned()));
            observer.step(&Step { result, ..step(&self.partial, &self.target) });
        }
        renamed
    }

    /// What a failed write means.
    pub fn failed(&self, error: &io::Error) -> Error {
        Error::io(format!("write({:?})", self.partial), error)
    }
}

/// Takes no more than the blob may have: endless data ends here.
impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.descriptor.size - self.have;
        if bytes.len() as u64 > room {
            return Err(io::Error::other(format!(
                "{} is larger than the {} bytes that it should have",
                self.descriptor.digest, self.descriptor.size
            )));
        }
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.have += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
