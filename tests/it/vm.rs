//! What the development machine lacks, in a virtual machine beside it
//! (../shared/vm): pure cgroup v2, systemd, a login session, sudo, Linux 6.1.
//! `.ci/run` builds the static program that these tests take in there.

use std::path::Path;
use std::time::Duration;

use crate::harness::{Ran, Uth};
use crate::skip::VM;

/// A static build: the machine in there has another C library.
const STATIC: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/target/static/x86_64-unknown-linux-gnu/debug");

/// Runs a shell script in the virtual machine as this user; `$UTH` is the program.
fn inside(user: &str, script: &str) -> Ran {
    inside_with(user, &[], script)
}

/// The same with more options of `vm run`: `--delegate`.
fn inside_with(user: &str, options: &[&str], script: &str) -> Ran {
    let uth = Uth::new();
    let mut vm = uth.beside(VM);
    if let Some(home) = std::env::var_os("HOME") {
        vm.env("HOME", home); // where it keeps its image
    }
    vm.args([
        "run",
        "--user",
        user,
        "--mount",
        &format!("{STATIC}:/src"),
        "--env",
        "UTH=/src/under-the-hood",
        "--timeout",
        "600",
    ]);
    vm.args(options).args(["--", "sh", "-c", script]);
    // Without hardware to help, everything in there takes some ten times as long.
    uth.wait_for(vm, Duration::from_secs(620))
}

macro_rules! need_static {
    () => {
        need!(vm);
        need!(sh "the static program that .ci/run builds", &format!("test -x {STATIC}/under-the-hood"));
    };
}

/// Lessons hold every claim (`least` of them or more), one after the other in one
/// machine, each after its script; what an ordinary user cannot test is said to be
/// so. `verify` would play it all once more.
fn lessons_as(user: &str, lessons: &[(u8, usize, &str)]) {
    let play = |(lesson, _, before): &(u8, usize, &str)| {
        format!("{before}\n$UTH lesson {lesson} --auto 2>&1; echo \"{END}$?\"\n")
    };
    let ran = inside(user, &lessons.iter().map(play).collect::<String>());
    let parts: Vec<_> = ran.stdout.split(END).collect();
    assert_eq!(parts.len(), lessons.len() + 1, "{}", ran.whole());
    for (number, (_, least, _)) in lessons.iter().enumerate() {
        // The exit code of each stands at the beginning of the next one's part.
        let code = parts[number + 1].lines().next().and_then(|line| line.parse().ok());
        let mut ran = ran.clone();
        (ran.stdout, ran.code) = (parts[number].to_owned(), code);
        holds(&ran, user, *least);
    }
}

/// What stands between the lessons; the exit code follows.
const END: &str = "=== the lesson ended with ";

fn holds(ran: &Ran, user: &str, least: usize) {
    let end = regex::Regex::new(r"(\d+) of (\d+) claims hold on this machine(?:, (\d+) cannot)?");
    let end = end.unwrap().captures(&ran.stdout).unwrap_or_else(|| panic!("{}", ran.whole()));
    let number = |at| end.get(at).map_or(0, |text| text.as_str().parse::<usize>().unwrap());
    let (hold, all, untestable) = (number(1), number(2), number(3));
    assert!(all >= least && hold + untestable == all, "{}", ran.whole());
    assert!(user != "root" || untestable == 0, "{}", ran.whole());
    assert_eq!(ran.code, Some(0), "{}", ran.whole());
}

/// A mirror of Alpine's on the loopback interface, from which an archive shaped
/// like a minirootfs is fetched; afterwards it is here, and the lesson enters it.
const MIRROR: &str = r#"set -e
v=9.8.7 arch=$(uname -m); f=alpine-minirootfs-$v-$arch.tar.gz d=/tmp/m/alpine/v9.8/releases/$arch; mkdir -p $d
$UTH image base --output $d/$f >/dev/null; (cd $d && sha256sum $f >$f.sha256)
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8123", Listen => 9) or die; open R, ">/tmp/ready";
  while ($c = $s->accept) { $r = <$c>; while (($l = <$c>) =~ /\S/) {} ($p) = $r =~ m{GET /(\S+)}; local $/;
  $ok = open F, "<", "/tmp/m/$p"; $b = $ok ? <F> : ""; printf $c "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
  $ok ? "200 OK" : "404 Not Found", length $b, $b; close $c }' & server=$!
until [ -e /tmp/ready ]; do sleep 0.05; done
$UTH chroot --mirror http://127.0.0.1:8123/alpine --version $v alpine true; kill $server; rm -r /tmp/m
$UTH chroot --or-base alpine true 2>&1 | grep -q 'no network needed'
"#;

#[test]
#[ignore = "boots a virtual machine"]
fn lessons_1_and_2_play_for_root_vm() {
    need_static!();
    lessons_as("root", &[(1, 10, ""), (2, 10, "")]);
}

#[test]
#[ignore = "boots a virtual machine"]
fn lessons_1_and_2_play_for_an_ordinary_user_vm() {
    need_static!();
    lessons_as("learner", &[(1, 10, ""), (2, 10, "")]);
}

/// Without a network, and then with one: a mirror.
#[test]
#[ignore = "boots a virtual machine"]
fn lesson_3_plays_for_root_vm() {
    need_static!();
    lessons_as("root", &[(3, 12, ""), (3, 12, MIRROR)]);
}

/// No registry can be reached in there: the lessons say so, and go on with base.
#[test]
#[ignore = "boots a virtual machine"]
fn lessons_5_to_7_play_for_root_vm() {
    need_static!();
    lessons_as("root", &[(5, 15, ""), (6, 16, ""), (7, 17, "")]);
}

#[test]
#[ignore = "boots a virtual machine"]
fn lessons_5_to_7_play_for_an_ordinary_user_vm() {
    need_static!();
    lessons_as("learner", &[(5, 15, ""), (6, 16, ""), (7, 17, "")]);
}

#[test]
#[ignore = "boots a virtual machine"]
fn lesson_3_plays_for_an_ordinary_user_vm() {
    need_static!();
    lessons_as("learner", &[(3, 12, ""), (3, 12, MIRROR)]);
}

/// Where /dev/net/tun is open to everybody and the user has a range of ids.
#[test]
#[ignore = "boots a virtual machine"]
fn a_learner_gets_out_by_slirp4netns_vm() {
    need_static!();
    let script = "$UTH run --network slirp4netns base cat /proc/net/route; pgrep slirp4netns; \
        $UTH run -p 8080:80 base true; echo $?";
    let ran = inside("learner", script).ok();
    assert!(ran.stdout.contains("tap0\t00000000\t0202000A"), "{}", ran.whole());
    assert!(ran.stdout.ends_with("\n4\n") && ran.stderr.contains("passt"), "{}", ran.whole());
}

#[test]
#[ignore = "boots a virtual machine"]
fn a_run_leaves_nothing_in_a_login_session() {
    need_static!();
    let script = "before=$(ps -e -o args= | grep -c under-the-hoo[d]); \
        $UTH run base sh -c 'id -u; hostname >/dev/null' && $UTH cleanup --list; \
        sleep 1; ps -e -o args= | grep under-the-hoo[d]; grep under-the-hood /proc/self/mountinfo; \
        find \"$XDG_RUNTIME_DIR/under-the-hood\" -type f; exit 0";
    let ran = inside("learner", script).ok();
    assert!(ran.stdout.starts_with("0\n"), "root in there: {}", ran.whole());
    assert_eq!(
        ran.stdout.lines().filter(|line| line.contains(".json") || line.contains("__init")).count(),
        0,
        "{}",
        ran.whole()
    );
}

/// systemd gives some of its services namespaces: they are no containers, and
/// neither is what somebody starts in a login session; ours is.
#[test]
#[ignore = "boots a virtual machine"]
fn services_are_not_called_containers() {
    need_static!();
    let script = "systemd-run -q -p PrivateTmp=yes -p PrivateNetwork=yes --unit uth-test sleep 600; \
        unshare --net sleep 601 & \
        $UTH run -d --name box base sleep 602 >/dev/null; sleep 1; \
        $UTH inspect containers --format json; $UTH stop -t 0 box >/dev/null";
    let json = inside("root", script).ok().json();
    let commands = |which: &str, what: &str| -> Vec<String> {
        let all = json[which].as_array().unwrap().iter();
        let of_it = all.filter(|entry| entry["what"] == what);
        of_it.map(|entry| entry["command"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(commands("containers", "container"), ["sleep 602"], "{json:#}");
    let services = commands("others", "service");
    assert!(services.iter().any(|command| command.ends_with("sleep 600")), "{json:#}");
    assert_eq!(commands("others", "namespaces"), ["sleep 601"], "{json:#}");
    let others = json["others"].as_array().unwrap().iter();
    let service = others.clone().find(|e| e["command"].as_str().unwrap().ends_with("sleep 600"));
    let evidence = &service.unwrap()["owner"]["evidence"];
    assert_eq!(evidence, "systemd unit uth-test.service", "{json:#}");
}

/// Where user namespaces are switched off, it says so, with the switch.
#[test]
#[ignore = "boots a virtual machine"]
fn without_user_namespaces_it_names_the_switch() {
    need_static!();
    let script = "sudo sysctl -qw kernel.unprivileged_userns_clone=0; $UTH run base true";
    let ran = inside("learner", script).one_error(125);
    assert!(ran.stderr.contains("user namespace"), "{}", ran.whole());
    let ran = inside("learner", &format!("{}; $UTH doctor", script.split(';').next().unwrap()));
    assert!(ran.stdout.contains("unprivileged_userns_clone"), "{}", ran.whole());
}

/// What doctor says of this machine: version 2 of control groups and what is
/// delegated, ids to map, and the limit that forbids user namespaces to all.
#[test]
#[ignore = "boots a virtual machine"]
fn doctor_tells_an_ordinary_user_what_is_missing_and_the_fix() {
    need_static!();
    let facts = |script: &str| {
        let ran = inside("learner", &format!("{script} $UTH doctor --offline --format json"));
        let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        move |section: &str, name: &str| {
            let facts = said["facts"].as_array().unwrap().iter();
            let found = facts.into_iter().find(|f| f["section"] == section && f["name"] == name);
            found.unwrap_or_else(|| panic!("{section}/{name}")).clone()
        }
    };
    let fact = facts("");
    assert_eq!(fact("Control groups", "layout")["value"], "v2");
    let delegated = fact("Control groups", "version 2");
    assert!(delegated["fix"].as_str().unwrap().starts_with("systemd-run --user"), "{delegated}");
    assert_eq!(fact("User namespaces", "a range of ids")["ok"], true);
    assert_eq!(fact("You", "root")["fix"], "sudo /src/under-the-hood lesson 1");
    let fact = facts("sudo sysctl -qw user.max_user_namespaces=0;");
    for (section, name) in [("User namespaces", "user namespace"), ("Namespaces", "net")] {
        let made = fact(section, name);
        let reason = made["reason"].as_str().unwrap();
        assert!(reason.starts_with("user.max_user_namespaces is 0"), "{made}");
        let fix = made["fix"].as_str().unwrap();
        assert!(fix.starts_with("sudo sysctl -w user.max_user_namespaces="), "{made}");
    }
}

/// The static program is one: its loader is not needed in there.
#[test]
#[ignore = "needs the static build"]
fn vm_program_is_static() {
    need_static!();
    let program = std::fs::read(Path::new(STATIC).join("under-the-hood")).unwrap();
    assert!(!program.windows(8).any(|bytes| bytes == b"/ld-linu"), "it names a loader");
}

/// Limits of version 2, by root and by an ordinary user, to whom systemd's user
/// manager delegates a group; nothing is left, and the settings are as before.
fn limits_of_version_2(user: &str) {
    // What systemd hands on above an ordinary user's groups is its own business.
    let script = "cd /tmp; state() { test $(id -u) != 0 || cat /sys/fs/cgroup/cgroup.subtree_control; \
            find /sys/fs/cgroup -name 'under-the-hood*'; }; \
        state >before; set -e; \
        $UTH cgroup prove cpu --format json >cpu || test $? = 3; \
        $UTH cgroup prove memory --format json >memory; $UTH cgroup prove pids --format json >pids; \
        $UTH cgroup limit --memory 32M --pids 30 --format json -- \
            sh -c 'cat /proc/self/cgroup >&2; echo in' >limit 2>groups; \
        state >after; cmp before after >&2; cat cpu memory pids; tail -n +2 limit; cat groups >&2";
    let ran = inside(user, script).ok();
    let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<serde_json::Value>();
    let values: Vec<_> = values.map(|value| value.unwrap()).collect();
    assert_eq!(values.len(), 4, "{}", ran.whole());
    let usage = &values[0]["proofs"][0]["usage"];
    assert!(usage["throttled"].as_u64().unwrap() > 0, "{}", ran.whole());
    assert!(usage["cpu_ns"].as_u64() <= Some(usage["periods"].as_u64().unwrap() * 22_000_000));
    for proof in &values[1..3] {
        assert_eq!(proof["proofs"][0]["verdict"], "holds", "{}", ran.whole());
    }
    let usage = &values[3]["usage"];
    assert_eq!((&usage["memory_limit"], &usage["tasks_limit"]), (&(32 << 20).into(), &30.into()));
    assert!(
        ran.stderr.contains("0::/") && ran.stderr.contains("under-the-hood-"),
        "{}",
        ran.whole()
    );
}

#[test]
#[ignore = "boots a virtual machine"]
fn limits_of_version_2_for_root_vm() {
    need_static!();
    limits_of_version_2("root");
}

#[test]
#[ignore = "boots a virtual machine"]
fn limits_of_version_2_for_an_ordinary_user_vm() {
    need_static!();
    limits_of_version_2("learner");
}

/// All of the hierarchy that somebody could have changed: which groups there are
/// of ours, who is in this shell's, and what is handed on at the top and here.
const STATE: &str = "cd /tmp; here=/sys/fs/cgroup$(sed 's/^0:://' /proc/self/cgroup); \
    state() { find /sys/fs/cgroup -name 'under-the-hood*' -o -name 'lesson4-*'; \
        cat $here/cgroup.subtree_control; grep -x $$ $here/cgroup.procs; \
        test $(id -u) != 0 || cat /sys/fs/cgroup/cgroup.subtree_control; }; ";

/// Lesson 4: every claim holds, or says that it needs root; nothing is left.
fn lesson_4_as(user: &str, options: &[&str]) {
    let script = format!(
        "{STATE} state >before; $UTH lesson 4 --auto; code=$?; state >after; cmp before after >&2 && exit $code"
    );
    let ran = inside_with(user, options, &script);
    holds(&ran, user, 18);
    let needs = |line: &&str| line.contains("cannot be tested here (");
    for line in ran.stdout.lines().filter(needs) {
        assert!(line.contains("needs root"), "{line}\n{}", ran.whole());
    }
}

#[test]
#[ignore = "boots a virtual machine"]
fn lesson_4_plays_for_root_vm() {
    need_static!();
    lesson_4_as("root", &[]);
}

#[test]
#[ignore = "boots a virtual machine"]
fn lesson_4_plays_for_an_ordinary_user_vm() {
    need_static!();
    lesson_4_as("learner", &[]);
}

#[test]
#[ignore = "boots a virtual machine"]
fn lesson_4_plays_in_a_delegated_group_vm() {
    need_static!();
    lesson_4_as("learner", &["--delegate"]);
}

/// Containers with limits side by side, stopped in either order: whoever asked
/// for them lives on, and in the end everything is as it was.
fn side_by_side(user: &str, options: &[&str], flags: &str) {
    let script = format!(
        "{STATE} set -e; $UTH run base true; state >before; \
         for order in 'one two' 'two one'; do \
           $UTH run -d --name one {flags} base sleep 601 >/dev/null; \
           $UTH run -d --name two {flags} base sleep 602 >/dev/null; \
           for name in one two; do $UTH cgroup watch $name --count 1 --format json; done; \
           for name in $order; do $UTH stop -t 0 $name >&2; done; \
           state >after; diff before after >&2; \
         done; $UTH cleanup --list >&2"
    );
    let ran = inside_with(user, options, &script).ok();
    let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<serde_json::Value>();
    let usages: Vec<_> = values.map(|value| value.unwrap()["usage"].clone()).collect();
    assert_eq!(usages.len(), 4, "{}", ran.whole());
    for usage in usages {
        assert_eq!((&usage["tasks"], &usage["tasks_limit"]), (&1.into(), &20.into()), "{usage}");
    }
}

#[test]
#[ignore = "boots a virtual machine"]
fn containers_with_limits_go_in_any_order_vm() {
    need_static!();
    side_by_side("learner", &["--delegate"], "--pids-limit 20");
    // io is what systemd does not hand on at the top.
    side_by_side(
        "root",
        &[],
        "--pids-limit 20 --device-read-bps $(lsblk -dno PATH | head -n 1):1M",
    );
}

/// What `exec` starts is in the container's group, whoever's session it comes from.
#[test]
#[ignore = "boots a virtual machine"]
fn exec_joins_the_group_of_a_users_container_vm() {
    need_static!();
    let script = "$UTH run -d --name box --memory 32M --memory-swap 32M --pids-limit 20 base sleep 600 >&2; \
        $UTH exec -d box sleep 601; for i in $(seq 50); do pgrep -x -f 'sleep 601' >/dev/null && break; sleep 0.1; done; \
        cat /proc/$(pgrep -x -f 'sleep 600')/cgroup /proc/$(pgrep -x -f 'sleep 601')/cgroup; \
        $UTH exec box tail /dev/zero; echo $?; $UTH cgroup watch box --count 1; $UTH stop -t 0 box >&2";
    for options in [&[][..], &["--delegate"]] {
        let ran = inside_with("learner", options, script).ok();
        let lines: Vec<_> = ran.stdout.lines().collect();
        assert!(lines[0].contains("/under-the-hood-"), "{}", ran.whole());
        assert_eq!(lines[0], lines[1], "{}", ran.whole());
        assert_eq!(lines[2], "137", "{}", ran.whole());
        assert!(lines[3].contains("1 killed for memory"), "{}", ran.whole());
    }
}

/// A disk held to its rate by `io.max`.
#[test]
#[ignore = "boots a virtual machine"]
fn a_disk_is_held_to_its_rate_vm() {
    need_static!();
    let script = format!(
        "{STATE} state >before; cp $UTH /root/uth; /root/uth cgroup prove io --format json; \
         state >after; cmp before after >&2"
    );
    let ran = inside("root", &script).ok();
    let proof = &ran.json()["proofs"][0];
    assert_eq!(proof["verdict"], "holds", "{}", ran.whole());
    assert!(proof["usage"]["read_bytes"].as_u64().unwrap() >= 4 << 20, "{}", ran.whole());
}

/// Version 2, where the groups of a race are weighed by cpu.weight, and Linux 6.1,
/// where RT throttling keeps the rest of a CPU; an ordinary user is told the rule.
#[test]
#[ignore = "boots a virtual machine"]
fn sched_race_and_rt_of_version_2_vm() {
    need_static!();
    let script = format!(
        "{STATE} state >before; $UTH sched rt --seconds 2 --format json; \
         $UTH sched race --weight 100,300 --seconds 2 --format json; state >after; cmp before after >&2; \
         runuser -u learner -- $UTH sched rt >&2 || echo '{{\"refused\":true}}'"
    );
    let ran = inside("root", &script).ok();
    let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<serde_json::Value>();
    let values: Vec<_> = values.map(|value| value.unwrap()).collect();
    assert_eq!(values.len(), 3, "{}", ran.whole());
    assert_eq!(values[0]["mechanism"], "rt-throttling", "{}", ran.whole());
    // Starving would be 0, sharing as equals a half.
    let left = values[0]["experiment"]["left_share"].as_f64().unwrap();
    assert!((0.02..0.3).contains(&left), "{}", ran.whole());
    assert_eq!(values[1]["weights_of"], "cgroup");
    let racer = |n: usize, key: &str| values[1]["racers"][n][key].as_f64().unwrap();
    assert_eq!((racer(0, "predicted"), racer(1, "predicted")), (0.25, 0.75));
    assert!(racer(1, "share") > 2.0 * racer(0, "share"), "{}", ran.whole());
    assert!(ran.stderr.contains("RLIMIT_RTPRIO"), "{}", ran.whole());
}

/// Each refusal is told by the rule that was hit.
#[test]
#[ignore = "boots a virtual machine"]
fn refusals_name_the_rule_vm() {
    need_static!();
    let refused = |user: &str, options: &[&str], script: &str, code, rule: &str| {
        let ran = inside_with(user, options, script).one_error(code);
        assert!(ran.stderr.replace("\n  ", " ").contains(rule), "{script}: {}", ran.whole());
    };
    // Read-only, as containers get it.
    let script = "mount -o remount,ro /sys/fs/cgroup; $UTH cgroup limit --pids 5 -- true";
    refused("root", &[], script, 4, "read-only");
    // Missing: systemd's user manager was not handed cpuset.
    let script = "$UTH cgroup limit --cpuset 0 -- true";
    refused("learner", &["--delegate"], script, 4, "has no controller cpuset");
    // Not delegated, and nobody to ask.
    let script = "XDG_RUNTIME_DIR=/nowhere $UTH cgroup limit --pids 5 -- true";
    refused("learner", &[], script, 4, "is not delegated to you");
    // No more groups are allowed.
    let script = "echo 0 >/sys/fs/cgroup$(sed 's/^0:://' /proc/self/cgroup)/cgroup.max.descendants; \
        $UTH cgroup limit --pids 5 -- true";
    refused("learner", &["--delegate"], script, 1, "cgroup.max.descendants");
    // No internal processes: one that we cannot even see stays in the group.
    let script = "mkdir /sys/fs/cgroup/inner; echo $$ >/sys/fs/cgroup/inner/cgroup.procs; \
        unshare --cgroup --mount --pid --fork --mount-proc sh -c \
        'umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; $UTH cgroup limit --pids 5 -- true'";
    refused("root", &[], script, 1, "No internal processes");
}

/// What version 2 shows is what its files say.
#[test]
#[ignore = "boots a virtual machine"]
fn cgroups_of_version_2_are_shown_vm() {
    need_static!();
    let script = "set -e; g=/sys/fs/cgroup/shown; mkdir $g; echo 67108864 >$g/memory.max; \
        echo '20000 100000' >$g/cpu.max; echo 20 >$g/pids.max; sleep 60 & echo $! >$g/cgroup.procs; \
        $UTH cgroup show $! --format json; $UTH cgroup tree --format json; \
        $UTH cgroup ls --format json; $UTH sched ps --format json";
    let ran = inside("root", script).ok();
    let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<serde_json::Value>();
    let values: Vec<_> = values.map(|value| value.unwrap()).collect();
    let shown = values[0]["values"].as_array().unwrap();
    let words = |file: &str| {
        let found = shown.iter().find(|v| v["file"] == format!("/sys/fs/cgroup/shown/{file}"));
        found.unwrap_or_else(|| panic!("{file}: {}", ran.whole()))["words"].clone()
    };
    assert_eq!(words("memory.max"), "64 MiB");
    assert_eq!(words("cpu.max"), "0.2 CPUs: 20 ms in every 100 ms");
    assert_eq!(words("pids.max"), "20");
    let groups = values[1]["cgroups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["path"] == "/shown").unwrap();
    assert_eq!((&group["cpu_quota_us"], &group["tasks_limit"]), (&20_000.into(), &20.into()));
    let files = values[2]["directories"][0]["files"].as_array().unwrap();
    assert!(files.iter().all(|file| file["text"].is_string()), "{}", values[2]);
    assert!(values[3]["tasks"].as_array().unwrap().iter().any(|t| t["cgroup_weight"] == 100));
}
