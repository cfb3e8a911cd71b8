//! The container's network: which namespace, and what is in it.

use crate::container::network::bridge::{BRIDGE, Wiring};
use crate::container::plan::ROOT;
use crate::container::registry;
use crate::container::spec::{Helper, NetworkKind, Spec};
use crate::error::Result;
use crate::kernel::detached::{Attach, OpenTree};
use crate::kernel::helper::UserNet;
use crate::kernel::hosts::ShareName;
use crate::kernel::netlink::LinkUp;
use crate::kernel::netlink::nft::Forward;
use crate::kernel::netns::EnterNet;
use crate::kernel::op::{Op, literal};

fn wiring(spec: &Spec) -> Wiring {
    Wiring {
        bridge: BRIDGE.to_owned(),
        subnet: None,
        interface: "eth0".to_owned(),
        forwards: spec.network.forwards.clone(),
        of_pid: true,
    }
}

/// What the launcher does when the new namespace is there.
pub fn outside(spec: &Spec) -> Vec<Op> {
    match spec.network.kind {
        NetworkKind::Bridge => wiring(spec).outside(),
        _ => Vec::new(),
    }
}

/// Who carries an ordinary user's packets. While it is started the new process
/// waits, still open to its owner: later it is not.
pub fn helper(spec: &Spec) -> Option<Op> {
    let NetworkKind::User(helper) = spec.network.kind else { return None };
    let words = match helper {
        Helper::Pasta => pasta(&spec.network.forwards),
        Helper::Slirp => {
            "--configure --mtu=65520 --disable-host-loopback --enable-sandbox $pid tap0".to_owned()
        }
    };
    let argv = std::iter::once(helper.name()).chain(words.split_whitespace());
    Some(UserNet { argv: argv.map(str::to_owned).collect() }.into())
}

/// Only the ports that were asked for lead in, and none lead to the host's own
/// loopback: what listens there trusts its neighbours.
fn pasta(forwards: &[Forward]) -> String {
    let ports = |udp: bool, option: &str| {
        let these = forwards.iter().filter(|forward| forward.udp == udp);
        let one = |forward: &Forward| {
            let at = forward.at.map_or(String::new(), |at| format!("{at}/"));
            format!("{option} {at}{}:{}", forward.port, forward.to)
        };
        let all: Vec<_> = these.map(one).collect();
        if all.is_empty() { format!("{option} none") } else { all.join(" ") }
    };
    format!(
        "--foreground --quiet --stderr --config-net --no-map-gw --dns-forward {} {} {} -T none -U none $pid",
        Helper::Pasta.name_server(),
        ports(false, "-t"),
        ports(true, "-u"),
    )
}

/// Into the network namespace of another, before anything is mounted: /sys
/// shows the one that it is mounted in.
pub fn join(spec: &Spec) -> Vec<Op> {
    match &spec.network.kind {
        NetworkKind::Container(name) => {
            vec![EnterNet { source: literal(&format!("the network namespace of {name}")) }.into()]
        }
        _ => Vec::new(),
    }
}

/// What its own init does in there.
pub fn inside(spec: &Spec) -> Vec<Op> {
    match spec.network.kind {
        NetworkKind::None | NetworkKind::User(_) => vec![LinkUp.into()],
        NetworkKind::Bridge => wiring(spec).inside(),
        NetworkKind::Host | NetworkKind::Container(_) => Vec::new(),
    }
}

/// What the descriptor of its names is called.
pub const NAMES: &str = "names";

const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n";

/// Names that need no server: of its own alone, a file in its root.
pub fn hosts(spec: &Spec) -> String {
    match spec.network.kind {
        NetworkKind::Bridge => LOCALHOST.to_owned(),
        _ => format!("{LOCALHOST}127.0.1.1\t{}\n", literal(&spec.hostname)),
    }
}

/// Of all on the bridge, a file out here that is kept up to date, held to be mounted.
pub fn names(spec: &Spec) -> Result<Vec<Op>> {
    if spec.network.kind != NetworkKind::Bridge {
        return Ok(Vec::new());
    }
    let path = literal(&registry::hosts(&spec.id)?.to_string_lossy());
    let also = if spec.name == spec.hostname { String::new() } else { format!(" {}", spec.name) };
    let line = format!("$address\t{} # {}", literal(&format!("{}{also}", spec.hostname)), spec.id);
    let share = ShareName { path: path.clone(), head: LOCALHOST.to_owned(), line };
    Ok(vec![share.into(), OpenTree { source: path, name: NAMES.to_owned() }.into()])
}

/// That file on /etc/hosts.
pub fn attach_names(spec: &Spec) -> Option<Op> {
    let (name, root, path) = (NAMES.to_owned(), ROOT.to_owned(), "/etc/hosts".to_owned());
    let shell = format!("mount --bind {}.hosts {root}{path}", spec.id);
    (spec.network.kind == NetworkKind::Bridge).then(|| Attach { name, root, path, shell }.into())
}
