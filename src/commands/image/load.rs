//! `image load`.

use serde_json::json;

use crate::cli::Global;
use crate::cli::image::Load;
use crate::error::{Error, Result};
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::source::{self, Image};
use crate::image::store::{self, Store};
use crate::ui::Screen;

/// `image load`
pub fn run(args: &Load, global: &Global, screen: &mut Screen) -> Result<u8> {
    let platform = args.platform.as_deref().map_or_else(|| Ok(Platform::host()), str::parse)?;
    let name: Option<Name> = args.name.as_deref().map(str::parse).transpose()?;
    if let Some(base) = name.as_ref().filter(|name| name.is_local()) {
        return Err(Error::usage(format!("{} is reserved", base.familiar())).hint(
            "What is called localhost/under-the-hood/ is made on this machine; take another name.",
        ));
    }
    let images = images(&args.source, name, &platform)?;
    if global.dry_run {
        return screen.plan(&store::describe(&images, &Store::find()?)?).map(|()| 0);
    }
    let lease = Store::open()?.lease()?;
    let mut loaded = Vec::new();
    for (names, image) in &images {
        store::copy(image, names, &lease, screen)?;
        for name in names {
            let digest = image.descriptor.digest.to_string();
            loaded.push(json!({ "name": name.to_string(), "digest": digest }));
            if !screen.json_wanted() {
                screen.out(&name.familiar())?;
            }
        }
    }
    match screen.json_wanted() {
        true => screen.json(&json!({ "loaded": loaded })).map(|()| 0),
        false => Ok(0),
    }
}

/// The images that are meant, each with at least one name. What an archive calls
/// `base` is not ours.
fn images(given: &str, name: Option<Name>, platform: &Platform) -> Result<Vec<(Vec<Name>, Image)>> {
    let reference = match given.parse()? {
        // A path without a `/` is more likely here than a name.
        Reference::Named(_) if std::path::Path::new(given).exists() => {
            Reference::Path(given.into())
        }
        other => other,
    };
    let chosen = match &reference {
        Reference::Oci { tag: Some(tag), .. } => tag.contains(['/', ':']).then(|| tag.parse().ok()),
        Reference::DockerArchive { name: Some(name), .. } => Some(Some(name.clone())),
        Reference::DockerDaemon(name) => Some(name.parse().ok()),
        Reference::Named(name) => {
            return Err(Error::usage(format!(
                "{} is neither a path nor in a layout",
                name.familiar()
            ))
            .hint(
                "An archive that is there, oci:DIR, docker-archive:FILE or docker-daemon:NAME.",
            ));
        }
        _ => None,
    };
    let mut images = match (&name, &chosen, &reference) {
        (
            None,
            None,
            Reference::Oci { tag: None, .. } | Reference::DockerArchive { .. } | Reference::Path(_),
        ) => source::all(&reference, platform)?,
        _ => {
            let names = name.clone().or(chosen.flatten()).into_iter().collect();
            vec![(names, source::open(&reference, platform)?)]
        }
    };
    for (names, _) in &mut images {
        names.retain(|name| !name.is_local() || name.is_base());
    }
    match images.iter().any(|(names, _)| names.is_empty()) {
        false => Ok(images),
        true => Err(Error::new(format!("{reference} does not say how its image is called"))
            .hint("--name NAME gives it one.")),
    }
}
