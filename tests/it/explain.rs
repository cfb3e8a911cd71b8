//! `--explain` says what is done, no more and no less: the steps that a command
//! reports are held against what strace(1) saw of it.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use crate::harness::Uth;
use crate::machine::Machine;
use crate::tracer::{Role, first_child, traced};

/// A step as it is reported, the part that is compared.
#[derive(Deserialize)]
struct Step {
    call: String,
    actor: String,
    result: serde_json::Value,
}

/// What each of the three did, by the names that steps use, in order.
type Deeds = BTreeMap<Role, Vec<String>>;

/// `prctl` and `seccomp` are many calls under one name: with what is asked of them.
fn deed(name: &str, arguments: &str) -> String {
    let word =
        Regex::new(r"^[A-Z0-9_]+").unwrap().find(arguments).map_or("", |found| found.as_str());
    match name {
        "prctl" => format!("prctl({word})"),
        name => name.to_owned(),
    }
}

/// Repeats in a row are one: such a step may say "26 times".
fn add(deeds: &mut Deeds, role: Role, deed: String) {
    let list = deeds.entry(role).or_default();
    if list.last() != Some(&deed) {
        list.push(deed);
    }
}

/// What was reported to be done, and succeeded.
fn reported(json_lines: &str) -> Deeds {
    let mut deeds = Deeds::new();
    for line in json_lines.lines() {
        let Ok(step) = serde_json::from_str::<Step>(line) else { continue };
        let answer = step.result.get("Ok").and_then(serde_json::Value::as_str);
        if answer.is_none_or(|answer| answer.starts_with("-1")) {
            continue;
        }
        let name = step.call.split('(').next().unwrap_or_default();
        if !traced().iter().any(|call| call.step == name) {
            continue; // a lock changes nothing
        }
        let role = match step.actor.as_str() {
            "launcher" => Role::Launcher,
            "shim" => Role::Watcher,
            _ => Role::Init,
        };
        let (name, arguments) = step.call.split_once('(').unwrap_or((&step.call, ""));
        add(&mut deeds, role, deed(name, arguments));
    }
    deeds
}

/// Whose the first process is and those that it makes: a later child is a helper.
/// Looked up before anything else, since a child can be seen before the call
/// that made it has returned.
fn roles(log: &str, first_child: Role) -> BTreeMap<String, Role> {
    let Some(launcher) = log.split_whitespace().next() else { return BTreeMap::new() };
    let mut roles = BTreeMap::from([(launcher.to_owned(), Role::Launcher)]);
    let made = format!(r"(?m)^{launcher} +(?:<\.\.\. )?(?:v?fork|clone3?)\b.*\) += ([1-9]\d*)");
    for (index, child) in Regex::new(&made).unwrap().captures_iter(log).enumerate() {
        let role = if index == 0 { first_child } else { Role::Helper };
        roles.insert(child[1].to_owned(), role);
    }
    // A thread of the watcher is of the watcher.
    let thread = Regex::new(r"(?m)^(\d+) .*=> \{parent_tid=\[(\d+)\]\}").unwrap();
    for made in thread.captures_iter(log) {
        let role = roles.get(&made[1]).copied().unwrap_or(Role::Init);
        roles.entry(made[2].to_owned()).or_insert(role);
    }
    roles
}

/// What strace saw done: `strace -f -o`, one line a call, the pid in front.
fn seen(log: &str, first_child: Role) -> Deeds {
    let line_format =
        Regex::new(r"^(\d+) +(?:<\.\.\. )?([a-z0-9_]+)(?:\((.*)| resumed>(.*))$").unwrap();
    let outcome = Regex::new(r"^(.*)\) += (-?\d+|\?)").unwrap();
    let roles = roles(log, first_child);
    let mut begun: BTreeMap<String, String> = BTreeMap::new();
    let mut finished: Vec<String> = Vec::new();
    let (mut deeds, mut lines) = (Deeds::new(), 0);
    for line in log.lines() {
        let Some(parts) = line_format.captures(line) else { continue };
        let (pid, name) = (parts[1].to_owned(), &parts[2]);
        lines += 1;
        let role = roles.get(&pid).copied().unwrap_or(Role::Init);
        let text = match (parts.get(3), parts.get(4)) {
            (Some(text), _) => text.as_str().to_owned(),
            (_, Some(rest)) => begun.remove(&pid).unwrap_or_default() + rest.as_str(),
            _ => continue,
        };
        if let Some(so_far) = text.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, so_far.to_owned());
            continue;
        }
        let Some(ended) = outcome.captures(&text) else { continue };
        let (arguments, answer) = (&ended[1], &ended[2]);
        if answer.starts_with('-') || answer == "?" {
            continue;
        }
        let made = ["fork", "vfork", "clone", "clone3"].contains(&name) && answer != "0";
        if (made && role == Role::Launcher) || arguments.contains("|CLONE_THREAD|") {
            continue; // that a child or a thread is made for this is no step of the plan
        }
        // A device that is opened for writing stays as it is; the journal is left out.
        let device = arguments.contains("\"/dev/null\"") && !arguments.contains("O_CREAT");
        if name == "openat" && (device || arguments.contains("/run/journal/")) {
            continue;
        }
        let asks = ["|NLM_F_DUMP", "NLM_F_REQUEST|0x300"];
        if name == "sendto" && asks.iter().any(|flags| arguments.contains(flags)) {
            continue; // a question
        }
        let is_start = lines == 1 && name == "execve"; // strace starting the program
        if is_start || finished.contains(&pid) {
            continue;
        }
        if name == "execve" && role == Role::Init {
            finished.push(pid); // from here on it is the command
        }
        let whole = format!("{name}({arguments}");
        if let Some(call) = traced().iter().find(|call| call.is(name, &whole)) {
            add(&mut deeds, role, deed(call.step, arguments));
        }
    }
    // Of the watcher, only what it does for the launcher counts: the container's first process,
    // and what it is itself.
    if let Some(watcher) = deeds.get_mut(&Role::Watcher) {
        watcher.retain(|deed| ["clone3", "execveat"].contains(&deed.as_str()));
    }
    deeds.remove(&Role::Helper);
    deeds.retain(|_, list| !list.is_empty());
    deeds
}

/// Runs a command under strace, its steps reported to a file: what was said, and what was done.
fn both(uth: &Uth, args: &[&str]) -> (Deeds, Deeds) {
    let names: Vec<_> = traced().iter().flat_map(|call| call.names()).collect();
    let (log, steps) = (uth.home().join("strace.log"), uth.home().join("steps.jsonl"));
    let script = format!(
        "strace -f -qq -s 200 -o {} -e trace={} \"$UTH\" --report-fd 3 \"$@\" 3>{}",
        log.display(),
        // A question mark: a name that this architecture does not have is no error.
        names.iter().map(|name| format!("?{name}")).collect::<Vec<_>>().join(","),
        steps.display()
    );
    let mut shell = uth.beside("sh");
    shell.args(["-c", &script, "sh"]).args(args);
    uth.wait(shell).ok();
    let read = |path| std::fs::read_to_string(path).unwrap();
    (reported(&read(&steps)), seen(&read(&log), first_child(args)))
}

#[test]
fn explain_agrees_with_strace_on_run() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let (said, done) = both(&uth, &["run", "--network", "none", "--name", "box", "base", "true"]);
    assert!(done[&Role::Init].len() > 20, "strace saw too little: {done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());

    // And it would be seen if one step were missing, wherever.
    for role in [Role::Launcher, Role::Watcher, Role::Init] {
        for index in 0..said[&role].len() {
            let mut less = said.clone();
            less.get_mut(&role).unwrap().remove(index);
            assert_ne!(less, done, "without {}", said[&role][index]);
        }
    }
}

/// With what can be asked for besides: each flag has operations of its own.
#[test]
fn explain_agrees_with_strace_on_run_with_flags() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let lent = tempfile::TempDir::with_prefix("uth-lent-").unwrap();
    let file = lent.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let volumes = [
        format!("{}:/new/place:ro", lent.path().display()),
        format!("{}:/new/file", file.display()),
    ];
    let flags = "--init --ulimit core=0 --oom-score-adj 500 -u nobody:tty --tmpfs /memory \
                 --read-only -w /new/work";
    let mut args: Vec<_> = std::iter::once("run").chain(flags.split_whitespace()).collect();
    args.extend(["-v", &volumes[0], "-v", &volumes[1], "base", "true"]);
    let (said, done) = both(&uth, &args);
    for deed in ["move_mount", "mount_setattr", "open_tree", "prlimit64", "fork", "setuid"] {
        assert!(done[&Role::Init].iter().any(|seen| seen == deed), "no {deed}: {done:#?}");
    }
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
}

/// With other rights than by default.
#[test]
fn explain_agrees_with_strace_on_run_with_rights() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    for flags in [
        &["--userns"][..],
        &["--privileged"],
        &["--cap-add", "sys_admin", "--security-opt", "no-new-privileges=false", "-u", "7:8"],
        &["--cap-drop", "all", "--security-opt", "seccomp=unconfined"],
    ] {
        let (said, done) = both(&uth, &[&["run"], flags, &["base", "true"]].concat());
        assert!(done[&Role::Init].len() > 20, "strace saw too little: {done:#?}");
        let done = snapbox::Data::from(format!("{done:#?}")).raw();
        snapbox::assert_data_eq!(format!("{said:#?}"), done);
    }
}

#[test]
fn explain_agrees_with_strace_on_exec() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    let before = Machine::look(&uth);
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    let (said, done) = both(&uth, &["exec", "box", "true"]);
    uth.run(["stop", "-t", "0", "box"]).ok();
    assert!(done[&Role::Init].len() > 5, "strace saw too little: {done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
    Machine::settles(&uth, &before, std::time::Duration::from_secs(2), |line| {
        crate::machine::base_and_progress(line)
            || line.ends_with("strace.log")
            || line.ends_with("steps.jsonl")
    });
}

#[test]
fn explain_agrees_with_strace_on_run_with_limits() {
    need!(root);
    need!(tool "strace");
    need!(sh "a cgroup controller for tasks that can be written to",
        "test -w /sys/fs/cgroup/pids/cgroup.procs || test -w /sys/fs/cgroup/cgroup.subtree_control");
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let (said, done) = both(&uth, &["run", "--pids-limit", "20", "base", "true"]);
    assert!(done[&Role::Init].len() > 20, "strace saw too little: {done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
}

#[test]
fn explain_agrees_with_strace_on_cgroup_limit() {
    need!(root);
    need!(tool "strace");
    need!(sh "a cgroup controller for tasks that can be written to",
        "test -w /sys/fs/cgroup/pids/cgroup.procs || test -w /sys/fs/cgroup/cgroup.subtree_control");
    let uth = Uth::new();
    let (said, done) = both(&uth, &["cgroup", "limit", "--pids", "20", "--", "true"]);
    assert!(done[&Role::Launcher].len() >= 3, "strace saw too little: {done:#?}");
    assert!(done[&Role::Init].len() >= 4, "strace saw too little: {done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
}

#[test]
fn explain_agrees_with_strace_on_expose() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    let name = uth.home().file_name().unwrap().to_string_lossy().into_owned();
    let pid = std::process::id().to_string();
    let (said, done) = both(&uth, &["netns", "expose", &pid, "--name", &name]);
    uth.run(["netns", "hide", &name]).ok();
    assert!(done[&Role::Launcher].len() >= 3, "strace saw too little: {done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
}

#[test]
fn explain_agrees_with_strace_on_chroot() {
    need!(root);
    need!(tool "strace");
    for way in [&["chroot"][..], &["chroot", "--pivot"]] {
        let uth = Uth::new();
        let tree = uth.home().join("tree");
        let keep = tree.to_string_lossy().into_owned();
        uth.run(["chroot", "--keep", &keep, "base", "true"]).ok();
        let (said, done) = both(&uth, &[way, &[&keep, "true"]].concat());
        assert!(done[&Role::Init].len() > 3, "strace saw too little: {done:#?}");
        let done = snapbox::Data::from(format!("{done:#?}")).raw();
        snapbox::assert_data_eq!(format!("{said:#?}"), done);
    }
}

#[test]
fn explain_agrees_with_strace_on_a_bridge() {
    need!(root);
    need!(tool "strace");
    crate::machine::private_network();
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let (said, done) = both(&uth, &["run", "-p", "8080:80", "--name", "box", "base", "true"]);
    assert!(done[&Role::Launcher].contains(&"sendto".to_owned()), "{done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    let (said, done) = both(&uth, &["netns", "connect", "box"]);
    uth.run(["netns", "connect", "box", "--undo"]).ok();
    uth.run(["stop", "-t", "0", "box"]).ok();
    assert!(done[&Role::Launcher].contains(&"sendto".to_owned()), "{done:#?}");
    snapbox::assert_data_eq!(format!("{said:#?}"), snapbox::Data::from(format!("{done:#?}")).raw());
}
