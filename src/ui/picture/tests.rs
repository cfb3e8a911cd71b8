//! Each picture from made-up data, on a wide and on a narrow screen.
//! `SNAPSHOTS=overwrite cargo test --lib picture` writes them anew; read the diff.

use std::path::Path;

use super::*;

fn namespaces() -> Picture {
    let types = [
        ("cgroup", "the view of limits", 4026531835, 4026532999),
        ("ipc", "message queues", 4026531839, 4026532997),
        ("mnt", "mount points", 4026531841, 4026532995),
        ("net", "the network", 4026531840, 4026533000),
        ("pid", "process numbers", 4026531836, 4026532998),
        ("time", "clocks", 4026531834, 4026531834),
        ("user", "users", 4026531837, 4026531837),
        ("uts", "the host name", 4026531838, 4026532996),
    ];
    let one = |(name, about, one, other): (&str, &str, u64, u64)| Namespace {
        name: name.to_owned(),
        about: about.to_owned(),
        one,
        other,
    };
    Picture::Namespaces(Namespaces {
        one: "your shell".to_owned(),
        other: "box".to_owned(),
        types: types.map(one).into(),
    })
}

fn cgroups() -> Picture {
    let meter = |what: &str, text: &str, share| Meter {
        what: what.to_owned(),
        text: text.to_owned(),
        share,
    };
    let group = |name: &str, who: Option<&str>, parent, meters: &[Meter]| Group {
        name: name.to_owned(),
        who: who.map(str::to_owned),
        parent,
        meters: meters.to_vec(),
    };
    Picture::Cgroups(Cgroups {
        groups: vec![
            group("/", Some("your shell"), None, &[]),
            group("user.slice", None, Some(0), &[meter("tasks", "214", None)]),
            group(
                "under-the-hood-8c1f-small",
                Some("small"),
                Some(1),
                &[
                    meter("memory", "60 MiB of 64 MiB", Some(0.9375)),
                    meter("tasks", "3 of 20", Some(0.15)),
                ],
            ),
            group(
                "slow",
                Some("slow"),
                Some(0),
                &[meter("cpu", "0.1 CPU, throttled 43 times", None)],
            ),
        ],
    })
}

fn network() -> Picture {
    let interface = |name: &str, address: &str| Interface {
        name: name.to_owned(),
        address: (!address.is_empty()).then(|| address.to_owned()),
    };
    let place = |name: &str, namespace, address: &str, far: Option<&str>| Place {
        name: name.to_owned(),
        namespace,
        interfaces: match far {
            Some(_) => vec![interface("lo", "127.0.0.1/8"), interface("eth0", address)],
            None => vec![interface("lo", "127.0.0.1/8")],
        },
        cable: far.map(|far| Cable { near: "eth0".to_owned(), far: far.to_owned(), bridged: true }),
        note: "no cable leads to it".to_owned(),
    };
    Picture::Network(Network {
        host: Place {
            name: "this machine".to_owned(),
            namespace: 4026531840,
            interfaces: vec![interface("lo", "127.0.0.1/8"), interface("ens5", "172.31.7.9/20")],
            cable: None,
            note: String::new(),
        },
        bridge: Some(interface("uth0", "10.213.0.1/24")),
        containers: vec![
            place("box", 4026532644, "10.213.0.2/24", Some("veth8c1f0a")),
            place("two", 4026532711, "", None),
            place("web", 4026532802, "10.213.0.4/24", Some("veth1d22b9")),
        ],
    })
}

fn layers(count: usize) -> Picture {
    let layer = |n: usize| Layer {
        about: format!(
            "RUN step-{n} of a Dockerfile that is long enough to be cut somewhere in here"
        ),
        size: format!("{n}.5 MiB"),
        bytes: n as u64 * 1_500_000,
    };
    Picture::Layers(Layers {
        container: Some(("web".to_owned(), "3 changes".to_owned())),
        image: "docker.io/library/httpd:2.4".to_owned(),
        layers: (1..=count).map(layer).collect(),
    })
}

fn cpu() -> Picture {
    let runner = |name: &str, about: &str, share, allowed| Runner {
        name: name.to_owned(),
        about: about.to_owned(),
        share,
        allowed,
    };
    Picture::Cpu(Cpu {
        seconds: 1.0,
        runners: vec![
            runner("heavy", "1024 shares", 0.89, None),
            runner("light", "128 shares", 0.11, None),
            runner("slow", "", 0.101, Some(0.1)),
        ],
    })
}

#[track_caller]
fn is_as_before(name: &str, picture: &Picture) {
    for width in [80, 40] {
        let drawing = picture.draw(width);
        let (boxes, ascii) = (text(&drawing, false, false), text(&drawing, true, false));
        for line in boxes.lines().chain(ascii.lines()) {
            assert!(width_of(line) <= width, "{name} at {width}: {line}");
        }
        assert!(ascii.is_ascii(), "{ascii}");
        assert!(
            boxes.lines().count() <= 22 || width < 80,
            "{name} does not fit a screen:\n{boxes}"
        );
        let widths = |text: &str| text.lines().map(width_of).collect::<Vec<_>>();
        assert_eq!(widths(&boxes), widths(&ascii), "{name}: the two are laid out alike");
        let whole = format!("{}\n\n{boxes}\n\n{ascii}\n\n{}\n", picture.title(), picture.words());
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/snapshots/picture-{name}-{width}.txt"));
        let assert = snapbox::Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV);
        assert.eq(whole, snapbox::IntoData::into_data(snapbox::Data::read_from(&path, None).raw()));
    }
}

#[test]
fn namespaces_of_one_and_another() {
    is_as_before("namespaces", &namespaces());
}

#[test]
fn cgroups_below_each_other() {
    is_as_before("cgroups", &cgroups());
}

#[test]
fn cables_and_a_bridge() {
    is_as_before("network", &network());
}

#[test]
fn layers_of_a_root() {
    is_as_before("layers", &layers(3));
    is_as_before("layers-many", &layers(30));
}

#[test]
fn shares_of_a_cpu() {
    is_as_before("cpu", &cpu());
}

/// Text that somebody else has chosen (a container's name, a step of a history)
/// is text on the page, too, and stays in its frame.
#[test]
fn names_of_others_draw_nothing() {
    let hostile = "</text><script>alert(1)</script>\u{1b}[31m\u{202e}";
    let mut picture = layers(1);
    if let Picture::Layers(layers) = &mut picture {
        layers.layers[0].about = hostile.to_owned();
        layers.image = hostile.repeat(9);
    }
    let svg = svg(&picture, 80, "p1", "wide").into_string();
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"), "{svg}");
    assert!(!text(&picture.draw(80), false, false).contains('\u{1b}'));
}

/// What a reader of the page is told who does not see it, and that nothing leaves the sheet.
#[test]
fn a_drawing_for_a_page_is_named_and_stays_on_its_sheet() {
    for picture in [namespaces(), cgroups(), network(), layers(3), cpu()] {
        for width in [80, 40] {
            let drawing = picture.draw(width);
            for shape in &drawing.shapes {
                let (right, bottom) = match shape {
                    Shape::Frame { x, y, w, h, .. } => (x + w, y + h),
                    Shape::Line(points) => points
                        .iter()
                        .fold((0, 0), |(right, low), (x, y)| (right.max(x + 1), low.max(y + 1))),
                    Shape::Branch { x, y, to, .. } => (x.max(to) + 1, y + 1),
                    Shape::Text { x, y, text, .. } => (x + width_of(text), y + 1),
                    Shape::Bar { x, y, w, .. } => (x + w, y + 1),
                };
                assert!(right <= width && bottom <= drawing.height, "{shape:?}");
            }
            let svg = svg(&picture, width, "p1", "wide").into_string();
            for part in [
                "role=\"img\"",
                "aria-labelledby=\"p1-title p1-words\"",
                "<title id=\"p1-title\">",
                "<desc id=\"p1-words\">",
            ] {
                assert!(svg.contains(part), "{part} in {svg}");
            }
            assert!(!svg.contains("NaN") && !svg.contains("style="), "{svg}");
        }
    }
}
