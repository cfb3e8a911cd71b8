//! Changing the network: each change is one message, and an operation.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use serde::{Deserialize, Serialize};

use super::{Protocol, Socket};
use crate::error::Result;
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// Sets the loopback interface of the network namespace up. It is interface 1
/// in every one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkUp;

impl Operation for LinkUp {
    fn step(&self) -> Step {
        Step::new(
            "sendto(netlink, RTM_SETLINK {index=1, flags=IFF_UP})",
            "a new network namespace has one interface, lo, and it is down",
        )
        .shell("ip link set lo up")
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let mut link = LinkMessage::default();
        link.header.index = 1;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        let socket = Socket::open(Protocol::Route)?;
        socket.route(&RouteNetlinkMessage::SetLink(link), 0).map(|_| "0".to_owned())
    }
}
