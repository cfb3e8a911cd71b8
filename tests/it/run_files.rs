//! The file-system flags of `run`, and what an image with bad intentions can do
//! with them: nothing of it reaches the host. Each guard has a test that fails
//! without it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress};

macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

/// Runs a shell script in a new container.
pub fn inside(uth: &Uth, flags: &[&str], script: &str) -> Ran {
    uth.run([&["run"], flags, &["base", "sh", "-c", script]].concat())
}

/// A directory of the host with a file in it.
fn host_directory() -> TempDir {
    let directory = TempDir::with_prefix("uth-host-").unwrap();
    fs::write(directory.path().join("file"), "of the host\n").unwrap();
    directory
}

/// What is in a directory of the host, names and texts.
fn content(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap_or_default()))
        .collect();
    found.sort();
    found
}

/// The tree of the base image of this home, for a test to make a bad one of it.
pub fn tree(uth: &Uth) -> PathBuf {
    uth.run(["image", "base"]).ok();
    let rootfs = uth.home().join("data/rootfs");
    let current = fs::read_to_string(rootfs.join("base.json")).unwrap();
    let current: serde_json::Value = serde_json::from_str(&current).unwrap();
    rootfs.join(current["key"].as_str().unwrap()).join("tree")
}

/// Puts a symbolic link in the place of whatever is there.
pub fn link_instead(path: &Path, target: impl AsRef<Path>) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir_all(path);
    symlink(target, path).unwrap();
}

#[test]
fn directories_and_files_are_lent() {
    need_containers!();
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let host = host_directory();
    let own = host.path().display();
    let (rw, ro) = (format!("{own}:/new/place"), format!("{own}:/only/read:ro"));
    let file = format!("{own}/file:/etc/lent:ro");
    let script = "cat /new/place/file /etc/lent; echo more >/new/place/more; cat /only/read/more; \
                  for f in /only/read/x /etc/lent; do echo x 2>/dev/null >$f || echo $f; done";
    let ran = inside(&uth, &["-v", &rw, "--volume", &ro, "-v", &file], script).ok();
    assert_eq!(
        ran.stdout,
        "of the host\nof the host\nmore\n/only/read/x\n/etc/lent\n",
        "{}",
        ran.whole()
    );
    let names: Vec<_> = content(host.path()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, [host.path().join("file"), host.path().join("more")]);
    // Where they were mounted was made in the container's own layer.
    inside(&uth, &[], "test ! -e /new && test ! -e /only && test ! -e /etc/lent").ok();
    let mut relative = uth.command(["run", "-v", "./:/here", "base", "cat", "/here/file"]);
    relative.current_dir(host.path());
    assert_eq!(uth.wait(relative).ok().stdout, "of the host\n");
    Machine::settles(&uth, &before, Duration::from_secs(2), base_and_progress);
}

#[test]
fn parents_are_mounted_first_whatever_the_order() {
    need_containers!();
    let (uth, outer, inner) = (Uth::new(), host_directory(), host_directory());
    fs::create_dir(outer.path().join("sub")).unwrap();
    fs::write(inner.path().join("file"), "deep\n").unwrap();
    let (below, above) =
        (format!("{}:/a/sub", inner.path().display()), format!("{}:/a", outer.path().display()));
    let ran = inside(&uth, &["-v", &below, "-v", &above], "cat /a/file /a/sub/file").ok();
    assert_eq!(ran.stdout, "of the host\ndeep\n");
}

#[test]
fn nothing_is_made_on_the_host() {
    need_containers!();
    let (uth, outer, inner) = (Uth::new(), host_directory(), host_directory());
    let missing = outer.path().join("missing");
    let ran = inside(&uth, &["-v", &format!("{}:/x", missing.display())], "true").one_error(125);
    assert!(ran.stderr.contains("mkdir -p"), "{}", ran.whole());
    // Nor to have a place for another.
    let (above, below) = (
        format!("{}:/a", outer.path().display()),
        format!("{}:/a/missing/deep", inner.path().display()),
    );
    inside(&uth, &["-v", &above, "-v", &below], "true").one_error(125);
    inside(&uth, &["-v", &above, "--tmpfs", "/a/missing"], "true").one_error(125);
    inside(&uth, &["-v", &above, "-w", "/a/missing"], "true").one_error(125);
    assert_eq!(content(outer.path()).len(), 1, "{:?}", content(outer.path()));
    // In memory that is the container's own, there may be.
    let below = format!("{}:/a/missing/deep", inner.path().display());
    let ran = inside(&uth, &["--tmpfs", "/a", "-v", &below], "cat /a/missing/deep/file").ok();
    assert_eq!(ran.stdout, "of the host\n");
}

#[test]
fn wrong_values_are_125() {
    need_containers!();
    let (uth, host) = (Uth::new(), host_directory());
    let own = host.path().display().to_string();
    for (flag, value) in [
        ("-v", "nonsense".to_owned()),
        ("-v", "/only".to_owned()),
        ("-v", "name:/x".to_owned()),
        ("-v", format!("{own}:x")),
        ("-v", format!("{own}:/x:z")),
        ("-v", format!("{own}:/")),
        ("-v", format!("{own}:/proc")),
        ("-v", format!("{own}:/proc/self/attr")),
        ("-v", format!("{own}:/dev")),
        ("-v", format!("{own}/file:/etc")),
        ("-v", format!("{own}:/etc/os-release")),
        ("-v", "/dev/null:/x".to_owned()),
        ("--tmpfs", "x".to_owned()),
        ("--tmpfs", "/x:dev".to_owned()),
        ("--tmpfs", "/proc/x".to_owned()),
    ] {
        inside(&uth, &[flag, &value], "true").one_error(125);
    }
    let twice = format!("{own}:/x");
    inside(&uth, &["-v", &twice, "--tmpfs", "/x/"], "true").one_error(125);
    let ran = inside(&uth, &["-v", "name:/x"], "true");
    assert!(ran.stderr.contains("named volume"), "{}", ran.whole());
}

/// An ordinary user's container has no more rights outside than the user.
#[test]
fn what_you_may_not_read_is_not_lent() {
    need!(ordinary_user);
    need!(user_namespace);
    let uth = Uth::new();
    let ran = inside(&uth, &["-v", "/root:/x"], "true").one_error(125);
    assert!(
        ran.stderr.contains("EACCES") && ran.stderr.contains("no more rights"),
        "{}",
        ran.whole()
    );
}

#[test]
fn read_only_covers_what_is_mounted_below() {
    need!(root);
    let (uth, host) = (Uth::new(), host_directory());
    fs::create_dir(host.path().join("below")).unwrap();
    uth.run(["image", "base"]).ok();
    // In a mount namespace of its own, so that nothing of it stays.
    let script = "mount -t tmpfs none \"$1/below\" && echo deep >\"$1/below/file\" && \
        \"$UTH\" run -v \"$1:/d:ro\" base sh -c 'cat /d/below/file; echo x 2>/dev/null >/d/below/x'";
    let mut unshare = uth.beside("unshare");
    unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(host.path());
    let ran = uth.wait(unshare);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "deep\n"), "{}", ran.whole());
}

#[test]
fn no_device_opens_on_what_is_lent() {
    need!(root);
    let (uth, host) = (Uth::new(), host_directory());
    let path = host.path().join("zero");
    let device = nix::sys::stat::makedev(1, 5);
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::sys::stat::mknod(&path, nix::sys::stat::SFlag::S_IFCHR, mode, device).unwrap();
    let volume = format!("{}:/d", host.path().display());
    let open = "head -c 1 /d/zero | wc -c; head -c 1 /t/zero 2>/dev/null";
    let ran =
        inside(&uth, &["-v", &volume, "--tmpfs", "/t"], &format!("mknod /t/zero c 1 5; {open}"));
    assert_eq!((ran.code, ran.stdout.trim()), (Some(1), "0"), "{}", ran.whole());
}

#[test]
fn tmpfs_and_a_read_only_root() {
    need_containers!();
    let (uth, host) = (Uth::new(), host_directory());
    let volume = format!("{}:/v", host.path().display());
    let flags =
        ["--read-only", "--tmpfs", "/t:size=1m", "--tmpfs", "/run:exec,mode=0711", "-v", &volume];
    let script = "for f in /x /etc/x /usr/x /t/x /v/x /run/x /dev/shm/x; do \
                  echo x 2>/dev/null >$f && echo $f; done; stat -c %a /t /run; \
                  head -c 2000000 /dev/zero 2>/dev/null >/t/y; test $(wc -c </t/y) -le 1048576 && echo full; \
                  mount | grep -c 'on /t .*noexec'; mount | grep -c 'on /run .*noexec'; echo >/dev/null";
    let ran = inside(&uth, &flags, script).ok();
    assert_eq!(
        ran.stdout,
        "/t/x\n/v/x\n/run/x\n/dev/shm/x\n1777\n711\nfull\n1\n0\n",
        "{}",
        ran.whole()
    );
}

/// A link of the image to a directory of the host's leads to one of the image's.
#[test]
fn a_mount_point_through_a_link_stays_in_the_root() {
    need_containers!();
    let (uth, lent, victim) = (Uth::new(), host_directory(), host_directory());
    let tree = tree(&uth);
    symlink(victim.path(), tree.join("out")).unwrap();
    symlink("../../../../../../../../../../../../etc", tree.join("up")).unwrap();
    let before = content(victim.path());
    for target in ["/out", "/out/new", "/out/file"] {
        let volume = format!("{}:{target}", lent.path().display());
        inside(&uth, &["-v", &volume], "true").one_error(125);
    }
    inside(&uth, &["--tmpfs", "/out/new"], "true").one_error(125);
    let volume = format!("{}:/up/new", lent.path().display());
    let ran = inside(&uth, &["-v", &volume], "cat /etc/new/file").ok();
    assert_eq!(ran.stdout, "of the host\n");
    assert_eq!(content(victim.path()), before);
    assert!(!Path::new("/etc/new").exists());
    // Nor does one lead to where the kernel's own are.
    symlink("/proc", tree.join("p")).unwrap();
    symlink("/dev", tree.join("d")).unwrap();
    for (target, why) in [("/p/self/task", "believe of processes"), ("/d/pts", "terminals are")] {
        let volume = format!("{}:{target}", lent.path().display());
        let ran = inside(&uth, &["-v", &volume], "true").one_error(125);
        assert!(ran.stderr.contains(why), "{}", ran.whole());
    }
}

/// Where the image has a link at /proc, /sys or /dev, nothing is mounted or
/// made behind it.
#[test]
fn a_link_at_a_kernel_directory_is_refused() {
    need_containers!();
    let uth = Uth::new();
    let tree = tree(&uth);
    for name in ["proc", "sys", "dev"] {
        let victim = host_directory();
        let before = content(victim.path());
        for target in [victim.path(), Path::new("etc")] {
            link_instead(&tree.join(name), target);
            let ran = inside(&uth, &[], "true").one_error(125);
            assert!(ran.stderr.contains("symbolic link"), "{}", ran.whole());
        }
        assert_eq!(content(victim.path()), before, "/{name}");
        fs::remove_file(tree.join(name)).unwrap();
        // Without any, as FROM scratch, there is one.
        inside(&uth, &[], "test -e /dev/null && test -e /proc/self && test -e /sys/class").ok();
        fs::create_dir(tree.join(name)).unwrap();
    }
    // Where the old root goes for a moment, whatever it is.
    fs::create_dir(tree.join(".old")).unwrap();
    let ran = inside(&uth, &[], "true").one_error(125);
    assert!(ran.stderr.contains(".old"), "{}", ran.whole());
    link_instead(&tree.join(".old"), "/");
    inside(&uth, &[], "true").one_error(125);
}

/// `run` writes into /etc of the container, and into nothing else.
#[test]
fn links_in_etc_lead_to_no_file_of_the_host() {
    need_containers!();
    let uth = Uth::new();
    let tree = tree(&uth);
    let victim = host_directory();
    for name in ["hosts", "hostname", "resolv.conf"] {
        fs::write(victim.path().join(name), "of the host\n").unwrap();
    }
    let before = content(victim.path());
    for name in ["hosts", "hostname", "resolv.conf"] {
        link_instead(&tree.join("etc").join(name), victim.path().join(name));
    }
    let script = "cat /etc/hostname; grep -c localhost /etc/hosts; test -f /etc/resolv.conf && test ! -L /etc/resolv.conf";
    let ran = inside(&uth, &["--hostname", "kiste"], script).ok();
    assert_eq!(ran.stdout, "kiste\n2\n");
    // One that nobody reads: it must not be waited for.
    fs::remove_file(tree.join("etc/hosts")).unwrap();
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o644);
    nix::unistd::mkfifo(&tree.join("etc/hosts"), mode).unwrap();
    assert_eq!(inside(&uth, &[], "grep -c localhost /etc/hosts").ok().stdout, "2\n");
    // And all of /etc.
    fs::rename(tree.join("etc"), tree.join("usr/etc")).unwrap();
    symlink(victim.path(), tree.join("etc")).unwrap();
    inside(&uth, &[], "true").one_error(125);
    assert_eq!(content(victim.path()), before);
    link_instead(&tree.join("etc"), "/usr/etc");
    let ran = inside(&uth, &["--hostname", "kiste"], "cat /usr/etc/hostname").ok();
    assert_eq!(ran.stdout, "kiste\n");
    assert_eq!(content(victim.path()), before);
}

#[test]
fn the_working_directory_is_inside() {
    need_containers!();
    let (uth, victim) = (Uth::new(), host_directory());
    let tree = tree(&uth);
    symlink(victim.path(), tree.join("out")).unwrap();
    symlink("/proc/self/cwd", tree.join("magic")).unwrap();
    for wrong in ["/proc/self/cwd", "/proc/self/fd/3", "/proc/1/root", "/magic", "/out", "/out/new"]
    {
        inside(&uth, &["-w", wrong], "true").one_error(125);
    }
    let made = inside(&uth, &["-w", "/a/b/../new/directory"], "pwd; ls -A").ok();
    assert_eq!(made.stdout, "/a/new/directory\n");
    assert_eq!(content(victim.path()).len(), 1);
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    for wrong in ["/proc/self/cwd", "/magic", "/out"] {
        uth.run(["exec", "-w", wrong, "box", "true"]).one_error(125);
    }
    assert_eq!(uth.run(["exec", "-w", "/tmp", "box", "pwd"]).ok().stdout, "/tmp\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// Descriptors that were open here: 0 to 2 are all that reaches a command.
#[test]
fn only_three_descriptors_reach_the_command() {
    need_containers!();
    let uth = Uth::new();
    uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
    for command in ["run base", "exec box"] {
        // The shell's own: 3 is the directory that ls reads.
        let script =
            format!("exec 5</ 7</etc/passwd 8>>/dev/null; \"$UTH\" {command} ls /proc/self/fd");
        let ran = uth.sh(&script).ok();
        assert_eq!(ran.stdout, "0\n1\n2\n3\n", "{command}: {}", ran.whole());
    }
    let first = uth.run(["exec", "box", "ls", "/proc/1/fd"]).ok();
    assert_eq!(first.stdout, "0\n1\n2\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
}

/// A lent directory can be changed by its owner at any moment: at the one
/// between looking where to mount and mounting, it changes nothing.
#[test]
fn a_mount_point_that_is_swapped_is_still_the_one_that_was_looked_at() {
    need!(root);
    need!(tool "strace");
    let (uth, outer, inner) = (Uth::new(), host_directory(), host_directory());
    fs::write(inner.path().join("file"), "deep\n").unwrap();
    let sub = outer.path().join("sub");
    fs::create_dir(&sub).unwrap();
    let args = format!(
        "run -v {}:/a -v {}:/a/sub base sh -c 'cat /a/moved/file; test -d /proc/1/task'",
        outer.path().display(),
        inner.path().display()
    );
    // The second move_mount is that of /a/sub.
    let ran = held_up(&uth, "move_mount:when=2", &args, "root/a/sub", || {
        fs::rename(&sub, outer.path().join("moved")).unwrap();
        symlink("/proc/1", &sub).unwrap();
    });
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "deep\n"), "{}", ran.whole());
}

/// The same with the working directory: moved out of what is lent at the last
/// moment, it is in no place that the container has.
#[test]
fn a_working_directory_that_is_moved_away_is_not_entered() {
    need!(root);
    need!(tool "strace");
    let (uth, outer, elsewhere) = (Uth::new(), host_directory(), host_directory());
    let sub = outer.path().join("sub");
    fs::create_dir(&sub).unwrap();
    let args = format!("run -v {}:/a -w /a/sub base sh -c 'echo entered'", outer.path().display());
    let ran = held_up(&uth, "fchdir:when=1", &args, "/a/sub", || {
        fs::rename(&sub, elsewhere.path().join("sub")).unwrap();
    });
    assert_eq!(ran.stdout, "", "{}", ran.whole());
    ran.one_error(125);
}

/// Runs the program with one call held up for a moment, in which `meanwhile` is done:
/// when a step is reported that says `before`, which is the one before that call.
fn held_up(uth: &Uth, call: &str, args: &str, before: &str, meanwhile: impl FnOnce()) -> Ran {
    uth.run(["image", "base"]).ok();
    let steps = uth.home().join("steps.jsonl");
    let (name, when) = call.split_once(':').unwrap();
    let script = format!(
        "exec strace -f -qq -o /dev/null -e trace={name} -e inject={name}:delay_enter=2000000:{when} \
         \"$UTH\" --report-fd 3 {args} 3>{}",
        steps.display()
    );
    let mut shell = uth.beside("sh");
    shell.args(["-c", &script]);
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| uth.wait(shell));
        let reported = || {
            let steps = fs::read_to_string(&steps).unwrap_or_default();
            steps.lines().any(|step| step.contains(before) && step.contains("mkdir("))
        };
        while !reported() && !ran.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(300));
        meanwhile();
        ran.join().unwrap()
    })
}

/// Files keep the owner's rights, whatever the image says.
#[test]
fn permissions_of_what_is_lent_stay() {
    need_containers!();
    let (uth, host) = (Uth::new(), host_directory());
    let path = host.path().join("file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let volume = format!("{}:/v:rw", host.path().display());
    let ran = inside(&uth, &["-v", &volume], "stat -c '%a %u' /v/file; touch /v/mine").ok();
    assert_eq!(ran.stdout, "640 0\n");
    let metadata = fs::metadata(host.path().join("mine")).unwrap();
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&metadata), own);
}
