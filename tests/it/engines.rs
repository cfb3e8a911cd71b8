//! What engines say of their containers: names, images, ports. Here a program
//! stands in for Docker's daemon, and says what it should not, too, or nothing;
//! the real engines are in interop.rs.

use serde_json::Value;

use crate::harness::{Ran, Uth};
use crate::inspect::in_a_world;

/// Processes with Docker's and Podman's signs (the command lines of their
/// monitors), and a socket at which $T/answer is what is answered; where that is
/// not there, nothing ever is.
const ENGINES: &str = r#"
export DOCKER_HOST=unix://$T/docker.sock
id() { printf "a%063d" $1; }
perl=$(command -v perl)
ln -s $perl $T/containerd-shim-runc-v2; ln -s $perl $T/conmon
echo 'system("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "60")' >$T/shim
$T/containerd-shim-runc-v2 $T/shim -namespace moby -id $(id 11) & shim=$!
$T/containerd-shim-runc-v2 $T/shim -namespace moby -id $(id 12) & other=$!
$T/conmon $T/shim -n hull -c $(id 31) & conmon=$!
first() { until first=$(pgrep -P $(pgrep -P $1)) && [ "$(cat /proc/$first/comm)" = sleep ]; do sleep 0.01; done 2>/dev/null; echo $first; }
for it in $shim $other $conmon; do first $it; done >$T/pids
cat >$T/daemon <<'P'
use IO::Socket::UNIX;
$s = IO::Socket::UNIX->new(Local => "$ARGV[0]/docker.sock", Listen => 9) or die;
while ($c = $s->accept) {
  if (open F, "<", "$ARGV[0]/answer") { local $/; $r = ""; sysread $c, $r, 4096; print $c <F>; close F; close $c }
  else { push @kept, $c }
}
P
perl $T/daemon $T & until [ -S $T/docker.sock ]; do sleep 0.01; done
answer() { printf 'HTTP/1.0 200 OK\r\n\r\n%s' "$1" >$T/answer; }
right() { answer '[{"Id":"'$(id 11)'","Names":["/web"],"Image":"httpd:2.4","Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":443,"Type":"tcp"}]},
  {"Id":"'$(id 12)'","Names":["/hull"],"Image":"evil\u001b[2J"}]'; }
"#;

macro_rules! need_engines {
    () => {
        need!(root);
        need!(tool "perl");
    };
}

fn pids(uth: &Uth) -> Vec<i64> {
    let text = std::fs::read_to_string(uth.home().join("pids")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn values(ran: &Ran) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
    values.map(|value| value.unwrap()).collect()
}

#[test]
fn names_that_only_the_engine_knows_are_targets() {
    need_engines!();
    let uth = Uth::new();
    let looks = r#"
right
for target in web docker:web docker:hull podman:hull $(id 11 | cut -c 1-63)1 docker:$(id 12); do
  $UTH inspect process $target --format json
done
$UTH inspect containers --format json
$UTH inspect containers >&2
! $UTH inspect process hull 2>$T/ambiguous
! $UTH inspect process a000 2>$T/prefix
! $UTH inspect process podman:web 2>$T/none"#;
    let ran = in_a_world(&uth, &format!("{ENGINES}{looks}")).ok();
    let (values, pids) = (values(&ran), pids(&uth));
    let found: Vec<_> = values[..6].iter().map(|value| value["pid"].as_i64().unwrap()).collect();
    assert_eq!(found, [pids[0], pids[0], pids[1], pids[2], pids[0], pids[1]], "{}", ran.whole());
    let list = values[6]["containers"].as_array().unwrap();
    let of = |pid: i64| list.iter().find(|entry| entry["pid"] == pid).unwrap();
    let web = of(pids[0]);
    assert_eq!(web["owner"]["label"], "docker:web", "{web:#}");
    assert_eq!(web["image"], "httpd:2.4", "{web:#}");
    assert_eq!(web["ports"], serde_json::json!(["0.0.0.0:8080->80/tcp"]), "{web:#}");
    assert_eq!(of(pids[1])["owner"]["label"], "docker:hull");
    assert!(!ran.stderr.contains('\u{1b}') && ran.stderr.contains("httpd:2.4"), "{}", ran.whole());
    let read = |name: &str| std::fs::read_to_string(uth.home().join(name)).unwrap();
    for name in ["ambiguous", "prefix"] {
        let said = read(name);
        assert!(said.contains("more than one"), "{said}");
        assert!(said.contains("docker:hull") && said.contains("podman:hull"), "{said}");
    }
    assert!(read("none").contains("no container podman:web"), "{}", read("none"));
}

/// It answers with garbage, or with an error, or cuts its answer, or is not there,
/// or never answers at all: what the kernel knows is shown all the same, in time,
/// and it is said what is not.
#[test]
fn an_engine_that_answers_nothing_of_use_is_said_to() {
    need_engines!();
    let uth = Uth::new();
    let looks = r#"
try() {
  timeout 30 $UTH inspect process docker:$(id 11) --format json
  timeout 30 $UTH inspect containers --format json
  if timeout 30 $UTH inspect process docker:web 2>$T/$1; then echo "$1 was found" >&2; exit 1; fi
}
right; chown 0:44 $T/docker.sock; chmod 660 $T/docker.sock
user="setpriv --reuid 65534 --regid 65534 --clear-groups env UTH_HOME=/nowhere $UTH"
! $user inspect process docker:web 2>$T/closed
chmod 666 $T/docker.sock; $user inspect process docker:web --format json >/dev/null 2>$T/open || true
printf 'SSH-2.0-OpenSSH\r\n' >$T/answer; try garbage
answer '{"Id": [[['; try cut
answer '{"message": "x"}'; try other
printf 'HTTP/1.0 500 Oh\r\n\r\n\033[2J' >$T/answer; try error
rm $T/answer; try never
rm $T/docker.sock; try gone"#;
    let ran = in_a_world(&uth, &format!("{ENGINES}{looks}")).ok();
    let (values, pids) = (values(&ran), pids(&uth));
    let read = |name: &str| std::fs::read_to_string(uth.home().join(name)).unwrap();
    let group = uth.sh("getent group 44 | cut -d : -f 1").ok().stdout;
    assert!(
        read("closed").replace("\n  ", " ").contains(&format!("the group {}", group.trim())),
        "{}",
        read("closed")
    );
    assert!(!read("open").contains("no container"), "{}", read("open"));
    assert_eq!(values.len(), 12, "{}", ran.whole());
    for (at, how) in ["garbage", "cut", "other", "error", "never", "gone"].iter().enumerate() {
        let (one, all) = (&values[at * 2], &values[at * 2 + 1]);
        assert_eq!(one["pid"], pids[0], "{how}: {one:#}");
        let listed = all["containers"].as_array().unwrap();
        assert!(listed.iter().any(|entry| entry["pid"] == pids[0]), "{how}: {all:#}");
        let silent = all["silent_engines"].as_array().unwrap();
        assert!(silent.iter().any(|one| one["engine"] == "docker"), "{how}: {all:#}");
        let said = read(how);
        assert!(said.contains("Error: no container docker:web"), "{how}: {said}");
        assert!(said.contains("docker says nothing"), "{how}: {said}");
        assert!(!said.contains('\u{1b}') && !said.contains("panicked"), "{how}: {said}");
    }
}

/// Processes with the signs of containerd's, Podman's, LXC's and LXD's monitors, whose
/// command lines name a socket or directories; and programs that stand in for `ctr` and
/// `podman` and do what $T/how says.
const OTHERS: &str = r#"
export PATH=$T/bin:$PATH LXD_DIR=$T/lxd
mkdir -p $T/bin $T/lxc/pond $T/lxd $T/s/overlay-containers
for it in ctr podman; do printf '#!/bin/sh\n. %s/how\n' $T >$T/bin/$it; chmod 755 $T/bin/$it; done
touch $T/ctr.sock
echo '$0 = "[lxc monitor] $ARGV[0] $ARGV[1]"; system("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "60")' >$T/monitor
$T/containerd-shim-runc-v2 $T/shim -namespace default -id tide -address $T/ctr.sock & shim=$!
$T/conmon $T/shim -n reef -c $(id 41) --exit-command-arg --root --exit-command-arg $T/s & conmon=$!
perl $T/monitor $T/lxc pond & lxc=$!
perl $T/monitor $T/lxd/containers lake & lxd=$!
for it in $shim $conmon $lxc $lxd; do first $it; done >$T/pids
"#;

/// Each of them by its own word; and then saying nothing, or nonsense, or without end,
/// or nothing at all: what the kernel knows is shown all the same, in time.
#[test]
fn programs_that_say_nothing_of_use_are_borne_with() {
    need_engines!();
    let uth = Uth::new();
    let looks = r#"
unset DOCKER_HOST
perl $T/daemon $T/lxd & until [ -S $T/lxd/docker.sock ]; do sleep 0.01; done
mv $T/lxd/docker.sock $T/lxd/unix.socket
look() { timeout 30 $UTH inspect containers --wide --format json; timeout 30 $UTH inspect containers >/dev/null 2>&1; }
named() { for t in containerd:tide podman:reef lxc:pond lxd:lake; do timeout 30 $UTH inspect process $t --format json >/dev/null; done; }
cat >$T/how <<'H'
case "$*" in
  *"namespaces ls"*) echo default ;;
  *"containers ls"*) printf 'CONTAINER IMAGE RUNTIME\ntide docker.io/library/sea:1 io.containerd.runc.v2\n' ;;
  *"ps --format json"*) echo '[{"Id": "'$(printf 'a%063d' 41)'", "Names": ["reef"], "Image": "localhost/coral:2", "Ports": [{"host_ip": "", "host_port": 8000, "container_port": 80, "protocol": "tcp", "range": 2}]}]' ;;
esac
H
printf '# Template used to create this container: /usr/share/lxc/templates/lxc-busybox\n' >$T/lxc/pond/config
answer '{"metadata": [{"name": "lake", "config": {"image.description": "Debian"}, "expanded_devices": {}}]}'; mv $T/answer $T/lxd/answer
look; named
rm $T/lxc/pond/config; mkfifo $T/lxc/pond/config
echo 'exec sleep 600' >$T/how; mv $T/lxd/answer $T/lxd/kept; look; named
printf 'SSH-2.0\033[2J\r\n' >$T/lxd/answer
echo 'printf "\033[2J [[[ nonsense\n\n"' >$T/how; look; named
head -c 9000000 /dev/zero >$T/lxd/answer; rm $T/lxc/pond/config; head -c 9000000 /dev/zero >$T/lxc/pond/config
echo 'exec yes' >$T/how; look; named
rm $T/lxc/pond/config; echo 'exit 3' >$T/how; look; named
rm $T/bin/ctr $T/bin/podman $T/lxd/unix.socket; export PATH=/nowhere:$PATH; look; named
! pgrep -f '^sleep 600$' -s 0 >&2"#;
    let ran = in_a_world(&uth, &format!("{ENGINES}{OTHERS}{looks}")).ok();
    let (values, pids) = (values(&ran), pids(&uth));
    assert_eq!(values.len(), 6, "{}", ran.whole());
    for (value, how) in
        values.iter().zip(["right", "never", "garbage", "endless", "failing", "gone"])
    {
        let list = value["containers"].as_array().unwrap();
        let of = |pid: i64| list.iter().find(|entry| entry["pid"] == pid).unwrap();
        let said: Vec<_> =
            pids.iter().map(|pid| of(*pid)["image"].as_str().unwrap_or("-")).collect();
        let silent = value["silent_engines"].as_array().unwrap();
        if how == "right" {
            let images = ["docker.io/library/sea:1", "localhost/coral:2", "busybox", "Debian"];
            assert_eq!(said, images, "{value:#}");
            let ports = serde_json::json!(["0.0.0.0:8000->80/tcp", "0.0.0.0:8001->81/tcp"]);
            assert_eq!(of(pids[1])["ports"], ports, "{value:#}");
            continue;
        }
        assert_eq!(said[1..], ["-", "-", "-"], "{how}: {value:#}");
        // Where the stand-in is gone, a real podman may be there, and knows nothing of it.
        let silenced = if how == "gone" { &["lxc", "lxd"][..] } else { &["podman", "lxc", "lxd"] };
        for engine in silenced.iter().copied() {
            assert!(
                silent.iter().any(|one| one["engine"] == engine),
                "{how}, {engine}: {silent:#?}"
            );
        }
        // Garbage of containerd's is a list without this container.
        assert_eq!(
            silent.iter().any(|one| one["engine"] == "containerd"),
            how != "garbage",
            "{how}: {silent:#?}"
        );
        assert!(!value.to_string().contains("\\u001b"), "{how}: {value:#}");
    }
}

/// Those of whom nobody is asked: rkt, which ended in 2020, nspawn, and pods of CRI-O's.
#[test]
fn rkt_and_pods_are_recognised() {
    need_engines!();
    let uth = Uth::new();
    let looks = r#"
ln -s $perl $T/systemd-nspawn
uuid=bfb7d57e-80ff-4ef8-b602-9b907b3f3a38
$T/systemd-nspawn $T/shim --machine=rkt-$uuid & rkt=$!
$T/systemd-nspawn $T/shim -M cave & nspawn=$!
$T/conmon $T/shim -c $(id 51) -n k8s_httpd_web-7_default_3f0c_0 & crio=$!
for it in $rkt $nspawn $crio; do first $it; done >$T/pids
right
for t in rkt:$uuid nspawn:cave kubernetes:default/web-7/httpd; do $UTH inspect process $t --format json; done
$UTH inspect containers --wide --format json
$UTH inspect containers --wide >$T/text 2>&1
$UTH inspect containers 2>&1 >/dev/null | tee -a $T/text >&2"#;
    let ran = in_a_world(&uth, &format!("{ENGINES}{looks}")).ok();
    let (values, pids) = (values(&ran), pids(&uth));
    let found: Vec<_> = values[..3].iter().map(|value| value["pid"].as_i64().unwrap()).collect();
    assert_eq!(found, pids, "{}", ran.whole());
    let list = values[3]["containers"].as_array().unwrap();
    let of = |pid: i64| list.iter().find(|entry| entry["pid"] == pid).unwrap();
    assert_eq!((&of(pids[0])["ended"], &of(pids[1])["ended"]), (&2020.into(), &Value::Null));
    let text = std::fs::read_to_string(uth.home().join("text")).unwrap();
    assert_eq!(text.matches("rkt's development ended in 2020").count(), 2, "{text}");
}
