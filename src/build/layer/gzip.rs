//! gzip on several threads, as pigz(1) does it: the bytes are cut into pieces,
//! each is compressed for itself and ends on a byte (`Z_SYNC_FLUSH`), and put one
//! after the other they are one ordinary gzip member. The same bytes always come
//! out the same, however many threads there are.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes of a piece: large enough that little is lost at its edges.
const PIECE: usize = 1 << 20;

/// As docker and gzip(1) have it by default.
const LEVEL: u32 = 6;

/// No name, no time, Linux or not: nothing of this machine.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty last block: it ends the data.
const END: [u8; 2] = [3, 0];

/// A piece, compressed, and the check sum of what it was.
type Packed = (Vec<u8>, Crc);

/// A piece on its way, and where the answer goes.
type Task = (Vec<u8>, SyncSender<io::Result<Packed>>);

/// Compresses what is written to it.
pub struct Gzip<W> {
    out: W,
    piece: Vec<u8>,
    sum: Crc,
    begun: bool,
    workers: Option<Workers>,
}

struct Workers {
    tasks: SyncSender<Task>,
    threads: Vec<JoinHandle<()>>,
    waiting: VecDeque<Receiver<io::Result<Packed>>>,
}

impl<W: Write> Gzip<W> {
    /// To be written to `out`. No thread is started before there is more than one piece.
    pub fn new(out: W) -> Self {
        Self { out, piece: Vec::new(), sum: Crc::new(), begun: false, workers: None }
    }

    fn put(&mut self, packed: Packed) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.out.write_all(&HEADER)?;
        }
        self.sum.combine(&packed.1);
        self.out.write_all(&packed.0)
    }

    /// Gives a whole piece away, and takes back what is ready when many are on their way.
    fn hand_out(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let workers = self.workers.get_or_insert_with(Workers::start);
        let (answer, waiting) = sync_channel(1);
        workers.tasks.send((piece, answer)).map_err(|_| gone())?;
        workers.waiting.push_back(waiting);
        if workers.waiting.len() > 2 * workers.threads.len() {
            self.take_back()?;
        }
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<bool> {
        let waiting = self.workers.as_mut().and_then(|workers| workers.waiting.pop_front());
        let Some(waiting) = waiting else { return Ok(false) };
        let packed = waiting.recv().map_err(|_| gone())??;
        self.put(packed).map(|()| true)
    }

    /// Writes what is left, and the end; there is one thread again.
    pub fn finish(mut self) -> io::Result<W> {
        while self.take_back()? {}
        if let Some(Workers { tasks, threads, .. }) = self.workers.take() {
            drop(tasks);
            threads.into_iter().try_for_each(JoinHandle::join).map_err(|_| gone())?;
        }
        if !self.piece.is_empty() || !self.begun {
            let packed = pack(&std::mem::take(&mut self.piece))?;
            self.put(packed)?;
        }
        self.out.write_all(&END)?;
        self.out.write_all(&self.sum.sum().to_le_bytes())?;
        self.out.write_all(&self.sum.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() == PIECE {
            self.hand_out()?;
        }
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Workers {
    fn start() -> Self {
        let count = thread::available_parallelism().map_or(1, usize::from).min(8);
        let (tasks, queue) = sync_channel::<Task>(count);
        let queue = Arc::new(Mutex::new(queue));
        let work = || {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                while let Some((piece, answer)) = next(&queue) {
                    // Nobody waits any more where the writing has failed.
                    let _ = answer.send(pack(&piece));
                }
            })
        };
        let threads = (0..count).map(|_| work()).collect();
        Self { tasks, threads, waiting: VecDeque::new() }
    }
}

fn next(queue: &Mutex<Receiver<Task>>) -> Option<Task> {
    queue.lock().ok()?.recv().ok()
}

fn gone() -> io::Error {
    io::Error::other("a thread that compresses has ended")
}

/// One piece as deflate blocks that end on a byte.
fn pack(piece: &[u8]) -> io::Result<Packed> {
    let mut sum = Crc::new();
    sum.update(piece);
    let mut deflate = Compress::new(Compression::new(LEVEL), false);
    let mut packed = Vec::with_capacity(piece.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
        let status = deflate.compress_vec(&piece[taken..], &mut packed, FlushCompress::Sync);
        let all = deflate.total_in() == piece.len() as u64;
        match status.map_err(io::Error::other)? {
            // With room left in the buffer, nothing is left to be written.
            Status::Ok | Status::BufError if all && packed.len() < packed.capacity() => {
                return Ok((packed, sum));
            }
            _ => packed.reserve(piece.len() / 4 + 1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::image::unpack::compression::decompressed;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new());
        for part in bytes.chunks(70_001) {
            gzip.write_all(part).unwrap();
        }
        gzip.finish().unwrap()
    }

    /// Random, then nothing but zeroes, then text: what packs badly, well and as usual.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length)
            .map(|at| match at * 3 / length.max(1) {
                0 => next(),
                1 => 0,
                _ => b"layers are made of these words "[at % 31],
            })
            .collect()
    }

    #[test]
    fn one_member_comes_out_whatever_the_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 17] {
            let bytes = sample(length);
            let packed = packed(&bytes);
            let mut again = Vec::new();
            decompressed(&packed[..]).unwrap().read_to_end(&mut again).unwrap();
            assert!(again == bytes, "{length}");
            // And for a reader that takes no more than one member.
            let mut one = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut one).unwrap();
            assert_eq!(one.len(), length);
        }
    }

    #[test]
    fn the_same_bytes_come_out_the_same() {
        let bytes = sample(3 * PIECE + 5);
        assert!(packed(&bytes) == packed(&bytes));
    }
}
