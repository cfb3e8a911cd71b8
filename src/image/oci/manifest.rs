//! An index and a manifest, and finding out which of them a document is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::descriptor::media;
use super::{Descriptor, MOST_LAYERS, Other};
use crate::error::{Error, Result};

/// The manifests of one image for several platforms; or what a layout has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// What it is; the OCI's first version left it out.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "super::or_null"
    )]
    pub media_type: String,
    /// What it names.
    #[serde(default, deserialize_with = "super::or_null")]
    pub manifests: Vec<Descriptor>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub other: Other,
}

impl Default for Index {
    /// One that names nothing yet.
    fn default() -> Self {
        let media_type = media::INDEX.to_owned();
        Self { schema_version: 2, media_type, manifests: Vec::new(), other: Other::new() }
    }
}

/// The config and the layers of an image, the lowest layer first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// What it is; the OCI's first version left it out.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "super::or_null"
    )]
    pub media_type: String,
    /// Its config.
    pub config: Descriptor,
    /// Its layers.
    #[serde(default, deserialize_with = "super::or_null")]
    pub layers: Vec<Descriptor>,
    /// What else is said of it.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "super::or_null"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that this program does not know.
    #[serde(flatten)]
    pub other: Other,
}

impl Manifest {
    /// The OCI's manifest of an image.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media::MANIFEST.to_owned(),
            config,
            layers,
            annotations: BTreeMap::new(),
            other: Other::new(),
        }
    }
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One manifest for each platform.
    Index(Index),
    /// One image.
    Manifest(Box<Manifest>),
}

/// The fields by which they are told apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads it; `media_type` is what whoever named it (or a server) says it is,
    /// empty if nobody did. What a document looks like and what it says it is
    /// must agree: one that is both could be verified as one thing and used as
    /// the other (CVE-2021-41190).
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self> {
        let broken = |error: serde_json::Error| {
            Error::new("reading the manifest")
                .said(format!("it is not a manifest: {error}"))
                .hint("What answers there may not be a registry, or not an image.")
        };
        let kind: Kind = serde_json::from_slice(bytes).map_err(broken)?;
        let said = kind.media_type.unwrap_or_default();
        let wrong = |why: String| Err(Error::new("reading the manifest").said(why));
        if kind.schema_version == 1 || media::DOCKER_SCHEMA_1.contains(&media_type) {
            return wrong("it is docker's schema 1, from before 2016".to_owned()).map_err(
                |error| {
                    error
                        .hint("Push the image anew with a current docker; its digests say nothing.")
                },
            );
        }
        if !said.is_empty() && !media_type.is_empty() && said != media_type {
            return wrong(format!("it says that it is {said:?}, and was named as {media_type:?}"));
        }
        let both = kind.manifests.is_some() && (kind.config.is_some() || kind.layers.is_some());
        let media_type = if said.is_empty() { media_type } else { &said };
        let is_index = match media_type {
            _ if both => return wrong("it is an index and a manifest at once".to_owned()),
            "" => kind.manifests.is_some(),
            named if media::is_index(named) => true,
            named if media::is_manifest(named) => false,
            other => return wrong(format!("{other:?} is neither an index nor a manifest")),
        };
        if is_index {
            return serde_json::from_slice(bytes).map(Self::Index).map_err(broken);
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(broken)?;
        match manifest.layers.len() {
            many if many > MOST_LAYERS => {
                wrong(format!("it has {many} layers, and {MOST_LAYERS} are the most"))
            }
            _ => Ok(Self::Manifest(Box::new(manifest))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::oci::Digest;

    fn descriptor(media_type: &str) -> Descriptor {
        Descriptor::new(media_type, Digest::of(b""), 0)
    }

    fn text(media_type: &str, fields: serde_json::Value) -> Vec<u8> {
        let mut document = fields;
        document["schemaVersion"] = 2.into();
        if !media_type.is_empty() {
            document["mediaType"] = media_type.into();
        }
        serde_json::to_vec(&document).unwrap()
    }

    #[test]
    fn unknown_fields_are_kept_and_null_is_nothing() {
        let layer = serde_json::json!({
            "mediaType": media::LAYER, "digest": Digest::of(b""), "size": 0, "data": "eA==", "urls": null,
        });
        let bytes = text(
            media::MANIFEST,
            serde_json::json!({ "config": descriptor(media::CONFIG), "layers": [layer], "subject": 1,
                "annotations": null }),
        );
        let Document::Manifest(manifest) = Document::parse(&bytes, "").unwrap() else { panic!() };
        assert_eq!(manifest.other["subject"], 1);
        let again = serde_json::to_value(&manifest).unwrap();
        assert_eq!(again["layers"][0]["data"], "eA==");
        assert_eq!(again["subject"], 1);
        let null = text(media::DOCKER_LIST, serde_json::json!({ "manifests": null }));
        assert_eq!(
            Document::parse(&null, media::DOCKER_LIST).unwrap(),
            Document::Index(Index { media_type: media::DOCKER_LIST.into(), ..Index::default() })
        );
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        let manifest = serde_json::json!({ "config": descriptor(media::CONFIG), "layers": [] });
        let index = serde_json::json!({ "manifests": [] });
        let mut both = manifest.clone();
        both["manifests"] = serde_json::json!([]);
        let many = vec![descriptor(media::LAYER); MOST_LAYERS + 1];
        let many = serde_json::json!({ "config": descriptor(media::CONFIG), "layers": many });
        let negative = serde_json::json!({ "config": { "mediaType": "", "digest": Digest::of(b""), "size": -1 } });
        for (bytes, named) in [
            (text(media::MANIFEST, index.clone()), ""),
            (text(media::INDEX, manifest.clone()), media::MANIFEST),
            (text(media::MANIFEST, manifest.clone()), media::INDEX),
            (text("", both), ""),
            (text("", many), ""),
            (text("", negative), ""),
            (text("text/html", manifest.clone()), ""),
            (br#"{"schemaVersion":1,"fsLayers":[]}"#.to_vec(), ""),
            (b"<html>".to_vec(), ""),
            (b"[".repeat(100_000), ""),
            (b"null".to_vec(), ""),
        ] {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            assert!(Document::parse(&bytes, named).is_err(), "{shown}");
        }
        assert!(matches!(
            Document::parse(&text("", manifest), media::DOCKER_MANIFEST),
            Ok(Document::Manifest(_))
        ));
        assert!(matches!(Document::parse(&text("", index), ""), Ok(Document::Index(_))));
    }

    /// The OCI's own crate reads what we write, and the same in it.
    #[test]
    fn oci_spec_reads_the_same() {
        let mut manifest = Manifest::new(descriptor(media::CONFIG), vec![descriptor(media::LAYER)]);
        manifest.annotations.insert("a".to_owned(), "b".to_owned());
        let text = serde_json::to_vec(&manifest).unwrap();
        let theirs = oci_spec::image::ImageManifest::from_reader(&text[..]).unwrap();
        assert_eq!(theirs.layers()[0].digest().to_string(), Digest::of(b"").to_string());
        let again = serde_json::to_vec(&theirs).unwrap();
        assert_eq!(Document::parse(&again, "").unwrap(), Document::Manifest(Box::new(manifest)));
    }
}
