//! What an exercise leaves on the machine: found beside what was there before, written
//! down as the lesson's, and told to the reader.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::container::network::names;
use crate::effect::{Effect, Identity};
use crate::error::Result;
use crate::lesson::check::Bound;
use crate::lesson::met::running;
use crate::lesson::model::Leaves;

use super::Stage;

/// Something that an exercise has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    effect: Effect,
    identity: Identity,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.effect, &self.identity) {
            (
                Effect::File { path }
                | Effect::Hosts { path, .. }
                | Effect::Tree { path }
                | Effect::NetnsName { path, .. },
                _,
            ) => write!(f, "{}", path.display()),
            (Effect::Cgroup { path, .. } | Effect::Controllers { directory: path, .. }, _) => {
                write!(f, "{}", path.display())
            }
            (Effect::Process { what }, Identity::Process { pid, .. }) => {
                write!(f, "process {pid} ({what})")
            }
            (Effect::Labelled { engine, label, .. }, _) => {
                write!(f, "containers of {} (lesson={label})", engine.name())
            }
            (Effect::Loaded { image, .. }, _) => f.write_str(image),
            (Effect::Policy { thread, .. } | Effect::Affinity { thread, .. }, _) => {
                write!(f, "thread {}", thread.tid)
            }
            (Effect::Process { what: name }, _)
            | (
                Effect::Veth { name, .. }
                | Effect::Bridge { name, .. }
                | Effect::NftTable { name, .. },
                _,
            ) => f.write_str(name),
        }
    }
}

impl Stage {
    /// What an exercise is going to leave that is there already: neither the
    /// lesson's to remove nor an answer to the exercise.
    pub fn there_before(&mut self, leaves: &[Leaves]) -> Vec<Left> {
        self.world.older.clear();
        let before = self.there(leaves);
        let pid = |left: &Left| match left.identity {
            Identity::Process { pid, .. } => Some(pid),
            _ => None,
        };
        self.world.older = before.iter().filter_map(pid).collect();
        before
    }

    fn there(&self, leaves: &[Leaves]) -> Vec<Left> {
        leaves.iter().flat_map(|leaves| self.found(leaves)).collect()
    }

    /// What has appeared since: the lesson's to remove.
    pub fn appeared(&self, leaves: &[Leaves], before: &[Left]) -> Vec<Left> {
        self.there(leaves).into_iter().filter(|left| !before.contains(left)).collect()
    }

    /// Writes down that these go when the stage is emptied.
    pub fn adopt(&mut self, left: &[Left]) -> Result<()> {
        for left in left {
            self.note(left.effect.clone(), left.identity.clone())?;
        }
        Ok(())
    }

    fn found(&self, leaves: &Leaves) -> Vec<Left> {
        match leaves {
            Leaves::Path(path) => {
                let mut path = path.clone();
                for (name, value) in self.world.variables() {
                    path = path.replace(&format!("${name}"), &value);
                }
                let Ok(metadata) = fs::symlink_metadata(&path) else { return Vec::new() };
                let identity = Identity::Inode { dev: metadata.dev(), ino: metadata.ino() };
                let path = PathBuf::from(path);
                let effect = match names::namespace_at(&path) {
                    Some(namespace) => Effect::NetnsName { path, namespace },
                    // Its files are not there to be removed; what is in it goes back up.
                    None if path.join("cgroup.procs").exists() => {
                        Effect::Cgroup { path, lent: true }
                    }
                    None if metadata.is_dir() => Effect::Tree { path },
                    None => Effect::File { path },
                };
                vec![Left { effect, identity }]
            }
            Leaves::Process { command, .. } => running(&self.world, command)
                .map(|(pid, start)| Left {
                    effect: Effect::Process { what: command.clone() },
                    identity: Identity::Process { pid, start },
                })
                .collect(),
        }
    }

    /// Binds the names that an exercise gives to the processes it asks for, once they are
    /// there; those that are new.
    pub fn meet(&mut self, leaves: &[Leaves]) -> Result<Vec<Bound>> {
        let met = self.world.meet(leaves);
        if !met.is_empty() {
            self.tell_session()?;
        }
        Ok(met)
    }
}
