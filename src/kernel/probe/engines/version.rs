//! Which version of an engine is here, and where it keeps its containers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::{Engine, get};
use crate::error::Result;
use crate::kernel::probe::program::said_by;

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(2);

/// What the program says. Not every program is asked: LXD's and Incus' make files in the
/// home, as a snap's do, and Podman's makes directories, at least where it is not root's.
pub(super) fn of(engine: Engine, program: &Path) -> Option<String> {
    let quiet = match engine {
        Engine::Lxd | Engine::Incus => false,
        Engine::Podman => rustix::process::geteuid().is_root() && directory(engine).is_some(),
        _ => true,
    };
    if !quiet || program.starts_with("/snap") {
        return None;
    }
    let client = [program.to_string_lossy().into_owned()];
    let said = said_by(&client, &["--version"], Instant::now() + LIMIT).ok()?;
    said.lines().next()?.split_whitespace().find_map(plain)
}

/// The first word that looks like a version.
pub(super) fn plain(word: &str) -> Option<String> {
    let word = word.trim_end_matches(',').trim_start_matches('v');
    let good = |c: char| c.is_ascii_alphanumeric() || ".-+~:".contains(c);
    let version = word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(good);
    (version && word.len() < 64).then(|| word.to_owned())
}

/// The version of LXD or Incus, by its API.
pub(super) fn of_api(socket: &Path) -> Result<String> {
    #[derive(Deserialize)]
    struct Answer {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        environment: Environment,
    }
    #[derive(Deserialize, Default)]
    struct Environment {
        #[serde(default)]
        server_version: String,
    }
    Ok(get::<Answer>(socket, "/1.0")?.metadata.environment.server_version)
}

/// Where an engine without a daemon keeps containers, as root or as we are.
pub(super) fn directory(engine: Engine) -> Option<PathBuf> {
    let root = rustix::process::geteuid().is_root();
    let ours = |below: &str| {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
        std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or(home).map(|at| at.join(below))
    };
    let directory = match (engine, root) {
        (Engine::Podman, true) => "/var/lib/containers/storage".into(),
        (Engine::Podman, false) => ours("containers/storage")?,
        (Engine::Lxc, true) => "/var/lib/lxc".into(),
        (Engine::Lxc, false) => ours("lxc")?,
        (Engine::Nspawn, _) => "/var/lib/machines".into(),
        _ => return None,
    };
    directory.exists().then_some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        let found = |line: &str| line.split_whitespace().find_map(plain);
        for (line, version) in [
            ("Docker version 28.2.2, build e6534b4", "28.2.2"),
            ("ctr github.com/containerd/containerd 1.6.20~ds1", "1.6.20~ds1"),
            ("ctr github.com/containerd/containerd v2.1.4", "2.1.4"),
            ("podman version 4.3.1", "4.3.1"),
            ("systemd 252 (252.39-1~deb12u2)", "252"),
            ("bubblewrap 0.8.0", "0.8.0"),
            ("5.0.2", "5.0.2"),
        ] {
            assert_eq!(found(line).as_deref(), Some(version));
        }
        assert_eq!(found("no such thing \u{1b}[2J"), None);
    }
}
