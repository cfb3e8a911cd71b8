//! The store under those who die in it, lie to it, and work in it at once.

use std::fs;
use std::io::Write;

use super::*;
use crate::image::oci::{Config, Execution, Index, Manifest, Other, REF_NAME, RootFs, media};
use crate::step::{Deaf, Recorder, Step};

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store { path: directory.path().to_owned() };
    for sub in ["blobs/sha256", "blobs/sha512", "partial"] {
        fs::create_dir_all(store.path.join(sub)).unwrap();
    }
    store.begin_layout().unwrap();
    (directory, store)
}

/// Brings in an image of these layers; what names its manifest.
fn put(lease: &Lease, layers: &[&[u8]]) -> Descriptor {
    let config = Config {
        created: None,
        author: None,
        architecture: "amd64".to_owned(),
        variant: None,
        os: "linux".to_owned(),
        config: Execution::default(),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| Digest::of(layer)).collect(),
        },
        history: Vec::new(),
        other: Other::new(),
    };
    let put = |media_type, bytes: &[u8]| {
        let descriptor = Descriptor::of(media_type, bytes);
        lease.put(&descriptor, bytes, &mut Deaf).unwrap();
        descriptor
    };
    let layers = layers.iter().map(|layer| put(media::LAYER, layer)).collect();
    let config = put(media::CONFIG, &serde_json::to_vec(&config).unwrap());
    let manifest = Manifest::new(config, layers);
    put(media::MANIFEST, &serde_json::to_vec(&manifest).unwrap())
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn blobs(store: &Store) -> usize {
    fs::read_dir(store.path.join("blobs/sha256")).unwrap().count()
}

fn partials(store: &Store) -> usize {
    fs::read_dir(store.path.join("partial")).unwrap().count()
}

fn writer(lease: &Lease, descriptor: &Descriptor) -> Writer {
    match lease.enter(descriptor).unwrap() {
        Entry::New(writer) => *writer,
        Entry::Here => panic!("it is here"),
    }
}

#[test]
fn an_image_is_found_by_its_names_and_read() {
    let (_directory, store) = store();
    assert!(store.list().unwrap().is_empty());
    let lease = store.lease().unwrap();
    let manifest = put(&lease, &[b"one", b"two"]);
    lease.name(&name("httpd:2.4"), &manifest, None, &mut Deaf).unwrap();
    let by_digest = format!("httpd@{}", manifest.digest);
    for text in ["httpd:2.4", "docker.io/library/httpd:2.4", &by_digest] {
        let image = store.image(&name(text), &Platform::host()).unwrap();
        assert_eq!((image.name.as_str(), image.size()), ("docker.io/library/httpd:2.4", 6));
        let mut layer = String::new();
        let (descriptor, diff_id) = image.layers().nth(1).unwrap();
        image.blob(descriptor).unwrap().read_to_string(&mut layer).unwrap();
        assert_eq!((layer.as_str(), diff_id), ("two", &Digest::of(b"two")));
    }
    let absent = store.image(&name("httpd:2.5"), &Platform::host()).err().unwrap();
    assert!(absent.hint.unwrap().contains("image pull httpd:2.5"));
    let base = store.image(&name("base"), &Platform::host()).err().unwrap();
    assert!(base.hint.unwrap().contains("image base"));
    // The name moves to another image.
    let other = put(&lease, &[b"three"]);
    lease.name(&name("httpd:2.4"), &other, None, &mut Deaf).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(store.resolve(&name("httpd:2.4")).unwrap().unwrap().descriptor.digest, other.digest);
}

#[test]
fn what_is_not_whole_gets_no_name() {
    let (_directory, store) = store();
    let lease = store.lease().unwrap();
    let manifest = put(&lease, &[b"one", b"two"]);
    fs::remove_file(store.blob_path(&Digest::of(b"two"))).unwrap();
    let error = lease.name(&name("x"), &manifest, None, &mut Deaf).unwrap_err();
    assert!(error.said.unwrap().contains(&Digest::of(b"two").to_string()));
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn no_wrong_blob_gets_in() {
    let (_directory, store) = store();
    let lease = store.lease().unwrap();
    let good = Descriptor::of(media::LAYER, b"layer");
    for bytes in [&b"Layer"[..], b"laye", b""] {
        let mut writer = writer(&lease, &good);
        writer.write_all(bytes).unwrap();
        let error = writer.finish(&mut Deaf).unwrap_err();
        assert!(error.tried.contains("verifying"), "{error}");
        assert_eq!((blobs(&store), partials(&store)), (0, 0));
    }
    let mut endless = writer(&lease, &good);
    assert!(endless.write_all(b"layers").is_err(), "not a byte more");
    endless.discard().unwrap();
    let mut steps = Recorder::default();
    lease.put(&good, b"layer", &mut steps).unwrap();
    assert!(steps.0[0].call.starts_with("rename("));
    assert!(matches!(lease.enter(&good).unwrap(), Entry::Here));
    // A blob of another size than somebody says is not the one that is meant.
    let lie = Descriptor::new(media::LAYER, good.digest.clone(), 4);
    assert!(!store.has(&lie));
}

#[test]
fn what_was_cut_is_taken_up_again() {
    let (_directory, store) = store();
    let lease = store.lease().unwrap();
    let layer = Descriptor::of(media::LAYER, b"first and second");
    let mut cut = writer(&lease, &layer);
    cut.write_all(b"first and ").unwrap();
    drop(cut);
    assert_eq!((blobs(&store), partials(&store)), (0, 1));
    let mut again = writer(&lease, &layer);
    assert_eq!(again.have(), 10);
    again.write_all(b"second").unwrap();
    again.finish(&mut Deaf).unwrap();
    assert_eq!(fs::read(store.blob_path(&layer.digest)).unwrap(), b"first and second");

    // What is there is not the beginning of it: found at the end, and removed.
    let other = Descriptor::of(media::LAYER, b"right");
    fs::write(store.path.join(format!("partial/sha256-{}", other.digest.hex())), "wro").unwrap();
    let mut wrong = writer(&lease, &other);
    wrong.write_all(b"ht").unwrap();
    assert!(wrong.finish(&mut Deaf).is_err());
    // Longer than the whole: begun anew.
    fs::write(store.path.join(format!("partial/sha256-{}", other.digest.hex())), "right?").unwrap();
    assert_eq!(writer(&lease, &other).have(), 0);
}

#[test]
fn two_who_bring_in_the_same_do_it_once() {
    let (_directory, store) = store();
    let bytes = vec![7; 1 << 20];
    let layer = Descriptor::of(media::LAYER, &bytes);
    let written: usize = std::thread::scope(|scope| {
        let bring = || {
            let lease = store.lease().unwrap();
            match lease.enter(&layer).unwrap() {
                Entry::Here => 0,
                Entry::New(mut writer) => {
                    bytes.chunks(1 << 12).for_each(|chunk| writer.write_all(chunk).unwrap());
                    writer.finish(&mut Deaf).unwrap();
                    1
                }
            }
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(bring)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((written, blobs(&store), partials(&store)), (1, 1, 0));
}

#[test]
fn names_that_are_given_at_once_are_all_there() {
    let (_directory, store) = store();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let lease = store.lease().unwrap();
                let manifest = put(&lease, &[b"shared", format!("layer {n}").as_bytes()]);
                lease.name(&name(&format!("x:{n}")), &manifest, None, &mut Deaf).unwrap();
            });
        }
    });
    assert_eq!(store.list().unwrap().len(), 8);
    assert_eq!(blobs(&store), 1 + 8 * 3);
}

#[test]
fn removing_takes_what_no_other_image_needs() {
    let (_directory, store) = store();
    let lease = store.lease().unwrap();
    for (tag, layers) in [("one", [&b"shared"[..], b"1"]), ("two", [b"shared", b"2"])] {
        let manifest = put(&lease, &layers);
        lease.name(&name(&format!("x:{tag}")), &manifest, None, &mut Deaf).unwrap();
    }
    drop(writer(&lease, &Descriptor::of(media::LAYER, b"cut")));
    let one = store.resolve(&name("x:one")).unwrap().unwrap();
    // While somebody brings something in, only the name goes.
    let removed = store.remove(std::slice::from_ref(&one), &mut Deaf).unwrap();
    assert_eq!(removed, Removed { blobs: 0, bytes: 0, busy: true });
    assert_eq!((store.list().unwrap().len(), blobs(&store), partials(&store)), (1, 7, 1));
    drop(lease);
    let plan = store.removal(&[]).unwrap();
    let mut steps = Recorder::default();
    let removed = store.remove(&[], &mut steps).unwrap();
    assert_eq!((removed.blobs, removed.busy), (3, false));
    assert_eq!((blobs(&store), partials(&store)), (4, 0));
    let calls = |steps: Vec<Step>| steps.into_iter().map(|step| step.call).collect::<Vec<_>>();
    assert_eq!(calls(plan), calls(steps.0), "the plan is what is done");
    let image = store.image(&name("x:two"), &Platform::host()).unwrap();
    assert!(image.layers().all(|(layer, _)| store.has(layer)));
}

#[test]
fn an_index_stays_with_its_manifest() {
    let (_directory, store) = store();
    let lease = store.lease().unwrap();
    let mut manifest = put(&lease, &[b"one"]);
    manifest.platform = Some(Platform::host());
    let mut elsewhere = Descriptor::of(media::MANIFEST, b"not here");
    elsewhere.platform = Some(Platform::new("linux", "elsewhere", None));
    let index = Index { manifests: vec![elsewhere, manifest.clone()], ..Index::default() };
    let bytes = serde_json::to_vec(&index).unwrap();
    let descriptor = Descriptor::of(media::INDEX, &bytes);
    lease.put(&descriptor, &bytes, &mut Deaf).unwrap();
    lease.name(&name("x"), &manifest, Some(&descriptor.digest), &mut Deaf).unwrap();
    drop(lease);
    assert_eq!(store.remove(&[], &mut Deaf).unwrap().blobs, 0);
    let by_index = name(&format!("x@{}", descriptor.digest));
    let image = store.image(&by_index, &Platform::host()).unwrap();
    assert_eq!(image.index.unwrap().1, index);
    // Another program took it away: then there is none.
    fs::remove_file(store.blob_path(&descriptor.digest)).unwrap();
    assert!(store.image(&name("x"), &Platform::host()).unwrap().index.is_none());
}

#[test]
fn rather_nothing_is_removed_than_too_much() {
    let (_directory, store) = store();
    let lease = store.lease().unwrap();
    let manifest = put(&lease, &[b"one"]);
    lease.name(&name("x"), &manifest, None, &mut Deaf).unwrap();
    drop(lease);
    fs::write(store.blob_path(&manifest.digest), "{damaged").unwrap();
    assert!(store.remove(&[], &mut Deaf).is_err());
    assert_eq!(blobs(&store), 3);
    fs::write(store.path.join("index.json"), "{damaged").unwrap();
    assert!(store.remove(&[], &mut Deaf).is_err());
    assert_eq!(blobs(&store), 3);
}

#[test]
fn what_other_programs_wrote_stays() {
    let (_directory, store) = store();
    let path = store.path.join("index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    index["annotations"] = serde_json::json!({ "theirs": "kept" });
    fs::write(&path, index.to_string()).unwrap();
    let lease = store.lease().unwrap();
    let manifest = put(&lease, &[b"one"]);
    let mut theirs = manifest.clone();
    theirs.annotations.insert(REF_NAME.to_owned(), "Not A Name".to_owned());
    store.change(store.naming("a test"), &mut Deaf, |index| index.manifests.push(theirs)).unwrap();
    lease.name(&name("x"), &manifest, None, &mut Deaf).unwrap();
    let list = store.list().unwrap();
    assert_eq!((list[0].name.as_ref(), list[0].text.as_str()), (None, "Not A Name"));
    let index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(index["annotations"]["theirs"], "kept");
}
