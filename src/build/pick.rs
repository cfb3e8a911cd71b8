//! What COPY and ADD take: files below a build context, or of another image, found
//! by name or pattern, and summed up, so that it is known whether they are others
//! than the last time.
//!
//! A source is looked at name by name, and a link on the way is followed with the
//! context as `/`: nothing outside of it is ever opened.

use std::io::Read;

use rustix::fs::{FileType, Stat};
use sha2::{Digest as _, Sha256};

use crate::build::dockerfile::ignore::Patterns;
use crate::build::glob;
use crate::build::layer::source::{self, Owners};
use crate::build::view::{Parts, cleaned, names};
use crate::error::{Context, Error, Result};
use crate::image::oci::hex;
use crate::image::stack::{Found, Stack};
use crate::image::unpack::member::{Kind, Member};
use crate::image::unpack::name::shown;

/// As many symbolic links as the kernel follows in one name.
const MOST_LINKS: usize = 40;

/// Where files are taken from.
pub struct Tree {
    /// Its files.
    pub stack: Stack,
    /// What is left out of it.
    pub ignore: Patterns,
    /// Whether this is a build context: its files belong to nobody in particular.
    pub context: bool,
    /// What an error calls it: `the build context`, `stage build`.
    pub name: String,
}

/// A file or directory that was found.
#[derive(Debug, Clone)]
pub struct File {
    /// Where in the tree.
    pub path: Parts,
    /// Which layer of the tree it is in.
    pub layer: usize,
    /// What it was when it was found.
    pub stat: Stat,
    /// As it would be a member of an archive, called by its path.
    pub member: Member,
    /// The SHA-256 of its content, in hexadecimal; of what is no regular file, nothing.
    pub sum: String,
}

/// What one source came to.
#[derive(Debug, Clone)]
pub struct Picked {
    /// The last name of the source, which a file keeps in a directory.
    pub name: Vec<u8>,
    /// Where its files begin: what is in a directory is called from here.
    pub root: Parts,
    /// Whether it is a directory: then what is in it is copied.
    pub directory: bool,
    /// What is in it, a directory before what is in that; or the one file.
    pub files: Vec<File>,
}

/// What is written down of something that went into a layer: what, and what it was.
pub type Input = (String, String);

impl Picked {
    /// For the cache: every file, with all of it but its time.
    pub fn inputs(&self, context: bool) -> Vec<Input> {
        self.files
            .iter()
            .map(|file| (shown(&file.path.join(&b'/')), file.summary(context)))
            .collect()
    }
}

impl File {
    fn summary(&self, context: bool) -> String {
        let Member { kind, mode, uid, gid, xattrs, .. } = &self.member;
        let what = match kind {
            Kind::File(_) => self.sum.clone(),
            Kind::Directory => "directory".to_owned(),
            Kind::Symlink(to) => format!("-> {}", to.escape_ascii()),
            other => format!("{other:?}"),
        };
        let owner = if context { String::new() } else { format!(" {uid}:{gid}") };
        let xattrs: String = xattrs
            .iter()
            .map(|(name, value)| format!(" {}={}", name.escape_ascii(), hex(value)))
            .collect();
        format!("{mode:o}{owner} {what}{xattrs}")
    }
}

impl Tree {
    /// What a source means: a path, or a pattern for several. What `exclude` names of it
    /// is left out.
    pub fn pick(&self, source: &str, exclude: &Patterns) -> Result<Vec<Picked>> {
        let found = match glob::is_pattern(source) {
            true => self.matching(source)?,
            false => vec![cleaned(&glob::plain(source))],
        };
        let picked = found.into_iter().map(|path| self.one(source, path));
        let mut picked = picked.collect::<Result<Vec<_>>>()?;
        for one in &mut picked {
            let root = one.root.len();
            let wanted = |file: &File| {
                let below = if one.directory {
                    &file.path[root..]
                } else {
                    std::slice::from_ref(&one.name)
                };
                !exclude.excluded(&String::from_utf8_lossy(&below.join(&b'/')))
            };
            one.files = std::mem::take(&mut one.files).into_iter().filter(wanted).collect();
        }
        Ok(picked)
    }

    /// All paths that match.
    fn matching(&self, pattern: &str) -> Result<Vec<Parts>> {
        let wrong = |why: String| Error::usage(format!("the pattern {pattern}")).said(why);
        let mut found = vec![Parts::new()];
        let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
        for part in parts {
            let mut next = Vec::new();
            for path in found {
                if !glob::is_pattern(part) {
                    let path = [path, vec![glob::plain(part).into_bytes()]].concat();
                    next.extend(self.find(&path)?.map(|_| path));
                    continue;
                }
                let directory = self.followed(&path)?;
                for name in self.list(&directory)?.into_keys() {
                    let text = String::from_utf8_lossy(&name).into_owned();
                    if glob::matches(part, &text).map_err(wrong)? {
                        next.push([path.clone(), vec![name]].concat());
                    }
                }
            }
            found = next;
        }
        found.retain(|path| !self.ignored(path));
        Ok(found)
    }

    fn list(&self, directory: &[Vec<u8>]) -> Result<std::collections::BTreeMap<Vec<u8>, Found>> {
        self.stack.list(directory).tried(|| format!("reading {}", self.shown(directory)))
    }

    fn shown(&self, path: &[Vec<u8>]) -> String {
        format!("{} of {}", shown(&path.join(&b'/')), self.name)
    }

    /// What is at a path, no link followed.
    fn find(&self, path: &[Vec<u8>]) -> Result<Option<Found>> {
        let Some((last, parent)) = path.split_last() else { return Ok(None) };
        let parent = self.followed(parent)?;
        Ok(self.list(&parent)?.remove(last))
    }

    /// The path with every link followed.
    fn followed(&self, path: &[Vec<u8>]) -> Result<Parts> {
        let call = || format!("finding {}", self.shown(path));
        let mut here = self.stack.resolve(path).tried(call)?;
        for _ in 0..MOST_LINKS {
            let Some(to) = self.stack.link(&here).tried(call)? else { return Ok(here) };
            here.pop();
            if to.starts_with(b"/") {
                here.clear();
            }
            here.extend(names(&to));
            here = self.stack.resolve(&here).tried(call)?;
        }
        Err(Error::new(call()).said("symbolic links lead in a circle"))
    }

    /// Whether it is left out by .dockerignore; what is no UTF-8, no pattern can name.
    fn ignored(&self, path: &[Vec<u8>]) -> bool {
        let path = String::from_utf8_lossy(&path.join(&b'/')).into_owned();
        !path.is_empty() && self.ignore.excluded(&path)
    }

    fn may_return(&self, path: &[Vec<u8>]) -> bool {
        self.ignore.may_return(&String::from_utf8_lossy(&path.join(&b'/')))
    }

    fn one(&self, source: &str, path: Parts) -> Result<Picked> {
        let name = path.last().cloned().unwrap_or_default();
        let followed = self.followed(&path)?;
        let found = match followed.is_empty() {
            true => None,
            false => Some(self.find(&followed)?.ok_or_else(|| self.absent(source))?),
        };
        let directory = found.as_ref().is_none_or(Found::is_directory);
        let mut files = Vec::new();
        if directory {
            if self.ignored(&followed) && !self.may_return(&followed) {
                return Err(self.left_out(source));
            }
            self.below(&mut followed.clone(), &mut files)?;
        } else if let Some(found) = found {
            if self.ignored(&followed) || self.ignored(&path) {
                return Err(self.left_out(source));
            }
            files.extend(self.file(&followed, &found)?);
        }
        Ok(Picked { name, root: followed, directory, files })
    }

    /// Everything in a directory.
    fn below(&self, path: &mut Parts, files: &mut Vec<File>) -> Result<()> {
        for (name, found) in self.list(path)? {
            path.push(name);
            let ignored = self.ignored(path);
            if !ignored {
                files.extend(self.file(path, &found)?);
            }
            if found.is_directory() && (!ignored || self.may_return(path)) {
                let before = files.len();
                self.below(path, files)?;
                if ignored && files.len() > before {
                    // Something in it is wanted, and so it is too.
                    if let Some(directory) = self.file(path, &found)? {
                        files.insert(before, directory);
                    }
                }
            }
            path.pop();
        }
        Ok(())
    }

    fn file(&self, path: &[Vec<u8>], found: &Found) -> Result<Option<File>> {
        let Some(last) = path.last() else { return Ok(None) };
        // A context is the reader's own: whose its files are out here says nothing.
        let owners = Owners::ours();
        let name = path.join(&b'/');
        let member = source::member(&*found.directory, last, &found.stat, name, owners)?;
        let Some(member) = member else { return Ok(None) };
        let regular = FileType::from_raw_mode(found.stat.st_mode) == FileType::RegularFile;
        let sum = match regular {
            true => sum(source::open(&*found.directory, last, &found.stat)?)
                .tried(|| format!("reading {}", self.shown(path)))?,
            false => String::new(),
        };
        let (path, layer, stat) = (path.to_vec(), found.layer, found.stat);
        Ok(Some(File { path, layer, stat, member, sum }))
    }

    fn absent(&self, source: &str) -> Error {
        let error = Error::new(format!("{} is not in {}", source.escape_debug(), self.name));
        match self.context {
            true => error.hint(
                "Sources of COPY and ADD are looked for in the directory that `image build` was given, and \
                 nowhere else on this machine.",
            ),
            false => error,
        }
    }

    fn left_out(&self, source: &str) -> Error {
        Error::new(format!("{} is not in {}", source.escape_debug(), self.name))
            .said("a pattern of .dockerignore leaves it out")
    }

    /// Opens a file that was picked, as it was then.
    pub fn open(&self, file: &File) -> Result<std::fs::File> {
        let call = || format!("open({}, RESOLVE_BENEATH)", self.shown(&file.path));
        let Some(layer) = self.stack.0.get(file.layer) else {
            return Err(Error::new(call()));
        };
        let opened = layer.file(&file.path).tried(call)?;
        let now = rustix::fs::fstat(&opened).tried(call)?;
        let same =
            |a: &Stat, b: &Stat| (a.st_dev, a.st_ino, a.st_size) == (b.st_dev, b.st_ino, b.st_size);
        match same(&now, &file.stat) {
            true => Ok(opened.into()),
            false => Err(source::changed(&file.path.join(&b'/'))),
        }
    }
}

/// The SHA-256 of a file.
fn sum(mut file: std::fs::File) -> std::io::Result<String> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&sum.finalize())),
            Ok(count) => sum.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
