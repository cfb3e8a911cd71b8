//! Making a layer: members go in, and in one pass come out a tar archive, its
//! SHA-256 (the diff_id), gzip data, the SHA-256 of that (the digest), and a
//! listing, so that `image dissect` needs to read nothing again.

mod encode;
mod gzip;
pub mod source;
pub mod upper;

use std::io::{Read, Write};

use sha2::{Digest as _, Sha256};

use crate::error::{Context, Error, Result};
use crate::image::dissect::listing::{Kind as Listed, Listing, Sum};
use crate::image::dissect::{Layer, index, scan};
use crate::image::oci::{Descriptor, Digest, Hasher, media};
use crate::image::store::{Lease, Made};
use crate::image::unpack::Limits;
use crate::image::unpack::member::{Content, Kind, Member};
use crate::image::unpack::name::shown;
use crate::image::unpack::pax::Time;
use crate::step::Observer;

use gzip::Gzip;

/// A layer that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What names it.
    pub descriptor: Descriptor,
    /// The digest of its archive, not compressed.
    pub diff_id: Digest,
    /// Members that are no directories.
    pub files: u64,
    /// What of the layers below is gone.
    pub gone: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Writes one layer.
pub struct Writer<'a> {
    lease: &'a Lease,
    gzip: Gzip<Made>,
    sum: Hasher,
    length: u64,
    listing: Listing,
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    files: u64,
    gone: u64,
    bytes: u64,
    /// No file is newer than this (`SOURCE_DATE_EPOCH`).
    latest: Option<i64>,
}

impl<'a> Writer<'a> {
    /// Begins with a layer. No time in it is later than `latest`, in seconds since 1970.
    pub fn begin(lease: &'a Lease, latest: Option<i64>) -> Result<Self> {
        let gzip = Gzip::new(lease.make()?);
        let (sum, listing, kept) = (Hasher::new(), Listing::default(), Vec::new());
        Ok(Self { lease, gzip, sum, length: 0, listing, kept, files: 0, gone: 0, bytes: 0, latest })
    }

    /// Adds what has no content.
    pub fn add(&mut self, member: Member) -> Result<()> {
        self.add_with(member, std::io::empty()).map(drop)
    }

    /// Adds a member; of a regular file, as many bytes are read as it says that it
    /// has, and their SHA-256 comes back.
    pub fn add_with(&mut self, mut member: Member, mut content: impl Read) -> Result<Option<Sum>> {
        // As docker has it: whole seconds.
        member.mtime.nanos = 0;
        if let Some(latest) = self.latest {
            member.mtime.seconds = member.mtime.seconds.min(latest);
        }
        let call = || format!("adding {} to the layer", shown(&member.name));
        self.put(&encode::header(&member))?;
        let sum = match &member.kind {
            Kind::File(file) => Some(self.content(&member, file, &mut content).tried(call)?),
            _ => None,
        };
        self.listing.push(&member, Limits::default().depth, sum.as_ref())?;
        match self.listing.get(self.listing.len() - 1).kind {
            Listed::Directory => {}
            kind if kind.is_whiteout() => self.gone += 1,
            _ => self.files += 1,
        }
        Ok(sum)
    }

    fn content(
        &mut self,
        member: &Member,
        file: &Content,
        content: &mut dyn Read,
    ) -> std::io::Result<Sum> {
        let keep = scan::is_kept(&member.name, file.size);
        let (mut sum, mut kept) = (Sha256::new(), Vec::new());
        let mut left = file.size;
        let mut buffer = vec![0; usize::try_from(left.clamp(1, 1 << 17)).unwrap_or(1 << 17)];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let count = match content.read(&mut buffer[..most]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Ok(0) => return Err(std::io::Error::other("it became shorter while it was read")),
                other => other?,
            };
            let bytes = &buffer[..count];
            sum.update(bytes);
            if keep {
                kept.extend_from_slice(bytes);
            }
            self.sum.update(bytes);
            self.gzip.write_all(bytes)?;
            left -= count as u64;
        }
        let padding = file.size.next_multiple_of(encode::BLOCK as u64) - file.size;
        let zeroes = &[0; encode::BLOCK][..usize::try_from(padding).unwrap_or(0)];
        self.sum.update(zeroes);
        self.gzip.write_all(zeroes)?;
        self.length += file.size + padding;
        self.bytes += file.size;
        if keep {
            self.kept.push((member.name.clone(), kept));
        }
        Ok(sum.finalize().into())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        self.gzip.write_all(bytes).map_err(|error| Made::failed(&error))
    }

    /// It is whole: it gets its place in the store.
    pub fn finish(mut self, observer: &mut dyn Observer) -> Result<Written> {
        self.put(&[0; 2 * encode::BLOCK])?;
        let made = self.gzip.finish().map_err(|error| Made::failed(&error))?;
        let diff_id = self.sum.finish();
        let what = format!("a layer of {} files", self.files);
        let descriptor = made.finish(media::LAYER_GZIP, &what, self.lease, observer)?;
        let layer = Layer::made(&descriptor, diff_id.clone(), self.length, self.listing, self.kept);
        if let Err(error) = index::save(&layer) {
            observer.note(&format!("The layer will be read again when it is looked at: {error}."));
        }
        let (files, gone, bytes) = (self.files, self.gone, self.bytes);
        Ok(Written { descriptor, diff_id, files, gone, bytes })
    }
}

/// `.wh.NAME`: what the layers below have there is gone.
pub fn whiteout(directory: &[Vec<u8>], name: &[u8]) -> Result<Member> {
    if name.starts_with(b".wh.") {
        return Err(cannot_be_named(name));
    }
    let hidden = [b".wh.", name].concat();
    Ok(Member {
        name: joined(directory, &hidden),
        kind: Kind::File(Content::default()),
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        xattrs: Vec::new(),
    })
}

/// In a layer such a name means that another one is gone.
pub fn cannot_be_named(name: &[u8]) -> Error {
    Error::new(format!("adding {} to the layer", shown(name)))
        .said("in a layer a name that begins with .wh. says that a file is gone")
        .hint("No image can have a file of that name; leave it out, or call it something else.")
}

/// `a/b/name`.
pub fn joined(directory: &[Vec<u8>], name: &[u8]) -> Vec<u8> {
    let mut path = directory.join(&b'/');
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
