//! LXD and Incus: the same API, on a socket each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Engine, Said, image, name};
use crate::error::{Error, Result};
use crate::kernel::probe::engines;

#[derive(Deserialize)]
struct Answer {
    metadata: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    name: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    expanded_devices: BTreeMap<String, BTreeMap<String, String>>,
}

/// Every instance, at the first socket that there is.
pub(super) fn ask(engine: Engine, paths: &[PathBuf]) -> Result<Vec<Said>> {
    let what = || format!("asking {}", engine.name());
    let Some(socket) = paths.iter().find(|socket| socket.exists()) else {
        return Err(Error::new(what()).said("no socket of its daemon is to be seen"));
    };
    let answer = engines::get::<Answer>(socket, "/1.0/instances?recursion=1");
    let answer = answer.map_err(|error| match error.is(nix::errno::Errno::EACCES) {
        true => Error::new(what()).said(engines::closed(socket)),
        false => error,
    })?;
    Ok(answer.metadata.iter().map(said).collect())
}

fn said(instance: &Instance) -> Said {
    // A proxy device is what the others call a published port.
    let proxies = instance.expanded_devices.values();
    let proxies = proxies.filter(|device| device.get("type").is_some_and(|kind| kind == "proxy"));
    let port = |device: &BTreeMap<String, String>| {
        let (protocol, listen) = device.get("listen")?.split_once(':')?;
        let (_, inside) = device.get("connect")?.rsplit_once(':')?;
        Some(format!("{listen}->{inside}/{protocol}").escape_debug().to_string())
    };
    let described = instance.config.get("image.description");
    Said {
        id: String::new(),
        name: name(&instance.name),
        image: described.and_then(|text| image(text)),
        ports: proxies.filter_map(port).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_a_name_an_image_and_proxies() {
        let answer: Answer = serde_json::from_str(
            r#"{"type": "sync", "status_code": 200, "metadata": [{"name": "web", "status": "Running",
            "config": {"image.description": "Debian bookworm amd64", "volatile.eth0.name": "eth0"},
            "expanded_devices": {"eth0": {"type": "nic"},
              "http": {"type": "proxy", "listen": "tcp:0.0.0.0:8080", "connect": "tcp:127.0.0.1:80"}}}]}"#,
        )
        .expect("an answer");
        let said = said(&answer.metadata[0]);
        assert_eq!(said.name.as_deref(), Some("web"));
        assert_eq!(said.image.as_deref(), Some("Debian bookworm amd64"));
        assert_eq!(said.ports, ["0.0.0.0:8080->80/tcp"]);
    }
}
