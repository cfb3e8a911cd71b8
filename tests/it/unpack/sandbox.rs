//! A place for hostile archives: a mount namespace that goes away, in which
//! the machine is read-only, /etc is bait, and there is more bait beside the
//! target. A test like these once wrote over its host's /etc/passwd.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip::{Lack, user_namespace};

const INSIDE: &str = "UTH_TEST_SANDBOX";

/// Where the bait and the targets are.
pub const PLACE: &str = "/mnt";

/// Whether this process is inside; else runs the test of this name again in there.
pub fn enter(test: &str) -> Result<bool, Lack> {
    let namespace = fs::read_link("/proc/self/ns/mnt").unwrap().into_os_string();
    if let Some(outside) = std::env::var_os(INSIDE) {
        assert_ne!(outside, namespace, "this is not a namespace of our own");
        set_up();
        return Ok(true);
    }
    let root = rustix::process::geteuid().is_root();
    if !root {
        user_namespace()?;
    }
    let mut command = Command::new("unshare");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation", "private", "--"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = command.env(INSIDE, namespace).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{test} was not run");
    Ok(false)
}

fn set_up() {
    let script = "set -e
        mount -t tmpfs -o mode=0755 none /mnt
        # What a failure to contain would hit is not the machine's.
        mount -o remount,bind,ro / 2>/dev/null || test \"$(id -u)\" != 0 || test -n \"$UTH_USERNS\"
        mount -t tmpfs -o mode=0755 none /etc
        echo root:x:0:0:bait > /etc/passwd
        echo root:bait > /etc/shadow; chmod 600 /etc/shadow
        mkdir -p /mnt/bait/secret/deep
        echo bait > /mnt/bait/passwd
        echo bait > /mnt/bait/secret/deep/file
        chmod 700 /mnt/bait/secret
        mkfifo /mnt/bait/pipe
        ln -s passwd /mnt/bait/link";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    if fs::read_to_string("/proc/self/uid_map").unwrap().split_whitespace().nth(2)
        != Some("4294967295")
    {
        shell.env("UTH_USERNS", "1");
    }
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    symlink("/", "/mnt/bait/root").unwrap();
}

/// All that can be told of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    pub links: u64,
    pub device: u64,
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
    pub inode: u64,
    pub content: Vec<u8>,
    pub xattrs: Vec<(OsString, Vec<u8>)>,
}

/// Every file below a directory, and the directory itself.
pub fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        if path.as_os_str().len() > 3000 {
            continue; // a tree may be deeper than a path may be long
        }
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else if metadata.is_file() && metadata.len() < 1 << 24 {
            fs::read(&path).unwrap_or_default()
        } else {
            Vec::new()
        };
        let relative = path.strip_prefix(root).unwrap().to_owned();
        seen.insert(
            relative,
            Seen {
                mode: metadata.mode(),
                owner: (metadata.uid(), metadata.gid()),
                size: if metadata.is_dir() { 0 } else { metadata.len() },
                links: if metadata.is_dir() { 0 } else { metadata.nlink() },
                device: metadata.rdev(),
                mtime: (metadata.mtime(), metadata.mtime_nsec()),
                ctime: (metadata.ctime(), metadata.ctime_nsec()),
                inode: metadata.ino(),
                content,
                xattrs: xattrs(&path),
            },
        );
    }
    seen
}

fn xattrs(path: &Path) -> Vec<(OsString, Vec<u8>)> {
    let mut names = vec![0_u8; 4096];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names) else { return Vec::new() };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0_u8; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        value.truncate(length);
        value
    };
    names.map(|name| (std::ffi::OsStr::from_bytes(name).to_owned(), value(name))).collect()
}

/// Everything that must not change: /etc, and the bait.
pub fn outside() -> [BTreeMap<PathBuf, Seen>; 2] {
    [look(Path::new("/etc")), look(&Path::new(PLACE).join("bait"))]
}
