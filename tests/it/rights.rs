//! What a container may do: the flags that say so, and what the kernel says
//! of a process in there.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use expectrl::{Eof, Expect, Session};
use regex::Regex;
use under_the_hood::kernel::mount::Mount;
use under_the_hood::kernel::op::{Op, Slots, World};
use under_the_hood::kernel::raw;
use under_the_hood::step::{Actor, Deaf};

use crate::harness::{Ran, Uth};
use crate::inside::{self, Inside};
use crate::interop::Engine;
use crate::machine::{Machine, base_and_progress};
use crate::run_files::tree;
use crate::skip;

/// As root, or in a user namespace: whoever can start containers at all.
macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

/// Lines of /proc/self/status in a new container, `NAME: VALUE`.
fn status(uth: &Uth, flags: &[&str]) -> Status {
    let show = ["base", "cat", "/proc/self/status"];
    Status::of(uth.run([&["run"], flags, &show[..]].concat()))
}

struct Status(Ran);

impl Status {
    fn of(ran: Ran) -> Self {
        Self(ran.ok())
    }

    fn line(&self, name: &str) -> &str {
        let line = self.0.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_else(|| panic!("no {name}: {}", self.0.whole())).trim()
    }

    /// A set of capabilities, in the given set.
    fn set(&self, name: &str) -> u64 {
        u64::from_str_radix(self.line(name), 16).unwrap()
    }
}

/// docker's default, `docker run busybox grep Cap /proc/self/status`.
const DEFAULT: u64 = 0xa804_25fb;
const CHOWN: u64 = 1;
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;

#[test]
fn capabilities_come_and_go() {
    need_containers!();
    let uth = Uth::new();
    for (flags, expected) in [
        (&["--cap-add", "net_admin"][..], DEFAULT | NET_ADMIN),
        (&["--cap-add", "CAP_Net_Admin", "--cap-drop", "chown"], (DEFAULT | NET_ADMIN) & !CHOWN),
        (&["--cap-drop", "all"], 0),
        (&["--cap-drop", "ALL", "--cap-add", "CHOWN"], CHOWN),
    ] {
        let status = status(&uth, flags);
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(status.set(set), expected, "{flags:?} {set}: {}", status.0.whole());
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(status.set(set), 0, "{flags:?} {set}");
        }
    }
    // All that there are, but one.
    let status = status(&uth, &["--cap-add", "all", "--cap-drop", "sys_admin"]);
    assert!(status.set("CapEff").count_ones() > 30, "{}", status.0.whole());
    assert_eq!(status.set("CapBnd") & SYS_ADMIN, 0);
    uth.run(["run", "--cap-add", "levitate", "base", "true"]).one_error(125);
    uth.run(["run", "--cap-drop", "CAP_ALL", "base", "true"]).one_error(125);
}

/// docker gives an added capability to another user than root only as
/// something that a set-uid program could use: in the bounding set.
#[test]
fn another_users_capabilities_are_a_bound_only() {
    need!(root);
    let uth = Uth::new();
    let status = status(&uth, &["--user", "1000:1000", "--cap-add", "net_admin"]);
    assert_eq!(status.set("CapBnd"), DEFAULT | NET_ADMIN);
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(status.set(set), 0, "{set}: {}", status.0.whole());
    }
}

/// With a capability come the calls that it is for, and without it they go.
#[test]
fn the_filter_follows_the_capabilities() {
    need_containers!();
    let uth = Uth::new();
    let mounts = ["base", "mount", "-t", "tmpfs", "none", "/mnt"];
    uth.run([&["run", "--cap-add", "sys_admin"], &mounts[..]].concat()).ok();
    let ran = uth.run([&["run", "--security-opt", "seccomp=unconfined"], &mounts[..]].concat());
    assert_ne!(ran.code, Some(0), "without the capability: {}", ran.whole());
    let chroot = ["base", "chroot", "/", "true"];
    uth.run([&["run"], &chroot[..]].concat()).ok();
    let ran = uth.run([&["run", "--cap-drop", "sys_chroot"], &chroot[..]].concat());
    assert_ne!(ran.code, Some(0), "{}", ran.whole());
}

#[test]
fn security_options_change_what_they_say() {
    need_containers!();
    let uth = Uth::new();
    let of = |options: &[&str]| {
        let flags: Vec<_> = options.iter().flat_map(|option| ["--security-opt", option]).collect();
        let status = status(&uth, &flags);
        (status.line("Seccomp").to_owned(), status.line("NoNewPrivs").to_owned())
    };
    let pair = |seccomp: &str, privileges: &str| (seccomp.to_owned(), privileges.to_owned());
    assert_eq!(of(&[]), pair("2", "1"));
    assert_eq!(of(&["no-new-privileges"]), pair("2", "1"));
    assert_eq!(of(&["seccomp=unconfined"]), pair("0", "1"));
    assert_eq!(of(&["no-new-privileges=false"]), pair("2", "0"));
    assert_eq!(of(&["seccomp=unconfined", "no-new-privileges:false"]), pair("0", "0"));
    for wrong in ["apparmor=unconfined", "label=disable", "seccomp=/no/such/file", "nonsense"] {
        uth.run(["run", "--security-opt", wrong, "base", "true"]).one_error(125);
    }
}

/// no_new_privs is for ever: who has it cannot start a container without.
#[test]
fn new_privileges_cannot_come_back() {
    need_containers!();
    need!(tool "setpriv");
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let script =
        "exec setpriv --no-new-privs \"$UTH\" run --security-opt no-new-privileges=false base true";
    let ran = uth.sh(script).one_error(125);
    assert!(ran.stderr.contains("no_new_privs"), "{}", ran.whole());
}

#[test]
fn a_profile_of_ones_own_is_in_force() {
    need_containers!();
    let uth = Uth::new();
    let file = uth.home().join("profile.json");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let option = format!("seccomp={}", file.display());
    let run =
        |command: &[&str]| uth.run([&["run", "--security-opt", &option, "base"], command].concat());

    // A list of what is forbidden: one answer by number, one by argument, whose
    // upper half the kernel does not look at.
    write(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["sync"], "action": "SCMP_ACT_KILL_PROCESS"}]}"#,
    );
    let ran = run(&["mkdir", "/x"]);
    assert!(ran.stderr.contains("No space left"), "{}", ran.whole());
    let ran = run(&["sh", "-c", "sync; echo $?"]).ok();
    assert_eq!(ran.stdout.trim(), "159", "{}", ran.whole());
    run(&["true"]).ok();

    // What cannot be carried out is named.
    write(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_NOTIFY"}]}"#,
    );
    assert!(run(&["true"]).one_error(125).stderr.contains("SCMP_ACT_NOTIFY"));
    write(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#,
    );
    assert!(run(&["true"]).one_error(125).stderr.contains("refuses brk"));
    write("not json");
    run(&["true"]).one_error(125);
}

/// `exec` starts in a container what the container may do, not more.
#[test]
fn exec_has_the_rights_of_the_container() {
    need_containers!();
    let uth = Uth::new();
    let flags = [
        "--cap-drop",
        "all",
        "--cap-add",
        "net_admin",
        "--security-opt",
        "no-new-privileges=false",
    ];
    let start = ["-d", "--name", "box", "base", "sleep", "60"];
    uth.run([&["run"], &flags[..], &start[..]].concat()).ok();
    let exec = |flags: &[&str]| {
        Status::of(uth.run([&["exec"], flags, &["box", "cat", "/proc/self/status"]].concat()))
    };
    let plain = exec(&[]);
    assert_eq!((plain.set("CapEff"), plain.set("CapBnd")), (NET_ADMIN, NET_ADMIN));
    assert_eq!((plain.line("NoNewPrivs"), plain.line("Seccomp")), ("0", "2"));
    // With every capability, and the container's system calls all the same.
    let privileged = exec(&["--privileged"]);
    assert!(privileged.set("CapEff").count_ones() > 30, "{}", privileged.0.whole());
    assert_eq!(privileged.line("Seccomp"), "2");
    let mount = ["box", "mount", "-t", "tmpfs", "none", "/mnt"];
    let ran = uth.run([&["exec", "--privileged"], &mount[..]].concat());
    assert_ne!(ran.code, Some(0), "{}", ran.whole());
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// `--privileged` is told for what it is, and is it.
#[test]
fn privileged_is_what_is_said() {
    need_containers!();
    let uth = Uth::new();
    let ran = uth.run(["run", "--privileged", "base", "cat", "/proc/self/status"]);
    let status = Status::of(ran);
    assert!(status.0.stderr.contains("Warning: --privileged"), "{}", status.0.whole());
    assert_eq!(status.line("Seccomp"), "0");
    assert!(status.set("CapEff").count_ones() > 30, "{}", status.0.whole());
    let script =
        "mount -t tmpfs none /mnt && ! grep -q ' /proc/kcore ' /proc/mounts; ls /dev | wc -l";
    let ran = uth.run(["run", "--privileged", "base", "sh", "-c", script]).ok();
    let devices: usize = ran.stdout.trim().parse().unwrap();
    let hosts = std::fs::read_dir("/dev").unwrap().count();
    let is_root = rustix::process::geteuid().is_root();
    // In a user namespace no device can be made.
    assert_eq!(devices + 6 > hosts, is_root, "{devices} of {hosts}: {}", ran.whole());
    assert_eq!(status.0.stderr.contains("within a user namespace"), !is_root);
}

/// Nothing keeps CAP_SYS_ADMIN from the host's disks but a user namespace; who asks for it hears so.
#[test]
fn what_cap_sys_admin_comes_to_is_said() {
    need_containers!();
    let uth = Uth::new();
    let is_root = rustix::process::geteuid().is_root();
    for (flags, warned) in [
        (&["--cap-add", "SYS_ADMIN"][..], is_root),
        (&["--cap-add", "ALL"], is_root),
        (&["--cap-add", "SYS_ADMIN", "--userns"], false),
        (&["--cap-add", "NET_ADMIN"], false),
    ] {
        let ran = uth
            .run([&["run", "--dry-run", "--network", "none"], flags, &["base", "true"]].concat());
        assert_eq!(ran.stderr.contains("this machine's disks"), warned, "{}", ran.whole());
    }
}

/// The program of inside.rs in the base image of this home.
fn put_program(uth: &Uth) {
    inside::put_into(&tree(uth));
}

/// What it finds in a container of ours.
fn inside(uth: &Uth, flags: &[&str]) -> Inside {
    put_program(uth);
    let mark = uth.home().join("mark");
    std::fs::write(&mark, "").unwrap();
    let mark = format!("UTH_MARK={}", mark.display());
    let ran = uth.run([&["run", "-e", &mark], flags, &["base"], &inside::COMMAND[..]].concat());
    Inside::of(&ran.ok())
}

/// Capabilities that the launcher could hand on are not handed on: a set-uid
/// or other program could have them from there (CVE-2022-24769).
#[test]
fn nothing_is_inherited() {
    need!(root);
    need!(tool "setpriv");
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let caps = "setpriv --inh-caps +net_admin,+chown --ambient-caps +net_admin,+chown";
    let of = |command: &str| Status::of(uth.sh(&format!("{caps} {command} cat /proc/self/status")));
    assert_eq!(of("").set("CapAmb"), NET_ADMIN | CHOWN, "setpriv does it");
    for user in ["0", "1000:1000"] {
        let status = of(&format!("\"$UTH\" run --cap-add net_admin --user {user} base"));
        assert_eq!((status.set("CapInh"), status.set("CapAmb")), (0, 0), "{}", status.0.whole());
    }
}

/// A process with the reader's terminal as its standard input must not be able
/// to type into it (TIOCSTI), which the session it is in decides; the kernel
/// looks at the lower half of the request only.
#[test]
fn nothing_is_typed_into_the_callers_terminal() {
    need_containers!();
    let uth = Uth::new();
    put_program(&uth);
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    for how in [&["run", "-i", "base"][..], &["exec", "-i", "box"]] {
        let mut command = uth.command([how, &inside::COMMAND[..]].concat());
        command.stdin(std::process::Stdio::inherit()); // the new terminal
        let mut session = Session::spawn(command).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(60)));
        let said = session.expect(Eof).unwrap();
        let said = String::from_utf8_lossy(said.as_bytes()).replace('\r', "");
        let found = Inside::in_text(&said);
        for call in ["call/ioctl that types", "call/ioctl that types, with high bits"] {
            assert_eq!(found.get(call), "EPERM", "{how:?}: {call}");
        }
        assert_eq!(found.get("terminal"), "ENXIO");
    }
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// The keys of the launcher's session are not the container's, even where it
/// may ask for keys.
#[test]
fn keys_stay_outside() {
    need_containers!();
    let uth = Uth::new();
    assert_eq!(inside(&uth, &[]).get("keyring"), "EPERM");
    // Of this thread, and of what it starts.
    let joined = raw::new_session_keyring().unwrap();
    assert_eq!(inside::keyring(), joined.to_string());
    let uth = Uth::new();
    let found = inside(&uth, &["--security-opt", "seccomp=unconfined"]);
    assert!(found.get("keyring").parse::<i64>().is_ok_and(|id| id != joined), "{found:?}");
}

/// What a profile refuses by an argument stays refused when the bits that the
/// kernel does not look at are others.
#[test]
fn an_argument_is_read_as_the_kernel_reads_it() {
    need_containers!();
    let uth = Uth::new();
    let file = uth.home().join("profile.json");
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["ioctl"], "action": "SCMP_ACT_ERRNO",
        "errnoRet": 71, "args": [{"index": 1, "value": 21522, "op": "SCMP_CMP_EQ"}]}]}"#;
    std::fs::write(&file, text).unwrap();
    let found = inside(&uth, &["--security-opt", &format!("seccomp={}", file.display())]);
    for call in ["call/ioctl that types", "call/ioctl that types, with high bits"] {
        assert_eq!(found.get(call), "EPROTO", "{call}");
    }
    for call in ["call/x32: getpid", "call/x32: unshare", "call/i386: getpid"] {
        assert!(["ENOSYS", "SIGSYS"].contains(&found.get(call)), "{call}: {}", found.get(call));
    }
}

/// CVE-2019-5736: a program of ours that runs in a container is held open by
/// another process there, ended, and written over. The file on the host, which
/// root would start next, must not be what is written to.
#[test]
fn our_program_cannot_be_written_over() {
    need_containers!();
    let uth = Uth::new();
    let tree = tree(&uth);
    put_program(&uth); // our program needs its libraries there, too
    nix::unistd::mkfifo(&tree.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    // Ours, as what `exec` is before it becomes the command; it waits at the fifo.
    let waits = ["/proc/self/exe", "run", "--security-opt", "seccomp=/fifo", "base", "true"];
    uth.run([&["exec", "-d", "box"], &waits[..]].concat()).ok();
    let script = "for process in /proc/[0-9]*; do
        if tr '\\0' ' ' <$process/cmdline | grep -q '^/proc/self/exe .*=/fifo'; then
            exec 9<$process/exe && kill -KILL ${process#/proc/} && sleep 0.5 && echo held
            chmod 755 /proc/self/fd/9
            echo x >>/proc/self/fd/9
        fi
    done";
    let ran = uth.run(["exec", "box", "sh", "-c", script]);
    uth.run(["stop", "-t", "0", "box"]).ok();
    assert_eq!(ran.stdout, "held\n", "{}", ran.whole());
    // ETXTBSY alone would be luck, that the shim runs the same file: it is asked
    // for before a mount that is read-only, but not for a change of the mode.
    let refused = ["Read-only file system", "Operation not permitted"];
    assert!(refused.iter().any(|refused| ran.stderr.contains(refused)), "{}", ran.whole());
}

/// The same of what `run` leaves behind: the shim, and an init that stays. Not even
/// the host's root can write to their program through them.
#[test]
fn the_program_of_shim_and_init_cannot_be_written_to() {
    need!(root);
    let uth = Uth::new();
    uth.run(["run", "-d", "--init", "--name", "box", "base", "sleep", "60"]).ok();
    let process = uth.run(["inspect", "process", "box", "--format", "json"]).ok().json();
    let shim = process["ancestry"].as_array().and_then(|all| all.iter().rev().nth(1));
    let pids = [&process["pid"], &shim.unwrap()["pid"]].map(ToString::to_string);
    let change = |pid: &String| {
        let program = format!("/proc/{pid}/exe");
        let mode = std::fs::metadata(&program).unwrap().permissions(); // as it is, should it work
        (std::fs::metadata(&program).unwrap().ino(), std::fs::set_permissions(&program, mode))
    };
    let outcomes = pids.each_ref().map(change);
    uth.run(["stop", "-t", "0", "box"]).ok();
    let ours = std::fs::metadata(env!("CARGO_BIN_EXE_under-the-hood")).unwrap().ino();
    for (program, outcome) in outcomes {
        assert_eq!(program, ours, "they run something else");
        assert_eq!(outcome.unwrap_err().raw_os_error(), Some(libc::EROFS));
    }
}

/// A link in the place of what is to be covered is not followed: covered is
/// what was looked at, nothing else.
#[test]
fn what_is_covered_is_held_by_its_descriptor() {
    use nix::sched::CloneFlags;
    need_containers!();
    let directory = tempfile::tempdir().unwrap();
    let (victim, link) = (directory.path().join("victim"), directory.path().join("link"));
    std::fs::write(&victim, "seen").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let cover = |path: &std::path::Path| {
        let op =
            Op::from(Mount::bind("/dev/null", path.to_str().unwrap(), "a test").by_descriptor());
        let mut slots = Slots::default();
        op.perform(Actor::Init, &mut World::new(&mut slots), &mut Deaf).is_ok()
    };
    let seen = || std::fs::read_to_string(&victim).is_ok_and(|text| text == "seen");
    // In a mount namespace that goes with the child.
    let Some(child) = raw::fork().unwrap() else {
        let user =
            if skip::root().is_err() { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
        let alone = nix::sched::unshare(user | CloneFlags::CLONE_NEWNS).is_ok();
        let private = Op::from(Mount::change("/", &["MS_REC", "MS_PRIVATE"], "a test"));
        let mut slots = Slots::default();
        let private = private.perform(Actor::Init, &mut World::new(&mut slots), &mut Deaf).is_ok();
        let answer = match (alone && private, seen()) {
            (true, true) => {
                cover(&link);
                let by_link = seen();
                // And it does cover.
                if by_link && cover(&victim) && !seen() { 0 } else { 1 }
            }
            _ => 2,
        };
        raw::exit_now(answer)
    };
    let status = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(child), None).unwrap();
    assert!(matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0)), "{status:?}");
}

/// Calls that docker leaves to a container: what the kernel says to them does
/// not come from the filter.
const ALLOWED: [&str; 10] = [
    "clone",
    "ioctl that types",
    "ioctl that types, with high bits",
    "mseal",
    "name_to_handle_at",
    "personality, asked",
    "ptrace of itself",
    "socket, raw",
    "socket of packets",
    "statmount",
];

/// Root in there is an id that nobody has, and owns what the image has of root.
#[test]
fn root_of_a_user_namespace_is_nobody_outside() {
    need!(root);
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let script = "id -u; stat -c %u:%g /etc/os-release /root; echo mine >/etc/mine && chown 33:33 /etc/mine \
                  && stat -c %u:%g /etc/mine; cat /proc/self/uid_map";
    let ran = uth.run(["run", "--userns", "base", "sh", "-c", script]).ok();
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines[..4], ["0", "0:0", "0:0", "33:33"], "{}", ran.whole());
    let map: Vec<u32> = lines[4].split_whitespace().map(|id| id.parse().unwrap()).collect();
    assert!(map[0] == 0 && map[1] >= 65536, "{map:?}");
    // From outside, and for `exec`, which has no id in there until it takes one.
    uth.run(["run", "-d", "--userns", "--name", "box", "base", "sleep", "60"]).ok();
    let record = uth.sh("cat \"$UTH_HOME\"/run/containers/*.json").ok().json();
    let status = std::fs::read_to_string(format!("/proc/{}/status", record["pid"])).unwrap();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert!(ids.split_whitespace().all(|id| id == map[1].to_string()), "{ids}");
    let ran = uth.run(["exec", "box", "sh", "-c", "id -u; cat /proc/self/status"]).ok();
    assert!(ran.stdout.starts_with("0\n"), "{}", ran.whole());
    assert_eq!(Status(ran).set("CapEff"), DEFAULT);
    let ran = uth.run(["exec", "-u", "1000:1000", "box", "id", "-u"]).ok();
    assert_eq!(ran.stdout, "1000\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
    uth.run(["run", "--userns=host", "base", "true"]).ok();
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

/// What root asks for, others have anyway, and cannot be without.
#[test]
fn an_ordinary_user_has_a_user_namespace_anyway() {
    need!(ordinary_user);
    need!(user_namespace);
    let uth = Uth::new();
    let ran = uth.run(["run", "--userns", "base", "id", "-u"]).ok();
    assert!(ran.stdout == "0\n" && ran.stderr.contains("Root in there is you"), "{}", ran.whole());
    uth.run(["run", "--userns=host", "base", "true"]).one_error(125);
}

/// A container with nothing asked for, and root in it: what it must not find.
#[test]
fn nothing_is_found_inside() {
    need_containers!();
    nothing_in(&inside(&Uth::new(), &[]));
    if rustix::process::geteuid().is_root() {
        nothing_in(&inside(&Uth::new(), &["--userns"]));
    }
}

#[track_caller]
fn nothing_in(found: &Inside) {
    assert_eq!(found.get("fds"), "[0, 1, 2]");
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(found.get(&format!("status/{set}")), format!("{DEFAULT:016x}"), "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(found.get(&format!("status/{set}")), "0000000000000000", "{set}");
    }
    assert_eq!((found.get("status/NoNewPrivs"), found.get("status/Seccomp")), ("1", "2"));
    assert_eq!(found.get("status/SigBlk"), "0000000000000000");
    if rustix::process::geteuid().is_root() {
        assert_eq!(found.get("status/Groups"), "0");
    }
    for (path, _) in found.below("writable") {
        let closed = ["/sys/", "/proc/bus/", "/proc/fs/", "/proc/irq/", "/proc/sys/"];
        assert!(!closed.iter().any(|closed| path.starts_with(closed)), "{path} opens for writing");
        assert_ne!(path, "/proc/sysrq-trigger");
    }
    for (path, seen) in found.below("masked") {
        assert!(["ENOENT", "0 bytes", "0 entries"].contains(&seen), "{path}: {seen}");
    }
    for (call, answer) in found.below("call/") {
        let refused = match call {
            "clone3" | "a number that no call has" => "ENOSYS",
            other if other.starts_with("x32") => "ENOSYS",
            other if other.starts_with("i386") => "SIGSYS",
            _ => "EPERM",
        };
        assert_eq!(answer == refused, !ALLOWED.contains(&call), "{call}: {answer}");
    }
    for (node, seen) in found.below("node/") {
        assert!(["made, then EACCES", "EPERM, then EPERM"].contains(&seen), "{node}: {seen}");
    }
    for (place, seen) in found.below("mount/") {
        let lent = place.starts_with("dev/") || seen.starts_with("devtmpfs");
        assert!(lent || seen.contains("nodev"), "{place}: {seen}");
    }
    for (way, seen) in found.below("root/mark") {
        assert!(["ENOENT", "done"].contains(&seen), "{way}: {seen}");
    }
    assert!(!found.get("root/names").contains(".old"), "{}", found.get("root/names"));
    assert_eq!(found.get("processes"), "inside");
    assert_eq!((found.get("pid"), found.get("parent"), found.get("session")), ("1", "0", "1"));
    assert_eq!(found.get("terminal"), "ENXIO");
}

/// The same root file system and the same program in Docker: what differs, and why.
#[test]
#[ignore = "starts a real engine"]
fn interop_docker_finds_the_same_inside() {
    need!(root);
    let uth = Uth::new();
    let ours = inside(&uth, &[]);
    let docker = Engine::start("docker");
    let host = format!("docker -H unix://{}", docker.path("docker.sock").display());
    let import = format!("tar -C \"$UTH_HOME\"/data/rootfs/*/tree -c . | {host} import - inside:1");
    uth.sh(&import).ok();
    let run = format!("{host} run --rm --network none inside:1 {}", inside::COMMAND.join(" "));
    let theirs = Inside::of(&uth.sh(&run));
    let unexplained = differences(&ours, &theirs);
    assert!(unexplained.is_empty(), "ours, docker's:\n{}", unexplained.join("\n"));
}

/// Differences from docker, by a regular expression, each with its reason.
const EXPLAINED: &[(&str, &str)] = &[
    ("call/i386.*: SIGSYS [|] .*", "docker filters the 32-bit ABI by name too; here it is closed"),
    (
        "call/x32: unshare: ENOSYS [|] EPERM",
        "docker filters x32 by name too; here none of it exists",
    ),
    (
        "call/(mseal|lsm_list_modules|statmount|name_to_handle_at): .*",
        "its list grew with the kernels: docker 20.10's ends before them",
    ),
    ("call/io_uring_setup: EPERM [|] EFAULT", "docker took it off its list in 25.0"),
    (
        "call/socket to the hypervisor.*: EPERM [|] done",
        "on docker's list since 23.0, where it compares 64 bits, of which the kernel reads 32",
    ),
    (
        "call/socket to the kernel's cryptography: EPERM [|] .*",
        "on docker's list since spring 2026",
    ),
    ("(mount|masked)/proc/interrupts: .*", "docker masks it since 28.2"),
    ("(mount|masked)/sys/devices/.*", "docker masks more of it since 28.2"),
    (
        "mount/(dev|proc/acpi|sys/firmware)?: .*nodev.* [|] .*",
        "nodev does here what docker's devices cgroup does; there is no cgroup without a limit",
    ),
    ("node/.*: made, then EACCES [|] made, then EPERM", "nodev here, the devices cgroup there"),
    (
        "mount/dev/(full|null|random|tty|urandom|zero): devtmpfs [|] -",
        "devices are lent, so that the same works in a user namespace; docker makes them",
    ),
    (
        "mount/proc/(keys|timer_list): devtmpfs [|] tmpfs nosuid",
        "/dev/null: the host's, or one made",
    ),
    (
        "mount/etc/(hostname|hosts|resolv.conf): - [|] .*",
        "written into the container's own layer here",
    ),
    ("mount/sys/fs/cgroup.*: - [|] .*", "no view of cgroups here"),
    ("root/names: .* [|] .dockerenv .*", "docker marks its containers for programs in them"),
    ("status/NoNewPrivs: 1 [|] 0", "always set here, for docker on demand"),
    ("status/Seccomp_filters: 2 [|] 1", "one filter for each answer here"),
];

fn differences(ours: &Inside, theirs: &Inside) -> Vec<String> {
    let names: BTreeSet<_> = ours.0.keys().chain(theirs.0.keys()).collect();
    let explained: Vec<_> = EXPLAINED
        .iter()
        .map(|(pattern, _)| Regex::new(&format!("^({pattern})$")).unwrap())
        .collect();
    let said = |found: &Inside, name: &str| found.0.get(name).map_or("-".to_owned(), Clone::clone);
    let line = |name: &String| format!("{name}: {} | {}", said(ours, name), said(theirs, name));
    names
        .into_iter()
        .filter(|name| ours.0.get(*name) != theirs.0.get(*name))
        .map(line)
        .filter(|line| !explained.iter().any(|pattern| pattern.is_match(line)))
        .collect()
}
