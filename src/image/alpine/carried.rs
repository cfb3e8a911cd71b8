//! An archive that is carried from one machine to another, in a directory.

use std::fs;
use std::path::Path;

use super::{Archive, architecture, cached, directory, note_of, release, sum_of};
use crate::error::{Context, Error, Result};
use crate::step::Observer;

/// Where it is in that directory.
const CARRIED: &str = "alpine";

impl Archive {
    /// Copies it into a directory, with its sum.
    pub fn copy_to(&self, to: &Path) -> Result<()> {
        let place = to.join(CARRIED);
        fs::create_dir_all(&place).tried(|| format!("mkdir({place:?})"))?;
        let target = place.join(self.path.file_name().unwrap_or_default());
        copy(&self.path, &target)?;
        copy(&note_of(&self.path), &note_of(&target))
    }
}

/// Whole, or not at all.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let part = to.with_file_name(format!("{name}.part"));
    fs::copy(from, &part).tried(|| format!("copy({from:?}, {part:?})"))?;
    fs::rename(&part, to).tried(|| format!("rename({part:?}, {to:?})"))
}

/// Takes the newest archive for this machine from there, unless one is here. It must have
/// the sum that this program carries or, for a version that it does not know, the
/// one that was noted when it was fetched. False if there is none.
pub fn take_from(dir: &Path, observer: &mut dyn Observer) -> Result<bool> {
    let architecture = architecture();
    if cached(None, &architecture)?.is_some() {
        return Ok(true);
    }
    let place = dir.join(CARRIED);
    let version = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix("alpine-minirootfs-")?;
        let version = rest.strip_suffix(&format!("-{architecture}.tar.gz"))?;
        release::check_version(version).is_ok().then(|| version.to_owned())
    };
    let entries = fs::read_dir(&place).into_iter().flatten().flatten();
    let newest = entries.filter_map(version).max_by_key(|version| release::order(version));
    let Some(version) = newest else { return Ok(false) };
    let name = release::file_name(&version, &architecture);
    let (from, to) = (place.join(&name), directory()?.join(&name));
    let noted = fs::read_to_string(note_of(&from)).unwrap_or_default();
    let noted = noted.split_whitespace().next().unwrap_or_default().to_owned();
    let (sum, word) = match release::pinned(&version, &architecture) {
        Some(sum) => (sum, "pinned"),
        None => (noted, "published"),
    };
    // What is verified is our own copy: the other may change under our eyes.
    let part = to.with_extension("gz.part");
    let _ = fs::remove_file(&part);
    fs::copy(&from, &part).tried(|| format!("copy({from:?}, {part:?})"))?;
    let found = sum_of(&part)?;
    if found != sum {
        fs::remove_file(&part).tried(|| format!("unlink({part:?})"))?;
        return Err(Error::new(format!("verifying {}", from.display()))
            .said(format!("its SHA-256 is {found}, and should be {sum}"))
            .hint("It was refused. Fetch it anew: `under-the-hood lesson fetch --to DIR`."));
    }
    let note = note_of(&to);
    fs::write(&note, format!("{sum} {word}\n")).tried(|| format!("write({note:?})"))?;
    fs::rename(&part, &to).tried(|| format!("rename({part:?}, {to:?})"))?;
    observer.note(&format!("Alpine {version} comes from {}.", dir.display()));
    Ok(true)
}
