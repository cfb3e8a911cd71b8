//! What one participant's run of a lesson came to, for an instructor: one
//! small JSON file. No names, unless one is given; no host name, no user, and
//! no evidence either, since that quotes this machine.

mod file;

pub use file::{LARGEST, keep, report_text, serve};

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernel::host;

use super::check::{Judged, Verdict};
use super::model::Lesson;

use super::score::Score;

/// How the file says what it is.
pub const KIND: &str = "under-the-hood lesson report";

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`KIND`]: what tells a report from any other JSON.
    pub kind: String,
    /// Who it is of, if they said so.
    pub name: Option<String>,
    /// The lesson's number, or its name.
    pub lesson: String,
    /// The lesson's title.
    pub title: String,
    /// Of this program.
    pub version: String,
    /// What it was played on.
    pub machine: Machine,
    /// Whether it was played to its end.
    pub finished: bool,
    /// Its steps, and the one that was reached.
    pub steps: usize,
    /// Counted from 1.
    pub at: usize,
    /// How long it took.
    pub seconds: u64,
    /// How many predictions the reader was asked for and gave.
    pub asked: usize,
    /// How many of them this machine confirmed.
    pub right: usize,
    /// Each claim that was judged.
    pub claims: Vec<Verdicts>,
}

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// Its id.
    pub id: String,
    /// `holds`, `does-not-hold`, `untestable`.
    pub verdict: Verdict,
}

/// The kind of machine, as far as it explains verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `6.1.0-13-amd64`
    pub kernel: String,
    /// `x86_64`
    pub architecture: String,
    /// `debian 12`
    pub distribution: Option<String>,
    /// `KVM`, `WSL2`; none where nothing speaks for one.
    pub virtual_machine: Option<String>,
    /// The container that it is played in, if it is one.
    pub container: Option<String>,
    /// Whether as root.
    pub root: bool,
}

/// How far somebody came, and how they did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Course {
    /// Whether the lesson was played to its end.
    pub finished: bool,
    /// The step reached, counted from 1.
    pub at: usize,
    /// How long it took, in all sittings of this run.
    pub seconds: u64,
    /// Predictions given, and those that were right.
    pub score: Score,
}

impl Report {
    /// Of a lesson that has ended.
    pub fn new(name: Option<&str>, lesson: &Lesson, course: Course, judged: &[Judged]) -> Self {
        let number = lesson.number.filter(|_| lesson.embedded);
        let verdict = |judged: &Judged| Verdicts { id: judged.id.clone(), verdict: judged.verdict };
        Self {
            kind: KIND.to_owned(),
            name: name.map(str::to_owned),
            lesson: number.map_or_else(|| lesson.name.clone(), |number| number.to_string()),
            title: lesson.front.title.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: machine(),
            finished: course.finished,
            steps: lesson.steps.len(),
            at: course.at,
            seconds: course.seconds,
            asked: course.score.given,
            right: course.score.right,
            claims: judged.iter().map(verdict).collect(),
        }
    }

    /// What stands in its file.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::new("writing the report").said(error))
    }

    /// How many of its claims have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.claims.iter().filter(|claim| claim.verdict == verdict).count()
    }
}

fn machine() -> Machine {
    let root = Path::new("/");
    let kernel = host::kernel();
    let distribution = host::os_release(root).map(|release| {
        let of = |key: &str| release.get(key).cloned().unwrap_or_default();
        format!("{} {}", of("ID"), of("VERSION_ID")).trim().to_owned()
    });
    Machine {
        kernel: kernel.release,
        architecture: kernel.architecture,
        distribution,
        virtual_machine: host::virtual_machine(root).map(|guest| guest.of),
        container: host::container(root).map(|guest| guest.of),
        root: rustix::process::geteuid().is_root(),
    }
}
