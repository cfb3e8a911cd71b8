//! Who is told a name, a password or a token: what each server saw says it.

use std::os::unix::fs::PermissionsExt;

use super::server::{Answer, Image, Request, Server, digest};
use super::{names, pull, refused};
use crate::harness::{Ran, Uth};

const PASSWORD: &str = "correct-horse";
/// `me:correct-horse`, as curl -u sends it.
const BASIC: &str = "Basic bWU6Y29ycmVjdC1ob3JzZQ==";
const TOKEN: &str = "the-token";

/// Wants this header, and says so with that challenge.
fn wants(header: String, challenge: String) -> impl Fn(&Request, Answer) -> Answer + Send + Sync {
    move |request, answer| match request.authorization() == Some(&header) {
        true => answer,
        false => Answer::new(401, "").with("WWW-Authenticate", challenge.clone()),
    }
}

fn basic(image: &Image) -> Server {
    Server::start(image, wants(BASIC.to_owned(), "Basic realm=\"x\"".to_owned()))
}

/// A realm that gives tokens to everybody, or only to us.
fn realm(image: &Image, everybody: bool) -> Server {
    Server::start(image, move |request, _| {
        match everybody || request.authorization() == Some(BASIC) {
            true => Answer::new(200, format!("{{\"token\": \"{TOKEN}\"}}")),
            false => Answer::new(401, ""),
        }
    })
}

fn bearer(image: &Image, realm: &str) -> Server {
    let challenge =
        format!("Bearer realm=\"{realm}/token\",service=\"us\",scope=\"repository:*:push\"");
    Server::start(image, wants(format!("Bearer {TOKEN}"), challenge))
}

fn creds() -> String {
    format!("me:{PASSWORD}")
}

/// Nothing secret is printed, whatever was asked for.
#[track_caller]
fn silent(ran: Ran) -> Ran {
    for secret in [PASSWORD, TOKEN, &BASIC[6..]] {
        assert!(
            !ran.whole().replace(&creds(), "").replace("\n               ", "").contains(secret),
            "{}",
            ran.whole()
        );
    }
    ran
}

fn never_told(server: &Server) {
    let requests = server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert_eq!(request.authorization(), None, "{request:?}");
        assert!(
            !request.path.contains(PASSWORD)
                && !String::from_utf8_lossy(&request.body).contains(PASSWORD),
            "{request:?}"
        );
    }
}

#[test]
fn name_and_password_open_a_registry_that_wants_them() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let server = basic(&image);
    let ran = pull(&uth, &[&server.name()]);
    refused(&uth, ran, &["nobody in without a login", "docker login 127.0.0.1:"]);
    let ran = pull(&uth, &["--creds", "me:wrong", &server.name()]);
    refused(&uth, ran, &["the login from --creds"]);
    silent(pull(&uth, &["--explain", "--creds", &creds(), &server.name()]).ok());
    assert_eq!(names(&uth), [server.name()]);
    let asked =
        uth.sh(&format!("echo {PASSWORD} | $UTH image pull --creds me {}", server.name())).ok();
    assert!(asked.stderr.contains("Password of me:"), "{}", asked.whole());
}

#[test]
fn a_token_is_bought_at_the_realm_and_only_it_is_shown_to_the_registry() {
    let image = Image::new(10);
    for everybody in [true, false] {
        let uth = Uth::new();
        let realm = realm(&image, everybody);
        let server = bearer(&image, &realm.address());
        match everybody {
            true => silent(pull(&uth, &["--explain", &server.name()]).ok()),
            false => {
                let ran = pull(&uth, &[&server.name()]);
                refused(&uth, ran, &["/token", "401"]);
                silent(pull(&uth, &["--explain", "--creds", &creds(), &server.name()]).ok())
            }
        };
        let bought = realm.requests();
        assert!(
            bought
                .iter()
                .all(|one| one.path == "/token?scope=repository%3Ateam%2Fapp%3Apull&service=us"),
            "{bought:?}"
        );
        for request in server.requests() {
            assert!(
                request.authorization().is_none_or(|shown| shown == format!("Bearer {TOKEN}")),
                "{request:?}"
            );
        }
    }
}

/// A token that has run out is bought anew, once.
#[test]
fn a_token_that_has_run_out_is_bought_anew() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let realm = Server::start(&image, |request, _| {
        Answer::new(200, format!("{{\"access_token\": \"token-{}\"}}", request.before))
    });
    let challenge = format!("Bearer realm=\"{}\"", realm.address());
    let server = Server::start(&image, move |request, answer| {
        let wanted = if request.is_for("/blobs/") { "Bearer token-1" } else { "Bearer token-0" };
        let good = request.authorization() == Some(wanted);
        if good { answer } else { Answer::new(401, "").with("WWW-Authenticate", challenge.clone()) }
    });
    pull(&uth, &[&server.name()]).ok();
    assert_eq!(realm.requests().len(), 2, "{:?}", realm.requests());
}

#[test]
fn nothing_goes_along_a_redirect() {
    let image = Image::new(10);
    let elsewhere = Server::honest(&image);
    let greedy = Server::start(&image, |_, _| {
        Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"give\"")
    });
    for (target, good) in [(&elsewhere, true), (&greedy, false)] {
        let uth = Uth::new();
        let address = target.address();
        let opens = wants(BASIC.to_owned(), "Basic realm=x".to_owned());
        let server =
            Server::start(&image, move |request, answer| match request.is_for("/blobs/") {
                true if request.authorization().is_some() => Answer::new(307, "")
                    .with("Location", format!("{address}{}?signature=secret", request.path)),
                _ => opens(request, answer),
            });
        let ran = silent(pull(&uth, &["--explain", "--creds", &creds(), &server.name()]));
        assert!(!ran.whole().contains("signature=secret"), "{}", ran.whole());
        assert_eq!(ran.code, Some(i32::from(!good)), "{}", ran.whole());
        never_told(target);
    }
}

#[test]
fn a_realm_that_redirects_or_is_elsewhere_over_plain_http_gets_nothing() {
    let image = Image::new(10);
    let elsewhere = Server::honest(&image);
    let address = elsewhere.address();
    let realm =
        Server::start(&image, move |_, _| Answer::new(307, "").with("Location", address.clone()));
    let uth = Uth::new();
    let server = bearer(&image, &realm.address());
    let ran = pull(&uth, &["--creds", &creds(), &server.name()]);
    refused(&uth, silent(ran), &["along no redirect"]);
    assert!(elsewhere.requests().is_empty());
    for (realm, word) in [
        ("http://192.0.2.1", "plain HTTP"),
        ("ftp://127.0.0.1", "neither HTTP nor HTTPS"),
        ("", "no address"),
    ] {
        let server = bearer(&image, realm);
        let ran = pull(&uth, &["--creds", &creds(), &server.name()]);
        refused(&uth, silent(ran), &[word]);
    }
}

/// Layers that may not be handed on are fetched from where they are, and nobody says who asks.
#[test]
fn nothing_goes_to_the_urls_of_a_layer() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let elsewhere = Server::honest(&image);
    let urls = image
        .layers
        .iter()
        .map(|layer| format!("{}/v2/x/blobs/{}", elsewhere.address(), digest(layer)));
    let urls: Vec<_> = urls.collect();
    let image = image.sealed(move |manifest| {
        for (at, url) in urls.iter().enumerate() {
            manifest["layers"][at]["urls"] =
                vec!["http://192.0.2.1/x", "file:///etc/passwd", url].into();
        }
    });
    let layers: Vec<_> = image.layers.iter().map(|layer| digest(layer)).collect();
    let opens = wants(BASIC.to_owned(), "Basic realm=x".to_owned());
    let server = Server::start(&image, move |request, answer| {
        match layers.iter().any(|one| request.is_for(one)) {
            true if request.authorization().is_some() => Answer::new(404, ""),
            _ => opens(request, answer),
        }
    });
    pull(&uth, &["--creds", &creds(), &server.name()]).ok();
    never_told(&elsewhere);
}

#[test]
fn a_mirror_does_not_get_what_is_for_the_registry() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let greedy = Server::start(&image, |_, _| {
        Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"give\"")
    });
    let server = basic(&image);
    pull(&uth, &["--mirror", &greedy.address(), "--creds", &creds(), &server.name()]).ok();
    never_told(&greedy);
}

/// docker's file and podman's, helpers that are there and helpers that are not.
#[test]
fn logins_are_found_where_docker_and_podman_keep_them() {
    let (uth, image) = (Uth::new(), Image::new(10));
    let server = basic(&image);
    let host = format!("127.0.0.1:{}", server.port);
    let auths = format!(r#"{{"auths": {{"{host}": {{"auth": "{}"}}}}}}"#, &BASIC[6..]);
    let file = |name: &str, text: &str| {
        let path = uth.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let with = |variable: &str, value: &std::path::Path| {
        let mut command = uth.command(["image", "pull", &server.name()]);
        command.env(variable, value);
        silent(uth.wait(command))
    };
    let podmans = file("podman.json", &auths);
    with("REGISTRY_AUTH_FILE", &podmans).ok();
    let dockers = file("docker/config.json", &auths);
    with("DOCKER_CONFIG", dockers.parent().unwrap()).ok();
    with("NOTHING", &dockers).one_error(1);
    let home = file(".docker/config.json", &auths);
    with("NOTHING", &home).ok();

    let helper = file(
        "bin/docker-credential-ours",
        &format!(
            "#!/bin/sh\nread server; [ \"$1 $server\" = 'get {host}' ] || exit 1\necho '{{\"Username\": \"me\", \"Secret\": \"{PASSWORD}\"}}'\n"
        ),
    );
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
    file(".docker/config.json", &format!(r#"{{"credHelpers": {{"{host}": "ours"}}}}"#));
    with("PATH", path.as_ref()).ok();

    file(".docker/config.json", r#"{"credsStore": "not-there"}"#);
    let ran = with("NOTHING", &home).one_error(1);
    assert!(ran.stderr.contains("docker-credential-not-there"), "{}", ran.whole());
    // A registry that wants nothing is not asked for a login at all, and one that gives
    // tokens to everybody is not closed by a helper that is missing.
    let public = Server::honest(&image);
    let ran = pull(&uth, &[&public.name()]).ok();
    assert!(!ran.stderr.contains("docker-credential"), "{}", ran.whole());
    let realm = realm(&image, true);
    let ran = pull(&uth, &[&bearer(&image, &realm.address()).name()]).ok();
    assert!(ran.stderr.contains("docker-credential-not-there"), "{}", ran.whole());
    file(".docker/config.json", "{\"auths\": \"correct-horse");
    silent(pull(&uth, &[&bearer(&image, &realm.address()).name()]).ok());
}
