//! A way out: `netns connect` and `run --network`, in network namespaces made
//! for the test, so that the machine's own network stays as it is.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress, private_network};

/// Runs a script in a network namespace of its own; names of namespaces, and
/// the files in /mnt, are its own too.
fn private(uth: &Uth, script: &str) -> Ran {
    let mut unshare = uth.beside("unshare");
    let script = format!(
        "set -e; mkdir -p /run/netns; mount -t tmpfs names /run/netns; mount -t tmpfs files /mnt
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
         ! ip netns exec uth-in busybox ping -c 1 -W 1 192.0.2.2
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
         ! perl /mnt/get 127.0.0.1:8081
         $UTH exec web cat /etc/hosts | grep 10.213.0.2.kiste.web
         $UTH run --name two --network bridge --dns 192.0.2.53 base sh -c 'cat /etc/hosts /etc/resolv.conf' >/mnt/two
         grep 10.213.0.2.web /mnt/two; grep 10.213.0.3 /mnt/two; grep -x 'nameserver 192.0.2.53' /mnt/two
         [ $($UTH run --network container:web base readlink /proc/self/ns/net) = $(readlink /proc/$pid/ns/net) ]
         no() {{ set +e; $UTH run \"$@\" base true; got=$?; set -e; [ $got = 125 ]; }}
         no -p 8080:1; no -p 127.0.0.1:8080:1; no --network none -p 1:1; no --network host -p 1:1; no -p x; no --network x
         busybox nc -l -p 9000 & listener=$!; sleep 0.2; no -p 9000:1; kill $listener
         kill $server; trap - EXIT
         $UTH stop -t 0 web; [ -z \"$(nft list tables)\" ]; ! ip -o link | grep uth0
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

#[test]
fn without_root_there_is_a_clear_word() {
    need!(ordinary_user);
    let uth = Uth::new();
    let ran = uth.run(["run", "--network", "bridge", "base", "true"]).one_error(4);
    assert!(ran.stderr.contains("root"), "{}", ran.whole());
    uth.run(["run", "-p", "8080:80", "base", "true"]).one_error(4);
}
