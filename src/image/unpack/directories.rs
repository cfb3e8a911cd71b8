//! Directories while an archive is unpacked: their modes and times come last,
//! because what is made in them changes both, and because their owner may not be
//! allowed to make anything in them then (0555, say, or 0).
//!
//! One that a layer before left like that is opened up for as long as we are at
//! work in it, and gets its mode back. And its time: a layer that only puts
//! something into a directory says nothing of it.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, chmodat, fchmod, fstat, futimens,
};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use super::LeftOut;
use super::attributes::Attributes;
use super::name::shown;
use super::target::{Identity, identity};
use crate::error::{Context, Result};
use crate::kernel::resolve::Root;

/// What a directory gets at the end.
enum Last {
    /// All that the archive says of it.
    Attributes(Attributes),
    /// What it had, as far as we changed it.
    Kept { mode: Option<Mode>, times: Option<Timestamps> },
}

/// What is still to be done to directories, by what they are, not what they are called.
pub struct Directories {
    last: HashMap<Identity, (Vec<u8>, Last)>,
    /// Modes hold for us too: we are not root.
    bound: bool,
    /// This is a layer: it says nothing of what it does not name.
    layer: bool,
}

impl Directories {
    /// Nothing to be done yet.
    pub fn new(layer: bool) -> Self {
        let capabilities = rustix::thread::capabilities(None);
        let free = |all: rustix::thread::CapabilitySets| {
            all.effective.contains(CapabilitySet::DAC_OVERRIDE)
        };
        Self { last: HashMap::new(), bound: !capabilities.is_ok_and(free), layer }
    }

    /// This one gets these at the end.
    pub fn note(&mut self, stat: &Stat, path: Vec<u8>, attributes: Attributes) {
        self.last.insert(identity(stat), (path, Last::Attributes(attributes)));
    }

    /// Something is going to be made in, or taken from, this directory.
    pub fn enter(&mut self, directory: &OwnedFd, path: &[u8]) -> rustix::io::Result<()> {
        if !self.bound && !self.layer {
            return Ok(());
        }
        let stat = fstat(directory)?;
        let mode = if self.bound { open_up(directory, &stat)? } else { None };
        let times = self.layer.then(|| modified(&stat));
        if mode.is_some() || times.is_some() {
            let kept = (path.to_vec(), Last::Kept { mode, times });
            self.last.entry(identity(&stat)).or_insert(kept);
        }
        Ok(())
    }

    /// The directory of this name; those on the way that keep us out are opened up.
    pub fn find(&mut self, root: &Root, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let found = root.directory(path);
        if !self.bound || !matches!(found, Err(Errno::ACCESS)) {
            return found;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for end in [0].into_iter().chain(slashes.map(|(at, _)| at)) {
            let on_the_way = root.directory(&path[..end])?;
            self.enter(&on_the_way, &path[..end])?;
        }
        root.directory(path)
    }

    /// Gives them their modes and times, the deepest first: one that may not be
    /// entered must not hide another.
    pub fn finish(self, root: &Root, left_out: &mut LeftOut) -> Result<()> {
        let depth =
            |path: &[u8]| path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count();
        let mut directories: Vec<_> = self.last.into_iter().collect();
        directories.sort_by_key(|(_, (path, _))| std::cmp::Reverse(depth(path)));
        for (expected, (path, last)) in directories {
            // It may be gone, or something else may have its name by now.
            let Ok(directory) = root.readable(&path) else { continue };
            let call = || format!("fchown, fchmod(\"{}\")", shown(&path));
            if identity(&fstat(&directory).tried(call)?) != expected {
                continue;
            }
            match last {
                Last::Attributes(attributes) => attributes.set(&directory, left_out),
                Last::Kept { mode, times } => times
                    .map_or(Ok(()), |times| futimens(&directory, &times))
                    .and_then(|()| mode.map_or(Ok(()), |mode| fchmod(&directory, mode))),
            }
            .tried(call)?;
        }
        Ok(())
    }
}

/// Lets its owner make something in a directory; the mode that it had, if that forbade it.
fn open_up(directory: &OwnedFd, stat: &Stat) -> rustix::io::Result<Option<Mode>> {
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.contains(Mode::RWXU) {
        return Ok(None);
    }
    let itself = format!("/proc/self/fd/{}", directory.as_raw_fd());
    match chmodat(CWD, itself.as_str(), mode | Mode::RWXU, AtFlags::empty()) {
        Err(Errno::PERM) => Ok(None), // not ours: what is tried next says so
        other => other.map(|()| Some(mode)),
    }
}

/// When something was last made in it or taken from it.
fn modified(stat: &Stat) -> Timestamps {
    let nanos = stat.st_mtime_nsec.cast_signed();
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: stat.st_mtime, tv_nsec: nanos },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use tar::{Builder, EntryType, Header};

    use crate::image::unpack::{Options, unpack};
    use crate::step::Deaf;

    /// `d/` is a directory with this mode, anything else a file.
    fn layer(names: &[(&str, u32)]) -> Vec<u8> {
        let mut archive = Builder::new(Vec::new());
        for (name, mode) in names {
            let mut header = Header::new_gnu();
            header.set_mode(*mode);
            header.set_size(0);
            if name.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
            }
            archive.append_data(&mut header, name, std::io::empty()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// As an ordinary user: modes hold for whoever has not these capabilities.
    fn bound(root: &Path, layers: &[Vec<u8>]) {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let mut mine = capabilities(None).unwrap();
        mine.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, mine).unwrap();
        fs::create_dir(root.join("checked")).unwrap();
        fs::set_permissions(root.join("checked"), fs::Permissions::from_mode(0o000)).unwrap();
        assert!(fs::write(root.join("checked/x"), "").is_err(), "modes do not hold here");
        let options = Options { whiteouts: true, ..Options::default() };
        for layer in layers {
            unpack(&layer[..], root, &options, &mut Deaf).unwrap();
        }
    }

    #[test]
    fn a_layer_may_write_where_the_one_below_forbids_it_and_the_mode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        let first = layer(&[
            ("d/", 0o555),
            ("d/old", 0o644),
            ("shut/", 0),
            ("shut/in/", 0),
            ("shut/in/old", 0o644),
            ("told/", 0o111),
            ("opq/", 0o555),
            ("opq/old", 0o644),
        ]);
        let second = layer(&[
            ("d/new", 0o644),
            ("d/.wh.old", 0o644),
            ("shut/in/new", 0o644),
            ("told/", 0o511),
            ("told/new", 0o644),
            ("opq/.wh..wh..opq", 0o644),
        ]);
        let at = root.clone();
        // Capabilities are a thread's own: this one has given some up for good.
        std::thread::spawn(move || bound(&at, &[first, second])).join().unwrap();
        let mode =
            |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("d"), mode("shut"), mode("told"), mode("opq")), (0o555, 0, 0o511, 0o555));
        // As an ordinary user we could not look behind these.
        for name in ["shut", "told"] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert_eq!(mode("shut/in"), 0);
        fs::set_permissions(root.join("shut/in"), fs::Permissions::from_mode(0o755)).unwrap();
        let there = |name: &str| root.join(name).exists();
        assert!(there("d/new") && !there("d/old") && there("told/new") && !there("opq/old"));
        assert!(there("shut/in/new") && there("shut/in/old"));
        for name in ["checked", "d", "opq"] {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}
