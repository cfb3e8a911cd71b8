//! One conversation over netlink: a request, and every answer to it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use rustix::buffer::spare_capacity;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with,
};

use crate::error::{Context, Error, Result};

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// As large as any single answer of the kernel's.
const ANSWER: usize = 64 * 1024;
/// All there are: `NLM_F_ROOT | NLM_F_MATCH`.
pub const DUMP: u16 = 0x300;
/// Make it, and fail if it is there already: `NLM_F_CREATE | NLM_F_EXCL`.
pub const CREATE: u16 = 0x600;

/// Whom in the kernel one talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Interfaces, addresses, routes: rtnetlink(7).
    Route,
    /// Sockets: sock_diag(7).
    Diag,
    /// Packet rules: nf_tables.
    Netfilter,
}

/// A netlink socket. It belongs for ever to the network namespace in which it
/// was made, wherever the process goes that uses it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// A socket in the network namespace that the calling thread is in.
    pub fn open(protocol: Protocol) -> Result<Self> {
        let (number, name) = match protocol {
            Protocol::Route => (None, "NETLINK_ROUTE"), // its number is 0
            Protocol::Diag => (Some(netlink::SOCK_DIAG), "NETLINK_SOCK_DIAG"),
            Protocol::Netfilter => (Some(netlink::NETFILTER), "NETLINK_NETFILTER"),
        };
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number)
            .tried(|| format!("socket(AF_NETLINK, SOCK_RAW, {name})"))
            .map(Self)
    }

    /// One that was made elsewhere and handed over.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one request; every answer's type and content, until the kernel
    /// says that this was all. A list that changed while it was read is read again.
    pub fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<(u16, Vec<u8>)>> {
        let mut answers = self.ask_once(kind, flags, body);
        for _ in 0..10 {
            match answers {
                Err(ref error) if error.is(Errno::EINTR) => {
                    answers = self.ask_once(kind, flags, body);
                }
                _ => break,
            }
        }
        answers
    }

    fn ask_once(&self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<(u16, Vec<u8>)>> {
        let wanted = if flags & DUMP == DUMP { flags } else { flags | NLM_F_ACK };
        self.send(&message(kind, wanted | NLM_F_REQUEST, 1, body))?;
        let (mut answers, mut changed) = (Vec::new(), false);
        let mut buffer = Vec::with_capacity(ANSWER);
        loop {
            self.receive(&mut buffer)?;
            for (header, body) in Messages(&buffer) {
                // Something changed while it was listed: the list may lack something. It is
                // heard to its end all the same, or the next answer would begin with its rest.
                changed |= header.flags & NLM_F_DUMP_INTR != 0;
                match header.kind {
                    // Each carries how it went.
                    NLMSG_DONE | NLMSG_ERROR if !changed => return errno(body).map(|()| answers),
                    NLMSG_DONE | NLMSG_ERROR => {
                        return Err(Error::call("recv(netlink)", Errno::EINTR)
                            .said("the list changed while it was read"));
                    }
                    kind => answers.push((kind, body.to_vec())),
                }
            }
        }
    }

    /// Sends several messages (kind, flags, body) as one datagram: a batch, of
    /// which all or nothing takes effect. The first refusal is the error.
    pub fn transact(&self, messages: &[(u16, u16, Vec<u8>)]) -> Result<()> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let last = messages.len().saturating_sub(1);
        let bytes: Vec<u8> = messages
            .iter()
            .enumerate()
            .flat_map(|(n, (kind, flags, body))| {
                // What frames the batch is not acknowledged.
                let ack = if n == 0 || n == last { 0 } else { NLM_F_ACK };
                message(*kind, flags | ack | NLM_F_REQUEST, number(n), body)
            })
            .collect();
        self.send(&bytes)?;
        let mut buffer = Vec::with_capacity(ANSWER);
        let mut awaited = messages.len().saturating_sub(2);
        while awaited > 0 {
            self.receive(&mut buffer)?;
            for (header, body) in Messages(&buffer) {
                if header.kind == NLMSG_ERROR {
                    awaited = awaited.saturating_sub(1);
                    // A refused batch as a whole is answered once.
                    errno(body)?;
                }
            }
        }
        Ok(())
    }

    /// The same in the terms of rtnetlink(7).
    pub(super) fn route(
        &self,
        request: &RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        let mut body = vec![0; request.buffer_len()];
        request.serialize(&mut body);
        let answers = self.ask(request.message_type(), flags, &body)?;
        answers.iter().map(|(kind, body)| parsed(*kind, body)).collect()
    }

    /// From here on [`Socket::news`] hears of changes of these groups (`RTMGRP_*`).
    pub fn subscribe(&self, groups: u32) -> Result<()> {
        rustix::net::bind(&self.0, &netlink::SocketAddrNetlink::new(0, groups))
            .tried(|| format!("bind(netlink, groups={groups:#x})"))
    }

    /// The next changes; waits for one.
    pub(super) fn news(&self) -> Result<Vec<RouteNetlinkMessage>> {
        let mut buffer = Vec::with_capacity(ANSWER);
        self.receive(&mut buffer)?;
        Messages(&buffer).map(|(header, body)| parsed(header.kind, body)).collect()
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        sendto(&self.0, bytes, SendFlags::empty(), &kernel).tried(|| "sendto(netlink)").map(drop)
    }

    /// The next datagram, instead of what is in `buffer`, into the room that that has.
    fn receive(&self, buffer: &mut Vec<u8>) -> Result<()> {
        loop {
            buffer.clear();
            match recv(&self.0, spare_capacity(buffer), RecvFlags::empty()) {
                Ok((length, _)) if length > 0 => return Ok(()),
                Ok(_) => return Err(Error::new("the kernel ended the netlink conversation")),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno).tried(|| "recv(netlink)"),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.0
    }
}

fn parsed(kind: u16, body: &[u8]) -> Result<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = kind;
    RouteNetlinkMessage::deserialize(&header, body)
        .map_err(|error| Error::new("reading the kernel's netlink answer").said(error))
}

/// A message as the kernel takes it: `struct nlmsghdr`, then the body.
fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

struct Header {
    kind: u16,
    flags: u16,
}

/// The messages in one datagram.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::try_from(number(self.0, 0)?).ok()?;
        let body = self.0.get(HEADER..length)?;
        let word = number(self.0, 4)?.to_ne_bytes();
        let half = |at: usize| u16::from_ne_bytes([word[at], word[at + 1]]);
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((Header { kind: half(0), flags: half(2) }, body))
    }
}

/// The 32-bit number at this place.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// What an acknowledgement says: 0, or a negative errno.
fn errno(body: &[u8]) -> Result<()> {
    match number(body, 0).map_or(0, u32::cast_signed) {
        0 => Ok(()),
        code => Err(Error::call("sendto(netlink)", Errno::from_raw(-code))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_torn_message_is_not() {
        let two = [message(7, 3, 1, b"abcde"), message(8, 0, 2, b"")].concat();
        let read: Vec<_> = Messages(&two).map(|(h, body)| (h.kind, h.flags, body)).collect();
        assert_eq!(read, [(7, 3, &b"abcde"[..]), (8, 0, &b""[..])]);
        assert_eq!(Messages(&two[..20]).count(), 0);
        assert_eq!(Messages(b"").count(), 0);
        assert!(Messages(&[0; 16]).next().is_none(), "a length of 0 must not go on for ever");
    }

    #[test]
    fn the_kernel_answers_and_says_no() {
        let socket = Socket::open(Protocol::Route).unwrap();
        let error = socket.ask(9999, 0, &[]).unwrap_err();
        assert!(error.is(Errno::EOPNOTSUPP) || error.is(Errno::EPERM), "{error}");
    }
}
