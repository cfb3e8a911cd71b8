//! Back is true: every lesson is walked to its end by keys, then back step by
//! step, and at each stop this machine is as it was when that step was played
//! on the way there; at the end it is as it was before the lesson.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::Uth;
use crate::machine::{private_network, processes_of};
use crate::player::Reader;

/// Names of network namespaces, and mounts, that no other test sees: this thread
/// and all that it starts have a /run and a network of their own.
pub fn private_world() {
    private_network();
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    // Names of others, copied with the mounts, would go when those take them back.
    let script = "mount --make-rprivate / &&
        cut -d ' ' -f 5 /proc/self/mountinfo | grep ^/run/netns | sort -r | xargs -r umount -l &&
        mount -t tmpfs tmpfs /run";
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
}

/// The state of the machine, one line each, with `#` for numbers that differ
/// between two times the same is done: what there is, and how often.
pub fn state(uth: &Uth) -> Vec<String> {
    let home = uth.home().display();
    let script = format!(
        r#"
        for d in /run/netns /var/run/netns; do ls $d 2>/dev/null | sed "s|^|name in $d |"; done
        cut -d ' ' -f 5- /proc/thread-self/mountinfo | grep -e '^/run' -e {home} | sed 's/^/mount /'
        ip -o link | sed -n 's/^[0-9]*: \([^:@]*\).*/link \1/p'
        nft list tables 2>/dev/null | sed 's/^/nft /'
        cd {home}
        find run -mindepth 1 | sed 's/^/file /'
        for f in run/containers/*.json; do
            test -e "$f" && sed 's/.*"name":"\([^"]*\)".*/container \1/' $f && echo
        done
        grep -o '"org.opencontainers.image.ref.name": *"[^"]*"' data/images/index.json
        ls data/rootfs | sed 's/^/tree /'
        "#
    );
    let output = uth.beside("sh").args(["-c", &script]).output().unwrap();
    let mut lines: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    for (pid, line) in processes_of(uth.home()) {
        // Ourselves, looking.
        if !line.starts_with("sh -c") || line.contains("while :") {
            lines.push(format!("process {line}"));
        }
        let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        lines.extend(groups.lines().map(|line| format!("cgroup {line}")));
    }
    lines.extend(groups_by_hand(uth));
    if crate::skip::root().is_err() {
        // No world of its own, and none of these that an ordinary user could have made.
        let of_root = ["name in ", "mount /run", "link ", "nft "];
        lines.retain(|line| !of_root.iter().any(|start| line.starts_with(start)));
    }
    // A `d` before five digits is no sixth one.
    let number = regex::Regex::new("(hand)[0-9]+|[0-9a-f]{6,}|[0-9]+").unwrap();
    for line in &mut lines {
        *line = number.replace_all(line, "$1#").into_owned();
    }
    lines.sort();
    lines
}

/// Control groups that a lesson has a reader make.
fn groups_by_hand(uth: &Uth) -> Vec<String> {
    let root = Path::new("/sys/fs/cgroup");
    // Others have theirs: ours is called after the run, or after a process that it started.
    let sessions = std::fs::read_dir(uth.home().join("run")).into_iter().flatten().flatten();
    let texts = sessions.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let known = texts.collect::<String>() + &pids(uth);
    let mut found = Vec::new();
    for directory in [root.to_owned(), root.join("pids")] {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let ours = |name: &String| {
            name.starts_with("lesson") && known.contains(name.as_str())
                || name.strip_prefix("hand").is_some_and(|pid| known.contains(&format!(" {pid} ")))
        };
        found.extend(names.filter(ours).map(|name| format!("group {name}")));
    }
    found
}

fn pids(uth: &Uth) -> String {
    processes_of(uth.home()).iter().map(|(pid, _)| format!(" {pid} ")).collect()
}

/// Looks until the machine is as `expected`, for a few seconds at most: what was
/// ended may take a moment to be gone. What differs.
pub fn differs(uth: &Uth, expected: &[String]) -> String {
    let begun = Instant::now();
    loop {
        let now = state(uth);
        if now == expected {
            return String::new();
        }
        if begun.elapsed() > Duration::from_secs(4) {
            let count = |all: &[String], line: &String| all.iter().filter(|l| *l == line).count();
            let mut all: Vec<_> = expected.iter().chain(&now).collect();
            all.sort();
            all.dedup();
            let changed = all.into_iter().filter(|line| count(expected, line) != count(&now, line));
            let told = changed.map(|line| {
                format!("{} then, {} now: {line}", count(expected, line), count(&now, line))
            });
            return told.collect::<Vec<_>>().join("\n");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

const STEP: &str = "Enter for the next step";
const LAST: &str = "Enter to finish";
const STOPS: [&str; 7] = [
    STEP,
    LAST,
    "Enter for more",
    "What do you think?",
    "s solution",
    "at the end of the lesson? y or n",
    "now? y or n",
];

/// Plays on, solving what is asked, to the end of a step; whether it is the last.
fn plays_to_the_end_of_a_step(reader: &mut Reader) -> bool {
    loop {
        match STOPS[reader.sees_one_of(&STOPS)] {
            STEP => return false,
            LAST => return true,
            "s solution" => reader.types("s"),
            "at the end of the lesson? y or n" | "now? y or n" => reader.types("y"),
            _ => reader.types("\r"),
        };
    }
}

/// There and back again.
fn there_and_back(lesson: &str) {
    private_world();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    // What is made once and stays, as the directories of the store, is there.
    uth.run(["run", "base", "true"]).ok();
    let before = state(&uth);
    let mut reader = Reader::begins(&uth, &[lesson]);
    reader.sees(STEP);
    let mut reached = Vec::new();
    loop {
        reader.types("\r");
        let last = plays_to_the_end_of_a_step(&mut reader);
        reached.push(state(&uth));
        if last {
            break;
        }
    }
    assert!(reached.iter().any(|state| *state != before), "the lesson changed nothing");
    for (index, expected) in reached.iter().enumerate().rev().skip(1) {
        reader.types("b").sees("begins anew");
        plays_to_the_end_of_a_step(&mut reader);
        let differs = differs(&uth, expected);
        let seen = reader.seen();
        assert!(
            differs.is_empty(),
            "lesson {lesson}, back at step {}:\n{differs}\n{seen}",
            index + 1
        );
        assert!(!seen.contains("did not end as it should"), "lesson {lesson}:\n{seen}");
    }
    reader.types("q").ends();
    let differs = differs(&uth, &before);
    assert!(differs.is_empty(), "after lesson {lesson}:\n{differs}");
}

macro_rules! lessons {
    ($($name:ident $lesson:literal)*) => {
        $(#[test]
        #[ignore = "compares the whole machine: .ci/run runs it alone"]
        fn $name() {
            need!(root);
            need!(tool "nft");
            need!(sh "busybox", "command -v busybox");
            there_and_back($lesson);
        })*
    };
}

lessons! {
    lesson_0_there_and_back "0"
    lesson_1_there_and_back "1"
    lesson_2_there_and_back "2"
    lesson_3_there_and_back "3"
    lesson_4_there_and_back "4"
    lesson_5_there_and_back "5"
    lesson_6_there_and_back "6"
    lesson_7_there_and_back "7"
}
