//! The images on this machine: an OCI image layout under the data directory,
//! which skopeo, umoci and Podman read as it is
//! (`skopeo inspect oci:/var/lib/under-the-hood/images:docker.io/library/httpd:2.4`).
//!
//! ```text
//! images/oci-layout              says what this directory is
//!        index.json              names of images: each leads to a manifest
//!        blobs/sha256/HEX        everything else, named by what is in it
//!        partial/sha256-HEX      what is coming in (ours, not the layout's)
//! ```
//!
//! Whoever brings an image in holds a [`Lease`]: a shared lock of blobs/, so that several
//! can do it at once, and nobody removes what is not named yet. A blob is
//! written under another name, verified, and renamed ([`Writer`]); when all are
//! there, [`Lease::name`] makes index.json name the image, under another lock. So whatever dies whenever, no wrong blob and no half image is seen.
//! [`Store::remove`] takes a name away, then everything that no name leads to,
//! if it can have the lock for itself.
//!
//! Where a name was found in an index (one manifest for each platform), the
//! layout names the manifest of our platform, so that every tool finds all that
//! is named; the index's digest stays beside it, in an annotation. A manifest of
//! docker's (schema 2) is named through an index of the OCI, see wrapped.rs.

mod change;
mod copy;
mod made;
mod partial;
mod remove;
#[cfg(test)]
mod tests;
mod wrapped;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::oci::{Descriptor, Digest, Document, Index, Platform};
use crate::image::reference::Name;
use crate::image::source::{Blobs, Directory, Image, Layout, is_image};
use crate::lock::{FlockOperation, lock};

pub use change::Lease;
pub use copy::{copy, describe};
pub use made::Made;
pub use partial::{Entry, Writer};
pub use remove::Removed;
pub use wrapped::wrapped;

/// The annotation with the digest of the index that a manifest was chosen from.
pub const FROM_INDEX: &str = "under-the-hood.index";

/// The directory below the data directory.
const DIRECTORY: &str = "images";

/// The images on this machine.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// An image that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name; `None` where another program gave it none, or one that is no image's.
    pub name: Option<Name>,
    /// The name as it stands there; empty if there is none.
    pub text: String,
    /// Its manifest.
    pub descriptor: Descriptor,
    /// The index that this was chosen from.
    pub index: Option<Digest>,
}

impl Named {
    fn of(entry: &Descriptor) -> Self {
        let descriptor = wrapped::unwrapped(entry);
        let text = descriptor.ref_name().unwrap_or_default().to_owned();
        let index = descriptor.annotations.get(FROM_INDEX).and_then(|digest| digest.parse().ok());
        Self { name: text.parse().ok(), text, descriptor, index }
    }

    /// Whether it answers to this name: by its tag, or by a digest that the
    /// image itself or its index has.
    fn answers_to(&self, name: &Name) -> bool {
        let Some(own) = &self.name else { return false };
        let digest = |digest: &Digest| {
            *digest == self.descriptor.digest || self.index.as_ref() == Some(digest)
        };
        own.repository() == name.repository()
            && match name.digest() {
                Some(wanted) => digest(wanted),
                None => own.tag() == name.tag(),
            }
    }
}

impl Store {
    /// The store, to be read; nothing is made.
    pub fn find() -> Result<Self> {
        Ok(Self { path: home::path(Place::Data)?.join(DIRECTORY) })
    }

    /// The store, made if there is none, and checked.
    pub fn open() -> Result<Self> {
        let store = Self { path: home::open(Place::Data, DIRECTORY)? };
        for sub in ["blobs/sha256", "blobs/sha512", "partial"] {
            home::open(Place::Data, &format!("{DIRECTORY}/{sub}"))?;
        }
        store.begin_layout()?;
        Ok(store)
    }

    /// A store somewhere else, made if there is none: an OCI image layout to take along.
    pub fn at(path: &Path) -> Result<Self> {
        for sub in ["blobs/sha256", "blobs/sha512", "partial"] {
            let directory = path.join(sub);
            std::fs::create_dir_all(&directory).tried(|| format!("mkdir({directory:?})"))?;
        }
        let store = Self { path: path.to_owned() };
        store.begin_layout()?;
        Ok(store)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every image; none where there is no store yet.
    pub fn list(&self) -> Result<Vec<Named>> {
        let layout = self.layout()?;
        let manifests = layout.iter().flat_map(|layout| &layout.index.manifests);
        Ok(manifests.filter(|one| is_image(one)).map(Named::of).collect())
    }

    /// What has this name.
    pub fn resolve(&self, name: &Name) -> Result<Option<Named>> {
        Ok(self.list()?.into_iter().find(|named| named.answers_to(name)))
    }

    /// The image of this name; an error that says how to get it if it is not here.
    pub fn image(&self, name: &Name, platform: &Platform) -> Result<Image> {
        let Some(named) = self.resolve(name)? else { return Err(absent(name)) };
        self.read(&named, platform)
    }

    /// The documents of an image that is here.
    pub fn read(&self, named: &Named, platform: &Platform) -> Result<Image> {
        let blobs = Arc::new(self.layout()?.ok_or_else(|| gone(&self.path))?.trusted());
        let mut image =
            Image::read(&named.text, blobs.clone(), named.descriptor.clone(), platform)?;
        if let (None, Some(digest)) = (&image.index, &named.index) {
            image.index = self.chosen_from(&*blobs, digest);
        }
        Ok(image)
    }

    /// The index that was beside the manifest; another program may have removed it.
    fn chosen_from(&self, blobs: &dyn Blobs, digest: &Digest) -> Option<(Descriptor, Index)> {
        let size = self.blob_path(digest).metadata().ok()?.len();
        let mut descriptor = Descriptor::new("", digest.clone(), size);
        let bytes = crate::image::oci::whole(blobs.open(&descriptor).ok()?, &descriptor).ok()?;
        match Document::parse(&bytes, "").ok()? {
            Document::Index(index) => {
                descriptor.media_type.clone_from(&index.media_type);
                Some((descriptor, index))
            }
            Document::Manifest(_) => None,
        }
    }

    /// Whether this blob is here (what is here was verified).
    pub fn has(&self, descriptor: &Descriptor) -> bool {
        let metadata = self.blob_path(&descriptor.digest).symlink_metadata();
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == descriptor.size)
    }

    /// The file of a blob that is here, for whoever wants it as it is.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm()).join(digest.hex())
    }

    /// The right to bring images in: as long as it lives, nothing is removed
    /// that no image leads to yet.
    pub fn lease(&self) -> Result<Lease> {
        Ok(Lease::new(self.clone(), lock(&self.path.join("blobs"), FlockOperation::LockShared)?))
    }

    fn layout(&self) -> Result<Option<Layout>> {
        match self.path.join("index.json").exists() {
            false => Ok(None),
            true => Layout::open(Box::new(Directory::new(&self.path)), &self.path).map(Some),
        }
    }
}

fn absent(name: &Name) -> Error {
    let error = Error::new(format!("there is no image {} here", name.familiar()));
    let typed = name.familiar();
    if name.is_local() {
        return error.hint(match name.is_base() && name.tag() == Some("latest") {
            true => "`under-the-hood image base` makes it from programs of this machine; no network is needed.",
            false => "What is called localhost/under-the-hood/ is made on this machine and never pulled; \
                      `under-the-hood image ls` shows what there is.",
        });
    }
    let bare = typed.split(':').next().unwrap_or(&typed);
    let path = Path::new(bare);
    error.hint(match path.exists() {
        true => format!("`under-the-hood image pull {typed}` fetches it; for what lies here, write ./{bare}."),
        false => format!("`under-the-hood image pull {typed}` fetches it; `under-the-hood image ls` shows what is here."),
    })
}

fn gone(path: &Path) -> Error {
    Error::new(format!("reading {}", path.display())).said("the store was removed meanwhile")
}
