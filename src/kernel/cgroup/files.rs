//! The control files: what each says, and reading them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::unit::Unit;
use crate::error::{Context, Result};
use crate::kernel::process;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What is allowed.
    Limit,
    /// What was used, or happened.
    Counter,
    /// A switch, or how the group is made up.
    Control,
}

impl Kind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Counter => "counter",
            Self::Control => "control",
        }
    }
}

/// A control file, or one line of a keyed one, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    /// `cpu.max`, `cpu.stat:nr_throttled`, `hugetlb.*.max`.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// How its value reads.
    pub unit: Unit,
    /// What it says.
    pub text: &'static str,
}

/// assets/cgroup-files, read once.
static DOCS: LazyLock<Vec<Doc>> = LazyLock::new(|| {
    let text = include_str!("../../../assets/cgroup-files");
    text.lines().filter(|line| !line.starts_with('#')).filter_map(doc).collect()
});

fn doc(line: &'static str) -> Option<Doc> {
    let mut fields = line.splitn(4, '|').map(str::trim);
    let (name, kind, unit, text) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let kind = match kind {
        "limit" => Kind::Limit,
        "counter" => Kind::Counter,
        "control" => Kind::Control,
        _ => return None,
    };
    Some(Doc { name, kind, unit: Unit::named(unit)?, text })
}

/// What a control file of this name says.
pub fn explain(name: &str) -> Option<&'static Doc> {
    let exact = DOCS.iter().find(|doc| doc.name == name);
    let fitting = || DOCS.iter().filter(|doc| fits(doc.name, name));
    exact.or_else(|| fitting().max_by_key(|doc| doc.name.len()))
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.split_once('*').is_some_and(|(before, after)| {
        name.len() >= before.len() + after.len()
            && name.starts_with(before)
            && name.ends_with(after)
    })
}

/// One value: of a file, or of a line of a keyed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The file.
    pub file: PathBuf,
    /// The line of it, where it is keyed.
    pub key: Option<String>,
    /// What it says, and in which unit.
    pub doc: &'static Doc,
    /// As the kernel wrote it.
    pub value: String,
}

/// Every limit and counter in a cgroup's directory that we can explain, in the
/// order of assets/cgroup-files. Files whose name begins with one of
/// `prefixes` (`cpu.`) only; no prefixes: all.
pub fn readings(directory: &Path, prefixes: &[&str]) -> Result<Vec<Reading>> {
    let mut found = Vec::new();
    for name in names(directory)? {
        if !prefixes.is_empty() && !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let Some(doc) = explain(&name).filter(|doc| doc.kind != Kind::Control) else { continue };
        let file = directory.join(&name);
        // A file that only root may read, or that can only be written, has nothing to show.
        let Ok(bytes) = fs::read(&file) else { continue };
        let text = process::text(&bytes);
        match doc.unit {
            Unit::Keyed => found.extend(keyed(&file, &name, &text)),
            // A table of its own is there for programs.
            Unit::Lines => {}
            _ => found.push(Reading { file, key: None, doc, value: text.trim().to_owned() }),
        }
    }
    let place = |reading: &Reading| DOCS.iter().position(|doc| doc == reading.doc);
    found.sort_by_key(place);
    Ok(found)
}

fn keyed(file: &Path, name: &str, text: &str) -> Vec<Reading> {
    let line = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        let doc = DOCS.iter().find(|doc| {
            doc.name.split_once(':').is_some_and(|(of, its)| of == name && its == key)
        })?;
        let (key, value) = (Some(key.to_owned()), value.trim().to_owned());
        Some(Reading { file: file.to_owned(), key, doc, value })
    };
    text.lines().filter_map(line).collect()
}

/// The names of the control files in a cgroup's directory, in order.
pub fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).tried(|| format!("opendir({directory:?})"))?;
    let file = |entry: fs::DirEntry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file.then(|| process::text(entry.file_name().as_encoded_bytes()))
    };
    let mut names: Vec<_> = entries.flatten().filter_map(file).collect();
    names.sort();
    Ok(names)
}

/// The number in a file, or on a line of a keyed one; `None` where the kernel
/// has none: that is not 0.
pub fn number(directory: &Path, name: &str) -> Option<u64> {
    let (name, key) = match name.split_once(':') {
        Some((name, key)) => (name, Some(key)),
        None => (name, None),
    };
    let text = fs::read_to_string(directory.join(name)).ok()?;
    let value = match key {
        None => text.trim(),
        Some(key) => text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .map(str::trim)?,
    };
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_understood() {
        let text = include_str!("../../../assets/cgroup-files");
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            assert!(doc(line).is_some(), "{line}");
        }
        for (index, doc) in DOCS.iter().enumerate() {
            assert!(DOCS[..index].iter().all(|other| other.name != doc.name), "{}", doc.name);
        }
    }

    #[test]
    fn a_star_stands_for_whatever_is_there() {
        assert_eq!(explain("hugetlb.2MB.max").map(|doc| doc.unit), Some(Unit::Bytes));
        assert_eq!(explain("hugetlb.2MB.rsvd.max").map(|doc| doc.name), Some("hugetlb.*.rsvd.max"));
        assert_eq!(explain("cpu.unheard_of"), None);
    }

    #[test]
    fn keyed_files_are_read_by_line_and_what_is_not_there_is_not_0() {
        let directory = tempfile::tempdir().expect("a directory");
        let stat = "usage_usec 12\nnr_throttled 3\nnew_key 4\n";
        fs::write(directory.path().join("cpu.stat"), stat).expect("written");
        fs::write(directory.path().join("cgroup.procs"), "1\n").expect("written");
        let found = readings(directory.path(), &[]).expect("read");
        let found: Vec<_> = found.iter().map(|r| (r.doc.name, r.value.as_str())).collect();
        assert_eq!(found, [("cpu.stat:usage_usec", "12"), ("cpu.stat:nr_throttled", "3")]);
        assert_eq!(number(directory.path(), "cpu.stat:nr_throttled"), Some(3));
        assert_eq!(number(directory.path(), "cpu.stat:throttled_usec"), None);
        assert_eq!(number(directory.path(), "pids.events:max"), None);
    }
}
