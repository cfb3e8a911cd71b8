//! A registry, spoken to as the OCI distribution specification has it:
//!
//! ```text
//! GET /v2/                             is this a registry, and whom does it let in?
//! GET /v2/NAME/manifests/TAG|DIGEST    an index or a manifest
//! GET /v2/NAME/blobs/DIGEST            a config or a layer, often somewhere else (307)
//!
//! HEAD  /v2/NAME/blobs/DIGEST          is it there already?
//! POST  /v2/NAME/blobs/uploads/        an upload begins; with ?mount=DIGEST&from=OTHER it may end here
//! PATCH LOCATION                       bytes, as many as get through
//! PUT   LOCATION?digest=DIGEST         that was all of it: it gets its name
//! PUT   /v2/NAME/manifests/TAG|DIGEST  when everything that it names is there
//! ```
//!
//! A registry that wants to know who asks answers 401 and says where a token is
//! to be had (`WWW-Authenticate: Bearer realm="..."`), for nothing or for a name
//! and a password ([`credentials`]).
//!
//! # Who gets credentials
//!
//! Name and password go to the registry that they are for, and, as docker,
//! containerd and skopeo do, to the realm that this registry itself names for
//! its tokens (Docker Hub's is auth.docker.io). The token goes to the registry
//! only. *Itself* means: at the same scheme, host and port; what a server answers to which we
//! were redirected counts for nothing. Nothing of it goes along a redirect to another
//! origin, to the `urls` of a layer, or over plain HTTP, except to this machine
//! (a loopback address) or with `--insecure`. Over HTTPS nobody is led to HTTP.
//!
//! # How long, how much
//!
//! Documents are 4 MiB at most, layers exactly what their manifest says. Each
//! wait ends after seven seconds; 429, 5xx and cut connections are tried again, with pauses
//! (or after as long as Retry-After says), as long as something comes: after
//! 18 seconds in which nearly nothing came it is given up.

mod address;
mod challenge;
mod contents;
pub mod credentials;
mod document;
mod exchange;
mod layer;
mod patience;
mod pull;
mod push;
mod repository;
mod request;
mod token;
mod upload;
mod workers;

pub use credentials::Login;
pub use pull::{Pulled, PulledLayer, Wanted, describe, documents, pull};
pub use push::{How, Pushed, PushedLayer, Pushing, describe as describe_push, push};

/// How registries are asked.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Plain HTTP, and certificates that nobody vouches for, are good enough.
    pub insecure: bool,
    /// Name and password; else those that docker and podman keep.
    pub login: Option<Login>,
    /// Registries to ask first.
    pub mirrors: Vec<String>,
    /// A registry that does not answer soon (3 seconds) is not waited for: there is something else.
    pub soon: bool,
}
