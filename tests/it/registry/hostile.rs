//! A registry that lies, cuts off, never ends or never answers: one error within
//! thirty seconds, and nothing of it stays.

use std::time::{Duration, Instant};

use super::server::{Answer, Image, MANIFEST, Request, Server, Way, digest};
use super::{names, pull, refused};
use crate::harness::Uth;

const LIMIT: Duration = Duration::from_secs(30);

/// Small enough that nothing of it is worth keeping.
const SIZE: usize = 100_000;

/// What is done to a manifest.
type Change = Box<dyn Fn(&mut serde_json::Value)>;

type Twist = Box<dyn Fn(&Request, Answer) -> Answer + Send + Sync>;

/// A registry as hostile as that is refused, with these words.
fn refuses(case: &str, image: &Image, twist: Twist, words: &[&str]) {
    let uth = Uth::new();
    let server = Server::start(image, twist);
    let start = Instant::now();
    let ran = pull(&uth, &[&server.name()]);
    let took = start.elapsed();
    let ran = refused(&uth, ran, words);
    assert!(took < LIMIT, "{case} took {took:?}: {}", ran.whole());
}

/// Only answers to such requests are twisted.
fn on(part: &'static str, twist: impl Fn(Answer) -> Answer + Send + Sync + 'static) -> Twist {
    Box::new(move |request, answer| match request.is_for(part) {
        true => twist(answer),
        false => answer,
    })
}

/// The first layer's address.
fn layer(image: &Image) -> &'static str {
    Box::leak(digest(&image.layers[0]).into_boxed_str())
}

fn all_at_once(image: &Image, cases: Vec<(&'static str, Twist, Vec<&'static str>)>) {
    std::thread::scope(|scope| {
        for (case, twist, words) in cases {
            let image = &image;
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            let builder = std::thread::Builder::new().name(name);
            builder.spawn_scoped(scope, move || refuses(case, image, twist, &words)).unwrap();
        }
    });
}

#[test]
fn lies_are_refused_and_nothing_of_them_stays() {
    let image = Image::new(SIZE);
    let first = layer(&image);
    let other = Image::new(10);
    let (manifest, others) = (image.manifest.clone(), other.manifest.clone());
    all_at_once(
        &image,
        vec![
            (
                "a layer with another byte",
                on(first, |mut answer| {
                    answer.body[1000] ^= 1;
                    answer
                }),
                vec!["verifying sha256:", "the sum of what came is"],
            ),
            (
                "a layer that is longer",
                on(first, |mut answer| {
                    answer.body.push(0);
                    answer
                }),
                vec!["the manifest says"],
            ),
            (
                "a layer that is shorter",
                on(first, |mut answer| {
                    answer.body.pop();
                    answer
                }),
                vec!["the manifest says"],
            ),
            (
                "a layer that never ends",
                on(first, |answer| answer.sent(Way::Endless)),
                vec!["it goes on after"],
            ),
            (
                "a manifest with another byte",
                Box::new(move |request, mut answer| {
                    if request.is_for(&digest(&manifest)) {
                        answer.body = others.clone();
                    }
                    answer
                }),
                vec!["is not what it says"],
            ),
            (
                "another digest in the header",
                on("manifests/1", |answer| {
                    answer
                        .without("Docker-Content-Digest")
                        .with("Docker-Content-Digest", digest(b"x"))
                }),
                vec!["it says that this is sha256:"],
            ),
            (
                "a digest of a wrong form",
                on("manifests/1", |answer| {
                    answer
                        .without("Docker-Content-Digest")
                        .with("Docker-Content-Digest", "sha256:../../../etc/passwd")
                }),
                vec!["is no digest"],
            ),
            (
                "another type in the header",
                on("manifests/1", |answer| {
                    answer.without("Content-Type").with("Content-Type", MANIFEST)
                }),
                vec!["it says that it is"],
            ),
            (
                "a web page",
                on("manifests/1", |_| {
                    Answer::new(200, "<html>\u{1b}[31m")
                        .with("Content-Type", "text/html; charset=utf-8")
                }),
                vec!["text/html", "may not be a registry"],
            ),
            (
                "rubbish",
                on("manifests/1", |_| Answer::new(200, "\u{1b}]0;x")),
                vec!["it is not a manifest"],
            ),
            (
                "a huge manifest",
                on("manifests/1", |answer| Answer { body: vec![b' '; (4 << 20) + 1], ..answer }),
                vec!["4194304"],
            ),
            (
                "a manifest that never ends",
                on("manifests/1", |answer| answer.sent(Way::Endless)),
                vec!["goes on and on"],
            ),
            (
                "a config that is another one",
                {
                    let config = Box::leak(digest(&image.config).into_boxed_str());
                    on(config, |mut answer| {
                        answer.body[10] ^= 1;
                        answer
                    })
                },
                vec!["is not what it says"],
            ),
            (
                "schema 1",
                on("manifests/1", |_| {
                    Answer::new(200, r#"{"schemaVersion": 1, "fsLayers": []}"#).with(
                        "Content-Type",
                        "application/vnd.docker.distribution.manifest.v1+prettyjws",
                    )
                }),
                vec!["schema 1"],
            ),
            ("nothing", on("/v2/", |_| Answer::new(404, "")), vec!["404"]),
            (
                "headers without end",
                on("manifests/1", |answer| answer.sent(Way::EndlessHead)),
                vec!["GET http"],
            ),
        ],
    );
}

#[test]
fn documents_of_a_wrong_form_are_refused_before_they_are_used() {
    let image = Image::new(10);
    let cases: Vec<(&str, Change, &str)> = vec![
        (
            "digest",
            Box::new(|one| one["layers"][0]["digest"] = "sha256:../../x".into()),
            "is no digest",
        ),
        ("algorithm", Box::new(|one| one["layers"][0]["digest"] = "md5:00".into()), "is no digest"),
        ("negative", Box::new(|one| one["layers"][0]["size"] = (-1).into()), "not a manifest"),
        ("fraction", Box::new(|one| one["layers"][0]["size"] = 1.5.into()), "not a manifest"),
        (
            "huge config",
            Box::new(|one| one["config"]["size"] = (1_u64 << 40).into()),
            "1099511627776",
        ),
        (
            "layers",
            Box::new(|one| {
                let layer = one["layers"][0].clone();
                one["layers"] = vec![layer; 1001].into();
            }),
            "1001 layers",
        ),
        ("diff_ids", Box::new(|one| one["layers"].as_array_mut().unwrap().truncate(1)), "2 layers"),
        (
            "chart",
            Box::new(|one| {
                one["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into()
            }),
            "helm",
        ),
    ];
    for (case, change, word) in cases {
        refuses(case, &image.clone().sealed(change), Box::new(|_, answer| answer), &[word]);
    }
}

#[test]
fn an_index_in_an_index_has_an_end() {
    let image = Image::new(10);
    // Each names the next; none is an image.
    let mut chain = vec![image.manifest.clone()];
    for _ in 0..7 {
        let inner = chain.last().unwrap().clone();
        let kind = if chain.len() == 1 { MANIFEST } else { super::server::INDEX };
        let index = serde_json::json!({ "schemaVersion": 2, "mediaType": super::server::INDEX,
            "manifests": [super::server::descriptor(kind, &inner)] });
        chain.push(super::server::json(&index));
    }
    let twist: Twist = Box::new(move |request, answer| {
        let wanted = chain.iter().find(|bytes| request.is_for(&digest(bytes)));
        match wanted.or((request.is_for("manifests/1")).then(|| chain.last()).flatten()) {
            Some(bytes) => {
                Answer::new(200, bytes.clone()).with("Content-Type", super::server::INDEX)
            }
            None => answer,
        }
    });
    refuses("nested", &image, twist, &["an index names an index"]);
}

/// What ends only because we end it: all at once, each within the limit.
#[test]
fn who_never_answers_or_never_ends_is_given_up_within_thirty_seconds() {
    let image = Image::new(SIZE);
    let first = layer(&image);
    all_at_once(
        &image,
        vec![
            (
                "silent from the start",
                on("/v2/", |answer| answer.sent(Way::Silent)),
                vec!["did not answer"],
            ),
            (
                "a silent manifest",
                on("manifests/1", |answer| answer.sent(Way::Silent)),
                vec!["did not answer"],
            ),
            (
                "a silent layer",
                on(first, |answer| answer.sent(Way::Silent)),
                vec!["did not answer"],
            ),
            (
                "a dripping manifest",
                on("manifests/1", |answer| answer.sent(Way::Drip)),
                vec!["manifests/1"],
            ),
            ("a dripping layer", on(first, |answer| answer.sent(Way::Drip)), vec!["too slow"]),
            (
                "a dripping head",
                on(first, |answer| answer.sent(Way::DrippingHead)),
                vec!["did not answer"],
            ),
            (
                "a layer cut off, again and again",
                on(first, |answer| answer.sent(Way::CutAfter(10))),
                vec!["cut off after"],
            ),
            (
                "a manifest cut off, again and again",
                on("manifests/1", |answer| answer.sent(Way::CutAfter(10))),
                vec!["cut off"],
            ),
            (
                "401 for ever",
                on("/team/", |answer| {
                    Answer { status: 401, ..answer }.with("WWW-Authenticate", "Basic realm=x")
                }),
                vec!["nobody in without a login", "docker login"],
            ),
            (
                "401 without a word",
                on("/team/", |answer| Answer { status: 401, ..answer }),
                vec!["401"],
            ),
            (
                "403",
                on("/team/", |answer| Answer { status: 403, ..answer }),
                vec!["403", "docker login"],
            ),
            (
                "429 for ever",
                on("/team/", |answer| Answer { status: 429, ..answer }),
                vec!["429", "image save"],
            ),
            (
                "429 for an hour",
                on(first, |answer| Answer { status: 429, ..answer }.with("Retry-After", "3600")),
                vec!["429"],
            ),
            (
                "500 for ever",
                on("/team/", |answer| Answer { status: 500, ..answer }),
                vec!["500", "try again later"],
            ),
            ("503 for layers", on(first, |answer| Answer { status: 503, ..answer }), vec!["503"]),
            (
                "redirected for ever",
                on("/team/", |answer| {
                    Answer { status: 307, ..answer }
                        .with("Location", "/v2/team/app/manifests/again")
                }),
                vec!["on and on"],
            ),
        ],
    );
}

/// Where a redirect must not lead.
#[test]
fn redirects_lead_over_http_to_this_machine_only() {
    let image = Image::new(10);
    for (to, word) in [
        ("http://192.0.2.1/x", "plain HTTP"),
        ("ftp://127.0.0.1/x", "neither HTTP nor HTTPS"),
        ("file:///etc/passwd", "neither"),
        ("http://", "no address"),
    ] {
        let twist =
            on("/blobs/", move |answer| Answer { status: 307, ..answer }.with("Location", to));
        refuses(to, &image, twist, &[word]);
    }
    let twist = on("/blobs/", |answer| Answer { status: 307, ..answer });
    refuses("nowhere", &image, twist, &["without saying where"]);
}

/// A lie about one layer does not cost what another image has.
#[test]
fn what_other_images_have_stays() {
    let uth = Uth::new();
    let (image, other) = (Image::new(50), Image::new(SIZE));
    let honest = Server::honest(&image);
    pull(&uth, &[&honest.name()]).ok();
    let before = super::blobs(&uth);
    let liar = Server::start(
        &other,
        on(layer(&other), |mut answer| {
            answer.body[9] ^= 1;
            answer
        }),
    );
    pull(&uth, &[&liar.name()]).one_error(1);
    assert_eq!(super::blobs(&uth), before);
    assert_eq!(names(&uth).len(), 1);
}
