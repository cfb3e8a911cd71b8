//! The lessons that come with the program, and those in files elsewhere.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

use super::Grammar;
use super::fault::Fault;
use super::model::Lesson;
use super::{parse, review};

/// The lessons of this repository: directory and text.
const EMBEDDED: &[(&str, &str)] = &[
    ("00-setup", include_str!("../../lessons/00-setup/lesson.md")),
    ("01-processes", include_str!("../../lessons/01-processes/lesson.md")),
    ("02-network", include_str!("../../lessons/02-network/lesson.md")),
    ("03-filesystem", include_str!("../../lessons/03-filesystem/lesson.md")),
    ("04-resources", include_str!("../../lessons/04-resources/lesson.md")),
    ("05-images", include_str!("../../lessons/05-images/lesson.md")),
];

/// Every lesson that comes with the program, in order.
pub fn embedded() -> Vec<Lesson> {
    let lesson = |(directory, text): &(&str, &str)| {
        let path = format!("lessons/{directory}/lesson.md");
        let mut lesson = read(&path, text).0;
        lesson.embedded = true;
        lesson
    };
    EMBEDDED.iter().map(lesson).collect()
}

/// The lesson meant by a number, a name, the article's heading, or a path.
pub fn find(wanted: &str, grammar: &dyn Grammar) -> Result<Lesson> {
    let path = Path::new(wanted);
    if wanted.contains('/') || path.is_dir() || path.is_file() {
        return open(path, grammar);
    }
    let mut matching = embedded();
    matching.retain(|lesson| lesson.is_called(wanted));
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(Error::new(format!("there is no lesson `{wanted}`")).hint(format!(
            "There are: {}. A lesson in a file is named by its path.",
            names(&embedded())
        ))),
        _ => Err(Error::usage(format!("`{wanted}` is more than one lesson"))
            .hint(format!("Say which: {}.", names(&matching)))),
    }
}

fn names(lessons: &[Lesson]) -> String {
    let name = |lesson: &Lesson| match lesson.number {
        Some(number) => format!("{number} {}", lesson.name),
        None => lesson.name.clone(),
    };
    lessons.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// A lesson from a file (or the directory it is in) that must be without mistakes.
pub fn open(path: &Path, grammar: &dyn Grammar) -> Result<Lesson> {
    let (lesson, faults) = examine(path, grammar)?;
    let Some(first) = faults.first() else { return Ok(lesson) };
    let more = match faults.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(Error::new(format!("reading the lesson {}", lesson.path))
        .said(format!("line {first}{more}"))
        .hint(format!("`under-the-hood lesson check {}` shows all that is wrong.", path.display())))
}

/// A lesson has a few pages; what has no end (/dev/zero) is not waited for.
const LARGEST: u64 = 1 << 20;

/// A lesson from a file with everything that is wrong with it.
pub fn examine(path: &Path, grammar: &dyn Grammar) -> Result<(Lesson, Vec<Fault>)> {
    let file = if path.is_dir() { path.join("lesson.md") } else { path.to_owned() };
    let mut text = Vec::new();
    let opened = fs::File::open(&file).tried(|| format!("open({file:?})"))?;
    opened.take(LARGEST + 1).read_to_end(&mut text).tried(|| format!("read({file:?})"))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::new(format!("reading the lesson {}", file.display()))
            .said("it is larger than a megabyte: that is no lesson"));
    }
    let Ok(text) = String::from_utf8(text) else {
        return Err(Error::new(format!("reading the lesson {}", file.display()))
            .said("it is not UTF-8 text"));
    };
    let (lesson, mut faults) = read(&file.to_string_lossy(), &text);
    faults.extend(review::review(&lesson, grammar));
    faults.sort();
    Ok((lesson, faults))
}

/// Whether a file is, letter by letter, a lesson that this program came with.
pub fn is_embedded(path: &Path) -> bool {
    let file = if path.is_dir() { path.join("lesson.md") } else { path.to_owned() };
    fs::read_to_string(file).is_ok_and(|text| EMBEDDED.iter().any(|(_, known)| *known == text))
}

fn read(path: &str, text: &str) -> (Lesson, Vec<Fault>) {
    let parsed = parse::parse(text);
    let absolute = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let directory =
        absolute.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let (number, name) = match directory.split_once('-') {
        Some((digits, name)) if digits.parse::<u32>().is_ok() => (digits.parse().ok(), name),
        _ => (None, &*directory),
    };
    let lesson = Lesson {
        path: path.to_owned(),
        embedded: false,
        number,
        name: name.to_owned(),
        front: parsed.front,
        intro: parsed.intro,
        steps: parsed.steps,
    };
    (lesson, parsed.faults)
}

impl Lesson {
    /// `processes`, `1` and `Process Isolation` are all this lesson.
    fn is_called(&self, wanted: &str) -> bool {
        let plain = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        if let Ok(number) = wanted.parse::<u32>() {
            return self.number == Some(number);
        }
        let names = [&self.name, &self.front.title, &self.front.chapter];
        !plain(wanted).is_empty() && names.into_iter().any(|name| plain(name) == plain(wanted))
    }

    /// Its number if it has one, else its name: for command lines and progress.
    pub fn key(&self) -> String {
        match (self.embedded, self.number) {
            (true, Some(number)) => number.to_string(),
            _ => self.path.clone(),
        }
    }
}
