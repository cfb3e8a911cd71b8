//! docker's default list (moby/profiles, May 2026): what it allows; all else gets EPERM.
//!
//! It stands here and not in a file, so that nothing has to be read while a container waits.

use std::borrow::Cow;

use super::profile::{Choice, Names, Profile, Rule};
use super::{Action, Compare};

/// These names, with nothing to be made of them when a container waits.
macro_rules! names {
    ($($name:ident)*) => { Cow::Borrowed(&[$(Cow::Borrowed(stringify!($name))),*]) };
}

/// What it is called in steps and errors.
pub const NAME: &str = "docker's default list";

/// On every architecture.
const EVERYWHERE: Names = names![
    accept accept4 adjtimex bind brk cachestat capget capset chdir clock_adjtime
    clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range dup
    dup3 epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod fchmodat
    fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv
    futex_wake get_robust_list getcpu getcwd getdents64 getegid geteuid getgid getgroups
    getitimer getpeername getpgid getpid getppid getpriority getrandom getresgid getresuid
    getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr
    getxattrat inotify_add_watch inotify_init1 inotify_rm_watch io_cancel io_destroy
    io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set kill
    landlock_add_rule landlock_create_ruleset landlock_restrict_self lgetxattr linkat listen
    listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr madvise
    map_shadow_stack membarrier memfd_create memfd_secret mincore mkdirat mknodat mlock
    mlock2 mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall
    munmap name_to_handle_at nanosleep newfstatat openat openat2 pidfd_open
    pidfd_send_signal pipe2 pkey_alloc pkey_free pkey_mprotect ppoll prctl pread64 preadv
    preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 ptrace
    pwrite64 pwritev pwritev2 read readahead readlinkat readv recvfrom recvmmsg recvmsg
    remap_file_pages removexattr removexattrat renameat renameat2 restart_syscall rseq
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
    semctl semget semop semtimedop sendfile sendmmsg sendmsg sendto set_robust_list
    set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid setpriority
    setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid setxattr
    setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd4 socketpair splice
    statfs statmount statx symlinkat sync sync_file_range syncfs sysinfo tee tgkill
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times tkill truncate umask uname unlinkat utimensat
    vmsplice wait4 waitid write writev
];

/// Only where the kernel still has them.
const X86_64: Names = names![
    access alarm arch_prctl chmod chown creat dup2 epoll_create epoll_ctl_old epoll_wait
    epoll_wait_old eventfd fork futimesat get_thread_area getdents getpgrp inotify_init
    lchown link lstat mkdir mknod modify_ldt open pause pipe poll readlink rename rmdir
    select set_thread_area signalfd stat symlink time unlink uretprobe utime utimes vfork
];

/// With a capability, its calls.
const WITH: &[(&str, Names)] = &[
    (
        "CAP_SYS_ADMIN",
        names![
            bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
            lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr
            move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
            sethostname setns syslog umount2 unshare
        ],
    ),
    ("CAP_BPF", names![bpf]),
    ("CAP_DAC_READ_SEARCH", names![open_by_handle_at]),
    ("CAP_PERFMON", names![perf_event_open]),
    ("CAP_SYSLOG", names![syslog]),
    ("CAP_SYS_BOOT", names![reboot]),
    ("CAP_SYS_CHROOT", names![chroot]),
    ("CAP_SYS_MODULE", names![delete_module finit_module init_module]),
    ("CAP_SYS_NICE", names![get_mempolicy mbind set_mempolicy set_mempolicy_home_node]),
    ("CAP_SYS_PACCT", names![acct]),
    ("CAP_SYS_PTRACE", names![kcmp pidfd_getfd process_madvise]),
    ("CAP_SYS_RAWIO", names![ioperm iopl]),
    ("CAP_SYS_TIME", names![clock_settime settimeofday]),
    ("CAP_SYS_TTY_CONFIG", names![vhangup]),
];

/// Of clone(2): the bits of new namespaces (CLONE_NEW*), none of which may be set.
const NEW_NAMESPACES: u64 = 0x7E02_0000;

/// Of personality(2): Linux, 32-bit Linux, with uname26 or not, and asking which it is.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x20000, 0x20008, 0xFFFF_FFFF];

/// Of socket(2): AF_ALG is the kernel's own cryptography, with a history; AF_VSOCK would
/// reach the hypervisor.
const FAMILIES_REFUSED: [u64; 2] = [38, 40];

/// The list.
pub fn profile() -> Profile {
    let allow = |names| Rule::new(names, Action::Allow);
    let admin = || Choice { caps: vec!["CAP_SYS_ADMIN".to_owned()], ..Choice::default() };
    let amd64 = Choice { arches: vec!["amd64".to_owned()], ..Choice::default() };
    let mut rules = vec![allow(EVERYWHERE), Rule { includes: amd64, ..allow(X86_64) }];
    let none = vec![(0, Compare::Masked(NEW_NAMESPACES), 0)];
    rules.push(Rule { args: none, excludes: admin(), ..allow(names![clone]) });
    let personality =
        |value| Rule { args: vec![(0, Compare::Eq, value)], ..allow(names![personality]) };
    rules.extend(PERSONALITIES.map(personality));
    let others = FAMILIES_REFUSED.map(|family| (0, Compare::Ne, family)).to_vec();
    rules.push(Rule { args: others, ..allow(names![socket]) });
    // Not EPERM but "this kernel has no such call", upon which C libraries fall back to clone.
    let enosys = Action::Errno(libc::ENOSYS as u16);
    rules.push(Rule { excludes: admin(), ..Rule::new(names![clone3], enosys) });
    rules.extend(WITH.iter().map(|(capability, calls)| {
        let includes = Choice { caps: vec![(*capability).to_owned()], ..Choice::default() };
        Rule { includes, ..allow(calls.clone()) }
    }));
    Profile { name: NAME.to_owned(), default: Action::Errno(libc::EPERM as u16), rules }
}
