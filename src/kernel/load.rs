//! Bounded loads, to try limits with: each ends by itself, whatever happens.
//! They run in a process of their own (`__load`), in a group made for them.

use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use crate::kernel::raw;

/// Longest life of anything that is started here.
const LONGEST: Duration = Duration::from_secs(20);

/// Uses as much CPU as it gets, for so many milliseconds.
pub fn cpu(milliseconds: u64) -> u8 {
    let end = Instant::now() + Duration::from_millis(milliseconds).min(LONGEST);
    let mut number = 1_u64;
    while Instant::now() < end {
        for _ in 0..10_000 {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005) + 1);
        }
    }
    0
}

/// Takes so many bytes of memory and writes to each page; at most a gibibyte.
pub fn memory(bytes: u64) -> u8 {
    const BLOCK: usize = 1 << 20;
    let blocks = usize::try_from(bytes.min(1 << 30)).unwrap_or(0) / BLOCK;
    let mut held = Vec::with_capacity(blocks);
    for _ in 0..blocks {
        held.push(std::hint::black_box(vec![1_u8; BLOCK]));
    }
    u8::from(held.len() != blocks)
}

/// Forks until so many children sleep, or the kernel says no; the exit code is
/// how many there were (at most 200).
pub fn forks(wanted: u64) -> u8 {
    let mut made = 0;
    for _ in 0..wanted.min(200) {
        match raw::fork() {
            Ok(None) => {
                std::thread::sleep(LONGEST);
                raw::exit_now(0);
            }
            Ok(Some(_)) => made += 1,
            Err(_) => break,
        }
    }
    made
}

/// Reads so many bytes of our own program from its disk, past the page cache.
pub fn read(bytes: u64) -> u8 {
    const BLOCK: usize = 64 << 10;
    const PAGE: usize = 4096;
    let options = |options: &mut std::fs::OpenOptions| {
        options.read(true).custom_flags(libc::O_DIRECT).open("/proc/self/exe")
    };
    let Ok(file) = options(&mut std::fs::OpenOptions::new()) else { return 1 };
    // O_DIRECT wants memory that begins at a page.
    let mut room = vec![0_u8; BLOCK + PAGE];
    let skip = room.as_ptr().align_offset(PAGE);
    let (end, mut done, mut at) = (Instant::now() + LONGEST, 0, 0);
    while done < bytes && Instant::now() < end {
        match rustix::io::pread(&file, &mut room[skip..skip + BLOCK], at) {
            Ok(0) if at == 0 => return 1,
            Ok(0) => at = 0,
            Ok(count) => (done, at) = (done + count as u64, at + count as u64),
            Err(_) => return 1,
        }
        // A short read is the end of the file.
        at -= at % PAGE as u64;
    }
    u8::from(done < bytes)
}
