//! Layers made by hand, and what must be found in them.

use super::efficiency::{self, Wasted};
use super::listing::Kind;
use super::scan::scan;
use super::stack::{Change, Stack};
use super::{Layer, distribution};
use crate::image::oci::{Descriptor, Digest, media};

/// A tar archive: `NAME` with its content, `NAME/` a directory, `NAME -> LINK`.
fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        if let Some((name, link)) = name.split_once(" -> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, name, link).unwrap();
            continue;
        }
        header.set_entry_type(match name.ends_with('/') {
            true => tar::EntryType::Directory,
            false => tar::EntryType::Regular,
        });
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn layer(members: &[(&str, &str)]) -> Layer {
    let bytes = tar(members);
    let digest = Digest::of(&bytes);
    let descriptor = Descriptor::new(media::LAYER, digest.clone(), bytes.len() as u64);
    scan(&bytes[..], &descriptor, &digest).unwrap()
}

#[test]
fn a_layer_whose_diff_id_is_another_is_refused() {
    let bytes = tar(&[("a", "1")]);
    let descriptor = Descriptor::new(media::LAYER, Digest::of(&bytes), bytes.len() as u64);
    let error = scan(&bytes[..], &descriptor, &Digest::of(b"other")).unwrap_err();
    assert!(error.tried.contains("diff_id"), "{error}");
    // The sum is of all its bytes, those after the end too.
    let longer = [&bytes[..], &[0; 512]].concat();
    assert!(scan(&longer[..], &descriptor, &Digest::of(&bytes)).is_err());
    assert!(scan(&longer[..], &descriptor, &Digest::of(&longer)).is_ok());
}

#[test]
fn every_entry_is_told_by_what_it_does() {
    let layers = [
        layer(&[
            ("./", ""),
            ("etc/", ""),
            ("etc/a", "1"),
            ("etc/b", "2"),
            ("d/", ""),
            ("d/x", "3"),
            ("d/y", "4"),
        ]),
        layer(&[
            ("etc/a", "1"),
            ("etc/b", "changed"),
            ("etc/c", "new"),
            ("d/y", "new"),
            ("d/.wh..wh..opq", ""),
            (".wh.nothing", ""),
            (".wh..wh.plnk/", ""),
        ]),
        layer(&[(".wh.etc", ""), ("etc/", ""), ("d", "a file now")]),
    ];
    let stack = Stack::of(&layers);
    let of = |at: usize| -> Vec<_> {
        let named = layers[at].listing.iter().zip(&stack.changes[at]);
        named
            .map(|(entry, change)| {
                (String::from_utf8_lossy(entry.path).into_owned(), change.name())
            })
            .collect()
    };
    let expected = |pairs: &[(&str, &'static str)]| -> Vec<_> {
        pairs.iter().map(|(path, change)| ((*path).to_owned(), *change)).collect()
    };
    assert_eq!(
        of(1),
        expected(&[
            ("etc/a", "unchanged"),
            ("etc/b", "changed"),
            ("etc/c", "added"),
            ("d/y", "changed"),
            ("d/.wh..wh..opq", "removed"),
            (".wh.nothing", "removed"),
            (".wh..wh.plnk", "nothing"),
        ])
    );
    assert_eq!(stack.changes[2], [Change::Removed, Change::Unchanged, Change::Changed]);
    let seen: Vec<_> = stack.seen().map(|(place, entry)| (place.layer, entry.path)).collect();
    assert_eq!(seen, [(0, &b""[..]), (2, b"d"), (2, b"etc")]);
    let hidden: Vec<_> = stack
        .hidden
        .iter()
        .map(|hidden| (hidden.by.layer, stack.entry(hidden.what).path))
        .collect();
    for expected in [(1, &b"d/x"[..]), (1, b"d/y"), (2, b"etc/c"), (2, b"d/y"), (1, b"etc/b")] {
        assert!(hidden.contains(&expected), "{expected:?} in {hidden:?}");
    }
    assert_eq!(layers[1].listing.get(4).kind, Kind::Opaque);
}

/// By hand, after dive's definition.
#[test]
fn what_is_wasted() {
    let ten = "0123456789";
    let layers = [
        layer(&[("a", ten), ("b", ten), ("dir/", ""), ("dir/x", ten), ("dir/y", ten)]),
        layer(&[("a", "12345"), (".wh.b", ""), (".wh.dir", "")]),
    ];
    // a: 10 + 5, least 5. b: 10 + 0 (a file that is taken away counts as nothing), least 0.
    // dir/x, dir/y: 10 each, once. dir: 20 (what was in it), once.
    let found = efficiency::of(&layers);
    assert_eq!(found.size, 45);
    assert_eq!(found.wasted, 25);
    let wasted = |path: &str, bytes| Wasted { path: path.into(), bytes, layers: 2 };
    assert_eq!(found.paths, [wasted("a", 15), wasted("b", 10)]);
    assert!((found.score - 45.0 / 65.0).abs() < 1e-12, "{}", found.score);

    assert_eq!(efficiency::of(&[]).score.to_bits(), 1.0_f64.to_bits());
    let once = efficiency::of(&layers[..1]);
    assert_eq!((once.size, once.wasted, once.score.to_bits()), (40, 0, 1.0_f64.to_bits()));
    // An opaque whiteout hides nothing, and one of nothing ends its layer's count.
    let opaque = [layer(&[("d/a", ten)]), layer(&[("d/.wh..wh..opq", ""), ("d/a", ten)])];
    assert_eq!(efficiency::of(&opaque).wasted, 20);
    let nothing = [layer(&[("z", ten)]), layer(&[(".wh.gone", ""), ("z", ten)])];
    assert_eq!((efficiency::of(&nothing).wasted, efficiency::of(&nothing).size), (0, 20));
}

#[test]
fn a_distribution_says_its_name_through_links_and_layers() {
    let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
    let mut layers = vec![
        layer(&[("lib -> usr/lib", ""), ("usr/lib/os-release", debian)]),
        layer(&[("etc/os-release -> ../lib/os-release", "")]),
    ];
    let found = distribution::of(&layers, &Stack::of(&layers)).unwrap();
    assert_eq!(found.name, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!((found.id.as_deref(), found.version.as_deref()), (Some("debian"), Some("12")));
    assert_eq!((&found.path[..], found.layer), (&b"usr/lib/os-release"[..], 0));
    layers.push(layer(&[(".wh.etc", ""), (".wh.usr", "")]));
    assert_eq!(distribution::of(&layers, &Stack::of(&layers)), None);
    let circle = [layer(&[("etc -> a", ""), ("a -> etc", "")])];
    assert_eq!(distribution::of(&circle, &Stack::of(&circle)), None);
}
