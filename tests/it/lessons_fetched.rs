//! Lessons with the article's own images: from a registry and a mirror of
//! Alpine's, both over loopback; and from a directory, when those are gone.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::chroot::{Mirror, archive, hex, serve_latest};
use crate::harness::{Ran, Uth};
use crate::machine::private_network;
use crate::registry::server::{Image, Server, architecture, digest, gzip, tar};

const ROCKY: &str = "NAME=\"Rocky Linux\"\nVERSION=\"8.10 (Green Obsidian)\"\n\
                     PRETTY_NAME=\"Rocky Linux 8.10 (Green Obsidian)\"\n";
const DEBIAN: &str = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 99 (test)\"\n";

macro_rules! need_containers {
    () => {
        if $crate::skip::root().is_err() {
            need!(user_namespace);
        }
    };
}

/// The layer of this machine's base image, perhaps with another os-release.
fn base_layer(os_release: Option<&str>) -> Vec<u8> {
    let uth = Uth::new();
    uth.run(["image", "base", "-q"]).ok();
    let images = uth.home().join("data/images");
    let read = |digest: &Value| -> Vec<u8> {
        let name = digest.as_str().unwrap().replace(':', "/");
        fs::read(images.join("blobs").join(name)).unwrap()
    };
    let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
    let index = json(&fs::read(images.join("index.json")).unwrap());
    let manifest = json(&read(&index["manifests"][0]["digest"]));
    let layer = read(&manifest["layers"][0]["digest"]);
    let Some(text) = os_release else { return layer };
    let mut out = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(&layer[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let path = entry.path().unwrap().into_owned();
        if path.ends_with("etc/os-release") {
            header.set_size(text.len() as u64);
            out.append_data(&mut header, path, text.as_bytes()).unwrap();
        } else if let Some(link) = entry.link_name().unwrap() {
            out.append_link(&mut header, path, link).unwrap();
        } else {
            out.append_data(&mut header, path, &mut entry).unwrap();
        }
    }
    out.into_inner().unwrap()
}

/// An image of these archives, as a builder makes it.
fn image(tars: &[Vec<u8>], steps: &[(&str, bool)]) -> Image {
    let history: Vec<_> = steps
        .iter()
        .map(|(step, empty)| json!({ "created_by": step, "empty_layer": empty }))
        .collect();
    let config = json!({
        "architecture": architecture(), "os": "linux", "history": history,
        "config": { "Cmd": ["httpd-foreground"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
        "rootfs": { "type": "layers", "diff_ids": tars.iter().map(|tar| digest(tar)).collect::<Vec<_>>() },
    });
    Image {
        layers: tars.iter().map(|tar| gzip(tar)).collect(),
        config: config.to_string().into_bytes(),
        manifest: Vec::new(),
        index: Vec::new(),
    }
    .sealed(|_| {})
}

/// A registry that has the article's three images, as Docker Hub calls them.
/// Lessons are played in a network of the test's own, and so it must be there.
fn registry() -> Server {
    registry_with(ROCKY)
}

/// The same, where rockylinux has this os-release.
fn registry_with(os_release: &str) -> Server {
    if crate::skip::root().is_ok() {
        private_network();
    }
    let rocky = image(&[base_layer(Some(os_release))], &[("ADD rocky.tar /", false)]);
    let busybox = image(&[base_layer(None)], &[("ADD busybox.tar /", false)]);
    let httpd = image(
        &[
            base_layer(Some(DEBIAN)),
            tar("usr/local/apache2/bin/httpd", b"#!/bin/sh\n"),
            tar("usr/local/apache2/htdocs/index.html", b"It works!"),
        ],
        &[
            ("ADD debian.tar /", false),
            ("COPY httpd", false),
            ("EXPOSE 80", true),
            ("COPY index.html", false),
        ],
    );
    Server::start(&Image::new(10), move |request, answer| {
        for (name, image) in [("rockylinux", &rocky), ("busybox", &busybox), ("httpd", &httpd)] {
            if request.is_for(&format!("/library/{name}/")) {
                return image.answer(request);
            }
        }
        answer
    })
}

/// Plays a lesson, as this user, where the mirror of Docker Hub is at this address.
fn play(uth: &Uth, user: bool, mirror: &str, args: &[&str]) -> Ran {
    let mut command = match user {
        true => uth.beside("setpriv"),
        false => uth.beside(Uth::program()),
    };
    if user {
        let nobody = 65534;
        std::os::unix::fs::chown(uth.home(), Some(nobody), Some(nobody)).unwrap();
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(Uth::program());
    }
    command.args(args).env("UTH_MIRROR", mirror);
    uth.wait(command)
}

/// Every claim holds, of the article's images: none was replaced by base.
#[track_caller]
fn holds_of(ran: Ran, words: &[&str]) {
    let ran = ran.ok();
    for wrong in ["does not hold", "cannot be had", "no such program"] {
        assert!(!ran.stdout.contains(wrong), "{wrong}: {}", ran.whole());
    }
    for word in words {
        assert!(ran.stdout.contains(word), "no {word:?} in {}", ran.whole());
    }
}

fn from_a_registry(user: bool) {
    let registry = registry();
    let uth = Uth::new();
    let play = |lesson: &str| play(&uth, user, &registry.address(), &["lesson", lesson, "--auto"]);
    let pulls = "Pulling from docker.io/library/busybox";
    holds_of(play("1"), &["here NAME=\"Rocky Linux\"", pulls]);
    holds_of(play("5"), &["Debian GNU/Linux 99", "EXPOSE 80", "15 of 15 claims hold"]);
    if !user {
        // Who is not root has not all of them tested.
        let all = crate::skip::root().is_ok().then_some("12 of 12 claims hold");
        holds_of(play("2"), &all.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn lessons_play_with_the_articles_images() {
    need_containers!();
    from_a_registry(false);
}

#[test]
fn lessons_play_with_the_articles_images_for_an_ordinary_user() {
    need!(root);
    need!(user_namespace);
    from_a_registry(true);
}

/// The image if it is here, or can be fetched; else base, and why.
#[test]
fn run_or_base_says_which_it_is() {
    need_containers!();
    let (uth, registry) = (Uth::new(), registry());
    let address = registry.address();
    let release = |args: &[&str]| {
        let run = ["run", "--or-base"];
        play(
            &uth,
            false,
            &address,
            &[&run, args, &["rockylinux:8", "cat", "/etc/os-release"]].concat(),
        )
    };
    let ran = release(&["--pull", "never"]).ok();
    assert!(ran.stdout.contains("under-the-hood base"), "{}", ran.whole());
    assert!(ran.stderr.contains("rockylinux:8 cannot be had: it is not here."), "{}", ran.whole());
    assert!(registry.requests().is_empty());
    let ran = release(&[]).ok();
    assert!(ran.stdout.contains("Rocky Linux"), "{}", ran.whole());
    let asked = registry.requests().len();
    assert_eq!(release(&[]).ok().stdout, ran.stdout);
    assert_eq!(registry.requests().len(), asked, "it was here");
    drop(registry);
    assert_eq!(release(&[]).ok().stdout, ran.stdout);
    // Without a registry, another one: one line says why.
    let ran = play(&uth, false, &address, &["run", "--or-base", "busybox", "echo", "here"]).ok();
    assert_eq!(ran.stdout, "here\n");
    assert_eq!(ran.stderr.matches("So this is `base` instead").count(), 1, "{}", ran.whole());
    play(&uth, false, &address, &["run", "--or-base", "oci:/x", "true"]).one_error(125);
}

/// What `lesson fetch --to` took along is all that lessons need.
#[test]
fn what_was_fetched_is_played_without_a_network() {
    need_containers!();
    let (here, registry, mirror) = (Uth::new(), registry(), Mirror::start());
    let minirootfs = archive(&here);
    serve_latest(&mirror, "9.8.7", &minirootfs, &hex(&minirootfs));
    let dir = here.home().join("taken");
    let to = dir.to_str().unwrap().to_owned();
    let fetch = |lessons: &[&str]| {
        let args =
            [&["lesson", "fetch"], lessons, &["--to", &to, "--alpine-mirror", &mirror.address]];
        play(&here, false, &registry.address(), &args.concat())
    };
    let ran = fetch(&[]).ok();
    let expected = "docker.io/library/rockylinux:8\ndocker.io/library/busybox:latest\n\
                    docker.io/library/httpd:latest\ndocker.io/library/httpd:2.4\nAlpine 9.8.7\n";
    assert_eq!(ran.stdout, expected, "{}", ran.whole());
    let (asked, mirrors) = (registry.requests().len(), mirror.asked.lock().unwrap().len());
    assert_eq!(fetch(&[]).ok().stdout, expected);
    assert_eq!(registry.requests().len(), asked, "all of it was here");
    // Elsewhere: the mirror is still there, and nobody asks it.
    let there = Uth::new();
    let offline = |lesson: &str| {
        play(&there, false, &registry.address(), &["lesson", lesson, "--auto", "--offline", &to])
    };
    holds_of(offline("5"), &["Debian GNU/Linux 99", "15 of 15 claims hold"]);
    holds_of(offline("1"), &["here NAME=\"Rocky Linux\""]);
    let ran = offline("3");
    assert!(ran.stdout.contains("Alpine 9.8.7 is here already"), "{}", ran.whole());
    holds_of(ran, &[]);
    let verify = ["verify", "5", "--offline", &to, "--format", "json"];
    let claims = play(&Uth::new(), false, &registry.address(), &verify).ok().json();
    assert_eq!(claims["claims"].as_array().unwrap().len(), 15);
    assert_eq!(registry.requests().len(), asked, "somebody asked the registry");
    assert_eq!(mirror.asked.lock().unwrap().len(), mirrors, "somebody asked Alpine's mirror");
    damaged_or_missing(&dir, &registry);
}

/// What is not there is done without, and said; what is damaged is refused.
fn damaged_or_missing(dir: &Path, registry: &Server) {
    let play = |uth: &Uth, lesson: &str, from: &Path| {
        let args = ["lesson", lesson, "--auto", "--offline", from.to_str().unwrap()];
        play(uth, false, &registry.address(), &args)
    };
    let uth = Uth::new();
    let empty = uth.home().join("empty");
    fs::create_dir(&empty).unwrap();
    let asked = registry.requests().len();
    let ran = play(&uth, "5", &empty).ok();
    assert!(ran.stderr.replace("\n  ", " ").contains("httpd:latest is not in"), "{}", ran.whole());
    assert!(ran.stdout.replace("\n  ", " ").contains("UTH_OFFLINE is set"), "{}", ran.whole());
    assert_eq!(registry.requests().len(), asked);
    play(&uth, "5", Path::new("/nowhere")).one_error(1);
    let largest = |directory: &Path| {
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
    };
    for (lesson, file) in
        [("1", largest(&dir.join("blobs/sha256"))), ("3", largest(&dir.join("alpine")))]
    {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
        // The layer may be any lesson's: all of them are asked for.
        let lessons: &[&str] = if lesson == "1" { &["1", "5"] } else { &["3"] };
        let refused = lessons.iter().any(|lesson| {
            let ran = play(&Uth::new(), lesson, dir);
            ran.code == Some(1) && ran.stderr.matches("Error:").count() == 1
        });
        assert!(refused, "{}", file.display());
    }
}

#[test]
fn a_plan_of_fetching_asks_nobody() {
    let (uth, registry) = (Uth::new(), Server::honest(&Image::new(10)));
    let args = ["lesson", "fetch", "--dry-run", "--to", "/nowhere/at/all"];
    let ran = play(&uth, false, &registry.address(), &args).ok();
    for word in ["rockylinux/manifests/8", "httpd/manifests/latest", "latest-releases.yaml"] {
        assert!(ran.stdout.contains(word), "{}", ran.whole());
    }
    assert!(registry.requests().is_empty() && !Path::new("/nowhere").exists());
    let ran = play(&uth, false, &registry.address(), &["lesson", "fetch", "0", "4"]).ok();
    assert!(
        ran.stdout.is_empty() && ran.stderr.contains("nothing from the network"),
        "{}",
        ran.whole()
    );
}

/// Rocky Linux in a container on Rocky Linux: the name proves nothing, and that is said.
#[test]
fn the_same_distribution_inside_and_outside_cannot_be_told_apart() {
    need_containers!();
    let registry = registry_with(&fs::read_to_string("/etc/os-release").unwrap());
    let uth = Uth::new();
    let path = uth.home().join("lesson.md");
    let text = "+++\ntitle = \"T\"\nchapter = \"C\"\nminutes = 1\n+++\n\n## One {#one}\n\n\
                ```sh run\nunder-the-hood run -d --name rocky --or-base rockylinux:8 sleep 600\n```\n\n\
                > **Claim** {#other} Another one.\n>\n> check: os-release-differs rocky\n";
    fs::write(&path, text).unwrap();
    let lesson = ["lesson", path.to_str().unwrap(), "--auto", "--trust"];
    let ran = play(&uth, false, &registry.address(), &lesson).exits(4);
    assert!(ran.stdout.contains("by name they cannot be told apart"), "{}", ran.whole());
}
