//! What a stage has come to: layers, a config, and the past that its next step
//! depends on.

use std::collections::BTreeMap;

use crate::build::cache::{Made, Past};
use crate::build::run;
use crate::error::{Error, Result};
use crate::image::oci::{
    Config, Descriptor, Digest, Execution, History, Manifest, Other, Platform, RootFs, media,
};
use crate::image::source::Image;

/// A layer of the image, the base's or ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What names it.
    pub descriptor: Descriptor,
    /// The digest of its archive.
    pub diff_id: Digest,
}

/// A stage, as far as it has come.
#[derive(Debug, Clone)]
pub struct State {
    /// The config of the image that it would be now.
    pub config: Config,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// The image that it began with; `None` from scratch.
    pub base: Option<Box<Image>>,
    /// How many of the layers are that image's.
    pub of_base: usize,
    /// The steps so far that later ones depend on.
    pub past: Vec<Past>,
    /// `ARG`s that were declared, with their values.
    pub args: BTreeMap<String, String>,
    /// Whether its layers are not all known, because a step before was only planned.
    pub planned: bool,
}

impl State {
    /// From nothing; but that programs are looked for somewhere is said, as docker does.
    pub fn scratch(platform: &Platform) -> Self {
        let config = Config {
            created: None,
            author: None,
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
            os: platform.os.clone(),
            config: Execution { env: vec![run::PATH.to_owned()], ..Execution::default() },
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
            history: Vec::new(),
            other: Other::new(),
        };
        let state = Digest::of(format!("scratch {platform}").as_bytes());
        let past = vec![Past { line: "FROM scratch".to_owned(), state }];
        let (layers, args) = (Vec::new(), BTreeMap::new());
        Self { config, layers, base: None, of_base: 0, past, args, planned: false }
    }

    /// From an image.
    pub fn image(image: Image, line: &str) -> Self {
        let mut config = image.config.clone();
        // Of the container that docker made it in, once; it says nothing of this one.
        for key in ["container", "container_config", "docker_version", "id", "parent"] {
            config.other.remove(key);
        }
        let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| {
            let mut descriptor = descriptor.clone();
            descriptor.media_type = of_the_oci(&descriptor.media_type);
            Layer { descriptor, diff_id: diff_id.clone() }
        };
        let layers: Vec<_> = image.layers().map(layer).collect();
        let state = image.manifest.config.digest.clone();
        let past = vec![Past { line: line.to_owned(), state }];
        let (of_base, args) = (layers.len(), BTreeMap::new());
        Self { config, layers, base: Some(Box::new(image)), of_base, past, args, planned: false }
    }

    /// The layers that were made here.
    pub fn made(&self) -> &[Layer] {
        &self.layers[self.of_base..]
    }

    /// A step is done: what it made, and what the history says of it.
    pub fn add(&mut self, created: &str, created_by: String, layer: Option<&Made>) {
        self.config.created = Some(created.to_owned());
        self.config.history.push(History {
            created: Some(created.to_owned()),
            created_by: Some(created_by),
            comment: Some("under-the-hood".to_owned()),
            empty_layer: layer.is_none(),
            ..History::default()
        });
        if let Some(Made { descriptor, diff_id, .. }) = layer {
            self.config.rootfs.diff_ids.push(diff_id.clone());
            let (descriptor, diff_id) = (descriptor.clone(), diff_id.clone());
            self.layers.push(Layer { descriptor, diff_id });
        }
    }

    /// The image's documents.
    pub fn documents(&self) -> Result<Documents> {
        let json = |value: serde_json::Result<Vec<u8>>| {
            value.map_err(|error| Error::new("writing the image's documents").said(error))
        };
        let config = json(serde_json::to_vec(&self.config))?;
        let layers = self.layers.iter().map(|layer| layer.descriptor.clone()).collect();
        let manifest = Manifest::new(Descriptor::of(media::CONFIG, &config), layers);
        let bytes = json(serde_json::to_vec(&manifest))?;
        let mut descriptor = Descriptor::of(media::MANIFEST, &bytes);
        descriptor.platform = Some(self.config.platform());
        Ok(Documents { config: (manifest.config, config), manifest: (descriptor, bytes) })
    }
}

/// A config and a manifest, each with its bytes.
#[derive(Debug, Clone)]
pub struct Documents {
    /// The config.
    pub config: (Descriptor, Vec<u8>),
    /// The manifest.
    pub manifest: (Descriptor, Vec<u8>),
}

/// The OCI's name of a layer's media type: docker's are the same bytes.
fn of_the_oci(media_type: &str) -> String {
    match media_type {
        media::DOCKER_LAYER => media::LAYER,
        media::DOCKER_LAYER_GZIP => media::LAYER_GZIP,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => media::LAYER_ZSTD,
        other => other,
    }
    .to_owned()
}
