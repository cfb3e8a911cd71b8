//! What `run` and `exec` do last: fewer rights, then the command.

use crate::container::machine::Machine;
use crate::container::passwd::User;
use crate::container::spec::{Process, Seccomp};
use crate::error::Result;
use crate::kernel::capability;
use crate::kernel::credentials::{CapBound, CapSet, NoNewPrivs, SetGid, SetGroups, SetUid};
use crate::kernel::execute::Execute;
use crate::kernel::in_root::{EnterDir, Kind, MakeInRoot};
use crate::kernel::limits::OomScoreAdjust;
use crate::kernel::op::{Op, literal};
use crate::kernel::reaper::{Opaque, Reaper};
use crate::kernel::session::{Console, DeathSignal, NewKeyring};

/// The directory that the command starts in, made where it is missing, as docker does.
pub fn workdir(process: &Process) -> Vec<Op> {
    let (root, path) = (String::new(), literal(&process.workdir));
    let why =
        "where the command starts: made in the container's own layer if it is missing".to_owned();
    match process.workdir.as_str() {
        "/" => Vec::new(),
        _ => vec![MakeInRoot { root, path, kind: Kind::Directory, why }.into()],
    }
}

/// From the container's init to the command.
pub fn command(process: &Process, machine: &Machine) -> Result<Vec<Op>> {
    let rights = &process.rights;
    let filters = rights.filters()?.into_iter().map(Op::from);
    let mut ops = Vec::new();
    // By default no keyring can be asked for anything.
    if rights.seccomp != Seccomp::Default {
        ops.push(NewKeyring.into());
    }
    if process.terminal {
        ops.push(Console.into());
    }
    ops.push(EnterDir { path: literal(&process.workdir) }.into());
    ops.extend(process.oom_score.map(|score| OomScoreAdjust { score }.into()));
    // From here on no descriptor is opened: --ulimit nofile=3 hinders nothing of ours.
    ops.extend(process.limits.iter().cloned().map(Op::from));
    // An ordinary process must promise never to gain anything before it may
    // filter; without that promise only one with CAP_SYS_ADMIN may: now, still.
    let (now, last): (Vec<_>, Vec<_>) = filters.partition(|_| !rights.no_new_privileges);
    ops.extend(now);
    ops.extend(fewer_capabilities(process, machine));
    if rights.no_new_privileges {
        ops.push(NoNewPrivs.into());
    }
    ops.push(DeathSignal.into());
    ops.extend(last);
    if process.init {
        ops.push(Opaque.into());
        ops.push(Reaper { terminal: process.terminal }.into());
    }
    ops.push(Execute { argv: process.command.clone(), env: process.env.clone() }.into());
    Ok(ops)
}

/// The bounding set for good, then who it is, then what it has of that set.
fn fewer_capabilities(process: &Process, machine: &Machine) -> Vec<Op> {
    let keep = &process.rights.capabilities;
    let User { uid, gid, groups, .. } = process.user.clone();
    let mut ops = Vec::new();
    if capability::bounding().iter().any(|(name, _)| !keep.iter().any(|kept| kept == name)) {
        ops.push(CapBound { keep: keep.clone() }.into());
    }
    // Where a single id is mapped, setgroups is denied: whatever groups there are
    // mean nothing in the namespace but to keep doors closed.
    if machine.setgroups {
        ops.push(SetGroups { groups }.into());
    }
    if gid != 0 {
        ops.push(SetGid { gid }.into());
    }
    if uid != 0 {
        ops.push(SetUid { uid }.into());
    }
    // Nothing is inheritable, and so nothing ambient (CVE-2022-24769).
    ops.push(CapSet { keep: if uid == 0 { keep.clone() } else { Vec::new() } }.into());
    ops
}
