//! An operation: whatever changes the machine is a value that describes
//! itself, performs itself, and says what it leaves behind.
//!
//! That is why `--explain` and `--dry-run` cannot drift from the deed: one
//! value makes both. Each operation is described and performed in the file of
//! its facility (`Mount` in mount.rs, ...); here they are gathered, and run.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::effect::{Effect, Identity};
use crate::error::{Error, Result};
use crate::kernel::channel::Channel;
use crate::kernel::watcher::Watch;
use crate::kernel::{
    binary, cgroup, chroot, clone, credentials, detached, devices, enter, execute, files, helper,
    hosts, in_root, limits, listen, mount, netlink, netns, pidfd, reaper, scheduler, seccomp,
    session, tree, user,
};
use crate::step::{Actor, Observer, Step};

/// What each kind of operation provides.
pub trait Operation {
    /// The call, its shell twin and why; arguments not known yet stand as `$slots`.
    fn step(&self) -> Step;
    /// Does it. The text is what the kernel answered, as `strace` prints it.
    fn perform(&self, world: &mut World<'_>) -> Result<String>;
    /// What it leaves behind that the kernel will not remove by itself.
    fn effect(&self, slots: &Slots) -> Option<Effect> {
        let _ = slots;
        None
    }
}

macro_rules! operations {
    ($($name:ident = $path:path),+ $(,)?) => {
        /// Every operation there is: plain data, so that a plan can be printed,
        /// or sent to the process that is to perform it.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum Op { $($name($path)),+ }

        $(impl From<$path> for Op {
            fn from(operation: $path) -> Self { Self::$name(operation) }
        })+

        impl Op {
            fn operation(&self) -> &dyn Operation {
                match self { $(Self::$name(operation) => operation),+ }
            }
        }
    };
}

operations! {
    AddressAdd = netlink::AddressAdd,
    Attach = detached::Attach,
    Become = execute::Become,
    BridgeAdd = netlink::BridgeAdd,
    CapBound = credentials::CapBound,
    CapSet = credentials::CapSet,
    Chdir = files::Chdir,
    Chroot = chroot::Chroot,
    ClimbUp = chroot::ClimbUp,
    Clone = clone::Clone,
    CloneBinary = binary::CloneBinary,
    Console = session::Console,
    CopyBinary = binary::CopyBinary,
    CopyTree = files::CopyTree,
    DeathSignal = session::DeathSignal,
    ControlSet = cgroup::change::Set,
    EnterDir = in_root::EnterDir,
    EnterNet = netns::EnterNet,
    EnterOwner = netns::EnterOwner,
    Execute = execute::Execute,
    FillTree = tree::FillTree,
    HandOn = cgroup::change::HandOn,
    IdMap = user::IdMap,
    Limit = limits::Limit,
    LinkSet = netlink::LinkSet,
    LinkUp = netlink::LinkUp,
    Listen = listen::Listen,
    LockNames = netns::LockNames,
    MakeGroup = cgroup::change::MakeGroup,
    MakeDir = files::MakeDir,
    MakeNodes = devices::MakeNodes,
    MakeInRoot = in_root::MakeInRoot,
    MapOwners = detached::MapOwners,
    LookAtRoot = chroot::LookAtRoot,
    Mount = mount::Mount,
    MountAttributes = detached::MountAttributes,
    NewDir = files::NewDir,
    MountNamespace = netns::MountNamespace,
    NameFile = netns::NameFile,
    NatTable = netlink::nft::NatTable,
    NewNameFile = netns::NewNameFile,
    NewNet = listen::NewNet,
    NewKeyring = session::NewKeyring,
    NewSession = session::NewSession,
    NewTree = tree::NewTree,
    NoNewPrivs = credentials::NoNewPrivs,
    OomScoreAdjust = limits::OomScoreAdjust,
    Opaque = reaper::Opaque,
    OpenTree = detached::OpenTree,
    OnlyInSandbox = chroot::OnlyInSandbox,
    PivotRoot = mount::PivotRoot,
    Reaper = reaper::Reaper,
    RemoveDir = files::RemoveDir,
    Rename = tree::Rename,
    Seccomp = seccomp::Install,
    RouteAdd = netlink::RouteAdd,
    SealBinary = binary::SealBinary,
    SealCopy = binary::SealCopy,
    SendSignal = pidfd::SendSignal,
    SetAffinity = scheduler::SetAffinity,
    SetGid = credentials::SetGid,
    SetGroups = credentials::SetGroups,
    SetHostname = session::SetHostname,
    SetNs = enter::SetNs,
    SetPolicy = scheduler::SetPolicy,
    SetUid = credentials::SetUid,
    ShareName = hosts::ShareName,
    StartHog = scheduler::StartHog,
    Symlink = files::Symlink,
    TakeAddress = netlink::lease::TakeAddress,
    Undumpable = enter::Undumpable,
    Unmount = mount::Unmount,
    Unshare = chroot::Unshare,
    UnshareCgroup = enter::UnshareCgroup,
    UnshareMounts = enter::UnshareMounts,
    UserNet = helper::UserNet,
    VethAdd = netlink::VethAdd,
    WriteFile = files::WriteFile,
    WriteInRoot = in_root::WriteInRoot,
}

/// Values that earlier operations found out, by name: `$pid` is a pid.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Slots(BTreeMap<String, String>);

impl Slots {
    /// Gives a slot its value.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.0.insert(name.to_owned(), value.to_string());
    }

    /// `text` with every known `$slot` filled and every `$$` made a plain `$`.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let length =
                after.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(after.len());
            let (name, behind) = after.split_at(length);
            match self.0.get(name) {
                Some(value) => filled.push_str(value),
                None => filled.push_str(&format!("${name}")),
            }
            // After an empty name stands the second dollar of a pair, or nothing special.
            rest =
                if name.is_empty() { behind.strip_prefix('$').unwrap_or(behind) } else { behind };
        }
        filled + rest
    }

    /// A slot that holds a number.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<N> {
        let value = self.0.get(name).and_then(|value| value.parse().ok());
        value.ok_or_else(|| Error::new(format!("the plan needs ${name} before it is known")))
    }
}

/// Text of somebody else, so that a `$` in it is never taken for a slot.
pub fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// What an operation may use while it is performed.
pub struct World<'a> {
    /// What earlier operations found out.
    pub slots: &'a mut Slots,
    /// The watcher, in the process that has one.
    pub watch: Option<&'a mut Watch>,
    /// The channel to the launcher, in a container's init.
    pub channel: Option<&'a Channel>,
    /// Descriptors for the process that `Clone` makes: its 0, 1, 2 and its channel.
    pub hand_over: Vec<OwnedFd>,
    /// Descriptors that operations use, by name.
    pub fds: BTreeMap<String, OwnedFd>,
}

impl<'a> World<'a> {
    /// A world with nothing but slots.
    pub fn new(slots: &'a mut Slots) -> Self {
        Self { slots, watch: None, channel: None, hand_over: Vec::new(), fds: BTreeMap::new() }
    }

    /// The descriptor of this name.
    pub fn fd(&self, name: &str) -> Result<&OwnedFd> {
        self.fds.get(name).ok_or_else(|| {
            Error::new(format!("the plan needs the descriptor {name} before it is open"))
        })
    }

    /// The watcher, without which nothing that stays behind may be made.
    pub fn watch(&mut self) -> Result<&mut Watch> {
        self.watch
            .as_deref_mut()
            .ok_or_else(|| Error::new("this operation needs the journal's watcher"))
    }
}

impl Op {
    /// What it is, before it is performed.
    pub fn step(&self) -> Step {
        self.operation().step()
    }

    /// Performs it; if it leaves something behind, that is written down first.
    /// The step, with its result, goes to the observer either way.
    pub fn perform(
        &self,
        actor: Actor,
        world: &mut World<'_>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let operation = self.operation();
        let noted = match operation.effect(world.slots) {
            Some(effect) => Some((world.watch()?.intend(&effect)?, effect)),
            None => None,
        };
        let result = operation.perform(world);
        if let (Ok(_), Some((n, effect))) = (&result, noted) {
            let identity = identity(&effect, world)?;
            world.watch()?.done(n, &identity)?;
        }
        if observer.wants_steps() {
            let mut step = operation.step();
            step.actor = if step.actor == Actor::Shim { Actor::Shim } else { actor };
            fill(&mut step, world.slots);
            step.result = Some(result.clone());
            observer.step(&step);
        }
        result.map(drop)
    }
}

/// The step as it is shown: with what is known by now.
pub fn fill(step: &mut Step, slots: &Slots) {
    for text in [&mut step.call, &mut step.why].into_iter().chain(&mut step.shell) {
        *text = slots.fill(text);
    }
}

fn identity(effect: &Effect, world: &World<'_>) -> Result<Identity> {
    match effect {
        Effect::NetnsName { .. } => netns::identity(world),
        Effect::Veth { name, .. } | Effect::Bridge { name, .. } => netlink::unmake::identity(name),
        Effect::NftTable { .. } | Effect::Labelled { .. } | Effect::Loaded { .. } => {
            Ok(Identity::Token)
        }
        Effect::File { path }
        | Effect::Hosts { path, .. }
        | Effect::Tree { path }
        | Effect::Cgroup { path, .. }
        | Effect::Controllers { directory: path, .. } => super::undo::identity_of(path),
        Effect::Policy { thread, .. } | Effect::Affinity { thread, .. } => {
            Ok(Identity::Process { pid: thread.tid, start: thread.start })
        }
        // Its identity is written down by the watcher, which starts it.
        Effect::Process { what } => {
            Err(Error::new(format!("{what} is started by the watcher only")))
        }
    }
}

/// Performs a plan in order and stops at the first failure.
pub fn perform_all(
    plan: &[Op],
    actor: Actor,
    world: &mut World<'_>,
    observer: &mut dyn Observer,
) -> Result<()> {
    plan.iter().try_for_each(|op| op.perform(actor, world, observer))
}

/// A plan as steps that were not performed, for `--dry-run`.
pub fn describe(plan: &[Op], actor: Actor) -> Vec<Step> {
    let mut steps: Vec<_> = plan.iter().map(Op::step).collect();
    for step in &mut steps {
        fill(step, &Slots::default());
        if step.actor == Actor::Launcher {
            step.actor = actor;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Recorder;

    #[test]
    fn slots_are_filled_and_the_text_of_others_is_not() {
        let mut slots = Slots::default();
        slots.set("pid", 7);
        slots.set("pid_start", 99);
        assert_eq!(slots.fill("$pid $pid_start/x $other $"), "7 99/x $other $");
        assert_eq!(slots.fill(&literal("echo $pid $$ $")), "echo $pid $$ $");
        assert!(slots.number::<i32>("other").is_err());
    }

    #[test]
    fn what_fails_is_reported_with_its_result() {
        let op = Op::from(files::Chdir {
            path: "/no/such/directory".into(),
            why: "to see it fail".into(),
        });
        let (mut slots, mut recorder) = (Slots::default(), Recorder::default());
        let error =
            op.perform(Actor::Init, &mut World::new(&mut slots), &mut recorder).unwrap_err();
        assert!(error.is(nix::errno::Errno::ENOENT));
        assert_eq!(recorder.0[0].result, Some(Err(error)));
        assert_eq!(recorder.0[0].actor, Actor::Init);
    }

    #[test]
    fn what_stays_behind_is_not_made_without_a_watcher() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let op = Op::from(files::WriteFile::journalled(path.to_string_lossy(), "x", "to leave it"));
        let mut slots = Slots::default();
        assert!(
            op.perform(Actor::Launcher, &mut World::new(&mut slots), &mut Recorder::default())
                .is_err()
        );
        assert!(!path.exists());
    }
}
