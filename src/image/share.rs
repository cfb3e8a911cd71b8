//! Layers that images have in common: kept once, fetched once.

use crate::error::Result;
use crate::image::oci::{Descriptor, Platform};
use crate::image::source::Image;
use crate::image::store::Store;

/// Another image with some of the same layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Its name.
    pub name: String,
    /// Which layers of the one that was asked about it has; the lowest is 0.
    pub layers: Vec<usize>,
}

/// Which other images in the store have layers of this one. An image under
/// another name is another one; one that cannot be read has none.
pub fn others(image: &Image) -> Result<Vec<Shared>> {
    let store = Store::find()?;
    let mut others = Vec::new();
    for named in store.list()? {
        if named.text == image.name {
            continue;
        }
        let Ok(other) = store.read(&named, &Platform::host()) else { continue };
        let has = |diff_id| other.config.rootfs.diff_ids.contains(diff_id);
        let layers: Vec<_> = image
            .layers()
            .enumerate()
            .filter(|(_, (_, diff_id))| has(diff_id))
            .map(|(at, _)| at)
            .collect();
        if !layers.is_empty() {
            others.push(Shared { name: other.name, layers });
        }
    }
    Ok(others)
}

/// A layer, and which images have it.
#[derive(Debug, Clone)]
pub struct Common<'a> {
    /// The layer, as it is kept.
    pub descriptor: &'a Descriptor,
    /// How high it is in the highest of its images; the lowest is 0.
    pub height: usize,
    /// The images that have it, by their place.
    pub images: Vec<usize>,
}

/// The layers of several images, the lowest first: what they have in common, once.
pub fn common(images: &[Image]) -> Vec<Common<'_>> {
    let mut rows: Vec<Common<'_>> = Vec::new();
    for (at, image) in images.iter().enumerate() {
        for (height, (descriptor, _)) in image.layers().enumerate() {
            match rows.iter_mut().find(|row| row.descriptor.digest == descriptor.digest) {
                Some(row) => {
                    row.height = row.height.max(height);
                    if !row.images.contains(&at) {
                        row.images.push(at);
                    }
                }
                None => rows.push(Common { descriptor, height, images: vec![at] }),
            }
        }
    }
    rows.sort_by_key(|row| row.height);
    rows
}
