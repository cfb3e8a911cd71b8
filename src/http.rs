//! An HTTP client, for whoever needs one: the probe of the network, Alpine's
//! mirror, an image registry.
//!
//! It starts threads, and a process with threads can make no user namespace:
//! only a process that is about to end may make one (image/remote.rs).

use reqwest::blocking::{Client, ClientBuilder};

use crate::error::{Error, Result};

/// Set where a lesson is to do without the network altogether.
pub const OFFLINE: &str = "UTH_OFFLINE";

/// A client that trusts this machine's certificates; where there are none (a
/// minimal image), Mozilla's, which are compiled in. `with` sets what is
/// particular about it: time limits, say. A time limit of reqwest's blocking
/// client is for each wait (connecting, the answer's head, each read), not for the whole.
pub fn client(with: impl Fn(ClientBuilder) -> ClientBuilder) -> Result<Client> {
    if std::env::var_os(OFFLINE).is_some_and(|value| !value.is_empty()) {
        return Err(Error::new("asking the network")
            .said(format!("{OFFLINE} is set: what is not here is not fetched"))
            .hint(format!("`lesson --offline DIR` sets it; else `unset {OFFLINE}`.")));
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let name = concat!("under-the-hood/", env!("CARGO_PKG_VERSION"));
        with(Client::builder().user_agent(name))
    };
    builder()
        .build()
        .or_else(|_| {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
            let config = rustls::ClientConfig::builder()
                .with_root_certificates(roots.collect::<rustls::RootCertStore>())
                .with_no_client_auth();
            builder().tls_backend_preconfigured(config).build()
        })
        .map_err(|error| Error::new("setting up an HTTP client").said(deepest(&error)))
}

/// The innermost cause: the others only say that sending failed.
pub fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
