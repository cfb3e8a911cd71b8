//! "Leaves nothing": what a program could leave on a machine, before and after.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use under_the_hood::kernel::netlink::{Protocol, Socket};

use crate::harness::Uth;

/// Everything of ours that can be seen, one line each. Only what carries this
/// test's own home or program is looked at where others may work at the same
/// time (processes, mounts); the rest is looked at whole, by our names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine(BTreeSet<String>);

impl Machine {
    /// As it is now.
    pub fn look(uth: &Uth) -> Self {
        let mut seen = BTreeSet::new();
        seen.extend(files(uth.home()).into_iter().map(|path| format!("file {path}")));
        seen.extend(processes(uth.home()));
        seen.extend(mounts(uth.home()));
        let cgroups = ours_below(Path::new("/sys/fs/cgroup"), 6);
        seen.extend(cgroups.into_iter().filter(|line| !of_another_test(line, uth.home())));
        seen.extend(names(uth.home()));
        seen.extend(interfaces());
        seen.extend(tables());
        Self(seen)
    }

    /// What is here and was not there.
    pub fn beyond(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }

    /// Looks again and again for so long, until nothing is beyond `before` but
    /// what `allowed` lets pass; then fails, naming the rest.
    #[track_caller]
    pub fn settles(uth: &Uth, before: &Self, patience: Duration, allowed: impl Fn(&str) -> bool) {
        let left = Self::left(uth, before, patience, allowed);
        assert!(left.is_empty(), "left on the machine:\n{}", left.join("\n"));
    }

    /// The same, as a value.
    pub fn left(
        uth: &Uth,
        before: &Self,
        patience: Duration,
        allowed: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let start = Instant::now();
        loop {
            let mut left = Self::look(uth).beyond(before);
            left.retain(|line| !allowed(line));
            if left.is_empty() || start.elapsed() > patience {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Moves this thread, and all that it starts, into a network namespace of its
/// own: what is tried in there is not seen outside. Like most machines, it has
/// more interfaces than lo. Once there, it stays: with a server that it started.
pub fn private_network() {
    thread_local!(static THERE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if THERE.replace(true) {
        return;
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    for args in ["link set lo up", "link add out type veth peer name far"] {
        let status = Command::new("ip").args(args.split(' ')).status();
        assert!(status.unwrap().success(), "ip {args}");
    }
}

/// The base tree with the directories it is in, and the reader's progress:
/// what a killed command may leave (and nothing of a container).
pub fn base_and_progress(line: &str) -> bool {
    let Some(path) = line.strip_prefix("file ") else { return false };
    let kept = [
        "data",
        "run",
        "state",
        "cache",
        "data/images",
        "data/rootfs",
        "run/containers",
        "run/journal",
        "data/journal",
        "data/kept",
        "data/build",
        "cache/layers",
        "cache/build",
    ];
    let below = ["data/rootfs/", "data/images/", "state/", "cache/layers/", "cache/build/"];
    kept.contains(&path) || below.iter().any(|place| path.starts_with(place))
}

/// Every file and directory below, relative; the inside of root file systems
/// (`data/rootfs/KEY/...`) stands for itself.
fn files(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![home.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let relative = path.strip_prefix(home).unwrap_or(&path);
            let depth = relative.components().count();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < 4 {
                open.push(path.clone());
            }
            found.push(relative.display().to_string());
        }
    }
    found
}

/// Processes whose environment or command line names this home: the program's
/// own, and whatever it started, wherever it went.
fn processes(home: &Path) -> Vec<String> {
    let line = |(pid, line)| format!("process {pid} {line} {}", scheduled(pid));
    processes_of(home).into_iter().map(line).collect()
}

/// How a process is scheduled: its policy, real-time priority and nice value, its CPUs.
pub fn scheduled(pid: i32) -> String {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    let (stat, status) = (read("stat").unwrap_or_default(), read("status").unwrap_or_default());
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let field = |n: usize| fields.split(' ').nth(n - 3).unwrap_or_default();
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
    let cpus = cpus.unwrap_or_default();
    format!("policy {} priority {} nice {} cpus {cpus}", field(41), field(40), field(19))
}

/// The same, with their pids.
pub fn processes_of(home: &Path) -> Vec<(i32, String)> {
    let home = home.as_os_str().as_encoded_bytes();
    let us = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if pid == us || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let names_it = |bytes: &[u8]| bytes.windows(home.len()).any(|window| window == home);
        if names_it(&read("environ"))
            || names_it(&read("cmdline"))
            || is_in_container(&entry.path(), home)
        {
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            found.extend(pid.parse().map(|pid| (pid, line)));
        }
    }
    found
}

/// Whether a process has a mount namespace of its own in which this home is a
/// mount's source: in a container, the environment says nothing of us.
fn is_in_container(process: &Path, home: &[u8]) -> bool {
    let own = std::fs::read_link("/proc/self/ns/mnt").ok();
    let theirs = std::fs::read_link(process.join("ns/mnt")).ok();
    let mounts = || std::fs::read(process.join("mountinfo")).unwrap_or_default();
    theirs.is_some() && theirs != own && mounts().windows(home.len()).any(|window| window == home)
}

/// Mounts of this mount namespace that name this home.
fn mounts(home: &Path) -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let home = home.to_string_lossy();
    text.lines().filter(|line| line.contains(&*home)).map(|line| format!("mount {line}")).collect()
}

/// Names of network namespaces that are called after this home.
fn names(home: &Path) -> Vec<String> {
    let home = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = ours_below(Path::new("/run/netns"), 1);
    found.retain(|line| line.ends_with(&home));
    found
}

/// Entries with our name, a few levels down.
fn ours_below(directory: &Path, levels: usize) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("uth") || name.contains("under-the-hood") {
            found.push(format!("entry {}", entry.path().display()));
        }
        if levels > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(ours_below(&entry.path(), levels - 1));
        }
    }
    found
}

/// How the lines of cgroups begin.
pub const CGROUP_ENTRY: &str = "entry /sys/fs/cgroup/";

/// Whether a cgroup is named after a journal in another test's home: a journal
/// is there before the group is made and until it is removed.
fn of_another_test(line: &str, home: &Path) -> bool {
    let Some((_, name)) = line.rsplit_once("under-the-hood-") else { return false };
    // What is inside a group of ours is called after it: `TOKEN.rest`, `TOKEN.0`.
    let token = name.split('.').next().unwrap_or(name);
    let Ok(homes) = std::fs::read_dir(std::env::temp_dir()) else { return false };
    homes.flatten().map(|entry| entry.path()).any(|other| {
        let journal = |place| other.join(place).join("journal").join(format!("{token}.jsonl"));
        other != home && (journal("run").exists() || journal("data").exists())
    })
}

/// Our interfaces in the network namespace of this thread (/sys would show
/// those of the namespace it was mounted in).
fn interfaces() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    let ours = names.filter(|name| name.contains("uth") || name.contains("hood"));
    ours.map(|name| format!("interface {name}")).collect()
}

/// Our tables of packet rules. Who may not list them can make none either, and
/// a kernel without nf_tables has none.
fn tables() -> Vec<String> {
    const NFT_MSG_GETTABLE: u16 = 0x0a01;
    const DUMP: u16 = 0x300;
    let Ok(socket) = Socket::open(Protocol::Netfilter) else { return Vec::new() };
    let all = loop {
        match socket.ask(NFT_MSG_GETTABLE, DUMP, &[0; 4]) {
            Err(error) if error.is(nix::errno::Errno::EINTR) => {} // another test made one
            other => break other.unwrap_or_default(),
        }
    };
    let text = |(_, bytes): (u16, Vec<u8>)| String::from_utf8_lossy(&bytes).into_owned();
    let printed = |text: String| text.replace(|one: char| !one.is_ascii_graphic(), "");
    let ours = all.into_iter().map(text).filter(|text| text.contains("under"));
    ours.map(|text| format!("nft {}", printed(text))).collect()
}

/// A test that fails with a container running leaves nothing of it outside its home.
#[test]
fn what_a_failed_test_leaves_goes_with_its_home() {
    need!(root);
    need!(sh "a controller of tasks", "test -d /sys/fs/cgroup/pids");
    let uth = Uth::new();
    let run = ["run", "-d", "--name", "left", "--pids-limit", "20", "base", "sleep", "600"];
    let id = uth.run(run).ok().stdout.trim().to_owned();
    let group = format!("/sys/fs/cgroup/pids/under-the-hood-{id}");
    assert!(Path::new(&group).exists(), "{group}");
    drop(uth);
    assert!(!Path::new(&group).exists(), "{group}");
}

/// A check that finds nothing proves something only if it would have found it.
#[test]
fn what_is_left_is_seen() {
    need!(root);
    need!(tool "nft");
    private_network();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let home = uth.home().file_name().unwrap().to_string_lossy().into_owned();
    let made = std::fs::create_dir("/run/netns").is_ok();
    let name = format!("/run/netns/{home}");
    let plant = |program: &str, args: &str| {
        let status = Command::new(program).args(args.split(' ')).status();
        assert!(status.unwrap().success(), "{program} {args}");
    };
    std::fs::write(uth.home().join("planted"), "").unwrap();
    std::fs::write(&name, "").unwrap();
    plant("ip", "link add uth-planted type veth peer name hood-planted");
    plant("nft", "add table ip under-the-hood-planted");
    let mut process = Command::new("sleep").arg("60").env("UTH_HOME", uth.home()).spawn().unwrap();
    // It is told of as soon as execve(2) cannot fail any more; its environment comes a moment later.
    while std::fs::read(format!("/proc/{}/environ", process.id())).unwrap().is_empty() {
        std::thread::yield_now();
    }
    let seen = Machine::look(&uth).beyond(&before).join("\n");
    process.kill().unwrap();
    process.wait().unwrap();
    std::fs::remove_file(&name).unwrap();
    if made {
        let _ = std::fs::remove_dir("/run/netns"); // unless somebody uses it by now
    }
    let process = format!("process {}", process.id());
    for planted in
        ["file planted", "uth-planted", "hood-planted", "under-the-hood-planted", &name, &process]
    {
        assert!(seen.contains(planted), "{planted} is not in:\n{seen}");
    }
}
