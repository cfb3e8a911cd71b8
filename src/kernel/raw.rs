//! The only file where `unsafe` is allowed: system calls and process-wide
//! switches that no crate offers safely. Each block says why it is sound.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Context, Error, Result};
use crate::kernel::channel::Channel;

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

/// The opposite, for who talks to a server: a connection that the other side has closed is
/// an error of the write, and not the end of this process.
pub fn broken_pipes_are_errors() {
    // SAFETY: SIG_IGN installs no handler either.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
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

/// fork(2): `None` in the child, its pid in the parent.
pub fn fork() -> nix::Result<Option<i32>> {
    // SAFETY: callers fork only while this program has a single thread (it
    // starts others only for HTTP, in commands that do not come here), so the
    // child finds every lock, the allocator's too, as the parent left it: free.
    match unsafe { nix::unistd::fork()? } {
        nix::unistd::ForkResult::Child => Ok(None),
        nix::unistd::ForkResult::Parent { child } => Ok(Some(child.as_raw())),
    }
}

/// clone3(2) with these `CLONE_*` flags, as a fork: the child's pid and a pidfd
/// for it, or `None` in the child.
pub fn clone3(flags: u64) -> nix::Result<Option<(i32, OwnedFd)>> {
    let mut pidfd: i32 = -1;
    let mut arguments = libc::clone_args {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    // SAFETY: without CLONE_VM and without a stack of its own the child runs on
    // a copy of this one, as after fork, and the same single-thread rule holds.
    // The kernel writes to `pidfd`, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(&mut arguments),
            size_of::<libc::clone_args>(),
        )
    };
    match nix::errno::Errno::result(result)? {
        0 => Ok(None),
        // SAFETY: on success the kernel put a new descriptor there, which nobody else owns.
        pid => Ok(Some((i32::try_from(pid).unwrap_or(-1), unsafe { OwnedFd::from_raw_fd(pidfd) }))),
    }
}

/// mount_setattr(2) on a detached mount: makes it read-only.
pub fn mount_read_only(mount: impl AsFd) -> nix::Result<()> {
    mount_setattr(mount, libc::AT_EMPTY_PATH, libc::MOUNT_ATTR_RDONLY, 0)
}

/// mount_setattr(2) on a detached mount: makes it read-only, and shows its
/// owners as this user namespace maps them.
pub fn mount_mapped(mount: impl AsFd, user_namespace: &File) -> nix::Result<()> {
    let namespace = user_namespace.as_raw_fd().cast_unsigned().into();
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_IDMAP;
    mount_setattr(mount, libc::AT_EMPTY_PATH, attributes, namespace)
}

/// mount_setattr(2) on a detached mount and all mounts below it: sets these attributes.
pub fn mount_attributes(mount: impl AsFd, attributes: u64) -> nix::Result<()> {
    mount_setattr(mount, libc::AT_EMPTY_PATH | libc::AT_RECURSIVE, attributes, 0)
}

fn mount_setattr(mount: impl AsFd, flags: i32, set: u64, userns_fd: u64) -> nix::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd };
    // SAFETY: the path is a C string, the structure lives through the call and its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    nix::errno::Errno::result(result).map(drop)
}

/// getsockopt(2) at the level of IP, for options that answer in the form of the
/// question: `buffer` is both.
pub fn ip_option(socket: impl AsFd, option: i32, buffer: &mut [u8]) -> nix::Result<()> {
    let mut length = libc::socklen_t::try_from(buffer.len()).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the kernel reads and writes no more than `length` bytes of the buffer, which
    // are all there; the length lives through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            option,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    nix::errno::Errno::result(result).map(drop)
}

/// Ends the process at once: no destructors, no `atexit`, which in a forked
/// child would run for things that are the parent's.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) never returns and touches no memory.
    unsafe { libc::_exit(code) }
}

/// sigwaitinfo(2): the next of the signals that are held back, whichever; the
/// real-time ones too, which have no names.
pub fn next_signal() -> nix::Result<i32> {
    // SAFETY: the set is plain data that sigfillset(3) fills before it is read;
    // nothing is asked of the signal but its number.
    let number = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigwaitinfo(&raw const all, std::ptr::null_mut())
    };
    nix::errno::Errno::result(number)
}

/// kill(2), with any signal there is; that the process has ended is no error.
pub fn send_signal(pid: i32, signal: i32) {
    // SAFETY: kill(2) touches no memory of ours.
    unsafe { libc::kill(pid, signal) };
}

/// Waits for a child that is about to end, so that it does not stay a zombie.
pub fn reap(pid: i32) {
    use nix::sys::wait::waitpid;
    while waitpid(nix::unistd::Pid::from_raw(pid), None) == Err(nix::errno::Errno::EINTR) {}
}

/// Gives this process exactly these descriptors, numbered from 0, and closes
/// every other. For a process just forked: whatever else was open is the
/// parent's business. With an error comes the last descriptor, which is the
/// channel to tell it over.
pub fn only_fds(fds: Vec<OwnedFd>) -> Result<(), (Error, OwnedFd)> {
    use nix::errno::Errno;
    let mut last = fds.last().map_or(-1, AsRawFd::as_raw_fd);
    let failed = |call: &str, errno, last| {
        // SAFETY: it was handed over with `fds`, or is our copy of it, and nothing owns it.
        Err((Error::call(call, errno), unsafe { OwnedFd::from_raw_fd(last) }))
    };
    // Out of the way first, or placing one would overwrite another.
    let mut away = Vec::new();
    for fd in fds {
        // SAFETY: F_DUPFD makes a new descriptor and touches no memory.
        match Errno::result(unsafe { libc::fcntl(fd.into_raw_fd(), libc::F_DUPFD, 64) }) {
            Ok(fd) => away.push(fd),
            Err(errno) => return failed("fcntl(F_DUPFD)", errno, last),
        }
    }
    last = away.last().copied().unwrap_or(last);
    let count = away.len();
    for (number, fd) in (0..).zip(away) {
        // SAFETY: dup2 replaces whatever the parent had there. Values of the
        // parent that own that number still exist in our copy of its memory,
        // but a forked process ends by exec or `exit_now` and drops none of them.
        if let Err(errno) = Errno::result(unsafe { libc::dup2(fd, number) }) {
            return failed("dup2()", errno, last);
        }
    }
    let first = libc::c_uint::try_from(count).unwrap_or(libc::c_uint::MAX);
    // SAFETY: as above; the numbers closed are used by nothing that this process will still run.
    if unsafe { libc::close_range(first, u32::MAX, 0) } == 0 {
        return Ok(());
    }
    // Before Linux 5.9, and where a container's older filter says no: one by one.
    // SAFETY: getdtablesize only reads a limit; and for close, as above.
    for number in (0..unsafe { libc::getdtablesize() }).skip(count) {
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// What the watcher does first: its own session, out of any directory, no
/// signals, nothing open but this channel, /dev/null, and the `binary` that it
/// is to become. What fails is said over the channel that comes with it.
#[allow(clippy::type_complexity)]
pub fn leave_the_launcher(
    channel: Channel,
    binary: Option<OwnedFd>,
) -> Result<(Channel, Option<OwnedFd>), Box<(Error, Channel)>> {
    let last = if binary.is_some() { 4 } else { 3 };
    let left = (|| {
        use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
        nix::unistd::setsid().tried(|| "setsid()")?;
        let all = Some(&SigSet::all());
        sigprocmask(SigmaskHow::SIG_BLOCK, all, None).tried(|| "sigprocmask(SIG_BLOCK)")?;
        std::env::set_current_dir("/").tried(|| "chdir(\"/\")")?;
        let null = || {
            let opened = File::options().read(true).write(true).open("/dev/null");
            opened.map(OwnedFd::from).tried(|| "open(\"/dev/null\", O_RDWR)")
        };
        let own = channel.as_fd().try_clone_to_owned().tried(|| "fcntl(F_DUPFD)")?;
        Ok([null()?, null()?, null()?].into_iter().chain(binary).chain([own]).collect())
    })();
    let fds = match left {
        Ok(fds) => fds,
        Err(error) => return Err(Box::new((error, channel))),
    };
    std::mem::forget(channel); // its number is closed here
    match only_fds(fds) {
        // SAFETY: `only_fds` has just put the channel there, and the binary, where there is
        // one, at 3; nothing else owns them.
        Ok(()) => Ok(unsafe {
            let binary = (last == 4).then(|| OwnedFd::from_raw_fd(3));
            (Channel::from_fd(OwnedFd::from_raw_fd(last)), binary)
        }),
        Err((error, fd)) => Err(Box::new((error, Channel::from_fd(fd)))),
    }
}

/// The descriptor that a parent of ours has put at this number for us.
///
/// Only for a process that was just started by `only_fds` or by exec from one.
pub fn handed_over(number: i32) -> OwnedFd {
    // SAFETY: the caller knows that the number is open and that nothing in this
    // fresh process owns it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// What `ps` shows instead of the command line, cut to the room there is: the
/// kernel lets a process write over its own arguments (proc(5), cmdline).
pub fn set_title(title: &str) {
    let Some((start, length)) = argument_area() else { return };
    let mut bytes = vec![0_u8; length];
    let shown = title.len().min(length - 1);
    bytes[..shown].copy_from_slice(&title.as_bytes()[..shown]);
    // SAFETY: the kernel says that these are the bytes of our arguments, they
    // are writable, and a forked watcher reads its arguments no more.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start as *mut u8, length) };
}

/// Fields 48 and 49 of /proc/self/stat: where the arguments are.
fn argument_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(45);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start != 0 && end > start + 1).then_some((start, end - start))
}

/// Whether this number is an open socket: what a parent of ours leaves for `__init`.
pub fn is_socket(number: i32) -> bool {
    // SAFETY: the structure is plain data that fstat(2) fills; its address is valid for the call.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(number, &raw mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFSOCK
    }
}

/// Every signal does again what it does by default; an ignored one would stay
/// ignored through exec.
pub fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL installs no handler; for SIGKILL and SIGSTOP the call fails harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
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

/// keyctl(2) `KEYCTL_JOIN_SESSION_KEYRING`: a new, empty session keyring without a name.
pub fn new_session_keyring() -> nix::Result<i64> {
    // SAFETY: with NULL for the name the call takes no address.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(libc::KEYCTL_JOIN_SESSION_KEYRING),
            std::ptr::null::<libc::c_char>(),
        )
    };
    nix::errno::Errno::result(result)
}

/// seccomp(2) `SECCOMP_SET_MODE_FILTER`: adds a filter to this process.
/// (seccompiler's own call would set no_new_privs by the way, unreported.)
pub fn seccomp_filter(program: &seccompiler::BpfProgram) -> nix::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| nix::errno::Errno::E2BIG)?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: both sock_filter types have the kernel's layout (repr(C)); the
    // kernel copies the program during the call and writes nothing to it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            std::ptr::from_ref(&filter),
        )
    };
    nix::errno::Errno::result(result).map(drop)
}

/// sched_getattr(2): how a thread is scheduled.
pub fn sched_getattr(tid: i32) -> nix::Result<libc::sched_attr> {
    // SAFETY: plain integers, for which zero is a value; the kernel writes no
    // more than the size that it is given.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let (room, size) = (std::ptr::from_mut(&mut attributes), size_of::<libc::sched_attr>());
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, tid, room, size, 0) };
    nix::errno::Errno::result(result).map(|_| attributes)
}

/// sched_setattr(2): how a thread is to be scheduled.
pub fn sched_setattr(tid: i32, attributes: &libc::sched_attr) -> nix::Result<()> {
    // SAFETY: the kernel reads the structure, whose size stands in its first field.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, tid, attributes, 0) };
    nix::errno::Errno::result(result).map(drop)
}
