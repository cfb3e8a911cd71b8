//! What somebody types where an image is wanted: `httpd:2.4`, and where else an
//! image can be than in the store or a registry.
//!
//! Names are read as docker reads them: `httpd` is
//! `docker.io/library/httpd:latest`. The rest is as skopeo has it: `oci:DIR[:TAG]`,
//! `docker-archive:FILE[:NAME]`, `docker-daemon:NAME`. A plain path will do for the
//! first two: what lies there says itself what it is.

mod name;
#[cfg(test)]
mod tests;

pub use name::{BASE, Name};

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

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
