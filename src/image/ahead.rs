//! An image's layers, one after the other, unpacked onto each other: while one
//! thread makes files, another reads, decompresses and sums up what comes next.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::oci::{DAMAGED, Descriptor, Digest};
use super::source::Image;
use super::unpack::{Options, Unpacked, compression, unpack_tar};
use crate::error::{Context, Error, Result};
use crate::step::Observer;

/// Bytes that go from one thread to the other at once, and how often before it waits.
const PIECE: usize = 1 << 18;
const PIECES: usize = 16;

/// What goes from one thread to the other.
enum Piece {
    Bytes(Vec<u8>),
    /// The layer is over, and was what its digest and diff_id say.
    End,
    Failed(Error),
}

/// Unpacks all layers of an image into a directory. Each is verified to its last
/// byte before the next one begins; `told` hears how each ended, by its number from 0.
/// There is one thread again when this returns.
pub fn unpack(
    image: &Image,
    directory: &Path,
    options: &Options,
    observer: &mut dyn Observer,
    mut told: impl FnMut(usize, &Result<Unpacked>, &mut dyn Observer),
) -> Result<Unpacked> {
    let (sender, receiver) = sync_channel(PIECES);
    let mut whole = Unpacked::default();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (descriptor, diff_id) in image.layers() {
                let last = match read(image, descriptor, diff_id, &sender) {
                    Ok(()) => Piece::End,
                    Err(error) => Piece::Failed(error),
                };
                let failed = matches!(last, Piece::Failed(_));
                if sender.send(last).is_err() || failed {
                    return;
                }
            }
        });
        // It ends with this block, and with it the thread that would fill it.
        let receiver = receiver;
        for (number, _) in image.layers().enumerate() {
            let mut layer = Layer::new(&receiver);
            let unpacked = unpack_tar(&mut layer, directory, options, observer);
            // What stopped the reading is the reason, not that the archive ended.
            let unpacked = layer.failed.map_or(unpacked, Err);
            told(number, &unpacked, observer);
            whole.add(&unpacked?);
        }
        Ok(whole)
    })
}

fn read(
    image: &Image,
    descriptor: &Descriptor,
    diff_id: &Digest,
    to: &SyncSender<Piece>,
) -> Result<()> {
    let call = || format!("reading layer {}", descriptor.digest);
    let mut archive = compression::decompressed(image.blob(descriptor)?)?;
    let mut sum = diff_id.hasher();
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let count = (&mut archive).take(PIECE as u64).read_to_end(&mut piece);
        let count = count.tried(call).map_err(|error| error.hint(DAMAGED))?;
        if count == 0 {
            break;
        }
        sum.update(&piece);
        if to.send(Piece::Bytes(piece)).is_err() {
            return Ok(()); // nobody listens any more
        }
    }
    super::oci::same_diff_id(diff_id, &sum.finish())
}

/// One layer's archive, as it comes from the other thread.
struct Layer<'a> {
    receiver: &'a Receiver<Piece>,
    piece: Vec<u8>,
    at: usize,
    over: bool,
    failed: Option<Error>,
}

impl<'a> Layer<'a> {
    fn new(receiver: &'a Receiver<Piece>) -> Self {
        Self { receiver, piece: Vec::new(), at: 0, over: false, failed: None }
    }
}

impl BufRead for Layer<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.piece.len() && !self.over {
            match self.receiver.recv() {
                Ok(Piece::Bytes(piece)) => (self.piece, self.at) = (piece, 0),
                Ok(Piece::End) => self.over = true,
                Ok(Piece::Failed(error)) => {
                    self.failed = Some(error);
                    return Err(io::Error::other("the layer could not be read"));
                }
                Err(_) => return Err(io::Error::other("the thread that reads has ended")),
            }
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Read for Layer<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(to)?;
        self.consume(count);
        Ok(count)
    }
}
