//! `chroot escape`: root leaves a chroot, and does not leave after pivot_root.

use serde_json::json;

use crate::cli::Global;
use crate::container::chroot::escape::{Attempt, attempt, plan};
use crate::error::{Exit, Result};
use crate::home::{self, Place};
use crate::kernel::op;
use crate::step::Actor;
use crate::ui::Screen;

/// Tries both; 0 when it is as it should be.
pub fn run(global: &Global, screen: &mut Screen) -> Result<u8> {
    if global.dry_run {
        let place = home::path(Place::Data)?.join("sandbox");
        let mut steps = Vec::new();
        for pivot in [false, true] {
            steps.extend(op::describe(&plan(&place, pivot)?, Actor::Init));
        }
        return screen.plan(&steps).map(|()| 0);
    }
    let place = home::open(Place::Data, "sandbox")?;
    let chroot = attempt(&place, false, screen)?;
    let pivot = attempt(&place, true, screen)?;
    let _ = std::fs::remove_dir(&place); // it was only mounted on, in namespaces that are gone
    let as_it_should_be = chroot.escaped() && pivot.held();
    if screen.json_wanted() {
        let of = |attempt: &Attempt| json!({ "before": attempt.before, "inside": attempt.inside, "after": attempt.after, "escaped": attempt.escaped() });
        screen.json(&json!({ "chroot": of(&chroot), "pivot_root": of(&pivot) }))?;
    } else {
        show("chroot", &chroot, screen)?;
        show("pivot_root", &pivot, screen)?;
        screen.prose(
            "\nchroot changes where `/` is for a process, and nothing else: a working directory outside \
             of it is a way out. After pivot_root, and with the old root unmounted, there is no outside \
             in this mount namespace to go to. That is why container engines use pivot_root.",
        )?;
    }
    Ok(if as_it_should_be { 0 } else { Exit::DoesNotHold.code() })
}

fn show(way: &str, attempt: &Attempt, screen: &mut Screen) -> Result<()> {
    let verdict = match (attempt.escaped(), attempt.held()) {
        (true, _) => "out, this machine's root",
        (_, true) => "still inside",
        _ => "somewhere else",
    };
    screen.out(way)?;
    screen.out(&format!("  before    {}", attempt.before))?;
    screen.out(&format!("  locked in {}", attempt.inside))?;
    screen.out(&format!("  leaving   {}: {verdict}", attempt.after))
}
