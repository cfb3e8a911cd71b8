//! Making the base image: a plan that can be shown, and is carried out under
//! the eyes of a watcher.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::contents::{self, Contents, Source};
use super::tree::{Host, Tree};
use super::{Current, at, find};
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::archive;
use crate::image::rootfs::{Rootfs, directory};
use crate::kernel::files::{MakeDir, WriteFile};
use crate::kernel::op::{self, Op, Slots, World, literal};
use crate::kernel::tree::{FillTree, NewTree, Rename};
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

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
    pub fn of(host: &Host, source: Option<Source>) -> Result<Self> {
        let contents = contents::of(host, source)?;
        let key = archive::diff_id(&contents.entries)?;
        Ok(Self { contents, key, rootfs: home::path(Place::Data)?.join("rootfs") })
    }

    /// The image that this plan makes.
    pub fn rootfs(&self) -> Rootfs {
        at(&self.rootfs, &self.key)
    }

    /// The steps, not performed, for `--dry-run`; none if it is all there.
    pub fn describe(&self) -> Result<Vec<Step>> {
        let mut ops = Vec::new();
        if !self.is_made() {
            ops.extend(self.building());
            ops.push(self.placing());
        }
        if !self.is_named()? {
            ops.extend(self.naming());
        }
        Ok(op::describe(&ops, Actor::Launcher))
    }

    /// Carries it out; the image, and whether its tree had to be made. What it
    /// needs on the way is journalled, and gone when this returns.
    pub fn make(&self, observer: &mut dyn Observer) -> Result<(Rootfs, bool)> {
        directory()?;
        if self.is_made() {
            self.verify_old()?;
            if self.is_named()? {
                return Ok((self.rootfs(), false));
            }
        }
        let mut watch = Watch::start(Place::Data, "image base")?;
        let result = self.make_watched(&mut watch, observer);
        let left = watch.end();
        let made = result.map_err(|error| self.with_room(error))?;
        match left.first() {
            None => Ok((self.rootfs(), made)),
            Some(left) => Err(Error::new("tidying up after making the base image").said(left)),
        }
    }

    fn make_watched(&self, watch: &mut Watch, observer: &mut dyn Observer) -> Result<bool> {
        let mut slots = Slots::default();
        slots.set("token", watch.token());
        let new = self.rootfs.join(format!("new-{}", watch.token()));
        let mut world = World::new(&mut slots);
        world.watch = Some(watch);
        let mut made = false;
        if !self.is_made() {
            op::perform_all(&self.building(), Actor::Launcher, &mut world, observer)?;
            self.verify_new(&new.join("tree"))?;
            match self.placing().perform(Actor::Launcher, &mut world, observer) {
                Ok(()) => made = true,
                // Somebody else made the very same one meanwhile.
                Err(error) if error.is(Errno::ENOTEMPTY) || error.is(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
        op::perform_all(&self.naming(), Actor::Launcher, &mut world, observer)?;
        Ok(made)
    }

    fn with_room(&self, error: Error) -> Error {
        if error.hint.is_some() || !(error.is(Errno::ENOSPC) || error.is(Errno::EDQUOT)) {
            return error;
        }
        let needed = self.contents.bytes().div_ceil(1 << 20);
        error.hint(format!(
            "It needs {needed} MiB there, and nothing is left of it now. UTH_HOME=DIR puts \
             everything this program keeps under DIR."
        ))
    }

    fn is_made(&self) -> bool {
        self.rootfs().tree.is_dir()
    }

    fn is_named(&self) -> Result<bool> {
        Ok(find()?.is_some_and(|rootfs| rootfs.key == self.key))
    }

    /// A program that was upgraded while it was copied must not get into an
    /// image whose name says otherwise.
    fn verify_new(&self, tree: &Path) -> Result<()> {
        if key_of(tree)? == self.key {
            return Ok(());
        }
        Err(Error::new("making the base image")
            .said("a program of this machine changed while it was copied")
            .hint("An upgrade may be running; try again when it is done."))
    }

    /// Somebody may have worked in the tree itself, by chroot(1) for example.
    fn verify_old(&self) -> Result<()> {
        let tree = self.rootfs().tree;
        if key_of(&tree)? == self.key {
            return Ok(());
        }
        let whole = self.rootfs.join(&self.key);
        Err(Error::new(format!("using {}", tree.display()))
            .said("its files are not the ones it was made with")
            .hint(format!("If no container runs on it: `rm -r {}`, then again.", whole.display())))
    }

    fn building(&self) -> Vec<Op> {
        let new = format!("{}/new-$token", text(&self.rootfs));
        let tree = format!("{new}/tree");
        let shell = match self.contents.source {
            Source::Busybox => {
                format!("cp /bin/busybox {tree}/bin; {tree}/bin/busybox --install -s {tree}/bin")
            }
            Source::Programs => format!("cp --parents -d PROGRAM... LIBRARY... {tree}"),
        };
        vec![
            NewTree {
                path: new.clone(),
                why: "an image is made beside its place: nobody sees half of it, and if anything fails it is removed".into(),
            }
            .into(),
            MakeDir {
                path: format!("{new}/mnt"),
                mode: 0o700,
                why: "an empty directory that a container mounts its own file system on".into(),
            }
            .into(),
            FillTree { path: tree, entries: self.contents.entries.clone(), shell }.into(),
        ]
    }

    fn placing(&self) -> Op {
        Rename {
            from: format!("{}/new-$token", text(&self.rootfs)),
            to: format!("{}/{}", text(&self.rootfs), self.key),
            why: "its name is the SHA-256 of its files: the diff_id it would have as a layer of an OCI image".into(),
        }
        .into()
    }

    fn naming(&self) -> Vec<Op> {
        let path = format!("{}/base.json", text(&self.rootfs));
        let new = format!("{}/base-$token.json", text(&self.rootfs));
        let current =
            Current { key: self.key.clone(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let content = format!("{}\n", serde_json::json!(current));
        vec![
            WriteFile::journalled(&new, content, "which tree `base` is").into(),
            Rename { from: new, to: path, why: "from now on `base` is this tree".into() }.into(),
        ]
    }
}

/// The key of the tree that stands in a directory.
fn key_of(tree: &Path) -> Result<String> {
    let found = Tree::read(tree).tried(|| format!("reading {}", tree.display()))?;
    archive::diff_id(&found.entries())
}

/// A path in an operation: nothing in it is a slot.
fn text(path: &Path) -> String {
    literal(&path.to_string_lossy())
}
