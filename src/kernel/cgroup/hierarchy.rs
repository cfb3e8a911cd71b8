//! Which hierarchies of cgroups are mounted, and where in them a process is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::kernel::mountinfo::{self, Mount};

/// The mounted hierarchies, as this process sees them.
#[derive(Debug, Clone, Default)]
pub struct Hierarchies {
    mounts: Vec<Mount>,
    /// The controllers there are, by /proc/cgroups: the options of a v1 mount
    /// name its controllers among other things.
    known: Vec<String>,
}

/// A process's place in one hierarchy: a line of /proc/PID/cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 1 or 2.
    pub version: u8,
    /// The controllers of a v1 hierarchy (`name=systemd` is one without); for
    /// v2 empty: which rule there is said by each directory.
    pub controllers: Vec<String>,
    /// The cgroup, as the line has it.
    pub path: String,
    /// Its directory, where the hierarchy is mounted in our sight.
    pub directory: Option<PathBuf>,
}

/// A mounted hierarchy from its top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// 1 or 2.
    pub version: u8,
    /// Its controllers; of v2 those it hands out at all.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub directory: PathBuf,
    /// Whether the mount lets nobody write.
    pub read_only: bool,
}

/// What a cgroup weighs against its siblings when CPU time is scarce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// 100 (v2) or 1024 (v1) is ordinary.
    pub value: u64,
    /// Where it was read.
    pub file: PathBuf,
}

impl Hierarchies {
    /// Reads our own mountinfo. Paths in /proc/PID/cgroup are relative to our
    /// own cgroup namespace, so our own mounts fit them.
    pub fn read(proc: &Path) -> Result<Self> {
        let mounts = mountinfo::list(proc, std::process::id().cast_signed())?;
        let mounts =
            mounts.into_iter().filter(|mount| mount.fs_type.starts_with("cgroup")).collect();
        let known = fs::read_to_string(proc.join("cgroups")).unwrap_or_default();
        let known = known.lines().filter_map(|line| line.split_whitespace().next());
        Ok(Self { mounts, known: known.map(str::to_owned).collect() })
    }

    /// Every place that the text of a /proc/PID/cgroup names.
    pub fn places(&self, text: &str) -> Vec<Place> {
        text.lines().filter_map(|line| self.place(line)).collect()
    }

    /// `4:memory:/a` is version 1, `0::/a` version 2.
    fn place(&self, line: &str) -> Option<Place> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let controllers = controllers.split(',').filter(|name| !name.is_empty());
        let mut place = Place {
            version: if number == "0" { 2 } else { 1 },
            controllers: controllers.map(str::to_owned).collect(),
            path: path.to_owned(),
            directory: None,
        };
        place.directory = self.directory(&place);
        Some(place)
    }

    /// The directory of a cgroup: below the mount of its hierarchy. A mount can
    /// show a part of the hierarchy only (its root field says which).
    fn directory(&self, place: &Place) -> Option<PathBuf> {
        let is_its = |mount: &&Mount| match place.version {
            1 => {
                let has = |name: &String| mount.super_options.split(',').any(|o| o == name);
                mount.fs_type == "cgroup" && place.controllers.iter().all(has)
            }
            _ => mount.fs_type == "cgroup2",
        };
        self.mounts.iter().rev().filter(is_its).find_map(|mount| {
            let below = Path::new(&place.path).strip_prefix(&mount.root).ok()?;
            // Joining an empty path would leave a slash at the end.
            let directory = match below.as_os_str().is_empty() {
                true => mount.mount_point.clone(),
                false => mount.mount_point.join(below),
            };
            directory.is_dir().then_some(directory)
        })
    }

    /// Each hierarchy once, with the controllers it has.
    pub fn roots(&self) -> Vec<Root> {
        let mut roots: Vec<Root> = Vec::new();
        for mount in &self.mounts {
            let version = if mount.fs_type == "cgroup2" { 2 } else { 1 };
            let controllers = match version {
                2 => super::v2::controllers(&mount.mount_point),
                _ => {
                    let named =
                        |o: &&str| o.starts_with("name=") || self.known.iter().any(|k| k == o);
                    mount.super_options.split(',').filter(named).map(str::to_owned).collect()
                }
            };
            let directory = mount.mount_point.clone();
            let has_ro = |options: &str| options.split(',').any(|option| option == "ro");
            let read_only = has_ro(&mount.options) || has_ro(&mount.super_options);
            let root = Root { version, controllers, directory, read_only };
            let same = |r: &Root| r.version == root.version && r.controllers == root.controllers;
            if !roots.iter().any(same) {
                roots.push(root);
            }
        }
        roots
    }

    /// What the cgroup of a process weighs for the CPU, where it has a say.
    pub fn cpu_weight(&self, text: &str) -> Option<Weight> {
        let places = self.places(text);
        let v1 = places.iter().find(|place| place.controllers.iter().any(|name| name == "cpu"));
        let v2 = places.iter().find(|place| place.version == 2);
        let file = |place: Option<&Place>, name| Some(place?.directory.as_ref()?.join(name));
        let read = |file: PathBuf| {
            let value = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
            Some(Weight { value, file })
        };
        file(v1, "cpu.shares").or_else(|| file(v2, "cpu.weight")).and_then(read)
    }
}
