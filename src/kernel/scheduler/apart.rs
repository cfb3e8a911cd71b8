//! A child on another processor than its parent.
//!
//! Where a child begins is the kernel's choice. Most look for an idle processor; one
//! without scheduling domains, as of some small virtual machines, leaves it on its
//! parent's until the parent sleeps (measured: 3.7 ms, the other processor idle). Then
//! what was to be done side by side is done one after the other.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// A child that may not run on the processor its parent was on; until this is dropped.
#[derive(Debug)]
pub struct Apart {
    child: Pid,
    allowed: CpuSet,
}

/// Sends a child there (sched_setaffinity(2)). None where there is no other processor, or
/// the kernel does not let us: it is a matter of time only.
pub fn apart(child: i32) -> Option<Apart> {
    let child = Pid::from_raw(child)?;
    let allowed = sched_getaffinity(Some(child)).ok()?;
    let mut others = allowed;
    others.unset(sched_getcpu());
    if others.count() == 0 {
        return None;
    }
    sched_setaffinity(Some(child), &others).ok()?;
    Some(Apart { child, allowed })
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Who is gone by now needs no processor.
        let _ = sched_setaffinity(Some(self.child), &self.allowed);
    }
}
