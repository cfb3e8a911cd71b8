//! An image's config: how a container of it is started, and what its layers are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Manifest, Other, Platform};
use crate::error::{Error, Result};

/// The config of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When it was made, as RFC 3339 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// For which processor.
    #[serde(default)]
    pub architecture: String,
    /// Which kind of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// For which operating system.
    #[serde(default)]
    pub os: String,
    /// How a container is started.
    #[serde(default, deserialize_with = "super::or_null")]
    pub config: Execution,
    /// What the layers are.
    pub rootfs: RootFs,
    /// How they came about.
    #[serde(default, deserialize_with = "super::or_null")]
    pub history: Vec<History>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub other: Other,
}

/// How a container is started, unless somebody says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// `NAME|UID[:GROUP|GID]`; root when it is empty.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "super::or_null")]
    pub user: String,
    /// Ports that something listens on: `80/tcp`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::or_null")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "super::or_null")]
    pub env: Vec<String>,
    /// The program, and its first arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments, unless others are given; the program if there is no entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Directories that hold data of a container's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::or_null")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// Where it starts; `/` when it is empty.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "super::or_null")]
    pub working_dir: String,
    /// What is said of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "super::or_null")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to stop; SIGTERM without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Fields that this program does not know: Healthcheck, Shell, OnBuild, ...
    #[serde(flatten)]
    pub other: Other,
}

/// What the layers are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The digest of each layer's tar archive, not compressed; the lowest first.
    #[serde(default, deserialize_with = "super::or_null")]
    pub diff_ids: Vec<Digest>,
}

/// One step by which the image came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what: mostly a line of a Dockerfile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What was said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it changed the config only: then no layer belongs to it.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "super::or_null")]
    pub empty_layer: bool,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub other: Other,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(value: &bool) -> bool {
    !value
}

impl History {
    /// The step as its Dockerfile had it: what docker's builders put around it is
    /// taken off. Empty where nobody has said.
    pub fn step(&self) -> String {
        let text = self.created_by.as_deref().unwrap_or_default();
        let text = text.strip_prefix("/bin/sh -c #(nop) ").map_or_else(
            || text.replacen("/bin/sh -c ", "RUN ", usize::from(text.starts_with("/bin/sh -c "))),
            str::to_owned,
        );
        let text = text.trim().trim_end_matches("# buildkit");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Config {
    /// Reads the config that belongs to a manifest: a layer more or less than
    /// the manifest has, and nobody knows what belongs to what.
    pub fn parse(bytes: &[u8], manifest: &Manifest) -> Result<Self> {
        let wrong = |why: String| Error::new("reading the image's config").said(why);
        let media_type = &manifest.config.media_type;
        if !media_type.is_empty() && !super::media::is_config(media_type) {
            return Err(wrong(format!("it is {media_type:?}, not that of a container image"))
                .hint(
                    "Registries also keep other things than images: charts, signatures, modules.",
                ));
        }
        let config: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        match layers == diff_ids {
            true => Ok(config),
            false => {
                Err(wrong(format!("it knows {diff_ids} layers, and the manifest names {layers}")))
            }
        }
    }

    /// Its platform.
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }

    /// For each layer, the lowest first, the step that made it; `None` where
    /// the history does not say.
    pub fn made_by(&self) -> Vec<Option<&History>> {
        let mut steps = self.history.iter().filter(|step| !step.empty_layer);
        self.rootfs.diff_ids.iter().map(|_| steps.next()).collect()
    }

    /// The name of all layers together, unpacked one onto the other: ChainID of
    /// the OCI image specification. An image without layers has none.
    pub fn chain_id(&self) -> Option<Digest> {
        let mut layers = self.rootfs.diff_ids.iter();
        let first = layers.next()?.clone();
        Some(layers.fold(first, |below, layer| Digest::of(format!("{below} {layer}").as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::oci::{Descriptor, media};

    fn manifest(layers: usize, media_type: &str) -> Manifest {
        let of = |media_type| Descriptor::new(media_type, Digest::of(b""), 0);
        Manifest::new(of(media_type), vec![of(media::LAYER); layers])
    }

    const DOCKERS: &str = r#"{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z",
        "config":{"Env":null,"Cmd":["/bin/sh"],"Entrypoint":null,"Volumes":null,"User":"","Labels":null,
          "WorkingDir":"/srv","Healthcheck":{"Test":["NONE"]},"ArgsEscaped":true,"Shell":["/bin/bash"]},
        "container_config":{"Hostname":"x"},"docker_version":"18.09",
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
        "history":[{"created_by":"/bin/sh -c #(nop) ADD file:x in / "},{"created_by":"CMD","empty_layer":true}]}"#;

    #[test]
    fn dockers_config_is_kept_whole() {
        let config = Config::parse(DOCKERS.as_bytes(), &manifest(1, media::DOCKER_CONFIG)).unwrap();
        assert_eq!(config.config.cmd.as_deref(), Some(&["/bin/sh".to_owned()][..]));
        assert!(config.config.env.is_empty() && config.config.entrypoint.is_none());
        let again = serde_json::to_value(&config).unwrap();
        assert_eq!(again["config"]["Healthcheck"]["Test"][0], "NONE");
        assert_eq!(again["config"]["Shell"][0], "/bin/bash");
        assert_eq!(again["docker_version"], "18.09");
        assert_eq!(again["history"][1]["empty_layer"], true);
        let made_by = config.made_by();
        assert!(made_by[0].unwrap().created_by.as_ref().unwrap().contains("ADD"));
        assert_eq!(config.chain_id().unwrap(), config.rootfs.diff_ids[0]);
        let theirs = oci_spec::image::ImageConfiguration::from_reader(DOCKERS.as_bytes()).unwrap();
        assert_eq!(theirs.rootfs().diff_ids()[0], config.rootfs.diff_ids[0].to_string());
    }

    #[test]
    fn a_config_that_does_not_fit_its_manifest_is_refused() {
        for (text, manifest) in [
            (DOCKERS, manifest(2, media::DOCKER_CONFIG)),
            (DOCKERS, manifest(0, media::CONFIG)),
            (DOCKERS, manifest(1, "application/vnd.cncf.helm.config.v1+json")),
            ("{}", manifest(0, media::CONFIG)),
            (&DOCKERS.replace("sha256:e3", "sha256:zz"), manifest(1, media::CONFIG)),
        ] {
            assert!(Config::parse(text.as_bytes(), &manifest).is_err());
        }
    }

    /// The example of the specification, by its formula.
    #[test]
    fn chain_ids_are_folded_from_below() {
        let layers: Vec<_> = [&b"a"[..], b"b", b"c"].map(Digest::of).to_vec();
        let of = |diff_ids: &[Digest]| Config {
            created: None,
            author: None,
            architecture: String::new(),
            variant: None,
            os: String::new(),
            config: Execution::default(),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: diff_ids.to_vec() },
            history: Vec::new(),
            other: Other::new(),
        };
        assert_eq!(of(&[]).chain_id(), None);
        let two = of(&layers[..2]).chain_id().unwrap();
        assert_eq!(two, Digest::of(format!("{} {}", layers[0], layers[1]).as_bytes()));
        let three = of(&layers).chain_id().unwrap();
        assert_eq!(three, Digest::of(format!("{two} {}", layers[2]).as_bytes()));
    }
}
