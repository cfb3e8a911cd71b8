//! The stage that a lesson is played on: what it has started, the names it has
//! bound, and the way back to an empty stage.
//!
//! Undoing is the watcher's work, whether it is asked to or finds the player
//! dead: one way, so that it is the one that is tried all the time.

mod left;

pub use left::Left;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::container::network::{connect, place};
use crate::container::registry;
use crate::effect::{Driven, Effect, Identity};
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::journal::Entry;
use crate::kernel::undo;
use crate::kernel::watcher::Watch;
use crate::step::Deaf;

use super::built::Built;
use super::check::{self, Bound, World, start_of};
use super::driving::Driving;
use super::model::Lesson;
use super::own;
use super::perform::{self, Done, Look};
use super::review;
use super::session::{self, Now, Session};
use super::words::Line;

/// How long a container's shim may take to tidy up behind it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The files that a lesson's steps need: where in its directory, and what is in them.
type Files = [(PathBuf, Vec<u8>)];

/// Where a lesson's effects are.
pub struct Stage {
    title: String,
    files: Vec<(PathBuf, Vec<u8>)>,
    watch: Watch,
    session: PathBuf,
    world: World,
    /// The store of images, as it was before.
    built: Built,
    /// Where the player is, for a second terminal.
    now: Option<Now>,
    /// How the commands' own output looks.
    look: Look,
    /// The engine that containers are started in, if it is not ours.
    driving: Option<Driving>,
}

impl Stage {
    /// An empty stage. The watcher is forked here, so nothing may have started a thread.
    pub fn new(lesson: &Lesson, look: Look) -> Result<Self> {
        let (title, files) = (format!("lesson {}", lesson.key()), &lesson.files);
        let (watch, session, directory) = opened(&title, files)?;
        let _turn = session::turn()?;
        let scope = own::scope(lesson.number, watch.token());
        let (program, port) = (perform::own_program()?, own::port(watch.token())?);
        let cpu = own::cpu()?;
        let world = World { program, directory, scope, port, cpu, ..World::default() };
        let files = files.to_owned();
        let (built, now, driving) = (Built::look(&world)?, None, None);
        let mut stage = Self { title, files, watch, session, world, built, now, look, driving };
        stage.tell_session()?;
        Ok(stage)
    }

    /// What checks are asked about.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Tells a second terminal where the player is.
    pub fn tell(&mut self, now: Now) -> Result<()> {
        self.now = Some(now);
        self.tell_session()
    }

    /// Has containers started in another engine.
    pub fn drive(&mut self, engine: Driven) {
        self.world.engine = Some(engine);
        self.driving = Some(Driving::by_settings());
    }

    /// Ends what was started there; from now on containers are ours.
    pub fn leave_engine(&mut self) -> Result<()> {
        let emptied = self.empty();
        (self.world.engine, self.driving) = (None, None);
        emptied
    }

    /// That engine.
    pub(super) fn driving(&mut self) -> Option<&mut Driving> {
        self.driving.as_mut()
    }

    pub(super) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// What the names of all that the journal names carry.
    pub(super) fn token(&self) -> &str {
        self.watch.token()
    }

    /// Performs one of our own command lines and binds the name it gives.
    pub fn own(&mut self, line: &str) -> Result<Done> {
        let words = self.words(line)?;
        let done = perform::own(&words, &self.world, self.look)?;
        if let Some(name) = review::container_named(&words) {
            self.bind(&name)?;
        }
        if review::fetches(&words) && done.exit == 0 {
            self.world.image = done.output.lines().last().map(str::to_owned);
            self.tell_session()?;
        }
        Ok(done)
    }

    /// What stands after the program's name in one of our own lines, with the values of the
    /// lesson's variables.
    pub(super) fn words(&self, line: &str) -> Result<Vec<String>> {
        let parsed = Line::parse(line).map_err(Error::new)?;
        let variables = self.world.variables();
        let value =
            |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, v)| v.clone());
        Ok(parsed.words(value).split_off(1))
    }

    /// Has the lesson do without the network.
    pub fn go_offline(&mut self) -> Result<()> {
        self.world.offline = true;
        self.tell_session()
    }

    /// Performs a line for the shell; a container of ours that it names is bound too.
    pub fn shell(&mut self, line: &str) -> Result<Done> {
        let done = perform::shell(line, &self.world)?;
        if let Ok(parsed) = Line::parse(line)
            && let Some((program, words)) = parsed.words(|_| None).split_first()
            && program == review::PROGRAM
            && let Some(name) = review::container_named(words)
        {
            self.bind(&name)?;
        }
        Ok(done)
    }

    /// Binds a name to the running container that has it, and writes down that
    /// it is the lesson's to end.
    fn bind(&mut self, name: &str) -> Result<()> {
        let Ok(container) = registry::find_in(name, Some(&self.world.scope)) else { return Ok(()) };
        let known = self.world.bound(name).map(|bound| (bound.pid, bound.start));
        if container.name != name || known == Some((container.pid, container.start)) {
            return Ok(());
        }
        let identity = Identity::Process { pid: container.pid, start: container.start };
        let what = format!("container {name} of {}", self.title);
        if let Err(error) = self.note(Effect::Process { what }, identity) {
            // What cannot be written down must not be left running.
            let stop = ["stop", "--time", "0", &container.id].map(str::to_owned);
            perform::own(&stop, &self.world, self.look)?;
            return Err(error);
        }
        self.world.bound.retain(|known| known.name != name);
        self.world.bound.push(Bound {
            name: container.name,
            id: container.id,
            pid: container.pid,
            start: container.start,
            shim: check::parent_of(container.pid).unwrap_or(0),
            command: container.command,
        });
        self.tell_session()
    }

    pub(super) fn note(&mut self, effect: Effect, identity: Identity) -> Result<()> {
        let n = self.watch.intend(&effect)?;
        self.watch.done(n, &identity)
    }

    /// Ends everything that the lesson has started, and begins with an empty stage.
    pub fn empty(&mut self) -> Result<()> {
        let (watch, session, directory) = opened(&self.title, &self.files)?;
        let old = std::mem::replace(&mut self.watch, watch);
        self.session = session;
        let own = std::mem::replace(&mut self.world.directory, directory);
        let bound = std::mem::take(&mut self.world.bound);
        self.world.image = None;
        self.world.foreign.clear();
        self.world.lacking.clear();
        self.driving.iter_mut().for_each(Driving::anew);
        undone(old, &bound, &own)?;
        self.built.clear(&self.world)?;
        self.tell_session()
    }

    /// Ends everything that the lesson has started.
    pub fn end(self) -> Result<()> {
        undone(self.watch, &self.world.bound, &self.world.directory)?;
        self.built.clear(&self.world)
    }

    /// An ordinary process of this machine under each name: the world in which
    /// what is said of a container must be false.
    pub fn stand_ins(&mut self, names: &[String]) -> Result<World> {
        let mut world = World {
            program: self.world.program.clone(),
            directory: self.world.directory.clone(),
            scope: self.world.scope.clone(),
            port: self.world.port,
            cpu: self.world.cpu.clone(),
            offline: self.world.offline,
            ..World::default()
        };
        for name in names {
            // By way of a shell that ends, so that its parent is nobody's shim.
            let done = perform::shell("sleep 600 >/dev/null 2>&1 & echo $!", &self.world)?;
            let pid: i32 = done.output.trim().parse().unwrap_or(0);
            let start = start_of(pid)
                .ok_or_else(|| Error::new("starting `sleep 600`").said(done.output.trim()))?;
            self.note(
                Effect::Process { what: format!("stand-in for {name}") },
                Identity::Process { pid, start },
            )?;
            let known = self.world.bound(name);
            let command = vec!["sleep".to_owned(), "600".to_owned()];
            world.bound.push(Bound {
                name: name.clone(),
                id: known.map_or(String::new(), |known| known.id.clone()),
                pid,
                start,
                shim: check::parent_of(pid).unwrap_or(0),
                command: known.map_or(command, |known| known.command.clone()),
            });
        }
        Ok(world)
    }

    pub(super) fn tell_session(&mut self) -> Result<()> {
        let (variables, now) = (self.world.variables(), self.now.clone());
        Session::own(self.world.scope.clone(), variables, now).write(&self.session)
    }
}

/// A watcher, the file that tells a second terminal the lesson's variables, and
/// the directory in which the reader may make what they like.
fn opened(title: &str, files: &Files) -> Result<(Watch, PathBuf, PathBuf)> {
    let run = home::open(Place::Run, "")?;
    let mut watch = Watch::start(Place::Run, title)?;
    let session = run.join(format!("lesson-{}.json", watch.token()));
    watch.intend(&Effect::File { path: session.clone() })?;
    let directory = run.join(format!("lesson-{}", watch.token()));
    watch.intend(&Effect::Tree { path: directory.clone() })?;
    fs::create_dir(&directory).tried(|| format!("mkdir({directory:?})"))?;
    for (path, bytes) in files {
        let path = directory.join(path);
        let above = path.parent().unwrap_or(&directory);
        fs::create_dir_all(above).tried(|| format!("mkdir({above:?})"))?;
        fs::write(&path, bytes).tried(|| format!("write({path:?})"))?;
    }
    Ok((watch, session, directory))
}

/// Has the watcher undo, and waits for the containers' shims to have tidied up.
fn undone(watch: Watch, bound: &[Bound], directory: &Path) -> Result<()> {
    let cut = bound.iter().filter(|bound| bound.alive()).try_for_each(unplugged);
    let cut = cut.and_then(|()| {
        // A tree that was unpacked to stay, but in the lesson's own directory.
        let inside = |entry: &Entry| matches!(&entry.effect, Effect::Tree { path } if path.starts_with(directory));
        undo::take_back(|entries| entries.iter().any(inside), &mut Deaf).map(|_| ())
    });
    let left = watch.end();
    let begun = Instant::now();
    let shims: Vec<_> =
        bound.iter().filter(|bound| bound.shim > 1).map(|bound| bound.shim).collect();
    let there = |shim: &i32| start_of(*shim).is_some();
    while shims.iter().any(there) && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    match left.as_slice() {
        [] => cut,
        left => Err(Error::new("undoing what the lesson started")
            .said(left.join("; "))
            .hint("`under-the-hood cleanup` tries again.")),
    }
}

/// Takes away what `netns connect` laid into a container: it is meant to stay,
/// but not longer than the lesson.
fn unplugged(bound: &Bound) -> Result<()> {
    let is_cable = |left: &undo::Leftover| matches!(left.entry.effect, Effect::Veth { .. });
    if !undo::leftovers()?.iter().any(is_cable) {
        return Ok(());
    }
    let place = place::open(Path::new("/proc"), &bound.pid.to_string())?;
    connect::cables(&place)?.iter().try_for_each(|cable| connect::disconnect(cable, &mut Deaf))
}
