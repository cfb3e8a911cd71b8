//! `cgroup`: limits, and what is used of them.

mod limit;
mod ls;
mod prove;
mod show;
mod tree;
mod watch;

use std::path::Path;

use crate::cli::Global;
use crate::cli::cgroup::Cgroup;
use crate::container::target;
use crate::error::{Error, Result};
use crate::kernel::cgroup::{self, Group};
use crate::kernel::load;
use crate::ui::Screen;

/// Where everything about processes is read.
const PROC: &str = "/proc";

/// Performs a `cgroup` command.
pub fn run(command: &Cgroup, global: &Global, screen: &mut Screen) -> Result<u8> {
    let proc = Path::new(PROC);
    match command {
        Cgroup::Ls(args) => ls::run(proc, args, screen),
        Cgroup::Tree => tree::run(proc, screen),
        Cgroup::Limit(args) => limit::run(args, global, screen),
        Cgroup::Prove(args) => prove::run(args, global, screen),
        Cgroup::Watch(args) => watch::run(proc, args, screen),
        Cgroup::Show(args) => show::run(proc, args, screen),
    }
}

/// The group that a TARGET is in, and the pid that was meant, if one was.
fn group(proc: &Path, text: &str) -> Result<(Option<i32>, Group)> {
    if text.starts_with('/') {
        return Ok((None, by_path(proc, text)?));
    }
    let pid = target::resolve(proc, text)?.pid;
    let group = Group::of_process(proc, pid)?;
    match group.seats.is_empty() {
        true => Err(none_mounted()),
        false => Ok((Some(pid), group)),
    }
}

/// The group at a path below the top of its hierarchies.
fn by_path(proc: &Path, path: &str) -> Result<Group> {
    let wanted = format!("/{}", path.trim_matches('/'));
    let all = cgroup::all(proc)?;
    if all.is_empty() {
        return Err(none_mounted());
    }
    all.into_iter().find(|group| group.path == wanted).ok_or_else(|| {
        Error::new(format!("no cgroup has the path {path}"))
            .hint("`under-the-hood cgroup tree` lists the groups there are.")
    })
}

fn none_mounted() -> Error {
    Error::cannot("no cgroup hierarchy is mounted in our sight")
        .hint("As root: `mount -t cgroup2 none /sys/fs/cgroup`.")
}

/// `__load`: what `cgroup prove` starts in the groups it makes.
pub fn load(kind: &str, amount: u64) -> u8 {
    match kind {
        "cpu" => load::cpu(amount),
        "memory" => load::memory(amount),
        "forks" => load::forks(amount),
        "read" => load::read(amount),
        _ => 2,
    }
}
