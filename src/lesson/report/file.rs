//! A report's file: the reader's own, also under sudo; whole or not there; and never in
//! the place of something that is no report.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::lesson::invoker;

use super::KIND;

/// Writes a report as whoever the reader is, all or nothing; without a text only tries
/// whether that could be done.
pub fn keep(file: &Path, text: Option<&str>) -> Result<()> {
    let file = &std::path::absolute(file).tried(|| format!("getcwd() for {file:?}"))?;
    let Some(user) = invoker::user() else { return keep_here(file, text) };
    let args = ["keep".as_ref(), file.as_os_str()].into_iter();
    let only_try = text.is_none().then_some("--try".as_ref());
    invoker::run(user, args.chain(only_try), text, "writing the report").map(drop)
}

/// The child's side.
pub fn serve(file: &Path, only_try: bool) -> Result<()> {
    let mut text = String::new();
    if !only_try {
        std::io::stdin().read_to_string(&mut text).tried(|| "read(0)")?;
    }
    keep_here(file, (!only_try).then_some(&text))
}

fn keep_here(file: &Path, text: Option<&str>) -> Result<()> {
    let failed = |error: Error| {
        let hint = "Name a file in a directory in which you may write: --report FILE.";
        Error { hint: Some(hint.to_owned()), ..error }
    };
    replaceable(file)?;
    let beside = beside(file).map_err(failed)?;
    let mut made = fs::File::create_new(&beside)
        .tried(|| format!("open({beside:?}, O_EXCL)"))
        .map_err(failed)?;
    let written = match text {
        None => fs::remove_file(&beside),
        Some(text) => made.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, file)),
    };
    written.tried(|| format!("write({file:?})")).map_err(failed).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// Only a report is written over.
fn replaceable(file: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(file) else { return Ok(()) };
    let ours = metadata.is_file()
        && (metadata.len() == 0 || report_text(file).is_ok_and(|text| text.contains(KIND)));
    match ours {
        true => Ok(()),
        false => Err(Error::new(format!("writing a report to {}", file.display()))
            .said("there is something else than a report")
            .hint("Name a file that is not there yet.")),
    }
}

/// A report is some kilobytes; more of a file is not read.
pub const LARGEST: u64 = 1 << 18;

/// The text of what may be a report.
pub fn report_text(file: &Path) -> Result<String> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(file);
    let mut bytes = Vec::new();
    let opened = opened.tried(|| format!("open({file:?})"))?;
    opened.take(LARGEST + 1).read_to_end(&mut bytes).tried(|| format!("read({file:?})"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(
            Error::new(format!("reading {}", file.display())).said("it is too large for a report")
        );
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("reading {}", file.display())).said("it is not text"))
}

fn beside(file: &Path) -> Result<PathBuf> {
    let name = file
        .file_name()
        .ok_or_else(|| Error::usage(format!("{} is not the name of a file", file.display())))?;
    let name = format!(".{}.{}", name.to_string_lossy(), std::process::id());
    Ok(file.with_file_name(name))
}
