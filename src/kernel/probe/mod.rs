//! What this machine can do, and if it cannot: why, and the command that
//! fixes it. Nothing here changes the machine: what has to be tried is tried
//! in a child process, in namespaces that end with it.

mod calls;
mod cgroup;
pub mod child;
pub mod engines;
mod identity;
mod install;
mod need;
mod network;
pub mod program;
mod report;
mod subids;
mod system;
mod tools;
mod userns;

use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;

use serde::Serialize;

pub use cgroup::Cgroups;
pub use identity::{Identity, privilege, sudo_hint};
pub use install::Way;
pub use need::{Engine, Namespace, Need};
pub use report::Fact;
pub use system::Host;
pub use userns::{Liked, Where, try_start};

use crate::error::{Context, Exit, Result};
use crate::kernel::host;
use crate::shell::quoted;
use userns::FileSystem;

/// Stands in a fix where the reader's own command goes.
const COMMAND: &str = "COMMAND";

/// Whether something can be done here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It can; where that could be in doubt, it was tried.
    Met,
    /// It cannot.
    Missing {
        /// What was found, or what the kernel answered.
        reason: String,
        /// What to type, the gentlest first, where something helps.
        fix: Option<String>,
    },
}

impl Verdict {
    /// It cannot, and nothing that could be typed helps.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::Missing { reason: reason.into(), fix: None }
    }

    /// It cannot until `fix` is typed.
    pub fn fixable(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Missing { reason: reason.into(), fix: Some(fix.into()) }
    }

    /// Whether it can be done.
    pub fn met(&self) -> bool {
        *self == Self::Met
    }

    fn for_command(self, command: &str) -> Self {
        match self {
            Self::Missing { reason, fix } => {
                Self::Missing { reason, fix: fix.map(|fix| fix.replace(COMMAND, command)) }
            }
            Self::Met => Self::Met,
        }
    }
}

/// What is known of this machine; each fact is looked up (or tried) once, when
/// it is first asked for.
pub struct Facts {
    root: PathBuf,
    offline: bool,
    identity: OnceCell<Identity>,
    host: OnceCell<Host>,
    os_release: OnceCell<tools::OsRelease>,
    cgroups: OnceCell<Cgroups>,
    subordinate_ids: OnceCell<subids::SubordinateIds>,
    user_namespace: OnceCell<Result<()>>,
    network: OnceCell<Vec<network::Reach>>,
    verdicts: Memo<Need, Verdict>,
    mounts: Memo<(FileSystem, Where), Result<()>>,
    namespaces: Memo<Namespace, Result<()>>,
    engines: Memo<Engine, engines::Found>,
}

impl Default for Facts {
    fn default() -> Self {
        Self::new()
    }
}

impl Facts {
    /// Of the machine that this program runs on.
    pub fn new() -> Self {
        Self {
            root: PathBuf::from("/"),
            offline: false,
            identity: OnceCell::new(),
            host: OnceCell::new(),
            os_release: OnceCell::new(),
            cgroups: OnceCell::new(),
            subordinate_ids: OnceCell::new(),
            user_namespace: OnceCell::new(),
            network: OnceCell::new(),
            verdicts: Memo::default(),
            mounts: Memo::default(),
            namespaces: Memo::default(),
            engines: Memo::default(),
        }
    }

    /// The same; with `offline` no address is asked whether it can be reached.
    #[must_use]
    pub fn offline(self, offline: bool) -> Self {
        Self { offline, ..self }
    }

    /// Nothing can be known without /proc.
    pub fn possible(&self) -> Result<()> {
        let status = self.root.join("proc/self/status");
        std::fs::metadata(&status).tried(|| format!("stat({status:?})")).map(drop).map_err(
            |error| {
                error.exit(Exit::CannotRun).hint(format!(
                    "Is /proc mounted? `{}` mounts it.",
                    identity::privileged("mount -t proc proc /proc")
                ))
            },
        )
    }

    /// Kernel, distribution, and what "the host" is.
    pub fn host(&self) -> &Host {
        self.host.get_or_init(|| Host::read(&self.root))
    }

    /// Who we are.
    pub fn identity(&self) -> &Identity {
        self.identity.get_or_init(|| Identity::read(&self.root.join("proc")))
    }

    /// The control groups.
    pub fn cgroups(&self) -> &Cgroups {
        self.cgroups.get_or_init(|| Cgroups::read(&self.root))
    }

    fn os_release(&self) -> &tools::OsRelease {
        self.os_release.get_or_init(|| host::os_release(&self.root).unwrap_or_default())
    }

    /// How each engine is installed, this machine's distribution first.
    pub fn installs(&self) -> Vec<Way> {
        install::installs(self.os_release())
    }

    fn subordinate_ids(&self) -> &subids::SubordinateIds {
        self.subordinate_ids.get_or_init(|| subids::SubordinateIds::read(&self.root))
    }

    fn engine(&self, engine: Engine) -> engines::Found {
        self.engines.get(engine, || engines::look(engine, &self.root.join("proc")))
    }

    fn network(&self) -> &[network::Reach] {
        self.network.get_or_init(|| network::reach(&network::PLACES))
    }

    /// Where `run` would make a container: as root directly, otherwise in a user namespace.
    fn place(&self) -> Where {
        if self.identity().is_root() { Where::Here } else { Where::Inside }
    }

    fn mount(&self, system: FileSystem, place: Where) -> Result<()> {
        self.mounts.get((system, place), || userns::try_mount(system, place))
    }

    fn namespace(&self, kind: Namespace) -> Result<()> {
        self.namespaces.get(kind, || userns::create_namespace(kind, self.place()))
    }

    /// What became of a trial, with the reason and the fix if it failed.
    fn explain(&self, tried: &Result<()>, place: Where) -> Verdict {
        match (tried, place) {
            (Ok(()), _) => Verdict::Met,
            (Err(error), Where::Here) => Verdict::missing(error.to_string()),
            (Err(error), Where::Inside) => userns::Switches::read(&self.root.join("proc")).explain(
                error,
                &identity::program(),
                self.identity().is_root(),
            ),
        }
    }

    fn user_namespace(&self) -> Verdict {
        let tried = self.user_namespace.get_or_init(userns::create);
        self.explain(tried, Where::Inside)
    }

    fn mounting(&self, system: FileSystem, place: Where) -> Verdict {
        self.explain(&self.mount(system, place), place)
    }

    /// Overlay: the switches for user namespaces explain a failure only if
    /// other file systems fail, too.
    fn overlay(&self, place: Where) -> Verdict {
        let first = self.mounting(FileSystem::Tmpfs, place);
        match (first, self.mount(FileSystem::Overlay, place)) {
            (missing @ Verdict::Missing { .. }, _) => missing,
            (_, Ok(())) => Verdict::Met,
            (_, Err(error)) if error.is(nix::errno::Errno::ENODEV) => {
                Verdict::fixable(error.to_string(), identity::privileged("modprobe overlay"))
            }
            (_, Err(error)) if place == Where::Inside => Verdict::fixable(
                format!("{error}; in a user namespace it takes Linux 5.11"),
                sudo_hint(COMMAND),
            ),
            (_, Err(error)) => Verdict::missing(error.to_string()),
        }
    }

    /// All that `run` does on its way, in its order; the first that fails counts.
    fn container(&self) -> Verdict {
        use Namespace as N;
        let place = self.place();
        let namespaces = [N::Mnt, N::Uts, N::Ipc, N::Pid, N::Net, N::Cgroup];
        let made = namespaces.iter().map(|kind| self.explain(&self.namespace(*kind), place));
        let mounted =
            [FileSystem::Tmpfs, FileSystem::Proc].into_iter().map(|fs| self.mounting(fs, place));
        let failed =
            made.chain(mounted).chain(std::iter::once_with(|| judge(&Need::Seccomp, self)));
        let failed = failed.into_iter().find(|verdict| !verdict.met()).unwrap_or(Verdict::Met);
        match failed {
            // Root needs no user namespace at all, so it helps whatever the reason is.
            Verdict::Missing { reason, fix } if place == Where::Inside => {
                let sudo = sudo_hint(COMMAND);
                let others = fix.filter(|fix| *fix != sudo);
                let others = others.iter().map(|fix| fix.strip_prefix(&*sudo).unwrap_or(fix));
                let others = others.map(|fix| fix.trim_start_matches("\nor: "));
                let fixes: Vec<_> = std::iter::once(&*sudo).chain(others).collect();
                Verdict::fixable(reason, fixes.join("\nor: "))
            }
            other => other,
        }
    }

    fn reach(&self) -> Verdict {
        if self.offline {
            return Verdict::missing("not asked (--offline)");
        }
        let unreached = self.network().iter().filter_map(|(address, answer)| {
            answer.as_ref().err().map(|why| format!("{address} not reached: {why}"))
        });
        let unreached: Vec<_> = unreached.collect();
        match unreached.as_slice() {
            [] => Verdict::Met,
            some => Verdict::missing(some.join("; ")),
        }
    }
}

/// Whether this machine fulfils `need`; the fix runs the command again that the
/// reader has just typed.
pub fn check(need: &Need, facts: &Facts) -> Verdict {
    let typed: Vec<_> = std::env::args().skip(1).map(|arg| quoted(&arg)).collect();
    check_for(need, facts, &typed.join(" "))
}

/// The same with another command of this program in the fix: `lesson 1`.
pub fn check_for(need: &Need, facts: &Facts, command: &str) -> Verdict {
    judge(need, facts).for_command(command)
}

fn judge(need: &Need, facts: &Facts) -> Verdict {
    facts.verdicts.get(need.clone(), || match need {
        Need::Root => facts.identity().root(),
        Need::Container => facts.container(),
        Need::UserNamespace => facts.user_namespace(),
        Need::MountInUserNamespace => match facts.mounting(FileSystem::Tmpfs, Where::Inside) {
            Verdict::Met => facts.mounting(FileSystem::Proc, Where::Inside),
            missing => missing,
        },
        Need::SubordinateIds => match facts.user_namespace() {
            Verdict::Met => facts.subordinate_ids().check(facts.os_release()),
            missing => missing,
        },
        Need::Overlay => facts.overlay(facts.place()),
        Need::CgroupV1 => facts.cgroups().v1(),
        Need::CgroupV2 => facts.cgroups().v2(),
        Need::Limits => cgroup::limits(),
        Need::Namespace(kind) => facts.explain(&facts.namespace(*kind), facts.place()),
        Need::RealTime => calls::real_time(),
        Need::Seccomp => calls::seccomp(),
        Need::Network => facts.reach(),
        Need::ContainerNetwork => match facts.identity().is_root() {
            true => facts.identity().root(),
            false => tools::pasta(facts.os_release()),
        },
        Need::Tool(name) => tools::check(name, facts.os_release()),
        Need::Engine(engine) => facts.engine(*engine).check(facts.os_release()),
    })
}

/// Answers that are looked up once.
struct Memo<K, V>(RefCell<Vec<(K, V)>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(RefCell::new(Vec::new()))
    }
}

impl<K: PartialEq, V: Clone> Memo<K, V> {
    fn get(&self, key: K, look: impl FnOnce() -> V) -> V {
        if let Some((_, known)) = self.0.borrow().iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let found = look();
        self.0.borrow_mut().push((key, found.clone()));
        found
    }
}
