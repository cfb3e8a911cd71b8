//! The bytes of an archive, from front to back: never more of a member than it
//! has, and never more in all than the limit allows.

use std::io::BufRead;

use super::pax::Extended;
use super::{Limits, broken, too_much};
use crate::error::{Error, Result};

/// What a tar archive is counted in.
pub const BLOCK: usize = 512;

/// An archive that is read from front to back.
pub struct Archive<'a, R> {
    source: R,
    pub(super) limits: &'a Limits,
    /// Bytes read so far.
    pub position: u64,
    /// Bytes of the present member's content that nobody has asked for yet.
    pub(super) left: u64,
    padding: u64,
    /// What extended headers said of all members that follow.
    pub(super) global: Extended,
}

impl<'a, R: BufRead> Archive<'a, R> {
    /// An archive, not compressed.
    pub fn new(source: R, limits: &'a Limits) -> Self {
        Self { source, limits, position: 0, left: 0, padding: 0, global: Extended::default() }
    }

    /// The next member has so much content, and so much that is passed over.
    pub(super) fn content_is(&mut self, content: u64, passed_over: u64) {
        self.left = content;
        self.padding = (content.wrapping_add(passed_over)).wrapping_neg() % BLOCK as u64;
        self.padding = self.padding.saturating_add(passed_over);
    }

    /// Some more of the present member's content; nothing at its end.
    pub fn chunk(&mut self, most: u64) -> Result<&[u8]> {
        let most = usize::try_from(most.min(self.left)).unwrap_or(usize::MAX);
        if most == 0 {
            return Ok(&[]);
        }
        let bytes = self.source.fill_buf().map_err(unreadable)?;
        if bytes.is_empty() {
            return Err(broken("it is cut off in the middle of a file"));
        }
        Ok(&bytes[..bytes.len().min(most)])
    }

    /// This much of the last chunk was used.
    pub fn consume(&mut self, length: usize) {
        self.source.consume(length);
        self.left -= length as u64;
        self.position += length as u64;
    }

    /// Goes to the next header.
    pub(super) fn pass_over(&mut self) -> Result<()> {
        self.left = self.left.saturating_add(std::mem::take(&mut self.padding));
        while self.left > 0 {
            let length = self.chunk(u64::MAX)?.len();
            self.consume(length);
            self.check_length()?;
        }
        Ok(())
    }

    /// Whether there is nothing more: some archives end without the two blocks of zeroes.
    pub(super) fn at_end(&mut self) -> Result<bool> {
        Ok(self.source.fill_buf().map_err(unreadable)?.is_empty())
    }

    /// The next bytes, as many as asked for.
    pub(super) fn exactly(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => broken("it is cut off"),
            _ => unreadable(error),
        })?;
        self.position += bytes.len() as u64;
        self.check_length()
    }

    /// A bomb may be all headers, or all zeroes after the end.
    pub fn check_length(&self) -> Result<()> {
        match self.position > self.limits.bytes {
            true => Err(too_much("the archive", self.limits.bytes, "bytes")),
            false => Ok(()),
        }
    }

    /// Reads what comes after the last member, so that a checksum at the end of
    /// compressed data is looked at.
    pub fn finish(&mut self) -> Result<()> {
        loop {
            let length = self.source.fill_buf().map_err(unreadable)?.len();
            if length == 0 {
                return Ok(());
            }
            self.source.consume(length);
            self.position += length as u64;
            self.check_length()?;
        }
    }
}

fn unreadable(error: std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => Error::io("read(archive)", &error),
        None => broken(format!("its compressed data is damaged: {error}")),
    }
}
