//! Files with holes: where their data is. What a map says is believed only when
//! all of it agrees.

use super::member::Content;
use super::pax::decimal;
use super::{broken, too_much};
use crate::error::Result;

/// The content of a file with `stored` bytes of data, from offsets and lengths in turn.
pub fn content(numbers: &[u64], real_size: Option<u64>, stored: u64) -> Result<Content> {
    let size = real_size.ok_or_else(|| broken("a sparse file does not say how long it is"))?;
    let wrong = || broken("the map of a sparse file contradicts itself");
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    let (mut end, mut data) = (0_u64, 0_u64);
    let mut map = Vec::new();
    for [offset, length] in pairs {
        let after = offset.checked_add(*length).filter(|after| *after <= size);
        if *offset < end {
            return Err(wrong());
        }
        end = after.ok_or_else(wrong)?;
        data += length;
        if *length > 0 {
            map.push((*offset, *length));
        }
    }
    if data != stored {
        return Err(wrong());
    }
    Ok(Content { size, map: Some(map) })
}

/// The numbers of a map of version 1.0, a line each, the first their count.
#[derive(Debug)]
pub struct Lines {
    pub numbers: Vec<u64>,
    count: Option<u64>,
    digits: Vec<u8>,
    limit: u64,
    read: u64,
}

impl Lines {
    /// No more than `limit` bytes of them.
    pub fn new(limit: u64) -> Self {
        Self { numbers: Vec::new(), count: None, digits: Vec::new(), limit, read: 0 }
    }

    /// Whether the last number has been read.
    pub fn complete(&self) -> Result<bool> {
        let Some(count) = self.count else { return Ok(false) };
        let numbers =
            count.checked_mul(2).ok_or_else(|| broken("a sparse file has no such map"))?;
        Ok(self.numbers.len() as u64 >= numbers)
    }

    /// The next block of the map.
    pub fn add(&mut self, block: &[u8]) -> Result<()> {
        self.read += block.len() as u64;
        if self.read > self.limit {
            return Err(too_much("the map of a sparse file", self.limit, "pax"));
        }
        for byte in block {
            if self.complete()? {
                break; // the rest is padding
            }
            if *byte != b'\n' {
                self.digits.push(*byte);
                continue;
            }
            let number = decimal(&self.digits)
                .ok_or_else(|| broken("the map of a sparse file is not made of numbers"))?;
            self.digits.clear();
            match self.count {
                None => self.count = Some(number),
                Some(_) => self.numbers.push(number),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_contradicts_itself_is_refused() {
        let map = |numbers: &[u64], size, stored| content(numbers, Some(size), stored);
        assert_eq!(map(&[0, 4, 8, 4], 100, 8).unwrap().map.unwrap(), [(0, 4), (8, 4)]);
        assert_eq!(map(&[100, 0], 100, 0).unwrap().map.unwrap(), []);
        for (numbers, size, stored) in [
            (&[0, 4, 2, 4][..], 100, 8),
            (&[8, 4, 0, 4], 100, 8),
            (&[0, 4], 3, 4),
            (&[u64::MAX, 2], 100, 2),
            (&[0, 4], 100, 5),
            (&[0, 4, 8], 100, 4),
        ] {
            assert!(map(numbers, size, stored).is_err(), "{numbers:?}");
        }
        assert!(content(&[], None, 0).is_err());
    }

    #[test]
    fn lines_over_blocks() {
        let mut lines = Lines::new(1024);
        lines.add(b"2\n0\n1").unwrap();
        assert!(!lines.complete().unwrap());
        lines.add(b"0\n20\n5\n\0\0").unwrap();
        assert!(lines.complete().unwrap());
        assert_eq!(lines.numbers, [0, 10, 20, 5]);
        assert!(Lines::new(4).add(b"12345").is_err());
        assert!(Lines::new(100).add(b"x\n").is_err());
    }
}
