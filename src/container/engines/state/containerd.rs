//! containerd, by its client `ctr`: in all of its namespaces, of which Docker's and
//! Kubernetes' are others' business.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;

use super::{Said, image, name};
use crate::error::{Error, Result};
use crate::kernel::probe::engines;
use crate::kernel::probe::program::said_by;

/// Kubernetes' namespace in containerd.
const PODS: &str = "k8s.io";

/// How many containers of Kubernetes' are asked for one by one.
const MOST: usize = 200;

/// Every container that it keeps.
pub(super) fn ask(client: &[String], at: Option<&Path>, until: Instant) -> Result<Vec<Said>> {
    there(at)?;
    let namespaces = said_by(client, &["namespaces", "ls", "-q"], until)?;
    let mut all = Vec::new();
    for namespace in namespaces.lines().filter(|namespace| !["moby", PODS].contains(namespace)) {
        all.extend(listed(client, namespace, until)?);
    }
    Ok(all)
}

/// Containers of pods: the kubelet has written on each of which pod it is.
pub(super) fn ask_pods<'a>(
    client: &[String],
    at: Option<&Path>,
    ids: impl Iterator<Item = &'a str>,
    until: Instant,
) -> Result<Vec<Said>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Info {
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }
    there(at)?;
    let mut all = listed(client, PODS, until)?;
    for id in ids.take(MOST) {
        let Some(said) = all.iter_mut().find(|said| said.id == id) else { continue };
        let text = said_by(client, &["-n", PODS, "containers", "info", id], until)?;
        let Info { labels } = serde_json::from_str(&text)
            .map_err(|error| Error::new("reading what `ctr containers info` says").said(error))?;
        let label = |key: &str| name(labels.get(&format!("io.kubernetes.{key}"))?);
        let pod = label("pod.namespace").zip(label("pod.name"));
        // The sandbox, which holds the pod's namespaces, is no container of its own.
        let container = label("container.name").unwrap_or_else(|| "sandbox".to_owned());
        said.name = pod.map(|(namespace, pod)| format!("{namespace}/{pod}/{container}"));
    }
    Ok(all)
}

fn there(at: Option<&Path>) -> Result<()> {
    let usual = || {
        std::env::var_os("CONTAINERD_ADDRESS").is_some()
            || engines::sockets(engines::Engine::Containerd).iter().any(|socket| socket.exists())
    };
    match at.map_or_else(usual, Path::exists) {
        true => Ok(()),
        false => Err(Error::new("asking containerd").said("its socket is not to be seen")),
    }
}

fn listed(client: &[String], namespace: &str, until: Instant) -> Result<Vec<Said>> {
    let list = said_by(client, &["-n", namespace, "containers", "ls"], until)?;
    let said = |line: &str| {
        let mut words = line.split_whitespace();
        let id = words.next()?;
        let image = words.next().and_then(image);
        Some(Said { id: id.to_owned(), name: name(id), image, ports: Vec::new() })
    };
    Ok(list.lines().skip(1).filter_map(said).collect())
}
