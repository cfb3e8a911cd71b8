//! Who we are on this machine: root, or which capabilities instead; which
//! further ids a user may map; and how to come back as root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{COMMAND, Verdict, tools};
use crate::kernel::capability;
use crate::shell::quoted;

/// Our credentials, as far as they decide what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The effective uid.
    pub uid: u32,
    /// The effective capabilities, as /proc/PID/status has them: a bit each.
    pub capabilities: u64,
    /// Whether /proc/self/uid_map says that all ids are this machine's own.
    pub initial_user_namespace: bool,
}

impl Identity {
    /// Ours, as /proc/self tells it.
    pub fn read(proc: &Path) -> Self {
        let status = fs::read_to_string(proc.join("self/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim().to_owned())
        };
        let effective = field("CapEff").and_then(|hex| capability::parse(&hex));
        let map = fs::read_to_string(proc.join("self/uid_map")).unwrap_or_default();
        Self {
            uid: field("Uid")
                .and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok())
                .unwrap_or_else(|| rustix::process::geteuid().as_raw()),
            capabilities: effective.unwrap_or(0),
            initial_user_namespace: map.split_whitespace().eq(["0", "0", "4294967295"]),
        }
    }

    /// The names of our effective capabilities, as capabilities(7) spells them.
    pub fn names(&self) -> Vec<String> {
        capability::names(self.capabilities)
    }

    /// The names of the capabilities of this kernel that we lack.
    pub fn lacking(&self, proc: &Path) -> Vec<String> {
        let last = fs::read_to_string(proc.join("sys/kernel/cap_last_cap"));
        let last: u32 =
            last.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(capability::LAST.into());
        let all = u64::MAX >> (63 - last.min(63));
        capability::names(all & !self.capabilities)
    }

    /// Whether this is root with what a container's set-up takes.
    pub fn is_root(&self) -> bool {
        self.uid == 0 && self.may_administer()
    }

    fn may_administer(&self) -> bool {
        let bit = capability::number("CAP_SYS_ADMIN");
        bit.is_some_and(|bit| self.capabilities & (1 << bit) != 0)
    }

    /// The verdict on the need `root`.
    pub fn root(&self) -> Verdict {
        if self.uid != 0 {
            let reason = format!("you are uid {}, not root", self.uid);
            Verdict::fixable(reason, sudo_hint(COMMAND))
        } else if !self.may_administer() {
            Verdict::missing(
                "this root lacks CAP_SYS_ADMIN, as in a container that is not --privileged",
            )
        } else if !self.initial_user_namespace {
            Verdict::missing("this is the root of a user namespace, not of the machine")
        } else {
            Verdict::Met
        }
    }
}

/// The command line that runs this program as root. With its full path: sudo
/// looks in its own PATH (secure_path in sudoers(5)), which has no ~/.cargo/bin.
pub fn sudo_hint(args: &str) -> String {
    as_root(&program(), args)
}

/// The path of this program.
pub fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("under-the-hood"))
}

/// The same for a program that is given.
pub fn as_root(program: &Path, args: &str) -> String {
    let command = format!("{} {args}", quoted(&program.to_string_lossy()));
    with_sudo(command.trim_end())
}

/// A command that takes root, as we would have to type it; some distributions
/// come without sudo.
pub fn privileged(command: &str) -> String {
    if rustix::process::geteuid().is_root() { command.to_owned() } else { with_sudo(command) }
}

fn with_sudo(command: &str) -> String {
    if tools::find("sudo").is_none() && tools::find("su").is_some() {
        return format!("su -c {}", quoted(command));
    }
    format!("sudo {command}")
}

/// How newuidmap or newgidmap may do what it does (`setuid root`, or a file
/// capability), or nothing when it may not: neither of them counts on a file
/// system mounted nosuid, or once no_new_privs is set.
pub fn privilege(program: &Path) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(program).ok()?;
    let nosuid = rustix::fs::statvfs(program).is_ok_and(|file_system| {
        file_system.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID)
    });
    if nosuid || rustix::thread::no_new_privs().unwrap_or(false) {
        return None;
    }
    if metadata.uid() == 0 && metadata.permissions().mode() & 0o4000 != 0 {
        return Some("setuid root");
    }
    let mut capability = [0u8; 64];
    let found = rustix::fs::getxattr(program, "security.capability", &mut capability);
    found.is_ok_and(|length| length > 0).then_some("file capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(status: &str, map: &str) -> Identity {
        let proc = tempfile::tempdir().expect("a directory");
        fs::create_dir(proc.path().join("self")).expect("mkdir");
        fs::write(proc.path().join("self/status"), status).expect("write");
        fs::write(proc.path().join("self/uid_map"), map).expect("write");
        Identity::read(proc.path())
    }

    const ALL: &str = "         0          0 4294967295\n";

    #[test]
    fn capabilities_decide_what_root_is_worth() {
        let user = identity("Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n", ALL);
        assert!(!user.root().met() && user.names().is_empty());
        let docker = identity("Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n", ALL);
        assert!(!docker.root().met());
        assert_eq!(docker.names().len(), 14);
        assert!(docker.names().contains(&"CAP_NET_BIND_SERVICE".to_owned()));
        let root = identity("Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n", ALL);
        assert!(root.root().met());
        let rootless = identity("Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n", "0 1000 1\n");
        assert!(!rootless.root().met());
    }

    #[test]
    fn root_hints_have_the_full_path() {
        let hint = as_root(Path::new("/home/x/.cargo/bin/under-the-hood"), "lesson 1");
        assert!(hint.contains("/home/x/.cargo/bin/under-the-hood lesson 1"), "{hint}");
        let hint = as_root(Path::new("/home/a b/under-the-hood"), "");
        assert!(hint.contains("/home/a b/under-the-hood") && hint.contains('\''), "{hint}");
    }
}
