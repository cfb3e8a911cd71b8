//! /dev: a handful of harmless devices, terminals and shared memory of its own.

use std::path::Path;

use crate::container::machine::Machine;
use crate::container::plan::ROOT;
use crate::container::spec::Rights;
use crate::kernel::devices::{MakeNodes, below};
use crate::kernel::files::{MakeDir, Symlink, WriteFile};
use crate::kernel::mount::Mount;
use crate::kernel::op::Op;

/// The character devices that every program may count on.
const DEVICES: [(&str, &str); 6] = [
    ("null", "swallows what is written"),
    ("zero", "zeroes without end"),
    ("full", "a disk that is always full"),
    ("random", "random bytes"),
    ("urandom", "random bytes, as most programs ask for them"),
    ("tty", "the process's own terminal, whichever that is"),
];

const LINKS: [(&str, &str, &str); 5] = [
    ("/proc/self/fd", "fd", "each process's open files"),
    ("/proc/self/fd/0", "stdin", "standard input by name"),
    ("/proc/self/fd/1", "stdout", "standard output by name"),
    ("/proc/self/fd/2", "stderr", "standard error by name"),
    ("pts/ptmx", "ptmx", "where programs ask for a new terminal"),
];

/// A /dev from nothing; the image's is never used.
pub fn devices(rights: &Rights, machine: &Machine) -> Vec<Op> {
    // Inside a user namespace mknod(2) makes no device, so there all stay out.
    let hosts = rights.devices && machine.user.is_none();
    let why = "a /dev of its own, and nodev: a device file made in here, the host's disk say, does not open";
    let flags: &[&str] =
        if hosts { &["MS_NOSUID"] } else { &["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"] };
    let why = if hosts { "a /dev of its own, in which every device file opens" } else { why };
    let dev = format!("{ROOT}/dev");
    let mount = Mount::filesystem("tmpfs", &dev, why).flags(flags).data("mode=0755,size=64k");
    let mut ops = vec![mount.on_directory().into()];
    for (name, why) in DEVICES {
        // The host's own device is lent: its mount, unlike this one, lets it open.
        let path = format!("{dev}/{name}");
        ops.push(WriteFile::new(&path, "", "something to mount on").into());
        ops.push(Mount::bind(&format!("/dev/{name}"), &path, why).into());
    }
    for (target, path, why) in LINKS {
        let (target, path) = (target.to_owned(), format!("{dev}/{path}"));
        ops.push(Symlink { target, path, why: why.to_owned() }.into());
    }
    let mut below = |name: &str, fstype: &str, flags: &[&str], data: Option<&str>, why: &str| {
        let path = format!("{dev}/{name}");
        let mount = Mount::filesystem(fstype, &path, why).flags(flags);
        ops.push(MakeDir { path, mode: 0o755, why: "a place for it".to_owned() }.into());
        ops.push(data.into_iter().fold(mount, |mount, data| mount.data(data)).into());
    };
    let terminals = "terminals of its own: those of the host cannot be reached";
    below(
        "pts",
        "devpts",
        &["MS_NOSUID", "MS_NOEXEC"],
        Some("newinstance,ptmxmode=0666,mode=0620"),
        terminals,
    );
    let quiet = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    below(
        "shm",
        "tmpfs",
        &quiet,
        Some("mode=1777,size=64m"),
        "POSIX shared memory lives in files here",
    );
    below("mqueue", "mqueue", &quiet, None, "POSIX message queues, of the new IPC namespace");
    if hosts {
        ops.extend(devices_of_the_host());
    }
    ops
}

/// All the others, for `--privileged`.
fn devices_of_the_host() -> Vec<Op> {
    let own = ["pts", "shm", "mqueue", "fd", "ptmx", "console", "stdin", "stdout", "stderr"];
    let own: Vec<_> = own.into_iter().chain(DEVICES.map(|(name, _)| name)).collect();
    let (directories, mut nodes) = below(Path::new("/dev"), &own);
    nodes.iter_mut().for_each(|node| node.path = format!("{ROOT}{}", node.path));
    let why = "as the host sorts its devices";
    let make = |path: String| {
        Op::from(MakeDir { path: format!("{ROOT}{path}"), mode: 0o755, why: why.to_owned() })
    };
    directories.into_iter().map(make).chain([MakeNodes { nodes }.into()]).collect()
}
