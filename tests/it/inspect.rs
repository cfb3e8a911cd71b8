//! `inspect` beside the real tools: lsns(8), uname(1), the kernel's own links.
//!
//! Most tests make a small world first: a pid namespace with a /proc of its
//! own, in which nothing runs but what the test started, so that two looks at
//! it see the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Ran, Uth};

/// Runs a script as pid 1 of a new world; `$T` is a directory that anybody can
/// enter, `$UTH` the program in it, `away PID TYPE` waits until that process
/// has a namespace of its own.
pub fn in_a_world(uth: &Uth, script: &str) -> Ran {
    let prologue = r#"
set -eu
T=$UTH_HOME; chmod 755 "$T"; cp "$UTH" "$T/program"; UTH=$T/program
away() { until n=$(readlink /proc/$1/ns/$2) && [ "$n" ] && [ "$n" != "$(readlink /proc/1/ns/$2)" ]; do sleep 0.01; done; }
inode() { readlink "$1" | tr -dc 0-9; }
"#;
    let mut unshare = uth.beside("unshare");
    let user =
        if rustix::process::geteuid().is_root() { &[][..] } else { &["--user", "--map-root-user"] };
    unshare.args(user).args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "bash",
        "-c",
    ]);
    unshare.arg(format!("{prologue}{script}"));
    uth.wait(unshare)
}

fn rows(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    json["namespaces"].as_array().unwrap().clone()
}

/// `(inode, type, number of processes, lowest pid)` of namespaces with processes.
fn populated(rows: &[Value]) -> BTreeSet<(u64, String, u64, u64)> {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    rows.iter()
        .map(|row| {
            let kind = row["type"].as_str().unwrap().to_owned();
            (number(&row["ns"]), kind, number(&row["nprocs"]), number(&row["pid"]))
        })
        .filter(|row| row.2 > 0)
        .collect()
}

fn inodes(rows: &[Value]) -> BTreeSet<u64> {
    rows.iter().map(|row| row["ns"].as_u64().unwrap()).collect()
}

/// The fixture: sets of namespaces, a zombie, threads do not count, and one
/// namespace that only a bind mount holds.
const FIXTURE: &str = r#"
unshare --net --uts sleep 60 & a=$!; away $a uts
unshare --ipc --cgroup --mount --pid --fork sh -c 'sleep 60 & sleep 60 & wait' & b=$!; away $b ipc
until [ "$(pgrep -c sleep)" -ge 3 ]; do sleep 0.01; done
sh -c 'sleep 0 & exec sleep 60' & zombie=$!
until ps -o stat= --ppid $zombie | grep -q ^Z; do sleep 0.01; done
unshare --net sleep 60 & held=$!; away $held net
touch $T/net; mount --bind /proc/$held/ns/net $T/net; kill $held; wait $held || true
"#;

#[test]
fn namespaces_are_those_of_lsns() {
    need!(user_namespace);
    need!(tool "lsns");
    let uth = Uth::new();
    let looks = r#"
lsns --json --output NS,TYPE,NPROCS,PID >$T/lsns
$UTH inspect ns --format json >$T/ours"#;
    in_a_world(&uth, &format!("{FIXTURE}{looks}")).ok();
    let (theirs, ours) = (rows(&uth.home().join("lsns")), rows(&uth.home().join("ours")));
    assert_eq!(populated(&ours), populated(&theirs));
    assert!(inodes(&ours).is_superset(&inodes(&theirs)), "{ours:#?}\n{theirs:#?}");
    assert!(theirs.len() >= 8 + 6, "the fixture is not in it: {theirs:#?}");
}

/// Somebody else's processes are closed: both see less, and ours says how much less.
#[test]
fn as_an_ordinary_user_namespaces_are_those_of_lsns_too() {
    need!(root);
    need!(tool "lsns");
    let uth = Uth::new();
    let looks = r#"
as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
touch $T/lsns $T/ours; chmod 666 $T/lsns $T/ours
setpriv --reuid 65534 --regid 65534 --clear-groups sleep 60 &
until [ "$(ps -o uid= $! | tr -d ' ')" = 65534 ]; do sleep 0.01; done
as lsns --json --output NS,TYPE,NPROCS,PID >$T/lsns
as $UTH inspect ns --format json >$T/ours
ps -e -o uid= | grep -vc 65534"#;
    let ran = in_a_world(&uth, &format!("{FIXTURE}{looks}")).ok();
    let (theirs, ours) = (rows(&uth.home().join("lsns")), rows(&uth.home().join("ours")));
    assert_eq!(populated(&ours), populated(&theirs));
    assert_eq!(populated(&ours).len(), 8, "{ours:#?}");
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(uth.home().join("ours")).unwrap()).unwrap();
    // `ps` and `grep` were there only afterwards; one of the processes is a zombie.
    let others: u64 = ran.stdout.trim().parse().unwrap();
    assert_eq!(json["closed_processes"].as_u64(), Some(others - 2), "{}", ran.whole());
}

#[test]
fn a_namespace_that_only_a_bind_mount_holds_is_found_in_any_mount_namespace() {
    need!(user_namespace);
    let uth = Uth::new();
    let script = r#"
hold() { # DIRECTORY: binds a namespace without processes there
  unshare --net sleep 60 & p=$!; away $p net; inode /proc/$p/ns/net
  touch $1/net; mount --bind /proc/$p/ns/net $1/net; kill $p; wait $p || true; }
hold $T >$T/here
mkdir $T/b
export -f hold away inode; export T
unshare --mount --propagation private bash -c 'mount -t tmpfs none $T/b; hold $T/b >$T/there.part; umount $T/net; mv $T/there.part $T/there; sleep 60' & b=$!
until [ -e $T/there ]; do sleep 0.01; done
inode /proc/$b/ns/mnt >$T/mnt
$UTH inspect ns --type net --format json >$T/ours
COLUMNS=400 $UTH inspect ns --type net"#;
    let ran = in_a_world(&uth, script).ok();
    let read = |name: &str| -> u64 {
        std::fs::read_to_string(uth.home().join(name)).unwrap().trim().parse().unwrap()
    };
    let rows = rows(&uth.home().join("ours"));
    let row = |inode| rows.iter().find(|row| row["ns"] == inode).unwrap();
    let (here, there) = (row(read("here")), row(read("there")));
    for (row, path) in [(here, "net"), (there, "b/net")] {
        assert_eq!((&row["nprocs"], &row["pid"]), (&Value::from(0), &Value::Null), "{row:#}");
        assert_eq!(row["held_by"][0]["kind"], "bind_mount", "{row:#}");
        let path = uth.home().join(path);
        assert_eq!(row["held_by"][0]["path"].as_str(), path.to_str(), "{row:#}");
        assert!(row["user_namespace"].is_u64(), "it can be opened and asked: {row:#}");
        let shown = format!("(bind mount {}", path.display());
        assert!(ran.stdout.contains(&shown), "{}", ran.whole());
    }
    assert_eq!(here["held_by"].as_array().unwrap().len(), 1, "{here:#}");
    assert_eq!(there["held_by"][0]["mount_namespace"], read("mnt"), "{there:#}");
}

#[test]
fn a_namespace_that_only_an_open_file_holds_is_found() {
    need!(user_namespace);
    let uth = Uth::new();
    let script = r#"
unshare --uts sleep 60 & p=$!; away $p uts; inode /proc/$p/ns/uts >$T/inode
exec 7</proc/$p/ns/uts; kill $p; wait $p || true
$UTH inspect ns --type uts --format json 7<&- >$T/ours
exec 7<&-
$UTH inspect ns --type uts --format json >$T/later"#;
    in_a_world(&uth, script).ok();
    let inode: u64 =
        std::fs::read_to_string(uth.home().join("inode")).unwrap().trim().parse().unwrap();
    let (during, later) = (rows(&uth.home().join("ours")), rows(&uth.home().join("later")));
    let row = during.iter().find(|row| row["ns"] == inode).unwrap();
    assert_eq!(row["nprocs"], 0, "{row:#}");
    let holder = serde_json::json!([{ "kind": "open_file", "pid": 1, "fd": 7 }]);
    assert_eq!(row["held_by"], holder, "{row:#}");
    assert!(!inodes(&later).contains(&inode), "{later:#?}");
}

#[test]
fn relatives_are_those_that_were_made() {
    need!(user_namespace);
    let uth = Uth::new();
    // Between the two user namespaces that have processes is one that has none.
    let script = r#"
unshare --user --map-root-user unshare --user --map-root-user --net sleep 60 & p=$!
until [ "$(cat /proc/$p/comm)" = sleep ]; do sleep 0.01; done
inode /proc/$p/ns/net >$T/net; inode /proc/$p/ns/user >$T/user; inode /proc/1/ns/user >$T/outer
$UTH inspect ns --format json >$T/ours
$UTH inspect ns --tree --type user"#;
    let ran = in_a_world(&uth, script).ok();
    let read = |name: &str| -> u64 {
        std::fs::read_to_string(uth.home().join(name)).unwrap().trim().parse().unwrap()
    };
    let rows = rows(&uth.home().join("ours"));
    let row = |inode: u64| rows.iter().find(|row| row["ns"] == inode).unwrap();
    assert_eq!(row(read("net"))["user_namespace"], read("user"));
    let between = row(row(read("user"))["parent"].as_u64().unwrap());
    assert_eq!(
        (&between["nprocs"], &between["parent"]),
        (&Value::from(0), &Value::from(read("outer")))
    );
    let depth = |inode: u64| {
        let line = ran.stdout.lines().find(|line| line.contains(&inode.to_string())).unwrap();
        line.chars().take_while(|c| !c.is_ascii_digit()).count()
    };
    let between = between["ns"].as_u64().unwrap();
    assert!(depth(read("outer")) < depth(between), "{}", ran.whole());
    assert!(depth(between) < depth(read("user")), "{}", ran.whole());
}

#[test]
fn what_a_process_calls_itself_cannot_drive_the_terminal() {
    need!(user_namespace);
    let uth = Uth::new();
    let script = r#"
unshare --uts bash -c $'exec -a \'evil\e[31m\xff\' sleep 60' & p=$!; away $p uts
until [ "$(cat /proc/$p/comm)" = sleep ]; do sleep 0.01; done
$UTH inspect ns --type uts; $UTH inspect process $p; $UTH inspect process $p --format json"#;
    let ran = in_a_world(&uth, script).ok();
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.whole());
    assert_eq!(ran.stdout.matches("evil?[31m\\xff 60").count(), 2, "{}", ran.whole());
    assert!(ran.stdout.contains(r"evil\u001b[31m\\xff 60"), "{}", ran.whole());
}

#[test]
fn one_process_shows_what_was_done_to_it() {
    need!(root);
    let uth = Uth::new();
    let script = r#"
setpriv --no-new-privs --bounding-set -all,+net_raw,+sys_admin,+setpcap unshare --uts --net sleep 60 & p=$!
away $p net
$UTH inspect process $p --format json"#;
    let ran = in_a_world(&uth, script).ok();
    let json = ran.json();
    let ancestry = json["ancestry"].as_array().unwrap();
    assert_eq!(ancestry[0]["pid"], 1, "{json:#}");
    assert_eq!(ancestry.last().unwrap()["cmd"], "sleep 60", "{json:#}");
    assert_eq!(ancestry.last().unwrap()["ppid"], 1, "{json:#}");
    let own = json["namespaces"].as_array().unwrap().iter();
    let own: Vec<_> = own.filter(|row| row["differs"] == true).map(|row| &row["type"]).collect();
    assert_eq!(own, ["net", "uts"], "{json:#}");
    assert_eq!(json["compared_with_pid"], 1);
    assert_eq!(json["no_new_privs"], true);
    assert_eq!(
        json["capabilities"]["bounding"],
        serde_json::json!(["CAP_SETPCAP", "CAP_NET_RAW", "CAP_SYS_ADMIN"])
    );
    assert_eq!(json["closed"], serde_json::json!([]), "{json:#}");
    let cgroups = json["cgroups"].as_array().unwrap();
    assert!(!cgroups.is_empty() && cgroups.iter().all(|one| one["path"].is_string()), "{json:#}");
}

/// Two monitors, by their names, each with a container that they call the same.
#[test]
fn an_ambiguous_target_lists_the_candidates() {
    need!(user_namespace);
    let uth = Uth::new();
    let script = r#"
cp "$(command -v dash || command -v sh)" $T/conmon; cp $T/conmon $T/systemd-nspawn
$T/conmon -c 'unshare --uts sleep 60 & wait' -n twin &
$T/systemd-nspawn -c 'unshare --uts sleep 60 & wait' -M twin &
until [ "$(pgrep -c sleep)" = 2 ]; do sleep 0.01; done
$UTH inspect process nspawn:twin --format json | grep '"label"'
$UTH inspect process twin"#;
    let ran = in_a_world(&uth, script).one_error(2);
    assert!(ran.stdout.contains("nspawn:twin"), "{}", ran.whole());
    assert!(
        ran.stderr.contains("podman:twin") && ran.stderr.contains("nspawn:twin"),
        "{}",
        ran.whole()
    );
}

#[test]
fn processes_that_end_meanwhile_do_no_harm() {
    need!(user_namespace);
    let uth = Uth::new();
    let script = r#"
(while :; do /bin/true & unshare --uts /bin/true & wait; done) &
for i in $(seq 40); do $UTH inspect ns >/dev/null; done"#;
    let ran = in_a_world(&uth, script).ok();
    assert_eq!(ran.stderr, "", "{}", ran.whole());
}

#[test]
fn the_host_is_what_uname_and_os_release_say() {
    let uth = Uth::new();
    let json = uth.run(["inspect", "host", "--format", "json"]).ok().json();
    let uname =
        uth.sh("uname -s; uname -r; uname -m; . /etc/os-release; echo $PRETTY_NAME").ok().stdout;
    let field = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    let ours =
        ["/kernel/name", "/kernel/release", "/architecture", "/os_release/pretty_name"].map(field);
    assert_eq!(ours.join("\n"), uname.trim(), "{json:#}");
    let modules = std::fs::read_to_string("/proc/modules").ok().map(|text| text.lines().count());
    assert_eq!(json["modules"].as_u64(), modules.map(|count| count as u64));
    assert_eq!(json["modules_supported"], modules.is_some());
}

/// Ours, by the registry; and from another `UTH_HOME`, by its shim alone.
#[test]
fn our_own_container_is_known_and_its_shim_seen() {
    need!(user_namespace);
    let (uth, stranger) = (Uth::new(), Uth::new());
    uth.run(["run", "-d", "--name", "known", "base", "sleep", "60"]).ok();
    uth.run(["exec", "-d", "known", "sleep", "61"]).ok();
    let process = uth.run(["inspect", "process", "known", "--format", "json"]).ok().json();
    let pid = process["pid"].to_string();
    let from_afar = stranger.run(["inspect", "process", &pid, "--format", "json"]).ok().json();
    let rows = uth.run(["inspect", "ns", "--container", "known", "--format", "json"]).ok();
    uth.run(["stop", "-t", "0", "known"]).ok();
    for json in [&process, &from_afar] {
        assert_eq!(json["owner"]["engine"], "under-the-hood", "{json:#}");
        assert_eq!(json["owner"]["name"], "known", "{json:#}");
        let ancestry = json["ancestry"].as_array().unwrap();
        assert_eq!(ancestry[ancestry.len() - 2]["cmd"], "under-the-hood: shim of known");
        assert_eq!(json["seccomp"]["filters"], 2, "{json:#}");
    }
    for row in rows.json()["namespaces"].as_array().unwrap() {
        let own = row["owner"]["kind"] == "container";
        let kind = row["type"].as_str().unwrap();
        assert_eq!(row["owner"]["label"], if own { "under-the-hood:known" } else { "host" });
        let shared = kind == "time" || kind == "user" && rustix::process::geteuid().is_root();
        assert_eq!(own, !shared, "{row:#}");
        let both = row["nprocs"].as_u64() >= Some(2);
        assert!(both, "exec's process is in it too: {row:#}");
    }
    let gone = uth.run(["inspect", "process", "known"]).one_error(1);
    assert!(gone.stderr.contains("no container known is running"), "{}", gone.whole());
}
