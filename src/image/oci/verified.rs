//! Reading what somebody else named: no byte more than it says, and its end
//! only if the sum is right.

use std::io::{self, Read};

use super::{Descriptor, Digest, Hasher};
use crate::error::{Error, Result};

/// What to say of bytes that are not what their digest says.
pub const DAMAGED: &str = "It was damaged, or somebody changed it. Nothing of it is used.";

/// Passes bytes on, and the end only when they were all of them and the right ones.
pub struct Verified<R> {
    inner: R,
    hasher: Option<Hasher>,
    wanted: Digest,
    size: u64,
    done: u64,
}

impl<R: Read> Verified<R> {
    /// What is read from `inner` must be what the descriptor names.
    pub fn new(inner: R, descriptor: &Descriptor) -> Self {
        let wanted = descriptor.digest.clone();
        Self { inner, hasher: Some(wanted.hasher()), wanted, size: descriptor.size, done: 0 }
    }

    fn wrong(&self, what: String) -> io::Error {
        io::Error::other(format!("{} is not what it says: {what}", self.wanted))
    }

    fn end(&mut self) -> io::Result<usize> {
        if self.done < self.size {
            return Err(self.wrong(format!("it ends after {} of {} bytes", self.done, self.size)));
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.wanted => {
                // Asked again, it must not end well.
                self.hasher = Some(self.wanted.hasher());
                Err(self.wrong(format!("its sum is {found}")))
            }
            _ => Ok(0),
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            return self.end();
        }
        self.done += count as u64;
        if self.done > self.size {
            return Err(self.wrong(format!("it is larger than {} bytes", self.size)));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

/// A layer's archive, not compressed, must have the sum that the config says.
pub fn same_diff_id(wanted: &Digest, found: &Digest) -> Result<()> {
    match wanted == found {
        true => Ok(()),
        false => Err(Error::new(format!("verifying the diff_id {wanted}"))
            .said(format!("the layer's archive, unpacked, has the sum {found}"))
            .hint("The config and the layer do not belong together. Nothing of it is kept.")),
    }
}

/// A document, whole: not longer than it may be, and what its descriptor names.
pub fn whole(source: impl Read, descriptor: &Descriptor) -> Result<Vec<u8>> {
    if descriptor.size > super::MOST_BYTES {
        return Err(Error::new(format!("reading {}", descriptor.digest))
            .said(format!("it says that it has {} bytes", descriptor.size))
            .hint(format!("A manifest or config may have {} bytes.", super::MOST_BYTES)));
    }
    let mut bytes = Vec::new();
    Verified::new(source, descriptor).read_to_end(&mut bytes).map_err(|error| {
        Error::io(format!("reading {}", descriptor.digest), &error).hint(DAMAGED)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(bytes: &[u8], size: u64) -> Descriptor {
        Descriptor::new("text/plain", Digest::of(bytes), size)
    }

    #[test]
    fn the_end_comes_only_when_everything_is_right() {
        let good = descriptor(b"bytes", 5);
        assert_eq!(whole(&b"bytes"[..], &good).unwrap(), b"bytes");
        for (source, descriptor, word) in [
            (&b"bytes!"[..], &good, "larger"),
            (b"byte", &good, "ends after 4 of 5"),
            (b"Bytes", &good, "its sum is sha256:"),
            (b"", &good, "ends after 0"),
            (b"bytes", &descriptor(b"bytes", 4), "larger"),
            (b"bytes", &descriptor(b"bytes", 6), "ends after"),
        ] {
            let error = whole(source, descriptor).unwrap_err();
            assert!(error.said.unwrap().contains(word), "{word}");
        }
        let huge = descriptor(b"", u64::MAX);
        assert!(whole(io::repeat(0), &huge).is_err());
        let mut reader = Verified::new(&b"Bytes"[..], &good);
        let mut buffer = [0; 10];
        assert_eq!(reader.read(&mut buffer).unwrap(), 5);
        assert!(reader.read(&mut buffer).is_err() && reader.read(&mut buffer).is_err());
    }
}
