//! Removing images: first the names, then what no name leads to.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::path::PathBuf;

use nix::errno::Errno;
use serde_json::Value;

use super::wrapped::unwrapped;
use super::{FROM_INDEX, Named, Store};
use crate::error::{Context, Error, Result};
use crate::image::oci::{Descriptor, Digest, MOST_BYTES, MOST_NESTING};
use crate::lock::{FlockOperation, lock};
use crate::step::{Observer, Step};

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Blobs that no image needed any more.
    pub blobs: u64,
    /// Their bytes, and those of downloads that were cut.
    pub bytes: u64,
    /// Another process is bringing an image in: what no image needs stays until
    /// the next removal.
    pub busy: bool,
}

/// A file of the store that is not needed.
struct Unneeded {
    path: PathBuf,
    bytes: u64,
    blob: bool,
}

impl Store {
    /// Takes these names away, then everything that no name leads to. Without
    /// names: only what was left by a pull that was cut, or by a name that moved.
    pub fn remove(&self, images: &[Named], observer: &mut dyn Observer) -> Result<Removed> {
        if !images.is_empty() {
            self.change(self.renaming(FORGET), observer, |index| {
                index.manifests.retain(|one| !is_one_of(images, one));
            })?;
        }
        let mut removed = Removed { blobs: 0, bytes: 0, busy: false };
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        let _lock = match lock(&self.path.join("blobs"), exclusive) {
            Err(error) if error.is(Errno::EWOULDBLOCK) => {
                return Ok(Removed { busy: true, ..removed });
            }
            Err(error) if error.is(Errno::ENOENT) => return Ok(removed),
            other => other?,
        };
        for file in self.unneeded(&[])? {
            let result =
                std::fs::remove_file(&file.path).tried(|| format!("unlink({:?})", file.path));
            let mut step = file.step();
            step.result = Some(result.clone().map(|()| "0".to_owned()));
            observer.step(&step);
            result?;
            removed.blobs += u64::from(file.blob);
            removed.bytes += file.bytes;
        }
        Ok(removed)
    }

    /// Takes back what a pull has brought in that will not be an image, unless
    /// an image or another pull needs it.
    pub fn withdraw(&self, digests: &BTreeSet<Digest>) -> Result<()> {
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        let _lock = lock(&self.path.join("blobs"), exclusive)?;
        for file in self.unneeded(&[])? {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            if digests.iter().any(|digest| name.ends_with(digest.hex())) {
                std::fs::remove_file(&file.path).tried(|| format!("unlink({:?})", file.path))?;
            }
        }
        Ok(())
    }

    /// What [`Store::remove`] would do.
    pub fn removal(&self, images: &[Named]) -> Result<Vec<Step>> {
        let renaming = (!images.is_empty()).then(|| self.renaming(FORGET));
        let files = self.unneeded(images)?;
        Ok(renaming.into_iter().chain(files.iter().map(Unneeded::step)).collect())
    }

    /// Every file in blobs/ and partial/ that no image but these leads to.
    fn unneeded(&self, without: &[Named]) -> Result<Vec<Unneeded>> {
        let Some(layout) = self.layout()? else { return Ok(Vec::new()) };
        let mut needed = HashSet::new();
        let stays = |one: &&Descriptor| !is_one_of(without, one);
        for descriptor in layout.index.manifests.iter().filter(stays) {
            self.mark(&descriptor.digest, 0, &mut needed)?;
            let index = descriptor.annotations.get(FROM_INDEX);
            needed.extend(index.and_then(|digest| digest.parse().ok()));
        }
        let mut files = Vec::new();
        for (directory, prefix) in
            [("blobs/sha256", "sha256:"), ("blobs/sha512", "sha512:"), ("partial", "")]
        {
            let path = self.path.join(directory);
            for entry in std::fs::read_dir(&path).into_iter().flatten() {
                let entry = entry.tried(|| format!("readdir({path:?})"))?;
                let digest = format!("{prefix}{}", entry.file_name().to_string_lossy()).parse();
                let blob = match (prefix, digest) {
                    ("", _) => false,
                    // Not a blob of ours: another program may be writing it.
                    (_, Err(_)) => continue,
                    (_, Ok(digest)) if needed.contains(&digest) => continue,
                    _ => true,
                };
                let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
                files.push(Unneeded { path: entry.path(), bytes, blob });
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// A document and all that it names, and what the indexes among these name.
    /// What is not here needs nothing; what is here and cannot be read ends it:
    /// rather nothing is removed than too much.
    fn mark(&self, digest: &Digest, depth: usize, needed: &mut HashSet<Digest>) -> Result<()> {
        if !needed.insert(digest.clone()) {
            return Ok(());
        }
        let path = self.blob_path(digest);
        let Ok(metadata) = path.metadata() else { return Ok(()) };
        if metadata.len() > MOST_BYTES || depth > MOST_NESTING {
            return Ok(());
        }
        let file = File::open(&path).tried(|| format!("open({path:?})"))?;
        let descriptor = Descriptor::new("", digest.clone(), metadata.len());
        let bytes = crate::image::oci::whole(file, &descriptor)?;
        let document: Value = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(format!("reading {}", path.display()))
                .said(error)
                .hint("index.json names it, and it is no document. Nothing was removed.")
        })?;
        let mut named = Vec::new();
        digests(&document, &mut named);
        let manifests = document["manifests"].as_array().into_iter().flatten();
        for manifest in manifests {
            let mut nested = Vec::new();
            digests(manifest, &mut nested);
            nested.iter().try_for_each(|digest| self.mark(digest, depth + 1, needed))?;
        }
        needed.extend(named);
        Ok(())
    }
}

/// Whether an entry of index.json is that of one of these.
fn is_one_of(images: &[Named], entry: &Descriptor) -> bool {
    let means = unwrapped(entry);
    images.iter().any(|image| image.descriptor == means)
}

const FORGET: &str = "the names first: from now on nobody finds these images";

/// Every `"digest"` in a document, however deep.
fn digests(value: &Value, found: &mut Vec<Digest>) {
    match value {
        Value::Object(fields) => {
            let digest = fields.get("digest").and_then(Value::as_str);
            found.extend(digest.and_then(|digest| digest.parse().ok()));
            fields.values().for_each(|value| digests(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| digests(value, found)),
        _ => {}
    }
}

impl Unneeded {
    fn step(&self) -> Step {
        let why = match self.blob {
            true => "no image that has a name leads to it",
            false => "the beginning of a blob whose download was cut",
        };
        Step::new(format!("unlink({:?})", self.path), why)
            .shell(format!("rm {}", self.path.display()))
    }
}
