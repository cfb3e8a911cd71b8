//! Stopping a container: SIGTERM (or what its image names), and SIGKILL when that is not enough.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::container::registry::{self, Container};
use crate::error::{Error, Result};
use crate::kernel::op::{Op, Slots, World};
use crate::kernel::pidfd::{PidFd, SendSignal};
use crate::kernel::{process, undo};
use crate::step::{Actor, Observer};

/// How long SIGKILL may take, in milliseconds: what shares its CPU with a real-time loop gets a
/// twentieth of it.
const AFTER_KILL: u32 = 10_000;

/// The two operations; the second is only performed if the first is not enough.
pub fn plan(container: &Container, seconds: u32) -> [Op; 2] {
    let send = |signal, why: String| {
        SendSignal { pid: container.pid, start: container.start, signal, why }.into()
    };
    [
        send(
            container.stop_signal.unwrap_or(libc::SIGTERM),
            "asks the container's first process to end".to_owned(),
        ),
        send(
            libc::SIGKILL,
            format!("if it is still there after {seconds} s: this signal cannot be ignored"),
        ),
    ]
}

/// Stops it and waits until its shim has cleared up after it.
pub fn stop(container: &Container, seconds: u32, observer: &mut dyn Observer) -> Result<()> {
    let Some(held) = PidFd::open_if_started_at(container.pid, container.start)? else {
        return Ok(());
    };
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    for (op, patience) in
        plan(container, seconds).iter().zip([seconds.saturating_mul(1000), AFTER_KILL])
    {
        op.perform(Actor::Launcher, &mut world, observer)?;
        if ended(&held, patience)? {
            return cleared_up(container, observer);
        }
    }
    Err(Error::new(format!("waiting for container {} to end after SIGKILL", container.name))
        .said(format!("it is still there after {} s", AFTER_KILL / 1000))
        .hint(process::outlives_kill(Path::new("/proc"), container.pid)))
}

fn ended(process: &PidFd, milliseconds: u32) -> Result<bool> {
    let until = Instant::now() + Duration::from_millis(u64::from(milliseconds));
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if process.wait(u32::try_from(left.as_millis()).unwrap_or(u32::MAX))? {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// The shim removes the record last of all; if it was killed, the sweep does.
fn cleared_up(container: &Container, observer: &mut dyn Observer) -> Result<()> {
    let record = registry::path(&container.id)?;
    for _ in 0..200 {
        if !record.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    undo::sweep(false, observer).map(drop)
}
