//! A small ptrace(2) tracer: runs a command, sees every state-changing system
//! call (tests/traced.txt) of the launcher, the watcher and the container's
//! first process, and can kill any of them at a chosen one, or let that call
//! fail: the kernel is asked nothing, and the process is told an error.

use std::collections::{HashMap, HashSet};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use regex::Regex;

use crate::harness::Uth;

/// Longer than any traced command takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The program that was started.
    Launcher,
    /// The process that `run` forks first.
    Watcher,
    /// The container's first process, which the watcher starts; for `exec`,
    /// which needs no watcher, what the launcher starts.
    Init,
    /// What the launcher starts later: newuidmap, whose set-user-id bit a tracer would void.
    Helper,
}

/// Before a call is carried out, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    Entry,
    Exit,
}

/// The n-th (from 0) state-changing call of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub role: Role,
    pub n: usize,
    pub when: When,
}

/// What is done at a point.
#[derive(Debug, Clone, Copy)]
pub enum Strike<'a> {
    /// These are killed.
    Kill(&'a [Role]),
    /// The call is not made, and answered with this error.
    Fail(nix::errno::Errno),
}

/// Which calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Those that change the state of something.
    Changing,
    /// The same, and those that write down what is about to be changed.
    ChangingAndNoting,
    /// Those that wait for another process, and that a signal can interrupt.
    Waiting,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Trace {
    /// Every state-changing call, in order, with whose it was.
    pub calls: Vec<(Role, &'static str)>,
    /// Whether the point was reached and every victim was killed.
    pub struck: bool,
    /// How the program itself ended.
    pub status: Option<WaitStatus>,
}

struct Tracee {
    role: Role,
    /// How many processes it has made.
    children: usize,
    /// The state-changing call it is in: its number among those of the role.
    inside: Option<usize>,
    /// It has become somebody's command.
    is_the_command: bool,
}

/// Runs the program with `args`; at `point`, kills the `victims`.
pub fn trace(uth: &Uth, args: &[&str], strike: Option<(Point, &[Role])>) -> Trace {
    let strike = strike.map(|(point, victims)| (point, Strike::Kill(victims)));
    trace_to(uth, args, Calls::Changing, strike, Stdio::null())
}

/// The same for these calls, with anything done at a point, and with standard
/// error where the caller reads it.
pub fn trace_to(
    uth: &Uth,
    args: &[&str],
    calls: Calls,
    strike: Option<(Point, Strike<'_>)>,
    stderr: Stdio,
) -> Trace {
    // The shell stops itself, so that the tracer can take hold of it before it
    // becomes the program.
    let mut shell = uth.beside("sh");
    shell.args(["-c", "kill -STOP $$; exec \"$UTH\" \"$@\"", "sh"]).args(args);
    shell.stdout(Stdio::null()).stderr(stderr);
    Tracer::seize(shell, first_child(args), calls).follow(strike)
}

/// What the launcher of this command starts first.
pub fn first_child(args: &[&str]) -> Role {
    let needs_no_watcher = match args {
        ["sched", "race", ..] => !args.contains(&"--weight"),
        ["sched", "rt", ..] => true,
        _ => matches!(args.first(), Some(&"exec" | &"chroot")),
    };
    if needs_no_watcher { Role::Init } else { Role::Watcher }
}

struct Tracer {
    launcher: Pid,
    first_child: Role,
    calls: Calls,
    tracees: HashMap<Pid, Tracee>,
    /// New processes that stopped before their parent's event said whose they are.
    unknown: HashSet<Pid>,
    trace: Trace,
}

impl Tracer {
    #[allow(clippy::zombie_processes, reason = "`follow` waits for it, by its pid")]
    fn seize(mut shell: Command, first_child: Role, calls: Calls) -> Self {
        let child = shell.process_group(0).spawn().unwrap();
        let launcher = Pid::from_raw(child.id().cast_signed());
        waitpid(launcher, Some(WaitPidFlag::WUNTRACED)).unwrap();
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::seize(launcher, options).unwrap();
        kill(launcher, Signal::SIGCONT).unwrap();
        let tracee =
            Tracee { role: Role::Launcher, children: 0, inside: None, is_the_command: false };
        let tracees = HashMap::from([(launcher, tracee)]);
        let (unknown, trace) = (HashSet::new(), Trace::default());
        Self { launcher, first_child, calls, tracees, unknown, trace }
    }

    /// Until all have ended, or the blow has been struck; then lets go of the rest.
    fn follow(mut self, strike: Option<(Point, Strike<'_>)>) -> Trace {
        let start = Instant::now();
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
        let mut executed = false;
        while !self.tracees.is_empty() {
            assert!(start.elapsed() < PATIENCE, "hangs under the tracer: {:?}", self.trace);
            let Ok(status) = waitpid(Pid::from_raw(-1), Some(flags)) else { break };
            let Some(pid) = status.pid() else {
                std::thread::sleep(Duration::from_micros(30));
                continue;
            };
            let mut signal = None;
            match status {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.tracees.remove(&pid);
                    if pid == self.launcher {
                        self.trace.status = Some(status);
                    }
                    continue;
                }
                WaitStatus::PtraceEvent(_, _, event) => {
                    executed |= event == libc::PTRACE_EVENT_EXEC && pid == self.launcher;
                    self.event(pid, event);
                }
                // What the shell did before it became the program is nobody's.
                WaitStatus::PtraceSyscall(_) if executed => self.call(pid, strike),
                WaitStatus::Stopped(_, delivered) => signal = Some(delivered),
                _ => {}
            }
            self.resume(pid, signal);
        }
        if self.trace.status.is_none() {
            self.trace.status = wait_for(self.launcher);
        }
        self.trace
    }

    /// Lets a stopped process go on: to its next call, or for good.
    fn resume(&mut self, pid: Pid, signal: Option<Signal>) {
        let Some(tracee) = self.tracees.get(&pid) else {
            self.unknown.insert(pid);
            return;
        };
        if self.trace.struck || tracee.role == Role::Helper {
            // A process that was killed meanwhile is reported by the next wait.
            if ptrace::detach(pid, signal).is_ok() {
                self.tracees.remove(&pid);
            }
        } else {
            let _ = ptrace::syscall(pid, signal);
        }
    }

    /// A new process: whose it is follows from who made it.
    fn event(&mut self, pid: Pid, event: i32) {
        if event == libc::PTRACE_EVENT_EXEC
            && let Some(tracee) = self.tracees.get_mut(&pid)
        {
            // Our own program is executed by descriptor, the command by its path.
            let mut calls = self.trace.calls.iter().rev();
            let last = calls.find(|(role, _)| *role == tracee.role).map(|(_, call)| *call);
            tracee.is_the_command = tracee.role == Role::Init && last == Some("execve");
        }
        let forks = [libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK, libc::PTRACE_EVENT_CLONE];
        let (true, Ok(child)) = (forks.contains(&event), ptrace::getevent(pid)) else { return };
        let Some(parent) = self.tracees.get_mut(&pid) else { return };
        let child = Pid::from_raw(i32::try_from(child).unwrap());
        let role = match (event, parent.role, parent.children) {
            // A thread is no process of its own: that event is for all that is no fork.
            (libc::PTRACE_EVENT_CLONE, role, _) => role,
            (_, Role::Launcher, 0) => self.first_child,
            (_, Role::Launcher | Role::Helper, _) => Role::Helper,
            (_, Role::Watcher | Role::Init, _) => Role::Init,
        };
        parent.children += usize::from(event != libc::PTRACE_EVENT_CLONE);
        self.tracees
            .insert(child, Tracee { role, children: 0, inside: None, is_the_command: false });
        if self.unknown.remove(&child) {
            self.resume(child, None);
        }
    }

    /// At the entry to or the exit from a call.
    fn call(&mut self, pid: Pid, strike: Option<(Point, Strike<'_>)>) {
        let Ok(info) = ptrace::syscall_info(pid) else { return };
        let Some(tracee) = self.tracees.get_mut(&pid) else { return };
        if tracee.is_the_command && self.calls != Calls::Changing {
            return; // what it does is its own affair
        }
        let role = tracee.role;
        let (n, when) = if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            let Some(call) = counted(pid, self.calls) else { return };
            let n = self.trace.calls.iter().filter(|(whose, _)| *whose == role).count();
            self.trace.calls.push((role, call));
            tracee.inside = Some(n);
            (n, When::Entry)
        } else {
            let Some(n) = tracee.inside.take() else { return };
            (n, When::Exit)
        };
        match strike {
            Some((point, Strike::Kill(victims))) if point == (Point { role, n, when }) => {
                self.kill(victims);
            }
            Some((point, Strike::Fail(errno))) if (point.role, point.n) == (role, n) => {
                self.fail(pid, when, errno);
            }
            _ => {}
        }
    }

    /// At the entry the call is replaced by one that there is not, and at the
    /// exit that one's answer by the error.
    fn fail(&mut self, pid: Pid, when: When, errno: nix::errno::Errno) {
        let answered = match when {
            When::Entry => answer(pid, None),
            When::Exit => answer(pid, Some(errno)),
        };
        if answered.is_ok() && when == When::Exit {
            self.trace.struck = true;
            self.let_go();
        }
    }

    fn kill(&mut self, victims: &[Role]) {
        for victim in victims {
            for (pid, _) in self.tracees.iter().filter(|(_, tracee)| tracee.role == *victim) {
                let _ = kill(*pid, Signal::SIGKILL);
                self.trace.struck = true;
            }
        }
        if self.trace.struck {
            self.let_go();
        }
    }

    /// Whoever waits for something stops too, and is let go of.
    fn let_go(&self) {
        for pid in self.tracees.keys() {
            let _ = ptrace::interrupt(*pid);
        }
    }
}

/// Waits for a child that is no longer traced.
fn wait_for(pid: Pid) -> Option<WaitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
            Ok(status) => return Some(status),
            Err(_) => return None,
        }
    }
    let _ = kill(pid, Signal::SIGKILL);
    let _ = waitpid(pid, None);
    panic!("the program hangs after what was done to it");
}

/// The number of the call that a process is in, and its first and third arguments.
#[cfg(target_arch = "x86_64")]
fn entered(pid: Pid) -> Option<(i64, u64, u64)> {
    ptrace::getregs(pid).ok().map(|regs| (regs.orig_rax.cast_signed(), regs.rdi, regs.rdx))
}

#[cfg(target_arch = "aarch64")]
fn entered(pid: Pid) -> Option<(i64, u64, u64)> {
    ptrace::getregs(pid).ok().map(|regs| (regs.regs[8].cast_signed(), regs.regs[0], regs.regs[2]))
}

/// At the entry to a call (`None`): it is call number -1, which there is not.
/// At the exit: what it answers.
#[cfg(target_arch = "x86_64")]
fn answer(pid: Pid, errno: Option<nix::errno::Errno>) -> nix::Result<()> {
    let mut regs = ptrace::getregs(pid)?;
    match errno {
        None => regs.orig_rax = u64::MAX,
        Some(errno) => regs.rax = (-i64::from(errno as i32)).cast_unsigned(),
    }
    ptrace::setregs(pid, regs)
}

/// There the number is not among the general registers; nothing asks for it yet.
#[cfg(target_arch = "aarch64")]
fn answer(_: Pid, _: Option<nix::errno::Errno>) -> nix::Result<()> {
    Err(nix::errno::Errno::ENOSYS)
}

/// The name of the call that a process is about to make, if it counts.
fn counted(pid: Pid, calls: Calls) -> Option<&'static str> {
    let (number, first, third) = entered(pid)?;
    let known = |list: &[(&'static str, i64)]| {
        list.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
    };
    match calls {
        Calls::Waiting => known(WAITING),
        Calls::ChangingAndNoting if known(NOTING).is_some() => {
            // What is written to the terminal, or to whoever reads, changes nothing.
            known(NOTING).filter(|name| *name != "write" || first > 2)
        }
        Calls::Changing | Calls::ChangingAndNoting => known(NUMBERS).filter(|name| match *name {
            "openat" => third & (libc::O_WRONLY | libc::O_RDWR) as u64 != 0,
            "prlimit64" => third != 0, // else it only asks
            "prctl" => SETTING.contains(&first),
            _ => true,
        }),
    }
}

/// A line of tests/traced.txt.
pub struct Traced {
    /// What a step calls it.
    pub step: &'static str,
    names: &'static str,
    which: Option<Regex>,
}

impl Traced {
    /// The system calls.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.names.split(',')
    }

    /// Whether it is this call: its name, and `name(arguments` as strace prints it.
    pub fn is(&self, name: &str, text: &str) -> bool {
        self.names().any(|known| known == name)
            && self.which.as_ref().is_none_or(|which| which.is_match(text))
    }
}

/// The state-changing calls of tests/traced.txt.
pub fn traced() -> &'static [Traced] {
    static LIST: LazyLock<Vec<Traced>> = LazyLock::new(|| {
        let lines = include_str!("../traced.txt").lines();
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(parse).collect()
    });
    &LIST
}

fn parse(line: &'static str) -> Traced {
    let mut words = line.split_whitespace();
    let mut word = || words.next();
    let (step, names) = (word().unwrap(), word().unwrap());
    Traced { step, names, which: word().map(|which| Regex::new(which).unwrap()) }
}

macro_rules! numbers {
    ($($name:ident = $number:ident),+ $(,)?) => { &[$((stringify!($name), libc::$number)),+] };
}

/// Where the tracer can strike: what `run` and `exec` call, of tests/traced.txt.
#[cfg(target_arch = "x86_64")]
const NUMBERS: &[(&str, i64)] = numbers! {
    capset = SYS_capset, chdir = SYS_chdir, chmod = SYS_chmod, clone = SYS_clone, clone3 = SYS_clone3,
    execve = SYS_execve, execveat = SYS_execveat, linkat = SYS_linkat, memfd_create = SYS_memfd_create, keyctl = SYS_keyctl, mkdir = SYS_mkdir,
    mkdirat = SYS_mkdirat,
    mknod = SYS_mknod, mknodat = SYS_mknodat, mount = SYS_mount, mount_setattr = SYS_mount_setattr,
    open_tree = SYS_open_tree, openat = SYS_openat, pivot_root = SYS_pivot_root, prctl = SYS_prctl,
    rename = SYS_rename, rmdir = SYS_rmdir, sched_setaffinity = SYS_sched_setaffinity,
    sched_setattr = SYS_sched_setattr, seccomp = SYS_seccomp, sendto = SYS_sendto,
    setgid = SYS_setgid, setgroups = SYS_setgroups, sethostname = SYS_sethostname, setns = SYS_setns,
    fchdir = SYS_fchdir, move_mount = SYS_move_mount, prlimit64 = SYS_prlimit64, setsid = SYS_setsid, setuid = SYS_setuid,
    symlink = SYS_symlink, symlinkat = SYS_symlinkat,
    umount2 = SYS_umount2, unlink = SYS_unlink, unlinkat = SYS_unlinkat, unshare = SYS_unshare,
};

#[cfg(target_arch = "aarch64")]
const NUMBERS: &[(&str, i64)] = numbers! {
    capset = SYS_capset, chdir = SYS_chdir, clone = SYS_clone, clone3 = SYS_clone3, execve = SYS_execve,
    execveat = SYS_execveat, linkat = SYS_linkat, memfd_create = SYS_memfd_create, keyctl = SYS_keyctl, mkdirat = SYS_mkdirat, mknodat = SYS_mknodat, mount = SYS_mount,
    mount_setattr = SYS_mount_setattr, open_tree = SYS_open_tree, openat = SYS_openat,
    pivot_root = SYS_pivot_root, prctl = SYS_prctl, renameat = SYS_renameat,
    sched_setaffinity = SYS_sched_setaffinity, sched_setattr = SYS_sched_setattr, seccomp = SYS_seccomp,
    sendto = SYS_sendto, setgid = SYS_setgid, setgroups = SYS_setgroups,
    fchdir = SYS_fchdir, move_mount = SYS_move_mount, prlimit64 = SYS_prlimit64, sethostname = SYS_sethostname,
    setns = SYS_setns, setsid = SYS_setsid, setuid = SYS_setuid,
    symlinkat = SYS_symlinkat, umount2 = SYS_umount2, unlinkat = SYS_unlinkat, unshare = SYS_unshare,
};

/// What prctl(2) is told, and not asked.
const SETTING: [u64; 7] = [
    libc::PR_CAPBSET_DROP as u64,
    libc::PR_CAP_AMBIENT as u64,
    libc::PR_SET_DUMPABLE as u64,
    libc::PR_SET_NO_NEW_PRIVS as u64,
    libc::PR_SET_PDEATHSIG as u64,
    libc::PR_SET_SECCOMP as u64,
    libc::PR_SET_SECUREBITS as u64,
];

/// What goes before a change: it is written down, by whoever holds the lock.
const NOTING: &[(&str, i64)] = numbers! {
    close_range = SYS_close_range, flock = SYS_flock, socketpair = SYS_socketpair, write = SYS_write,
};

/// Where one process waits for another, or for room.
#[cfg(target_arch = "x86_64")]
const WAITING: &[(&str, i64)] = numbers! {
    flock = SYS_flock, poll = SYS_poll, ppoll = SYS_ppoll, recvmsg = SYS_recvmsg, sendmsg = SYS_sendmsg,
    wait4 = SYS_wait4, waitid = SYS_waitid, write = SYS_write,
};

#[cfg(target_arch = "aarch64")]
const WAITING: &[(&str, i64)] = numbers! {
    flock = SYS_flock, ppoll = SYS_ppoll, recvmsg = SYS_recvmsg, sendmsg = SYS_sendmsg,
    wait4 = SYS_wait4, waitid = SYS_waitid, write = SYS_write,
};
