//! System calls that a container's set-up uses and that an older kernel, or
//! the seccomp filter of a container around us, may not have.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::{Verdict, child};
use crate::effect::Policy;
use crate::error::{Context, Error, Result};
use crate::kernel::raw;
use crate::kernel::scheduler::{Class, affinity, policy};

/// Whether clone3(2) is there (Linux 5.3).
pub fn clone3() -> Verdict {
    match raw::clone3_answer() {
        Errno::EINVAL => Verdict::Met,
        Errno::ENOSYS => Verdict::missing("ENOSYS: an older kernel (before 5.3), or a filter"),
        other => Verdict::missing(format!("{other:?}: forbidden by a filter")),
    }
}

/// Whether openat2(2) is there (Linux 5.6): unpacking an image safely needs it.
pub fn openat2() -> Verdict {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::IN_ROOT) {
        Ok(_) => Verdict::Met,
        Err(errno) => Verdict::missing(format!("openat2(\"/\", RESOLVE_IN_ROOT): {errno}")),
    }
}

/// Whether seccomp filters are there: one that forbids nothing is installed in
/// a child, and the kernel asked whether it is in force.
pub fn seccomp() -> Verdict {
    let tried = child::attempt("installing a seccomp filter", Duration::from_secs(3), || {
        let arch = std::env::consts::ARCH;
        let failed =
            |error: &dyn std::fmt::Display| Error::new("installing a seccomp filter").said(error);
        let filter = SeccompFilter::new(
            BTreeMap::new(),
            SeccompAction::Allow,
            SeccompAction::Log,
            arch.try_into().map_err(|error: seccompiler::BackendError| failed(&error))?,
        );
        let program: BpfProgram = filter
            .and_then(TryInto::try_into)
            .map_err(|error: seccompiler::BackendError| failed(&error))?;
        seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
        in_force()
    });
    match tried {
        Ok(()) => Verdict::Met,
        Err(error) => Verdict::missing(error.to_string()),
    }
}

/// Whether a process may be put into a real-time class, tried with a child, and
/// whether another CPU stays free meanwhile.
pub fn real_time() -> Verdict {
    match affinity::affinity(0) {
        Ok(cpus) if cpus.len() < 2 => {
            return Verdict::missing(
                "there is only one CPU, and it would not be free for anything else",
            );
        }
        Ok(_) => {}
        Err(error) => return Verdict::missing(error.to_string()),
    }
    let fifo = Policy { number: Class::Ff.number(), priority: 1, ..Policy::default() };
    let tried = child::attempt("becoming a real-time task", Duration::from_secs(3), || {
        policy::apply(0, &fifo)
    });
    match tried {
        Ok(()) => Verdict::Met,
        Err(error) => Verdict::Missing { reason: error.to_string(), fix: error.hint },
    }
}

fn in_force() -> Result<()> {
    let path = "/proc/self/status";
    let status = std::fs::read_to_string(path).tried(|| format!("read({path:?})"))?;
    if status.lines().any(|line| line.starts_with("Seccomp:") && line.trim_end().ends_with('2')) {
        return Ok(());
    }
    Err(Error::new("the kernel took a seccomp filter, but does not list it in /proc/self/status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trying_leaves_this_process_unfiltered() {
        let before = std::fs::read_to_string("/proc/thread-self/status").expect("status");
        let _ = (seccomp(), clone3(), openat2());
        let after = std::fs::read_to_string("/proc/thread-self/status").expect("status");
        let field = |text: &str, name: &str| {
            text.lines().find(|line| line.starts_with(name)).map(str::to_owned)
        };
        assert_eq!(field(&before, "Seccomp:"), field(&after, "Seccomp:"));
        assert_eq!(field(&before, "NoNewPrivs:"), field(&after, "NoNewPrivs:"));
    }
}
