//! Which containers of ours are running: one small file each in the run
//! directory, written when the container starts and removed when it ends.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::container::kept;
use crate::container::passwd::User;
use crate::container::scope;
use crate::container::spec::{NetworkKind, Rights, Spec};
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::kernel::limits::Limit;
use crate::kernel::netlink::nft::Forward;
use crate::kernel::op::literal;
use crate::kernel::pidfd::start_time;

/// A running container that `run` started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// `--name`, or the id.
    pub name: String,
    /// Within which its name is unique: the run of a lesson, see [`scope`].
    #[serde(default)]
    pub scope: Option<String>,
    /// Its first process, as the host sees it.
    pub pid: i32,
    /// When that process started: field 22 of /proc/PID/stat, in clock ticks since boot.
    pub start: u64,
    /// The process that is its parent and monitor (the shim).
    pub shim: i32,
    /// What it was made from.
    pub image: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Its host name.
    pub hostname: String,
    /// The environment that its processes start with, `NAME=value`.
    pub env: Vec<String>,
    /// What it may do, and with it what `exec` starts in it.
    #[serde(default)]
    pub rights: Rights,
    /// Who its first process is: whom `exec` starts others as.
    #[serde(default)]
    pub user: User,
    /// What each of its processes may use at most.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// How gladly the kernel kills them, if somebody said.
    #[serde(default)]
    pub oom_score: Option<i32>,
    /// Where its first process starts, and others do.
    #[serde(default = "root_directory")]
    pub workdir: String,
    /// The signal that asks it to end; SIGTERM without one.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    /// The key of its root file system, which must stay while it is there.
    #[serde(default)]
    pub rootfs: String,
    /// When it was made, in seconds since the epoch.
    pub created: u64,
    /// Its address on the bridge.
    #[serde(default)]
    pub address: Option<String>,
    /// Ports of the host that lead into it.
    #[serde(default)]
    pub ports: Vec<Forward>,
}

fn root_directory() -> String {
    "/".to_owned()
}

impl Container {
    /// Whether its first process is still the one that was written down.
    pub fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.start)
    }
}

/// The directory of the records (made and checked if need be).
pub fn directory() -> Result<PathBuf> {
    home::open(Place::Run, "containers")
}

/// Where the record of a container is.
pub fn path(id: &str) -> Result<PathBuf> {
    Ok(home::path(Place::Run)?.join("containers").join(format!("{id}.json")))
}

/// Where what a container in the background writes goes, while it runs and if
/// it is not kept.
pub fn log(id: &str) -> Result<PathBuf> {
    Ok(path(id)?.with_extension("log"))
}

/// Where the names are that a container on the bridge finds in its /etc/hosts.
pub fn hosts(id: &str) -> Result<PathBuf> {
    Ok(path(id)?.with_extension("hosts"))
}

/// The record of a container that is about to be made, for the plan: its pid
/// and start time, and its shim, are slots still.
pub fn record(spec: &Spec) -> String {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let container = Container {
        id: spec.id.clone(),
        name: spec.name.clone(),
        scope: spec.scope.clone(),
        pid: 0,
        start: 0,
        shim: 0,
        image: spec.image.clone(),
        command: spec.process.command.clone(),
        hostname: spec.hostname.clone(),
        env: spec.process.env.clone(),
        user: spec.process.user.clone(),
        workdir: spec.process.workdir.clone(),
        limits: spec.process.limits.clone(),
        stop_signal: spec.stop_signal,
        rootfs: spec.rootfs.key.clone(),
        oom_score: spec.process.oom_score,
        rights: spec.process.rights.clone(),
        created: now.as_secs(),
        address: (spec.network.kind == NetworkKind::Bridge).then(|| "$address".to_owned()),
        ports: spec.network.forwards.clone(),
    };
    let mut record = serde_json::json!(container);
    let known_later = ["pid", "start", "shim"];
    for key in known_later {
        record[key] = format!("${key}").into();
    }
    // Only these are numbers to come; a `$pid` in somebody's command is not.
    let record = known_later.iter().fold(literal(&record.to_string()), |record, key| {
        record.replace(&format!(r#""{key}":"$${key}""#), &format!(r#""{key}":${key}"#))
    });
    record.replace(r#""address":"$$address""#, r#""address":"$address""#)
}

/// Keeps everybody else from starting a container until it is dropped, so that
/// a name that was free still is.
pub fn lock() -> Result<fs::File> {
    let directory = directory()?;
    let file = fs::File::open(&directory).tried(|| format!("open({directory:?})"))?;
    let exclusive = rustix::fs::FlockOperation::LockExclusive;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, exclusive))
        .tried(|| format!("flock({directory:?})"))?;
    Ok(file)
}

/// Every container of ours that is running; makes nothing, reads only.
pub fn list() -> Result<Vec<Container>> {
    let Some(directory) = home::find(Place::Run, "containers")? else { return Ok(Vec::new()) };
    let entries = fs::read_dir(&directory).tried(|| format!("opendir({directory:?})"))?;
    let mut containers = Vec::new();
    for entry in entries {
        let path = entry.tried(|| format!("readdir({directory:?})"))?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let Ok(text) = fs::read(&path) else { continue }; // it ended meanwhile
        if let Ok(container) = serde_json::from_slice::<Container>(&text)
            && container.alive()
        {
            containers.push(container);
        }
    }
    containers.sort_by_key(|container| (container.created, container.id.clone()));
    Ok(containers)
}

/// The container with this name, or whose id starts like this.
pub fn find(target: &str) -> Result<Container> {
    find_in(target, scope::own().as_deref())
}

/// The same for somebody in that scope.
pub fn find_in(target: &str, scope: Option<&str>) -> Result<Container> {
    let mut all = list()?;
    if let Some(index) = choose(all.iter(), target, scope)? {
        return Ok(all.swap_remove(index));
    }
    let error = Error::new(format!("no container {target} is running"));
    Err(match all.as_slice() {
        _ if kept::find(target).is_ok() => error.hint(format!(
            "It has ended, and is kept: `under-the-hood logs {target}` shows what it wrote in the background, \
             `under-the-hood rm {target}` removes it."
        )),
        [] => error.hint(
            "None of ours is running; start one with `under-the-hood run -d --name box base sleep 600`.",
        ),
        some => error.hint(format!("Running: {}.", names(some.iter(), scope))),
    })
}

/// Their names, for people in that scope: of others the id, too, which is what they go by.
pub fn names<'a>(containers: impl Iterator<Item = &'a Container>, own: Option<&str>) -> String {
    let name = |container: &Container| match container.scope.as_deref() == own {
        true => container.name.clone(),
        false => scope::described(container),
    };
    containers.map(name).collect::<Vec<_>>().join(", ")
}

/// Which of them is called this by somebody in that scope, or has an id that starts like this.
pub fn choose<'a>(
    containers: impl Iterator<Item = &'a Container> + Clone,
    target: &str,
    scope: Option<&str>,
) -> Result<Option<usize>> {
    if let Some(named) = scope::named(containers.clone(), target, scope)? {
        return Ok(Some(named));
    }
    let starts = |container: &Container| !target.is_empty() && container.id.starts_with(target);
    let mut matching = containers.enumerate().filter(|(_, container)| starts(container));
    match (matching.next(), matching.next()) {
        (Some((_, one)), Some((_, other))) => Err(Error::usage(format!(
            "{target} is the beginning of more than one id: {} ({}), {} ({})",
            one.id, one.name, other.id, other.name
        ))),
        (one, _) => Ok(one.map(|(index, _)| index)),
    }
}
