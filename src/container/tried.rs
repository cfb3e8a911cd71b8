//! What can only be known by trying: whether overlayfs can be mounted over the
//! root file systems kept here, and whether our own binary can be mounted
//! read-only.
//!
//! A trial costs nearly as much as a start. So its answer is kept in a file
//! beside the root file systems, and holds as long as what it depends on stays
//! the same: the boot, the user namespace, the disk, the kernel's list of file
//! systems. A start that fails at one of these calls all the same forgets it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::home::{self, Place};
use crate::kernel::probe::{Liked, Where, try_start};

/// Calls whose failure says that what was known is no longer so.
const CALLS: [&str; 3] = ["mount(\"overlay\"", "open_tree(", "mount_setattr("];

/// What is known, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The answer.
    pub liked: Liked,
    /// Whether it was found out just now.
    pub new: bool,
}

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    here: String,
    liked: Liked,
}

/// What is known already; else it is tried. Changes nothing.
pub fn look(in_user_namespace: bool, binary: &Path) -> Known {
    let note = file().and_then(|file| read(&file));
    if let Some(note) = note
        && here().is_some_and(|here| here == note.here)
    {
        return Known { liked: note.liked, new: false };
    }
    let place = if in_user_namespace { Where::Inside } else { Where::Here };
    // Where not even a namespace can be made, the start itself says it best.
    let hopeful = Liked { overlay: true, binary_mount: true };
    try_start(place, binary)
        .map_or(Known { liked: hopeful, new: false }, |liked| Known { liked, new: true })
}

/// Keeps what was tried, after a start that went well with it.
pub fn remember(known: Known) {
    if !known.new {
        return;
    }
    let (Some(file), Some(here)) = (file(), here()) else { return };
    let text = serde_json::json!(Note { here, liked: known.liked }).to_string();
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    // Where it cannot be written, it is tried again.
    let _ = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
}

/// Forgets it, if this is what made a start fail.
pub fn reconsider(error: &Error) {
    if CALLS.iter().any(|call| error.tried.starts_with(call))
        && let Some(file) = file()
    {
        let _ = fs::remove_file(file);
    }
}

fn directory() -> Option<PathBuf> {
    Some(home::path(Place::Data).ok()?.join("rootfs"))
}

fn file() -> Option<PathBuf> {
    Some(directory()?.join("tried.json"))
}

fn read(file: &Path) -> Option<Note> {
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut text = String::new();
    options.open(file).ok()?.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// What an answer depends on.
fn here() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let user = fs::read_link("/proc/self/ns/user").ok()?;
    let listed = fs::read_to_string("/proc/filesystems").ok()?.contains("\toverlay\n");
    let disk = fs::metadata(directory()?).ok()?.dev();
    Some(format!(
        "boot {}, {}, disk {disk:#x}, overlay listed: {listed}",
        boot.trim(),
        user.display()
    ))
}
