//! Every [`Effect`] and its inverse; and the sweep, which undoes what killed
//! commands left behind.
//!
//! Undoing checks identity first, may be done twice, and leaves what differs:
//! what was there before us, or took the place of what we made, is not ours.

use std::ffi::CString;
use std::fs;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::effect::{Driven, Effect, Identity};
use crate::error::{Context, Error, Result};
use crate::home::Place;
use crate::journal::{self, Entry, Journal};
use crate::kernel::pidfd::PidFd;
use crate::kernel::{cgroup, driven, hosts, netlink, netns, process, remove, scheduler};
use crate::step::{Observer, Step};

/// What became of one effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// It was there, and is gone.
    Removed,
    /// It was gone already, was never made, or something else stands in its place.
    NotThere,
}

/// What an undoing of several effects came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What was removed.
    pub removed: Vec<Effect>,
    /// What could not be, and why; it stays in the journal.
    pub left: Vec<(Effect, Error)>,
}

/// What a journal names whose owner died, or that is meant to stay.
#[derive(Debug)]
pub struct Leftover {
    /// The journal that names it.
    pub token: String,
    /// What was typed.
    pub command: String,
    /// What it left.
    pub entry: Entry,
}

impl Leftover {
    /// Whether somebody else has removed it meanwhile, a file or directory: it was
    /// never made, or what stands at its path is another. Then undoing it comes to
    /// forgetting it.
    pub fn is_gone(&self) -> bool {
        match &self.entry.effect {
            Effect::File { path }
            | Effect::Hosts { path, .. }
            | Effect::Tree { path }
            | Effect::Cgroup { path, .. } => {
                matches!(found(path, self.entry.identity.as_ref(), &self.token), Ok(None))
            }
            _ => false,
        }
    }
}

/// Everything that [`sweep`] could find to undo. Changes nothing.
pub fn leftovers() -> Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for orphan in &orphans()?.journals {
        let journal::Header { command, token, .. } = orphan.header();
        let there = |entry: &&Entry| !scheduler::restore::is_over(&entry.effect);
        found.extend(orphan.entries().iter().filter(there).map(|entry| Leftover {
            token: token.clone(),
            command: command.clone(),
            entry: entry.clone(),
        }));
    }
    Ok(found)
}

/// Undoes what journals name whose owners died. Journals of living commands
/// are locked and are not touched; what is meant to stay goes only `with_kept`.
pub fn sweep(with_kept: bool, observer: &mut dyn Observer) -> Result<Report> {
    let mut report = Report::default();
    let orphans = orphans()?;
    for mut orphan in orphans.journals {
        let over = |entry: &Entry| scheduler::restore::is_over(&entry.effect);
        let with_kept = with_kept || cable_is_gone(&orphan) || orphan.entries().iter().all(over);
        undo_all(&mut orphan, with_kept, &mut report, observer);
        orphan.end_if_empty()?;
    }
    Ok(report)
}

/// What was meant to stay connected is not any more: the namespace at the other
/// end has gone, and taken the cable along. Then the rest need not stay either.
fn cable_is_gone(journal: &Journal) -> bool {
    let gone = |entry: &Entry| match &entry.effect {
        Effect::Veth { name, netns } => {
            entry.kept && !(journal.of_this_boot() && netlink::unmake::veth_is_there(name, *netns))
        }
        _ => false,
    };
    journal.entries().iter().any(gone)
}

/// Undoes what was meant to stay in those journals that are `chosen` by what they name.
pub fn take_back(chosen: impl Fn(&[Entry]) -> bool, observer: &mut dyn Observer) -> Result<Report> {
    let mut report = Report::default();
    let orphans = orphans()?;
    for mut orphan in orphans.journals {
        if chosen(orphan.entries()) {
            undo_all(&mut orphan, true, &mut report, observer);
        }
        orphan.end_if_empty()?;
    }
    Ok(report)
}

/// Journals that nobody holds, held by us; and the turn to hold them: another
/// command that looks at the same moment would take a journal that we hold for
/// one whose owner lives, and pass over it.
struct Orphans {
    journals: Vec<Journal>,
    _turn: Vec<fs::File>,
}

fn orphans() -> Result<Orphans> {
    let mut orphans = Vec::new();
    let mut turn = Vec::new();
    for place in [Place::Run, Place::Data] {
        turn.extend(journal::turn(place)?);
        for path in journal::paths(place)? {
            let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
            orphans.extend(Journal::adopt(&path)?.map(|orphan| (written.ok(), orphan)));
        }
    }
    // What was done last is undone first.
    orphans.sort_by_key(|(written, _)| std::cmp::Reverse(*written));
    Ok(Orphans { journals: orphans.into_iter().map(|(_, orphan)| orphan).collect(), _turn: turn })
}

/// Undoes everything a journal names, the last first; what is kept only `with_kept`.
pub fn undo_all(
    journal: &mut Journal,
    with_kept: bool,
    report: &mut Report,
    observer: &mut dyn Observer,
) {
    let entries: Vec<_> =
        journal.entries().iter().filter(|entry| with_kept || !entry.kept).cloned().collect();
    let (token, this_boot) = (journal.header().token.clone(), journal.of_this_boot());
    let mut gone = Vec::new();
    for entry in entries.into_iter().rev() {
        let result = undo(&entry, &token, this_boot);
        if !matches!(result, Ok(Undone::NotThere)) {
            let answer = result.clone().map(|_| "0".to_owned());
            observer.step(&Step { result: Some(answer), ..step(&entry) });
        }
        match result {
            Ok(undone) => {
                if undone == Undone::Removed {
                    report.removed.push(entry.effect);
                }
                gone.push(entry.n);
            }
            Err(error) => report.left.push((entry.effect, error)),
        }
    }
    journal.forget(&gone);
}

/// How an effect is undone, for `--dry-run` and `--explain`.
pub fn step(entry: &Entry) -> Step {
    match (&entry.effect, &entry.identity) {
        (Effect::File { path }, _) => {
            let path = path.display();
            Step::new(format!("unlink(\"{path}\")"), "a file that a killed command left")
                .shell(format!("rm {path}"))
        }
        (Effect::Hosts { path, .. }, _) => {
            let path = path.display();
            let why = "names of a container that has ended, and its line in its neighbours' files";
            Step::new(format!("unlink(\"{path}\")"), why).shell(format!("rm {path}"))
        }
        (Effect::Tree { path }, _) => {
            let path = path.display();
            let why = match entry.kept {
                true => "a directory that was to stay until now, with all below it",
                false => "a directory that a killed command left, with all below it",
            };
            Step::new(format!("unlinkat(\"{path}\", AT_REMOVEDIR)"), why)
                .shell(format!("rm -r {path}"))
        }
        (Effect::NetnsName { path, namespace }, _) => {
            let path = path.display();
            let why = format!("a name of net:[{namespace}]; the file below the mount goes with it");
            Step::new(format!("umount2(\"{path}\", MNT_DETACH)"), why)
                .shell(format!("umount {path}; rm {path}"))
        }
        (Effect::Cgroup { path, lent }, _) => {
            let path = path.display();
            let why = match lent {
                true => "a group that a killed command left; what is in it goes back to its parent",
                false => "a group that a killed command left, and what still runs in it",
            };
            Step::new(format!("rmdir(\"{path}\")"), why).shell(format!("rmdir {path}"))
        }
        (Effect::Controllers { directory, controllers }, _) => {
            let file = format!("{}/cgroup.subtree_control", directory.display());
            let value = format!("-{}", controllers.join(" -"));
            Step::new(
                format!("write(open(\"{file}\", O_WRONLY), \"{value}\")"),
                "was not handed on before",
            )
            .shell(format!("echo '{value}' > {file}"))
        }
        (Effect::Veth { name, .. }, _) => Step::new(
            format!("sendto(netlink, RTM_DELLINK {{{name}}})"),
            "a virtual cable: with one end the other goes too",
        )
        .shell(format!("ip link delete {name}")),
        (Effect::Bridge { name, .. }, _) => Step::new(
            format!("sendto(netlink, RTM_DELLINK {{{name}}})"),
            "the bridge, when no cable is left in it; ip_forward becomes what it was",
        )
        .shell(format!("ip link delete {name}")),
        (Effect::NftTable { name, .. }, _) => Step::new(
            format!("sendto(netlink, NFT_MSG_DELTABLE {{ip {name}}})"),
            "our own table of packet rules; no other is touched",
        )
        .shell(format!("nft delete table ip {name}")),
        (Effect::Labelled { .. } | Effect::Loaded { .. }, _) => driven::step(&entry.effect),
        (Effect::Policy { thread, old, .. }, _) => scheduler::restore::policy_step(*thread, old),
        (Effect::Affinity { thread, old, .. }, _) => {
            scheduler::restore::affinity_step(*thread, old)
        }
        (Effect::Process { what }, Some(Identity::Process { pid, .. })) => {
            let why = format!("{what}: whoever watched over it was killed");
            Step::new(format!("pidfd_send_signal(pidfd of {pid}, SIGKILL)"), why)
                .shell(format!("kill -KILL {pid}"))
        }
        (Effect::Process { what }, _) => {
            Step::new("pidfd_send_signal(..., SIGKILL)", format!("{what}, if it was started"))
        }
    }
}

/// Undoes one effect of the journal with this token.
pub fn undo(entry: &Entry, token: &str, this_boot: bool) -> Result<Undone> {
    match (&entry.effect, &entry.identity) {
        (Effect::File { path }, identity) => remove_file(path, identity.as_ref(), token),
        (Effect::Hosts { path, line }, identity) => {
            hosts::forget(path, line)?;
            remove_file(path, identity.as_ref(), token)
        }
        (Effect::Tree { path }, identity) => match found(path, identity.as_ref(), token)? {
            None => Ok(Undone::NotThere),
            Some(stat) => remove_tree(path, &stat).map(|()| Undone::Removed),
        },
        (Effect::NetnsName { path, namespace }, Some(identity)) if this_boot => {
            netns::unname(path, *namespace, identity)
        }
        (Effect::Veth { name, netns }, identity) if this_boot => {
            netlink::unmake::veth(name, *netns, identity.as_ref())
        }
        (Effect::Bridge { name, mac, netns }, _) if this_boot => {
            netlink::unmake::bridge(name, mac, *netns)
        }
        (Effect::NftTable { name, netns }, _) if this_boot => netlink::unmake::table(name, *netns),
        // What was in the network of another boot is gone with it.
        (Effect::Veth { .. } | Effect::Bridge { .. } | Effect::NftTable { .. }, _) => {
            Ok(Undone::NotThere)
        }
        // Without an identity it never got its name.
        (Effect::NetnsName { .. }, _) => Ok(Undone::NotThere),
        (Effect::Cgroup { path, lent }, identity) => match found(path, identity.as_ref(), token)? {
            None => Ok(Undone::NotThere),
            Some(_) => cgroup::change::remove(path, *lent).map(|()| Undone::Removed),
        },
        // Of an intent alone nobody knows whether it was done; keeping back what
        // is not handed on is no error and changes nothing.
        (Effect::Controllers { directory, controllers }, identity) if this_boot => {
            let there = identity_of(directory).ok();
            match there.is_some() && identity.as_ref().is_none_or(|id| there.as_ref() == Some(id)) {
                false => Ok(Undone::NotThere),
                true => cgroup::change::keep_back(directory, controllers).map(|()| Undone::Removed),
            }
        }
        (Effect::Controllers { .. }, _) => Ok(Undone::NotThere),
        (Effect::Labelled { engine, label, settings }, _) if this_boot => {
            driven::remove_labelled(*engine, label, settings)
        }
        // Of another boot: what an engine keeps of it has ended, but is still there.
        (Effect::Labelled { engine, label, settings }, _) => match engine {
            Driven::Lxc => Ok(Undone::NotThere),
            _ => driven::remove_labelled(*engine, label, settings),
        },
        (Effect::Loaded { engine, image, settings }, _) => {
            driven::remove_image(*engine, image, settings)
        }
        (Effect::Policy { thread, old, new }, _) if this_boot => {
            scheduler::restore::policy(*thread, old, new)
        }
        (Effect::Affinity { thread, old, new }, _) if this_boot => {
            scheduler::restore::affinity(*thread, old, new)
        }
        (Effect::Policy { .. } | Effect::Affinity { .. }, _) => Ok(Undone::NotThere),
        (Effect::Process { .. }, Some(Identity::Process { pid, start })) if this_boot => {
            kill(*pid, *start)
        }
        // Never started, or of an earlier boot.
        (Effect::Process { .. }, _) => Ok(Undone::NotThere),
    }
}

fn remove_file(path: &Path, identity: Option<&Identity>, token: &str) -> Result<Undone> {
    match found(path, identity, token)? {
        None => Ok(Undone::NotThere),
        Some(_) => unlinkat(CWD, path, AtFlags::empty())
            .tried(|| format!("unlink({path:?})"))
            .map(|()| Undone::Removed),
    }
}

/// What stands at `path`, if it is what was written down: by identity, or,
/// when it was never written down that it was made, by the token in its name.
fn found(path: &Path, identity: Option<&Identity>, token: &str) -> Result<Option<Stat>> {
    let stat = match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(errno).tried(|| format!("lstat({path:?})")),
    };
    let ours = match identity {
        Some(Identity::Inode { dev, ino }) => (stat.st_dev, stat.st_ino) == (*dev, *ino),
        Some(_) => false,
        None => path.file_name().is_some_and(|name| name.to_string_lossy().contains(token)),
    };
    Ok(ours.then_some(stat))
}

/// The identity of what stands at `path`, for the journal.
pub fn identity_of(path: &Path) -> Result<Identity> {
    let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).tried(|| format!("lstat({path:?})"))?;
    Ok(Identity::Inode { dev: stat.st_dev, ino: stat.st_ino })
}

/// Ends a process and waits until it is gone.
fn kill(pid: i32, start: u64) -> Result<Undone> {
    let Some(held) = PidFd::open_if_started_at(pid, start)? else {
        return Ok(Undone::NotThere);
    };
    held.signal(libc::SIGKILL)?;
    if held.wait(2000)? {
        return Ok(Undone::Removed);
    }
    Err(Error::new(format!("waiting for process {pid} to end after SIGKILL"))
        .said("it is still there after 2 s")
        .hint(process::outlives_kill(Path::new("/proc"), pid)))
}

/// Removes a directory and all below it, unless something is mounted in there.
fn remove_tree(path: &Path, expected: &Stat) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, parent, flags, Mode::empty())
        .tried(|| format!("open({parent:?}, O_PATH|O_DIRECTORY)"))?;
    let name = CString::new(path.file_name().unwrap_or_default().as_encoded_bytes())
        .map_err(|error| Error::new(format!("removing {}", path.display())).said(error))?;
    let stat = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)
        .tried(|| format!("lstat({path:?})"))?;
    if (stat.st_dev, stat.st_ino) != (expected.st_dev, expected.st_ino) {
        return Ok(());
    }
    remove::refuse_mounts(path)?;
    remove::tree(&directory, &name, path, None)
}

#[cfg(test)]
mod tests;
