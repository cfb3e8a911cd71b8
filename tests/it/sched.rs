//! `sched`: held against procps and chrt, the machine's own tools.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::Uth;

/// Processes of this test; they end with it.
struct Sleepers(Vec<Child>);

impl Sleepers {
    /// `chrt`, `nice` or `taskset` with these arguments, then a sleep.
    fn start(lines: &[&str]) -> Self {
        let mut sleepers = Self(Vec::new());
        for line in lines {
            let mut words = line.split(' ');
            let mut command = Command::new(words.next().unwrap());
            command.args(words).args(["sleep", "60"]).stdin(Stdio::null());
            sleepers.0.push(command.spawn().unwrap());
        }
        for (child, line) in sleepers.0.iter().zip(lines) {
            let comm = format!("/proc/{}/comm", child.id());
            for _ in 0..500 {
                if std::fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n") {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            assert_eq!(std::fs::read_to_string(&comm).unwrap_or_default(), "sleep\n", "{line}");
        }
        sleepers
    }

    fn pids(&self) -> Vec<i64> {
        self.0.iter().map(|child| child.id().into()).collect()
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A process as `ps` shows it: class, rtprio, ni, comm.
type Line = (String, String, String, String);

/// A kernel worker's name ends in what it is doing at the moment.
fn steady(comm: &str) -> String {
    match comm.starts_with("kworker/") {
        true => comm.split(['-', '+']).next().unwrap().to_owned(),
        false => comm.to_owned(),
    }
}

fn by_ps(columns: &str) -> HashMap<(i64, i64), Line> {
    let ps = Command::new("ps").args(columns.split(' ')).output().unwrap();
    let text = String::from_utf8_lossy(&ps.stdout).into_owned();
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let mut next = || words.next().unwrap().to_owned();
        let number = (next().parse().unwrap(), next().parse().unwrap());
        let (class, rtprio, nice) = (next(), next(), next());
        (number, (class, rtprio, nice, steady(&words.collect::<Vec<_>>().join(" "))))
    };
    text.lines().map(line).collect()
}

fn by_us(tasks: &Value) -> HashMap<(i64, i64), Line> {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |task: &Value| {
        let number = (task["pid"].as_i64().unwrap(), task["tid"].as_i64().unwrap());
        let comm = steady(&text(&task["comm"])).split_whitespace().collect::<Vec<_>>().join(" ");
        (number, (text(&task["class"]), text(&task["rtprio"]), text(&task["nice"]), comm))
    };
    tasks["tasks"].as_array().unwrap().iter().map(line).collect()
}

/// What `ps` says before and after is what we must say in between. Other tests
/// change how processes are scheduled, and back: one of three looks must agree.
fn agree(ps: &str, ours: &[&str], must_have: &[i64]) {
    let uth = Uth::new();
    let mut differs = Vec::new();
    for _ in 0..3 {
        let before = by_ps(ps);
        let said = by_us(&uth.run(ours).ok().json());
        let after = by_ps(ps);
        // A zombie's name differs between versions of ps ("<defunct>").
        let steady = before.iter().filter(|(number, line)| {
            after.get(number) == Some(line) && !line.3.contains("<defunct>")
        });
        let steady: Vec<_> = steady.collect();
        assert!(steady.len() > 3, "{before:?}");
        for pid in must_have {
            let number = (*pid, *pid);
            assert!(before.contains_key(&number) && said.contains_key(&number), "{pid}");
        }
        let other = steady.into_iter().filter(|(number, line)| said.get(number) != Some(line));
        differs = other
            .map(|(number, line)| (*number, line.clone(), said.get(number).cloned()))
            .collect();
        if differs.is_empty() {
            return;
        }
    }
    panic!("pid, ps, and we: {differs:?}");
}

const PS: &str = "-e -o pid=,pid=,class=,rtprio=,ni=,comm=";

#[test]
fn sched_ps_agrees_with_ps() {
    need!(tool "ps");
    need!(tool "chrt");
    let sleepers = Sleepers::start(&["chrt -b 0", "chrt -i 0", "nice -n 7", "chrt -o 0"]);
    agree(PS, &["sched", "ps", "--format", "json"], &sleepers.pids());
    let threads = "-eL -o pid=,tid=,class=,rtprio=,ni=,comm=";
    agree(threads, &["sched", "ps", "--threads", "--format", "json"], &sleepers.pids());
}

#[test]
fn sched_ps_agrees_with_ps_on_real_time() {
    need!(root);
    need!(tool "ps");
    need!(sh "a cgroup with a real-time budget", "chrt -f 1 true");
    let deadline = "chrt -d -T 1000000 -D 100000000 -P 100000000 0";
    let sleepers = Sleepers::start(&["chrt -f 7", "chrt -r 8", "nice -n -5", deadline]);
    agree(PS, &["sched", "ps", "--format", "json"], &sleepers.pids());

    let uth = Uth::new();
    let classes = uth.run(["sched", "ps", "--class", "rr,dln", "--format", "json"]).ok().json();
    let classes = by_us(&classes);
    let pids = sleepers.pids();
    assert_eq!(classes[&(pids[1], pids[1])].1, "8");
    assert_eq!(classes[&(pids[3], pids[3])].0, "DLN");
    assert!(!classes.contains_key(&(pids[0], pids[0])), "FF is not RR");
}

/// The other columns: what is set is what is shown.
#[test]
fn sched_ps_shows_cpus_and_orders_lines() {
    need!(tool "taskset");
    let sleepers = Sleepers::start(&["taskset -c 0", "nice -n 11", "nice -n 3"]);
    let uth = Uth::new();
    let said = uth.run(["sched", "ps", "--sort", "-ni", "--format", "json"]).ok().json();
    let tasks = said["tasks"].as_array().unwrap();
    let pids = sleepers.pids();
    let find = |pid: i64| tasks.iter().position(|task| task["pid"] == pid).unwrap();
    assert_eq!(tasks[find(pids[0])]["cpus"], "0");
    assert!(find(pids[1]) < find(pids[2]) && find(pids[2]) < find(pids[0]));
    let meaning = tasks[find(pids[1])]["meaning"].as_str().unwrap();
    assert!(meaning.starts_with("1/") && meaning.contains(" of an ordinary share"), "{meaning}");
    uth.run(["sched", "ps", "--sort", "beauty"]).one_error(2);
}

/// `--container`: by name, and by any process in it.
#[test]
fn sched_ps_finds_the_processes_of_a_container() {
    need!(user_namespace);
    let uth = Uth::new();
    // Another test has a box as well.
    let name = uth.home().file_name().unwrap().to_str().unwrap().to_owned();
    uth.sh(&format!("nice -n 2 \"$UTH\" run -d --name {name} base sleep 600")).ok();
    let of = |target: &str| {
        uth.run(["sched", "ps", "--container", target, "--format", "json"]).ok().json()
    };
    let by_name = of(&name);
    let tasks = by_name["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 1, "{by_name}");
    assert_eq!(tasks[0]["owner"], format!("under-the-hood:{name}"));
    assert!(tasks[0]["nice"].as_i64().unwrap() >= 2, "{by_name}");
    assert_eq!(of(&tasks[0]["pid"].to_string())["tasks"].as_array().unwrap().len(), 1);
    uth.run(["stop", "-t", "0", &name]).ok();
    let us = std::process::id().to_string();
    uth.run(["sched", "ps", "--container", &us]).one_error(2);
}

/// The race's numbers: each share beside the predicted one, wherever it was held.
fn race(words: &str) -> Value {
    let uth = Uth::new();
    let words = format!("sched race --format json {words}");
    let before = crate::machine::Machine::look(&uth);
    let said = uth.run(words.split(' ')).ok().json();
    let patience = std::time::Duration::from_secs(2);
    crate::machine::Machine::settles(&uth, &before, patience, crate::machine::base_and_progress);
    let sum = |key: &str| -> f64 {
        said["racers"].as_array().unwrap().iter().map(|racer| racer[key].as_f64().unwrap()).sum()
    };
    assert!((sum("share") - 1.0).abs() < 1e-9 && (sum("predicted") - 1.0).abs() < 1e-9, "{said}");
    assert!(said["wall_ns"].as_u64().unwrap() >= 1_000_000_000, "{said}");
    assert!((0.0..=1.0).contains(&said["others_share"].as_f64().unwrap()), "{said}");
    said
}

/// Wide enough for a machine that is busy with other tests, and far too narrow
/// for shares that do not follow the weights.
const CLOSE: f64 = 0.08;

#[test]
fn sched_race_goes_as_the_weights_predict() {
    let said = race("--nice 0,5,19 --seconds 2");
    assert_eq!(said["weights_of"], "nice");
    assert!(said["largest_deviation"].as_f64().unwrap() < CLOSE, "{said}");
    // 1024, 335 and 15 of 1374.
    let racers = said["racers"].as_array().unwrap();
    assert!((racers[0]["predicted"].as_f64().unwrap() - 1024.0 / 1374.0).abs() < 1e-9, "{said}");
    assert_eq!(racers[2]["weight"], 15);
}

/// Between sessions, where the kernel groups them, nice counts for nothing.
#[test]
fn sched_race_of_sessions_is_won_by_nobody() {
    let said = race("--nice 0,10 --own-session --seconds 2");
    let enabled = std::fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    let enabled = enabled.is_ok_and(|text| text.trim() == "1");
    let equal = said["racers"][0]["predicted"] == 0.5;
    assert!(enabled || !equal, "{said}");
    assert_eq!(said["weights_of"], if equal { "autogroup" } else { "nice" });
    assert!(said["largest_deviation"].as_f64().unwrap() < CLOSE, "{said}");
}

#[test]
fn sched_race_of_groups_is_between_the_groups() {
    need!(root);
    need!(sh "a cgroup hierarchy with cpu that can be written to",
        "test -w /sys/fs/cgroup/cpu/cgroup.procs || test -w /sys/fs/cgroup/cgroup.subtree_control");
    let said = race("--weight 100,300 --nice -20,19 --seconds 2");
    assert_eq!(said["weights_of"], "cgroup");
    assert_eq!(said["racers"][1]["predicted"], 0.75);
    assert!(said["largest_deviation"].as_f64().unwrap() < CLOSE, "{said}");
}

#[test]
fn sched_race_says_what_is_wrong() {
    let uth = Uth::new();
    for wrong in [
        &["--nice", "0"][..],
        &["--nice", "0,20"],
        &["--cpu", "4000"],
        &["--weight", "1,2", "--nice", "0,1,2"],
        &["--weight", "0,2"],
        &["--seconds", "3600"],
    ] {
        uth.run(["sched", "race"].iter().chain(wrong)).one_error(2);
    }
    let plan = uth.run(["sched", "race", "--dry-run", "--nice", "0,5"]).ok();
    assert!(plan.stdout.contains("sched_nice=5"), "{}", plan.whole());
    let ran = uth.run(["sched", "race", "--nice", "0,1", "--seconds", "1"]).ok();
    assert!(ran.stdout.contains("PREDICTED") && ran.stderr.starts_with("1 s  "), "{}", ran.whole());
}

/// As somebody whose login gives no right to real time or to nice values below 0.
fn without_limits(uth: &Uth, args: &[&str]) -> crate::harness::Ran {
    let mut prlimit = uth.beside("prlimit");
    prlimit.args(["--nice=0", "--rtprio=0"]).arg(Uth::program()).args(args);
    uth.wait(prlimit)
}

/// What an ordinary user may not is explained by the limit.
#[test]
fn sched_race_below_nice_0_wants_a_right() {
    need!(ordinary_user);
    let uth = Uth::new();
    let ran = without_limits(&uth, &["sched", "race", "--nice", "-5,0"]).one_error(1);
    assert!(ran.stderr.contains("RLIMIT_NICE"), "{}", ran.whole());
}

/// Several CPUs, as taskset lists them: without that there is nothing to pin to.
macro_rules! need_cpus {
    () => {
        need!(sh "two CPUs", "test $(nproc) -gt 1");
    };
}

use crate::machine::scheduled;

/// What is set is what the kernel has then, and what was there before comes back.
#[test]
fn sched_set_is_as_asked_and_comes_back() {
    need_cpus!();
    let sleepers = Sleepers::start(&["nice -n 3"]);
    let pid = sleepers.0[0].id().cast_signed();
    let target = pid.to_string();
    let before = scheduled(pid);
    let uth = Uth::new();
    let set = |words: &str| uth.run(["sched", "set", &target].into_iter().chain(words.split(' ')));

    let said = set("--policy batch --cpus 0 --format json").ok().json();
    let thread = &said["threads"][0];
    assert_eq!(
        (&thread["old"]["policy"], &thread["new"]["policy"]),
        (&"SCHED_OTHER".into(), &"SCHED_BATCH".into())
    );
    let nice = before.split("nice ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(scheduled(pid), format!("policy 3 priority 0 nice {nice} cpus 0"));
    assert_eq!(said["can_go_back"], true);
    let list = uth.run(["cleanup", "--list"]).ok().stdout;
    assert_eq!(list.matches("kept").count(), 2, "{list}");
    set("--back").ok();
    assert_eq!(scheduled(pid), before);

    // Twice over, and back to the first by `cleanup`, whatever came in between.
    set("--cpus 0").ok();
    set("--cpus 1").ok();
    assert!(scheduled(pid).ends_with("cpus 1"), "{}", scheduled(pid));
    uth.run(["cleanup"]).ok();
    assert_eq!(scheduled(pid), before);

    // What somebody else has set since is left alone.
    set("--cpus 0").ok();
    let taskset = Command::new("taskset").args(["-p", "-c", "1", &target]).output().unwrap();
    assert!(taskset.status.success());
    uth.run(["cleanup"]).ok();
    assert!(scheduled(pid).ends_with("cpus 1"), "{}", scheduled(pid));

    // With the process the entry goes, too.
    set("--cpus 0").ok();
    drop(sleepers);
    let list = uth.run(["cleanup", "--list"]).ok().stdout;
    assert!(!list.contains("thread"), "{list}");
}

/// A slice of its own (since Linux 6.12) stays, or comes back with the class.
#[test]
fn sched_set_gives_a_slice_back() {
    use under_the_hood::kernel::raw::{sched_getattr, sched_setattr};
    need_cpus!();
    need!(sh "a kernel on which a task may ask for a slice",
        "[ \"$(printf '%s\n' 6.12 $(uname -r) | sort -V | head -n 1)\" = 6.12 ]");
    let sleepers = Sleepers::start(&["nice -n 0"]);
    let pid = sleepers.0[0].id().cast_signed();
    let slice = || sched_getattr(pid).unwrap().sched_runtime;
    let kernels = slice();
    let mut own = sched_getattr(pid).unwrap();
    (own.size, own.sched_runtime) = (size_of::<libc::sched_attr>() as u32, 20_000_000);
    sched_setattr(pid, &own).unwrap();
    let uth = Uth::new();
    let set = |words: &str| {
        let target = pid.to_string();
        uth.run(["sched", "set", &target].into_iter().chain(words.split(' '))).ok()
    };
    set("--policy batch");
    assert_eq!(slice(), 20_000_000, "what is not said stays");
    set("--back");
    assert_eq!(slice(), 20_000_000);
    // As if somebody else took it: then it is another by now, and is left alone.
    set("--policy batch");
    own.sched_policy = 3;
    sched_setattr(pid, &libc::sched_attr { sched_runtime: 0, ..own }).unwrap();
    assert_eq!(slice(), kernels);
    uth.run(["cleanup"]).ok();
    assert_eq!(sched_getattr(pid).unwrap().sched_policy, 3);
    if crate::skip::root().is_ok() && uth.sh("chrt -f 1 true").code == Some(0) {
        own.sched_policy = 0;
        sched_setattr(pid, &own).unwrap();
        set("--policy fifo --priority 1");
        set("--back");
        assert_eq!((slice(), sched_getattr(pid).unwrap().sched_policy), (20_000_000, 0));
    }
}

/// Not a test: a process that has threads, until its standard input ends.
#[test]
#[ignore = "what the next test starts"]
fn sched_threads_that_sleep() {
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(std::thread::park)).collect();
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
    drop(threads);
}

#[test]
fn sched_set_is_for_every_thread() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "sched::sched_threads_that_sleep"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let tasks = format!("/proc/{}/task", child.id());
    let tids = || -> Vec<i32> {
        let names = std::fs::read_dir(&tasks).unwrap().flatten();
        names.map(|entry| entry.file_name().to_string_lossy().parse().unwrap()).collect()
    };
    for _ in 0..1000 {
        if tids().len() >= 4 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let uth = Uth::new();
    uth.run(["sched", "set", &child.id().to_string(), "--policy", "batch"]).ok();
    let batch = |tid: &i32| scheduled(*tid).starts_with("policy 3 ");
    assert!(tids().len() >= 4 && tids().iter().all(batch), "{:?}", tids());
    uth.run(["cleanup"]).ok();
    assert!(!tids().iter().any(batch));
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn sched_set_says_what_is_wrong() {
    let sleepers = Sleepers::start(&["nice -n 0"]);
    let target = sleepers.0[0].id().to_string();
    let uth = Uth::new();
    let set = |words: &str| {
        let words = words.split(' ').filter(|word| !word.is_empty());
        uth.run(["sched", "set", &target].into_iter().chain(words))
    };
    for wrong in [
        "",
        "--policy fifo",
        "--policy fifo --priority 100",
        "--policy fifo --priority 1 --nice 3",
        "--priority 3",
        "--policy deadline --runtime 10",
        "--policy deadline --runtime 10ms",
        "--policy royal",
        "--cpus 1-0",
        "--nice 20",
        "--back --nice 3",
    ] {
        set(wrong).one_error(2);
    }
    let gone = set("--cpus 4000").code;
    assert!(matches!(gone, Some(1 | 2)), "{gone:?}");
    uth.run(["sched", "set", "no-such-box", "--nice", "1"]).one_error(1);
    let plan = set("--nice 7 --dry-run").ok();
    assert!(plan.stdout.contains("sched_nice=7"), "{}", plan.whole());
}

/// What the kernel refuses an ordinary user, and which rule it was.
#[test]
fn sched_set_names_the_rule_that_refuses_an_ordinary_user() {
    need!(ordinary_user);
    let sleepers = Sleepers::start(&["nice -n 0"]);
    let own = sleepers.0[0].id().to_string();
    let uth = Uth::new();
    for (target, words, rule) in [
        (&*own, "--policy fifo --priority 1", "RLIMIT_RTPRIO"),
        (&own, "--policy deadline --runtime 1ms --period 100ms", "CAP_SYS_NICE"),
        (&own, "--nice -5", "RLIMIT_NICE"),
        ("1", "--policy batch", "another user"),
        ("1", "--cpus 0", "another user"),
    ] {
        let args: Vec<_> = ["sched", "set", target].into_iter().chain(words.split(' ')).collect();
        let ran = without_limits(&uth, &args).one_error(1);
        assert!(ran.stderr.contains(rule), "{}", ran.whole());
    }
    // What cannot be taken back is told.
    let ran = without_limits(&uth, &["sched", "set", &own, "--nice", "5"]).ok();
    assert!(ran.stderr.contains("CAP_SYS_NICE"), "{}", ran.whole());
}

/// What it refuses root: budgets.
#[test]
fn sched_set_names_the_budget_that_is_used_up() {
    need!(root);
    need_cpus!();
    need!(sh "deadline tasks", "chrt -d -T 1000000 -D 100000000 -P 100000000 0 true");
    let cpus = std::thread::available_parallelism().unwrap().get();
    let sleepers = Sleepers::start(&vec!["nice -n 0"; cpus + 1]);
    let uth = Uth::new();
    let set = |index: usize, words: &str| {
        let target = sleepers.0[index].id().to_string();
        uth.run(["sched", "set", &target].into_iter().chain(words.split(' ')))
    };
    // 99 % of each CPU is more than the 95 % there are.
    let reserve = "--policy deadline --runtime 99ms --period 100ms";
    let refused = (0..cpus).map(|n| set(n, reserve)).find(|ran| ran.code != Some(0));
    let refused = refused.expect("more than there is was granted").one_error(1);
    assert!(
        refused.stderr.contains("EBUSY") && refused.stderr.contains("95 %"),
        "{}",
        refused.whole()
    );
    // One that has a reserve must be allowed everywhere, and so must one that wants it.
    let pinned = set(0, "--cpus 0").one_error(1);
    assert!(pinned.stderr.contains("deadline task"), "{}", pinned.whole());
    uth.run(["cleanup"]).ok();
    set(cpus, "--cpus 0").ok();
    let pinned = set(cpus, "--policy deadline --runtime 1ms --period 100ms").one_error(1);
    assert!(pinned.stderr.contains("every CPU"), "{}", pinned.whole());
}

/// With CONFIG_RT_GROUP_SCHED a new group has no real-time budget, not even for root.
#[test]
fn sched_set_names_a_group_without_a_real_time_budget() {
    need!(root);
    need!(sh "CONFIG_RT_GROUP_SCHED", "test -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us");
    let group = std::path::PathBuf::from("/sys/fs/cgroup/cpu/test-budget");
    std::fs::create_dir(&group).unwrap();
    let sleepers = Sleepers::start(&["nice -n 0"]);
    let target = sleepers.0[0].id().to_string();
    std::fs::write(group.join("cgroup.procs"), &target).unwrap();
    let uth = Uth::new();
    let words = ["sched", "set", &target, "--policy", "fifo", "--priority", "1"];
    let refused = uth.run(words);
    std::fs::write(group.join("cpu.rt_runtime_us"), "10000").unwrap();
    let granted = uth.run(words);
    drop(sleepers);
    for _ in 0..100 {
        if std::fs::remove_dir(&group).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let refused = refused.one_error(1);
    assert!(refused.stderr.contains("cpu.rt_runtime_us is 0"), "{}", refused.whole());
    granted.ok();
}

/// Nor can it be tried from such a group: then it is said where it can, and
/// typed so it is seen.
#[test]
fn sched_rt_says_where_it_can_be_seen() {
    need!(root);
    need_cpus!();
    need!(sh "CONFIG_RT_GROUP_SCHED", "test -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us && chrt -f 1 true");
    let group = "/sys/fs/cgroup/cpu/test-no-budget";
    std::fs::create_dir(group).unwrap();
    let uth = Uth::new();
    let ran = uth.sh(&format!("echo $$ >{group}/cgroup.procs; exec $UTH sched rt --seconds 2"));
    let typed = ran.stderr.lines().find(|line| line.starts_with("sh -c"));
    let typed = typed
        .unwrap_or_default()
        .replace("under-the-hood sched rt", "\"$UTH\" sched rt --seconds 2");
    let again = uth.sh(&format!("echo $$ >{group}/cgroup.procs; {typed}"));
    std::fs::remove_dir(group).unwrap();
    let ran = ran.one_error(1);
    assert!(ran.stderr.contains("cpu.rt_runtime_us is 0"), "{}", ran.whole());
    assert!(again.ok().stdout.contains("Tried on CPU"), "{}", ran.whole());
}

/// What keeps real-time tasks in check is read, and is what is in force.
#[test]
fn sched_rt_reads_what_is_in_force() {
    let uth = Uth::new();
    let said = uth.run(["sched", "rt", "--read-only", "--format", "json"]).ok().json();
    let sysctl = |name: &str| -> i64 {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        text.trim().parse().unwrap()
    };
    assert_eq!(said["rt_period_us"], sysctl("sched_rt_period_us"));
    match sysctl("sched_rt_runtime_us") {
        -1 => assert!(said["rt_runtime_us"].is_null(), "{said}"),
        runtime => assert_eq!(said["rt_runtime_us"], runtime),
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let served = (numbers.next(), numbers.next()) >= (Some(6), Some(12));
    assert_eq!(said["mechanism"] == "rt-throttling", !served, "{said}");
    assert!(said["experiment"].is_null());
    uth.run(["sched", "rt", "--seconds", "3600"]).one_error(2);
    uth.run(["sched", "rt", "--cpu", "4000"]).one_error(2);
}

#[test]
fn sched_rt_leaves_ordinary_tasks_a_part_of_the_cpu() {
    need!(root);
    need_cpus!();
    need!(sh "a cgroup with a real-time budget", "chrt -f 1 true");
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let said = uth.run(["sched", "rt", "--seconds", "3", "--format", "json"]).ok().json();
    let patience = std::time::Duration::from_secs(2);
    crate::machine::Machine::settles(&uth, &before, patience, crate::machine::base_and_progress);
    let tried = &said["experiment"];
    // Starving would be 0, sharing as equals a half.
    let left = tried["left_share"].as_f64().unwrap();
    assert!((0.02..0.3).contains(&left), "{said}");
    assert!(tried["ordinary"]["cpu_ns"].as_u64().unwrap() > 0, "{said}");
}

/// Without the right it is told what there is to know, and which rule it was.
#[test]
fn sched_rt_wants_a_right() {
    need!(ordinary_user);
    need_cpus!();
    need!(sh "no right to real time", "test $(ulimit -r) = 0");
    let ran = Uth::new().run(["sched", "rt"]).one_error(1);
    assert!(ran.stderr.contains("RLIMIT_RTPRIO") && !ran.stdout.is_empty(), "{}", ran.whole());
}
