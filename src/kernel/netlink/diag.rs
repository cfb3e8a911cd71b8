//! Who listens: the sockets of a network namespace, over sock_diag(7), as `ss`
//! lists them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::Socket;
use super::socket::{DUMP, number};
use crate::error::Result;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// States of a socket as bits (linux/tcp_states.h): a TCP socket that listens;
/// a UDP socket that is bound and not connected counts as closed.
const LISTEN: u32 = 1 << 10;
const UNCONNECTED: u32 = 1 << 7;

/// A socket that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address (0.0.0.0 and ::, any) and port.
    pub address: SocketAddr,
    /// The socket's inode: what /proc/PID/fd shows between the brackets.
    pub inode: u64,
    /// Whose it is.
    pub uid: u32,
}

/// Everything that listens in the socket's namespace (of protocol `Diag`).
pub fn listeners(socket: &Socket) -> Result<Vec<Listener>> {
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (protocol, name, states) in
            [(libc::IPPROTO_TCP, "tcp", LISTEN), (libc::IPPROTO_UDP, "udp", UNCONNECTED)]
        {
            let answers =
                socket.ask(SOCK_DIAG_BY_FAMILY, DUMP, &request(family, protocol, states))?;
            all.extend(answers.iter().filter_map(|(_, body)| listener(body, name)));
        }
    }
    all.sort();
    Ok(all)
}

/// `struct inet_diag_req_v2`: 56 bytes.
fn request(family: i32, protocol: i32, states: u32) -> [u8; 56] {
    let mut bytes = [0; 56];
    bytes[0] = u8::try_from(family).unwrap_or_default();
    bytes[1] = u8::try_from(protocol).unwrap_or_default();
    bytes[4..8].copy_from_slice(&states.to_ne_bytes());
    bytes
}

/// `struct inet_diag_msg`: ports and addresses as they are on the wire, the rest as this machine counts.
fn listener(body: &[u8], protocol: &str) -> Option<Listener> {
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let source = body.get(8..24)?;
    let address: IpAddr = match i32::from(*body.first()?) {
        libc::AF_INET => Ipv4Addr::new(source[0], source[1], source[2], source[3]).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(source).ok()?).into(),
    };
    Some(Listener {
        protocol: protocol.to_owned(),
        address: SocketAddr::new(address, port),
        uid: number(body, 64)?,
        inode: number(body, 68)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Protocol;
    use super::*;

    #[test]
    fn what_listens_is_listed_with_its_inode_and_no_longer_afterwards() {
        let socket = Socket::open(Protocol::Diag).unwrap();
        let listening = |port| {
            let all = listeners(&socket).unwrap();
            all.into_iter().filter(|l| l.address.port() == port).collect::<Vec<_>>()
        };
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(server) = std::net::TcpListener::bind(address) else { continue };
            let (local, fd) =
                (server.local_addr().unwrap(), std::os::fd::AsRawFd::as_raw_fd(&server));
            let link = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            let found = listening(local.port());
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].address, found[0].protocol.as_str()), (local, "tcp"));
            assert_eq!(link.to_string_lossy(), format!("socket:[{}]", found[0].inode));
            drop(server);
            assert!(listening(local.port()).is_empty());
        }
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = listening(udp.local_addr().unwrap().port());
        assert!(found.iter().any(|l| l.protocol == "udp"), "{found:?}");
    }
}
