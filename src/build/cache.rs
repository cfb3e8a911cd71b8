//! What was built before: a note for each instruction, and why one is not used.
//!
//! ```text
//! cache/build/LINE/KEY.json      LINE: of the instruction as it is written
//!                                KEY: of all that its result depends on
//! ```
//!
//! The key comes of the steps before it (what each of them gave, not when), the
//! instruction with its variables filled in, and what goes into it: every file that
//! is copied (mode and content, not times), every ARG that a command could see.
//! A note names the layer that came of it. It keeps nothing from being removed:
//! `image rm` removes layers that no image has, and notes of such layers mean nothing
//! from then on and go with them ([`prune`]).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::build::pick::Input;
use crate::error::{Context, Result};
use crate::home::{self, Place};
use crate::image::oci::{Descriptor, Digest, Hasher};
use crate::image::store::Store;
use crate::lock::{FlockOperation, lock};

/// Another one when anything about keys or notes changes.
const VERSION: u32 = 1;

/// Inputs that a note lists one by one; of more, only their sum is known.
const MOST_INPUTS: usize = 20_000;

/// A step of a build so far that later ones depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// As it is written.
    pub line: String,
    /// What it gave, with all before it.
    pub state: Digest,
}

/// What a result depends on.
#[derive(Debug, Clone)]
pub struct Question {
    /// The steps before.
    pub past: Vec<Past>,
    /// The instruction as it is written.
    pub line: String,
    /// The same with its variables filled in.
    pub expanded: String,
    /// What goes into it.
    pub inputs: Vec<Input>,
}

/// A layer that an instruction made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// What names it.
    pub descriptor: Descriptor,
    /// The digest of its archive.
    pub diff_id: Digest,
    /// Members that are no directories.
    pub files: u64,
    /// What of the layers below is gone.
    pub gone: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// What is known of an instruction that was carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    version: u32,
    key: Digest,
    past: Vec<Past>,
    expanded: String,
    inputs: Vec<Input>,
    /// When.
    pub created: String,
    /// What it made, if it made a layer.
    pub layer: Option<Made>,
}

impl Question {
    /// The key.
    pub fn key(&self) -> Digest {
        let mut sum = Hasher::new();
        let mut add = |text: &str| {
            sum.update(&(text.len() as u64).to_le_bytes());
            sum.update(text.as_bytes());
        };
        add(&format!("under-the-hood build {VERSION}"));
        add(&self.past.last().map(|past| past.state.to_string()).unwrap_or_default());
        add(&self.expanded);
        for (name, value) in &self.inputs {
            add(name);
            add(value);
        }
        sum.finish()
    }

    /// The state that this instruction leads to, with what came of it.
    pub fn state(&self, layer: Option<&Digest>) -> Digest {
        let layer = layer.map(ToString::to_string).unwrap_or_default();
        Digest::of(format!("{} {layer}", self.key()).as_bytes())
    }

    fn directory(&self) -> Result<PathBuf> {
        let line = Digest::of(self.line.as_bytes());
        Ok(home::path(Place::Cache)?.join("build").join(&line.hex()[..32]))
    }

    /// What came of it before, if its layer is still in the store; else why not.
    pub fn answer(&self, store: &Store) -> Result<Result<Note, String>> {
        let directory = self.directory()?;
        let key = self.key();
        let path = directory.join(format!("{}.json", key.hex()));
        let Some(note) = read(&path).filter(|note| note.key == key) else {
            return Ok(Err(self.why(&directory)));
        };
        match &note.layer {
            Some(layer) if !store.has(&layer.descriptor) => {
                Ok(Err("it was built before, and `image rm` removed its layer since".to_owned()))
            }
            _ => Ok(Ok(note)),
        }
    }

    /// Keeps what came of it.
    pub fn remember(&self, created: &str, layer: Option<Made>) -> Result<()> {
        let line = Digest::of(self.line.as_bytes());
        // Shared by all who write; who prunes wants it alone.
        let _lock = lock(&home::open(Place::Cache, "build")?, FlockOperation::LockShared)?;
        let directory = home::open(Place::Cache, &format!("build/{}", &line.hex()[..32]))?;
        let key = self.key();
        let inputs = match self.inputs.len() > MOST_INPUTS {
            true => Vec::new(),
            false => self.inputs.clone(),
        };
        let (past, expanded, created) =
            (self.past.clone(), self.expanded.clone(), created.to_owned());
        let path = directory.join(format!("{}.json", key.hex()));
        let note = Note { version: VERSION, key, past, expanded, inputs, created, layer };
        let text = serde_json::to_vec(&note).map_err(std::io::Error::from);
        let new = path.with_extension(format!("new-{}", std::process::id()));
        text.and_then(|text| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &path))
            .tried(|| format!("write({path:?})"))
    }

    /// Why there is no note: what differs from the one that comes nearest.
    fn why(&self, directory: &PathBuf) -> String {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut notes: Vec<_> = entries.filter_map(|entry| read(&entry.path())).collect();
        notes.sort_by(|one, other| other.created.cmp(&one.created));
        let same_past = |note: &&Note| note.past.last() == self.past.last();
        if let Some(note) = notes.iter().find(same_past) {
            return self.differs(note);
        }
        match notes.first() {
            None => "not built before".to_owned(),
            Some(note) => self.other_past(note),
        }
    }

    fn differs(&self, note: &Note) -> String {
        if note.expanded != self.expanded {
            return format!("a variable in it changed: it was {}", note.expanded);
        }
        if note.inputs.is_empty() || self.inputs.len() > MOST_INPUTS {
            return "something in it changed".to_owned();
        }
        let map = |inputs: &[Input]| inputs.iter().cloned().collect::<BTreeMap<_, _>>();
        let (old, new) = (map(&note.inputs), map(&self.inputs));
        let mut changes = Vec::new();
        for (name, value) in &new {
            match old.get(name) {
                None => changes.push(format!("{name} is new")),
                Some(before) if before != value => changes.push(change(name, before, value)),
                Some(_) => {}
            }
        }
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name} is gone")));
        match changes.as_slice() {
            [] => "its files are in another order".to_owned(),
            [one] => one.clone(),
            [one, other] => format!("{one}, {other}"),
            [one, other, more @ ..] => format!("{one}, {other}, and {} more", more.len()),
        }
    }

    fn other_past(&self, note: &Note) -> String {
        let pairs = self.past.iter().zip(&note.past);
        let same = pairs.take_while(|(one, other)| one == other).count();
        match (self.past.get(same), note.past.get(same)) {
            (Some(now), Some(before)) if now.line == before.line => match same {
                0 => format!("{} is another image now", now.line),
                _ => format!("a step before it gave something else: {}", now.line),
            },
            (Some(now), _) => format!("a step before it is new: {}", now.line),
            (None, Some(before)) => format!("a step before it is gone: {}", before.line),
            (None, None) => "not built before".to_owned(),
        }
    }
}

/// How one input changed; of files, only that.
fn change(name: &str, before: &str, now: &str) -> String {
    if name.starts_with("ARG ") || name == "SOURCE_DATE_EPOCH" {
        return format!("{name} changed: it was {before}, it is {now}");
    }
    let (mode, content) = (before.split(' ').next(), before.split(' ').next_back());
    match (now.split(' ').next() == mode, now.split(' ').next_back() == content) {
        (true, _) => format!("{name} changed"),
        (false, true) => format!("{name} changed its mode"),
        (false, false) => format!("{name} changed, and its mode"),
    }
}

fn read(path: &PathBuf) -> Option<Note> {
    let note: Note = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (note.version == VERSION).then_some(note)
}

/// Every note, with the file that it is in.
fn notes() -> Result<Vec<(PathBuf, Option<Note>)>> {
    let directory = home::path(Place::Cache)?.join("build");
    let mut found = Vec::new();
    for line in fs::read_dir(directory).into_iter().flatten().flatten() {
        for entry in fs::read_dir(line.path()).into_iter().flatten().flatten() {
            found.push((entry.path(), read(&entry.path())));
        }
    }
    Ok(found)
}

/// Forgets what led to layers that are in the store no more; how many notes went.
pub fn prune(store: &Store) -> Result<usize> {
    let mut gone = 0;
    let _lock = match lock(&home::path(Place::Cache)?.join("build"), FlockOperation::LockExclusive)
    {
        Err(error) if error.is(Errno::ENOENT) => return Ok(0),
        other => other?,
    };
    for (path, note) in notes()? {
        let layer = note.as_ref().and_then(|note| note.layer.as_ref());
        let stays = match (&note, layer) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(_), Some(layer)) => store.has(&layer.descriptor),
        };
        if !stays && fs::remove_file(&path).is_ok() {
            gone += 1;
            path.parent().map(fs::remove_dir);
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(line: &str, state: &str) -> Past {
        Past { line: line.to_owned(), state: Digest::of(state.as_bytes()) }
    }

    fn question(past: &[Past], expanded: &str, inputs: &[(&str, &str)]) -> Question {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Question {
            past: past.to_vec(),
            line: "COPY $FILE /".to_owned(),
            expanded: expanded.to_owned(),
            inputs: inputs.iter().map(own).collect(),
        }
    }

    fn note(of: &Question) -> Note {
        Note {
            version: VERSION,
            key: of.key(),
            past: of.past.clone(),
            expanded: of.expanded.clone(),
            inputs: of.inputs.clone(),
            created: String::new(),
            layer: None,
        }
    }

    #[test]
    fn every_part_of_a_question_is_part_of_its_key() {
        let one = question(&[past("FROM a", "1")], "COPY a /", &[("a", "644 x")]);
        for other in [
            question(&[past("FROM a", "2")], "COPY a /", &[("a", "644 x")]),
            question(&[past("FROM a", "1")], "COPY b /", &[("a", "644 x")]),
            question(&[past("FROM a", "1")], "COPY a /", &[("a", "644 y")]),
            question(&[past("FROM a", "1")], "COPY a /", &[("a", "644 x"), ("b", "")]),
            question(&[past("FROM a", "1")], "COPY a /", &[("a6", "44 x")]),
        ] {
            assert_ne!(one.key(), other.key(), "{other:?}");
        }
        // How a step is written is nothing to its result.
        let named = question(&[past("FROM b", "1")], "COPY a /", &[("a", "644 x")]);
        assert_eq!(one.key(), named.key());
        assert_ne!(one.state(None), one.state(Some(&Digest::of(b"layer"))));
    }

    #[test]
    fn a_miss_says_what_changed() {
        let base = [past("FROM a", "1"), past("RUN x", "2")];
        let old = question(&base, "COPY a /", &[("a", "644 x"), ("b", "644 x"), ("ARG V", "1")]);
        let note = note(&old);
        let now = |inputs: &[(&str, &str)]| question(&base, "COPY a /", inputs).differs(&note);
        let (b, v) = (("b", "644 x"), ("ARG V", "1"));
        assert_eq!(now(&[("a", "644 y"), b, v]), "a changed");
        assert_eq!(now(&[("a", "755 x"), b, v]), "a changed its mode");
        assert_eq!(now(&[("a", "755 y"), b, v]), "a changed, and its mode");
        assert_eq!(now(&[("a", "644 x"), v]), "b is gone");
        assert_eq!(now(&[("a", "644 x"), b, ("c", ""), v]), "c is new");
        assert_eq!(now(&[("a", "644 x"), b, ("ARG V", "2")]), "ARG V changed: it was 1, it is 2");
        assert_eq!(now(&[("c", ""), ("d", "")]), "c is new, d is new, and 3 more");
        let other = question(&base, "COPY b /", &[]);
        assert_eq!(other.differs(&note), "a variable in it changed: it was COPY a /");
        let of = |past: &[Past]| question(past, "COPY a /", &[]).other_past(&note);
        assert_eq!(of(&[past("FROM a", "9")]), "FROM a is another image now");
        assert_eq!(
            of(&[base[0].clone(), past("RUN x", "9")]),
            "a step before it gave something else: RUN x"
        );
        assert_eq!(of(&[base[0].clone(), past("RUN y", "9")]), "a step before it is new: RUN y");
        assert_eq!(of(&base[..1]), "a step before it is gone: RUN x");
    }
}
