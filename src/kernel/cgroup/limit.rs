//! Setting limits: from what was asked for to the operations that make a group,
//! tell it its limits and put a process into it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{Access, access};

use super::change::{HandOn, MakeGroup, REST, Set, is_rest};
use super::group::{CORE, Group, Quota, Seat};
use super::hierarchy::{Hierarchies, Place};
use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::journal;
use crate::kernel::op::{Op, literal};
use crate::kernel::process;

/// What may be used. `None`: as much as there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU time in each period.
    pub cpu: Option<Quota>,
    /// 1 to 10000; 100 is ordinary.
    pub weight: Option<u64>,
    /// The same as version 1 has it: 2 to 262144; 1024 is ordinary.
    pub shares: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes of it that may be moved to disk.
    pub swap: Option<u64>,
    /// Tasks.
    pub pids: Option<u64>,
    /// `0-1,3`
    pub cpuset: Option<String>,
    /// Of devices.
    pub io: Vec<Io>,
}

/// How fast a device may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Io {
    /// `8:0`
    pub device: String,
    /// Read or write; bytes or operations.
    pub what: Rate,
    /// So many a second.
    pub rate: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Bytes read.
    ReadBytes,
    /// Bytes written.
    WriteBytes,
    /// Reads.
    Reads,
    /// Writes.
    Writes,
}

impl Rate {
    fn v1(self) -> &'static str {
        match self {
            Self::ReadBytes => "blkio.throttle.read_bps_device",
            Self::WriteBytes => "blkio.throttle.write_bps_device",
            Self::Reads => "blkio.throttle.read_iops_device",
            Self::Writes => "blkio.throttle.write_iops_device",
        }
    }

    fn v2(self) -> &'static str {
        match self {
            Self::ReadBytes => "rbps",
            Self::WriteBytes => "wbps",
            Self::Reads => "riops",
            Self::Writes => "wiops",
        }
    }
}

/// What is done, and where its counters are afterwards.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Makes the group and sets its limits.
    pub make: Vec<Op>,
    /// Puts process `$pid` into it.
    pub join: Vec<Op>,
    /// The group; its path has `$id` in it.
    pub group: Group,
}

impl Limits {
    /// What version 2 calls `cpu.weight`; shares are converted as runc does it.
    pub fn cpu_weight(&self) -> Option<u64> {
        let of_shares = |shares: u64| 1 + (shares.max(2) - 2) * 9999 / 262_142;
        self.shares.map(of_shares).or(self.weight)
    }

    /// Whether anything is limited at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The controllers that are needed for it, by their names in version 1.
    fn needed(&self) -> Vec<&'static str> {
        let wanted = [
            ("cpu", self.cpu.is_some() || self.weight.is_some() || self.shares.is_some()),
            ("memory", self.memory.is_some() || self.swap.is_some()),
            ("pids", self.pids.is_some()),
            ("cpuset", self.cpuset.is_some()),
            ("blkio", !self.io.is_empty()),
        ];
        wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
    }
}

/// Controllers that are added for their counters, where they are to be had.
const COUNTERS: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];

/// The plan for a group named `name` (it carries the journal's token), below
/// the groups we are in ourselves. `counted`: with counters for what is not limited.
pub fn plan(limits: &Limits, name: &str, counted: bool) -> Result<Plan> {
    let proc = Path::new("/proc");
    let own = fs::read_to_string("/proc/self/cgroup").tried(|| "read(\"/proc/self/cgroup\")")?;
    let places = Hierarchies::read(proc)?.places(&own);
    let mut plan = Plan::default();
    plan.group.path = format!("/{name}");
    let needed = limits.needed();
    let mut unified: Vec<&str> = Vec::new();
    let extra = COUNTERS.into_iter().filter(|c| counted && !needed.contains(c));
    for controller in needed.iter().copied().chain(extra) {
        let required = needed.contains(&controller);
        let v1 = places.iter().find(|place| place.controllers.iter().any(|c| c == controller));
        let v2 = places.iter().find(|place| place.version == 2 && has(place, controller));
        match (v1.and_then(|place| place.directory.as_deref()), v2) {
            (Some(directory), _) => match writable(directory) {
                Ok(()) => version_1(&mut plan, limits, directory, controller, name),
                Err(error) if required => return Err(error),
                Err(_) => {}
            },
            (None, Some(_)) => unified.push(if controller == "blkio" { "io" } else { controller }),
            (None, None) if required => return Err(missing(controller)),
            (None, None) => {}
        }
    }
    if !unified.is_empty() {
        let place = places.iter().find(|place| place.version == 2);
        let directory = place.and_then(|place| place.directory.as_deref());
        let directory = directory.ok_or_else(|| missing("of version 2"))?;
        version_2(&mut plan, limits, directory, &unified, name)?;
    }
    Ok(plan)
}

/// Whether the v2 hierarchy of this place has the controller at all.
fn has(place: &Place, controller: &str) -> bool {
    let name = if controller == "blkio" { "io" } else { controller };
    let Some(directory) = &place.directory else { return false };
    top(directory).iter().any(|known| known == name)
}

/// The controllers of the topmost directory of the hierarchy that we see.
fn top(directory: &Path) -> Vec<String> {
    let mut at = directory;
    while let Some(parent) = at.parent().filter(|p| p.join("cgroup.controllers").exists()) {
        at = parent;
    }
    super::v2::controllers(at)
}

fn missing(controller: &str) -> Error {
    let known = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    Error::cannot(format!("no cgroup hierarchy here has the controller {controller}")).hint(
        format!(
            "{} `under-the-hood doctor` lists where each is mounted.",
            elsewhere(controller, &known)
        ),
    )
}

/// Where a controller is that no hierarchy here has, by /proc/cgroups: name,
/// hierarchy of version 1 (0: none), groups in it, whether it is switched on.
fn elsewhere(controller: &str, known: &str) -> String {
    let line = known.lines().find(|line| line.split('\t').next() == Some(controller));
    let fields: Vec<_> = line.into_iter().flat_map(|line| line.split('\t')).collect();
    match (fields.get(1).copied(), fields.get(3).copied()) {
        (_, Some("0")) => format!(
            "It was switched off when this kernel was started (cgroup_disable={controller})."
        ),
        (Some("0"), _) => "No hierarchy of version 1 has it, so it is version 2's, which is not \
             mounted here: `mount -t cgroup2 none /sys/fs/cgroup`."
            .to_owned(),
        (Some(number), _) => format!(
            "It is in use elsewhere: a controller is in one hierarchy at a time, and this one is in \
             number {number} of version 1, which is not mounted here. Whoever wants it in another \
             gets EBUSY until that one is empty and unmounted everywhere."
        ),
        (None, _) => {
            "This kernel was built without it, or knows it under version 2 only.".to_owned()
        }
    }
}

/// Version 1 cannot be handed to an ordinary user safely, and mostly is not.
fn writable(directory: &Path) -> Result<()> {
    access(directory, Access::WRITE_OK)
        .tried(|| format!("mkdir({:?})", directory.join("…")))
        .map_err(|error| {
            let hint = match error.errno.map(Errno::from_raw) {
                Some(Errno::EROFS) => "The hierarchy is mounted read-only here, as containers get it.",
                _ => "Who may make a group is said by the directory's owner and mode: root's here. Use sudo.",
            };
            Error { exit: crate::error::Exit::CannotRun, ..error.hint(hint) }
        })
}

fn make(path: String, why: &str) -> Op {
    MakeGroup { path, lent: false, why: why.to_owned() }.into()
}

fn set(directory: &str, file: &str, value: impl ToString, why: &str) -> Op {
    let path = format!("{directory}/{file}");
    Set { path, value: value.to_string(), why: why.to_owned() }.into()
}

/// A directory as text that a plan's slots leave alone, with a name below it.
fn below(directory: &Path, name: &str) -> String {
    format!("{}/{name}", literal(&directory.to_string_lossy()).trim_end_matches('/'))
}

fn version_1(plan: &mut Plan, limits: &Limits, parent: &Path, controller: &str, name: &str) {
    let at = below(parent, name);
    let seat =
        Seat { controller: controller.to_owned(), version: 1, directory: PathBuf::from(&at) };
    let known = plan.group.seats.iter().any(|seat| seat.directory == Path::new(&at));
    plan.group.seats.push(seat);
    if !known {
        plan.make.push(make(at.clone(), "a group is a directory: the kernel fills it with files"));
        plan.join.push(set(&at, "cgroup.procs", "$pid", "from here on it counts"));
    }
    plan.make.extend(limits.v1(parent, &at, controller));
}

impl Limits {
    fn v1(&self, parent: &Path, at: &str, controller: &str) -> Vec<Op> {
        let mut ops = Vec::new();
        match controller {
            "cpu" => {
                if let Some(Quota { quota: Some(quota), period }) = self.cpu {
                    ops.push(set(at, "cpu.cfs_period_us", period, PERIOD));
                    ops.push(set(at, "cpu.cfs_quota_us", quota, QUOTA));
                }
                let shares = self.weight.map(|weight| (weight * 1024 / 100).max(2));
                if let Some(shares) = self.shares.or(shares) {
                    ops.push(set(at, "cpu.shares", shares, WEIGHT));
                }
            }
            "memory" => {
                if let Some(memory) = self.memory {
                    ops.push(set(at, "memory.limit_in_bytes", memory, MEMORY));
                }
                let both = self.swap.map(|swap| self.memory.unwrap_or(0).saturating_add(swap));
                // Without swap accounting there is no such file.
                if let Some(both) = both.filter(|_| parent.join(MEMSW).exists()) {
                    ops.push(set(at, MEMSW, both, "memory and swap together"));
                }
            }
            "pids" => {
                ops.extend(self.pids.map(|pids| set(at, "pids.max", pids, PIDS)));
            }
            "cpuset" => {
                let read = |name: &str| fs::read_to_string(parent.join(name)).unwrap_or_default();
                let mems = read("cpuset.mems").trim().to_owned();
                let why = "version 1 wants memory nodes named before a process may come in";
                ops.push(set(at, "cpuset.mems", mems, why));
                let cpus = self.cpuset.clone().unwrap_or_default();
                ops.push(set(at, "cpuset.cpus", cpus, CPUSET));
            }
            "blkio" => {
                for Io { device, what, rate } in &self.io {
                    ops.push(set(at, what.v1(), format!("{device} {rate}"), IO));
                }
            }
            _ => {}
        }
        ops
    }

    fn v2(&self, at: &str) -> Vec<Op> {
        let mut ops = Vec::new();
        if let Some(Quota { quota: Some(quota), period }) = self.cpu {
            ops.push(set(at, "cpu.max", format!("{quota} {period}"), QUOTA));
        }
        ops.extend(self.cpu_weight().map(|weight| set(at, "cpu.weight", weight, WEIGHT)));
        ops.extend(self.memory.map(|memory| set(at, "memory.max", memory, MEMORY)));
        let swap = "of it, so much may be moved to disk";
        ops.extend(self.swap.map(|bytes| set(at, "memory.swap.max", bytes, swap)));
        ops.extend(self.pids.map(|pids| set(at, "pids.max", pids, PIDS)));
        ops.extend(self.cpuset.as_ref().map(|cpus| set(at, "cpuset.cpus", cpus, CPUSET)));
        for Io { device, what, rate } in &self.io {
            ops.push(set(at, "io.max", format!("{device} {}={rate}", what.v2()), IO));
        }
        ops
    }
}

/// A group with this CPU weight inside one that a [`plan`] makes: what makes
/// it, and what puts process `$hog` into it.
pub fn lane(seat: &Seat, name: &str, weight: u64) -> (Vec<Op>, Op) {
    let at = format!("{}/{name}", seat.directory.display());
    let limits = Limits { weight: Some(weight), ..Limits::default() };
    let mut ops = vec![make(at.clone(), "a group with a weight of its own")];
    ops.extend(match seat.version {
        1 => limits.v1(&seat.directory, &at, "cpu"),
        _ => limits.v2(&at),
    });
    (
        ops,
        set(
            &at,
            "cgroup.procs",
            "$hog",
            "into its group: the groups are weighed, then what is in them",
        ),
    )
}

/// What lets such groups have weights of their own, where that must be said (version 2).
pub fn lanes(seat: &Seat) -> Vec<Op> {
    let directory = seat.directory.to_string_lossy().into_owned();
    let hand_on = || HandOn { directory, controllers: vec!["cpu".to_owned()] }.into();
    (seat.version == 2).then(hand_on).into_iter().collect()
}

const MEMSW: &str = "memory.memsw.limit_in_bytes";
const PERIOD: &str = "the period that the quota is counted in, in microseconds";
const QUOTA: &str = "so much CPU time in each period; then everything in it waits for the next";
const WEIGHT: &str = "its share against its siblings, when CPU is scarce";
const MEMORY: &str = "the kernel takes back what it can, then kills something in the group";
const PIDS: &str = "so many tasks; the next fork fails";
const CPUSET: &str = "the CPUs it may run on";
const IO: &str = "what is asked for faster has to wait";

/// One directory for all controllers; they must be handed on to it, level by level.
fn version_2(
    plan: &mut Plan,
    limits: &Limits,
    own: &Path,
    controllers: &[&str],
    name: &str,
) -> Result<()> {
    let controllers: Vec<_> = controllers.iter().copied().filter(|c| *c != "cpuacct").collect();
    let root = root_of(own);
    let parent = match (&root, rustix::process::geteuid().is_root()) {
        // The top is the one group that may have processes and hand on controllers.
        (Some(root), true) => root.clone(),
        // An earlier group of ours has put us aside: ours goes beside it, not below.
        _ if is_rest(own) => own.parent().unwrap_or(own).to_owned(),
        _ => own.to_owned(),
    };
    if let Err(error) = writable(&parent) {
        return Err(if error.is(Errno::EROFS) { error } else { not_delegated(&parent) });
    }
    let there = super::v2::controllers(&parent);
    let needed: Vec<_> = limits.needed();
    let io = |name: &str| if name == "io" { "blkio".to_owned() } else { name.to_owned() };
    let (usable, lacking): (Vec<&str>, Vec<&str>) =
        controllers.into_iter().partition(|c| there.iter().any(|known| known == c));
    if let Some(lack) = lacking.iter().find(|c| needed.contains(&io(c).as_str())) {
        return Err(Error::cannot(format!("{} has no controller {lack}", parent.display())).hint(
            "A group can only hand on what its parent has handed on to it (cgroup.controllers); \
             systemd's user manager gets cpu, memory and pids. As root it works: use sudo.",
        ));
    }
    if root.as_deref() != Some(&*parent) {
        empty_it(plan, &parent, name);
    }
    let handed = fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap_or_default();
    let handed: Vec<_> = handed.split_whitespace().collect();
    let ours = handed_on_by_us(&parent)?;
    let is_new = |c: &&&str| !handed.contains(c) || ours.iter().any(|name| name == **c);
    let new: Vec<_> = usable.iter().filter(is_new).map(|c| (*c).to_owned()).collect();
    if !new.is_empty() {
        let directory = literal(&parent.to_string_lossy());
        plan.make.push(HandOn { directory, controllers: new }.into());
    }
    let at = below(&parent, name);
    plan.make.push(make(at.clone(), "a group is a directory: the kernel fills it with files"));
    plan.make.extend(limits.v2(&at));
    plan.join.push(set(&at, "cgroup.procs", "$pid", "from here on it counts"));
    for controller in std::iter::once(CORE).chain(usable) {
        let controller = controller.to_owned();
        plan.group.seats.push(Seat { controller, version: 2, directory: PathBuf::from(&at) });
    }
    Ok(())
}

/// Controllers that a group of ours, still there, has had handed on here: whoever
/// goes last has to keep them back.
fn handed_on_by_us(parent: &Path) -> Result<Vec<String>> {
    let here = |effect| match effect {
        Effect::Controllers { directory, controllers } if directory == parent => controllers,
        _ => Vec::new(),
    };
    Ok(journal::effects()?.into_iter().flat_map(here).collect())
}

/// The top of the real hierarchy, where our mount shows it: it alone has no cgroup.type.
fn root_of(own: &Path) -> Option<PathBuf> {
    let mut at = own;
    while let Some(parent) = at.parent().filter(|p| p.join("cgroup.controllers").exists()) {
        at = parent;
    }
    (!at.join("cgroup.type").exists()).then(|| at.to_owned())
}

/// A group below the top either holds processes or hands on controllers: what
/// is in ours, this program too, moves one level down for the time being.
fn empty_it(plan: &mut Plan, parent: &Path, name: &str) {
    let leaf = below(parent, &format!("{name}{REST}"));
    let why = "who was in this group moves one level down: a group has processes, or children with controllers";
    plan.make.push(MakeGroup { path: leaf.clone(), lent: true, why: why.to_owned() }.into());
    let pids = fs::read_to_string(parent.join("cgroup.procs")).unwrap_or_default();
    // 0 is somebody outside of our pid namespace: nothing that we could move.
    for pid in pids.lines().filter(|pid| *pid != "0") {
        plan.make.push(set(
            &leaf,
            "cgroup.procs",
            pid,
            "one level down, for as long as this takes",
        ));
    }
}

fn not_delegated(directory: &Path) -> Error {
    let error = Error::cannot(format!("cgroup {} is not delegated to you", directory.display()));
    match systemd_user() {
        true => error.hint(
            "systemd's user manager can delegate one: \
             `systemd-run --user --scope -p Delegate=yes under-the-hood cgroup limit ...`",
        ),
        false => error.hint("As root it works: use sudo."),
    }
}

/// Whether a user manager runs that could give us a delegated group.
pub fn systemd_user() -> bool {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime.is_some_and(|directory| directory.join("systemd/private").exists())
}

/// Whether an ordinary user has to ask systemd for a group of its own first: the
/// machine has version 2, and the group we are in is not ours.
pub fn must_ask_systemd() -> bool {
    if rustix::process::geteuid().is_root() || !systemd_user() {
        return false;
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Ok(hierarchies) = Hierarchies::read(Path::new("/proc")) else { return false };
    let places = hierarchies.places(&process::text(own.as_bytes()));
    let unified = places.iter().find(|place| place.version == 2);
    let directory = unified.and_then(|place| place.directory.clone());
    directory.is_some_and(|directory| {
        !top(&directory).is_empty()
            && access(directory.join("cgroup.subtree_control"), Access::WRITE_OK).is_err()
    })
}
