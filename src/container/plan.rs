//! From what was asked for to what is done: the operations that make a
//! container, in order. Read this file from top to bottom and you have seen
//! what a container is.

use crate::container::machine::Machine;
use crate::container::registry;
use crate::container::spec::{Network, Process, Spec};
use crate::error::Result;
use crate::kernel::clone::{Clone, CloneSpec};
use crate::kernel::credentials::{
    CapBound, CapSet, DOCKER_DEFAULT, NoNewPrivs, SetGid, SetGroups, SetUid,
};
use crate::kernel::enter::{CloneBinary, SealBinary, become_init};
use crate::kernel::execute::Execute;
use crate::kernel::files::{Chdir, CopyTree, MakeDir, RemoveDir, Symlink, WriteFile};
use crate::kernel::mount::{Mount, PivotRoot, Unmount};
use crate::kernel::netlink::LinkUp;
use crate::kernel::op::{Op, describe, literal};
use crate::kernel::seccomp::Filter;
use crate::kernel::session::{Console, DeathSignal, NewSession, SetHostname};
use crate::kernel::user::IdMap;
use crate::step::{Actor, Step};

/// Where the old root stands until it is taken away.
const OLD: &str = "/.old";

/// Who does what.
#[derive(Debug)]
pub struct Plan {
    /// The launcher: makes the process, says who is who in it, registers it.
    pub launcher: Vec<Op>,
    /// The new process, before it becomes `__init`.
    pub newborn: Vec<Op>,
    /// `__init`, until it becomes the command.
    pub init: Vec<Op>,
}

impl Plan {
    /// The plan for a container on this machine.
    pub fn new(spec: &Spec, machine: &Machine) -> Result<Self> {
        Ok(Self {
            launcher: launcher(spec, machine)?,
            newborn: binary(machine),
            init: [
                root_file_system(spec, machine),
                kernel_file_systems(spec, machine),
                devices(),
                identity(spec, machine),
                hidden(machine),
                old_root_away(),
                command(&spec.process, machine),
            ]
            .concat(),
        })
    }

    /// What `--dry-run` shows.
    pub fn steps(&self) -> Vec<Step> {
        let newborn = describe(&self.newborn, Actor::Init);
        let init = describe(&self.init, Actor::Init);
        let launcher = describe(&self.launcher, Actor::Launcher);
        [launcher, newborn, vec![become_init()], init].concat()
    }
}

/// The namespaces a container gets: all that exist but `time`, and `user` only
/// where it is needed.
pub fn namespaces(network: Network, with_user: bool) -> Vec<String> {
    let user = with_user.then_some("user");
    let net = (network == Network::None).then_some("net");
    let names = user.into_iter().chain(["mnt", "uts", "ipc", "pid"]).chain(net).chain(["cgroup"]);
    names.map(str::to_owned).collect()
}

fn launcher(spec: &Spec, machine: &Machine) -> Result<Vec<Op>> {
    let namespaces = namespaces(spec.network, machine.user.is_some());
    let mut ops = vec![Op::from(Clone(CloneSpec { name: spec.name.clone(), namespaces }))];
    if let Some(user) = &machine.user {
        if !user.full {
            let why = "an ordinary user may map groups only after giving up setgroups(2): \
                       dropping a group could otherwise open what it keeps closed";
            ops.push(WriteFile::tell("/proc/$pid/setgroups", "deny", why).into());
        }
        for (kind, map, helper) in user.maps.clone() {
            ops.push(IdMap { kind, map, helper }.into());
        }
    }
    let path = registry::path(&spec.id)?;
    let why = "our own note that it is running, so that exec, stop and inspect find it by name";
    ops.push(
        WriteFile::journalled(literal(&path.to_string_lossy()), registry::record(spec), why).into(),
    );
    Ok(ops)
}

/// Our binary as something that nobody can write to.
pub fn binary(machine: &Machine) -> Vec<Op> {
    let path = literal(&machine.binary.to_string_lossy());
    vec![CloneBinary { path }.into(), SealBinary.into()]
}

fn root_file_system(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let staging = literal(&spec.rootfs.mnt.to_string_lossy());
    let tree = literal(&spec.rootfs.tree.to_string_lossy());
    let root = format!("{staging}/root");
    let make =
        |path: String, why: &str| Op::from(MakeDir { path, mode: 0o755, why: why.to_owned() });
    let mut ops = vec![
        NewSession.into(),
        Mount::change(
            "/",
            &["MS_REC", "MS_PRIVATE"],
            "from here on no mount made in here is seen outside",
        )
        .into(),
        Mount::filesystem(
            "tmpfs",
            &staging,
            "memory for what the container writes: the kernel frees it with the namespace",
        )
        .data("mode=0755")
        .into(),
        make(root.clone(), "where the new root is put together"),
    ];
    if machine.overlay {
        ops.push(make(format!("{staging}/upper"), "what the container changes goes here"));
        ops.push(make(format!("{staging}/work"), "overlayfs needs a directory for its own work"));
        // Outside the initial user namespace overlayfs keeps its notes in user.* attributes.
        let attributes = if machine.user.is_some() { ",userxattr" } else { "" };
        let data = format!(
            "lowerdir={},upperdir={},workdir={}{attributes}",
            overlay_escaped(&tree),
            overlay_escaped(&format!("{staging}/upper")),
            overlay_escaped(&format!("{staging}/work"))
        );
        let why = "the image below, read only; an empty layer above for all changes: one image serves many containers";
        // nodev: root in here may make device files, but none on this file system opens.
        let overlay = Mount::filesystem("overlay", &root, why).flags(&["MS_NODEV"]);
        ops.push(overlay.data(&data).into());
    } else {
        let why = "pivot_root wants a mount point";
        ops.push(
            Mount::filesystem("tmpfs", &root, why).flags(&["MS_NODEV"]).data("mode=0755").into(),
        );
        ops.push(CopyTree { from: tree, to: root.clone() }.into());
    }
    ops.extend([
        make(format!("{root}{OLD}"), "where the old root goes for a moment"),
        Chdir { path: root, why: "into the new root".to_owned() }.into(),
        PivotRoot { new_root: ".".to_owned(), put_old: OLD.trim_start_matches('/').to_owned() }
            .into(),
        Chdir {
            path: "/".to_owned(),
            why: "the working directory would still be in the old tree".to_owned(),
        }
        .into(),
    ]);
    ops
}

/// overlayfs splits its options at commas and the lower directories at colons.
fn overlay_escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:")
}

fn kernel_file_systems(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let quiet = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let proc = "a /proc of the new pid namespace: without it, ps would show the host's processes";
    let mut ops = vec![Mount::filesystem("proc", "/proc", proc).flags(&quiet).into()];
    let sys = "the kernel's devices and settings, read-only: they are the host's";
    if spec.network == Network::Host && machine.user.is_some() {
        // A new sysfs belongs to a network namespace, and the host's is not ours.
        ops.push(Mount::bind(&format!("{OLD}/sys"), "/sys", sys).flags(&["MS_REC"]).into());
    } else {
        ops.push(
            Mount::filesystem("sysfs", "/sys", sys).flags(&quiet).flags(&["MS_RDONLY"]).into(),
        );
    }
    ops
}

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
    ("/proc/self/fd", "/dev/fd", "each process's open files"),
    ("/proc/self/fd/0", "/dev/stdin", "standard input by name"),
    ("/proc/self/fd/1", "/dev/stdout", "standard output by name"),
    ("/proc/self/fd/2", "/dev/stderr", "standard error by name"),
    ("pts/ptmx", "/dev/ptmx", "where programs ask for a new terminal"),
];

fn devices() -> Vec<Op> {
    let why = "a /dev of its own, and nodev: a device file made in here, the host's disk say, does not open";
    let flags = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let dev = Mount::filesystem("tmpfs", "/dev", why).flags(&flags).data("mode=0755,size=64k");
    let mut ops = vec![dev.into()];
    for (name, why) in DEVICES {
        // The host's own device is lent: its mount, unlike this one, lets it open.
        let path = format!("/dev/{name}");
        ops.push(WriteFile::new(&path, "", "something to mount on").into());
        ops.push(Mount::bind(&format!("{OLD}/dev/{name}"), &path, why).into());
    }
    for (target, path, why) in LINKS {
        ops.push(
            Symlink { target: target.to_owned(), path: path.to_owned(), why: why.to_owned() }
                .into(),
        );
    }
    let mut below = |name: &str, fstype: &str, flags: &[&str], data: Option<&str>, why: &str| {
        let path = format!("/dev/{name}");
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
    ops
}

fn identity(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let name = &spec.hostname;
    let hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\t{name}\n");
    let write = |path: &str, content: &str, why: &str| {
        Op::from(WriteFile::new(path, literal(content), why))
    };
    let mut ops = vec![
        SetHostname { name: name.clone() }.into(),
        write(
            "/etc/hostname",
            &format!("{name}\n"),
            "the same in a file, where distributions keep it",
        ),
        write("/etc/hosts", &hosts, "names that need no server"),
        write("/etc/resolv.conf", &machine.name_servers, "the host's name servers, in a copy"),
    ];
    if spec.network == Network::None {
        ops.push(LinkUp.into());
    }
    ops
}

fn hidden(machine: &Machine) -> Vec<Op> {
    let quiet = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let mut ops = Vec::new();
    for path in &machine.read_only {
        let why = "mounted onto itself, so that it can have flags of its own";
        ops.push(Mount::bind(path, path, why).flags(&["MS_REC"]).by_descriptor().into());
        let why = "writing there would change the host's kernel";
        let flags = ["MS_REMOUNT", "MS_BIND", "MS_RDONLY"];
        ops.push(Mount::change(path, &flags, why).flags(&quiet).by_descriptor().into());
    }
    for (path, is_directory) in &machine.masked {
        let why = "covered: it tells about the host, or belongs to it";
        ops.push(match is_directory {
            true => Mount::filesystem("tmpfs", path, why)
                .flags(&["MS_RDONLY"])
                .flags(&quiet)
                .by_descriptor()
                .into(),
            false => Mount::bind("/dev/null", path, why).by_descriptor().into(),
        });
    }
    ops
}

fn old_root_away() -> Vec<Op> {
    let why = "the host's file system leaves the tree: from here there is no path back to it";
    vec![
        Unmount { target: OLD.to_owned(), why: why.to_owned() }.into(),
        RemoveDir { path: OLD.to_owned(), why: "nothing is left of it".to_owned() }.into(),
    ]
}

/// What `run` and `exec` do last: fewer rights, then the command.
pub fn command(process: &Process, machine: &Machine) -> Vec<Op> {
    let keep: Vec<String> = DOCKER_DEFAULT.iter().map(|name| (*name).to_owned()).collect();
    let (uid, gid) = process.user;
    let mut ops = Vec::new();
    if process.terminal {
        ops.push(Console.into());
    }
    let workdir = "where the command starts".to_owned();
    ops.push(Chdir { path: literal(&process.workdir), why: workdir }.into());
    ops.push(CapBound { keep: keep.clone() }.into());
    // With a single id mapped, setgroups is denied: whatever groups there are
    // mean nothing in the namespace but to keep doors closed.
    if machine.user.as_ref().is_none_or(|user| user.full) {
        ops.push(SetGroups.into());
    }
    if gid != 0 {
        ops.push(SetGid { gid }.into());
    }
    if uid != 0 {
        ops.push(SetUid { uid }.into());
    }
    ops.push(CapSet { keep: if uid == 0 { keep } else { Vec::new() } }.into());
    ops.push(NoNewPrivs.into());
    ops.push(DeathSignal.into());
    ops.push(Filter::Default.into());
    ops.push(Filter::NoClone3.into());
    ops.push(Execute { argv: process.command.clone(), env: process.env.clone() }.into());
    ops
}
