//! Asking in another network namespace.
//!
//! A netlink socket belongs to the namespace it was made in. So it is enough to
//! be there for a moment: setns(2) moves a single thread into another network
//! namespace, and a thread that has done its work ends there, while the program
//! itself has stayed where it was. One thread serves any number of namespaces.
//!
//! An ordinary user may only go where a user namespace of theirs gives the
//! right, and that one must be entered first, which no thread may do alone:
//! then a child process goes, makes the socket, and hands it out.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::ScopedJoinHandle;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::{Protocol, Socket};
use crate::error::{Context, Error, Result};
use crate::kernel::channel::Channel;
use crate::kernel::namespace::{self, Id, Kind};
use crate::kernel::raw;

/// How many namespaces to visit make another thread worth its start.
const WORTH_A_THREAD: usize = 100;

/// Has `read` ask in each of `count` network namespaces; `open` gives the
/// nth's file, which is held no longer than that.
///
/// Must be called while the program has one thread.
pub fn each<T: Send>(
    count: usize,
    protocol: Protocol,
    open: impl Fn(usize) -> Result<File> + Sync,
    read: impl Fn(&Socket, usize) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let visit_all = |part: Range<usize>| {
        let mut here = here();
        let visit = |n| {
            let namespace = open(n)?;
            enter(&namespace, &mut here)?;
            read(&Socket::open(protocol)?, n)
        };
        part.map(visit).collect::<Vec<_>>()
    };
    let lost = || Error::new("asking in another network namespace").said("the thread ended");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = count.div_ceil(threads.min(count / WORTH_A_THREAD).clamp(1, 4)).max(1);
    let parts = || (0..count).step_by(size).map(|first| first..(first + size).min(count));
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let visits: Vec<_> = parts().map(|part| scope.spawn(|| visit_all(part))).collect();
        let failed = |part: Range<usize>| part.map(|_| Err(lost())).collect();
        let join = |(visit, part): (ScopedJoinHandle<'_, Vec<_>>, _)| {
            visit.join().unwrap_or_else(|_| failed(part))
        };
        visits.into_iter().zip(parts()).flat_map(join).collect()
    });
    for (n, result) in results.iter_mut().enumerate() {
        let refused = |error: &Error| error.is(Errno::EPERM);
        if result.as_ref().is_err_and(refused)
            && let Ok(namespace) = open(n)
        {
            *result = socket_in(&namespace, protocol).and_then(|socket| read(&socket, n));
        }
    }
    results
}

/// A socket in the namespace that this file stands for.
///
/// Must be called while the program has one thread.
pub fn socket_in(namespace: &File, protocol: Protocol) -> Result<Socket> {
    if is_ours(namespace) {
        return Socket::open(protocol);
    }
    let make = || enter(namespace, &mut None).and_then(|()| Socket::open(protocol));
    match std::thread::scope(|scope| scope.spawn(make).join()) {
        Ok(Err(error)) if error.is(Errno::EPERM) => by_child(namespace, protocol),
        Ok(result) => result,
        Err(_) => Err(Error::new("asking in another network namespace").said("the thread ended")),
    }
}

/// The number of the network namespace that this process is in.
pub fn own() -> Option<u64> {
    std::fs::metadata("/proc/self/ns/net").map(|own| own.ino()).ok()
}

/// The network namespace with this number, if anything that we may see holds it.
pub fn find(inode: u64) -> Result<Option<File>> {
    if own() == Some(inode) {
        return File::open("/proc/self/ns/net").tried(|| "open(\"/proc/self/ns/net\")").map(Some);
    }
    let proc = Path::new("/proc");
    let census = namespace::census(proc)?;
    let id = Id { inode, kind: Kind::Net };
    let found = census.namespaces.iter().find(|namespace| namespace.id == id);
    Ok(found.and_then(|namespace| namespace::open(proc, namespace)))
}

/// Does something in a network namespace, in a thread that goes there.
pub fn within<T: Send>(namespace: &File, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let go = || enter(namespace, &mut here()).and_then(|()| work());
    let lost = || Error::new("working in another network namespace").said("the thread ended");
    std::thread::scope(|scope| scope.spawn(go).join()).unwrap_or_else(|_| Err(lost()))
}

/// Whether this process is in it already.
fn is_ours(namespace: &File) -> bool {
    let number = number(namespace);
    number.is_some() && own() == number
}

/// Where the calling thread is.
fn here() -> Option<u64> {
    std::fs::metadata("/proc/thread-self/ns/net").map(|here| here.ino()).ok()
}

/// Moves the calling thread, which is `here`, if that is known; nothing is needed, no right
/// either, where it is already.
fn enter(namespace: &File, here: &mut Option<u64>) -> Result<()> {
    let there = number(namespace);
    if there.is_some() && *here == there {
        return Ok(());
    }
    setns(namespace, CloneFlags::CLONE_NEWNET).tried(|| "setns(net, CLONE_NEWNET)")?;
    *here = there;
    Ok(())
}

fn number(namespace: &File) -> Option<u64> {
    namespace.metadata().map(|metadata| metadata.ino()).ok()
}

/// By way of the user namespace that the network namespace belongs to.
fn by_child(namespace: &File, protocol: Protocol) -> Result<Socket> {
    let user = raw::ns_user(namespace).tried(|| "ioctl(net, NS_GET_USERNS)").map_err(closed)?;
    let (ours, theirs) = Channel::pair()?;
    let Some(pid) = raw::fork().tried(|| "fork()")? else {
        let made = setns(&user, CloneFlags::CLONE_NEWUSER)
            .tried(|| "setns(user, CLONE_NEWUSER)")
            .and_then(|()| enter(namespace, &mut None))
            .and_then(|()| Socket::open(protocol));
        let _ = match &made {
            Ok(socket) => theirs.send(&Ok::<(), Error>(()), &[socket.as_fd()]),
            Err(error) => theirs.send(&Err::<(), _>(error), &[]),
        };
        raw::exit_now(0)
    };
    drop(theirs);
    let answer = ours.receive::<Result<(), Error>>();
    raw::reap(pid);
    match answer? {
        Some((Ok(()), fds)) => {
            let fd: Option<OwnedFd> = fds.into_iter().next();
            fd.map(Socket::from_fd).ok_or_else(|| Error::new("a child handed out no socket"))
        }
        Some((Err(error), _)) => Err(closed(error)),
        None => Err(Error::new("a child that entered a network namespace was killed")),
    }
}

fn closed(error: Error) -> Error {
    match error.is(Errno::EPERM) {
        true => error.hint("It is not yours: only root, or whoever made it, may look inside."),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::links;
    use super::*;

    #[test]
    fn our_own_is_read_without_any_right() {
        let open = |_| File::open("/proc/self/ns/net").tried(|| "open");
        let read = |socket: &Socket, _| links::list(socket);
        let all = each(2, Protocol::Route, open, read);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].as_ref().unwrap(), all[1].as_ref().unwrap());
    }
}
