//! Reading a layer: once, from its first byte to its last. Its digest, its size,
//! its diff_id and the sums of its files all come from this one pass.

use std::io::{self, BufRead, Read};

use super::Layer;
use super::listing::{Listing, Sum};
use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Digest, Hasher, same_diff_id};
use crate::image::unpack::member::{Archive, Kind as MemberKind, Member};
use crate::image::unpack::{Limits, compression};

/// Files whose content is kept: what a distribution says of itself.
const KEPT: &[u8] = b"os-release";

/// No more than this of such a file.
const MOST_KEPT: u64 = 1 << 16;

/// Whether the content of a file is kept.
pub fn is_kept(name: &[u8], size: u64) -> bool {
    name.ends_with(KEPT) && size <= MOST_KEPT
}

/// Takes a sum of everything that is read.
pub struct Summed<R> {
    inner: R,
    sum: Hasher,
    count: u64,
}

impl<R: BufRead> Summed<R> {
    /// A sum of the kind that `wanted` is.
    pub fn new(inner: R, wanted: &Digest) -> Self {
        Self { inner, sum: wanted.hasher(), count: 0 }
    }

    /// Reads what is left; an error if the sum is not the wanted one.
    pub fn finish(self, wanted: &Digest) -> Result<u64> {
        let (sum, count) = self.sum()?;
        same_diff_id(wanted, &sum)?;
        Ok(count)
    }

    /// Reads what is left; the sum, and how many bytes there were.
    pub fn sum(mut self) -> Result<(Digest, u64)> {
        let unreadable = |error| Error::io("read(layer)", &error);
        loop {
            match self.fill_buf().map_err(unreadable)?.len() {
                0 => break,
                length => self.consume(length),
            }
        }
        Ok((self.sum.finish(), self.count))
    }
}

impl<R: BufRead> Read for Summed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(to)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Summed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // Filled before: this gives the same bytes again and reads nothing.
        if count > 0
            && let Ok(bytes) = self.inner.fill_buf()
        {
            self.sum.update(&bytes[..count]);
        }
        self.inner.consume(count);
        self.count += count as u64;
    }
}

/// Reads a layer from its bytes as they are kept.
pub fn scan(blob: impl Read, descriptor: &Descriptor, diff_id: &Digest) -> Result<Layer> {
    let limits = Limits::default();
    let mut source = Summed::new(compression::decompressed(blob)?, diff_id);
    let mut archive = Archive::new(&mut source, &limits);
    let (mut listing, mut kept) = (Listing::default(), Vec::new());
    while let Some(member) = archive.next_member()? {
        if listing.len() as u64 >= limits.entries {
            return Err(Error::new("reading the layer")
                .said(format!("it has more than {} members", limits.entries)));
        }
        let content = content(&member, &mut archive)?;
        listing.push(&member, limits.depth, content.as_ref().map(|(sum, _)| sum))?;
        if let Some((_, Some(bytes))) = content {
            kept.push((listing.get(listing.len() - 1).path.to_vec(), bytes));
        }
    }
    archive.finish()?;
    let bytes = source.finish(diff_id)?;
    let (digest, diff_id) = (descriptor.digest.clone(), diff_id.clone());
    let witness = String::new();
    Ok(Layer { digest, diff_id, stored: descriptor.size, bytes, listing, kept, witness })
}

/// The sum of a regular file's content, and the content where it is kept. Of a
/// file with holes it is the sum of its map and its data: zeroes without end
/// could be summed up for ever.
pub(super) fn content(
    member: &Member,
    archive: &mut Archive<'_, impl BufRead>,
) -> Result<Option<(Sum, Option<Vec<u8>>)>> {
    let MemberKind::File(content) = &member.kind else { return Ok(None) };
    let keep = is_kept(&member.name, content.size);
    let (mut sum, mut bytes) = (sha2::Sha256::default(), Vec::new());
    for (at, length) in content.map.iter().flatten() {
        sha2::Digest::update(&mut sum, [at.to_le_bytes(), length.to_le_bytes()].concat());
    }
    loop {
        let chunk = archive.chunk(u64::MAX)?;
        if chunk.is_empty() {
            break;
        }
        sha2::Digest::update(&mut sum, chunk);
        if keep {
            bytes.extend_from_slice(chunk);
        }
        let length = chunk.len();
        archive.consume(length);
        archive.check_length()?;
    }
    Ok(Some((sha2::Digest::finalize(sum).into(), keep.then_some(bytes))))
}
