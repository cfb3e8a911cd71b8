//! Images of rkt and of LXD/Incus, made with tar(1) as their specifications say.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::Uth;

const MANIFEST: &str = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/hello",
    "labels":[{"name":"version","value":"1.0"},{"name":"os","value":"linux"}],
    "app":{"exec":["/bin/hello","\u001b[31m"],"user":"0","group":"0"},
    "dependencies":[{"imageName":"example.com/base"}]}"#;

const METADATA: &str = "architecture: x86_64\ncreation_date: 1424284563\nproperties:\n  description: Debian bookworm\n  \
    os: Debian\ntemplates:\n  /etc/hostname:\n    template: hostname.tpl\n";

/// A directory from which archives are made by a shell script.
fn files(uth: &Uth, script: &str) -> PathBuf {
    let place = uth.home().join("made");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("manifest"), MANIFEST).unwrap();
    std::fs::write(place.join("metadata.yaml"), METADATA).unwrap();
    let made = "mkdir -p rootfs/etc rootfs/usr/lib rootfs/bin templates; echo '{{ container.name }}' >templates/hostname.tpl; \
        echo 'PRETTY_NAME=\"Handmade 1\"' >rootfs/usr/lib/os-release; ln -sf ../usr/lib/os-release rootfs/etc/os-release; \
        head -c 5000 /dev/zero >rootfs/bin/hello; ln -f rootfs/bin/hello rootfs/bin/again";
    uth.sh(&format!("set -e; cd {}; {made}; {script}", place.display())).ok();
    place
}

fn dissected(uth: &Uth, path: &std::path::Path) -> (Value, String) {
    let path = path.to_str().unwrap();
    let json = uth.run(["image", "dissect", path, "--format", "json"]).ok().json();
    let ran = uth.run(["image", "dissect", path]).ok();
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.whole());
    (json, ran.stdout.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn what_rkt_and_lxd_take_is_recognised_and_taken_apart() {
    let uth = Uth::new();
    let script = "tar -czf x.aci manifest rootfs; tar -cf late.aci rootfs manifest; \
        tar -cJf lxd.tar.xz metadata.yaml rootfs templates; tar -czf dotted.tar.gz ./metadata.yaml ./rootfs";
    let place = files(&uth, script);
    for (file, format, words) in [
        (
            "x.aci",
            "aci",
            ["rkt ended in 2020", "name example.com/hello", "below it example.com/base"],
        ),
        ("late.aci", "aci", ["rkt ended in 2020", "labels version=1.0 os=linux", "as 0:0"]),
        ("lxd.tar.xz", "lxd-unified", ["Incus", "name Debian bookworm", "writes /etc/hostname"]),
        ("dotted.tar.gz", "lxd-unified", ["Incus", "for x86_64", "says description="]),
    ] {
        let (json, text) = dissected(&uth, &place.join(file));
        assert_eq!(json["format"], format, "{file}");
        for word in words.iter().chain(&["Handmade 1", "layers none"]) {
            assert!(text.contains(word), "{file}: no {word:?} in {text}");
        }
        let list = uth.sh(&format!(
            "cd {}; tar -tf {file} | sed -n 's,^\\(\\./\\)\\?rootfs/,,p' | sed 's,/$,,; /^$/d' | sort",
            place.display()
        ));
        let mut ours: Vec<_> = json["files"].as_array().unwrap().iter().collect();
        ours.sort_by_key(|file| file["path"].as_str());
        let paths: Vec<_> = ours.iter().map(|file| file["path"].as_str().unwrap()).collect();
        assert_eq!(paths.join("\n"), list.ok().stdout.trim(), "{file}");
        let links: Vec<_> = ours.iter().filter(|file| file["kind"] == "hardlink").collect();
        assert_eq!(links.len(), 1, "{file}");
        assert!(["bin/hello", "bin/again"].contains(&links[0]["link"].as_str().unwrap()));
        assert_eq!(json["size"], json!(5000 + 25), "{file}");
        let path = place.join(file).display().to_string();
        let tree = uth.run(["image", "dissect", &path, "--tree"]).ok().stdout;
        assert!(tree.contains("os-release -> ../usr/lib/os-release"), "{tree}");
        let document = uth.run(["image", "dissect", &path, "--config"]).ok().stdout;
        assert_eq!(document, if format == "aci" { MANIFEST } else { METADATA });
        uth.run(["image", "dissect", &path, "--layer", "1"]).one_error(2);
        // It is no image to run, and where it can be looked at is said.
        let error = uth.run(["run", &path]).one_error(125);
        assert!(error.stderr.contains("image dissect"), "{}", error.whole());
    }
}

#[test]
fn halves_of_split_images_are_told_from_each_other() {
    let uth = Uth::new();
    // The superblock of a squashfs, and the header of a qcow2, by their specifications.
    let script = "tar -cJf meta.tar.xz metadata.yaml templates; tar -cf neither.tar rootfs templates; \
        printf 'hsqs\\007\\000\\000\\000\\000\\000\\000\\000\\000\\000\\002\\000\\000\\000\\000\\000\\006\\000' >rootfs.squashfs; \
        head -c 100 /dev/zero >>rootfs.squashfs; printf 'QFI\\373\\000\\000\\000\\003' >disk.qcow2; head -c 100 /dev/zero >>disk.qcow2; \
        tar -cf bad.aci manifest rootfs metadata.yaml";
    let place = files(&uth, script);
    for (file, format, words) in [
        ("meta.tar.xz", "lxd-metadata", ["one half of a split image", "name Debian bookworm"]),
        (
            "rootfs.squashfs",
            "squashfs",
            ["mount -t squashfs", "files 7 inodes packed zstd blocks 131072"],
        ),
        ("disk.qcow2", "qcow2", ["virtual machine", "version 3"]),
    ] {
        let (json, text) = dissected(&uth, &place.join(file));
        assert_eq!((&json["format"], &json["files"]), (&json!(format), &Value::Null), "{file}");
        for word in words {
            assert!(text.contains(word), "{file}: no {word:?} in {text}");
        }
    }
    for (file, word) in [("neither.tar", "metadata.yaml"), ("bad.aci", "both of them")] {
        let path = place.join(file);
        let error = uth.run(["image", "dissect", path.to_str().unwrap()]).one_error(1);
        assert!(error.stderr.contains(word), "{}", error.whole());
    }
    let path = place.join("x.aci");
    uth.sh(&format!(
        "cd {}; tar -czf whole.aci manifest rootfs; head -c 200 whole.aci >x.aci",
        place.display()
    ))
    .ok();
    uth.run(["image", "dissect", path.to_str().unwrap()]).one_error(1);
}

/// A real squashfs, where there is mksquashfs: what its superblock says is what was put in.
#[test]
fn a_real_squashfs_says_how_much_is_in_it() {
    need!(tool "mksquashfs");
    let uth = Uth::new();
    let place = files(&uth, "mksquashfs rootfs r.squashfs -quiet -no-progress >&2");
    let (json, _) = dissected(&uth, &place.join("r.squashfs"));
    let count =
        uth.sh(&format!("cd {}/rootfs; find . -printf '%i\\n' | sort -u | wc -l", place.display()));
    let inodes = format!("{} inodes", count.ok().stdout.trim());
    assert_eq!(json["facts"]["files"], inodes);
}
