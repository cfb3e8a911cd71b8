//! Each Dockerfile of `builds.txt`, built by this program and by buildah: the config,
//! the history, the files of every layer and the whole tree are the same, or the
//! difference is named there, with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Ran, Uth};

/// What differs in every image, whatever the Dockerfile.
const LABEL: &str = "io.buildah.version"; // buildah says that it was there
const HOSTNAME: &str = "Hostname"; // of a container that is long gone
/// buildah leaves the place where it put secrets and /run/.containerenv.
const RUN: &str = "run";
/// buildah 1.28 takes it from directories; docker keeps it.
const SETGID: u64 = 0o2000;

/// A Dockerfile that is built.
pub struct Build {
    pub name: &'static str,
    /// What differs: `config KEY`, `history`, `layers`, `files`, or `alone`.
    pub differs: BTreeSet<&'static str>,
}

/// What is to be built.
pub fn builds() -> Vec<Build> {
    let mut builds: Vec<Build> = Vec::new();
    for line in include_str!("builds.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('|').map(str::trim);
        let name = fields.next().unwrap();
        if builds.last().is_none_or(|last| last.name != name) {
            builds.push(Build { name, differs: BTreeSet::new() });
        }
        let last = builds.last_mut().unwrap();
        if let Some(what) = fields.next() {
            assert!(fields.next().is_some_and(|why| !why.is_empty()), "no reason: {line}");
            last.differs.insert(what);
        }
    }
    builds
}

/// What only we can build: a file, and what is in it then.
const ALONE: &[(&str, &str, &str)] = &[
    ("copy-heredoc", "d/one", "value is \"expanded\" $X\n"),
    ("copy-heredoc", "d/two", "$X is not\n"),
    ("copy-heredoc-one", "etc/conf", "indented\nmore\n"),
    ("copy-from-stage", "sub/deep", "deep\n"),
    ("copy-from-stage", "got/one", "1\n"),
    ("env-expansion", "a.txt", "a\n"),
    ("from-case", "b", "bb\n"),
    ("run-heredoc", "out", "one\n/root\n"),
    ("run-heredoc-chomp", "out", "one\ntwo\n"),
    ("run-heredoc-script", "out", "script\n"),
    ("run-heredoc-several", "a", "in a: /root\n"),
    ("run-heredoc-several", "b", "in b: $HOME\n"),
    ("run-network-none", "out", "lo\n"),
];

/// Files of every kind, old, and some that are ignored.
fn context(uth: &Uth) -> String {
    let root = uth.home().join("context");
    fs::create_dir_all(root.join("dir/sub/deeper")).unwrap();
    fs::create_dir_all(root.join("empty")).unwrap();
    for (name, text, mode) in [
        ("a.txt", "a\n", 0o644),
        ("b.txt", "bb\n", 0o644),
        ("with space.txt", "ccc\n", 0o644),
        ("script.sh", "#!/bin/sh\n", 0o755),
        ("dir/one", "1\n", 0o644),
        ("dir/two", "2\n", 0o640),
        ("dir/three", "3\n", 0o444),
        ("dir/sub/deep", "deep\n", 0o600),
        ("dir/sub/deeper/x", "x\n", 0o644),
        (".hidden", "h\n", 0o644),
    ] {
        fs::write(root.join(name), text).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, mode) in [("empty", 0o700), ("dir/sub/deeper", 0o2755)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("a.txt", root.join("link")).unwrap();
    symlink("dir", root.join("dirlink")).unwrap();
    let script = "set -e; cd $UTH_HOME; mkdir -p packed/top/in; echo 'in a tar' >packed/top/in/file; \
        ln -s file packed/top/in/l; chown 3:4 packed/top/in/file; tar -C packed -cf context/data.tar top; \
        tar -C packed -czf context/data.tar.gz top; find context -exec touch -h -d @1000000000 {} +";
    uth.sh(script).ok();
    root.display().to_string()
}

/// buildah with a store of its own, until this is dropped.
pub struct Buildah<'a> {
    uth: &'a Uth,
}

impl<'a> Buildah<'a> {
    /// The base image is in its store.
    pub fn new(uth: &'a Uth) -> Self {
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        fs::write(uth.home().join("policy.json"), policy).unwrap();
        let buildah = Self { uth };
        let base = uth.home().join("base.tar");
        uth.run(["image", "base", "-q"]).ok();
        uth.run(["image", "save", "-o", &base.display().to_string(), "base"]).ok();
        buildah
            .run(&[
                "pull",
                "--signature-policy",
                &buildah.policy(),
                &format!("docker-archive:{}", base.display()),
            ])
            .ok();
        buildah
    }

    fn policy(&self) -> String {
        self.uth.home().join("policy.json").display().to_string()
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.uth.beside("buildah");
        command.env("BUILDAH_ISOLATION", "chroot");
        // Said here: with --root it does not look for a driver in the environment. This one mounts nothing.
        command.args(["--storage-driver", "vfs"]);
        let at = |name: &str| self.uth.home().join(name).display().to_string();
        command.args(["--root", &at("storage/root"), "--runroot", &at("storage/run")]).args(args);
        self.uth.wait(command)
    }

    /// Builds it, and gives where it is as an archive.
    pub fn build(&self, file: &str, context: &str) -> Result<String, String> {
        let policy = self.policy();
        let more = [
            "--tls-verify=false", // of a registry on the loopback interface
            "--layers",
            "--force-rm",
            "--format",
            "docker",
            "--network",
            "host",
            "-f",
            file,
            "-t",
            "it",
            context,
        ];
        let ran = self.run(&[&["bud", "--signature-policy", &policy], &more[..]].concat());
        if ran.code != Some(0) {
            return Err(ran.whole());
        }
        let archive = self.uth.home().join("theirs.tar");
        let _ = fs::remove_file(&archive);
        let to = format!("docker-archive:{}", archive.display());
        self.run(&["push", "--signature-policy", &policy, "it", &format!("{to}:it:1")]).ok();
        Ok(to)
    }
}

/// The last lines of a Dockerfile's build that say what it is, as both have it.
fn history(image: &Value) -> Vec<(bool, String)> {
    let one = |step: &Value| {
        let by = step["created_by"].as_str().unwrap_or_default();
        let by = by.strip_prefix("/bin/sh -c #(nop)").unwrap_or(by).trim_start();
        let word = by.split(' ').next().unwrap_or_default().to_uppercase();
        let known = "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER ONBUILD SHELL STOPSIGNAL USER \
                     VOLUME WORKDIR";
        let keyword = known.split_whitespace().find(|known| *known == word).unwrap_or("RUN");
        (step["empty_layer"] == true, keyword.to_owned())
    };
    image["config"]["history"].as_array().unwrap().iter().map(one).collect()
}

/// Each layer's members: kind, mode, owner, size and link by path.
fn layers(image: &Value) -> Vec<BTreeMap<String, String>> {
    let member = |file: &Value| {
        let path = file["path"].as_str().unwrap().to_owned();
        let directory = file["kind"] == "directory";
        let mode = file["mode"].as_u64().unwrap() & if directory { !SETGID } else { !0 };
        let rest = ["uid", "gid", "size", "link"].map(|key| file[key].to_string()).join(" ");
        (path, format!("{} {mode:o} {rest}", file["kind"]))
    };
    let of = |layer: &Value| {
        let all = layer["files"].as_array().unwrap().iter().map(member);
        all.filter(|(path, _)| path != RUN).collect()
    };
    image["layers"].as_array().unwrap().iter().map(of).collect()
}

/// Every file below a directory: what it is, its mode, its owner and what is in it.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if name == RUN {
                continue;
            }
            let metadata = path.symlink_metadata().unwrap();
            let (mut mode, kind) = (metadata.mode(), metadata.file_type());
            let content = if kind.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if kind.is_dir() {
                mode &= !(SETGID as u32);
                left.push(path.clone());
                String::new()
            } else if kind.is_file() {
                crate::registry::server::digest(&fs::read(&path).unwrap())
            } else {
                format!("device {}", metadata.rdev()) // whatever is in /dev/zero has no end
            };
            let owner = format!("{}:{}", metadata.uid(), metadata.gid());
            found.insert(name, format!("{mode:o} {owner} {content}"));
        }
    }
    found
}

/// What differs, and how, between two maps.
fn difference<T: PartialEq + std::fmt::Debug>(
    ours: &BTreeMap<String, T>,
    theirs: &BTreeMap<String, T>,
) -> String {
    let paths: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differs = paths.into_iter().filter(|path| ours.get(*path) != theirs.get(*path));
    differs
        .map(|path| format!("\n    {path}: {:?} / {:?}", ours.get(path), theirs.get(path)))
        .collect()
}

/// All that differs between the two images.
pub fn differences(uth: &Uth, ours: &str, theirs: &str) -> BTreeMap<String, String> {
    let patient = |args: &[&str]| uth.wait_for(uth.command(args), Duration::from_secs(240)).ok();
    let read = |image: &str| patient(&["image", "dissect", image, "--format", "json"]).json();
    let (our, their) = (read(ours), read(theirs));
    let mut found = BTreeMap::new();
    let config = |image: &Value| -> BTreeMap<String, Value> {
        let mut config = image["config"]["config"].clone();
        if let Some(labels) = config["Labels"].as_object_mut() {
            labels.remove(LABEL);
        }
        let empty = |value: &Value| {
            value.is_null()
                || value == ""
                || value == false
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty)
        };
        let all = config.as_object().unwrap().clone().into_iter();
        all.filter(|(key, value)| key != HOSTNAME && !empty(value)).collect()
    };
    let (a, b) = (config(&our), config(&their));
    for key in a.keys().chain(b.keys()).filter(|key| a.get(*key) != b.get(*key)) {
        found.insert(format!("config {key}"), format!("{:?} / {:?}", a.get(key), b.get(key)));
    }
    for key in ["architecture", "os", "author"] {
        if our["config"][key] != their["config"][key] {
            found.insert(
                key.to_owned(),
                format!("{} / {}", our["config"][key], their["config"][key]),
            );
        }
    }
    let (a, b) = (history(&our), history(&their));
    if a != b {
        found.insert("history".to_owned(), format!("{a:?}\n    {b:?}"));
    }
    let (a, b) = (layers(&our), layers(&their));
    if a != b {
        let each: Vec<_> = a.iter().zip(&b).map(|(a, b)| difference(a, b)).collect();
        found.insert("layers".to_owned(), format!("{} / {} {}", a.len(), b.len(), each.concat()));
    }
    let unpacked = |image: &str, name: &str| {
        let directory = uth.home().join(name);
        let _ = fs::remove_dir_all(&directory);
        patient(&["image", "unpack", image, &directory.display().to_string()]);
        tree(&directory)
    };
    let (a, b) = (unpacked(ours, "our-tree"), unpacked(theirs, "their-tree"));
    if a != b {
        found.insert("files".to_owned(), difference(&a, &b));
    }
    found
}

fn corpus(name: &str) -> String {
    format!("{}/tests/it/dockerfile/corpus/{name}.dockerfile", env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[ignore = "builds with buildah"]
fn interop_build_is_what_buildah_builds() {
    need!(root);
    need!(tool "buildah");
    let uth = Uth::new();
    let context = context(&uth);
    let buildah = Buildah::new(&uth);
    let mut wrong = String::new();
    for build in builds() {
        let (file, name) = (corpus(build.name), format!("localhost/corpus/{}:1", build.name));
        let ours = uth.run([
            "image",
            "build",
            "-q",
            "--network",
            "none",
            "-f",
            &file,
            "-t",
            &name,
            &context,
        ]);
        if ours.code != Some(0) {
            wrong.push_str(&format!("\n{} is not built: {}", build.name, ours.whole()));
            continue;
        }
        let found = match buildah.build(&file, &context) {
            Ok(theirs) => differences(&uth, &name, &theirs),
            Err(whole) => BTreeMap::from([("alone".to_owned(), whole)]),
        };
        for (what, how) in &found {
            if !build.differs.contains(what.as_str()) {
                wrong.push_str(&format!("\n{}: {what}, ours / theirs: {how}", build.name));
            }
        }
        for what in build.differs.iter().filter(|what| !found.contains_key(**what)) {
            wrong.push_str(&format!("\n{}: {what} does not differ", build.name));
        }
        if build.differs.contains("alone") {
            let of_it: Vec<_> = ALONE.iter().filter(|(name, ..)| *name == build.name).collect();
            assert!(!of_it.is_empty(), "{}: what is in it?", build.name);
            let tree = uth.home().join("alone");
            let _ = fs::remove_dir_all(&tree);
            uth.run(["image", "unpack", &name, &tree.display().to_string()]).ok();
            for (_, path, text) in of_it {
                let found = fs::read_to_string(tree.join(path)).unwrap_or_default();
                if found != *text {
                    wrong
                        .push_str(&format!("\n{}: {path} has {found:?}, not {text:?}", build.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Which files a .dockerignore leaves in, by what COPY finds. `!**/x` is not compared: buildah
/// does not look for it in directories that are left out, docker and we do.
#[test]
#[ignore = "builds with buildah"]
fn interop_build_ignores_what_buildah_ignores() {
    need!(root);
    need!(tool "buildah");
    let uth = Uth::new();
    let context = context(&uth);
    let buildah = Buildah::new(&uth);
    let file = uth.home().join("Dockerfile");
    fs::write(&file, "FROM scratch\nCOPY . /\n").unwrap();
    let mut wrong = String::new();
    for patterns in [
        "*\n!a.txt",
        "dir",
        "dir/*\n!dir/sub",
        "**/*.txt\n!b.txt",
        "# comment\n\n/dir/sub/\n",
        "dir/t*\n.hidden",
        "**/deep*",
        "*\n!dir/sub/deep\n!dir/sub/deeper/x",
        "*.txt\n!*space*\n",
        "d[hi]r/[^o]*",
        "dir/../*.sh\n./empty",
        "**\n!dir/**\ndir/sub",
    ] {
        fs::write(Path::new(&context).join(".dockerignore"), patterns).unwrap();
        let name = "localhost/corpus/ignored:1";
        let file = file.display().to_string();
        uth.run(["image", "build", "-q", "--network", "none", "-f", &file, "-t", name, &context])
            .ok();
        let theirs = buildah.build(&file, &context).unwrap_or_else(|whole| panic!("{whole}"));
        let found = differences(&uth, name, &theirs);
        if let Some(how) = found.get("files") {
            wrong.push_str(&format!("\n{patterns:?}: {how}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
