//! `inspect layers`: held against overlays that are made here with everything
//! in them that a layer can say, and against our own containers. Docker's and
//! Podman's, by their own `diff`, are in interop.rs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Ran, Uth};
use crate::inspect::in_a_world;

/// Without root a container needs a user namespace.
macro_rules! need_containers {
    () => {
        if !rustix::process::geteuid().is_root() {
            need!(user_namespace);
        }
    };
}

/// `A /x` for every change.
pub fn changes(json: &Value) -> BTreeSet<String> {
    let line = |change: &Value| {
        format!("{} {}", change["change"].as_str().unwrap(), change["path"].as_str().unwrap())
    };
    json["changes"].as_array().unwrap_or_else(|| panic!("{json:#}")).iter().map(line).collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// An overlay of two layers with awkward names, changed in every way, and a
/// process whose `/` it is.
const OVERLAY: &str = r#"
cd $T; mkdir up work merged link; low='low:er,1=\x'; mkdir "$low" base
mkdir base/etc base/lib base/opq base/gone base/swap; ln -s lib base/lib64; ln -s /etc base/esc
echo 1 >base/etc/passwd; echo 1 >base/etc/kept; echo 1 >base/lib/x; echo 1 >base/opq/old
echo 1 >base/gone/in; echo 1 >base/swap/in; echo 1 >base/file; echo 1 >base/same
mkdir "$low/etc"; echo 2 >"$low/etc/passwd"; ln -s ../up link/relative
escaped=$(printf %s "$low" | sed 's/[\\:,]/\\&/g')
mount -t overlay overlay -o "lowerdir=$escaped:base,upperdir=$T/link/relative,workdir=$T/work,userxattr" merged
cd merged
echo 3 >etc/own; rm -r gone; rm -r opq; mkdir opq; echo 3 >opq/new; rm file; mkdir file; echo 3 >file/in
rm -r swap; echo 3 >swap; chmod 700 lib; exec 3<>same; exec 3>&-; mkdir -p a/b; ln -s /etc/passwd a/out
cd $T
perl -e 'chroot $ARGV[0] or die; chdir "/"; sleep 600' $T/merged & pid=$!
until [ "$(readlink /proc/$pid/root)" = $T/merged ]; do sleep 0.01; done
"#;

const CHANGED: [&str; 13] = [
    "C /etc",
    "A /etc/own",
    "D /gone",
    "C /opq",
    "A /opq/new",
    "D /opq/old",
    "C /file",
    "A /file/in",
    "C /swap",
    "C /lib",
    "A /a",
    "A /a/b",
    "A /a/out",
];

#[test]
fn an_overlay_is_taken_apart_and_its_changes_are_those_that_were_made() {
    need!(user_namespace);
    need!(tool "perl");
    let uth = Uth::new();
    let looks = r#"
$UTH inspect layers $pid
for path in etc/passwd lib64/x etc/own gone/in opq opq/old esc/kept none ../../etc/kept; do
  $UTH inspect layers $pid --path /$path --format json >$T/$(echo $path | tr -d ./).json
done
$UTH inspect layers $pid --format json >$T/json"#;
    let ran = in_a_world(&uth, &format!("{OVERLAY}{looks}")).ok();
    for word in ["LAYER  ROLE   DIRECTORY", "overlayfs", "Changed so far", "A /opq/new"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.whole());
    }
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(uth.home().join(name)).unwrap()).unwrap()
    };
    let json = read("json");
    assert_eq!(changes(&json), set(&CHANGED), "{json:#}");
    assert_eq!(json["compared"], "upper");
    let home = uth.home().to_string_lossy().into_owned();
    let directories: Vec<_> = json["layers"].as_array().unwrap().iter().collect();
    let of = |at: usize| (directories[at]["role"].clone(), directories[at]["directory"].clone());
    assert_eq!(
        of(0),
        ("upper".into(), format!("{home}/up").into()),
        "the link of its path is followed"
    );
    assert_eq!(of(1), ("lower".into(), format!(r"{home}/low:er,1=\x").into()), "{json:#}");
    assert_eq!(of(2), ("lower".into(), format!("{home}/base").into()));
    assert_eq!(directories.len(), 4, "and work");
    let path = |name: &str| {
        let path = read(&format!("{name}.json"))["path"].clone();
        let here = path["layers"].as_array().unwrap().iter();
        let here: Vec<_> = here.map(|layer| json!([layer["here"], layer["seen"]])).collect();
        (path["resolved"].as_str().unwrap().to_owned(), path["from"].clone(), json!(here))
    };
    let none = json!([null, null]);
    let expect = |name: &str, resolved: &str, from: Value, here: Value| {
        assert_eq!(path(name), (resolved.to_owned(), from, here), "{name}");
    };
    expect("etcpasswd", "/etc/passwd", 1.into(), json!([none, ["file", true], ["file", false]]));
    expect("lib64x", "/lib/x", 2.into(), json!([none, none, ["file", true]]));
    expect("etcown", "/etc/own", 0.into(), json!([["file", true], none, none]));
    expect("gonein", "/gone/in", Value::Null, json!([none, none, ["file", false]]));
    expect("opqold", "/opq/old", Value::Null, json!([none, none, ["file", false]]));
    let opaque = json!([["directory (opaque)", true], none, ["directory", false]]);
    expect("opq", "/opq", 0.into(), opaque);
    expect("esckept", "/etc/kept", 2.into(), json!([none, none, ["file", true]]));
    expect("none", "/none", Value::Null, json!([none, none, none]));
    expect("etckept", "/etc/kept", 2.into(), json!([none, none, ["file", true]]));
}

/// What was mounted later over a layer, or over a part of one, is not the layer.
#[test]
fn a_layer_that_is_mounted_over_is_not_read() {
    need!(user_namespace);
    need!(tool "perl");
    let uth = Uth::new();
    let script = r#"
look() { $UTH inspect layers $pid --format json >$T/$1; }
look right
mount -t tmpfs none $T/base; look empty; mkdir $T/base/etc; echo 9 >$T/base/etc/passwd; look other; umount $T/base
mount -t tmpfs none $T/base/lib; look part; umount $T/base/lib
mount -t tmpfs none $T/up; echo 9 >$T/up/new; look upper; umount $T/up
look again
"#;
    in_a_world(&uth, &format!("{OVERLAY}{script}")).ok();
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(uth.home().join(name)).unwrap()).unwrap()
    };
    assert_eq!(changes(&read("right")), set(&CHANGED));
    assert_eq!(changes(&read("again")), set(&CHANGED));
    for name in ["empty", "other"] {
        let json = read(name);
        let error = json["layers"][2]["error"].as_str().unwrap_or_default();
        assert!(error.contains("mounted there by now"), "{name}: {json:#}");
        assert!(json["changes"].is_null() && json["changes_error"].is_string(), "{json:#}");
        assert!(json["layers"][1]["error"].is_null(), "{name}: {json:#}");
    }
    let part = read("part");
    assert!(part["changes_error"].as_str().unwrap().contains("EXDEV"), "{part:#}");
    let upper = read("upper");
    assert!(upper["layers"][0]["error"].is_string(), "{upper:#}");
    assert_eq!(upper["compared"], "merged", "{upper:#}");
    assert!(!changes(&upper).contains("A /new"), "{upper:#}");
}

/// What a container of ours says when it has changed everything that it will.
fn looked_at(uth: &Uth, name: &str) -> Ran {
    let start = Instant::now();
    loop {
        let ran = uth.run(["inspect", "layers", name, "--format", "json"]).ok();
        if changes(&ran.json()).contains("A /ready") {
            return ran;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{}", ran.whole());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn of_our_own_container_every_change_is_found_though_its_upper_layer_is_out_of_reach() {
    need_containers!();
    let uth = Uth::new();
    let script = "rm /etc/os-release; mkdir -p /d/e; echo x >/d/e/f; echo x >/etc/profile; echo x >/ready; sleep 600";
    uth.run(["run", "-d", "--network", "none", "--name", "box", "base", "sh", "-c", script]).ok();
    let json = looked_at(&uth, "box").json();
    if json["overlay"] == false {
        return; // this kernel gives an ordinary user no overlayfs: its root is a copy
    }
    let found = changes(&json);
    for line in ["D /etc/os-release", "C /etc", "C /etc/profile", "A /d", "A /d/e", "A /d/e/f"] {
        assert!(found.contains(line), "{line}: {json:#}");
    }
    assert!(!found.iter().any(|line| line.contains("/proc") || line.contains("/bin")), "{json:#}");
    assert_eq!(json["compared"], "merged");
    let path = |path: &str| {
        let ran = uth.run(["inspect", "layers", "box", "--path", path, "--format", "json"]).ok();
        ran.json()["path"]["from"].clone()
    };
    assert_eq!(path("/d/e/f"), 0);
    assert_eq!(path("/etc/profile"), 0);
    assert_eq!(path("/etc/os-release"), Value::Null);
    assert_eq!(path("/bin/sh"), 1);
    uth.run(["stop", "-t", "0", "box"]).ok();
}

#[test]
fn a_kept_layer_is_read_itself() {
    need_containers!();
    let uth = Uth::new();
    let script = "rm /etc/os-release; echo x >/ready; sleep 600";
    let args = ["run", "-d", "--keep", "--network", "none", "--name", "box", "base", "sh", "-c"];
    uth.run(args.into_iter().chain([script])).ok();
    let json = looked_at(&uth, "box").json();
    assert_eq!(json["compared"], "upper", "{json:#}");
    assert!(changes(&json).contains("D /etc/os-release"), "{json:#}");
    uth.run(["stop", "-t", "0", "box"]).ok();
    uth.run(["rm", "box"]).ok();
}

#[test]
fn a_root_without_layers_is_called_one() {
    need!(user_namespace);
    need!(tool "perl");
    let uth = Uth::new();
    let script = r#"
mkdir $T/tree
perl -e 'chroot $ARGV[0] or die; chdir "/"; sleep 600' $T/tree & pid=$!
until [ "$(readlink /proc/$pid/root)" = $T/tree ]; do sleep 0.01; done
$UTH inspect layers $pid
$UTH inspect layers $pid --format json >$T/json
! $UTH inspect layers $pid --path /etc"#;
    let ran = in_a_world(&uth, script).ok();
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("has no layers: its / is the directory"), "{}", ran.whole());
    assert!(ran.stderr.contains("Error: looking for /etc in the layers"), "{}", ran.whole());
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(uth.home().join("json")).unwrap()).unwrap();
    assert_eq!((&json["overlay"], &json["changes"]), (&false.into(), &Value::Null));
}

#[test]
fn what_is_closed_to_us_is_one_error() {
    need!(ordinary_user);
    let uth = Uth::new();
    let ran = uth.run(["inspect", "layers", "1"]).one_error(1);
    assert!(ran.stderr.contains("sudo"), "{}", ran.whole());
    uth.run(["inspect", "layers", "no-such-container"]).one_error(1);
}
