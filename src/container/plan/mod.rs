//! From what was asked for to what is done: the operations that make a
//! container, in order. Read [`Plan::new`] and follow it, and you have seen
//! what a container is.

mod command;
mod devices;
mod network;
mod root;
mod volumes;

use crate::container::limited;
use crate::container::machine::Machine;
use crate::container::spec::{NetworkKind, Spec};
use crate::container::{kept, logs, registry};
use crate::error::Result;
use crate::kernel::binary::{CloneBinary, CopyBinary, SealBinary, SealCopy};
use crate::kernel::cgroup::limit;
use crate::kernel::clone::{Clone, CloneSpec};
use crate::kernel::credentials::{SetGid, SetGroups, SetUid};
use crate::kernel::detached::{Attach, MapOwners, OpenTree};
use crate::kernel::enter::{UnshareCgroup, become_init};
use crate::kernel::files::{MakeDir, WriteFile};
use crate::kernel::in_root::{Kind, MakeInRoot, WriteInRoot};
use crate::kernel::op::{Op, describe, literal};
use crate::kernel::session::SetHostname;
use crate::kernel::standby::become_watcher;
use crate::kernel::user::IdMap;
use crate::step::{Actor, Step};

pub use command::command;
pub use network::NAMES;

use command::workdir;
use devices::devices;
use root::{hidden, into_the_root, kernel_file_systems, root_file_system, staging};
use volumes::{read_only, volumes};

/// The container's root while it is put together: a directory here, resolved
/// in as if it were `/`. All is mounted before it becomes one, so that the host's
/// files are never below a path of the image.
const ROOT: &str = "root";

/// Where the old root stands for a moment, in the new one.
const OLD: &str = ".old";

/// The descriptor of the image's files, where they need mapped owners.
pub const TREE: &str = "tree";

/// Who does what.
#[derive(Debug)]
pub struct Plan {
    /// The launcher: makes the process, says who is who in it.
    pub birth: Vec<Op>,
    /// The launcher, while the new process is at work: registers it.
    pub launcher: Vec<Op>,
    /// The new process meanwhile: it becomes `__init`, unless the watcher has seen
    /// to that; then it begins with its root, and goes on as far as it needs nobody.
    pub newborn: Vec<Op>,
    /// The same process, until it becomes the command.
    pub init: Vec<Op>,
    /// What came before all that, where the watcher is to be sealed.
    sealed: Vec<Op>,
}

impl Plan {
    /// The plan for a container on this machine.
    pub fn new(spec: &Spec, machine: &Machine) -> Result<Self> {
        let sealed = sealed(machine);
        let root = [network::join(spec), root_file_system(spec, machine)].concat();
        let named = identity(spec, machine);
        let inside = [
            kernel_file_systems(spec, machine),
            devices(&spec.process.rights, machine),
            scripts(spec),
            volumes(&spec.files),
            into_the_root(),
            hidden(&spec.process.rights, machine),
            workdir(&spec.process),
            read_only(&spec.files),
        ]
        .concat();
        // What needs nothing of the launcher is done while that is at work out here; but
        // it makes the layer of what is kept, and lays the cable to the bridge.
        let (early, late) = match &spec.network.kind {
            _ if sealed.is_empty() || spec.keep.is_some() => {
                (Vec::new(), [root, named, inside].concat())
            }
            NetworkKind::Bridge => (root, [named, inside].concat()),
            _ => ([root, named, inside].concat(), Vec::new()),
        };
        Ok(Self {
            sealed,
            birth: birth(spec, machine)?,
            launcher: launcher(spec)?,
            newborn: [newborn(spec, machine), early].concat(),
            init: [late, command(&spec.process, machine)?].concat(),
        })
    }

    /// What `--dry-run` shows.
    pub fn steps(&self) -> Vec<Step> {
        let launcher = |ops| describe(ops, Actor::Launcher);
        let newborn = describe(&self.newborn, Actor::Init);
        let init = describe(&self.init, Actor::Init);
        let mut steps = launcher(&self.sealed);
        let executed = match self.is_sealed() {
            true => {
                steps.push(become_watcher());
                None
            }
            false => Some(become_init()),
        };
        steps.extend([launcher(&self.birth), launcher(&self.launcher), newborn].concat());
        steps.extend(executed.into_iter().chain(init));
        steps
    }

    /// Whether the watcher, and what it clones, is our program as nobody can write to it.
    pub fn is_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }
}

/// What the launcher does first of all, where the watcher is to be such a program.
pub fn sealed(machine: &Machine) -> Vec<Op> {
    if machine.seals_the_watcher() { binary(machine) } else { Vec::new() }
}

/// What the new process does before it becomes `__init`, or as good as that.
fn newborn(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let mut ops = Vec::new();
    if !spec.group.is_empty() {
        ops.push(UnshareCgroup.into());
    }
    if !machine.seals_the_watcher() {
        ops.extend(binary(machine));
    }
    if machine.nobody() {
        ops.extend(staging(spec, machine));
        ops.extend(become_root());
    }
    ops
}

/// The namespaces a container gets: all that exist but `time`, and `user` only
/// where it is needed.
pub fn namespaces(network: &NetworkKind, with_user: bool) -> Vec<String> {
    let user = with_user.then_some("user");
    let net = (!matches!(network, NetworkKind::Host | NetworkKind::Container(_))).then_some("net");
    let names = user.into_iter().chain(["mnt", "uts", "ipc", "pid"]).chain(net).chain(["cgroup"]);
    names.map(str::to_owned).collect()
}

fn birth(spec: &Spec, machine: &Machine) -> Result<Vec<Op>> {
    let mut namespaces = namespaces(&spec.network.kind, machine.user.is_some());
    let mut limits = limit::Plan::default();
    if !spec.group.is_empty() {
        limits = limit::plan(&spec.group, &limited::name(&spec.id), true)?;
        // Later, when it is in its group.
        namespaces.retain(|name| name != "cgroup");
    }
    let mut ops = limits.make;
    ops.push(Clone(CloneSpec { name: spec.name.clone(), namespaces }).into());
    if let Some(user) = &machine.user {
        if !user.full {
            let why = "an ordinary user may map groups only after giving up setgroups(2): \
                       dropping a group could otherwise open what it keeps closed";
            ops.push(WriteFile::tell("/proc/$pid/setgroups", "deny", why).into());
        }
        for (kind, map, helper) in user.maps.clone() {
            ops.push(IdMap { kind, map, helper }.into());
        }
        if user.nobody {
            // Nobody may not even look for the image's files.
            let source = literal(&spec.rootfs.tree.to_string_lossy());
            ops.push(OpenTree { source, name: TREE.to_owned() }.into());
            ops.push(MapOwners { name: TREE.to_owned() }.into());
        }
    }
    ops.extend(limits.join);
    ops.extend(network::helper(spec));
    Ok(ops)
}

/// To root of a user namespace in which the process has no id yet: what it was
/// outside is not mapped, and exec would leave it no capability.
pub fn become_root() -> Vec<Op> {
    let (groups, gid, uid) = (vec![0], 0, 0);
    vec![SetGroups { groups }.into(), SetGid { gid }.into(), SetUid { uid }.into()]
}

fn launcher(spec: &Spec) -> Result<Vec<Op>> {
    let path = registry::path(&spec.id)?;
    let why = "our own note that it is running, so that exec, stop and inspect find it by name";
    let path = literal(&path.to_string_lossy());
    let record = WriteFile::journalled(path, registry::record(spec), why);
    let mut ops = network::outside(spec);
    // Early, so that it goes last: who waits for that finds all else gone. But
    // it says which address was taken, if one was.
    ops.insert(ops.len().min(1), record.into());
    ops.extend(network::names(spec)?);
    if let Some(own) = &spec.keep {
        ops.extend(kept::plan(spec, own));
    }
    if let Some(log) = logs::path(spec)? {
        let why = "what it writes goes here, since it has no terminal: `logs` shows it";
        let log = literal(&log.to_string_lossy());
        ops.push(match spec.keep {
            Some(_) => WriteFile::new(log, "", why).into(),
            None => WriteFile::journalled(log, "", why).into(),
        });
    }
    Ok(ops)
}

/// Our binary as something that nobody can write to: a read-only mount of it,
/// or a copy in memory on kernels that have no such mount.
pub fn binary(machine: &Machine) -> Vec<Op> {
    if !machine.tried.liked.binary_mount {
        return vec![CopyBinary.into(), SealCopy.into()];
    }
    let path = literal(&machine.binary.to_string_lossy());
    vec![CloneBinary { path }.into(), SealBinary.into()]
}

/// Where docker has a here-document that is executed: in /dev, so in no layer.
const PIPES: &str = "/dev/pipes/";

/// Places for such files.
fn scripts(spec: &Spec) -> Vec<Op> {
    let targets = spec.files.mounts.iter().map(|extra| literal(&extra.target));
    let scripts: Vec<_> = targets.filter(|target| target.starts_with(PIPES)).collect();
    let directory = scripts.first().map(|_| {
        let (path, why) = (format!("{ROOT}/dev/pipes"), "a place for here-documents".to_owned());
        MakeDir { path, mode: 0o755, why }.into()
    });
    let files = scripts.iter().map(|target| {
        WriteFile::new(format!("{ROOT}{target}"), "", "something to mount on").into()
    });
    directory.into_iter().chain(files).collect()
}

/// A file to mount on, made where the image has none.
fn place(path: &str) -> Op {
    let why = "a place to mount a file on; what is left of it does not become part of the layer"
        .to_owned();
    MakeInRoot { root: ROOT.to_owned(), path: path.to_owned(), kind: Kind::File, why }.into()
}

/// A file of ours that is mounted on the image's, as long as the container lasts.
fn lent(path: &str, content: &str) -> [Op; 4] {
    let name = path.trim_start_matches('/').replace('/', "-");
    let why = "beside the new root: a mount of it does not become part of the layer";
    [
        WriteFile::new(&name, content, why).into(),
        OpenTree { source: name.clone(), name: name.clone() }.into(),
        place(path),
        Attach {
            name: name.clone(),
            root: ROOT.to_owned(),
            path: path.to_owned(),
            shell: format!("mount --bind {name} {ROOT}{path}"),
        }
        .into(),
    ]
}

/// Who it is: in the UTS namespace, and in files of the layer above the image; but
/// what becomes a layer must not say who we were.
fn identity(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let name = &spec.hostname;
    let servers = spec.network.resolv_conf(&machine.name_servers);
    if spec.layer.is_some() {
        let mut ops = vec![Op::from(SetHostname { name: name.clone() })];
        if spec.network.kind != NetworkKind::Bridge {
            ops.extend(lent("/etc/hosts", &network::hosts(spec)));
        } else {
            ops.push(place("/etc/hosts"));
            ops.extend(network::attach_names(spec));
        }
        ops.extend(lent("/etc/resolv.conf", &literal(&servers)));
        ops.extend(network::inside(spec));
        return ops;
    }
    let write = |path: &str, content: &str, why: &str| {
        let (path, content) = (path.to_owned(), content.to_owned());
        Op::from(WriteInRoot { root: ROOT.to_owned(), path, content, why: why.to_owned() })
    };
    let mut ops = vec![
        SetHostname { name: name.clone() }.into(),
        write(
            "/etc/hostname",
            &format!("{}\n", literal(name)),
            "the same in a file, where distributions keep it",
        ),
        write("/etc/hosts", &network::hosts(spec), "names that need no server"),
        write("/etc/resolv.conf", &literal(&servers), "the host's name servers, in a copy"),
    ];
    ops.extend(network::attach_names(spec));
    ops.extend(network::inside(spec));
    ops
}
