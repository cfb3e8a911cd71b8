//! A layer, from a registry into the store: taken up where it was cut.

use std::io::{Read, Write};

use reqwest::header::CONTENT_RANGE;
use reqwest::{StatusCode, Url};

use super::patience::{Failure, Patience};
use super::repository::Repository;
use super::request::{Ask, asking};
use crate::error::Error;
use crate::http::deepest;
use crate::image::oci::Descriptor;
use crate::image::store::{Entry, Lease, Writer};
use crate::step::Observer;

/// Why a layer is asked for.
pub const LAYER: &str = "a layer: files, in an archive, mostly compressed";

/// Bytes between two reports of progress.
const REPORT: u64 = 1 << 20;

impl Repository {
    /// Fetches a layer; whether it was here already.
    pub fn layer(
        &self,
        descriptor: &Descriptor,
        lease: &Lease,
        observer: &mut dyn Observer,
    ) -> Result<bool, Failure> {
        let label = descriptor.digest.short();
        let mut writer = match lease.enter(descriptor)? {
            Entry::Here => {
                observer.note(&format!("{label}: Already exists"));
                return Ok(true);
            }
            Entry::New(writer) => writer,
        };
        let from_before = writer.have() > 0;
        if from_before {
            observer.note(&format!("{label}: {} bytes are here from before", writer.have()));
        }
        self.fill(&mut writer, observer)?;
        let mut finished = writer.finish(observer);
        if let (Err(_), true, Entry::New(mut anew)) =
            (&finished, from_before, lease.enter(descriptor)?)
        {
            // Perhaps what was here from before was wrong, not what came.
            self.fill(&mut anew, observer)?;
            finished = anew.finish(observer);
        }
        finished.map_err(Failure::lie)?;
        observer.note(&format!("{label}: Pull complete"));
        Ok(false)
    }

    /// All bytes that are not here yet.
    fn fill(&self, writer: &mut Writer, observer: &mut dyn Observer) -> Result<(), Failure> {
        let descriptor = writer.descriptor().clone();
        let label = descriptor.digest.short();
        let mut sources = vec![self.address(&format!("blobs/{}", descriptor.digest))?];
        // Layers that may not be handed on are somewhere else; the registry has the first word.
        let elsewhere = descriptor.urls.iter().filter_map(|url| url.parse().ok());
        sources.extend(elsewhere.filter(|url| self.may_ask(url).is_ok()));
        let mut furthest = writer.have();
        let last = sources.len() - 1;
        for (at, url) in sources.iter().enumerate() {
            let result = Patience::new().persist(observer, |patience, observer| {
                match writer.have() == descriptor.size {
                    true => Ok(()),
                    false => self.some(url, writer, &mut furthest, patience, observer),
                }
            });
            observer.progress_over(label);
            match result {
                Err(failure) if at < last => {
                    observer.note(&format!("{}; trying another address.", failure.error))
                }
                other => return other,
            }
        }
        Ok(())
    }

    /// One request, for what is missing.
    fn some(
        &self,
        url: &Url,
        writer: &mut Writer,
        furthest: &mut u64,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        self.goes_on()?;
        let from = writer.have();
        let ask = Ask { url: url.clone(), accept: None, from, limit: None, why: LAYER };
        let mut answer = self.get(&ask, observer)?;
        let size = writer.descriptor().size;
        let lie =
            |said: String| Failure::lie(asking(url).said(said).hint("Nothing of it is kept."));
        let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if from > 0 => {
                if !range.is_some_and(|range| range.starts_with(&format!("bytes {from}-"))) {
                    return Err(lie(
                        "it answered with another part than the one asked for".to_owned()
                    ));
                }
            }
            StatusCode::OK if from > 0 => writer.restart()?,
            StatusCode::OK => {}
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(lie(format!(
                    "it has no byte after {from}, and there should be {size}"
                )));
            }
            status => return Err(lie(format!("it answered {status} to a request for a layer"))),
        }
        let missing = size - writer.have();
        if let Some(length) = answer.content_length().filter(|length| *length != missing) {
            return Err(lie(format!("it has {length} bytes, and the manifest says {missing}")));
        }
        self.pour(&mut answer, url, writer, furthest, patience, observer)
    }

    fn pour(
        &self,
        answer: &mut impl Read,
        url: &Url,
        writer: &mut Writer,
        furthest: &mut u64,
        patience: &mut Patience,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let (size, label) =
            (writer.descriptor().size, writer.descriptor().digest.short().to_owned());
        let cut = |said: String| {
            let error = asking(url).said(said);
            Failure::soon(
                error.hint("What came so far is kept: the same command goes on from there."),
            )
        };
        let mut buffer = vec![0; 256 << 10];
        let mut reported = None;
        loop {
            let have = writer.have();
            if reported.is_none_or(|before| have - before >= REPORT) || have == size {
                observer.progress(&label, have, size);
                reported = Some(have);
            }
            let count = match answer.read(&mut buffer) {
                Ok(0) if have == size => return Ok(()),
                Ok(0) => return Err(cut(format!("it was cut off after {have} of {size} bytes"))),
                Ok(count) => count,
                Err(error) => {
                    let why = deepest(&error);
                    return Err(cut(format!("it was cut off after {have} of {size} bytes: {why}")));
                }
            };
            if count as u64 > size - have {
                let error = asking(url)
                    .said(format!("it goes on after the {size} bytes that it should have"));
                return Err(Failure::lie(error.hint("Nothing of it is kept.")));
            }
            self.goes_on()?;
            writer.write_all(&buffer[..count]).map_err(|error| writer.failed(&error))?;
            let new = writer.have().saturating_sub(*furthest);
            *furthest += new;
            if !patience.came(new) {
                let error: Error = asking(url).said(format!(
                    "it is too slow: {} of {size} bytes came, and next to nothing in the last seconds",
                    writer.have()
                ));
                return Err(Failure::from(
                    error.hint("What came so far is kept: try again later, or a --mirror."),
                ));
            }
        }
    }
}
