//! What `run` and `exec` do last: fewer rights, then the command.

use std::path::{Path, PathBuf};

use crate::container::machine::Machine;
use crate::container::spec::Process;
use crate::kernel::credentials::{
    CapBound, CapSet, DOCKER_DEFAULT, NoNewPrivs, SetGid, SetGroups, SetUid,
};
use crate::kernel::execute::Execute;
use crate::kernel::files::{Chdir, MakeDir};
use crate::kernel::op::{Op, literal};
use crate::kernel::seccomp::Filter;
use crate::kernel::session::{Console, DeathSignal};

/// The directory that the command starts in, made where it is missing, as docker does.
pub fn workdir(process: &Process) -> Vec<Op> {
    let mut path = PathBuf::from("/");
    let below = Path::new(&process.workdir).components().skip(1).map(|part| {
        path.push(part);
        let path = literal(&path.to_string_lossy());
        let why = "on the way to where the command starts".to_owned();
        MakeDir { path, mode: 0o755, why }.into()
    });
    below.collect()
}

/// From the container's init to the command.
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
