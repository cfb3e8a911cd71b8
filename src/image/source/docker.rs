//! What `docker save` writes: `manifest.json` names a config and layers by their
//! paths in the archive. There is no manifest with digests; one is put together
//! here, so that such an image reads like any other.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::layout::read;
use super::{Blob, Blobs, Files, Image};
use crate::error::{Context, Error, Result};
use crate::image::oci::{Config, Descriptor, Digest, MOST_LAYERS, Manifest, Platform, media};
use crate::image::reference::Name;
use crate::image::unpack::compression::{self, Compression};

/// One image of `manifest.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Entry {
    fn names(&self) -> impl Iterator<Item = Name> {
        self.repo_tags.iter().flatten().filter_map(|tag| tag.parse().ok())
    }
}

/// An archive as `docker save` writes it.
pub struct DockerArchive {
    files: Arc<dyn Files>,
    entries: Vec<Entry>,
    shown: PathBuf,
}

impl DockerArchive {
    /// Opens one; `shown` is what it is called in errors.
    pub fn open(files: Arc<dyn Files>, shown: &Path) -> Result<Self> {
        let wrong = |why: String| Error::new(format!("reading {}", shown.display())).said(why);
        let text = read(&*files, "manifest.json", shown)?.ok_or_else(|| {
            wrong("there is no manifest.json in it".to_owned()).hint(
                "`docker save NAME -o FILE` writes one; for an OCI image layout say oci:FILE.",
            )
        })?;
        let entries = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("manifest.json: {error}")))?;
        Ok(Self { files, entries, shown: shown.to_owned() })
    }

    /// The image of this name; without one, the only image that there is.
    pub fn image(&self, shown: &str, name: Option<&Name>, platform: &Platform) -> Result<Image> {
        let found = match (name, self.entries.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), entries) => {
                entries.iter().find(|entry| entry.names().any(|one| one == *name))
            }
        };
        match found {
            Some(entry) => self.read(shown, entry, platform),
            None => Err(self.absent(name)),
        }
    }

    /// Every image, with its names.
    pub fn all(&self, platform: &Platform) -> Result<Vec<(Vec<Name>, Image)>> {
        let shown = self.shown.display().to_string();
        let image =
            |entry: &Entry| Ok((entry.names().collect(), self.read(&shown, entry, platform)?));
        self.entries.iter().map(image).collect()
    }

    fn absent(&self, name: Option<&Name>) -> Error {
        let path = self.shown.display();
        let names: Vec<_> =
            self.entries.iter().flat_map(Entry::names).map(|name| name.familiar()).collect();
        let tried = match name {
            Some(name) => format!("there is no image {} in {path}", name.familiar()),
            None => format!("there are {} images in {path}", self.entries.len()),
        };
        Error::new(tried).hint(match names.first() {
            None => "None of its images has a name.".to_owned(),
            Some(first) => {
                format!(
                    "Say which, as in docker-archive:{path}:{first}. There are: {}.",
                    names.join(", ")
                )
            }
        })
    }

    fn read(&self, shown: &str, entry: &Entry, platform: &Platform) -> Result<Image> {
        let wrong = |why: String| Error::new(format!("reading {}", self.shown.display())).said(why);
        let mut blobs = HashMap::new();
        let config = read(&*self.files, &entry.config, &self.shown)?
            .ok_or_else(|| wrong(format!("there is no {} in it", entry.config.escape_debug())))?;
        let parsed: Config = serde_json::from_slice(&config)
            .map_err(|error| wrong(format!("its config: {error}")))?;
        let files: Vec<_> = entry.layers.iter().flatten().collect();
        let diff_ids = &parsed.rootfs.diff_ids;
        if files.len() != diff_ids.len() || files.len() > MOST_LAYERS {
            return Err(wrong(format!("{} layers, {} diff_ids", files.len(), diff_ids.len())));
        }
        let mut layers = Vec::new();
        for (file, diff_id) in files.into_iter().zip(diff_ids) {
            let layer = self.layer(file, diff_id)?;
            blobs.insert(layer.digest.clone(), Content::File(file.clone()));
            layers.push(layer);
        }
        let named = Descriptor::of(media::CONFIG, &config);
        blobs.insert(named.digest.clone(), Content::Bytes(config));
        let manifest = serde_json::to_vec(&Manifest::new(named, layers))
            .map_err(|error| wrong(error.to_string()))?;
        let descriptor = Descriptor::of(media::MANIFEST, &manifest);
        blobs.insert(descriptor.digest.clone(), Content::Bytes(manifest));
        let blobs = Arc::new(Contents { files: Arc::clone(&self.files), blobs });
        Image::read(shown, blobs, descriptor, platform)
    }

    /// A layer that is not compressed has its diff_id as its digest; another is summed up.
    fn layer(&self, file: &str, diff_id: &Digest) -> Result<Descriptor> {
        let (mut content, size) = self.file(file)?;
        let mut start = [0; 6];
        let call = || format!("read({file:?})");
        let mut have = 0;
        while have < start.len() {
            match content.read(&mut start[have..]).tried(call)? {
                0 => break,
                count => have += count,
            }
        }
        let media_type = match compression::detect(&start[..have])? {
            Compression::Plain => {
                return Ok(Descriptor::new(media::LAYER, diff_id.clone(), size));
            }
            Compression::Gzip => media::LAYER_GZIP,
            Compression::Zstd => media::LAYER_ZSTD,
            Compression::Xz => {
                return Err(Error::new(call()).said("no image has layers packed with xz"));
            }
        };
        let mut sum = crate::image::oci::Hasher::new();
        let (mut content, mut buffer) = (self.file(file)?.0, vec![0; 1 << 17]);
        loop {
            match content.read(&mut buffer).tried(call)? {
                0 => return Ok(Descriptor::new(media_type, sum.finish(), size)),
                count => sum.update(&buffer[..count]),
            }
        }
    }

    fn file(&self, name: &str) -> Result<(Blob, u64)> {
        self.files.open(name)?.ok_or_else(|| {
            Error::new(format!("reading {}", self.shown.display()))
                .said(format!("there is no {} in it", name.escape_debug()))
                .hint("It is not complete: save it anew.")
        })
    }
}

enum Content {
    File(String),
    Bytes(Vec<u8>),
}

/// Files of the archive by the digests that they were given.
struct Contents {
    files: Arc<dyn Files>,
    blobs: HashMap<Digest, Content>,
}

impl Blobs for Contents {
    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let missing =
            || Error::new(format!("reading {}: it is not in the archive", descriptor.digest));
        match self.blobs.get(&descriptor.digest).ok_or_else(missing)? {
            Content::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            Content::File(name) => {
                let (content, _) = self.files.open(name)?.ok_or_else(missing)?;
                Ok(content)
            }
        }
    }
}
