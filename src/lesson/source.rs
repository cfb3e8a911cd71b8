//! A lesson's file, read from disk: bounded, as text, with what cannot be
//! text told as mistakes among the others.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};

use super::fault::Fault;

/// A lesson has a few pages; what has no end (/dev/zero) is not waited for.
const LARGEST: u64 = 1 << 20;
/// And a few files beside it.
const MOST_FILES: usize = 100;

/// The lesson's file: `lesson.md` where the path is a directory.
pub fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("lesson.md") } else { path.to_owned() }
}

/// Its text with line ends as Unix has them and without a byte order mark; and what in it is no text.
pub fn text(file: &Path) -> Result<(String, Vec<Fault>)> {
    let mut bytes = Vec::new();
    // A pipe that nobody writes to is not waited for either.
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let opened = options.open(file).tried(|| format!("open({file:?})"))?;
    opened.take(LARGEST + 1).read_to_end(&mut bytes).tried(|| format!("read({file:?})"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new(format!("reading the lesson {}", file.display()))
            .said("it is larger than a megabyte: that is no lesson")
            .hint("A lesson is a page or a few; what its steps need lies beside it in files."));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut faults = Vec::new();
    if let Err(error) = std::str::from_utf8(bytes) {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
        let byte = bytes[error.valid_up_to()];
        let mut fault = at_end_of(&before, format!("the byte {byte:#04x} is not UTF-8"));
        fault.allowed = Some("save it as UTF-8, or `iconv -f latin1 -t utf-8`".to_owned());
        faults.push(fault);
    }
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    faults.extend(unseen(&text));
    Ok((text, faults))
}

/// Characters that drive a terminal, or make text read otherwise than it is: whoever is
/// asked whether they trust a lesson must see what it would perform.
fn unseen(text: &str) -> Option<Fault> {
    let hides = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let (at, c) = text.char_indices().find(|(_, c)| hides(*c))?;
    let fault =
        at_end_of(&text[..at], format!("the character U+{:04X} cannot be seen", u32::from(c)));
    Some(fault.allowed("take it out: it can hide what a line does"))
}

fn at_end_of(before: &str, what: String) -> Fault {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Fault { column: Some(column), ..Fault::new(line, what) }
}

/// What lies beside the text in a lesson's directory: its steps need it.
pub fn files_in(top: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
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
            if !metadata.is_file() || language(name).is_some() {
                continue;
            }
            size += metadata.len();
            if size > LARGEST || files.len() == MOST_FILES {
                return Err(Error::new(format!("reading the lesson's files in {}", top.display()))
                    .said("there are more than a hundred, or more than a megabyte of them")
                    .hint("A lesson keeps only what its steps need beside lesson.md."));
            }
            files.push((name.to_owned(), whole(&path, metadata.len())?));
        }
    }
    files.sort();
    Ok(files)
}

/// A file that had so many bytes just now, and may have become another since.
fn whole(path: &Path, length: u64) -> Result<Vec<u8>> {
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let file = options.open(path).tried(|| format!("open({path:?}, O_NOFOLLOW)"))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).tried(|| format!("read({path:?})"))?;
    Ok(bytes)
}

/// `lesson.de.md` is in `de`; `lesson.md` in no language that it names. `None` for what is no lesson's text.
pub fn language(name: &Path) -> Option<&str> {
    let middle = name.to_str()?.strip_prefix("lesson.")?;
    match middle {
        "md" => Some(""),
        _ => middle.strip_suffix(".md").filter(|language| !language.contains('/')),
    }
}

/// Who else than root and we could change a lesson, or what its steps need: for root, who must
/// not be led by others.
pub fn changeable(path: &Path) -> Option<String> {
    let us = rustix::process::geteuid();
    if !us.is_root() {
        return None;
    }
    let file = file_of(path);
    let directory = file.parent().filter(|above| !above.as_os_str().is_empty());
    let mut places = vec![directory.unwrap_or(Path::new(".")).to_owned(), file.clone()];
    if path.is_dir() {
        match files_in(path) {
            Ok(files) => places.extend(files.iter().flat_map(|(name, _)| {
                let within = name.ancestors().filter(|part| !part.as_os_str().is_empty());
                within.map(|part| path.join(part)).collect::<Vec<_>>()
            })),
            Err(error) => return Some(error.to_string()),
        }
    }
    places.into_iter().find_map(|place| {
        let metadata = fs::metadata(&place).ok()?;
        let (owner, mode) = (metadata.uid(), metadata.mode());
        if owner != us.as_raw() {
            return Some(format!("{} belongs to uid {owner}", place.display()));
        }
        let open = mode & 0o022 != 0;
        open.then(|| format!("others may write {} (mode {:o})", place.display(), mode & 0o7777))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_translation_names_its_language() {
        let of = |name: &str| language(Path::new(name)).map(str::to_owned);
        assert_eq!(of("lesson.md").as_deref(), Some(""));
        assert_eq!(of("lesson.de.md").as_deref(), Some("de"));
        assert_eq!(of("lesson.pt_BR.md").as_deref(), Some("pt_BR"));
        assert_eq!(of("lesson.css"), None);
        assert_eq!(of("site/lesson.md"), None);
    }

    /// A Dockerfile or a script beside the text is performed, too.
    #[test]
    fn what_others_can_change_beside_a_lesson_counts() {
        use std::os::unix::fs::PermissionsExt;
        if !rustix::process::geteuid().is_root() {
            return; // Whoever is not root is led by nobody's files but those they name.
        }
        let directory = tempfile::tempdir().expect("a directory");
        let (site, page) = (directory.path().join("site"), directory.path().join("site/page"));
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
        };
        fs::create_dir(&site).expect("made");
        for file in [&directory.path().join("lesson.md"), &page] {
            fs::write(file, "x").expect("written");
            mode(file, 0o644);
        }
        mode(directory.path(), 0o755);
        mode(&site, 0o755);
        assert_eq!(changeable(directory.path()), None);
        for (path, good, bad) in [(&page, 0o644, 0o666), (&site, 0o755, 0o777)] {
            mode(path, bad);
            let why = changeable(directory.path()).expect("others may write");
            assert!(why.starts_with("others may write"), "{why}");
            mode(path, good);
        }
    }

    #[test]
    fn what_hides_is_found_with_its_place() {
        let fault = unseen("a\nbé\u{1b}[8m").unwrap();
        assert_eq!((fault.line, fault.column), (2, Some(3)));
        assert!(unseen("a \u{202e}b").is_some() && unseen("tab\there\n").is_none());
    }
}
