//! `image explore`: what `image dissect` finds, on the whole screen.

use std::collections::BTreeMap;

use super::dissect::views;
use super::which::{NOT_SAID, path, step};
use crate::cli::dissect::Explore;
use crate::error::{Error, Result};
use crate::image::dissect::efficiency::{self, Efficiency};
use crate::image::dissect::listing::{Entry, Kind};
use crate::image::dissect::stack::{Change, Place, Stack};
use crate::image::dissect::{self, Layer, content};
use crate::image::source::Image;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::explorer::{self, Line, Mark, Part, Source};
use crate::ui::{Screen, keys, shown};

/// Bytes of a file that are shown.
const MOST_SHOWN: usize = 1 << 18;

/// `image explore`
pub fn run(args: &Explore, screen: &mut Screen) -> Result<u8> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if screen.plain() {
        return Err(Error::usage("image explore draws on the whole screen, and --plain draws nothing").hint(
            "`under-the-hood image dissect IMAGE` says the same line by line; its --tree, --layer and --path look closer.",
        ));
    }
    if screen.json_wanted() || dumb || !keys::on_terminal() {
        return Err(Error::cannot("image explore needs a terminal, to show and to read keys").hint(
            "`under-the-hood image dissect IMAGE` says the same without one; its --tree, --layer and --path look closer.",
        ));
    }
    let image = args.which.open()?;
    let layers = dissect::layers(&image, screen)?;
    let stack = Stack::of(&layers);
    let efficiency = efficiency::of(&layers);
    let explored = Explored { image: &image, layers: &layers, stack: &stack, efficiency };
    explorer::run(&explored, screen.settings().color_out).map(|()| 0)
}

struct Explored<'a> {
    image: &'a Image,
    layers: &'a [Layer],
    stack: &'a Stack<'a>,
    efficiency: Efficiency,
}

impl Source for Explored<'_> {
    fn title(&self) -> String {
        let Efficiency { size, wasted, score, .. } = &self.efficiency;
        format!(
            "{}  {}, {} wasted, efficiency {:.2} %",
            shown(&self.image.name),
            bytes(*size),
            bytes(*wasted),
            score * 100.0
        )
    }

    fn parts(&self) -> Vec<Part> {
        let made_by = self.image.config.made_by();
        let part = |(at, layer): (usize, &Layer)| {
            let step = made_by.get(at).copied().flatten().map_or_else(|| NOT_SAID.to_owned(), step);
            let line = format!("{:>3} {:>10}  {step}", at + 1, bytes(layer.files_size()));
            let about = format!("{} ({} kept): {step}", layer.digest.short(), bytes(layer.stored));
            Part { line, about }
        };
        self.layers.iter().enumerate().map(part).collect()
    }

    fn tree(&self, part: usize, all: bool) -> Vec<Line> {
        if all {
            let stack = Stack::of(&self.layers[..=part]);
            let place = |place: &Place| {
                let change = stack.changes[place.layer][place.entry];
                (*place, if place.layer == part { change } else { Change::Unchanged })
            };
            let places: Vec<_> = stack.tree.values().map(place).collect();
            return self.lines(&places);
        }
        let changes = self.stack.changes[part].iter().enumerate();
        let places: Vec<_> =
            changes.map(|(entry, change)| (Place { layer: part, entry }, *change)).collect();
        self.lines(&places)
    }

    fn wasted(&self) -> Vec<Line> {
        let line = |one: &efficiency::Wasted| Line {
            path: path(&one.path),
            name: path(&one.path),
            depth: 0,
            size: bytes(one.bytes),
            mark: Mark::Same,
            directory: false,
            about: format!(
                "{}: in {} layers, {} together",
                path(&one.path),
                one.layers,
                bytes(one.bytes)
            ),
            content: None,
        };
        self.efficiency.paths.iter().filter(|one| one.bytes > 0).map(line).collect()
    }

    fn text(&self, (layer, at): (usize, usize)) -> Result<String> {
        let entry = self.stack.entry(Place { layer, entry: at });
        let (content, more) = content::first(self.image, layer, at, &entry, MOST_SHOWN)?;
        let mut text = match std::str::from_utf8(&content) {
            Ok(text) if !text.contains('\0') => text
                .lines()
                .map(|line| shown(&line.replace('\t', "    ")))
                .collect::<Vec<_>>()
                .join("\n"),
            _ => hexadecimal(&content),
        };
        if text.is_empty() {
            text.push_str("(it is empty)");
        }
        if more {
            text.push_str(&format!("\n(and more: it has {})", bytes(entry.size)));
        }
        Ok(text)
    }
}

impl Explored<'_> {
    /// By their names one after the other, each below the directories it is in.
    fn lines(&self, places: &[(Place, Change)]) -> Vec<Line> {
        let mut by_names: BTreeMap<Vec<Vec<u8>>, Option<(Place, Change)>> = BTreeMap::new();
        for (place, change) in places {
            let entry = self.stack.entry(*place);
            let hidden = entry.hides();
            let path = hidden.as_deref().unwrap_or(entry.path);
            let names: Vec<_> = path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
            for length in 1..names.len() {
                by_names.entry(names[..length].to_vec()).or_default();
            }
            if !path.is_empty() {
                by_names.insert(names, Some((*place, *change)));
            }
        }
        by_names.iter().map(|(names, what)| self.line(names, *what)).collect()
    }

    fn line(&self, names: &[Vec<u8>], what: Option<(Place, Change)>) -> Line {
        let whole = path(&names.join(&b'/'));
        let name = path(names.last().map(Vec::as_slice).unwrap_or_default());
        let mut line = Line {
            about: whole.clone(),
            path: whole,
            name,
            depth: names.len() - 1,
            size: String::new(),
            mark: Mark::Same,
            directory: true,
            content: None,
        };
        let Some((place, change)) = what else { return line };
        let entry = self.stack.entry(place);
        line.mark = match change {
            Change::Added => Mark::Added,
            Change::Changed => Mark::Changed,
            Change::Removed => Mark::Removed,
            Change::Unchanged | Change::Nothing => Mark::Same,
        };
        line.directory = matches!(entry.kind, Kind::Directory | Kind::Opaque);
        if entry.kind == Kind::File {
            line.size = bytes(entry.size);
            line.content = Some((place.layer, place.entry));
        }
        if let Some(link) = entry.link {
            line.name.push_str(&format!(" -> {}", path(link)));
        }
        line.about = about(&line.path, &entry, place);
        line
    }
}

fn about(shown: &str, entry: &Entry<'_>, place: Place) -> String {
    let from = place.layer + 1;
    match entry.kind {
        Kind::Whiteout => format!("{shown}: layer {from} takes it away; below it is still there"),
        Kind::Opaque => format!("{shown}: layer {from} takes away all that is below in it"),
        _ => format!(
            "{}  {}:{}  {}  layer {from}  {shown}",
            views::mode(entry),
            entry.uid,
            entry.gid,
            bytes(entry.size)
        ),
    }
}

/// As hexdump -C shows it.
fn hexadecimal(content: &[u8]) -> String {
    let row = |(at, bytes): (usize, &[u8])| {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        let text: String = bytes.iter().map(seen).collect();
        format!("{:08x}  {:<47}  {text}", at * 16, hex.join(" "))
    };
    content.chunks(16).enumerate().map(row).collect::<Vec<_>>().join("\n")
}
