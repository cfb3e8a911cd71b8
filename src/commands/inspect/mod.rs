//! `inspect`: looking at this machine. Nothing here changes anything.

mod compare;
mod containers;
mod facts;
mod host;
mod layers;
mod means;
mod ns;
mod process;
mod sections;
mod tree;
mod wide;

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::inspect::Inspect;
use crate::container::engines::{Owner, Verdict};
use crate::error::Result;
use crate::kernel::process::path_text;
use crate::ui::Screen;

/// Where everything about processes is read.
const PROC: &str = "/proc";

/// What the columns of `inspect ns` say, for its `--help`.
pub fn ns_columns() -> String {
    ns::columns()
}

/// The same of `inspect compare`.
pub fn compare_columns() -> String {
    compare::columns()
}

/// The same of `inspect containers`.
pub fn containers_columns() -> String {
    containers::columns()
}

/// The same of `inspect layers`.
pub fn layers_columns() -> String {
    layers::columns()
}

/// Performs what was asked for.
pub fn run(command: &Inspect, screen: &mut Screen) -> Result<u8> {
    match command {
        Inspect::Host => host::run(Path::new("/"), screen),
        Inspect::Ns(args) => ns::run(Path::new(PROC), args, screen),
        Inspect::Containers(args) => containers::run(Path::new(PROC), args, screen),
        Inspect::Compare(args) => compare::run(Path::new(PROC), args, screen),
        Inspect::Process(args) => process::run(Path::new(PROC), args, screen),
        Inspect::Layers(args) => layers::run(Path::new(PROC), args, screen),
    }
}

/// Root sees more; sudo needs the full path because it does not know ~/.cargo/bin.
fn as_root(command: &str) -> String {
    if rustix::process::geteuid().is_root() {
        return "Even root is refused where a process has capabilities that we lack.".to_owned();
    }
    let program = std::env::current_exe().ok();
    let program = program.as_deref().map_or("under-the-hood".to_owned(), path_text);
    format!("`sudo {program} inspect {command}` sees more.")
}

/// An owner and its evidence, as every `inspect` command gives it in JSON.
pub(super) fn owner_json(verdict: &Verdict) -> Value {
    let (kind, found) = match &verdict.owner {
        Owner::Host => ("host", None),
        Owner::Container(found) => ("container", Some(found)),
        Owner::Unknown => ("unknown", None),
    };
    json!({
        "kind": kind,
        "engine": found.map(|found| found.engine.name()),
        "id": found.and_then(|found| found.id.as_ref()),
        "name": found.and_then(|found| found.name.as_ref()),
        "label": verdict.owner.label(),
        "evidence": verdict.evidence,
    })
}
