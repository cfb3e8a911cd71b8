//! `image save`.

use serde_json::json;

use crate::cli::Global;
use crate::cli::image::Save;
use crate::error::{Error, Result};
use crate::image::export::Export;
use crate::image::export_directory::ExportDirectory;
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::source::{self, Image};
use crate::image::{save, store};
use crate::ui::Screen;

/// `image save`
pub fn run(args: &Save, global: &Global, screen: &mut Screen) -> Result<u8> {
    let images: Vec<(Name, Image)> =
        args.images.iter().map(|given| found(given)).collect::<Result<_>>()?;
    let path = store::Store::find()?.path().display().to_string();
    let first = images.first().map(|(name, _)| name.to_string()).unwrap_or_default();
    let from = format!("skopeo copy oci:{path}:{first}");
    let output = args.output.to_string_lossy();
    let reference = output.starts_with("oci:").then(|| output.parse()).transpose()?;
    let bytes = if let Some(Reference::Oci { path, tag }) = reference {
        if let (Some(tag), true) = (&tag, images.len() > 1) {
            return Err(Error::usage(format!(
                "{} images cannot all be called {tag}",
                images.len()
            ))
            .hint("oci:DIR without a tag: then each keeps its own."));
        }
        let export = ExportDirectory::to(&path)?;
        let shell = format!("{from} oci:FILE");
        if global.dry_run {
            return screen.plan(&export.describe(&shell)).map(|()| 0);
        }
        export.write(&images, tag.as_deref(), ["image save", &shell], screen)?
    } else {
        let export = Export::to(&args.output, global.yes)?;
        let shell = format!("{from} oci-archive:FILE");
        if global.dry_run {
            return screen.plan(&export.describe(&shell)).map(|()| 0);
        }
        export.write("image save", &shell, screen, |out| save::write(&images, out))?
    };
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
