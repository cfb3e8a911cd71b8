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
use crate::image::rootfs::Rootfs;
use crate::kernel::cgroup::limit::Limits;

/// A container that is asked for.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// How people find it.
    pub name: String,
    /// Within which its name is unique.
    pub scope: Option<String>,
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
    /// The signal that asks it to end, if the image names one.
    pub stop_signal: Option<i32>,
    /// Where what it changed stays when it has ended, if it is to stay.
    pub keep: Option<PathBuf>,
    /// Where what it changes goes while it runs, where that becomes a layer: a
    /// directory with `upper` and `work` in it, somebody else's to remove.
    pub layer: Option<PathBuf>,
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

/// A signal as images name it: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`.
pub fn stop_signal(given: &str) -> Result<i32> {
    use nix::sys::signal::Signal;
    let upper = given.trim().to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper.clone() } else { format!("SIG{upper}") };
    // Real-time signals begin at 34 in every C library that matters.
    let real_time = name.strip_prefix("SIGRTMIN").map(|rest| {
        let above = if rest.is_empty() { Some(0) } else { rest.strip_prefix('+')?.parse().ok() };
        above.map(|above: i32| above.saturating_add(34))
    });
    let number = upper.parse().ok().or(real_time.flatten());
    let named = name.parse::<Signal>().ok().map(|signal| signal as i32);
    number.or(named).filter(|number| (1..=64).contains(number)).ok_or_else(|| {
        Error::new("starting a container of this image")
            .said(format!("its stop signal {given:?} is none"))
            .exit(Exit::Engine)
    })
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
    fn signals_have_several_names() {
        for (given, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("SIGRTMIN+3", 37),
            ("RTMIN", 34),
            ("SIGWINCH", 28),
        ] {
            assert_eq!(stop_signal(given).unwrap(), number, "{given}");
        }
        for wrong in ["", "0", "65", "-1", "SIGNO", "SIGRTMIN+40", "RTMIN+x"] {
            assert!(stop_signal(wrong).is_err(), "{wrong}");
        }
    }

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
