//! Pushing an image: its layers, then the documents that name them, at last its name.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::Options;
use super::address::{own_place, shown};
use super::contents::Contents;
use super::exchange::{Exchange, Sends};
use super::patience::{Failure, Patience};
use super::repository::{PING, Repository};
use super::upload::{Upload, same_digest};
use super::workers::each;
use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Digest, Platform};
use crate::image::reference::Name;
use crate::image::remote::{self, Teller};
use crate::image::source::{Blob, Image};
use crate::image::store::Store;
use crate::step::{Observer, Step};

pub use super::upload::How;

/// Repositories that a blob may be mounted from: more are not asked.
const MOST_MOUNTS: usize = 4;

/// Why a manifest is put.
const MANIFEST: &str = "the manifest, now that everything that it names is there";

/// Why the last document is put.
const NAMED: &str = "everything is there: from now on it has its name";

/// What is asked for.
#[derive(Debug)]
pub struct Pushing<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its name there.
    pub name: Name,
    /// Only for the platform that was chosen, even if all others are here, too.
    pub one_platform: bool,
    /// How the registry is asked.
    pub options: Options,
}

/// What is there now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pushed {
    /// The name, in full.
    pub reference: String,
    /// Of what the name stands for there: the index, if it was pushed.
    pub digest: Digest,
    /// Bytes of that document.
    pub size: u64,
    /// Whether it is an index with everything that it names.
    pub index: bool,
    /// The layers, the lowest of the first manifest first.
    pub layers: Vec<PushedLayer>,
}

/// A layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushedLayer {
    /// Its digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// How it came there.
    pub how: How,
}

/// What belongs to it, and where some of it may be already.
struct Plan {
    contents: Contents,
    index: bool,
    /// By blob: repositories of the same registry that may have it.
    mounts: BTreeMap<Digest, Vec<String>>,
}

impl Plan {
    fn of(pushing: &Pushing<'_>, observer: &mut dyn Observer) -> Result<Self> {
        let image = pushing.image;
        let all = match pushing.one_platform {
            true => Ok(None),
            false => Contents::all(image),
        };
        let (contents, index) = match all {
            Ok(Some(contents)) => (contents, true),
            Ok(None) => (Contents::of(image)?, false),
            Err(_) => {
                observer.note(&format!(
                    "Of its index only the image for {} is here: that is pushed, without the index.",
                    image.config.platform()
                ));
                (Contents::of(image)?, false)
            }
        };
        let root = contents.documents.last().map(|(descriptor, _)| &descriptor.digest);
        if let (Some(wanted), Some(root)) = (pushing.name.digest(), root)
            && wanted != root
        {
            return Err(Error::usage(format!("{} has another digest", pushing.name.familiar()))
                .said(format!("what is pushed is {root}"))
                .hint(
                    "A name with a tag can stand for anything; one with a digest only for that.",
                ));
        }
        let mounts = mounts(&pushing.name, &contents);
        Ok(Self { contents, index, mounts })
    }

    fn neighbours(&self) -> Vec<&str> {
        let all: BTreeSet<&str> = self.mounts.values().flatten().map(String::as_str).collect();
        all.into_iter().collect()
    }
}

/// Where in the same registry a blob may be: images here that came from it, or
/// went to it, have its name.
fn mounts(name: &Name, contents: &Contents) -> BTreeMap<Digest, Vec<String>> {
    let mut mounts: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    let Ok(store) = Store::find() else { return mounts };
    for named in store.list().unwrap_or_default() {
        let Some(other) = &named.name else { continue };
        if other.registry() != name.registry() || other.path() == name.path() {
            continue;
        }
        // An image of which a part is missing says nothing; that is told elsewhere.
        let Ok(image) = store.read(&named, &Platform::host()) else { continue };
        for blob in image.manifest.layers.iter().chain([&image.manifest.config]) {
            let wanted = contents.layers.iter().chain(&contents.configs);
            let known = mounts.entry(blob.digest.clone()).or_default();
            let new = !known.iter().any(|path| path == other.path());
            if new
                && known.len() < MOST_MOUNTS
                && wanted.into_iter().any(|one| one.digest == blob.digest)
            {
                known.push(other.path().to_owned());
            }
        }
    }
    mounts.retain(|_, paths| !paths.is_empty());
    mounts
}

/// Brings an image to a registry. Call it while there is one thread only.
pub fn push(pushing: &Pushing<'_>, observer: &mut dyn Observer) -> Result<Pushed> {
    let plan = Plan::of(pushing, observer)?;
    remote::in_child(observer, |teller| {
        Push { pushing, plan: &plan, teller }.push().map_err(|failure| failure.error)
    })
}

/// A push that is going on.
struct Push<'a> {
    pushing: &'a Pushing<'a>,
    plan: &'a Plan,
    teller: Teller,
}

impl Push<'_> {
    fn push(mut self) -> Result<Pushed, Failure> {
        let Pushing { name, options, .. } = self.pushing;
        let repository =
            Repository::to_push(name, options, &self.plan.neighbours(), &mut self.teller)?;
        let Contents { documents, configs, layers, foreign } = &self.plan.contents;
        for layer in foreign {
            self.teller.note(&format!("{}: Skipped foreign layer", layer.digest.short()));
        }
        let blobs: Vec<_> = layers
            .iter()
            .map(|it| (it, true))
            .chain(configs.iter().map(|it| (it, false)))
            .collect();
        let how = each(blobs, &repository, &self.teller, |(blob, layer), teller| {
            self.blob(&repository, blob, layer, teller).map(|how| (&blob.digest, how))
        })?;
        let how: BTreeMap<_, _> = how.into_iter().collect();
        let last = documents.len() - 1;
        for (at, (descriptor, bytes)) in documents.iter().enumerate() {
            let reference = match name.tag() {
                Some(tag) if at == last => tag.to_owned(),
                _ => descriptor.digest.to_string(),
            };
            let why = if at == last { NAMED } else { MANIFEST };
            self.document(&repository, &reference, descriptor, bytes, why)?;
        }
        let (root, _) = &documents[last];
        let pushed = |layer: &Descriptor| PushedLayer {
            digest: layer.digest.clone(),
            size: layer.size,
            how: how.get(&layer.digest).cloned().unwrap_or(How::Existed),
        };
        Ok(Pushed {
            reference: name.to_string(),
            digest: root.digest.clone(),
            size: root.size,
            index: self.plan.index,
            layers: layers.iter().map(pushed).collect(),
        })
    }

    fn blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        layer: bool,
        teller: &mut Teller,
    ) -> Result<How, Failure> {
        let image = self.pushing.image;
        let open = || -> Result<Blob> {
            // An archive of docker's has no config among its blobs.
            match *descriptor == image.manifest.config {
                true => Ok(Box::new(std::io::Cursor::new(image.config_bytes.clone()))),
                false => image.blob(descriptor),
            }
        };
        let mounts = self.plan.mounts.get(&descriptor.digest).map_or(&[][..], Vec::as_slice);
        let label = descriptor.digest.short().to_owned();
        let upload =
            Upload { descriptor, open: &open, mounts, label: layer.then_some(label.as_str()) };
        repository.upload(&upload, teller)
    }

    fn document(
        &mut self,
        repository: &Repository,
        reference: &str,
        descriptor: &Descriptor,
        bytes: &[u8],
        why: &str,
    ) -> Result<(), Failure> {
        let exchange = Exchange {
            method: Method::PUT,
            url: repository.address(&format!("manifests/{reference}"))?,
            query: String::new(),
            headers: vec![(CONTENT_TYPE, descriptor.media_type.clone())],
            sends: Sends::Text(bytes),
            wanted: &[StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED],
            why,
        };
        let answer = Patience::new().persist(&mut self.teller, |patience, observer| {
            repository.exchange(&exchange, patience, &mut 0, observer)
        })?;
        same_digest(answer.headers(), &descriptor.digest.to_string())
            .map_err(|said| Failure::lie(exchange.error(&exchange.url).said(said)))
    }
}

/// The steps of a push, not performed.
pub fn describe(pushing: &Pushing<'_>, observer: &mut dyn Observer) -> Result<Vec<Step>> {
    let plan = Plan::of(pushing, observer)?;
    let place = own_place(&pushing.name, &pushing.options)?;
    let Some(base) = place.bases.first() else { return Ok(Vec::new()) };
    let step = |method: Method, what: &str, query: &str, why: &str| -> Result<Step> {
        let path = match what {
            "" => "v2/".to_owned(),
            what => format!("v2/{}/{what}", pushing.name.path()),
        };
        let url = base.join(&path).map_err(|error| Error::new(shown(base)).said(error))?;
        let (headers, query) = (Vec::new(), query.to_owned());
        let exchange = Exchange {
            method,
            url: url.clone(),
            query,
            headers,
            sends: Sends::Nothing,
            wanted: &[],
            why,
        };
        Ok(exchange.step(&url, false))
    };
    let mut steps = vec![step(Method::GET, "", "", PING)?];
    let Contents { documents, configs, layers, .. } = &plan.contents;
    for blob in layers.iter().chain(configs) {
        let digest = &blob.digest;
        let (is, size) = (format!("blobs/{digest}"), blob.size);
        steps.push(step(Method::HEAD, &is, "", "is it there already? Then it need not be sent")?);
        for from in plan.mounts.get(digest).into_iter().flatten() {
            let query = format!("mount={digest}&from={from}");
            steps.push(step(
                Method::POST,
                "blobs/uploads/",
                &query,
                "if not: the registry may have it elsewhere",
            )?);
        }
        let why = format!("if not: an upload of {size} bytes begins");
        steps.push(step(Method::POST, "blobs/uploads/", "", &why)?);
        steps.push(step(Method::PATCH, "blobs/uploads/$session", "", "the bytes")?);
        let query = format!("digest={digest}");
        steps.push(step(Method::PUT, "blobs/uploads/$session", &query, "that was all of it")?);
    }
    for (at, (descriptor, _)) in documents.iter().enumerate() {
        let last = at + 1 == documents.len();
        let digest = descriptor.digest.to_string();
        let reference = pushing.name.tag().filter(|_| last).unwrap_or(&digest);
        let why = if last { NAMED } else { MANIFEST };
        steps.push(step(Method::PUT, &format!("manifests/{reference}"), "", why)?);
    }
    Ok(steps)
}
