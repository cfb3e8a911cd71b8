//! A tree to work in: unpacked from an archive, or copied from an image that is
//! to stay as it is. It is thrown away when the command ends, or kept where the
//! reader wants it.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::ahead;
use crate::image::source::Image;
use crate::image::unpack::{Options, Unpacked, unpack};
use crate::kernel::files::{CopyTree, MakeDir};
use crate::kernel::op::{self, Op, Slots, World, literal};
use crate::kernel::tree::{NewTree, Rename};
use crate::kernel::undo::identity_of;
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// Where its files come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An archive.
    Archive(PathBuf, Options),
    /// Another tree.
    Copy(PathBuf),
    /// The layers of an image, one onto the other.
    Image(Box<Image>),
}

/// What is to be made.
#[derive(Debug)]
pub struct Plan {
    source: Source,
    keep: Option<PathBuf>,
    within: PathBuf,
}

/// A tree that is there, until it is ended.
#[derive(Debug)]
pub struct Fresh {
    watch: Watch,
    /// Its root directory.
    pub tree: PathBuf,
    /// What became of the archive.
    pub unpacked: Option<Unpacked>,
}

impl Fresh {
    /// Removes what is not kept; what could not be.
    pub fn end(self) -> Vec<String> {
        self.watch.end()
    }
}

impl Plan {
    /// A tree in our own directory, or at `keep`, which must be absent or empty.
    pub fn new(source: Source, keep: Option<&Path>) -> Result<Self> {
        let keep = keep
            .map(|path| std::path::absolute(path).tried(|| format!("finding {path:?}")))
            .transpose()?;
        let within = match &keep {
            None => home::path(Place::Data)?.join("rootfs"),
            Some(path) => {
                check_free(path)?;
                path.parent().unwrap_or(Path::new("/")).to_owned()
            }
        };
        Ok(Self { source, keep, within })
    }

    fn beside(&self) -> String {
        literal(&self.within.join(".new-").to_string_lossy()) + "$token"
    }

    fn making(&self) -> Vec<Op> {
        let new = self.beside();
        let why = "everything is made in here first; what is not kept is removed when the command ends, however it ends";
        let mut ops: Vec<Op> = vec![
            NewTree { path: new.clone(), why: why.to_owned() }.into(),
            MakeDir { path: format!("{new}/tree"), mode: 0o755, why: "the new root".to_owned() }
                .into(),
        ];
        if let Source::Copy(from) = &self.source {
            let from = literal(&from.to_string_lossy());
            ops.push(CopyTree { from, to: format!("{new}/tree") }.into());
        }
        ops
    }

    /// What is done with an archive or with layers; nothing where a tree is copied.
    fn unpacking(&self) -> Option<Step> {
        let tree = format!("{}/tree", self.beside());
        let call =
            format!("openat2, mkdirat, openat, symlinkat, linkat, fchown, fchmod(\"{tree}/...\")");
        let why = "every name of the archive is looked up with the tree as `/` (RESOLVE_IN_ROOT): no link in it leads out";
        match &self.source {
            Source::Copy(_) => None,
            Source::Archive(archive, _) => Some(
                Step::new(call, why).shell(format!("tar -xpf {} -C {tree}", archive.display())),
            ),
            Source::Image(image) => {
                let layers = image.layers().len();
                let why = format!(
                    "{layers} layers, the lowest first; a whiteout takes away what is below; {why}"
                );
                let shell = format!(
                    "for layer in LAYERS; do tar -xpf $layer -C {tree}; done  # and whiteouts by hand"
                );
                Some(Step::new(call, why).shell(shell))
            }
        }
    }

    fn unpack(&self, tree: &Path, observer: &mut dyn Observer) -> Result<Option<Unpacked>> {
        match &self.source {
            Source::Copy(_) => Ok(None),
            Source::Archive(archive, options) => {
                let file = File::open(archive).tried(|| format!("open({archive:?})"))?;
                unpack(file, tree, options, observer).map(Some)
            }
            Source::Image(image) => {
                let options = Options { whiteouts: true, ..Options::default() };
                ahead::unpack(image, tree, &options, observer, |_, _, _| ()).map(Some)
            }
        }
    }

    fn placing(&self) -> Option<Op> {
        let keep = self.keep.as_ref()?;
        let to = literal(&keep.to_string_lossy());
        let why = "whole, or not at all; it stays, written down as kept".to_owned();
        Some(Rename { from: format!("{}/tree", self.beside()), to, why }.into())
    }

    /// The steps, not performed.
    pub fn describe(&self) -> Vec<Step> {
        let mut steps = op::describe(&self.making(), Actor::Launcher);
        if let Some(mut step) = self.unpacking() {
            op::fill(&mut step, &Slots::default());
            steps.push(step);
        }
        steps.extend(self.placing().iter().map(Op::step));
        steps
    }

    /// Where it will be.
    pub fn tree(&self) -> PathBuf {
        match &self.keep {
            Some(keep) => keep.clone(),
            None => self.within.join(".new-$token/tree"),
        }
    }

    /// Makes it. Call it while there is one thread only: this starts a watcher.
    pub fn make(&self, command: &str, observer: &mut dyn Observer) -> Result<Fresh> {
        if self.keep.is_none() {
            home::open(Place::Data, "rootfs")?;
        }
        let mut watch = Watch::start(Place::Data, command)?;
        match self.make_watched(&mut watch, observer) {
            Ok((tree, unpacked)) => Ok(Fresh { watch, tree, unpacked }),
            Err(error) => {
                // Only when everything is undone again is the failure told.
                watch.end();
                Err(error)
            }
        }
    }

    fn make_watched(
        &self,
        watch: &mut Watch,
        observer: &mut dyn Observer,
    ) -> Result<(PathBuf, Option<Unpacked>)> {
        let mut slots = Slots::default();
        slots.set("token", watch.token());
        let tree = self.within.join(format!(".new-{}/tree", watch.token()));
        let mut world = World::new(&mut slots);
        world.watch = Some(watch);
        op::perform_all(&self.making(), Actor::Launcher, &mut world, observer)?;
        let result = self.unpack(&tree, observer);
        if let Some(mut step) = self.unpacking() {
            op::fill(&mut step, world.slots);
            let members =
                |unpacked: &Option<Unpacked>| unpacked.as_ref().map_or(0, |all| all.entries);
            let answer = result.as_ref().map(|unpacked| format!("{} members", members(unpacked)));
            step.result = Some(answer.map_err(Error::clone));
            observer.step(&step);
        }
        let unpacked = result?;
        match self.placing() {
            None => Ok((tree, unpacked)),
            Some(op) => {
                // Renamed, it is the same directory, by which it is known from now on.
                let (kept, watch) = (self.tree(), world.watch()?);
                let n = watch.intend(&Effect::Tree { path: kept.clone() })?;
                watch.done(n, &identity_of(&tree)?)?;
                watch.keep_tree(&kept)?;
                op.perform(Actor::Launcher, &mut world, observer).or_else(|error| {
                    world.watch()?.release(n)?;
                    Err(error)
                })?;
                Ok((kept, unpacked))
            }
        }
    }
}

/// A directory to keep a tree in is absent, or empty.
pub(super) fn check_free(path: &Path) -> Result<()> {
    match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(format!("opendir({path:?})"), &error))
            .map_err(|error| error.hint("Give a directory that is empty, or not there yet.")),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::usage(format!("{} is not empty", path.display()))
                .hint("Give a directory that is empty, or not there yet.")),
        },
    }
}
