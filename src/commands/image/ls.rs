//! `image ls`.

use crate::error::Result;
use crate::image::oci::Platform;
use crate::image::reference::Name;
use crate::image::source::Image;
use crate::image::store::{Named, Store};
use crate::ui::{Align, Column, Screen, Table, Value};

/// An image of the store; its documents, if they can be read.
struct Row {
    named: Named,
    image: Option<Image>,
}

impl Row {
    fn name(&self) -> Value {
        match (&self.named.name, self.named.text.as_str()) {
            (Some(name), _) => Value::Text(name.familiar()),
            (None, "") => Value::None,
            (None, text) => Value::Text(text.to_owned()),
        }
    }
}

const IMAGES: Table<Row> = Table(&[
    Column {
        name: "IMAGE",
        align: Align::Left,
        help: "its name, as short as it can be typed",
        value: Row::name,
    },
    Column {
        name: "ID",
        align: Align::Left,
        help: "the beginning of its config's digest, as docker has it",
        value: |row| {
            let id = |image: &Image| image.manifest.config.digest.short().to_owned();
            Value::maybe(row.image.as_ref().map(id))
        },
    },
    Column {
        name: "PLATFORM",
        align: Align::Left,
        help: "for which system and processor it is",
        value: |row| {
            Value::maybe(row.image.as_ref().map(|image| image.config.platform().to_string()))
        },
    },
    Column {
        name: "CREATED",
        align: Align::Left,
        help: "when it was made, as it says",
        value: |row| {
            let created = row.image.as_ref().and_then(|image| image.config.created.as_deref());
            Value::maybe(created.map(|time| time.chars().take(10).collect::<String>()))
        },
    },
    Column {
        name: "LAYERS",
        align: Align::Right,
        help: "how many layers it has",
        value: |row| match &row.image {
            Some(image) => Value::Number(image.manifest.layers.len() as u64),
            None => Value::None,
        },
    },
    Column {
        name: "BYTES",
        align: Align::Right,
        help: "the size of its layers as they are kept; several images may share them",
        value: |row| row.image.as_ref().map_or(Value::None, |image| Value::Number(image.size())),
    },
]);

/// `image ls`
pub fn run(screen: &mut Screen) -> Result<u8> {
    let store = Store::find()?;
    let row = |named: Named| {
        let image = store.read(&named, &Platform::host());
        Row { image: image.ok(), named }
    };
    let mut rows: Vec<_> = store.list()?.into_iter().map(row).collect();
    rows.sort_by_key(|row| row.named.name.as_ref().map(Name::familiar).unwrap_or_default());
    if screen.json_wanted() {
        let mut images = IMAGES.json(&rows);
        for (image, row) in images.as_array_mut().into_iter().flatten().zip(&rows) {
            image["name"] = row.named.text.clone().into();
            image["digest"] = row.named.descriptor.digest.to_string().into();
        }
        return screen.json(&serde_json::json!({ "images": images })).map(|()| 0);
    }
    if rows.is_empty() {
        screen.note("There is no image here yet. `under-the-hood image base` makes one; no network is needed.");
        return Ok(0);
    }
    screen.table(&IMAGES, &rows)?;
    if rows.iter().any(|row| row.image.is_none()) {
        screen.warn("What has no id cannot be read: `image rm` it, and fetch it again.");
    }
    Ok(0)
}
