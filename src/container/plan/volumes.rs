//! What the container gets besides its root: directories of the host, memory.

use crate::container::plan::ROOT;
use crate::container::spec::{Extra, Files, What};
use crate::kernel::detached::{Attach, MountAttributes, OpenTree};
use crate::kernel::in_root::{Kind, MakeInRoot};
use crate::kernel::mount::Mount;
use crate::kernel::op::{Op, literal};

/// `-v`, `--tmpfs`: parents before what is mounted below them.
pub fn volumes(files: &Files) -> Vec<Op> {
    let mounts = files.mounts.iter().enumerate();
    let mounts = mounts.flat_map(|(number, extra)| mounted(number, extra));
    files.directories.iter().map(|path| directory(path)).chain(mounts).collect()
}

/// A VOLUME of the image: here it is a directory in the container's own layer.
fn directory(path: &str) -> Op {
    let (root, path) = (ROOT.to_owned(), literal(path));
    let why = "a VOLUME of the image: there, whether a layer has it or not".to_owned();
    MakeInRoot { root, path, kind: Kind::Directory, why }.into()
}

/// `--read-only`: last, when nothing has to be made any more.
pub fn read_only(files: &Files) -> Vec<Op> {
    let why = "--read-only: nothing of the root can be changed; /dev, /proc, -v and --tmpfs have flags of their own";
    let flags = ["MS_REMOUNT", "MS_BIND", "MS_RDONLY", "MS_NODEV"];
    files.read_only.then(|| Mount::change("/", &flags, why).into()).into_iter().collect()
}

fn mounted(number: usize, extra: &Extra) -> Vec<Op> {
    let (root, path) = (ROOT.to_owned(), literal(&extra.target));
    let why = "a place to mount on, in the container's own layer; links of the image are followed inside its root only";
    let why = why.to_owned();
    let place = |kind| MakeInRoot { root: root.clone(), path: path.clone(), kind, why };
    match &extra.what {
        What::Volume { source, kind, read_only } => {
            let (name, source) = (format!("volume{number}"), literal(source));
            let option = if *read_only { " -o ro=recursive" } else { "" };
            let shell = format!("mount --rbind{option} {source} {root}{path}");
            vec![
                OpenTree { source, name: name.clone() }.into(),
                MountAttributes { name: name.clone(), read_only: *read_only }.into(),
                place(*kind).into(),
                Attach { name, root, path, shell }.into(),
            ]
        }
        What::Tmpfs { flags, data } => {
            let memory = "memory, empty, gone with the container";
            let tmpfs = Mount::filesystem("tmpfs", &path, memory).flags(flags).data(data);
            vec![place(Kind::Directory).into(), tmpfs.below(ROOT).into()]
        }
    }
}
