//! Any bytes as an archive: nothing panics, nothing appears beside the target,
//! and whatever was made can be removed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use under_the_hood::image::unpack::{Limits, Options, unpack};
use under_the_hood::step::Deaf;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, archive)) = bytes.split_first() else { return };
    let place = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let target = place.path().join("target");
    std::fs::create_dir(&target).expect("mkdir");
    let limits = Limits { bytes: 1 << 20, entries: 1000, ..Limits::default() };
    let options =
        Options { whiteouts: first & 1 == 1, by_hand: first & 2 == 2, limits, marks: None };
    let _ = unpack(archive, &target, &options, &mut Deaf);
    assert_eq!(std::fs::read_dir(place.path()).expect("readdir").count(), 1);
    let parent = std::fs::File::open(place.path()).expect("open");
    under_the_hood::kernel::remove::tree(&parent, c"target", &target, None).expect("remove");
});
