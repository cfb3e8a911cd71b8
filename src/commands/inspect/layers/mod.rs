//! `inspect layers`: what a container's `/` is made of, which layer a path
//! comes from, and what the container has changed so far.

mod json;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{as_root, sections};
use crate::cli::inspect::Layers as Args;
use crate::container::layers::{Compared, Layers, Place, Role};
use crate::container::target::{self, Target};
use crate::error::{Error, Result};
use crate::image::stack::{Change, Here, Kind, Marks, Traced};
use crate::kernel::process::path_text;
use crate::ui::{Align, Column, Screen, Table, Value};
use rustix::fs::FileType;

/// Changes that are shown unless all are asked for.
const SOME: usize = 15;

/// A layer with its number; the other directories have none.
struct Row {
    number: Option<usize>,
    role: Role,
    directory: String,
}

/// What one layer has at a path.
struct Step {
    number: usize,
    role: Role,
    here: Option<&'static str>,
    seen: bool,
}

fn number(number: usize) -> Value {
    Value::Number(number as u64)
}

const LAYERS: Table<Row> = Table(&[
    Column {
        name: "LAYER",
        align: Align::Right,
        help: "Its number, from the top down",
        value: |row| row.number.map_or(Value::None, number),
    },
    Column {
        name: "ROLE",
        align: Align::Left,
        help: "upper: the container's changes; lower: a layer of its image; work: overlayfs's own",
        value: |row| Value::Text(row.role.name().into()),
    },
    Column {
        name: "DIRECTORY",
        align: Align::Left,
        help: "Where it is, links followed, or as the mount names it",
        value: |row| Value::Text(row.directory.clone()),
    },
]);

const PATH: Table<Step> = Table(&[
    Column {
        name: "LAYER",
        align: Align::Right,
        help: "The layer",
        value: |step| number(step.number),
    },
    Column {
        name: "ROLE",
        align: Align::Left,
        help: "upper or lower",
        value: |step| Value::Text(step.role.name().into()),
    },
    Column {
        name: "HERE",
        align: Align::Left,
        help: "What it has at the path: file, directory, link, whiteout, ...",
        value: |step| Value::maybe(step.here),
    },
    Column {
        name: "SEEN",
        align: Align::Left,
        help: "Whether the container sees that; a directory is seen with those below it",
        value: |step| step.here.map_or(Value::None, |_| Value::Bool(step.seen)),
    },
]);

/// What the columns say, for `--help`.
pub(super) fn columns() -> String {
    format!("{}\n\nWith --path:\n{}", LAYERS.help(), PATH.help())
}

/// Takes a root apart and prints it.
pub fn run(proc: &Path, args: &Args, screen: &mut Screen) -> Result<u8> {
    let target = target::resolve(proc, &args.target)?;
    let layers = Layers::of(proc, target.pid).map_err(|error| match error.errno {
        Some(_) => error.hint(as_root("layers")),
        None => error,
    })?;
    let view = View::of(&layers, &target, args)?;
    match screen.json_wanted() {
        true => screen.json(&view.json())?,
        false => view.print(args, screen)?,
    }
    Ok(0)
}

/// All that is shown.
struct View<'a> {
    layers: &'a Layers,
    name: String,
    pid: i32,
    /// Not all layers may be ours to read.
    changes: Result<Option<(Compared, Vec<Change>)>>,
    path: Option<Asked<'a>>,
}

/// The path that was asked for.
struct Asked<'a> {
    given: PathBuf,
    resolved: PathBuf,
    steps: Vec<(&'a Place, Traced)>,
    covered: bool,
    /// By comparison, where the upper layer is out of reach.
    changed: Option<Kind>,
}

impl<'a> View<'a> {
    fn of(layers: &'a Layers, target: &Target, args: &Args) -> Result<Self> {
        let pid = target.pid;
        let name = match &target.container {
            Some(found) => format!("{}, pid {pid}", found.label()),
            None => format!("pid {pid}"),
        };
        let mut view = Self { layers, name, pid, changes: layers.changes(), path: None };
        if let Some(given) = &args.path {
            if layers.overlay.is_none() {
                return Err(Error::new(format!("looking for {} in the layers", given.display()))
                    .said(format!("{} {}", view.name, plain(layers)))
                    .exit(crate::error::Exit::Failed));
            }
            let denied = |error: Error| match error.errno {
                Some(_) => error.hint(as_root("layers")),
                None => error,
            };
            let (resolved, steps) = layers.trace(given).map_err(denied)?;
            let covered = layers.covered_at(&resolved);
            let changed = view.compared(&resolved);
            view.path = Some(Asked { given: given.clone(), resolved, steps, covered, changed });
        }
        Ok(view)
    }

    /// What a comparison with the layers below says of a path.
    fn compared(&self, path: &Path) -> Option<Kind> {
        let Ok(Some((Compared::Merged, changes))) = &self.changes else { return None };
        let of = |change: &&Change| change_path(change) == path;
        changes.iter().find(of).map(|change| change.kind)
    }

    /// Every directory with its number, if it is a layer: the upper one is 0.
    fn numbered(&self) -> impl Iterator<Item = (Option<usize>, &'a Place)> {
        let upper = self.layers.places.iter().any(|place| place.role == Role::Upper);
        self.layers.places.iter().enumerate().map(move |(at, place)| {
            let layer = matches!(place.role, Role::Upper | Role::Lower);
            (layer.then_some(at + usize::from(!upper)), place)
        })
    }

    fn number(&self, place: &Place) -> usize {
        let mut all = self.numbered();
        all.find(|(_, other)| std::ptr::eq(*other, place)).and_then(|found| found.0).unwrap_or(0)
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(number, place): (Option<usize>, &Place)| Row {
            number,
            role: place.role,
            directory: match &place.found {
                Ok(path) => path_text(path),
                Err(_) => format!("{} (out of reach)", path_text(&place.given)),
            },
        };
        self.numbered().map(row).collect()
    }

    fn steps(&self, asked: &Asked<'_>) -> Vec<Step> {
        let out_of_reach = asked.changed.map(|kind| Step {
            number: 0,
            role: Role::Upper,
            here: Some(if kind == Kind::Deleted {
                "whiteout (inferred)"
            } else {
                "its own (inferred)"
            }),
            seen: kind != Kind::Deleted,
        });
        let own = out_of_reach.is_some();
        let step = |(place, traced): &(&Place, Traced)| Step {
            number: self.number(place),
            role: place.role,
            here: here(&traced.here),
            seen: traced.seen && (!own || matches!(traced.here, Here::Directory(_))),
        };
        out_of_reach.into_iter().chain(asked.steps.iter().map(step)).collect()
    }

    fn print(&self, args: &Args, screen: &mut Screen) -> Result<()> {
        let Some(overlay) = &self.layers.overlay else {
            return screen.prose(&format!("{} {}", self.name, plain(self.layers)));
        };
        if let Some(asked) = &self.path {
            screen.prose(&self.sentence(asked))?;
            screen.out("")?;
            return screen.hanging(&PATH, &self.steps(asked));
        }
        let kind = if overlay.fuse { "by fuse-overlayfs" } else { "overlayfs" };
        let mount = &self.layers.mount;
        screen.prose(&format!(
            "{}: its / is an overlay ({kind}, device {}), merged from these. It sees the topmost that has a name.",
            self.name, mount.device
        ))?;
        screen.out("")?;
        screen.hanging(&LAYERS, &self.rows())?;
        sections::line(screen, "merged", &format!("/proc/{}/root", self.pid))?;
        screen.out("")?;
        self.print_changes(args, screen)?;
        self.notes(screen);
        Ok(())
    }

    fn print_changes(&self, args: &Args, screen: &mut Screen) -> Result<()> {
        let changes = match &self.changes {
            Ok(Some((_, changes))) => changes,
            Ok(None) => return Ok(()),
            Err(error) => {
                screen.note(&format!(
                    "What it has changed cannot be told: {error}. {}",
                    as_root("layers")
                ));
                return Ok(());
            }
        };
        let count = changes.len();
        screen.prose(&match count {
            0 => "It has changed nothing so far.".to_owned(),
            _ => format!("Changed so far ({count}; A added, C changed, D deleted):"),
        })?;
        let shown = if args.changes { count } else { count.min(SOME) };
        for change in &changes[..shown] {
            screen.out(&format!("{} {}", change.kind.letter(), path_text(&change_path(change))))?;
        }
        if shown < count {
            screen.note(&format!("{} more: --changes shows all.", count - shown));
        }
        Ok(())
    }

    /// What limits the picture.
    fn notes(&self, screen: &Screen) {
        for place in &self.layers.places {
            if let (Err(error), Role::Upper | Role::Lower | Role::Data) = (&place.found, place.role)
            {
                screen.note(&format!("{}: {error}.", place.role.name()));
            }
        }
        if let Ok(Some((Compared::Merged, _))) = self.changes {
            screen.note(
                "So all that the container sees was compared with the layers below, by size, time, owner and mode.",
            );
        }
        let sees = rustix::thread::capabilities(None)
            .is_ok_and(|all| all.effective.contains(rustix::thread::CapabilitySet::SYS_ADMIN));
        if self.layers.marks == Marks::Trusted && !sees {
            screen.note(
                "Which directories are opaque only root can see: what they hide may be shown.",
            );
        }
        if self.layers.mount.mount_point != Path::new("/") {
            screen.note(&format!(
                "Its root is the directory {} in there (chroot); all paths here are the overlay's.",
                path_text(&self.layers.root)
            ));
        }
    }

    fn sentence(&self, asked: &Asked<'_>) -> String {
        let path = path_text(&asked.resolved);
        let mut said = match asked.given == asked.resolved {
            true => format!("{path} "),
            false => format!("{} is {path}, which ", path_text(&asked.given)),
        };
        let from = |place: &Place| match place.role {
            Role::Upper => "from the upper layer: the container's own".to_owned(),
            _ => format!("from layer {}, of its image", self.number(place)),
        };
        let seen: Vec<_> = asked.steps.iter().filter(|(_, traced)| traced.seen).collect();
        let hides = asked.steps.iter().find(|(_, traced)| matches!(traced.here, Here::Whiteout));
        said += &match (seen.as_slice(), hides, asked.changed) {
            (_, _, Some(Kind::Deleted)) => "is gone: the container deleted it.".to_owned(),
            (_, _, Some(Kind::Added)) => {
                "comes from the upper layer: the container made it.".to_owned()
            }
            (seen, _, Some(Kind::Changed)) if !is_merged(seen) => {
                "comes from the upper layer: the container changed it.".to_owned()
            }
            ([], Some((place, _)), _) => format!(
                "is gone: a whiteout in layer {} ({}) hides what is below.",
                self.number(place),
                place.role.name()
            ),
            ([], None, _) => "is in no layer.".to_owned(),
            ([(place, _)], ..) => format!("comes {}.", from(place)),
            ([(place, _), ..], ..) => format!(
                "is a directory, merged from {} layers; its owner and mode come {}.",
                seen.len(),
                from(place)
            ),
        };
        if asked.covered {
            said += " Something else is mounted there or above it, and that is what the container sees.";
        }
        said
    }
}

/// Whether what is seen is a directory, of which each layer has a part.
fn is_merged(seen: &[&(&Place, Traced)]) -> bool {
    matches!(seen.first(), Some((_, Traced { here: Here::Directory(_), .. })))
}

fn here(here: &Here) -> Option<&'static str> {
    match here {
        Here::Nothing => None,
        Here::Whiteout => Some("whiteout"),
        Here::Directory(directory) if directory.opaque => Some("directory (opaque)"),
        Here::Directory(_) => Some("directory"),
        Here::File(stat) => Some(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => "link",
            FileType::RegularFile => "file",
            FileType::CharacterDevice | FileType::BlockDevice => "device",
            FileType::Fifo => "pipe",
            _ => "socket",
        }),
    }
}

/// A root that is no overlay.
fn plain(layers: &Layers) -> String {
    let mount = &layers.mount;
    let what = match (mount.fs_type.as_str(), mount.mount_point == Path::new("/")) {
        (_, false) => format!("the directory {}", path_text(&layers.root)),
        ("tmpfs", _) => "a file system in memory (tmpfs)".to_owned(),
        (kind, _) => {
            format!("the directory {} of {} ({kind})", path_text(&mount.root), mount.source)
        }
    };
    format!(
        "has no layers: its / is {what}, as it is. There is nothing below it that what it changes \
         could be told from."
    )
}

fn change_path(change: &Change) -> PathBuf {
    Path::new("/").join(std::ffi::OsStr::from_bytes(&change.path.join(&b'/')))
}
