//! Container engines on this machine: installed, running, and whether their
//! containers' processes are on this kernel. Behind Docker Desktop's socket is
//! a virtual machine: `docker ps` works, but no lesson can look underneath.

mod docker;
mod version;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

pub use super::Engine;
use super::{COMMAND, Verdict, child, identity, install, tools};
use crate::error::{Context, Error, Result};
use crate::kernel::process::Users;
use docker::Docker;

const LIMIT: Duration = Duration::from_secs(3);

/// How an engine was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Neither a program nor a socket.
    Absent,
    /// Its program is there, and it has no daemon.
    Ready,
    /// Its daemon answers, and its processes are on this kernel.
    Here,
    /// Its daemon answers, but its processes are somewhere else.
    Elsewhere(String),
    /// Something answers that we may not ask.
    Closed(String),
    /// Its program is there, its daemon does not answer.
    Stopped(String),
}

/// One engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub engine: Engine,
    /// Its program.
    pub program: Option<PathBuf>,
    /// Its version, by its daemon's word or its program's.
    pub version: Option<String>,
    /// Where it listens, or keeps its containers.
    pub place: Option<PathBuf>,
    /// How it is.
    pub state: State,
}

/// Looks for an engine, and asks its daemon, if it has one, whether its
/// containers are here.
pub fn look(engine: Engine, proc: &Path) -> Found {
    let (programs, daemon): (&[&str], Option<&str>) = match engine {
        Engine::Docker => (&["docker", "dockerd"], Some("dockerd")),
        Engine::Containerd => (&["ctr", "containerd"], Some("containerd")),
        Engine::Podman => (&["podman"], None),
        Engine::Lxc => (&["lxc-start"], None),
        Engine::Lxd => (&["lxd"], Some("lxd")),
        Engine::Incus => (&["incus", "incusd"], Some("incusd")),
        Engine::Nspawn => (&["systemd-nspawn"], None),
        Engine::Bwrap => (&["bwrap"], None),
    };
    let program = programs.iter().find_map(|name| tools::find_anywhere(name));
    let socket = sockets(engine).into_iter().find(|path| path.exists());
    let mut version = None;
    let state = match (&program, &socket, daemon) {
        (_, Some(socket), Some(daemon)) => ask(engine, socket, daemon, proc, &mut version),
        (None, ..) => State::Absent,
        (_, None, Some(daemon)) if runs(proc, daemon) => {
            State::Closed(format!("{daemon} runs, but no socket of it is to be seen"))
        }
        (_, None, Some(daemon)) => State::Stopped(format!("{daemon} has no socket")),
        (Some(_), _, None) => State::Ready,
    };
    let version = version.or_else(|| version::of(engine, program.as_deref()?));
    let place = socket.or_else(|| version::directory(engine).filter(|_| program.is_some()));
    Found { engine, program, version, place, state }
}

/// Where an engine listens, the more particular first.
pub fn sockets(engine: Engine) -> Vec<PathBuf> {
    let from = |variable: &str, path: &str| {
        let directory = std::env::var_os(variable).map(PathBuf::from)?;
        directory.is_absolute().then(|| directory.join(path))
    };
    let fixed = |path: &str| Some(PathBuf::from(path));
    let places = match engine {
        Engine::Docker => {
            let host = std::env::var("DOCKER_HOST").ok();
            if let Some(path) = host.as_deref().and_then(|host| host.strip_prefix("unix://")) {
                return vec![path.into()];
            }
            vec![
                fixed("/var/run/docker.sock"),
                from("XDG_RUNTIME_DIR", "docker.sock"),
                from("HOME", ".docker/desktop/docker.sock"),
                from("HOME", ".docker/run/docker.sock"),
            ]
        }
        Engine::Containerd => match std::env::var_os("CONTAINERD_ADDRESS") {
            // As ctr(8) reads it, with or without the scheme.
            Some(address) => {
                let path = address.to_string_lossy();
                return vec![path.strip_prefix("unix://").unwrap_or(&path).into()];
            }
            None => vec![fixed("/run/containerd/containerd.sock")],
        },
        Engine::Lxd => {
            vec![
                from("LXD_DIR", "unix.socket"),
                fixed("/var/snap/lxd/common/lxd/unix.socket"),
                fixed("/var/lib/lxd/unix.socket"),
            ]
        }
        Engine::Incus => {
            vec![from("INCUS_DIR", "unix.socket"), fixed("/var/lib/incus/unix.socket")]
        }
        Engine::Podman | Engine::Lxc | Engine::Nspawn | Engine::Bwrap => Vec::new(),
    };
    places.into_iter().flatten().collect()
}

fn ask(
    engine: Engine,
    socket: &Path,
    daemon: &str,
    proc: &Path,
    version: &mut Option<String>,
) -> State {
    let asked = match engine {
        Engine::Docker => child::attempt("asking docker", LIMIT, || docker::ask(socket)),
        Engine::Lxd | Engine::Incus => {
            let asked =
                || version::of_api(socket).map(|version| Docker { version, ..Docker::default() });
            child::attempt("asking", LIMIT, asked)
        }
        _ => child::attempt("connecting", LIMIT, || connect(socket).map(|_| Docker::default())),
    };
    let visible = runs(proc, daemon);
    *version = asked.as_ref().ok().and_then(|docker| version::plain(&docker.version));
    match asked {
        Ok(docker) if engine == Engine::Docker => {
            let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
            docker.judge(&kernel, visible, |pid, id| holds(proc, pid, id))
        }
        Ok(_) if visible => State::Here,
        Ok(_) => State::Elsewhere(format!("no process {daemon} is on this side of its socket")),
        Err(error) if error.is(nix::errno::Errno::EACCES) => State::Closed(closed(socket)),
        Err(error) => State::Stopped(error.to_string()),
    }
}

/// Whom a socket that we may not write to is open to.
pub fn closed(socket: &Path) -> String {
    let said = format!("{} is closed to you", socket.display());
    let Ok(stat) = fs::metadata(socket) else { return said };
    match stat.mode() & 0o020 != 0 && stat.gid() != 0 {
        false => said,
        // group(5) begins as passwd(5) does.
        true => {
            let group = Users::read(Path::new("/etc/group")).name(stat.gid());
            format!(
                "{said}: it is for root and the group {group}, whose members can become root by it \
                 (`sudo usermod -aG {group} USER`, and a new login)"
            )
        }
    }
}

/// One question to an HTTP server on a socket. HTTP/1.0, so that the answer
/// ends with the connection and needs no parsing of chunks. It waits for as long as
/// the other side likes: ask it in a child ([`child::attempt`]).
pub fn get<T: for<'a> Deserialize<'a>>(socket: &Path, path: &str) -> Result<T> {
    let call = || format!("GET {path} at {}", socket.display());
    let mut stream = connect(socket)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n");
    stream.write_all(request.as_bytes()).tried(call)?;
    let mut answer = Vec::new();
    stream.take(4 << 20).read_to_end(&mut answer).tried(call)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(Error::new(call()).said(format!("it answered {status:?}")));
    }
    serde_json::from_str(body).map_err(|error| Error::new(call()).said(error))
}

fn connect(socket: &Path) -> Result<UnixStream> {
    UnixStream::connect(socket).tried(|| format!("connect({socket:?})"))
}

/// Whether a process of this name is in this /proc.
fn runs(proc: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(proc) else { return false };
    let is = |path: PathBuf| fs::read_to_string(path.join("comm")).is_ok_and(|c| c.trim() == name);
    entries.flatten().any(|entry| is(entry.path()))
}

/// Whether this pid is a process of that container here: its cgroup or its
/// mounts carry the container's id (a pid alone could be anybody's).
fn holds(proc: &Path, pid: i32, id: &str) -> bool {
    let process = proc.join(pid.to_string());
    ["cgroup", "mountinfo", "cpuset"]
        .iter()
        .any(|file| fs::read_to_string(process.join(file)).is_ok_and(|text| text.contains(id)))
}

impl Found {
    /// The verdict on the need `engine:NAME`.
    pub fn check(&self, os: &tools::OsRelease) -> Verdict {
        let name = self.engine.name();
        match &self.state {
            State::Ready | State::Here => Verdict::Met,
            State::Absent => {
                let reason = format!("{name} is not installed");
                let program = if self.engine == Engine::Nspawn { "systemd-nspawn" } else { name };
                match install::here(self.engine, os).or_else(|| tools::install(program, os)) {
                    Some(command) => Verdict::fixable(reason, command),
                    None => Verdict::missing(reason),
                }
            }
            State::Elsewhere(reason) => Verdict::missing(format!("{name}: {reason}")),
            State::Closed(reason) => {
                Verdict::fixable(format!("{name}: {reason}"), identity::sudo_hint(COMMAND))
            }
            State::Stopped(reason) => {
                let daemon = match self.engine {
                    Engine::Docker => "dockerd",
                    Engine::Incus => "incusd",
                    _ => name,
                };
                let there = tools::find_anywhere(daemon).is_some();
                let start = if !there && let Some(command) = install::here(self.engine, os) {
                    command
                } else if Path::new("/run/systemd/system").exists() {
                    identity::privileged(&format!("systemctl start {name}"))
                } else {
                    format!("{} &", identity::privileged(daemon))
                };
                Verdict::fixable(format!("{name} does not run: {reason}"), start)
            }
        }
    }

    /// For people: `running, its processes are on this kernel; /usr/bin/docker`.
    pub fn described(&self) -> String {
        let state = match &self.state {
            State::Absent => return "not installed".to_owned(),
            State::Ready => "installed, needs no daemon",
            State::Here => "running, its processes are on this kernel",
            State::Elsewhere(_) => "running, but not on this kernel",
            State::Closed(_) => "running, closed to you",
            State::Stopped(_) => "not running",
        };
        let version = self.version.as_ref().map(|version| format!("version {version}"));
        let paths = [&self.program, &self.place].into_iter().flatten();
        let paths = paths.map(|path| path.display().to_string());
        let parts = std::iter::once(state.to_owned()).chain(version).chain(paths);
        parts.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    const ID: &str = "4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c";

    /// A socket that answers as a daemon in a virtual machine would.
    #[test]
    fn a_daemon_whose_pids_are_not_here_is_elsewhere() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).expect("bind");
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let server = std::thread::spawn(move || {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().expect("accept");
                let mut request = [0; 1024];
                let length = stream.read(&mut request).expect("read");
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let body = if request.starts_with("GET /info") {
                    format!(r#"{{"OperatingSystem":"Docker Desktop","KernelVersion":"{kernel}"}}"#)
                } else if request.starts_with("GET /containers/json") {
                    format!(r#"[{{"Id":"{ID}"}}]"#)
                } else {
                    r#"{"State":{"Pid":1}}"#.to_owned() // somebody's pid, but not that container's
                };
                let answer = format!("HTTP/1.0 200 OK\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).expect("write");
            }
        });
        let state = ask(Engine::Docker, &socket, "dockerd", Path::new("/proc"), &mut None);
        server.join().expect("join");
        assert!(
            matches!(&state, State::Elsewhere(reason) if reason.starts_with("Docker Desktop: its container")),
            "{state:?}"
        );
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_a_stopped_daemon() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("docker.sock");
        drop(UnixListener::bind(&socket).expect("bind"));
        let state = ask(Engine::Docker, &socket, "dockerd", Path::new("/proc"), &mut None);
        assert!(matches!(state, State::Stopped(_)), "{state:?}");
    }
}
