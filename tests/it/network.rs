//! A way out: `netns connect` and `run --network`, in network namespaces made
//! for the test, so that the machine's own network stays as it is.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress, private_network};

/// What must fail: `! command` in the middle of a script does not end it, whatever
/// the command does.
const NEVER: &str = r#"never() { if "$@"; then echo "it should not have: $*" >&2; exit 1; fi; }"#;

/// Runs a script in a network namespace of its own; names of namespaces, and
/// the files in /mnt, are its own too.
fn private(uth: &Uth, script: &str) -> Ran {
    let mut unshare = uth.beside("unshare");
    let script = format!(
        "set -e; {NEVER}; mkdir -p /run/netns; mount -t tmpfs names /run/netns; mount -t tmpfs files /mnt
         mount -t sysfs sys /sys; ip link set lo up
         echo 0 >/proc/sys/net/ipv4/ip_forward; {script}"
    );
    unshare.args(["--mount", "--net", "sh", "-c", &script]);
    uth.wait(unshare)
}

/// A neighbour on another network, which only the host reaches: no route leads back.
const OUTSIDE: &str = "
    ip netns add uth-out; ip link add up0 type veth peer name w netns uth-out
    ip addr add 192.0.2.1/24 dev up0; ip link set up0 up
    ip -n uth-out addr add 192.0.2.2/24 dev w; ip -n uth-out link set w up";

#[test]
fn a_connected_namespace_gets_out_and_nothing_stays_when_it_is_undone() {
    need!(root);
    need!(tool "nft");
    need!(tool "busybox");
    let uth = Uth::new();
    let script = format!(
        "{OUTSIDE}
         nft 'add table ip theirs; add chain ip theirs c {{ type filter hook forward priority 0; }}'
         nft list ruleset >before; ip -o link | cut -d: -f2 >links
         ip netns add uth-in; ip netns add uth-two
         never ip netns exec uth-in busybox ping -c 1 -W 1 192.0.2.2
         [ $($UTH netns connect uth-in) = 10.213.0.2 ]
         [ $($UTH netns connect uth-two) = 10.213.0.3 ]
         ip netns exec uth-in busybox ping -c 1 -W 5 10.213.0.1
         ip netns exec uth-in busybox ping -c 1 -W 5 10.213.0.3
         ip netns exec uth-in busybox ping -c 1 -W 5 192.0.2.2
         [ $($UTH netns connect uth-in) = 10.213.0.2 ]; [ $(ip -n uth-in -o link | wc -l) = 2 ]
         $UTH netns connect uth-two --undo; [ $(cat /proc/sys/net/ipv4/ip_forward) = 1 ]
         ip netns exec uth-in busybox ping -c 1 -W 5 192.0.2.2
         $UTH cleanup --list
         $UTH netns connect uth-in --undo
         nft list ruleset >after; cmp before after; ip -o link | cut -d: -f2 >left; cmp links left
         [ $(cat /proc/sys/net/ipv4/ip_forward) = 0 ]
         # A namespace that ends takes its connection along, as the next start finds.
         $UTH netns connect uth-two; ip netns delete uth-two
         for i in $(seq 100); do ip -o link | grep -q 'master uth0' || break; sleep 0.05; done
         $UTH netns ports --collide >/dev/null; $UTH netns connect uth-in; $UTH cleanup
         nft list ruleset >after; cmp before after; ip -o link | cut -d: -f2 >left; cmp links left"
    );
    let ran = private(&uth, &format!("cd /mnt; {script}")).ok();
    for what in ["bridge uth0", "interface uth", "table ip under-the-hood-"] {
        let kept = |line: &str| line.starts_with("kept") && line.contains(what);
        assert!(ran.stdout.lines().any(kept), "{what}: {}", ran.whole());
    }
}

#[test]
fn hostile_connections_change_nothing() {
    need!(root);
    let uth = Uth::new();
    let script = format!(
        "{OUTSIDE}; ip netns add uth-in; ip link add theirs type bridge; ip -o link >/mnt/before
         no() {{ code=$1; shift; set +e; $UTH netns connect \"$@\"; got=$?; set -e; [ $got = $code ]; }}
         no 1 uth-in --subnet 192.0.2.0/25; no 1 uth-in --subnet 192.0.0.0/16
         no 2 uth-in --subnet 10.0.0.1/24; no 2 uth-in --subnet x; no 2 uth-in --bridge a/b
         no 2 uth-in --bridge waytoolongforthekernel; no 1 uth-in --bridge theirs
         no 1 $$; no 1 uth-in --undo; no 1 999999999; no 1 no-such-thing
         ip -o link >/mnt/after; cmp /mnt/before /mnt/after; [ $(ip -n uth-in -o link | wc -l) = 1 ]
         [ $(cat /proc/sys/net/ipv4/ip_forward) = 0 ]"
    );
    let ran = private(&uth, &script).ok();
    assert_eq!(ran.stderr.matches("Error:").count(), 11, "{}", ran.whole());
}

/// As Docker leaves it: what is passed on is dropped, but for what somebody lets through.
#[test]
fn rules_that_drop_what_is_passed_on_are_told_with_the_remedy() {
    need!(root);
    need!(tool "nft");
    need!(tool "iptables");
    need!(tool "busybox");
    let script = format!(
        r#"{OUTSIDE}; cd /mnt; ip netns add uth-in; ip netns exec uth-in ip link set lo up
        out() {{ ip netns exec uth-in busybox ping -c 1 -W $1 192.0.2.2; }}
        remedy() {{ tr '
' ' ' <$1 | tr -s ' ' | cut -d'`' -f2; }}
        $UTH netns connect uth-in 2>none; never grep Warning none; out 5; $UTH netns connect uth-in --undo
        nft 'add table ip filter; add chain ip filter FORWARD {{ type filter hook forward priority 0; policy drop; }}'
        nft list ruleset >theirs
        $UTH netns connect uth-in 2>told; never out 1; grep 'chain FORWARD of table ip filter' told
        nft delete table ip "$(nft list tables | grep -o 'under-the-hood-.*')"; nft list ruleset | cmp - theirs
        $UTH cleanup; $UTH netns connect uth-in 2>told; remedy told | sh -ex; out 5
        $UTH netns connect uth-in 2>none; never grep Warning none
        nft flush ruleset; $UTH cleanup
        iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER
        $UTH netns connect uth-in 2>told; never out 1; grep DOCKER-USER told; remedy told | sh -ex; out 5
        $UTH netns connect uth-in 2>none; never grep Warning none; $UTH netns connect uth-in --undo
        nft flush ruleset; $UTH cleanup
        # The older one keeps its rules elsewhere, where its program is and the kernel knows it.
        iptables-legacy -P FORWARD DROP || exit 0
        $UTH netns connect uth-in 2>told; never out 1; grep 'filter (iptables-legacy)' told
        remedy told | sh -ex; out 5
        $UTH netns connect uth-in 2>none; never grep Warning none; $UTH netns connect uth-in --undo"#
    );
    private(&Uth::new(), &script).ok();
}

/// Fetches a page, and prints the line we know.
const GET: &str = r#"
    use IO::Socket::INET;
    $s = IO::Socket::INET->new(PeerAddr => $ARGV[0], Timeout => 5) or exit 1;
    print $s "GET / HTTP/1.0\r\n\r\n";
    print grep { /welcome/ } <$s>;
"#;

#[test]
fn published_ports_lead_into_the_container() {
    need!(root);
    need!(tool "busybox");
    need!(tool "nft");
    need!(tool "perl");
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let script = format!(
        "{OUTSIDE}; ip -n uth-out route add default via 192.0.2.1
         $UTH run -d --name web --hostname kiste -p 8080:80 -p 192.0.2.1:8081:80 base sleep 600
         pid=$($UTH --format json netns addr web | jq .pid)
         mkdir /mnt/www; echo welcome >/mnt/www/index.html
         nsenter -t $pid -n busybox httpd -f -p 80 -h /mnt/www & server=$!
         trap 'kill $server' EXIT
         for i in $(seq 100); do ip netns exec uth-out true; nsenter -t $pid -n ss -Hlnt | grep -q :80 && break; sleep 0.05; done
         echo '{GET}' >/mnt/get
         [ \"$(perl /mnt/get 127.0.0.1:8080)\" = welcome ]
         [ \"$(perl /mnt/get 10.213.0.1:8080)\" = welcome ]
         [ \"$(perl /mnt/get 10.213.0.2:80)\" = welcome ]
         [ \"$(ip netns exec uth-out perl /mnt/get 192.0.2.1:8080)\" = welcome ]
         [ \"$(ip netns exec uth-out perl /mnt/get 192.0.2.1:8081)\" = welcome ]
         never perl /mnt/get 127.0.0.1:8081
         $UTH exec web cat /etc/hosts | grep 10.213.0.2.kiste.web
         $UTH run --name two --network bridge --dns 192.0.2.53 base sh -c 'cat /etc/hosts /etc/resolv.conf' >/mnt/two
         grep 10.213.0.2.kiste.web /mnt/two; grep 10.213.0.3 /mnt/two; grep -x 'nameserver 192.0.2.53' /mnt/two
         [ $($UTH run --network container:web base readlink /proc/self/ns/net) = $(readlink /proc/$pid/ns/net) ]
         no() {{ set +e; $UTH run \"$@\" base true; got=$?; set -e; [ $got = 125 ]; }}
         no -p 8080:1; no -p 127.0.0.1:8080:1; no --network none -p 1:1; no --network host -p 1:1; no -p x; no --network x
         busybox nc -l -p 9000 & listener=$!; sleep 0.2; no -p 9000:1; kill $listener
         kill $server; trap - EXIT
         $UTH stop -t 0 web; [ -z \"$(nft list tables)\" ]; [ -z \"$(ip -o link | grep uth0)\" ]
         [ $(cat /proc/sys/net/ipv4/ip_forward) = 0 ]"
    );
    let ran = private(&uth, &script).ok();
    assert_eq!(ran.stderr.matches("Error:").count(), 7, "{}", ran.whole());
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

#[test]
fn fifty_at_once_get_fifty_addresses() {
    need!(root);
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let script = "
        for i in $(seq 50); do $UTH run -d --name c$i --network bridge base sleep 600 >/dev/null & done; wait
        for i in $(seq 50); do $UTH --format json netns addr c$i | jq -r '.interfaces[] | select(.name == \"eth0\").addresses[0].address'; done
        for i in $(seq 50); do $UTH stop -t 0 c$i >/dev/null & done; wait
        for i in $(seq 200); do ip -o link | grep -q uth || break; sleep 0.1; done; ! ip -o link | grep uth";
    let ran = private(&uth, script).ok();
    let addresses: BTreeSet<_> = ran.stdout.lines().collect();
    assert_eq!(addresses.len(), 50, "{}", ran.whole());
    assert!(addresses.iter().all(|address| address.starts_with("10.213.0.")), "{}", ran.whole());
}

/// Whoever came first: /etc/hosts of each has those that run, and no other.
#[test]
fn containers_on_a_bridge_know_each_other_by_name() {
    need!(root);
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let script = r#"
        names() { $UTH exec $1 sed -n 's/^10[.0-9]*.\([a-z]*\).*/\1/p' /etc/hosts | sort | xargs; }
        start() { $UTH run -d --name $1 --hostname $1 --network bridge $2 base sleep 600; }
        start one; start two --read-only; start three --userns
        for c in one two three; do [ "$(names $c)" = 'one three two' ]; done
        $UTH exec one getent hosts three || $UTH exec one busybox ping -c 1 -W 5 three
        $UTH stop -t 0 two; [ "$(names one)" = 'one three' ]; [ "$(names three)" = 'one three' ]
        # All of them killed at once; the next start forgets them.
        $UTH run -d --name four --network bridge base sleep 600
        for record in $UTH_HOME/run/containers/*.json; do
          [ $(jq -r .name $record) = one ] || kill -9 $(jq .shim $record)
        done
        start five; [ "$(names one)" = 'five one' ]; [ "$(names five)" = 'five one' ]
        $UTH stop -t 0 one; $UTH stop -t 0 five; [ -z "$(ls $UTH_HOME/run/containers)" ]"#;
    private(&uth, script).ok();
}

/// The plan for a bridge is what is done, and it is undone at once when the command ends.
#[test]
fn a_bridge_goes_with_its_last_container() {
    need!(root);
    private_network();
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let before = Machine::look(&uth);
    let plan = uth.run(["--dry-run", "run", "-p", "8080:80", "base", "true"]).ok();
    for call in ["kind=bridge", "kind=veth", "masquerade", "RTM_NEWROUTE", "ip_forward"] {
        assert!(plan.stdout.contains(call), "no {call}: {}", plan.whole());
    }
    assert_eq!(Machine::look(&uth), before);
    let ran = uth.run(["run", "-p", "8080:80", "base", "cat", "/proc/net/route"]).ok();
    assert!(ran.stdout.contains("eth0\t00000000"), "{}", ran.whole());
    let mut left = Machine::look(&uth).beyond(&before);
    left.retain(|line| !base_and_progress(line));
    assert_eq!(left, [""; 0]);
}

/// Runs a script as somebody who may do nothing, with a program of theirs in
/// `$UTH`, beside a neighbour that answers at 192.0.2.2:80. What is open to
/// everybody on most machines, /dev/net/tun, is so in there.
fn as_nobody(uth: &Uth, script: &str) -> Ran {
    let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let script = format!(
        "{OUTSIDE}; ip route add default via 192.0.2.2
         mount -t tmpfs net /dev/net; chmod 755 /dev/net; mknod -m 666 /dev/net/tun c 10 200
         mkdir /mnt/www /mnt/home; echo welcome >/mnt/www/index.html; cp $UTH /mnt/program
         chown 65534:65534 /mnt/home; chmod 755 /mnt
         ip netns exec uth-out busybox httpd -f -p 80 -h /mnt/www & server=$!; trap 'kill $server' EXIT
         until ip netns exec uth-out ss -Hlnt | grep -q :80; do sleep 0.05; done
         export UTH=/mnt/program UTH_HOME=/mnt/home
         {user} sh -c '{script}'"
    );
    private(uth, &script)
}

#[test]
fn an_ordinary_user_gets_out_and_in_by_a_helper() {
    need!(root);
    need!(user_namespace);
    need!(tool "busybox");
    need!(tool "pasta");
    need!(tool "slirp4netns");
    let script = "set -e
        for net in pasta slirp4netns; do
          [ $($UTH run --network $net base busybox wget -q -O - http://192.0.2.2/) = welcome ]
        done
        $UTH run -d --name web -p 127.0.0.1:8099:80 base sh -c \"mkdir /www; echo inside >/www/index.html; exec busybox httpd -f -p 80 -h /www\"
        for i in $(seq 100); do [ \"$(busybox wget -q -O - http://127.0.0.1:8099/)\" = inside ] && break; sleep 0.05; done
        [ $(busybox wget -q -O - http://127.0.0.1:8099/) = inside ]
        $UTH run -p 8099:1 base true && exit 1; $UTH run --network slirp4netns -p 1:1 base true && exit 1
        $UTH run -p 80:80 base true && exit 1; $UTH run --network bridge base true && exit 1
        $UTH stop -t 0 web";
    let ran = as_nobody(&Uth::new(), script).ok();
    assert_eq!(ran.stderr.matches("Error:").count(), 4, "{}", ran.whole());
}

/// Whoever of the three is killed: the helper, the container and its shim are
/// all gone when the container is stopped, or at once.
#[test]
fn a_helper_ends_with_its_container_whoever_is_killed() {
    need!(root);
    need!(user_namespace);
    need!(tool "pasta");
    // A zombie waits for its new parent, who may be slow to look.
    let script = r#"set -e; never() { if "$@"; then exit 1; fi; }
        living() { [ -e /proc/$1 ] && ! grep -q "^State:.Z" /proc/$1/status; }
        for victim in shim init helper all; do
          $UTH run -d --name box --network pasta base sleep 600
          record=$(echo $UTH_HOME/run/containers/*.json)
          shim=$(jq .shim $record); init=$(jq .pid $record); helper=$(pgrep -P $shim "pasta|passt"); [ "$helper" ]
          case $victim in all) kill -9 $shim $init $helper;; *) kill -9 $(eval echo \$$victim);; esac
          if [ $victim = helper ]; then $UTH exec box true; $UTH stop -t 0 box; fi
          for pid in $shim $init $helper; do
            for i in $(seq 200); do living $pid || break; sleep 0.05; done; never living $pid
          done
          $UTH cleanup
        done"#;
    as_nobody(&Uth::new(), script).ok();
}

#[test]
fn without_its_program_or_device_a_helper_is_a_clear_word() {
    need!(root);
    need!(user_namespace);
    need!(tool "pasta");
    let script = "set -e
        $UTH image base; mkdir /mnt/home/bin
        code=0; PATH=/mnt/home/bin $UTH run -p 8080:80 base true || code=$?; [ $code = 4 ]
        for net in pasta slirp4netns; do
          code=0; PATH=/mnt/home/bin $UTH run --network $net base true || code=$?; [ $code = 4 ]
        done
        code=0; unshare --user --map-root-user --mount sh -c \"mount --bind /dev/full /dev/net/tun; $UTH run --network pasta base true\" || code=$?
        [ $code = 125 ]";
    let ran = as_nobody(&Uth::new(), script).ok();
    assert_eq!(ran.stderr.matches("Error:").count(), 4, "{}", ran.whole());
    assert_eq!(ran.stderr.matches("Hint:").count(), 4, "{}", ran.whole());
}

#[test]
fn without_root_there_is_a_clear_word() {
    need!(ordinary_user);
    let uth = Uth::new();
    let ran = uth.run(["run", "--network", "bridge", "base", "true"]).one_error(4);
    assert!(ran.stderr.contains("root") && ran.stderr.contains("pasta"), "{}", ran.whole());
}
