//! `image history`: the steps by which an image came about, and which of them
//! made a layer.

use serde_json::json;

use super::which::{NOT_SAID, misfit, step};
use crate::cli::dissect;
use crate::error::Result;
use crate::image::source::Image;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::{Align, Column, Screen, Table, Value, shown};

/// A step, and the layer that it made.
struct Row {
    /// 1 is the lowest.
    layer: Option<usize>,
    /// Bytes as they are kept.
    stored: Option<u64>,
    created_by: String,
}

const STEPS: Table<Row> = Table(&[
    Column {
        name: "LAYER",
        align: Align::Right,
        help: "Which layer it made; - where it changed the config only",
        value: |row| row.layer.map_or(Value::None, |layer| Value::Number(layer as u64)),
    },
    Column {
        name: "STORED",
        align: Align::Right,
        help: "The layer's size, compressed",
        value: |row| Value::maybe(row.stored.map(bytes)),
    },
    Column {
        name: "CREATED BY",
        align: Align::Left,
        help: "The step, mostly a line of a Dockerfile",
        value: |row| Value::Text(row.created_by.clone()),
    },
]);

/// `image history`
pub fn run(args: &dissect::History, screen: &mut Screen) -> Result<u8> {
    let image = args.which.documents(screen)?;
    match screen.json_wanted() {
        true => screen.json(&as_json(&image))?,
        false => show(&image, screen)?,
    }
    Ok(0)
}

/// The steps as a table, the first at the top.
pub(super) fn show(image: &Image, screen: &mut Screen) -> Result<()> {
    screen.hanging(&STEPS, &rows(image))?;
    if let Some(misfit) = misfit(&image.config) {
        screen.out(&format!("\n{}", crate::ui::wrap(&misfit, screen.width().min(100), "")))?;
    }
    Ok(())
}

fn rows(image: &Image) -> Vec<Row> {
    let mut layers = image.layers().enumerate();
    let mut rows: Vec<_> = image
        .config
        .history
        .iter()
        .map(|history| {
            let layer = if history.empty_layer { None } else { layers.next() };
            Row {
                layer: layer.map(|(at, _)| at + 1),
                stored: layer.map(|(_, (descriptor, _))| descriptor.size),
                created_by: step(history),
            }
        })
        .collect();
    rows.extend(layers.map(|(at, (descriptor, _))| Row {
        layer: Some(at + 1),
        stored: Some(descriptor.size),
        created_by: NOT_SAID.to_owned(),
    }));
    rows
}

fn as_json(image: &Image) -> serde_json::Value {
    let layers: Vec<_> = image.layers().collect();
    let steps = rows(image);
    let told = image.config.history.iter().map(Some).chain(std::iter::repeat(None));
    let steps: Vec<_> = steps
        .iter()
        .zip(told)
        .map(|(row, history)| {
            let layer = row.layer.and_then(|layer| layers.get(layer - 1));
            json!({
                "layer": row.layer,
                "digest": layer.map(|(descriptor, _)| &descriptor.digest),
                "diff_id": layer.map(|(_, diff_id)| diff_id),
                "stored_bytes": row.stored,
                "created": history.and_then(|history| history.created.as_ref()),
                "created_by": history.and_then(|history| history.created_by.as_ref()),
                "comment": history.and_then(|history| history.comment.as_ref()),
                "empty_layer": history.is_some_and(|history| history.empty_layer),
            })
        })
        .collect();
    json!({ "reference": shown(&image.name), "digest": image.descriptor.digest, "history": steps })
}
