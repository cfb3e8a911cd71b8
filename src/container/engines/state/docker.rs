//! Docker, by the Engine API on its socket.

use std::path::PathBuf;

use serde::Deserialize;

use super::Said;
use crate::error::{Error, Result};
use crate::kernel::probe::engines;

/// The daemon, and one of the user's own, each at its socket; one that answers is
/// enough.
pub(super) fn ask(paths: &[PathBuf]) -> Result<Vec<Said>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        image: String,
        #[serde(default)]
        ports: Vec<Port>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct Port {
        #[serde(rename = "IP")]
        ip: String,
        private_port: u64,
        public_port: Option<u64>,
        r#type: String,
    }
    let sockets: Vec<_> = paths.iter().filter(|socket| socket.exists()).collect();
    let (mut all, mut failed) = (Vec::new(), None);
    for socket in sockets.iter().copied() {
        match engines::get::<Vec<Listed>>(socket, "/containers/json") {
            Ok(listed) => all.extend(listed),
            Err(error) if error.is(nix::errno::Errno::EACCES) => {
                failed = Some(Error::new("asking docker").said(engines::closed(socket)));
            }
            Err(error) => failed = Some(error),
        }
    }
    let none = || Error::new("asking docker").said("no socket of its daemon is to be seen");
    match (all.is_empty(), sockets.is_empty(), failed) {
        (true, true, _) => return Err(none()),
        (true, _, Some(error)) => return Err(error),
        _ => {}
    }
    let published = |port: &Port| {
        port.public_port
            .map(|outside| super::port(&port.ip, outside, port.private_port, &port.r#type))
    };
    let said = |listed: Listed| Said {
        name: listed.names.iter().find_map(|text| super::name(text.trim_start_matches('/'))),
        image: super::image(&listed.image),
        ports: listed.ports.iter().filter_map(published).collect(),
        id: listed.id,
    };
    Ok(all.into_iter().map(said).collect())
}
