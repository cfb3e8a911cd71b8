//! What is in a file of a layer: the layer is read up to it.

use std::io::Read;

use super::listing::{Entry, Kind};
use crate::error::{Error, Result};
use crate::image::source::Image;
use crate::image::unpack::member::Archive;
use crate::image::unpack::name::shown;
use crate::image::unpack::{Limits, compression};

/// The first bytes of the file that is this layer's member number `at`, and whether there
/// are more; of a hard link, what it is another name of.
pub fn first(
    image: &Image,
    layer: usize,
    at: usize,
    entry: &Entry<'_>,
    most: usize,
) -> Result<(Vec<u8>, bool)> {
    let wrong =
        |what: &str| Error::new(format!("reading {}", shown(entry.path))).said(what.to_owned());
    if entry.kind != Kind::File {
        return Err(wrong("only a regular file has content"));
    }
    let (descriptor, _) =
        image.layers().nth(layer).ok_or_else(|| wrong("there is no such layer"))?;
    let limits = Limits::default();
    let source = compression::decompressed(image.blob(descriptor)?)?;
    let mut archive = Archive::new(source, &limits);
    let mut number = 0;
    while archive.next_member()?.is_some() {
        if number < at {
            number += 1;
            continue;
        }
        let mut bytes = Vec::new();
        loop {
            let chunk = archive.chunk(u64::MAX)?;
            let room = most - bytes.len();
            if chunk.is_empty() || room == 0 {
                return Ok((bytes, !chunk.is_empty()));
            }
            let length = chunk.take(room as u64).read_to_end(&mut bytes).unwrap_or(0);
            archive.consume(length);
        }
    }
    Err(wrong("it is not where it was"))
}
