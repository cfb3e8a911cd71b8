//! An image as an OCI image layout in a directory of the reader's: what skopeo,
//! umoci and Podman read. It is there whole, or not at all.

use std::path::{Path, PathBuf};

use super::oci::{Descriptor, Index, REF_NAME};
use super::source::Image;
use super::store::Store;
use crate::error::{Context, Error, Result};
use crate::home::Place;
use crate::kernel::files::MakeDir;
use crate::kernel::op::{self, Op, Slots, World, literal};
use crate::kernel::tree::{NewTree, Rename};
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// A directory that is to become a layout.
#[derive(Debug)]
pub struct LayOut {
    directory: PathBuf,
    /// The name that index.json has for the image.
    name: String,
}

impl LayOut {
    /// Refuses a directory that is there, unless it is empty.
    pub fn to(directory: &Path, name: &str) -> Result<Self> {
        let absolute = std::path::absolute(directory).tried(|| format!("finding {directory:?}"))?;
        let empty = match std::fs::read_dir(&absolute) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(Error::io(format!("opendir({absolute:?})"), &error)),
            Ok(mut entries) => entries.next().is_none(),
        };
        match empty {
            true => Ok(Self { directory: absolute, name: name.to_owned() }),
            false => Err(Error::usage(format!("{} is not empty", directory.display()))
                .hint("Give a directory that is empty, or not there yet.")),
        }
    }

    fn beside(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.directory.with_file_name(format!(".{name}-"));
        literal(&beside.to_string_lossy()) + "$token"
    }

    fn making(&self) -> Vec<Op> {
        let new = self.beside();
        let make = |name: &str, why: &str| {
            let path = format!("{new}/{name}");
            Op::from(MakeDir { path, mode: 0o755, why: why.to_owned() })
        };
        let why = "everything is written beside its place, under a name of the journal's";
        vec![
            NewTree { path: new.clone(), why: why.to_owned() }.into(),
            make("blobs", "an OCI image layout keeps everything here"),
            make("blobs/sha256", "each named by its sum"),
        ]
    }

    fn placing(&self) -> Op {
        let to = literal(&self.directory.to_string_lossy());
        let why = "whole, or not at all".to_owned();
        Rename { from: self.beside(), to, why }.into()
    }

    /// The steps, not performed.
    pub fn describe(&self) -> Vec<Step> {
        let mut steps = op::describe(&self.making(), Actor::Launcher);
        steps.extend(op::describe(&[self.placing()], Actor::Launcher));
        steps
    }

    /// Writes an image of the store. Call it while there is one thread only: it starts a watcher.
    pub fn write(&self, image: &Image, store: &Store, observer: &mut dyn Observer) -> Result<()> {
        let mut watch = Watch::start(Place::Data, "writing an OCI image layout")?;
        let result = self.write_watched(image, store, &mut watch, observer);
        watch.end();
        result
    }

    fn write_watched(
        &self,
        image: &Image,
        store: &Store,
        watch: &mut Watch,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mut slots = Slots::default();
        slots.set("token", watch.token());
        let new = PathBuf::from(slots.fill(&self.beside()));
        let mut world = World::new(&mut slots);
        world.watch = Some(watch);
        op::perform_all(&self.making(), Actor::Launcher, &mut world, observer)?;
        let parts = [&image.manifest.config, &image.descriptor].into_iter();
        for part in image.manifest.layers.iter().chain(parts) {
            let (from, to) = (store.blob_path(&part.digest), blob(&new, part)?);
            std::fs::copy(&from, &to).tried(|| format!("copy_file_range({from:?}, {to:?})"))?;
        }
        let mut descriptor = image.descriptor.clone();
        descriptor.annotations.insert(REF_NAME.to_owned(), self.name.clone());
        descriptor.platform = Some(image.config.platform());
        let index = Index { manifests: vec![descriptor], ..Index::default() };
        let texts = [
            ("index.json", serde_json::json!(index)),
            ("oci-layout", serde_json::json!({ "imageLayoutVersion": "1.0.0" })),
        ];
        for (name, json) in texts {
            let path = new.join(name);
            std::fs::write(&path, json.to_string()).tried(|| format!("write({path:?})"))?;
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&new, mode).tried(|| format!("chmod({new:?}, 0755)"))?;
        self.placing().perform(Actor::Launcher, &mut world, observer)
    }
}

fn blob(new: &Path, part: &Descriptor) -> Result<PathBuf> {
    let directory = new.join("blobs").join(part.digest.algorithm());
    std::fs::create_dir_all(&directory).tried(|| format!("mkdir({directory:?})"))?;
    Ok(directory.join(part.digest.hex()))
}
