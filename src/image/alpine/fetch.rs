//! Fetching a release: which there is, its archive, and nothing believed before
//! its sum is right.

use reqwest::blocking::Client;

use super::release::{Release, check_sum, file_name, latest_address, pinned};
use super::{Archive, Trust, Wanted, directory, note_of, sum_of};
use crate::error::{Context, Error, Result};
use crate::image::download::{self, Remote};
use crate::step::Observer;

/// No minirootfs is that large.
const LARGEST: u64 = 512 << 20;

/// Fetches what is wanted. It starts threads: in a child.
pub fn fetch(wanted: &Wanted, architecture: &str, observer: &mut dyn Observer) -> Result<Archive> {
    let client = download::client()?;
    let release = match &wanted.version {
        Some(version) => Release::of(&wanted.mirror, version, architecture),
        None => {
            let list = text(&client, &latest_address(&wanted.mirror, architecture), observer)?;
            Release::latest(&list, &wanted.mirror, architecture)?
        }
    };
    let (sum, trust) = match pinned(&release.version, architecture) {
        Some(sum) => (sum, Trust::Pinned),
        None => (published(&client, &release, observer)?, Trust::Published),
    };
    let path = directory()?.join(file_name(&release.version, architecture));
    let part = path.with_extension("gz.part");
    if !(path.is_file() && sum_of(&path).is_ok_and(|found| found == sum)) {
        let request = || client.get(&release.address);
        let remote = Remote { address: &release.address, request: &request };
        let label = format!("Alpine {}", release.version);
        remote.save(&part, &label, LARGEST, observer).map_err(of_mirror)?;
        let found = sum_of(&part)?;
        if found != sum {
            std::fs::remove_file(&part).tried(|| format!("unlink({part:?})"))?;
            return Err(wrong_sum(&release, trust, &sum, &found));
        }
        std::fs::rename(&part, &path).tried(|| format!("rename({part:?}, {path:?})"))?;
    }
    let word = if trust == Trust::Pinned { "pinned" } else { "published" };
    let note = note_of(&path);
    std::fs::write(&note, format!("{sum} {word}\n")).tried(|| format!("write({note:?})"))?;
    observer.note(&match trust {
        Trust::Pinned => format!(
            "SHA-256 {sum}: the sum that this program carries, so the mirror alone cannot deceive you."
        ),
        Trust::Published => format!(
            "SHA-256 {sum}: as the mirror says. That protects against a broken download, not against \
             a mirror that lies: whoever can change the archive there can change the sum beside it."
        ),
    });
    Ok(Archive { path, version: release.version, trust })
}

fn wrong_sum(release: &Release, trust: Trust, wanted: &str, found: &str) -> Error {
    let (whose, perhaps) = match trust {
        Trust::Pinned => (
            "the sum that this program carries",
            "Or the sum in here is wrong: it is the one that other projects pin, not read from Alpine's \
             own server (assets/alpine.toml); then another --version helps.",
        ),
        Trust::Published => ("the sum that the mirror publishes", ""),
    };
    let hint = "It was refused and removed. A proxy may have changed it; try another mirror with --mirror.";
    Error::new(format!("verifying {}", release.address))
        .said(format!("its SHA-256 is {found}, and {whose} is {wanted}"))
        .hint(format!("{hint} {perhaps}").trim_end())
}

/// The sum beside the archive: `SUM  NAME`.
fn published(client: &Client, release: &Release, observer: &mut dyn Observer) -> Result<String> {
    if let Some(sum) = &release.published {
        return Ok(sum.clone());
    }
    let text = text(client, &format!("{}.sha256", release.address), observer)?;
    let sum = text.split_whitespace().next().unwrap_or_default().to_owned();
    check_sum(&sum)?;
    Ok(sum)
}

fn text(client: &Client, address: &str, observer: &mut dyn Observer) -> Result<String> {
    let remote = Remote { address, request: &|| client.get(address) };
    remote.text(observer).map_err(of_mirror)
}

/// Another mirror may have what this one has not.
fn of_mirror(error: Error) -> Error {
    let hint = error.hint.clone().unwrap_or_else(|| {
        "There may be no such version there, or not for this architecture.".to_owned()
    });
    error.hint(format!("{hint} --mirror names another one."))
}
