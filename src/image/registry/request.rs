//! One request, to where it leads: with the token where it belongs, along
//! redirects without it, and every answer reported as a step.

use std::io::Read;
use std::time::Duration;

use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{StatusCode, Url};

use super::address::{is_loopback, shown};
use super::patience::{Again, EACH, Failure};
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::http::deepest;
use crate::step::{Observer, Step};

/// How often a server may lead us elsewhere.
const MOST_HOPS: usize = 5;

/// What is asked for.
pub struct Ask<'a> {
    /// Where.
    pub url: Url,
    /// Media types that would do.
    pub accept: Option<&'a str>,
    /// The first byte that is wanted.
    pub from: u64,
    /// How long the whole answer may take; without: each wait as long as any.
    pub limit: Option<Duration>,
    /// Why, for the reader.
    pub why: &'a str,
}

impl Ask<'_> {
    /// The step: a request as `curl` would be told to make it.
    pub fn step(&self, url: &Url, with_token: bool) -> Step {
        let range =
            if self.from > 0 { format!(", Range: bytes={}-", self.from) } else { String::new() };
        let mut shell = "curl".to_owned();
        if with_token {
            shell.push_str(" -H \"Authorization: Bearer $TOKEN\"");
        }
        if let Some(first) = self.accept.and_then(|types| types.split(',').next()) {
            shell.push_str(&format!(" -H 'Accept: {first}'"));
        }
        if self.from > 0 {
            shell.push_str(&format!(" -r {}-", self.from));
        }
        let address = shown(url);
        Step::new(format!("GET(\"{address}\"{range})"), self.why)
            .shell(format!("{shell} {address}"))
    }
}

impl Repository {
    /// Asks, and follows to where the answer is. What is returned is a success,
    /// or 416 to a request for the rest.
    pub fn get(&self, ask: &Ask<'_>, observer: &mut dyn Observer) -> Result<Response, Failure> {
        let mut url = ask.url.clone();
        let (mut authorized, mut led) = (false, 0);
        loop {
            let ours = url.origin() == self.base.origin();
            let token = if ours { self.authorization() } else { None };
            let mut request = self.client.get(url.clone());
            if let Some(types) = ask.accept {
                request = request.header(ACCEPT, types);
            }
            if ask.from > 0 {
                request = request.header(RANGE, format!("bytes={}-", ask.from));
            }
            if let Some(token) = &token {
                request = request.header(AUTHORIZATION, token);
            }
            let limit = ask.limit.map(|limit| limit.min(EACH));
            if let Some(limit) = limit {
                request = request.timeout(limit);
            }
            let step = ask.step(&url, token.is_some());
            let answer = self.send(request, limit.unwrap_or(EACH), step, &url, observer)?;
            match answer.status() {
                StatusCode::UNAUTHORIZED if ours && !authorized => {
                    authorized = true;
                    self.authorize(answer.headers(), token.as_ref(), observer)?;
                }
                status if status.is_redirection() && led < MOST_HOPS => {
                    led += 1;
                    url = self.led_to(&url, &answer)?;
                }
                status if status.is_success() => return Ok(answer),
                StatusCode::RANGE_NOT_SATISFIABLE if ask.from > 0 => return Ok(answer),
                _ => return Err(self.refused("GET", &url, answer, ours)),
            }
        }
    }

    /// Sends one request, which has a time limit, and reports it.
    pub fn send(
        &self,
        request: RequestBuilder,
        limit: Duration,
        mut step: Step,
        url: &Url,
        observer: &mut dyn Observer,
    ) -> Result<Response, Failure> {
        let answer = request.send().map_err(|error| {
            let said = match error.is_timeout() {
                true => format!("it did not answer within {} seconds", limit.as_secs()),
                false => deepest(&error),
            };
            asking(url).said(said).hint(self.unreachable(url))
        });
        if observer.wants_steps() {
            let none = |error: &Error| Error { tried: "no answer".to_owned(), ..error.clone() };
            step.result = Some(answer.as_ref().map(told).map_err(none));
            observer.step(&step);
        }
        answer.map_err(Failure::soon)
    }

    fn unreachable(&self, url: &Url) -> String {
        match is_loopback(url) {
            true => "Is a registry running there? `ss -lntp` shows who listens on this machine.".to_owned(),
            false => "There seems to be no network, or the registry cannot be reached: `under-the-hood \
                      doctor` looks. HTTPS_PROXY names a proxy, --mirror another registry. `base` needs no network."
                .to_owned(),
        }
    }

    /// Where a redirect leads, if it may.
    pub fn led_to(&self, from: &Url, answer: &Response) -> Result<Url, Failure> {
        let wrong = |said: String| Failure::lie(asking(from).said(said));
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let Some(location) = location else {
            return Err(wrong(format!("it answered {} without saying where to", answer.status())));
        };
        let mut url = from.join(location).map_err(|_| {
            wrong(format!(
                "it leads to {:?}, which is no address",
                location.chars().take(100).collect::<String>()
            ))
        })?;
        self.may_ask(&url).map_err(|why| wrong(format!("it leads to {}: {why}", shown(&url))))?;
        // Who is redirected brings no name along that a server made up.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        Ok(url)
    }

    /// HTTPS; HTTP only as long as it has been HTTP all the way.
    pub fn may_ask(&self, url: &Url) -> Result<(), &'static str> {
        let plain = self.base.scheme() == "http";
        match url.scheme() {
            "https" if url.has_host() => Ok(()),
            "http" if url.has_host() && plain && (self.insecure || is_loopback(url)) => Ok(()),
            "http" => Err("plain HTTP"),
            _ => Err("neither HTTP nor HTTPS"),
        }
    }

    /// What an answer that is not the wanted one means.
    pub fn refused(&self, method: &str, url: &Url, mut answer: Response, ours: bool) -> Failure {
        let status = answer.status();
        let again = again(status, answer.headers());
        let says = message(&mut answer);
        let mut error = Error::new(format!("{method} {}", shown(url))).said(match says.as_str() {
            "" => format!("the server answered {status}"),
            says => format!("the server answered {status}: {says}"),
        });
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if ours => Some(self.who_are_you()),
            StatusCode::NOT_FOUND if self.pushes() => Some(
                "It may not let anybody make this repository: some want it made on their page before.".to_owned(),
            ),
            StatusCode::METHOD_NOT_ALLOWED if self.pushes() => {
                Some("This registry only hands out images; nothing can be pushed to it.".to_owned())
            }
            StatusCode::NOT_FOUND => Some(
                "There is no such image, or not with this tag. `skopeo list-tags docker://NAME` shows the tags."
                    .to_owned(),
            ),
            StatusCode::TOO_MANY_REQUESTS => Some(
                "Registries limit how much one address may pull; who has an account may pull more (`docker login`). \
                 For a whole class: `lesson fetch --to DIR` on one machine and `--offline DIR` on the others; \
                 `image save` and `image load`; or a --mirror."
                    .to_owned(),
            ),
            status if status.is_redirection() => Some(format!("It leads on and on: more than {MOST_HOPS} times.")),
            status if status.is_server_error() => Some("The registry has a problem of its own: try again later.".to_owned()),
            _ => None,
        };
        if let Some(hint) = hint {
            error = error.hint(hint);
        }
        Failure { error, again }
    }
}

/// The beginning of an error about this address.
pub fn asking(url: &Url) -> Error {
    Error::new(format!("GET {}", shown(url)))
}

/// Whether another attempt may have another answer.
pub fn again(status: StatusCode, headers: &HeaderMap) -> Again {
    let passing = matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504);
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match (passing, seconds) {
        (false, _) => Again::No,
        (true, Some(seconds)) => Again::After(Duration::from_secs(seconds)),
        (true, None) => Again::Soon,
    }
}

/// An answer in a line: its status and what matters of its headers.
fn told(answer: &Response) -> String {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let more = match answer.status() {
        StatusCode::UNAUTHORIZED => header(WWW_AUTHENTICATE).map(clean),
        status if status.is_redirection() || status == StatusCode::ACCEPTED => {
            let to = header(LOCATION).and_then(|location| answer.url().join(location).ok());
            to.map(|to| format!("to {}", shown(&to)))
        }
        _ => {
            let kind = header(CONTENT_TYPE).map(clean);
            let length = answer.content_length().map(|length| format!("{length} bytes"));
            Some([kind, length].into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
    };
    let more = more.filter(|more| !more.is_empty());
    more.map_or_else(|| answer.status().to_string(), |more| format!("{}, {more}", answer.status()))
}

/// What the server says about an error, as the specification has it:
/// `{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}`.
fn message(answer: &mut Response) -> String {
    // One read: nobody waits for the end of an apology.
    let mut bytes = [0; 4096];
    let count = answer.read(&mut bytes).unwrap_or(0);
    let body: serde_json::Value = serde_json::from_slice(&bytes[..count]).unwrap_or_default();
    let first = &body["errors"][0];
    let text = first["message"].as_str().filter(|message| !message.is_empty());
    clean(text.or(first["code"].as_str()).unwrap_or_default())
}

/// Text of a server, short and without what could drive a terminal.
fn clean(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}
