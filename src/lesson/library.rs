//! The lessons that come with the program, and those in files elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

use super::Grammar;
use super::fault::Fault;
use super::model::{Lesson, Step};
use super::{parse, review, shelf, source, translation};

/// A lesson of this repository.
struct Embedded {
    directory: &'static str,
    text: &'static str,
    /// The same in other languages.
    translations: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
}

/// `lesson!("01-processes")`, and the files that its steps need; before these in brackets the
/// languages it is translated into: `lesson!("00-setup", ["de"])`.
macro_rules! lesson {
    ($directory:literal $(, $file:literal)*) => {
        lesson!($directory, [] $(, $file)*)
    };
    ($directory:literal, [$($language:literal),*] $(, $file:literal)*) => {
        Embedded {
            directory: $directory,
            text: include_str!(concat!("../../lessons/", $directory, "/lesson.md")),
            translations: &[$((
                $language,
                include_str!(concat!("../../lessons/", $directory, "/lesson.", $language, ".md")),
            )),*],
            files: &[$(($file, include_str!(concat!("../../lessons/", $directory, "/", $file)))),*],
        }
    };
}

const EMBEDDED: &[Embedded] = &[
    lesson!("00-setup", ["de"]),
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
    // A number is a lesson's, also where something here is called so: ./1 is that.
    let number = wanted.parse::<u32>().is_ok();
    if wanted.contains('/') || !number && (path.is_dir() || path.is_file()) {
        return open(path, grammar);
    }
    let mut matching = embedded();
    matching.retain(|lesson| lesson.is_called(wanted));
    if matching.is_empty() {
        let (lesson, installed) = on_the_shelf(wanted, grammar)?;
        return lesson.map_or_else(|| Err(unknown(wanted, &installed)), Ok);
    }
    match matching.len() {
        1 => Ok(matching.remove(0)),
        _ => Err(Error::usage(format!("`{wanted}` is more than one lesson"))
            .hint(format!("Say which: {}.", names(&matching)))),
    }
}

fn unknown(wanted: &str, installed: &[Lesson]) -> Error {
    let installed = match installed {
        [] => String::new(),
        some => format!(" Installed: {}.", names(some)),
    };
    Error::new(format!("there is no lesson `{wanted}`")).hint(format!(
        "There are: {}.{installed} A lesson in a file is named by its path.",
        names(&embedded())
    ))
}

/// The installed lesson that goes by this name, and what else is installed. The one that
/// is meant must be without mistakes.
fn on_the_shelf(wanted: &str, grammar: &dyn Grammar) -> Result<(Option<Lesson>, Vec<Lesson>)> {
    let all = installed(grammar)?;
    let mut matching: Vec<_> = all
        .iter()
        .filter(|(lesson, _)| lesson.is_called(wanted))
        .map(|(lesson, _)| lesson)
        .collect();
    match matching.len() {
        0 | 1 => {}
        _ => {
            let paths: Vec<_> = matching.iter().map(|lesson| lesson.path.as_str()).collect();
            return Err(Error::usage(format!("`{wanted}` is more than one lesson"))
                .hint(format!("Say which by its path: {}.", paths.join(", "))));
        }
    }
    let Some(found) = matching.pop() else {
        return Ok((None, all.into_iter().map(|(lesson, _)| lesson).collect()));
    };
    let directory = Path::new(&found.path).parent().unwrap_or(Path::new("/")).to_owned();
    shelf::trustworthy(&directory)?;
    open(&directory, grammar).map(|lesson| (Some(lesson), Vec::new()))
}

/// Every installed lesson of others, each with how many mistakes it has; one that cannot even
/// be read has its path and one.
pub fn installed(grammar: &dyn Grammar) -> Result<Vec<(Lesson, usize)>> {
    let mut all = Vec::new();
    for path in shelf::installed()? {
        all.push(match examine(&path, grammar) {
            Ok((lesson, faults)) => (lesson, faults.len()),
            Err(_) => (read(&source::file_of(&path).to_string_lossy(), "").0, 1),
        });
    }
    Ok(all)
}

/// The lesson in one of these languages, the best first, if it is translated; which one it is.
/// A translation that differs from its original, or cannot be read, is not played: the
/// second value says so.
pub fn in_language(
    lesson: &Lesson,
    wanted: &[String],
    grammar: &dyn Grammar,
) -> (Option<(Lesson, String)>, Option<String>) {
    for language in wanted {
        let Some((path, text)) = translated_text(lesson, language) else { continue };
        let (text, mut faults) = match text {
            Ok(text) => text,
            Err(error) => return (None, Some(error.to_string())),
        };
        let (mut found, read_faults) = read(&path, &text);
        faults.extend(read_faults);
        faults.extend(review::review(&found, grammar));
        faults.extend(translation::compare(lesson, &found));
        if let Some(first) = faults.into_iter().map(|fault| fault.located(&text)).min() {
            let why = format!("{path}:{first}");
            return (None, Some(why));
        }
        // It is the same lesson: its place, its files and its trust are the original's.
        found.path.clone_from(&lesson.path);
        found.embedded = lesson.embedded;
        found.files.clone_from(&lesson.files);
        (found.number, found.name) = (lesson.number, lesson.name.clone());
        return (Some((found, language.clone())), None);
    }
    (None, None)
}

/// What [`source::text`] gives.
type Text = (String, Vec<Fault>);

/// Where the translation is, and its text, if there is one.
fn translated_text(lesson: &Lesson, language: &str) -> Option<(String, Result<Text>)> {
    if lesson.embedded {
        let known = EMBEDDED.iter().find(|known| lesson.path.contains(known.directory))?;
        let (_, text) = known.translations.iter().find(|(known, _)| *known == language)?;
        let path = format!("lessons/{}/lesson.{language}.md", known.directory);
        return Some((path, Ok(((*text).to_owned(), Vec::new()))));
    }
    let original = Path::new(&lesson.path);
    source::language(Path::new(original.file_name()?)).filter(|language| language.is_empty())?;
    let path = original.with_file_name(format!("lesson.{language}.md"));
    // One that is there and cannot be read is no lesson without a translation.
    let there = path.symlink_metadata().is_ok();
    there.then(|| (path.to_string_lossy().into_owned(), source::text(&path)))
}

/// Every translation that lies beside a lesson's file, with all that is wrong with it.
pub fn translations(
    lesson: &Lesson,
    directory: &Path,
    grammar: &dyn Grammar,
) -> Result<Vec<(String, Vec<Fault>)>> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    let is_translation = |path: &PathBuf| {
        let name = path.file_name().map(Path::new);
        name.and_then(source::language).is_some_and(|language| !language.is_empty())
    };
    paths.retain(is_translation);
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let (found, mut faults) = examine(&path, grammar)?;
        let (text, _) = source::text(&path)?;
        let differences = translation::compare(lesson, &found).into_iter();
        faults.extend(differences.map(|fault| fault.located(&text)));
        faults.sort();
        faults.dedup();
        all.push((found.path, faults));
    }
    Ok(all)
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

/// A lesson from a file with everything that is wrong with it.
pub fn examine(path: &Path, grammar: &dyn Grammar) -> Result<(Lesson, Vec<Fault>)> {
    let file = source::file_of(path);
    let (text, unreadable) = source::text(&file)?;
    let (mut lesson, mut faults) = read(&file.to_string_lossy(), &text);
    if path.is_dir() {
        lesson.files = source::files_in(path)?;
    }
    faults.extend(review::review(&lesson, grammar));
    let mut faults: Vec<_> = faults.into_iter().map(|fault| fault.located(&text)).collect();
    faults.extend(unreadable);
    faults.sort();
    Ok((lesson, faults))
}

/// Whether a file is, letter by letter, a lesson that this program came with.
pub fn is_embedded(path: &Path) -> bool {
    fs::read_to_string(source::file_of(path))
        .is_ok_and(|text| EMBEDDED.iter().any(|known| known.text == text))
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

    /// Its number if it came with the program, else where its file is: for progress.
    pub fn key(&self) -> String {
        match (self.embedded, self.number) {
            (true, Some(number)) => number.to_string(),
            _ => {
                let absolute = std::path::absolute(&self.path);
                absolute.map_or_else(|_| self.path.clone(), |p| p.to_string_lossy().into_owned())
            }
        }
    }

    /// The command line that plays it, or that begins at a step of it.
    pub fn command(&self, step: Option<&Step>) -> String {
        let key = self.key();
        let lesson = key.strip_suffix("/lesson.md").unwrap_or(&key);
        let plain = |c: char| c.is_alphanumeric() || "/._-+@:,".contains(c);
        let mut line = match lesson.chars().all(plain) {
            true => format!("under-the-hood lesson {lesson}"),
            false => format!("under-the-hood lesson '{}'", lesson.replace('\'', r"'\''")),
        };
        if let Some(step) = step {
            line.push_str(if step.more { " --more --from " } else { " --from " });
            line.push_str(&step.id);
        }
        line
    }
}
