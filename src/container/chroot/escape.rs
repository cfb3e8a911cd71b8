//! Leaving a chroot, with real calls, on a tree that is thrown away: root can,
//! because chroot(2) moves a process's root and nothing else. After pivot_root(2)
//! the old root is gone from the mount namespace, and the same calls lead nowhere.

use std::path::Path;

use crate::container::chroot::{enter, namespaces};
use crate::error::{Context, Error, Result};
use crate::kernel::chroot::{Chroot, ClimbUp, LookAtRoot, OnlyInSandbox};
use crate::kernel::files::{Chdir, MakeDir};
use crate::kernel::mount::{Mount, PivotRoot, Unmount};
use crate::kernel::op::{Op, literal};
use crate::step::{Observer, Step};

/// Deeper than any directory that we are likely to stand in.
const UP: u32 = 64;

/// What `/` was for the process: before, behind its new root, and after it tried to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The machine's own `/` (in the sandbox's mount namespace).
    pub before: String,
    /// The throw-away tree.
    pub inside: String,
    /// What it came to.
    pub after: String,
}

impl Attempt {
    /// Whether it got out.
    pub fn escaped(&self) -> bool {
        self.after == self.before && self.after != self.inside
    }

    /// Whether it is where it was locked in.
    pub fn held(&self) -> bool {
        self.after == self.inside && self.inside != self.before
    }
}

/// What is done; `place` is an empty directory to mount on.
pub fn plan(place: &Path, pivot: bool) -> Result<Vec<Op>> {
    let outside =
        std::fs::read_link("/proc/self/ns/mnt").tried(|| "readlink(\"/proc/self/ns/mnt\")")?;
    let outside = outside.to_string_lossy().into_owned();
    let place = literal(&place.to_string_lossy());
    let mut ops = namespaces(true)?;
    ops.push(OnlyInSandbox { outside }.into());
    ops.push(look("this machine's own root, by its inode"));
    let why = "a tree in memory that nobody else sees: it goes with the namespace";
    ops.push(Mount::filesystem("tmpfs", &place, why).data("mode=0755").into());
    ops.extend(if pivot { pivoted(&place) } else { chrooted(&place) });
    ops.push(look("the process is locked in: another directory"));
    ops.extend(leave());
    ops.push(look("and where is it now?"));
    Ok(ops)
}

fn look(why: &str) -> Op {
    LookAtRoot { why: why.to_owned() }.into()
}

fn chrooted(place: &str) -> Vec<Op> {
    vec![
        Chroot { path: place.to_owned(), why: "locked in, the article's way".to_owned() }.into(),
        Chdir { path: "/".to_owned(), why: "as chroot(1) does".to_owned() }.into(),
    ]
}

fn pivoted(place: &str) -> Vec<Op> {
    vec![
        Chdir { path: place.to_owned(), why: "into the new root".to_owned() }.into(),
        PivotRoot { new_root: ".".to_owned(), put_old: ".".to_owned() }.into(),
        Unmount { target: ".".to_owned(), why: "the old root leaves the tree".to_owned() }.into(),
        Chdir { path: "/".to_owned(), why: "locked in, a container's way".to_owned() }.into(),
    ]
}

/// The classic, known since the nineties.
fn leave() -> Vec<Op> {
    let why = "the root goes one directory down, the working directory stays where it is: outside";
    vec![
        MakeDir { path: "x".to_owned(), mode: 0o755, why: "somewhere to go".to_owned() }.into(),
        Chroot { path: "x".to_owned(), why: why.to_owned() }.into(),
        ClimbUp { times: UP }.into(),
        Chroot { path: ".".to_owned(), why: "wherever that led: make it `/`".to_owned() }.into(),
    ]
}

/// Tries it in a child; what `/` was on the way.
pub fn attempt(place: &Path, pivot: bool, observer: &mut dyn Observer) -> Result<Attempt> {
    let mut looks = Looks { observer, seen: Vec::new() };
    let mut ops = plan(place, pivot)?;
    // The child has nothing to become: it ends by failing to, and that is no failure.
    ops.push(
        crate::kernel::execute::Execute { argv: vec![END.to_owned()], env: Vec::new() }.into(),
    );
    let ended = enter(ops, &mut looks);
    let seen = std::mem::take(&mut looks.seen);
    match (<[String; 3]>::try_from(seen), ended) {
        (Ok([before, inside, after]), _) => Ok(Attempt { before, inside, after }),
        (Err(_), Err(error)) => Err(error),
        (Err(_), Ok(_)) => Err(Error::new("the process that was to escape ended too early")),
    }
}

/// A program that is not there.
const END: &str = "/under-the-hood/ends/here";

/// Hears of everything, and remembers what `/` was.
struct Looks<'a> {
    observer: &'a mut dyn Observer,
    seen: Vec<String>,
}

impl Observer for Looks<'_> {
    fn step(&mut self, step: &Step) {
        if step.call.contains(END) {
            return;
        }
        if step.call == "stat(\"/\")"
            && let Some(Ok(root)) = &step.result
        {
            self.seen.push(root.clone());
        }
        self.observer.step(step);
    }
}
