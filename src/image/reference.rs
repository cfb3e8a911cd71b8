//! What somebody types where an image is wanted: `httpd:2.4`, and where else an
//! image can be than in the store or a registry.
//!
//! Names are read as docker reads them: `httpd` is
//! `docker.io/library/httpd:latest`. The rest is as skopeo has it: `oci:DIR[:TAG]`,
//! `docker-archive:FILE[:NAME]`, `docker-daemon:NAME`. A plain path will do for the
//! first two: what lies there says itself what it is.

use std::fmt;
use std::path::{Path, PathBuf};
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

/// An image, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// In the store, and before that in a registry.
    Named(Name),
    /// In an OCI image layout: a directory, or a tar archive of one.
    Oci {
        /// The directory or archive.
        path: PathBuf,
        /// Which of its images: the name that its index.json has for it.
        tag: Option<String>,
    },
    /// In an archive as `docker save` writes it.
    DockerArchive {
        /// The archive.
        path: PathBuf,
        /// Which of its images.
        name: Option<Name>,
    },
    /// In docker's own store: its daemon is asked.
    DockerDaemon(String),
    /// At a path; what is there says what it is.
    Path(PathBuf),
}

/// The name of an image: `docker.io/library/httpd:2.4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((transport, rest)) = text.split_once(':')
            && let Some(reference) = in_transport(transport, rest)
        {
            return reference;
        }
        let named = text.parse();
        match looks_like_a_path(text, named.is_ok()) {
            true => Ok(Self::Path(text.into())),
            false => named.map(Self::Named),
        }
    }
}

/// `oci:` and the others; none if this is no transport but a name with a tag.
fn in_transport(transport: &str, rest: &str) -> Option<Result<Reference>> {
    let empty = |what: &str| {
        Err(Error::usage(format!("{transport}:{rest} names no {what}"))
            .hint("oci:DIR[:TAG], docker-archive:FILE[:NAME], docker-daemon:NAME."))
    };
    let (path, more) = match rest.split_once(':') {
        Some((path, more)) => (path, Some(more).filter(|more| !more.is_empty())),
        None => (rest, None),
    };
    Some(match transport {
        "oci" | "oci-archive" if path.is_empty() => empty("directory"),
        "oci" | "oci-archive" => {
            Ok(Reference::Oci { path: path.into(), tag: more.map(str::to_owned) })
        }
        "docker-archive" if path.is_empty() => empty("file"),
        "docker-archive" => more
            .map(str::parse)
            .transpose()
            .map(|name| Reference::DockerArchive { path: path.into(), name }),
        "docker-daemon" if rest.is_empty() => empty("image"),
        "docker-daemon" => daemons(rest).map(Reference::DockerDaemon),
        "docker" => rest.trim_start_matches("//").parse().map(Reference::Named),
        "dir" | "containers-storage" | "ostree" | "sif" => Err(Error::usage(format!(
            "{transport}: is a transport of skopeo's that this program does not read"
        ))
        .hint(format!("`skopeo copy {transport}:{rest} oci:DIR`, then oci:DIR."))),
        _ => return None,
    })
}

/// What a daemon is asked for becomes part of a request: a name, or an id.
fn daemons(text: &str) -> Result<String> {
    let id = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit()) && text.len() <= 64;
    match id(text.strip_prefix("sha256:").unwrap_or(text)) {
        true => Ok(text.to_owned()),
        false => text.parse::<Name>().map(|name| name.familiar()),
    }
}

/// A path is told by how it begins, by the ending of an archive, or by what is
/// there. A bare word stays a name, whatever lies in the working directory:
/// `run alpine` must not mean another image wherever somebody put a file `alpine`.
fn looks_like_a_path(text: &str, may_be_name: bool) -> bool {
    const ENDINGS: [&str; 6] = [".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.zst", ".aci"];
    let path = Path::new(text);
    let begins = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
    let ends = ENDINGS.iter().any(|ending| text.ends_with(ending));
    let layout = text.contains('/') && path.join("oci-layout").is_file();
    begins
        || text == "."
        || text == ".."
        || (ends && (path.exists() || !may_be_name))
        || layout
        || (!may_be_name && path.exists())
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

/// As it would be typed.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(&name.familiar()),
            Self::Oci { path, tag: None } => write!(f, "oci:{}", path.display()),
            Self::Oci { path, tag: Some(tag) } => write!(f, "oci:{}:{tag}", path.display()),
            Self::DockerArchive { path, name: None } => {
                write!(f, "docker-archive:{}", path.display())
            }
            Self::DockerArchive { path, name: Some(name) } => {
                write!(f, "docker-archive:{}:{}", path.display(), name.familiar())
            }
            Self::DockerDaemon(name) => write!(f, "docker-daemon:{name}"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (typed, canonical, familiar) in [
            ("httpd", "docker.io/library/httpd:latest", "httpd:latest"),
            ("httpd:2.4", "docker.io/library/httpd:2.4", "httpd:2.4"),
            ("docker.io/httpd", "docker.io/library/httpd:latest", "httpd:latest"),
            ("index.docker.io/library/httpd", "docker.io/library/httpd:latest", "httpd:latest"),
            ("team/app:1", "docker.io/team/app:1", "team/app:1"),
            ("library/app", "docker.io/library/app:latest", "app:latest"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
            (
                "127.0.0.1:5000/library/httpd:2.4",
                "127.0.0.1:5000/library/httpd:2.4",
                "127.0.0.1:5000/library/httpd:2.4",
            ),
            ("[::1]:5000/a/b", "[::1]:5000/a/b:latest", "[::1]:5000/a/b:latest"),
            (
                "quay.io/a/b.c/d__e-f--g:V1",
                "quay.io/a/b.c/d__e-f--g:V1",
                "quay.io/a/b.c/d__e-f--g:V1",
            ),
            ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
            ("base", "localhost/under-the-hood/base:latest", "base"),
            ("localhost/under-the-hood/base", "localhost/under-the-hood/base:latest", "base"),
        ] {
            let name = name(typed);
            assert_eq!((name.to_string(), name.familiar()), (canonical.into(), familiar.into()));
            assert_eq!(canonical.parse::<Name>().unwrap().to_string(), canonical);
        }
        let pinned = name(&format!("httpd@{SUM}"));
        assert_eq!(pinned.to_string(), format!("docker.io/library/httpd@{SUM}"));
        assert_eq!((pinned.tag(), pinned.wanted()), (None, SUM.to_owned()));
        let both = name(&format!("httpd:2.4@{SUM}"));
        assert_eq!((both.tag(), both.wanted()), (Some("2.4"), SUM.to_owned()));
        assert_eq!(both.registry(), "registry-1.docker.io");
        assert!(
            name("base").is_base() && name("base:1").is_local() && !name("library/base").is_local()
        );
    }

    #[test]
    fn what_docker_refuses_is_refused_with_a_remedy() {
        let (long, tag) = ("a".repeat(256), "t".repeat(129));
        for typed in [
            "",
            ":",
            "@",
            "/",
            "a/",
            "/a:",
            "a//b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a._b",
            "a b",
            "ä",
            "HTTPD",
            "a:",
            "a:-x",
            "a:.x",
            "a:b c",
            "a:b/c:",
            "a@",
            "a@sha256:1",
            "a@md5:00",
            "a:1@2:3",
            "x.y/",
            "host:99999/a",
            "host:x/a",
            "-host.com/a",
            "[::g]/a",
            "host..com/a",
            &SUM[7..],
            "a\n",
            "a:\u{1b}[31m",
            "https://docker.io/httpd",
            &long,
            &format!("a:{tag}"),
        ] {
            let error = typed.parse::<Name>().expect_err(typed);
            assert_eq!(error.exit.code(), 2, "{typed}");
            assert!(
                error.hint.is_some() && !error.to_string().contains(['\u{1b}', '\n']),
                "{typed}"
            );
        }
        let hint = "HTTPD".parse::<Name>().unwrap_err().hint.unwrap();
        assert!(hint.contains("`httpd`"));
    }

    #[test]
    fn transports_are_skopeos() {
        let reference = |text: &str| text.parse::<Reference>();
        assert_eq!(
            reference("oci:dir:localhost/x:1").unwrap(),
            Reference::Oci { path: "dir".into(), tag: Some("localhost/x:1".to_owned()) }
        );
        assert_eq!(
            reference("oci:/a/b").unwrap(),
            Reference::Oci { path: "/a/b".into(), tag: None }
        );
        assert_eq!(
            reference("docker-archive:x.tar:httpd:2").unwrap(),
            Reference::DockerArchive { path: "x.tar".into(), name: Some(name("httpd:2")) }
        );
        assert_eq!(
            reference("docker-daemon:x").unwrap(),
            Reference::DockerDaemon("x:latest".into())
        );
        assert_eq!(
            reference("docker-daemon:abc123").unwrap(),
            Reference::DockerDaemon("abc123".into())
        );
        assert_eq!(reference("docker://httpd").unwrap(), Reference::Named(name("httpd")));
        for wrong in
            ["oci:", "docker-archive:", "docker-daemon:", "docker-daemon:../x", "dir:x", "oci::t"]
        {
            assert_eq!(reference(wrong).unwrap_err().exit.code(), 2, "{wrong}");
        }
        for text in ["oci:d:t", "docker-archive:f", "docker-daemon:x:1", "./p", "httpd:2", "base"] {
            assert_eq!(reference(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_path_is_a_path_and_a_bare_word_is_a_name() {
        for path in ["/tmp", "./x", "../x", ".", "Cargo.toml", "src", "/no/such"] {
            let found = path.parse::<Reference>().unwrap();
            // `src` and `cargo.toml` would do as names.
            let expected = !matches!(path, "src");
            assert_eq!(found == Reference::Path(path.into()), expected, "{path}");
        }
        assert!(matches!("no-such.tar".parse::<Reference>(), Ok(Reference::Named(_))));
    }
}
