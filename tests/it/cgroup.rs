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
    let groups = Groups::make("test-show", &["memory", "pids", "cpu"]);
    groups.set(0, "memory.limit_in_bytes", "67108864");
    groups.set(1, "pids.max", "20");
    groups.set(2, "cpu.cfs_quota_us", "20000");
    let uth = Uth::new();
    let shown = uth.run(["cgroup", "show", &groups.sleep.id().to_string(), "--format", "json"]);
    let shown = shown.ok().json();
    let limit = value(&shown, "/memory/test-show/memory.limit_in_bytes", None);
    assert_eq!((&limit["value"], &limit["words"]), (&67_108_864.into(), &"64 MiB".into()));
    assert_eq!(value(&shown, "/pids/test-show/pids.max", None)["value"], 20);
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
    let ran = uth.run(["cgroup", "show", "/test-show"]).ok();
    assert!(ran.stdout.contains("64 MiB"), "{}", ran.whole());
    drop(groups);
    uth.run(["cgroup", "show", "/test-show"]).one_error(1);
}

#[test]
fn cgroup_tree_has_every_group_once() {
    need_v1!();
    let groups = Groups::make("test-tree", &["memory", "pids"]);
    groups.set(0, "memory.limit_in_bytes", "8388608");
    let uth = Uth::new();
    let tree = uth.run(["cgroup", "tree", "--format", "json"]).ok().json();
    let all = tree["cgroups"].as_array().unwrap();
    let ours: Vec<_> = all.iter().filter(|group| group["path"] == "/test-tree").collect();
    assert_eq!(ours.len(), 1, "{tree}");
    assert_eq!(ours[0]["memory_limit"], 8_388_608);
    assert_eq!(ours[0]["tasks"], 1);
    assert_eq!(ours[0]["tasks_limit"], "max");
    assert_eq!(ours[0]["processes"], serde_json::json!([groups.sleep.id()]));
    // It has no cpu controller: what is not measured is not 0.
    assert_eq!(ours[0]["throttled"], Value::Null);
    let ran = uth.run(["cgroup", "tree"]).ok();
    let line = ran.stdout.lines().find(|line| line.contains("test-tree")).unwrap();
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

/// The disk that this program is on can be limited: then it is read no faster.
#[test]
fn cgroup_prove_holds_a_disk_to_its_rate() {
    need_limits!();
    need!(sh "a disk below this program, and the controller for it",
        "d=$(stat -c %d / | awk '{printf \"%d:%d\", $1 / 256 % 4096, $1 % 256}'); test -e /sys/dev/block/$d &&
         { test -w /sys/fs/cgroup/blkio/cgroup.procs || grep -qw io /sys/fs/cgroup/cgroup.controllers; }");
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let ran = uth.run(["cgroup", "prove", "io", "--format", "json"]).ok();
    let proof = &ran.json()["proofs"][0];
    assert_eq!(proof["verdict"], "holds", "{}", ran.whole());
    assert!(proof["usage"]["read_bytes"].as_u64().unwrap() >= 4 << 20, "{}", ran.whole());
    nothing_left(&uth, &before);
}

/// `--dry-run` tells every load, and neither makes a group nor starts anything.
#[test]
fn cgroup_prove_only_tells_what_it_would_do() {
    need_limits!();
    need!(tool "strace");
    let uth = Uth::new();
    let plan = uth.run(["cgroup", "prove", "--dry-run", "--format", "json"]).ok().json();
    let steps = plan["plan"].as_array().unwrap();
    let calls: Vec<_> = steps.iter().map(|step| step["call"].as_str().unwrap()).collect();
    for (kind, amount) in [("cpu", "3000"), ("memory", "134217728"), ("forks", "60")] {
        let load = |call: &&&str| call.contains(&format!("\"__load\", \"{kind}\", \"{amount}\""));
        assert!(calls.iter().any(|call| load(&call)), "{kind}: {calls:#?}");
    }
    assert!(
        calls.iter().any(|call| call.starts_with("mkdir(") && call.contains("under-the-hood-$id"))
    );
    assert!(steps.iter().all(|step| step["result"].is_null()), "{plan:#}");
    assert_eq!(fs::read_dir(uth.home()).unwrap().count(), 0, "it wrote something");
    let changes = "mkdir,mkdirat,rmdir,unlink,unlinkat,mount,fork,vfork,clone,clone3";
    let traced = format!(
        "strace -f -qq -e signal=none -e trace={changes} -o $UTH_HOME/trace $UTH cgroup prove --dry-run >/dev/null && cat $UTH_HOME/trace"
    );
    assert_eq!(uth.sh(&traced).ok().stdout, "");
}

/// A shell on a terminal of 80 columns; it writes the terminal's settings to
/// `$UTH_HOME/before` and `after`.
fn on_a_terminal(uth: &Uth, script: &str) -> expectrl::session::OsSession {
    let mut command = uth.beside("sh");
    let script = format!(
        "trap : INT; stty -g >$UTH_HOME/before; {script}; stty -g >$UTH_HOME/after; echo over"
    );
    command.args(["-c", &script]).env("TERM", "xterm").env_remove("COLUMNS");
    command.stdin(std::process::Stdio::inherit());
    let mut session = expectrl::Session::spawn(command).unwrap();
    session.get_process_mut().set_window_size(80, 24).unwrap();
    session.set_expect_timeout(Some(std::time::Duration::from_secs(30)));
    session
}

/// Until the shell is over: what was written meanwhile. The terminal's settings
/// are as before, and nothing hid the cursor or took the whole screen.
fn until_over(uth: &Uth, mut session: expectrl::session::OsSession) -> String {
    use expectrl::Expect;
    let found = session.expect("over").unwrap();
    let text = String::from_utf8_lossy(found.before()).into_owned();
    let settings = |name: &str| fs::read_to_string(uth.home().join(name)).unwrap();
    assert_eq!(settings("before"), settings("after"), "{text}");
    for mode in ["\u{1b}[?25l", "\u{1b}[?1049h", "\u{1b}[?7l"] {
        assert!(!text.contains(mode), "{mode:?} in {text:?}");
    }
    text
}

/// How a gauge is taken away: its line is emptied, the cursor at its start.
const TAKEN_AWAY: &str = "\r\u{1b}[K\r";

#[test]
fn cgroup_limit_shows_gauges_on_a_terminal_and_takes_them_away() {
    use expectrl::Expect;
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let mut session =
        on_a_terminal(&uth, "$UTH cgroup limit --memory 64M --pids 7 -- sleep 600; echo ended $?");
    session.expect("memory ░░░░░░").unwrap();
    session.expect("of 64 MiB  tasks 1 of 7").unwrap();
    session.send("\u{3}").unwrap();
    let text = until_over(&uth, session);
    let report = text.rsplit_once(TAKEN_AWAY).unwrap_or_else(|| panic!("{text:?}")).1;
    assert!(report.contains("tasks: limit 7") && report.contains("ended 130"), "{text:?}");
    let after = |path: &str| path.ends_with("before") || path.ends_with("after");
    let left =
        crate::machine::Machine::left(&uth, &before, std::time::Duration::from_secs(2), |line| {
            crate::machine::base_and_progress(line) || after(line)
        });
    assert!(left.is_empty(), "{left:#?}");
}

/// Killed with its gauge on the screen: nothing of the terminal was changed that
/// would have to be put back, and the group goes.
#[test]
fn cgroup_limit_killed_leaves_the_terminal_as_it_was() {
    use expectrl::Expect;
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let script =
        "$UTH cgroup limit --pids 7 -- sleep 600 & echo \"pid $!.\"; wait $!; echo ended $?";
    let mut session = on_a_terminal(&uth, script);
    let found = session.expect(expectrl::Regex("pid [0-9]+\\.")).unwrap();
    let text = String::from_utf8_lossy(found.get(0).unwrap()).into_owned();
    let pid = text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    session.expect("tasks 1 of 7").unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
    assert!(until_over(&uth, session).contains("ended 137"));
    let after = |path: &str| path.ends_with("before") || path.ends_with("after");
    let left =
        crate::machine::Machine::left(&uth, &before, std::time::Duration::from_secs(2), |line| {
            crate::machine::base_and_progress(line) || after(line)
        });
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn cgroup_watch_on_a_terminal_ends_with_ctrl_c() {
    use expectrl::Expect;
    need_v1!();
    let groups = Groups::make("test-watch-tty", &["memory", "pids", "cpuacct"]);
    groups.set(1, "pids.max", "20");
    let uth = Uth::new();
    let script = format!("$UTH cgroup watch {} --interval 0.1; echo ended $?", groups.sleep.id());
    let mut session = on_a_terminal(&uth, &script);
    session.expect("tasks 1 of 20").unwrap();
    session.expect("▁▁").unwrap(); // its past, once there is one
    session.send("\u{3}").unwrap();
    let text = until_over(&uth, session);
    let end = text.rsplit_once(TAKEN_AWAY).unwrap_or_else(|| panic!("{text:?}")).1;
    assert!(end.contains("ended 130"), "{text:?}");
}

/// Whoever interrupts a proof means all of it: no verdict, no further load.
#[test]
fn cgroup_prove_interrupted_ends_and_leaves_nothing() {
    need_limits!();
    let uth = Uth::new();
    let before = crate::machine::Machine::look(&uth);
    let mut command = uth.command(["cgroup", "prove", "all"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let running = |line: &String| line.contains("__load cpu");
    while !crate::machine::Machine::look(&uth).beyond(&before).iter().any(running) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(output.stdout.is_empty() && said.contains("was interrupted"), "{said}");
    nothing_left(&uth, &before);
}

/// What is counted further up is the machine's, and not shown as the group's.
#[test]
fn cgroup_watch_shows_nothing_of_the_groups_above() {
    need_v1!();
    let groups = Groups::make("test-watch-own", &["memory"]);
    let uth = Uth::new();
    let words =
        ["cgroup", "watch", &groups.sleep.id().to_string(), "--count", "1"].map(str::to_owned);
    let ran = uth.run(words.into_iter().chain(["--format", "json"].map(str::to_owned))).ok();
    let usage = &ran.json()["usage"];
    assert!(usage["memory"].is_u64(), "{usage}");
    for other in ["cpu_ns", "tasks", "cpus", "read_bytes"] {
        assert!(usage[other].is_null(), "{other}: {usage}");
    }
}

#[test]
fn cgroup_watch_shows_a_group_as_it_is() {
    need_v1!();
    let groups = Groups::make("test-watch", &["memory", "pids"]);
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
    uth.run(["cgroup", "watch", "/test-watch"]).one_error(1);
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
