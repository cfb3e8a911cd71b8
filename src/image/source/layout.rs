//! An OCI image layout: `oci-layout`, `index.json`, and blobs named by digest.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Blob, Blobs, Image, is_image};
use crate::error::{Context, Error, Result};
use crate::image::oci::{DAMAGED, Descriptor, Digest, Document, Index, MOST_BYTES, Platform};
use crate::image::reference::Name;

/// The annotation in which containerd keeps an image's whole name.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Files by name: those of a directory, or of an archive.
pub trait Files: Send + Sync {
    /// The file and its size; `None` if there is no such file.
    fn open(&self, name: &str) -> Result<Option<(Blob, u64)>>;

    /// By what the file is known again, as long as nobody writes to it.
    fn witness(&self, name: &str) -> String {
        let _ = name;
        String::new()
    }
}

/// A directory.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

impl Directory {
    /// The files of this directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Files for Directory {
    fn open(&self, name: &str) -> Result<Option<(Blob, u64)>> {
        let path = self.0.join(name);
        let call = || format!("open({path:?})");
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.tried(call)?,
        };
        let metadata = file.metadata().tried(call)?;
        match metadata.is_file() {
            true => Ok(Some((Box::new(file), metadata.len()))),
            false => Err(Error::new(call()).said("it is not a regular file")),
        }
    }

    fn witness(&self, name: &str) -> String {
        match self.0.join(name).metadata() {
            Err(_) => String::new(),
            Ok(stat) => format!(
                "{}:{} {} {}.{:09}",
                stat.dev(),
                stat.ino(),
                stat.len(),
                stat.ctime(),
                stat.ctime_nsec()
            ),
        }
    }
}

/// An OCI image layout.
pub struct Layout {
    files: Box<dyn Files>,
    /// What its index.json names.
    pub index: Index,
    shown: PathBuf,
    trusted: bool,
}

impl Layout {
    /// Opens one; `shown` is what it is called in errors.
    pub fn open(files: Box<dyn Files>, shown: &Path) -> Result<Self> {
        let layout = |name: &str| -> Result<Vec<u8>> {
            read(&*files, name, shown)?.ok_or_else(|| {
                Error::new(format!("reading {}", shown.display()))
                    .said(format!("there is no {name} in it"))
                    .hint("An OCI image layout has oci-layout, index.json and blobs/: `skopeo copy docker://NAME oci:DIR` makes one.")
            })
        };
        let version = layout("oci-layout")?;
        let version: serde_json::Value = serde_json::from_slice(&version).unwrap_or_default();
        let version = version["imageLayoutVersion"].as_str().unwrap_or_default().to_owned();
        if !version.starts_with("1.") {
            return Err(Error::new(format!("reading {}/oci-layout", shown.display()))
                .said(format!("version {version:?} is not 1.0.0")));
        }
        let index = match Document::parse(&layout("index.json")?, "")? {
            Document::Index(index) => index,
            Document::Manifest(_) => {
                return Err(Error::new(format!("reading {}/index.json", shown.display()))
                    .said("it is a manifest, not an index"));
            }
        };
        Ok(Self { files, index, shown: shown.to_owned(), trusted: false })
    }

    /// One that only we can write, where everything was verified on its way in.
    pub fn trusted(self) -> Self {
        Self { trusted: true, ..self }
    }

    /// The image with this tag; without one, the only image that there is.
    pub fn image(self, name: &str, tag: Option<&str>, platform: &Platform) -> Result<Image> {
        let descriptor = self.find(tag)?.clone();
        Image::read(name, Arc::new(self), descriptor, platform)
    }

    /// Every image, with its name if that is one.
    pub fn all(self, platform: &Platform) -> Result<Vec<(Vec<Name>, Image)>> {
        let (shown, layout) = (self.shown.display().to_string(), Arc::new(self));
        let images = layout.index.manifests.iter().filter(|one| is_image(one));
        let read = |one: &Descriptor| {
            let image = Image::read(&shown, layout.clone(), one.clone(), platform)?;
            Ok((name_of(one).into_iter().collect(), image))
        };
        images.map(read).collect()
    }

    fn find(&self, tag: Option<&str>) -> Result<&Descriptor> {
        let images = || self.index.manifests.iter().filter(|one| is_image(one));
        let named = tag.map(|tag| images().find(|one| one.ref_name() == Some(tag)));
        let all: Vec<_> = images().collect();
        match (named, all.as_slice()) {
            (Some(Some(found)), _) => return Ok(found),
            (None, [only]) => return Ok(only),
            _ => {}
        }
        let path = self.shown.display();
        let tried = match tag {
            Some(tag) => format!("there is no image {tag:?} in {path}"),
            None if all.is_empty() => format!("there is no image in {path}"),
            None => format!("there are {} images in {path}", all.len()),
        };
        let mut tags: Vec<_> = all.iter().filter_map(|one| one.ref_name()).collect();
        tags.truncate(20);
        Err(Error::new(tried).hint(match tags.as_slice() {
            [] => "None of its images has a name.".to_owned(),
            tags => {
                format!("Say which, as in oci:{path}:{}. There are: {}.", tags[0], tags.join(", "))
                    .escape_debug()
                    .to_string()
            }
        }))
    }
}

/// The name that containerd and docker note beside the tag; else the tag, if it
/// is a whole name: `latest` alone names nothing.
fn name_of(descriptor: &Descriptor) -> Option<Name> {
    let containerds = descriptor.annotations.get(CONTAINERD_NAME).map(String::as_str);
    let whole = descriptor.ref_name().filter(|name| name.contains(['/', ':']));
    containerds.or(whole)?.parse().ok()
}

impl Blobs for Layout {
    fn open(&self, descriptor: &Descriptor) -> Result<Blob> {
        let digest = &descriptor.digest;
        let name = blob_name(digest);
        let wrong = |why: String| Error::new(format!("reading {digest}")).said(why);
        match self.files.open(&name)? {
            None => Err(wrong(format!("{} has no such blob", self.shown.display()))
                .hint("It is not complete: copy it anew.")),
            Some((_, size)) if size != descriptor.size => {
                Err(wrong(format!("it has {size} bytes, and should have {}", descriptor.size))
                    .hint(DAMAGED))
            }
            Some((blob, _)) => Ok(blob),
        }
    }

    fn trusted(&self) -> bool {
        self.trusted
    }

    fn witness(&self, descriptor: &Descriptor) -> String {
        self.files.witness(&blob_name(&descriptor.digest))
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// A small file, whole.
pub fn read(files: &dyn Files, name: &str, shown: &Path) -> Result<Option<Vec<u8>>> {
    let Some((file, _)) = files.open(name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let call = || format!("read({})", shown.join(name).display());
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).tried(call)?;
    match bytes.len() as u64 > MOST_BYTES {
        true => Err(Error::new(call()).said(format!("it is longer than {MOST_BYTES} bytes"))),
        false => Ok(Some(bytes)),
    }
}
