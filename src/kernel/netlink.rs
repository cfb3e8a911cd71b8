//! Network interfaces over rtnetlink(7). The netlink crates change often;
//! nothing outside this file knows them.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
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
        request(RouteNetlinkMessage::SetLink(link)).map(|()| "0".to_owned())
    }
}

/// Sends one request and waits for the kernel's acknowledgement.
fn request(message: RouteNetlinkMessage) -> Result<()> {
    let call = "sendto(netlink)";
    let mut packet = NetlinkMessage::from(message);
    packet.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_ROUTE).tried(|| "socket(AF_NETLINK, NETLINK_ROUTE)")?;
    socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).tried(|| call)?;
    let (answer, _) = socket.recv_from_full().tried(|| "recvfrom(netlink)")?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| Error::new("reading the kernel's netlink answer").said(error))?;
    match answer.payload {
        NetlinkPayload::Error(error) => match error.code {
            None => Ok(()),
            Some(code) => Err(Error::call(call, Errno::from_raw(-code.get()))),
        },
        other => {
            Err(Error::new("the kernel answered something else than asked")
                .said(format!("{other:?}")))
        }
    }
}
