//! The base image: a root file system made from this machine's own programs,
//! for everyone who has no network.
//!
//! It is kept under the SHA-256 of its files and, like every image, does not
//! change by itself: `run` takes the one that was made and looks at nothing
//! else, which costs two system calls, and an upgrade of this machine between
//! two `run`s changes nothing in a container. `image base` looks at the machine
//! again, and makes another one if its programs are others by now.

pub mod contents;
pub mod elf;
pub mod libraries;
mod skeleton;
pub mod tree;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::archive;
use crate::kernel::files::{MakeDir, WriteFile};
use crate::kernel::op::{self, Op, Slots, World, literal};
use crate::kernel::tree::{FillTree, NewTree, Rename};
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

pub use contents::Contents;
pub use tree::Host;

/// The image's full name.
pub const NAME: &str = "localhost/under-the-hood/base";

/// A root file system that is there and was verified when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// The SHA-256 of its deterministic tar archive, in hexadecimal.
    pub key: String,
    /// Its root directory.
    pub tree: PathBuf,
    /// An empty directory beside it: a place to mount on, in a mount namespace of one's own.
    pub mnt: PathBuf,
    /// What is run when no command is given.
    pub default_command: Vec<String>,
    /// The environment that its programs expect.
    pub env: Vec<String>,
}

/// Which tree `base` is at present: the content of rootfs/base.json.
#[derive(Debug, Serialize, Deserialize)]
struct Current {
    key: String,
    /// The version of this program that made it: another one may put in other files.
    version: String,
}

/// The base image that was made last, if there is one. Reads only.
pub fn find() -> Result<Option<Rootfs>> {
    let rootfs = home::path(Place::Data)?.join("rootfs");
    let Ok(text) = fs::read(rootfs.join("base.json")) else { return Ok(None) };
    let Ok(current) = serde_json::from_slice::<Current>(&text) else { return Ok(None) };
    let well_formed = current.key.len() == 64 && current.key.bytes().all(|b| b.is_ascii_hexdigit());
    let found = at(&rootfs, &current.key);
    let there = well_formed && current.version == env!("CARGO_PKG_VERSION") && found.tree.is_dir();
    Ok(there.then_some(found))
}

/// The base image, made now if there is none. Call it while there is one thread
/// only: making it starts a watcher.
pub fn ensure(observer: &mut dyn Observer) -> Result<Rootfs> {
    directory()?;
    match find()? {
        Some(rootfs) => Ok(rootfs),
        None => make(&Plan::of(&Host("/".into()))?, observer).map(|(rootfs, _)| rootfs),
    }
}

/// What is to be done for an image with these contents.
#[derive(Debug)]
pub struct Plan {
    /// What goes into it.
    pub contents: Contents,
    /// The name it will have.
    pub key: String,
    rootfs: PathBuf,
}

impl Plan {
    /// Looks at the host's programs; changes nothing.
    pub fn of(host: &Host) -> Result<Self> {
        let contents = contents::of(host)?;
        let key = archive::diff_id(&contents.entries, None)?;
        Ok(Self { contents, key, rootfs: home::path(Place::Data)?.join("rootfs") })
    }

    /// Whether an image with just these contents is there already.
    pub fn is_made(&self) -> bool {
        at(&self.rootfs, &self.key).tree.is_dir()
    }

    /// The steps, not performed, for `--dry-run`.
    pub fn describe(&self) -> Vec<Step> {
        let mut ops = Vec::new();
        if !self.is_made() {
            ops.extend(self.building());
            ops.push(self.into_place());
        }
        ops.extend(self.naming());
        op::describe(&ops, Actor::Launcher)
    }

    fn building(&self) -> Vec<Op> {
        let new = format!("{}/new-$token", text(&self.rootfs));
        vec![
            NewTree {
                path: new.clone(),
                why: "nobody sees half an image: it is made beside its place, and removed if anything fails".into(),
            }
            .into(),
            MakeDir {
                path: format!("{new}/mnt"),
                mode: 0o700,
                why: "an empty directory that a container mounts its own file system on".into(),
            }
            .into(),
            FillTree { path: format!("{new}/tree"), entries: self.contents.entries.clone() }.into(),
        ]
    }

    fn into_place(&self) -> Op {
        Rename {
            from: format!("{}/new-$token", text(&self.rootfs)),
            to: format!("{}/{}", text(&self.rootfs), self.key),
            why: "its name is the SHA-256 of its files, as a layer's is in an OCI image".into(),
        }
        .into()
    }

    fn naming(&self) -> Vec<Op> {
        let (path, new) = (
            format!("{}/base.json", text(&self.rootfs)),
            format!("{}/base-$token.json", text(&self.rootfs)),
        );
        let current = serde_json::json!({ "key": self.key, "version": env!("CARGO_PKG_VERSION") });
        vec![
            WriteFile::journalled(&new, format!("{current}\n"), "which tree `base` means").into(),
            Rename { from: new, to: path, why: "from now on `base` means this tree".into() }.into(),
        ]
    }
}

/// Carries out the plan; the image, and whether its tree had to be made.
/// Everything it leaves on the way is journalled, and gone when it returns.
pub fn make(plan: &Plan, observer: &mut dyn Observer) -> Result<(Rootfs, bool)> {
    directory()?;
    let mut watch = Watch::start(Place::Data, "image base")?;
    let result = make_watched(plan, &mut watch, observer);
    let left = watch.end();
    let made = result?;
    match left?.first() {
        None => Ok((at(&plan.rootfs, &plan.key), made)),
        Some(left) => Err(Error::new("tidying up after making the base image").said(left)),
    }
}

fn make_watched(plan: &Plan, watch: &mut Watch, observer: &mut dyn Observer) -> Result<bool> {
    let mut slots = Slots::default();
    slots.set("token", watch.token());
    let new = plan.rootfs.join(format!("new-{}", watch.token()));
    let mut world = World::new(&mut slots);
    world.watch = Some(watch);
    let made = !plan.is_made();
    if made {
        op::perform_all(&plan.building(), Actor::Launcher, &mut world, observer)?;
        verify(plan, &new)?;
        match plan.into_place().perform(Actor::Launcher, &mut world, observer) {
            // Somebody else made the very same one meanwhile.
            Err(error) if error.is(Errno::ENOTEMPTY) || error.is(Errno::EEXIST) => {}
            other => other?,
        }
    }
    op::perform_all(&plan.naming(), Actor::Launcher, &mut world, observer)?;
    Ok(made)
}

/// A program that was upgraded while it was copied must not get into an image
/// whose name says otherwise.
fn verify(plan: &Plan, new: &Path) -> Result<()> {
    let key = archive::diff_id(&plan.contents.entries, Some(&new.join("tree")))?;
    if key == plan.key {
        return Ok(());
    }
    Err(Error::new("making the base image")
        .said("a program of this machine changed while it was copied")
        .hint("An upgrade may be running; try again when it is done."))
}

/// The directory of all root file systems, made and checked.
fn directory() -> Result<PathBuf> {
    let data = home::open(Place::Data, "")?;
    let path = data.join("rootfs");
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).tried(|| format!("mkdir({path:?}, 0700)"));
        }
        _ => home::open(Place::Data, "rootfs"),
    }
}

fn at(rootfs: &Path, key: &str) -> Rootfs {
    let own = rootfs.join(key);
    Rootfs {
        key: key.to_owned(),
        tree: own.join("tree"),
        mnt: own.join("mnt"),
        default_command: vec!["/bin/sh".to_owned()],
        env: vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            "ENV=/etc/profile".to_owned(),
        ],
    }
}

fn text(path: &Path) -> String {
    literal(&path.to_string_lossy())
}
