//! Checks on images, by another route than the commands that make and read
//! them: an OCI image layout is files, so its documents are read here as plain
//! JSON, its blobs are summed up, its layers are listed as any archive.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::home::{self, Place};
use crate::kernel::mountinfo;

use super::{Answer, Finding, Unknown, World};

/// What the layout calls an image.
const NAME: &str = "org.opencontainers.image.ref.name";

/// A document may have so many bytes, as everywhere.
const LARGEST: u64 = 4 << 20;

fn unknown(path: &Path, error: &io::Error) -> Unknown {
    match error.kind() {
        ErrorKind::NotFound => Unknown::Absent(format!("there is no {}", path.display())),
        ErrorKind::PermissionDenied => {
            Unknown::Untestable(format!("{} is closed to you", path.display()))
        }
        _ => Unknown::Untestable(format!("{}: {error}", path.display())),
    }
}

/// A blob that a document names.
struct Part {
    digest: String,
    size: u64,
    path: PathBuf,
}

/// An image's documents, and where its blobs are.
struct Layout {
    directory: PathBuf,
    manifest: Part,
    config: Part,
    layers: Vec<Part>,
    diff_ids: Vec<String>,
}

impl Layout {
    /// `oci:DIR:TAG`, or a name that the store has.
    fn of(image: &str) -> Result<Self, Unknown> {
        let absent = |what: String| Unknown::Absent(what);
        if image.contains('$') {
            return Err(absent(format!("there is no image {image}")));
        }
        let (directory, name) = match image.strip_prefix("oci:") {
            Some(rest) => {
                let (directory, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
                (PathBuf::from(directory), tag.to_owned())
            }
            None => {
                let data = home::path(Place::Data)
                    .map_err(|error| Unknown::Untestable(error.to_string()))?;
                (data.join("images"), image.to_owned())
            }
        };
        let index = json(&directory.join("index.json"))?;
        let named = |one: &&Value| one["annotations"][NAME] == name.as_str();
        let entry = index["manifests"].as_array().into_iter().flatten().find(named);
        let entry = entry
            .ok_or_else(|| absent(format!("{}/index.json names no {name}", directory.display())))?;
        let part = |descriptor: &Value| part(&directory, descriptor);
        let manifest = part(entry)?;
        let documents = json(&manifest.path)?;
        let config = part(&documents["config"])?;
        let layers = documents["layers"].as_array().into_iter().flatten().map(part);
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let diff_ids = json(&config.path)?["rootfs"]["diff_ids"].clone();
        let diff_ids: Vec<String> = serde_json::from_value(diff_ids).unwrap_or_default();
        Ok(Self { manifest, config, layers, diff_ids, directory })
    }
}

/// A digest becomes a path: nothing but hexadecimal digits.
fn part(directory: &Path, descriptor: &Value) -> Result<Part, Unknown> {
    let digest = descriptor["digest"].as_str().unwrap_or_default();
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Unknown::Untestable(format!("{digest:?} is no sum of sha256sum")));
    }
    let path = directory.join("blobs/sha256").join(hex);
    Ok(Part { digest: digest.to_owned(), size: descriptor["size"].as_u64().unwrap_or(0), path })
}

fn json(path: &Path) -> Result<Value, Unknown> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unknown(path, &error))?;
    file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| unknown(path, &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Unknown::Absent(format!("{} is no JSON: {error}", path.display())))
}

/// `sha256:...` of all that comes, and how much that was.
fn sum(mut from: impl Read) -> io::Result<(String, u64)> {
    let (mut sum, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            count => {
                sum.update(&buffer[..count]);
                size += count as u64;
            }
        }
    }
    let hex: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("sha256:{hex}"), size))
}

/// The archive that a layer is, whatever it is compressed with.
fn archive(layer: &Part) -> Result<Box<dyn Read>, Unknown> {
    let open = || File::open(&layer.path).map_err(|error| unknown(&layer.path, &error));
    let mut magic = Vec::new();
    open()?.take(4).read_to_end(&mut magic).map_err(|error| unknown(&layer.path, &error))?;
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(open()?)),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            Box::new(zstd::Decoder::new(open()?).map_err(|error| unknown(&layer.path, &error))?)
        }
        _ => Box::new(open()?),
    })
}

/// A few characters of a digest, to be compared by eye.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

/// Whether everything that makes up an image is called by its own SHA-256.
pub fn blobs_are_sums(image: &str) -> Answer {
    let Layout { directory, manifest, config, layers, .. } = Layout::of(image)?;
    let parts: Vec<_> = [manifest, config].into_iter().chain(layers).collect();
    for Part { digest, size, path } in &parts {
        let file = File::open(path).map_err(|error| unknown(path, &error))?;
        let (found, length) = sum(file).map_err(|error| unknown(path, &error))?;
        if found != *digest || length != *size {
            let told = format!("{}: {length} bytes, sum {found}; named {digest}", path.display());
            return Ok(Finding::yes(false, format!("{told}, {size} bytes")));
        }
    }
    let place = directory.join("blobs/sha256");
    let told = format!("{} files in {}, each called by its sum", parts.len(), place.display());
    Ok(Finding::yes(true, told))
}

/// Whether the config's diff_ids are the sums of the archives inside of the layers.
pub fn diff_ids(image: &str) -> Answer {
    let layout = Layout::of(image)?;
    let mut told = Vec::new();
    for (layer, diff_id) in layout.layers.iter().zip(&layout.diff_ids) {
        let (found, _) = sum(archive(layer)?).map_err(|error| unknown(&layer.path, &error))?;
        if found != *diff_id {
            let told = format!("the archive in {} is {found}, diff_id {diff_id}", layer.digest);
            return Ok(Finding::yes(false, told));
        }
        told.push(format!("{} holds {}", short(&layer.digest), short(diff_id)));
    }
    let all = layout.layers.len() == layout.diff_ids.len() && !told.is_empty();
    Ok(Finding::yes(all, told.join("; ")))
}

/// The member of a layer's archive with this path: its content.
fn member(layer: &Part, wanted: &str) -> Result<Option<Vec<u8>>, Unknown> {
    let failed = |error: io::Error| unknown(&layer.path, &error);
    let mut tar = tar::Archive::new(archive(layer)?);
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = entry.path_bytes();
        let path = String::from_utf8_lossy(&path).into_owned();
        if plain(&path) == plain(wanted) {
            let mut bytes = Vec::new();
            entry.by_ref().take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_matches('/')
}

/// In which layers a path is, counted from the lowest: `1`, `1,3`, or `none`.
pub fn layers_with(image: &str, path: &str) -> Answer {
    let layout = Layout::of(image)?;
    let mut with = Vec::new();
    for (number, layer) in layout.layers.iter().enumerate() {
        if member(layer, path)?.is_some() {
            with.push((number + 1).to_string());
        }
    }
    let value = if with.is_empty() { "none".to_owned() } else { with.join(",") };
    let told = match with.len() {
        0 => format!("none of {} layers has {path}", layout.layers.len()),
        _ => format!("{path} is in layer {value} of {}", layout.layers.len()),
    };
    Ok(Finding::new(value, told))
}

/// How many layers two images have in common.
pub fn shared(one: &str, other: &str) -> Answer {
    let (one, other) = (Layout::of(one)?, Layout::of(other)?);
    let digests = |layout: &Layout| -> Vec<String> {
        layout.layers.iter().map(|layer| layer.digest.clone()).collect()
    };
    let (one, other) = (digests(&one), digests(&other));
    let common: Vec<_> = one.iter().filter(|digest| other.contains(digest)).collect();
    let names = common.iter().map(|digest| short(digest)).collect::<Vec<_>>().join(", ");
    let told = format!("of {} and {} layers both manifests name {names}", one.len(), other.len());
    Ok(Finding::new(common.len().to_string(), told))
}

/// Whether a container has something at this path.
pub fn file_in(world: &World, who: &str, path: &str) -> Answer {
    let through = PathBuf::from(format!("/proc/{}/root{path}", world.pid(who)?));
    let there = match fs::symlink_metadata(&through) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(unknown(&through, &error)),
    };
    let told = if there { "is there" } else { "is not there" };
    Ok(Finding::yes(there, format!("{} {told}", through.display())))
}

/// Whether a file of a container is, byte for byte, one that a layer of an image has.
pub fn from_layer(world: &World, who: &str, path: &str, image: &str, of: &str) -> Answer {
    let layout = Layout::of(image)?;
    let through = PathBuf::from(format!("/proc/{}/root{path}", world.pid(who)?));
    // Neither a link nor a pipe that somebody put there leads us anywhere.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags).open(&through);
    let file = file.map_err(|error| unknown(&through, &error))?;
    let mut here = Vec::new();
    file.take(LARGEST).read_to_end(&mut here).map_err(|error| unknown(&through, &error))?;
    for (number, layer) in layout.layers.iter().enumerate() {
        if member(layer, of)?.is_some_and(|bytes| bytes == here) {
            let told = format!("{path} in {who} is {of} of layer {}", number + 1);
            return Ok(Finding::yes(true, told));
        }
    }
    Ok(Finding::yes(false, format!("{path} in {who} is not what {of} is in any layer")))
}

/// How many directories lie below the overlay that is mounted there in a container.
pub fn stacked(world: &World, who: &str, path: &str) -> Answer {
    let pid = world.pid(who)?;
    let mounts = mountinfo::list(Path::new("/proc"), pid)
        .map_err(|error| Unknown::Untestable(error.to_string()))?;
    let at = mounts.iter().rfind(|mount| mount.mount_point == Path::new(path));
    let Some(overlay) = at.filter(|mount| mount.fs_type == "overlay") else {
        return Err(Unknown::Absent(format!("no overlay is mounted on {path} in {who}")));
    };
    // Each by itself where the mount was made so, with `lowerdir+`.
    let lower = |option: &str| {
        let list = option.strip_prefix("lowerdir=").or(option.strip_prefix("lowerdir+="));
        list.map(|list| list.split(':').map(str::to_owned).collect::<Vec<_>>())
    };
    let below: Vec<_> = overlay.super_options.split(',').filter_map(lower).flatten().collect();
    let told = format!("/proc/{pid}/mountinfo: on {path}, from the top, {}", below.join(", "));
    Ok(Finding::new(below.len().to_string(), told))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;

    /// A layout of one image `x` with these layers (each one file), as made by hand.
    struct Made(tempfile::TempDir);

    impl Made {
        fn new(layers: &[(&str, &str)]) -> Self {
            let made = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(made.0.path().join("blobs/sha256")).unwrap();
            let (mut parts, mut diff_ids) = (Vec::new(), Vec::new());
            for (name, text) in layers {
                let mut tar = tar::Builder::new(Vec::new());
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, name, text.as_bytes()).unwrap();
                let tar = tar.into_inner().unwrap();
                diff_ids.push(sum(&tar[..]).unwrap().0);
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                gzip.write_all(&tar).unwrap();
                parts.push(made.put(&gzip.finish().unwrap()));
            }
            let config =
                made.put(json!({ "rootfs": { "diff_ids": diff_ids } }).to_string().as_bytes());
            let manifest = json!({ "config": config, "layers": parts });
            let mut named = made.put(manifest.to_string().as_bytes());
            named["annotations"] = json!({ NAME: "x" });
            let index = json!({ "manifests": [named] }).to_string();
            fs::write(made.0.path().join("index.json"), index).unwrap();
            made
        }

        fn put(&self, bytes: &[u8]) -> Value {
            let (digest, size) = sum(bytes).unwrap();
            fs::write(self.0.path().join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
            json!({ "digest": digest, "size": size })
        }

        fn image(&self) -> String {
            format!("oci:{}:x", self.0.path().display())
        }
    }

    fn value(answer: Answer) -> String {
        answer.map(|finding| finding.value).unwrap_or_else(|why| format!("{why:?}"))
    }

    #[test]
    fn sums_are_true_of_an_image_and_false_when_a_byte_is_another() {
        let made = Made::new(&[("a", "one"), ("root/b", "two")]);
        assert_eq!(value(blobs_are_sums(&made.image())), "yes");
        assert_eq!(value(diff_ids(&made.image())), "yes");
        let layout = Layout::of(&made.image()).unwrap_or_else(|why| panic!("{why:?}"));
        // The same archive, wrapped otherwise: its name is wrong, what is in it is not.
        let mut wrapped = fs::read(&layout.layers[1].path).unwrap();
        wrapped.extend(
            flate2::write::GzEncoder::new(Vec::new(), Default::default()).finish().unwrap(),
        );
        fs::write(&layout.layers[1].path, wrapped).unwrap();
        assert_eq!(value(blobs_are_sums(&made.image())), "no");
        assert_eq!(value(diff_ids(&made.image())), "yes");
        fs::copy(&layout.layers[0].path, &layout.layers[1].path).unwrap();
        assert_eq!(value(diff_ids(&made.image())), "no");
    }

    #[test]
    fn a_path_is_found_in_the_layers_that_have_it() {
        let made = Made::new(&[("./etc/x", "1"), ("root/key", "2"), ("etc/x", "3")]);
        assert_eq!(value(layers_with(&made.image(), "etc/x")), "1,3");
        assert_eq!(value(layers_with(&made.image(), "/root/key")), "2");
        assert_eq!(value(layers_with(&made.image(), "key")), "none");
    }

    #[test]
    fn layers_in_common_are_counted() {
        let one = Made::new(&[("a", "1"), ("b", "2")]);
        let other = Made::new(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let third = Made::new(&[("z", "26")]);
        assert_eq!(value(shared(&one.image(), &other.image())), "2");
        assert_eq!(value(shared(&one.image(), &third.image())), "0");
    }

    #[test]
    fn what_is_not_there_is_absent_and_a_bad_name_is_followed_nowhere() {
        let made = Made::new(&[("a", "1")]);
        let absent = |image: &str| matches!(Layout::of(image), Err(Unknown::Absent(_)));
        assert!(
            absent("$image")
                && absent("oci:/nowhere:x")
                && absent(&made.image().replace(":x", ":y"))
        );
        let index = json!({ "manifests": [{ "digest": "sha256:../../../index.json", "annotations": { NAME: "x" } }] });
        fs::write(made.0.path().join("index.json"), index.to_string()).unwrap();
        assert!(matches!(Layout::of(&made.image()), Err(Unknown::Untestable(_))));
    }
}
