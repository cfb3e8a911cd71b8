//! What the container sees as `/`: a root file system of its own with /proc and
//! /sys, and what of the host's kernel is covered in them.

use crate::container::machine::Machine;
use crate::container::plan::OLD;
use crate::container::spec::{Network, Rights, Spec};
use crate::kernel::files::{Chdir, CopyTree, MakeDir};
use crate::kernel::mount::{Mount, PivotRoot};
use crate::kernel::op::{Op, literal};
use crate::kernel::session::NewSession;

/// The root, from a tree that stays as it is, and the step into it.
pub fn root_file_system(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let staging = literal(&spec.rootfs.mnt.to_string_lossy());
    let tree = literal(&spec.rootfs.tree.to_string_lossy());
    let root = format!("{staging}/root");
    let make =
        |path: String, why: &str| Op::from(MakeDir { path, mode: 0o755, why: why.to_owned() });
    let mut ops = vec![
        NewSession.into(),
        Mount::change(
            "/",
            &["MS_REC", "MS_PRIVATE"],
            "from here on no mount made in here is seen outside",
        )
        .into(),
        Mount::filesystem(
            "tmpfs",
            &staging,
            "memory for what the container writes: the kernel frees it with the namespace",
        )
        .data("mode=0755")
        .into(),
        make(root.clone(), "where the new root is put together"),
    ];
    if machine.tried.liked.overlay {
        ops.push(make(format!("{staging}/upper"), "what the container changes goes here"));
        ops.push(make(format!("{staging}/work"), "overlayfs needs a directory for its own work"));
        // Outside the initial user namespace overlayfs keeps its notes in user.* attributes.
        let attributes = if machine.user.is_some() { ",userxattr" } else { "" };
        let data = format!(
            "lowerdir={},upperdir={},workdir={}{attributes}",
            overlay_escaped(&tree),
            overlay_escaped(&format!("{staging}/upper")),
            overlay_escaped(&format!("{staging}/work"))
        );
        let why = "the image below, read only; an empty layer above for all changes: one image serves many containers";
        // nodev: root in here may make device files, but none on this file system opens.
        let overlay = Mount::filesystem("overlay", &root, why).flags(&["MS_NODEV"]);
        ops.push(overlay.data(&data).into());
    } else {
        let why = "pivot_root wants a mount point";
        ops.push(
            Mount::filesystem("tmpfs", &root, why).flags(&["MS_NODEV"]).data("mode=0755").into(),
        );
        ops.push(CopyTree { from: tree, to: root.clone() }.into());
    }
    ops.extend([
        make(format!("{root}{OLD}"), "where the old root goes for a moment"),
        Chdir { path: root, why: "into the new root".to_owned() }.into(),
        PivotRoot { new_root: ".".to_owned(), put_old: OLD.trim_start_matches('/').to_owned() }
            .into(),
        Chdir {
            path: "/".to_owned(),
            why: "the working directory would still be in the old tree".to_owned(),
        }
        .into(),
    ]);
    ops
}

/// overlayfs splits its options at commas and the lower directories at colons.
fn overlay_escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:")
}

/// /proc and /sys.
pub fn kernel_file_systems(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let quiet = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let proc = "a /proc of the new pid namespace: without it, ps would show the host's processes";
    let mut ops = vec![Mount::filesystem("proc", "/proc", proc).flags(&quiet).into()];
    let sys = "the kernel's devices and settings, read-only: they are the host's";
    if spec.network == Network::Host && machine.user.is_some() {
        // A new sysfs belongs to a network namespace, and the host's is not ours.
        ops.push(Mount::bind(&format!("{OLD}/sys"), "/sys", sys).flags(&["MS_REC"]).into());
    } else if spec.process.rights.devices {
        let sys = "the kernel's devices and settings, to be written too: they are the host's";
        ops.push(Mount::filesystem("sysfs", "/sys", sys).flags(&quiet).into());
    } else {
        ops.push(
            Mount::filesystem("sysfs", "/sys", sys).flags(&quiet).flags(&["MS_RDONLY"]).into(),
        );
    }
    ops
}

/// What of /proc and /sys is covered, or can only be read.
pub fn hidden(rights: &Rights, machine: &Machine) -> Vec<Op> {
    if rights.system_paths {
        return Vec::new();
    }
    let quiet = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let mut ops = Vec::new();
    for path in &machine.read_only {
        let why = "mounted onto itself, so that it can have flags of its own";
        ops.push(Mount::bind(path, path, why).flags(&["MS_REC"]).by_descriptor().into());
        let why = "writing there would change the host's kernel";
        let flags = ["MS_REMOUNT", "MS_BIND", "MS_RDONLY"];
        ops.push(Mount::change(path, &flags, why).flags(&quiet).by_descriptor().into());
    }
    for (path, is_directory) in &machine.masked {
        let why = "covered: it tells about the host, or belongs to it";
        ops.push(match is_directory {
            true => Mount::filesystem("tmpfs", path, why)
                .flags(&["MS_RDONLY"])
                .flags(&quiet)
                .by_descriptor()
                .into(),
            false => Mount::bind("/dev/null", path, why).by_descriptor().into(),
        });
    }
    ops
}
