//! What somebody asked for: a container, before it is one.

pub mod environment;
mod limits;
mod network;
mod process;
mod rights;
mod volume;

pub use limits::{limits, oom_score};
pub use network::{Helper, Network, NetworkKind, clash};
pub use process::Process;
pub use rights::{Rights, Seccomp, UserNamespace};
pub use volume::{Extra, Files, What};

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Exit, Result};
use crate::image::base::Rootfs;
use crate::kernel::cgroup::limit::Limits;

/// A container that is asked for.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// How people find it.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// The image's name.
    pub image: String,
    /// Its root file system.
    pub rootfs: Rootfs,
    /// What all of it together may use.
    pub group: Limits,
    /// What else of file systems.
    pub files: Files,
    /// Which network.
    pub network: Network,
    /// Where what it changed stays when it has ended, if it is to stay.
    pub keep: Option<PathBuf>,
    /// What runs in it.
    pub process: Process,
}

/// An absolute path without `.`, `..` and `//`, by its text alone, as docker
/// cleans the paths that it is given.
pub fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// A command line that docker would refuse too: exit code 125.
pub fn usage(tried: String) -> Error {
    Error::usage(tried).exit(Exit::Engine)
}

/// A name as docker allows it: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
pub fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts_well = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 128 && name.chars().all(good) {
        return Ok(());
    }
    Err(usage(format!(
        "--name {name:?}: a name has letters, digits, _ . - and starts with a letter or digit"
    )))
}

/// A host name as the kernel takes it: 1 to 64 bytes, here without control characters.
pub fn check_hostname(name: &str) -> Result<()> {
    if (1..=64).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace())
    {
        return Ok(());
    }
    Err(usage(format!("--hostname {name:?}: a host name has 1 to 64 characters and no spaces")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_docker_allows() {
        for good in ["box", "a.b-c_d", "0"] {
            check_name(good).unwrap();
        }
        for wrong in ["", "-x", "a/b", "../x", "a b", "ü"] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
