//! What a container's `/` is made of: by what its mount says, whoever made it.

mod verify;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::error::{Context, Error, Result};
use crate::image::stack::{Change, Here, Layer, Marks, Stack, Traced, changes, parts};
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::overlay::Overlay;
use crate::kernel::process;

/// What a directory is to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where the container's changes go.
    Upper,
    /// A layer of its image.
    Lower,
    /// Data of files whose names are in a layer above.
    Data,
    /// Where overlayfs prepares changes.
    Work,
    /// What all of them look like together.
    Merged,
}

impl Role {
    /// As overlayfs calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upper => "upper",
            Self::Lower => "lower",
            Self::Data => "data",
            Self::Work => "work",
            Self::Merged => "merged",
        }
    }
}

/// One of the directories.
#[derive(Debug)]
pub struct Place {
    /// What it is for.
    pub role: Role,
    /// Its path as the mount gives it.
    pub given: PathBuf,
    /// Where we found it, links followed; or why we did not.
    pub found: Result<PathBuf>,
}

/// A root file system taken apart.
#[derive(Debug)]
pub struct Layers {
    /// What is mounted as its `/`, or, after chroot(2), around it.
    pub mount: Mount,
    /// What the link `/proc/PID/root` says.
    pub root: PathBuf,
    /// The overlay, where it is one.
    pub overlay: Option<Overlay>,
    /// Its directories: upper, then the lower ones from the top down, and the others.
    pub places: Vec<Place>,
    /// How layers mark what is gone.
    pub marks: Marks,
    /// Its `/`, through /proc.
    merged: PathBuf,
    /// Where something else is mounted in it.
    covered: HashSet<Vec<Vec<u8>>>,
}

/// How a container's changes were found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// What is in its upper layer.
    Upper,
    /// All that it sees, with the layers below: its upper layer is out of reach.
    Merged,
}

impl Layers {
    /// Takes the root of a process apart.
    pub fn of(proc: &Path, pid: i32) -> Result<Self> {
        let merged = proc.join(format!("{pid}/root"));
        let mounts = mountinfo::list(proc, pid)?;
        let root = std::fs::read_link(&merged).tried(|| format!("readlink({merged:?})"))?;
        let ours = mountinfo::list(proc, std::process::id().cast_signed())?;
        let mount = root_mount(&merged, &mounts, &ours)?;
        let fuse = Overlay::of_fuse(proc, &mount);
        let overlay = Overlay::of(&mount).or(fuse);
        let marks = match &overlay {
            None => Marks::None,
            Some(overlay) if overlay.fuse => Marks::Fuse,
            Some(overlay) if overlay.user_attributes => Marks::User,
            Some(_) => Marks::Trusted,
        };
        let covered = mounts.iter().filter(|other| other.id != mount.id);
        let covered = covered.map(|other| parts(&other.mount_point)).collect();
        let mut layers = Self { mount, root, overlay, places: Vec::new(), marks, merged, covered };
        if let Some(overlay) = &layers.overlay {
            layers.places = places(overlay, &Roots::of(proc, pid, &layers.mount, &ours));
            layers.verify();
        }
        Ok(layers)
    }

    /// What stands at the path of a layer may be another directory by now: then it
    /// is out of reach.
    fn verify(&mut self) {
        // After chroot(2) into a part of it, the mount point is above the root.
        let point = &self.mount.mount_point;
        let whole = point == Path::new("/") || *point == self.root;
        if !whole || self.overlay.as_ref().is_none_or(|overlay| overlay.fuse) {
            return;
        }
        let Ok(merged) = Layer::open(&self.merged, Marks::None) else { return };
        let is_layer = |place: &Place| matches!(place.role, Role::Upper | Role::Lower);
        let numbers: Vec<_> =
            (0..self.places.len()).filter(|at| is_layer(&self.places[*at])).collect();
        for (n, at) in numbers.iter().enumerate() {
            let above = numbers[..=n].iter().map(|at| &self.places[*at]);
            let (found, hidden): (Vec<_>, Vec<_>) = above.partition(|place| place.found.is_ok());
            let Ok(path) = &self.places[*at].found else { continue };
            let Ok(layers) = found.iter().map(|place| self.open(place)).collect() else { continue };
            let (stack, hidden) = (Stack(layers), !hidden.is_empty());
            let verifier =
                verify::Verifier { stack: &stack, merged: &merged, covered: &self.covered, hidden };
            if let Err(error) = verifier.check(found.len() - 1, path) {
                self.places[*at].found = Err(error);
            }
        }
    }

    /// The directories of a role.
    fn of_role(&self, role: Role) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(move |place| place.role == role)
    }

    fn open(&self, place: &Place) -> Result<Layer> {
        let path = place.found.as_ref().map_err(Error::clone)?;
        Layer::open(path, self.marks).tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))
    }

    /// The layers below the upper one.
    fn below(&self) -> Result<Stack> {
        self.of_role(Role::Lower).map(|place| self.open(place)).collect::<Result<_>>().map(Stack)
    }

    /// All layers, the upper one on top.
    fn whole(&self) -> Result<Stack> {
        let layers = self.of_role(Role::Upper).chain(self.of_role(Role::Lower));
        layers.map(|place| self.open(place)).collect::<Result<_>>().map(Stack)
    }

    /// The root as the container sees it, as one layer.
    fn seen(&self) -> Result<Stack> {
        let path = &self.merged;
        let layer = Layer::open(path, Marks::None);
        layer
            .map(|layer| Stack(vec![layer]))
            .tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))
    }

    /// What the container has added, changed and deleted; `None` where there
    /// is nothing to compare with.
    pub fn changes(&self) -> Result<Option<(Compared, Vec<Change>)>> {
        if self.overlay.is_none() {
            return Ok(None);
        }
        let below = self.below()?;
        let reading = || format!("reading the layers of {}", self.merged.display());
        let Some(upper) = self.of_role(Role::Upper).next() else {
            return Ok(Some((Compared::Upper, Vec::new()))); // read only
        };
        if upper.found.is_ok() {
            let found = changes(&below, &self.whole()?, &HashSet::new(), true).tried(reading)?;
            return Ok(Some((Compared::Upper, found)));
        }
        let found = changes(&below, &self.seen()?, &self.covered, false).tried(reading)?;
        Ok(Some((Compared::Merged, found)))
    }

    /// Where a path of the container comes from: without links on the way, and
    /// every layer's word on it from the top down.
    pub fn trace(&self, path: &Path) -> Result<(PathBuf, Vec<(&Place, Traced)>)> {
        use std::os::unix::ffi::OsStrExt;
        let call = || format!("looking for {} in the layers", path.display());
        let places = self.of_role(Role::Upper).chain(self.of_role(Role::Lower));
        let (reachable, layers): (Vec<_>, Vec<_>) = places
            .filter(|place| place.role == Role::Lower || place.found.is_ok())
            .map(|place| Ok((place, self.open(place)?)))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        let stack = Stack(layers);
        let resolved = stack.resolve(&raw_parts(path)).tried(call)?;
        let traced = stack.trace(&resolved).tried(call)?;
        let name = std::ffi::OsStr::from_bytes(&resolved.join(&b'/')).to_owned();
        Ok((Path::new("/").join(name), reachable.into_iter().zip(traced).collect()))
    }

    /// Whether the container itself sees something at a path (without links).
    pub fn is_seen(&self, path: &Path) -> Result<bool> {
        let found = self.seen()?.find(&parts(path)).tried(|| format!("lstat({path:?})"))?;
        Ok(matches!(found, Some(Here::File(_) | Here::Directory(_))))
    }

    /// What is mounted over a path in the container, or over a directory above it.
    pub fn covered_at(&self, path: &Path) -> bool {
        let path = parts(path);
        (1..=path.len()).any(|length| self.covered.contains(&path[..length]))
    }
}

/// With `..`, which is looked up where the links before it lead.
fn raw_parts(path: &Path) -> Vec<Vec<u8>> {
    let names = path.as_os_str().as_encoded_bytes().split(|byte| *byte == b'/');
    names.filter(|name| !matches!(*name, b"" | b".")).map(<[u8]>::to_vec).collect()
}

/// The mount that a process's root directory is in.
fn root_mount(root: &Path, mounts: &[Mount], ours: &[Mount]) -> Result<Mount> {
    let found = statx(CWD, root, AtFlags::empty(), StatxFlags::MNT_ID)
        .tried(|| format!("statx({root:?}, STATX_MNT_ID)"))?;
    let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
    let is_it = |mount: &&Mount| match told {
        true => u64::from(mount.id) == found.stx_mnt_id,
        false => mount.mount_point == Path::new("/"), // before Linux 5.8
    };
    let all = mounts.iter().rev().chain(ours);
    all.into_iter().find(is_it).cloned().ok_or_else(|| {
        Error::new(format!("finding what is mounted at {}", root.display()))
            .said("it is in no mount that this process, or that one, can see")
    })
}

/// Where paths of the mount may be found: it was made by some process, which
/// need not see the same files as we do, nor have been in `/`.
struct Roots {
    /// Our own root, and those of the container's ancestors.
    roots: Vec<PathBuf>,
    /// Directories that relative paths may start from.
    bases: Vec<PathBuf>,
}

impl Roots {
    fn of(proc: &Path, pid: i32, mount: &Mount, ours: &[Mount]) -> Self {
        let mut roots = vec![PathBuf::from("/")];
        let ancestors = process::ancestry(proc, pid).unwrap_or_default();
        let others = ancestors.iter().rev().filter(|ps| ps.pid != pid && ps.pid != 1);
        roots.extend(others.map(|ps| proc.join(format!("{}/root", ps.pid))));
        // An engine works in the directory that the mount point is in.
        let places = ours.iter().filter(|other| other.device == mount.device);
        let bases = places.flat_map(|other| other.mount_point.ancestors().map(Path::to_owned));
        Self { roots, bases: bases.collect() }
    }

    /// Where this is, links followed.
    fn find(&self, given: &Path) -> Result<PathBuf> {
        let candidates: Vec<_> = match given.is_absolute() {
            true => {
                let below = given.strip_prefix("/").unwrap_or(given);
                self.roots.iter().map(|root| root.join(below)).collect()
            }
            false => self.bases.iter().map(|base| base.join(given)).collect(),
        };
        let mut why = None;
        for candidate in candidates {
            match candidate.canonicalize() {
                Ok(found) if found.is_dir() => return Ok(found),
                Ok(_) => {}
                Err(error) => {
                    let error = Error::io(format!("realpath({candidate:?})"), &error);
                    why.get_or_insert(error);
                }
            }
        }
        Err(match (why, given.is_absolute()) {
            (Some(error), true) => error,
            _ => Error::new(format!("finding {}", given.display())).said(
                "it is below a directory that only whoever mounted it knows, and nobody can reach it by a path any more",
            ),
        })
    }
}

fn places(overlay: &Overlay, roots: &Roots) -> Vec<Place> {
    let place = |role: Role, given: &PathBuf| Place {
        role,
        given: given.clone(),
        found: roots.find(given),
    };
    let upper = overlay.upper.iter().map(|path| place(Role::Upper, path));
    let lower = overlay.lower.iter().map(|path| place(Role::Lower, path));
    let data = overlay.data.iter().map(|path| place(Role::Data, path));
    let work = overlay.work.iter().map(|path| place(Role::Work, path));
    upper.chain(lower).chain(data).chain(work).collect()
}
