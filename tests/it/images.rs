//! The store and what goes in and out of it: an image is the same wherever it
//! lies, what is damaged is refused and leaves nothing, what is removed is gone.

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use under_the_hood::image::oci::{Digest, media};

use crate::harness::{Ran, Uth};

/// An OCI image layout in a directory, made by hand: `base`, and above it what a
/// test wants.
pub struct Fixture {
    pub path: PathBuf,
    /// The digest of the upper layer.
    pub upper: Digest,
}

/// The upper layer: a file more, a file hidden.
fn upper() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [("etc/greeting", "hello\n"), ("etc/.wh.profile", "")] {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        header.set_mtime(1_000_000_000);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

impl Fixture {
    /// Made from the base image of this home, with this part of a config.
    pub fn new(uth: &Uth, execution: Value) -> Self {
        Self::of(uth, execution, [media::LAYER_GZIP, media::CONFIG, media::MANIFEST])
    }

    /// The same with media types as docker has them.
    fn dockers(uth: &Uth, execution: Value) -> Self {
        let types = [media::DOCKER_LAYER_GZIP, media::DOCKER_CONFIG, media::DOCKER_MANIFEST];
        Self::of(uth, execution, types)
    }

    fn of(uth: &Uth, execution: Value, types: [&str; 3]) -> Self {
        let [layer_type, config_type, manifest_type] = types;
        uth.run(["image", "base", "-q"]).ok();
        let store = uth.home().join("data/images");
        let index = json_of(&store.join("index.json"));
        let base = json_of(&blob(&store, index["manifests"][0]["digest"].as_str().unwrap()));
        let lower = base["layers"][0].clone();
        let path = uth.home().join("layout");
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        let lower_digest = lower["digest"].as_str().unwrap();
        fs::copy(blob(&store, lower_digest), blob(&path, lower_digest)).unwrap();
        let plain = upper();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut gzip, &plain).unwrap();
        let packed = gzip.finish().unwrap();
        let put = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            fs::write(blob(&path, &digest.to_string()), bytes).unwrap();
            json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
        };
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2024-01-02T03:04:05Z", "config": execution,
            "rootfs": { "type": "layers", "diff_ids": [lower_digest, Digest::of(&plain)] },
            "history": [{ "created_by": "base" }, { "created_by": "COPY greeting /etc" }],
        });
        let layers = [lower, put(layer_type, &packed)];
        let config = put(config_type, config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers,
        });
        let mut named = put(manifest_type, manifest.to_string().as_bytes());
        named["annotations"] = json!({ "org.opencontainers.image.ref.name": "team/greeter:1" });
        let index = json!({ "schemaVersion": 2, "manifests": [named] });
        fs::write(path.join("index.json"), index.to_string()).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { path, upper: Digest::of(&packed) }
    }

    fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn names(uth: &Uth) -> Vec<String> {
    let list = uth.run(["image", "ls", "--format", "json"]).ok().json();
    let images = list["images"].as_array().unwrap();
    images.iter().map(|image| image["image"].as_str().unwrap().to_owned()).collect()
}

fn blobs(uth: &Uth) -> usize {
    fs::read_dir(uth.home().join("data/images/blobs/sha256")).unwrap().count()
}

/// What is unpacked under rootfs/, without base.
fn trees(uth: &Uth) -> usize {
    let entries = fs::read_dir(uth.home().join("data/rootfs")).unwrap().flatten();
    entries.filter(|entry| entry.file_name().len() == 64).count() - 1
}

fn greeting() -> Value {
    json!({
        "Env": ["WORD=world"], "Entrypoint": ["/bin/sh", "-c"], "WorkingDir": "/srv/new",
        "Cmd": ["cat /etc/greeting; echo $WORD; pwd; test -e /etc/profile || echo hidden; test -d /data && echo data; id -u"],
        "Volumes": { "/data": {} }, "Healthcheck": { "Test": ["NONE"] },
    })
}

const SAID: &str = "hello\nworld\n/srv/new\nhidden\ndata\n0\n";

#[test]
fn an_image_runs_wherever_it_lies_and_as_its_config_says() {
    if !rustix::process::geteuid().is_root() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let fixture = Fixture::new(&uth, greeting());
    let tar = uth.home().join("layout.tar.gz");
    uth.sh(&format!("tar -czf {} -C {} .", tar.display(), fixture.text())).ok();
    let oci = format!("oci:{}", fixture.text());
    let tagged = format!("oci:{}:team/greeter:1", fixture.text());
    for image in [fixture.text(), &oci, &tagged, tar.to_str().unwrap()] {
        assert_eq!(uth.run(["run", image]).ok().stdout, SAID, "{image}");
    }
    assert_eq!(trees(&uth), 1, "unpacked once");
    uth.run(["run", "team/greeter:1"]).one_error(125);
    uth.run(["image", "load", "-q", fixture.text()]).ok();
    assert_eq!(uth.run(["run", "team/greeter:1"]).ok().stdout, SAID);
    let saved = uth.home().join("saved.tar");
    uth.run(["image", "save", "team/greeter:1", "-o", saved.to_str().unwrap()]).ok();
    let dockers = format!("docker-archive:{}:team/greeter:1", saved.display());
    for image in [saved.to_str().unwrap(), &dockers] {
        assert_eq!(uth.run(["run", image]).ok().stdout, SAID, "{image}");
    }
    // What is typed comes after the entrypoint, and --entrypoint instead of both.
    let typed = uth.run(["run", &oci, "echo $WORD"]).ok();
    assert_eq!(typed.stdout, "world\n");
    let other = uth.run(["run", "--entrypoint", "/bin/echo", "-e", "WORD=x", &oci, "other"]).ok();
    assert_eq!(other.stdout, "other\n");
}

#[test]
fn saving_and_loading_changes_nothing() {
    let (uth, other) = (Uth::new(), Uth::new());
    let fixture = Fixture::dockers(&uth, greeting());
    uth.run(["image", "load", "-q", fixture.text()]).ok();
    let saved = uth.home().join("saved.tgz");
    uth.run(["image", "save", "team/greeter:1", "base", "-o", saved.to_str().unwrap()]).ok();
    let again = uth.home().join("again.tgz");
    uth.run(["image", "save", "team/greeter:1", "base", "-o", again.to_str().unwrap()]).ok();
    assert!(fs::read(&saved).unwrap() == fs::read(&again).unwrap(), "the same bytes");
    // The plan names every file that comes in, and nothing else.
    let steps = |args: &[&str]| -> Vec<String> {
        let ran = other.run([&["--format", "json", "--dry-run", "image"], args].concat()).ok();
        let plan = ran.json()["plan"].as_array().unwrap().clone();
        plan.iter().map(|step| step["call"].as_str().unwrap().to_owned()).collect()
    };
    let plan = steps(&["load", saved.to_str().unwrap()]);
    assert!(!other.home().join("data").exists(), "a plan touches nothing");
    let loaded = other.run(["image", "load", "--explain", saved.to_str().unwrap()]).ok();
    for call in &plan {
        let start: String = call.chars().take(40).collect();
        assert!(loaded.stderr.contains(&start), "{start} is not in {}", loaded.whole());
    }
    let files: std::collections::BTreeSet<_> =
        plan.iter().filter_map(|call| call.split("blobs/sha256/").nth(1)?.get(..64)).collect();
    let blobs = fs::read_dir(other.home().join("data/images/blobs/sha256")).unwrap();
    let blobs: Vec<_> = blobs.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, blobs.iter().map(String::as_str).collect());
    assert_eq!((files.len(), plan.len()), (blobs.len(), blobs.len() + 2), "{plan:#?}");
    assert_eq!(loaded.stdout, "team/greeter:1\nbase\n");
    let list = |uth: &Uth| uth.run(["image", "ls", "--format", "json"]).ok().json();
    assert_eq!(list(&uth), list(&other));
    saved_as_a_directory(&uth);
    // The same by docker's way: the documents are others, the id is the same.
    let third = Uth::new();
    let archive = format!("docker-archive:{}", saved.display());
    third.run(["image", "load", "-q", &archive]).ok();
    let ids = |list: Value| {
        let images = list["images"].as_array().unwrap().clone();
        images.into_iter().map(|image| image["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(list(&uth)), ids(list(&third)));
    // An archive without a name needs one.
    let bare = json_of(&fixture.path.join("index.json"));
    let bare = bare.to_string().replace("team/greeter:1", "latest");
    fs::write(fixture.path.join("index.json"), bare).unwrap();
    let error = third.run(["image", "load", fixture.text()]).one_error(1);
    assert!(error.stderr.contains("--name NAME"), "{}", error.whole());
    third.run(["image", "load", "-q", "--name", "mine:2", fixture.text()]).ok();
    assert!(names(&third).contains(&"mine:2".to_owned()));
    third.run(["image", "load", "--name", "base", fixture.text()]).one_error(2);
}

#[test]
fn the_base_image_is_the_same_on_the_same_machine() {
    let (one, other) = (Uth::new(), Uth::new());
    let list = |uth: &Uth| {
        uth.run(["image", "base", "-q"]).ok();
        uth.run(["image", "ls", "--format", "json"]).ok().json()
    };
    assert_eq!(list(&one), list(&other));
    assert_eq!((names(&one), blobs(&one)), (vec!["base".to_owned()], 3));
    let plan = one.run(["image", "base", "--dry-run", "--format", "json"]).ok().json();
    assert_eq!(plan["plan"], json!([]), "all is there");
}

#[test]
fn what_is_damaged_is_refused_and_leaves_nothing() {
    let uth = Uth::new();
    let fixture = Fixture::new(&uth, greeting());
    let layer = blob(&fixture.path, &fixture.upper.to_string());
    let good = fs::read(&layer).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    // Who unpacks what gzip itself finds damaged meets that before the sum.
    for (bytes, words) in [
        (flipped, ["not what it says", "damaged, or somebody"]),
        (good[..good.len() - 1].to_vec(), ["should have"; 2]),
        ([&good[..], b"x"].concat(), ["should have"; 2]),
        (Vec::new(), ["should have"; 2]),
    ] {
        fs::write(&layer, &bytes).unwrap();
        let lines = [&["image", "load", fixture.text()], &["run", fixture.text(), "true"]];
        for (line, word) in lines.into_iter().zip(words) {
            let ran = uth.run(line);
            let code = if line[0] == "run" { 125 } else { 1 };
            let ran = ran.one_error(code);
            assert!(
                ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ").contains(word),
                "{word}: {}",
                ran.whole()
            );
        }
        assert_eq!((trees(&uth), names(&uth)), (0, vec!["base".to_owned()]));
        let partial = uth.home().join("data/images/partial");
        assert_eq!(fs::read_dir(partial).unwrap().count(), 0);
    }
    fs::write(&layer, &good).unwrap();
    // Its sum is right, and not what the config says of it when it is unpacked.
    let index = json_of(&fixture.path.join("index.json"));
    let manifest = blob(&fixture.path, index["manifests"][0]["digest"].as_str().unwrap());
    let config = blob(&fixture.path, json_of(&manifest)["config"]["digest"].as_str().unwrap());
    let text = fs::read_to_string(&config).unwrap();
    let lie = text.replace(&Digest::of(&upper()).to_string(), &Digest::of(b"lie").to_string());
    let digest = Digest::of(lie.as_bytes());
    fs::write(blob(&fixture.path, &digest.to_string()), &lie).unwrap();
    let old = Digest::of(text.as_bytes()).to_string();
    let lying = fs::read_to_string(&manifest).unwrap().replace(&old, &digest.to_string());
    let named = Digest::of(lying.as_bytes());
    fs::write(blob(&fixture.path, &named.to_string()), &lying).unwrap();
    let index = index
        .to_string()
        .replace(index["manifests"][0]["digest"].as_str().unwrap(), &named.to_string());
    fs::write(fixture.path.join("index.json"), index).unwrap();
    let ran = uth.run(["run", fixture.text(), "true"]).one_error(125);
    assert!(ran.stderr.contains("verifying the diff_id"), "{}", ran.whole());
    assert_eq!(trees(&uth), 0);
}

#[test]
fn removing_frees_what_nobody_needs() {
    if !rustix::process::geteuid().is_root() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let fixture = Fixture::new(&uth, greeting());
    uth.run(["image", "load", "-q", fixture.text()]).ok();
    uth.run(["image", "load", "-q", "--name", "other:1", fixture.text()]).ok();
    assert_eq!(blobs(&uth), 6, "two images, one layer in common");
    let line = ["run", "-d", "--name", "box", "other:1", "exec sleep 600"];
    uth.run(line).ok();
    uth.run(["image", "rm", "team/greeter:1"]).ok();
    assert_eq!((blobs(&uth), trees(&uth)), (6, 1), "other:1 needs them");
    let plan = uth.run(["image", "rm", "other:1", "--dry-run"]).ok();
    assert!(plan.stdout.contains("unlink("), "{}", plan.whole());
    assert_eq!(names(&uth), ["base", "other:1"]);
    uth.run(["image", "rm", "other:1"]).ok();
    assert_eq!((blobs(&uth), trees(&uth)), (3, 1), "a container runs on the tree");
    assert_eq!(uth.run(["exec", "box", "cat", "/etc/greeting"]).ok().stdout, "hello\n");
    uth.run(["stop", "-t", "0", "box"]).ok();
    uth.run(["image", "rm"]).ok();
    assert_eq!((blobs(&uth), trees(&uth)), (3, 0));
    uth.run(["image", "rm", "nothing"]).one_error(1);
    uth.run(["run", "base", "true"]).ok();
}

/// Two remove while a third starts containers of an image that is in no store, and a
/// fourth builds: nobody takes away what another has begun with.
#[test]
fn who_removes_is_in_nobodys_way() {
    if !rustix::process::geteuid().is_root() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let fixture = Fixture::new(&uth, greeting());
    uth.run(["image", "base"]).ok();
    let script = format!(
        r#"cd {1} && mkdir recipe && printf 'FROM base\nENTRYPOINT ["echo"]\n' >recipe/Dockerfile
        often() {{ n=$1; shift; for i in $(seq $n); do "$@" 2>>said || {{ echo "$*"; break; }}; done; }}
        starts() {{ test "$($UTH run --network none oci:{0} 'cat /etc/greeting' 2>>said)" = hello; }}
        builds() {{ $UTH -q image build --no-cache -t one recipe >id; }}
        removes() {{ $UTH -q image rm; }}
        often 20 starts & often 20 builds & often 30 removes & often 30 removes & wait; cat said >&2"#,
        fixture.text(),
        uth.home().display()
    );
    let ran = uth.sh(&script).ok();
    assert_eq!(ran.stdout, "", "these failed: {}", ran.whole());
    uth.run(["image", "rm", "one"]).ok();
    assert_eq!(trees(&uth), 0);
}

/// A name in somebody's layout could drive the terminal.
#[test]
fn text_of_images_is_not_passed_raw() {
    let uth = Uth::new();
    let fixture = Fixture::new(&uth, json!({ "User": "\u{1b}[31mred" }));
    uth.run(["image", "load", "-q", fixture.text()]).ok();
    let store = uth.home().join("data/images/index.json");
    for index in [&store, &fixture.path.join("index.json")] {
        let evil = json_of(index).to_string().replace("team/greeter:1", "evil\\u001b]0;x\\u0007");
        fs::write(index, evil.replace("docker.io/evil", "evil")).unwrap();
    }
    let oci = format!("oci:{}:no", fixture.text());
    let lines: [&[&str]; 4] =
        [&["image", "ls"], &["run", &oci], &["run", fixture.text()], &["image", "rm", "no\u{1b}x"]];
    for line in lines {
        let ran: Ran = uth.run(line);
        let said = ran.stdout.clone() + &ran.stderr;
        assert!(!said.contains(['\u{1b}', '\u{7}']), "{}", ran.whole());
    }
}

/// oci:DIR is what skopeo and we read again, whole or not at all.
fn saved_as_a_directory(uth: &Uth) {
    let save = |images: &[&str], to: &str| {
        let to = format!("oci:{to}");
        uth.run([&["image", "save", "-q"], images, &["-o", &to]].concat())
    };
    let directory = uth.home().join("saved");
    let to = directory.to_str().unwrap();
    save(&["team/greeter:1", "base"], to).ok();
    let third = Uth::new();
    let loaded = third.run(["image", "load", &format!("oci:{to}")]).ok();
    assert_eq!(loaded.stdout, "team/greeter:1\nbase\n");
    save(&["base"], to).one_error(2);
    save(&["team/greeter:1", "base"], &format!("{to}2:x")).one_error(2);
    let one = format!("{to}3");
    save(&["team/greeter:1"], &format!("{one}:mine")).ok();
    let run = uth.run(["image", "dissect", "--manifest", &format!("oci:{one}:mine")]).ok();
    let ours = uth.run(["image", "dissect", "--manifest", "team/greeter:1"]).ok();
    assert_eq!(run.stdout, ours.stdout);
    let skopeo = uth.sh("command -v skopeo");
    if skopeo.code == Some(0) {
        uth.sh(&format!("skopeo inspect oci:{to}:latest")).ok(); // base
    }
    let names: Vec<_> = fs::read_dir(uth.home()).unwrap().flatten().collect();
    let left = names.iter().find(|entry| entry.file_name().to_string_lossy().starts_with(".new"));
    assert!(left.is_none(), "{left:?}");
    assert_eq!(uth.run(["cleanup", "--list"]).ok().stdout.matches("saved").count(), 0);
}

#[test]
fn skopeo_and_umoci_read_the_store() {
    need!(tool "skopeo");
    need!(tool "umoci");
    let uth = Uth::new();
    let fixture = Fixture::new(&uth, greeting());
    uth.run(["image", "load", "-q", fixture.text()]).ok();
    let store = uth.home().join("data/images");
    let name = "docker.io/team/greeter:1";
    let list = uth.sh(&format!("umoci ls --layout {}", store.display())).ok();
    assert_eq!(list.stdout.lines().filter(|line| *line == name).count(), 1, "{}", list.whole());
    let oci = format!("oci:{}:{name}", store.display());
    let inspected = uth.sh(&format!("skopeo inspect {oci}")).ok().json();
    assert_eq!(inspected["Layers"][1], fixture.upper.to_string());
    // What skopeo brings in by itself is an image like any other.
    uth.sh(&format!("skopeo copy -q oci:{} oci:{}:theirs:1", fixture.text(), store.display())).ok();
    assert!(names(&uth).contains(&"theirs:1".to_owned()));
    uth.run(["image", "rm", "team/greeter:1"]).ok();
    let archive = uth.home().join("theirs.tar");
    uth.sh(&format!(
        "skopeo copy -q oci:{}:theirs:1 docker-archive:{}:x/y:1",
        store.display(),
        archive.display()
    ))
    .ok();
    uth.run(["image", "load", "-q", archive.to_str().unwrap()]).ok();
    assert_eq!(names(&uth), ["base", "theirs:1", "x/y:1"]);
}
