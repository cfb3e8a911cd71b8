//! `inspect containers` and `inspect compare`: what unshare(1) and our own
//! `run` make is found, called what it is, and compared rightly. Containers of
//! real engines are in interop.rs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Ran, Uth};
use crate::inspect::in_a_world;

fn list(ran: &Ran, which: &str) -> Vec<Value> {
    ran.json()[which].as_array().unwrap().clone()
}

/// The entry with this first process, among containers or others.
fn of_pid(ran: &Ran, pid: &str) -> Value {
    let all = [list(ran, "containers"), list(ran, "others")].concat();
    let mut found = all.into_iter().filter(|entry| entry["pid"].as_i64() == pid.parse().ok());
    let one = found.next().unwrap_or_else(|| panic!("{pid} is not listed: {}", ran.whole()));
    assert!(found.next().is_none(), "{pid} is listed twice: {}", ran.whole());
    one
}

fn own(entry: &Value) -> String {
    let own: Vec<_> =
        entry["own"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    own.join(",")
}

const THINGS: &str = r#"
unshare --mount --pid --fork --kill-child --mount-proc sh -c 'sleep 61 & exec sleep 60' & maker=$!
until boxed=$(pgrep -P $maker) && [ "$(cat /proc/$boxed/comm)" = sleep ]; do sleep 0.01; done
until [ "$(pgrep -P $boxed -c)" = 1 ]; do sleep 0.01; done
unshare --net sleep 62 & net=$!; away $net net
mkdir $T/tree; mount --rbind / $T/tree
unshare --user --map-root-user --net --root $T/tree sleep 63 & locked=$!; away $locked net
until [ "$(cat /proc/$locked/comm)" = sleep ]; do sleep 0.01; done
"#;

#[test]
fn what_nobody_claims_is_called_what_it_is() {
    need!(user_namespace);
    let uth = Uth::new();
    let looks = r#"
echo $boxed $net $locked $maker >$T/pids
COLUMNS=80 $UTH inspect containers >$T/table
COLUMNS=40 $UTH inspect containers >$T/narrow
$UTH inspect containers --format json"#;
    let ran = in_a_world(&uth, &format!("{THINGS}{looks}")).ok();
    let read = |name: &str| std::fs::read_to_string(uth.home().join(name)).unwrap();
    let pids = read("pids");
    let [boxed, net, locked, maker] = pids.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{pids}")
    };
    let entry = of_pid(&ran, boxed);
    assert_eq!((&entry["what"], own(&entry).as_str()), (&"container".into(), "mnt,pid"));
    assert_eq!((&entry["owner"]["label"], &entry["nprocs"]), (&"unknown".into(), &2.into()));
    let evidence = entry["owner"]["evidence"].as_str().unwrap();
    assert!(evidence.contains(&format!("its parent is unshare (pid {maker})")), "{evidence}");
    let entry = of_pid(&ran, net);
    assert_eq!((&entry["what"], own(&entry).as_str()), (&"namespaces".into(), "net"));
    let entry = of_pid(&ran, locked);
    assert_eq!((&entry["what"], own(&entry).as_str()), (&"sandbox".into(), "net,user"));
    let evidence = entry["owner"]["evidence"].as_str().unwrap();
    assert!(evidence.contains("its root directory is"), "{evidence}");
    // The unshare that waits for its child is no second thing.
    assert_eq!(list(&ran, "containers").len(), 1, "{}", ran.whole());
    assert_eq!(list(&ran, "others").len(), 2, "{}", ran.whole());

    let (table, narrow) = (read("table"), read("narrow"));
    for (text, width) in [(&table, 80), (&narrow, 40)] {
        assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        for word in ["CONTAINER", "unknown", "mnt,pid", "sleep 60", "net only", "sandbox", boxed] {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }
}

/// As root and as an ordinary user; from another `UTH_HOME` too.
#[test]
fn our_own_container_is_one_entry() {
    need!(user_namespace);
    let (uth, stranger) = (Uth::new(), Uth::new());
    let container = uth.run(["run", "-d", "--name", "seen", "base", "sleep", "60"]).ok();
    uth.run(["exec", "-d", "seen", "sleep", "61"]).ok();
    let pid =
        uth.run(["inspect", "process", "seen", "--format", "json"]).ok().json()["pid"].to_string();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let root = rustix::process::geteuid().is_root();
    let look = |uth: &Uth| uth.run(["inspect", "containers", "--format", "json"]).ok();
    for (ran, id) in [(look(&uth), container.stdout.trim()), (look(&stranger), "null")] {
        let entry = of_pid(&ran, &pid);
        assert_eq!(entry["what"], "container", "{entry:#}");
        assert_eq!(entry["owner"]["label"], "under-the-hood:seen", "{entry:#}");
        assert_eq!(entry["owner"]["id"].as_str().unwrap_or("null"), id, "{entry:#}");
        assert_eq!(entry["command"], "sleep 60", "{entry:#}");
        assert_eq!(entry["nprocs"], 2, "exec's is in it: {entry:#}");
        let expected =
            if root { "cgroup,ipc,mnt,net,pid,uts" } else { "cgroup,ipc,mnt,net,pid,user,uts" };
        assert_eq!(own(&entry), expected, "{entry:#}");
        assert!(now.as_secs().abs_diff(entry["since"].as_u64().unwrap()) < 60, "{entry:#}");
        let outside = entry["uid_map"][0]["outside"].as_u64().unwrap();
        assert_eq!(outside, u64::from(rustix::process::geteuid().as_raw()), "{entry:#}");
        let all = [list(&ran, "containers"), list(&ran, "others")].concat();
        let label = |entry: &&Value| entry["owner"]["label"] == "under-the-hood:seen";
        assert_eq!(all.iter().filter(label).count(), 1, "{}", ran.whole());
    }
    uth.run(["stop", "-t", "0", "seen"]).ok();
    let gone = look(&uth);
    let pids = list(&gone, "containers");
    assert!(pids.iter().all(|entry| entry["pid"].as_i64() != pid.parse().ok()), "{}", gone.whole());
}

/// The namespaces of others are closed to an ordinary user, but not that there
/// is a container, and whose.
#[test]
fn an_ordinary_user_sees_that_others_have_containers() {
    need!(root);
    let uth = Uth::new();
    uth.run(["run", "-d", "--name", "roots", "base", "sleep", "60"]).ok();
    let pid =
        uth.run(["inspect", "process", "roots", "--format", "json"]).ok().json()["pid"].to_string();
    let program = uth.home().join("program");
    std::fs::copy(Uth::program(), &program).unwrap();
    let open = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(uth.home());
    open(&program);
    let nobody = |line: &str| {
        let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        uth.sh(&format!("UTH_HOME=/nowhere {user} {} {line}", program.display()))
    };
    let ran = nobody("inspect containers --format json").ok();
    let text = nobody("inspect containers").ok();
    let compared = nobody(&format!("inspect compare {pid} self")).ok();
    let by_name = nobody("inspect process under-the-hood:roots --format json").ok();
    uth.run(["stop", "-t", "0", "roots"]).ok();
    let entry = of_pid(&ran, &pid);
    assert_eq!(entry["owner"]["label"], "under-the-hood:roots", "{entry:#}");
    assert_eq!((&entry["namespaces_closed"], own(&entry).as_str()), (&true.into(), "pid"));
    assert!(ran.json()["closed_processes"].as_u64() > Some(1), "{}", ran.whole());
    assert!(text.stdout.contains("pid, rest closed"), "{}", text.whole());
    assert!(text.stderr.contains("processes were closed to us"), "{}", text.whole());
    assert!(compared.stdout.contains("Which namespaces they share is closed to us."));
    assert!(compared.stderr.contains("EACCES"), "{}", compared.whole());
    assert_eq!(by_name.json()["pid"].to_string(), pid, "{}", by_name.whole());
}

/// `(type, shared)` as readlink(1) tells.
fn links(uth: &Uth, a: &str, b: &str) -> BTreeSet<(String, bool)> {
    let line =
        |pid: &str| format!("cd /proc/{pid}/ns && readlink cgroup ipc mnt net pid time user uts; ");
    let ran = uth.sh(&(line(a) + &line(b))).ok();
    let links: Vec<_> = ran.stdout.lines().collect();
    let (left, right) = links.split_at(8);
    let kind = |link: &str| link.split(':').next().unwrap().to_owned();
    left.iter().zip(right).map(|(a, b)| (kind(a), a == b)).collect()
}

#[test]
fn two_containers_share_what_their_links_say() {
    need!(user_namespace);
    let uth = Uth::new();
    for name in ["one", "two"] {
        uth.run(["run", "-d", "--name", name, "base", "sleep", "60"]).ok();
    }
    let us = std::process::id().to_string();
    let compare = |a: &str, b: &str| uth.run(["inspect", "compare", a, b, "--format", "json"]).ok();
    for (a, b, relation) in [("one", "two", "apart"), ("one", &us, "a_inside_b")] {
        let ran = compare(a, b);
        let json = ran.json();
        let rows = json["namespaces"].as_array().unwrap();
        let shared = rows.iter().map(|row| {
            (row["type"].as_str().unwrap().to_owned(), row["shared"].as_bool().unwrap())
        });
        let pids = ["a", "b"].map(|side| json[side]["pid"].to_string());
        assert_eq!(shared.collect::<BTreeSet<_>>(), links(&uth, &pids[0], &pids[1]));
        let pid = rows.iter().find(|row| row["type"] == "pid").unwrap();
        assert_eq!(pid["relation"], relation, "{}", ran.whole());
        let count = rows.iter().filter(|row| row["shared"] == true).count();
        let begin = format!("They share {count} of 8 namespaces");
        assert!(json["summary"].as_str().unwrap().starts_with(&begin), "{}", ran.whole());
        assert_eq!(json["root"]["same"], false, "{}", ran.whole());
        assert_eq!(json["capabilities"]["bounding"]["same"], b == "two", "{}", ran.whole());
        assert_eq!(json["seccomp"]["same"], b == "two", "{}", ran.whole());
    }
    let same = compare("one", "under-the-hood:one").json();
    assert!(same["summary"].as_str().unwrap().starts_with("They share all 8"), "{same:#}");
    assert_eq!(same["root"]["same"], true, "{same:#}");
    let narrow = uth.sh("COLUMNS=40 $UTH inspect compare one two").ok();
    assert!(narrow.stdout.contains("SHARED  no"), "{}", narrow.whole());
    for name in ["one", "two"] {
        uth.run(["stop", "-t", "0", name]).ok();
    }
}

#[test]
fn a_limit_and_a_power_that_differ_are_named() {
    need!(user_namespace);
    let uth = Uth::new();
    let script = r#"
sleep 60 & a=$!
unshare --uts setpriv --no-new-privs --bounding-set -net_raw sh -c 'ulimit -n 77; exec sleep 60' & b=$!
until [ "$(cat /proc/$b/comm)" = sleep ]; do sleep 0.01; done
$UTH inspect compare $a $b >$T/text
$UTH inspect compare $a $b --format json"#;
    let ran = in_a_world(&uth, script).ok();
    let json = ran.json();
    assert_eq!(json["capabilities"]["bounding"]["only_a"], serde_json::json!(["CAP_NET_RAW"]));
    assert_eq!(json["no_new_privs"], serde_json::json!({"same": false, "a": false, "b": true}));
    let limits = json["limits_that_differ"].as_array().unwrap();
    assert_eq!(limits.len(), 1, "{json:#}");
    assert_eq!((&limits[0]["name"], &limits[0]["b"]["soft"]), (&"open files".into(), &"77".into()));
    let text = std::fs::read_to_string(uth.home().join("text")).unwrap();
    assert!(text.contains("They share 7 of 8 namespaces"), "{text}");
    assert!(text.contains("open files: A "), "{text}");
}

#[test]
fn a_target_is_found_by_every_name_it_has() {
    need!(user_namespace);
    let (uth, stranger) = (Uth::new(), Uth::new());
    let id = uth.run(["run", "-d", "--name", "named", "base", "sleep", "60"]).ok().stdout;
    let pid = |uth: &Uth, target: &str| {
        let ran = uth.run(["inspect", "process", target, "--format", "json"]).ok();
        ran.json()["pid"].to_string()
    };
    let expected = pid(&uth, "named");
    for target in
        [id.trim(), &id[..5], "under-the-hood:named", &format!("under-the-hood:{}", &id[..5])]
    {
        // A beginning of digits alone would be a pid.
        if !target.bytes().all(|byte| byte.is_ascii_digit()) {
            assert_eq!(pid(&uth, target), expected, "{target}");
        }
    }
    assert_eq!(pid(&stranger, "under-the-hood:named"), expected, "by its shim's title");
    assert_eq!(pid(&stranger, "named"), expected);
    let in_a_lesson = |target: &str| {
        stranger.sh(&format!("UTH_SCOPE=lesson $UTH inspect process {target} --format json"))
    };
    let not_its_own = in_a_lesson("named").one_error(1);
    assert!(not_its_own.stderr.contains("under-the-hood:named"), "{}", not_its_own.whole());
    assert_eq!(in_a_lesson("under-the-hood:named").ok().json()["pid"].to_string(), expected);
    uth.run(["stop", "-t", "0", "named"]).ok();
    uth.run(["inspect", "process", "self"]).ok();
    let host = uth.run(["inspect", "compare", "host", "1", "--format", "json"]).ok().json();
    let host = host["a"]["pid"].as_u64().unwrap();
    assert!(host == 1 || host == 2, "process 1, or the kernel's where that is closed: {host}");
    let gone = uth.run(["inspect", "compare", "named", "self"]).one_error(1);
    assert!(gone.stderr.contains("no container named is running"), "{}", gone.whole());
}

/// The joined view of one of ours, beside what other programs say; and to nobody every
/// part that is closed says so by itself.
#[test]
fn the_joined_view_says_what_is_there_and_what_is_closed() {
    need!(root);
    let uth = Uth::new();
    let run = [
        "run",
        "-d",
        "--name",
        "joined",
        "--cap-add",
        "SYS_TIME",
        "--cap-drop",
        "KILL",
        "--userns",
        "--read-only",
    ];
    uth.run([&run[..], &["base", "sleep", "60"]].concat()).ok();
    let pid = uth.run(["inspect", "process", "joined", "--format", "json"]).ok().json()["pid"]
        .to_string();
    let entry =
        of_pid(&uth.run(["inspect", "containers", "--wide", "--format", "json"]).ok(), &pid);
    assert_eq!(entry["closed"], serde_json::json!({}), "{entry:#}");
    assert_eq!(entry["capabilities"]["beyond_default"], serde_json::json!(["CAP_SYS_TIME"]));
    assert_eq!(entry["capabilities"]["below_default"], serde_json::json!(["CAP_KILL"]));
    assert_eq!((&entry["no_new_privs"], &entry["root"]["read_only"]), (&true.into(), &true.into()));
    let net = uth.sh(&format!("stat -Lc %i /proc/{pid}/ns/net")).ok();
    assert_eq!(entry["network"]["ns"].to_string(), net.stdout.trim());
    let address = uth
        .sh(&format!("nsenter -t {pid} -n ip -br -4 addr | grep -o '[0-9.]*/[0-9]*' | tail -1"))
        .ok()
        .stdout;
    let interfaces = entry["network"]["interfaces"].to_string();
    assert!(interfaces.contains(address.trim()), "{address} in {interfaces}");
    for (width, narrow) in [("80", 80), ("60", 60)] {
        let text = uth.sh(&format!("COLUMNS={width} $UTH inspect containers --wide")).ok();
        let long = |line: &&str| line.chars().count() > narrow && line.contains(' ');
        let blocks = text.stdout.lines().filter(|line| line.starts_with("capabilities")).count();
        assert!(blocks >= 1, "{}", text.whole());
        // A path or an id of an engine's is one word, and longer than some screens.
        let word = |line: &&str| line.split(' ').any(|word| word.chars().count() > narrow - 14);
        let wrong: Vec<_> = text.stdout.lines().filter(long).filter(|l| !word(l)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    let program = uth.home().join("program");
    std::fs::copy(Uth::program(), &program).unwrap();
    let user = "chmod 755 $UTH_HOME $UTH_HOME/program; P=$UTH_HOME/program; export UTH_HOME=/nowhere; setpriv --reuid 65534 --regid 65534 --clear-groups $P";
    let closed =
        of_pid(&uth.sh(&format!("{user} inspect containers --wide --format json")).ok(), &pid);
    // Mounts are open to everybody (proc_pid_mountinfo(5)), namespaces are not.
    let said = serde_json::json!({ "network": "closed to you: needs root" });
    assert_eq!(closed["closed"], said, "{closed:#}");
    assert_eq!(
        closed["capabilities"]["beyond_default"],
        serde_json::json!(["CAP_SYS_TIME"]),
        "open to all"
    );
    let text = uth.sh(&format!("{user} inspect containers --wide")).ok();
    uth.run(["stop", "-t", "0", "joined"]).ok();
    assert!(text.stdout.contains("network       closed to you: needs root"), "{}", text.whole());
}
