//! Odd but lawful archives are unpacked as GNU tar unpacks them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use under_the_hood::image::unpack::{Options, unpack};
use under_the_hood::step::Deaf;

use super::build::{Tar, header};
use super::sandbox::{self, PLACE, Seen, look, outside};

/// What both must agree on. Times of this test's own run are those of
/// directories that no member names.
fn comparable(root: &Path, since: i64) -> BTreeMap<PathBuf, Seen> {
    let mut seen = look(root);
    for file in seen.values_mut() {
        file.inode = 0;
        file.ctime = (0, 0);
        if file.mtime.0 >= since {
            file.mtime = (0, 0);
        }
    }
    seen
}

fn compare(name: &str, archive: &[u8]) {
    let place = Path::new(PLACE).join("compare");
    let (ours, theirs) = (place.join("ours"), place.join("theirs"));
    fs::create_dir_all(&ours).unwrap();
    fs::create_dir_all(&theirs).unwrap();
    let file = place.join("archive");
    fs::write(&file, archive).unwrap();
    let since = now();
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&file)
        .arg("-C")
        .arg(&theirs);
    let output = tar.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: GNU tar refuses it: {said}");
    for by_hand in [false, true] {
        let options = Options { by_hand, ..Options::default() };
        let unpacked = unpack(archive, &ours, &options, &mut Deaf)
            .unwrap_or_else(|error| panic!("{name}: {error} {:?}", error.hint));
        assert_eq!(unpacked.left_out, Default::default(), "{name}");
        let (mut ours, theirs) = (comparable(&ours, since), comparable(&theirs, since));
        for (path, file) in &theirs {
            // GNU tar forgets the time of a directory that it comes back to over a link.
            if file.mtime == (0, 0)
                && let Some(ours) = ours.get_mut(path)
            {
                ours.mtime = (0, 0);
            }
        }
        let names = |tree: &BTreeMap<PathBuf, Seen>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "{name} by hand: {by_hand}");
        for (path, file) in &ours {
            assert_eq!(file, &theirs[path], "{name}: {} by hand: {by_hand}", path.display());
        }
        // The second time over what the first one made.
    }
    fs::remove_dir_all(&place).unwrap();
}

/// A minute ago, in seconds since 1970.
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs().cast_signed() - 60
}

fn odd() -> Vec<(&'static str, Vec<u8>)> {
    let mut cases: Vec<(&str, Tar)> = Vec::new();
    cases.extend(replacing());
    cases.extend(naming());
    cases.extend(attributes());
    let mut cases: Vec<_> = cases.into_iter().map(|(name, tar)| (name, tar.end())).collect();
    cases.extend(framing());
    cases
}

fn replacing() -> Vec<(&'static str, Tar)> {
    vec![
        ("file over file", Tar::new().file("f", "one, longer").file("f", "two")),
        ("file over symlink", Tar::new().symlink("f", "g").file("g", "g").file("f", "f")),
        ("symlink over file", Tar::new().file("f", "x").symlink("f", "g")),
        ("symlink over an empty directory", Tar::new().dir("d", 0o755).symlink("d", "e")),
        ("directory over file", Tar::new().file("d", "x").dir("d", 0o750)),
        (
            "directory over symlink",
            Tar::new().dir("e", 0o755).symlink("d", "e").dir("d", 0o750).file("d/f", "x"),
        ),
        (
            "a directory twice",
            Tar::new().dir("d", 0o700).file("d/f", "x").dir("d", 0o755).file("d/g", "y"),
        ),
        ("a directory after what is in it", Tar::new().file("d/f", "x").dir("d", 0o710)),
        ("parents that are not members", Tar::new().file("a/b/c", "x")),
        ("hard link", Tar::new().file("f", "x").hard("g", "f").hard("d/h", "g")),
        ("hard link to a symlink", Tar::new().file("f", "x").symlink("l", "f").hard("h", "l")),
        (
            "hard link, then another file of its name",
            Tar::new().file("f", "x").hard("g", "f").file("f", "new"),
        ),
        ("hard link by ./", Tar::new().file("./a/f", "x").hard("./a/g", "./a/f")),
        ("pipe over file", Tar::new().file("p", "x").with(b'6', "p", b"", |_| {})),
    ]
}

fn naming() -> Vec<(&'static str, Tar)> {
    let bytes = |name: &'static [u8]| Tar::new().raw(header(b'0', name, 0), b"");
    let long = "n".repeat(120) + "/" + &"m".repeat(200);
    vec![
        (". as a member", Tar::new().dir("./", 0o711).file("./f", "x")),
        ("names of other encodings", bytes(b"caf\xe9 \xff\xfe")),
        ("names with control characters", bytes(b"a\nb\tc\x1b[31m")),
        ("a name like an option", Tar::new().file("-rf", "x").file(" ", "y").file("d/...", "z")),
        (
            "symlink as parent",
            Tar::new().dir("usr/lib", 0o755).symlink("lib", "usr/lib").file("lib/x", "x"),
        ),
        ("dangling symlink", Tar::new().symlink("a", "none").symlink("b", "/none/such")),
        (
            "symlink to nowhere in particular",
            Tar::new().symlink("a", "..").symlink("b", "../../../x"),
        ),
        ("GNU's long name", Tar::new().long(b'L', long.as_bytes()).file("x", "long")),
        ("GNU's long link", Tar::new().long(b'K', long.as_bytes()).symlink("l", "x")),
        ("pax path", Tar::new().pax(b'x', &[("path", long.as_bytes())]).file("x", "long")),
        ("pax link", Tar::new().pax(b'x', &[("linkpath", long.as_bytes())]).symlink("l", "x")),
        (
            "pax path over GNU's long name",
            Tar::new().long(b'L', b"gnu").pax(b'x', &[("path", b"pax")]).file("x", "y"),
        ),
        ("absolute names", Tar::new().dir("/a", 0o755).file("/a/b", "x").hard("/a/c", "/a/b")),
        ("a prefix, as ustar has it", {
            let mut head = tar::Header::new_ustar();
            head.set_path("p".repeat(90) + "/" + &"q".repeat(90)).unwrap();
            head.set_mode(0o640);
            head.set_mtime(1_000_000);
            head.set_uid(0);
            head.set_gid(0);
            head.set_size(1);
            Tar::new().raw(head, b"x")
        }),
        (
            "a directory as it was before POSIX",
            Tar::new().with(0, "d/", b"", |header| header.set_mode(0o755)).file("d/f", "x"),
        ),
        ("a contiguous file", Tar::new().with(b'7', "f", b"content", |_| {})),
    ]
}

fn attributes() -> Vec<(&'static str, Tar)> {
    let mode = |mode| move |header: &mut tar::Header| header.set_mode(mode);
    vec![
        (
            "set-uid, set-gid, sticky",
            Tar::new()
                .with(b'0', "u", b"x", mode(0o4755))
                .with(b'0', "g", b"x", mode(0o2755))
                .dir("t", 0o1777)
                .dir("s", 0o2775),
        ),
        (
            "owners, and their set-uid programs",
            Tar::new().with(b'0', "u", b"x", |header| {
                header.set_uid(1000);
                header.set_gid(2000);
                header.set_mode(0o6755);
            }),
        ),
        (
            "a closed directory",
            Tar::new().dir("d", 0o000).file("d/f", "x").dir("d/e", 0o555).file("d/e/g", "y"),
        ),
        (
            "a set-gid parent",
            Tar::new()
                .with(b'5', "d", b"", |header| {
                    header.set_gid(50);
                    header.set_mode(0o2775);
                })
                .file("d/f", "x")
                .dir("d/e", 0o755),
        ),
        (
            "times with fractions",
            Tar::new()
                .pax(b'x', &[("mtime", b"1500000000.123456789")])
                .file("f", "x")
                .pax(b'x', &[("mtime", b"1500000000.25")])
                .symlink("l", "f")
                .pax(b'x', &[("mtime", b"1500000000.5")])
                .dir("d", 0o755)
                .file("d/x", ""),
        ),
        ("times before 1970", Tar::new().pax(b'x', &[("mtime", b"-1.5")]).file("f", "x")),
        (
            "large ids",
            Tar::new()
                .pax(b'x', &[("uid", b"3000000000"), ("gid", b"2097152")])
                .file("f", "x")
                .with(b'0', "g", b"", |header| header.set_uid(100_000_000)),
        ),
        (
            "an extended header for all",
            Tar::new().pax(b'g', &[("mtime", b"1234567890")]).file("f", "x").file("g", "y"),
        ),
        (
            "extended size",
            Tar::new()
                .pax(b'x', &[("size", b"3")])
                .raw(header(b'0', b"f", 0), b"")
                .bytes(b"abc")
                .file("g", "y"),
        ),
        (
            "extended attributes",
            Tar::new()
                .pax(
                    b'x',
                    &[
                        ("SCHILY.xattr.trusted.a", b"one"),
                        ("SCHILY.xattr.trusted.b", b"two\nlines=2"),
                    ],
                )
                .file("f", "x")
                .pax(b'x', &[("SCHILY.xattr.trusted.d", b"dir")])
                .dir("d", 0o755),
        ),
        ("pipe", Tar::new().with(b'6', "p", b"", mode(0o622))),
        (
            "devices",
            Tar::new()
                .device(b'3', "null", 1, 3)
                .device(b'4', "loop", 7, 9)
                .device(b'3', "big", 300, 70_000),
        ),
        (
            "an empty field",
            Tar::new().with(b'0', "f", b"x", |header| {
                header.as_old_mut().uid = [0; 8];
                header.as_old_mut().gid = [0; 8];
            }),
        ),
    ]
}

fn framing() -> Vec<(&'static str, Vec<u8>)> {
    let tar = || Tar::new().file("a", "content").dir("d", 0o755).file("d/b", &"long ".repeat(1000));
    let run = |program: &str, bytes: &[u8]| {
        let file = Path::new(PLACE).join("pack");
        fs::write(&file, bytes).unwrap();
        let output = Command::new(program).args(["-c"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{program}");
        output.stdout
    };
    let whole = tar().end();
    let halves = whole.split_at(1000);
    vec![
        ("nothing at all", Tar::new().end()),
        ("no end", tar().0),
        ("one block of zeroes", [&tar().0[..], &[0; 512]].concat()),
        ("something after the end", [&whole[..], &Tar::new().file("hidden", "x").0].concat()),
        ("padded as for a tape", [&whole[..], &[0; 20480]].concat()),
        ("gzip", run("gzip", &whole)),
        ("gzip in two parts", [run("gzip", halves.0), run("gzip", halves.1)].concat()),
        ("zstd", run("zstd", &whole)),
        ("zstd in two parts", [run("zstd", halves.0), run("zstd", halves.1)].concat()),
        ("xz", run("xz", &whole)),
        ("a volume's label", Tar::new().with(b'V', "label", b"", |_| {}).file("f", "x").end()),
    ]
}

/// Files with holes as GNU tar writes them, in all its ways.
fn sparse() -> Vec<(String, Vec<u8>)> {
    let place = Path::new(PLACE).join("sparse");
    fs::create_dir_all(&place).unwrap();
    let file = fs::File::create(place.join("holes")).unwrap();
    for n in 0..40_u64 {
        std::os::unix::fs::FileExt::write_all_at(
            &file,
            format!("data {n}").as_bytes(),
            n * 100_000,
        )
        .unwrap();
    }
    file.set_len(10_000_000).unwrap();
    fs::File::create(place.join("nothing but a hole")).unwrap().set_len(1 << 20).unwrap();
    fs::write(place.join("whole"), "x".repeat(5000)).unwrap();
    let ways = [
        "--format=gnu",
        "--format=pax --sparse-version=0.0",
        "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0",
    ];
    ways.iter()
        .map(|way| {
            let mut tar = Command::new("tar");
            tar.args(way.split(' ')).args(["--sparse", "-cf", "-", "."]).current_dir(&place);
            let output = tar.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            ((*way).to_owned(), output.stdout)
        })
        .collect()
}

#[test]
fn odd_archives_are_unpacked_as_gnu_tar_does() {
    need!(root);
    need!(tool "zstd");
    need!(tool "xz");
    let inside = match sandbox::enter("unpack::lawful::odd_archives_are_unpacked_as_gnu_tar_does") {
        Ok(inside) => inside,
        Err(lack) => return crate::skip::skip(lack),
    };
    if !inside {
        return;
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let before = outside();
    let cases = odd();
    assert!(cases.len() >= 25, "{} are too few", cases.len());
    for (name, archive) in &cases {
        compare(name, archive);
    }
    for (name, archive) in &sparse() {
        compare(name, archive);
    }
    assert_eq!(outside(), before);
}

/// What GNU tar cannot do, and a layer of an image may say.
#[test]
fn lawful_layers_that_gnu_tar_refuses() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    let layer = |tar: Tar| {
        let options = Options { whiteouts: true, ..Options::default() };
        unpack(&tar.end()[..], root, &options, &mut Deaf).unwrap();
    };
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    // An absolute symlink as parent, to a directory that is there, and to one that is not.
    layer(
        Tar::new()
            .dir("run", 0o755)
            .symlink("var/run", "/run")
            .file("var/run/lock", "1")
            .symlink("var/log", "/data/log"),
    );
    layer(Tar::new().file("var/log/x", "2"));
    assert_eq!((read("run/lock").as_str(), read("data/log/x").as_str()), ("1", "2"));
    // A file over a directory that is not empty.
    layer(Tar::new().file("d/e/f", "x"));
    layer(Tar::new().file("d", "file"));
    assert_eq!(read("d"), "file");
    // An opaque directory hides what is below, wherever it says so; what the layer brings stays.
    layer(Tar::new().file("o/old", "x").file("o/both/old", "x").file("o/gone/old", "x"));
    layer(
        Tar::new()
            .file("o/new", "y")
            .file("o/both/new", "y")
            .file("o/.wh..wh..opq", "")
            .file("o/last", "z"),
    );
    let mut names: Vec<_> = look(&root.join("o")).into_keys().collect();
    names.sort();
    assert_eq!(names, ["", "both", "both/new", "last", "new"].map(PathBuf::from));
    // A whiteout hides what is below, not what the layer itself brings.
    layer(Tar::new().file("w/a", "old").file("w/b", "old"));
    layer(
        Tar::new()
            .file("w/a", "new")
            .file("w/.wh.a", "")
            .file("w/.wh.b", "")
            .file("w/.wh..wh.plnk", ""),
    );
    assert_eq!(fs::read_dir(root.join("w")).unwrap().count(), 1);
    assert_eq!(read("w/a"), "new");
}

/// Outside of a layer a whiteout is a file like any other.
#[test]
fn without_layers_whiteouts_are_files() {
    let place = tempfile::tempdir().unwrap();
    let archive = Tar::new().file("a", "x").file(".wh.a", "").file(".wh..wh..opq", "").end();
    unpack(&archive[..], place.path(), &Options::default(), &mut Deaf).unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
}
