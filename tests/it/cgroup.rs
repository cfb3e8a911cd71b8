//! `cgroup`: what it shows is held against the control files themselves.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::Value;

use crate::harness::Uth;

/// Groups of this test's own in v1 hierarchies, with a process in them; gone
/// when this value goes.
struct Groups {
    directories: Vec<PathBuf>,
    sleep: Child,
}

impl Groups {
    fn make(name: &str, controllers: &[&str]) -> Self {
        let sleep = Command::new("sleep").arg("60").spawn().unwrap();
        let mut groups = Self { directories: Vec::new(), sleep };
        for controller in controllers {
            let directory = PathBuf::from(format!("/sys/fs/cgroup/{controller}/{name}"));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("cgroup.procs"), groups.sleep.id().to_string()).unwrap();
            groups.directories.push(directory);
        }
        groups
    }

    fn set(&self, index: usize, file: &str, value: &str) {
        fs::write(self.directories[index].join(file), value).unwrap();
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = self.sleep.kill();
        let _ = self.sleep.wait();
        for directory in &self.directories {
            // The process is counted a moment longer than it lives.
            for _ in 0..100 {
                if fs::remove_dir(directory).is_ok() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}

macro_rules! need_v1 {
    () => {
        need!(root);
        need!(sh "controllers memory, pids and cpu of version 1",
            "for c in memory pids cpu; do test -w /sys/fs/cgroup/$c/cgroup.procs || exit 1; done");
    };
}

fn value<'a>(shown: &'a Value, file: &str, key: Option<&str>) -> &'a Value {
    let all = shown["values"].as_array().unwrap();
    let found = all.iter().find(|value| {
        value["file"].as_str().unwrap().ends_with(file) && value["key"].as_str() == key
    });
    found.unwrap_or_else(|| panic!("no {file} {key:?} in {shown}"))
}

#[test]
fn cgroup_show_says_what_the_files_say() {
    need_v1!();
    let groups = Groups::make("uth-test-show", &["memory", "pids", "cpu"]);
    groups.set(0, "memory.limit_in_bytes", "67108864");
    groups.set(1, "pids.max", "20");
    groups.set(2, "cpu.cfs_quota_us", "20000");
    let uth = Uth::new();
    let shown = uth.run(["cgroup", "show", &groups.sleep.id().to_string(), "--format", "json"]);
    let shown = shown.ok().json();
    let limit = value(&shown, "/memory/uth-test-show/memory.limit_in_bytes", None);
    assert_eq!((&limit["value"], &limit["words"]), (&67_108_864.into(), &"64 MiB".into()));
    assert_eq!(value(&shown, "/pids/uth-test-show/pids.max", None)["value"], 20);
    assert_eq!(value(&shown, "cpu.cfs_quota_us", None)["words"], "20 ms");
    assert_eq!(value(&shown, "pids.current", None)["value"], 1);
    value(&shown, "cpu.stat", Some("nr_throttled"));
    value(&shown, "memory.oom_control", Some("oom_kill"));

    // Every value is the file's own, where it does not move by itself.
    for shown in shown["values"].as_array().unwrap() {
        if shown["kind"] == "limit" && shown["key"].is_null() {
            let text = fs::read_to_string(shown["file"].as_str().unwrap()).unwrap();
            let said = shown["value"].to_string();
            assert_eq!(
                said.trim_matches('"').replace("\\n", "\n").replace("\\t", "\t"),
                text.trim()
            );
        }
    }

    // The same by its path, for people.
    let ran = uth.run(["cgroup", "show", "/uth-test-show"]).ok();
    assert!(ran.stdout.contains("64 MiB"), "{}", ran.whole());
    drop(groups);
    uth.run(["cgroup", "show", "/uth-test-show"]).one_error(1);
}

#[test]
fn cgroup_tree_has_every_group_once() {
    need_v1!();
    let groups = Groups::make("uth-test-tree", &["memory", "pids"]);
    groups.set(0, "memory.limit_in_bytes", "8388608");
    let uth = Uth::new();
    let tree = uth.run(["cgroup", "tree", "--format", "json"]).ok().json();
    let all = tree["cgroups"].as_array().unwrap();
    let ours: Vec<_> = all.iter().filter(|group| group["path"] == "/uth-test-tree").collect();
    assert_eq!(ours.len(), 1, "{tree}");
    assert_eq!(ours[0]["memory_limit"], 8_388_608);
    assert_eq!(ours[0]["tasks"], 1);
    assert_eq!(ours[0]["tasks_limit"], "max");
    assert_eq!(ours[0]["processes"], serde_json::json!([groups.sleep.id()]));
    // It has no cpu controller: what is not measured is not 0.
    assert_eq!(ours[0]["throttled"], Value::Null);
    let ran = uth.run(["cgroup", "tree"]).ok();
    let line = ran.stdout.lines().find(|line| line.contains("uth-test-tree")).unwrap();
    assert!(line.contains("of 8 MiB"), "{line}");
}

#[test]
fn cgroup_ls_lists_what_is_there() {
    need!(sh "a mounted cgroup hierarchy", "grep -q ' cgroup' /proc/self/mountinfo");
    let uth = Uth::new();
    let listed = uth.run(["cgroup", "ls", "--format", "json"]).ok().json();
    for directory in listed["directories"].as_array().unwrap() {
        let path = directory["directory"].as_str().unwrap();
        let mut there: Vec<_> = fs::read_dir(path)
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        there.sort();
        let files = directory["files"].as_array().unwrap();
        let said: Vec<_> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
        assert_eq!(said, there, "{path}");
        // What the article lists is explained.
        for file in files {
            let name = file["name"].as_str().unwrap();
            if ["cpu.", "memory.", "pids.", "cgroup."].iter().any(|p| name.starts_with(p))
                && !name.contains("shown_ram")
            {
                assert!(file["text"].is_string(), "{name} is not explained");
            }
        }
    }
    uth.run(["cgroup", "ls", "no-such-controller"]).one_error(2);
    uth.run(["cgroup", "show", "no-such-box"]).one_error(1);
}

fn limit(uth: &Uth, words: &str) -> crate::harness::Ran {
    let words = words.split(' ').map(str::to_owned);
    uth.run(["cgroup".to_owned(), "limit".to_owned()].into_iter().chain(words))
}

macro_rules! need_limits {
    () => {
        need!(root);
        need!(sh "controllers cpu, memory and pids that can be written to",
            "for c in memory pids cpu; do test -w /sys/fs/cgroup/$c/cgroup.procs || exit 1; done ||
             test -w /sys/fs/cgroup/cgroup.subtree_control");
    };
}

/// Nothing of it is left: no group, no journal.
#[track_caller]
fn nothing_left(uth: &Uth, before: &crate::machine::Machine) {
    let patience = std::time::Duration::from_secs(2);
    crate::machine::Machine::settles(uth, before, patience, crate::machine::base_and_progress);
}

/// The report is the last JSON on standard output.
fn report(ran: &crate::harness::Ran) -> Value {
    let start = ran.stdout.find("{\n").unwrap_or_else(|| panic!("{}", ran.whole()));
    serde_json::from_str(&ran.stdout[start..]).unwrap()
}

#[test]
fn cgroup_limit_holds_a_command_to_its_cpu_quota() {
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let mut command = uth.command(["cgroup", "limit", "--cpus", "0.1", "--format", "json", "--"]);
    command.args(["timeout", "1.5", "sh", "-c", "while :; do :; done"]);
    let ran = uth.wait(command).exits(124);
    let usage = &report(&ran)["usage"];
    assert_eq!(
        (&usage["cpu_quota_us"], &usage["cpu_period_us"]),
        (&10_000.into(), &100_000.into())
    );
    assert!(usage["throttled"].as_u64().unwrap() > 0, "{usage}");
    // However busy the machine: never more than the quota in each period that there was.
    let allowed = (usage["periods"].as_u64().unwrap() + 2) * 10_000_000;
    assert!(usage["cpu_ns"].as_u64().unwrap() <= allowed * 11 / 10, "{usage}");
    nothing_left(&uth, &before);
}

#[test]
fn cgroup_limit_kills_what_takes_too_much_memory() {
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let ran = limit(&uth, "--memory 16M --format json -- tail /dev/zero").exits(137);
    let report = report(&ran);
    assert_eq!(report["signal"], 9);
    assert_eq!(report["usage"]["oom_kills"], 1, "{report}");
    assert!(report["usage"]["memory_peak"].as_u64().unwrap() <= 16 << 20, "{report}");
    nothing_left(&uth, &before);
}

#[test]
fn cgroup_limit_stops_forks_and_ends_what_is_left_running() {
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let mut command = uth.command(["cgroup", "limit", "--pids", "4", "--format", "json", "--"]);
    command.args(["sh", "-c", "for i in 1 2 3 4 5 6; do sleep 600 & done 2>/dev/null; exit 7"]);
    let ran = uth.wait(command);
    assert!(matches!(ran.code, Some(2 | 7)), "{}", ran.whole());
    let usage = &report(&ran)["usage"];
    assert_eq!(usage["tasks_limit"], 4);
    assert!(
        usage["tasks_refused"].is_null() || usage["tasks_refused"].as_u64() > Some(0),
        "{usage}"
    );
    nothing_left(&uth, &before);
}

#[test]
fn cgroup_limit_says_what_is_wrong() {
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    limit(&uth, "-- true").one_error(2);
    limit(&uth, "--memory lots -- true").one_error(2);
    limit(&uth, "--cpus 0 -- true").one_error(2);
    limit(&uth, "--pids 9 -- no-such-program").one_error(127);
    limit(&uth, "--cpuset 4095 -- true").one_error(1);
    limit(&uth, "--pids 20 --memory 64M -- sh -c true").ok();
    let plan = limit(&uth, "--pids 20 --dry-run -- true").ok();
    assert!(plan.stdout.contains("pids.max"), "{}", plan.whole());
    nothing_left(&uth, &before);
}

/// What can be proven on any machine, however busy: nothing gets more than it may.
#[test]
fn cgroup_prove_makes_limits_bite() {
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    for what in ["memory", "pids"] {
        let ran = uth.run(["cgroup", "prove", what, "--format", "json"]).ok();
        let proof = &ran.json()["proofs"][0];
        assert_eq!(proof["verdict"], "holds", "{}", ran.whole());
        assert_ne!(proof["before"], proof["after"], "{}", ran.whole());
    }
    let ran = uth.run(["cgroup", "prove", "cpu", "--format", "json"]);
    let proof = &ran.json()["proofs"][0];
    let usage = &proof["usage"];
    let most = usage["periods"].as_u64().unwrap() * 22_000_000;
    assert!(usage["cpu_ns"].as_u64().unwrap() <= most, "{}", ran.whole());
    assert!(usage["throttled"].as_u64().unwrap() > 0, "{}", ran.whole());
    let code = if proof["verdict"] == "holds" { 0 } else { 3 };
    ran.exits(code);
    nothing_left(&uth, &before);
}

#[test]
fn cgroup_watch_shows_a_group_as_it_is() {
    need_v1!();
    let groups = Groups::make("uth-test-watch", &["memory", "pids"]);
    groups.set(1, "pids.max", "20");
    let uth = Uth::new();
    let target = groups.sleep.id().to_string();
    let words = ["cgroup", "watch", &target, "--count", "2", "--interval", "0.1"];
    let ran = uth.run(words).ok();
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.whole());
    assert!(ran.stdout.contains("tasks 1 of 20"), "{}", ran.whole());
    let ran = uth.run(words.into_iter().chain(["--format", "json"])).ok();
    let line: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&line["usage"]["tasks"], &line["usage"]["tasks_limit"]), (&1.into(), &20.into()));
    // A group that goes is the end of it.
    drop(groups);
    uth.run(["cgroup", "watch", "/uth-test-watch"]).one_error(1);
}

/// A container's limits, with docker's flags: seen from outside, met inside,
/// and for what `exec` starts too.
#[test]
fn cgroup_of_a_container_that_is_run_with_limits() {
    need_limits!();
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = crate::machine::Machine::look(&uth);
    let flags = "run -d --name box --memory 32M --pids-limit 20 --cpus 0.5 --cpu-shares 512";
    let words: Vec<_> = flags.split(' ').chain(["base", "sleep", "600"]).collect();
    uth.run(words).ok();
    let shown = uth.run(["cgroup", "show", "box", "--format", "json"]).ok();
    let all = shown.json()["values"].clone();
    let limits: Vec<_> = all.as_array().unwrap().iter().filter(|v| v["kind"] == "limit").collect();
    assert!(limits.iter().any(|limit| limit["words"] == "32 MiB"), "{}", shown.whole());
    assert!(limits.iter().any(|limit| limit["value"] == 20), "{}", shown.whole());
    // Inside, its own group is the top of what it sees.
    let seen = uth.run(["exec", "box", "cat", "/proc/1/cgroup"]).ok();
    assert!(!seen.stdout.contains("under-the-hood"), "{}", seen.whole());
    // What is started later is in the group: too much memory is not granted.
    uth.run(["exec", "box", "sh", "-c", "tail /dev/zero"]).exits(137);
    let group = uth.run(["cgroup", "watch", "box", "--count", "1", "--format", "json"]).ok();
    let usage = group.json()["usage"].clone();
    assert!(usage["oom_kills"].as_u64().unwrap() >= 1, "{usage}");
    assert_eq!((&usage["memory_limit"], &usage["tasks_limit"]), (&(32 << 20).into(), &20.into()));
    uth.run(["stop", "-t", "0", "box"]).ok();
    uth.run(["run", "--memory", "16M", "base", "sh", "-c", "tail /dev/zero"]).exits(137);
    for wrong in [["--memory", "lots"], ["--cpus", "-1"], ["--device-read-bps", "/dev/null:1M"]] {
        uth.run(["run", wrong[0], wrong[1], "base", "true"]).one_error(if wrong[1] == "-1" {
            2
        } else {
            125
        });
    }
    nothing_left(&uth, &before);
}
