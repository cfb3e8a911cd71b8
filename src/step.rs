//! What is shown of an operation: plain data, made by the same value that
//! performs it, so that the text cannot drift from the deed.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Which process performed an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The program that was typed.
    Launcher,
    /// The container's parent, which stays as its monitor (what others call the shim).
    Shim,
    /// The first process of the container, before it becomes the command.
    Init,
}

/// One kernel operation, described.
///
/// Until it is performed, arguments that depend on earlier results stand as
/// slots (`$child`); afterwards they are filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The call as `strace` would print it: `mount("proc", "/proc", "proc", MS_NOSUID, NULL)`.
    pub call: String,
    /// What a person would type to the same effect, if there is such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Why it is done: one short clause for someone who has never seen it.
    pub why: String,
    /// Who performs it.
    pub actor: Actor,
    /// The pid (as the performing process sees itself) once performed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// What the kernel answered, once performed: `Ok("0")` or the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Result<String, Error>>,
}

impl Step {
    /// A step that the launcher will perform.
    pub fn new(call: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            call: call.into(),
            shell: None,
            why: why.into(),
            actor: Actor::Launcher,
            pid: None,
            result: None,
        }
    }

    /// With the command a person would type.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<String>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// The name of the system call: what stands before the parenthesis.
    pub fn name(&self) -> &str {
        self.call.split('(').next().unwrap_or(&self.call)
    }
}

/// Whoever wants to hear of operations as they happen: lower floors report to
/// it and know nothing of the screen.
pub trait Observer {
    /// A step was performed (its `result` says how it went).
    fn step(&mut self, step: &Step);
    /// Whether it wants to hear of steps at all: describing and sending them takes time.
    fn wants_steps(&self) -> bool {
        true
    }
    /// Long work goes on: `done` of `total` bytes (0 when unknown) of `what`. There
    /// may be several at once, told apart by `what`.
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        let _ = (what, done, total);
    }
    /// It is over, whether it came to its end or not.
    fn progress_over(&mut self, what: &str) {
        let _ = what;
    }
    /// Something the reader should know while it happens.
    fn note(&mut self, text: &str) {
        let _ = text;
    }
}

/// Hears nothing.
pub struct Deaf;

impl Observer for Deaf {
    fn step(&mut self, _: &Step) {}

    fn wants_steps(&self) -> bool {
        false
    }
}

/// Remembers every step, for tests and for reports made afterwards.
#[derive(Default)]
pub struct Recorder(pub Vec<Step>);

impl Observer for Recorder {
    fn step(&mut self, step: &Step) {
        self.0.push(step.clone());
    }
}
