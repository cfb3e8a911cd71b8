//! The lessons that come with the program, and those in files elsewhere.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

use super::Grammar;
use super::fault::Fault;
use super::model::Lesson;
use super::{parse, review};

/// A lesson of this repository.
struct Embedded {
    directory: &'static str,
    text: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// `lesson!("01-processes")`, and the files that its steps need.
macro_rules! lesson {
    ($directory:literal $(, $file:literal)*) => {
        Embedded {
            directory: $directory,
            text: include_str!(concat!("../../lessons/", $directory, "/lesson.md")),
            files: &[$(($file, include_str!(concat!("../../lessons/", $directory, "/", $file)))),*],
        }
    };
}

const EMBEDDED: &[Embedded] = &[
    lesson!("00-setup"),
    lesson!("01-processes"),
    lesson!("02-network"),
    lesson!("03-filesystem"),
    lesson!("04-resources"),
    lesson!("05-images"),
    lesson!(
        "06-build",
        "article/Dockerfile",
        "site/my-httpd.conf",
        "site/public-html/index.html",
        "offline/Dockerfile",
        "outside/Dockerfile",
        "entry/Dockerfile"
    ),
    lesson!("07-by-hand"),
];

/// Every lesson that comes with the program, in order.
pub fn embedded() -> Vec<Lesson> {
    let lesson = |embedded: &Embedded| {
        let path = format!("lessons/{}/lesson.md", embedded.directory);
        let mut lesson = read(&path, embedded.text).0;
        lesson.embedded = true;
        let file = |(path, text): &(&str, &str)| (PathBuf::from(path), text.as_bytes().to_vec());
        lesson.files = embedded.files.iter().map(file).collect();
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
/// And a few files beside it.
const MOST_FILES: usize = 100;

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
    let (mut lesson, mut faults) = read(&file.to_string_lossy(), &text);
    if path.is_dir() {
        lesson.files = files_in(path)?;
    }
    faults.extend(review::review(&lesson, grammar));
    faults.sort();
    Ok((lesson, faults))
}

/// What lies beside the text in a lesson's directory: its steps need it.
fn files_in(top: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let (mut files, mut size) = (Vec::new(), 0);
    let mut ahead = vec![top.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).tried(|| format!("opendir({directory:?})"))? {
            let entry = entry.tried(|| format!("readdir({directory:?})"))?;
            let path = entry.path();
            let metadata = entry.metadata().tried(|| format!("lstat({path:?})"))?;
            if metadata.is_dir() {
                ahead.push(path);
                continue;
            }
            let name = path.strip_prefix(top).unwrap_or(&path);
            if !metadata.is_file() || is_text(name) {
                continue;
            }
            size += metadata.len();
            if size > LARGEST || files.len() == MOST_FILES {
                return Err(Error::new(format!("reading the lesson's files in {}", top.display()))
                    .said("there are more than a hundred, or more than a megabyte of them")
                    .hint("A lesson keeps only what its steps need beside lesson.md."));
            }
            files.push((name.to_owned(), fs::read(&path).tried(|| format!("read({path:?})"))?));
        }
    }
    files.sort();
    Ok(files)
}

/// `lesson.md`, or `lesson.de.md`: the same in another language.
fn is_text(name: &Path) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("lesson.") && name.ends_with(".md")
}

/// Whether a file is, letter by letter, a lesson that this program came with.
pub fn is_embedded(path: &Path) -> bool {
    let file = if path.is_dir() { path.join("lesson.md") } else { path.to_owned() };
    fs::read_to_string(file).is_ok_and(|text| EMBEDDED.iter().any(|known| known.text == text))
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
        files: Vec::new(),
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
