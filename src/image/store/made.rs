//! A blob that is made here: its digest is known only when it is all written, so
//! until then its file has no name at all (`O_TMPFILE`): if we die, the kernel
//! frees it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};

use super::{Lease, Store};
use crate::error::{Context, Error, Result};
use crate::image::oci::{Descriptor, Digest, Hasher};
use crate::step::{Observer, Step};

/// Takes the bytes of a blob, whatever they will be.
pub struct Made {
    file: File,
    /// The name that it has all the same, where the file system knows no files without one.
    named: Option<PathBuf>,
    hasher: Hasher,
    size: u64,
}

impl Store {
    /// The steps in which a blob is made here; its digest stands as `$digest` until it is known.
    pub fn making(&self, digest: Option<&Digest>, what: &str) -> Vec<Step> {
        let directory = self.path.join("blobs/sha256");
        let name = digest.map_or("$digest".to_owned(), |digest| digest.hex().to_owned());
        let target = directory.join(name);
        vec![
            Step::new(
                format!("write(open({directory:?}, O_TMPFILE|O_RDWR), ...)"),
                format!(
                    "{what}, compressed, into a file without a name: if we die, it was never there"
                ),
            )
            .shell(format!("tar -c ... | gzip -n > {}/partial/layer", self.path.display())),
            Step::new(
                format!(
                    "linkat(AT_FDCWD, \"/proc/self/fd/N\", AT_FDCWD, {target:?}, AT_SYMLINK_FOLLOW)"
                ),
                "only now it gets its name, which is the SHA-256 of what was written",
            )
            .shell(format!(
                "mv {}/partial/layer {}",
                self.path.display(),
                target.display()
            )),
        ]
    }
}

impl Lease {
    /// Begins with a blob.
    pub fn make(&self) -> Result<Made> {
        let store = self.store();
        let directory = store.path.join("blobs/sha256");
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o644);
        let unnamed = options.clone().custom_flags(libc::O_TMPFILE).open(&directory);
        let (file, named) = match unnamed {
            Ok(file) => (file, None),
            // Not every file system has such files.
            Err(_) => {
                let token = crate::journal::new_token()?;
                let path = store.path.join("partial").join(format!("made-{token}"));
                let file = options.create_new(true).open(&path);
                (file.tried(|| format!("open({path:?}, O_CREAT|O_EXCL)"))?, Some(path))
            }
        };
        Ok(Made { file, named, hasher: Hasher::new(), size: 0 })
    }
}

impl Made {
    /// All is written: it gets its name, unless it was here already.
    pub fn finish(
        mut self,
        media_type: &str,
        what: &str,
        lease: &Lease,
        observer: &mut dyn Observer,
    ) -> Result<Descriptor> {
        let digest = std::mem::take(&mut self.hasher).finish();
        let descriptor = Descriptor::new(media_type, digest, self.size);
        let store = lease.store();
        if store.has(&descriptor) {
            return Ok(descriptor);
        }
        // As for what was pulled: not before its bytes are on the disk.
        self.file.sync_data().tried(|| "fdatasync(layer)")?;
        let target = store.blob_path(&descriptor.digest);
        let result = self.link(&target);
        if observer.wants_steps() {
            for mut step in store.making(Some(&descriptor.digest), what) {
                step.result = Some(match step.name() {
                    "write" => Ok(self.size.to_string()),
                    _ => result.clone().map(|()| "0".to_owned()),
                });
                observer.step(&step);
            }
        }
        result.map(|()| descriptor)
    }

    fn link(&mut self, target: &Path) -> Result<()> {
        if let Some(path) = self.named.take() {
            return std::fs::rename(&path, target)
                .tried(|| format!("rename({path:?}, {target:?})"));
        }
        let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match linkat(CWD, unnamed.as_str(), CWD, target, AtFlags::SYMLINK_FOLLOW) {
            // Somebody else made the very same, or a file that was cut has its name.
            Err(rustix::io::Errno::EXIST) => {
                let call = || format!("unlink({target:?})");
                let size = target.metadata().tried(call)?.len();
                if size == self.size {
                    return Ok(());
                }
                std::fs::remove_file(target).tried(call)?;
                linkat(CWD, unnamed.as_str(), CWD, target, AtFlags::SYMLINK_FOLLOW)
            }
            other => other,
        }
        .tried(|| format!("linkat({unnamed:?}, {target:?})"))
    }

    /// What a failed write means.
    pub fn failed(error: &io::Error) -> Error {
        Error::io("write(layer)", error)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.named.take().map(std::fs::remove_file);
    }
}

impl Write for Made {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
