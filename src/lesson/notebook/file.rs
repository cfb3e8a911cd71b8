//! The notebook's file: the reader's own, also under sudo; whole or not there; and
//! never in the place of something that is no notebook.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::lesson::invoker;
use crate::lesson::record::Record;

use super::{Form, MARK};

/// Where a notebook will be written.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    form: Form,
    /// Over anything that may be there.
    replace: bool,
}

impl Target {
    /// Finds out whether it can be written there. Changes nothing.
    pub fn check(path: &Path, replace: bool) -> Result<Self> {
        let form = Form::of(path)?;
        let path = std::path::absolute(path).tried(|| format!("getcwd() for {path:?}"))?;
        let target = Self { path, form, replace };
        match invoker::user() {
            Some(user) => target.as_user(user, None)?,
            None => check(&target.path, replace)?,
        }
        Ok(target)
    }

    /// Where that is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it.
    pub fn write(&self, record: &Record) -> Result<()> {
        let text = self.form.render(record);
        match invoker::user() {
            Some(user) => self.as_user(user, Some(&text)),
            None => write(&self.path, &text, self.replace),
        }
    }

    fn as_user(&self, user: (u32, u32), text: Option<&str>) -> Result<()> {
        let mut args = vec!["notebook".as_ref(), self.path.as_os_str()];
        args.extend(text.map(|_| std::ffi::OsStr::new("--write")));
        args.extend(self.replace.then_some(std::ffi::OsStr::new("--yes")));
        invoker::run(user, args, text, "writing the notebook").map(drop)
    }
}

/// The child's side.
pub fn serve(path: &Path, writes: bool, replace: bool) -> Result<()> {
    Form::of(path)?;
    if !writes {
        return check(path, replace);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).tried(|| "read(0)")?;
    write(path, &text, replace)
}

fn check(path: &Path, replace: bool) -> Result<()> {
    free(path, replace)?;
    let (beside, _) = fresh(path)?;
    fs::remove_file(&beside).tried(|| format!("unlink({beside:?})"))
}

/// All or nothing: written beside it, then renamed over it.
fn write(path: &Path, text: &str, replace: bool) -> Result<()> {
    free(path, replace)?;
    let (beside, mut file) = fresh(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    written.tried(|| format!("write({path:?})")).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// Whether the name may be taken: nothing is there, or an earlier notebook.
fn free(path: &Path, replace: bool) -> Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(format!("lstat({path:?})"), &error)),
    };
    if there.is_dir() {
        return Err(Error::usage(format!("--notebook {}", path.display()))
            .said("it is a directory")
            .hint("Name a file in it: NAME.html or NAME.md."));
    }
    if replace || (there.is_file() && is_notebook(path)) {
        return Ok(());
    }
    Err(Error::usage(format!("--notebook {}", path.display()))
        .said("it is there already, and no notebook of ours")
        .hint("Choose another name, or write over it with --yes."))
}

fn is_notebook(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1024).read_to_end(&mut start));
    read.is_ok() && start.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

/// A new file beside it.
fn fresh(path: &Path) -> Result<(PathBuf, File)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&beside);
    let file = file.tried(|| format!("open({beside:?}, O_CREAT)")).map_err(|error| {
        error.hint(
            "The notebook is written into that directory: it must be there, and yours to write to.",
        )
    })?;
    Ok((beside, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_notebook_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n.html");
        write(&path, &format!("<!-- {MARK} --> one"), false).unwrap();
        write(&path, "two", false).unwrap();
        let error = write(&path, "three", false).unwrap_err();
        assert!(error.to_string().contains("no notebook of ours"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        write(&path, "three", true).unwrap();
        check(&path, true).unwrap();
        assert!(check(directory.path(), true).is_err(), "a directory");
        assert!(check(&directory.path().join("no/n.html"), false).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_link_is_replaced_only_if_asked_and_never_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("n.md"), directory.path().join("other"));
        fs::write(&other, MARK).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(write(&path, "x", false).is_err());
        write(&path, "x", true).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), MARK);
    }

    #[test]
    fn the_name_says_the_form() {
        assert_eq!(Form::of(Path::new("a.HTML")).unwrap(), Form::Html);
        assert_eq!(Form::of(Path::new("a.md")).unwrap(), Form::Markdown);
        for name in ["a.pdf", "a", ".html", "html"] {
            assert!(Form::of(Path::new(name)).is_err(), "{name}");
        }
    }
}
