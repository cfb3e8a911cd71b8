//! `lesson fetch`: what lessons take from the network, while there is one; and
//! `--offline DIR`: lessons that are played from that, without any.
//!
//! What they need is read from their own lines, parsed by the same types that
//! will perform them, so that no list of it can grow old.

use std::path::Path;

use clap::Parser;
use serde_json::json;

use super::Clap;
use crate::cli::image::Image as ImageCommand;
use crate::cli::lesson::Fetch;
use crate::cli::{Cli, Command, Global};
use crate::commands::image::pull;
use crate::error::{Context, Error, Result};
use crate::image::alpine;
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::registry::{self, Options, Wanted};
use crate::image::source;
use crate::image::store::{self, Store};
use crate::lesson::check::IMAGE;
use crate::lesson::library;
use crate::lesson::model::Lesson;
use crate::lesson::words::Line;
use crate::step::Step;
use crate::ui::Screen;

/// What lessons take from the network.
#[derive(Debug, Default)]
struct Needed {
    /// Images, in the order in which they are needed first.
    images: Vec<Name>,
    /// What earlier lines have built.
    built: Vec<Name>,
    /// Alpine's minirootfs.
    alpine: bool,
}

impl Needed {
    fn of(lessons: &[Lesson]) -> Self {
        let mut needed = Self::default();
        for (_, line) in lessons.iter().flat_map(Lesson::lines) {
            needed.add(&line);
        }
        needed
    }

    /// What one line takes; a line for a shell takes nothing.
    fn add(&mut self, line: &str) {
        let Ok(parsed) = Line::parse(line) else { return };
        // What `$image` stands for was fetched by an earlier line.
        let value = |name: &str| if name == IMAGE { "base" } else { "1" };
        let words = parsed.words(|name| Some(value(name).to_owned()));
        let Ok(cli) = Cli::try_parse_from(words) else { return };
        let image = match &cli.command {
            Command::Chroot(args) => {
                self.alpine |= args.target == "alpine" && args.file.is_none();
                return;
            }
            Command::Image(ImageCommand::Build(args)) => {
                let names = args.tag.iter().filter_map(|tag| tag.parse().ok());
                self.built.extend(names);
                return;
            }
            Command::Run(args) => &args.image,
            Command::Image(ImageCommand::Pull(args)) => &args.image,
            _ => return,
        };
        let Ok(Reference::Named(name)) = image.parse() else { return };
        let had = [&self.images, &self.built].iter().any(|had| had.contains(&name));
        if !name.is_local() && !had {
            self.images.push(name);
        }
    }
}

fn lessons(wanted: &[String]) -> Result<Vec<Lesson>> {
    match wanted {
        [] => Ok(library::embedded()),
        some => some.iter().map(|wanted| library::find(wanted, &Clap)).collect(),
    }
}

/// `lesson fetch [LESSON...] [--to DIR]`
pub(super) fn fetch(args: &Fetch, global: &Global, screen: &mut Screen) -> Result<u8> {
    let needed = Needed::of(&lessons(&args.lessons)?);
    let options = pull::options(&args.registry, screen)?;
    let alpine = alpine::Wanted {
        version: None,
        mirror: args.alpine_mirror.trim_end_matches('/').to_owned(),
        refresh: false,
    };
    if global.dry_run {
        return screen.plan(&plan(&needed, &options, &alpine, args.to.as_deref())?).map(|()| 0);
    }
    let mut names = Vec::new();
    for name in &needed.images {
        bring(name, &options, screen)?;
        if let Some(to) = &args.to {
            let image = Store::find()?.image(name, &Platform::host())?;
            let lease = Store::at(to)?.lease()?;
            store::copy(&image, std::slice::from_ref(name), &lease, screen)?;
        }
        names.push(name.to_string());
    }
    if needed.alpine {
        let archive = alpine::archive(&alpine, screen)?;
        if let Some(to) = &args.to {
            archive.copy_to(to)?;
        }
        names.push(format!("Alpine {}", archive.version));
    }
    if screen.json_wanted() {
        screen.json(&json!({ "fetched": names, "to": args.to }))?;
        return Ok(0);
    }
    names.iter().try_for_each(|name| screen.out(name))?;
    screen.note(&match (&args.to, names.is_empty()) {
        (_, true) => "They need nothing from the network.".to_owned(),
        (None, _) => "It is all here: these lessons need no network now.".to_owned(),
        (Some(to), _) => format!(
            "It is all in {0}. Take it along, and play with `lesson N --offline {0}`.",
            to.display()
        ),
    });
    Ok(0)
}

/// An image into the store, if it is not there: who asks too often is refused.
fn bring(name: &Name, options: &Options, screen: &mut Screen) -> Result<()> {
    if Store::find()?.resolve(name)?.is_some() {
        screen.note(&format!("{} is here already.", name.familiar()));
        return Ok(());
    }
    let (platform, options) = (Platform::host(), options.clone());
    pull::pull(&Wanted { name: name.clone(), platform, options }, screen).map(drop)
}

fn plan(
    needed: &Needed,
    options: &Options,
    alpine: &alpine::Wanted,
    to: Option<&Path>,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for name in &needed.images {
        if Store::find()?.resolve(name)?.is_none() {
            let (platform, options) = (Platform::host(), options.clone());
            steps.extend(registry::describe(&Wanted { name: name.clone(), platform, options })?);
        }
    }
    if needed.alpine {
        steps.extend(alpine::describe(alpine)?);
    }
    if let Some(to) = to {
        let why = "all of it once more, as an OCI image layout and Alpine's archive beside it";
        steps.push(Step::new(format!("write({:?})", to.join("index.json")), why));
    }
    Ok(steps)
}

/// `--offline DIR`: takes from there what these lessons need and what is not here.
/// Everything is verified on its way in. What is missing there is said, and the
/// lesson does without it.
pub(super) fn take_from(dir: &Path, lessons: &[Lesson], screen: &mut Screen) -> Result<()> {
    if !dir.is_dir() {
        return Err(Error::new(format!("reading {}", dir.display()))
            .said("there is no such directory")
            .hint("`under-the-hood lesson fetch --to DIR` makes one, where there is a network."));
    }
    let needed = Needed::of(lessons);
    let mut missing = Vec::new();
    for name in &needed.images {
        if Store::find()?.resolve(name)?.is_some() {
            continue;
        }
        if !in_layout(dir, name)? {
            missing.push(name.familiar());
            continue;
        }
        let reference = Reference::Oci { path: dir.to_owned(), tag: Some(name.to_string()) };
        let image = source::open(&reference, &Platform::host())?;
        let lease = Store::open()?.lease()?;
        store::copy(&image, std::slice::from_ref(name), &lease, screen)?;
        screen.note(&format!("{} comes from {}.", name.familiar(), dir.display()));
    }
    if needed.alpine && !alpine::take_from(dir, screen)? {
        missing.push("Alpine".to_owned());
    }
    if !missing.is_empty() {
        screen.warn(&format!(
            "{} is not in {}: `base` instead. `lesson fetch --to {1}` brings it, where there is a network.",
            missing.join(", "),
            dir.display()
        ));
    }
    Ok(())
}

/// Whether a layout has an image of this name.
fn in_layout(dir: &Path, name: &Name) -> Result<bool> {
    let path = dir.join("index.json");
    if !path.exists() {
        return Ok(false);
    }
    let text = std::fs::read(&path).tried(|| format!("read({path:?})"))?;
    let index: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| Error::new(format!("reading {}", path.display())).said(error))?;
    let called = |one: &serde_json::Value| {
        one["annotations"][crate::image::oci::REF_NAME] == name.to_string()
    };
    Ok(index["manifests"].as_array().is_some_and(|all| all.iter().any(called)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lessons_need_stands_in_their_lines() {
        let needed = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|&name| name.to_owned()).collect();
            let needed = Needed::of(&lessons(&wanted).unwrap());
            let names: Vec<_> = needed.images.iter().map(Name::familiar).collect();
            (names.join(" "), needed.alpine)
        };
        assert_eq!(needed(&["0"]), (String::new(), false));
        assert_eq!(needed(&["1"]), ("rockylinux:8 busybox:latest".to_owned(), false));
        assert_eq!(needed(&["3"]), (String::new(), true));
        assert_eq!(needed(&["5"]), ("httpd:latest".to_owned(), false));
        let (names, alpine) = needed(&[]);
        assert_eq!(names, "rockylinux:8 busybox:latest httpd:latest httpd:2.4");
        assert!(alpine);
    }
}
