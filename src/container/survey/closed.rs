//! Containers whose namespaces are closed to us: an ordinary user may not read
//! those of others' processes (proc(5)), but a cgroup, ancestors and the number
//! of pid namespaces around a process are open to everybody.

use std::path::Path;

use super::{Seen, What, named};
use crate::container::engines::{Detective, Owner, Verdict};
use crate::kernel::namespace::{Ids, Kind};
use crate::kernel::process::Status;

/// Adds what can be told of these processes.
pub(super) fn tell(proc: &Path, pids: &[i32], detective: &mut Detective, seen: &mut Vec<Seen>) {
    for &pid in pids {
        let Ok(status) = Status::read(proc, pid) else { continue };
        let numbers: Vec<_> =
            status.field("NSpid").unwrap_or_default().split_whitespace().collect();
        let (inside, first) = (numbers.len() > 1, numbers.last() == Some(&"1"));
        let claim = match inside {
            true => detective.claimed(pid, &Ids::default()),
            false => detective.by_cgroup(pid),
        };
        let found = claim.as_ref().and_then(|verdict| match &verdict.owner {
            Owner::Container(found) => Some(found.clone()),
            _ => None,
        });
        let chain = detective.chain(pid);
        let known = seen.iter_mut().find(|known| match &found {
            Some(found) if named(found) => known.same(found),
            _ => known.closed && chain.contains(&known.pid),
        });
        match (known, claim) {
            (Some(known), _) => {
                known.processes += 1;
                if first && !chain.contains(&known.pid) {
                    known.pid = pid;
                }
            }
            // Not the first in there, and nothing says of what: it is not counted.
            (None, _) if !(found.as_ref().is_some_and(named) || inside && first) => {}
            (None, claim) => seen.push(unseen(pid, inside, claim)),
        }
    }
}

/// One whose namespaces are closed to us.
fn unseen(pid: i32, inside: bool, claim: Option<Verdict>) -> Seen {
    let what = if claim.is_some() { What::Container } else { What::Namespaces };
    let nobody = || Verdict {
        owner: Owner::Unknown,
        evidence: format!("NSpid in /proc/{pid}/status has a second number; the rest is closed"),
    };
    Seen {
        what,
        verdict: claim.unwrap_or_else(nobody),
        pid,
        ids: Ids::default(),
        own: if inside { vec![Kind::Pid] } else { Vec::new() },
        processes: 1,
        closed: true,
    }
}
