//! What a process belongs to: its session, its terminal, its host name, and
//! the parent it must not outlive.

use nix::errno::Errno;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, ioctl_tiocsctty, set_parent_process_death_signal};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::enter::FromInit;
use crate::kernel::op::{Operation, World};
use crate::kernel::pidfd::has_ended;
use crate::kernel::raw;
use crate::step::Step;

/// setsid(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewSession;

impl Operation for NewSession {
    fn step(&self) -> Step {
        Step::new(
            "setsid()",
            "a session of its own: no way back to your terminal (TIOCSTI could type into it)",
        )
        .shell("setsid sh")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        nix::unistd::setsid().tried(|| "setsid()").map(|session| session.to_string())
    }
}

/// keyctl(2) `KEYCTL_JOIN_SESSION_KEYRING`: an empty keyring of its own, in place
/// of the launcher's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewKeyring;

impl Operation for NewKeyring {
    fn step(&self) -> Step {
        Step::new(
            "keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)",
            "the keys of your session stay outside: what may call keyctl could read them",
        )
        .shell("keyctl session - sh")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        match raw::new_session_keyring() {
            Ok(id) => Ok(id.to_string()),
            // Without CONFIG_KEYS there are no keys to keep outside.
            Err(Errno::ENOSYS) => Ok("-1 ENOSYS, as good".to_owned()),
            Err(errno) => Err(Error::call("keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)", errno)
                .hint("EDQUOT here is a limit, not a disk: /proc/key-users shows how many keys a user has and may have.")),
        }
    }
}

/// sethostname(2): in the UTS namespace that the process is in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetHostname {
    /// The new name.
    pub name: String,
}

impl Operation for SetHostname {
    fn step(&self) -> Step {
        Step::new(
            format!("sethostname(\"{}\", {})", self.name, self.name.len()),
            "in the new UTS namespace: the host keeps its own name",
        )
        .shell(format!("hostname {}", self.name))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        nix::unistd::sethostname(&self.name).tried(|| format!("sethostname({:?})", self.name))?;
        Ok("0".to_owned())
    }
}

/// prctl(2) `PR_SET_PDEATHSIG`: SIGKILL when the parent dies. Each change of
/// credentials takes it away again, so it comes after the last one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeathSignal;

impl Operation for DeathSignal {
    fn step(&self) -> Step {
        Step::new(
            "prctl(PR_SET_PDEATHSIG, SIGKILL)",
            "if the parent is killed, the kernel ends this process too: nothing is left running unwatched",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .tried(|| "prctl(PR_SET_PDEATHSIG, SIGKILL)")?;
        // The parent may have died just before; then no signal will ever come.
        match has_ended(world.fd("parent")?)? {
            false => Ok("0".to_owned()),
            true => Err(Error::call("checking that the parent lives", Errno::ESRCH)),
        }
    }
}

/// A terminal of the container's own devpts becomes its standard streams; the
/// other end goes to the launcher, over the channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Console;

impl Operation for Console {
    fn step(&self) -> Step {
        Step::new(
            "ioctl(open(\"/dev/pts/ptmx\", O_RDWR), TIOCGPTPEER)",
            "a new pseudo-terminal: one end becomes 0, 1 and 2 here, the other goes to the launcher",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = "/dev/pts/ptmx";
        let master = open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .tried(|| format!("open({path:?}, O_RDWR)"))?;
        unlockpt(&master).tried(|| "ioctl(TIOCSPTLCK)")?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let peer = ioctl_tiocgptpeer(&master, flags).tried(|| "ioctl(TIOCGPTPEER)")?;
        ioctl_tiocsctty(&peer).tried(|| "ioctl(TIOCSCTTY)")?;
        dup2_stdin(&peer)
            .and_then(|()| dup2_stdout(&peer))
            .and_then(|()| dup2_stderr(&peer))
            .tried(|| "dup2(terminal, 0 to 2)")?;
        let channel =
            world.channel.ok_or_else(|| Error::new("there is nobody to send the terminal to"))?;
        channel.send(&FromInit::Console, &[std::os::fd::AsFd::as_fd(&master)])?;
        Ok("0".to_owned())
    }
}
