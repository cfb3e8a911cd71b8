//! `image rm`.

use serde_json::json;

use crate::cli::Global;
use crate::cli::image::Rm;
use crate::container::{kept, registry};
use crate::error::{Error, Result};
use crate::image::oci::Platform;
use crate::image::reference::Name;
use crate::image::rootfs;
use crate::image::store::{Named, Store};
use crate::ui::Screen;

/// `image rm`
pub fn run(args: &Rm, global: &Global, screen: &mut Screen) -> Result<u8> {
    let store = Store::find()?;
    let here = store.list()?;
    let mut chosen = Vec::new();
    for given in &args.images {
        for named in choose(given, &here, &store)? {
            if !chosen.contains(&named) {
                chosen.push(named);
            }
        }
    }
    if global.dry_run {
        let stays = here.iter().filter(|named| !chosen.contains(named));
        let mut steps = store.removal(&chosen)?;
        steps.extend(rootfs::removal(&trees(stays, &store)?)?);
        if steps.is_empty() {
            screen.note("Nothing to do: every file is needed by an image.");
        }
        return screen.plan(&steps).map(|()| 0);
    }
    let removed = store.remove(&chosen, screen)?;
    let trees = rootfs::remove(|| trees(store.list()?.iter(), &store), screen)?;
    // What the build cache led to may be gone now, too.
    crate::build::cache::prune(&store)?;
    if removed.busy {
        screen.note(
            "Another command is bringing an image in, so only the names are gone: what no image needs \
             goes with the next `image rm`.",
        );
    }
    let names: Vec<_> = chosen.iter().map(|named| shown(named).to_owned()).collect();
    if screen.json_wanted() {
        return screen
            .json(&json!({ "removed": names, "blobs": removed.blobs, "bytes": removed.bytes, "trees": trees }))
            .map(|()| 0);
    }
    for name in &names {
        screen.out(name)?;
    }
    screen.note(&format!(
        "Freed: blobs {} ({} bytes), unpacked trees {trees}.",
        removed.blobs, removed.bytes
    ));
    Ok(0)
}

fn shown(named: &Named) -> String {
    match &named.name {
        Some(name) => name.familiar(),
        None if named.text.is_empty() => named.descriptor.digest.to_string(),
        None => named.text.escape_debug().to_string(),
    }
}

/// What somebody means: a name, a name that another program gave, or the beginning
/// of an id (of the config, as `image ls` shows it, or of the manifest).
fn choose(given: &str, here: &[Named], store: &Store) -> Result<Vec<Named>> {
    let name: Option<Name> = given.parse().ok();
    // The very name first: a digest answers for a tag of the same image, too.
    let itself = |named: &&Named| {
        named.text == given || name.is_some() && named.name.as_ref() == name.as_ref()
    };
    let itself = here.iter().find(itself).cloned();
    let by_name = match (&itself, &name) {
        (None, Some(name)) => store.resolve(name)?,
        _ => None,
    };
    if let Some(found) = itself.or(by_name) {
        return Ok(vec![found]);
    }
    let id = given.strip_prefix("sha256:").unwrap_or(given);
    let starts = |named: &&Named| {
        let config = store.read(named, &Platform::host()).ok();
        let config = config.map(|image| image.manifest.config.digest);
        named.descriptor.digest.hex().starts_with(id)
            || config.is_some_and(|digest| digest.hex().starts_with(id))
    };
    let found: Vec<_> = match id.len() >= 4 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => here.iter().filter(starts).cloned().collect(),
        false => Vec::new(),
    };
    let several = found.iter().any(|one| one.descriptor.digest != found[0].descriptor.digest);
    match found.is_empty() {
        true => Err(Error::new(format!("there is no image {} here", given.escape_debug()))
            .hint("`under-the-hood image ls` shows what there is.")),
        false if several => Err(Error::usage(format!("{given} is the beginning of several ids"))
            .hint("Give a name, or more of the id.")),
        false => Ok(found),
    }
}

/// The trees that are needed: by images that stay, by containers that run or are kept.
fn trees<'a>(stays: impl Iterator<Item = &'a Named>, store: &Store) -> Result<Vec<String>> {
    let chain = |named: &Named| {
        let image = store.read(named, &Platform::host()).ok()?;
        Some(image.config.chain_id()?.hex().to_owned())
    };
    let running = registry::list()?.into_iter();
    let kept = kept::list()?.into_iter().map(|kept| kept.container);
    let containers = running.chain(kept).map(|container| container.rootfs);
    Ok(stays.filter_map(chain).chain(containers).collect())
}
