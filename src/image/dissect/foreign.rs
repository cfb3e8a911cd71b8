//! Images of the article's other runtimes, which are not the OCI's: rkt's ACI (App
//! Container Image), and what LXC's managers LXD and Incus take. They have no layers:
//! one archive with a whole root file system and a document about it.
//!
//! ```text
//! ACI       tar: manifest (JSON), rootfs/
//! LXD       tar: metadata.yaml, rootfs/, templates/
//! LXD split tar: metadata.yaml, templates/; and beside it a squashfs (a container) or qcow2 (a machine)
//! ```
//!
//! What kind it is, its first bytes or its first member say ([`recognise`]); an
//! archive is then read once, whole ([`read`]). What [`facts`] finds in the document
//! is somebody else's text.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::Layer;
use super::facts::{self, Fact};
use super::listing::Listing;
use super::scan::{self, Summed};
use crate::error::{Context, Error, Result};
use crate::image::oci::Digest;
use crate::image::unpack::member::{Archive, Kind as MemberKind, Member};
use crate::image::unpack::name::Name;
use crate::image::unpack::{Limits, compression};

/// Bytes that a document may have.
const MOST_DOCUMENT: u64 = 1 << 20;

/// What a file was recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// rkt's.
    Aci,
    /// LXD's and Incus's, in one archive.
    Unified,
    /// The first half of LXD's and Incus's split form.
    Metadata,
    /// The other half, for a container.
    Squashfs,
    /// The other half, for a virtual machine.
    Disk,
}

impl Format {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aci => "aci",
            Self::Unified => "lxd-unified",
            Self::Metadata => "lxd-metadata",
            Self::Squashfs => "squashfs",
            Self::Disk => "qcow2",
        }
    }

    /// What it is, and what became of it.
    pub fn told(self) -> &'static str {
        match self {
            Self::Aci => {
                "an ACI, the image format of rkt (App Container): rkt ended in 2020, and the format with it"
            }
            Self::Unified => {
                "an image of LXD, or of Incus, as LXD's fork from 2023 is called: metadata and root file system in one archive"
            }
            Self::Metadata => {
                "one half of a split image of LXD or Incus (LXD's fork from 2023): the metadata; the root file system is a file \
                 of its own beside it, a squashfs (a container's) or qcow2 (a virtual machine's)"
            }
            Self::Squashfs => {
                "a squashfs, a compressed file system that can be mounted as it is: the root file system of a split image of \
                 LXD or Incus, beside a tar archive with the metadata, is one"
            }
            Self::Disk => {
                "a qcow2, the disk of a virtual machine: of a split image of LXD or Incus for machines it is the larger half; \
                 a container has no disk of its own"
            }
        }
    }
}

/// What was found in such a file.
#[derive(Debug)]
pub struct Foreign {
    /// What it is.
    pub format: Format,
    /// `manifest`, or `metadata.yaml`, as it stands there.
    pub document: Vec<u8>,
    /// What that says.
    pub facts: Vec<Fact>,
    /// Bytes of the file.
    pub stored: u64,
    /// The root file system, as if it were the only layer of an image.
    pub root: Option<Layer>,
}

/// What an archive's first member or a file's first bytes say that it may be.
enum First {
    Archive,
    Format(Format),
}

/// Whether this file is for [`read`]: the first bytes and the first member decide, so
/// that nothing large is read for an image of docker's or the OCI's.
pub fn recognise(path: &Path) -> Result<bool> {
    Ok(path.is_file() && first(path)?.is_some())
}

fn first(path: &Path) -> Result<Option<First>> {
    let open = || File::open(path).tried(|| format!("open({path:?})"));
    let mut start = [0; 4];
    if open()?.read_exact(&mut start).is_err() {
        return Ok(None);
    }
    match &start {
        b"hsqs" => return Ok(Some(First::Format(Format::Squashfs))),
        b"QFI\xfb" => return Ok(Some(First::Format(Format::Disk))),
        _ => {}
    }
    let limits = Limits::default();
    // Not an archive at all is for others to say.
    let Ok(source) = compression::decompressed(open()?) else { return Ok(None) };
    let mut archive = Archive::new(source, &limits);
    while let Ok(Some(member)) = archive.next_member() {
        let Ok(path) = path_of(&member.name, &limits) else { return Ok(None) };
        match path.split(|byte| *byte == b'/').next().unwrap_or_default() {
            b"" => {} // ./
            b"manifest" | b"rootfs" | b"metadata.yaml" | b"templates" => {
                return Ok(Some(First::Archive));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Reads it, to its last byte.
pub fn read(path: &Path) -> Result<Foreign> {
    let shown = || format!("reading {}", path.display());
    let stored = path.metadata().tried(|| format!("stat({path:?})"))?.len();
    match first(path)? {
        None => Err(Error::new(shown()).said("it is no image that this program knows")),
        Some(First::Format(format)) => {
            let mut start = Vec::new();
            let file = File::open(path).tried(|| format!("open({path:?})"))?;
            file.take(96).read_to_end(&mut start).tried(|| format!("read({path:?})"))?;
            let facts = match format {
                Format::Squashfs => facts::of_squashfs(&start),
                _ => facts::of_qcow2(&start),
            };
            Ok(Foreign { format, document: Vec::new(), facts, stored, root: None })
        }
        Some(First::Archive) => archive(path, stored).map_err(|error| match error.hint {
            None => {
                error.hint(format!("`tar -tvf {}` shows what can be read of it.", path.display()))
            }
            Some(_) => error,
        }),
    }
}

/// The parts of such an archive.
#[derive(Default)]
struct Parts {
    manifest: Option<Vec<u8>>,
    metadata: Option<Vec<u8>>,
    listing: Listing,
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    rootfs: bool,
}

fn archive(path: &Path, stored: u64) -> Result<Foreign> {
    let file = File::open(path).tried(|| format!("open({path:?})"))?;
    let any = Digest::of(b"");
    let mut kept = Summed::new(BufReader::new(file), &any);
    let mut plain = Summed::new(compression::decompressed(&mut kept)?, &any);
    let parts = members(&mut plain)?;
    let (diff_id, bytes) = plain.sum()?;
    let (digest, _) = kept.sum()?;
    let (format, document) = match (parts.manifest, parts.metadata) {
        (Some(manifest), None) => (Format::Aci, manifest),
        (None, Some(metadata)) if parts.rootfs => (Format::Unified, metadata),
        (None, Some(metadata)) => (Format::Metadata, metadata),
        (manifest, _) => {
            let what = if manifest.is_some() { "both of them are" } else { "neither of them is" };
            return Err(Error::new(format!("reading {}", path.display())).said(format!(
                "an ACI has a `manifest` beside rootfs/, an image of LXD's a `metadata.yaml`; {what} in it"
            )));
        }
    };
    let facts = match format {
        Format::Aci => facts::of_aci(&document)?,
        _ => facts::of_metadata(&document)?,
    };
    let witness = String::new();
    let root = parts.rootfs.then_some(Layer {
        digest,
        diff_id,
        stored,
        bytes,
        listing: parts.listing,
        kept: parts.kept,
        witness,
    });
    Ok(Foreign { format, document, facts, stored, root })
}

fn members(source: &mut impl BufRead) -> Result<Parts> {
    let limits = Limits::default();
    let mut archive = Archive::new(source, &limits);
    let mut parts = Parts::default();
    while let Some(mut member) = archive.next_member()? {
        if parts.listing.len() as u64 >= limits.entries {
            return Err(Error::new("reading the archive")
                .said(format!("it has more than {} members", limits.entries)));
        }
        let path = path_of(&member.name, &limits)?;
        match &path[..] {
            b"manifest" => parts.manifest = Some(document(&member, &mut archive)?),
            b"metadata.yaml" => parts.metadata = Some(document(&member, &mut archive)?),
            b"rootfs" => parts.rootfs = true,
            _ => {}
        }
        let Some(below) = path.strip_prefix(b"rootfs/") else { continue };
        parts.rootfs = true;
        let content = scan::content(&member, &mut archive)?;
        if let MemberKind::HardLink(to) = &mut member.kind {
            let other = path_of(to, &limits)?;
            *to = other.strip_prefix(b"rootfs/").unwrap_or(&other).to_vec();
        }
        member.name = below.to_vec();
        let sum = content.as_ref().map(|(sum, _)| sum);
        parts.listing.push(&member, limits.depth, sum)?;
        if let Some((_, Some(bytes))) = content {
            parts.kept.push((below.to_vec(), bytes));
        }
    }
    archive.finish()?;
    Ok(parts)
}

/// A name of the archive as a path without `.` and a leading `/`.
fn path_of(name: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let name = Name::of(name, limits.depth)?;
    let last = name.last.unwrap_or_default();
    Ok(match name.parent.is_empty() {
        true => last.to_vec(),
        false => [&name.parent[..], last].join(&b'/'),
    })
}

/// A small file, whole.
fn document(member: &Member, archive: &mut Archive<'_, impl BufRead>) -> Result<Vec<u8>> {
    let wrong = |what: String| {
        Error::new(format!("reading {}", crate::image::unpack::name::shown(&member.name)))
            .said(what)
    };
    match &member.kind {
        MemberKind::File(content) if content.size <= MOST_DOCUMENT => {}
        MemberKind::File(_) => {
            return Err(wrong(format!("it is longer than {MOST_DOCUMENT} bytes")));
        }
        _ => return Err(wrong("it is no regular file".to_owned())),
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = archive.chunk(u64::MAX)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(chunk);
        let length = chunk.len();
        archive.consume(length);
    }
}
