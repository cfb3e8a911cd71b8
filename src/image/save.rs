//! Images as an archive that everybody loads: an OCI image layout (containerd,
//! Podman, skopeo, docker from 25 on) with docker's manifest.json in it (docker
//! before that), both naming the same blobs; or the layout alone, as a directory.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::error::{Context, Error, Result};
use crate::image::oci::{Descriptor, Digest, Index, REF_NAME};
use crate::image::reference::Name;
use crate::image::source::{Image, layout::CONTAINERD_NAME};
use crate::image::store::wrapped;

/// Writes these images into an archive, each under its name.
pub fn write(images: &[(Name, Image)], out: &mut dyn Write) -> Result<()> {
    let mut archive = Archive(Builder::new(out));
    let mut writer = Layout { to: &mut archive, written: BTreeSet::new(), bytes: 0 };
    let mut dockers = Vec::new();
    for (name, image) in images {
        dockers.push(json!({
            "Config": path(&image.manifest.config.digest),
            "RepoTags": [format!("{}:{}", repository(name), name.tag().unwrap_or("latest"))],
            "Layers": image.layers().map(|(layer, _)| path(&layer.digest)).collect::<Vec<_>>(),
        }));
    }
    let index = writer.blobs(images, None)?;
    writer.text("index.json", &json!(index))?;
    writer.text("manifest.json", &json!(dockers))?;
    writer.text("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
    archive.0.into_inner().and_then(|out| out.flush()).tried(|| "ending the archive")
}

/// Writes these images into a directory, each under its tag or under this one; bytes of all files.
pub fn layout(images: &[(Name, Image)], tag: Option<&str>, directory: &Path) -> Result<u64> {
    let mut to = Directory(directory.to_owned());
    let mut writer = Layout { to: &mut to, written: BTreeSet::new(), bytes: 0 };
    let index = writer.blobs(images, tag)?;
    writer.text("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
    writer.text("index.json", &json!(index))?;
    Ok(writer.bytes)
}

/// As containerd and docker note it: the tag, and the whole name beside it.
fn named(image: &Image, name: &Name, tag: Option<&str>) -> Descriptor {
    let mut descriptor = image.descriptor.clone();
    descriptor.annotations.clear();
    descriptor.platform = Some(image.config.platform());
    let own = name.tag().unwrap_or("latest");
    let whole = format!("{}:{own}", name.repository());
    descriptor.annotations.insert(REF_NAME.to_owned(), tag.unwrap_or(own).to_owned());
    descriptor.annotations.insert(CONTAINERD_NAME.to_owned(), whole);
    descriptor
}

/// As docker shows it; what we show as `base` has a longer name there.
fn repository(name: &Name) -> String {
    let familiar = name.with_tag("x").map(|name| name.familiar()).unwrap_or_default();
    familiar.strip_suffix(":x").map_or_else(|| name.repository(), str::to_owned)
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// A layout that is being written.
struct Layout<'a> {
    to: &'a mut dyn Target,
    written: BTreeSet<Digest>,
    bytes: u64,
}

impl Layout<'_> {
    /// Every blob of these images; what index.json has to say.
    fn blobs(&mut self, images: &[(Name, Image)], tag: Option<&str>) -> Result<Index> {
        for name in ["blobs", "blobs/sha256", "blobs/sha512"] {
            self.to.directory(name)?;
        }
        let mut index = Index::default();
        for (name, image) in images {
            for (layer, _) in image.layers() {
                self.blob(layer, || Ok(image.blob(layer)?))?;
            }
            self.blob(&image.manifest.config, || Ok(Box::new(&image.config_bytes[..])))?;
            self.blob(&image.descriptor, || Ok(Box::new(&image.manifest_bytes[..])))?;
            let mut named = named(image, name, tag);
            if let Some((mut entry, bytes)) = wrapped(&named)? {
                self.blob(&entry, || Ok(Box::new(&bytes[..])))?;
                entry.annotations.append(&mut named.annotations);
                named = entry;
            }
            index.manifests.push(named);
        }
        Ok(index)
    }

    /// A blob that several images have is written once.
    fn blob<'a>(
        &mut self,
        descriptor: &Descriptor,
        open: impl FnOnce() -> Result<Box<dyn Read + 'a>>,
    ) -> Result<()> {
        if !self.written.insert(descriptor.digest.clone()) {
            return Ok(());
        }
        self.file(&path(&descriptor.digest), descriptor.size, &mut *open()?)
    }

    fn text(&mut self, name: &str, json: &serde_json::Value) -> Result<()> {
        let text = json.to_string();
        self.file(name, text.len() as u64, &mut text.as_bytes())
    }

    /// Not a byte more or less: an archive has the size before them.
    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut counted = Counted { inner: content, count: 0 };
        self.to.file(name, size, &mut counted)?;
        self.bytes += size;
        match counted.count == size {
            true => Ok(()),
            false => Err(Error::new(format!("writing {name}"))
                .said(format!("it has {} bytes, and should have {size}", counted.count))),
        }
    }
}

/// Where files go: into an archive, or a directory.
trait Target {
    fn directory(&mut self, name: &str) -> Result<()>;
    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()>;
}

struct Archive<'a>(Builder<&'a mut dyn Write>);

impl Archive<'_> {
    fn append(&mut self, name: &str, mut header: Header, content: &mut dyn Read) -> Result<()> {
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        self.0
            .append_data(&mut header, name, content)
            .tried(|| format!("adding {name} to the archive"))
    }
}

impl Target for Archive<'_> {
    fn directory(&mut self, name: &str) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        self.append(&format!("{name}/"), header, &mut io::empty())
    }

    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(size);
        self.append(name, header, content)
    }
}

struct Directory(PathBuf);

impl Target for Directory {
    fn directory(&mut self, name: &str) -> Result<()> {
        let path = self.0.join(name);
        std::fs::create_dir(&path).tried(|| format!("mkdir({path:?})"))
    }

    fn file(&mut self, name: &str, _: u64, content: &mut dyn Read) -> Result<()> {
        let path = self.0.join(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = file.tried(|| format!("open({path:?}, O_CREAT|O_EXCL)"))?;
        io::copy(content, &mut file).tried(|| format!("write({path:?})")).map(drop)
    }
}

/// Knows how many bytes came: the header with the size is written already.
struct Counted<'a> {
    inner: &'a mut dyn Read,
    count: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
