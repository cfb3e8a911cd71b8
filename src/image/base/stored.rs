//! The base image in the store, so that it can be dissected, saved and pushed like
//! any other: one layer, which is not compressed, so that its digest is its diff_id.

use std::io::{BufWriter, Write};

use super::{NAME, Plan, execution};
use crate::error::{Context, Error, Result};
use crate::image::archive;
use crate::image::oci::{
    Config, Descriptor, Digest, History, Manifest, Other, Platform, RootFs, media,
};
use crate::image::reference::Name;
use crate::image::store::{Entry, Store};
use crate::step::{Observer, Step};

/// The time that everything in it has: the same image is the same bytes.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// What the store gets: all of it follows from the tree's files.
struct Documents {
    layer: Descriptor,
    config: (Descriptor, Vec<u8>),
    manifest: (Descriptor, Vec<u8>),
}

fn documents(plan: &Plan) -> Result<Documents> {
    let layer: Digest = format!("sha256:{}", plan.key).parse()?;
    let platform = Platform::host();
    let made = History {
        created: Some(CREATED.to_owned()),
        created_by: Some("under-the-hood image base".to_owned()),
        ..History::default()
    };
    let config = Config {
        created: Some(CREATED.to_owned()),
        author: None,
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        config: execution(),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![layer.clone()] },
        history: vec![made],
        other: Other::new(),
    };
    let size = archive::size(&plan.contents.entries)?;
    let layer = Descriptor::new(media::LAYER, layer, size);
    let bytes = json(&config)?;
    let config = (Descriptor::of(media::CONFIG, &bytes), bytes);
    let bytes = json(&Manifest::new(config.0.clone(), vec![layer.clone()]))?;
    let mut descriptor = Descriptor::of(media::MANIFEST, &bytes);
    descriptor.platform = Some(Platform::host());
    Ok(Documents { layer, config, manifest: (descriptor, bytes) })
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::new("writing the base image's documents").said(error))
}

/// Brings the image that was made by this plan into the store; nothing if it is there.
pub fn enter(plan: &Plan, observer: &mut dyn Observer) -> Result<()> {
    let name: Name = NAME.parse()?;
    if is_there(plan, &Store::find()?)? {
        return Ok(());
    }
    let Documents { layer, config, manifest } = documents(plan)?;
    let lease = Store::open()?.lease()?;
    if let Entry::New(mut writer) = lease.enter(&layer)? {
        writer.restart()?;
        let mut out = BufWriter::with_capacity(1 << 16, &mut *writer);
        archive::write(&plan.contents.entries, &mut out)?;
        out.flush().tried(|| "writing the base image's layer")?;
        drop(out);
        writer.finish(observer)?;
    }
    for (descriptor, bytes) in [&config, &manifest] {
        lease.put(descriptor, bytes, observer)?;
    }
    lease.name(&name, &manifest.0, None, observer)
}

/// Whether the store's image of this name is the one that the plan makes.
fn is_there(plan: &Plan, store: &Store) -> Result<bool> {
    let name: Name = NAME.parse()?;
    let Some(named) = store.resolve(&name)? else { return Ok(false) };
    let image = store.read(&named, &Platform::host());
    Ok(image.is_ok_and(|image| {
        let layers = image.config.rootfs.diff_ids.iter().map(Digest::hex);
        layers.eq([plan.key.as_str()]) && image.layers().all(|(layer, _)| store.has(layer))
    }))
}

/// The steps, not performed.
pub fn describe(plan: &Plan, store: &Store) -> Result<Vec<Step>> {
    if is_there(plan, store)? {
        return Ok(Vec::new());
    }
    let Documents { layer, config, manifest } = documents(plan)?;
    let blobs = [layer, config.0, manifest.0].into_iter().filter(|blob| !store.has(blob));
    let entering = blobs.map(|blob| store.entering(&blob.digest));
    Ok(entering.chain([store.naming(NAME)]).collect())
}
