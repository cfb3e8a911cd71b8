//! `image push`: what is there is not sent, what was cut goes on, lies are told,
//! and whoever pulls has the same image again.

use std::sync::Arc;

use super::server::{
    Answer, INDEX, Image, MANIFEST, Read, Request, Server, descriptor, digest, json,
};
use super::{blobs, names, pull};
use crate::harness::{Ran, Uth};

fn push(uth: &Uth, args: &[&str]) -> Ran {
    uth.run([&["image", "push"], args].concat())
}

/// A registry in which nothing is yet.
fn empty() -> Image {
    Image { layers: Vec::new(), config: Vec::new(), manifest: Vec::new(), index: Vec::new() }
}

/// An OCI image layout: its index.json names `root`.
fn layout(uth: &Uth, root: serde_json::Value, files: &[&[u8]]) -> String {
    let directory = uth.home().join("layout");
    let sums = directory.join("blobs/sha256");
    std::fs::create_dir_all(&sums).unwrap();
    for bytes in files {
        std::fs::write(sums.join(&digest(bytes)[7..]), bytes).unwrap();
    }
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [root] });
    std::fs::write(directory.join("index.json"), json(&index)).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    format!("oci:{}", directory.display())
}

/// The image alone in a layout.
fn laid_out(uth: &Uth, image: &Image) -> String {
    let files = image.layers.iter().chain([&image.config, &image.manifest]);
    let files: Vec<&[u8]> = files.map(Vec::as_slice).collect();
    layout(uth, descriptor(MANIFEST, &image.manifest), &files)
}

fn dest(server: &Server) -> String {
    format!("127.0.0.1:{}/other/name:2", server.port)
}

/// It is there, whole: documents as they were, and every blob.
#[track_caller]
fn there(server: &Server, repository: &str, tag: &str, image: &Image) {
    let (kind, manifest) = server.taker.manifest(repository, tag).expect("no such name");
    assert_eq!((kind.as_str(), &manifest), (MANIFEST, &image.manifest));
    for blob in image.layers.iter().chain([&image.config]) {
        assert_eq!(server.taker.blob(repository, &digest(blob)).as_ref(), Some(blob));
    }
}

/// Bytes of blobs that came.
fn sent(server: &Server) -> usize {
    let carries = |one: &&Request| one.is_for("/blobs/uploads/");
    server.requests().iter().filter(carries).map(|one| one.body.len()).sum()
}

fn blobs_of(image: &Image) -> usize {
    image.layers.iter().chain([&image.config]).map(Vec::len).sum()
}

#[test]
fn what_was_pushed_is_pulled_again_as_it_was_and_is_not_sent_twice() {
    let (uth, image) = (Uth::new(), Image::new(1_500_000));
    let server = Server::honest(&empty());
    let source = laid_out(&uth, &image);
    let ran = push(&uth, &[&source, &dest(&server)]).ok();
    there(&server, "other/name", "2", &image);
    for layer in &image.layers {
        assert!(
            ran.stderr.contains(&format!("{}: Pushed", &digest(layer)[7..19])),
            "{}",
            ran.whole()
        );
    }
    assert!(
        ran.stdout.contains(&format!("Digest: {}\n", digest(&image.manifest))),
        "{}",
        ran.whole()
    );
    assert!(ran.stdout.ends_with(&format!("{}\n", dest(&server))), "{}", ran.whole());
    assert_eq!(sent(&server), blobs_of(&image));
    // Nothing of it is in our own store: it was only read.
    assert_eq!(names(&uth), [""; 0]);
    let other = Uth::new();
    pull(&other, &[&dest(&server)]).ok();
    assert_eq!(blobs(&other).len(), 4);
    // Again: everything is there.
    let again = push(&uth, &[&source, &dest(&server), "--format", "json"]).ok();
    let layers = again.json()["layers"].as_array().unwrap().clone();
    assert!(layers.iter().all(|layer| layer["how"] == "existed"), "{}", again.whole());
    assert_eq!(again.json()["digest"], digest(&image.manifest));
    assert!(again.stderr.contains("Layer already exists"), "{}", again.whole());
    assert_eq!(sent(&server), blobs_of(&image));
}

#[test]
fn what_the_registry_has_elsewhere_is_mounted_from_there() {
    let (uth, image) = (Uth::new(), Image::new(10_000));
    let server = Server::honest(&image);
    pull(&uth, &[&server.name()]).ok();
    let ran = push(&uth, &[&server.name(), &dest(&server)]).ok();
    assert!(ran.stderr.contains("Mounted from team/app"), "{}", ran.whole());
    there(&server, "other/name", "2", &image);
    assert_eq!(sent(&server), 0, "{:?}", server.requests());
    // Another registry has none of it, and is not told about this one.
    let other = Server::honest(&empty());
    push(&uth, &[&server.name(), &dest(&other)]).ok();
    there(&other, "other/name", "2", &image);
    assert!(other.requests().iter().all(|one| !one.is_for("mount=")), "{:?}", other.requests());
    // And without a name of its own it goes where it came from.
    push(&uth, &[&server.name()]).ok();
    there(&server, "team/app", "1", &image);
}

/// A registry may not find there what we thought: then it is sent.
#[test]
fn a_mount_that_fails_becomes_an_upload() {
    let (uth, image) = (Uth::new(), Image::new(10_000));
    let server = Server::start(&image, |request, answer| match request.is_for("mount=") {
        true => Answer::new(202, "").with("Location", "/v2/other/name/blobs/uploads/0?_state=x"),
        false => answer,
    });
    pull(&uth, &[&server.name()]).ok();
    // That session is unknown there, so an upload begins once more.
    push(&uth, &[&server.name(), &dest(&server)]).ok();
    there(&server, "other/name", "2", &image);
}

#[test]
fn what_was_cut_off_goes_on_where_it_was() {
    const CUT: usize = 700_000;
    // So much that it is still being sent when nobody listens any more.
    let (uth, image) = (Uth::new(), Image::of(1, 8_000_000));
    let server = Server::reading(
        &empty(),
        |_, answer| answer,
        |request| match request.method == "PATCH" && !request.headers.contains_key("content-range")
        {
            true => Read::Only(CUT),
            false => Read::All,
        },
    );
    let ran = push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).ok();
    there(&server, "other/name", "2", &image);
    assert!(ran.stderr.contains("cut off"), "{}", ran.whole());
    assert_eq!(sent(&server), blobs_of(&image), "nothing is sent twice");
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter_map(|one| one.headers.get("content-range").cloned())
        .collect();
    assert_eq!(ranges, [format!("{CUT}-{}", image.layers[0].len() - 1)]);
}

#[test]
fn an_upload_that_the_registry_forgot_begins_anew() {
    let (uth, image) = (Uth::new(), Image::of(1, 2_000_000));
    let forgetful: Arc<std::sync::OnceLock<Arc<super::taker::Taker>>> = Arc::default();
    let taker = forgetful.clone();
    let server = Server::reading(
        &empty(),
        move |request, answer| {
            if request.method == "PATCH" && request.before == 0 {
                taker.get().unwrap().forget();
            }
            answer
        },
        |request| match request.method == "PATCH" && request.is_for("/uploads/1?") {
            true => Read::Only(1000),
            false => Read::All,
        },
    );
    forgetful.set(server.taker.clone()).ok().unwrap();
    push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).one_error(1);
    // With patience: only the first upload is forgotten.
    let server = Server::reading(
        &empty(),
        |request, answer| match request.method == "GET" && request.is_for("/uploads/1?") {
            true => Answer::new(404, ""),
            false => answer,
        },
        |request| match request.method == "PATCH" && request.is_for("/uploads/1?") {
            true => Read::Only(1000),
            false => Read::All,
        },
    );
    push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).ok();
    there(&server, "other/name", "2", &image);
}

#[test]
fn what_is_too_much_at_once_is_sent_in_pieces() {
    const MOST: usize = 900_000;
    let (uth, image) = (Uth::new(), Image::of(1, 3_000_000));
    let server = Server::start(&empty(), |request, answer| match request.body.len() > MOST {
        true => Answer::new(413, ""),
        false => answer,
    });
    // What is refused is not kept.
    let taker = server.taker.clone();
    let too_much = Server::start(&empty(), move |request, _| match request.body.len() > MOST {
        true => Answer::new(413, ""),
        false => taker.answer(request).unwrap_or_else(|| empty().answer(request)),
    });
    push(&uth, &[&laid_out(&uth, &image), &dest(&too_much)]).ok();
    there(&server, "other/name", "2", &image);
    let pieces =
        too_much.requests().iter().filter(|one| one.headers.contains_key("content-range")).count();
    assert!(pieces >= 4, "{pieces}");
}

#[test]
fn a_passing_trouble_is_passed() {
    let (uth, image) = (Uth::new(), Image::new(5_000));
    let server = Server::start(&empty(), |request, answer| {
        let first = request.before == 0;
        match request.method.as_str() {
            "POST" if first => Answer::new(503, ""),
            "PUT" if first && request.is_for("/manifests/") => {
                Answer::new(429, "").with("Retry-After", "1")
            }
            _ => answer,
        }
    });
    push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).ok();
    there(&server, "other/name", "2", &image);
}

/// One error with these words, and the name is not given.
#[track_caller]
fn refuses(
    case: &str,
    twist: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
    words: &[&str],
) {
    let (uth, image) = (Uth::new(), Image::new(5_000));
    let server = Server::start(&empty(), twist);
    let ran = push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).one_error(1);
    let text = ran.stderr.replace("\n  ", " ");
    for word in words {
        assert!(text.contains(word), "{case}: no {word:?} in {}", ran.whole());
    }
    let names = server.taker.names();
    assert!(names.iter().all(|(_, tag)| tag != "2"), "{case}: {names:?}");
}

#[test]
fn lies_and_refusals_are_told() {
    let location = |to: &'static str| {
        move |request: &Request, answer: Answer| match request.method == "POST" {
            true => answer.without("Location").with("Location", to),
            false => answer,
        }
    };
    refuses(
        "plain HTTP elsewhere",
        location("http://192.0.2.1/x"),
        &["it leads to http://192.0.2.1/x: plain HTTP"],
    );
    refuses("a file", location("file:///etc/passwd"), &["neither HTTP nor HTTPS"]);
    refuses(
        "nowhere",
        |request, answer| match request.method == "POST" {
            true => answer.without("Location"),
            false => answer,
        },
        &["without saying where to"],
    );
    refuses(
        "another sum",
        |request, answer| match request.method == "PUT" && request.is_for("/blobs/") {
            true => {
                answer.without("Docker-Content-Digest").with("Docker-Content-Digest", "sha256:0")
            }
            false => answer,
        },
        &["it says that it got sha256:"],
    );
    refuses(
        "created before it was sent",
        |request, answer| match request.method == "POST" {
            true => Answer::new(201, ""),
            false => answer,
        },
        &["nothing was sent yet"],
    );
    refuses(
        "read only",
        |request, answer| match request.method == "POST" {
            true => Answer::new(405, ""),
            false => answer,
        },
        &["405", "only hands out images"],
    );
}

#[test]
fn what_a_registry_says_against_a_manifest_is_told() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let server = Server::start(&empty(), |request, answer| {
        let says = r#"{"errors":[{"code":"MANIFEST_INVALID","message":"no, \u001b thanks"}]}"#;
        match request.method == "PUT" && request.is_for("/manifests/") {
            true => Answer::new(400, says),
            false => answer,
        }
    });
    let ran = push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).one_error(1);
    assert!(ran.stderr.contains("400 Bad Request: no, ? thanks"), "{}", ran.whole());
}

/// The registry reads nothing of what it is sent: that has an end.
#[test]
fn a_registry_that_takes_nothing_is_given_up() {
    let (uth, image) = (Uth::new(), Image::of(1, 20_000_000));
    let server = Server::reading(
        &empty(),
        |_, answer| answer,
        |request| match request.method == "PATCH" {
            true => Read::Nothing,
            false => Read::All,
        },
    );
    let ran = push(&uth, &[&laid_out(&uth, &image), &dest(&server)]).one_error(1);
    assert!(ran.stderr.contains("takes nothing more"), "{}", ran.whole());
}

#[test]
fn what_is_broken_here_is_not_pushed() {
    let (uth, image) = (Uth::new(), Image::new(5_000));
    let source = laid_out(&uth, &image);
    let layer = uth.home().join("layout/blobs/sha256").join(&digest(&image.layers[1])[7..]);
    let mut bytes = image.layers[1].clone();
    bytes[100] ^= 1;
    std::fs::write(&layer, &bytes).unwrap();
    let server = Server::honest(&empty());
    let ran = push(&uth, &[&source, &dest(&server)]).one_error(1);
    assert!(ran.stderr.contains("reading a blob"), "{}", ran.whole());
    assert!(server.taker.names().is_empty(), "{:?}", server.taker.names());
    bytes.truncate(200);
    std::fs::write(&layer, &bytes).unwrap();
    push(&uth, &[&source, &dest(&server)]).one_error(1);
    std::fs::remove_file(&layer).unwrap();
    push(&uth, &[&source, &dest(&server)]).one_error(1);
    assert!(server.taker.names().is_empty(), "{:?}", server.taker.names());
}

/// Two images for two platforms, and a note about one of them, under one index.
fn two_platforms(uth: &Uth) -> (String, Vec<u8>, [Image; 2]) {
    let (ours, other) = (Image::new(2_000), Image::of(1, 3_000));
    let entry = |os: &str, architecture: &str, image: &Image| {
        let mut entry = descriptor(MANIFEST, &image.manifest);
        entry["platform"] = serde_json::json!({ "os": os, "architecture": architecture });
        entry
    };
    let index = json(&serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [entry("linux", super::server::architecture(), &ours), entry("linux", "s390x", &other)],
    }));
    let mut files: Vec<&[u8]> = vec![&index];
    for image in [&ours, &other] {
        files
            .extend(image.layers.iter().chain([&image.config, &image.manifest]).map(Vec::as_slice));
    }
    (layout(uth, descriptor(INDEX, &index), &files), index, [ours, other])
}

#[test]
fn an_image_for_several_platforms_goes_whole_if_it_is_here_whole() {
    let uth = Uth::new();
    let (source, index, [ours, other]) = two_platforms(&uth);
    let server = Server::honest(&empty());
    let ran = push(&uth, &[&source, &dest(&server), "--format", "json"]).ok();
    assert_eq!(ran.json()["index"], true);
    assert_eq!(server.taker.manifest("other/name", "2"), Some((INDEX.to_owned(), index.clone())));
    for image in [&ours, &other] {
        there(&server, "other/name", &digest(&image.manifest), image);
    }
    // Only one platform, because that was asked for.
    let server = Server::honest(&empty());
    push(&uth, &[&source, &dest(&server), "--platform", "linux/s390x"]).ok();
    there(&server, "other/name", "2", &other);
    // Or because there is no more.
    let gone = uth.home().join("layout/blobs/sha256").join(&digest(&other.layers[0])[7..]);
    std::fs::remove_file(gone).unwrap();
    let server = Server::honest(&empty());
    let ran = push(&uth, &[&source, &dest(&server)]).ok();
    there(&server, "other/name", "2", &ours);
    assert!(ran.stderr.contains("Of its index only the image for linux/"), "{}", ran.whole());
}

/// Credentials go to the registry and to its realm only, the token says what it is for.
#[test]
fn a_token_to_push_is_bought_and_goes_nowhere_else() {
    const TOKEN: &str = "Bearer the-token";
    let (uth, image) = (Uth::new(), Image::of(1, 2_000_000));
    let realm = Server::start(&empty(), |request, _| {
        match request.authorization() == Some("Basic bWU6Y29ycmVjdC1ob3JzZQ==") {
            true => Answer::new(200, r#"{"token": "the-token"}"#),
            false => Answer::new(401, ""),
        }
    });
    // The bytes are to go somewhere else.
    let elsewhere = Server::honest(&empty());
    let to = elsewhere.address();
    let challenge = format!("Bearer realm=\"{}/token\",service=\"us\"", realm.address());
    let server = Server::start(&empty(), move |request, answer| {
        if request.authorization() != Some(TOKEN) {
            return Answer::new(401, "").with("WWW-Authenticate", challenge.clone());
        }
        match request.method.as_str() {
            "POST" => Answer::new(202, "")
                .with("Location", format!("{to}/v2/other/name/blobs/uploads/1?key=secret")),
            "HEAD" if request.before > 0 => Answer::new(200, ""),
            _ => answer,
        }
    });
    let source = laid_out(&uth, &image);
    let ran = push(&uth, &[&source, &dest(&server)]).one_error(1);
    assert!(ran.stderr.contains("/token"), "{}", ran.whole());
    assert!(ran.stderr.contains("Pushing wants to know who you are"), "{}", ran.whole());
    let ran = push(&uth, &["--creds", "me:wrong", &source, &dest(&server)]).one_error(1);
    assert!(ran.stderr.contains("from --creds may not push"), "{}", ran.whole());
    let ran = push(&uth, &["--explain", "--creds", "me:correct-horse", &source, &dest(&server)]);
    let whole = ran.whole().replace("me:correct-horse", "");
    for secret in ["correct-horse", "the-token", "key=secret"] {
        assert!(!whole.contains(secret), "{secret}: {whole}");
    }
    let scope = "scope=repository%3Aother%2Fname%3Apull%2Cpush";
    assert!(realm.requests().iter().all(|one| one.is_for(scope)), "{:?}", realm.requests());
    let seen = elsewhere.requests();
    assert!(seen.iter().any(|one| one.method == "PATCH"), "{seen:?}");
    assert!(seen.iter().all(|one| one.authorization().is_none()), "{seen:?}");
}

#[test]
fn explain_shows_every_request_and_dry_run_makes_none() {
    let (uth, image) = (Uth::new(), Image::new(2_000));
    let server = Server::honest(&empty());
    let source = laid_out(&uth, &image);
    let dry = push(&uth, &["--dry-run", &source, &dest(&server)]).ok();
    for part in ["HEAD(\"", "POST(\"", "PATCH(\"", "PUT(\"", "manifests/2\""] {
        assert!(dry.stdout.contains(part), "no {part} in {}", dry.whole());
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    let ran = push(&uth, &["--explain", &source, &dest(&server)]).ok();
    for request in server.requests() {
        let call = format!(
            "{}(\"{}{}",
            request.method,
            server.address(),
            request.path.split('?').next().unwrap()
        );
        assert!(ran.stderr.replace("\n", "").contains(&call), "no {call} in {}", ran.whole());
    }
}

/// Wherever an image lies: here in an archive, as docker reads it and as the OCI has it.
#[test]
fn what_lies_in_an_archive_is_pushed_from_there() {
    let uth = Uth::new();
    uth.run(["image", "base", "-q"]).ok();
    let archive = uth.home().join("base.tar").display().to_string();
    uth.run(["image", "save", "-o", &archive, "base"]).ok();
    let manifest = uth.run(["image", "dissect", "base", "--manifest"]).ok().stdout;
    let server = Server::honest(&empty());
    for source in [archive.clone(), format!("oci:{archive}"), format!("docker-archive:{archive}")] {
        let ran = push(&uth, &[&source, &dest(&server), "--format", "json"]).ok();
        let (_, pushed) = server.taker.manifest("other/name", "2").unwrap();
        assert_eq!(ran.json()["digest"], digest(&pushed));
        let layer = |text: &[u8]| {
            let manifest: serde_json::Value = serde_json::from_slice(text).unwrap();
            manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
        };
        assert_eq!(layer(&pushed), layer(manifest.as_bytes()), "{source}");
        pull(&Uth::new(), &[&dest(&server)]).ok();
    }
}

#[test]
fn what_cannot_be_pushed_is_said_kindly() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let source = laid_out(&uth, &image);
    push(&uth, &["nothing/here:1"]).one_error(1);
    let ran = push(&uth, &[&source]).one_error(2);
    assert!(ran.stderr.contains("Say which it is to have there"), "{}", ran.whole());
    uth.run(["image", "base", "-q"]).ok();
    push(&uth, &["base"]).one_error(2);
    push(&uth, &["base", &source]).one_error(2);
    push(&uth, &["base", "localhost/under-the-hood/other"]).one_error(2);
    let pinned = format!("127.0.0.1:1/x@{}", digest(b"x"));
    let ran = push(&uth, &[&source, &pinned]).one_error(2);
    assert!(ran.stderr.contains("another digest"), "{}", ran.whole());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = push(&uth, &["base", &format!("127.0.0.1:{port}/x")]).one_error(1);
    assert!(ran.stderr.contains("Is a registry running there?"), "{}", ran.whole());
    // By its own digest it may go.
    let server = Server::honest(&empty());
    let pinned = format!("127.0.0.1:{}/x@{}", server.port, digest(&image.manifest));
    push(&uth, &[&source, &pinned]).ok();
    there(&server, "x", &digest(&image.manifest), &image);
}
