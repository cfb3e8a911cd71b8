//! An image from elsewhere on this machine comes into the store.

use std::collections::HashSet;
use std::io::{self, Write};

use super::wrapped::wrapped;
use super::{Entry, Lease, Store, Writer};
use crate::error::{Context, Error, Result};
use crate::image::oci::{DAMAGED, Descriptor};
use crate::image::reference::Name;
use crate::image::source::Image;
use crate::step::{Observer, Step};

/// Brings an image in under these names; everything is verified on the way.
pub fn copy(
    image: &Image,
    names: &[Name],
    lease: &Lease,
    observer: &mut dyn Observer,
) -> Result<()> {
    for (layer, _) in image.layers() {
        if let Entry::New(writer) = lease.enter(layer)? {
            fill(image, layer, *writer, observer)?;
        }
    }
    lease.put(&image.manifest.config, &image.config_bytes, observer)?;
    lease.put(&image.descriptor, &image.manifest_bytes, observer)?;
    let index = image.index.as_ref().map(|(descriptor, _)| &descriptor.digest);
    let mut descriptor = image.descriptor.clone();
    descriptor.platform = Some(image.config.platform());
    names.iter().try_for_each(|name| lease.name(name, &descriptor, index, observer))
}

/// The steps in which images come in under these names, not performed.
pub fn describe(images: &[(Vec<Name>, Image)], store: &Store) -> Result<Vec<Step>> {
    let (mut steps, mut entering) = (Vec::new(), HashSet::new());
    for (names, image) in images {
        let layers = image.layers().map(|(layer, _)| layer);
        let mut blobs: Vec<_> =
            layers.chain([&image.manifest.config, &image.descriptor]).cloned().collect();
        blobs.extend(wrapped(&image.descriptor)?.map(|(index, _)| index));
        let new = |blob: &&Descriptor| !store.has(blob) && entering.insert(blob.digest.clone());
        steps.extend(blobs.iter().filter(new).map(|blob| store.entering(&blob.digest)));
        steps.extend(names.iter().map(|name| store.naming(&name.familiar())));
    }
    Ok(steps)
}

fn fill(
    image: &Image,
    layer: &Descriptor,
    mut writer: Writer,
    observer: &mut dyn Observer,
) -> Result<()> {
    match pour(image, layer, &mut writer, observer) {
        Ok(()) => writer.finish(observer),
        Err(error) => {
            // A file is read again from its beginning as fast as it could be gone on with.
            writer.discard()?;
            Err(damaged(error))
        }
    }
}

fn pour(
    image: &Image,
    layer: &Descriptor,
    writer: &mut Writer,
    observer: &mut dyn Observer,
) -> Result<()> {
    writer.restart()?;
    let shown = format!("layer {}", layer.digest.short());
    let mut source = image.blob(layer)?;
    let mut buffer = vec![0; 1 << 17];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                writer.write_all(&buffer[..count]).map_err(|error| writer.failed(&error))?
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map(drop).tried(|| format!("reading {shown}"))?,
        }
        observer.progress(&shown, writer.have(), layer.size);
    }
    observer.progress_over(&shown);
    Ok(())
}

fn damaged(error: Error) -> Error {
    match error.hint {
        None => error.hint(DAMAGED),
        Some(_) => error,
    }
}
