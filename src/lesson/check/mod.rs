//! Checks: is it true on this machine?
//!
//! A check asks the kernel by another route than the command that made the
//! effect, answers with a value and with evidence, and has a twin that the
//! reader can type. `ns-differs net box self` is a named one, whose answer is
//! `yes` or `no`; `hostname box = box` compares a value; `sh: LINE` is a line
//! for a shell (exit 0 holds, 1 does not, 77 cannot be tested here, standard
//! output is the evidence; as a measure, standard output is the value).

mod catalogue;
mod engine;
mod images;
mod namespaces;
mod network;
mod processes;
mod resources;
mod roots;
mod shell;
mod sight;
mod test;
mod users;

pub use processes::{answers, beside, parent as parent_of};
pub use resources::watched;
pub use test::{Compare, Probe, Test};

use serde::{Deserialize, Serialize};

use super::driving::Foreign;
use super::model::Claim;

use crate::container::scope;
use crate::effect::Driven;
use crate::http;

/// The name of the image that was fetched last.
pub const IMAGE: &str = "image";

/// The variable with a CPU, as the mask that taskset(1) takes.
pub const CPU: &str = "lesson_cpu";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The answer: `yes`, `no`, a number, a name.
    pub value: String,
    /// What it was concluded from, with this machine's own numbers.
    pub evidence: String,
}

impl Finding {
    /// An answer and what it rests on.
    pub fn new(value: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { value: value.into(), evidence: evidence.into() }
    }

    /// Yes or no.
    pub fn yes(yes: bool, evidence: impl Into<String>) -> Self {
        Self::new(if yes { "yes" } else { "no" }, evidence)
    }
}

/// Why there is no finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// What is asked about is not there: the check does not hold.
    Absent(String),
    /// It cannot be found out on this machine, or by this user.
    Untestable(String),
}

/// What a probe answers.
pub type Answer = Result<Finding, Unknown>;

/// Whether a claim is true here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is.
    Holds,
    /// It is not.
    DoesNotHold,
    /// This machine, or this user, cannot tell.
    Untestable,
}

impl Verdict {
    /// As `verify --format json` writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does-not-hold",
            Self::Untestable => "untestable",
        }
    }
}

/// A claim of a lesson, judged on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The claim's id.
    pub id: String,
    /// Its sentence.
    pub claim: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What it rests on; why it cannot be tested.
    pub evidence: String,
}

/// A verdict and what it rests on (or why there is none).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Whether it holds.
    pub verdict: Verdict,
    /// The evidence, or the reason.
    pub evidence: String,
}

/// A container (or what stands in for one) that a lesson has a name for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// `box`
    pub name: String,
    /// The container's id.
    pub id: String,
    /// Its first process, and when that started.
    pub pid: i32,
    /// In clock ticks since boot: a pid alone may be somebody else's by now.
    pub start: u64,
    /// The parent of that process.
    pub shim: i32,
    /// What runs in it.
    pub command: Vec<String>,
}

impl Bound {
    /// Whether its first process is still the one that was bound.
    pub fn alive(&self) -> bool {
        start_of(self.pid) == Some(self.start)
    }
}

/// A process that is sure to be in the namespaces the kernel began with: 1,
/// or, where even root may not look at that, the kernel's own kthreadd.
fn host_process() -> i32 {
    let closed = std::fs::read_link("/proc/1/ns/pid").is_err();
    let kthreadd = || processes::status(2, "Name").is_ok_and(|name| name == "kthreadd");
    if closed && kthreadd() { 2 } else { 1 }
}

/// When a process started, unless it is a zombie.
pub fn start_of(pid: i32) -> Option<u64> {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat()).ok()?;
    (stat.state != 'Z').then_some(stat.starttime)
}

/// The variable that names the run's own directory.
pub const DIRECTORY: &str = "lesson_dir";
/// The variable with a name that no other run has.
pub const ID: &str = "lesson_id";
/// The variable with a port of the host that no other run has.
pub const PORT: &str = "lesson_port";

/// What the probes are asked about: the names that the lesson has bound.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// What each name stands for.
    pub bound: Vec<Bound>,
    /// Processes that were there before an exercise began: not the reader's answer to it.
    pub older: Vec<i32>,
    /// This program's own path, for checks that are shell lines.
    pub program: std::path::PathBuf,
    /// The scope of this run, in which its containers have their names; also a name for
    /// what else it makes, `$lesson_id`. By it one player's processes are told from another's.
    pub scope: String,
    /// A port of the host for this run alone, `$lesson_port`.
    pub port: u16,
    /// A CPU for this run, alone if there are enough of them: a mask, `$lesson_cpu`.
    pub cpu: String,
    /// A directory of this run of the lesson alone, `$lesson_dir` in its commands.
    pub directory: std::path::PathBuf,
    /// The image that the lesson has fetched last (or `base` instead of it): `$image`.
    pub image: Option<String>,
    /// Whether the lesson does without the network.
    pub offline: bool,
    /// The engine that the lesson's containers are started in, if it is not ours.
    pub engine: Option<Driven>,
    /// Which of the names are that engine's containers.
    pub foreign: Vec<Foreign>,
    /// Containers that it could not start, and why.
    pub lacking: Vec<(String, String)>,
}

impl World {
    /// What goes by this name in the lesson.
    pub fn bound(&self, name: &str) -> Option<&Bound> {
        self.bound.iter().find(|bound| bound.name == name)
    }

    /// The process that stands for `self`, `host` or a container.
    pub fn pid(&self, target: &str) -> Result<i32, Unknown> {
        match target {
            "self" => Ok(rustix::process::getpid().as_raw_nonzero().get()),
            "host" => Ok(host_process()),
            name => match self.bound(name) {
                Some(bound) if bound.alive() => Ok(bound.pid),
                _ => Err(Unknown::Absent(format!("no container {name} is running"))),
            },
        }
    }

    /// `box_pid=4711` and the like: what the lesson's commands find in their environment.
    pub fn variables(&self) -> Vec<(String, String)> {
        let of = |bound: &Bound| {
            let name = bound.name.replace('-', "_");
            [
                (format!("{name}_pid"), bound.pid.to_string()),
                (format!("{name}_id"), bound.id.clone()),
                (format!("{name}_shim"), bound.shim.to_string()),
            ]
        };
        let own = [
            (DIRECTORY, self.directory.display().to_string()),
            (ID, self.scope.clone()),
            (PORT, self.port.to_string()),
            (CPU, self.cpu.clone()),
            (scope::VARIABLE, self.scope.clone()),
        ];
        let image = self.image.iter().map(|image| (IMAGE.to_owned(), image.clone()));
        let offline = self.offline.then(|| (http::OFFLINE.to_owned(), "1".to_owned()));
        let bound = self.bound.iter().flat_map(of);
        own.map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .chain(bound)
            .chain(image)
            .chain(offline)
            .collect()
    }

    /// A word with the names in it filled in.
    pub fn filled(&self, word: &str) -> String {
        let variables = self.variables().into_iter();
        variables
            .fold(word.to_owned(), |word, (name, value)| word.replace(&format!("${name}"), &value))
    }
}

/// Judges a claim: every check must hold; the first that does not is the evidence.
pub fn judge(claim: &Claim, world: &World) -> Judgement {
    together(claim, world, &each(claim, world))
}

/// What each of its checks says.
pub fn each(claim: &Claim, world: &World) -> Vec<Judgement> {
    claim.checks.iter().map(|check| check.judge(world)).collect()
}

/// What these say of the claim.
pub fn together(claim: &Claim, world: &World, judged: &[Judgement]) -> Judgement {
    engine::excused(claim, world, whole(judged))
}

fn whole(judged: &[Judgement]) -> Judgement {
    let first = |verdict| judged.iter().find(|judgement| judgement.verdict == verdict).cloned();
    first(Verdict::DoesNotHold).or_else(|| first(Verdict::Untestable)).unwrap_or_else(|| {
        let evidence: Vec<_> = judged.iter().map(|judgement| judgement.evidence.as_str()).collect();
        Judgement { verdict: Verdict::Holds, evidence: evidence.join("; ") }
    })
}
