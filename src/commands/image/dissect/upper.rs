//! The upper half of an image: what its documents say. It needs no layer, so it can be
//! had of an image that is still in its registry.

use serde_json::json;

use crate::cli::dissect::Dissect;
use crate::commands::image::history;
use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Digest};
use crate::image::source::Image;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::{Align, Column, Screen, Style, Table, Value, shown};

/// What a registry says of an image whose layers are not here.
pub(super) fn run(args: &Dissect, image: &Image, screen: &mut Screen) -> Result<u8> {
    let pull = format!("under-the-hood image pull {}", args.which.name());
    if args.tree || args.layer.is_some() || args.path.is_some() {
        return Err(Error::new(format!("the layers of {} are not here", shown(&image.name)))
            .said("its files are in them")
            .hint(format!("`{pull}` fetches them.")));
    }
    if screen.json_wanted() {
        screen.json(&as_json(image))?;
        return Ok(0);
    }
    documents(image, screen)?;
    screen.lines(&format!("layers   {} kept", bytes(image.size())))?;
    super::section("Layers, from the bottom up", screen)?;
    let rows: Vec<_> = image.layers().enumerate().map(Row::of).collect();
    screen.table(&LAYERS, &rows)?;
    super::section("The step that made each of them", screen)?;
    history::show(image, screen)?;
    screen.out("")?;
    screen.prose(&format!(
        "That is what the documents say. Which files are in the layers, what is hidden or wasted in them, and \
         which distribution this is, can only be read from the layers themselves: `{pull}`, then this again."
    ))?;
    Ok(0)
}

/// From the name down to the config: each document names the next by its digest.
pub(super) fn documents(image: &Image, screen: &mut Screen) -> Result<()> {
    let Image { name, index, descriptor, manifest, config, .. } = image;
    let name = screen.paint(&shown(name), Style::Heading);
    screen.out(&format!("{name}  {}", shown(&config.platform().to_string())))?;
    let line = |what: &str, digest: &dyn std::fmt::Display, size: u64, why: &str| {
        format!("{what:<8} {digest}\n         {size} bytes: {why}")
    };
    let mut lines = Vec::new();
    if let Some((descriptor, index)) = index {
        let why = match index.manifests.len() {
            1 => "names 1 manifest".to_owned(),
            many => format!("names {many} manifests, one a platform; this one is ours"),
        };
        lines.push(line("index", &descriptor.digest, descriptor.size, &why));
    }
    let layers = match manifest.layers.len() {
        1 => "1 layer".to_owned(),
        many => format!("{many} layers"),
    };
    let why = format!("names the config and {layers} by their digests");
    lines.push(line("manifest", &descriptor.digest, descriptor.size, &why));
    let why = "how a container starts, the history, the diff_ids";
    lines.push(line("config", &manifest.config.digest, manifest.config.size, why));
    screen.lines(&lines.join("\n"))
}

/// A layer of which nothing was read.
struct Row {
    number: usize,
    digest: String,
    diff_id: String,
    stored: u64,
}

impl Row {
    fn of((at, (descriptor, diff_id)): (usize, (&Descriptor, &Digest))) -> Self {
        Self {
            number: at + 1,
            digest: descriptor.digest.short().to_owned(),
            diff_id: diff_id.short().to_owned(),
            stored: descriptor.size,
        }
    }
}

const LAYERS: Table<Row> = Table(&[
    Column {
        name: "LAYER",
        align: Align::Right,
        help: "1 is the lowest",
        value: |row| Value::Number(row.number as u64),
    },
    Column {
        name: "DIGEST",
        align: Align::Left,
        help: "SHA-256 of its bytes as they are kept: its name in a registry",
        value: |row| Value::Text(row.digest.clone()),
    },
    Column {
        name: "DIFF_ID",
        align: Align::Left,
        help: "SHA-256 of its tar archive, not compressed: its name in the config",
        value: |row| Value::Text(row.diff_id.clone()),
    },
    Column {
        name: "STORED",
        align: Align::Right,
        help: "Its size, compressed",
        value: |row| Value::Text(bytes(row.stored)),
    },
]);

/// As of an image that is here; what only its layers say is null.
fn as_json(image: &Image) -> serde_json::Value {
    let made_by = image.config.made_by();
    let layer = |(at, (descriptor, diff_id)): (usize, (&Descriptor, &Digest))| {
        let step = made_by.get(at).copied().flatten();
        json!({
            "digest": descriptor.digest, "diff_id": diff_id, "stored_bytes": descriptor.size, "size": null,
            "created_by": step.and_then(|step| step.created_by.as_deref()), "files": null,
        })
    };
    json!({
        "reference": image.name, "digest": image.descriptor.digest,
        "size": null, "wasted_bytes": null, "efficiency": null,
        "config": serde_json::from_slice::<serde_json::Value>(&image.config_bytes).ok(),
        "layers": image.layers().enumerate().map(layer).collect::<Vec<_>>(),
    })
}
