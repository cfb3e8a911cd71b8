//! Real images and real engines: the article's Apache httpd on Debian, made by
//! tests/httpd.sh, goes through a real registry and is taken apart; what we save,
//! engines load and run, and what they save is the same image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use under_the_hood::image::oci::Digest;

use crate::dockerfile::interop::{Buildah, differences};
use crate::harness::Uth;
use crate::images::Fixture;
use crate::interop::Engine;
use crate::machine::private_network;
use crate::registry::real::{NO_LOGINS, Registry};

/// An OCI image layout with the real image (`2.4`) and the Debian that it stands on
/// (`bookworm`). Made once, and kept under target/ as long as its recipe is the same.
fn httpd() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let recipe = include_str!("../httpd.sh");
        let name = format!("httpd-{}", Digest::of(recipe.as_bytes()).short());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if !path.exists() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/httpd.sh");
            let made = Command::new("timeout").args(["600", "bash", script]).arg(&path).output();
            let made = made.unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        path
    })
}

/// What index.json of that layout says of an image.
fn digest_of(tag: &str) -> String {
    let index = std::fs::read(httpd().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let mut manifests = index["manifests"].as_array().unwrap().iter();
    let named = |one: &&Value| one["annotations"]["org.opencontainers.image.ref.name"] == tag;
    manifests.find(named).unwrap()["digest"].as_str().unwrap().to_owned()
}

/// One of its images, in a registry by skopeo: under which name.
fn pushed(uth: &Uth, registry: &Registry, image: &str) -> String {
    let name = format!("127.0.0.1:{}/library/{image}", registry.port);
    let tag = image.split(':').next_back().unwrap();
    let from = format!("oci:{}:{tag}", httpd().display());
    let options = "-q --insecure-policy --dest-tls-verify=false";
    uth.sh(&format!("{NO_LOGINS}; skopeo copy {options} {from} docker://{name}")).ok();
    name
}

/// A command that takes longer than others: everything here is large.
fn run(uth: &Uth, args: &[&str]) -> Value {
    let args = [args, &["--format", "json"]].concat();
    uth.wait_for(uth.command(args), Duration::from_secs(240)).ok().json()
}

#[test]
#[ignore = "makes a real image, starts a real registry"]
fn the_articles_image_is_pulled_dissected_shared_and_unpacked() {
    need!(root);
    for tool in ["docker-registry", "skopeo", "umoci", "mmdebstrap", "buildah"] {
        need!(tool tool);
    }
    let uth = Uth::new();
    let registry = Registry::start(&uth);
    let debian = pushed(&uth, &registry, "debian:bookworm");
    let image = pushed(&uth, &registry, "httpd:2.4");

    // Before anything is here: what can be said without a layer.
    let history = run(&uth, &["image", "history", &image]);
    assert_eq!(history["history"].as_array().unwrap().len(), 6, "{history:#}");
    let layers = |pulled: &Value| -> Vec<(String, bool)> {
        let of = |layer: &Value| {
            (layer["digest"].as_str().unwrap().to_owned(), layer["existed"].as_bool().unwrap())
        };
        pulled["layers"].as_array().unwrap().iter().map(of).collect()
    };
    let below = run(&uth, &["image", "pull", &debian]);
    let pulled = run(&uth, &["image", "pull", &image]);
    assert_eq!(
        (&below["digest"], &pulled["digest"]),
        (&json!(digest_of("bookworm")), &json!(digest_of("2.4")),)
    );
    let (below, pulled) = (layers(&below), layers(&pulled));
    let existed: Vec<_> = pulled.iter().map(|(_, existed)| *existed).collect();
    assert_eq!(existed, [true, false, false, false], "the Debian below it was here");

    taken_apart(&uth, &image);
    let shared = run(&uth, &["image", "share", &debian, &image]);
    let both: Vec<_> = shared["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|layer| layer["images"].as_array().unwrap().len() == 2)
        .collect();
    assert_eq!(both.len(), 1, "{shared:#}");
    assert_eq!(
        (&both[0]["digest"], &both[0]["stored_bytes"]),
        (&json!(below[0].0), &shared["saved_bytes"],)
    );

    let (ours, theirs) = (uth.home().join("ours"), uth.home().join("theirs"));
    run(&uth, &["image", "unpack", &image, ours.to_str().unwrap()]);
    let unpack = format!("umoci unpack --image {}:2.4 {}", httpd().display(), theirs.display());
    uth.sh(&unpack).ok();
    crate::tree::same(&ours, &theirs.join("rootfs"));
    let tree = crate::tree::tree(&ours);
    assert!(tree[Path::new("usr/sbin/apache2")].contains("security.capability"));
    assert!(tree.len() > 9000 && !tree.contains_key(Path::new("etc/secret")));

    let answer = uth.run([&["run", "--rm", "--network", "none", &image][..], &SERVES].concat());
    assert!(answer.ok().stdout.contains("HTTP/1.1 200 OK"));
}

/// Dissected, every layer is what gzip, sha256sum and tar say of it.
fn taken_apart(uth: &Uth, image: &str) {
    let it = run(uth, &["image", "dissect", image]);
    let layers = it["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        let blob = layer["digest"].as_str().unwrap().replace(':', "/");
        let blob = httpd().join("blobs").join(blob).display().to_string();
        let sum = uth.sh(&format!("gzip -dc {blob} | sha256sum")).ok().stdout;
        assert_eq!(layer["diff_id"], format!("sha256:{}", sum.trim_end_matches("  -\n")));
        let list = uth.sh(&format!("tar --quoting-style=literal -tzf {blob}")).ok().stdout;
        let theirs: Vec<_> = list.lines().map(|path| path.trim_end_matches('/')).collect();
        let files = layer["files"].as_array().unwrap().iter();
        let ours: Vec<_> = files.map(|file| file["path"].as_str().unwrap()).collect();
        assert!(ours == theirs, "{} and {} members", ours.len(), theirs.len());
    }
    let by = |at: usize| layers[at]["created_by"].as_str().unwrap();
    assert!(by(1).contains("apt-get install") && by(3).contains("rm /etc/secret"), "{}", by(1));
    let efficiency = it["efficiency"].as_f64().unwrap();
    assert!(efficiency > 0.9 && efficiency < 1.0 && it["wasted_bytes"].as_u64().unwrap() > 11);
    let text = uth.run(["image", "dissect", image]).ok().stdout;
    assert!(text.contains("Debian GNU/Linux 12 (bookworm)"), "{text}");
    let secret = run(uth, &["image", "dissect", image, "--path", "/etc/secret"]);
    let events = secret["history"].as_array().unwrap().iter();
    let events: Vec<_> = events.map(|event| json!([event["layer"], event["change"]])).collect();
    assert_eq!(events, [json!([3, "added"]), json!([4, "removed"])]);
    assert_eq!(secret["seen_in_layer"], Value::Null);
}

/// Starts Apache in its container, and is answered by it. (containerd's own client
/// lays an empty /run over the image's, and lets nobody raise a limit.)
const SERVES: [&str; 3] = [
    "/bin/bash",
    "-c",
    "mkdir -p /run/lock; APACHE_ULIMIT_MAX_FILES=true apache2ctl start && exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3; \
     cat /etc/debian_version; test -e /etc/secret || echo no secret",
];

/// What we save, an engine loads and runs; what it saves, we load, run and find to
/// be the same image: its id is the digest of the same config.
fn images_go_both_ways(name: &'static str, formats: &[&str]) {
    need!(root);
    let uth = Uth::new();
    let engine = Engine::start(name);
    small_ones(&uth, &engine, name, formats);
    need!(tool "mmdebstrap");
    need!(tool "buildah");
    the_real_one(&uth, &engine, name, formats);
}

fn small_ones(uth: &Uth, engine: &Engine, name: &str, formats: &[&str]) {
    let fixture =
        Fixture::new(uth, json!({ "Env": ["WORD=world"], "Cmd": ["/bin/cat", "/etc/greeting"] }));
    uth.run(["image", "load", "-q", fixture.path.to_str().unwrap()]).ok();
    let ours = uth.home().join("ours.tar");
    uth.run(["image", "save", "team/greeter:1", "-o", ours.to_str().unwrap()]).ok();
    engine.asked("load", &[ours.to_str().unwrap()]).unwrap();
    let image = "docker.io/team/greeter:1";
    let command =
        ["/bin/sh", "-c", "cat /etc/greeting; echo $WORD; test -e /etc/profile || echo hidden"];
    let said = engine.asked("image", &[&[image][..], &command].concat()).unwrap();
    assert_eq!(said, "hello\nworld\nhidden");
    let id = |uth: &Uth| {
        let list = uth.run(["image", "ls", "--format", "json"]).ok().json();
        let images = list["images"].as_array().unwrap().clone();
        images.into_iter().find(|image| image["image"] == "team/greeter:1").unwrap()["id"].clone()
    };
    for format in formats {
        let other = Uth::new();
        let theirs = other.home().join("theirs.tar");
        engine.asked("save", &[image, theirs.to_str().unwrap(), format]).unwrap();
        other.run(["image", "load", "-q", theirs.to_str().unwrap()]).ok();
        assert_eq!(id(uth), id(&other), "{name} {format}");
        assert_eq!(other.run(["run", "team/greeter:1"]).ok().stdout, "hello\n", "{name} {format}");
    }
    if name == "docker" {
        let mut load =
            uth.command(["image", "load", "docker-daemon:team/greeter:1", "--name", "back:1"]);
        load.env("DOCKER_HOST", format!("unix://{}", engine.path("docker.sock").display()));
        uth.wait(load).ok();
        assert_eq!(uth.run(["run", "back:1"]).ok().stdout, "hello\n");
    }
}

/// The article's image: loaded, Apache answers in it; saved, the same files are in the same layers.
fn the_real_one(uth: &Uth, engine: &Engine, name: &str, formats: &[&str]) {
    let (from, ours) = (format!("oci:{}:2.4", httpd().display()), uth.home().join("real.tar"));
    let image = "docker.io/library/httpd:2.4";
    run(uth, &["image", "load", &from, "--name", image]);
    run(uth, &["image", "save", image, "-o", ours.to_str().unwrap()]);
    engine.asked("load", &[ours.to_str().unwrap()]).unwrap();
    let said = engine.asked("image", &[&[image][..], &SERVES].concat()).unwrap();
    let lines: Vec<_> = said.lines().map(str::trim_end).collect();
    assert!(lines.contains(&"HTTP/1.1 200 OK") && lines.ends_with(&["no secret"]), "{said}");
    let of = |image: &str| {
        let mut it = run(uth, &["image", "dissect", image]);
        for layer in it["layers"].as_array_mut().unwrap() {
            layer["digest"] = Value::Null; // of the archive as it is packed
        }
        [it["layers"].take(), it["config"]["rootfs"].take(), it["efficiency"].take()]
    };
    let expected = of(image);
    for format in formats {
        let theirs = uth.home().join(format!("{format}.tar"));
        engine.asked("save", &[image, theirs.to_str().unwrap(), format]).unwrap();
        assert!(of(theirs.to_str().unwrap()) == expected, "{name} {format}: another image");
        std::fs::remove_file(theirs).unwrap();
    }
}

#[test]
#[ignore = "starts docker"]
fn images_go_to_docker_and_back() {
    images_go_both_ways("docker", &["docker-archive"]);
}

#[test]
#[ignore = "starts containerd"]
fn images_go_to_containerd_and_back() {
    images_go_both_ways("containerd", &["oci-archive"]);
}

#[test]
#[ignore = "starts podman"]
fn images_go_to_podman_and_back() {
    images_go_both_ways("podman", &["docker-archive", "oci-archive"]);
}

/// Debian's Apache, with the configuration that the article's Dockerfile puts where
/// Apache's own image has it.
const START: &str = "cd /usr/local/apache2 && mkdir -p logs /run/lock && touch conf/mime.types && \
     ln -s /usr/lib/apache2/modules . && apache2 -d /usr/local/apache2 -f conf/httpd.conf";

/// The article's Dockerfile with the files of lesson 6, on the real image out of a
/// registry: what we make of it is what buildah and docker make of it, and its page
/// is served under all of them.
#[test]
#[ignore = "builds on a real image with docker and buildah"]
fn the_articles_dockerfile_is_built_as_others_build_it_and_serves_its_page() {
    need!(root);
    for tool in ["docker-registry", "skopeo", "mmdebstrap", "buildah", "busybox"] {
        need!(tool tool);
    }
    private_network();
    let uth = Uth::new();
    let registry = Registry::start(&uth);
    let base = pushed(&uth, &registry, "httpd:2.4");
    let context = uth.home().join("site").display().to_string();
    let lesson = concat!(env!("CARGO_MANIFEST_DIR"), "/lessons/06-build");
    let from =
        format!("sed 's#httpd:2.4#{base}#' {lesson}/article/Dockerfile >{context}/Dockerfile");
    uth.sh(&format!(
        "cp -r {lesson}/site {context}; {from}; grep -q '^FROM 127' {context}/Dockerfile"
    ))
    .ok();

    let image = "docker.io/library/site:1";
    run(&uth, &["image", "build", "--network", "none", "-t", image, &context]);
    let file = format!("{context}/Dockerfile");
    let theirs = Buildah::new(&uth).build(&file, &context).unwrap();
    let found = differences(&uth, image, &theirs);
    assert!(found.is_empty(), "ours / buildah's: {found:#?}");

    let page = include_str!("../../lessons/06-build/site/public-html/index.html");
    let served = format!(
        "{START} && exec 3<>/dev/tcp/127.0.0.1/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    );
    let asked = ["/bin/bash", "-c", &served];
    let archive = uth.home().join("site.tar").display().to_string();
    run(&uth, &["image", "save", image, "-o", &archive]);
    for name in ["docker", "podman"] {
        let engine = Engine::start(name);
        engine.asked("load", &[&archive]).unwrap();
        let said = engine.asked("image", &[&[image][..], &asked].concat()).unwrap();
        assert!(said.replace('\r', "").trim_end().ends_with(page.trim_end()), "{name}: {said}");
        if name == "docker" {
            engine.asked("build", &["dockers:1", &context]).unwrap();
            let built = uth.home().join("dockers.tar").display().to_string();
            engine.asked("save", &["dockers:1", &built]).unwrap();
            let mut found = differences(&uth, image, &built);
            found.remove("config Image"); // the id of the step before, of which docker's builder keeps a container
            assert!(found.is_empty(), "ours / docker's: {found:#?}");
        }
    }
    let published = format!(
        "$UTH run -d --name web -p 127.0.0.1:8097:80 {image} /bin/bash -c '{START} -DFOREGROUND'; \
         for i in $(seq 100); do busybox wget -q -O - http://127.0.0.1:8097/ && break; sleep 0.1; done; $UTH stop -t 0 web"
    );
    let ran = uth.sh(&published).ok();
    assert!(ran.stdout.contains(page), "{}", ran.whole());
}
