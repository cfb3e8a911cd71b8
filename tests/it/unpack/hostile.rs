//! Hostile archives change nothing outside the target, in whatever way they
//! are unpacked, and what they make inside shares no inode with the outside.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use under_the_hood::image::unpack::{Limits, Options, unpack};
use under_the_hood::step::Deaf;

use super::build::Tar;
use super::corpus::{self, Case, Fate};
use super::sandbox::{self, PLACE, look, outside};

fn options(case: &Case, by_hand: bool) -> Options {
    let limits = Limits { bytes: 10 << 20, entries: 5000, ..Limits::default() };
    Options { whiteouts: case.whiteouts, limits, by_hand, marks: None }
}

fn target(name: &str) -> PathBuf {
    let target = Path::new(PLACE).join("cases").join(name).join("target");
    fs::create_dir_all(&target).unwrap();
    target
}

fn try_one(case: &Case, by_hand: bool, wrong: &mut Vec<String>) {
    let target = target(&case.name.replace(['/', ' '], "_"));
    let before = outside();
    let (mut fate, mut why) = (Fate::Contained, String::new());
    for layer in &case.layers {
        if let Err(error) = unpack(&layer[..], &target, &options(case, by_hand), &mut Deaf) {
            assert!(error.hint.is_some(), "{}: no hint: {error}", case.name);
            (fate, why) = (Fate::Refused, error.to_string());
            break;
        }
    }
    let way = if by_hand { "by hand" } else { "with openat2" };
    assert_eq!(outside(), before, "{} ({way}) changed something outside", case.name);
    if fate != case.fate {
        wrong.push(format!("{} ({way}): {fate:?} {why}", case.name));
    }
    let cases = target.parent().unwrap();
    assert_eq!(fs::read_dir(cases).unwrap().count(), 1, "{}: beside the target", case.name);
    shares_nothing(&target, &case.name);
    remove(cases);
}

/// Every name of an inode is inside.
fn shares_nothing(target: &Path, name: &str) {
    let mut names: HashMap<u64, u64> = HashMap::new();
    let seen = look(target);
    for file in seen.values().filter(|file| file.links > 1) {
        *names.entry(file.inode).or_default() += 1;
    }
    for (path, file) in seen.iter().filter(|(_, file)| file.links > 1) {
        assert_eq!(names[&file.inode], file.links, "{name}: {} is shared", path.display());
    }
}

/// With the program's own means: a tree may be deeper than `remove_dir_all` goes.
fn remove(path: &Path) {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
    let parent =
        rustix::fs::open(path.parent().unwrap(), flags, rustix::fs::Mode::empty()).unwrap();
    let name = std::ffi::CString::new(path.file_name().unwrap().as_encoded_bytes()).unwrap();
    under_the_hood::kernel::remove::tree(&parent, &name, path, None).unwrap();
}

#[test]
fn hostile_archives_are_contained() {
    let inside = match sandbox::enter("unpack::hostile::hostile_archives_are_contained") {
        Ok(inside) => inside,
        Err(lack) => return crate::skip::skip(lack),
    };
    if !inside {
        return;
    }
    let cases = corpus::hostile();
    assert!(cases.len() >= 60, "{} are too few", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        try_one(case, false, &mut wrong);
        try_one(case, true, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The sandbox would notice: GNU tar, told to trust names, does escape in it.
#[test]
fn the_bait_is_real() {
    let inside = match sandbox::enter("unpack::hostile::the_bait_is_real") {
        Ok(inside) => inside,
        Err(lack) => return crate::skip::skip(lack),
    };
    if !inside {
        return;
    }
    let archive = Tar::new().file("/mnt/bait/passwd", "changed").end();
    let file = Path::new(PLACE).join("archive.tar");
    fs::write(&file, archive).unwrap();
    let before = outside();
    let tar = std::process::Command::new("tar").arg("-xPf").arg(&file).current_dir(PLACE).status();
    assert!(tar.unwrap().success());
    assert_ne!(outside(), before);
}

/// While an archive is unpacked into `d`, somebody else makes `d` a link to the
/// bait and back, as fast as they can.
#[test]
fn a_race_is_contained() {
    let inside = match sandbox::enter("unpack::hostile::a_race_is_contained") {
        Ok(inside) => inside,
        Err(lack) => return crate::skip::skip(lack),
    };
    if !inside {
        return;
    }
    let before = outside();
    let target = target("race");
    fs::create_dir_all(target.join("d/e")).unwrap();
    std::os::unix::fs::symlink("/mnt/bait", target.join("x")).unwrap();
    let mut tar = Tar::new();
    for n in 0..40 {
        tar = tar
            .file(&format!("d/f{n}"), "x")
            .dir("d/secret", 0o777)
            .symlink(&format!("d/l{n}"), "passwd")
            .hard(&format!("d/h{n}"), &format!("d/f{n}"))
            .file("d/passwd", "changed")
            .file("d/.wh.passwd", "");
    }
    let archive = tar.end();
    let stop = AtomicBool::new(false);
    let (mut done, mut swaps) = (0, 0);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let (d, x) = (target.join("d"), target.join("x"));
                if renameat_with(CWD, &d, CWD, &x, RenameFlags::EXCHANGE).is_ok() {
                    swaps += 1;
                }
            }
            swaps
        });
        for round in 0..150 {
            let options =
                Options { whiteouts: true, by_hand: round % 2 == 1, ..Options::default() };
            // It may well fail, as whoever shares a directory with a vandal does.
            done += u32::from(unpack(&archive[..], &target, &options, &mut Deaf).is_ok());
        }
        stop.store(true, Ordering::Relaxed);
        swaps = swapping.join().unwrap();
    });
    assert_eq!(outside(), before);
    assert!(swaps > 100, "{swaps} swaps are no race ({done} unpacked)");
}

/// Bits, bytes, and whole blocks change; half of the time the header that was hit
/// gets a sum that is right, so that what stands in it is believed.
fn shake(archive: &mut Vec<u8>, random: &mut impl FnMut(usize) -> usize) {
    for _ in 0..random(4) {
        let at = random(archive.len());
        let (block, blocks) = (at / 512 * 512, archive.len() / 512);
        match random(6) {
            0 if blocks > 1 && block + 512 <= archive.len() => {
                drop(archive.drain(block..block + 512))
            }
            1 if block + 512 <= archive.len() => {
                let copy = archive[block..block + 512].to_vec();
                let to = random(blocks) * 512;
                archive.splice(to..to, copy);
            }
            2 => archive.truncate(at.max(1)),
            3 => archive[at] = [0, 0xff, b'9', b'/', b'.', 0x80][random(6)],
            _ => archive[at] ^= 1 << random(8),
        }
        let is_header = archive.get(block + 257..block + 262) == Some(b"ustar");
        if is_header && block + 512 <= archive.len() && random(2) == 0 {
            archive[block + 148..block + 156].fill(b' ');
            let sum: u32 = archive[block..block + 512].iter().map(|byte| u32::from(*byte)).sum();
            archive[block + 148..block + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// Whatever happens to the bytes of an archive, in any order of members: no
/// panic, and nothing outside is changed.
#[test]
fn archives_that_were_shaken_are_contained() {
    let inside = match sandbox::enter("unpack::hostile::archives_that_were_shaken_are_contained") {
        Ok(inside) => inside,
        Err(lack) => return crate::skip::skip(lack),
    };
    if !inside {
        return;
    }
    let before = outside();
    let names = [
        "a",
        "d",
        "d/e",
        "l",
        "l/passwd",
        "up/secret",
        "/etc/passwd",
        ".wh.a",
        "d/.wh..wh..opq",
        "d/l/x",
    ];
    let corpus: Vec<Vec<u8>> = corpus::hostile().into_iter().flat_map(|case| case.layers).collect();
    let corpus: Vec<_> =
        corpus.into_iter().filter(|layer| (512..1 << 16).contains(&layer.len())).collect();
    // A generator of our own, so that a failure comes again; for longer, or from
    // another start: UTH_TEST_ROUNDS, UTH_TEST_SEED.
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("UTH_TEST_ROUNDS").unwrap_or(1500);
    let mut state = number("UTH_TEST_SEED").unwrap_or(0x2545_f491_4f6c_dd1d);
    let mut random = move |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % most as u64) as usize
    };
    for round in 0..rounds {
        let mut tar = Tar::new();
        for _ in 0..1 + random(12) {
            let (name, other) = (names[random(names.len())], names[random(names.len())]);
            tar = match random(7) {
                0 => tar.file(name, "owned"),
                1 => tar.dir(name, [0o777, 0o000, 0o7777][random(3)]),
                2 => tar.symlink(name, ["/mnt/bait", "../../../bait", "..", "/"][random(4)]),
                3 => tar.symlink(name, other),
                4 => tar.hard(name, other),
                5 => tar.with(b'6', name, b"", |_| {}),
                _ => tar.pax(b'x', &[("path", other.as_bytes())]).file(name, "owned"),
            };
        }
        let mut archive = match random(3) {
            0 => corpus[random(corpus.len())].clone(),
            _ => tar.end(),
        };
        shake(&mut archive, &mut random);
        let target = target("shaken");
        let limits = Limits { bytes: 10 << 20, entries: 5000, ..Limits::default() };
        let options =
            Options { whiteouts: round % 2 == 0, by_hand: round % 3 == 0, limits, marks: None };
        let _ = unpack(&archive[..], &target, &options, &mut Deaf);
        let _ = unpack(&archive[..], &target, &options, &mut Deaf);
        shares_nothing(&target, "shaken");
        remove(target.parent().unwrap());
        if round % 50 == 0 {
            assert_eq!(outside(), before, "in the rounds up to {round}");
        }
    }
    assert_eq!(outside(), before);
}
