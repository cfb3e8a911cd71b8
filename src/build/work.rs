//! Where a build works: directories for the layers that a container is to stand on.
//! They are made when the first container is, not before, and are the journal's:
//! when the build ends, however it ends, they are gone.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::build::state::{Layer, State};
use crate::build::view::View;
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::oci::{Digest, Execution};
use crate::image::rootfs::{self, Rootfs};
use crate::image::source::Image;
use crate::image::stack::{self, Marks, Stack};
use crate::image::store::Store;
use crate::image::unpack::{Options, unpack};
use crate::image::{base, dissect};
use crate::kernel::files::MakeDir;
use crate::kernel::op::{Op, Slots, World, literal};
use crate::kernel::tree::NewTree;
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// The directory below the data directory.
pub const DIRECTORY: &str = "build";

/// How overlayfs marks what is gone, for us.
pub fn marks() -> Marks {
    match rustix::process::geteuid().is_root() {
        true => Marks::Trusted,
        false => Marks::User,
    }
}

/// The directories of a build.
#[derive(Default)]
pub struct Work {
    journal: Option<(Watch, PathBuf)>,
    /// Layers that have a directory, by their diff_id.
    layers: HashMap<Digest, PathBuf>,
    count: usize,
}

impl Work {
    /// Our own directory. Call it while there is one thread only: it may start a watcher.
    fn directory(&mut self, observer: &mut dyn Observer) -> Result<PathBuf> {
        if let Some((_, path)) = &self.journal {
            return Ok(path.clone());
        }
        let parent = home::open(Place::Data, DIRECTORY)?;
        let mut watch = Watch::start(Place::Data, "image build")?;
        let path = parent.join(format!("new-{}", watch.token()));
        let why = "layers that containers of this build stand on; it goes when the build ends, however it ends";
        let op: Op = NewTree { path: literal(&path.to_string_lossy()), why: why.to_owned() }.into();
        let mut slots = Slots::default();
        let mut world = World::new(&mut slots);
        world.watch = Some(&mut watch);
        let made = op.perform(Actor::Launcher, &mut world, observer);
        self.journal = Some((watch, path.clone()));
        made.map(|()| path)
    }

    /// A new directory in it that has no name yet that anybody knows.
    fn fresh(&mut self, observer: &mut dyn Observer) -> Result<PathBuf> {
        let path = self.directory(observer)?.join(self.count.to_string());
        self.count += 1;
        Ok(path)
    }

    /// Removes everything; what could not be removed.
    pub fn end(self) -> Vec<String> {
        self.journal.map(|(watch, _)| watch.end()).unwrap_or_default()
    }

    /// Takes over the directory of what a container has changed, as this layer.
    pub fn adopt(
        &mut self,
        upper: &Path,
        diff_id: &Digest,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        if self.layers.contains_key(diff_id) {
            return Ok(());
        }
        let path = self.fresh(observer)?;
        std::fs::rename(upper, &path).tried(|| format!("rename({upper:?}, {path:?})"))?;
        self.layers.insert(diff_id.clone(), path);
        Ok(())
    }

    /// The root file system that a container of this stage stands on.
    pub fn rootfs(
        &mut self,
        state: &State,
        store: &Store,
        observer: &mut dyn Observer,
    ) -> Result<Rootfs> {
        let mut rootfs = self.base(state, observer)?;
        rootfs.execution = state.config.config.clone();
        for layer in state.made() {
            rootfs.above.insert(0, self.layer(layer, store, observer)?);
        }
        Ok(rootfs)
    }

    /// The tree of what the stage began with.
    fn base(&mut self, state: &State, observer: &mut dyn Observer) -> Result<Rootfs> {
        if let Some(image) = &state.base {
            return plan((**image).clone())?.make(observer);
        }
        let nothing = Digest::of(b"scratch");
        let own = match self.layers.get(&nothing) {
            Some(own) => own.clone(),
            None => {
                let own = self.fresh(observer)?;
                for path in [own.clone(), own.join("tree"), own.join("mnt")] {
                    directory(&path)?;
                }
                self.layers.insert(nothing, own.clone());
                own
            }
        };
        let parent = own.parent().unwrap_or(Path::new("/")).to_owned();
        let name = own.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut rootfs = Rootfs::at(&parent, &name, Execution::default());
        rootfs.key.clear();
        Ok(rootfs)
    }

    /// The directory of one of our layers, unpacked if it is not there.
    fn layer(
        &mut self,
        layer: &Layer,
        store: &Store,
        observer: &mut dyn Observer,
    ) -> Result<PathBuf> {
        if let Some(path) = self.layers.get(&layer.diff_id) {
            return Ok(path.clone());
        }
        let path = self.fresh(observer)?;
        directory(&path)?;
        let blob = store.blob_path(&layer.descriptor.digest);
        let file = File::open(&blob).tried(|| format!("open({blob:?})"))?;
        let options = Options { whiteouts: true, marks: Some(marks()), ..Options::default() };
        unpack(file, &path, &options, observer)?;
        self.layers.insert(layer.diff_id.clone(), path.clone());
        Ok(path)
    }
}

/// The image as a stage has it, to be asked for paths. The base's tree is asked if it is
/// there and is all that the image says; else the listings of its layers are.
pub fn view(state: &State, store: &Store, observer: &mut dyn Observer) -> Result<View> {
    let mut layers = Vec::new();
    let mut tree = None;
    if let Some(image) = &state.base {
        let ready = match plan((**image).clone())? {
            // As an ordinary user, every file of the tree is ours.
            rootfs::Plan::Ready(rootfs) if rustix::process::geteuid().is_root() => Some(rootfs),
            _ => None,
        };
        match ready {
            Some(rootfs) => tree = Some(stack(&rootfs)?),
            None => layers = dissect::layers(image, observer)?,
        }
    }
    for layer in state.made() {
        layers.push(listing(layer, store)?);
    }
    Ok(View::new(&layers, tree))
}

/// What is in one of our layers: it was noted when it was made.
fn listing(layer: &Layer, store: &Store) -> Result<dissect::Layer> {
    if let Some(known) = dissect::index::load(&layer.descriptor.digest) {
        return Ok(known);
    }
    let blob = store.blob_path(&layer.descriptor.digest);
    let file = File::open(&blob).tried(|| format!("open({blob:?})"))?;
    dissect::scan::scan(file, &layer.descriptor, &layer.diff_id)
}

fn directory(path: &Path) -> Result<()> {
    let call = || format!("mkdir({path:?}, 0755)");
    std::fs::create_dir(path).tried(call)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).tried(call)
}

/// How an image's tree comes about. That of the base image is made with it.
fn plan(image: Image) -> Result<rootfs::Plan> {
    let key = image.config.chain_id();
    match base::find()? {
        Some(found) if key.is_some_and(|key| key.hex() == found.key) => {
            Ok(rootfs::Plan::Ready(Box::new(found)))
        }
        _ => rootfs::Plan::of_image(image),
    }
}

/// The layers of a root file system, to be looked through from outside.
pub fn stack(rootfs: &Rootfs) -> Result<Stack> {
    let open = |path: &Path, marks| {
        stack::Layer::open(path, marks).tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))
    };
    let above = rootfs.above.iter().map(|path| open(path, marks()));
    let layers = above.chain([open(&rootfs.tree, Marks::None)]);
    layers.collect::<Result<Vec<_>>>().map(Stack)
}

/// Directories for what a container of the build changes, as a journal of its own names
/// them: it is removed when the container is, unless the build has taken it over.
pub fn changes(token: &str) -> Result<(PathBuf, Vec<Op>)> {
    let own = home::path(Place::Data)?.join(DIRECTORY).join(format!("run-{token}"));
    let path = literal(&own.to_string_lossy());
    let make = |name: &str, why: &str| {
        let path = format!("{path}/{name}");
        Op::from(MakeDir { path, mode: 0o755, why: why.to_owned() })
    };
    let why = "what the command changes, until it is a layer";
    let ops = vec![
        NewTree { path: path.clone(), why: why.to_owned() }.into(),
        make("upper", "the layer: all that the command makes, changes and deletes goes here"),
        make("work", "overlayfs needs a directory for its own work, on the same disk"),
    ];
    Ok((own, ops))
}

/// The new layer's root is like the one below: overlayfs shows that of the topmost.
pub fn like_below(upper: &Path, rootfs: &Rootfs) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let below = rootfs.above.first().unwrap_or(&rootfs.tree);
    let call = || format!("chmod, chown({upper:?})");
    let metadata = std::fs::metadata(below).tried(call)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(upper, Some(metadata.uid()), Some(metadata.gid())).tried(call)?;
    }
    let mode = std::fs::Permissions::from_mode(metadata.mode() & 0o7777);
    std::fs::set_permissions(upper, mode).tried(call)
}

/// What was left of a build that could not be removed.
pub fn left(left: &[String]) -> Option<Error> {
    let first = left.first()?;
    Some(
        Error::new("tidying up after the build")
            .said(first)
            .hint("`under-the-hood cleanup` tries again."),
    )
}

/// The root file system that a container of a stage would stand on, and what there is to do
/// before it does. Makes nothing.
pub fn describe(state: &State) -> Result<(Vec<Step>, Rootfs)> {
    let own = home::path(Place::Data)?.join(DIRECTORY).join("new-$token");
    let mut steps = Vec::new();
    let mut rootfs = match &state.base {
        Some(image) => {
            let plan = plan((**image).clone())?;
            steps.extend(plan.describe()?);
            plan.rootfs()
        }
        None => Rootfs::at(&own, "scratch", Execution::default()),
    };
    rootfs.execution = state.config.config.clone();
    for (number, layer) in state.made().iter().enumerate() {
        let path = own.join(number.to_string());
        let call = format!("mkdirat, openat, symlinkat, mknodat(\"{}/...\")", path.display());
        let why = "a layer of this build by itself, for overlayfs to lay over the others";
        let shell = format!(
            "tar -xpzf blobs/sha256/{} -C {}",
            layer.descriptor.digest.hex(),
            path.display()
        );
        steps.push(Step::new(call, why).shell(shell));
        rootfs.above.insert(0, path);
    }
    Ok((steps, rootfs))
}
