//! Taking an image apart: what is in each layer, why it is there, and what is
//! carried along although nobody sees it any more.
//!
//! An image is files and metadata. The metadata ([`super::source`]) leads from
//! an index to a manifest, from that to a config and to layers, each by the
//! SHA-256 of what it names. Every layer is a tar archive of what one step added
//! and changed, and of notes (whiteouts) of what it removed.
//!
//! The way through here: [`scan`] reads a layer, once; [`listing`] is what it
//! finds; [`index`] keeps that, so that a second look costs nothing; [`stack`]
//! puts the layers one on the other; [`efficiency`] counts what is wasted;
//! [`distribution`] looks at what the files say they are. [`foreign`] reads images of
//! other runtimes, which have no layers.

pub mod content;
pub mod distribution;
pub mod efficiency;
pub mod facts;
pub mod foreign;
pub mod index;
pub mod listing;
pub mod scan;
pub mod stack;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Digest};
use crate::image::source::Image;
use crate::step::Observer;

use listing::Listing;

/// More would not be faster, and each needs some memory.
const MOST_THREADS: usize = 8;

/// A layer, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its bytes as they are kept.
    pub digest: Digest,
    /// The digest of its tar archive, not compressed.
    pub diff_id: Digest,
    /// Bytes as they are kept.
    pub stored: u64,
    /// Bytes of its tar archive.
    pub bytes: u64,
    /// The members of its archive.
    pub listing: Listing,
    /// Paths and contents of files that say which distribution this is.
    pub kept: Vec<(Vec<u8>, Vec<u8>)>,
    /// Which file it was read from, where others could change it.
    witness: String,
}

impl Layer {
    /// One that was made here, and so needs not be read.
    pub fn made(
        descriptor: &Descriptor,
        diff_id: Digest,
        bytes: u64,
        listing: Listing,
        kept: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Self {
        let (digest, stored) = (descriptor.digest.clone(), descriptor.size);
        Self { digest, diff_id, stored, bytes, listing, kept, witness: String::new() }
    }

    /// Bytes of all its files.
    pub fn files_size(&self) -> u64 {
        self.listing.iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
    }
}

/// The layers of an image, the lowest first: from the index what is known
/// already, the rest read, several at once. All is verified, or it is an error.
pub fn layers(image: &Image, observer: &mut dyn Observer) -> Result<Vec<Layer>> {
    let mut found: HashMap<Digest, Layer> = HashMap::new();
    let mut missing: Vec<(&Descriptor, &Digest)> = Vec::new();
    for (descriptor, diff_id) in image.layers() {
        if found.contains_key(&descriptor.digest)
            || missing.iter().any(|(other, _)| other.digest == descriptor.digest)
        {
            continue;
        }
        match index::load(&descriptor.digest).filter(|layer| answers(image, layer, descriptor)) {
            Some(layer) => drop(found.insert(descriptor.digest.clone(), layer)),
            None => missing.push((descriptor, diff_id)),
        }
    }
    for layer in read(image, &missing, observer)? {
        if let Err(error) = index::save(&layer) {
            observer.note(&format!("Next time it is all read again: {error}."));
        }
        found.insert(layer.digest.clone(), layer);
    }
    let digests: Vec<_> = image.layers().map(|(descriptor, _)| &descriptor.digest).collect();
    let layers = image.layers().enumerate().map(|(at, (descriptor, diff_id))| {
        // An image may have the same layer twice.
        let again = digests[at + 1..].contains(&&descriptor.digest);
        let layer = match again {
            true => found.get(&descriptor.digest).cloned(),
            false => found.remove(&descriptor.digest),
        };
        fitting(layer, descriptor, diff_id)
    });
    layers.collect()
}

/// Whether what is kept of a layer is still what would be found.
fn answers(image: &Image, layer: &Layer, descriptor: &Descriptor) -> bool {
    layer.stored == descriptor.size && image.still(descriptor, &layer.witness)
}

/// The layer, if it is the one that the config means.
fn fitting(layer: Option<Layer>, descriptor: &Descriptor, diff_id: &Digest) -> Result<Layer> {
    let wrong = || Error::new(format!("verifying layer {}", descriptor.digest));
    match layer {
        None => Err(wrong().said("it was not read")),
        Some(layer) if layer.diff_id != *diff_id => Err(wrong()
            .said(format!("its diff_id is {}, and the config says {diff_id}", layer.diff_id))
            .hint("The config and the layer do not belong together.")),
        Some(layer) => Ok(layer),
    }
}

/// What threads share while they read layers.
struct Work<'a> {
    image: &'a Image,
    /// The largest first: it takes longest.
    queue: Vec<(&'a Descriptor, &'a Digest)>,
    next: AtomicUsize,
    done: AtomicU64,
    stop: AtomicBool,
}

impl Work<'_> {
    fn one(&self, descriptor: &Descriptor, diff_id: &Digest) -> Result<Layer> {
        let witness = self.image.witness(descriptor);
        let blob = Counted { inner: self.image.blob(descriptor)?, work: self };
        Ok(Layer { witness, ..scan::scan(blob, descriptor, diff_id)? })
    }

    fn all(&self, results: &mpsc::Sender<Result<Layer>>) {
        while let Some((descriptor, diff_id)) =
            self.queue.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            let result = self.one(descriptor, diff_id);
            if result.is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
            if results.send(result).is_err() || self.stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Counts what is read, and ends when another thread has failed.
struct Counted<'a, R> {
    inner: R,
    work: &'a Work<'a>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.work.stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("another layer was wrong"));
        }
        let count = self.inner.read(buffer)?;
        self.work.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads layers, several at once.
fn read(
    image: &Image,
    layers: &[(&Descriptor, &Digest)],
    observer: &mut dyn Observer,
) -> Result<Vec<Layer>> {
    let mut queue = layers.to_vec();
    queue.sort_by_key(|(descriptor, _)| std::cmp::Reverse(descriptor.size));
    let total = layers.iter().fold(0_u64, |sum, (layer, _)| sum.saturating_add(layer.size));
    let zero = || AtomicU64::new(0);
    let work = Work {
        image,
        queue,
        next: AtomicUsize::new(0),
        done: zero(),
        stop: AtomicBool::new(false),
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let (sender, results) = mpsc::channel();
    let mut read = Vec::new();
    let result = thread::scope(|scope| {
        for _ in 0..processors.min(layers.len()).min(MOST_THREADS) {
            let (work, sender) = (&work, sender.clone());
            scope.spawn(move || work.all(&sender));
        }
        drop(sender);
        loop {
            match results.recv_timeout(Duration::from_millis(100)) {
                // The first is the reason; others only stopped because of it.
                Ok(Err(error)) => return Err(error),
                Ok(Ok(layer)) => read.push(layer),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    observer.progress("reading", work.done.load(Ordering::Relaxed), total);
                }
            }
        }
    });
    observer.progress_over("reading");
    result.map(|()| read)
}
