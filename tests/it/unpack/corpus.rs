//! The hostile corpus: every archive here wants something that it must not get.

use std::io::Write;

use super::build::{Tar, header, record};

/// How unpacking it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is unpacked, and all of it is inside.
    Contained,
    /// It is refused, with a reason.
    Refused,
}

use Fate::{Contained, Refused};

/// Archives that are unpacked one over the other.
pub struct Case {
    pub name: String,
    pub layers: Vec<Vec<u8>>,
    pub whiteouts: bool,
    pub fate: Fate,
}

const BAIT: &str = "/mnt/bait";
const UP: &str = "../../../bait";

fn case(name: &str, fate: Fate, tar: Tar) -> Case {
    Case { name: name.to_owned(), layers: vec![tar.end()], whiteouts: false, fate }
}

fn layers(name: &str, fate: Fate, layers: Vec<Tar>) -> Case {
    let layers = layers.into_iter().map(Tar::end).collect();
    Case { name: name.to_owned(), layers, whiteouts: true, fate }
}

fn bytes(name: &str, fate: Fate, bytes: Vec<u8>) -> Case {
    Case { name: name.to_owned(), layers: vec![bytes], whiteouts: false, fate }
}

pub fn hostile() -> Vec<Case> {
    let mut cases = names();
    cases.extend(symlinks());
    cases.extend(through_links());
    cases.extend(hard_links());
    cases.extend(replaced());
    cases.extend(magic_links());
    cases.extend(whiteouts());
    cases.extend(extended_headers());
    cases.extend(sizes());
    cases.extend(sparse());
    cases.extend(bombs());
    cases.extend(damaged());
    cases
}

fn names() -> Vec<Case> {
    let plain = [
        "../owned",
        "../../../bait/passwd",
        "../../../../../../../../../../../../etc/passwd",
        "/etc/passwd",
        "//etc//shadow",
        "/mnt/bait/passwd",
        "a/../../../../bait/passwd",
        "./../owned",
        "a/b/c/../../../../../owned",
        "..../../owned",
    ];
    let mut cases: Vec<_> = plain
        .iter()
        .map(|name| {
            let fate = if name.contains("..") { Refused } else { Contained };
            case(&format!("file {name}"), fate, Tar::new().file(name, "owned"))
        })
        .collect();
    cases.extend([
        case(
            "directory of the bait's name",
            Refused,
            Tar::new().dir(&format!("{UP}/secret"), 0o777),
        ),
        case(
            "root directory by ..",
            Refused,
            Tar::new().dir("..", 0o777).dir("/", 0o777).dir("a/..", 0o777),
        ),
        case("symlink by ..", Refused, Tar::new().symlink("../../../bait/new", "/etc/passwd")),
        case("device by ..", Refused, Tar::new().device(b'3', "../../../bait/null", 1, 3)),
        case(
            "pipe at an absolute name",
            Contained,
            Tar::new().with(b'6', "/mnt/bait/pipe2", b"", |_| {}),
        ),
        case("a file instead of the root", Refused, Tar::new().file(".", "owned")),
        case("a file instead of the root by ..", Refused, Tar::new().file("a/..", "owned")),
        case("a symlink instead of the root", Refused, Tar::new().symlink("./", BAIT)),
        case("a symlink without a name", Refused, Tar::new().symlink("", BAIT)),
        case("backslashes", Contained, Tar::new().file("..\\..\\bait\\passwd", "x")),
        case("a name of 300 bytes", Refused, Tar::new().long(b'L', &[b'n'; 300]).file("x", "")),
    ]);
    cases
}

fn symlinks() -> Vec<Case> {
    let file = |name: &str, to: &str, then: &str| {
        case(name, Contained, Tar::new().symlink("l", to).file(then, "owned"))
    };
    vec![
        file("absolute symlink as parent", BAIT, "l/passwd"),
        file("relative symlink as parent", UP, "l/passwd"),
        file("symlink with many ..", "../../../../../../../../../../etc", "l/passwd"),
        file("symlink to /", "/", "l/etc/passwd"),
        file("symlink to ..", "..", "l/l/l/l/owned"),
        file("symlink in the way of a file", "/mnt/bait/passwd", "l"),
        file("symlink in the way of a file, relative", "../../../bait/passwd", "l"),
        file("symlink to the bait's pipe", "/mnt/bait/pipe", "l"),
        file("file with a slash behind it, over a symlink", BAIT, "l/"),
        case(
            "chain of symlinks",
            Contained,
            Tar::new().symlink("a", "b").symlink("b", "c").symlink("c", UP).file("a/passwd", "x"),
        ),
        case(
            "symlink in a directory",
            Contained,
            Tar::new().dir("d", 0o755).symlink("d/l", "../../../../bait").file("d/l/passwd", "x"),
        ),
        case(
            "symlink to a symlink's parent",
            Contained,
            Tar::new()
                .dir("d", 0o755)
                .symlink("d/l", "/")
                .symlink("m", "d/l/mnt/bait")
                .file("m/passwd", "x"),
        ),
        case(
            "symlinks in a circle",
            Refused,
            Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", "x"),
        ),
        case("symlink to itself", Refused, Tar::new().symlink("a", "a").file("a/x", "x")),
        case(
            "symlink with a slash behind it",
            Contained,
            Tar::new().symlink("l/", BAIT).file("l/passwd", "x"),
        ),
        case(
            "a symlink that grows",
            Refused,
            (0..60)
                .fold(Tar::new(), |tar, n| tar.symlink(&format!("l{n}"), &format!("l{}/.", n + 1)))
                .file("l0/x", "x")
                .symlink("l60", "/")
                .file("l0/etc/passwd", "x"),
        ),
    ]
}

fn through_links() -> Vec<Case> {
    let link = || Tar::new().symlink("l", &format!("{BAIT}/secret"));
    let owned = |header: &mut tar::Header| {
        header.set_uid(1234);
        header.set_gid(1234);
        header.set_mode(0o7777);
        header.set_mtime(1);
    };
    vec![
        case("chmod of a directory through a symlink", Contained, link().dir("l", 0o777)),
        case(
            "chmod of a directory through a symlink, with a slash",
            Contained,
            link().dir("l/", 0o777),
        ),
        case(
            "chmod of a directory below a symlink",
            Contained,
            Tar::new().symlink("l", BAIT).dir("l/secret", 0o777),
        ),
        case(
            "chmod late: a directory becomes a symlink",
            Contained,
            Tar::new().dir("d", 0o777).symlink("d", &format!("{BAIT}/secret")),
        ),
        case(
            "chmod late: a parent becomes a symlink",
            Contained,
            Tar::new().dir("d", 0o755).dir("d/secret", 0o777).symlink("d", BAIT),
        ),
        case(
            "chmod late: a parent becomes a symlink, relative",
            Contained,
            Tar::new().dir("d", 0o755).dir("d/secret", 0o777).symlink("d", UP),
        ),
        case(
            "chown of a symlink",
            Contained,
            Tar::new().with(b'2', "l", b"", |header| {
                owned(header);
                header.set_link_name("/mnt/bait/passwd").unwrap();
            }),
        ),
        case(
            "chown of a hard link's symlink",
            Contained,
            Tar::new().symlink("l", "/mnt/bait/passwd").hard("h", "l").with(b'0', "h", b"x", owned),
        ),
        case(
            "attribute of a symlink",
            Contained,
            Tar::new()
                .pax(b'x', &[("SCHILY.xattr.user.x", b"1"), ("SCHILY.xattr.trusted.x", b"1")])
                .symlink("l", "/mnt/bait/passwd"),
        ),
        case(
            "overlayfs notes",
            Contained,
            Tar::new()
                .pax(
                    b'x',
                    &[
                        ("SCHILY.xattr.trusted.overlay.redirect", b"/mnt/bait"),
                        ("SCHILY.xattr.user.overlay.redirect", b"/mnt/bait"),
                        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                    ],
                )
                .dir("d", 0o755),
        ),
        case(
            "an attribute without a name",
            Contained,
            Tar::new().pax(b'x', &[("SCHILY.xattr.", b"1")]).file("f", "x"),
        ),
    ]
}

fn hard_links() -> Vec<Case> {
    vec![
        case("hard link to the bait, absolute", Refused, Tar::new().hard("h", "/mnt/bait/passwd")),
        case("hard link to the bait by ..", Refused, Tar::new().hard("h", "../../../bait/passwd")),
        case(
            "hard link to /etc/passwd, then written",
            Refused,
            Tar::new().hard("h", "/etc/passwd").file("h", "owned"),
        ),
        case(
            "hard link through a symlink",
            Refused,
            Tar::new().symlink("l", BAIT).hard("h", "l/passwd"),
        ),
        case(
            "hard link through a relative symlink",
            Refused,
            Tar::new().symlink("l", UP).hard("h", "l/passwd"),
        ),
        case(
            "hard link to a symlink to the bait",
            Contained,
            Tar::new().symlink("l", "/mnt/bait/passwd").hard("h", "l").file("h", "owned"),
        ),
        case(
            "hard link into the bait",
            Contained,
            Tar::new().file("f", "owned").hard("/mnt/bait/new", "f").hard("/etc/passwd", "f"),
        ),
        case(
            "hard link over a symlink to the bait",
            Contained,
            Tar::new().file("f", "owned").symlink("l", "/mnt/bait/passwd").hard("l", "f"),
        ),
        case(
            "hard link below a symlink to the bait",
            Contained,
            Tar::new().file("f", "owned").symlink("l", BAIT).hard("l/passwd", "f"),
        ),
        case("hard link to the root", Refused, Tar::new().hard("h", ".")),
        case("hard link to a directory", Refused, Tar::new().dir("d", 0o755).hard("h", "d")),
        case("hard link to nothing", Refused, Tar::new().hard("h", "none")),
        case(
            "hard link to itself",
            Contained,
            Tar::new().file("f", "x").hard("f", "f").hard("f", "./f"),
        ),
        case(
            "hard link over the directory it comes from",
            Refused,
            Tar::new().file("d/f", "x").hard("d", "d/f"),
        ),
        case(
            "hard link with a long name to the bait",
            Refused,
            Tar::new().long(b'K', b"../../../../../../mnt/bait/passwd").hard("h", "x"),
        ),
    ]
}

fn replaced() -> Vec<Case> {
    vec![
        case(
            "a parent that was open becomes a symlink",
            Contained,
            Tar::new().file("d/a", "x").symlink("d", BAIT).file("d/passwd", "owned"),
        ),
        case(
            "a symlink that was followed points elsewhere",
            Contained,
            Tar::new()
                .dir("a", 0o755)
                .symlink("l", "a")
                .file("l/x", "x")
                .symlink("l", BAIT)
                .file("l/passwd", "y"),
        ),
        case(
            "a directory's directory becomes a symlink",
            Contained,
            Tar::new().file("a/b/c", "x").symlink("a/b", "/mnt/bait").file("a/b/passwd", "owned"),
        ),
        case(
            "a directory with a link to the bait is replaced",
            Contained,
            Tar::new().symlink("d/l", BAIT).symlink("d/e/m", "/etc").file("d", "x"),
        ),
        case(
            "a directory over a symlink to the bait",
            Contained,
            Tar::new().symlink("l", BAIT).dir("l", 0o777).file("l/passwd", "owned"),
        ),
        case(
            "a pipe in the way of a file",
            Contained,
            Tar::new().with(b'6', "f", b"", |_| {}).file("f", "x").file("f", "y"),
        ),
        case(
            "a device in the way of a file",
            Contained,
            Tar::new()
                .device(b'3', "f", 1, 3)
                .file("f", "x")
                .device(b'4', "f", 7, 0)
                .file("f", "y"),
        ),
        case("a file as parent", Refused, Tar::new().file("f", "x").file("f/x", "x")),
        case(
            "a device as parent",
            Refused,
            Tar::new().with(b'6', "f", b"", |_| {}).file("f/../x", "").file("f/x", "x"),
        ),
        case(
            "everything under one name",
            Contained,
            Tar::new()
                .file("x", "1")
                .dir("x", 0o755)
                .file("x/y", "2")
                .symlink("x", BAIT)
                .with(b'6', "x", b"", |_| {})
                .symlink("x", UP)
                .dir("x", 0o700)
                .file("x/passwd", "3"),
        ),
        case(
            "closed directories",
            Contained,
            Tar::new().dir("a", 0).dir("a/b", 0).file("a/b/c", "x"),
        ),
    ]
}

fn magic_links() -> Vec<Case> {
    let links = [
        "/proc/self/root",
        "/proc/self/cwd",
        "/proc/1/root",
        "/proc/self/fd/3",
        "/proc/thread-self/root",
    ];
    links
        .iter()
        .map(|to| {
            let tar = Tar::new().symlink("p", to).file("p/mnt/bait/passwd", "owned");
            case(&format!("magic link {to}"), Contained, tar)
        })
        .collect()
}

fn whiteouts() -> Vec<Case> {
    let lower =
        || Tar::new().file("d/a", "lower").symlink("l", BAIT).symlink("up", UP).file("f", "lower");
    let upper = |name: &str, fate: Fate, hidden: &str| {
        layers(name, fate, vec![lower(), Tar::new().file(hidden, "")])
    };
    vec![
        upper("whiteout of .", Refused, ".wh.."),
        upper("whiteout of ..", Refused, ".wh..."),
        upper("whiteout of nothing", Refused, ".wh."),
        upper("whiteout of .. in a directory", Refused, "d/.wh..."),
        upper("whiteout of . in a directory", Refused, "d/.wh.."),
        upper("whiteout through a symlink", Contained, "l/.wh.passwd"),
        upper("whiteout through a relative symlink", Contained, "up/.wh.secret"),
        upper("whiteout of a symlink to the bait", Contained, ".wh.l"),
        upper("whiteout by ..", Refused, "../../../bait/.wh.passwd"),
        upper("whiteout at an absolute name", Contained, "/mnt/bait/.wh.secret"),
        upper("opaque through a symlink", Contained, "l/.wh..wh..opq"),
        upper("opaque through a relative symlink", Contained, "up/.wh..wh..opq"),
        upper("opaque by ..", Refused, "../.wh..wh..opq"),
        upper("opaque at an absolute name", Contained, "/mnt/bait/.wh..wh..opq"),
        upper("opaque root with links to the bait", Contained, ".wh..wh..opq"),
        layers(
            "whiteout of a directory with links to the bait",
            Contained,
            vec![
                Tar::new().symlink("d/l", BAIT).symlink("d/e/m", "../../../../.."),
                Tar::new().file(".wh.d", ""),
            ],
        ),
        layers(
            "whiteout, then a symlink, then a file",
            Contained,
            vec![
                lower(),
                Tar::new()
                    .file(".wh.d", "")
                    .symlink("d", BAIT)
                    .file("d/passwd", "owned")
                    .file("d/.wh.secret", ""),
            ],
        ),
        layers(
            "a whiteout that is a directory",
            Contained,
            vec![
                lower(),
                Tar::new().dir(".wh.l", 0o777).symlink("x", BAIT).dir("x/.wh.secret", 0o777),
            ],
        ),
    ]
}

fn extended_headers() -> Vec<Case> {
    let path = |path: &[u8]| Tar::new().pax(b'x', &[("path", path)]).file("harmless", "owned");
    let mut huge = record("comment", &vec![b'x'; 3 << 20]);
    huge.truncate(3 << 20);
    vec![
        case("pax path by ..", Refused, path(b"../../../bait/passwd")),
        case("pax path, absolute", Contained, path(b"/etc/passwd")),
        case("pax path with a zero byte", Refused, path(b"a\0../../../bait/passwd")),
        case(
            "pax path for all",
            Contained,
            Tar::new()
                .pax(b'g', &[("path", b"/mnt/bait/passwd")])
                .file("a", "owned")
                .dir("b", 0o777),
        ),
        case(
            "pax link to the bait",
            Refused,
            Tar::new().pax(b'x', &[("linkpath", b"/mnt/bait/passwd")]).hard("h", "harmless"),
        ),
        case(
            "pax symlink to the bait",
            Contained,
            Tar::new()
                .pax(b'x', &[("linkpath", b"/mnt/bait")])
                .symlink("l", "harmless")
                .file("l/passwd", "x"),
        ),
        case(
            "long name by ..",
            Refused,
            Tar::new().long(b'L', b"../../../bait/passwd").file("harmless", "x"),
        ),
        case(
            "sparse name by ..",
            Refused,
            Tar::new()
                .pax(
                    b'x',
                    &[
                        ("GNU.sparse.name", b"../../../bait/passwd"),
                        ("GNU.sparse.size", b"5"),
                        ("GNU.sparse.map", b"0,5"),
                    ],
                )
                .file("harmless", "owned"),
        ),
        case(
            "an extended header of 3 MiB",
            Refused,
            Tar::new().with(b'x', "h", &huge, |_| {}).file("f", "x"),
        ),
        case("a long name of 3 MiB", Refused, Tar::new().long(b'L', &huge).file("f", "x")),
        case(
            "an extended header of nonsense",
            Refused,
            Tar::new().with(b'x', "h", b"99 path=x\n", |_| {}).file("f", "x"),
        ),
        case(
            "an owner beyond the kernel's",
            Refused,
            Tar::new().pax(b'x', &[("uid", b"4294967295")]).file("f", "x"),
        ),
        case("a negative owner", Refused, Tar::new().pax(b'x', &[("uid", b"-1")]).file("f", "x")),
        case("an extended header at the end", Refused, Tar::new().pax(b'x', &[("path", b"x")])),
    ]
}

/// A member hidden in another one's content, for readers that disagree about its size.
fn sizes() -> Vec<Case> {
    let hidden = Tar::new().file("/mnt/bait/passwd", "owned").0;
    let disagree = |claimed: u64, real: &str| {
        let mut tar = Tar::new().pax(b'x', &[("size", real.as_bytes())]);
        tar = tar.raw(header(b'0', b"f", claimed), &[]);
        tar.bytes(&hidden)
    };
    let length = hidden.len() as u64;
    let claims = |kind: u8| {
        let mut head = header(kind, b"m", length);
        head.as_old_mut().linkname[..1].copy_from_slice(b"f");
        Tar::new().file("f", "x").raw(head, &hidden)
    };
    let extreme = |field: [u8; 12]| {
        let mut head = header(b'0', b"f", 0);
        head.as_old_mut().size = field;
        Tar::new().raw(head, b"")
    };
    vec![
        case("extended size larger than the header's", Contained, disagree(0, &length.to_string())),
        case("extended size smaller than the header's", Contained, disagree(length, "0")),
        case("a directory with content", Contained, claims(b'5')),
        case("a hard link with content", Contained, claims(b'1')),
        case("a symlink with content", Contained, claims(b'2')),
        case("a pipe with content", Contained, claims(b'6')),
        case("a list of a directory", Contained, claims(b'D')),
        case("a volume's label with content", Contained, claims(b'V')),
        case("the second volume", Refused, claims(b'M')),
        case("an unknown kind with content", Contained, claims(b'Q')),
        case(
            "the largest size",
            Refused,
            Tar::new().pax(b'x', &[("size", b"18446744073709551615")]).file("f", "x"),
        ),
        case(
            "a size beyond that",
            Refused,
            Tar::new().pax(b'x', &[("size", b"18446744073709551616")]).file("f", "x"),
        ),
        case("a negative size", Refused, extreme([0xff; 12])),
        case(
            "the largest binary size",
            Refused,
            extreme([0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        ),
        case("a size that is no number", Refused, extreme(*b"owned\0\0\0\0\0\0\0")),
    ]
}

fn sparse() -> Vec<Case> {
    let map = |size: &str, map: &str, content: &str| {
        Tar::new()
            .pax(b'x', &[("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", map.as_bytes())])
            .file("f", content)
    };
    let first = |text: &str| {
        Tar::new()
            .pax(
                b'x',
                &[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.realsize", b"100"),
                ],
            )
            .file("f", text)
    };
    let mut endless = header(b'S', b"f", 0);
    if let Some(gnu) = endless.as_gnu_mut() {
        gnu.set_is_extended(true);
        gnu.set_real_size(100);
    }
    let mut more = tar::GnuExtSparseHeader::new();
    more.set_is_extended(true);
    let endless = Tar::new().raw(endless, &more.as_bytes().repeat(5000));
    vec![
        case("a sparse file of an exabyte", Refused, map("1000000000000000000", "0,1", "x")),
        case("a sparse map that overlaps", Refused, map("100", "0,4,2,4", "abcdefgh")),
        case("a sparse map beyond the end", Refused, map("3", "0,8", "abcdefgh")),
        case(
            "a sparse map that overflows",
            Refused,
            map("100", "18446744073709551615,8", "abcdefgh"),
        ),
        case("a sparse map of half a pair", Refused, map("100", "0", "x")),
        case("a sparse map for more than there is", Refused, map("100", "0,50", "x")),
        case("a leading map of a trillion places", Refused, first("1000000000000\n0\n1\n")),
        case(
            "a leading map of more places than fit a number",
            Refused,
            first("18446744073709551615\n0\n1\n"),
        ),
        case("a leading map of words", Refused, first("owned\n")),
        case("an endless old map", Refused, endless),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn bombs() -> Vec<Case> {
    let zeroes = vec![0; 12 << 20];
    let mut big = Tar::new().raw(header(b'0', b"f", zeroes.len() as u64), &[]);
    big.0.extend_from_slice(&zeroes);
    let many = (0..6000).fold(Tar::new(), |tar, n| tar.file(&n.to_string(), ""));
    let deep = "d/".repeat(1000);
    let long = "d/".repeat(120);
    // Each link leads to the end of the last path: deeper than any name may be.
    let mut links = Tar::new();
    for n in 0..20 {
        let start = if n == 0 { String::new() } else { format!("l{n}/") };
        links = links
            .long(b'L', format!("{start}{long}x").as_bytes())
            .file("x", "")
            .long(b'K', format!("{start}{long}").as_bytes())
            .symlink(&format!("l{}", n + 1), "x");
    }
    let headers = (0..20).fold(Tar::new(), |tar, _| {
        tar.with(b'x', "h", &record("comment", &vec![b'x'; 600_000]), |_| {})
    });
    vec![
        bytes("a gzip bomb", Refused, gzip(&big.clone().end())),
        bytes("a zstd bomb", Refused, zstd::encode_all(&big.0[..], 1).unwrap()),
        bytes(
            "zeroes after the end",
            Refused,
            gzip(&[Tar::new().file("f", "x").end(), zeroes].concat()),
        ),
        bytes("nothing but extended headers", Refused, gzip(&headers.0)),
        case("too many members", Refused, many),
        case(
            "a path of a thousand names",
            Refused,
            Tar::new().long(b'L', deep.as_bytes()).file("x", ""),
        ),
        case("a tree far deeper than a path", Contained, links),
        case(
            "a link as long as a link can be",
            Refused,
            Tar::new().long(b'K', "x/".repeat(3000).as_bytes()).symlink("l", "x"),
        ),
    ]
}

fn damaged() -> Vec<Case> {
    let good = Tar::new().file("a", "content").file("b", "content").end();
    let mut checksum = good.clone();
    checksum[150] ^= 1;
    let mut late = good.clone();
    late[1024 + 10] = b'x';
    let packed = gzip(&good);
    let mut wrong = packed.clone();
    let at = wrong.len() - 6;
    wrong[at] ^= 0xff;
    vec![
        bytes("cut in a header", Refused, good[..700].to_vec()),
        bytes("cut in the second header", Refused, good[..1100].to_vec()),
        bytes("cut in a file", Refused, Tar::new().raw(header(b'0', b"f", 5000), b"x").0),
        bytes("a wrong checksum", Refused, checksum),
        bytes("a wrong checksum later", Refused, late),
        bytes("gzip, cut", Refused, packed[..packed.len() - 9].to_vec()),
        bytes("gzip with a wrong checksum", Refused, wrong),
        bytes("gzip with something after it", Refused, [packed, b"owned".to_vec()].concat()),
        bytes("bzip2", Refused, b"BZh91AY&SY".to_vec()),
        bytes("zip", Refused, b"PK\x03\x04 and so on".to_vec()),
        bytes("a web page", Refused, b"<!DOCTYPE html><title>404</title>".to_vec()),
        bytes("xz of nonsense", Refused, b"\xfd7zXZ\0and so on, and so on, and so on".to_vec()),
        bytes("words", Refused, b"hello, world".repeat(100)),
    ]
}
