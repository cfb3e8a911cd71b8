//! What a process may use at most, each process for itself (getrlimit(2)), and
//! how gladly the kernel kills it when memory runs out.

use nix::errno::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// The limits that there are: as docker calls them, the kernel's name, what it is.
const LIMITS: [(&str, &str, Resource); 15] = [
    ("core", "RLIMIT_CORE", Resource::Core),
    ("cpu", "RLIMIT_CPU", Resource::Cpu),
    ("data", "RLIMIT_DATA", Resource::Data),
    ("fsize", "RLIMIT_FSIZE", Resource::Fsize),
    ("locks", "RLIMIT_LOCKS", Resource::Locks),
    ("memlock", "RLIMIT_MEMLOCK", Resource::Memlock),
    ("msgqueue", "RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("nice", "RLIMIT_NICE", Resource::Nice),
    ("nofile", "RLIMIT_NOFILE", Resource::Nofile),
    ("nproc", "RLIMIT_NPROC", Resource::Nproc),
    ("rss", "RLIMIT_RSS", Resource::Rss),
    ("rtprio", "RLIMIT_RTPRIO", Resource::Rtprio),
    ("rttime", "RLIMIT_RTTIME", Resource::Rttime),
    ("sigpending", "RLIMIT_SIGPENDING", Resource::Sigpending),
    ("stack", "RLIMIT_STACK", Resource::Stack),
];

/// The names of the limits.
pub fn names() -> impl Iterator<Item = &'static str> {
    LIMITS.into_iter().map(|(name, ..)| name)
}

/// prlimit(2) of the process itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// One of [`names`].
    pub name: String,
    /// What is enforced; `None` is no limit.
    pub soft: Option<u64>,
    /// How far the process may raise that itself.
    pub hard: Option<u64>,
}

fn text(limit: Option<u64>, unlimited: &str) -> String {
    limit.map_or(unlimited.to_owned(), |limit| limit.to_string())
}

impl Limit {
    fn known(&self) -> Result<(&'static str, Resource)> {
        let found = LIMITS.iter().find(|(name, ..)| *name == self.name);
        found
            .map(|(_, constant, resource)| (*constant, *resource))
            .ok_or_else(|| Error::new(format!("there is no limit {}", self.name)))
    }

    fn refused(&self, error: Error, present: Option<u64>) -> Error {
        if !error.is(Errno::EPERM) {
            return error;
        }
        let present = text(present, "unlimited");
        let name = &self.name;
        error.hint(match name.as_str() {
            "nofile" => format!(
                "The hard limit is {present} here; only CAP_SYS_RESOURCE on the machine itself raises one, \
                 and this one never over /proc/sys/fs/nr_open."
            ),
            _ => format!(
                "The hard limit is {present} here; only CAP_SYS_RESOURCE on the machine itself raises one."
            ),
        })
    }
}

impl Operation for Limit {
    fn step(&self) -> Step {
        let constant = self.known().map_or("RLIMIT_?", |(constant, _)| constant);
        let (soft, hard) = (text(self.soft, "RLIM64_INFINITY"), text(self.hard, "RLIM64_INFINITY"));
        Step::new(
            format!("prlimit64(0, {constant}, {{rlim_cur={soft}, rlim_max={hard}}}, NULL)"),
            "this much for each of its processes: the soft limit is enforced, the hard one is how far they may raise it",
        )
        .shell(format!(
            "prlimit --pid $$$$ --{}={}:{}",
            self.name,
            text(self.soft, "unlimited"),
            text(self.hard, "unlimited")
        ))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let (constant, resource) = self.known()?;
        setrlimit(resource, Rlimit { current: self.soft, maximum: self.hard })
            .tried(|| {
                let (soft, hard) = (text(self.soft, "unlimited"), text(self.hard, "unlimited"));
                format!("prlimit64({constant}, {soft}, {hard})")
            })
            .map_err(|error| self.refused(error, getrlimit(resource).maximum))
            .map(|()| "0".to_owned())
    }
}

/// A number into /proc/self/oom_score_adj (proc(5)).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OomScoreAdjust {
    /// From -1000, never, to 1000, first.
    pub score: i32,
}

impl Operation for OomScoreAdjust {
    fn step(&self) -> Step {
        Step::new(
            format!("write(open(\"/proc/self/oom_score_adj\", O_WRONLY), \"{}\")", self.score),
            "whom the kernel kills first when memory runs out: 1000 is the first, -1000 never",
        )
        .shell(format!("echo {} > /proc/self/oom_score_adj", self.score))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        use std::io::Write;
        let (path, content) = ("/proc/self/oom_score_adj", self.score.to_string());
        let file = std::fs::File::options().write(true).open(path);
        file.and_then(|mut file| file.write_all(content.as_bytes()))
            .tried(|| format!("write({path:?}, {content:?})"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EACCES | Errno::EPERM) => error.hint(
                    "To make oneself less likely to be killed than one's parent takes CAP_SYS_RESOURCE on the machine itself.",
                ),
                _ => error,
            })?;
        Ok(content.len().to_string())
    }
}
