//! The view from inside: a program that is started in a container, ours or an
//! engine's, and says what it finds there: what is open, what it may do, what
//! it can read and write, which system calls are answered how. It is this test
//! binary itself, copied into the root file system; [`Inside`] is what it said.

#![allow(unsafe_code, reason = "system calls as they are, each in a child of its own")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::harness::{Ran, Uth};

/// What was found, each thing by a name: `call/mount`, `dev/null`, `fds`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside(pub BTreeMap<String, String>);

/// How it is started: in the container, from the root of its file system.
pub const COMMAND: [&str; 7] =
    ["env", "UTH_INSIDE=1", "/inside", "--ignored", "--exact", "inside::look", "--nocapture"];

impl Inside {
    /// What the program printed between its marks.
    #[track_caller]
    pub fn of(ran: &Ran) -> Self {
        Self::in_text(&ran.whole())
    }

    /// The same, somewhere in a text.
    #[track_caller]
    pub fn in_text(text: &str) -> Self {
        let line = text.lines().find_map(|line| line.strip_prefix("inside: "));
        let line = line.unwrap_or_else(|| panic!("it said nothing: {text}"));
        Self(serde_json::from_str(line).unwrap())
    }

    /// One thing.
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("nothing was found out about {name}"))
    }

    /// All whose name begins so, without that beginning.
    pub fn below<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter_map(move |(key, value)| Some((key.strip_prefix(name)?, value.as_str())))
    }
}

/// Copies the program, and the libraries that it and ours need, into a root file system.
pub fn put_into(root: &Path) {
    let program = std::env::current_exe().unwrap();
    fs::copy(&program, root.join("inside")).unwrap();
    for library in [libraries(&program), libraries(Uth::program())].concat() {
        let library = library.as_str();
        // As the loader looks for them: by their directory and by the usual ones.
        let name = Path::new(library).file_name().unwrap();
        for place in [library, "/lib64/x", "/lib/x"] {
            let place = root.join(place.trim_start_matches('/')).with_file_name(name);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            if !place.exists() {
                fs::copy(library, place).unwrap();
            }
        }
    }
}

/// The libraries that a program is linked with: the tests' and ours are not the same.
fn libraries(program: &Path) -> Vec<String> {
    let output = std::process::Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(str::to_owned).collect()
}

/// Not a test of this process: the program.
#[test]
#[ignore = "runs inside a container, where other tests start it"]
fn look() {
    if std::env::var_os("UTH_INSIDE").is_none() {
        return;
    }
    let mut found = BTreeMap::new();
    found.insert("fds".to_owned(), descriptors());
    found.insert("keyring".to_owned(), keyring());
    for find in [status, limits, mounts, devices, masked, writable, processes, root, calls, nodes] {
        found.extend(find());
    }
    let line = format!("\ninside: {}\n", serde_json::to_string(&found).unwrap());
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes()).unwrap();
}

type Found = Vec<(String, String)>;

fn descriptors() -> String {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let mut open: Vec<i32> =
        open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    open.sort_unstable();
    // The last is the directory just read.
    open.pop();
    format!("{open:?}")
}

/// The session keyring of this thread, by its number.
pub fn keyring() -> String {
    let session = libc::KEY_SPEC_SESSION_KEYRING as i64 as u64;
    // SAFETY: the call takes numbers only.
    match unsafe { raw_call(libc::SYS_keyctl, [0, session, 0, 0, 0, 0]) } {
        -1 => name(Errno::last()),
        id => id.to_string(),
    }
}

fn status() -> Found {
    const LINES: [&str; 13] = [
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
        "SigBlk",
        "SigIgn",
    ];
    // The first thread may just be making this one, with every signal blocked.
    let text = fs::read_to_string("/proc/thread-self/status").unwrap();
    let mut found: Found = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| LINES.contains(name))
        .map(|(name, value)| {
            (format!("status/{name}"), value.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect();
    let asked = |option| attempt(|| unsafe { raw_call(libc::SYS_prctl, [option, 0, 0, 0, 0, 0]) });
    found.push(("status/securebits".to_owned(), asked(libc::PR_GET_SECUREBITS as u64)));
    let label = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    found.push(("status/label".to_owned(), label));
    found
}

fn limits() -> Found {
    let text = fs::read_to_string("/proc/self/limits").unwrap();
    let line = |line: &str| {
        let (name, values) = line.split_at(26);
        (
            format!("limit/{}", name.trim()),
            values.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        )
    };
    text.lines().skip(1).map(line).collect()
}

/// Type, and of the flags those that take something away.
fn mounts() -> Found {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = |line: &str| {
        let (own, other) = line.split_once(" - ").unwrap();
        let own: Vec<_> = own.split(' ').collect();
        let mut flags: Vec<_> = own[5]
            .split(',')
            .filter(|flag| ["ro", "nosuid", "nodev", "noexec"].contains(flag))
            .collect();
        flags.sort_unstable();
        let fstype = other.split(' ').next().unwrap();
        (format!("mount{}", own[4]), format!("{fstype} {}", flags.join(",")).trim_end().to_owned())
    };
    text.lines().map(mount).collect()
}

fn devices() -> Found {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let kind = metadata.file_type();
        let device = || {
            format!(
                "{}:{}",
                nix::sys::stat::major(metadata.rdev()),
                nix::sys::stat::minor(metadata.rdev())
            )
        };
        let what = if kind.is_char_device() {
            format!("character device {}", device())
        } else if kind.is_block_device() {
            format!("block device {}", device())
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else {
            format!("mode {:o}", metadata.mode())
        };
        (path.to_str().unwrap().trim_start_matches('/').to_owned(), what)
    };
    fs::read_dir("/dev").unwrap().map(entry).collect()
}

/// What docker covers: how much can be read of it.
fn masked() -> Found {
    let mut paths: Vec<String> = [
        "/proc/acpi",
        "/proc/asound",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/devices/virtual/powercap",
        "/sys/firmware",
    ]
    .map(str::to_owned)
    .into();
    paths.extend((0..4).map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle")));
    let look = |path: String| {
        let seen = match fs::metadata(&path) {
            Err(error) => said(&error),
            Ok(metadata) if metadata.is_dir() => match fs::read_dir(&path) {
                Ok(entries) => format!("{} entries", entries.count()),
                Err(error) => said(&error),
            },
            Ok(_) => match opened(&path, fs::OpenOptions::new().read(true))
                .and_then(|mut file| file.read(&mut [0; 16]))
            {
                Ok(count) => format!("{count} bytes"),
                Err(error) => said(&error),
            },
        };
        (format!("masked{path}"), seen)
    };
    paths.into_iter().map(look).collect()
}

fn opened(path: impl AsRef<Path>, options: &mut fs::OpenOptions) -> std::io::Result<fs::File> {
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW | libc::O_NOCTTY).open(path)
}

fn said(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| name(Errno::from_raw(errno)))
}

fn name(errno: Errno) -> String {
    format!("{errno:?}")
}

/// The files of /proc and /sys that open for writing. Nothing is written.
fn writable() -> Found {
    let mut found = Vec::new();
    let mut to_read = vec![PathBuf::from("/proc"), PathBuf::from("/sys")];
    while let Some(directory) = to_read.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            let of_a_process = directory == Path::new("/proc")
                && entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
            if kind.is_dir() && !of_a_process {
                to_read.push(path);
            } else if kind.is_file() && opened(&path, fs::OpenOptions::new().write(true)).is_ok() {
                found.push((format!("writable{}", path.display()), "opens".to_owned()));
            }
        }
    }
    found
}

fn processes() -> Found {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let names =
        numbers.map(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default());
    let mut names: Vec<_> = names.map(|name| name.trim().to_owned()).collect();
    names.sort_unstable();
    let id = |call| unsafe { raw_call(call, [0; 6]) }.to_string();
    vec![
        ("processes".to_owned(), names.join(" ")),
        ("pid".to_owned(), id(libc::SYS_getpid)),
        ("parent".to_owned(), id(libc::SYS_getppid)),
        ("session".to_owned(), id(libc::SYS_getsid)),
        (
            "terminal".to_owned(),
            opened("/dev/tty", fs::OpenOptions::new().write(true))
                .map_or_else(|error| said(&error), |_| "opens".to_owned()),
        ),
    ]
}

/// Ways to the old root: there is a file on the host whose name we are told.
fn root() -> Found {
    let host = PathBuf::from(std::env::var_os("UTH_MARK").unwrap_or_else(|| "/no/mark".into()));
    let seen = |from: &str| match Path::new(from).join(host.strip_prefix("/").unwrap()).metadata() {
        Ok(_) => "THERE".to_owned(),
        Err(error) => said(&error),
    };
    // chroot leaves the working directory outside: from there up, to the top.
    let by_chroot = attempt(|| unsafe {
        libc::mkdir(c"/tmp/jail".as_ptr(), 0o755);
        let top = libc::open(c"/".as_ptr(), libc::O_RDONLY);
        if libc::chroot(c"/tmp/jail".as_ptr()) != 0 || libc::fchdir(top) != 0 {
            return -1;
        }
        (0..64).for_each(|_| {
            libc::chdir(c"..".as_ptr());
        });
        libc::chroot(c".".as_ptr());
        match Path::new("/").join(host.strip_prefix("/").unwrap()).exists() {
            true => 77,
            false => 0,
        }
    });
    let list = |path: &str| match fs::read_dir(path) {
        Ok(entries) => {
            let mut names: Vec<_> = entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort_unstable();
            names.join(" ")
        }
        Err(error) => said(&error),
    };
    vec![
        ("root/mark".to_owned(), seen("/")),
        ("root/mark through /proc/1/root".to_owned(), seen("/proc/1/root")),
        ("root/mark above the root".to_owned(), seen("/../../..")),
        ("root/mark after chroot and fchdir".to_owned(), by_chroot),
        ("root/names".to_owned(), list("/")),
    ]
}

/// One system call in a child: what the kernel answers, or how the child ended.
fn attempt(call: impl FnOnce() -> i64) -> String {
    use nix::sys::wait::{WaitStatus, waitpid};
    // SAFETY: the child makes the call and ends without returning to Rust's runtime.
    match unsafe { libc::fork() } {
        0 => {
            let result = call();
            let errno = if result == -1 { Errno::last_raw() } else { 0 };
            let code =
                if errno == 0 && result > 0 && result < 128 { 128 + result as i32 } else { errno };
            unsafe { libc::_exit(code) }
        }
        child => match waitpid(nix::unistd::Pid::from_raw(child), None) {
            Ok(WaitStatus::Exited(_, 0)) => "done".to_owned(),
            Ok(WaitStatus::Exited(_, code)) if code > 128 => format!("done: {}", code - 128),
            Ok(WaitStatus::Exited(_, errno)) => name(Errno::from_raw(errno)),
            Ok(WaitStatus::Signaled(_, signal, _)) => signal.to_string(),
            other => format!("{other:?}"),
        },
    }
}

/// # Safety
/// The arguments must be what the call takes; addresses must be valid.
unsafe fn raw_call(number: i64, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    unsafe { libc::syscall(number, a, b, c, d, e, f) }
}

/// A call of the 32-bit ABI: other numbers, the same kernel.
#[cfg(target_arch = "x86_64")]
fn i386(number: u64, argument: u64) -> i64 {
    let answer: u64;
    // SAFETY: the calls made this way take one number or fail; rbx, which
    // compilers keep for themselves, is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {argument}", "int 0x80", "xchg rbx, {argument}",
            argument = inout(reg) argument => _,
            inout("rax") number => answer,
            in("rcx") 0, in("rdx") 0, in("rsi") 0, in("rdi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    let answer = answer as u32 as i32;
    if (-4095..0).contains(&answer) {
        Errno::set_raw(-answer);
        return -1;
    }
    answer.into()
}

/// Calls that a container has no business with, and a few that it has.
/// Each with arguments that do no harm where it is allowed.
#[rustfmt::skip]
fn calls() -> Found {
    use libc::*;
    let text = |text: &std::ffi::CStr| text.as_ptr() as u64;
    let (none, tmpfs, mnt, proc_, here) = (text(c"none"), text(c"tmpfs"), text(c"/mnt"), text(c"/proc"), text(c"/"));
    let nowhere = u64::MAX; // no descriptor, no pid
    let high = 1_u64 << 32;
    let (user, sigchld) = (CLONE_NEWUSER as u64, SIGCHLD as u64);
    let timespec = [0_u64; 2];
    let pairs: Vec<(&str, i64, [u64; 6])> = vec![
        ("mount", SYS_mount, [none, mnt, tmpfs, 0, 0, 0]),
        ("mount a bind", SYS_mount, [proc_, mnt, 0, MS_BIND, 0, 0]),
        ("mount a remount", SYS_mount, [0, proc_, 0, MS_REMOUNT | MS_BIND, 0, 0]),
        ("umount2", SYS_umount2, [proc_, MNT_DETACH as u64, 0, 0, 0, 0]),
        ("pivot_root", SYS_pivot_root, [here, here, 0, 0, 0, 0]),
        ("fsopen", SYS_fsopen, [tmpfs, 0, 0, 0, 0, 0]),
        ("open_tree", SYS_open_tree, [AT_FDCWD as u64, here, 1, 0, 0, 0]),
        ("move_mount", SYS_move_mount, [nowhere, here, nowhere, here, 0, 0]),
        ("mount_setattr", SYS_mount_setattr, [nowhere, here, 0, 0, 0, 0]),
        ("unshare a user namespace", SYS_unshare, [user, 0, 0, 0, 0, 0]),
        ("unshare a mount namespace", SYS_unshare, [CLONE_NEWNS as u64, 0, 0, 0, 0, 0]),
        ("unshare a network namespace", SYS_unshare, [CLONE_NEWNET as u64, 0, 0, 0, 0, 0]),
        ("clone with a user namespace", SYS_clone, [user | sigchld, 0, 0, 0, 0, 0]),
        ("clone with a user namespace and high bits", SYS_clone, [high | user | sigchld, 0, 0, 0, 0, 0]),
        ("clone", SYS_clone, [sigchld, 0, 0, 0, 0, 0]),
        ("clone3", SYS_clone3, [0; 6]),
        ("setns", SYS_setns, [nowhere, 0, 0, 0, 0, 0]),
        ("keyctl", SYS_keyctl, [0, (-3_i64) as u64, 0, 0, 0, 0]),
        ("add_key", SYS_add_key, [text(c"user"), text(c"x"), 0, 0, (-3_i64) as u64, 0]),
        ("request_key", SYS_request_key, [text(c"user"), text(c"x"), 0, 0, 0, 0]),
        ("bpf", SYS_bpf, [0; 6]),
        ("perf_event_open", SYS_perf_event_open, [0; 6]),
        ("userfaultfd", SYS_userfaultfd, [1, 0, 0, 0, 0, 0]),
        ("io_uring_setup", SYS_io_uring_setup, [0; 6]),
        ("ptrace of itself", SYS_ptrace, [PTRACE_TRACEME as u64, 0, 0, 0, 0, 0]),
        ("kcmp", SYS_kcmp, [1, 1, 0, 0, 0, 0]),
        ("pidfd_getfd", SYS_pidfd_getfd, [nowhere, 0, 0, 0, 0, 0]),
        ("process_madvise", SYS_process_madvise, [nowhere, 0, 0, 0, 0, 0]),
        ("open_by_handle_at", SYS_open_by_handle_at, [nowhere, 0, 0, 0, 0, 0]),
        ("name_to_handle_at", SYS_name_to_handle_at, [AT_FDCWD as u64, here, 0, 0, 0, 0]),
        ("personality without randomisation", SYS_personality, [0x4_0000, 0, 0, 0, 0, 0]),
        ("personality without randomisation and high bits", SYS_personality, [high | 0x4_0000, 0, 0, 0, 0, 0]),
        ("personality, asked", SYS_personality, [0xFFFF_FFFF, 0, 0, 0, 0, 0]),
        ("socket to the hypervisor", SYS_socket, [AF_VSOCK as u64, SOCK_STREAM as u64, 0, 0, 0, 0]),
        ("socket to the hypervisor and high bits", SYS_socket, [high | AF_VSOCK as u64, SOCK_STREAM as u64, 0, 0, 0, 0]),
        ("socket to the kernel's cryptography", SYS_socket, [AF_ALG as u64, SOCK_SEQPACKET as u64, 0, 0, 0, 0]),
        ("socket, raw", SYS_socket, [AF_INET as u64, SOCK_RAW as u64, 1, 0, 0, 0]),
        ("socket of packets", SYS_socket, [AF_PACKET as u64, SOCK_RAW as u64, 0, 0, 0, 0]),
        ("ioctl that types", SYS_ioctl, [0, TIOCSTI, text(c"x"), 0, 0, 0]),
        ("ioctl that types, with high bits", SYS_ioctl, [0, high | TIOCSTI, text(c"x"), 0, 0, 0]),
        ("kexec_load", SYS_kexec_load, [0, 0, 0, nowhere, 0, 0]),
        ("init_module", SYS_init_module, [0; 6]),
        ("finit_module", SYS_finit_module, [nowhere, 0, 0, 0, 0, 0]),
        ("delete_module", SYS_delete_module, [0; 6]),
        ("reboot", SYS_reboot, [0; 6]),
        ("swapon", SYS_swapon, [text(c"/none"), 0, 0, 0, 0, 0]),
        ("swapoff", SYS_swapoff, [text(c"/none"), 0, 0, 0, 0, 0]),
        ("acct", SYS_acct, [text(c"/none/there"), 0, 0, 0, 0, 0]),
        ("settimeofday", SYS_settimeofday, [0, 1, 0, 0, 0, 0]),
        ("clock_settime", SYS_clock_settime, [99, timespec.as_ptr() as u64, 0, 0, 0, 0]),
        ("sethostname", SYS_sethostname, [here, nowhere, 0, 0, 0, 0]),
        ("setdomainname", SYS_setdomainname, [here, nowhere, 0, 0, 0, 0]),
        ("quotactl", SYS_quotactl, [0; 6]),
        ("syslog", SYS_syslog, [10, 0, 0, 0, 0, 0]),
        ("fanotify_init", SYS_fanotify_init, [nowhere, 0, 0, 0, 0, 0]),
        ("mbind", SYS_mbind, [0; 6]),
        ("lsm_list_modules", 461, [0; 6]),
        ("mseal", 462, [0; 6]),
        ("statmount", 457, [0; 6]),
        ("a number that no call has", 0x3FF, [0; 6]),
        ("mount, its number with high bits", SYS_mount | 1 << 32, [none, mnt, tmpfs, 0, 0, 0]),
    ];
    let mut found: Found = pairs.into_iter().map(|(name, number, arguments)| {
        // SAFETY: the addresses are of values above; what a call does ends with the child.
        let made = || match unsafe { raw_call(number, arguments) } {
            0 if number == SYS_clone => unsafe { _exit(0) },
            answer if [SYS_clone, SYS_socket, SYS_personality, SYS_fsopen, SYS_open_tree].contains(&number) => answer.min(0),
            answer => answer,
        };
        (format!("call/{name}"), attempt(made))
    }).collect();
    #[cfg(target_arch = "x86_64")]
    found.extend([
        ("call/i386: getpid".to_owned(), attempt(|| i386(20, 0).min(0))),
        ("call/i386: unshare".to_owned(), attempt(|| i386(310, user))),
        ("call/i386: umount".to_owned(), attempt(|| i386(22, 0))),
        // SAFETY: as above.
        ("call/x32: getpid".to_owned(), attempt(|| unsafe { raw_call(0x4000_0000 | SYS_getpid, [0; 6]) }.min(0))),
        ("call/x32: unshare".to_owned(), attempt(|| unsafe { raw_call(0x4000_0000 | SYS_unshare, [user, 0, 0, 0, 0, 0]) })),
    ]);
    found
}

/// Device files made by hand, a disk (loop0) and the memory: does one open?
fn nodes() -> Found {
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    let places = ["/", "/tmp", "/dev", "/dev/shm", "/run", "/etc"];
    let kinds =
        [("a disk", SFlag::S_IFBLK, makedev(7, 0)), ("memory", SFlag::S_IFCHR, makedev(1, 1))];
    let mut found = Vec::new();
    for (place, (what, kind, device)) in
        places.iter().flat_map(|place| kinds.map(|kind| (place, kind)))
    {
        let path = Path::new(place).join("node");
        let made = mknod(&path, kind, Mode::S_IRWXU, device);
        let opens = made
            .map_err(std::io::Error::from)
            .and_then(|()| opened(&path, fs::OpenOptions::new().read(true)));
        let _ = fs::remove_file(&path);
        let made = made.map_or_else(name, |()| "made".to_owned());
        let opens = opens.map_or_else(|error| said(&error), |_| "OPENS".to_owned());
        found.push((format!("node/{what} in {place}"), format!("{made}, then {opens}")));
    }
    found
}
