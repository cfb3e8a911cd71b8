//! The only file where `unsafe` is allowed: system calls and process-wide
//! switches that no crate offers safely. Each block says why it is sound.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::FromRawFd;
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

/// Forks: `child` runs in a copy of this process, which ends with its answer
/// as exit code, without this program's destructors and exit handlers.
pub fn fork(child: impl FnOnce() -> i32) -> nix::Result<nix::unistd::Pid> {
    // SAFETY: the child has this thread alone. It allocates, which glibc and musl
    // allow after fork; locks of other threads it never takes, because callers
    // fork before they start threads. It leaves by _exit(2) in every case.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(child),
        nix::unistd::ForkResult::Child => {
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: _exit only ends the process.
            unsafe { libc::_exit(answer.unwrap_or(101)) }
        }
    }
}

/// What the kernel answers to a clone3(2) without arguments: EINVAL where it
/// has the call, ENOSYS (or what a filter says) where not. Nothing is cloned.
pub fn clone3_answer() -> nix::errno::Errno {
    // SAFETY: a size of 0 is below CLONE_ARGS_SIZE_VER0, so the kernel refuses
    // before it reads the pointer or makes a process.
    let result = unsafe { libc::syscall(libc::SYS_clone3, std::ptr::null::<u8>(), 0usize) };
    if result == -1 { nix::errno::Errno::last() } else { nix::errno::Errno::UnknownErrno }
}
