//! An archive in a file of the reader's, for other tools: a root file system as
//! `docker import` takes it, or images as `docker load` does.
//!
//! It is there whole, or not at all; the same image gives the same bytes,
//! compressed or not.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use super::archive;
use super::base::tree::Tree;
use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::home::Place;
use crate::kernel::op::{Op, Slots, World, literal};
use crate::kernel::tree::Rename;
use crate::kernel::undo::identity_of;
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// An archive that is to be written.
#[derive(Debug)]
pub struct Export {
    file: PathBuf,
    gzip: bool,
}

impl Export {
    /// Decides by the file's name; refuses one that is there unless it may be replaced.
    pub fn to(file: &Path, replace: bool) -> Result<Self> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let gzip = is_gzip(file);
        if !gzip && !name.ends_with(".tar") {
            return Err(Error::usage(format!("{} is not the name of an archive", file.display()))
                .hint("Its ending says how it is written: .tar, .tar.gz or .tgz."));
        }
        match file.symlink_metadata() {
            Ok(there) if !there.is_file() => {
                Err(Error::usage(format!("{} is there and is not a regular file", file.display())))
            }
            Ok(_) if !replace => Err(Error::new(format!("{} is there already", file.display()))
                .hint("With --yes it is replaced.")),
            _ => {
                let file = std::path::absolute(file).tried(|| format!("finding {file:?}"))?;
                Ok(Self { file, gzip })
            }
        }
    }

    /// Where it is written before it gets its name: beside it, on the same file system.
    fn beside(&self, token: &str) -> PathBuf {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        self.file.with_file_name(format!(".{name}-{token}"))
    }

    /// The steps, not performed.
    pub fn describe(&self, shell: &str) -> Vec<Step> {
        vec![self.writing("$token", shell), self.naming("$token").step()]
    }

    /// `shell` is what a person would type to write the archive to `FILE`.
    fn writing(&self, token: &str, shell: &str) -> Step {
        let beside = self.beside(token);
        Step::new(
            format!("write(open({beside:?}, O_WRONLY|O_CREAT|O_EXCL), ...)"),
            "the whole archive first, under another name; it is removed if the disk fills up",
        )
        .shell(shell.replace("FILE", &beside.to_string_lossy()))
    }

    fn naming(&self, token: &str) -> Op {
        Rename {
            from: literal(&self.beside(token).to_string_lossy()),
            to: literal(&self.file.to_string_lossy()),
            why: "nobody finds half an archive under this name".into(),
        }
        .into()
    }

    /// Writes what `fill` puts into it; the archive's size in bytes.
    pub fn write(
        &self,
        command: &str,
        shell: &str,
        observer: &mut dyn Observer,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<u64> {
        let mut watch = Watch::start(Place::Data, command)?;
        let result = self.write_watched(shell, &mut watch, observer, fill);
        watch.end();
        result.map_err(|error| match error.hint {
            None => error.hint(format!("Nothing is left of {}.", self.file.display())),
            Some(_) => error,
        })
    }

    fn write_watched(
        &self,
        shell: &str,
        watch: &mut Watch,
        observer: &mut dyn Observer,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<u64> {
        let token = watch.token().to_owned();
        let path = self.beside(&token);
        let n = watch.intend(&Effect::File { path: path.clone() })?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .tried(|| format!("open({path:?}, O_CREAT|O_EXCL)"))?;
        watch.done(n, &identity_of(&path)?)?;
        let result = self.fill(file, fill);
        let mut step = self.writing(&token, shell);
        step.result = Some(result.as_ref().map(u64::to_string).map_err(Error::clone));
        observer.step(&step);
        let bytes = result?;
        let mut slots = Slots::default();
        self.naming(&token).perform(Actor::Launcher, &mut World::new(&mut slots), observer)?;
        Ok(bytes)
    }

    fn fill(&self, file: File, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<u64> {
        let length = || format!("write({})", self.file.display());
        let copy = file.try_clone().tried(length)?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        if self.gzip {
            let mut gzip = GzBuilder::new().mtime(0).write(out, Compression::default());
            fill(&mut gzip)?;
            gzip.finish().and_then(|mut out| out.flush()).tried(length)?;
        } else {
            fill(&mut out)?;
            out.flush().tried(length)?;
        }
        Ok(copy.metadata().tried(length)?.len())
    }
}

/// A root file system as an archive, as a person would write it.
pub fn shell_of_tree(file: &Path) -> String {
    let flag = if is_gzip(file) { "z" } else { "" };
    format!(
        "tar -c{flag}f FILE --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C TREE ."
    )
}

/// Writes the tree that stands at `root` as an archive.
pub fn tree(root: &Path, out: &mut dyn Write) -> Result<()> {
    let entries = Tree::read(root).tried(|| format!("reading {}", root.display()))?.entries();
    archive::write(&entries, out)
}

fn is_gzip(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}
