//! Checks on processes: their numbers inside and outside, their parents, what
//! runs in a container, what they may still do. All from proc_pid_status(5)
//! and its neighbours.

use std::fs;

use crate::container::scope;
use crate::kernel::capability;

use super::{Answer, Finding, Unknown, World, namespaces};

/// A field of /proc/PID/status, without its name.
pub fn status(pid: i32, field: &str) -> Result<String, Unknown> {
    let path = format!("/proc/{pid}/status");
    let text =
        fs::read_to_string(&path).map_err(|_| Unknown::Absent(format!("there is no {path}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
        .ok_or_else(|| Unknown::Untestable(format!("{path} has no line {field} on this kernel")))
}

/// The command line of a process, as one line; its name in brackets where it has none.
pub fn command(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let line = words.join(" ").trim().to_owned();
    if !line.is_empty() {
        return line;
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("[{}]", name.trim())
}

/// The parent of a process.
pub fn parent(pid: i32) -> Option<i32> {
    status(pid, "PPid").ok()?.parse().ok()
}

/// Every process of this machine that /proc shows.
pub fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// The process with this command line that the reader has started.
pub fn started(world: &World, wanted: &str) -> Result<i32, Unknown> {
    let first = answers(world, wanted).into_iter().next();
    first.ok_or_else(|| Unknown::Absent(format!("no process `{wanted}` has been started")))
}

/// Every process with this command line that may be the reader's: it was not
/// there before, and no other player's lesson is in its environment.
pub fn answers(world: &World, wanted: &str) -> Vec<i32> {
    let new = |pid: &i32| !world.older.contains(pid) && command(*pid) == wanted;
    all().into_iter().filter(new).filter(|pid| !is_another_players(world, *pid)).collect()
}

/// By the scope in its environment, or, where it was given a new one (as `chroot`
/// gives it), in that of the nearest process above it that has one. Whose environment is
/// closed to us is somebody else's, too: nothing could be said of it.
fn is_another_players(world: &World, pid: i32) -> bool {
    let environment = fs::File::open(format!("/proc/{pid}/environ"));
    if environment.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
        return true;
    }
    let above = std::iter::successors(Some(pid), |pid| parent(*pid).filter(|pid| *pid > 1));
    let theirs = above.take(GENERATIONS).find_map(scope_of);
    theirs.is_some_and(|scope| scope != world.scope)
}

/// How far above a process whose it is may be looked for.
const GENERATIONS: usize = 16;

fn scope_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variable = format!("{}=", scope::VARIABLE);
    let mut variables = environment.split(|byte| *byte == 0);
    let scope = variables.find_map(|entry| entry.strip_prefix(variable.as_bytes()))?;
    (!scope.is_empty()).then(|| String::from_utf8_lossy(scope).into_owned())
}

/// Those that are in the same pid namespace as a process.
pub fn beside(pid: i32) -> Result<Vec<i32>, Unknown> {
    let wanted = namespaces::link(pid, "pid")?;
    Ok(all()
        .into_iter()
        .filter(|pid| namespaces::link(*pid, "pid").is_ok_and(|link| link == wanted))
        .collect())
}

fn listed(pids: &[i32]) -> String {
    let some: Vec<_> = pids.iter().take(4).map(|pid| format!("{pid} {}", command(*pid))).collect();
    let rest = pids.len() - some.len();
    if rest == 0 { some.join(", ") } else { format!("{}, and {rest} more", some.join(", ")) }
}

/// Its pid in the innermost pid namespace it is in.
pub fn pid_inside(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let numbers = status(pid, "NSpid")?;
    let inside = numbers.split_whitespace().last().unwrap_or_default().to_owned();
    let evidence = match numbers.split_whitespace().count() {
        1 => format!("/proc/{pid}/status has one number for it: {numbers}"),
        _ => format!("/proc/{pid}/status, NSpid: {}", numbers.replace('\t', " ")),
    };
    Ok(Finding::new(inside, evidence))
}

/// Whether this machine's own process list has the container's command.
pub fn on_host(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let expected = world.bound(who).map(|bound| bound.command.join(" "));
    let found = command(pid);
    let yes = expected.is_none_or(|expected| expected == found);
    Ok(Finding::yes(yes, format!("/proc/{pid}/cmdline of this machine: {found}")))
}

/// Whether its parent is a monitor that does nothing else: not process 1, not a
/// daemon. Monitors say what they are in their name or at the start of their
/// command line.
pub fn parent_is_shim(world: &World, who: &str) -> Answer {
    const MONITORS: [&str; 4] = ["shim", "conmon", "lxc-start", "systemd-nspawn"];
    let pid = world.pid(who)?;
    let parent = parent(pid).unwrap_or(0);
    let line = command(parent);
    let begins: Vec<_> = line.split(' ').take(3).collect();
    let called = format!("{} {}", status(parent, "Name").unwrap_or_default(), begins.join(" "));
    let shim = parent > 1 && MONITORS.iter().any(|monitor| called.contains(monitor));
    let evidence = format!("the parent of {pid} {} is {parent} {line}", command(pid));
    Ok(Finding::yes(shim, evidence))
}

/// How many processes are in its pid namespace.
pub fn count(world: &World, who: &str) -> Answer {
    let pids = beside(world.pid(who)?)?;
    Ok(Finding::new(pids.len().to_string(), format!("{}: {}", pids.len(), listed(&pids))))
}

/// Whether a process with this command line is in its pid namespace.
pub fn runs_in(world: &World, who: &str, wanted: &str) -> Answer {
    let pids = beside(world.pid(who)?)?;
    let found = pids.iter().find(|pid| command(**pid) == wanted);
    let evidence = match found {
        Some(pid) => format!("{pid} {wanted} is in the pid namespace of {who}"),
        None => format!("in the pid namespace of {who}: {}", listed(&pids)),
    };
    Ok(Finding::yes(found.is_some(), evidence))
}

/// Whether a process with this command line is in a namespace of this type that
/// is neither ours nor that of a container of the lesson.
pub fn runs_apart(world: &World, kind: &str, wanted: &str) -> Answer {
    let ours = namespaces::link(world.pid("self")?, kind)?;
    let of_containers: Vec<_> =
        world.bound.iter().filter_map(|c| namespaces::link(c.pid, kind).ok()).collect();
    let mut beside_us = None;
    for pid in answers(world, wanted) {
        let link = namespaces::link(pid, kind)?;
        if link != ours && !of_containers.contains(&link) {
            return Ok(Finding::yes(
                true,
                format!("{pid} {wanted} is in {link}, this program in {ours}"),
            ));
        }
        beside_us = Some((pid, link));
    }
    let evidence = match beside_us {
        Some((pid, link)) => format!("{pid} {wanted} is in {link}, where others are too"),
        None => format!("no process `{wanted}` has been started"),
    };
    Ok(Finding::yes(false, evidence))
}

/// Whether a capability is not even in the bounding set: nothing the process
/// starts can get it back.
pub fn lacks_capability(world: &World, who: &str, capability: &str) -> Answer {
    let pid = world.pid(who)?;
    let set = status(pid, "CapBnd")?;
    let bits = u64::from_str_radix(&set, 16)
        .map_err(|_| Unknown::Untestable(format!("CapBnd of {pid} is {set}")))?;
    let bit = capability::number(capability).unwrap_or(63);
    let there = bits >> bit & 1;
    let evidence = format!("CapBnd of {pid} is {set}: bit {bit}, {capability}, is {there}");
    Ok(Finding::yes(there == 0, evidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_in_the_list_and_has_one_number() {
        let us = rustix::process::getpid().as_raw_nonzero().get();
        assert!(all().contains(&us));
        assert!(status(us, "NSpid").unwrap().starts_with(&us.to_string()));
    }
}
