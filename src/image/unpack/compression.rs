//! What an archive is compressed with, told by its first bytes: a name or a
//! media type may lie.

use std::io::{self, BufRead, BufReader, Read};

use crate::error::{Error, Result};

/// Big enough that a write(2) is worth its while, small enough for the cache.
const BUFFER: usize = 128 * 1024;

/// The most that a decoder may use for itself: `xz -9` needs 65 MiB.
const DECODER_MEMORY: u64 = 128 << 20;

/// The compressions that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None: a tar archive as it is.
    Plain,
    /// gzip(1).
    Gzip,
    /// zstd(1).
    Zstd,
    /// xz(1).
    Xz,
}

/// Tells by the first bytes.
pub fn detect(start: &[u8]) -> Result<Compression> {
    let skippable = start.len() >= 4 && start[1..4] == [0x2a, 0x4d, 0x18] && start[0] >> 4 == 5;
    let wrong = |what: &str| {
        let error = Error::new("reading the archive");
        Err(error
            .said(format!("it is {what}"))
            .hint("Plain tar, gzip, zstd and xz can be unpacked."))
    };
    match start {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
        _ if skippable => Ok(Compression::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Compression::Xz),
        [b'B', b'Z', b'h', ..] => wrong("compressed with bzip2"),
        [b'P', b'K', 3, 4, ..] => wrong("a zip archive"),
        [b'<', ..] => wrong("a web page, not an archive"),
        _ => Ok(Compression::Plain),
    }
}

/// The archive's plain bytes.
pub fn decompressed<'a>(source: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let start = source.fill_buf().map_err(|error| Error::io("read(archive)", &error))?;
    Ok(match detect(start)? {
        Compression::Plain => Box::new(source),
        Compression::Gzip => Box::new(BufReader::with_capacity(
            BUFFER,
            Gzip::Inside(Box::new(flate2::bufread::GzDecoder::new(source))),
        )),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(source)
                .map_err(|error| Error::io("setting up zstd", &error))?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, flags)
                .map_err(|error| Error::new("setting up xz").said(error))?;
            let decoder = liblzma::bufread::XzDecoder::new_stream(source, stream);
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
    })
}

/// One gzip member after the other, as gzip(1) reads them: zeroes after the
/// last one (a tape's padding) are nothing, anything else is an error.
enum Gzip<R: BufRead> {
    Inside(Box<flate2::bufread::GzDecoder<R>>),
    Over,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Self::Inside(decoder) = self else { return Ok(0) };
            match decoder.read(buffer)? {
                0 if !buffer.is_empty() => {}
                count => return Ok(count),
            }
            let Self::Inside(decoder) = std::mem::replace(self, Self::Over) else { return Ok(0) };
            let mut source = decoder.into_inner();
            if another(&mut source)? {
                *self = Self::Inside(Box::new(flate2::bufread::GzDecoder::new(source)));
            }
        }
    }
}

/// Whether another member follows.
fn another(source: &mut impl BufRead) -> io::Result<bool> {
    let mut zeroes = false;
    loop {
        let bytes = source.fill_buf()?;
        let Some(at) = bytes.iter().position(|byte| *byte != 0) else {
            let length = bytes.len();
            if length == 0 {
                return Ok(false);
            }
            zeroes = true;
            source.consume(length);
            continue;
        };
        return match bytes[at..].starts_with(&[0x1f]) && at == 0 && !zeroes {
            true => Ok(true),
            false => Err(io::Error::other("there is something after the end of the gzip data")),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn all(source: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        decompressed(source).map_err(io::Error::other)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn every_compression_gives_the_same_bytes() {
        let plain: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        for packed in [
            plain.clone(),
            gzip(&plain),
            zstd::encode_all(&plain[..], 1).unwrap(),
            xz.finish().unwrap(),
        ] {
            assert!(all(&packed).unwrap() == plain);
        }
    }

    #[test]
    fn gzip_members_follow_each_other_and_damage_is_found() {
        let two = [gzip(b"one"), gzip(b"two")].concat();
        assert_eq!(all(&two).unwrap(), b"onetwo");
        assert_eq!(all(&[&two[..], &[0; 1000]].concat()).unwrap(), b"onetwo");
        assert!(all(&[&two[..], b"more"].concat()).is_err());
        assert!(all(&two[..two.len() - 1]).is_err(), "cut");
        let mut wrong = two.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1; // in the check sum
        assert!(all(&wrong).is_err());
    }

    #[test]
    fn others_are_named() {
        for (start, word) in [(&b"BZh9"[..], "bzip2"), (b"PK\x03\x04", "zip"), (b"<html>", "web")] {
            assert!(detect(start).unwrap_err().said.unwrap().contains(word));
        }
        assert_eq!(detect(b"").unwrap(), Compression::Plain);
    }
}
