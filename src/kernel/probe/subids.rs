//! Subordinate ids: with a range of them a container without root has more
//! users than its root; newuidmap and newgidmap are who may map it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, Uid, User, getegid, geteuid, getpid};

use super::{Verdict, child, identity, tools};
use crate::error::{Context, Error, Result};
use crate::kernel::user;

/// What there is for mapping ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubordinateIds {
    /// Our ranges in /etc/subuid: first id and count.
    pub uids: Vec<(u32, u32)>,
    /// Our ranges in /etc/subgid.
    pub gids: Vec<(u32, u32)>,
    /// newuidmap and newgidmap: where, and by which privilege they may map.
    pub helpers: [(PathBuf, Option<&'static str>); 2],
    user: String,
}

impl SubordinateIds {
    /// Ours; `root` is `/`, or a fixture's directory.
    pub fn read(root: &Path) -> Self {
        let uid = geteuid();
        let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
        let read = |file: &str| {
            let file = root.join("etc").join(file);
            user::subordinate(&file, name.as_deref(), uid.as_raw())
        };
        let helper = |program: &str| {
            let path = tools::find(program).unwrap_or_default();
            let privilege = identity::privilege(&path);
            (path, privilege)
        };
        Self {
            uids: read("subuid"),
            gids: read("subgid"),
            helpers: [helper("newuidmap"), helper("newgidmap")],
            user: name.unwrap_or_else(|| uid.to_string()),
        }
    }

    /// The verdict on the need `subordinate-ids`: what is missing by the files,
    /// and when nothing is, what the kernel says.
    pub fn check(&self, os: &tools::OsRelease) -> Verdict {
        let root = geteuid().is_root();
        if !root && let Some(missing) = self.lacks(os) {
            return missing;
        }
        match self.map(root) {
            Ok(()) => Verdict::Met,
            Err(error) => Verdict::missing(error.to_string()),
        }
    }

    fn lacks(&self, os: &tools::OsRelease) -> Option<Verdict> {
        for ((path, privilege), name) in self.helpers.iter().zip(["newuidmap", "newgidmap"]) {
            if path.as_os_str().is_empty() {
                return Some(tools::check(name, os));
            }
            if privilege.is_none() {
                if rustix::thread::no_new_privs().unwrap_or(false) {
                    let reason = format!("no_new_privs is set here, so {name} gets no privilege");
                    return Some(Verdict::missing(reason));
                }
                let reason =
                    format!("{} is neither setuid root nor has it capabilities", path.display());
                return Some(Verdict::fixable(
                    reason,
                    identity::privileged(&format!("chmod u+s {}", path.display())),
                ));
            }
        }
        for (ranges, file) in [(&self.uids, "subuid"), (&self.gids, "subgid")] {
            if ranges.is_empty() {
                let reason = format!("/etc/{file} has no range for {}", self.user);
                let command = format!("usermod --add-{file}s 100000-165535 {}", self.user);
                let fix = identity::privileged(&command);
                return Some(Verdict::fixable(
                    reason,
                    format!("{fix}  # a range that nobody else has"),
                ));
            }
        }
        None
    }

    /// Maps a range for a child that waits in a new user namespace.
    fn map(&self, root: bool) -> Result<()> {
        child::attempt("mapping subordinate ids", Duration::from_secs(3), || {
            let (ready, tell) = pipe()?;
            let us = getpid();
            let sleeper = child::fork(|| {
                let entered = child::die_with(us).is_ok()
                    && unshare(CloneFlags::CLONE_NEWUSER).is_ok()
                    && child::die_with(us).is_ok();
                let _ = rustix::io::write(&tell, if entered { b"y" } else { b"n" });
                std::thread::sleep(Duration::from_secs(10));
                0
            })?;
            drop(tell);
            let mut answer = [0];
            let entered = rustix::io::read(&ready, &mut answer).is_ok() && answer == *b"y";
            let result = if !entered {
                Err(Error::new("unshare(CLONE_NEWUSER) failed"))
            } else if root {
                write_maps(sleeper)
            } else {
                self.call_helpers(sleeper)
            };
            let _ = kill(sleeper, Signal::SIGKILL);
            let _ = waitpid(sleeper, None);
            result
        })
    }

    fn call_helpers(&self, pid: Pid) -> Result<()> {
        let own = [geteuid().as_raw(), getegid().as_raw()];
        let ranges = [self.uids.first(), self.gids.first()];
        for (((program, _), own), range) in self.helpers.iter().zip(own).zip(ranges) {
            let Some((start, count)) = range else { continue };
            let numbers = [0, own, 1, 1, *start, *count].map(|number| number.to_string());
            let line = format!("{} {pid} {}", program.display(), numbers.join(" "));
            let output = Command::new(program).arg(pid.to_string()).args(&numbers).output();
            let output = output.tried(|| line.clone())?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(Error::new(line).said(said));
            }
        }
        Ok(())
    }
}

fn pipe() -> Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).tried(|| "pipe2(O_CLOEXEC)")
}

/// Root needs no helper and no range of its own.
fn write_maps(pid: Pid) -> Result<()> {
    for file in ["uid_map", "gid_map"] {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, "0 0 1\n1 100000 65536\n")
            .tried(|| format!("write({path:?}, \"0 0 1\\n1 100000 65536\")"))?;
    }
    Ok(())
}

/// `1000 (learner)`
pub fn user_line(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)).ok().flatten() {
        Some(user) => format!("uid {uid} ({})", user.name),
        None => format!("uid {uid} (without an entry in passwd)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(uids: &[(u32, u32)], helpers: [(&str, Option<&'static str>); 2]) -> Option<Verdict> {
        SubordinateIds {
            uids: uids.to_vec(),
            gids: uids.to_vec(),
            helpers: helpers.map(|(path, privilege)| (path.into(), privilege)),
            user: "learner".to_owned(),
        }
        .lacks(&tools::OsRelease::new())
    }

    #[test]
    fn says_which_part_is_missing() {
        let range = [(100_000, 65_536)];
        let setuid = Some("setuid root");
        let good = [("/usr/bin/newuidmap", setuid), ("/usr/bin/newgidmap", setuid)];
        assert_eq!(with(&range, good), None);
        let plain = [("/usr/bin/newuidmap", None), ("/usr/bin/newgidmap", setuid)];
        let Some(Verdict::Missing { fix, .. }) = with(&range, plain) else { panic!("missing") };
        assert!(fix.is_some_and(|fix| fix.contains("chmod u+s /usr/bin/newuidmap")));
        let Some(Verdict::Missing { reason, fix }) = with(&[], good) else { panic!("missing") };
        assert_eq!(reason, "/etc/subuid has no range for learner");
        assert!(fix.is_some_and(|fix| fix.contains("usermod --add-subuids ")));
    }
}
