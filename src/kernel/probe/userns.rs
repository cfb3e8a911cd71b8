//! User namespaces: root without root. They are tried for real, because being
//! allowed to make one says little: on Ubuntu 24.04 the making succeeds and
//! the first mount inside fails.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{getegid, geteuid, getpid};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::{COMMAND, Verdict, child, identity};
use crate::error::{Context, Error, Result};
use crate::home::{self, Place};
use crate::kernel::raw;

const LIMIT: Duration = Duration::from_secs(3);

/// Where something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// With the rights we have.
    Here,
    /// As root of a new user namespace.
    Inside,
}

/// A file system that a container needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Writable layers, /dev.
    Tmpfs,
    /// The /proc of a new pid namespace.
    Proc,
    /// Layers on top of each other.
    Overlay,
}

/// Makes a user namespace in a child, and root of it.
pub fn create() -> Result<()> {
    child::attempt("making a user namespace", LIMIT, || enter(Where::Inside))
}

/// Makes a namespace of another type in a child, and looks whether the child
/// is in it (for pid and time: whether its children will be).
pub fn create_namespace(kind: super::Namespace, place: Where) -> Result<()> {
    use super::Namespace as N;
    let (flag, name) = match kind {
        N::Cgroup => (CloneFlags::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
        N::Ipc => (CloneFlags::CLONE_NEWIPC, "CLONE_NEWIPC"),
        N::Mnt => (CloneFlags::CLONE_NEWNS, "CLONE_NEWNS"),
        N::Net => (CloneFlags::CLONE_NEWNET, "CLONE_NEWNET"),
        N::Pid => (CloneFlags::CLONE_NEWPID, "CLONE_NEWPID"),
        N::Time => (CloneFlags::from_bits_retain(libc::CLONE_NEWTIME), "CLONE_NEWTIME"),
        N::Uts => (CloneFlags::CLONE_NEWUTS, "CLONE_NEWUTS"),
    };
    let link = match kind {
        N::Pid | N::Time => format!("/proc/self/ns/{}_for_children", kind.name()),
        _ => format!("/proc/self/ns/{}", kind.name()),
    };
    child::attempt(&format!("making a {} namespace", kind.name()), LIMIT, || {
        enter(place)?;
        let read = || fs::read_link(&link).tried(|| format!("readlink({link:?})"));
        let before = read()?;
        unshare(flag).tried(|| format!("unshare({name})"))?;
        // Until its first process is there, the link of a new pid namespace is empty.
        if kind != N::Pid && read()? == before {
            return Err(Error::new(format!("unshare({name}) left the process where it was")));
        }
        Ok(())
    })
}

/// Mounts a file system in a child, in a mount namespace that ends with it.
pub fn try_mount(system: FileSystem, place: Where) -> Result<()> {
    child::attempt("mounting", LIMIT, || {
        enter(place)?;
        let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
        unshare(flags).tried(|| "unshare(CLONE_NEWNS|CLONE_NEWPID)")?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            .tried(|| "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)")?;
        match system {
            FileSystem::Tmpfs => plain("tmpfs", &mount_point()),
            FileSystem::Proc => in_grandchild(|| plain("proc", &mount_point())),
            FileSystem::Overlay => overlay(&mount_point(), place),
        }
    })
}

/// What a container's start would rather use, and can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liked {
    /// overlayfs, on the disk where images are kept; else the root is a copy.
    pub overlay: bool,
    /// A read-only mount of our own binary (`open_tree`, `mount_setattr`); else it is copied, too.
    pub binary_mount: bool,
}

/// Tries both, as `run` uses them, in a child with a mount namespace of its own.
pub fn try_start(place: Where, binary: &Path) -> Result<Liked> {
    child::attempt("trying what a container's start uses", LIMIT, || {
        enter(place)?;
        unshare(CloneFlags::CLONE_NEWNS).tried(|| "unshare(CLONE_NEWNS)")?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            .tried(|| "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)")?;
        // The binary first: what overlay is mounted on may cover it.
        let binary_mount = binary_mount(binary).is_ok();
        Ok(Liked { overlay: overlay(&mount_point(), place).is_ok(), binary_mount })
    })
}

fn binary_mount(binary: &Path) -> Result<()> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(rustix::fs::CWD, binary, flags).tried(|| "open_tree(OPEN_TREE_CLONE)")?;
    raw::mount_read_only(tree).tried(|| "mount_setattr(MOUNT_ATTR_RDONLY)")
}

/// The calls of the newer mount interface, as a container's set-up uses them:
/// a tmpfs made by descriptor and moved into place.
pub fn try_mount_api(place: Where) -> Result<()> {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsmount,
        fsopen, move_mount,
    };
    child::attempt("mounting by descriptor", LIMIT, || {
        enter(place)?;
        unshare(CloneFlags::CLONE_NEWNS).tried(|| "unshare(CLONE_NEWNS)")?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            .tried(|| "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE, NULL)")?;
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)
            .tried(|| "fsopen(\"tmpfs\", FSOPEN_CLOEXEC)")?;
        fsconfig_create(&context).tried(|| "fsconfig(FSCONFIG_CMD_CREATE)")?;
        let made = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .tried(|| "fsmount(FSMOUNT_CLOEXEC)")?;
        let at = mount_point();
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&made, "", rustix::fs::CWD, &at, flags)
            .tried(|| format!("move_mount(tmpfs, {at:?})"))
    })
}

/// Becomes root of a new user namespace, where that is asked for.
fn enter(place: Where) -> Result<()> {
    if place == Where::Here {
        return Ok(());
    }
    let (parent, uid, gid) = (nix::unistd::getppid(), geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).tried(|| "unshare(CLONE_NEWUSER)")?;
    child::die_with(parent)?;
    // Without privileges gid_map may be written only after this (user_namespaces(7)).
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).tried(|| format!("write({path:?}, {text:?})"))
}

/// Any directory will do: in a mount namespace of our own nobody sees it covered.
fn mount_point() -> PathBuf {
    let there = ["/tmp", "/mnt", "/run"].into_iter().map(PathBuf::from).find(|path| path.is_dir());
    there.unwrap_or_else(|| PathBuf::from("/proc"))
}

fn plain(kind: &str, at: &Path) -> Result<()> {
    mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)
        .tried(|| format!("mount({kind:?}, {at:?}, {kind:?}, 0, NULL)"))
}

/// The first process of the new pid namespace: only there can its proc be mounted.
fn in_grandchild(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let us = getpid();
    let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).tried(|| "pipe2()")?;
    let (reader, writer): (OwnedFd, OwnedFd) = pipe;
    let grandchild = child::fork(|| {
        let result = child::die_with(us).and_then(|()| work());
        let text = serde_json::to_vec(&result).unwrap_or_default();
        i32::from(rustix::io::write(&writer, &text).is_err())
    })?;
    drop(writer);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut fs::File::from(reader), &mut text).tried(|| "read()")?;
    match waitpid(grandchild, None) {
        Ok(WaitStatus::Exited(_, 0)) => serde_json::from_str::<Result<()>>(&text)
            .unwrap_or_else(|error| Err(Error::new("trying it").said(error))),
        other => Err(Error::new("the first process of a pid namespace").said(format!("{other:?}"))),
    }
}

/// As `run` does it: the layer below on the disk where images are kept, the
/// writable one on a tmpfs that the kernel frees.
fn overlay(at: &Path, place: Where) -> Result<()> {
    // Opened in this mount namespace, before it may be covered; a descriptor
    // spares us escaping the path.
    let lower = lower_directory();
    let lower = rustix::fs::open(&lower, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
        .tried(|| format!("open({lower:?}, O_PATH)"))?;
    plain("tmpfs", at)?;
    for name in ["upper", "work", "merged"] {
        fs::create_dir(at.join(name)).tried(|| format!("mkdir({:?})", at.join(name)))?;
    }
    let attributes = if place == Where::Inside { ",userxattr" } else { "" };
    let options = format!(
        "lowerdir=/proc/self/fd/{},upperdir={},workdir={}{attributes}",
        std::os::fd::AsRawFd::as_raw_fd(&lower),
        at.join("upper").display(),
        at.join("work").display()
    );
    mount(Some("overlay"), &at.join("merged"), Some("overlay"), MsFlags::empty(), Some(&*options))
        .tried(|| "mount(\"overlay\", …, \"overlay\", 0, \"lowerdir=…,upperdir=…,workdir=…\")")
}

/// The directory of root file systems, or as much of its path as there is.
fn lower_directory() -> PathBuf {
    let data = home::path(Place::Data).unwrap_or_else(|_| PathBuf::from("/usr")).join("rootfs");
    let there = data.ancestors().find(|path| fs::read_dir(path).is_ok());
    there.map_or_else(|| PathBuf::from("/usr"), Path::to_path_buf)
}

/// The switches that administrators have for user namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches {
    /// `user.max_user_namespaces`
    max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (Debian, Ubuntu)
    unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu 23.10 and later)
    apparmor_restrict: Option<u64>,
}

impl Switches {
    /// As they stand under this /proc.
    pub fn read(proc: &Path) -> Self {
        let number =
            |name: &str| fs::read_to_string(proc.join("sys").join(name)).ok()?.trim().parse().ok();
        Self {
            max_user_namespaces: number("user/max_user_namespaces"),
            unprivileged_userns_clone: number("kernel/unprivileged_userns_clone"),
            apparmor_restrict: number("kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// Why the kernel answered with `error`, and what to type, the gentlest first.
    pub fn explain(&self, error: &Error, program: &Path, root: bool) -> Verdict {
        let answer = error.to_string();
        let one_time = |sysctl: &str| identity::privileged(&format!("sysctl -w {sysctl}"));
        let (reason, fixes) = if self.max_user_namespaces == Some(0) && error.is(Errno::ENOSPC) {
            let sysctl = "user.max_user_namespaces=15000";
            ("user.max_user_namespaces is 0".to_owned(), vec![one_time(sysctl)])
        } else if !root && self.unprivileged_userns_clone == Some(0) {
            let sysctl = "kernel.unprivileged_userns_clone=1";
            ("kernel.unprivileged_userns_clone is 0".to_owned(), vec![one_time(sysctl)])
        } else if !root && self.apparmor_restrict.is_some_and(|value| value != 0) {
            let sysctl = "kernel.apparmor_restrict_unprivileged_userns=0";
            let reason = "AppArmor restricts user namespaces to programs with a profile";
            (reason.to_owned(), vec![apparmor_profile(program), one_time(sysctl)])
        } else {
            (blame(error), Vec::new())
        };
        let mut fixes = fixes;
        // Root is bound by the limit, too, but by none of the others.
        if !root && self.max_user_namespaces != Some(0) {
            fixes.insert(0, identity::as_root(program, COMMAND));
        }
        let reason = format!("{reason}: {answer}");
        if fixes.is_empty() {
            Verdict::missing(reason)
        } else {
            Verdict::fixable(reason, fixes.join("\nor: "))
        }
    }
}

/// What an errno means here when no switch explains it (user_namespaces(7), unshare(2)).
fn blame(error: &Error) -> String {
    match error.errno.map(Errno::from_raw) {
        Some(Errno::EINVAL | Errno::ENOSYS) => "this kernel was built without it",
        Some(Errno::ENOSPC | Errno::EUSERS) => "too many namespaces, or nested too deep",
        Some(Errno::EPERM | Errno::EACCES) => {
            "forbidden here (a chroot, or a container's seccomp filter or security module)"
        }
        Some(Errno::ENODEV) => "this kernel does not know that file system",
        _ => "it was tried and failed",
    }
    .to_owned()
}

/// The profile that gives user namespaces back to this program alone, and the
/// two commands that load it (apparmor.d(5); abi 4.0 knows the `userns` rule).
fn apparmor_profile(program: &Path) -> String {
    indoc::formatdoc! {r#"
        an AppArmor profile for this program, loaded by two commands:
        sudo tee /etc/apparmor.d/under-the-hood <<'END'
        abi <abi/4.0>,
        include <tunables/global>

        profile under-the-hood "{}" flags=(unconfined) {{
          userns,
        }}
        END
        sudo apparmor_parser -r /etc/apparmor.d/under-the-hood"#, program.display()}
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/home/x/.cargo/bin/under-the-hood";

    fn switches(files: &[(&str, &str)]) -> Switches {
        let proc = tempfile::tempdir().expect("a directory");
        for (name, value) in files {
            let path = proc.path().join("sys").join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, value).expect("write");
        }
        Switches::read(proc.path())
    }

    fn explain(switches: &Switches, errno: Errno, root: bool) -> (String, String) {
        let error = Error::call("mount(\"tmpfs\", \"/tmp\", \"tmpfs\", 0, NULL)", errno);
        match switches.explain(&error, Path::new(PROGRAM), root) {
            Verdict::Met => panic!("it is not met"),
            Verdict::Missing { reason, fix } => (reason, fix.unwrap_or_default()),
        }
    }

    #[test]
    fn ubuntu_24_04_gets_sudo_then_a_profile_then_the_sysctl() {
        let ubuntu = switches(&[
            ("user/max_user_namespaces", "63432\n"),
            ("kernel/unprivileged_userns_clone", "1\n"),
            ("kernel/apparmor_restrict_unprivileged_userns", "1\n"),
        ]);
        let (reason, fix) = explain(&ubuntu, Errno::EACCES, false);
        assert!(reason.contains("AppArmor") && reason.contains("EACCES"), "{reason}");
        let sudo = fix.find(&format!("{PROGRAM} COMMAND")).expect("sudo");
        let profile = fix.find(&format!("profile under-the-hood \"{PROGRAM}\"")).expect("profile");
        let load =
            fix.find("sudo apparmor_parser -r /etc/apparmor.d/under-the-hood").expect("load");
        let sysctl = fix.find("kernel.apparmor_restrict_unprivileged_userns=0").expect("sysctl");
        assert!(sudo < profile && profile < load && load < sysctl, "{fix}");
    }

    #[test]
    fn other_switches_are_named() {
        let none = switches(&[("user/max_user_namespaces", "0\n")]);
        let (reason, fix) = explain(&none, Errno::ENOSPC, true);
        assert!(reason.contains("user.max_user_namespaces is 0"), "{reason}");
        assert!(fix.contains("sysctl -w user.max_user_namespaces="), "{fix}");
        let debian = switches(&[("kernel/unprivileged_userns_clone", "0\n")]);
        let (reason, fix) = explain(&debian, Errno::EPERM, false);
        assert!(reason.contains("unprivileged_userns_clone"), "{reason}");
        assert!(fix.contains("kernel.unprivileged_userns_clone=1"), "{fix}");
        let (reason, fix) = explain(&Switches::default(), Errno::EINVAL, true);
        assert!(reason.contains("built without") && fix.is_empty(), "{reason} {fix}");
    }
}
