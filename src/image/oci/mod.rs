//! What an image is on paper: JSON documents that name each other by digest.
//!
//! An *index* names one manifest for each platform; a *manifest* names a config
//! and the layers; the *config* says how a container is started and, in
//! `rootfs.diff_ids` and `history`, what each layer is when it is unpacked and
//! which line of a Dockerfile made it. The formats are those of the OCI image
//! specification and docker's schema 2, which differ in their media types only.
//!
//! Whoever reads a document gets every field of it: what this program does not
//! know is kept in `other` and written again. And nothing is believed for
//! standing there: a digest that is not well formed never becomes part of a
//! path ([`Digest`]), what claims to be huge is not read ([`MOST_BYTES`]), and
//! what is read is held against its digest and size ([`Verified`]).

mod config;
mod descriptor;
mod digest;
mod manifest;
mod platform;
mod verified;

pub use config::{Config, Execution, History, RootFs};
pub use descriptor::{Descriptor, REF_NAME, media};
pub use digest::{Digest, Hasher, hex};
pub use manifest::{Document, Index, Manifest};
pub use platform::Platform;
pub use verified::{DAMAGED, Verified, same_diff_id, whole};

/// Bytes that an index, a manifest or a config may have.
pub const MOST_BYTES: u64 = 4 << 20;

/// Layers that an image may have.
pub const MOST_LAYERS: usize = 1000;

/// How often an index may name an index.
pub const MOST_NESTING: usize = 4;

/// Fields that this program does not know, kept as they are.
pub type Other = serde_json::Map<String, serde_json::Value>;

/// A field that Go programs write as `null` when there is nothing in it.
fn or_null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    use serde::Deserialize;
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
