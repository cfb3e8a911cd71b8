//! `image base`: what is made from this machine's programs works, is always the
//! same, and is there whole or not at all.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use under_the_hood::image::base::contents::{self, Contents};
use under_the_hood::image::base::{Host, Source};
use under_the_hood::kernel::op::{Operation, Slots, World};
use under_the_hood::kernel::tree::FillTree;

use crate::harness::Uth;
use crate::machine::{Machine, base_and_progress};

/// Whether this machine has a static busybox that the program may find.
const BUSYBOX: &str = "test -x /bin/busybox && ! LC_ALL=C ldd /bin/busybox >/dev/null 2>&1";

fn make(uth: &Uth, args: &[&str]) -> Value {
    uth.run(["image", "base", "--format", "json"].iter().chain(args)).ok().json()
}

fn key(image: &Value) -> String {
    image["key"].as_str().unwrap().to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a program in a tree, as its root: by chroot(1), in a user namespace if need be.
fn inside(tree: &Path, command: &[&str]) -> Output {
    let (program, before): (_, &[&str]) = match rustix::process::geteuid().is_root() {
        true => ("chroot", &[]),
        false => ("unshare", &["--map-root-user", "chroot"]),
    };
    let mut run = Command::new(program);
    run.args(before).arg(tree).args(command).stdin(Stdio::null());
    run.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
}

#[test]
fn the_same_machine_makes_the_same_image() {
    for source in ["programs", "busybox"] {
        if source == "busybox" {
            need!(sh "a static busybox", BUSYBOX);
        }
        let (one, other) = (Uth::new(), Uth::new());
        let first = make(&one, &["--from", source]);
        let tar = other.home().join("base.tar");
        let second = make(&other, &["--from", source, "--output", tar.to_str().unwrap()]);
        assert_eq!(key(&first), key(&second));
        assert_eq!(first["made"], true);
        assert_eq!(make(&one, &["--from", source])["made"], false, "it is there already");
        assert_eq!(sha256(&std::fs::read(&tar).unwrap()), key(&first), "the key is the tar's");
    }
}

#[test]
fn the_archive_is_for_other_tools() {
    need!(tool "tar");
    let uth = Uth::new();
    let (one, other) = (uth.home().join("a.tar.gz"), uth.home().join("b.tgz"));
    let image = make(&uth, &["-o", one.to_str().unwrap()]);
    make(&uth, &["-o", other.to_str().unwrap()]);
    let bytes = std::fs::read(&one).unwrap();
    assert_eq!(bytes, std::fs::read(&other).unwrap(), "compressing is deterministic too");
    assert_eq!(image["archive"]["bytes"], bytes.len());
    let list = Command::new("tar").arg("-tvzf").arg(&one).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.lines().all(|line| line.contains(" 0/0 ")), "everything is root's:\n{list}");
    assert!(list.contains("etc/os-release"));

    uth.run(["image", "base", "-o", one.to_str().unwrap()]).one_error(1);
    make(&uth, &["--yes", "-o", one.to_str().unwrap()]);
    uth.run(["image", "base", "-o", "/dev/null"]).one_error(2);
    uth.run(["image", "base", "-o", "/no/such/directory/x.tar"]).one_error(1);
    let hidden = std::fs::read_dir(uth.home()).unwrap().flatten();
    let hidden: Vec<_> = hidden
        .map(|entry| entry.file_name())
        .filter(|name| name.as_encoded_bytes()[0] == b'.')
        .collect();
    assert!(hidden.is_empty(), "half an archive is left: {hidden:?}");
}

/// The proof that the libraries were found: each copy is started where there is
/// nothing else.
#[test]
fn every_copied_program_starts_inside() {
    if !rustix::process::geteuid().is_root() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let image = make(&uth, &["--from", "programs"]);
    let tree = PathBuf::from(image["tree"].as_str().unwrap());
    let programs = image["programs"].as_array().unwrap();
    assert!(programs.len() > 30, "{} programs only", programs.len());
    for program in programs {
        let name = program["program"].as_str().unwrap();
        let output = inside(&tree, &[name, "--version"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // 126 and 127: chroot could not start it; 127 is also the loader's.
        assert!(!matches!(output.status.code(), None | Some(125..=127)), "{name}: {output:?}");
        assert!(!said.contains("shared librar"), "{name}: {said}");
    }
}

#[test]
fn inside_is_another_distribution_with_users_of_its_own() {
    if !rustix::process::geteuid().is_root() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    for source in ["programs", "busybox"] {
        if source == "busybox" {
            need!(sh "a static busybox", BUSYBOX);
        }
        let image = make(&uth, &["--from", source]);
        let tree = PathBuf::from(image["tree"].as_str().unwrap());
        let output = inside(&tree, &["sh", "-c", "id -un; cat /etc/os-release; ls -ld /root /tmp"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "root", "{output:?}");
        assert!(lines.contains(&"ID=uth-base"), "{said}");
        let (root, tmp) = (lines[lines.len() - 2], lines[lines.len() - 1]);
        assert!(root.starts_with("drwx------") && root.contains(" root "), "{root}");
        assert!(tmp.starts_with("drwxrwxrwt"), "{tmp}");
    }
}

/// A machine of its own in a directory: the base image itself, made of copies.
fn fixture() -> (tempfile::TempDir, PathBuf, Contents) {
    let contents = contents::of(&Host("/".into()), Some(Source::Programs)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let fill = FillTree {
        path: root.to_str().unwrap().to_owned(),
        entries: contents.entries.clone(),
        shell: String::new(),
    };
    fill.perform(&mut World::new(&mut Slots::default())).unwrap();
    (directory, root, contents)
}

#[test]
fn a_copy_of_the_copies_is_the_same() {
    let (_directory, root, contents) = fixture();
    let again = contents::of(&Host(root), Some(Source::Programs)).unwrap();
    let names = |contents: &Contents| -> Vec<String> {
        contents.programs.iter().map(|program| program.name.clone()).collect()
    };
    assert_eq!(names(&again), names(&contents));
    assert_eq!(again.libraries, contents.libraries);
}

#[test]
fn a_missing_library_is_found_out_and_named() {
    let (_directory, root, contents) = fixture();
    let host = Host(root);
    let shell = &contents.programs.iter().find(|program| program.name == "sh").unwrap().libraries;
    let (lost, user) = contents
        .programs
        .iter()
        .find_map(|program| {
            let lost = program.libraries.iter().find(|library| !shell.contains(library))?;
            Some((lost.clone(), program.name.clone()))
        })
        .expect("some program needs more libraries than the shell");
    remove_all(&host.0, &lost);
    let without = contents::of(&host, Some(Source::Programs)).unwrap();
    let missing = without.missing.iter().find(|missing| missing.name == user).unwrap();
    assert_eq!(missing.reason, format!("it needs {lost}, not found here"));
    assert!(without.programs.iter().all(|program| !program.libraries.contains(&lost)));

    let libc = shell.iter().find(|name| name.starts_with("libc.")).unwrap();
    remove_all(&host.0, libc);
    let error = contents::of(&host, Some(Source::Programs)).unwrap_err();
    assert_eq!(error.exit.code(), 4, "no shell, no image");
    assert!(error.said.unwrap().contains(libc.as_str()));
}

/// Removes every file of this name below a directory.
fn remove_all(directory: &Path, name: &str) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            remove_all(&entry.path(), name);
        } else if entry.file_name() == name {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

#[test]
fn a_script_is_not_taken_for_a_program() {
    let (_directory, root, _) = fixture();
    let host = Host(root);
    let ls = host.at(&host.resolve(Path::new("/bin/ls")).unwrap());
    std::fs::write(&ls, "#!/usr/bin/perl\n").unwrap();
    let contents = contents::of(&host, Some(Source::Programs)).unwrap();
    let missing = contents.missing.iter().find(|missing| missing.name == "ls").unwrap();
    assert!(missing.reason.ends_with("is a script for /usr/bin/perl"), "{}", missing.reason);
}

#[test]
fn several_at_once_make_one_and_leave_nothing_else() {
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let start = |_| {
        let mut command = uth.command(["image", "base", "--format", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = (0..4).map(start).collect();
    let mut made = 0;
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let image: Value = serde_json::from_slice(&output.stdout).unwrap();
        made += u32::from(image["made"].as_bool().unwrap());
    }
    assert_eq!(made, 1, "who made it says so, the others do not");
    Machine::settles(&uth, &before, Duration::from_secs(2), |line| {
        base_and_progress(line) && !line.contains("new-") && !line.contains("base-")
    });
}

#[test]
fn a_dry_run_touches_nothing() {
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let plan = uth.run(["image", "base", "--dry-run", "--format", "json", "-o", "/tmp/x.tar"]).ok();
    assert_eq!(Machine::look(&uth), before);
    let steps = plan.json()["plan"].as_array().unwrap().len();
    let performed = uth.run(["image", "base", "--explain"]).ok().stderr;
    let shown = performed.lines().filter(|line| line.contains(" launcher ")).count();
    assert_eq!(shown + 2, steps, "all but the archive's two are performed:\n{performed}");
}

#[test]
fn a_tree_that_somebody_changed_is_not_used_again() {
    let uth = Uth::new();
    let image = make(&uth, &[]);
    let release = Path::new(image["tree"].as_str().unwrap()).join("etc/os-release");
    std::fs::write(release, "NAME=mine\n").unwrap();
    uth.run(["image", "base"]).one_error(1);
}
