//! Fetching over HTTP: what was there already is kept and the rest asked for,
//! now after a cut, or by the next command. Nothing is believed here: whoever
//! asked for it compares the sum.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{CONTENT_RANGE, RANGE};

use crate::error::{Context, Error, Result};
use crate::http::{self, deepest};
use crate::step::{Observer, Step};

/// How often a download that was cut is taken up again.
const TRIES: u32 = 4;

/// For connecting, and for each answer that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// No list of releases, sum or manifest is longer.
const LARGEST_TEXT: u64 = 4 << 20;

/// A client that waits as long as downloads may take to go on.
pub fn client() -> Result<Client> {
    http::client(|with| with.connect_timeout(PATIENCE).timeout(PATIENCE))
}

/// Something on a server.
pub struct Remote<'a> {
    /// Where, as the reader is told.
    pub address: &'a str,
    /// A request for it, as often as one is needed.
    pub request: &'a dyn Fn() -> RequestBuilder,
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

/// How a request ended.
enum End {
    Whole(StatusCode),
    Cut(StatusCode, Error),
}

impl Remote<'_> {
    /// A small text.
    pub fn text(&self, observer: &mut dyn Observer) -> Result<String> {
        let get = || -> Result<String> {
            let answer = self.ask((self.request)())?;
            if !answer.status().is_success() {
                return Err(self.refused(answer.status()));
            }
            let mut text = String::new();
            answer
                .take(LARGEST_TEXT)
                .read_to_string(&mut text)
                .map_err(|error| self.cut(&error))?;
            Ok(text)
        };
        let result = get();
        let length = result.as_ref().map(|text| format!("{} bytes", text.len()));
        self.answered(0, length.map_err(Error::clone), observer);
        result
    }

    /// The whole file, at most `largest` bytes of it, into `part`, where a
    /// beginning of it may be already. `label` names it beside its progress.
    pub fn save(
        &self,
        part: &Path,
        label: &str,
        largest: u64,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let here = || part.metadata().map_or(0, |metadata| metadata.len());
        if here() > 0 {
            observer.note(&format!("{label}: {} bytes are here from before.", here()));
        }
        let (start, first) = (Instant::now(), here());
        let mut tries = 0;
        loop {
            tries += 1;
            let before = here();
            let result = self.attempt(part, before, label, largest, observer);
            observer.progress_over(label);
            let ended = result.as_ref().map(|end| match end {
                End::Whole(status) => format!("{status}"),
                End::Cut(status, _) => format!("{status}, cut"),
            });
            self.answered(before, ended.map_err(Error::clone), observer);
            match result? {
                End::Whole(_) => {
                    let came = here().saturating_sub(first) as f64 / f64::from(1 << 20);
                    let seconds = start.elapsed().as_secs_f64();
                    observer.note(&format!("{label}: {came:.1} MiB came in {seconds:.1} s."));
                    return Ok(());
                }
                End::Cut(_, error) if tries >= TRIES => return Err(error),
                End::Cut(..) => observer.note(&format!(
                    "The connection was cut after {} bytes; going on from there.",
                    here()
                )),
            }
        }
    }

    fn attempt(
        &self,
        part: &Path,
        have: u64,
        label: &str,
        largest: u64,
        observer: &mut dyn Observer,
    ) -> Result<End> {
        let mut request = (self.request)();
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let mut answer = self.ask(request)?;
        let status = answer.status();
        let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let goes_on = range.is_some_and(|range| range.starts_with(&format!("bytes {have}-")));
        let from = match status {
            StatusCode::PARTIAL_CONTENT if goes_on => have,
            StatusCode::OK => 0,
            // What is here is all there is, or more than that: the sum will tell.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(End::Whole(status)),
            _ => return Err(self.refused(status)),
        };
        let total = answer.content_length().map_or(0, |length| from + length);
        let mut file = open(part, from)?;
        let mut done = from;
        let mut buffer = vec![0; 1 << 16];
        loop {
            observer.progress(label, done, total);
            let count = match answer.read(&mut buffer) {
                Ok(0) if done < total => {
                    let early = std::io::Error::other("it ended too early");
                    return Ok(End::Cut(status, self.cut(&early)));
                }
                Ok(0) => return Ok(End::Whole(status)),
                Ok(count) => count,
                Err(error) => return Ok(End::Cut(status, self.cut(&error))),
            };
            file.write_all(&buffer[..count]).tried(|| format!("write({part:?})"))?;
            done += count as u64;
            if done > largest {
                return Err(Error::new(format!("GET {}", self.address))
                    .said(format!("it is larger than {largest} bytes, more than it can be")));
            }
        }
    }

    fn ask(&self, request: RequestBuilder) -> Result<reqwest::blocking::Response> {
        request.send().map_err(|error| {
            Error::new(format!("GET {}", self.address))
                .said(deepest(&error))
                .hint("There seems to be no network, or the server cannot be reached.")
        })
    }

    fn answered(&self, from: u64, result: Result<String>, observer: &mut dyn Observer) {
        observer.step(&Step { result: Some(result), ..step(self.address, from) });
    }

    fn refused(&self, status: StatusCode) -> Error {
        Error::new(format!("GET {}", self.address)).said(format!("the server answered {status}"))
    }

    fn cut(&self, error: &std::io::Error) -> Error {
        Error::new(format!("GET {}", self.address))
            .said(format!("the connection was cut: {}", deepest(error)))
            .hint("What came so far is kept; the same command goes on from there.")
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
