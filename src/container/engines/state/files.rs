//! What an engine has written down: Podman of another user, whose program only that
//! user runs, and LXC, which needs no daemon. The files are others': they are opened
//! as files of that owner and nothing else, and read so far and no further.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use serde::Deserialize;

use super::{Said, image, name};
use crate::error::{Context, Error, Result};

/// What is read of a file.
const MOST: u64 = 4 << 20;

/// The containers that containers/storage (Podman, CRI-O) lists in this directory.
pub(super) fn podman(directory: &Path, owner: u32) -> Result<Vec<Said>> {
    #[derive(Deserialize)]
    struct Listed {
        id: String,
        #[serde(default)]
        names: Option<Vec<String>>,
        #[serde(default)]
        metadata: String,
    }
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "kebab-case", default)]
    struct Metadata {
        image_name: String,
    }
    let path = directory.join("containers.json");
    let listed: Vec<Listed> = serde_json::from_str(&text(&path, owner)?)
        .map_err(|error| Error::new(format!("reading {}", path.display())).said(error))?;
    let said = |listed: Listed| {
        let metadata: Metadata = serde_json::from_str(&listed.metadata).unwrap_or_default();
        Said {
            name: listed.names.iter().flatten().find_map(|text| name(text)),
            image: image(&metadata.image_name),
            ports: Vec::new(),
            id: listed.id,
        }
    };
    Ok(listed.into_iter().map(said).collect())
}

/// What LXC's configuration of a container says: lxc-create notes the template.
pub(super) fn lxc(directory: &Path, owner: u32) -> Result<Vec<Said>> {
    let text = text(&directory.join("config"), owner)?;
    let file = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(vec![Said {
        id: String::new(),
        name: file.as_deref().and_then(name),
        image: template(&text),
        ports: Vec::new(),
    }])
}

/// `busybox`, `download --dist alpine --release 3.20`.
fn template(config: &str) -> Option<String> {
    let after = |words: &str| {
        let line =
            config.lines().find_map(|line| line.trim_start_matches("# ").strip_prefix(words));
        line.map(str::trim).filter(|text| !text.is_empty())
    };
    let path = after("Template used to create this container:")?;
    let program = path.rsplit('/').next().unwrap_or(path);
    let program = program.strip_prefix("lxc-").unwrap_or(program);
    let parameters = after("Parameters passed to the template:").unwrap_or_default();
    image(format!("{program} {parameters}").trim_end())
}

/// A regular file of this owner's, or of root's.
fn text(path: &Path, owner: u32) -> Result<String> {
    let call = || format!("open({path:?}, O_NOFOLLOW)");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).tried(call)?);
    let metadata = file.metadata().tried(call)?;
    if !metadata.is_file() || ![0, owner].contains(&metadata.uid()) {
        return Err(Error::new(call()).said(format!("it is no file of user {owner}")));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).tried(|| format!("read({path:?})"))?;
    match bytes.len() as u64 > MOST {
        true => Err(Error::new(format!("read({path:?})")).said("it is longer than 4 MiB")),
        false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn an_lxc_containers_configuration_names_its_template() {
        let config = "# Template used to create this container: /usr/share/lxc/templates/lxc-download\n\
            # Parameters passed to the template: --dist alpine --release 3.20\nlxc.net.0.type = veth\n";
        assert_eq!(template(config).as_deref(), Some("download --dist alpine --release 3.20"));
        let busybox = "# Template used to create this container: /x/lxc-busybox\n# Parameters passed to the template:\n";
        assert_eq!(template(busybox).as_deref(), Some("busybox"));
        assert_eq!(template("lxc.net.0.type = veth\n"), None);
    }

    #[test]
    fn podmans_list_has_names_and_images() {
        let directory = tempfile::tempdir().expect("a directory");
        let list = r#"[{"id": "a1", "names": ["web"], "image": "f0", "layer": "1",
            "metadata": "{\"image-name\":\"localhost/bb:1\",\"name\":\"web\"}"}, {"id": "b2"}]"#;
        std::fs::write(directory.path().join("containers.json"), list).expect("written");
        let said = podman(directory.path(), us()).expect("read");
        assert_eq!((said[0].id.as_str(), said[0].name.as_deref()), ("a1", Some("web")));
        assert_eq!(
            (said[0].image.as_deref(), said[1].name.as_deref()),
            (Some("localhost/bb:1"), None)
        );
    }

    #[test]
    fn what_is_no_file_of_the_owners_is_not_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("containers.json");
        std::os::unix::fs::symlink("/etc/passwd", &path).expect("linked");
        assert!(podman(directory.path(), us()).is_err());
        std::fs::remove_file(&path).expect("removed");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).expect("made");
        let error = podman(directory.path(), us()).expect_err("a pipe that nobody writes to");
        assert!(error.said.is_some_and(|said| said.contains("no file of user")));
    }
}
