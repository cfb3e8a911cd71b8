//! `image dissect --layer N`, `--tree`, `--path P`: one part of it, looked at closely.

use std::collections::BTreeMap;

use serde_json::json;

use super::Dissected;
use super::json::{File, Layer};
use crate::commands::image::which::{NOT_SAID, path, path_json, step};
use crate::error::{Error, Result};
use crate::image::dissect::Layer as Read;
use crate::image::dissect::listing::{Entry, Kind};
use crate::image::dissect::stack::{Change, Place, Stack};
use crate::image::oci;
use crate::image::unpack::name::Name;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::tree::branches;
use crate::ui::{Align, Column, Screen, Table, Value};

/// An entry, in one line.
struct Row {
    change: &'static str,
    mode: String,
    owner: String,
    size: u64,
    path: String,
}

const FILES: Table<Row> = Table(&[
    Column {
        name: "CHANGE",
        align: Align::Left,
        help: "What it does to what is below",
        value: |row| Value::Text(row.change.to_owned()),
    },
    Column {
        name: "MODE",
        align: Align::Left,
        help: "Its kind and permissions",
        value: |row| Value::Text(row.mode.clone()),
    },
    Column {
        name: "OWNER",
        align: Align::Left,
        help: "UID:GID",
        value: |row| Value::Text(row.owner.clone()),
    },
    Column {
        name: "BYTES",
        align: Align::Right,
        help: "Its size",
        value: |row| Value::Number(row.size),
    },
    Column {
        name: "PATH",
        align: Align::Left,
        help: "From the image's root",
        value: |row| Value::Text(row.path.clone()),
    },
]);

/// `--layer N`: every member of its archive.
pub(super) fn layer(it: &Dissected<'_>, at: usize, screen: &mut Screen) -> Result<()> {
    if screen.json_wanted() {
        return screen.json(&Layer::of(it, at));
    }
    let layer = &it.layers[at];
    screen.out(&format!("layer {} of {}", at + 1, it.layers.len()))?;
    screen.out(&format!("digest   {}\ndiff_id  {}", layer.digest, layer.diff_id))?;
    screen.out(&format!("kept     {} of {}", bytes(layer.stored), bytes(layer.bytes)))?;
    let by = format!("by       {}", made_by(it, at));
    screen.out(&(crate::ui::wrap(&by, screen.width().min(100), "         ") + "\n\n"))?;
    let row = |(entry, change): (Entry<'_>, &Change)| Row {
        change: change.name(),
        mode: mode(&entry),
        owner: format!("{}:{}", entry.uid, entry.gid),
        size: entry.size,
        path: with_link(&entry, path(entry.path)),
    };
    let rows: Vec<_> = layer.listing.iter().zip(&it.stack.changes[at]).map(row).collect();
    screen.table(&FILES, &rows)
}

fn made_by(it: &Dissected<'_>, at: usize) -> String {
    it.made_by(at).map_or_else(|| NOT_SAID.to_owned(), step)
}

/// `-rwsr-xr-x`, as ls(1) has it.
pub fn mode(entry: &Entry<'_>) -> String {
    let bit = |bit: u32, letter: char| if entry.mode & bit != 0 { letter } else { '-' };
    let special = |execute: u32, special: u32, letter: char| match (
        entry.mode & execute != 0,
        entry.mode & special != 0,
    ) {
        (true, true) => letter,
        (false, true) => letter.to_ascii_uppercase(),
        (true, false) => 'x',
        (false, false) => '-',
    };
    [
        entry.kind.letter(),
        bit(0o400, 'r'),
        bit(0o200, 'w'),
        special(0o100, 0o4000, 's'),
        bit(0o040, 'r'),
        bit(0o020, 'w'),
        special(0o010, 0o2000, 's'),
        bit(0o004, 'r'),
        bit(0o002, 'w'),
        special(0o001, 0o1000, 't'),
    ]
    .iter()
    .collect()
}

fn with_link(entry: &Entry<'_>, name: String) -> String {
    match (entry.kind, entry.link) {
        (Kind::HardLink, Some(link)) => format!("{name} link to {}", path(link)),
        (_, Some(link)) => format!("{name} -> {}", path(link)),
        _ => name,
    }
}

/// `--tree`: what is seen in the end, or what one layer has.
pub(super) fn tree(
    layers: &[Read],
    stack: &Stack<'_>,
    layer: Option<usize>,
    screen: &mut Screen,
) -> Result<()> {
    let places: Vec<Place> = match layer {
        None => stack.tree.values().copied().collect(),
        Some(layer) => {
            (0..layers[layer].listing.len()).map(|entry| Place { layer, entry }).collect()
        }
    };
    if screen.json_wanted() {
        let file = |place: &Place| {
            let change = stack.changes[place.layer][place.entry];
            json!({ "layer": place.layer + 1, "file": File::of(&stack.entry(*place), change) })
        };
        return screen.json(&json!({ "tree": places.iter().map(file).collect::<Vec<_>>() }));
    }
    let entries = places.iter().map(|place| stack.entry(*place));
    // By their names one after the other: `a/x` before `a-b`. What nobody named is there all the same.
    let mut by_names: BTreeMap<Vec<&[u8]>, Option<Entry<'_>>> = BTreeMap::new();
    for entry in entries {
        let names: Vec<_> = entry.path.split(|byte| *byte == b'/').collect();
        for length in 1..names.len() {
            by_names.entry(names[..length].to_vec()).or_default();
        }
        if !entry.path.is_empty() {
            by_names.insert(names, Some(entry));
        }
    }
    draw(&by_names, screen)
}

fn draw(nodes: &BTreeMap<Vec<&[u8]>, Option<Entry<'_>>>, screen: &mut Screen) -> Result<()> {
    let mut at: BTreeMap<&[&[u8]], usize> = BTreeMap::new();
    let mut superiors = Vec::with_capacity(nodes.len());
    for (index, names) in nodes.keys().enumerate() {
        superiors.push(at.get(&names[..names.len() - 1]).copied());
        at.insert(names, index);
    }
    let nodes: Vec<_> = nodes.iter().collect();
    let mut text = String::new();
    for (index, branch) in branches(&superiors) {
        let (names, entry) = nodes[index];
        let name = path(names.last().copied().unwrap_or_default());
        let size = match entry {
            Some(entry) if entry.kind == Kind::File => bytes(entry.size),
            _ => String::new(),
        };
        let name = match entry {
            Some(entry) if entry.kind == Kind::Directory => name + "/",
            Some(entry) => with_link(entry, name),
            None => name + "/",
        };
        text.push_str(&format!("{size:>10}  {branch}{name}\n"));
    }
    screen.out(text.trim_end())
}

/// Something that happened to a path.
struct Event<'a> {
    layer: usize,
    what: &'static str,
    entry: Entry<'a>,
}

/// `--path P`: what each layer says of it, the lowest first.
pub(super) fn history_of(it: &Dissected<'_>, wanted: &str, screen: &mut Screen) -> Result<()> {
    let name = Name::of(wanted.as_bytes(), usize::MAX).map_err(|_| {
        Error::usage(format!("--path {wanted:?}")).hint("Give a path without `..`.")
    })?;
    let last = name.last.unwrap_or_default();
    let wanted = match name.parent.is_empty() {
        true => last.to_vec(),
        false => [&name.parent[..], last].join(&b'/'),
    };
    let events = events(it, &wanted);
    if events.is_empty() {
        return Err(Error::new(format!("no layer has {}", path(&wanted)))
            .hint("`image dissect IMAGE --tree` shows what there is."));
    }
    let seen = it.stack.tree.get(&wanted[..]);
    if screen.json_wanted() {
        let event = |event: &Event<'_>| {
            let (at, entry) = (event.layer, &event.entry);
            json!({
                "layer": at + 1, "digest": it.layers[at].digest, "created_by": it.made_by(at).and_then(|step| step.created_by.as_deref()),
                "change": event.what, "kind": entry.kind.name(), "size": entry.size, "mode": entry.mode,
                "uid": entry.uid, "gid": entry.gid, "by": path_json(entry.path), "sha256": entry.sum.map(|sum| oci::hex(sum)),
            })
        };
        return screen.json(&json!({
            "path": path_json(&wanted),
            "seen_in_layer": seen.map(|place| place.layer + 1),
            "history": events.iter().map(event).collect::<Vec<_>>(),
        }));
    }
    screen.out(&path(&wanted))?;
    for event in &events {
        let entry = &event.entry;
        let size = if entry.kind == Kind::File { bytes(entry.size) } else { String::new() };
        let by = with_link(entry, path(entry.path));
        let what = format!("{:<9}  {}  {}:{}", event.what, mode(entry), entry.uid, entry.gid);
        screen.out(&format!("layer {}  {what}  {size}  {by}", event.layer + 1))?;
        if let (Kind::File, Some(sum)) = (entry.kind, entry.sum) {
            screen.out(&format!("    sha256 {}", oci::hex(sum)))?;
        }
        let width = screen.width().min(100);
        let by = format!("    by {}", made_by(it, event.layer));
        screen.out(&crate::ui::wrap(&by, width, "       "))?;
    }
    screen.prose(&match seen {
        Some(place) => format!("A container sees it as layer {} has it.", place.layer + 1),
        None => {
            "A container does not see it. Whoever has the image has it all the same.".to_owned()
        }
    })
}

/// What the layers have under this name, and what took it away.
fn events<'a>(it: &Dissected<'a>, wanted: &[u8]) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    for (layer, content) in it.layers.iter().enumerate() {
        for (entry, change) in content.listing.iter().zip(&it.stack.changes[layer]) {
            if entry.path == wanted {
                events.push(Event { layer, what: change.name(), entry });
            }
        }
        for hidden in it.stack.hidden.iter().filter(|hidden| hidden.by.layer == layer) {
            let by = it.stack.entry(hidden.by);
            if it.stack.entry(hidden.what).path == wanted && by.path != wanted {
                events.push(Event { layer, what: Change::Removed.name(), entry: by });
            }
        }
    }
    events
}
