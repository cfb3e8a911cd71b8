//! `netns exec`: a command of this machine, in another network namespace.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::cli::Global;
use crate::cli::netns::Exec;
use crate::container::network::place::{self, Place};
use crate::error::{Context, Result};
use crate::kernel::enter::UnshareMounts;
use crate::kernel::execute::Become;
use crate::kernel::mount::{Mount, Unmount};
use crate::kernel::netns::{EnterNet, EnterOwner, NET};
use crate::kernel::op::{Op, Slots, World, describe, literal, perform_all};
use crate::step::{Actor, Deaf, Observer};
use crate::ui::Screen;

/// `netns exec`: on success this process has become the command.
pub fn run(proc: &Path, args: &Exec, global: &Global, screen: &mut Screen) -> Result<u8> {
    let place = place::open(proc, &args.target)?;
    let plan = plan(&place, args);
    if global.dry_run {
        return screen.plan(&describe(&plan, Actor::Launcher)).map(|()| 0);
    }
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    let net: OwnedFd = place.file.try_clone().tried(|| "dup(net)")?.into();
    world.fds.insert(NET.to_owned(), net);
    let Some((last, before)) = plan.split_last() else { return Ok(0) };
    perform_all(before, Actor::Launcher, &mut world, screen)?;
    // Afterwards there is nobody left to report it.
    screen.step(&last.step());
    perform_all(std::slice::from_ref(last), Actor::Launcher, &mut world, &mut Deaf)?;
    Ok(0)
}

fn plan(place: &Place, args: &Exec) -> Vec<Op> {
    let mut ops = Vec::new();
    if !rustix::process::geteuid().is_root() {
        ops.push(EnterOwner.into());
    }
    ops.push(EnterNet { source: place.path.to_string_lossy().into_owned() }.into());
    if args.mount {
        ops.extend(mounts(&place.label));
    }
    ops.push(Become { argv: args.line.command.clone() }.into());
    ops
}

/// What `ip netns exec` does to mounts: /sys shows the interfaces of the
/// namespace that mounted it, and files in /etc/netns/NAME stand for those in /etc.
fn mounts(name: &str) -> Vec<Op> {
    let why = "from here on no mount made in here is seen outside";
    let mut ops =
        vec![Op::from(UnshareMounts), Mount::change("/", &["MS_REC", "MS_SLAVE"], why).into()];
    if rustix::process::geteuid().is_root() {
        let why = "it shows the interfaces of the namespace it was mounted in";
        ops.push(Unmount { target: "/sys".to_owned(), why: why.to_owned() }.into());
    }
    let why = "a /sys with the interfaces of the namespace we are in now";
    ops.push(Mount::filesystem("sysfs", "/sys", why).into());
    let directory = Path::new("/etc/netns").join(name);
    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        let (from, to) = (entry.path(), Path::new("/etc").join(entry.file_name()));
        let why = "a file that only this namespace has";
        ops.push(
            Mount::bind(&literal(&from.to_string_lossy()), &literal(&to.to_string_lossy()), why)
                .into(),
        );
    }
    ops
}
