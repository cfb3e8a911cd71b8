//! The layers of an image, and in a container the one above them that it writes to.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::container::layers::Layers as Root;
use crate::container::registry;
use crate::image::base;
use crate::image::oci::{History, Platform};
use crate::image::source::{self, Image};
use crate::image::stack::Kind;
use crate::kernel::cgroup::unit::bytes;
use crate::lesson::check::World;
use crate::ui::picture::{Layer, Layers, Picture};

use super::{Drawn, is_image, pid};

/// Gathers them: of an image, or of a container that we have started.
pub fn gather(world: &World, what: &[String]) -> Drawn {
    let what = what[0].as_str();
    if is_image(what) {
        return Ok(Picture::Layers(of_image(what, None)?));
    }
    let pid = pid(world, what)?;
    let found = registry::find(what).map_err(|error| error.to_string())?;
    let written = written(pid)?;
    let container = Some((what.to_owned(), written));
    if let (true, Ok(Some(base))) = (found.image == "base", base::find()) {
        return Ok(Picture::Layers(of_base(&base.tree, container)?));
    }
    Ok(Picture::Layers(of_image(&found.image, container)?))
}

/// What `base` is made of: one tree, whether or not anybody has packed it as an image.
fn of_base(tree: &Path, container: Option<(String, String)>) -> Result<Layers, String> {
    let size = below(tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    let about = "programs of this machine".to_owned();
    let layer = Layer { about, size: bytes(size), bytes: size };
    Ok(Layers { container, image: "base".to_owned(), layers: vec![layer] })
}

/// The bytes of all files in a directory.
fn below(directory: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        total += match kind.is_dir() {
            true => below(&path)?,
            false => std::fs::symlink_metadata(&path).map_or(0, |file| file.len()),
        };
    }
    Ok(total)
}

fn of_image(name: &str, container: Option<(String, String)>) -> Result<Layers, String> {
    let open = || source::open(&name.parse()?, &Platform::host());
    let image: Image = open().map_err(|error| error.to_string())?;
    let made_by = image.config.made_by();
    let layer = |(n, (blob, _)): (usize, (&crate::image::oci::Descriptor, _))| {
        let step = made_by.get(n).copied().flatten().map(History::step).unwrap_or_default();
        let about = if step.is_empty() { short(&blob.digest.to_string()) } else { step };
        Layer { about, size: bytes(blob.size), bytes: blob.size }
    };
    let layers: Vec<_> = image.layers().enumerate().map(layer).collect();
    Ok(Layers { container, image: familiar(name), layers })
}

/// Without the registry that everybody means and without a digest: there is little room.
fn familiar(name: &str) -> String {
    let name = name.split('@').next().unwrap_or(name);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    match name.strip_prefix("oci:") {
        Some(path) => path.rsplit('/').next().unwrap_or(path).to_owned(),
        None => name.to_owned(),
    }
}

fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// What a container has written so far.
fn written(pid: i32) -> Result<String, String> {
    let layers = Root::of(Path::new("/proc"), pid).map_err(|error| error.to_string())?;
    let changes = layers.changes().map_err(|error| error.to_string())?;
    let Some((_, changes)) = changes else {
        return Err("its root is no overlay, and so no stack of layers".to_owned());
    };
    let size = |path: &[Vec<u8>]| {
        let mut at = PathBuf::from(format!("/proc/{pid}/root"));
        at.extend(path.iter().map(|name| OsStr::from_bytes(name)));
        let metadata = std::fs::symlink_metadata(at).ok().filter(|metadata| metadata.is_file());
        metadata.map_or(0, |metadata| metadata.len())
    };
    let left = changes.iter().filter(|change| change.kind != Kind::Deleted);
    let total: u64 = left.map(|change| size(&change.path)).sum();
    Ok(match changes.len() {
        0 => "nothing written yet".to_owned(),
        1 => format!("1 change, {}", bytes(total)),
        many => format!("{many} changes, {}", bytes(total)),
    })
}
