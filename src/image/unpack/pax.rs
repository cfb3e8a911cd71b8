//! Extended headers (pax(1), "pax Extended Header"): records that say what a
//! tar header has no room for. They can be longer than memory if nobody looks.

use super::broken;
use crate::error::Result;

/// Whole seconds since 1970 and the nanoseconds after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds; before 1970 they are negative.
    pub seconds: i64,
    /// 0 to 999,999,999, always forward.
    pub nanos: u32,
}

/// What extended headers say of the next member, or of all that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extended {
    /// The name.
    pub path: Option<Vec<u8>>,
    /// What a link points to.
    pub link: Option<Vec<u8>>,
    /// Bytes of content in the archive.
    pub size: Option<u64>,
    /// The owner.
    pub uid: Option<u64>,
    /// The group.
    pub gid: Option<u64>,
    /// When it was last changed.
    pub mtime: Option<Time>,
    /// `SCHILY.xattr.NAME`, in order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// About a file with holes.
    pub sparse: Sparse,
}

/// The `GNU.sparse.*` records, of all three versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sparse {
    /// The version.
    pub major: Option<u64>,
    /// The version, behind the point.
    pub minor: Option<u64>,
    /// The real name.
    pub name: Option<Vec<u8>>,
    /// The length of the file with its holes.
    pub real_size: Option<u64>,
    /// Offset and length, as they came.
    pub map: Vec<u64>,
    /// Whether there is any record of a sparse file at all.
    pub any: bool,
}

impl Extended {
    /// Reads records over what is known already. `LENGTH KEY=VALUE\n`, where
    /// LENGTH counts itself: a value may hold anything, newlines too.
    pub fn read(&mut self, mut records: &[u8]) -> Result<()> {
        while !records.is_empty() {
            let space = records.iter().take(20).position(|byte| *byte == b' ');
            let length = space.and_then(|space| decimal(&records[..space])).unwrap_or(0);
            let length = usize::try_from(length).unwrap_or(0);
            let start = space.map_or(0, |space| space + 1);
            let record =
                (start..length).contains(&start).then(|| records.get(start..length)).flatten();
            let equals = record.and_then(|record| record.iter().position(|byte| *byte == b'='));
            let (Some(record), Some(equals)) = (record, equals) else {
                return Err(broken("an extended header is not made of LENGTH KEY=VALUE records"));
            };
            let Some(value) = record[equals + 1..].strip_suffix(b"\n") else {
                return Err(broken("a record of an extended header does not end where it says"));
            };
            self.set(&record[..equals], value)?;
            records = &records[length..];
        }
        Ok(())
    }

    /// An empty value takes back what was said before.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let text = || (!value.is_empty()).then(|| value.to_vec());
        let number = || match value {
            b"" => Ok(None),
            _ => decimal(value).map(Some).ok_or_else(|| wrong(key, value)),
        };
        match key {
            b"path" => self.path = text(),
            b"linkpath" => self.link = text(),
            b"size" => self.size = number()?,
            b"uid" => self.uid = number()?,
            b"gid" => self.gid = number()?,
            b"mtime" if value.is_empty() => self.mtime = None,
            b"mtime" => self.mtime = Some(time(value).ok_or_else(|| wrong(key, value))?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.retain(|(known, _)| known != name);
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.any = true;
                    self.set_sparse(name, value).ok_or_else(|| wrong(key, value))?;
                }
            }
        }
        Ok(())
    }

    fn set_sparse(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let sparse = &mut self.sparse;
        match name {
            b"major" => sparse.major = Some(decimal(value)?),
            b"minor" => sparse.minor = Some(decimal(value)?),
            b"name" => sparse.name = Some(value.to_vec()),
            b"realsize" | b"size" => sparse.real_size = Some(decimal(value)?),
            b"offset" | b"numbytes" => sparse.map.push(decimal(value)?),
            b"map" if value.is_empty() => sparse.map.clear(),
            b"map" => {
                let numbers = value.split(|byte| *byte == b',').map(decimal);
                sparse.map = numbers.collect::<Option<_>>()?;
            }
            _ => {}
        }
        Some(())
    }
}

fn wrong(key: &[u8], value: &[u8]) -> crate::error::Error {
    let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
    broken(format!("extended header: {} cannot be {shown:?}", String::from_utf8_lossy(key)))
}

/// Digits and nothing else: no sign, no space, no second reading.
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `1700000000.25`, `-1.5`.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(&text[..point])?).ok()?;
    let fraction = text.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanos) {
        (false, _) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos },
        (true, _) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let mut length = rest;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn values_hold_anything_and_lengths_are_held_to() {
        let mut extended = Extended::default();
        let value = b"two\nlines = 2\0".to_vec();
        let text = [record("SCHILY.xattr.user.x", &value), record("size", b"7")].concat();
        extended.read(&text).unwrap();
        assert_eq!(extended.xattrs, [(b"user.x".to_vec(), value)]);
        assert_eq!(extended.size, Some(7));
        extended.read(&record("size", b"")).unwrap();
        assert_eq!(extended.size, None);
        for wrong in [
            &b"0 path=x\n"[..],
            b"path=x\n",
            b"99 path=x\n",
            b"8 path=x\n",
            b"-9 a=b\n",
            b"6 path\n",
            b"99999999999999999999999 a=b\n",
            b"5 size=-1\n",
        ] {
            assert!(extended.read(wrong).is_err(), "{wrong:?}");
        }
        for size in ["-1", "+1", " 1", "1 ", "0x1", "99999999999999999999999"] {
            assert!(extended.read(&record("size", size.as_bytes())).is_err(), "{size}");
        }
    }

    #[test]
    fn times_have_fractions_and_may_be_before_1970() {
        let of = |text: &str| time(text.as_bytes()).map(|time| (time.seconds, time.nanos));
        assert_eq!(of("1700000000.25"), Some((1_700_000_000, 250_000_000)));
        assert_eq!(of("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(of("-1"), Some((-1, 0)));
        assert_eq!(of("1.1234567891234"), Some((1, 123_456_789)));
        assert_eq!((of(""), of("."), of("1.x"), of("--1")), (None, None, None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Extended::default().read(&bytes);
        }

        #[test]
        fn what_is_written_is_read(key in "[a-z.A-Z]{1,20}", value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut extended = Extended::default();
            extended.read(&record(&format!("SCHILY.xattr.{key}"), &value)).unwrap();
            prop_assert_eq!(extended.xattrs, vec![(key.into_bytes(), value)]);
        }
    }
}
