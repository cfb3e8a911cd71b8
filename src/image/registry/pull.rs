//! Pulling an image: its documents, its layers, and at last its name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Options;
use super::address::{places, shown};
use super::document::{DOCUMENTS, Documents, NAMED};
use super::layer::LAYER;
use super::patience::{Again, Failure};
use super::repository::{PING, Repository};
use super::request::Ask;
use super::workers::each;
use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Digest, Platform};
use crate::image::reference::Name;
use crate::image::remote::{self, Teller};
use crate::image::source::{Blob, Blobs, Image};
use crate::image::store::{Lease, Store};
use crate::step::{Observer, Step};

/// Less than that is not worth keeping for another attempt.
const WORTH_KEEPING: u64 = 1 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which image.
    pub name: Name,
    /// For which platform.
    pub platform: Platform,
    /// How registries are asked.
    pub options: Options,
}

/// What came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pulled {
    /// The name, in full.
    pub reference: String,
    /// Of what the name stands for: the index, if there is one.
    pub digest: Digest,
    /// Of the manifest for the platform.
    pub manifest: Digest,
    /// The platform that its config says it is for.
    pub platform: String,
    /// Whether anything is new here.
    pub new: bool,
    /// Its layers, the lowest first.
    pub layers: Vec<PulledLayer>,
}

/// A layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PulledLayer {
    /// Its digest.
    pub digest: Digest,
    /// Bytes, as it came.
    pub size: u64,
    /// Whether it was here already.
    pub existed: bool,
}

/// Brings an image into the store. Call it while there is one thread only.
pub fn pull(wanted: &Wanted, observer: &mut dyn Observer) -> Result<Pulled> {
    let store = Store::open()?;
    remote::in_child(observer, |teller| {
        let lease = store.lease()?;
        let brought = Mutex::default();
        let result = Pull { wanted, lease: &lease, brought: &brought, teller }.pull();
        drop(lease);
        result.map_err(|failure| {
            let brought = brought.into_inner().unwrap_or_else(PoisonError::into_inner);
            let worth = |digest: &Digest| store.bytes_of(digest);
            let worth_keeping = brought.iter().map(worth).sum::<u64>() >= WORTH_KEEPING;
            if failure.again == Again::Lie || !worth_keeping {
                // What cannot be removed now goes with the next image that is removed.
                let _ = store.withdraw(&brought);
            }
            failure.error
        })
    })
}

/// The documents of an image in a registry, without its layers.
pub fn documents(wanted: &Wanted, observer: &mut dyn Observer) -> Result<Image> {
    let (root, texts) = remote::in_child(observer, |teller| {
        let (documents, root) = Documents::find(&wanted.name, &wanted.options, &teller)?;
        let documents = Arc::new(documents);
        Image::read("", documents.clone(), root.clone(), &wanted.platform)?;
        // All of them are JSON, which is UTF-8.
        let text = |(digest, bytes)| Some((digest, String::from_utf8(bytes).ok()?));
        Ok((root, documents.known().into_iter().filter_map(text).collect::<BTreeMap<_, _>>()))
    })?;
    let blobs = Arc::new(InMemory { name: wanted.name.familiar(), texts });
    Image::read(&wanted.name.to_string(), blobs, root, &wanted.platform)
}

/// Documents that were fetched, and no layers.
struct InMemory {
    name: String,
    texts: BTreeMap<Digest, String>,
}

impl Blobs for InMemory {
    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        match self.texts.get(&descriptor.digest) {
            Some(text) => Ok(Box::new(Cursor::new(text.clone().into_bytes()))),
            None => Err(Error::new(format!("the layers of {} are not here", self.name))
                .hint(format!("`under-the-hood image pull {}` fetches them.", self.name))),
        }
    }
}

/// The steps of a pull, not performed.
pub fn describe(wanted: &Wanted) -> Result<Vec<Step>> {
    let places = places(&wanted.name, &wanted.options)?;
    let Some(base) = places.first().and_then(|place| place.bases.first()) else {
        return Ok(Vec::new());
    };
    let step = |what: &str, accept, why| -> Result<Step> {
        let path = match what {
            "" => "v2/".to_owned(),
            what => format!("v2/{}/{what}", wanted.name.path()),
        };
        let url = base.join(&path).map_err(|error| Error::new(shown(base)).said(error))?;
        Ok(Ask { url: url.clone(), accept, from: 0, limit: None, why }.step(&url, false))
    };
    let store = Store::find()?.path().display().to_string();
    Ok(vec![
        step("", None, PING)?,
        step(&format!("manifests/{}", wanted.name.wanted()), Some(DOCUMENTS), NAMED)?,
        step(
            "manifests/$manifest",
            Some(DOCUMENTS),
            "if that is an index: the manifest for this platform",
        )?,
        step("blobs/$config", None, "the config: how a container is started, what its layers are")?,
        step("blobs/$layer", None, LAYER)?,
        Step::new(
            format!("rename(\"{store}/partial/$layer\", \"{store}/blobs/$layer\")"),
            "each layer gets its name, which is its sum, when its size and SHA-256 are right",
        ),
        Step::new(
            format!("rename(\"{store}/.index.json.new\", \"{store}/index.json\")"),
            format!("everything is here: from now on {} has its name", wanted.name.familiar()),
        ),
    ])
}

/// A pull that is going on.
struct Pull<'a> {
    wanted: &'a Wanted,
    lease: &'a Lease,
    /// What was not here before.
    brought: &'a Mutex<BTreeSet<Digest>>,
    teller: Teller,
}

impl Pull<'_> {
    fn pull(mut self) -> Result<Pulled, Failure> {
        let name = &self.wanted.name;
        let (documents, root) = Documents::find(name, &self.wanted.options, &self.teller)?;
        let documents = Arc::new(documents);
        let image =
            Image::read(&name.to_string(), documents.clone(), root.clone(), &self.wanted.platform)?;
        let platform = image.config.platform();
        if platform.architecture != self.wanted.platform.architecture {
            self.teller
                .note(&format!("It is for {platform}, and {} was wanted.", self.wanted.platform));
        }
        let before = self.lease.store().resolve(name)?.map(|named| named.descriptor.digest);
        let layers = self.layers(&image, documents.repository())?;
        for (digest, bytes) in documents.known() {
            let descriptor = Descriptor::new("", digest, bytes.len() as u64);
            self.brings(&descriptor);
            self.lease.put(&descriptor, &bytes, &mut self.teller)?;
        }
        let index = image.index.is_some().then_some(&root.digest);
        self.lease.name(name, &image.descriptor, index, &mut self.teller)?;
        let manifest = image.descriptor.digest.clone();
        Ok(Pulled {
            reference: name.to_string(),
            new: before.as_ref() != Some(&manifest),
            digest: root.digest,
            manifest,
            platform: platform.to_string(),
            layers,
        })
    }

    fn brings(&self, descriptor: &Descriptor) {
        if !self.lease.store().has(descriptor) {
            let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
            brought.insert(descriptor.digest.clone());
        }
    }

    /// All layers, some at once; each only once.
    fn layers(&self, image: &Image, repository: &Repository) -> Result<Vec<PulledLayer>, Failure> {
        let layers = &image.manifest.layers;
        let unique: BTreeMap<_, _> = layers.iter().map(|layer| (&layer.digest, layer)).collect();
        let queue: Vec<_> =
            layers.iter().filter(|one| std::ptr::eq(unique[&one.digest], *one)).collect();
        queue.iter().for_each(|layer| self.brings(layer));
        let existed = each(queue, repository, &self.teller, |layer, teller| {
            repository.layer(layer, self.lease, teller).map(|here| (&layer.digest, here))
        })?;
        let existed: BTreeMap<_, _> = existed.into_iter().collect();
        let pulled = |layer: &Descriptor| PulledLayer {
            digest: layer.digest.clone(),
            size: layer.size,
            existed: existed.get(&layer.digest).copied().unwrap_or(false),
        };
        Ok(layers.iter().map(pulled).collect())
    }
}
