//! Images in a directory of the reader's: an OCI image layout, as skopeo, umoci and
//! Podman take it. It is there whole, or not at all.

use std::path::{Path, PathBuf};

use super::fresh::check_free;
use super::reference::Name;
use super::save;
use super::source::Image;
use crate::error::{Context, Error, Result};
use crate::home::Place;
use crate::kernel::files::MakeDir;
use crate::kernel::op::{self, Op, Slots, World, literal};
use crate::kernel::tree::{NewTree, Rename};
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// A layout that is to be written.
#[derive(Debug)]
pub struct ExportDirectory {
    directory: PathBuf,
}

impl ExportDirectory {
    /// At this place, where nothing is yet, or an empty directory.
    pub fn to(directory: &Path) -> Result<Self> {
        check_free(directory)?;
        let directory =
            std::path::absolute(directory).tried(|| format!("finding {directory:?}"))?;
        Ok(Self { directory })
    }

    /// Where it is written before it gets its name: beside it, on the same file system.
    fn beside(&self, token: &str) -> PathBuf {
        let parent = self.directory.parent().unwrap_or(Path::new("/"));
        parent.join(format!(".new-{token}"))
    }

    fn making(&self) -> [Op; 2] {
        let new = literal(&self.beside("").to_string_lossy()) + "$token";
        let why = "everything is written in here first; it is removed when the command ends, however it ends";
        [
            NewTree { path: new.clone(), why: why.to_owned() }.into(),
            MakeDir { path: format!("{new}/layout"), mode: 0o755, why: "the new layout".into() }
                .into(),
        ]
    }

    fn writing(&self, token: &str, shell: &str) -> Step {
        let path = self.beside(token).join("layout");
        Step::new(
            format!("write(open({:?}, O_WRONLY|O_CREAT|O_EXCL), ...)", path.join("blobs/...")),
            "every blob under its digest; then index.json, which names the images",
        )
        .shell(shell.replace("FILE", &path.to_string_lossy()))
    }

    fn placing(&self) -> Op {
        Rename {
            from: literal(&self.beside("").to_string_lossy()) + "$token/layout",
            to: literal(&self.directory.to_string_lossy()),
            why: "nobody finds half a layout under this name".into(),
        }
        .into()
    }

    /// The steps, not performed; `shell` is what a person would type to write it to `FILE`.
    pub fn describe(&self, shell: &str) -> Vec<Step> {
        let mut steps = op::describe(&self.making(), Actor::Launcher);
        steps.push(self.writing("$token", shell));
        steps.push(self.placing().step());
        steps
    }

    /// Writes these images, each under its name (or `tag`); bytes of all files.
    pub fn write(
        &self,
        images: &[(Name, Image)],
        tag: Option<&str>,
        [command, shell]: [&str; 2],
        observer: &mut dyn Observer,
    ) -> Result<u64> {
        let mut watch = Watch::start(Place::Data, command)?;
        let mut slots = Slots::default();
        slots.set("token", watch.token());
        let token = watch.token().to_owned();
        let mut world = World::new(&mut slots);
        world.watch = Some(&mut watch);
        let mut all = || -> Result<u64> {
            op::perform_all(&self.making(), Actor::Launcher, &mut world, observer)?;
            let written = save::layout(images, tag, &self.beside(&token).join("layout"));
            let mut step = self.writing(&token, shell);
            step.result = Some(written.as_ref().map(u64::to_string).map_err(Error::clone));
            observer.step(&step);
            let bytes = written?;
            self.placing().perform(Actor::Launcher, &mut world, observer)?;
            Ok(bytes)
        };
        let result = all();
        watch.end();
        result
    }
}
