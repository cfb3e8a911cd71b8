//! What a start would rather use and can do without: where overlayfs is
//! refused the root is a copy, and where our binary cannot be mounted it is
//! one in memory. Both are tried once, before anything is planned.

use std::path::PathBuf;

use crate::harness::{Ran, Uth};

fn note(uth: &Uth) -> PathBuf {
    uth.home().join("data/rootfs/tried.json")
}

/// Runs a script in which every one of our calls `call` fails like this.
fn injected(uth: &Uth, call: &str, errno: &str, script: &str) -> Ran {
    uth.sh(&format!("strace -qq -f -o /dev/null -e inject={call}:error={errno} {script}"))
}

/// An overlay over an overlay over an overlay is one too many for the kernel.
#[test]
fn where_overlayfs_is_refused_the_root_is_a_copy() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let script = r#"
        set -e
        mount -t tmpfs one "$UTH_HOME"; cd "$UTH_HOME"
        mkdir lower upper work first over second
        mount -t overlay x -o lowerdir=lower,upperdir=upper,workdir=work first
        mount -t tmpfs two over; mkdir over/upper over/work
        mount -t overlay x -o lowerdir=first,upperdir=over/upper,workdir=over/work second
        export UTH_HOME="$UTH_HOME/second"
        "$UTH" run base sh -c 'grep " / / " /proc/self/mountinfo; echo mine >/mine; rm /etc/os-release'
        "$UTH" run base sh -c 'test ! -e /mine && cat /etc/os-release && stat -c %a /tmp /bin/sh'
        "$UTH" --dry-run run base true | grep -o copy_file_range
        grep -o '"overlay":[a-z]*' "$UTH_HOME/data/rootfs/tried.json"
    "#;
    let mut shell = uth.beside("unshare");
    let user: &[&str] = if crate::skip::root().is_ok() { &[] } else { &["--map-root-user"] };
    shell.args(user).args(["--mount", "sh", "-c", script]);
    let ran = uth.wait(shell).ok();
    let root = ran.stdout.lines().next().unwrap_or_default();
    assert!(root.contains(" - tmpfs "), "the root is no copy: {}", ran.whole());
    for wanted in ["under-the-hood", "1777\n", "copy_file_range", "\"overlay\":false"] {
        assert!(ran.stdout.contains(wanted), "no {wanted:?}: {}", ran.whole());
    }
}

/// As before Linux 5.12, as before Linux 5.2, and where a filter says no.
#[test]
fn where_the_binary_cannot_be_mounted_it_is_copied() {
    need!(root);
    need!(tool "strace");
    for (call, errno) in
        [("mount_setattr", "ENOSYS"), ("open_tree", "ENOSYS"), ("open_tree", "EPERM")]
    {
        let uth = Uth::new();
        let ran = injected(&uth, call, errno, "\"$UTH\" --explain run base echo hello").ok();
        assert_eq!(ran.stdout, "hello\n", "{}", ran.whole());
        for wanted in ["memfd_create(", "F_ADD_SEALS"] {
            assert!(ran.stderr.contains(wanted), "no {wanted}: {}", ran.whole());
        }
        assert!(!ran.stderr.contains("open_tree("), "{}", ran.whole());
        // And what is known of it serves `exec`.
        uth.run(["run", "-d", "--name", "box", "base", "sleep", "60"]).ok();
        let ran = injected(&uth, call, errno, "\"$UTH\" exec box echo hello");
        uth.run(["stop", "-t", "0", "box"]).ok();
        assert_eq!(ran.ok().stdout, "hello\n");
    }
}

/// A trial costs as much as a start.
#[test]
fn a_trial_is_made_once() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    let clones = || {
        let log = uth.home().join("strace.log");
        let traced = "strace -qq -f -e trace=open_tree -o";
        uth.sh(&format!("{traced} {} \"$UTH\" run base true", log.display())).ok();
        std::fs::read_to_string(log).unwrap().matches("OPEN_TREE_CLONE").count()
    };
    uth.run(["--dry-run", "run", "base", "true"]).ok();
    assert!(!note(&uth).exists(), "a dry run kept a note");
    assert_eq!(clones(), 2, "tried, then done");
    assert_eq!(clones(), 1, "done");
    // A note about another boot, or no note at all, is worth nothing.
    std::fs::write(note(&uth), "{\"here\": \"boot 1\", \"liked\"").unwrap();
    assert_eq!(clones(), 2, "tried again");
}

/// What is known can turn out to be wrong: one start fails, the next finds out.
#[test]
fn what_is_no_longer_true_is_forgotten() {
    need!(root);
    need!(tool "strace");
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let run = "\"$UTH\" run base echo hello";
    let ran = injected(&uth, "mount_setattr", "EPERM", run).one_error(125);
    assert!(ran.stderr.contains("mount_setattr"), "{}", ran.whole());
    assert_eq!(injected(&uth, "mount_setattr", "EPERM", run).ok().stdout, "hello\n");
}

/// A range of ids takes newuidmap, which takes a privilege; without either, one
/// id is mapped, and a container needs no more.
#[test]
fn where_no_range_can_be_mapped_one_id_is() {
    need!(ordinary_user);
    need!(user_namespace);
    let script = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g";
    let map = [0, rustix::process::getuid().as_raw(), 1].map(|number| number.to_string());
    let hide = r#"mkdir "$UTH_HOME/bin"; for p in sh cat id ls sleep; do ln -s "$(command -v $p)" "$UTH_HOME/bin"; done
                  PATH=$UTH_HOME/bin"#;
    for before in [hide, "set -- setpriv --no-new-privs"] {
        let uth = Uth::new();
        let ran = uth.sh(&format!("{before}; \"$@\" \"$UTH\" run base sh -c '{script}'")).ok();
        let words: Vec<_> = ran.stdout.split_whitespace().collect();
        assert_eq!(words[..3], map, "{}", ran.whole());
        assert_eq!(words[6..], ["deny", "0", "0"], "{}", ran.whole());
        let ran = uth.sh(&format!("{before}; \"$@\" \"$UTH\" run -u 7 base true")).one_error(125);
        assert!(ran.stderr.contains("newuidmap"), "{}", ran.whole());
        let box_ = "\"$@\" \"$UTH\"";
        let ran = uth.sh(&format!(
            "{before}; {box_} run -d --name box base sleep 60 && {box_} exec box id -u; {box_} stop -t 0 box"
        ));
        assert!(ran.ok().stdout.contains("\n0\n"));
    }
}

/// Root of a user namespace that somebody else made, groups and all.
#[test]
fn in_a_user_namespace_of_others_it_runs_too() {
    need!(user_namespace);
    let uth = Uth::new();
    for flags in [
        &["--user", "--map-root-user"][..],
        &["--user", "--map-root-user", "--mount", "--pid", "--fork"],
    ] {
        let mut shell = uth.beside("unshare");
        shell.args(flags).args(["sh", "-c", "\"$UTH\" run base id -u"]);
        assert_eq!(uth.wait(shell).ok().stdout, "0\n");
    }
}
