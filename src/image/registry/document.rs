//! The documents of an image, from a registry: index, manifest, config.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;

use super::Options;
use super::address::shown;
use super::patience::{Failure, Patience};
use super::repository::Repository;
use super::request::{Ask, asking};
use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Digest, MOST_BYTES, media};
use crate::image::reference::Name;
use crate::image::remote::Teller;
use crate::image::source::{Blob, Blobs};
use crate::step::Observer;

/// What we can read, the best first.
pub const DOCUMENTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The header in which a registry says what a tag stands for.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Why a name is asked for.
pub const NAMED: &str =
    "what the name stands for: an index, with a manifest for each platform, or one manifest";

/// Documents, by digest; they are few and small, and fetched once.
pub struct Documents {
    repository: Arc<Repository>,
    teller: Teller,
    known: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl Documents {
    /// Finds the registry that has an image; the second is what its name stands for.
    pub fn find(name: &Name, options: &Options, teller: &Teller) -> Result<(Self, Descriptor)> {
        let root =
            |repository: &Repository, observer: &mut dyn Observer| repository.named(name, observer);
        let (repository, (descriptor, bytes)) =
            Repository::find(name, options, &mut teller.clone(), root)?;
        let known = Mutex::new(BTreeMap::from([(descriptor.digest.clone(), bytes)]));
        Ok((Self { repository: Arc::new(repository), teller: teller.clone(), known }, descriptor))
    }

    /// The repository that they are from.
    pub fn repository(&self) -> &Arc<Repository> {
        &self.repository
    }

    /// All that were read.
    pub fn known(&self) -> BTreeMap<Digest, Vec<u8>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Blobs for Documents {
    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = known.get(&descriptor.digest) {
            return Ok(Box::new(Cursor::new(bytes.clone())));
        }
        let bytes = self.repository.document(descriptor, &mut self.teller.clone())?;
        known.insert(descriptor.digest.clone(), bytes.clone());
        Ok(Box::new(Cursor::new(bytes)))
    }
}

impl Repository {
    /// What a name stands for here.
    fn named(&self, name: &Name, observer: &mut dyn Observer) -> Result<(Descriptor, Vec<u8>)> {
        let url = self.address(&format!("manifests/{}", name.wanted()))?;
        let answer = self.whole(&url, Some(DOCUMENTS), NAMED, observer)?;
        let hasher = name.digest().map_or_else(Default::default, Digest::hasher);
        let digest = sum(hasher, &answer.bytes);
        let lies = |said: String| Err(asking(&url).said(said).hint(LIES));
        if let Some(wanted) = name.digest()
            && *wanted != digest
        {
            return lies(format!("the sum of what came is {digest}"));
        }
        if let Some(said) = &answer.digest {
            let said: Digest = said.parse()?;
            let found = sum(said.hasher(), &answer.bytes);
            if said != found {
                return lies(format!(
                    "it says that this is {said}, and the sum of what came is {found}"
                ));
            }
        }
        let kind = kind(&answer.media_type).map_err(|said| {
            asking(&url).said(said).hint("What answers there may not be a registry.")
        })?;
        Ok((Descriptor::new(kind, digest, answer.bytes.len() as u64), answer.bytes))
    }

    /// A document that another one names.
    fn document(&self, descriptor: &Descriptor, observer: &mut dyn Observer) -> Result<Vec<u8>> {
        let (digest, kind) = (&descriptor.digest, &descriptor.media_type);
        let (what, accept, why) = match media::is_index(kind) || media::is_manifest(kind) {
            true => (
                "manifests",
                Some(DOCUMENTS),
                "the manifest for this platform: it names config and layers",
            ),
            false => ("blobs", None, "the config: how a container is started, what its layers are"),
        };
        if descriptor.size > MOST_BYTES {
            return Err(too_large(&format!("{digest} has {} bytes", descriptor.size)));
        }
        let url = self.address(&format!("{what}/{digest}"))?;
        Ok(self.whole(&url, accept, why, observer)?.bytes)
    }

    /// A whole answer, in memory.
    fn whole(
        &self,
        url: &Url,
        accept: Option<&str>,
        why: &str,
        observer: &mut dyn Observer,
    ) -> Result<Whole> {
        let mut patience = Patience::new();
        let whole = patience.persist(observer, |patience, observer| {
            let limit = Some(patience.limit());
            let ask = Ask { url: url.clone(), accept, from: 0, limit, why };
            let answer = self.get(&ask, observer)?;
            let header = |name: &str| -> Option<String> {
                Some(answer.headers().get(name)?.to_str().unwrap_or("?").to_owned())
            };
            let media_type = header(CONTENT_TYPE.as_str()).unwrap_or_default();
            let digest = header(CONTENT_DIGEST);
            if let Some(length) = answer.content_length().filter(|length| *length > MOST_BYTES) {
                return Err(Failure::lie(too_large(&format!("{} has {length} bytes", shown(url)))));
            }
            let mut bytes = Vec::new();
            answer.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| {
                Failure::soon(
                    asking(url).said(format!("it was cut off: {}", crate::http::deepest(&error))),
                )
            })?;
            match bytes.len() as u64 > MOST_BYTES {
                true => Err(Failure::lie(too_large(&format!("{} goes on and on", shown(url))))),
                false => Ok(Whole { media_type, digest, bytes }),
            }
        });
        whole.map_err(|failure| failure.error)
    }
}

struct Whole {
    media_type: String,
    digest: Option<String>,
    bytes: Vec<u8>,
}

const LIES: &str = "It was refused. A proxy may have changed it, or the registry is broken.";

fn sum(mut hasher: crate::image::oci::Hasher, bytes: &[u8]) -> Digest {
    hasher.update(bytes);
    hasher.finish()
}

fn too_large(what: &str) -> Error {
    Error::new(format!("{what}, and a manifest or config may have {MOST_BYTES}"))
        .hint("What answers there may not be a registry.")
}

/// The type of a document; a server that only has files may not know it.
fn kind(content_type: &str) -> Result<&str, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let known =
        media::is_index(kind) || media::is_manifest(kind) || media::DOCKER_SCHEMA_1.contains(&kind);
    match kind {
        "" | "application/json" | "application/octet-stream" => Ok(""),
        kind if known => Ok(kind),
        kind => {
            Err(format!("it is {:?}, and no manifest", kind.chars().take(100).collect::<String>()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_what_the_server_says_if_it_knows() {
        assert_eq!(
            kind("application/vnd.oci.image.index.v1+json; charset=utf-8"),
            Ok(media::INDEX)
        );
        assert_eq!(kind("application/json"), Ok(""));
        assert!(kind("text/html; charset=utf-8").unwrap_err().contains("text/html"));
        assert!(
            DOCUMENTS.split(", ").all(|kind| media::is_index(kind) || media::is_manifest(kind))
        );
    }
}
