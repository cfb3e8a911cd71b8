//! Mounts: mount(2), pivot_root(2), umount2(2).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::in_root::{self, Root};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// The flags that plans use: name, value, and how `mount -o` calls it.
const FLAGS: [(&str, MsFlags, &str); 10] = [
    ("MS_RDONLY", MsFlags::MS_RDONLY, "ro"),
    ("MS_NOSUID", MsFlags::MS_NOSUID, "nosuid"),
    ("MS_NODEV", MsFlags::MS_NODEV, "nodev"),
    ("MS_NOEXEC", MsFlags::MS_NOEXEC, "noexec"),
    ("MS_REMOUNT", MsFlags::MS_REMOUNT, "remount"),
    ("MS_BIND", MsFlags::MS_BIND, "bind"),
    ("MS_REC", MsFlags::MS_REC, ""),
    ("MS_PRIVATE", MsFlags::MS_PRIVATE, ""),
    ("MS_SHARED", MsFlags::MS_SHARED, ""),
    ("MS_SLAVE", MsFlags::MS_SLAVE, ""),
];

/// mount(2).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Mount {
    source: Option<String>,
    target: String,
    fstype: Option<String>,
    flags: Vec<String>,
    data: Option<String>,
    place: Place,
    why: String,
}

/// How the target is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// By its name.
    #[default]
    Name,
    /// Opened first; a symbolic link in its place is refused.
    NoLink,
    /// The same, and it must be a directory.
    Directory,
    /// Resolved in this root, a container's, from outside.
    Below(String),
}

impl Mount {
    /// A new file system of this type.
    pub fn filesystem(fstype: &str, target: &str, why: &str) -> Self {
        Self {
            source: Some(fstype.to_owned()),
            target: target.to_owned(),
            fstype: Some(fstype.to_owned()),
            why: why.to_owned(),
            ..Self::default()
        }
    }

    /// What is at `source`, also at `target`.
    pub fn bind(source: &str, target: &str, why: &str) -> Self {
        Self {
            source: Some(source.to_owned()),
            target: target.to_owned(),
            flags: vec!["MS_BIND".to_owned()],
            why: why.to_owned(),
            ..Self::default()
        }
    }

    /// Changes flags of the mount at `target`, or how events spread from it.
    pub fn change(target: &str, flags: &[&str], why: &str) -> Self {
        Self { target: target.to_owned(), why: why.to_owned(), ..Self::default() }.flags(flags)
    }

    /// With these flags too, by their names in mount(2).
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// With options that only this type of file system understands.
    #[must_use]
    pub fn data(mut self, data: &str) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    /// With the target opened first (`O_PATH|O_NOFOLLOW`) and mounted on by its
    /// descriptor: what was looked at is what is mounted on, and a symbolic
    /// link in its place is refused.
    #[must_use]
    pub fn by_descriptor(mut self) -> Self {
        self.place = Place::NoLink;
        self
    }

    /// The same for one of the directories that every root has: an image with
    /// a link there would have its /proc mounted elsewhere.
    #[must_use]
    pub fn on_directory(mut self) -> Self {
        self.place = Place::Directory;
        self
    }

    /// A file system at a path of a container's root, which is resolved in it and
    /// held by its descriptor.
    #[must_use]
    pub fn below(mut self, root: &str) -> Self {
        self.place = Place::Below(root.to_owned());
        self
    }

    /// What is mounted on, opened; `None` when its name is good enough.
    fn open(&self, target: &str, world: &World<'_>) -> Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match &self.place {
            Place::Name => Ok(None),
            Place::NoLink => open(target, flags, Mode::empty())
                .tried(|| format!("open({target:?}, O_PATH|O_NOFOLLOW)"))
                .map(Some),
            Place::Directory => open(target, flags | OFlags::DIRECTORY, Mode::empty())
                .tried(|| format!("open({target:?}, O_PATH|O_NOFOLLOW|O_DIRECTORY)"))
                .map_err(|error| {
                    error.hint(
                        "The image has a symbolic link or a file there. It is not followed: \
                         it could lead out of the container.",
                    )
                })
                .map(Some),
            Place::Below(root) => {
                in_root::place(&Root::open(&world.slots.fill(root))?, target).map(Some)
            }
        }
    }

    /// The target as seen from where the call is made.
    fn target(&self) -> String {
        match &self.place {
            Place::Below(root) => format!("{root}{}", self.target),
            _ => self.target.clone(),
        }
    }

    fn shell(&self) -> String {
        let target = &self.target();
        for (flag, option) in
            [("MS_PRIVATE", "rprivate"), ("MS_SHARED", "rshared"), ("MS_SLAVE", "rslave")]
        {
            if self.flags.iter().any(|given| given == flag) {
                return format!("mount --make-{option} {target}");
            }
        }
        let options = FLAGS.iter().filter(|(name, _, option)| {
            !option.is_empty() && self.flags.iter().any(|flag| flag == name)
        });
        let options: Vec<_> =
            options.map(|(_, _, option)| *option).chain(self.data.as_deref()).collect();
        let source = self.source.as_deref().unwrap_or_default();
        match (&self.fstype, options.as_slice()) {
            (None, ["bind"]) => format!("mount --bind {source} {target}"),
            (None, _) => format!("mount -o {} {target}", options.join(",")),
            (Some(fstype), []) => format!("mount -t {fstype} {source} {target}"),
            (Some(fstype), _) => {
                format!("mount -t {fstype} -o {} {source} {target}", options.join(","))
            }
        }
    }
}

fn quoted(text: Option<&String>) -> String {
    text.map_or("NULL".to_owned(), |text| format!("\"{text}\""))
}

impl Operation for Mount {
    fn step(&self) -> Step {
        let flags = if self.flags.is_empty() { "0".to_owned() } else { self.flags.join("|") };
        let call = format!(
            "mount({}, \"{}\", {}, {flags}, {})",
            quoted(self.source.as_ref()),
            self.target(),
            quoted(self.fstype.as_ref()),
            quoted(self.data.as_ref())
        );
        Step::new(call, &self.why).shell(self.shell())
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let fill = |text: &Option<String>| text.as_ref().map(|text| world.slots.fill(text));
        let (source, data) = (fill(&self.source), fill(&self.data));
        let target = world.slots.fill(&self.target);
        let value = |name: &String| {
            FLAGS.iter().find(|(known, ..)| known == name).map(|(_, value, _)| *value)
        };
        let flags: MsFlags = self.flags.iter().filter_map(value).collect();
        let opened = self.open(&target, world)?;
        let path = opened
            .as_ref()
            .map_or(target.clone(), |fd| format!("/proc/self/fd/{}", fd.as_raw_fd()));
        mount(source.as_deref(), path.as_str(), self.fstype.as_deref(), flags, data.as_deref())
            .tried(|| world.slots.fill(&self.step().call))
            .map_err(|error| self.explain(error))?;
        if let (Place::Below(root), Some(_)) = (&self.place, &self.fstype) {
            in_root::note_own(&Root::open(&world.slots.fill(root))?, &target, world)?;
        }
        Ok("0".to_owned())
    }
}

impl Mount {
    /// What an errno of mount(2) means here, where its usual text misleads.
    fn explain(&self, error: Error) -> Error {
        let fstype = self.fstype.as_deref().unwrap_or("bind");
        match error.errno.map(Errno::from_raw) {
            Some(Errno::ENOSPC) => error.hint(
                "ENOSPC from mount is a limit, not a full disk: /proc/sys/fs/mount-max mounts per mount namespace.",
            ),
            Some(Errno::ENODEV) => error.hint(format!(
                "This kernel has no {fstype} file system (see /proc/filesystems); `modprobe {fstype}` as root may load it."
            )),
            Some(Errno::EPERM | Errno::EACCES) if fstype == "proc" || fstype == "sysfs" => error.hint(format!(
                "A new {fstype} is refused where parts of the present one are masked, as inside most containers; \
                 run this on the machine itself."
            )),
            Some(Errno::EPERM | Errno::EACCES) => error.hint(
                "Something forbids mounts here (AppArmor on Ubuntu 24.04 does so inside user namespaces); \
                 `under-the-hood doctor` finds out what, and how to allow it.",
            ),
            Some(Errno::ELOOP) => error.hint("A symbolic link stands where the mount should go, and is not followed."),
            _ => error,
        }
    }
}

/// pivot_root(2): the mount at `new_root` becomes `/`, the old `/` moves to `put_old`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PivotRoot {
    /// A mount point.
    pub new_root: String,
    /// A directory at or below it.
    pub put_old: String,
}

impl Operation for PivotRoot {
    fn step(&self) -> Step {
        Step::new(
            format!("pivot_root(\"{}\", \"{}\")", self.new_root, self.put_old),
            "swaps the root of the whole mount namespace; unlike after chroot, the old one can then be taken away",
        )
        .shell(format!("pivot_root {} {}", self.new_root, self.put_old))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (new_root, put_old) =
            (world.slots.fill(&self.new_root), world.slots.fill(&self.put_old));
        nix::unistd::pivot_root(new_root.as_str(), put_old.as_str())
            .tried(|| format!("pivot_root({new_root:?}, {put_old:?})"))
            .map_err(|error| match error.errno.map(Errno::from_raw) {
                Some(Errno::EINVAL) => error.hint(
                    "EINVAL has six causes: the new root is no mount point; it is not in this mount namespace; \
                     put_old is not below it; the present root is the initramfs (rootfs), as on some small VMs; \
                     or the present root, or the parent of the new one, is a shared mount.",
                ),
                _ => error,
            })?;
        Ok("0".to_owned())
    }
}

/// umount2(2), lazily: out of the tree at once, gone when the last user is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unmount {
    /// Where it is mounted.
    pub target: String,
    /// Why it is taken away.
    pub why: String,
}

impl Operation for Unmount {
    fn step(&self) -> Step {
        Step::new(format!("umount2(\"{}\", MNT_DETACH|UMOUNT_NOFOLLOW)", self.target), &self.why)
            .shell(format!("umount -l {}", self.target))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let target = world.slots.fill(&self.target);
        umount2(target.as_str(), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .tried(|| format!("umount2({target:?}, MNT_DETACH|UMOUNT_NOFOLLOW)"))?;
        Ok("0".to_owned())
    }
}
