//! `--userns`: a user namespace for a container that root starts, in which
//! root is nobody outside. Whatever gets out of it owns no file, is no user,
//! and may do nothing.

use std::path::Path;

use crate::container::machine::UserMap;
use crate::error::{Error, Exit, Result};
use crate::kernel::user::{self, Kind, Range};

/// How many ids a container gets.
const COUNT: u32 = 65536;
/// The first to be considered, as useradd(8) counts subordinate ids.
const FIRST: u32 = 100_000;
/// Ids from here on are for others: systemd's, and those that are negative for some.
const LAST: u32 = 0x7000_0000;

/// What files of /etc say of ids.
struct Files<'a> {
    subuid: &'a Path,
    subgid: &'a Path,
    passwd: &'a Path,
    group: &'a Path,
}

/// The map: the range that /etc/subuid and /etc/subgid give root, else the
/// first 65536 ids from 100000 on that nobody there, and nobody in /etc/passwd
/// and /etc/group, has.
pub fn map() -> Result<UserMap> {
    let [subuid, subgid, passwd, group] =
        ["/etc/subuid", "/etc/subgid", "/etc/passwd", "/etc/group"].map(Path::new);
    Files { subuid, subgid, passwd, group }.map()
}

impl Files<'_> {
    fn map(&self) -> Result<UserMap> {
        let given = |file| user::subordinate(file, Some("root"), 0).first().copied();
        let (uids, gids) = match (given(self.subuid), given(self.subgid)) {
            (Some(uids), Some(gids)) => (uids, gids),
            _ => {
                let free = (self.free()?, COUNT);
                (free, free)
            }
        };
        let from_root = |(outside, count): (u32, u32)| vec![Range { inside: 0, outside, count }];
        Ok(UserMap {
            maps: [(Kind::Uid, from_root(uids), None), (Kind::Gid, from_root(gids), None)],
            full: true,
            nobody: true,
        })
    }

    fn free(&self) -> Result<u32> {
        let taken: Vec<(u32, u32)> =
            [ranges(self.subuid), ranges(self.subgid), ids(self.passwd), ids(self.group)].concat();
        let overlaps = |start: &u32| {
            let end = start + COUNT;
            taken.iter().any(|(first, count)| *first < end && first.saturating_add(*count) > *start)
        };
        let mut candidates = (FIRST..LAST).step_by(COUNT as usize);
        candidates.find(|start| !overlaps(start)).ok_or_else(|| {
            Error::new("--userns: looking for 65536 ids that nobody has")
                .said("/etc/subuid, /etc/subgid, /etc/passwd and /etc/group leave none free")
                .hint("`usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST root` gives root a range.")
                .exit(Exit::Engine)
        })
    }
}

fn fields(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .map(|line| line.split(':').map(|field| field.trim().to_owned()).collect())
        .collect()
}

/// Everybody's ranges, of a file like /etc/subuid.
fn ranges(file: &Path) -> Vec<(u32, u32)> {
    let range =
        |fields: &Vec<String>| Some((fields.get(1)?.parse().ok()?, fields.get(2)?.parse().ok()?));
    fields(file).iter().filter_map(range).collect()
}

/// Everybody's id, of a file like /etc/passwd.
fn ids(file: &Path) -> Vec<(u32, u32)> {
    let id = |fields: &Vec<String>| Some((fields.get(2)?.parse().ok()?, 1));
    fields(file).iter().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(subids: &str, passwd: &str) -> u32 {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (subids, passwd) = (file("subids", subids), file("passwd", passwd));
        let files = Files { subuid: &subids, subgid: &subids, passwd: &passwd, group: &passwd };
        files.map().unwrap().maps[0].1[0].outside
    }

    #[test]
    fn the_range_is_roots_or_nobodys() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(outside("", passwd), 100_000);
        assert_eq!(outside("ann:100000:65536\n", passwd), 165_536);
        assert_eq!(outside("ann:165535:2\n", passwd), 231_072);
        assert_eq!(outside("ann:100000:65536\nroot:700000:65536\n", passwd), 700_000);
        assert_eq!(outside("", "eve:x:100005:100005::/:/bin/sh\n"), 165_536);
    }
}
