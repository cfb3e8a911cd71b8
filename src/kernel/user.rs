//! User namespaces: which ids outside stand behind the ids inside
//! (user_namespaces(7), subuid(5), newuidmap(1)).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// One line of a map: `count` ids from `inside` stand for those from `outside`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// First id in the namespace.
    pub inside: u32,
    /// First id in the parent namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `uid_map`, `newuidmap`, `/etc/subuid`.
    Uid,
    /// `gid_map`, `newgidmap`, `/etc/subgid`.
    Gid,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Uid => 'u',
            Self::Gid => 'g',
        }
    }
}

/// The subordinate ids that a file like /etc/subuid gives a user, who may be
/// named there or stand by number: first id and count of each range.
pub fn subordinate(file: &Path, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
    let number = uid.to_string();
    let ours = |line: &str| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        (Some(owner) == name || owner == number).then_some(())?;
        Some((fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?))
    };
    text.lines().filter_map(ours).filter(|(_, count)| *count > 0).collect()
}

/// A map that makes `own` root inside, and gives the following ids to `ranges`.
pub fn root_and(own: u32, ranges: &[(u32, u32)]) -> Vec<Range> {
    let mut map = vec![Range { inside: 0, outside: own, count: 1 }];
    let mut inside = 1_u32;
    for (outside, count) in ranges {
        let count = (*count).min(u32::MAX - inside);
        map.push(Range { inside, outside: *outside, count });
        inside += count;
    }
    map
}

/// Writes a map of `$pid`'s new user namespace: directly for the one id that
/// anybody may map, with the set-uid helper for more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IdMap {
    /// Users or groups.
    pub kind: Kind,
    /// The lines.
    pub map: Vec<Range>,
    /// newuidmap or newgidmap, when it takes one.
    pub helper: Option<PathBuf>,
}

impl IdMap {
    fn numbers(&self) -> Vec<String> {
        self.map
            .iter()
            .flat_map(|range| [range.inside, range.outside, range.count])
            .map(|n| n.to_string())
            .collect()
    }

    fn lines(&self) -> String {
        let numbers = self.numbers();
        numbers.chunks(3).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")
    }
}

impl Operation for IdMap {
    fn step(&self) -> Step {
        let letter = self.kind.letter();
        let why = match (self.kind, &self.helper) {
            (Kind::Uid, Some(_)) => {
                "root in there is you out here; the other ids are those /etc/subuid gives you"
            }
            (Kind::Uid, None) if self.map.iter().any(|range| range.count > 1) => {
                "root in there is an id out here that nobody has; who has one here does not exist in there"
            }
            (Kind::Uid, None) => "root in there is you out here: the one id that anybody may map",
            (Kind::Gid, _) => "the same for groups",
        };
        match &self.helper {
            Some(helper) => {
                let typed = format!("new{letter}idmap $pid {}", self.numbers().join(" "));
                Step::new(
                    format!(
                        "execve(\"{}\", [\"{}\"])",
                        helper.display(),
                        typed.replace(' ', "\", \"")
                    ),
                    why,
                )
                .shell(typed)
            }
            None => Step::new(
                format!("write(open(\"/proc/$pid/{letter}id_map\", O_WRONLY), {:?})", self.lines()),
                why,
            )
            .shell(format!("echo '{}' > /proc/$pid/{letter}id_map", self.lines())),
        }
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let child: i32 = world.slots.number("pid")?;
        let Some(helper) = &self.helper else {
            let path = format!("/proc/{child}/{}id_map", self.kind.letter());
            std::fs::write(&path, self.lines())
                .tried(|| format!("write({path:?}, {:?})", self.lines()))?;
            return Ok(self.lines().len().to_string());
        };
        let output = Command::new(helper)
            .arg(child.to_string())
            .args(self.numbers())
            .output()
            .tried(|| format!("execve({helper:?})"))?;
        if output.status.success() {
            return Ok("0".to_owned());
        }
        Err(Error::new(format!("{} {child} {}", helper.display(), self.numbers().join(" ")))
            .said(String::from_utf8_lossy(&output.stderr).trim())
            .hint("It must be set-uid root (or have cap_setuid), and the ranges must be yours in /etc/subuid and /etc/subgid."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_by_name_and_by_number() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "# note\nann:100000:65536\nbob:1:1\n1001:200000:10\nann:bad:1\nann:9:0\n",
        )
        .unwrap();
        assert_eq!(subordinate(file.path(), Some("ann"), 1001), [(100_000, 65536), (200_000, 10)]);
        assert_eq!(subordinate(file.path(), None, 7), []);
        assert_eq!(subordinate(Path::new("/no/such/file"), Some("ann"), 1001), []);
    }

    #[test]
    fn the_map_starts_with_ourselves_as_root() {
        let map = root_and(1000, &[(100_000, 65536)]);
        assert_eq!(map[0], Range { inside: 0, outside: 1000, count: 1 });
        assert_eq!(map[1], Range { inside: 1, outside: 100_000, count: 65536 });
    }
}
