//! What an engine says of its own containers: names, images, ports. That they
//! are there, and which processes are theirs, is known from the kernel; an engine
//! is asked only for what the kernel cannot know, only where a container of it was
//! found, and all of them together for no longer than [`TOTAL`].

mod containerd;
mod docker;
mod files;
mod instances;
mod podman;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::reach::{self, Source};
use super::{Detective, Engine, Found};
use crate::error::{Error, Result};
use crate::kernel::probe::child;

/// How long an engine may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// How long all of them together may.
const TOTAL: Duration = Duration::from_secs(7);

/// A container by its engine's own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The id that the kernel shows, too; empty where the engine has names only.
    pub id: String,
    /// The name that it was given, or got.
    pub name: Option<String>,
    /// The image that it was started from, as it was typed.
    pub image: Option<String>,
    /// Ports of the host that lead to it: `0.0.0.0:8080->80/tcp`.
    pub ports: Vec<String>,
}

/// What all engines that were asked said.
#[derive(Debug, Default)]
pub struct Heard {
    said: HashMap<i32, Said>,
    /// Those that did not answer, or not so that it could be read.
    pub silent: Vec<(Engine, Error)>,
}

impl Heard {
    /// What was said of the container with this first process.
    pub fn of(&self, pid: i32) -> Option<&Said> {
        self.said.get(&pid)
    }

    /// Gives a container the name that its engine says it has.
    pub fn name(&self, pid: i32, found: &mut Found) {
        if found.name.is_none() {
            found.name = self.of(pid).and_then(|said| said.name.clone());
        }
    }

    /// For people: who did not answer, and why.
    pub fn silence(&self) -> Option<String> {
        let one = |(engine, error): &(Engine, Error)| {
            format!(
                "{} says nothing of its containers, names, images, ports: {error}.",
                engine.name()
            )
        };
        let all: Vec<_> = self.silent.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}

/// Asks the engines of these containers (each with its first process) for all that they say.
pub fn ask<'a>(found: impl Iterator<Item = (i32, &'a Found)>, detective: &mut Detective) -> Heard {
    let mut sources: BTreeMap<(Engine, Source), Vec<(i32, &Found)>> = BTreeMap::new();
    for (pid, found) in found {
        if let Some(source) = reach::source(detective, pid, found) {
            sources.entry((found.engine, source)).or_default().push((pid, found));
        }
    }
    let mut heard = Heard::default();
    let until = Instant::now() + TOTAL;
    for ((engine, source), containers) in sources {
        let what = format!("asking {}{}", engine.name(), whose(&source));
        let left = until.saturating_duration_since(Instant::now()).min(LIMIT);
        let answer = match left.is_zero() {
            true => Err(Error::new(&what).said("the others took all the time there was")),
            false => child::attempt(&what, left, || asked(engine, &source, &containers, left)),
        };
        match answer {
            Ok(said) => heard.said.extend(matched(said, &containers)),
            Err(error) => heard.silent.push((engine, error)),
        }
    }
    heard
}

/// Asks only those engines for whose containers the kernel has an id and no name.
pub fn ask_names<'a>(
    found: impl Iterator<Item = (i32, &'a Found)>,
    detective: &mut Detective,
) -> Heard {
    // To containerd the id is the name.
    let nameless = |found: &Found| {
        found.id.is_some() && found.name.is_none() && found.engine != Engine::Containerd
    };
    ask(found.filter(|(_, found)| nameless(found)), detective)
}

fn whose(source: &Source) -> String {
    match source {
        Source::Sockets { owner: Some(uid), .. } | Source::Storage { owner: uid, .. } => {
            format!(" of user {uid}")
        }
        _ => String::new(),
    }
}

/// What one source says; in a child process, which is given so much time.
fn asked(
    engine: Engine,
    source: &Source,
    containers: &[(i32, &Found)],
    limit: Duration,
) -> Result<Vec<Said>> {
    // A program of an engine's is ended a little sooner than this child.
    let until = Instant::now() + limit.mul_f32(0.85);
    let client = source.client(engine);
    match (engine, source) {
        (Engine::Docker, Source::Sockets { paths, .. }) => docker::ask(paths),
        (_, Source::Sockets { paths, .. }) => instances::ask(engine, paths),
        (Engine::Kubernetes, Source::Ctr(at)) => {
            let ids = containers.iter().filter_map(|(_, found)| found.id.as_deref());
            containerd::ask_pods(&client, at.as_deref(), ids, until)
        }
        (_, Source::Ctr(at)) => containerd::ask(&client, at.as_deref(), until),
        (_, Source::Podman(flags)) => podman::ask(&client, flags.is_empty(), until),
        (_, Source::Storage { directory, owner }) => files::podman(directory, *owner),
        (_, Source::Lxc { directory, owner }) => files::lxc(directory, *owner),
    }
}

/// What was said of each of these containers, by id, or by name where the engine has no ids.
fn matched(said: Vec<Said>, containers: &[(i32, &Found)]) -> Vec<(i32, Said)> {
    let is = |said: &Said, found: &Found| match said.id.as_str() {
        "" => said.name.is_some() && said.name == found.name,
        id => found.id.as_deref() == Some(id),
    };
    let of = |(pid, found): &(i32, &Found)| {
        Some((*pid, said.iter().find(|said| is(said, found))?.clone()))
    };
    containers.iter().filter_map(of).collect()
}

/// Names that engines allow; whatever else a socket says is not shown.
pub(super) fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (!text.is_empty() && text.len() <= 255 && text.chars().all(plain)).then(|| text.to_owned())
}

pub(super) fn image(text: &str) -> Option<String> {
    (!text.is_empty() && text != "-").then(|| text.escape_debug().to_string())
}

/// A port as `docker ps` shows it.
pub(super) fn port(host: &str, outside: u64, inside: u64, protocol: &str) -> String {
    let host = match host {
        "" => "0.0.0.0",
        host => host,
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{host}:{outside}->{inside}/{protocol}").escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_not_shown_as_one() {
        assert_eq!(name("web-1").as_deref(), Some("web-1"));
        for wrong in ["", "a\u{1b}[2J", "a b", "é"] {
            assert_eq!(name(wrong), None, "{wrong:?}");
        }
        assert_eq!(port("::", 8080, 80, "tcp"), "[::]:8080->80/tcp");
        assert_eq!(port("", 53, 53, "udp"), "0.0.0.0:53->53/udp");
    }

    #[test]
    fn an_answer_is_of_the_container_that_it_names() {
        let found = |engine, id: Option<&str>, name: Option<&str>| Found {
            engine,
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        let (a, b) =
            (found(Engine::Docker, Some("a1"), None), found(Engine::Lxd, None, Some("web")));
        let said = |id: &str, name: &str| Said {
            id: id.to_owned(),
            name: Some(name.to_owned()),
            ..Said::default()
        };
        let all = vec![said("a", "x"), said("a1", "y"), said("", "web")];
        let of = matched(all, &[(1, &a), (2, &b)]);
        assert_eq!(of, [(1, said("a1", "y")), (2, said("", "web"))]);
    }
}
