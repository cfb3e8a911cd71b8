//! The name of an image, read as docker reads it.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::image::oci::Digest;

/// Where docker looks when a name does not say where.
const DEFAULT_DOMAIN: &str = "docker.io";

/// The other name of the same place.
const OLD_DEFAULT_DOMAIN: &str = "index.docker.io";

/// The name space on docker.io of what has none.
const OFFICIAL: &str = "library/";

/// Bytes of a name without domain, tag and digest.
const MOST_NAME: usize = 255;

/// Characters of a tag.
const MOST_TAG: usize = 128;

/// The base image: made here, never pulled.
pub const BASE: &str = "localhost/under-the-hood/base";

/// The name of an image: `docker.io/library/httpd:2.4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl FromStr for Name {
    type Err = Error;

    /// `[DOMAIN/]PATH[:TAG][@DIGEST]`, as distribution/reference has it; `base` is ours.
    fn from_str(text: &str) -> Result<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (
                rest,
                Some(digest.parse().map_err(|error: Error| error.exit(crate::error::Exit::Usage))?),
            ),
            None => (text, None),
        };
        let (rest, tag) = match rest.rsplit_once(':') {
            Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag.to_owned())),
            _ => (rest, None),
        };
        if let Some(tag) = &tag {
            check_tag(text, tag)?;
        }
        let rest = if rest == "base" { BASE } else { rest };
        let (domain, path) = split_domain(rest);
        let domain = if domain == OLD_DEFAULT_DOMAIN { DEFAULT_DOMAIN } else { domain };
        let official = domain == DEFAULT_DOMAIN && !path.contains('/');
        let path = if official { format!("{OFFICIAL}{path}") } else { path.to_owned() };
        check_domain(text, domain)?;
        check_path(text, path.strip_prefix(OFFICIAL).filter(|_| official).unwrap_or(&path))?;
        if path.len() > MOST_NAME {
            return Err(wrong(text, &format!("it is longer than {MOST_NAME} bytes"), ""));
        }
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }
}

/// The first part is a domain if it looks like one.
fn split_domain(rest: &str) -> (&str, &str) {
    match rest.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':', '[']) || first == "localhost" || has_capital(first) =>
        {
            (first, path)
        }
        _ => (DEFAULT_DOMAIN, rest),
    }
}

fn has_capital(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_uppercase())
}

impl Name {
    /// The host that it is named after: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The host (and port) that answers for it.
    pub fn registry(&self) -> &str {
        if self.domain == DEFAULT_DOMAIN { "registry-1.docker.io" } else { &self.domain }
    }

    /// Its name at that host: `library/httpd`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `docker.io/library/httpd`
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Its tag; `latest` if it has neither tag nor digest.
    pub fn tag(&self) -> Option<&str> {
        let latest = self.digest.is_none().then_some("latest");
        self.tag.as_deref().or(latest)
    }

    /// Its digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What a registry is asked for: the digest if there is one, else the tag.
    pub fn wanted(&self) -> String {
        match (&self.digest, self.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        }
    }

    /// The same repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        check_tag(&self.familiar(), tag)?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// Whether it is the base image.
    pub fn is_base(&self) -> bool {
        self.repository() == BASE
    }

    /// Whether it is made on this machine only: no registry is ever asked for it.
    pub fn is_local(&self) -> bool {
        self.domain == "localhost" && self.path.starts_with("under-the-hood/")
    }

    /// As short as docker shows it: `httpd:2.4`.
    pub fn familiar(&self) -> String {
        if self.is_base() && self.tag() == Some("latest") {
            return "base".to_owned();
        }
        let name = match self.domain.as_str() {
            DEFAULT_DOMAIN => {
                let short = self.path.strip_prefix(OFFICIAL).filter(|short| !short.contains('/'));
                short.unwrap_or(&self.path).to_owned()
            }
            _ => self.repository(),
        };
        name + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

/// The canonical form: `docker.io/library/httpd:2.4`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.repository(), self.suffix())
    }
}

fn wrong(text: &str, why: &str, hint: &str) -> Error {
    let shown: String = text.chars().take(300).collect();
    let hint = if hint.is_empty() {
        "A name is [HOST[:PORT]/]NAME[:TAG][@DIGEST], as in httpd, rockylinux:8 or \
         localhost:5000/team/app:1.2."
    } else {
        hint
    };
    Error::usage(format!("{shown:?} is not the name of an image")).said(why).hint(hint)
}

fn check_tag(text: &str, tag: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good = tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
        && tag.len() <= MOST_TAG;
    match good {
        true => Ok(()),
        false => Err(wrong(
            text,
            &format!("{:?} is no tag", tag.chars().take(140).collect::<String>()),
            "A tag has letters, digits, _ . and -, begins with none of the last two, and has 128 \
             characters at most.",
        )),
    }
}

/// `registry.example:5000`, `[::1]:5000`.
fn check_domain(text: &str, domain: &str) -> Result<()> {
    let bad = |why: &str| Err(wrong(text, &format!("{domain:?} is no host: {why}"), ""));
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (None, port),
            _ => return bad("this is no IPv6 address"),
        },
        None => match domain.find(':') {
            Some(at) => (Some(&domain[..at]), &domain[at..]),
            None => (Some(domain), ""),
        },
    };
    if !port.is_empty() {
        let digits = &port[1..];
        let number = digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok();
        if !port.starts_with(':') || !number {
            return bad("its port is no number up to 65535");
        }
    }
    let label = |label: &str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match host.is_none_or(|host| host.split('.').all(label)) {
        true => Ok(()),
        false => bad("its parts have letters, digits and - between dots"),
    }
}

/// Lower-case letters and digits, between them single `.`, `_`, `__` or any number of `-`.
fn check_path(text: &str, path: &str) -> Result<()> {
    if path.is_empty() {
        return Err(wrong(text, "it is empty", ""));
    }
    if has_capital(path) {
        let small = text.replace(path, &path.to_ascii_lowercase());
        return Err(wrong(
            text,
            "names of images have small letters only",
            &format!("`{small}`, or for a path ./{text}."),
        ));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let separators = part.split(|c: char| c.is_ascii() && plain(c as u8));
        let separated = separators.filter(|run| !run.is_empty());
        part.bytes().next().is_some_and(plain) && part.bytes().last().is_some_and(plain) && {
            separated
        }
        .all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
    };
    if let Some(bad) = path.split('/').find(|one| !part(one)) {
        let why =
            format!("{bad:?} has something in it that a name cannot have, or in the wrong place");
        return Err(wrong(text, &why, ""));
    }
    if path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong(text, "64 hexadecimal digits are an id, not a name", ""));
    }
    Ok(())
}
