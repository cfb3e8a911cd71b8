//! The container's network: which namespace, and what is in it.

use crate::container::network::bridge::{BRIDGE, Wiring};
use crate::container::spec::{NetworkKind, Spec};
use crate::kernel::netlink::LinkUp;
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
        NetworkKind::None => vec![LinkUp.into()],
        NetworkKind::Bridge => wiring(spec).inside(),
        NetworkKind::Host | NetworkKind::Container(_) => Vec::new(),
    }
}

/// /etc/hosts: names that need no server. Those of containers that are started
/// later are not in it.
pub fn hosts(spec: &Spec) -> String {
    let mut hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n".to_owned();
    let name = literal(&spec.hostname);
    if spec.network.kind != NetworkKind::Bridge {
        return hosts + &format!("127.0.1.1\t{name}\n");
    }
    let also = if spec.name == spec.hostname { String::new() } else { format!(" {}", spec.name) };
    hosts.push_str(&format!("$address\t{name}{also}\n"));
    for (address, name) in &spec.network.neighbours {
        hosts.push_str(&literal(&format!("{address}\t{name}\n")));
    }
    hosts
}
