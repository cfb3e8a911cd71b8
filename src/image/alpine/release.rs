//! Alpine's releases: which there is, where it is, and what its sum is.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};

const PINNED: &str = include_str!("../../../assets/alpine.toml");

/// A minirootfs that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `3.21.3`.
    pub version: String,
    /// Its whole address.
    pub address: String,
    /// The SHA-256 that its mirror publishes, where that is known already.
    pub published: Option<String>,
}

impl Release {
    /// One of this version.
    pub fn of(mirror: &str, version: &str, architecture: &str) -> Self {
        let address = Self::address(mirror, version, architecture);
        Self { version: version.to_owned(), address, published: None }
    }

    /// Where it is.
    pub fn address(mirror: &str, version: &str, architecture: &str) -> String {
        let series: Vec<_> = version.split('.').take(2).collect();
        let file = file_name(version, architecture);
        format!("{mirror}/v{}/releases/{architecture}/{file}", series.join("."))
    }

    /// The newest that a list of releases (`latest-releases.yaml`) names.
    pub fn latest(list: &str, mirror: &str, architecture: &str) -> Result<Self> {
        let wrong = |what: &str| Error::new("reading latest-releases.yaml").said(what);
        let entry = entries(list)
            .into_iter()
            .find(|entry| entry.get("flavor").is_some_and(|flavor| flavor == "alpine-minirootfs"))
            .ok_or_else(|| wrong("it names no alpine-minirootfs"))?;
        let field = |name: &str| {
            entry.get(name).cloned().ok_or_else(|| wrong(&format!("the minirootfs has no {name}")))
        };
        let (version, file, sum) = (field("version")?, field("file")?, field("sha256")?);
        check_version(&version)?;
        if file != file_name(&version, architecture) {
            return Err(wrong("the minirootfs has another file name than it should"));
        }
        check_sum(&sum)?;
        Ok(Self { published: Some(sum), ..Self::of(mirror, &version, architecture) })
    }
}

/// Where the list of the newest releases is.
pub fn latest_address(mirror: &str, architecture: &str) -> String {
    format!("{mirror}/latest-stable/releases/{architecture}/latest-releases.yaml")
}

/// `alpine-minirootfs-3.21.3-x86_64.tar.gz`.
pub fn file_name(version: &str, architecture: &str) -> String {
    format!("alpine-minirootfs-{version}-{architecture}.tar.gz")
}

/// A version becomes part of a path: nothing but numbers and letters.
pub fn check_version(version: &str) -> Result<()> {
    let parts: Vec<_> = version.split('.').collect();
    let good = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_digit())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match (2..=4).contains(&parts.len()) && parts.iter().all(good) {
        true => Ok(()),
        false => Err(Error::usage(format!("{version:?} is no version of Alpine"))
            .hint("A version is like 3.21.3.")),
    }
}

/// 64 hexadecimal digits.
pub fn check_sum(sum: &str) -> Result<()> {
    match sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        true => Ok(()),
        false => Err(Error::new("reading a SHA-256 sum").said(format!("{sum:?} is none"))),
    }
}

/// Which version is newer: its numbers.
pub fn order(version: &str) -> Vec<u64> {
    let number = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..digits].parse().unwrap_or(0)
    };
    version.split('.').map(number).collect()
}

/// The sum that this program carries.
pub fn pinned(version: &str, architecture: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Pinned {
        sums: BTreeMap<String, String>,
    }
    let pinned: Pinned = toml::from_str(PINNED).ok()?;
    pinned.sums.get(&format!("{version}-{architecture}")).cloned()
}

/// The entries of the list: YAML of the simplest kind, `key: value` lines, a `-`
/// before each entry.
fn entries(list: &str) -> Vec<BTreeMap<String, String>> {
    let mut entries: Vec<BTreeMap<String, String>> = Vec::new();
    for line in list.lines() {
        let mut line = line.trim();
        if line == "---" {
            continue;
        }
        if let Some(rest) = line.strip_prefix('-') {
            entries.push(BTreeMap::new());
            line = rest.trim();
        }
        if let (Some((key, value)), Some(entry)) = (line.split_once(':'), entries.last_mut()) {
            let value = value.trim().trim_matches(['"', '\'']);
            entry.insert(key.trim().to_owned(), value.to_owned());
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "---\n-\n  title: \"Standard\"\n  flavor: alpine-standard\n  file: alpine-standard-3.21.3-x86_64.iso\n\
        -\n  title: \"Mini root filesystem\"\n  version: 3.21.3\n  flavor: alpine-minirootfs\n  desc: |\n    Minimal root: for containers.\n\
        \n  file: alpine-minirootfs-3.21.3-x86_64.tar.gz\n  \
        sha256: 1a694899e406ce55d32334c47ac0b2efb6c06d7e878102d1840892ad44cd5239\n";

    #[test]
    fn the_list_names_the_latest() {
        let release = Release::latest(LIST, "http://m/alpine", "x86_64").unwrap();
        assert_eq!(release.version, "3.21.3");
        assert_eq!(
            release.address,
            "http://m/alpine/v3.21/releases/x86_64/alpine-minirootfs-3.21.3-x86_64.tar.gz"
        );
        assert_eq!(release.published, pinned("3.21.3", "x86_64"));
        for wrong in [
            LIST.replace("minirootfs-3.21.3-x86_64.tar", "../../../etc/passwd"),
            LIST.replace("version: 3.21.3", "version: ../../x"),
            LIST.replace("1a6948", "zzz"),
            LIST.replace("flavor: alpine-minirootfs", "flavor: x"),
            String::new(),
        ] {
            assert!(Release::latest(&wrong, "http://m", "x86_64").is_err());
        }
    }

    #[test]
    fn every_pinned_sum_is_one() {
        let table: toml::Table = toml::from_str(PINNED).unwrap();
        for (name, sum) in table["sums"].as_table().unwrap() {
            let (version, _) = name.split_once('-').unwrap();
            check_version(version).unwrap();
            check_sum(sum.as_str().unwrap()).unwrap();
        }
        assert!(order("3.9.4") < order("3.21.0") && order("3.21.3") < order("3.21.10"));
        for wrong in ["", "3", "../3.1", "3.1/x", "v3.1", "3..1"] {
            assert!(check_version(wrong).is_err(), "{wrong}");
        }
    }
}
