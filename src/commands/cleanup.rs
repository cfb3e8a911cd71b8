//! `cleanup`: undoes what killed commands left, as their journals name it.

use serde_json::json;

use crate::cli::Global;
use crate::cli::setup::Cleanup;
use crate::effect::Effect;
use crate::error::{Exit, Result};
use crate::kernel::scheduler::{Class, affinity};
use crate::kernel::undo::{self, Leftover};
use crate::ui::{Align, Column, Screen, Table, Value};

/// What `cleanup --list` shows.
pub const LEFTOVERS: Table<Leftover> = Table(&[
    Column {
        name: "STATE",
        align: Align::Left,
        help: "left: by a command that was killed; kept: meant to stay; gone: removed by somebody else",
        value: |left| Value::Text(state(left).to_owned()),
    },
    Column {
        name: "WHAT",
        align: Align::Left,
        help: "a file, a directory with all below it, a name, or a process",
        value: |left| Value::Text(describe(&left.entry.effect)),
    },
    Column {
        name: "FROM",
        align: Align::Left,
        help: "the command that made it",
        value: |left| Value::Text(left.command.clone()),
    },
]);

fn state(left: &Leftover) -> &'static str {
    match (left.is_gone(), left.entry.kept) {
        (true, _) => "gone",
        (_, true) => "kept",
        (_, false) => "left",
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::File { path } | Effect::Hosts { path, .. } => path.display().to_string(),
        Effect::Tree { path } => format!("{}/", path.display()),
        Effect::Cgroup { path, .. } => format!("cgroup {}", path.display()),
        Effect::Controllers { directory, controllers } => {
            format!("{} handed on by {}", controllers.join(", "), directory.display())
        }
        Effect::NetnsName { path, namespace } => {
            format!("{} (a name of net:[{namespace}])", path.display())
        }
        Effect::Veth { name, .. } => format!("interface {name}"),
        Effect::Bridge { name, .. } => format!("bridge {name}"),
        Effect::NftTable { name, .. } => format!("packet rules, table ip {name}"),
        Effect::Process { what } => what.clone(),
        Effect::Labelled { engine, label, .. } => {
            format!("containers of {} with the label lesson={label}", engine.name())
        }
        Effect::Loaded { engine, image, .. } => format!("image {image} of {}", engine.name()),
        Effect::Policy { thread, new, .. } => {
            format!("{} of thread {}", Class::of(new.number).name(), thread.tid)
        }
        Effect::Affinity { thread, new, .. } => {
            format!("CPUs {} of thread {}", affinity::text(new), thread.tid)
        }
    }
}

/// `cleanup`
pub fn run(args: &Cleanup, global: &Global, screen: &mut Screen) -> Result<u8> {
    let found = undo::leftovers()?;
    if args.list {
        return list(&found, screen).map(|()| 0);
    }
    if global.dry_run {
        let steps: Vec<_> = found.iter().rev().map(|left| undo::step(&left.entry)).collect();
        return screen.plan(&steps).map(|()| 0);
    }
    let report = undo::sweep(true, screen)?;
    let removed: Vec<_> = report.removed.iter().map(describe).collect();
    if screen.json_wanted() {
        let left: Vec<_> = report
            .left
            .iter()
            .map(|(effect, error)| json!({ "what": describe(effect), "error": error }))
            .collect();
        screen.json(&json!({ "removed": removed, "left": left }))?;
    } else if removed.is_empty() && report.left.is_empty() {
        screen.out("Nothing was left behind.")?;
    } else {
        removed.iter().try_for_each(|what| screen.out(&format!("removed {what}")))?;
    }
    for (_, error) in &report.left {
        screen.error(error);
    }
    Ok(if report.left.is_empty() { 0 } else { Exit::Failed.code() })
}

fn list(found: &[Leftover], screen: &mut Screen) -> Result<()> {
    if screen.json_wanted() {
        return screen.json(&json!({ "leftovers": LEFTOVERS.json(found) }));
    }
    if found.is_empty() {
        return screen.prose("Nothing was left behind, and nothing is meant to stay.");
    }
    screen.table(&LEFTOVERS, found)?;
    if found.iter().any(Leftover::is_gone) {
        screen.note(
            "What is gone is no longer at its path, or another stands there: `cleanup` forgets it.",
        );
    }
    Ok(())
}
