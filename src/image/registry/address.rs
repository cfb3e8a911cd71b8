//! Where a registry is: mirrors first, HTTPS first.

use std::net::IpAddr;
use std::path::Path;

use reqwest::Url;

use super::Options;
use crate::error::{Error, Result};
use crate::image::reference::Name;

/// Where docker keeps the mirrors of Docker Hub.
const DOCKERS: &str = "/etc/docker/daemon.json";

/// Where a class says that it has a mirror of Docker Hub, for all its commands.
const MIRROR: &str = "UTH_MIRROR";

/// A registry that may have an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What credentials are kept under: `docker.io`, `localhost:5000`.
    pub host: String,
    /// Where it may answer: tried in this order.
    pub bases: Vec<Url>,
    /// Whether it only has copies.
    pub mirror: bool,
}

/// The registries to ask for an image, one after the other.
pub fn places(name: &Name, options: &Options) -> Result<Vec<Place>> {
    let mut mirrors = options.mirrors.clone();
    if mirrors.is_empty() && name.domain() == "docker.io" {
        mirrors = match std::env::var(MIRROR) {
            Ok(mirror) if !mirror.is_empty() => vec![mirror],
            _ => dockers(Path::new(DOCKERS)),
        };
    }
    let mut places = mirrors
        .iter()
        .map(|mirror| self::mirror(mirror, options.insecure))
        .collect::<Result<Vec<_>>>()?;
    places.push(own_place(name, options)?);
    Ok(places)
}

/// The registry that a name itself says.
pub fn own_place(name: &Name, options: &Options) -> Result<Place> {
    Ok(Place {
        host: name.domain().to_owned(),
        bases: bases(name.registry(), options.insecure)?,
        mirror: false,
    })
}

/// `HOST[:PORT]`, or with a scheme, which is then the only one tried.
fn mirror(text: &str, insecure: bool) -> Result<Place> {
    let wrong = |why: &str| {
        Error::usage(format!("{text:?} is no mirror"))
            .said(why)
            .hint("--mirror HOST[:PORT] or --mirror https://HOST[:PORT]")
    };
    let bases = match text.contains("://") {
        false => bases(text.trim_end_matches('/'), insecure).map_err(|_| wrong("it is no host"))?,
        true => {
            let url: Url = text.parse().map_err(|error| wrong(&format!("{error}")))?;
            let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
            if !bare || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                return Err(wrong("only scheme, host and port can be said"));
            }
            if url.scheme() == "http" && !insecure && !is_loopback(&url) {
                return Err(wrong("plain HTTP is for this machine only; --insecure allows it"));
            }
            vec![url]
        }
    };
    let host = bases.first().map(host_and_port).unwrap_or_default();
    Ok(Place { host, bases, mirror: true })
}

/// HTTPS; and HTTP for this machine, or where the reader says that it will do.
fn bases(host: &str, insecure: bool) -> Result<Vec<Url>> {
    let url = |scheme: &str| -> Result<Url> {
        format!("{scheme}://{host}/")
            .parse()
            .map_err(|error| Error::usage(format!("{host:?} is no host")).said(error))
    };
    let secure = url("https")?;
    match insecure || is_loopback(&secure) {
        true => Ok(vec![secure, url("http")?]),
        false => Ok(vec![secure]),
    }
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether it is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An address as it may be shown: what stands behind `?` can be a key to it.
pub fn shown(url: &Url) -> String {
    let host = host_and_port(url);
    let more = if url.query().is_some() { "?..." } else { "" };
    format!("{}://{host}{}{more}", url.scheme(), url.path())
}

/// `registry-mirrors` of docker's daemon, if it has that.
fn dockers(path: &Path) -> Vec<String> {
    let text = std::fs::read(path).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let mirrors = config["registry-mirrors"].as_array().cloned().unwrap_or_default();
    mirrors.iter().filter_map(|mirror| mirror.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, options: &Options) -> Vec<String> {
        let places = places(&name.parse().unwrap(), options).unwrap();
        places.iter().flat_map(|place| &place.bases).map(Url::to_string).collect()
    }

    #[test]
    fn https_first_and_http_for_this_machine_only() {
        let options = Options::default();
        assert_eq!(asked("quay.io/a", &options), ["https://quay.io/"]);
        for host in ["localhost:5000", "127.0.0.1:5000", "127.9.9.9:5000", "[::1]:5000"] {
            let both = [format!("https://{host}/"), format!("http://{host}/")];
            assert_eq!(asked(&format!("{host}/a"), &options), both);
        }
        for host in ["10.0.0.1:5000", "localhost.evil.example", "127.0.0.1.nip.io"] {
            assert_eq!(asked(&format!("{host}/a"), &options).len(), 1, "{host}");
        }
        let insecure = Options { insecure: true, ..Options::default() };
        assert_eq!(asked("quay.io/a", &insecure), ["https://quay.io/", "http://quay.io/"]);
    }

    #[test]
    fn mirrors_come_first_and_are_hosts() {
        let with =
            |mirror: &str| Options { mirrors: vec![mirror.to_owned()], ..Options::default() };
        assert_eq!(
            asked("quay.io/a", &with("http://127.0.0.1:5000/")),
            ["http://127.0.0.1:5000/", "https://quay.io/"]
        );
        assert_eq!(asked("quay.io/a", &with("mirror.gcr.io"))[0], "https://mirror.gcr.io/");
        for wrong in [
            "http://mirror.gcr.io",
            "ftp://x",
            "https://x/y",
            "https://u:p@x",
            "https://x?y",
            "",
            "a b",
            "file:///x",
        ] {
            let error = places(&"a".parse().unwrap(), &with(wrong)).unwrap_err();
            assert_eq!(error.exit.code(), 2, "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_has_neither_password_nor_signature() {
        let url: Url = "https://me:secret@cdn.example:444/blob?signature=secret".parse().unwrap();
        assert_eq!(shown(&url), "https://cdn.example:444/blob?...");
    }

    #[test]
    fn dockers_mirrors_are_read_where_docker_keeps_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("daemon.json");
        assert!(dockers(&path).is_empty());
        std::fs::write(&path, r#"{"registry-mirrors": ["https://mirror.example", 1]}"#).unwrap();
        assert_eq!(dockers(&path), ["https://mirror.example"]);
    }
}
