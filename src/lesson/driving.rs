//! A lesson with another engine: its containers are started there, by the
//! commands that a person would type, and everything else is as always.
//!
//! What is performed is decided line by line: `run` with a name and `stop` are the
//! engine's, all others are ours and name the container as `docker:box`.

use crate::container::engines::drive::{self, Asked, Driven, With};
use crate::effect::{Effect, Identity};
use crate::error::Result;
use crate::image::base;
use crate::kernel::driven;
use crate::shell::quoted;

use super::check::{self, Bound, start_of};
use super::perform::Done;
use super::review::{self, PROGRAM};
use super::stage::Stage;

/// A line that was performed, and what came of it.
#[derive(Debug, Clone)]
pub struct Played {
    /// As it was typed.
    pub line: String,
    /// What came of it.
    pub done: Done,
    /// Something that the reader should know of it.
    pub note: Option<String>,
    /// Whether it came from the lesson (else from what the engine needs before it).
    pub of_lesson: bool,
}

/// An engine, and what is typed there, or why nothing can be.
pub type Elsewhere = (Driven, Result<Vec<String>, String>);

/// How it stands with the engine that a lesson is played with.
#[derive(Debug)]
pub struct Driving {
    settings: Vec<(String, String)>,
    /// Whether the journal says already that containers with its token are the lesson's.
    written_down: bool,
    /// Whether a registry has been asked in vain.
    unreachable: bool,
}

impl Driving {
    /// By the variables that this program was started with.
    pub fn by_settings() -> Self {
        let settings = driven::settings();
        Self { settings, written_down: false, unreachable: false }
    }

    /// On an empty stage nothing is written down.
    pub fn anew(&mut self) {
        self.written_down = false;
    }
}

/// A container of another engine, by the name that the lesson has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// `box`
    pub name: String,
    /// What the engine calls it: the same, unless somebody else has that name there.
    pub there: String,
    /// Whose it is.
    pub engine: Driven,
}

impl Stage {
    /// Performs a line of a `sh run` block: ours, or what the engine has for it.
    pub fn played(&mut self, text: &str, or_ours: bool) -> Result<Vec<Played>> {
        let Some(engine) = self.world().engine else { return self.as_ours(text) };
        let words = self.words(text)?;
        match words.first().map(String::as_str) {
            Some("run") if is_started_there(&words) => {
                let played = self.started_there(engine, text, &words)?;
                if or_ours { self.ours_instead(text, &words, played) } else { Ok(played) }
            }
            Some("stop") => match words.last().and_then(|name| self.world().foreign(name)) {
                Some(foreign) => {
                    let lines = drive::stop(engine, &foreign.there);
                    lines.into_iter().map(|line| self.typed(line, true)).collect()
                }
                None => self.as_ours(text),
            },
            _ => self.as_ours(text),
        }
    }

    /// What a person types with each other engine for a line of ours that starts a
    /// container, or ends one.
    pub fn elsewhere(&self, text: &str) -> Result<Vec<Elsewhere>> {
        let words = self.words(text)?;
        Ok(match words.first().map(String::as_str) {
            Some("run") if is_started_there(&words) => drive::translations(&words),
            Some("stop") => {
                let name = words.last().map_or("", String::as_str);
                Driven::ALL.map(|engine| (engine, Ok(drive::stop(engine, name)))).to_vec()
            }
            _ => Vec::new(),
        })
    }

    /// Where the engine could not do it, ours does, and it is said.
    fn ours_instead(
        &mut self,
        text: &str,
        words: &[String],
        played: Vec<Played>,
    ) -> Result<Vec<Played>> {
        let name = review::container_named(words).unwrap_or_default();
        let lacking = &mut self.world_mut().lacking;
        let Some(at) = lacking.iter().position(|(known, _)| *known == name) else {
            return Ok(played);
        };
        let (_, why) = lacking.remove(at);
        let mut ours = self.as_ours(text)?;
        for played in &mut ours {
            played.note = Some(format!("{name} is this program's own container: {why}."));
        }
        Ok(ours)
    }

    fn as_ours(&mut self, text: &str) -> Result<Vec<Played>> {
        let line = self.world().qualified(text);
        let done = self.own(&line)?;
        Ok(vec![Played { line, done, note: None, of_lesson: true }])
    }

    fn typed(&mut self, line: String, of_lesson: bool) -> Result<Played> {
        let done = self.shell(&line)?;
        Ok(Played { line, done, note: None, of_lesson })
    }

    /// A container of the lesson, in the engine.
    fn started_there(
        &mut self,
        engine: Driven,
        text: &str,
        words: &[String],
    ) -> Result<Vec<Played>> {
        let asked = match Asked::parse(words) {
            Ok(asked) => asked,
            Err(why) => return Ok(vec![self.lacking(engine, text, words, &why)]),
        };
        // Whether it can be said at all is found out before anything is fetched.
        let roots = "$lesson_dir";
        let with = With { image: &asked.image, label: None, roots };
        if let Err(why) = drive::start(engine, &asked, with) {
            return Ok(vec![self.lacking(engine, text, words, &why)]);
        }
        let mut played = Vec::new();
        let image = match self.image_there(engine, &asked, &mut played)? {
            Ok(image) => image,
            Err(why) => {
                played.push(self.lacking(engine, text, words, &why));
                return Ok(played);
            }
        };
        self.write_down(engine)?;
        let label = self.token().to_owned();
        let with = With { image: &image, label: Some(&label), roots };
        let name = asked.name.clone();
        let asked = self.named_there(engine, asked)?;
        let start = match drive::start(engine, &asked, with) {
            Ok(start) => start,
            Err(why) => {
                played.push(self.lacking(engine, text, words, &why));
                return Ok(played);
            }
        };
        let last = start.lines.len().saturating_sub(1);
        for (at, line) in start.lines.into_iter().enumerate() {
            let typed = self.typed(line, at == last)?;
            let failed = (typed.done.exit != 0).then(|| typed.done.output.clone());
            played.push(typed);
            match failed {
                None => {}
                // A map of users is what engines stumble over: then this one cannot do it here.
                Some(said) if asked.userns => {
                    let said = said.trim().lines().last().unwrap_or_default().to_owned();
                    let why = format!("it started none with a user namespace here: {said}");
                    played.push(self.lacking(engine, text, words, &why));
                    return Ok(played);
                }
                Some(_) => return Ok(played),
            }
        }
        self.bind_foreign(engine, &asked, &name)?;
        let mut notes = Vec::new();
        if asked.name != name {
            let there = engine.name();
            notes
                .push(format!("{there} has a {name} of somebody else's: yours is {}.", asked.name));
        }
        if !start.left_out.is_empty() {
            let (flags, program) = (start.left_out.join(", "), engine.program());
            notes.push(format!("{program} has nothing for {flags}: started without."));
        }
        if let (false, Some(last)) = (notes.is_empty(), played.last_mut()) {
            last.note = Some(notes.join(" "));
        }
        Ok(played)
    }

    /// An engine's names are everybody's: where this one is taken, ours is told by the run.
    fn named_there(&mut self, engine: Driven, asked: Asked) -> Result<Asked> {
        let settings = self.settings();
        if !driven::has_container(engine, &asked.name, &settings)? {
            return Ok(asked);
        }
        let name = format!("{}-{}", asked.name, self.world().scope);
        Ok(Asked { name, ..asked })
    }

    /// Not done, and why; what is claimed of it cannot be tested.
    fn lacking(&mut self, engine: Driven, text: &str, words: &[String], why: &str) -> Played {
        let why = format!("with {}: {why}", engine.name());
        if let Some(name) = review::container_named(words) {
            self.world_mut().lacking.push((name, why.clone()));
        }
        let note = Some(format!("not done {why}"));
        Played { line: text.to_owned(), done: Done::default(), note, of_lesson: true }
    }

    /// That containers with this label, and an image, go with the lesson: before they are made.
    fn write_down(&mut self, engine: Driven) -> Result<()> {
        if self.driving().is_none_or(|driving| driving.written_down) {
            return Ok(());
        }
        let settings = self.settings();
        let label = self.token().to_owned();
        self.note(Effect::Labelled { engine, label, settings }, Identity::Token)?;
        self.driving().into_iter().for_each(|driving| driving.written_down = true);
        Ok(())
    }

    /// Sees to it that the engine has the image; its name there, or why it has not.
    fn image_there(
        &mut self,
        engine: Driven,
        asked: &Asked,
        played: &mut Vec<Played>,
    ) -> Result<Result<String, String>> {
        if engine == Driven::Lxc {
            return self.unpacked(asked, played);
        }
        let settings = self.settings();
        let image = drive::image_name(engine, &asked.image);
        let there = |image: &str| driven::has_image(engine, image, &settings);
        if there(&image)? {
            return Ok(Ok(image));
        }
        let local = image.starts_with("localhost/");
        if !local && !self.world().offline && !self.unreachable() {
            let mut pulled = self.typed(drive::pull(engine, &image), false)?;
            if pulled.done.exit == 0 {
                played.push(pulled);
                return Ok(Ok(image));
            }
            self.cannot_be_reached();
            pulled.note = Some("It cannot be had from there.".to_owned());
            played.push(pulled);
        }
        if self.loaded(engine, &asked.image, &image, played)? {
            return Ok(Ok(image));
        }
        if !asked.or_base {
            return Ok(Err(format!("{image} can neither be fetched nor loaded into it")));
        }
        let base = drive::image_name(engine, "base");
        match there(&base)? || self.loaded(engine, "base", &base, played)? {
            true => Ok(Ok(base)),
            false => Ok(Err("base cannot be loaded into it".to_owned())),
        }
    }

    /// Loads an image of ours into the engine, which has none of this name.
    fn loaded(
        &mut self,
        engine: Driven,
        ours: &str,
        image: &str,
        played: &mut Vec<Played>,
    ) -> Result<bool> {
        let settings = self.settings();
        let archive = "$lesson_dir/image.tar";
        if ours == "base" {
            // It is made from this machine's programs, and kept: no more than a look where it is there.
            let made = self.typed(format!("{PROGRAM} --quiet image base"), false)?;
            played.push(made);
        }
        let save = format!("{PROGRAM} --yes image save --output {archive} {}", quoted(ours));
        let saved = self.typed(save, false)?;
        if saved.done.exit != 0 {
            return Ok(false);
        }
        played.push(saved);
        self.note(Effect::Loaded { engine, image: image.to_owned(), settings }, Identity::Token)?;
        let loaded = self.typed(drive::load(engine, archive), false)?;
        let good = loaded.done.exit == 0;
        played.push(loaded);
        Ok(good)
    }

    /// LXC keeps no images: we have them, or `base`.
    fn unpacked(
        &mut self,
        asked: &Asked,
        played: &mut Vec<Played>,
    ) -> Result<Result<String, String>> {
        if asked.image == "base" || self.unreachable() && asked.or_base {
            return Ok(Ok("base".to_owned()));
        }
        if asked.image.starts_with("localhost/") {
            return Ok(Ok(asked.image.clone()));
        }
        let or_base = if asked.or_base { " --or-base" } else { "" };
        let line = format!("{PROGRAM} image pull{or_base} {}", quoted(&asked.image));
        let pulled = self.typed(line, false)?;
        let name = pulled.done.output.trim().lines().last().unwrap_or_default().to_owned();
        let good = pulled.done.exit == 0;
        if name.starts_with(base::NAME) && asked.image != name {
            self.cannot_be_reached();
        }
        played.push(pulled);
        Ok(if good { Ok(name) } else { Err(format!("{} cannot be had", asked.image)) })
    }

    /// Binds the name to what the engine has started.
    fn bind_foreign(&mut self, engine: Driven, asked: &Asked, name: &str) -> Result<()> {
        let settings = self.settings();
        let Some((id, pid)) = drive::find(engine, &asked.name, &settings)? else { return Ok(()) };
        let world = self.world_mut();
        world.bound.retain(|known| known.name != name);
        world.foreign.retain(|known| known.name != name);
        world.foreign.push(Foreign { name: name.to_owned(), there: asked.name.clone(), engine });
        world.bound.push(Bound {
            name: name.to_owned(),
            id,
            pid,
            start: start_of(pid).unwrap_or(0),
            shim: check::parent_of(pid).unwrap_or(0),
            command: asked.command.clone(),
        });
        self.tell_session()
    }

    fn settings(&mut self) -> Vec<(String, String)> {
        self.driving().map(|driving| driving.settings.clone()).unwrap_or_default()
    }

    fn unreachable(&mut self) -> bool {
        self.driving().is_some_and(|driving| driving.unreachable)
    }

    fn cannot_be_reached(&mut self) {
        self.driving().into_iter().for_each(|driving| driving.unreachable = true);
    }
}

/// A container that stays and has a name; the others end with their command, and
/// are ours, as are those from a directory, which no engine reads.
fn is_started_there(words: &[String]) -> bool {
    let stays = words.iter().any(|word| word == "-d" || word == "--detach");
    let directory = |asked: Asked| asked.image.starts_with("oci:");
    stays && review::container_named(words).is_some() && !Asked::parse(words).is_ok_and(directory)
}
