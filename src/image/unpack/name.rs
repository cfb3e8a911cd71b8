//! Names of members, made safe.

use super::{broken, too_much};
use crate::error::Result;

/// Where a member goes: a directory, and a name in it. Neither has `..` in it,
/// and neither is absolute; the directory may still lead over symbolic links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name<'a> {
    /// `usr/bin`; empty for the root itself.
    pub parent: Vec<u8>,
    /// `sh`; none for the root itself.
    pub last: Option<&'a [u8]>,
}

impl<'a> Name<'a> {
    /// Reads a name as GNU tar does: `/a` is `a`, `./a//b` is `a/b`, and one with
    /// `..` in it is refused.
    pub fn of(name: &'a [u8], depth: usize) -> Result<Self> {
        if name.contains(&0) {
            return Err(broken("a name has a zero byte in it"));
        }
        let parts = || name.split(|byte| *byte == b'/');
        if parts().any(|part| part == b"..") {
            return Err(broken(format!("the name {} leads up", shown(name))));
        }
        let mut parent: Vec<u8> = Vec::with_capacity(name.len());
        let (mut last, mut count) = (None, 0);
        for part in parts().filter(|part| !matches!(*part, b"" | b".")) {
            if let Some(directory) = last.replace(part) {
                if !parent.is_empty() {
                    parent.push(b'/');
                }
                parent.extend_from_slice(directory);
            }
            count += 1;
            if count > depth {
                return Err(too_much("the path of a member", depth as u64, "depth"));
            }
        }
        Ok(Self { parent, last })
    }
}

/// A name as it is shown: what cannot be printed is escaped.
pub fn shown(name: &[u8]) -> String {
    const MOST: usize = 200;
    let cut = if name.len() > MOST { "..." } else { "" };
    format!("{}{cut}", name[..name.len().min(MOST)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(name: &str) -> (String, Option<String>) {
        let name = Name::of(name.as_bytes(), 255).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&name.parent), name.last.map(text))
    }

    #[test]
    fn names_are_read_as_gnu_tar_reads_them() {
        for (name, parent, last) in [
            ("a", "", Some("a")),
            ("a/b/", "a", Some("b")),
            ("/etc/passwd", "etc", Some("passwd")),
            ("./a//./b/c", "a/b", Some("c")),
            ("...", "", Some("...")),
            (".", "", None),
            ("", "", None),
            ("/", "", None),
        ] {
            assert_eq!(read(name), (parent.to_owned(), last.map(str::to_owned)), "{name}");
        }
        for up in ["..", "../x", "a/../b", "/..", "a/.."] {
            assert!(Name::of(up.as_bytes(), 255).is_err(), "{up}");
        }
        assert!(Name::of(&b"a/".repeat(255), 255).is_ok());
        assert!(Name::of(&b"a/".repeat(256), 255).is_err());
    }

    proptest! {
        #[test]
        fn no_name_leads_up_or_to_the_root(bytes in proptest::collection::vec(prop_oneof![Just(b'/'), Just(b'.'), any::<u8>()], 0..60)) {
            if let Ok(name) = Name::of(&bytes, 255) {
                prop_assert!(!name.parent.starts_with(b"/"));
                for part in name.parent.split(|byte| *byte == b'/').chain(name.last) {
                    prop_assert!(part != b".." && part != b".");
                }
                prop_assert!(name.last.is_none_or(|last| !last.is_empty() && !last.contains(&b'/')));
            }
        }
    }
}
