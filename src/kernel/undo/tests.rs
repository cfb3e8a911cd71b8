use std::path::PathBuf;

use super::*;

const TOKEN: &str = "0123456789ab";

fn entry(effect: Effect, identity: Option<Identity>) -> Entry {
    Entry { n: 1, effect, identity, kept: false }
}

fn file(path: PathBuf, identity: Option<Identity>) -> Result<Undone> {
    undo(&entry(Effect::File { path }, identity), TOKEN, true)
}

#[test]
fn a_file_is_removed_only_while_it_is_the_one_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    fs::write(&path, "ours").unwrap();
    let ours = identity_of(&path).unwrap();
    fs::write(directory.path().join("y"), "theirs").unwrap();
    fs::rename(directory.path().join("y"), &path).unwrap();
    assert_eq!(file(path.clone(), Some(ours)).unwrap(), Undone::NotThere);
    assert!(path.exists());
    let now = identity_of(&path).unwrap();
    assert_eq!(file(path.clone(), Some(now.clone())).unwrap(), Undone::Removed);
    assert_eq!(file(path, Some(now)).unwrap(), Undone::NotThere, "twice is harmless");
}

#[test]
fn an_intent_alone_removes_only_what_carries_the_token() {
    let directory = tempfile::tempdir().unwrap();
    let (theirs, ours) = (directory.path().join("x"), directory.path().join(format!("x-{TOKEN}")));
    fs::write(&theirs, "").unwrap();
    fs::write(&ours, "").unwrap();
    assert_eq!(file(theirs.clone(), None).unwrap(), Undone::NotThere);
    assert_eq!(file(ours.clone(), None).unwrap(), Undone::Removed);
    assert!(theirs.exists() && !ours.exists());
}

#[test]
fn a_tree_goes_without_what_its_links_point_to() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    let path = directory.path().join(format!("tree-{TOKEN}"));
    fs::create_dir_all(path.join("a/b")).unwrap();
    std::os::unix::fs::symlink(&outside, path.join("a/link")).unwrap();
    let tree = entry(Effect::Tree { path: path.clone() }, None);
    assert_eq!(undo(&tree, TOKEN, true).unwrap(), Undone::Removed);
    assert!(!path.exists() && outside.join("precious").exists());
}

#[test]
fn a_process_with_another_start_time_is_somebody_else() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let pid = child.id().cast_signed();
    let start = procfs::process::Process::new(pid).unwrap().stat().unwrap().starttime;
    let effect = || Effect::Process { what: "a test's".into() };
    let theirs = entry(effect(), Some(Identity::Process { pid, start: start + 1 }));
    assert_eq!(undo(&theirs, TOKEN, true).unwrap(), Undone::NotThere);
    assert!(child.try_wait().unwrap().is_none());
    let ours = entry(effect(), Some(Identity::Process { pid, start }));
    assert_eq!(undo(&ours, TOKEN, false).unwrap(), Undone::NotThere, "of another boot");
    assert_eq!(undo(&ours, TOKEN, true).unwrap(), Undone::Removed);
    child.wait().unwrap();
}
