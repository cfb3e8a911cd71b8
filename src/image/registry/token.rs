//! Answering a challenge: with name and password, or with a token that they (or
//! nothing at all) buy at the realm.

use std::io::Read;

use reqwest::Url;
use reqwest::blocking::Response;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::address::shown;
use super::challenge::Challenge;
use super::credentials::{self, Found, Login};
use super::patience::{Failure, Patience};
use super::repository::Repository;
use super::request::{again, asking};
use crate::error::{Error, Result};
use crate::step::{Observer, Step};

/// No token is longer.
const LARGEST: u64 = 1 << 20;

impl Repository {
    /// What the registry is shown, once there is something.
    pub fn authorization(&self) -> Option<HeaderValue> {
        self.token.lock().ok()?.clone()
    }

    /// Gets what a registry wants to see; `shown` is what it was not content with.
    pub fn authorize(
        &self,
        headers: &HeaderMap,
        shown: Option<&HeaderValue>,
        observer: &mut dyn Observer,
    ) -> Result<(), Failure> {
        let mut token = self.token.lock().map_err(|_| Error::new("getting a token"))?;
        if token.as_ref() != shown {
            return Ok(()); // another thread was here first
        }
        let new = match Challenge::best(headers) {
            None => {
                return Err(Failure::from(
                    asking(&self.base)
                        .said("it answered 401 Unauthorized, and not what it wants to see")
                        .hint("That is not how a registry answers; something else may be listening there."),
                ));
            }
            Some(Challenge::Basic) => match self.login(observer) {
                Some(Found { login: Login::Password(user, password), .. }) => {
                    basic(user, password)?
                }
                _ => return Err(self.closed().into()),
            },
            Some(Challenge::Bearer { realm, service }) => {
                self.buy(&realm, service.as_deref(), observer)?
            }
        };
        match Some(&new) == shown {
            true => Err(self.closed().into()),
            false => {
                *token = Some(new);
                Ok(())
            }
        }
    }

    /// Name and password for this registry: looked for when they are needed first.
    fn login(&self, observer: &mut dyn Observer) -> Option<&Found> {
        let find = || {
            let repository = format!("{}/{}", self.host, self.path);
            credentials::find(&self.host, &repository, &mut |text| observer.note(text))
        };
        self.login.get_or_init(find).as_ref()
    }

    fn closed(&self) -> Error {
        asking(&self.base).said("it lets nobody in without a login").hint(self.who_are_you())
    }

    /// What to do about 401 and 403.
    pub fn who_are_you(&self) -> String {
        match self.login.get().and_then(Option::as_ref) {
            Some(found) if self.pushes() => {
                format!("The login from {} may not push there.", found.from)
            }
            None if self.pushes() => format!(
                "Pushing wants to know who you are: `docker login {}`, or --creds USER.",
                self.host
            ),
            Some(found) => format!(
                "It was asked with the login from {}, which it does not take for this image.",
                found.from
            ),
            None => format!(
                "There may be no such image; or it is private: `docker login {}`, or --creds USER.",
                self.host
            ),
        }
    }

    /// A token to read this repository (or to write to it), from the realm that the registry names.
    fn buy(
        &self,
        realm: &str,
        service: Option<&str>,
        observer: &mut dyn Observer,
    ) -> Result<HeaderValue, Failure> {
        let wrong = |said: String| {
            Failure::from(
                asking(&self.base).said(format!("its realm for tokens cannot be asked: {said}")),
            )
        };
        let mut url: Url = realm.parse().map_err(|_| wrong("it is no address".to_owned()))?;
        self.may_ask(&url).map_err(|why| wrong(format!("{}: {why}", shown(&url))))?;
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let login = self.login(observer).map(|found| found.login.clone());
        Patience::new().persist(observer, |patience, observer| {
            let limit = patience.limit();
            let answer = self.ask_realm(&url, service, login.as_ref(), limit, observer)?;
            let status = answer.status();
            if !status.is_success() {
                let error = asking(&url).said(format!("the server answered {status}"));
                let error = match status.as_u16() {
                    401 | 403 => error.hint(self.who_are_you()),
                    300..=399 => {
                        error.hint("A login is sent to the realm itself, and along no redirect.")
                    }
                    _ => error,
                };
                return Err(Failure { error, again: again(status, answer.headers()) });
            }
            token_of(answer).map_err(|said| {
                Failure::from(asking(&url).said(format!("it gave no token: {said}")))
            })
        })
    }

    fn ask_realm(
        &self,
        realm: &Url,
        service: Option<&str>,
        login: Option<&Login>,
        limit: std::time::Duration,
        observer: &mut dyn Observer,
    ) -> Result<Response, Failure> {
        let (mut url, mut form) = (realm.clone(), realm.clone());
        form.set_query(None);
        let all = self.scopes.join(" ");
        let mut pairs: Vec<(&str, &str)> = match login {
            Some(Login::Identity(_)) => vec![("scope", &all)],
            _ => self.scopes.iter().map(|scope| ("scope", scope.as_str())).collect(),
        };
        pairs.extend(service.map(|service| ("service", service)));
        let (asked, request) = match login {
            Some(Login::Identity(identity)) => {
                pairs.extend([("grant_type", "refresh_token"), ("client_id", "under-the-hood")]);
                pairs.push(("refresh_token", identity));
                form.query_pairs_mut().extend_pairs(&pairs);
                let body = form.query().unwrap_or_default().to_owned();
                let request = self.client.post(url.clone()).body(body);
                ("POST", request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"))
            }
            other => {
                url.query_pairs_mut().extend_pairs(&pairs);
                let request = self.client.get(url.clone());
                match other {
                    Some(Login::Password(user, password)) => {
                        ("GET", request.header(AUTHORIZATION, basic(user, password)?))
                    }
                    _ => ("GET", request),
                }
            }
        };
        let words: Vec<_> =
            service.map(|service| format!("service={service}")).into_iter().collect();
        let address = format!("{}?{}", shown(realm).trim_end_matches("?..."), {
            let scopes = self.scopes.iter().map(|scope| format!("scope={scope}"));
            words.into_iter().chain(scopes).collect::<Vec<_>>().join("&")
        });
        let why = match login {
            Some(_) => "your login buys a token that opens this one repository, for some minutes",
            None => "anybody may have a token that opens a public repository, for some minutes",
        };
        let user = match login {
            Some(Login::Password(user, _)) => format!("-u {user} "),
            _ => String::new(),
        };
        let address = address.replace(|c: char| c.is_control() || c == '"', "?");
        let step = Step::new(format!("{asked}(\"{address}\")"), why)
            .shell(format!("curl {user}'{address}'"));
        self.send(request.timeout(limit), limit, step, realm, observer)
    }
}

/// `Basic`: name and password, in base64, which hides nothing.
fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    sensitive(&format!("Basic {text}"))
}

fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::new("a token has characters in it that no header can have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token in a realm's answer, which has one of two names.
fn token_of(answer: Response) -> Result<HeaderValue, String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let mut bytes = Vec::new();
    answer.take(LARGEST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    // serde's own message could have a piece of it.
    let answer: Answer = serde_json::from_slice(&bytes)
        .map_err(|error| format!("line {} is not what a realm answers", error.line()))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or("there is none in its answer")?;
    sensitive(&format!("Bearer {token}")).map_err(|error| error.to_string())
}
