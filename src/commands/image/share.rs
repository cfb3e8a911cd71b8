//! `image share`: which layers which images have in common, as stacks that
//! stand beside each other. What docker says "Already exists" to is a row with
//! more than one box.

use serde_json::json;

use super::which::open;
use crate::cli::dissect;
use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Platform};
use crate::image::share::{Common, common};
use crate::image::source::Image;
use crate::image::store::Store;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::{Screen, shown};

/// As many stacks fit beside each other.
const MOST: usize = 12;

/// `image share`
pub fn run(args: &dissect::Share, screen: &mut Screen) -> Result<u8> {
    let images = match args.images.is_empty() {
        true => all()?,
        false => args.images.iter().map(|name| open(name, None)).collect::<Result<_>>()?,
    };
    if images.is_empty() {
        return Err(Error::new("there is no image here yet")
            .hint("`under-the-hood image pull NAME` fetches one; or name some: `image share oci:DIR:TAG ...`."));
    }
    let rows = common(&images);
    let apart: u64 = images.iter().map(Image::size).sum();
    let together: u64 = rows.iter().map(|row| row.descriptor.size).sum();
    if screen.json_wanted() {
        screen.json(&as_json(&images, &rows, apart, together))?;
    } else {
        show(&images, &rows, screen)?;
        let shared = rows.iter().filter(|row| row.images.len() > 1).count();
        screen.out(&format!(
            "\n{} layers, {shared} of them in more than one image.\n{} kept once; apart they were {}: {} saved.",
            rows.len(),
            bytes(together),
            bytes(apart),
            bytes(apart.saturating_sub(together))
        ))?;
    }
    Ok(0)
}

/// Every image in the store; an image that cannot be read is an error, not left out.
fn all() -> Result<Vec<Image>> {
    let store = Store::find()?;
    store.list()?.iter().map(|named| store.read(named, &Platform::host())).collect()
}

fn show(images: &[Image], rows: &[Common<'_>], screen: &mut Screen) -> Result<()> {
    let letter = |at: usize| char::from(b'A' + u8::try_from(at).unwrap_or(0));
    let shown_images = images.len().min(MOST);
    for (at, image) in images.iter().enumerate().take(shown_images) {
        screen.out(&format!("{}  {}", letter(at), shown(&image.name)))?;
    }
    if images.len() > MOST {
        let more = images.len() - MOST;
        screen.out(&format!("and {more} more: name those that you want to see"))?;
    }
    let heads: String = (0..shown_images).map(|at| format!("  {} ", letter(at))).collect();
    screen.out(&format!("\n{heads}  LAYER             STORED"))?;
    for row in rows.iter().rev() {
        let there = |at: usize| if row.images.contains(&at) { "[##]" } else { "    " };
        let boxes: String = (0..shown_images).map(there).collect();
        if boxes.trim().is_empty() {
            continue;
        }
        let Descriptor { digest, size, .. } = row.descriptor;
        let note = match row.images.len() {
            1 => String::new(),
            many => format!("  kept once for {many}"),
        };
        screen.out(&format!("{boxes}  {}  {:>10}{note}", digest.short(), bytes(*size)))?;
    }
    Ok(())
}

fn as_json(images: &[Image], rows: &[Common<'_>], apart: u64, together: u64) -> serde_json::Value {
    let name = |at: &usize| &images[*at].name;
    let layer = |row: &Common<'_>| {
        json!({
            "digest": row.descriptor.digest, "stored_bytes": row.descriptor.size,
            "images": row.images.iter().map(name).collect::<Vec<_>>(),
        })
    };
    json!({
        "images": images.iter().map(|image| &image.name).collect::<Vec<_>>(),
        "layers": rows.iter().map(layer).collect::<Vec<_>>(),
        "bytes": together, "bytes_apart": apart, "saved_bytes": apart.saturating_sub(together),
    })
}
