//! `netns`: what it says is what ip(8) and ss(8) say; names are given and taken
//! back without a trace, and nothing hostile gets through.

use serde_json::Value;

use crate::harness::{Ran, Uth};
use crate::machine::Machine;

/// Runs a script with a /run of its own: names given in there are nobody else's.
fn private(uth: &Uth, script: &str) -> Ran {
    let mut unshare = uth.beside("unshare");
    let script = format!("set -e; mount -t tmpfs run /run; {script}");
    unshare.args(["--mount", "sh", "-c", &script]);
    uth.wait(unshare)
}

/// Each line of a script's output as JSON.
pub fn documents(ran: &Ran) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
    stream.map(|value| value.unwrap_or_else(|error| panic!("{error}: {}", ran.whole()))).collect()
}

/// Name, index, largest packet, addresses, flags.
pub type Known = (String, u64, u64, Vec<String>, Vec<String>);

/// What `ip -j addr` and `netns addr` both know of an interface.
fn known(interface: &Value) -> Known {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |key: &str| interface[key].as_array().cloned().unwrap_or_default();
    let from_ip = interface.get("ifname").is_some();
    let (name, index) = if from_ip { ("ifname", "ifindex") } else { ("name", "index") };
    let addresses = list(if from_ip { "addr_info" } else { "addresses" });
    let keys = if from_ip { ("local", "prefixlen") } else { ("address", "prefix") };
    let mut addresses: Vec<_> =
        addresses.iter().map(|a| format!("{}/{}", text(&a[keys.0]), a[keys.1])).collect();
    let mut flags: Vec<_> = list("flags").iter().map(text).collect();
    // ip adds what it concludes itself.
    flags.retain(|flag| flag != "NO-CARRIER" && flag != "M-DOWN");
    addresses.sort();
    flags.sort();
    (
        text(&interface[name]),
        interface[index].as_u64().unwrap(),
        interface["mtu"].as_u64().unwrap(),
        addresses,
        flags,
    )
}

pub fn all_known(interfaces: &Value) -> Vec<Known> {
    interfaces.as_array().unwrap().iter().map(known).collect()
}

/// Two namespaces with a cable between them, and addresses on it.
const TWO: &str = "
    ip netns add uth-a; ip netns add uth-b
    ip -n uth-a link add left type veth peer name right netns uth-b
    ip -n uth-a addr add 10.9.0.1/24 dev left; ip -n uth-b addr add 10.9.0.2/24 dev right
    ip -n uth-a addr add fd09::1/64 dev left nodad
    ip -n uth-a link set left up; ip -n uth-b link set right up; ip -n uth-a link set lo up
    ip -n uth-a route add default via 10.9.0.2
    # The kernel adds a link-local address when it sees the other end up: not before is it quiet.
    quiet() { for i in $(seq 400); do ip -n $1 addr show dev $2 | grep -q fe80 && return; sleep 0.05; done; }
    quiet uth-a left; quiet uth-b right
";

#[test]
fn list_and_addr_agree_with_ip() {
    need!(root);
    need!(tool "ip");
    let uth = Uth::new();
    let script = format!(
        "{TWO} sleep 600 & pid=$!; trap 'kill $pid' EXIT
         unshare --net sleep 600 & other=$!; trap 'kill $pid $other' EXIT
         until [ $(readlink /proc/$other/ns/net) != $(readlink /proc/self/ns/net) ]; do sleep 0.01; done
         ip -j netns list; ip -j -n uth-a addr; ip -j -n uth-b addr
         nsenter -t $other -n ip -j addr
         ip -j -n uth-a route; $UTH --format json netns addr uth-a --routes
         $UTH --format json netns addr $other
         echo $other; $UTH --format json netns list"
    );
    let ran = private(&uth, &script).ok();
    let [names, a, b, unnamed, routes, ours_a, ours_unnamed, pid, list] =
        documents(&ran).try_into().unwrap();
    let namespaces = list["namespaces"].as_array().unwrap();
    let named = |name: &str| {
        let has = |n: &&Value| n["names"].as_array().unwrap().iter().any(|n| n["name"] == name);
        namespaces.iter().find(has).unwrap_or_else(|| panic!("no {name}: {}", ran.whole()))
    };
    // The names are ip's, each once.
    let mut theirs: Vec<_> =
        names.as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap()).collect();
    let mut ours: Vec<_> = namespaces
        .iter()
        .flat_map(|n| n["names"].as_array().unwrap())
        .map(|n| n["name"].as_str().unwrap())
        .collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
    // Interfaces and addresses are those that ip sees inside.
    assert_eq!(all_known(&named("uth-a")["interfaces"]), all_known(&a));
    assert_eq!(all_known(&named("uth-b")["interfaces"]), all_known(&b));
    assert_eq!(all_known(&ours_a["interfaces"]), all_known(&a));
    assert_eq!(all_known(&ours_unnamed["interfaces"]), all_known(&unnamed));
    let other = namespaces.iter().find(|n| n["pid"] == pid).unwrap();
    assert_eq!(all_known(&other["interfaces"]), all_known(&unnamed));
    assert_eq!(other["names"].as_array().unwrap().len(), 0, "{other}");
    // Each end of the cable is the other's peer.
    let end = |name: &str, interface: &str| {
        let all = named(name)["interfaces"].as_array().unwrap();
        all.iter().find(|i| i["name"] == interface).unwrap()["peer"].clone()
    };
    assert_eq!(
        end("uth-a", "left"),
        serde_json::json!({ "ns": named("uth-b")["ns"], "interface": "right" })
    );
    assert_eq!(
        end("uth-b", "right"),
        serde_json::json!({ "ns": named("uth-a")["ns"], "interface": "left" })
    );
    // And so are the routes (IPv4's, which is what `ip route` shows).
    let theirs: Vec<_> = routes
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["dst"].clone(), r["dev"].clone(), r["gateway"].clone()))
        .collect();
    let ours: Vec<_> = ours_a["routes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["family"] == "inet")
        .map(|r| (r["to"].clone(), r["interface"].clone(), r["via"].clone()))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn ports_agree_with_ss_and_collide_in_one_namespace_only() {
    need!(root);
    need!(tool "ss");
    need!(tool "busybox");
    need!(tool "perl");
    let uth = Uth::new();
    let script = "
        ip netns add uth-p; ip -n uth-p link set lo up
        ip netns exec uth-p busybox httpd -f -p 127.0.0.1:8000 & a=$!
        ip netns exec uth-p busybox nc -l -p 8001 & b=$!
        ip netns exec uth-p perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => q(udp), LocalPort => 8002); sleep 60' & c=$!
        trap 'kill $a $b $c' EXIT
        for i in $(seq 200); do [ $(ip netns exec uth-p ss -Hlntu | wc -l) = 3 ] && break; sleep 0.05; done
        echo $a; ip netns exec uth-p ss -Hlntu; echo ---; $UTH --format json netns ports";
    let ran = private(&uth, script).ok();
    let (theirs, ours) = ran.stdout.split_once("---\n").unwrap();
    let ours: Value = serde_json::from_str(ours).unwrap();
    let (pid, theirs) = theirs.split_once('\n').unwrap();
    let mut theirs: Vec<_> = theirs
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (address, port) = fields[4].rsplit_once(':').unwrap();
            let address = address.trim_matches(['[', ']']);
            let address = if address == "*" { "::" } else { address };
            (fields[0].to_owned(), address.to_owned(), port.to_owned())
        })
        .collect();
    let inside = |row: &&Value| row["owner"] == "netns:uth-p";
    let rows: Vec<_> = ours["listeners"].as_array().unwrap().iter().filter(inside).collect();
    let text = |value: &Value| value.to_string().trim_matches('"').to_owned();
    let mut ours: Vec<_> = rows
        .iter()
        .map(|row| (text(&row["protocol"]), text(&row["address"]), text(&row["port"])))
        .collect();
    theirs.sort();
    ours.sort();
    assert_eq!(theirs.len(), 3, "{}", ran.whole());
    assert_eq!(ours, theirs);
    let first = rows.iter().find(|row| row["port"] == 8000).unwrap();
    assert_eq!(first["pid"].to_string(), pid, "{}", ran.whole());
}

#[test]
fn a_port_is_taken_in_one_namespace_only() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let ran = uth.run(["--format", "json", "netns", "ports", "--collide", "8080"]).ok();
    let attempts = ran.json()["attempts"].clone();
    let listens: Vec<_> =
        attempts.as_array().unwrap().iter().map(|a| a["listens"].clone()).collect();
    assert_eq!(listens, [true, false, true], "{}", ran.whole());
    assert_eq!(attempts[1]["error"]["errno"], libc::EADDRINUSE);
}

#[test]
fn a_name_is_given_once_kept_and_taken_back() {
    need!(root);
    need!(tool "ip");
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let script = "
        unshare --net sleep 600 & pid=$!; trap 'kill $pid' EXIT
        until [ $(readlink /proc/$pid/ns/net) != $(readlink /proc/self/ns/net) ]; do sleep 0.01; done
        [ $($UTH netns expose $pid) = $pid ]
        ip netns list | grep -x $pid
        [ $(stat -c %i /run/netns/$pid) = $(stat -Lc %i /proc/$pid/ns/net) ]
        ip netns exec $pid ip addr >theirs; nsenter -t $pid -n ip addr >inside; cmp theirs inside
        $UTH netns exec $pid -- ip addr >ours; cmp ours inside
        # ip shares the directory and finds it shared already.
        ip netns add other; ip netns delete other
        # The same name again is no work; another for the same is another.
        [ $($UTH netns expose $pid) = $pid ]; [ $(grep -c /run/netns/$pid /proc/self/mountinfo) = 1 ]
        $UTH netns expose $pid --name uth-second
        $UTH cleanup --list | grep -c '^kept.*/run/netns/'
        $UTH netns hide $pid; [ ! -e /run/netns/$pid ]
        $UTH netns addr netns:uth-second
        # A namespace that only the name keeps.
        kill $pid; wait $pid || true
        $UTH netns list | grep 'uth-second *under-the-hood netns hide uth-second'
        $UTH cleanup; [ -z \"$(ls /run/netns)\" ]; [ $(grep -c '/run/netns/' /proc/self/mountinfo) = 0 ]
        trap - EXIT";
    let mut unshare = uth.beside("unshare");
    unshare.args(["--mount", "sh", "-ec", &format!("mount -t tmpfs run /run; cd /run; {script}")]);
    let ran = uth.wait(unshare).ok();
    assert!(ran.stdout.lines().any(|line| line == "2"), "{}", ran.whole());
    Machine::settles(&uth, &before, std::time::Duration::from_secs(2), |line| {
        line.starts_with("file run") || line.starts_with("file data")
    });
}

/// A name that is taken away from below us, or replaced, is not ours any more.
#[test]
fn what_others_named_is_left_alone() {
    need!(root);
    need!(tool "ip");
    let uth = Uth::new();
    let script = "
        $UTH netns expose $$ --name uth-x
        ip netns delete uth-x; ip netns add uth-x
        inode=$(stat -c %i /run/netns/uth-x)
        $UTH cleanup; [ $(stat -c %i /run/netns/uth-x) = $inode ]
        # The very same namespace, named by somebody else.
        $UTH netns expose $$ --name uth-y
        umount /run/netns/uth-y; rm /run/netns/uth-y; touch /run/netns/uth-y
        mount --bind /proc/$$/ns/net /run/netns/uth-y
        $UTH cleanup; [ $(stat -c %i /run/netns/uth-y) = $(stat -Lc %i /proc/$$/ns/net) ]";
    private(&uth, script).ok();
}

#[test]
fn hostile_names_and_pids_change_nothing() {
    need!(root);
    let uth = Uth::new();
    let pid = std::process::id().to_string();
    for name in ["../x", "a/b", "..", ".", "", "-x", ".hidden", "a b", "new\nline"] {
        let ran = uth.run(["netns", "expose", &pid, &format!("--name={name}")]);
        ran.one_error(2);
    }
    uth.run(["netns", "expose", "999999999"]).one_error(1);
    uth.run(["netns", "expose", "99999999999"]).one_error(2);
    uth.run(["netns", "expose", "no-such-container"]).one_error(1);
    uth.run(["netns", "hide", "uth-no-such-name"]).one_error(1);
    uth.run(["netns", "hide", "../x"]).one_error(2);
    uth.run(["netns", "addr", "netns:uth-no-such-name"]).one_error(1);
    uth.run(["netns", "exec", "netns:uth-no-such-name", "true"]).one_error(1);
    uth.run(["netns", "exec", &pid, "no-such-program"]).one_error(127);
    uth.run(["netns", "exec", &pid, "/etc"]).one_error(126);
    uth.run(["netns", "exec", &pid, "sh", "-c", "exit 7"]).exits(7);
    let script = "mkdir /run/netns; touch /run/netns/plain; ln -s /etc/passwd /run/netns/link
        for name in plain link; do
          $UTH netns expose $$ --name $name && exit 1; $UTH netns hide $name && exit 1
          $UTH netns addr netns:$name && exit 1
        done
        $UTH netns expose $$ --name mine; unshare --net $UTH netns expose $$ --name mine
        unshare --net sh -c '! $UTH netns expose $$ --name mine'
        ls /run/netns; cmp /etc/passwd /run/netns/link; $UTH netns list | grep 'plain *rm /run/netns/plain'";
    let ran = private(&uth, script).ok();
    assert!(ran.stdout.contains("link\nmine\nplain\n"), "{}", ran.whole());
}

#[test]
fn without_root_there_is_a_word_and_our_own_can_be_read() {
    need!(ordinary_user);
    need!(user_namespace);
    let uth = Uth::new();
    let pid = std::process::id().to_string();
    uth.run(["netns", "expose", &pid, "--name", "uth-user"]).one_error(1);
    uth.run(["netns", "addr", "1"]).one_error(1);
    uth.run(["netns", "connect", "1"]).one_error(1);
    uth.run(["netns", "connect", &pid]).one_error(1);
    uth.run(["netns", "addr", &pid]).ok();
    let id = uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok().stdout;
    let addr = uth.run(["--format", "json", "netns", "addr", "box"]).ok();
    let interfaces = addr.json()["interfaces"].clone();
    assert_eq!(interfaces.as_array().unwrap().len(), 1, "{}", addr.whole());
    assert_eq!(interfaces[0]["addresses"][0]["address"], "127.0.0.1");
    let list = uth.run(["--format", "json", "netns", "list"]).ok().json();
    let boxes: Vec<_> = list["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|n| n["owner"]["id"] == id.trim() && n["interfaces"].is_array())
        .collect();
    assert_eq!(boxes.len(), 1, "{list}");
    uth.run(["netns", "exec", "box", "true"]).ok();
    let sys = uth.run(["netns", "exec", "--mount", "box", "ls", "/sys/class/net"]).ok();
    assert_eq!(sys.stdout, "lo\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
}
