//! Checks on what a process sees: through /proc/PID/root its own files and its
//! own /proc can be read from outside, without entering anything.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use super::{Answer, Finding, Unknown, World, processes};

/// Reads a file as process `pid` sees it; `None` when it is not there for it.
fn seen(pid: i32, path: &str) -> Result<Option<String>, Unknown> {
    let through = format!("/proc/{pid}/root{path}");
    match fs::read_to_string(&through) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Unknown::Untestable(format!("{through} is closed to you; it needs root")))
        }
        Err(error) => Err(Unknown::Untestable(format!("{through}: {error}"))),
    }
}

/// Whether a process runs on this very kernel: a kernel draws its boot_id by
/// lot when it starts, so that even two machines with one release differ.
pub fn kernel_same(world: &World, who: &str) -> Answer {
    const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
    let pid = world.pid(who)?;
    let inside = seen(pid, BOOT_ID)?.unwrap_or_default().trim().to_owned();
    let outside = fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
    if inside.is_empty() {
        return Err(Unknown::Untestable(format!("{who} has no {BOOT_ID}")));
    }
    if inside != outside && is_covered(pid, BOOT_ID) {
        return booted_at(pid, who);
    }
    let evidence = if inside == outside {
        format!("boot_id {inside}, read inside and outside")
    } else {
        format!("boot_id {inside} inside, {outside} outside")
    };
    Ok(Finding::yes(inside == outside, evidence))
}

/// Whether something is mounted over this file in there: then it is not the kernel that answers.
fn is_covered(pid: i32, path: &str) -> bool {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(path))
}

/// LXC lays a boot_id of its own over the kernel's. When it was booted, and as what,
/// the kernel still says in there.
fn booted_at(pid: i32, who: &str) -> Answer {
    let btime = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("btime ")).unwrap_or_default().to_owned()
    };
    let inside = |path| Ok::<_, Unknown>(seen(pid, path)?.unwrap_or_default());
    let outside = |path| fs::read_to_string(path).unwrap_or_default();
    let there = (btime(&inside("/proc/stat")?), inside("/proc/version")?);
    let here = (btime(&outside("/proc/stat")), outside("/proc/version"));
    let evidence = format!(
        "a file is mounted over the boot_id of {who}; booted at {} inside, at {} outside, as {}",
        there.0,
        here.0,
        if there.1 == here.1 { "the same version" } else { "another version" }
    );
    Ok(Finding::yes(!there.0.is_empty() && there == here, evidence))
}

/// Whether it has the same kernel modules as we have. Sizes and addresses are
/// left out: who may see those differs.
pub fn modules_same(world: &World, who: &str) -> Answer {
    let pid = world.pid(who)?;
    let names = |text: Option<String>| {
        text.map(|text| {
            let mut names: Vec<_> =
                text.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
            names.sort();
            names
        })
    };
    let inside = names(seen(pid, "/proc/modules")?);
    let outside = names(fs::read_to_string("/proc/modules").ok());
    let evidence = match (&inside, &outside) {
        (None, None) => {
            "no /proc/modules inside or outside: this kernel was built without loadable modules"
                .to_owned()
        }
        (Some(inside), Some(outside)) => {
            format!(
                "/proc/modules names {} modules inside, {} outside",
                inside.len(),
                outside.len()
            )
        }
        (inside, _) => {
            format!("/proc/modules is only {}", if inside.is_some() { "inside" } else { "outside" })
        }
    };
    Ok(Finding::yes(inside == outside, evidence))
}

/// Whether its distribution, by /etc/os-release, is another than ours.
pub fn os_release_differs(world: &World, who: &str) -> Answer {
    let name = |text: Option<String>| {
        let text = text.unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        value.map_or("none".to_owned(), |value| value.trim_matches(['"', '\'']).to_owned())
    };
    let pid = world.pid(who)?;
    let inside = name(seen(pid, "/etc/os-release")?);
    let outside = name(fs::read_to_string("/etc/os-release").ok());
    let root = |path: String| fs::metadata(path).ok().map(|root| (root.dev(), root.ino()));
    if inside == outside && root(format!("/proc/{pid}/root/")) != root("/".to_owned()) {
        return Err(Unknown::Untestable(format!(
            "{inside} is this machine's distribution, too: by name they cannot be told apart"
        )));
    }
    Ok(Finding::yes(inside != outside, format!("inside: {inside}; outside: {outside}")))
}

/// Whether the /proc of `who` leaves out the process of `whom`.
pub fn cannot_see(world: &World, who: &str, whom: &str) -> Answer {
    let (sees, evidence) = look(world, who, whom)?;
    Ok(Finding::yes(!sees, evidence))
}

/// Whether the /proc of `who` lists the process of `whom`.
pub fn can_see(world: &World, who: &str, whom: &str) -> Answer {
    let (sees, evidence) = look(world, who, whom)?;
    Ok(Finding::yes(sees, evidence))
}

/// A process has other numbers in other pid namespaces; its name and the tick
/// it was started in are the same in every /proc.
fn look(world: &World, who: &str, whom: &str) -> Result<(bool, String), Unknown> {
    let (pid, other) = (world.pid(who)?, world.pid(whom)?);
    let wanted = birth(&format!("/proc/{other}"));
    let directory = format!("/proc/{pid}/root/proc");
    let entries = fs::read_dir(&directory).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            Unknown::Untestable(format!("{directory} is closed to you; it needs root"))
        }
        _ => Unknown::Untestable(format!("{directory}: {error}")),
    })?;
    let pids: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let found =
        pids.iter().find(|pid| wanted.is_some() && birth(&format!("{directory}/{pid}")) == wanted);
    let ours = processes::all().len();
    let evidence = match found {
        Some(_) if who == "self" => {
            format!("/proc/{other} of this machine: {}", processes::command(other))
        }
        Some(number) => format!("{other} of this machine is {number} in the /proc of {who}"),
        None => format!(
            "the /proc of {who} lists {} processes, this machine's {ours}; {other} is not among them",
            pids.len()
        ),
    };
    Ok((found.is_some(), evidence))
}

/// Name and start time: fields 2 and 22 of proc_pid_stat(5).
fn birth(directory: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("{directory}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    Some((head.split_once('(')?.1.to_owned(), tail.split_whitespace().nth(19)?.to_owned()))
}

/// Whether a file of this machine has these words in it.
pub fn file_contains(path: &str, words: &str) -> Answer {
    match fs::read_to_string(path) {
        Ok(text) => match text.lines().find(|line| line.contains(words)) {
            Some(line) => Ok(Finding::yes(true, format!("{path}: {}", line.trim()))),
            None => Ok(Finding::yes(false, format!("{path} does not contain `{words}`"))),
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Unknown::Untestable(format!("{path} is closed to you; it needs root")))
        }
        Err(_) => Err(Unknown::Absent(format!("there is no {path}"))),
    }
}
