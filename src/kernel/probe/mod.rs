//! What this machine can do, and if it cannot: why, and the command that
//! fixes it. Nothing here changes the machine: what has to be tried is tried
//! in a child process, in namespaces that end with it.

mod need;

pub use need::{Engine, Namespace, Need};

use serde::Serialize;

/// Whether something can be done here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It can; where that could be in doubt, it was tried.
    Met,
    /// It cannot.
    Missing {
        /// What was found, or what the kernel answered.
        reason: String,
        /// What to type, where something helps.
        fix: Option<String>,
    },
}

impl Verdict {
    /// It cannot, and nothing that could be typed helps.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::Missing { reason: reason.into(), fix: None }
    }

    /// It cannot until `fix` is typed.
    pub fn fixable(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Missing { reason: reason.into(), fix: Some(fix.into()) }
    }

    /// Whether it can be done.
    pub fn met(&self) -> bool {
        *self == Self::Met
    }
}

/// What is known of this machine; each fact is looked up (or tried) once, when
/// it is first asked for.
#[derive(Default)]
pub struct Facts {}

impl Facts {
    /// Of the machine that this program runs on.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Whether this machine fulfils `need`.
pub fn check(need: &Need, facts: &Facts) -> Verdict {
    let _ = facts;
    match need {
        Need::Root => Verdict::Met,
        _ => Verdict::missing("not looked at yet"),
    }
}
