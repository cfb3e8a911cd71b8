//! Pulls that succeed, at once or in the end.

use std::time::Duration;

use super::server::{Answer, Image, Request, Server, Way, architecture, digest};
use super::{blobs, names, pull};
use crate::harness::Uth;

/// Everything is here, and what is here is what was served.
#[track_caller]
fn all_here(uth: &Uth, image: &Image, server: &Server) {
    assert_eq!(names(uth), [server.name()]);
    let all = [&image.config, &image.manifest, &image.index];
    let mut expected: Vec<_> = image.layers.iter().chain(all).map(|bytes| digest(bytes)).collect();
    expected.sort();
    let name = |path: &std::path::PathBuf| {
        format!("sha256:{}", path.file_name().unwrap().to_string_lossy())
    };
    assert_eq!(blobs(uth).iter().map(name).collect::<Vec<_>>(), expected);
    for (path, expected) in blobs(uth).iter().zip(expected) {
        assert_eq!(digest(&std::fs::read(path).unwrap()), expected);
    }
}

fn recovers(
    twist: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
) -> (Uth, Image, Server) {
    let (uth, image) = (Uth::new(), Image::new(300_000));
    let server = Server::start(&image, twist);
    pull(&uth, &[&server.name()]).ok();
    all_here(&uth, &image, &server);
    (uth, image, server)
}

#[test]
fn a_pull_says_what_docker_says_and_every_request() {
    // One layer: several come in any order.
    let (uth, image) = (Uth::new(), Image::of(1, 1000));
    let server = Server::honest(&image);
    let port = server.port.to_string();
    let ran = pull(&uth, &["--explain", &server.name()]).ok();
    ran.snapshot_with("image-pull", &[(&port, "[PORT]"), (r"\b\d+ bytes", "[N] bytes")]);
    all_here(&uth, &image, &server);
    let paths: Vec<_> = server.requests().iter().map(|request| request.path.clone()).collect();
    for path in &paths {
        assert!(
            ran.stderr.replace("\n               ", "").contains(path.as_str()),
            "{path}: {}",
            ran.whole()
        );
    }
    let again = pull(&uth, &[&server.name()]).ok();
    assert_eq!(again.stderr.matches(": Already exists").count(), 1, "{}", again.whole());
    assert!(again.stdout.contains("up to date"), "{}", again.whole());
    let json = uth.run(["--format", "json", "image", "pull", &server.name()]).ok().json();
    assert_eq!(json["digest"], digest(&image.index));
    assert_eq!(json["manifest"], digest(&image.manifest));
    assert_eq!(json["layers"][0]["existed"], true);
}

#[test]
fn a_dry_run_asks_nobody() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let server = Server::honest(&image);
    let ran = uth.run(["--dry-run", "image", "pull", &server.name()]).ok();
    assert!(
        ran.stdout.contains("manifests/1") && ran.stdout.contains("rename("),
        "{}",
        ran.whole()
    );
    assert!(server.requests().is_empty() && names(&uth).is_empty());
    assert!(!uth.home().join("data").exists());
}

#[test]
fn what_needs_no_layers_is_read_in_the_registry() {
    let (uth, image) = (Uth::new(), Image::new(1000));
    let server = Server::honest(&image);
    let name = server.name();
    let history = uth.run(["--format", "json", "image", "history", &name]).ok().json();
    assert_eq!(history["digest"], digest(&image.manifest));
    assert_eq!(history["history"].as_array().unwrap().len(), image.layers.len());
    let manifest = uth.run(["image", "dissect", "--manifest", &name]).ok();
    assert_eq!(digest(manifest.stdout.as_bytes()), digest(&image.manifest));
    let upper = uth.run(["--format", "json", "image", "dissect", &name]).ok().json();
    let layers = upper["layers"].as_array().unwrap();
    let named: Vec<_> = image.layers.iter().map(|layer| digest(layer)).collect();
    assert!(layers.iter().map(|layer| &layer["digest"]).eq(named.iter()), "{upper:#}");
    let sizes = layers.iter().map(|layer| layer["stored_bytes"].as_u64());
    assert!(sizes.eq(image.layers.iter().map(|layer| Some(layer.len() as u64))));
    assert!(layers.iter().all(|layer| layer["files"].is_null() && layer["created_by"].is_string()));
    let text = uth.run(["image", "dissect", &name]).ok().stdout;
    assert!(text.contains(&digest(&image.config)) && text.contains("image pull 127"), "{text}");
    // What is in the layers is not guessed.
    let tree = uth.run(["image", "dissect", &name, "--tree"]).one_error(1);
    assert!(tree.stderr.contains("image pull"), "{}", tree.whole());
    for layer in &image.layers {
        assert!(!server.requests().iter().any(|request| request.is_for(&digest(layer))));
    }
    assert!(names(&uth).is_empty() && blobs(&uth).is_empty());
    // What is here is taken from here, unless it is said where to look.
    pull(&uth, &[&name]).ok();
    let asked = || server.requests().len();
    let before = asked();
    let here = uth.run(["--format", "json", "image", "dissect", &name]).ok().json();
    assert_eq!((asked(), here["layers"][0]["files"].is_array()), (before, true));
    let there = format!("docker://{name}");
    let there = uth.run(["--format", "json", "image", "dissect", &there]).ok().json();
    assert!(asked() > before && there["layers"][0]["files"].is_null());
    assert_eq!((&there["config"], &there["digest"]), (&here["config"], &here["digest"]));
}

#[test]
fn once_429_once_500_and_once_cut_off_end_well() {
    recovers(|request, answer| match (request.before, request.is_for("/team/")) {
        (0, true) => Answer { status: 429, ..answer }.with("Retry-After", "1"),
        _ => answer,
    });
    recovers(|request, answer| match (request.before, request.is_for("/v2/")) {
        (0, true) => Answer { status: 500, ..answer },
        _ => answer,
    });
}

#[test]
fn what_was_cut_off_goes_on_from_there() {
    let (_, image, server) =
        recovers(|request, answer| match (request.before, request.is_for("/blobs/")) {
            (0..3, true) if answer.body.len() > 100_000 => answer.sent(Way::CutAfter(90_000)),
            _ => answer,
        });
    let first = digest(&image.layers[0]);
    let requests = server.requests().into_iter().filter(|request| request.is_for(&first));
    let from: Vec<_> = requests.map(|request| request.from()).collect();
    assert_eq!(from, [0, 90_000, 180_000, 270_000]);
}

/// A server that knows no ranges sends everything again, and that is taken so.
#[test]
fn a_server_without_ranges_starts_anew() {
    let whole = Image::new(300_000).layers;
    recovers(move |request, answer| {
        let layer = whole.iter().find(|layer| request.is_for(&digest(layer)));
        let answer = layer.map_or(answer, |layer| Answer::new(200, layer.clone()));
        match request.before {
            0 if layer.is_some() => answer.sent(Way::CutAfter(90_000)),
            _ => answer,
        }
    });
}

#[test]
fn a_pull_that_was_killed_is_taken_up_by_the_next_one() {
    let (uth, image) = (Uth::new(), Image::new(3_000_000));
    let first = digest(&image.layers[0]);
    let stuck = first.clone();
    let server = Server::start(&image, move |request, answer| {
        match request.is_for(&stuck) && request.before == 0 {
            true => answer.sent(Way::CutAfter(2_000_000)),
            false if request.is_for(&stuck) && request.before == 1 => answer.sent(Way::Silent),
            false => answer,
        }
    });
    let mut child = uth.command(["image", "pull", &server.name()]).spawn().unwrap();
    let asked_again =
        || server.requests().iter().filter(|request| request.is_for(&first)).count() == 2;
    for _ in 0..600 {
        if asked_again() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(asked_again(), "{:?}", server.requests());
    child.kill().unwrap();
    child.wait().unwrap();
    let partial = blobs(&uth).into_iter().find(|path| path.parent().unwrap().ends_with("partial"));
    let partial = partial.expect("what came is kept");
    assert_eq!(std::fs::metadata(&partial).unwrap().len(), 2_000_000);
    assert!(names(&uth).is_empty());
    let ran = pull(&uth, &[&server.name()]).ok();
    assert!(ran.stderr.contains("2000000 bytes are here from before"), "{}", ran.whole());
    let last = server.requests().into_iter().rfind(|request| request.is_for(&first)).unwrap();
    assert_eq!(last.from(), 2_000_000);
    all_here(&uth, &image, &server);
}

#[test]
fn a_beginning_that_was_damaged_is_fetched_anew() {
    let (uth, image) = (Uth::new(), Image::new(1000));
    let server = Server::honest(&image);
    pull(&uth, &[&server.name()]).ok();
    let hex = &digest(&image.layers[0])[7..];
    let images = uth.home().join("data/images");
    std::fs::remove_file(images.join("blobs/sha256").join(hex)).unwrap();
    std::fs::write(images.join(format!("partial/sha256-{hex}")), "not how it begins").unwrap();
    pull(&uth, &[&server.name()]).ok();
    all_here(&uth, &image, &server);
}

#[test]
fn several_pulls_at_once_fetch_each_layer_once() {
    let (uth, image) = (Uth::new(), Image::new(400_000));
    let server = Server::honest(&image);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| pull(&uth, &[&server.name()]).ok());
        }
    });
    all_here(&uth, &image, &server);
    for layer in &image.layers {
        let requests =
            server.requests().into_iter().filter(|request| request.is_for(&digest(layer)));
        assert_eq!(requests.count(), 1);
    }
}

#[test]
fn the_platform_is_chosen_and_attestations_are_none() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let server = Server::honest(&image);
    let ran = pull(&uth, &["--platform", "linux/riscv64", &server.name()]).one_error(1);
    assert!(
        ran.stderr.contains("linux/s390x") && !ran.stderr.contains("unknown"),
        "{}",
        ran.whole()
    );
    let ran = pull(&uth, &["--platform", "linux/s390x", &server.name()]).one_error(1);
    assert!(ran.stderr.contains("404"), "{}", ran.whole());
    pull(&uth, &["--platform", "linux", &server.name()]).one_error(2);
    pull(&uth, &["--platform", &format!("linux/{}", architecture()), &server.name()]).ok();
}

#[test]
fn names_that_no_registry_has_are_refused_at_once() {
    let uth = Uth::new();
    for (name, word) in [
        ("base", "never pulled"),
        ("./x.tar", "in no registry"),
        ("oci:dir", "in no registry"),
        ("HTTPD", "small letters"),
        ("a:b c", "tag"),
        ("docker-daemon:x", "in no registry"),
    ] {
        let ran = pull(&uth, &[name]).one_error(2);
        assert!(ran.stderr.replace("\n  ", " ").contains(word), "{}", ran.whole());
    }
    pull(&uth, &["--mirror", "http://192.0.2.1", "x"]).one_error(2);
    pull(&uth, &["--creds", ":x", "x"]).one_error(2);
}

/// Nobody listens: both ways of asking are named.
#[test]
fn where_no_registry_is_both_errors_are_shown() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let name = Server::honest(&image).name();
    std::thread::sleep(Duration::from_millis(50));
    let ran = pull(&uth, &[&name]);
    super::refused(&uth, ran, &["over HTTPS:", "over HTTP:", "Is a registry running there?"]);
}

#[test]
fn mirrors_are_asked_first_and_the_registry_when_they_have_nothing() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let empty = Server::start(&image, |_, answer| Answer { status: 404, ..answer });
    let (mirror, origin) = (Server::honest(&image), Server::honest(&image));
    let name = origin.name();
    pull(&uth, &["--mirror", &mirror.address(), &name]).ok();
    assert!(origin.requests().is_empty() && !mirror.requests().is_empty());
    assert_eq!(names(&uth), [name.as_str()]);
    let ran = pull(&uth, &["--mirror", &empty.address(), &name]).ok();
    assert!(!empty.requests().is_empty() && !origin.requests().is_empty());
    assert!(ran.stderr.contains("Asking the next one"), "{}", ran.whole());
    // Docker Hub's images, from a mirror of it.
    pull(&uth, &["--mirror", &mirror.address(), "team/app:1"]).ok();
    assert!(names(&uth).contains(&"docker.io/team/app:1".to_owned()));
}

/// `run` fetches what is not here, once; and only if it may.
#[test]
fn run_fetches_an_image_that_is_not_here() {
    need!(root);
    let (uth, image) = (Uth::new(), Image::new(10));
    let server = Server::honest(&image);
    let name = server.name();
    let run = |args: &[&str]| uth.run([&["run"], args, &[&name, "/no-such-program"]].concat());
    run(&["--pull", "never"]).one_error(125);
    assert!(server.requests().is_empty() && names(&uth).is_empty());
    // There is no program in this image: it was fetched and unpacked, and is entered for nothing.
    let ran = run(&[]).exits(127);
    assert!(ran.stderr.contains("Pulling from"), "{}", ran.whole());
    all_here(&uth, &image, &server);
    let asked = server.requests().len();
    run(&[]).exits(127);
    assert_eq!(server.requests().len(), asked);
    run(&["--pull", "always"]).exits(127);
    assert!(server.requests().len() > asked);
    drop(server);
    std::thread::sleep(Duration::from_millis(50));
    run(&[]).exits(127);
    run(&["--pull", "always"]).one_error(125);
}

/// Through a proxy, except to this machine.
#[test]
fn a_proxy_is_asked_for_what_is_elsewhere() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let (proxy, server) = (Server::honest(&image), Server::honest(&image));
    let through = |name: &str, more: &[&str]| {
        let mut command = uth.command([&["image", "pull"], more, &[name]].concat());
        command.env("HTTP_PROXY", proxy.address()).env("HTTPS_PROXY", proxy.address());
        uth.wait(command)
    };
    through(&server.name(), &[]).ok();
    assert!(proxy.requests().is_empty());
    through("registry.invalid/team/app:1", &["--insecure"]);
    let asked = proxy.requests();
    assert!(asked.iter().any(|request| request.method == "CONNECT"), "{asked:?}");
    assert!(
        asked.iter().any(|request| request.path.starts_with("http://registry.invalid/v2/")),
        "{asked:?}"
    );
}
