//! Who a process is and what it may do: credentials(7), capabilities(7).

use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::capability;
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// The capabilities that docker leaves to a container by default.
pub const DOCKER_DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

fn set_of(names: &[String]) -> Result<CapabilitySet> {
    let mut set = CapabilitySet::empty();
    for name in names {
        let number = capability::number(name)
            .ok_or_else(|| Error::usage(format!("{name} is no capability")))?;
        set |= CapabilitySet::from_bits_retain(1 << number);
    }
    Ok(set)
}

/// prctl(2) `PR_CAPBSET_DROP`, for each capability that is not kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapBound {
    /// Names of those that stay in the bounding set.
    pub keep: Vec<String>,
}

impl Operation for CapBound {
    fn step(&self) -> Step {
        Step::new(
            format!("prctl(PR_CAPBSET_DROP, ...) for all but {}", self.keep.join(" ")),
            "no program started in here can ever get these capabilities, set-uid or not",
        )
        .shell(format!(
            "capsh --drop=... (keeps {} of {})",
            self.keep.len(),
            capability::LAST + 1
        ))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let keep = set_of(&self.keep)?;
        let mut dropped = 0;
        for number in 0..64 {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if keep.contains(one) {
                continue;
            }
            match remove_capability_from_bounding_set(one) {
                Ok(()) => dropped += 1,
                // Past the last capability that this kernel knows.
                Err(rustix::io::Errno::INVAL) => break,
                Err(errno) => {
                    return Err(errno).tried(|| format!("prctl(PR_CAPBSET_DROP, {number})"));
                }
            }
        }
        Ok(format!("0, {dropped} times"))
    }
}

/// capset(2): effective and permitted become these, inheritable nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapSet {
    /// Names of those that stay.
    pub keep: Vec<String>,
}

impl CapSet {
    /// How many are not among docker's.
    fn beyond(&self) -> usize {
        self.keep.iter().filter(|name| !DOCKER_DEFAULT.contains(&name.as_str())).count()
    }
}

impl Operation for CapSet {
    fn step(&self) -> Step {
        Step::new(
            format!("capset(effective=permitted={} capabilities, inheritable=0)", self.keep.len()),
            match self.beyond() {
                0 => {
                    "even root in here lacks most of what makes root: no mount, no module, no clock"
                        .to_owned()
                }
                some => format!(
                    "root in here has {some} more than docker gives by default, for inheritance none"
                ),
            },
        )
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let keep = set_of(&self.keep)?;
        let sets = CapabilitySets {
            effective: keep,
            permitted: keep,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets).tried(|| "capset()")?;
        Ok("0".to_owned())
    }
}

/// prctl(2) `PR_SET_NO_NEW_PRIVS`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoNewPrivs;

impl Operation for NoNewPrivs {
    fn step(&self) -> Step {
        Step::new(
            "prctl(PR_SET_NO_NEW_PRIVS, 1)",
            "set-uid programs gain nothing any more; without it an ordinary user may not set a seccomp filter",
        )
        .shell("setpriv --no-new-privs sh")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        set_no_new_privs(true).tried(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)")?;
        Ok("0".to_owned())
    }
}

/// setgroups(2): the launcher's groups stay outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetGroups {
    /// Those instead. The main group is among them, as docker has it: a program
    /// that changes its main group is not rid of it, where it is to be kept from
    /// something (CVE-2022-36109).
    pub groups: Vec<u32>,
}

impl Operation for SetGroups {
    fn step(&self) -> Step {
        let groups = &self.groups;
        Step::new(
            format!("setgroups({}, {groups:?})", groups.len()),
            "the groups of whoever started this stay outside",
        )
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let groups: Vec<_> = self.groups.iter().map(|gid| (*gid).into()).collect();
        nix::unistd::setgroups(&groups)
            .tried(|| format!("setgroups({:?})", self.groups))
            .map_err(unmapped)
            .map(|()| "0".to_owned())
    }
}

fn unmapped(error: Error) -> Error {
    if !error.is(nix::errno::Errno::EINVAL) {
        return error;
    }
    error.hint(
        "In a user namespace only mapped ids exist: 0 alone, without newuidmap and a range in \
         /etc/subuid (`under-the-hood doctor` names the fix).",
    )
}

/// setgid(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetGid {
    /// The group id, as the container counts.
    pub gid: u32,
}

impl Operation for SetGid {
    fn step(&self) -> Step {
        Step::new(format!("setgid({})", self.gid), "the group that --user asks for")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        nix::unistd::setgid(self.gid.into())
            .tried(|| format!("setgid({})", self.gid))
            .map_err(unmapped)
            .map(|()| "0".to_owned())
    }
}

/// setuid(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetUid {
    /// The user id, as the container counts.
    pub uid: u32,
}

impl Operation for SetUid {
    fn step(&self) -> Step {
        Step::new(
            format!("setuid({})", self.uid),
            "the user that --user asks for; leaving uid 0 gives up every capability",
        )
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        nix::unistd::setuid(self.uid.into())
            .tried(|| format!("setuid({})", self.uid))
            .map_err(unmapped)
            .map(|()| "0".to_owned())
    }
}
