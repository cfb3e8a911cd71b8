//! One repository of one registry: found, and asked for its documents.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::blocking::Client;
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url, redirect};

use super::Options;
use super::address::{Place, is_loopback, own_place, places};
use super::credentials::Found;
use super::patience::{Again, EACH, Failure, Patience};
use super::request::{Ask, again, asking};
use crate::error::{Error, Result};
use crate::http;
use crate::image::reference::Name;
use crate::step::Observer;

/// On this machine a handshake takes no time: a server that speaks only plain
/// HTTP may sit there and wait for the end of a line.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Why a registry is asked for nothing in particular.
pub const PING: &str = "is this a registry, and does it want to know who asks?";

/// A repository at the registry that answers for it.
pub struct Repository {
    pub(super) client: Client,
    pub(super) base: Url,
    /// Its name there.
    pub(super) path: String,
    /// What its credentials are kept under.
    pub(super) host: String,
    pub(super) insecure: bool,
    pub(super) login: OnceLock<Option<Found>>,
    pub(super) token: Mutex<Option<HeaderValue>>,
    /// What a token is to open: `repository:NAME:pull`.
    pub(super) scopes: Vec<String>,
    /// How long it may take to answer at all.
    first: Duration,
    /// One of the threads that fetch has failed: the others need not go on.
    stopped: AtomicBool,
}

impl Repository {
    /// The first registry that answers, and has it as far as `has` can tell.
    pub fn find<T>(
        name: &Name,
        options: &Options,
        observer: &mut dyn Observer,
        has: impl Fn(&Self, &mut dyn Observer) -> Result<T>,
    ) -> Result<(Self, T)> {
        let places = places(name, options)?;
        for (at, place) in places.iter().enumerate() {
            let scopes = vec![format!("repository:{}:pull", name.path())];
            let found = Self::at(place, name, options, scopes, observer)
                .and_then(|repository| has(&repository, observer).map(|had| (repository, had)));
            match found {
                Err(error) if at + 1 < places.len() => {
                    observer
                        .note(&format!("The mirror {}: {error}. Asking the next one.", place.host));
                }
                other => return other,
            }
        }
        Err(Error::new(format!("there is no registry to ask for {}", name.familiar())))
    }

    /// Where something is to be put: at the registry itself, whatever mirrors there are. What
    /// lies in `others`, repositories of the same registry, may be read.
    pub fn to_push(
        name: &Name,
        options: &Options,
        others: &[&str],
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let other = |path: &&str| format!("repository:{path}:pull");
        let mut scopes = vec![format!("repository:{}:pull,push", name.path())];
        scopes.extend(others.iter().map(other));
        Self::at(&own_place(name, options)?, name, options, scopes, observer)
    }

    /// Whether it is there to be written to.
    pub(super) fn pushes(&self) -> bool {
        self.scopes.first().is_some_and(|scope| scope.ends_with(",push"))
    }

    /// The repository in this place, over HTTPS or, where that is allowed, HTTP.
    fn at(
        place: &Place,
        name: &Name,
        options: &Options,
        scopes: Vec<String>,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let mut errors: Vec<Error> = Vec::new();
        for base in &place.bases {
            let login = options.login.clone().filter(|_| !place.mirror);
            let login = login.map(|login| Some(Found { login, from: "--creds".to_owned() }));
            let quick = options.soon || (is_loopback(base) && base.scheme() == "https");
            let repository = Self {
                first: if quick { HANDSHAKE } else { EACH },
                client: client(base, options.insecure)?,
                base: base.clone(),
                path: name.path().to_owned(),
                host: place.host.clone(),
                insecure: options.insecure,
                login: login.map_or_else(OnceLock::new, OnceLock::from),
                token: Mutex::default(),
                scopes: scopes.clone(),
                stopped: AtomicBool::new(false),
            };
            match repository.ping(observer) {
                Ok(()) => return Ok(repository),
                Err(failure) if failure.again == Again::Soon => errors.push(failure.error),
                Err(failure) => return Err(failure.error),
            }
        }
        match errors.as_slice() {
            [https, http] => Err(Error {
                said: Some(format!("over HTTPS: {}; over HTTP: {}", said(https), said(http))),
                tried: format!("asking the registry {}", place.host),
                ..http.clone()
            }),
            _ => Err(errors.pop().unwrap_or_else(|| Error::new("there is no address to ask"))),
        }
    }

    /// Whether a registry is there. Where none listens, asking again has no use.
    fn ping(&self, observer: &mut dyn Observer) -> Result<(), Failure> {
        let url = self.address("")?;
        Patience::new().persist(observer, |_, observer| {
            let limit = self.first;
            let ask =
                Ask { url: url.clone(), accept: None, from: 0, limit: Some(limit), why: PING };
            let request = self.client.get(url.clone()).timeout(limit);
            let answer = self.send(request, limit, ask.step(&url, false), &url, observer);
            // Not reached at all: the next way in may do, and this one will not.
            let answer = match answer {
                Err(failure) => return Ok(Err(failure)),
                Ok(answer) => answer,
            };
            match answer.status() {
                StatusCode::UNAUTHORIZED => Ok(self.authorize(answer.headers(), None, observer)),
                status => match again(status, answer.headers()) {
                    // What else it answers there matters little: some have no such page.
                    Again::No => Ok(Ok(())),
                    again => {
                        let error = asking(&url).said(format!("the server answered {status}"));
                        Err(Failure { error, again })
                    }
                },
            }
        })?
    }

    /// What is going on need not go on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Nothing, unless it was stopped.
    pub(super) fn goes_on(&self) -> Result<()> {
        match self.stopped.load(Ordering::Relaxed) {
            true => Err(Error::new("another layer failed")),
            false => Ok(()),
        }
    }

    /// `/v2/NAME/...`, or the root of the protocol.
    pub(super) fn address(&self, what: &str) -> Result<Url> {
        let path = match what {
            "" => "v2/".to_owned(),
            what => format!("v2/{}/{what}", self.path),
        };
        self.base.join(&path).map_err(|error| Error::new(format!("asking for {path}")).said(error))
    }
}

fn said(error: &Error) -> &str {
    error.said.as_deref().unwrap_or(&error.tried)
}

/// Redirects are followed by hand, and this machine is not reached by a proxy.
fn client(base: &Url, insecure: bool) -> Result<Client> {
    http::client(|with| {
        let with = with.connect_timeout(EACH).timeout(EACH).redirect(redirect::Policy::none());
        let with = with.tls_danger_accept_invalid_certs(insecure);
        if is_loopback(base) { with.no_proxy() } else { with }
    })
}
