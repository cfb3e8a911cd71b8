//! One way to read an image, wherever it is.
//!
//! [`open`] finds what a [`Reference`] means and gives an [`Image`]: its
//! manifest and config, read and verified, and its layers to be opened. Where
//! the bytes come from (the store, a directory, an archive, docker) is behind
//! [`Blobs`], and nobody who takes an image apart needs to know.
//!
//! ```ignore
//! let image = source::open(&"oci:dir:latest".parse()?, &Platform::host())?;
//! for (descriptor, diff_id) in image.layers() {
//!     let compressed: impl Read = image.blob(descriptor)?;
//! }
//! ```

mod daemon;
mod docker;
pub mod layout;
mod tarred;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::image::dissect::foreign;
use crate::image::oci::{
    Config, Descriptor, Digest, Document, Index, MOST_NESTING, Manifest, Platform, Verified, media,
    whole,
};
use crate::image::reference::{Name, Reference};
use crate::image::store::Store;

pub use docker::DockerArchive;
pub use layout::{Directory, Files, Layout};
pub use tarred::Tarred;

/// The bytes of a blob.
pub type Blob = Box<dyn Read + Send>;

/// Where blobs come from.
pub trait Blobs: Send + Sync {
    /// The bytes that are there under this name; not verified yet.
    fn open(&self, descriptor: &Descriptor) -> Result<Blob>;

    /// Whether what is here was verified when it came in, and only we can have
    /// changed it since.
    fn trusted(&self) -> bool {
        false
    }

    /// By what a blob's file is known again, where others can change it: as long
    /// as this is the same, nobody wrote to it.
    fn witness(&self, descriptor: &Descriptor) -> String {
        let _ = descriptor;
        String::new()
    }
}

/// An image: its documents, and where its layers are.
#[derive(Clone)]
pub struct Image {
    /// What it was found under: the name in the store, or what was typed.
    pub name: String,
    /// The index that its manifest was chosen from, if there was one.
    pub index: Option<(Descriptor, Index)>,
    /// What names its manifest.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub manifest: Manifest,
    /// The manifest's bytes, as the digest is of them.
    pub manifest_bytes: Vec<u8>,
    /// Its config.
    pub config: Config,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    blobs: Arc<dyn Blobs>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Image").field(&self.name).field(&self.descriptor.digest).finish()
    }
}

impl Image {
    /// Reads the documents, from what names the image down to its config.
    pub fn read(
        name: &str,
        blobs: Arc<dyn Blobs>,
        mut descriptor: Descriptor,
        platform: &Platform,
    ) -> Result<Self> {
        let mut index = None;
        for _ in 0..=MOST_NESTING {
            let bytes = document(&*blobs, &descriptor)?;
            match Document::parse(&bytes, &descriptor.media_type)? {
                Document::Index(found) => {
                    let best = platform.choose(&found.manifests)?.clone();
                    index = Some((std::mem::replace(&mut descriptor, best), found));
                }
                Document::Manifest(manifest) => {
                    if descriptor.media_type.is_empty() {
                        descriptor.media_type.clone_from(&manifest.media_type);
                    }
                    let config_bytes = document(&*blobs, &manifest.config)?;
                    let config = Config::parse(&config_bytes, &manifest)?;
                    let name = name.to_owned();
                    let manifest_bytes = bytes;
                    return Ok(Self {
                        name,
                        index,
                        descriptor,
                        manifest: *manifest,
                        manifest_bytes,
                        config,
                        config_bytes,
                        blobs,
                    });
                }
            }
        }
        Err(Error::new(format!("reading {name}"))
            .said(format!("an index names an index more than {MOST_NESTING} times")))
    }

    /// Its layers, the lowest first: what names each, and the digest that its
    /// tar archive has when it is not compressed.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&Descriptor, &Digest)> {
        self.manifest.layers.iter().zip(&self.config.rootfs.diff_ids)
    }

    /// A layer's bytes as they are kept, compressed or not; what is not what its
    /// descriptor names is an error, at the end at the latest.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Blob> {
        let blob = self.blobs.open(descriptor)?;
        Ok(match self.blobs.trusted() {
            true => blob,
            false => Box::new(Verified::new(blob, descriptor)),
        })
    }

    /// Whether a layer that was verified once needs it no more: always where only
    /// we can have changed it, else while its file is the same as then.
    pub fn still(&self, descriptor: &Descriptor, witness: &str) -> bool {
        self.blobs.trusted() || self.blobs.witness(descriptor) == witness
    }

    /// By what this layer's file is known again.
    pub fn witness(&self, descriptor: &Descriptor) -> String {
        self.blobs.witness(descriptor)
    }

    /// Bytes of its layers as they are kept, without those that it has twice.
    pub fn size(&self) -> u64 {
        let mut layers: Vec<_> = self.manifest.layers.iter().collect();
        layers.sort_by_key(|layer| &layer.digest);
        layers.dedup_by_key(|layer| &layer.digest);
        layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

fn document(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Vec<u8>> {
    whole(blobs.open(descriptor)?, descriptor)
}

/// The image that a reference means, for this platform. What has a name is
/// looked for in the store only: fetching it is `image pull`.
pub fn open(reference: &Reference, platform: &Platform) -> Result<Image> {
    let shown = reference.to_string();
    match (reference, Place::of(reference)?) {
        (Reference::Named(name), _) => Store::find()?.image(name, platform),
        (Reference::Oci { tag, .. }, Some(Place::Layout(layout))) => {
            layout.image(&shown, tag.as_deref(), platform)
        }
        (Reference::DockerArchive { name, .. }, Some(Place::Docker(archive))) => {
            archive.image(&shown, name.as_ref(), platform)
        }
        (_, Some(Place::Layout(layout))) => layout.image(&shown, None, platform),
        (_, Some(Place::Docker(archive))) => archive.image(&shown, None, platform),
        (_, None) => Err(Error::new(format!("reading {shown}")).said("it is in the store only")),
    }
}

/// Every image of a layout or an archive, with the names that it has there.
pub fn all(reference: &Reference, platform: &Platform) -> Result<Vec<(Vec<Name>, Image)>> {
    match Place::of(reference)? {
        Some(Place::Layout(layout)) => layout.all(platform),
        Some(Place::Docker(archive)) => archive.all(platform),
        None => Ok(vec![(Vec::new(), open(reference, platform)?)]),
    }
}

/// Where images are together.
enum Place {
    Layout(Layout),
    Docker(DockerArchive),
}

impl Place {
    /// None for a name, which the store has.
    fn of(reference: &Reference) -> Result<Option<Self>> {
        match reference {
            Reference::Named(_) => Ok(None),
            Reference::Oci { path, .. } => {
                let layout = match path.is_file() {
                    true => Layout::open(Box::new(Tarred::open(path)?), path),
                    false => Layout::open(Box::new(Directory::new(path)), path),
                };
                layout.map(Self::Layout).map(Some)
            }
            Reference::DockerArchive { path, .. } => {
                let files: Arc<dyn Files> = match path.is_dir() {
                    true => Arc::new(Directory::new(path)),
                    false => Arc::new(Tarred::open(path)?),
                };
                DockerArchive::open(files, path).map(Self::Docker).map(Some)
            }
            Reference::DockerDaemon(name) => {
                let (file, shown) = (daemon::saved(name)?, Path::new("docker's answer"));
                let files = Arc::new(Tarred::of(file, shown)?);
                DockerArchive::open(files, shown).map(Self::Docker).map(Some)
            }
            Reference::Path(path) => Self::at(path).map(Some),
        }
    }

    /// What lies at a path says itself what it is.
    fn at(path: &Path) -> Result<Self> {
        let wrong = |what: &str| {
            Error::new(format!("reading {}", path.display())).said(what).hint(
                "An image is an OCI image layout (a directory or an archive), or an archive of \
                 `docker save`. A directory that is a root file system: `under-the-hood chroot DIR`.",
            )
        };
        if !path.exists() {
            return Err(wrong("there is no such file or directory"));
        }
        if path.is_dir() {
            let has = |name: &str| path.join(name).is_file();
            let files = Directory::new(path);
            return match (has("oci-layout"), has("manifest.json")) {
                (true, _) => Layout::open(Box::new(files), path).map(Self::Layout),
                (_, true) => DockerArchive::open(Arc::new(files), path).map(Self::Docker),
                _ => Err(wrong("this directory is no image")),
            };
        }
        if foreign::recognise(path)? {
            return Err(wrong("it is an image of rkt's, LXD's or Incus's, which has no layers").hint(
                "`under-the-hood image dissect` takes it apart, and says how its files can be entered.",
            ));
        }
        let files = Tarred::open(path)?;
        match (files.has("oci-layout"), files.has("manifest.json")) {
            (true, _) => Layout::open(Box::new(files), path).map(Self::Layout),
            (_, true) => DockerArchive::open(Arc::new(files), path).map(Self::Docker),
            _ => Err(wrong("this archive is no image")),
        }
    }
}

/// Whether an index names an image by this: not an attestation, not something else.
pub fn is_image(descriptor: &Descriptor) -> bool {
    let named =
        media::is_index(&descriptor.media_type) || media::is_manifest(&descriptor.media_type);
    (named || descriptor.media_type.is_empty()) && !descriptor.is_attestation()
}
