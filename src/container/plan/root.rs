//! What the container sees as `/`: a root file system of its own with /proc and
//! /sys, and what of the host's kernel is covered in them.

use crate::container::machine::Machine;
use crate::container::plan::{OLD, ROOT, TREE};
use crate::container::spec::{NetworkKind, Rights, Spec};
use crate::kernel::detached::Attach;
use crate::kernel::files::{Chdir, CopyTree, MakeDir, NewDir, RemoveDir, Symlink};
use crate::kernel::mount::{Mount, PivotRoot, Unmount};
use crate::kernel::op::{Op, literal};
use crate::kernel::session::NewSession;

/// A place to put the new root together, which nobody outside sees.
pub fn staging(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let staging = literal(&spec.rootfs.mnt.to_string_lossy());
    // A process without an id in its user namespace must say whose the directory is.
    let options = if machine.nobody() { "mode=0755,uid=0,gid=0" } else { "mode=0755" };
    vec![
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
        .data(options)
        .into(),
        chdir(&staging, "to where the new root is put together"),
    ]
}

/// The root, from a tree that stays as it is, and the step into it.
pub fn root_file_system(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let mut tree = literal(&spec.rootfs.tree.to_string_lossy());
    let make = |path: &str, why: &str| {
        Op::from(MakeDir { path: path.to_owned(), mode: 0o755, why: why.to_owned() })
    };
    let mut ops = vec![Op::from(NewSession)];
    if machine.nobody() {
        tree = "lower".to_owned();
        ops.push(make(&tree, "a place for the image's files"));
        let (name, root, path) = (TREE.to_owned(), ".".to_owned(), format!("/{tree}"));
        let shell = format!("mount --move TREE {tree}");
        ops.push(Attach { name, root, path, shell }.into());
    } else {
        ops.extend(staging(spec, machine));
    }
    ops.push(make(ROOT, "the new root: everything in it is mounted from out here"));
    if machine.tried.liked.overlay {
        let mut layer = String::new();
        match spec.keep.as_ref().or(spec.layer.as_ref()) {
            Some(own) => layer = overlay_escaped(&literal(&format!("{}/", own.display()))),
            None => {
                ops.push(make("upper", "what the container changes goes here"));
                ops.push(make("work", "overlayfs needs a directory for its own work"));
            }
        }
        // Outside the initial user namespace overlayfs keeps its notes in user.* attributes.
        let attributes = if machine.user.is_some() { ",userxattr" } else { "" };
        ops.extend(links(spec));
        let links: String =
            (0..spec.rootfs.above.len()).map(|number| format!("{number}:")).collect();
        let data = format!(
            "lowerdir={links}{},upperdir={layer}upper,workdir={layer}work{attributes}{}",
            overlay_escaped(&tree),
            whole(spec, machine)
        );
        let why = "the image below, read only; an empty layer above for all changes: one image serves many containers";
        // nodev: root in here may make device files, but none on this file system opens.
        let overlay = Mount::filesystem("overlay", ROOT, why).flags(&["MS_NODEV"]);
        ops.push(overlay.data(&data).into());
    } else {
        let why = "pivot_root wants a mount point";
        ops.push(
            Mount::filesystem("tmpfs", ROOT, why).flags(&["MS_NODEV"]).data("mode=0755").into(),
        );
        ops.push(CopyTree { from: tree, to: ROOT.to_owned() }.into());
    }
    ops.extend(missing(spec));
    ops
}

/// Short names for layers above the image's tree: mount(2) takes one page of options.
fn links(spec: &Spec) -> Vec<Op> {
    let why = "a short name for a layer of the build: mount(2) takes 4096 bytes of options, and paths are long";
    let link = |(number, path): (usize, &std::path::PathBuf)| {
        let target = literal(&path.to_string_lossy());
        Symlink { target, path: number.to_string(), why: why.to_owned() }.into()
    };
    spec.rootfs.above.iter().enumerate().map(link).collect()
}

/// What becomes a layer must say itself all that it says: no note that only this
/// kernel understands, of a renamed directory or a file whose data is below.
fn whole(spec: &Spec, machine: &Machine) -> &'static str {
    match spec.layer.is_some() && machine.user.is_none() {
        true => ",redirect_dir=off,metacopy=off,index=off",
        false => "",
    }
}

fn chdir(path: &str, why: &str) -> Op {
    Chdir { path: path.to_owned(), why: why.to_owned() }.into()
}

/// Directories that are mounted or written in, where the image has none (as one made FROM scratch).
fn missing(spec: &Spec) -> Vec<Op> {
    let there = |name: &&str| spec.rootfs.tree.join(name).symlink_metadata().is_ok();
    // Before the image is made it is not known what it will lack.
    let names = ["dev", "etc", "proc", "sys"].into_iter().filter(|name| !there(name));
    let why = "the image has none";
    let make = |name| MakeDir { path: format!("{ROOT}/{name}"), mode: 0o755, why: why.to_owned() };
    match spec.rootfs.tree.is_dir() {
        true => names.map(|name| make(name).into()).collect(),
        false => Vec::new(),
    }
}

/// The step into it: it becomes `/`, and the host's file system leaves the tree.
pub fn into_the_root() -> Vec<Op> {
    let old = OLD.to_owned();
    let away = "the host's file system leaves the tree: from here there is no path back to it";
    vec![
        NewDir {
            path: format!("{ROOT}/{OLD}"),
            why: "where the old root goes for a moment".to_owned(),
        }
        .into(),
        chdir(ROOT, "into the new root"),
        PivotRoot { new_root: ".".to_owned(), put_old: old.clone() }.into(),
        chdir("/", "the working directory would still be in the old tree"),
        Unmount { target: old.clone(), why: away.to_owned() }.into(),
        RemoveDir { path: old, why: "nothing is left of it".to_owned() }.into(),
    ]
}

/// overlayfs splits its options at commas and the lower directories at colons.
fn overlay_escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(',', "\\,").replace(':', "\\:")
}

/// /proc and /sys.
pub fn kernel_file_systems(spec: &Spec, machine: &Machine) -> Vec<Op> {
    let quiet = ["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let proc = "a /proc of the new pid namespace: without it, ps would show the host's processes";
    let below = |name: &str| format!("{ROOT}/{name}");
    let mount = Mount::filesystem("proc", &below("proc"), proc).flags(&quiet);
    let mut ops = vec![mount.on_directory().into()];
    let sys = "the kernel's devices and settings, read-only: they are the host's";
    if spec.network.kind == NetworkKind::Host && machine.user.is_some() {
        // A new sysfs belongs to a network namespace, and the host's is not ours.
        let mount = Mount::bind("/sys", &below("sys"), sys).flags(&["MS_REC"]);
        ops.push(mount.on_directory().into());
    } else if spec.process.rights.devices {
        let sys = "the kernel's devices and settings, to be written too: they are the host's";
        let mount = Mount::filesystem("sysfs", &below("sys"), sys).flags(&quiet);
        ops.push(mount.on_directory().into());
    } else {
        let mount = Mount::filesystem("sysfs", &below("sys"), sys).flags(&quiet);
        ops.push(mount.flags(&["MS_RDONLY"]).on_directory().into());
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
