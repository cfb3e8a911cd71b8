//! A cgroup as one thing, whichever version each of its controllers has: how
//! much of what it may use, and how much it did.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::files::number;
use super::hierarchy::{Hierarchies, Place};
use crate::error::{Context, Result};
use crate::kernel::process;

/// Where the files of one cgroup are, for each controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its path below the top of its hierarchies: `/`, `/docker/3564…`.
    pub path: String,
    /// A controller's name, its version, its directory. `cgroup` stands for the
    /// v2 hierarchy as such.
    pub seats: Vec<Seat>,
}

/// One controller of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// `memory`; `name=systemd` for a v1 hierarchy without a controller.
    pub controller: String,
    /// 1 or 2.
    pub version: u8,
    /// Where its files are.
    pub directory: PathBuf,
}

/// The v2 hierarchy as such, which has files of its own without any controller.
pub const CORE: &str = "cgroup";

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// As much as there is.
    Unlimited,
    /// So much.
    At(u64),
}

/// CPU time in each period, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// None: as much as there is.
    pub quota: Option<u64>,
    /// How long a period is.
    pub period: u64,
}

/// What the kernel's counters say; `None` is what it does not count here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// CPU time used, in nanoseconds.
    pub cpu: Option<u64>,
    /// The quota.
    pub quota: Option<Quota>,
    /// Its weight (v2) or shares (v1).
    pub weight: Option<u64>,
    /// Periods in which the quota was in force.
    pub periods: Option<u64>,
    /// Periods in which it was used up.
    pub throttled: Option<u64>,
    /// How long it made tasks wait, in nanoseconds.
    pub throttled_time: Option<u64>,
    /// Bytes in use.
    pub memory: Option<u64>,
    /// The most there ever were.
    pub memory_peak: Option<u64>,
    /// How many there may be.
    pub memory_limit: Option<Bound>,
    /// How often it was about to pass the limit.
    pub memory_hits: Option<u64>,
    /// Processes killed for it.
    pub oom_kills: Option<u64>,
    /// Tasks in it.
    pub pids: Option<u64>,
    /// How many there may be.
    pub pids_limit: Option<Bound>,
    /// Forks that were refused.
    pub pids_refused: Option<u64>,
    /// The CPUs it has.
    pub cpus: Option<String>,
    /// Bytes read from disks.
    pub read: Option<u64>,
    /// Bytes written to disks.
    pub written: Option<u64>,
    /// How much of the last ten seconds tasks waited for cpu, memory, io: percent.
    pub pressure: [Option<f64>; 3],
}

impl Group {
    /// The cgroup that a process is in: its places in all hierarchies. Its path
    /// is that of the deepest.
    pub fn of_process(proc: &Path, pid: i32) -> Result<Self> {
        Self::of(&Hierarchies::read(proc)?, proc, pid)
    }

    /// The same, of many processes: the hierarchies are read once.
    pub fn of(hierarchies: &Hierarchies, proc: &Path, pid: i32) -> Result<Self> {
        let file = proc.join(format!("{pid}/cgroup"));
        let text = fs::read(&file).tried(|| format!("read({file:?})"))?;
        Ok(Self::at(&hierarchies.places(&process::text(&text))))
    }

    fn at(places: &[Place]) -> Self {
        let path = places.iter().map(|place| &place.path).max_by_key(|path| path.len());
        let mut group = Self { path: path.cloned().unwrap_or_default(), seats: Vec::new() };
        for place in places {
            let Some(directory) = &place.directory else { continue };
            group.add(place.version, &place.controllers, directory);
        }
        group
    }

    /// Adds a directory of a hierarchy with these controllers (v1), or with
    /// those that rule in it (v2).
    fn add(&mut self, version: u8, controllers: &[String], directory: &Path) {
        let mut seat = |controller: &str| {
            self.seats.push(Seat {
                controller: controller.to_owned(),
                version,
                directory: directory.to_owned(),
            });
        };
        if version == 1 {
            controllers.iter().for_each(|name| seat(name));
        } else {
            seat(CORE);
            super::v2::controllers(directory).iter().for_each(|name| seat(name));
        }
    }

    /// Where a controller's files are. In v2 `io` is what `blkio` is in v1.
    pub fn seat(&self, controller: &str) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.controller == controller)
    }

    /// Without the controllers for which its processes are in a group further up
    /// (version 1): what is counted there is not this group's.
    pub fn own(mut self) -> Self {
        let name = Path::new(&self.path).file_name().map(std::ffi::OsStr::to_owned);
        self.seats.retain(|seat| name.as_deref().is_none_or(|name| seat.directory.ends_with(name)));
        self
    }

    fn core(&self) -> Option<&Path> {
        self.seat(CORE).map(|seat| seat.directory.as_path())
    }

    /// The processes in it (not those below), as far as our pid namespace has
    /// numbers for them.
    pub fn processes(&self) -> BTreeSet<i32> {
        let mut pids = BTreeSet::new();
        let directories: BTreeSet<_> = self.seats.iter().map(|seat| &seat.directory).collect();
        for directory in directories {
            let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        pids.remove(&0);
        pids
    }

    /// Reads every counter there is.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        self.read_cpu(&mut usage);
        self.read_memory(&mut usage);
        if let Some(seat) = self.seat("pids") {
            usage.pids = number(&seat.directory, "pids.current");
            usage.pids_limit = bound(&seat.directory, "pids.max");
            usage.pids_refused = number(&seat.directory, "pids.events:max");
        }
        if let Some(seat) = self.seat("cpuset") {
            let name =
                ["cpuset.effective_cpus", "cpuset.cpus.effective"][usize::from(seat.version > 1)];
            let cpus = fs::read_to_string(seat.directory.join(name)).ok();
            usage.cpus = cpus.map(|cpus| cpus.trim().to_owned());
        }
        self.read_io(&mut usage);
        let core = self.core();
        let files = ["cpu.pressure", "memory.pressure", "io.pressure"];
        usage.pressure = files.map(|file| pressure(&core?.join(file)));
        usage
    }

    fn read_cpu(&self, usage: &mut Usage) {
        let v1 = |name| self.seat(name).filter(|seat| seat.version == 1);
        if let Some(seat) = v1("cpuacct") {
            usage.cpu = number(&seat.directory, "cpuacct.usage");
        }
        if let Some(Seat { directory, .. }) = v1("cpu") {
            usage.weight = number(directory, "cpu.shares");
            usage.quota = number(directory, "cpu.cfs_period_us")
                .map(|period| Quota { quota: number(directory, "cpu.cfs_quota_us"), period });
            usage.throttled_time = number(directory, "cpu.stat:throttled_time");
            usage.periods = number(directory, "cpu.stat:nr_periods");
            usage.throttled = number(directory, "cpu.stat:nr_throttled");
        } else if let Some(directory) = self.core() {
            let ns = |name| number(directory, name).map(|us| us * 1000);
            usage.cpu = usage.cpu.or_else(|| ns("cpu.stat:usage_usec"));
            usage.weight = number(directory, "cpu.weight");
            let text = fs::read_to_string(directory.join("cpu.max")).unwrap_or_default();
            usage.quota = text.trim().split_once(' ').and_then(|(quota, period)| {
                Some(Quota { quota: quota.parse().ok(), period: period.parse().ok()? })
            });
            usage.throttled_time = ns("cpu.stat:throttled_usec");
            usage.periods = number(directory, "cpu.stat:nr_periods");
            usage.throttled = number(directory, "cpu.stat:nr_throttled");
        }
    }

    fn read_memory(&self, usage: &mut Usage) {
        let Some(Seat { version, directory, .. }) = self.seat("memory") else { return };
        let [now, peak, limit, hits, kills] = match version {
            1 => [
                "memory.usage_in_bytes",
                "memory.max_usage_in_bytes",
                "memory.limit_in_bytes",
                "memory.failcnt",
                "memory.oom_control:oom_kill",
            ],
            _ => [
                "memory.current",
                "memory.peak",
                "memory.max",
                "memory.events:max",
                "memory.events:oom_kill",
            ],
        };
        usage.memory = number(directory, now);
        usage.memory_peak = number(directory, peak);
        usage.memory_limit = bound(directory, limit);
        usage.memory_hits = number(directory, hits);
        usage.oom_kills = number(directory, kills);
    }

    fn read_io(&self, usage: &mut Usage) {
        let seat = self.seat("io").or_else(|| self.seat("blkio"));
        let Some(Seat { version, directory, .. }) = seat else { return };
        let name = if *version == 1 { "blkio.throttle.io_service_bytes" } else { "io.stat" };
        let Ok(text) = fs::read_to_string(directory.join(name)) else { return };
        let (mut read, mut written) = (0, 0);
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            if let [_, direction, bytes] = words[..] {
                let bytes: u64 = bytes.parse().unwrap_or(0);
                read += if direction == "Read" { bytes } else { 0 };
                written += if direction == "Write" { bytes } else { 0 };
            }
            for word in words {
                let value =
                    |name| word.strip_prefix(name).and_then(|text| text.parse::<u64>().ok());
                read += value("rbytes=").unwrap_or(0);
                written += value("wbytes=").unwrap_or(0);
            }
        }
        (usage.read, usage.written) = (Some(read), Some(written));
    }
}

/// `max`, `-1` and v1's largest number are no limit.
fn bound(directory: &Path, name: &str) -> Option<Bound> {
    let text = fs::read_to_string(directory.join(name)).ok()?;
    match text.trim() {
        "max" | "-1" => Some(Bound::Unlimited),
        text => match text.parse::<u64>().ok()? {
            0x7fff_ffff_ffff_0000.. => Some(Bound::Unlimited),
            number => Some(Bound::At(number)),
        },
    }
}

/// avg10 of the line `some`; a machine where it is switched off has no file.
fn pressure(file: &Path) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let some = text.lines().find(|line| line.starts_with("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("avg10=")?.parse().ok())
}

/// Every cgroup of this machine that we see, by path: what the hierarchies have
/// at one path is one group. (An engine uses the same path in all of them.)
pub fn all(proc: &Path) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
    for root in Hierarchies::read(proc)?.roots() {
        let mut open = vec![(root.directory.clone(), Vec::new())];
        while let Some((directory, path)) = open.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let mut below: Vec<String> = path.clone();
                    below.push(process::text(entry.file_name().as_encoded_bytes()));
                    open.push((entry.path(), below));
                }
            }
            let group = groups.entry(path.clone()).or_default();
            group.path = format!("/{}", path.join("/"));
            group.add(root.version, &root.controllers, &directory);
        }
    }
    Ok(groups.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, &str)], seats: &[(&str, u8, &str)]) -> (tempfile::TempDir, Group) {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        let seat = |(controller, version, at): &(&str, u8, &str)| Seat {
            controller: (*controller).to_owned(),
            version: *version,
            directory: root.path().join(at),
        };
        let seats = seats.iter().map(seat).collect();
        (root, Group { path: "/x".to_owned(), seats })
    }

    #[test]
    fn what_is_counted_further_up_is_not_the_groups_own() {
        let (_root, mut group) = group(
            &[],
            &[("memory", 1, "memory/a/x"), ("cpuacct", 1, "cpuacct"), ("pids", 1, "pids/x")],
        );
        group.path = "/a/x".to_owned();
        let own: Vec<_> = group.own().seats.into_iter().map(|seat| seat.controller).collect();
        assert_eq!(own, ["memory", "pids"]);
        let (_root, top) = self::group(&[], &[("memory", 1, "memory")]);
        assert_eq!(Group { path: "/".to_owned(), ..top }.own().seats.len(), 1);
    }

    #[test]
    fn version_1_and_2_say_the_same_things() {
        let (_a, v1) = group(
            &[
                ("cpu/cpu.cfs_quota_us", "20000"),
                ("cpu/cpu.cfs_period_us", "100000"),
                ("cpu/cpu.stat", "nr_periods 10\nnr_throttled 9\nthrottled_time 500000\n"),
                ("acct/cpuacct.usage", "7000"),
                ("memory/memory.limit_in_bytes", "9223372036854771712"),
                ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ],
            &[("cpu", 1, "cpu"), ("cpuacct", 1, "acct"), ("memory", 1, "memory")],
        );
        let (_b, v2) = group(
            &[
                ("cpu.max", "20000 100000\n"),
                ("cpu.stat", "usage_usec 7\nnr_periods 10\nnr_throttled 9\nthrottled_usec 500\n"),
                ("memory.max", "max\n"),
                ("memory.events", "max 0\noom_kill 2\n"),
                ("io.pressure", "some avg10=2.50 avg60=0 avg300=0 total=9\n"),
                ("io.stat", "8:0 rbytes=5 wbytes=6 rios=1 wios=1\n254:0 rbytes=1 wbytes=0\n"),
            ],
            &[(CORE, 2, ""), ("cpu", 2, ""), ("memory", 2, ""), ("io", 2, "")],
        );
        for usage in [v1.usage(), v2.usage()] {
            assert_eq!(usage.quota, Some(Quota { quota: Some(20000), period: 100_000 }));
            assert_eq!((usage.throttled, usage.throttled_time), (Some(9), Some(500_000)));
            assert_eq!((usage.cpu, usage.memory_limit), (Some(7000), Some(Bound::Unlimited)));
            assert_eq!(usage.oom_kills, Some(2));
            assert_eq!(usage.pids, None, "not measured is not 0");
        }
        assert_eq!(v2.usage().pressure, [None, None, Some(2.5)]);
        assert_eq!((v2.usage().read, v2.usage().written), (Some(6), Some(6)));
    }
}
