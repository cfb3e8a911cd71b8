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

/// What `ps` says before and after is what we must say in between.
fn agree(ps: &str, ours: &[&str], must_have: &[i64]) {
    let uth = Uth::new();
    let before = by_ps(ps);
    let said = by_us(&uth.run(ours).ok().json());
    let after = by_ps(ps);
    let mut compared = 0;
    for (number, line) in &before {
        // A zombie's name differs between versions of ps ("<defunct>").
        if after.get(number) == Some(line) && !line.3.contains("<defunct>") {
            assert_eq!(said.get(number), Some(line), "{number:?}");
            compared += 1;
        }
    }
    assert!(compared > 3, "{before:?}");
    for pid in must_have {
        assert!(before.contains_key(&(*pid, *pid)) && said.contains_key(&(*pid, *pid)), "{pid}");
    }
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
    let line = "nice -n 2 \"$UTH\" run -d --name box base sleep 600";
    uth.sh(line).ok();
    let of = |target: &str| {
        uth.run(["sched", "ps", "--container", target, "--format", "json"]).ok().json()
    };
    let by_name = of("box");
    let tasks = by_name["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 1, "{by_name}");
    assert_eq!(tasks[0]["owner"], "under-the-hood:box");
    assert!(tasks[0]["nice"].as_i64().unwrap() >= 2, "{by_name}");
    assert_eq!(of(&tasks[0]["pid"].to_string())["tasks"].as_array().unwrap().len(), 1);
    uth.run(["stop", "-t", "0", "box"]).ok();
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

/// What an ordinary user may not is explained by the limit.
#[test]
fn sched_race_below_nice_0_wants_a_right() {
    need!(ordinary_user);
    need!(sh "RLIMIT_NICE at 0", "test $(ulimit -e) = 0");
    let uth = Uth::new();
    let ran = uth.run(["sched", "race", "--nice", "-5,0"]).one_error(1);
    assert!(ran.stderr.contains("RLIMIT_NICE"), "{}", ran.whole());
}
