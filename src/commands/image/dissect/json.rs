//! `image dissect --format json`: written as it goes, a million files long if need be.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::Dissected;
use crate::commands::image::which::path_json;
use crate::error::{Error, Result};
use crate::image::dissect::efficiency;
use crate::image::dissect::listing::Entry;
use crate::image::dissect::stack::Change;
use crate::image::oci::Digest;
use crate::image::text;
use crate::image::unpack::pax::Time;

/// The whole image.
#[derive(Serialize)]
pub(super) struct Whole<'a> {
    reference: &'a str,
    digest: &'a Digest,
    size: u64,
    wasted_bytes: u64,
    efficiency: f64,
    config: serde_json::Value,
    layers: Vec<Layer<'a>>,
}

/// A layer.
#[derive(Serialize)]
pub(super) struct Layer<'a> {
    digest: &'a Digest,
    diff_id: &'a Digest,
    size: u64,
    created_by: Option<&'a str>,
    files: Files<'a>,
}

/// A member of a layer's archive.
#[derive(Serialize)]
pub(super) struct File {
    path: String,
    kind: &'static str,
    size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: serde_json::Number,
    link: Option<String>,
    change: &'static str,
}

impl<'a> Whole<'a> {
    pub(super) fn of(it: &'a Dissected<'_>) -> Result<Self> {
        let counted = efficiency::of(it.layers);
        let config = serde_json::from_slice(&it.image.config_bytes)
            .map_err(|error| Error::new("reading the config").said(error))?;
        Ok(Self {
            reference: &it.image.name,
            digest: &it.image.descriptor.digest,
            size: counted.size,
            wasted_bytes: counted.wasted,
            efficiency: counted.score,
            config,
            layers: (0..it.layers.len()).map(|at| Layer::of(it, at)).collect(),
        })
    }
}

impl<'a> Layer<'a> {
    pub(super) fn of(it: &'a Dissected<'_>, at: usize) -> Self {
        let layer = &it.layers[at];
        Self {
            digest: &layer.digest,
            diff_id: &layer.diff_id,
            size: layer.files_size(),
            created_by: it.made_by(at).and_then(|step| step.created_by.as_deref()),
            files: Files { it, at },
        }
    }
}

impl File {
    pub(super) fn of(entry: &Entry<'_>, change: Change) -> Self {
        Self {
            path: path_json(entry.path),
            kind: entry.kind.name(),
            size: entry.size,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: number(entry.mtime),
            link: entry.link.map(text::of),
            change: change.name(),
        }
    }
}

/// Seconds since 1970; with a fraction where the archive has one.
fn number(time: Time) -> serde_json::Number {
    let exact = time.seconds as f64 + f64::from(time.nanos) / 1e9;
    match time.nanos {
        0 => time.seconds.into(),
        _ => serde_json::Number::from_f64(exact).unwrap_or_else(|| time.seconds.into()),
    }
}

struct Files<'a> {
    it: &'a Dissected<'a>,
    at: usize,
}

impl Serialize for Files<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listing = &self.it.layers[self.at].listing;
        let mut list = serializer.serialize_seq(Some(listing.len()))?;
        for (entry, change) in listing.iter().zip(&self.it.stack.changes[self.at]) {
            list.serialize_element(&File::of(&entry, *change))?;
        }
        list.end()
    }
}
