//! Why a program cannot be started in another root. The kernel says "No such
//! file or directory" of a program that is plainly there, and means the loader
//! that the program names.

use std::path::{Path, PathBuf};

use crate::image::base::Host;
use crate::image::base::elf::{self, Program};
use crate::image::base::libraries::Libraries;

const DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is missing for this command; nothing where it should start.
pub fn diagnose(root: &Path, command: &str) -> Option<String> {
    let host = Host(root.to_owned());
    let shown = root.display();
    let Some(path) = find(&host, command) else {
        return Some(format!(
            "There is no {command} in {shown}. A changed root has only its own files: what is in \
             your /bin cannot be seen from in there."
        ));
    };
    let resolved = host.resolve(&path).ok()?;
    match elf::read(&host.at(&resolved)).ok()? {
        Program::Unknown => Some(format!("{} is no program that Linux can start.", path.display())),
        Program::Script(interpreter) => {
            let interpreter = interpreter.split_whitespace().next().unwrap_or_default().to_owned();
            host.resolve(Path::new(&interpreter)).is_err().then(|| {
                format!(
                    "{} is there. It is a script for {interpreter}, and that is what is missing in {shown}: \
                     the kernel starts the interpreter, not the script.",
                    path.display()
                )
            })
        }
        Program::Elf(elf) => {
            let loader = elf.interpreter.clone()?;
            let mut missing = Libraries::of(&host).needs(&resolved, &elf).missing;
            missing.sort();
            let libraries = match missing.as_slice() {
                [] => String::new(),
                names => format!(" It also needs {}.", names.join(", ")),
            };
            if host.resolve(&loader).is_err() {
                return Some(format!(
                    "{} is there. But it is dynamically linked: the kernel starts the loader that it names, \
                     {}, and that file is missing in {shown}.{libraries} Copy them there under the same \
                     names (`ldd` lists them), or take a statically linked program.",
                    path.display(),
                    loader.display()
                ));
            }
            (!missing.is_empty()).then(|| {
                format!(
                    "{} and its loader are there; missing in {shown}: {}. Copy them there under the same \
                     names (`ldd` lists them).",
                    path.display(),
                    missing.join(", ")
                )
            })
        }
    }
}

/// As a shell looks: the file itself with a slash, else along PATH.
fn find(host: &Host, command: &str) -> Option<PathBuf> {
    let there = |path: &Path| host.resolve(path).is_ok_and(|path| host.at(&path).is_file());
    if command.contains('/') {
        let path = Path::new("/").join(command);
        return there(&path).then_some(path);
    }
    let candidates = DIRECTORIES.iter().map(|directory| Path::new(directory).join(command));
    candidates.into_iter().find(|path| there(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(program: &str) -> Option<(tempfile::TempDir, PathBuf)> {
        let from = Path::new(program).canonicalize().ok()?;
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        std::fs::copy(from, directory.path().join("bin/sh")).unwrap();
        let root = directory.path().to_owned();
        Some((directory, root))
    }

    #[test]
    fn a_program_without_its_loader_and_a_missing_one_are_told_apart() {
        let (_directory, root) = tree("/proc/self/exe").unwrap();
        let said = diagnose(&root, "sh").unwrap();
        assert!(said.contains("/bin/sh is there") && said.contains("loader"), "{said}");
        assert!(said.contains("libc.so.6"), "{said}");
        assert!(diagnose(&root, "ls").unwrap().contains("There is no ls"));
        std::fs::write(root.join("bin/script"), "#!/bin/none -x\n").unwrap();
        assert!(diagnose(&root, "/bin/script").unwrap().contains("script for /bin/none"));
        assert_eq!(diagnose(Path::new("/"), "sh"), None);
    }
}
