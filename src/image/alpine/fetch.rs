//! Fetching a release: in a child, with what was there already kept and the
//! rest asked for, and nothing believed before its sum is right.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde::{Deserialize, Serialize};

use super::http::{client, deepest};
use super::release::{Release, check_sum, file_name, latest_address, pinned};
use super::{Archive, Trust, Wanted, directory, note_of, sum_of};
use crate::error::{Context, Error, Result};
use crate::kernel::channel::Channel;
use crate::kernel::raw;
use crate::step::{Observer, Step};

/// How often a download that was cut is taken up again.
const TRIES: u32 = 4;

/// No minirootfs is that large.
const LARGEST: u64 = 512 << 20;

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
enum Heard {
    Step(Step),
    Progress(u64, u64),
    Note(String),
    Done(Archive),
    Failed(Error),
}

/// Fetches what is wanted, in a child.
pub fn fetch(wanted: &Wanted, architecture: &str, observer: &mut dyn Observer) -> Result<Archive> {
    let (ours, theirs) = Channel::pair()?;
    let Some(pid) = raw::fork().tried(|| "fork()")? else {
        drop(ours);
        let result = in_child(wanted, architecture, &mut Teller(&theirs));
        let last = match result {
            Ok(archive) => Heard::Done(archive),
            Err(error) => Heard::Failed(error),
        };
        let _ = theirs.send(&last, &[]);
        raw::exit_now(0)
    };
    drop(theirs);
    let result = loop {
        match ours.receive::<Heard>() {
            Ok(Some((Heard::Step(step), _))) => observer.step(&step),
            Ok(Some((Heard::Progress(done, total), _))) => {
                observer.progress("downloading", done, total)
            }
            Ok(Some((Heard::Note(text), _))) => observer.note(&text),
            Ok(Some((Heard::Done(archive), _))) => break Ok(archive),
            Ok(Some((Heard::Failed(error), _))) => break Err(error),
            Ok(None) => {
                break Err(Error::new("downloading").said("the process that did it was killed"));
            }
            Err(error) => break Err(error),
        }
    };
    raw::reap(pid);
    result
}

/// Tells the parent; when that is gone, there is nobody to fetch for.
struct Teller<'a>(&'a Channel);

impl Teller<'_> {
    fn tell(&self, heard: &Heard) {
        if self.0.send(heard, &[]).is_err() {
            raw::exit_now(1);
        }
    }
}

fn in_child(wanted: &Wanted, architecture: &str, teller: &mut Teller<'_>) -> Result<Archive> {
    let client = client()?;
    let release = match &wanted.version {
        Some(version) => Release::of(&wanted.mirror, version, architecture),
        None => {
            let list = text(&client, &latest_address(&wanted.mirror, architecture), teller)?;
            Release::latest(&list, &wanted.mirror, architecture)?
        }
    };
    let (sum, trust) = match pinned(&release.version, architecture) {
        Some(sum) => (sum, Trust::Pinned),
        None => (published(&client, &release, teller)?, Trust::Published),
    };
    let path = directory()?.join(file_name(&release.version, architecture));
    let part = path.with_extension("gz.part");
    if !(path.is_file() && sum_of(&path).is_ok_and(|found| found == sum)) {
        download(&client, &release.address, &part, teller)?;
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
    teller.tell(&Heard::Note(match trust {
        Trust::Pinned => format!("SHA-256 {sum}: the sum that this program carries."),
        Trust::Published => format!(
            "SHA-256 {sum}: as the mirror says. That protects against a broken download, not against \
             a mirror that lies: whoever can change the archive there can change the sum beside it."
        ),
    }));
    Ok(Archive { path, version: release.version, trust })
}

fn wrong_sum(release: &Release, trust: Trust, wanted: &str, found: &str) -> Error {
    let whose = if trust == Trust::Pinned {
        "the sum that this program carries"
    } else {
        "the sum that the mirror publishes"
    };
    Error::new(format!("verifying {}", release.address))
        .said(format!("its SHA-256 is {found}, and {whose} is {wanted}"))
        .hint("It was refused and removed. A proxy may have changed it; try another mirror with --mirror.")
}

/// The sum beside the archive: `SUM  NAME`.
fn published(client: &Client, release: &Release, teller: &Teller<'_>) -> Result<String> {
    if let Some(sum) = &release.published {
        return Ok(sum.clone());
    }
    let text = text(client, &format!("{}.sha256", release.address), teller)?;
    let sum = text.split_whitespace().next().unwrap_or_default().to_owned();
    check_sum(&sum)?;
    Ok(sum)
}

/// The step in which something is asked for.
pub fn step(address: &str, from: u64) -> Step {
    let range = if from > 0 { format!(", Range: bytes={from}-") } else { String::new() };
    let flag = if from > 0 { "-C - " } else { "" };
    Step::new(
        format!("GET(\"{address}\"{range})"),
        "over HTTP, in a child of its own: a client starts threads",
    )
    .shell(format!("curl {flag}-O {address}"))
}

fn answered(teller: &Teller<'_>, mut step: Step, result: Result<String>) -> Result<()> {
    step.result = Some(result.clone());
    teller.tell(&Heard::Step(step));
    result.map(drop)
}

/// A small text.
fn text(client: &Client, address: &str, teller: &Teller<'_>) -> Result<String> {
    const LARGEST_TEXT: u64 = 1 << 20;
    let get = || -> Result<String> {
        let answer = client.get(address).send().map_err(|error| unreachable(address, &error))?;
        if !answer.status().is_success() {
            return Err(refused(address, answer.status()));
        }
        let mut text = String::new();
        answer
            .take(LARGEST_TEXT)
            .read_to_string(&mut text)
            .map_err(|error| cut(address, &error))?;
        Ok(text)
    };
    let result = get();
    let length = result.as_ref().map(|text| format!("{} bytes", text.len()));
    answered(teller, step(address, 0), length.map_err(Error::clone))?;
    result
}

/// The whole file, taken up again where it was cut, now or the last time.
fn download(client: &Client, address: &str, part: &Path, teller: &Teller<'_>) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let before = part.metadata().map_or(0, |metadata| metadata.len());
        let result = attempt(client, address, part, before, teller);
        let ended = result.as_ref().map(|end| match end {
            End::Whole(status) => format!("{status}"),
            End::Cut(status, _) => format!("{status}, cut"),
        });
        answered(teller, step(address, before), ended.map_err(Error::clone))?;
        match result? {
            End::Whole(_) => return Ok(()),
            End::Cut(_, error) if tries >= TRIES => return Err(error),
            End::Cut(..) => {
                let here = part.metadata().map_or(0, |metadata| metadata.len());
                teller.tell(&Heard::Note(format!(
                    "The connection was cut after {here} bytes; going on from there."
                )));
            }
        }
    }
}

/// How a request ended.
enum End {
    Whole(StatusCode),
    Cut(StatusCode, Error),
}

fn attempt(
    client: &Client,
    address: &str,
    part: &Path,
    have: u64,
    teller: &Teller<'_>,
) -> Result<End> {
    let mut request = client.get(address);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut answer = request.send().map_err(|error| unreachable(address, &error))?;
    let status = answer.status();
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let goes_on = range.is_some_and(|range| range.starts_with(&format!("bytes {have}-")));
    let from = match status {
        StatusCode::PARTIAL_CONTENT if goes_on => have,
        StatusCode::OK => 0,
        // What is here is all there is, or more than that: the sum will tell.
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(End::Whole(status)),
        _ => return Err(refused(address, status)),
    };
    let total = answer.content_length().map_or(0, |length| from + length);
    let mut file = open(part, from)?;
    let mut done = from;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match answer.read(&mut buffer) {
            Ok(0) if total > 0 && done < total => {
                return Ok(End::Cut(
                    status,
                    cut(address, &std::io::Error::other("it ended too early")),
                ));
            }
            Ok(0) => return Ok(End::Whole(status)),
            Ok(count) => count,
            Err(error) => return Ok(End::Cut(status, cut(address, &error))),
        };
        file.write_all(&buffer[..count]).tried(|| format!("write({part:?})"))?;
        done += count as u64;
        if done > LARGEST {
            return Err(
                Error::new(format!("GET {address}")).said("it is far too large for a minirootfs")
            );
        }
        teller.tell(&Heard::Progress(done, total));
    }
}

/// The beginning is kept; what is not ours is not followed.
fn open(part: &Path, from: u64) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(part).tried(|| format!("open({part:?}, O_CREAT|O_APPEND)"))?;
    if from == 0 {
        file.set_len(0).tried(|| format!("ftruncate({part:?})"))?;
    }
    Ok(file)
}

fn unreachable(address: &str, error: &reqwest::Error) -> Error {
    Error::new(format!("GET {address}"))
        .said(deepest(error))
        .hint("There seems to be no network, or the mirror cannot be reached; --mirror names another one.")
}

fn refused(address: &str, status: StatusCode) -> Error {
    let error = Error::new(format!("GET {address}")).said(format!("the server answered {status}"));
    match status {
        StatusCode::NOT_FOUND => {
            error.hint("There is no such version there, or not for this architecture.")
        }
        _ => error.hint("--mirror names another mirror."),
    }
}

fn cut(address: &str, error: &std::io::Error) -> Error {
    Error::new(format!("GET {address}"))
        .said(format!("the connection was cut: {}", deepest(error)))
        .hint("What came so far is kept; the same command goes on from there.")
}
