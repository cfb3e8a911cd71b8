//! Images as an archive that everybody loads: an OCI image layout (containerd,
//! Podman, skopeo, docker from 25 on) with docker's manifest.json in it (docker
//! before that), both naming the same blobs.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use serde_json::json;
use tar::{Builder, EntryType, Header};

use crate::error::{Context, Error, Result};
use crate::image::oci::{Descriptor, Digest, Index, REF_NAME};
use crate::image::reference::Name;
use crate::image::source::{Image, layout::CONTAINERD_NAME};

/// Writes these images, each under its name.
pub fn write(images: &[(Name, Image)], out: &mut dyn Write) -> Result<()> {
    let mut archive = Archive { tar: Builder::new(out), written: BTreeSet::new() };
    archive.directory("blobs")?;
    archive.directory("blobs/sha256")?;
    archive.directory("blobs/sha512")?;
    let (mut index, mut dockers) = (Index::default(), Vec::new());
    for (name, image) in images {
        for (layer, _) in image.layers() {
            archive.blob(layer, || Ok(image.blob(layer)?))?;
        }
        let config = &image.manifest.config;
        archive.blob(config, || Ok(Box::new(&image.config_bytes[..])))?;
        archive.blob(&image.descriptor, || Ok(Box::new(&image.manifest_bytes[..])))?;
        index.manifests.push(named(image, name));
        dockers.push(json!({
            "Config": path(&config.digest),
            "RepoTags": [format!("{}:{}", repository(name), name.tag().unwrap_or("latest"))],
            "Layers": image.layers().map(|(layer, _)| path(&layer.digest)).collect::<Vec<_>>(),
        }));
    }
    archive.text("index.json", &json!(index))?;
    archive.text("manifest.json", &json!(dockers))?;
    archive.text("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
    archive.tar.into_inner().and_then(|out| out.flush()).tried(|| "ending the archive")
}

/// As containerd and docker note it: the tag, and the whole name beside it.
fn named(image: &Image, name: &Name) -> Descriptor {
    let mut descriptor = image.descriptor.clone();
    descriptor.annotations.clear();
    descriptor.platform = Some(image.config.platform());
    let tag = name.tag().unwrap_or("latest").to_owned();
    let whole = format!("{}:{tag}", name.repository());
    descriptor.annotations.insert(REF_NAME.to_owned(), tag);
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

struct Archive<'a> {
    tar: Builder<&'a mut dyn Write>,
    written: BTreeSet<Digest>,
}

impl Archive<'_> {
    fn directory(&mut self, name: &str) -> Result<()> {
        self.append(name, EntryType::Directory, 0o755, 0, io::empty())
    }

    fn text(&mut self, name: &str, json: &serde_json::Value) -> Result<()> {
        let text = json.to_string();
        self.append(name, EntryType::Regular, 0o644, text.len() as u64, text.as_bytes())
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
        let name = path(&descriptor.digest);
        self.append(&name, EntryType::Regular, 0o644, descriptor.size, open()?)
    }

    fn append(
        &mut self,
        name: &str,
        kind: EntryType,
        mode: u32,
        size: u64,
        content: impl Read,
    ) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        let name = if kind == EntryType::Directory { format!("{name}/") } else { name.to_owned() };
        let mut counted = Counted { inner: content, count: 0 };
        self.tar
            .append_data(&mut header, &name, &mut counted)
            .tried(|| format!("adding {name} to the archive"))?;
        match counted.count == size {
            true => Ok(()),
            false => Err(Error::new(format!("adding {name} to the archive"))
                .said(format!("it has {} bytes, and should have {size}", counted.count))),
        }
    }
}

/// Knows how many bytes came: the header with the size is written already.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}
