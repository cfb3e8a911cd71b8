//! Whoever typed `sudo`: files of theirs (a report, say) are written by a
//! child that has become them, since root must not be led by what others can
//! write. The child is this program, with a hidden command.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};

use super::report;

/// Their user and group, where that was not root.
pub fn who() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    match (id("SUDO_UID"), id("SUDO_GID")) {
        (Some(uid), Some(gid)) if uid != 0 => Some((uid, gid)),
        _ => None,
    }
}

/// Writes a report as whoever the reader is, all or nothing; without a text only tries
/// whether that could be done.
pub fn keep(file: &Path, text: Option<&str>) -> Result<()> {
    match who() {
        Some(user) => as_user(user, file, text),
        None => keep_here(file, text),
    }
}

fn as_user((uid, gid): (u32, u32), file: &Path, text: Option<&str>) -> Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(super::review::PROGRAM).args(["lesson", "keep"]).arg(file).uid(uid).gid(gid);
    command.args(text.is_none().then_some("--try"));
    for name in ["SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let call = || format!("execve(\"/proc/self/exe\") as uid {uid}");
    let mut child = command.spawn().tried(call)?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), text) {
        // A child that has died says why on its other stream.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().tried(call)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            Err(Error::new(format!("writing {} as uid {uid}", file.display()))
                .said(said.trim_start_matches("Error: ")))
        }
    }
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
        && (metadata.len() == 0 || report_text(file).is_ok_and(|text| text.contains(report::KIND)));
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
