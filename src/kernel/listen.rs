//! Listening on a port, and new network namespaces to try it in: a port is
//! taken in one namespace only.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// bind(2) and listen(2) on every address; the socket stays open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listen {
    /// The port.
    pub port: u16,
    /// Why.
    pub why: String,
}

impl Operation for Listen {
    fn step(&self) -> Step {
        Step::new(format!("bind(socket, {{0.0.0.0, port {}}})", self.port), &self.why)
            .shell(format!("busybox nc -l -p {}", self.port))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let call = || format!("bind(0.0.0.0:{})", self.port);
        let listener = TcpListener::bind(("0.0.0.0", self.port)).tried(call)?;
        let name = format!("listener {}", world.fds.len());
        world.fds.insert(name, OwnedFd::from(listener));
        Ok("0".to_owned())
    }
}

/// unshare(2) `CLONE_NEWNET`: this process goes into a network namespace of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewNet {
    /// Whether a user namespace comes with it, which gives the right to it.
    pub with_user: bool,
    /// Why.
    pub why: String,
}

impl Operation for NewNet {
    fn step(&self) -> Step {
        let (flags, option) = match self.with_user {
            true => ("CLONE_NEWUSER|CLONE_NEWNET", "--map-root-user "),
            false => ("CLONE_NEWNET", ""),
        };
        Step::new(format!("unshare({flags})"), &self.why).shell(format!("unshare {option}--net sh"))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let user = if self.with_user { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
        unshare(user | CloneFlags::CLONE_NEWNET).tried(|| "unshare(CLONE_NEWNET)").map_err(
            |error| {
                error.hint("`under-the-hood doctor` says what forbids it, and how to allow it.")
            },
        )?;
        Ok("0".to_owned())
    }
}
