//! What belongs to an image that is pushed: its documents, and what they name.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Document, MOST_NESTING, media, whole};
use crate::image::source::Image;

/// All of it.
#[derive(Debug, Default)]
pub struct Contents {
    /// Manifests and indices, each behind those that it names: the last is the image.
    pub documents: Vec<(Descriptor, Vec<u8>)>,
    /// Configs, each once.
    pub configs: Vec<Descriptor>,
    /// Layers, each once.
    pub layers: Vec<Descriptor>,
    /// Layers that may not be handed on: whoever pulls fetches them where they are from.
    pub foreign: Vec<Descriptor>,
}

impl Contents {
    /// The image for one platform.
    pub fn of(image: &Image) -> Result<Self> {
        let mut contents = Self::default();
        contents.manifest(&image.descriptor, image.manifest_bytes.clone(), &image.manifest);
        Ok(contents)
    }

    /// The index that the image was chosen from, with everything that it names; an
    /// error where not all of that is here.
    pub fn all(image: &Image) -> Result<Option<Self>> {
        let Some((descriptor, _)) = &image.index else { return Ok(None) };
        let mut contents = Self::default();
        contents.add(image, descriptor, MOST_NESTING)?;
        for blob in contents.configs.iter().chain(&contents.layers) {
            image.blob(blob)?;
        }
        Ok(Some(contents))
    }

    fn add(&mut self, image: &Image, descriptor: &Descriptor, nesting: usize) -> Result<()> {
        let bytes = whole(image.blob(descriptor)?, descriptor)?;
        match Document::parse(&bytes, &descriptor.media_type)? {
            Document::Manifest(manifest) => self.manifest(descriptor, bytes, &manifest),
            Document::Index(index) => {
                let deeper = nesting.checked_sub(1).ok_or_else(|| {
                    Error::new(format!("an index names an index more than {MOST_NESTING} times"))
                })?;
                for below in &index.manifests {
                    self.add(image, below, deeper)?;
                }
                let kind = kind(descriptor, &index.media_type, media::INDEX);
                self.documents.push((kind, bytes));
            }
        }
        Ok(())
    }

    fn manifest(
        &mut self,
        descriptor: &Descriptor,
        bytes: Vec<u8>,
        manifest: &crate::image::oci::Manifest,
    ) {
        let kind = kind(descriptor, &manifest.media_type, media::MANIFEST);
        if !self.documents.iter().any(|(known, _)| known.digest == kind.digest) {
            self.documents.push((kind, bytes));
        }
        once(&mut self.configs, [&manifest.config]);
        let foreign = |layer: &&Descriptor| {
            layer.media_type.contains("nondistributable") || layer.media_type.contains(".foreign.")
        };
        let (foreign, ours): (Vec<_>, Vec<_>) = manifest.layers.iter().partition(foreign);
        once(&mut self.foreign, foreign);
        once(&mut self.layers, ours);
    }
}

fn once<'a>(known: &mut Vec<Descriptor>, more: impl IntoIterator<Item = &'a Descriptor>) {
    let mut digests: BTreeSet<_> = known.iter().map(|one| one.digest.clone()).collect();
    for one in more {
        if digests.insert(one.digest.clone()) {
            known.push(one.clone());
        }
    }
}

/// The descriptor with the type that a registry is told: what names it says it, else it itself.
fn kind(descriptor: &Descriptor, own: &str, usual: &str) -> Descriptor {
    let known = [descriptor.media_type.as_str(), own].into_iter().find(|kind| !kind.is_empty());
    Descriptor { media_type: known.unwrap_or(usual).to_owned(), ..descriptor.clone() }
}
