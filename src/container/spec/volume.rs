//! `-v SRC:DST[:ro]` and `--tmpfs DST[:OPTIONS]`: what else of file systems a
//! container gets.

use std::path::{Path, PathBuf};

use crate::container::spec::{clean, usage};
use crate::error::{Error, Result};
use crate::kernel::in_root::{Kind, taken};

/// What a container gets besides its root.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// In the order in which they are mounted: parents first.
    pub mounts: Vec<Extra>,
    /// Directories that its image has for data of a container's own.
    pub directories: Vec<String>,
    /// Whether its root is read-only.
    pub read_only: bool,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    /// Where, as the container sees it: absolute, nothing in it to resolve but links.
    pub target: String,
    /// What.
    pub what: What,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Something of the host.
    Volume {
        /// Its absolute path.
        source: String,
        /// A directory, or a file.
        kind: Kind,
        /// Whether the container may only read it.
        read_only: bool,
    },
    /// Memory.
    Tmpfs {
        /// Flags of mount(2).
        flags: Vec<&'static str>,
        /// Options of tmpfs.
        data: String,
    },
}

impl Files {
    /// From what was typed.
    pub fn parse(volumes: &[String], tmpfs: &[String], read_only: bool) -> Result<Self> {
        let volumes = volumes.iter().map(|given| volume(given));
        let mut mounts: Vec<_> =
            volumes.chain(tmpfs.iter().map(|given| memory(given))).collect::<Result<_>>()?;
        // A parent mounted last would cover its children.
        mounts.sort_by_key(|extra| Path::new(&extra.target).components().count());
        for (index, one) in mounts.iter().enumerate() {
            if mounts[..index].iter().any(|other| other.target == one.target) {
                return Err(usage(format!("{}: two things cannot be mounted there", one.target)));
            }
        }
        Ok(Self { mounts, directories: Vec::new(), read_only })
    }
}

fn volume(given: &str) -> Result<Extra> {
    let wrong = |why: &str| usage(format!("-v {given}: {why}"));
    let parts: Vec<_> = given.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        [only] if only.starts_with('/') => {
            return Err(wrong("a volume without a name is not kept here")
                .hint(format!("For files that go with the container: --tmpfs {only}.")));
        }
        _ => return Err(wrong("it has the form SRC:DST[:ro]")),
    };
    let read_only = match options {
        "" | "rw" => false,
        "ro" => true,
        other => {
            return Err(wrong(&format!("{other:?} is no option here"))
                .hint("Give ro or rw. Mounts made on either side stay on that side (rprivate)."));
        }
    };
    let source = source_of(given, source)?;
    let target = target_of("-v", given, target)?;
    let kind = looked_at(given, &source)?;
    Ok(Extra {
        target,
        what: What::Volume { source: source.to_string_lossy().into_owned(), kind, read_only },
    })
}

/// An absolute path; relative only if it begins with a dot, as docker has it.
fn source_of(given: &str, source: &str) -> Result<PathBuf> {
    if source.starts_with('/') {
        return Ok(source.into());
    }
    if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") {
        let here = std::env::current_dir()
            .map_err(|error| Error::io("getcwd()", &error).exit(crate::error::Exit::Engine))?;
        return Ok(here.join(source));
    }
    if source.is_empty() {
        return Err(usage(format!("-v {given}: it has the form SRC:DST[:ro]")));
    }
    Err(usage(format!("-v {given}: {source} is not an absolute path")).hint(format!(
        "docker would take it for a named volume, and those are not kept here. A directory: \
         mkdir {source}, then -v \"$PWD/{source}\":..."
    )))
}

/// Where in the container: absolute, without `.` and `..`.
fn target_of(flag: &str, given: &str, target: &str) -> Result<String> {
    let wrong = |why: String| usage(format!("{flag} {given}: {why}"));
    if !target.starts_with('/') {
        return Err(wrong(format!("{target:?} must be absolute, as the container sees it")));
    }
    if target.chars().any(char::is_control) {
        return Err(wrong("a path with control characters is not taken".to_owned()));
    }
    let clean = clean(target);
    match taken(&clean) {
        Some(why) => Err(wrong(format!("nothing can be mounted on {}: {why}", clean.display()))),
        None => Ok(clean.to_string_lossy().into_owned()),
    }
}

/// What is at the source: it must be there, and be ours to read.
fn looked_at(given: &str, source: &Path) -> Result<Kind> {
    use std::os::unix::fs::FileTypeExt;
    let refused = |error: &std::io::Error| {
        let call = format!("-v {given}: stat({source:?})");
        let error_of = Error::io(call, error).exit(crate::error::Exit::Engine);
        match error.kind() {
            std::io::ErrorKind::NotFound => error_of.hint(format!(
                "docker would make an empty directory there; this program makes nothing on the host \
                 for a container. `mkdir -p {}`, then again.",
                source.display()
            )),
            _ => error_of.hint(
                "What you may not look at, a container of yours may not either: being root in it \
                 gives no more rights on the host's files.",
            ),
        }
    };
    let metadata = source.metadata().map_err(|error| refused(&error))?;
    let kind = metadata.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Err(usage(format!("-v {given}: {} is a device", source.display())).hint(
            "No device file but the few in /dev opens in a container: what is lent to it is nodev.",
        ));
    }
    let mode = match kind.is_dir() {
        true => rustix::fs::Access::READ_OK | rustix::fs::Access::EXEC_OK,
        false => rustix::fs::Access::READ_OK,
    };
    let flags = rustix::fs::AtFlags::EACCESS;
    rustix::fs::accessat(rustix::fs::CWD, source, mode, flags)
        .map_err(|errno| refused(&std::io::Error::from(errno)))?;
    Ok(if kind.is_dir() { Kind::Directory } else { Kind::File })
}

/// `--tmpfs DST[:OPTIONS]`, with docker's defaults.
fn memory(given: &str) -> Result<Extra> {
    let (target, options) = given.split_once(':').unwrap_or((given, ""));
    let target = target_of("--tmpfs", given, target)?;
    let mut flags = vec!["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"];
    let mut data = vec!["mode=1777".to_owned()];
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let mut turn = |flag: &'static str, on: bool| {
            flags.retain(|present| *present != flag);
            flags.extend(on.then_some(flag));
        };
        match option {
            "rw" => turn("MS_RDONLY", false),
            "ro" => turn("MS_RDONLY", true),
            "exec" => turn("MS_NOEXEC", false),
            "noexec" => turn("MS_NOEXEC", true),
            "suid" => turn("MS_NOSUID", false),
            "nosuid" => turn("MS_NOSUID", true),
            "nodev" => {}
            _ if tmpfs_option(option) => {
                let name = option.split('=').next().unwrap_or(option);
                data.retain(|present| present.split('=').next() != Some(name));
                data.push(option.to_owned());
            }
            _ => {
                return Err(usage(format!("--tmpfs {given}: {option:?} is no option here")).hint(
                    "There are ro, rw, exec, noexec, suid, nosuid, nodev, size=, mode=, uid=, gid=, nr_inodes=.",
                ));
            }
        }
    }
    Ok(Extra { target, what: What::Tmpfs { flags, data: data.join(",") } })
}

/// Options with a value that the kernel's tmpfs takes.
fn tmpfs_option(option: &str) -> bool {
    let Some((name, value)) = option.split_once('=') else { return false };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        "size" | "nr_inodes" => {
            number(value.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G', '%']).unwrap_or(value))
        }
        "mode" => number(value) && u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777),
        "uid" | "gid" => value.parse::<u32>().is_ok_and(|id| id != u32::MAX),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn volumes_are_dockers_where_they_can_be() {
        let of = |given: &str| volume(given).unwrap();
        let Extra { target, what } = of("/tmp/..//tmp:/a/./b/../c/:ro");
        assert_eq!(target, "/a/c");
        assert_eq!(
            what,
            What::Volume {
                source: "/tmp/..//tmp".to_owned(),
                kind: Kind::Directory,
                read_only: true
            }
        );
        assert!(matches!(
            of("/proc/self/status:/x").what,
            What::Volume { kind: Kind::File, read_only: false, .. }
        ));
        for wrong in [
            "",
            ":",
            "/tmp",
            "name:/x",
            "a/b:/x",
            "/tmp:x",
            "/tmp:/x:z",
            "/tmp:/x:ro:ro",
            "/tmp:",
            ":/x",
            "/no/such/directory:/x",
            "/dev/null:/x",
            "/tmp:/",
            "/tmp:/proc/self",
            "/tmp:/a/../proc",
            "/tmp:/dev",
            "/tmp:/sys",
            "/tmp:/dev/pts",
        ] {
            assert_eq!(volume(wrong).unwrap_err().exit, Exit::Engine, "{wrong}");
        }
        assert!(volume("/tmp:/dev/shm").is_ok());
    }

    #[test]
    fn tmpfs_options_are_checked_and_never_dev() {
        let of = |given: &str| match memory(given).unwrap().what {
            What::Tmpfs { flags, data } => (flags, data),
            What::Volume { .. } => unreachable!("a tmpfs"),
        };
        assert_eq!(of("/x"), (vec!["MS_NOSUID", "MS_NODEV", "MS_NOEXEC"], "mode=1777".to_owned()));
        assert_eq!(
            of("/x:exec,ro,size=64m,mode=0700"),
            (vec!["MS_NOSUID", "MS_NODEV", "MS_RDONLY"], "size=64m,mode=0700".to_owned())
        );
        for wrong in [
            "x",
            "/x:dev",
            "/x:size=",
            "/x:size=1t",
            "/x:mode=9",
            "/x:uid=4294967295",
            "/x:huge=always",
        ] {
            assert_eq!(memory(wrong).unwrap_err().exit, Exit::Engine, "{wrong}");
        }
    }

    #[test]
    fn parents_come_first_and_twice_is_wrong() {
        let given = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let files =
            Files::parse(&given(&["/tmp:/a/b/c", "/tmp:/z"]), &given(&["/a/b", "/a"]), true)
                .unwrap();
        let order: Vec<_> = files.mounts.iter().map(|extra| extra.target.as_str()).collect();
        assert_eq!(order, ["/z", "/a", "/a/b", "/a/b/c"]);
        assert!(Files::parse(&given(&["/tmp:/a"]), &given(&["/a/"]), false).is_err());
    }
}
