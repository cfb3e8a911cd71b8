//! A request that puts something: sent with the token where it belongs, and watched, since
//! sending may take long, and a server that takes nothing more must not be waited for.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use reqwest::blocking::{Body, RequestBuilder, Response};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use reqwest::{Method, StatusCode, Url};

use super::address::shown;
use super::patience::{EACH, Failure, Patience};
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::image::source::Blob;
use crate::step::{Observer, Step};

/// How often is looked how far it has come.
const TICK: Duration = Duration::from_millis(200);

/// Sending has no limit of its own: it is watched.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// How long an answer may take when everything was sent, and for how many bytes a
/// second more is given: the registry takes their sum before it answers.
const ANSWER: Duration = Duration::from_secs(15);
const SUMMED: u64 = 20 << 20;

/// How often a server may lead us elsewhere.
const MOST_HOPS: usize = 5;

/// A request.
pub struct Exchange<'a> {
    /// `POST`, `PATCH`, `PUT`, `HEAD`, and `GET` of how far an upload has come.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// How the address is shown, where what stands behind `?` is ours.
    pub query: String,
    /// More headers.
    pub headers: Vec<(HeaderName, String)>,
    /// What is sent.
    pub sends: Sends<'a>,
    /// Answers that are answers.
    pub wanted: &'a [StatusCode],
    /// Why, for the reader.
    pub why: &'a str,
}

/// What a request carries.
pub enum Sends<'a> {
    /// Nothing.
    Nothing,
    /// A document.
    Text(&'a [u8]),
    /// A part of a blob.
    Part(&'a Part<'a>),
}

/// A part of a blob.
pub struct Part<'a> {
    /// Opens the blob from its beginning.
    pub open: &'a (dyn Fn() -> Result<Blob> + Sync),
    /// The part's first byte.
    pub from: u64,
    /// Its bytes.
    pub length: u64,
    /// Bytes of the whole blob.
    pub size: u64,
    /// What the progress is called; nothing if it is not worth it.
    pub label: Option<&'a str>,
}

impl Repository {
    /// Asks, and follows to where the answer is; one of those that are wanted.
    pub fn exchange(
        &self,
        exchange: &Exchange<'_>,
        patience: &mut Patience,
        furthest: &mut u64,
        observer: &mut dyn Observer,
    ) -> Result<Response, Failure> {
        let mut url = exchange.url.clone();
        let (mut authorized, mut led) = (false, 0);
        loop {
            let ours = url.origin() == self.base.origin();
            let token = if ours { self.authorization() } else { None };
            let mut request = self.client.request(exchange.method.clone(), url.clone());
            for (name, value) in &exchange.headers {
                request = request.header(name, value);
            }
            if let Some(token) = &token {
                request = request.header(AUTHORIZATION, token);
            }
            let step = exchange.step(&url, token.is_some());
            let answer = match &exchange.sends {
                Sends::Part(part) => self
                    .pour_out(request, part, exchange, step, &url, patience, furthest, observer)?,
                Sends::Text(text) => {
                    let limit = EACH + ANSWER;
                    let request = request.body(text.to_vec()).timeout(limit);
                    self.send(request, limit, step, &url, observer)?
                }
                Sends::Nothing
                    if exchange.method == Method::HEAD || exchange.method == Method::GET =>
                {
                    self.send(request, EACH, step, &url, observer)?
                }
                Sends::Nothing => {
                    let limit = EACH + ANSWER;
                    let request = request.header(CONTENT_LENGTH, 0).body("").timeout(limit);
                    self.send(request, limit, step, &url, observer)?
                }
            };
            match answer.status() {
                status if exchange.wanted.contains(&status) => return Ok(answer),
                StatusCode::UNAUTHORIZED if ours && !authorized => {
                    authorized = true;
                    self.authorize(answer.headers(), token.as_ref(), observer)?;
                }
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
                    if led < MOST_HOPS =>
                {
                    led += 1;
                    url = self.led_to(&url, &answer)?;
                }
                _ => return Err(self.refused(exchange.method.as_str(), &url, answer, ours)),
            }
        }
    }

    /// Sends a part of a blob, as long as some of it gets through.
    #[allow(clippy::too_many_arguments, reason = "what watches a request, and what it is")]
    fn pour_out(
        &self,
        request: RequestBuilder,
        part: &Part<'_>,
        exchange: &Exchange<'_>,
        mut step: Step,
        url: &Url,
        patience: &mut Patience,
        furthest: &mut u64,
        observer: &mut dyn Observer,
    ) -> Result<Response, Failure> {
        let mut blob = (part.open)()?;
        let skipped = io::copy(&mut blob.by_ref().take(part.from), &mut io::sink());
        if skipped.is_ok_and(|skipped| skipped < part.from) {
            return Err(Failure::from(
                Error::new("reading a blob").said("it is shorter than it should be"),
            ));
        }
        let watched = Watched::default();
        let ends = part.from + part.length == part.size;
        let body = Counted { blob: blob.take(part.length), ends, watched: watched.clone() };
        let request = request.body(Body::sized(body, part.length)).timeout(FOREVER);
        let (tell, told) = mpsc::channel();
        // Should it hang, it does so until this process ends, which is soon: see image/remote.rs.
        std::thread::spawn(move || drop(tell.send(request.send())));
        let wrong = |said: String| Failure::soon(exchange.error(url).said(said));
        let mut all_since = None;
        let answer = loop {
            let sent = watched.sent.load(Ordering::Relaxed);
            let at = part.from + sent;
            if let Some(label) = part.label {
                observer.progress(label, at, part.size);
            }
            match told.recv_timeout(TICK) {
                Ok(answer) => break answer,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(wrong("the thread that sent it ended".to_owned()));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            let new = at.saturating_sub(*furthest);
            *furthest += new;
            if sent == part.length {
                let since: &Instant = all_since.get_or_insert_with(Instant::now);
                if since.elapsed() > ANSWER + Duration::from_secs(part.length / SUMMED) {
                    return Err(wrong("everything was sent, and it does not answer".to_owned()));
                }
            } else if !patience.came(new) {
                let said = format!("it takes nothing more: {at} of {} bytes were sent", part.size);
                return Err(Failure::from(exchange.error(url).said(said)));
            }
            self.goes_on()?;
        };
        let sent = part.from + watched.sent.load(Ordering::Relaxed);
        patience.came(sent.saturating_sub(*furthest));
        *furthest = sent.max(*furthest);
        if let Some(error) = watched.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Failure::from(Error::new("reading a blob").said(error)));
        }
        let answer = answer.map_err(|error| {
            let why = crate::http::deepest(&error);
            exchange
                .error(url)
                .said(format!("it was cut off after {sent} of {} bytes: {why}", part.size))
        });
        if observer.wants_steps() {
            let status = answer.as_ref().map(|answer| answer.status().to_string());
            step.result = Some(
                status.map_err(|error| Error { tried: "no answer".to_owned(), ..error.clone() }),
            );
            observer.step(&step);
        }
        answer.map_err(Failure::soon)
    }
}

impl Exchange<'_> {
    /// The beginning of an error about it.
    pub fn error(&self, url: &Url) -> Error {
        Error::new(format!("{} {}", self.method, shown(url)))
    }

    /// The step: a request as `curl` would be told to make it.
    pub fn step(&self, url: &Url, with_token: bool) -> Step {
        let address = match self.query.as_str() {
            "" => shown(url),
            query => format!("{}?{query}", shown(url).trim_end_matches("?...")),
        };
        let mut shell = match self.method {
            Method::HEAD => "curl -I".to_owned(),
            Method::GET => "curl -i".to_owned(),
            _ => format!("curl -X {}", self.method),
        };
        if with_token {
            shell.push_str(" -H \"Authorization: Bearer $TOKEN\"");
        }
        let mut more = String::new();
        for (name, value) in &self.headers {
            shell.push_str(&format!(" -H '{name}: {value}'"));
            more.push_str(&format!(", {name}: {value}"));
        }
        shell.push_str(match &self.sends {
            Sends::Nothing => "",
            Sends::Text(_) => " --data-binary @manifest.json",
            Sends::Part(_) => " --data-binary @blob",
        });
        Step::new(format!("{}(\"{address}\"{more})", self.method), self.why)
            .shell(format!("{shell} '{address}'"))
    }
}

/// What is known of a body while it is sent.
#[derive(Debug, Clone, Default)]
struct Watched {
    sent: Arc<AtomicU64>,
    broken: Arc<Mutex<Option<String>>>,
}

/// A body that counts itself.
struct Counted {
    blob: io::Take<Blob>,
    /// Whether the blob ends with it: then its sum is known, and has to be right.
    ends: bool,
    watched: Watched,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match self.blob.read(buffer) {
            Ok(0) if self.blob.limit() > 0 && !buffer.is_empty() => {
                Err(io::Error::other("it is shorter than it should be"))
            }
            Ok(count) if self.ends && count > 0 && self.blob.limit() == 0 => {
                match self.blob.get_mut().read(&mut [0]) {
                    Ok(0) => Ok(count),
                    Ok(_) => Err(io::Error::other("it is longer than it should be")),
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        match &result {
            Ok(count) => drop(self.watched.sent.fetch_add(*count as u64, Ordering::Relaxed)),
            Err(error) => {
                let mut broken = self.watched.broken.lock().unwrap_or_else(PoisonError::into_inner);
                *broken = Some(error.to_string());
            }
        }
        result
    }
}
