//! What a container may do: the flags that say so, and what the kernel says
//! of a process in there.

use crate::harness::{Ran, Uth};

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
