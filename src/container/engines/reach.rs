//! How an engine is reached: which socket, which directory, and how its own client is
//! called so that it asks the same one.
//!
//! The monitor of a container knows best: its command line names the socket or the
//! directories of the very engine that started it. A command line is whatever a process
//! says of itself, though: only what root or we ourselves started, outside every
//! container, is believed so far that a program is called with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Detective, Engine, Found, ancestors};
use crate::kernel::namespace::{Kind, of_process};
use crate::kernel::probe::engines as probe;

/// Who can tell something of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A daemon that speaks HTTP (Docker, LXD, Incus), at the first of these that answers;
    /// `owner`: whose daemon it is, where it is another user's.
    Sockets {
        /// Where it may listen.
        paths: Vec<PathBuf>,
        /// Another user.
        owner: Option<u32>,
    },
    /// containerd, by `ctr`, at this socket or at the one that it takes by itself.
    Ctr(Option<PathBuf>),
    /// Podman, with these directories or with those that it takes by itself.
    Podman(Vec<String>),
    /// What Podman of another user has written down in this directory.
    Storage {
        /// `…/containers/storage/overlay-containers`
        directory: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// The directory of an LXC container, and whose it is.
    Lxc {
        /// `/var/lib/lxc/web`
        directory: PathBuf,
        /// Whose.
        owner: u32,
    },
}

impl Source {
    /// The words that each command line of the engine's own client begins with.
    pub fn client(&self, engine: Engine) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut words = vec![match self {
            Self::Ctr(_) => "ctr".to_owned(),
            _ => program(engine).to_owned(),
        }];
        match self {
            Self::Sockets { paths, .. } if engine == Engine::Docker => {
                let there = paths.iter().find(|path| path.exists());
                words.extend(there.map(|at| format!("--host=unix://{}", at.display())));
            }
            Self::Ctr(Some(at)) => words.extend(["-a".to_owned(), path(at)]),
            Self::Podman(flags) => words.extend(flags.iter().cloned()),
            _ => {}
        }
        words
    }
}

/// The client that an engine's users type.
pub fn program(engine: Engine) -> &'static str {
    match engine {
        Engine::Containerd => "ctr",
        Engine::Kubernetes => "crictl",
        Engine::Lxc => "lxc-info",
        Engine::Lxd => "lxc",
        Engine::Nspawn => "machinectl",
        engine => engine.name(),
    }
}

/// Where to ask when no container says more: the places that the engine uses by itself.
pub fn usual(engine: Engine) -> Option<Source> {
    let sockets = |engine| Source::Sockets { paths: probe::sockets(engine), owner: None };
    match engine {
        Engine::Docker => Some(sockets(probe::Engine::Docker)),
        Engine::Lxd => Some(sockets(probe::Engine::Lxd)),
        Engine::Incus => Some(sockets(probe::Engine::Incus)),
        Engine::Containerd | Engine::Kubernetes => Some(Source::Ctr(None)),
        Engine::Podman => Some(Source::Podman(Vec::new())),
        _ => None,
    }
}

/// A container's monitor: who it runs as, and what its command line says.
struct Monitor {
    uid: u32,
    arguments: Vec<String>,
    /// It is no process inside of a container.
    outside: bool,
}

/// Who can be asked of this container, whose first process is `pid`.
pub fn source(detective: &mut Detective, pid: i32, found: &Found) -> Option<Source> {
    let usual = usual(found.engine);
    let us = rustix::process::geteuid().as_raw();
    let Some(monitor) = monitor(detective, pid, found.engine) else { return usual };
    let ours = monitor.uid == us;
    match found.engine {
        Engine::Docker if !ours && monitor.uid != 0 => {
            let socket = PathBuf::from(format!("/run/user/{}/docker.sock", monitor.uid));
            Some(Source::Sockets { paths: vec![socket], owner: Some(monitor.uid) })
        }
        Engine::Containerd | Engine::Kubernetes => {
            let trusted = monitor.outside && (ours || monitor.uid == 0);
            let at = monitor.after("-address").filter(|_| trusted).map(PathBuf::from);
            match (at, found.engine) {
                (None, Engine::Kubernetes) if monitor.is("conmon") => None,
                (at, _) => Some(Source::Ctr(at.filter(|at| at.is_absolute()))),
            }
        }
        Engine::Podman if !ours => {
            let bundle = PathBuf::from(monitor.after("-b")?);
            let directory = bundle.ancestors().nth(2).filter(|_| monitor.outside)?;
            Some(Source::Storage { directory: directory.to_owned(), owner: monitor.uid })
        }
        Engine::Podman if monitor.outside => Some(Source::Podman(monitor.podman_flags())),
        Engine::Lxc if monitor.outside => {
            let (directory, name) = ancestors::lxc_title(&monitor.arguments)?;
            let plain = !name.is_empty() && !name.contains('/') && name != "..";
            let directory = Path::new(directory).join(name);
            (plain && directory.is_absolute())
                .then_some(Source::Lxc { directory, owner: monitor.uid })
        }
        _ => usual,
    }
}

fn monitor(detective: &mut Detective, pid: i32, engine: Engine) -> Option<Monitor> {
    let chain = detective.chain(pid);
    let at = chain.into_iter().find(|at| {
        let found = detective.monitor(*at);
        found.is_some_and(|found| found.engine == engine)
    })?;
    let uid = detective.brief(at)?.uid;
    let arguments = detective.arguments_of(at).to_vec();
    let ids = of_process(detective.proc(), at).unwrap_or_default();
    let hosts = |kind| detective.host().ids.get(kind) == ids.get(kind);
    Some(Monitor { uid, arguments, outside: hosts(Kind::Pid) })
}

impl Monitor {
    fn is(&self, program: &str) -> bool {
        let first = self.arguments.first();
        first.is_some_and(|path| path.rsplit('/').next() == Some(program))
    }

    fn after(&self, flag: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == flag)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    /// conmon is told how to clean up after its container: by which `podman`, with which
    /// directories. Each word of that stands after an `--exit-command-arg`.
    fn podman_flags(&self) -> Vec<String> {
        const FLAGS: [&str; 4] = ["--root", "--runroot", "--tmpdir", "--storage-driver"];
        let told = self.arguments.windows(2).filter(|two| two[0] == "--exit-command-arg");
        let told: Vec<_> = told.map(|two| two[1].as_str()).collect();
        let known: BTreeSet<_> = FLAGS.into_iter().collect();
        let pairs = told.windows(2).filter(|two| known.contains(two[0]) && !two[1].is_empty());
        pairs.flat_map(|two| two.iter().map(|word| (*word).to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(line: &str) -> Monitor {
        let arguments = line.split('|').map(str::to_owned).collect();
        Monitor { uid: 0, arguments, outside: true }
    }

    #[test]
    fn conmon_says_which_podman_started_it() {
        let conmon = monitor(
            "/usr/bin/conmon|--api-version|1|-c|0123|-b|/s/overlay-containers/0123/userdata|--exit-command|/usr/bin/podman|\
             --exit-command-arg|--root|--exit-command-arg|/s|--exit-command-arg|--runroot|--exit-command-arg|/r|\
             --exit-command-arg|--log-level|--exit-command-arg|warning|--exit-command-arg|--tmpdir|--exit-command-arg|/t|\
             --exit-command-arg|container|--exit-command-arg|cleanup|--exit-command-arg|0123",
        );
        let flags = conmon.podman_flags();
        assert_eq!(flags, ["--root", "/s", "--runroot", "/r", "--tmpdir", "/t"]);
        assert!(conmon.is("conmon") && !conmon.is("podman"));
        let client = Source::Podman(flags).client(Engine::Podman);
        assert_eq!(client.join(" "), "podman --root /s --runroot /r --tmpdir /t");
        assert_eq!(monitor("conmon|-c|1").podman_flags(), Vec::<String>::new());
    }

    #[test]
    fn a_client_is_called_for_the_engine_that_is_meant() {
        let at = Source::Ctr(Some("/x.sock".into())).client(Engine::Containerd);
        assert_eq!(at, ["ctr", "-a", "/x.sock"]);
        assert_eq!(Source::Ctr(None).client(Engine::Kubernetes), ["ctr"]);
        let sockets = Source::Sockets { paths: vec!["/nowhere".into()], owner: None };
        assert_eq!(sockets.client(Engine::Docker), ["docker"]);
    }
}
