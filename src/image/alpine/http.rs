//! An HTTP client. It starts threads: only a process that is about to end may
//! make one.

use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};

use crate::error::{Error, Result};

/// For connecting, and for each answer that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that trusts this machine's certificates; where there are none (a
/// minimal image), Mozilla's, which are compiled in.
pub fn client() -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || -> ClientBuilder {
        Client::builder()
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE)
            .user_agent(concat!("under-the-hood/", env!("CARGO_PKG_VERSION")))
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
