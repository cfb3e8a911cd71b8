//! What is a run's own, so that two people can play the same lesson at once on
//! one machine: a scope, in which its containers have their names, and which is a
//! name for whatever else it makes (`$lesson_id`), a port of the host (`$lesson_port`), a
//! CPU to be busy on (`$lesson_cpu`).

use std::net::{Ipv4Addr, TcpListener};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use super::check;
use super::session;
use crate::container::registry;
use crate::error::{Context, Error, Result};

/// Ports that no program asks for by itself: below those that the kernel deals out.
const PORTS: std::ops::Range<u16> = 8100..9000;

/// A scope for a run of this lesson; `token` is what no other run has.
pub fn scope(number: Option<u32>, token: &str) -> String {
    let number = number.map_or(String::new(), |number| number.to_string());
    format!("lesson{number}-{}", token.get(..6).unwrap_or(token))
}

/// A port that nobody listens on, publishes, or has been given by another run.
pub fn port(token: &str) -> Result<u16> {
    let forwards = registry::list()?.into_iter().flat_map(|container| container.ports);
    let published: Vec<_> = forwards.map(|forward| forward.port).collect();
    let others = session::list()?;
    let given: Vec<u16> =
        others.iter().filter_map(|o| o.variable(check::PORT)?.parse().ok()).collect();
    let width = PORTS.end - PORTS.start;
    // Each run begins to look at a place of its own: that of another user is not in our list.
    let start = u16::from_str_radix(token.get(..4).unwrap_or_default(), 16).unwrap_or(0) % width;
    let free = |port: &u16| {
        !published.contains(port)
            && !given.contains(port)
            && TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()
    };
    let mut all = (0..width).map(|step| PORTS.start + (start + step) % width);
    all.find(free).ok_or_else(|| {
        Error::new("looking for a free port").said(format!(
            "every one from {} to {} is taken",
            PORTS.start,
            PORTS.end - 1
        ))
    })
}

/// The CPU that the fewest other runs have, as a mask: a real-time loop of another
/// player would leave nothing of it.
pub fn cpu() -> Result<String> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).tried(|| "sched_getaffinity(0)")?;
    let others = session::list()?;
    let given: Vec<_> = others.iter().filter_map(|other| other.variable(check::CPU)).collect();
    let mask = |cpu: usize| {
        // One hexadecimal digit for four CPUs.
        format!("{:x}{}", 1 << (cpu % 4), "0".repeat(cpu / 4))
    };
    let all = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true)).map(mask);
    let fewest = all.min_by_key(|mask| given.iter().filter(|given| **given == mask).count());
    fewest.ok_or_else(|| Error::new("looking for a CPU").said("this process may use none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_says_which_lesson_and_which_run() {
        assert_eq!(scope(Some(6), "3fa2c19b0d44"), "lesson6-3fa2c1");
        assert_eq!(scope(None, "3fa2c19b0d44"), "lesson-3fa2c1");
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_given() {
        let first = port("0000").unwrap();
        let Ok(_listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, first)) else { return };
        assert_ne!(port("0000").unwrap(), first);
    }
}
