//! Limits that cannot be set: controllers that are missing, read-only or in use
//! elsewhere are explained by the rule that was hit. For version 2 see vm.rs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use under_the_hood::kernel::cgroup::change::Set;
use under_the_hood::kernel::op::{Operation, Slots, World};

use crate::harness::{Ran, Uth};

/// A mount namespace of its own, in which mounts are taken away or made read-only.
fn apart(uth: &Uth, script: &str) -> Ran {
    let mut unshare = uth.beside("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    uth.wait(unshare)
}

macro_rules! need_v1 {
    () => {
        need!(root);
        need!(sh "controllers memory and pids of version 1",
            "for c in memory pids; do test -w /sys/fs/cgroup/$c/cgroup.procs || exit 1; done");
    };
}

#[test]
fn a_hierarchy_that_is_read_only_is_called_so() {
    need_v1!();
    let script =
        "mount -o remount,bind,ro /sys/fs/cgroup/memory; $UTH cgroup limit --memory 64M -- true";
    let ran = apart(&Uth::new(), script).one_error(4);
    assert!(ran.stderr.contains("EROFS") && ran.stderr.contains("read-only"), "{}", ran.whole());
}

/// Version 1: a controller is in one hierarchy at a time. The kernel says EBUSY,
/// which is asked here too.
#[test]
fn a_controller_in_use_elsewhere_is_said_to_be() {
    need_v1!();
    let script = "umount -l /sys/fs/cgroup/pids; mkdir $UTH_HOME/x
        mount -t cgroup -o pids,net_prio uth-elsewhere $UTH_HOME/x 2>&1 | grep -i busy >$UTH_HOME/busy
        $UTH cgroup limit --pids 20 -- true";
    let uth = Uth::new();
    let ran = apart(&uth, script).one_error(4);
    let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("in use elsewhere") && said.contains("EBUSY"), "{}", ran.whole());
    assert!(fs::metadata(uth.home().join("busy")).unwrap().len() > 0, "the kernel says so too");
}

/// Version 1: a limit below what is used already, of memory that cannot be freed.
#[test]
fn a_limit_below_what_is_in_use_is_refused_by_that_rule() {
    need_v1!();
    need!(tool "perl");
    let group = Path::new("/sys/fs/cgroup/memory/test-busy");
    fs::create_dir(group).unwrap();
    let script = "open F, '>', \"$ARGV[0]/cgroup.procs\"; print F $$; close F; \
        $x = 'a' x (24 << 20); $| = 1; print 1; <STDIN>";
    let mut hog = Command::new("perl");
    hog.arg("-e").arg(script).arg(group).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut hog = hog.spawn().unwrap();
    std::io::Read::read_exact(hog.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let path = group.join("memory.limit_in_bytes").to_string_lossy().into_owned();
    let set = Set { path, value: "1048576".to_owned(), why: String::new() };
    let refused = set.perform(&mut World::new(&mut Slots::default()));
    drop(hog.stdin.take());
    hog.wait().unwrap();
    for _ in 0..100 {
        if fs::remove_dir(group).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let error = refused.unwrap_err();
    assert!(error.is(nix::errno::Errno::EBUSY), "{error:?}");
    assert!(error.hint.unwrap_or_default().contains("more is used already"));
}
