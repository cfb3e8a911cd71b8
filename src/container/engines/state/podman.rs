//! Podman, whose containers are whoever's asks; what others' say stands in their files.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use super::Said;
use crate::error::{Error, Result};
use crate::kernel::probe::program::said_by;

/// What `podman ps` lists; `usual`: where Podman keeps containers by itself.
pub(super) fn ask(client: &[String], usual: bool, until: Instant) -> Result<Vec<Said>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
        #[serde(default)]
        names: Option<Vec<String>>,
        #[serde(default)]
        image: String,
        #[serde(default)]
        ports: Option<Vec<Port>>,
    }
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Port {
        host_ip: String,
        host_port: u16,
        container_port: u16,
        protocol: String,
        /// How many ports there are in a row.
        range: u16,
    }
    // Where it has no containers yet, merely asking would make its directories.
    if usual && !storage().is_some_and(|directory| directory.exists()) {
        return Err(Error::new("asking podman")
            .said("it keeps no containers of yours where it keeps them by default"));
    }
    let text = said_by(client, &["ps", "--format", "json"], until)?;
    let listed: Vec<Listed> = serde_json::from_str(&text)
        .map_err(|error| Error::new("reading what `podman ps` says").said(error))?;
    let published = |p: &Port| {
        let of = |n| {
            let (outside, inside) = (u64::from(p.host_port), u64::from(p.container_port));
            super::port(&p.host_ip, outside + n, inside + n, &p.protocol)
        };
        (0..u64::from(p.range.max(1))).map(of).collect::<Vec<_>>()
    };
    let said = |listed: Listed| Said {
        name: listed.names.iter().flatten().find_map(|text| super::name(text)),
        image: super::image(&listed.image),
        ports: listed.ports.iter().flatten().flat_map(published).collect(),
        id: listed.id,
    };
    Ok(listed.into_iter().map(said).collect())
}

/// Where Podman keeps containers, ours as far as its defaults tell.
fn storage() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/containers/storage".into());
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    data.or_else(home).map(|data| data.join("containers/storage"))
}
