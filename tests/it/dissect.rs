//! `image dissect`, `image history`: images made by hand, taken apart.

use serde_json::{Value, json};

use crate::harness::Uth;
use crate::layout::Layout;
use crate::unpack::build::Tar;

const RELEASE: &str = "PRETTY_NAME=\"Handmade 1\"\nID=handmade\n";

/// Three layers: files, a change with a secret, and the secret taken away again.
fn handmade(layout: &Layout) -> String {
    let below = Tar::new()
        .dir("./", 0o755)
        .dir("./etc/", 0o755)
        .file("./etc/os-release", RELEASE)
        .file("./etc/motd", "hello\n")
        .dir("./lists/", 0o755)
        .file("./lists/packages", &"p".repeat(4000))
        .symlink("./bin", "usr/bin")
        .end();
    let middle = Tar::new()
        .file("etc/motd", "hello, world\n")
        .dir("root/", 0o700)
        .file("root/.secret", "build secret\n")
        .hard("root/again", "root/.secret")
        .end();
    let top = Tar::new().file("root/.wh..secret", "").file("lists/.wh..wh..opq", "").end();
    let history = [
        "ADD files in /",
        "#ENV A=b",
        "RUN /bin/sh -c make-secret",
        "RUN rm secret",
        "#CMD [\"sh\"]",
    ];
    layout.image("1", &[below, middle, top], &history, &json!({ "Cmd": ["sh"] }))
}

fn dissected(uth: &Uth, image: &str) -> Value {
    uth.run(["image", "dissect", image, "--format", "json"]).ok().json()
}

#[test]
fn an_image_is_taken_apart() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let image = handmade(&layout);
    let layout_path = regex::escape(&layout.path().display().to_string());
    for (name, args) in [
        ("image-dissect", &["image", "dissect", &image][..]),
        ("image-dissect-layer", &["image", "dissect", &image, "--layer", "2"]),
        ("image-dissect-tree", &["image", "dissect", &image, "--tree"]),
        ("image-dissect-path", &["image", "dissect", &image, "--path", "/root/.secret"]),
        ("image-history", &["image", "history", &image]),
    ] {
        let ran = uth.run(args).ok();
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.whole());
        ran.snapshot_with(name, &[(&layout_path, "[LAYOUT]")]);
    }
}

/// The form that DESIGN promises: these keys and no others; every member is there.
#[test]
fn json_has_every_member() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let json = dissected(&uth, &handmade(&layout));
    let keys =
        |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&json), "config digest efficiency layers reference size wasted_bytes");
    assert_eq!(keys(&json["layers"][0]), "created_by diff_id digest files size");
    let file = &json["layers"][1]["files"][2];
    assert_eq!(
        *file,
        json!({ "path": "root/.secret", "kind": "file", "size": 13, "mode": 0o644, "uid": 0, "gid": 0,
                "mtime": 1_600_000_000, "link": null, "change": "added" })
    );
    let listed = |layer: usize| -> Vec<String> {
        let files = json["layers"][layer]["files"].as_array().unwrap();
        let line = |file: &Value| {
            format!(
                "{} {} {}",
                file["path"].as_str().unwrap(),
                file["kind"].as_str().unwrap(),
                file["change"].as_str().unwrap()
            )
        };
        files.iter().map(line).collect()
    };
    assert_eq!(listed(0)[..2], [". directory added", "etc directory added"]);
    assert_eq!(listed(0)[6], "bin symlink added");
    assert_eq!(listed(1)[0], "etc/motd file changed");
    assert_eq!(listed(1)[3], "root/again hardlink added");
    assert_eq!(
        listed(2),
        ["root/.wh..secret whiteout removed", "lists/.wh..wh..opq opaque removed"]
    );
    assert_eq!(json["config"]["config"]["Cmd"], json!(["sh"]));
    assert_eq!(json["layers"][2]["created_by"], "RUN rm secret");
    // motd: 6 + 13 in two layers; the secret: 13 + 0. An opaque directory counts for nothing (dive).
    assert_eq!(json["wasted_bytes"], 32);
    let sizes: u64 = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["size"].as_u64().unwrap())
        .sum();
    assert_eq!(json["size"], sizes);
}

/// The documents, byte for byte: their digests can be computed by hand.
#[test]
fn documents_are_given_as_they_are() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let image = handmade(&layout);
    let json = dissected(&uth, &image);
    let script = format!("$UTH image dissect {image} --manifest | sha256sum");
    let sum = uth.sh(&script).ok().stdout;
    assert_eq!(json["digest"], format!("sha256:{}", sum.split_whitespace().next().unwrap()));
    let config = uth.run(["image", "dissect", &image, "--config"]).ok().json();
    assert_eq!(config, json["config"]);
}

/// A second look reads the index only, and sees when somebody wrote to a layer since.
#[test]
fn the_second_look_reads_no_layer() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let image = handmade(&layout);
    let first = dissected(&uth, &image);
    let digest = first["layers"][1]["digest"].as_str().unwrap();
    let traced = |uth: &Uth| {
        let script = format!(
            "strace -f -e trace=openat $UTH image dissect {image} --format json 2>&1 >/dev/null"
        );
        uth.sh(&script).ok().stdout.contains(&digest.replace("sha256:", "blobs/sha256/"))
    };
    if crate::skip::tool("strace").is_ok() {
        assert!(!traced(&uth) && traced(&Uth::new()));
    }
    assert_eq!(dissected(&uth, &image), first);
    // An index that is damaged, cut or of another version is as if there were none.
    let index = uth.home().join("cache/layers").join(digest.replace(':', "-"));
    let good = std::fs::read(&index).unwrap();
    let mut wrong = good.clone();
    wrong[100] ^= 1;
    for bytes in [
        wrong,
        good[..50].to_vec(),
        Vec::new(),
        [&b"under-the-hood layer 0\n"[..], &good[23..]].concat(),
    ] {
        std::fs::write(&index, bytes).unwrap();
        assert_eq!(dissected(&uth, &image), first);
        assert_eq!(std::fs::read(&index).unwrap(), good);
    }
    let file = layout.file(digest);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    uth.run(["image", "dissect", &image]).one_error(1);
}

/// What does not fit is refused, whatever it is, and nothing of it is kept.
#[test]
fn what_is_not_what_it_says_is_refused() {
    let layout = Layout::new();
    let image = handmade(&layout);
    let json = dissected(&Uth::new(), &image);
    let layer = |at: usize| layout.file(json["layers"][at]["digest"].as_str().unwrap());
    let manifest = layout.file(json["digest"].as_str().unwrap());
    let good: Vec<_> = [layer(0), layer(1), manifest]
        .iter()
        .map(|file| (file.clone(), std::fs::read(file).unwrap()))
        .collect();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[600] ^= 1,
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.push(0),
        |bytes| bytes.clear(),
    ];
    for (file, bytes) in &good {
        for damage in damages {
            let uth = Uth::new();
            let mut wrong = bytes.clone();
            if wrong.len() < 601 {
                wrong.resize(601, b' ');
            }
            damage(&mut wrong);
            std::fs::write(file, &wrong).unwrap();
            uth.run(["image", "dissect", &image]).one_error(1);
        }
        std::fs::write(file, bytes).unwrap();
    }
    for args in
        [&["--layer", "0"][..], &["--layer", "4"], &["--path", "../x"], &["--platform", "x"]]
    {
        Uth::new().run([&["image", "dissect", &image], args].concat()).one_error(2);
    }
    Uth::new().run(["image", "dissect", &image, "--path", "nowhere"]).one_error(1);
    Uth::new().run(["image", "dissect", "nobody/has:this"]).one_error(1);
    Uth::new().run(["image", "dissect", "/nowhere/at/all"]).one_error(1);
}

/// The diff_id of the config is compared, though the layer's digest is right.
#[test]
fn a_config_of_another_image_is_refused() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let image = handmade(&layout);
    let json = dissected(&uth, &image);
    let other = json["layers"][1]["diff_id"].as_str().unwrap();
    let lied = json["layers"][0]["diff_id"].as_str().unwrap();
    layout.rewrite_config("1", |config| config.replace(lied, other));
    for uth in [uth, Uth::new()] {
        let ran = uth.run(["image", "dissect", &image]).one_error(1);
        assert!(ran.stderr.contains("diff_id"), "{}", ran.whole());
    }
}

/// A history may be missing, too short or too long: no layer is lost over it.
#[test]
fn histories_that_do_not_fit() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let layers = || [Tar::new().file("a", "1").end(), Tar::new().file("b", "2").end()];
    for (tag, history, made, says) in [
        ("none", &[][..], [json!(null), json!(null)], "no history"),
        ("short", &["#ENV x", "one"], [json!("one"), json!(null)], "1 steps"),
        ("long", &["one", "two", "three", "#CMD"], [json!("one"), json!("two")], "3 steps"),
        ("right", &["#ENV", "one", "#CMD", "two"], [json!("one"), json!("two")], ""),
    ] {
        let image = layout.image(tag, &layers(), history, &json!({}));
        let json = dissected(&uth, &image);
        assert_eq!(
            [&json["layers"][0]["created_by"], &json["layers"][1]["created_by"]],
            [&made[0], &made[1]]
        );
        let told = uth.run(["image", "history", &image]).ok().stdout;
        assert!(told.contains(says), "{told}");
        assert_eq!(
            told.contains("be wrong") || told.contains("no history"),
            !says.is_empty(),
            "{told}"
        );
        let steps = uth.run(["image", "history", &image, "--format", "json"]).ok().json();
        let named = steps["history"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["layer"].is_u64())
            .count();
        assert_eq!(named, 2, "{steps}");
    }
}

/// Names and texts of an image cannot drive the reader's terminal.
#[test]
fn nothing_of_an_image_drives_the_terminal() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let nasty = "\u{1b}]0;owned\u{7}\u{9b}31m\r\u{202e}";
    let layer = Tar::new()
        .pax(b'x', &[("path", format!("etc/{nasty}").as_bytes())])
        .file("x", "1")
        .pax(b'x', &[("path", b"caf\xe9"), ("linkpath", nasty.as_bytes())])
        .symlink("x", "y")
        .file("etc/os-release", &format!("PRETTY_NAME={nasty}\n"))
        .end();
    let config = json!({ "Env": [nasty], "Cmd": [nasty] });
    let image = layout.image("nasty", &[layer], &[nasty], &config);
    for more in [&[][..], &["--layer", "1"], &["--tree"], &["--path", "caf"], &["--format", "json"]]
    {
        let ran = uth.run([&["image", "dissect", &image], more].concat());
        let text = ran.stdout.clone() + &ran.stderr;
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{}", ran.whole());
    }
    let ran = uth.run(["image", "history", &image]).ok();
    assert!(!ran.stdout.chars().any(|c| c.is_control() && c != '\n'), "{}", ran.whole());
    let json = dissected(&uth, &image);
    assert_eq!(json["layers"][0]["files"][0]["path"], format!("etc/{nasty}"));
    assert_eq!(json["layers"][0]["files"][1]["path"], "caf\\xe9");
}

/// What a second image has that the first has not, file by file and in how it starts.
#[test]
fn two_images_side_by_side() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let below = Tar::new()
        .file("same", "1")
        .file("content", "1")
        .with(b'0', "mode", b"1", |header| header.set_mode(0o600))
        .file("gone", "1")
        .symlink("link", "a")
        .end();
    let above = Tar::new()
        .file("content", "two")
        .with(b'0', "mode", b"1", |header| header.set_mode(0o755))
        .file(".wh.gone", "")
        .symlink("link", "b")
        .file("new", "1")
        .hard("hard", "new")
        .end();
    let a = layout.image("a", std::slice::from_ref(&below), &[], &json!({ "Cmd": ["a"] }));
    let b = layout.image("b", &[below, above], &[], &json!({ "Cmd": ["b"], "User": "www" }));
    let diff = |a: &str, b: &str| uth.run(["image", "diff", a, b, "--format", "json"]).ok().json();
    let json = diff(&a, &b);
    let files = json["files"].as_array().unwrap().iter();
    let files: Vec<_> = files
        .map(|file| {
            let what = file["what"].as_array().unwrap().iter().map(|what| what.as_str().unwrap());
            let what = what.collect::<Vec<_>>().join(",");
            let text = |key: &str| file[key].as_str().unwrap();
            format!("{} {} {what}", text("change"), text("path"))
        })
        .collect();
    assert_eq!(
        files,
        [
            "changed content content",
            "removed gone ",
            "added hard ",
            "changed link link",
            "changed mode mode",
            "added new "
        ]
    );
    let keys: Vec<_> = json["config"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["Cmd", "User"]);
    let same = diff(&b, &b);
    assert_eq!((&same["files"], &same["config"]), (&json!([]), &json!([])));
    let path = regex::escape(&layout.path().display().to_string());
    uth.run(["image", "diff", &a, &b]).ok().snapshot_with("image-diff", &[(&path, "[LAYOUT]")]);
}

/// Stacks beside each other: a layer that several have is one row.
#[test]
fn layers_in_common() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let layer = |name: &str| Tar::new().file(name, &name.repeat(2000)).end();
    let one = layout.image("one", &[layer("base"), layer("x")], &[], &json!({}));
    let two = layout.image("two", &[layer("base"), layer("x"), layer("y")], &[], &json!({}));
    let three = layout.image("three", &[layer("base"), layer("z")], &[], &json!({}));
    let share = ["image", "share", &one, &two, &three];
    let json = uth.run([&share[..], &["--format", "json"]].concat()).ok().json();
    let counts: Vec<_> = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["images"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [3, 2, 1, 1]);
    let bytes: u64 = json["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["stored_bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(json["bytes"], bytes);
    assert_eq!(
        json["saved_bytes"].as_u64().unwrap(),
        json["bytes_apart"].as_u64().unwrap() - bytes
    );
    let ran = uth.run(share).ok();
    assert!(
        ran.stdout.is_ascii() && ran.stdout.lines().all(|line| line.len() <= 80),
        "{}",
        ran.whole()
    );
    let path = regex::escape(&layout.path().display().to_string());
    ran.snapshot_with("image-share", &[(&path, "[LAYOUT]")]);
    uth.run(["image", "share"]).one_error(1);
}

/// Whole, or not there at all; and never over what is there.
#[test]
fn an_image_becomes_a_directory() {
    let (uth, layout) = (Uth::new(), Layout::new());
    let image = handmade(&layout);
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    let text = |path: &std::path::Path| path.display().to_string();
    let unpack = |image: &str| uth.run(["image", "unpack", image, &text(&root)]);
    let ran = uth.run(["image", "unpack", &image, &text(&root), "--dry-run"]).ok();
    assert!(ran.stdout.contains("RESOLVE_IN_ROOT") && !root.exists(), "{}", ran.whole());
    unpack(&image).ok();
    assert_eq!(std::fs::read_to_string(root.join("etc/motd")).unwrap(), "hello, world\n");
    assert!(!root.join("root/.secret").exists() && root.join("root/again").exists());
    assert_eq!(std::fs::read_dir(root.join("lists")).unwrap().count(), 0);
    unpack(&image).one_error(2);
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    unpack(&image).ok();
    std::fs::remove_dir_all(&root).unwrap();
    // The top layer is wrong: nothing stays of those below it.
    let json = dissected(&uth, &image);
    let top = layout.file(json["layers"][2]["digest"].as_str().unwrap());
    let good = std::fs::read(&top).unwrap();
    let mut wrong = good.clone();
    let at = wrong.len() - 9;
    wrong[at] ^= 1;
    std::fs::write(&top, wrong).unwrap();
    unpack(&image).one_error(1);
    std::fs::write(&top, good).unwrap();
    let lied = json["layers"][1]["diff_id"].as_str().unwrap();
    let other = json["layers"][0]["diff_id"].as_str().unwrap();
    layout.rewrite_config("1", |config| config.replace(lied, other));
    let ran = unpack(&image).one_error(1);
    assert!(ran.stderr.contains("diff_id"), "{}", ran.whole());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "something stayed");
}

/// The tree is the one that umoci makes: content, mode, owner, times, links, attributes.
#[test]
fn unpacked_as_umoci_does() {
    need!(root);
    need!(tool "umoci");
    let (uth, layout) = (Uth::new(), Layout::new());
    let old = |header: &mut tar::Header| header.set_mtime(1_500_000_000);
    let below = Tar::new()
        .with(b'5', "etc/", b"", old)
        .with(b'5', "srv/", b"", |header| {
            old(header);
            header.set_mode(0o1777)
        })
        .with(b'0', "etc/a", b"1", |header| {
            old(header);
            header.set_uid(33);
            header.set_mode(0o4755)
        })
        .pax(b'x', &[("SCHILY.xattr.user.colour", b"blue"), ("mtime", b"1500000000.123456789")])
        .file("etc/d", "2")
        .with(b'0', "etc/b", b"2", old)
        .hard("etc/hard", "etc/a")
        .symlink("lib", "srv")
        .with(b'5', "gone/", b"", old)
        .file("gone/x", "1")
        .with(b'6', "pipe", b"", old)
        .end();
    // The directories are not named again: they keep their times.
    let above = Tar::new()
        .file("etc/c", "3")
        .file("etc/.wh.b", "")
        .file(".wh.gone", "")
        .file("srv/.wh..wh..opq", "")
        .end();
    let image = layout.image("1", &[below, above], &[], &json!({}));
    let place = tempfile::tempdir().unwrap();
    uth.sh(&format!(
        "cd {}; $UTH image unpack {image} ours && umoci unpack --image {} theirs",
        place.path().display(),
        image.strip_prefix("oci:").unwrap()
    ))
    .ok();
    crate::tree::same(&place.path().join("ours"), &place.path().join("theirs/rootfs"));
}
