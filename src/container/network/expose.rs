//! Giving a network namespace a name that `ip netns` can find, the article's
//! way, done right: the directory is shared and locked as `ip` does it, no name
//! in use is overwritten, and what is mounted is what was looked at.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::names::{self, RUN_NETNS, namespace_at};
use super::place::Place;
use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::home::Place as Home;
use crate::journal::Entry;
use crate::kernel::files::MakeDir;
use crate::kernel::mount::Mount;
use crate::kernel::mountinfo;
use crate::kernel::netns::{LockNames, MountNamespace, NET, NameFile, NewNameFile};
use crate::kernel::op::{Op, Slots, World, describe, literal, perform_all};
use crate::kernel::undo;
use crate::kernel::watcher::Watch;
use crate::step::{Actor, Observer, Step};

/// A name for a namespace.
#[derive(Debug)]
pub struct Exposure<'a> {
    place: &'a Place,
    path: PathBuf,
}

/// What is at the path already.
#[derive(Debug, PartialEq, Eq)]
enum There {
    Nothing,
    ThisVery,
    Another(u64),
    PlainFile,
}

impl<'a> Exposure<'a> {
    /// Of this namespace, under this name; nothing is done yet.
    pub fn new(place: &'a Place, name: &str) -> Result<Self> {
        names::check(name)?;
        Ok(Self { place, path: Path::new(RUN_NETNS).join(name) })
    }

    /// Where its name is, or is going to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has this name already; an error when something else has it.
    pub fn is_there(&self) -> Result<bool> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let taken = |by: String, repair: String| {
            Err(Error::new(format!("the name {name} is in use in {RUN_NETNS}"))
                .said(by)
                .hint(repair))
        };
        match self.there() {
            There::Nothing => Ok(false),
            There::ThisVery => Ok(true),
            There::Another(inode) => taken(
                format!("it names net:[{inode}]"),
                "Choose another with --name; `under-the-hood netns list` shows all.".to_owned(),
            ),
            There::PlainFile => taken(
                "it is a plain file that names nothing".to_owned(),
                format!(
                    "If nobody needs it: `rm {}`. Or choose another with --name.",
                    self.path.display()
                ),
            ),
        }
    }

    fn there(&self) -> There {
        match namespace_at(&self.path) {
            Some(inode) if inode == self.place.inode => There::ThisVery,
            Some(inode) => There::Another(inode),
            None if self.path.symlink_metadata().is_ok() => There::PlainFile,
            None => There::Nothing,
        }
    }

    /// What `--dry-run` shows.
    pub fn steps(&self) -> Vec<Step> {
        let all = [self.prepare(), self.directory(), self.name()].concat();
        describe(&all, Actor::Launcher)
    }

    fn prepare(&self) -> Vec<Op> {
        let why = "where `ip netns` looks for names; it stays, as after `ip netns add`";
        let directory = RUN_NETNS.to_owned();
        vec![
            MakeDir { path: directory.clone(), mode: 0o755, why: why.to_owned() }.into(),
            LockNames { directory }.into(),
        ]
    }

    /// The directory as a shared mount: what is mounted in it is then seen in
    /// every mount namespace that has it, and can be unmounted from any.
    fn directory(&self) -> Vec<Op> {
        // By the mount's id: a path in the list can be covered by a later mount.
        let id = names::mount_id(Path::new(RUN_NETNS));
        let mounts = mountinfo::list(Path::new("/proc"), std::process::id().cast_signed());
        let mounts = mounts.unwrap_or_default();
        let at = |mount: &&mountinfo::Mount| mount.mount_point == Path::new(RUN_NETNS);
        let here = mounts.iter().find(|mount| Some(mount.id) == id).filter(at);
        let shared = here.is_some_and(|mount| {
            mount.propagation.iter().any(|field| field.starts_with("shared:"))
        });
        let mut ops = Vec::new();
        if here.is_none() {
            let why = "mounted onto itself: only a mount can be shared";
            ops.push(Mount::bind(RUN_NETNS, RUN_NETNS, why).flags(&["MS_REC"]).into());
        }
        if !shared {
            let why = "names given here are seen in every mount namespace that has this directory, \
                       and taken away in all of them";
            ops.push(Mount::change(RUN_NETNS, &["MS_SHARED", "MS_REC"], why).into());
        }
        ops
    }

    fn name(&self) -> Vec<Op> {
        let path = literal(&self.path.to_string_lossy());
        let source = self.place.path.to_string_lossy().into_owned();
        vec![
            NewNameFile { path: path.clone(), namespace: self.place.inode }.into(),
            NameFile { path: path.clone() }.into(),
            MountNamespace { source, path }.into(),
        ]
    }

    /// Gives the name, to stay; nothing is left of it if that fails.
    pub fn perform(&self, command: &str, observer: &mut dyn Observer) -> Result<()> {
        let mut watch = Watch::start(Home::Run, command)?;
        let done = self.give(&mut watch, observer).and_then(|()| watch.keep());
        let left = watch.end();
        done?;
        match left.as_slice() {
            [] => Ok(()),
            left => Err(Error::new("giving the name").said(left.join("; "))),
        }
    }

    fn give(&self, watch: &mut Watch, observer: &mut dyn Observer) -> Result<()> {
        let mut slots = Slots::default();
        let mut world = World::new(&mut slots);
        let net: OwnedFd = self.place.file.try_clone().tried(|| "dup(net)")?.into();
        world.fds.insert(NET.to_owned(), net);
        world.watch = Some(watch);
        perform_all(&self.prepare(), Actor::Launcher, &mut world, observer).map_err(no_right)?;
        // Under the lock, what is looked at now stays so.
        if self.is_there()? {
            return Ok(());
        }
        let ops = [self.directory(), self.name()].concat();
        perform_all(&ops, Actor::Launcher, &mut world, observer).map_err(no_right)
    }
}

fn no_right(error: Error) -> Error {
    let refused = [nix::errno::Errno::EACCES, nix::errno::Errno::EPERM];
    match refused.iter().any(|errno| error.is(*errno)) && error.hint.is_none() {
        true => error.hint("Only root may give names in /run/netns: use sudo."),
        false => error,
    }
}

/// What a name that was given stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The file.
    pub path: PathBuf,
    /// The namespace.
    pub namespace: u64,
    /// How it is taken back.
    pub step: Step,
}

/// The name that `netns expose` gave, by our journals.
pub fn given(name: &str) -> Result<Given> {
    names::check(name)?;
    let path = Path::new(RUN_NETNS).join(name);
    let left = undo::leftovers()?;
    let ours = left.iter().find_map(|left| match &left.entry.effect {
        Effect::NetnsName { path: theirs, namespace } if *theirs == path && left.entry.kept => {
            Some(Given { path: path.clone(), namespace: *namespace, step: undo::step(&left.entry) })
        }
        _ => None,
    });
    ours.ok_or_else(|| match path.symlink_metadata().is_ok() {
        true => Error::new(format!("{name} is not a name that `netns expose` gave"))
            .said(format!("{} is there, and no journal of ours names it", path.display()))
            .hint(format!("Whoever made it may need it. If not: `ip netns delete {name}`.")),
        false => Error::new(format!("no network namespace is called {name}"))
            .hint("`under-the-hood netns list` shows every name."),
    })
}

/// Takes back a name that was given.
pub fn hide(given: &Given, observer: &mut dyn Observer) -> Result<()> {
    let wanted = |entries: &[Entry]| {
        let is = |entry: &Entry| matches!(&entry.effect, Effect::NetnsName { path, .. } if *path == given.path);
        entries.iter().any(is)
    };
    let report = undo::take_back(wanted, observer)?;
    report.left.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
}
