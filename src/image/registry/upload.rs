//! A blob, into a registry: not at all if it is there, from a neighbour if the
//! registry has it elsewhere, and taken up where it was cut.

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::exchange::{Exchange, Part, Sends};
use super::patience::{Failure, Patience};
use super::repository::Repository;
use crate::error::Result;
use crate::image::oci::Descriptor;
use crate::image::source::Blob;
use crate::step::Observer;

/// Up to that it is sent with the request that ends the upload.
const AT_ONCE: u64 = 1 << 20;

/// What did not get through whole is sent in pieces of this.
const PIECE: u64 = 8 << 20;

/// A piece that is too large even so is halved, down to this.
const SMALLEST: u64 = 64 << 10;

const OCTETS: &str = "application/octet-stream";

/// How a blob came to be where it was to be pushed to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum How {
    /// It was sent.
    Pushed,
    /// It was there.
    Existed,
    /// The registry had it in this repository.
    Mounted(String),
}

/// A blob that is to be pushed.
pub struct Upload<'a> {
    /// Which.
    pub descriptor: &'a Descriptor,
    /// Opens it.
    pub open: &'a (dyn Fn() -> Result<Blob> + Sync),
    /// Repositories of this registry that may have it.
    pub mounts: &'a [String],
    /// What it is called on the screen; nothing for a config.
    pub label: Option<&'a str>,
}

/// How far it has come.
struct State {
    /// Where the next part goes; nothing before it has begun, or when the registry forgot it.
    session: Option<Url>,
    /// Bytes that are there.
    offset: u64,
    /// Where the last attempt began.
    begun_at: u64,
    /// Bytes that a request may have.
    piece: u64,
    /// Bytes that it must have, unless it is the last one.
    least: u64,
    /// The farthest that it ever came.
    furthest: u64,
    asked_before: bool,
}

impl Repository {
    /// Sees to it that the registry has a blob.
    pub fn upload(&self, upload: &Upload<'_>, observer: &mut dyn Observer) -> Result<How, Failure> {
        let mut state = State {
            session: None,
            offset: 0,
            begun_at: 0,
            piece: u64::MAX,
            least: 0,
            furthest: 0,
            asked_before: false,
        };
        let done = Patience::new().persist(observer, |patience, observer| {
            self.goes_on()?;
            let done = self.attempt(upload, &mut state, patience, observer);
            state.asked_before = true;
            done
        });
        if let Some(label) = upload.label {
            observer.progress_over(label);
            match &done {
                Ok(How::Existed) => observer.note(&format!("{label}: Layer already exists")),
                Ok(How::Mounted(from)) => observer.note(&format!("{label}: Mounted from {from}")),
                Ok(How::Pushed) => observer.note(&format!("{label}: Pushed")),
                Err(_) => {}
            }
        }
        done
    }

    fn attempt(
        &self,
        upload: &Upload<'_>,
        state: &mut State,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<How, Failure> {
        if let Some(session) = state.session.clone() {
            // The last attempt was cut: how far did it come?
            match self.far(&session, upload, patience, observer)? {
                Some((next, offset)) => (state.session, state.offset) = (Some(next), offset),
                None => (state.session, state.offset) = (None, 0),
            }
            // What does not get through whole may do so in pieces, what got nowhere in smaller ones.
            let smaller = if state.offset > state.begun_at { state.piece } else { state.piece / 2 };
            state.piece = smaller.clamp(SMALLEST, PIECE).max(state.least);
            state.begun_at = state.offset;
        }
        let mut session = match state.session.clone() {
            Some(session) => session,
            None => {
                if self.exists(upload, patience, observer)? {
                    return Ok(if state.asked_before { How::Pushed } else { How::Existed });
                }
                match self.begin(upload, patience, observer)? {
                    Begun::Mounted(from) => return Ok(How::Mounted(from)),
                    Begun::Session(url, least) => {
                        (state.least, state.piece) = (least, state.piece.max(least));
                        state.session = Some(url.clone());
                        url
                    }
                }
            }
        };
        let size = upload.descriptor.size;
        let at_once = state.offset == 0 && size <= AT_ONCE.min(state.piece);
        while !at_once && state.offset < size {
            session = self.patch(upload, session, state, patience, observer)?;
            state.session = Some(session.clone());
        }
        self.close(upload, session, at_once, state, patience, observer).map(|()| How::Pushed)
    }

    /// Whether it is there.
    fn exists(
        &self,
        upload: &Upload<'_>,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<bool, Failure> {
        let exchange = Exchange {
            method: Method::HEAD,
            url: self.address(&format!("blobs/{}", upload.descriptor.digest))?,
            query: String::new(),
            headers: Vec::new(),
            sends: Sends::Nothing,
            wanted: &[StatusCode::OK, StatusCode::NOT_FOUND],
            why: "is it there already? Then it need not be sent",
        };
        let answer = self.exchange(&exchange, patience, &mut 0, observer)?;
        Ok(answer.status() == StatusCode::OK)
    }

    /// Begins an upload, unless the registry has the blob somewhere else.
    fn begin(
        &self,
        upload: &Upload<'_>,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<Begun, Failure> {
        let mut last = None;
        for from in upload.mounts.iter().map(Some).chain([None]) {
            // What was begun where a mount failed is as good as what is begun without.
            if let Some(begun) = last.take_if(|_| from.is_none()) {
                return Ok(begun);
            }
            let mut url = self.address("blobs/uploads/")?;
            let mut query = String::new();
            if let Some(from) = from {
                let digest = upload.descriptor.digest.to_string();
                url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
                query = format!("mount={digest}&from={from}");
            }
            let exchange = Exchange {
                method: Method::POST,
                url: url.clone(),
                query,
                headers: Vec::new(),
                sends: Sends::Nothing,
                wanted: &[StatusCode::CREATED, StatusCode::ACCEPTED],
                why: match from {
                    Some(_) => {
                        "the registry may have it in another repository: then it is taken from there"
                    }
                    None => "an upload begins: the answer says where the bytes are to go",
                },
            };
            let answer = self.exchange(&exchange, patience, &mut 0, observer)?;
            match (answer.status(), from) {
                (StatusCode::CREATED, Some(from)) => return Ok(Begun::Mounted(from.clone())),
                (StatusCode::CREATED, None) => {
                    let error = exchange
                        .error(&url)
                        .said("it answered 201 Created, and nothing was sent yet");
                    return Err(Failure::lie(error));
                }
                _ => {
                    let least = number(answer.headers(), "oci-chunk-min-length").unwrap_or(0);
                    last = Some(Begun::Session(self.location(&url, &answer)?, least));
                }
            }
        }
        last.ok_or_else(|| Failure::from(crate::error::Error::new("beginning an upload")))
    }

    /// How far an upload has come, and where it goes on; nothing if the registry forgot it.
    fn far(
        &self,
        session: &Url,
        upload: &Upload<'_>,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Url, u64)>, Failure> {
        let exchange = Exchange {
            method: Method::GET,
            url: session.clone(),
            query: String::new(),
            headers: Vec::new(),
            sends: Sends::Nothing,
            wanted: &[StatusCode::NO_CONTENT, StatusCode::ACCEPTED, StatusCode::NOT_FOUND],
            why: "it was cut off: how far has the upload come?",
        };
        let answer = self.exchange(&exchange, patience, &mut 0, observer)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let offset = reached(answer.headers()).unwrap_or(0);
        if offset > upload.descriptor.size {
            return Ok(None); // what is there cannot be ours
        }
        let next = match answer.headers().contains_key(LOCATION) {
            true => self.location(session, &answer)?,
            false => session.clone(),
        };
        Ok(Some((next, offset)))
    }

    /// Sends what is missing, or a piece of it.
    fn patch(
        &self,
        upload: &Upload<'_>,
        session: Url,
        state: &mut State,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<Url, Failure> {
        let size = upload.descriptor.size;
        let length = state.piece.min(size - state.offset);
        let part =
            Part { open: upload.open, from: state.offset, length, size, label: upload.label };
        let mut headers = vec![(CONTENT_TYPE, OCTETS.to_owned())];
        if length < size {
            // As docker has it, not as RFC 9110: no unit, and both ends.
            headers
                .push((CONTENT_RANGE, format!("{}-{}", state.offset, state.offset + length - 1)));
        }
        let exchange = Exchange {
            method: Method::PATCH,
            url: session.clone(),
            query: String::new(),
            headers,
            sends: Sends::Part(&part),
            wanted: &[
                StatusCode::ACCEPTED,
                StatusCode::PAYLOAD_TOO_LARGE,
                StatusCode::RANGE_NOT_SATISFIABLE,
            ],
            why: "bytes of the blob, as they lie in the store",
        };
        let answer = self.exchange(&exchange, patience, &mut state.furthest, observer)?;
        let refused = |what: &str| exchange.error(&session).said(what);
        match answer.status() {
            StatusCode::PAYLOAD_TOO_LARGE if length > SMALLEST => {
                state.piece = (length / 2).clamp(SMALLEST, PIECE);
                return Err(Failure::soon(refused("it takes less at once")));
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(Failure::from(refused(&format!(
                    "it takes not even {length} bytes at once"
                ))));
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Failure::soon(refused("it has not got as far as we thought")));
            }
            _ => {}
        }
        let end = state.offset + length;
        match reached(answer.headers()) {
            Some(reached) if reached > end => {
                let what = format!("it has {reached} bytes now, it says, and {end} were sent");
                return Err(Failure::lie(refused(&what)));
            }
            Some(reached) if reached <= state.offset && length > 1 => {
                return Err(Failure::soon(refused("it kept nothing of what was sent")));
            }
            Some(reached) => state.offset = reached,
            None => state.offset = end,
        }
        self.location(&session, &answer)
    }

    /// Ends an upload: the blob gets its name, if its sum is right.
    fn close(
        &self,
        upload: &Upload<'_>,
        session: Url,
        at_once: bool,
        state: &mut State,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let Descriptor { digest, size, .. } = upload.descriptor;
        let mut url = session.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let part =
            Part { open: upload.open, from: 0, length: *size, size: *size, label: upload.label };
        let (headers, sends) = match at_once {
            true => (vec![(CONTENT_TYPE, OCTETS.to_owned())], Sends::Part(&part)),
            false => (Vec::new(), Sends::Nothing),
        };
        let exchange = Exchange {
            method: Method::PUT,
            url,
            query: format!("digest={digest}"),
            headers,
            sends,
            wanted: &[StatusCode::CREATED, StatusCode::NO_CONTENT, StatusCode::NOT_FOUND],
            why: "that was all of it: the registry takes the sum, and then it has this name",
        };
        let answer = self.exchange(&exchange, patience, &mut state.furthest, observer)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(Failure::soon(
                exchange.error(&session).said("it knows nothing of this upload any more"),
            ));
        }
        same_digest(answer.headers(), &digest.to_string())
            .map_err(|said| Failure::lie(exchange.error(&session).said(said)))
    }

    /// Where the next request of an upload goes.
    fn location(&self, from: &Url, answer: &Response) -> Result<Url, Failure> {
        self.led_to(from, answer)
    }
}

/// What came of asking for an upload.
enum Begun {
    /// It is there: the registry had it in this repository.
    Mounted(String),
    /// Where to send it, and how many bytes a piece has at least.
    Session(Url, u64),
}

/// Bytes that are there, by `Range: 0-N`: N is the last one's number. 0 may also mean
/// that there is none yet.
fn reached(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?.trim().trim_start_matches("bytes=");
    let last: u64 = range.strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { last.saturating_add(1) })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// What a registry says that it got, if it says so, is what it was sent.
pub fn same_digest(headers: &HeaderMap, digest: &str) -> Result<(), String> {
    match headers.get("docker-content-digest").and_then(|said| said.to_str().ok()) {
        Some(said) if said != digest => {
            let said: String = said.chars().take(80).filter(|c| !c.is_control()).collect();
            Err(format!("it says that it got {said}, and {digest} was sent"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_an_upload_has_come_is_the_number_of_its_last_byte() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            reached(&headers)
        };
        assert_eq!((of("0-0"), of("0-1023"), of("bytes=0-9")), (Some(0), Some(1024), Some(10)));
        assert_eq!(
            (of("5-9"), of(""), of("0-x"), of("0-99999999999999999999")),
            (None, None, None, None)
        );
        assert_eq!(reached(&HeaderMap::new()), None);
    }
}
