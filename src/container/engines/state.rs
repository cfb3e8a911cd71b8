//! What an engine says of its own containers: names, images, ports. That they
//! are there, and which processes are theirs, is known from the kernel; an engine
//! is asked only for what the kernel cannot know, only where a container of it was
//! found, and never for longer than [`LIMIT`].

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::{Engine, Found};
use crate::error::{Context, Error, Result};
use crate::kernel::probe::{child, engines};

/// How long an engine may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// A program of an engine's is ended a little sooner than the child that started it.
const SOONER: Duration = Duration::from_millis(2500);

/// What a program of an engine's may print.
const MOST: usize = 4 << 20;

/// A container by its engine's own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The id that the kernel shows, too.
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
    said: Vec<(Engine, Said)>,
    /// Those that did not answer, or not so that it could be read.
    pub silent: Vec<(Engine, Error)>,
}

impl Heard {
    /// What was said of a container.
    pub fn of(&self, found: &Found) -> Option<&Said> {
        let id = found.id.as_ref()?;
        let same = |(engine, said): &&(Engine, Said)| *engine == found.engine && said.id == *id;
        self.said.iter().find(same).map(|(_, said)| said)
    }

    /// Gives a container the name that its engine says it has.
    pub fn name(&self, found: &mut Found) {
        if found.name.is_none() {
            found.name = self.of(found).and_then(|said| said.name.clone());
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

/// Asks the engines of these containers for all that they say.
pub fn ask<'a>(found: impl Iterator<Item = &'a Found>) -> Heard {
    heard(found.map(|found| found.engine).collect())
}

/// Asks only those engines for whose containers the kernel has an id and no name.
pub fn ask_names<'a>(found: impl Iterator<Item = &'a Found>) -> Heard {
    let nameless = found.filter(|found| found.id.is_some() && found.name.is_none());
    // To containerd the id is the name.
    heard(nameless.map(|f| f.engine).filter(|engine| *engine != Engine::Containerd).collect())
}

fn heard(engines: BTreeSet<Engine>) -> Heard {
    let mut heard = Heard::default();
    for engine in engines {
        let asking = match engine {
            Engine::Docker => docker,
            Engine::Containerd => containerd,
            Engine::Podman => podman,
            // The kernel shows their names, and they keep nothing else.
            _ => continue,
        };
        let what = format!("asking {}", engine.name());
        match child::attempt(&what, LIMIT, asking) {
            Ok(said) => heard.said.extend(said.into_iter().map(|said| (engine, said))),
            Err(error) => heard.silent.push((engine, error)),
        }
    }
    heard
}

/// Names that engines allow; whatever else a socket says is not shown.
fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (!text.is_empty() && text.len() <= 255 && text.chars().all(plain)).then(|| text.to_owned())
}

fn image(text: &str) -> Option<String> {
    (!text.is_empty() && text != "-").then(|| text.escape_debug().to_string())
}

/// A port as `docker ps` shows it.
fn port(host: &str, outside: u64, inside: u64, protocol: &str) -> String {
    let host = match host {
        "" => "0.0.0.0",
        host => host,
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{host}:{outside}->{inside}/{protocol}").escape_debug().to_string()
}

/// The daemon, and one of the user's own, each at its socket; one that answers is
/// enough. Not those of other users: root does not take a user's word, nor wait for it.
fn docker() -> Result<Vec<Said>> {
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
    let mut sockets = engines::sockets(engines::Engine::Docker);
    sockets.retain(|socket| socket.exists());
    let (mut all, mut failed) = (Vec::new(), None);
    for socket in &sockets {
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
            .map(|outside| self::port(&port.ip, outside, port.private_port, &port.r#type))
    };
    let said = |listed: Listed| Said {
        name: listed.names.iter().find_map(|text| name(text.trim_start_matches('/'))),
        image: image(&listed.image),
        ports: listed.ports.iter().filter_map(published).collect(),
        id: listed.id,
    };
    Ok(all.into_iter().map(said).collect())
}

/// containerd, in all of its namespaces but Docker's own.
fn containerd() -> Result<Vec<Said>> {
    let until = Instant::now() + SOONER;
    let sockets = engines::sockets(engines::Engine::Containerd);
    if std::env::var_os("CONTAINERD_ADDRESS").is_none() && !sockets.iter().any(|s| s.exists()) {
        return Err(Error::new("asking containerd").said("its socket is not to be seen"));
    }
    let namespaces = said_by(&["ctr", "namespaces", "ls", "-q"], until)?;
    let mut all = Vec::new();
    for namespace in namespaces.lines().filter(|namespace| *namespace != "moby") {
        let list = said_by(&["ctr", "-n", namespace, "containers", "ls"], until)?;
        for line in list.lines().skip(1) {
            let mut words = line.split_whitespace();
            let Some(id) = words.next() else { continue };
            let image = words.next().and_then(image);
            all.push(Said { id: id.to_owned(), name: name(id), image, ports: Vec::new() });
        }
    }
    Ok(all)
}

/// Podman, whose containers are whoever's asks; of others' their monitors have the name.
fn podman() -> Result<Vec<Said>> {
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
        host_port: u64,
        container_port: u64,
        protocol: String,
    }
    // Where it has no containers yet, merely asking would make its directories.
    if !storage().is_some_and(|directory| directory.exists()) {
        return Err(Error::new("asking podman")
            .said("it keeps no containers of yours where it keeps them by default"));
    }
    let text = said_by(&["podman", "ps", "--format", "json"], Instant::now() + SOONER)?;
    let listed: Vec<Listed> = serde_json::from_str(&text)
        .map_err(|error| Error::new("reading what `podman ps` says").said(error))?;
    let published = |p: &Port| self::port(&p.host_ip, p.host_port, p.container_port, &p.protocol);
    let said = |listed: Listed| Said {
        name: listed.names.iter().flatten().find_map(|text| name(text)),
        image: image(&listed.image),
        ports: listed.ports.iter().flatten().map(published).collect(),
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

/// What a program prints, if it ends in time and well; else it is ended.
fn said_by(argv: &[&str], until: Instant) -> Result<String> {
    let call = || argv.join(" ");
    let (program, arguments) = argv.split_first().ok_or_else(|| Error::new("no program"))?;
    let mut child = Command::new(Path::new(program))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .tried(call)?;
    let mut pipe = child.stdout.take().ok_or_else(|| Error::new(call()))?;
    let read = read_until(&mut pipe, until);
    if !matches!(read, Ok(Some(_))) {
        let _ = child.kill();
    }
    let status = child.wait().tried(call)?;
    match read.tried(call)? {
        None => Err(Error::new(call()).said("it did not end in time")),
        Some(_) if !status.success() => Err(Error::new(call()).said(status)),
        Some(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
    }
}

/// All of it, or none if it takes too long, or is too much.
fn read_until(pipe: &mut (impl Read + AsFd), until: Instant) -> std::io::Result<Option<Vec<u8>>> {
    let (mut text, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], limit.as_ref()) {
            Ok(0) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        match pipe.read(&mut buffer)? {
            0 => return Ok(Some(text)),
            length => text.extend_from_slice(&buffer[..length]),
        }
        if text.len() > MOST {
            return Ok(None);
        }
    }
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
    fn a_program_that_does_not_end_is_ended() {
        let start = Instant::now();
        let error = said_by(&["sleep", "60"], start + Duration::from_millis(100));
        assert_eq!(error.expect_err("too slow").said.as_deref(), Some("it did not end in time"));
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(said_by(&["false"], start + SOONER).is_err());
        assert_eq!(said_by(&["echo", "x"], start + SOONER).as_deref(), Ok("x\n"));
    }
}
