//! Alpine's minirootfs: the article's root file system, fetched from Alpine's
//! mirror, verified, and kept, so that a second start needs no network.

mod carried;
mod fetch;
mod release;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::image::{download, remote};
use crate::step::{Observer, Step};

pub use carried::take_from;
pub use release::Release;

/// Alpine's own mirror.
pub const MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `3.21.3`; the latest without one.
    pub version: Option<String>,
    /// Where it is fetched from.
    pub mirror: String,
    /// Whether the mirror is asked although an archive is here already.
    pub refresh: bool,
}

/// Against what an archive was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Trust {
    /// A sum that this program carries.
    Pinned,
    /// A sum that the same server publishes.
    Published,
}

/// An archive that is here, and verified.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Archive {
    /// Where it is.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// Against what it was compared.
    pub trust: Trust,
}

/// What Alpine calls this architecture.
pub fn architecture() -> String {
    let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
    match machine.as_str() {
        "i386" | "i586" | "i686" => "x86".to_owned(),
        "armv7l" | "armv8l" => "armv7".to_owned(),
        "armv6l" => "armhf".to_owned(),
        _ => machine,
    }
}

/// The archive, from the cache, or fetched. Call it while there is one thread only.
pub fn archive(wanted: &Wanted, observer: &mut dyn Observer) -> Result<Archive> {
    let architecture = architecture();
    if let Some(version) = &wanted.version {
        release::check_version(version)?;
    }
    if !wanted.refresh
        && let Some(found) = cached(wanted.version.as_deref(), &architecture)?
    {
        observer.note(&format!("Alpine {} is here already: no network needed.", found.version));
        return Ok(found);
    }
    let result =
        remote::in_child(observer, |mut teller| fetch::fetch(wanted, &architecture, &mut teller));
    if let (Err(error), None) = (&result, &wanted.version)
        && let Ok(Some(found)) = cached(None, &architecture)
    {
        observer.note(&format!("{error}. Alpine {} is here, from before.", found.version));
        return Ok(found);
    }
    result.map_err(offer_base)
}

fn offer_base(error: Error) -> Error {
    let base = "Without a network: `under-the-hood chroot base` enters a tree made from programs of this machine.";
    let hint = match &error.hint {
        Some(hint) => format!("{hint} {base}"),
        None => base.to_owned(),
    };
    error.hint(hint)
}

/// The steps of fetching, not performed.
pub fn describe(wanted: &Wanted) -> Result<Vec<Step>> {
    let architecture = architecture();
    if !wanted.refresh && cached(wanted.version.as_deref(), &architecture)?.is_some() {
        return Ok(Vec::new());
    }
    let address = match &wanted.version {
        Some(version) => release::Release::address(&wanted.mirror, version, &architecture),
        None => release::latest_address(&wanted.mirror, &architecture),
    };
    Ok(vec![download::step(&address, 0)])
}

/// The directory of archives.
fn directory() -> Result<PathBuf> {
    home::open(Place::Cache, "alpine")
}

/// An archive of this version, or the newest, whose bytes are still what was verified.
fn cached(version: Option<&str>, architecture: &str) -> Result<Option<Archive>> {
    let directory = home::path(Place::Cache)?.join("alpine");
    let mut found: Vec<(Vec<u64>, String)> = Vec::new();
    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = name
            .strip_prefix("alpine-minirootfs-")
            .and_then(|name| name.strip_suffix(&format!("-{architecture}.tar.gz")));
        let wanted = known.filter(|known| version.is_none_or(|version| *known == version));
        if let Some(known) = wanted {
            found.push((release::order(known), known.to_owned()));
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    directory_is_ours()?;
    found.sort();
    while let Some((_, version)) = found.pop() {
        let path = directory.join(release::file_name(&version, architecture));
        let note = std::fs::read_to_string(note_of(&path)).unwrap_or_default();
        let (sum, trust) = note.trim().split_once(' ').unwrap_or_default();
        let trust = if trust == "pinned" { Trust::Pinned } else { Trust::Published };
        if sum_of(&path).is_ok_and(|now| now == sum) {
            return Ok(Some(Archive { path, version, trust }));
        }
    }
    Ok(None)
}

fn directory_is_ours() -> Result<()> {
    directory().map(drop)
}

/// Beside an archive: its sum, and where that came from.
fn note_of(archive: &Path) -> PathBuf {
    archive.with_extension("gz.sha256")
}

/// The SHA-256 of a file, in hexadecimal.
fn sum_of(path: &Path) -> Result<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).tried(|| format!("open({path:?})"))?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer).tried(|| format!("read({path:?})"))? {
            0 => break,
            count => sum.update(&buffer[..count]),
        }
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
