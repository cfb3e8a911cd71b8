//! The only file where `unsafe` is allowed: system calls and process-wide
//! switches that no crate offers safely. Each block says why it is sound.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// Which of descriptors 0 to 2 were closed when the program was started; Rust's
/// runtime opens /dev/null in their place before `main`, which would swallow
/// results silently.
static CLOSED_AT_START: AtomicU8 = AtomicU8::new(0);

extern "C" fn note_closed_stdio() {
    for fd in 0..3 {
        // SAFETY: F_GETFD only asks about a descriptor; no memory is involved.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            CLOSED_AT_START.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

// SAFETY: the loader calls each pointer in .init_array once, before `main`,
// with the C calling convention; the function needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_CLOSED_STDIO: extern "C" fn() = note_closed_stdio;

/// Whether descriptor `fd` (0 to 2) was closed when the program was started.
pub fn closed_at_start(fd: u8) -> bool {
    CLOSED_AT_START.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Ends the program quietly when whoever reads its output has gone, as other
/// tools end (Rust ignores SIGPIPE unless told otherwise).
pub fn default_sigpipe() {
    // SAFETY: SIG_DFL installs no handler, so no code of ours can run in signal context.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Takes over a descriptor that the parent process left open for us; `None`
/// when it is not open, or one of the standard three.
pub fn adopt_fd(fd: i32) -> Option<File> {
    if fd < 3
        || nix::fcntl::fcntl(
            borrow(fd)?,
            nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
        )
        .is_err()
    {
        return None;
    }
    // SAFETY: the descriptor is open, and this program uses a number given on
    // its command line for nothing else, so there is no second owner.
    Some(unsafe { File::from_raw_fd(fd) })
}

fn borrow<'a>(fd: i32) -> Option<std::os::fd::BorrowedFd<'a>> {
    // SAFETY: F_GETFD only asks; the borrow is used at once by the caller.
    (unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1)
        .then(|| unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) })
}

/// `ioctl(NS_GET_PARENT)`: the parent of a user or pid namespace (`ioctl_nsfs(2)`).
pub fn ns_parent(namespace: &File) -> nix::Result<File> {
    related(namespace, libc::NS_GET_PARENT)
}

/// `ioctl(NS_GET_USERNS)`: the user namespace that a namespace belongs to.
pub fn ns_user(namespace: &File) -> nix::Result<File> {
    related(namespace, libc::NS_GET_USERNS)
}

fn related(namespace: &File, request: libc::Ioctl) -> nix::Result<File> {
    // SAFETY: these two requests take no argument; on anything but an nsfs file they fail.
    let fd = nix::errno::Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), request) })?;
    // SAFETY: the kernel has just made this descriptor for us, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// `ioctl(NS_GET_OWNER_UID)`: who made a user namespace.
pub fn ns_owner_uid(namespace: &File) -> nix::Result<u32> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: the request writes one uid_t to the address given, which is ours and lives on.
    let done = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_OWNER_UID, &mut uid) };
    nix::errno::Errno::result(done).map(|_| uid)
}

/// Seconds since the epoch as this machine's wall clock shows them (`localtime(3)`).
pub fn local_time(seconds: i64) -> Option<libc::tm> {
    // SAFETY: `tm` is plain data for which all zeroes is a value.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values of ours; localtime_r keeps neither.
    let filled = unsafe { libc::localtime_r(&seconds, &mut broken_down) };
    (!filled.is_null()).then_some(broken_down)
}
