//! The index: what a layer was found to have in it, kept by its digest, so that
//! the second time nothing has to be unpacked. Only a layer whose digest, size
//! and diff_id were all right is kept. It is a cache: what cannot be read or is
//! of another version is as if it were not there.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::Layer;
use super::listing::{Listing, Reader, write_bytes, write_number};
use crate::error::{Context, Result};
use crate::home::{self, Place};
use crate::image::oci::Digest;

/// The first line of such a file; another one when anything below changes.
const VERSION: &[u8] = b"under-the-hood layer 1\n";

fn path(digest: &Digest) -> Result<PathBuf> {
    let directory = home::open(Place::Cache, "layers")?;
    Ok(directory.join(format!("{}-{}", digest.algorithm(), digest.hex())))
}

/// What is known of a layer, if it was read before.
pub fn load(digest: &Digest) -> Option<Layer> {
    let mut bytes = fs::read(path(digest).ok()?).ok()?;
    let sum: Digest =
        std::str::from_utf8(bytes.get(bytes.len().checked_sub(71)?..)?).ok()?.parse().ok()?;
    bytes.truncate(bytes.len() - 71);
    if Digest::of(&bytes) != sum {
        return None;
    }
    let mut reader = Reader { bytes: bytes.strip_prefix(VERSION)? };
    let mut text = || reader.with_length().and_then(|text| std::str::from_utf8(text).ok());
    let (found, diff_id): (Digest, Digest) = (text()?.parse().ok()?, text()?.parse().ok()?);
    let witness = text()?.to_owned();
    let (stored, bytes) = (reader.number()?, reader.number()?);
    let mut kept = Vec::new();
    for _ in 0..reader.number()? {
        kept.push((reader.with_length()?.to_vec(), reader.with_length()?.to_vec()));
    }
    let listing = Listing::decode(reader.bytes.to_vec())?;
    (found == *digest).then_some(Layer {
        digest: found,
        diff_id,
        stored,
        bytes,
        listing,
        kept,
        witness,
    })
}

/// Keeps what was found. Written under another name first: a reader sees all of
/// it or nothing; what a killed writer left is written over by the next.
pub fn save(layer: &Layer) -> Result<()> {
    let path = path(&layer.digest)?;
    let mut bytes = VERSION.to_vec();
    for text in [layer.digest.to_string(), layer.diff_id.to_string(), layer.witness.clone()] {
        write_bytes(&mut bytes, text.as_bytes());
    }
    for number in [layer.stored, layer.bytes, layer.kept.len() as u64] {
        write_number(&mut bytes, number);
    }
    for (name, content) in &layer.kept {
        write_bytes(&mut bytes, name);
        write_bytes(&mut bytes, content);
    }
    bytes.extend_from_slice(layer.listing.encoded());
    let sum = Digest::of(&bytes).to_string();
    let new = path.with_extension("new");
    let call = || format!("write({new:?})");
    let mut file = fs::File::create(&new).tried(call)?;
    file.write_all(&bytes).and_then(|()| file.write_all(sum.as_bytes())).tried(call)?;
    fs::rename(&new, &path).tried(|| format!("rename({new:?}, {path:?})"))
}
