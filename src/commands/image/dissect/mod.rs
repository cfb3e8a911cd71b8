//! `image dissect`: an image, taken apart.

mod foreign;
mod json;
mod upper;
pub(super) mod views;

use std::io::IsTerminal;

use super::history;
use super::which::path;
use crate::cli::dissect::Dissect;
use crate::error::{Error, Result};
use crate::image::dissect::efficiency::{self, Wasted};
use crate::image::dissect::listing::Entry;
use crate::image::dissect::stack::{Change, Hidden, Place, Stack};
use crate::image::dissect::{self, Layer, distribution};
use crate::image::oci::History;
use crate::image::share::{self, Shared};
use crate::image::source::Image;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::{Align, Column, Screen, Style, Table, Value, shown, wrap};

/// How many of the biggest, the hidden and the wasted are shown.
const MOST_SHOWN: usize = 8;

/// An image whose layers were read.
pub(super) struct Dissected<'a> {
    pub image: &'a Image,
    pub layers: &'a [Layer],
    pub stack: &'a Stack<'a>,
}

/// `image dissect`
pub fn run(args: &Dissect, screen: &mut Screen) -> Result<u8> {
    if let Some(file) = args.which.foreign()? {
        return foreign::run(args, &file, screen);
    }
    if args.manifest || args.config {
        let image = args.which.documents(screen)?;
        let bytes = if args.manifest { &image.manifest_bytes } else { &image.config_bytes };
        document(bytes, screen)?;
        return Ok(0);
    }
    if args.which.is_elsewhere()? {
        return upper::run(args, &args.which.documents(screen)?, screen);
    }
    let image = args.which.open()?;
    let layers = dissect::layers(&image, screen)?;
    let stack = Stack::of(&layers);
    let it = Dissected { image: &image, layers: &layers, stack: &stack };
    let layer = args.layer.map(|number| it.numbered(number)).transpose()?;
    match (&args.path, args.tree, layer) {
        (Some(path), ..) => views::history_of(&it, path, screen)?,
        (_, true, layer) => views::tree(&layers, &stack, layer, screen)?,
        (_, _, Some(layer)) => views::layer(&it, layer, screen)?,
        _ if screen.json_wanted() => screen.json(&json::Whole::of(&it)?)?,
        _ => show(&it, screen)?,
    }
    Ok(0)
}

impl Dissected<'_> {
    /// `--layer 1` is the lowest, which is at 0.
    fn numbered(&self, number: usize) -> Result<usize> {
        match number.checked_sub(1).filter(|at| *at < self.layers.len()) {
            Some(at) => Ok(at),
            None => Err(Error::usage(format!("--layer {number}: there is no such layer"))
                .hint(format!("Its layers are 1 (the lowest) to {}.", self.layers.len()))),
        }
    }

    /// The step that made a layer, if the history says so.
    pub fn made_by(&self, layer: usize) -> Option<&History> {
        self.image.config.made_by().get(layer).copied().flatten()
    }
}

/// A document as it is, where nobody reads it on a terminal: its digest is of these bytes.
fn document(bytes: &[u8], screen: &mut Screen) -> Result<()> {
    if !std::io::stdout().is_terminal() {
        return screen.pass_on(bytes);
    }
    let value: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::new("reading the document").said(error))?;
    screen.json(&value)
}

fn show(it: &Dissected<'_>, screen: &mut Screen) -> Result<()> {
    head(it, screen)?;
    section("Layers, from the bottom up", screen)?;
    let rows: Vec<_> = (0..it.layers.len()).map(|at| Row::of(it, at)).collect();
    screen.table(&LAYERS, &rows)?;
    section("The step that made each of them", screen)?;
    history::show(it.image, screen)?;
    biggest_of(it.stack, true, screen)?;
    hidden(it, screen)?;
    wasted(it, screen)?;
    shared(it, screen)
}

fn section(title: &str, screen: &mut Screen) -> Result<()> {
    let title = screen.paint(title, Style::Heading);
    screen.lines(&format!("\n{title}"))
}

/// From the name down to what is in the layers.
fn head(it: &Dissected<'_>, screen: &mut Screen) -> Result<()> {
    upper::documents(it.image, screen)?;
    let stored = it.image.size();
    let size: u64 = it.layers.iter().map(Layer::files_size).sum();
    screen.lines(&format!("layers   {} kept, {} of files", bytes(stored), bytes(size)))?;
    let inside = match distribution::of(it.layers, it.stack) {
        Some(found) => format!(
            "{}, says {} (layer {})",
            shown(&found.name),
            path(&found.path),
            found.layer + 1
        ),
        None => "no distribution says its name (there is no os-release)".to_owned(),
    };
    screen.lines(&format!("inside   {inside}"))
}

/// A layer, in one line.
struct Row {
    number: usize,
    digest: String,
    diff_id: String,
    stored: u64,
    files: u64,
    counts: [u64; 3],
}

impl Row {
    fn of(it: &Dissected<'_>, at: usize) -> Self {
        let layer = &it.layers[at];
        let count =
            |wanted| it.stack.changes[at].iter().filter(|one| **one == wanted).count() as u64;
        Self {
            number: at + 1,
            digest: layer.digest.short().to_owned(),
            diff_id: layer.diff_id.short().to_owned(),
            stored: layer.stored,
            files: layer.files_size(),
            counts: [Change::Added, Change::Changed, Change::Removed].map(count),
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
    Column {
        name: "FILES",
        align: Align::Right,
        help: "The size of its files",
        value: |row| Value::Text(bytes(row.files)),
    },
    Column {
        name: "NEW",
        align: Align::Right,
        help: "Members that no layer below has",
        value: |row| Value::Number(row.counts[0]),
    },
    Column {
        name: "CHANGED",
        align: Align::Right,
        help: "Members that replace others",
        value: |row| Value::Number(row.counts[1]),
    },
    Column {
        name: "GONE",
        align: Align::Right,
        help: "Whiteouts: members that take others away",
        value: |row| Value::Number(row.counts[2]),
    },
]);

/// A path and its bytes, and where.
struct Heavy {
    size: u64,
    place: String,
    path: String,
}

const HEAVY: Table<Heavy> = Table(&[
    Column {
        name: "SIZE",
        align: Align::Right,
        help: "How much it takes",
        value: |heavy| Value::Text(bytes(heavy.size)),
    },
    Column {
        name: "WHERE",
        align: Align::Left,
        help: "In which layer, and what became of it",
        value: |heavy| Value::Text(heavy.place.clone()),
    },
    Column {
        name: "PATH",
        align: Align::Left,
        help: "From the image's root",
        value: |heavy| Value::Text(heavy.path.clone()),
    },
]);

/// The heaviest of them, and how many more there are.
fn heaviest(mut all: Vec<Heavy>, screen: &mut Screen) -> Result<()> {
    all.retain(|heavy| heavy.size > 0);
    all.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    if all.is_empty() {
        return screen.out("none");
    }
    let more = all.len().saturating_sub(MOST_SHOWN);
    all.truncate(MOST_SHOWN);
    screen.hanging(&HEAVY, &all)?;
    if more > 0 { screen.out(&format!("and {more} more")) } else { Ok(()) }
}

fn biggest_of(stack: &Stack<'_>, layered: bool, screen: &mut Screen) -> Result<()> {
    section("The biggest files", screen)?;
    let heavy = |(place, entry): (Place, Entry<'_>)| Heavy {
        size: entry.size,
        place: if layered { format!("layer {}", place.layer + 1) } else { "rootfs".to_owned() },
        path: path(entry.path),
    };
    heaviest(stack.seen().map(heavy).collect(), screen)
}

/// Bytes that are carried along and never seen.
fn hidden(it: &Dissected<'_>, screen: &mut Screen) -> Result<()> {
    section("Hidden: in its layer for ever, and nobody sees it", screen)?;
    let heavy = |hidden: &Hidden| {
        let (what, by) = (it.stack.entry(hidden.what), it.stack.entry(hidden.by));
        let how = if by.kind.is_whiteout() { "removed" } else { "replaced" };
        let (from, to) = (hidden.what.layer + 1, hidden.by.layer + 1);
        let place = format!("layer {from}, {how} in {to}");
        Heavy { size: what.size, place, path: path(what.path) }
    };
    heaviest(it.stack.hidden.iter().map(heavy).collect(), screen)
}

fn wasted(it: &Dissected<'_>, screen: &mut Screen) -> Result<()> {
    let efficiency = efficiency::of(it.layers);
    section("Wasted, as dive counts it: what more than one layer has", screen)?;
    screen.lines(&format!(
        "{} of {}; efficiency {:.2} %",
        bytes(efficiency.wasted),
        bytes(efficiency.size),
        efficiency.score * 100.0
    ))?;
    let heavy = |one: &Wasted| {
        let place = format!("{} layers", one.layers);
        Heavy { size: one.bytes, place, path: path(&one.path) }
    };
    heaviest(efficiency.paths.iter().map(heavy).collect(), screen)
}

fn shared(it: &Dissected<'_>, screen: &mut Screen) -> Result<()> {
    let others = share::others(it.image)?;
    section("Shared with other images that are here", screen)?;
    if others.is_empty() {
        return screen.out("none of its layers");
    }
    for Shared { name, layers } in others {
        let numbers: Vec<_> = layers.iter().map(|at| (at + 1).to_string()).collect();
        let word = if numbers.len() == 1 { "layer" } else { "layers" };
        let line = format!("{}: {word} {}", shown(&name), numbers.join(", "));
        screen.out(&wrap(&line, screen.width().min(100), "  "))?;
    }
    Ok(())
}
