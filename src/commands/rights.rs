//! What `run` and `exec` are asked to permit, and what there is to say about it.

use crate::cli::container::RightsFlags;
use crate::container::machine::Machine;
use crate::container::spec::Rights;
use crate::error::Result;
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

/// The capabilities that can be given: in a new user namespace all, else what
/// this process has itself.
pub fn available(in_user_namespace: bool) -> Vec<String> {
    let given = |(_, held): &(_, bool)| *held || in_user_namespace;
    capability::bounding().into_iter().filter(given).map(|(name, _)| name.to_owned()).collect()
}

/// What `--privileged` is.
pub fn warn_of_privileged(machine: &Machine, screen: &Screen) {
    screen.warn(match machine.user.is_some() {
        false => {
            "--privileged: root in there is root out here. It has every capability, every system call, \
             the host's devices and its disks, and /proc and /sys to write to: only what is seen differs, \
             nothing is held back."
        }
        true => {
            "--privileged, within a user namespace: every capability and system call, and nothing of /proc \
             and /sys covered, but all of it as good as the user you are out here: no device, no mount of a \
             disk, no setting of the kernel."
        }
    });
}
