//! What the reader makes in an exercise gets its name: a process, known by its
//! command line, is from then on as a container that the lesson has started.

use super::check::{self, Bound, World, start_of};
use super::model::Leaves;

/// Processes with exactly this command line, and when they started.
pub(super) fn running(world: &World, command: &str) -> impl Iterator<Item = (i32, u64)> {
    let pids = check::answers(world, command).into_iter();
    pids.filter_map(|pid| Some((pid, start_of(pid)?)))
}

impl World {
    /// The processes that an exercise names, once they are there, get their names; those that are new.
    pub fn meet(&mut self, leaves: &[Leaves]) -> Vec<Bound> {
        let mut met = Vec::new();
        for leaves in leaves {
            let Leaves::Process { command, name: Some(name) } = leaves else { continue };
            if self.bound(name).is_some_and(Bound::alive) {
                continue;
            }
            let Some((pid, start)) = running(self, command).next() else { continue };
            self.bound.retain(|known| known.name != *name);
            let command = command.split(' ').map(str::to_owned).collect();
            // Nothing of ours watches over it: it has neither an id nor a shim.
            let (name, id) = (name.clone(), String::new());
            met.push(Bound { name, id, pid, start, shim: 0, command });
            self.bound.extend(met.last().cloned());
        }
        met
    }
}
