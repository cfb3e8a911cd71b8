//! What `run` and `exec` are asked to permit, and what there is to say about it.

use crate::cli::container::RightsFlags;
use crate::container::machine::Machine;
use crate::container::nobody;
use crate::container::spec::{Rights, UserNamespace};
use crate::error::{Error, Exit, Result};
use crate::kernel::capability;
use crate::ui::Screen;

/// What the flags of `run` come to on this machine.
pub fn rights(flags: &RightsFlags, machine: &Machine) -> Result<Rights> {
    let available = available(machine.user.is_some());
    let mut rights = Rights::default();
    if flags.privileged {
        rights.privileged(&available);
    } else {
        rights.tweak(&flags.cap_add, &flags.cap_drop, &available)?;
    }
    flags.security_opt.iter().try_for_each(|given| rights.security_option(given))?;
    Ok(rights)
}

/// The machine as the container is to see it: with a user namespace where one is asked for.
pub fn with_user_namespace(
    mut machine: Machine,
    asked: Option<UserNamespace>,
    screen: &Screen,
) -> Result<Machine> {
    match (asked, &machine.user) {
        (Some(UserNamespace::Auto), None) => {
            let release = procfs::sys::kernel::Version::current();
            if release.is_ok_and(|release| (release.major, release.minor) < (5, 19)) {
                return Err(Error::cannot("--userns: laying a root over files with mapped owners")
                    .hint("This needs Linux 5.19; without --userns, root in the container is root out here."));
            }
            machine.user = Some(nobody::map()?);
        }
        (Some(UserNamespace::Auto), Some(_)) => screen.note(
            "--userns: it always has one when you are not root. Root in there is you; only root can make it nobody.",
        ),
        (Some(UserNamespace::Host), Some(_)) => {
            return Err(Error::new("--userns=host")
                .said("only root may make the other namespaces without one for user ids")
                .hint("As an ordinary user, leave it out; or use sudo.")
                .exit(Exit::Engine));
        }
        (Some(UserNamespace::Host) | None, _) => {}
    }
    Ok(machine)
}

/// The capabilities that can be given: in a new user namespace all, else what
/// this process has itself.
pub fn available(in_user_namespace: bool) -> Vec<String> {
    let given = |(_, held): &(_, bool)| *held || in_user_namespace;
    capability::bounding().into_iter().filter(given).map(|(name, _)| name.to_owned()).collect()
}

/// What `--privileged` is, and what CAP_SYS_ADMIN alone comes to.
pub fn warn_of_power(flags: &RightsFlags, rights: &Rights, machine: &Machine, screen: &Screen) {
    let admin = rights.capabilities.iter().any(|name| name == "CAP_SYS_ADMIN");
    screen.warn(match (flags.privileged, machine.user.is_some()) {
        (false, false) if admin => {
            "CAP_SYS_ADMIN: root in there may mount this machine's disks, and so read and change all that \
             is on them. docker forbids the devices by a cgroup; here nothing does. --userns takes that power away."
        }
        (false, _) => return,
        (true, false) => {
            "--privileged: root in there is root out here. It has every capability, every system call, \
             the host's devices and its disks, and /proc and /sys to write to: only what is seen differs, \
             nothing is held back."
        }
        (true, true) => {
            "--privileged, within a user namespace: every capability and system call, and nothing of /proc \
             and /sys covered, but all of it as good as the user you are out here: no device, no mount of a \
             disk, no setting of the kernel."
        }
    });
}
