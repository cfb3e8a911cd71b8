//! SIGKILL at each state-changing call of `run` and `exec`: nothing stays but
//! the base tree and progress. A tracer (tracer.rs) strikes the launcher, the
//! container's first process, or both, before and after each call; and with
//! the watcher killed too, `cleanup` still finds what is left.

use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use crate::harness::Uth;
use crate::machine::{Machine, base_and_progress, private_network};
use crate::tracer::{Point, Role, When, trace};

/// The design's promise.
const PROMPT: Duration = Duration::from_secs(2);

/// One blow: when it falls, and on whom.
#[derive(Debug, Clone)]
struct Blow {
    point: Point,
    victims: Vec<Role>,
}

/// How many blows fall at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blows {
    /// All of them.
    All,
    /// One, another at each call: for variants of what is struck with all of them.
    InTurn,
}

/// At each call of launcher and init: blows on the one, the other, and both,
/// before it and after it; or on all of them with the watcher. Where a call
/// repeats the one before it (26 capabilities are dropped in a row), the blows
/// take turns, each test beginning with another one.
fn blows(
    calls: &[(Role, &'static str)],
    watcher_too: bool,
    many: Blows,
    first: usize,
) -> Vec<Blow> {
    let mut blows = Vec::new();
    for role in [Role::Launcher, Role::Init] {
        let own: Vec<_> = calls.iter().filter(|(whose, _)| *whose == role).collect();
        for n in 0..own.len() {
            let mut all = blows_at(role, n, watcher_too);
            let there = |victim: &Role| {
                *victim == Role::Watcher || calls.iter().any(|(role, _)| role == victim)
            };
            all.retain(|blow| blow.victims.iter().all(there));
            match many == Blows::InTurn || n > 0 && own[n - 1] == own[n] {
                true => blows.push(all[(first + n) % all.len()].clone()),
                false => blows.extend(all),
            }
        }
    }
    blows
}

fn blows_at(role: Role, n: usize, watcher_too: bool) -> Vec<Blow> {
    let mut blows = Vec::new();
    for victims in [&[Role::Launcher][..], &[Role::Init], &[Role::Launcher, Role::Init]] {
        for when in [When::Entry, When::Exit] {
            // To whoever does not die of it, before and after are the same.
            if when == When::Entry || victims.contains(&role) {
                let watcher = watcher_too.then_some(Role::Watcher);
                let victims = victims.iter().copied().chain(watcher).collect();
                blows.push(Blow { point: Point { role, n, when }, victims });
            }
        }
    }
    blows
}

/// Strikes every blow, in a few threads with a home each; says what stayed.
fn strike_all(args: &'static [&'static str], in_a_container: bool, watcher_too: bool, many: Blows) {
    own_network();
    let first = Bench::new(in_a_container);
    let calls = trace(&first.uth, &first.words(args), None).calls;
    first.put_away();
    assert!(calls.len() > 5, "the tracer saw too little: {calls:?}");
    let turn = args.iter().flat_map(|word| word.bytes()).map(usize::from).sum::<usize>();
    let mut all = blows(&calls, watcher_too, many, turn + usize::from(watcher_too));
    if args.contains(&"bridge") {
        // What else its first process does is struck by the test without one.
        let own: Vec<_> = calls.iter().filter(|(whose, _)| *whose == Role::Init).collect();
        let of_network = |n: usize| matches!(own[n].1, "sendto" | "move_mount");
        all.retain(|blow| blow.point.role != Role::Init || of_network(blow.point.n));
    }
    let blows = Mutex::new(all.into_iter());
    let (struck, failures) = (Mutex::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                own_network();
                let mut bench = Bench::new(in_a_container);
                loop {
                    let Some(blow) = blows.lock().unwrap().next() else { break };
                    if failures.lock().unwrap().len() >= 5 {
                        break; // the pattern is clear
                    }
                    let words = bench.words(args);
                    let blown = trace(&bench.uth, &words, Some((blow.point, &blow.victims)));
                    let seen = blown.calls;
                    if !blown.struck {
                        continue; // that process was not there yet, or no longer
                    }
                    *struck.lock().unwrap() += 1;
                    let left = bench.left(watcher_too);
                    if !left.is_empty() {
                        let whose = seen.iter().filter(|(role, _)| *role == blow.point.role);
                        let call = whose.map(|(_, call)| *call).nth(blow.point.n);
                        failures.lock().unwrap().push(format!("{blow:?} {call:?}: {left:#?}"));
                        // What this blow left must not be taken for the next one's.
                        std::mem::replace(&mut bench, Bench::new(in_a_container)).put_away();
                    }
                }
                bench.put_away();
            });
        }
    });
    let (struck, failures) = (struck.into_inner().unwrap(), failures.into_inner().unwrap());
    let kinds = calls.iter().filter(|(role, _)| *role != Role::Watcher).count();
    let watcher = if watcher_too { ", the watcher too" } else { "" };
    let line = format!("killed {struck} times at {kinds} calls of `{}`{watcher}\n", args.join(" "));
    // Past the test runner, which would hold it back.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert!(
        failures.is_empty(),
        "{} of {struck} blows left something:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(struck > 5, "too few blows were struck: {struck}");
}

/// As root all is tried in a network of this thread's own: what other tests have on the
/// machine's comes and goes meanwhile.
fn own_network() {
    if rustix::process::geteuid().is_root() {
        private_network();
    }
}

/// A home to strike in, again and again.
struct Bench {
    uth: Uth,
    before: Machine,
    name: String,
}

impl Bench {
    fn new(in_a_container: bool) -> Self {
        let uth = Uth::new();
        uth.run(["run", "base", "true"]).ok();
        if in_a_container {
            uth.run(["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
        }
        let before = Machine::look(&uth);
        let name = uth.home().file_name().unwrap().to_string_lossy().into_owned();
        Self { uth, before, name }
    }

    /// `@` stands for a name that no other bench has.
    fn words<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        args.iter().map(|word| if *word == "@" { &*self.name } else { word }).collect()
    }

    /// Waits until nothing is left, or what is left is written down as meant to
    /// stay: then it must be whole, and goes by `cleanup`.
    fn kept(&self) -> Result<bool, String> {
        let start = std::time::Instant::now();
        loop {
            let none = Duration::ZERO;
            if Machine::left(&self.uth, &self.before, none, base_and_progress).is_empty() {
                return Ok(false);
            }
            let list = self.uth.run(["cleanup", "--list"]).stdout;
            let path = format!("/run/netns/{}", self.name);
            if list.lines().any(|line| line.starts_with("kept")) {
                let whole = !std::fs::exists(&path).unwrap()
                    || self.uth.run(["netns", "addr", &format!("netns:{}", self.name)]).code
                        == Some(0);
                return if whole { Ok(true) } else { Err(format!("{path} is half made")) };
            }
            if start.elapsed() > PROMPT {
                return Ok(false); // and what is left is told below
            }
        }
    }

    /// What is left two seconds later, or after `cleanup` where nobody watched.
    fn left(&self, watcher_too: bool) -> Vec<String> {
        let kept = match self.kept() {
            Ok(kept) => kept,
            Err(_) if watcher_too => true,
            Err(half) => return vec![half],
        };
        if watcher_too || kept {
            let ran = self.uth.run(["cleanup"]);
            if ran.code != Some(0) {
                return vec![ran.whole()];
            }
        }
        let mut left = Machine::left(&self.uth, &self.before, PROMPT, base_and_progress);
        let mut gone = self.before.beyond(&Machine::look(&self.uth));
        // Another test's group may have been there for a moment.
        gone.retain(|line| !line.starts_with(crate::machine::CGROUP_ENTRY));
        left.extend(gone.into_iter().map(|line| format!("gone: {line}")));
        left
    }

    fn put_away(self) {
        self.uth.run(["stop", "-t", "0", "box"]);
        self.uth.run(["cleanup"]);
    }
}

/// With flags that have operations of their own, and one more process.
const RUN: [&str; 13] = [
    "run",
    "--name",
    "victim",
    "--init",
    "--ulimit",
    "core=0",
    "--read-only",
    "--tmpfs",
    "/new/memory",
    "-v",
    "/usr:/new/host:ro",
    "base",
    "true",
];

#[test]
fn killed_anywhere_run_leaves_nothing() {
    need!(root);
    strike_all(&RUN, false, false, Blows::All);
}

#[test]
fn killed_anywhere_run_in_a_user_namespace_leaves_nothing() {
    need!(root);
    strike_all(
        &["run", "--userns", "--name", "victim", "base", "true"],
        false,
        false,
        Blows::InTurn,
    );
}

/// What is kept is kept whole, with its record: `cleanup` finds it.
#[test]
fn killed_anywhere_run_keep_leaves_nothing_that_is_not_kept() {
    need!(root);
    strike_all(&["run", "--keep", "base", "true"], false, false, Blows::InTurn);
}

#[test]
fn killed_anywhere_with_its_watcher_run_is_cleaned_up() {
    need!(root);
    strike_all(&["run", "--name", "victim", "base", "true"], false, true, Blows::InTurn);
}

#[test]
fn killed_anywhere_exec_leaves_nothing() {
    need!(root);
    strike_all(&["exec", "box", "true"], true, false, Blows::All);
}

/// What becomes a layer is on the disk until it is one.
#[test]
fn killed_anywhere_image_build_leaves_nothing() {
    need!(root);
    let context = tempfile::TempDir::with_prefix("uth-context-").unwrap();
    std::fs::write(context.path().join("Dockerfile"), "FROM base\nRUN true\n").unwrap();
    let path: &'static str =
        Box::leak(context.path().to_str().unwrap().to_owned().into_boxed_str());
    let words = ["image", "build", "-q", "--no-cache", "--network", "none", path];
    strike_all(Box::leak(Box::new(words)), false, false, Blows::InTurn);
}

macro_rules! need_cgroups {
    () => {
        need!(root);
        need!(sh "cgroup hierarchies that can be written to",
            "test -w /sys/fs/cgroup/memory/cgroup.procs || test -w /sys/fs/cgroup/cgroup.subtree_control");
    };
}

#[test]
fn killed_anywhere_cgroup_limit_leaves_nothing() {
    need_cgroups!();
    strike_all(
        &["cgroup", "limit", "--memory", "64M", "--", "sleep", "0.1"],
        false,
        false,
        Blows::All,
    );
}

#[test]
fn killed_anywhere_cgroup_prove_leaves_nothing() {
    need_cgroups!();
    strike_all(&["cgroup", "prove", "pids"], false, false, Blows::InTurn);
}

#[test]
fn killed_anywhere_run_with_limits_leaves_nothing() {
    need_cgroups!();
    strike_all(
        &["run", "--name", "victim", "--memory", "64M", "base", "true"],
        false,
        false,
        Blows::InTurn,
    );
}

#[test]
fn killed_anywhere_with_its_watcher_cgroup_limit_is_cleaned_up() {
    need_cgroups!();
    strike_all(
        &["cgroup", "limit", "--memory", "64M", "--", "sleep", "0.1"],
        false,
        true,
        Blows::All,
    );
}

#[test]
fn killed_anywhere_race_leaves_nothing() {
    strike_all(&["sched", "race", "--nice", "0,5", "--seconds", "1"], false, false, Blows::InTurn);
}

#[test]
fn killed_anywhere_race_in_groups_leaves_nothing() {
    need_cgroups!();
    strike_all(
        &["sched", "race", "--weight", "100,300", "--seconds", "1"],
        false,
        false,
        Blows::InTurn,
    );
}

#[test]
fn killed_anywhere_with_its_watcher_race_is_cleaned_up() {
    need_cgroups!();
    strike_all(
        &["sched", "race", "--weight", "100,300", "--seconds", "1"],
        false,
        true,
        Blows::InTurn,
    );
}

macro_rules! need_real_time {
    () => {
        need!(root);
        need!(sh "two CPUs, and a cgroup with a real-time budget", "test $(nproc) -gt 1 && chrt -f 1 true");
    };
}

#[test]
fn killed_anywhere_rt_leaves_nothing() {
    need_real_time!();
    strike_all(&["sched", "rt", "--seconds", "2"], false, false, Blows::InTurn);
}

#[test]
fn killed_anywhere_set_changes_all_or_nothing() {
    need!(user_namespace);
    strike_all(
        &["sched", "set", "box", "--policy", "batch", "--cpus", "0"],
        true,
        false,
        Blows::All,
    );
}

#[test]
fn killed_anywhere_with_its_watcher_set_is_cleaned_up() {
    need!(user_namespace);
    strike_all(
        &["sched", "set", "box", "--policy", "batch", "--cpus", "0"],
        true,
        true,
        Blows::InTurn,
    );
}

#[test]
fn killed_anywhere_expose_leaves_a_whole_name_or_none() {
    need!(root);
    strike_all(&["netns", "expose", "box", "--name", "@"], true, false, Blows::All);
}

#[test]
fn killed_anywhere_with_its_watcher_expose_is_cleaned_up() {
    need!(root);
    strike_all(&["netns", "expose", "box", "--name", "@"], true, true, Blows::InTurn);
}

#[test]
fn killed_anywhere_run_on_a_bridge_leaves_nothing() {
    need!(root);
    strike_all(
        &["run", "--network", "bridge", "--name", "victim", "base", "true"],
        false,
        false,
        Blows::All,
    );
}

#[test]
fn killed_anywhere_with_its_watcher_run_on_a_bridge_is_cleaned_up() {
    need!(root);
    strike_all(
        &["run", "--network", "bridge", "--name", "victim", "base", "true"],
        false,
        true,
        Blows::InTurn,
    );
}

#[test]
fn killed_anywhere_connect_leaves_all_or_nothing() {
    need!(root);
    strike_all(&["netns", "connect", "box"], true, false, Blows::All);
}

#[test]
fn killed_anywhere_with_its_watcher_connect_is_cleaned_up() {
    need!(root);
    strike_all(&["netns", "connect", "box"], true, true, Blows::InTurn);
}
