//! How our own processes talk: whole messages as JSON over a socket pair
//! (unix(7), `SOCK_SEQPACKET`), with open descriptors beside them when needed.
//! The end of the other process is seen as the end of the channel.

use std::cell::RefCell;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Context, Error, Result};

/// The largest message: the plan of a simple container is not much smaller. A larger one
/// (a command with a thousand arguments) goes as a file in memory. Who receives makes
/// room for the largest, and the kernel charges for every page of it.
const LARGEST: usize = 16 * 1024;
/// Stands for a message that is in the last descriptor beside it; no JSON begins so.
const IN_MEMORY: &[u8] = b"@";
/// The most descriptors beside one message: three standard streams, a channel,
/// and the message itself.
const MOST_FDS: usize = 5;

/// One end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    /// Where messages are received, made when the first one is.
    buffer: RefCell<Vec<u8>>,
}

impl Channel {
    /// Two ends; both are closed by `execve(2)` unless said otherwise.
    pub fn pair() -> Result<(Self, Self)> {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .tried(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)")
            .map(|(one, other)| (Self::from_fd(one), Self::from_fd(other)))
    }

    /// An end that was handed to this process.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { socket: fd, buffer: RefCell::default() }
    }

    /// Sends a message, and descriptors beside it.
    pub fn send(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<()> {
        let mut bytes = serde_json::to_vec(message)
            .map_err(|error| Error::new("writing a message between our processes").said(error))?;
        let mut fds = fds.to_vec();
        let memory;
        if bytes.len() > LARGEST {
            memory = in_memory(&bytes)?;
            fds.push(memory.as_fd());
            bytes = IN_MEMORY.to_vec();
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Error::new("sending more descriptors than a message can carry"));
        }
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
            {
                Err(rustix::io::Errno::INTR) => {}
                other => {
                    return other.tried(|| "sendmsg(to another of our processes)").map(drop);
                }
            }
        }
    }

    /// The next message with its descriptors; `None` when the other end is gone.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = self.buffer.borrow_mut();
        bytes.resize(LARGEST, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => break message.bytes,
                // The other end was closed before it had read everything; what it said
                // before that is still there.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(errno) => return Err(errno).tried(|| "recvmsg(from another of our processes)"),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        let mut message = &bytes[..length];
        let mut large = Vec::new();
        if message == IN_MEMORY
            && let Some(memory) = fds.pop()
        {
            let mut file = File::from(memory);
            file.rewind()
                .and_then(|()| file.read_to_end(&mut large))
                .tried(|| "read(a message in memory)")?;
            message = &large;
        }
        serde_json::from_slice(message)
            .map(|message| Some((message, fds)))
            .map_err(|error| Error::new("reading a message between our processes").said(error))
    }
}

fn in_memory(bytes: &[u8]) -> Result<File> {
    let made = memfd_create("under-the-hood: message", MemfdFlags::CLOEXEC);
    let mut file = File::from(made.tried(|| "memfd_create()")?);
    file.write_all(bytes).tried(|| "write(memfd)")?;
    Ok(file)
}

impl Channel {
    /// Whether a message, or the end of the other process, is there already.
    pub fn has_news(&self) -> bool {
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&now)), Ok(1..))
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptor_and_the_end_is_seen() {
        let (ours, theirs) = Channel::pair().unwrap();
        let (read, write) = rustix::pipe::pipe().unwrap();
        ours.send(&vec!["a message"; 1000], &[write.as_fd()]).unwrap();
        drop((ours, write));
        let (message, fds) = theirs.receive::<Vec<String>>().unwrap().unwrap();
        assert_eq!((message.len(), fds.len()), (1000, 1));
        rustix::io::write(&fds[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&read, &mut [0; 2]).unwrap(), 1);
        assert!(theirs.receive::<String>().unwrap().is_none());
    }

    #[test]
    fn a_message_of_megabytes_arrives_too() {
        let (ours, theirs) = Channel::pair().unwrap();
        let (_, write) = rustix::pipe::pipe().unwrap();
        let large = "x".repeat(3 << 20);
        ours.send(&large, &[write.as_fd()]).unwrap();
        let (message, fds) = theirs.receive::<String>().unwrap().unwrap();
        assert_eq!((message, fds.len()), (large, 1));
    }

    #[test]
    fn last_words_arrive_though_what_was_said_to_the_other_was_not_read() {
        let (ours, theirs) = Channel::pair().unwrap();
        theirs.send(&"my last words", &[]).unwrap();
        ours.send(&"do this", &[]).unwrap();
        drop(theirs);
        assert_eq!(ours.receive::<String>().unwrap().unwrap().0, "my last words");
        assert!(ours.receive::<String>().unwrap().is_none());
    }
}
