//! What holds a process back, as /proc shows it: capabilities, seccomp,
//! no_new_privs, and the label of a security module.

use std::fs;
use std::path::Path;

use crate::error::{Context, Result};
use crate::kernel::capability;
use crate::kernel::process::{Status, text};

/// How a process's system calls are filtered (seccomp(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// Not at all.
    Disabled,
    /// read, write, _exit and sigreturn only.
    Strict,
    /// By so many programs, each of which can refuse; `None` before Linux 5.9, which does not count them.
    Filter(Option<u32>),
}

/// What holds a process back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The capability sets by name, each as a bit mask (capabilities(7)).
    pub capabilities: Vec<(&'static str, u64)>,
    /// System call filters.
    pub seccomp: Option<Seccomp>,
    /// Whether `execve` can no longer give it privileges (prctl(2)).
    pub no_new_privs: Option<bool>,
    /// Its label, where a security module such as AppArmor or SELinux gives one.
    pub label: Option<String>,
}

/// Reads it of a process.
pub fn of_process(proc: &Path, pid: i32, status: &Status) -> Security {
    const SETS: [(&str, &str); 5] = [
        ("effective", "CapEff"),
        ("permitted", "CapPrm"),
        ("inheritable", "CapInh"),
        ("bounding", "CapBnd"),
        ("ambient", "CapAmb"),
    ];
    let set = |(name, field)| Some((name, capability::parse(status.field(field)?)?));
    let filters = status.field("Seccomp_filters").and_then(|count| count.parse().ok());
    Security {
        capabilities: SETS.into_iter().filter_map(set).collect(),
        seccomp: match status.field("Seccomp") {
            Some("0") => Some(Seccomp::Disabled),
            Some("1") => Some(Seccomp::Strict),
            Some("2") => Some(Seccomp::Filter(filters)),
            _ => None,
        },
        no_new_privs: status.field("NoNewPrivs").map(|value| value == "1"),
        label: label(proc, pid),
    }
}

/// Whether this process itself has no_new_privs.
pub fn no_new_privs() -> Result<bool> {
    rustix::thread::no_new_privs().tried(|| "prctl(PR_GET_NO_NEW_PRIVS)")
}

/// Each module has a directory of its own where it can; `attr/current` is
/// whichever speaks first. Without a module reading it fails with EINVAL.
fn label(proc: &Path, pid: i32) -> Option<String> {
    ["attr/apparmor/current", "attr/current"].iter().find_map(|name| {
        let label = fs::read(proc.join(format!("{pid}/{name}"))).ok()?;
        let label = text(&label).trim_end_matches(['\0', '\n']).to_owned();
        (!label.is_empty()).then_some(label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_what_holds_the_process_back() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(root.path().join("7/attr")).expect("made");
        let status = "Name:\tx\nCapEff:\t00000000a80425fb\nCapBnd:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\n";
        fs::write(root.path().join("7/status"), status).expect("written");
        fs::write(root.path().join("7/attr/current"), "docker-default (enforce)\n")
            .expect("written");
        let status = Status::read(root.path(), 7).expect("a status");
        let security = of_process(root.path(), 7, &status);
        assert_eq!(security.capabilities, [("effective", 0xa804_25fb), ("bounding", 1)]);
        assert_eq!(security.seccomp, Some(Seccomp::Filter(Some(2))));
        assert_eq!(security.no_new_privs, Some(true));
        assert_eq!(security.label.as_deref(), Some("docker-default (enforce)"));
    }
}
