//! Effects on disk: written before the deed, so that they can be undone
//! whatever happens to whoever did it.
//!
//! A journal is a file of JSON lines under `journal/` of the place whose
//! objects it names (the run directory, or the data directory for what
//! survives a reboot). Whoever works on it holds an flock(2) on it: a journal
//! that can be locked is one whose owner died.
//!
//! There is no fsync: this protects against the death of a process, and after
//! the death of the machine the run directory is gone with it. A torn last
//! line is ignored.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::flock;
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Identity};
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::lock::{FlockOperation, lock};

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    /// Twelve hexadecimal digits; names of what this journal made carry it.
    pub token: String,
    /// What was typed, for people.
    pub command: String,
    /// /proc/sys/kernel/random/boot_id when it was begun: processes of another
    /// boot are gone, whatever runs under their pids now.
    pub boot: String,
}

/// Every further line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    /// This is about to be made.
    Intent { n: u32, effect: Effect },
    /// It was made, and this is how to tell it from another.
    Done { n: u32, identity: Identity },
    /// It is meant to stay when the command has ended.
    Kept { n: u32 },
    /// It is gone again, or no longer ours to remove.
    Gone { n: u32 },
}

/// An effect and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in this journal.
    pub n: u32,
    /// What was to be made.
    pub effect: Effect,
    /// Set once it was.
    pub identity: Option<Identity>,
    /// Whether it is meant to stay.
    pub kept: bool,
}

/// A journal that this process holds the lock of.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    header: Header,
    entries: Vec<Entry>,
    next: u32,
}

impl Journal {
    /// Begins a journal in a place.
    pub fn begin(place: Place, token: &str, command: &str) -> Result<Self> {
        let path = home::open(place, "journal")?.join(format!("{token}.jsonl"));
        let header =
            Header { token: token.to_owned(), command: command.to_owned(), boot: boot_id() };
        // Somebody's sweep may lock and remove the new file before we lock it: then again.
        loop {
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
                .tried(|| format!("open({path:?}, O_CREAT|O_APPEND)"))?;
            let locked = retry_on_intr(|| flock(&file, FlockOperation::LockExclusive));
            if let Err(errno) = locked {
                let _ = fs::remove_file(&path);
                return Err(errno).tried(|| format!("flock({path:?})"));
            }
            if file.metadata().is_ok_and(|metadata| metadata.nlink() > 0) {
                let mut journal = Self { file, path, header, entries: Vec::new(), next: 1 };
                let header = journal.header.clone();
                if let Err(error) = journal.append(&header) {
                    let _ = fs::remove_file(&journal.path);
                    return Err(error);
                }
                return Ok(journal);
            }
        }
    }

    /// Opens a journal left by a process that died; `None` when its owner
    /// lives (it is locked), or it is gone, or it is not ours.
    pub fn adopt(path: &Path) -> Result<Option<Self>> {
        let Ok(mut file) =
            OpenOptions::new().read(true).append(true).custom_flags(libc::O_NOFOLLOW).open(path)
        else {
            return Ok(None);
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        let metadata = file.metadata().tried(|| format!("fstat({path:?})"))?;
        if metadata.nlink() == 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Ok(None);
        }
        let mut text = String::new();
        file.read_to_string(&mut text).tried(|| format!("read({path:?})"))?;
        Ok(Some(Self::parse(file, path, &text)))
    }

    fn parse(file: File, path: &Path, text: &str) -> Self {
        let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let header = lines
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .filter(|header: &Header| header.token == stem)
            .unwrap_or(Header { token: stem, command: String::new(), boot: String::new() });
        let mut journal =
            Self { file, path: path.to_owned(), header, entries: Vec::new(), next: 1 };
        for record in lines.filter_map(|line| serde_json::from_str(line).ok()) {
            journal.apply(record);
        }
        journal
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Intent { n, effect } => {
                self.next = self.next.max(n.saturating_add(1));
                self.entries.push(Entry { n, effect, identity: None, kept: false });
            }
            Record::Done { n, identity } => self.change(n, |entry| entry.identity = Some(identity)),
            Record::Kept { n } => self.change(n, |entry| entry.kept = true),
            Record::Gone { n } => self.entries.retain(|entry| entry.n != n),
        }
    }

    fn change(&mut self, n: u32, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.n == n) {
            change(entry);
        }
    }

    fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)
            .map_err(|error| Error::new("writing the journal").said(error))?;
        bytes.push(b'\n');
        let path = &self.path;
        let before = self.file.metadata().tried(|| format!("fstat({path:?})"))?.len();
        self.file.write_all(&bytes).tried(|| format!("write({path:?})")).map_err(|error| {
            // A torn line must not swallow the next one.
            let _ = self.file.set_len(before);
            error.hint(
                "What cannot be written down is not done: nothing was changed. \
                 Make room there, or set UTH_HOME to another directory.",
            )
        })
    }

    fn record(&mut self, record: Record) -> Result<()> {
        self.append(&record)?;
        self.apply(record);
        Ok(())
    }

    /// Writes down that `effect` is about to be made; its number.
    pub fn intend(&mut self, effect: Effect) -> Result<u32> {
        let n = self.next;
        self.record(Record::Intent { n, effect })?;
        Ok(n)
    }

    /// Writes down that effect `n` was made.
    pub fn done(&mut self, n: u32, identity: Identity) -> Result<()> {
        self.record(Record::Done { n, identity })
    }

    /// Writes down that effect `n` is meant to stay.
    pub fn keep(&mut self, n: u32) -> Result<()> {
        self.record(Record::Kept { n })
    }

    /// Writes down that effect `n` is gone, or no longer ours.
    pub fn gone(&mut self, n: u32) -> Result<()> {
        self.record(Record::Gone { n })
    }

    /// Its first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What it names, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether what it names was made since this machine was started.
    pub fn of_this_boot(&self) -> bool {
        self.header.boot == boot_id()
    }

    /// Effects are gone: forgotten at once, and written down if the journal
    /// stays. (One that ends needs no such line, and undoing twice is harmless.)
    pub fn forget(&mut self, gone: &[u32]) {
        self.entries.retain(|entry| !gone.contains(&entry.n));
        if !self.entries.is_empty() {
            for n in gone {
                // On a full disk this line cannot be written.
                let _ = self.append(&Record::Gone { n: *n });
            }
        }
    }

    /// Removes the journal, when nothing is left in it.
    pub fn end_if_empty(self) -> Result<()> {
        match self.entries.as_slice() {
            [] => fs::remove_file(&self.path).tried(|| format!("unlink({:?})", self.path)),
            _ => Ok(()),
        }
    }
}

/// The paths of every journal in a place, whoever holds them. Makes nothing.
pub fn paths(place: Place) -> Result<Vec<PathBuf>> {
    let directory = home::path(place)?.join("journal");
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(format!("opendir({directory:?})"), &error)),
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    Ok(paths)
}

/// Waits until nobody else looks through the journals of a place; nobody does until
/// this is dropped. None where there are no journals.
pub fn turn(place: Place) -> Result<Option<File>> {
    let directory = home::path(place)?.join("journal");
    match lock(&directory, FlockOperation::LockExclusive) {
        Err(error) if error.is(Errno::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}

/// The effects that every journal names at this moment, whoever holds it.
pub fn effects() -> Result<Vec<Effect>> {
    let mut effects = Vec::new();
    for place in [Place::Run, Place::Data] {
        for path in paths(place)? {
            let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path);
            let (Ok(mut file), mut text) = (opened, String::new()) else { continue };
            if file.read_to_string(&mut text).is_ok() {
                let entries = Journal::parse(file, &path, &text).entries;
                effects.extend(entries.into_iter().map(|entry| entry.effect));
            }
        }
    }
    Ok(effects)
}

/// Twelve random hexadecimal digits.
pub fn new_token() -> Result<String> {
    let mut bytes = [0_u8; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .tried(|| "getrandom(6 bytes)")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Journal {
        let file = tempfile::tempfile().unwrap();
        Journal::parse(file, Path::new("/x/0123456789ab.jsonl"), text)
    }

    const INTENT: &str = r#"{"intent":{"n":1,"effect":{"file":{"path":"/x"}}}}"#;
    const DONE: &str = r#"{"done":{"n":1,"identity":{"inode":{"dev":1,"ino":2}}}}"#;

    #[test]
    fn a_torn_last_line_is_ignored() {
        let journal = parsed(&format!("{{}}\n{INTENT}\n{}", &DONE[..20]));
        assert_eq!(journal.entries().len(), 1);
        assert_eq!(journal.entries()[0].identity, None);
        let journal = parsed(&format!("{{}}\n{INTENT}\n{DONE}\n"));
        assert_eq!(journal.entries()[0].identity, Some(Identity::Inode { dev: 1, ino: 2 }));
        assert_eq!(journal.next, 2);
    }

    #[test]
    fn unknown_records_and_foreign_headers_name_nothing() {
        let journal = parsed(
            "{\"token\":\"ffffffffffff\",\"command\":\"\",\"boot\":\"\"}\n{\"erase\":\"/\"}\n",
        );
        assert_eq!(journal.header().token, "0123456789ab");
        assert!(journal.entries().is_empty());
    }
}
