//! The root file system of an image: its layers, unpacked one onto the other,
//! once, and kept for every container that is started from it.
//!
//! It stands under rootfs/KEY/tree in the data directory. KEY is the image's
//! ChainID: a name for all of its layers together, so that images with the same
//! layers share one tree. Nobody but us can write there, and nothing gets its
//! name before every layer was what the image says (its diff_id): so a tree that
//! is there needs no second look.
//!
//! Whoever starts from a tree holds it: a shared lock (flock(2)) of KEY until its
//! container is in the registry, which says the same to everybody. `image rm` removes
//! only what it can lock for itself.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use nix::errno::Errno;

use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::oci::{Execution, Platform};
use crate::image::reference::Reference;
use crate::image::source::{self, Image};
use crate::image::unpack::{LeftOut, Options};
use crate::image::{ahead, base};
use crate::kernel::files::MakeDir;
use crate::kernel::op::{self, Op, Slots, World, literal};
use crate::kernel::tree::{NewTree, Rename};
use crate::kernel::watcher::Watch;
use crate::lock::{FlockOperation, lock};
use crate::step::{Actor, Observer, Step};

/// A root file system that is there and was verified when it was made.
#[derive(Debug, Clone)]
pub struct Rootfs {
    /// The ChainID of its layers, in hexadecimal.
    pub key: String,
    /// Its root directory.
    pub tree: PathBuf,
    /// Layers that lie above it, each a directory as overlayfs keeps it, the topmost
    /// first: what a build has made so far. An image that is run has none.
    pub above: Vec<PathBuf>,
    /// An empty directory beside it: a place to mount on, in a mount namespace of one's own.
    pub mnt: PathBuf,
    /// How a container is started, unless somebody says otherwise.
    pub execution: Execution,
    /// As long as this is open, `image rm` leaves it alone. That of base always is.
    held: Option<Arc<File>>,
}

impl Rootfs {
    /// That of this key in the directory of all of them.
    pub fn at(rootfs: &Path, key: &str, execution: Execution) -> Self {
        let own = rootfs.join(key);
        let (tree, mnt, above) = (own.join("tree"), own.join("mnt"), Vec::new());
        Self { key: key.to_owned(), tree, above, mnt, execution, held: None }
    }

    /// Holds it, if it is there.
    fn hold(&mut self) -> Result<bool> {
        self.held = locked(self.tree.parent().unwrap_or(&self.tree), FlockOperation::LockShared)?;
        Ok(self.held.is_some())
    }
}

/// The directory of a tree, locked. None: it is not there (any more), or not to be had
/// without waiting.
fn locked(own: &Path, operation: FlockOperation) -> Result<Option<Arc<File>>> {
    let file = match lock(own, operation) {
        Err(error) if error.is(Errno::ENOENT) || error.is(Errno::EWOULDBLOCK) => return Ok(None),
        other => other?,
    };
    // While we waited it may have been taken away.
    let same = |there: fs::Metadata| file.metadata().map(|ours| ours.ino() == there.ino());
    match fs::metadata(own) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        there => {
            let same = there.and_then(same).tried(|| format!("stat({own:?})"))?;
            Ok(same.then(|| Arc::new(file)))
        }
    }
}

/// The directory of all root file systems, made and checked.
pub fn directory() -> Result<PathBuf> {
    let path = home::open(Place::Data, "")?.join("rootfs");
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).tried(|| format!("mkdir({path:?}, 0700)"))
        }
        _ => home::open(Place::Data, "rootfs"),
    }
}

/// What has to be done for the root file system of an image.
pub enum Plan {
    /// Nothing: it is there.
    Ready(Box<Rootfs>),
    /// It is the base image's, which is to be made.
    Base(Box<base::Plan>),
    /// Its layers are to be unpacked.
    Unpack(Box<Unpack>),
}

impl Plan {
    /// Finds the image that somebody typed. Changes nothing.
    pub fn of(image: &str) -> Result<Self> {
        let reference: Reference = image.parse()?;
        if let Reference::Named(name) = &reference
            && name.is_base()
            && name.tag() == Some("latest")
        {
            return Ok(match base::find()? {
                Some(rootfs) => Self::Ready(Box::new(rootfs)),
                None => Self::Base(Box::new(base::Plan::of(&base::Host("/".into()), None)?)),
            });
        }
        Self::of_image(source::open(&reference, &Platform::host())?)
    }

    /// The same for an image that was found.
    pub fn of_image(image: Image) -> Result<Self> {
        let key =
            image.config.chain_id().map_or_else(|| "empty".to_owned(), |id| id.hex().to_owned());
        let directory = home::path(Place::Data)?.join("rootfs");
        let mut rootfs = Rootfs::at(&directory, &key, image.config.config.clone());
        Ok(match rootfs.hold()? {
            true => Self::Ready(Box::new(rootfs)),
            false => Self::Unpack(Box::new(Unpack { image, directory, rootfs })),
        })
    }

    /// The root file system, there already or not.
    pub fn rootfs(&self) -> Rootfs {
        match self {
            Self::Ready(rootfs) => (**rootfs).clone(),
            Self::Base(plan) => plan.rootfs(),
            Self::Unpack(unpack) => unpack.rootfs.clone(),
        }
    }

    /// The steps, not performed.
    pub fn describe(&self) -> Result<Vec<Step>> {
        match self {
            Self::Ready(_) => Ok(Vec::new()),
            Self::Base(plan) => plan.describe(),
            Self::Unpack(unpack) => Ok(unpack.describe()),
        }
    }

    /// Carries it out. Call it while there is one thread only: this may start a watcher.
    pub fn make(self, observer: &mut dyn Observer) -> Result<Rootfs> {
        directory()?;
        match self {
            Self::Ready(rootfs) => Ok(*rootfs),
            Self::Base(plan) => plan.make(observer).map(|(rootfs, _)| rootfs),
            Self::Unpack(unpack) => unpack.make(observer),
        }
    }
}

/// An image whose layers are to be unpacked.
pub struct Unpack {
    image: Image,
    directory: PathBuf,
    rootfs: Rootfs,
}

impl Unpack {
    fn new_path(&self) -> String {
        format!("{}/new-$token", literal(&self.directory.to_string_lossy()))
    }

    fn building(&self) -> Vec<Op> {
        let new = self.new_path();
        let make = |name: &str, mode, why: &str| {
            Op::from(MakeDir { path: format!("{new}/{name}"), mode, why: why.to_owned() })
        };
        let why =
            "made beside its place: nobody sees half of it, and if anything fails it is removed";
        vec![
            NewTree { path: new.clone(), why: why.to_owned() }.into(),
            make("mnt", 0o700, "an empty directory that a container mounts its own file system on"),
            make("tree", 0o755, "the root that the layers become"),
        ]
    }

    fn layer_step(&self, number: usize) -> Step {
        let descriptor = &self.image.manifest.layers[number];
        let tree = format!("{}/tree", self.new_path());
        let mut step = Step::new(
            format!("openat2, mkdirat, openat, symlinkat, linkat, unlinkat(\"{tree}/...\")"),
            format!(
                "layer {} of {}, {}, onto those below: what it hides is removed, and its sum must be its diff_id",
                number + 1,
                self.image.manifest.layers.len(),
                descriptor.digest.short()
            ),
        )
        .shell(format!("tar -xpf blobs/{}/{} -C {tree}", descriptor.digest.algorithm(), descriptor.digest.hex()));
        op::fill(&mut step, &Slots::default());
        step
    }

    fn placing(&self) -> Op {
        let to = literal(&self.directory.join(&self.rootfs.key).to_string_lossy());
        let why = "its name is the ChainID: one for all of its layers, one onto the other";
        Rename { from: self.new_path(), to, why: why.to_owned() }.into()
    }

    fn describe(&self) -> Vec<Step> {
        let mut steps = op::describe(&self.building(), Actor::Launcher);
        let layers = 0..self.image.manifest.layers.len();
        steps.extend(layers.map(|number| self.layer_step(number)));
        steps.extend(op::describe(&[self.placing()], Actor::Launcher));
        steps
    }

    fn make(mut self, observer: &mut dyn Observer) -> Result<Rootfs> {
        let mut watch = Watch::start(Place::Data, &format!("unpacking {}", self.image.name))?;
        let result = self.make_watched(&mut watch, observer);
        let left = watch.end();
        let left_out = result.map_err(|error| with_room(error, &self.image))?;
        if let Some(sentence) = left_out.sentence() {
            observer.note(&sentence);
        }
        match left.first() {
            None => Ok(self.rootfs),
            Some(left) => Err(Error::new("tidying up after unpacking the image").said(left)),
        }
    }

    fn make_watched(&mut self, watch: &mut Watch, observer: &mut dyn Observer) -> Result<LeftOut> {
        let mut slots = Slots::default();
        slots.set("token", watch.token());
        let new = self.directory.join(format!("new-{}", watch.token()));
        let tree = new.join("tree");
        let mut world = World::new(&mut slots);
        world.watch = Some(watch);
        op::perform_all(&self.building(), Actor::Launcher, &mut world, observer)?;
        let options = Options { whiteouts: true, ..Options::default() };
        let slots = &*world.slots;
        let unpacked =
            ahead::unpack(&self.image, &tree, &options, observer, |number, result, observer| {
                let mut step = self.layer_step(number);
                op::fill(&mut step, slots);
                let result = result.as_ref().map(|_| "0".to_owned());
                step.result = Some(result.map_err(Error::clone));
                observer.step(&step);
            })?;
        self.rootfs.held = locked(&new, FlockOperation::LockShared)?;
        loop {
            match self.placing().perform(Actor::Launcher, &mut world, observer) {
                // Somebody else unpacked the very same meanwhile; and it may be gone by now.
                Err(error) if error.is(Errno::ENOTEMPTY) || error.is(Errno::EEXIST) => {
                    if self.rootfs.hold()? {
                        return Ok(unpacked.left_out);
                    }
                }
                other => return other.map(|()| unpacked.left_out),
            }
        }
    }
}

fn with_room(error: Error, image: &Image) -> Error {
    let full = error.is(Errno::ENOSPC) || error.is(Errno::EDQUOT);
    match full {
        true => error.hint(format!(
            "Unpacked, {} needs several times the {} MiB that its layers have. Nothing is left of it now. \
             UTH_HOME=DIR puts everything this program keeps under DIR.",
            image.name,
            image.size().div_ceil(1 << 20)
        )),
        false => error,
    }
}

/// The trees that nobody needs but those whose keys are `needed`.
fn unneeded(needed: &[String]) -> Result<Vec<PathBuf>> {
    let directory = home::path(Place::Data)?.join("rootfs");
    let base = base::find()?.map(|rootfs| rootfs.key);
    let key = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        let entry = entry.tried(|| format!("readdir({directory:?})"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if key(&name) && !needed.contains(&name) && base.as_ref() != Some(&name) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// What [`remove`] would do.
pub fn removal(needed: &[String]) -> Result<Vec<Step>> {
    Ok(unneeded(needed)?.iter().map(|path| removing(path)).collect())
}

fn removing(path: &Path) -> Step {
    Step::new(
        format!("unlinkat({path:?}, AT_REMOVEDIR)"),
        "an unpacked tree that no image and no container needs",
    )
    .shell(format!("rm -r {}", path.display()))
}

/// Removes the trees of all images and containers but those that `needed` tells; how
/// many. It is asked twice: a container that was starting is known when its tree can be
/// locked. Call it while there is one thread only.
pub fn remove(
    needed: impl Fn() -> Result<Vec<String>>,
    observer: &mut dyn Observer,
) -> Result<usize> {
    let exclusive = FlockOperation::NonBlockingLockExclusive;
    let mut alone = Vec::new();
    for path in unneeded(&needed()?)? {
        alone.extend(locked(&path, exclusive)?.map(|lock| (path, lock)));
    }
    if alone.is_empty() {
        return Ok(0);
    }
    let still = unneeded(&needed()?)?;
    alone.retain(|(path, _)| still.contains(path));
    let directory = directory()?;
    let mut watch = Watch::start(Place::Data, "image rm")?;
    for (number, (path, _)) in alone.iter().enumerate() {
        // Under another name first: what is half removed is not taken for a whole
        // one. From there it is the journal's, whatever becomes of us.
        let away = directory.join(format!("old-{}-{number}", watch.token()));
        watch.intend(&Effect::Tree { path: away.clone() })?;
        fs::rename(path, &away).tried(|| format!("rename({path:?}, {away:?})"))?;
    }
    let left = watch.end();
    let result = left.first().map_or(Ok(()), |left| Err(Error::new("removing trees").said(left)));
    for (path, _) in &alone {
        let mut step = removing(path);
        step.result = Some(result.clone().map(|()| "0".to_owned()));
        observer.step(&step);
    }
    result.map(|()| alone.len())
}
