//! `image save`.

use serde_json::json;

use crate::cli::Global;
use crate::cli::image::Save;
use crate::error::{Error, Result};
use crate::image::export::Export;
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::source::{self, Image};
use crate::image::{save, store};
use crate::ui::Screen;

/// `image save`
pub fn run(args: &Save, global: &Global, screen: &mut Screen) -> Result<u8> {
    let images: Vec<(Name, Image)> =
        args.images.iter().map(|given| found(given)).collect::<Result<_>>()?;
    let export = Export::to(&args.output, global.yes)?;
    let path = store::Store::find()?.path().display().to_string();
    let first = images.first().map(|(name, _)| name.to_string()).unwrap_or_default();
    let shell = format!("skopeo copy oci:{path}:{first} oci-archive:FILE");
    if global.dry_run {
        return screen.plan(&export.describe(&shell)).map(|()| 0);
    }
    let bytes = export.write("image save", &shell, screen, |out| save::write(&images, out))?;
    if screen.json_wanted() {
        let names: Vec<_> = images.iter().map(|(name, _)| name.to_string()).collect();
        return screen
            .json(&json!({ "images": names, "path": args.output, "bytes": bytes }))
            .map(|()| 0);
    }
    screen.note(&format!("{} ({bytes} bytes)", args.output.display()));
    Ok(0)
}

/// The image, and the name that it has in the archive.
fn found(given: &str) -> Result<(Name, Image)> {
    let reference: Reference = given.parse()?;
    let Reference::Named(name) = &reference else {
        return Err(Error::usage(format!(
            "{} has no name to be saved under",
            given.escape_debug()
        ))
        .hint("`under-the-hood image load --name NAME` brings it in under one."));
    };
    Ok((name.clone(), source::open(&reference, &Platform::host())?))
}
