//! Which libraries a program needs, found the way its loader finds them
//! (ld.so(8)) but without starting anything: `ldd` runs the program's loader,
//! and a strange program may name any loader it likes.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use super::elf::{self, Elf, Program};
use super::tree::Host;

/// Looks libraries up on a host.
#[derive(Debug)]
pub struct Libraries<'a> {
    host: &'a Host,
    configured: Vec<PathBuf>,
    read: BTreeMap<PathBuf, Option<Elf>>,
}

/// What a program needs: the names its loader will look for, and where each is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Name and path on the host, without links resolved.
    pub libraries: BTreeMap<String, PathBuf>,
    /// Names that were found nowhere.
    pub missing: Vec<String>,
}

/// An object whose needs are still to be looked up.
struct Object {
    elf: Elf,
    origin: PathBuf,
    /// `DT_RPATH` of those that led here, nearest first.
    inherited: Vec<PathBuf>,
}

impl<'a> Libraries<'a> {
    /// Reads the host's configuration of its loader.
    pub fn of(host: &'a Host) -> Self {
        let mut configured = Vec::new();
        read_config(host, Path::new("/etc/ld.so.conf"), &mut configured, 0);
        Self { host, configured, read: BTreeMap::new() }
    }

    /// Everything that a program at `path` needs, its libraries' needs included.
    pub fn needs(&mut self, path: &Path, program: &Elf) -> Needs {
        let mut needs = Needs::default();
        let Some(loader) = program.interpreter.clone() else { return needs };
        let system = self.system(&loader, program);
        let origin = self.host.resolve(path).unwrap_or_else(|_| path.to_owned());
        let origin = origin.parent().unwrap_or(Path::new("/")).to_owned();
        let mut ahead =
            VecDeque::from([Object { elf: program.clone(), origin, inherited: Vec::new() }]);
        while let Some(object) = ahead.pop_front() {
            let (nearer, inherited) = object.directories();
            for name in &object.elf.needed {
                if needs.libraries.contains_key(name) || needs.missing.contains(name) {
                    continue;
                }
                let directories = nearer.iter().chain(&system);
                let Some((path, elf)) = self.find(name, directories, program) else {
                    needs.missing.push(name.clone());
                    continue;
                };
                let origin = path.parent().unwrap_or(Path::new("/")).to_owned();
                needs.libraries.insert(name.clone(), path);
                ahead.push_back(Object { elf, origin, inherited: inherited.clone() });
            }
        }
        needs
    }

    /// The directories every program's libraries are looked for in, in order.
    fn system(&self, loader: &Path, program: &Elf) -> Vec<PathBuf> {
        let name = loader.file_name().unwrap_or_default().to_string_lossy();
        if let Some(arch) = name.strip_prefix("ld-musl-").and_then(|n| n.strip_suffix(".so.1")) {
            let own = self.host.at(Path::new(&format!("/etc/ld-musl-{arch}.path")));
            let list = std::fs::read_to_string(own)
                .unwrap_or_else(|_| "/lib:/usr/local/lib:/usr/lib".to_owned());
            let paths = list.split([':', '\n']).filter(|path| !path.is_empty());
            return paths.map(PathBuf::from).collect();
        }
        let mut directories = self.configured.clone();
        // Debian's loader is in the directory of its architecture, which it knows by heart.
        let resolved = self.host.resolve(loader).unwrap_or_default();
        directories.extend(resolved.parent().map(Path::to_owned));
        if program.abi.0 == goblin::elf::header::ELFCLASS64 {
            directories.extend(["/lib64", "/usr/lib64"].map(PathBuf::from));
        }
        directories.extend(["/lib", "/usr/lib"].map(PathBuf::from));
        directories
    }

    /// The first library of this name that fits the program; others are passed over, as ld.so does.
    fn find<'d>(
        &mut self,
        name: &str,
        directories: impl Iterator<Item = &'d PathBuf>,
        program: &Elf,
    ) -> Option<(PathBuf, Elf)> {
        let candidates: Vec<_> = if name.contains('/') {
            vec![PathBuf::from(name)]
        } else {
            directories.map(|directory| directory.join(name)).collect()
        };
        candidates.into_iter().find_map(|path| {
            let elf = self.elf(&path)?;
            (elf.abi == program.abi).then_some((path, elf))
        })
    }

    fn elf(&mut self, path: &Path) -> Option<Elf> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let resolved = self.host.resolve(path).ok();
        let elf = resolved.and_then(|resolved| match elf::read(&self.host.at(&resolved)) {
            Ok(Program::Elf(elf)) => Some(elf),
            _ => None,
        });
        self.read.insert(path.to_owned(), elf.clone());
        elf
    }
}

impl Object {
    /// Where this object's own needs are looked for before the system's
    /// directories, and what its libraries inherit.
    fn directories(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let expand = |paths: &[String]| -> Vec<PathBuf> {
            paths.iter().filter_map(|path| expand_origin(path, &self.origin)).collect()
        };
        if !self.elf.runpath.is_empty() {
            return (expand(&self.elf.runpath), self.inherited.clone());
        }
        let mut rpath = expand(&self.elf.rpath);
        rpath.extend(self.inherited.iter().cloned());
        (rpath.clone(), rpath)
    }
}

/// `$ORIGIN` is the directory of the object that names it; other tokens depend
/// on how the loader was built, so such a path is left out.
fn expand_origin(path: &str, origin: &Path) -> Option<PathBuf> {
    let origin = origin.to_str()?;
    let path = path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    (!path.contains('$')).then(|| PathBuf::from(path))
}

/// ld.so.conf: one directory a line, `#` comments, `include GLOB`.
fn read_config(host: &Host, file: &Path, directories: &mut Vec<PathBuf>, depth: u32) {
    const DEEPEST: u32 = 8;
    let Ok(text) = std::fs::read_to_string(host.at(file)) else { return };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include ").map(str::trim) {
            let from = file.parent().unwrap_or(Path::new("/"));
            for file in glob(host, &from.join(pattern)) {
                if depth < DEEPEST {
                    read_config(host, &file, directories, depth + 1);
                }
            }
        } else if line.starts_with('/') {
            directories.push(PathBuf::from(line));
        }
    }
}

/// The files of one directory whose names match one `*`: all that ld.so.conf uses.
fn glob(host: &Host, pattern: &Path) -> Vec<PathBuf> {
    let (Some(parent), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    let Some((before, after)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let Ok(entries) = std::fs::read_dir(host.at(parent)) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|file| file.len() >= before.len() + after.len())
        .filter(|file| file.starts_with(before) && file.ends_with(after))
        .map(|file| parent.join(file))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The smallest ELF file that says something of libraries.
    struct Sketch {
        machine: u16,
        interpreter: Option<&'static str>,
        /// `DT_NEEDED`, `DT_RPATH` and `DT_RUNPATH` (1, 15, 29) with their texts.
        names: Vec<(u64, &'static str)>,
    }

    impl Sketch {
        fn program(names: &[(u64, &'static str)]) -> Self {
            Self { machine: 62, interpreter: Some("/lib64/ld.so"), names: names.to_vec() }
        }

        fn library(names: &[(u64, &'static str)]) -> Self {
            Self { interpreter: None, ..Self::program(names) }
        }

        fn bytes(&self) -> Vec<u8> {
            let (mut texts, mut dynamic) = (vec![0], Vec::new());
            let mut entry = |tag: u64, value: u64| {
                dynamic.extend(tag.to_le_bytes().into_iter().chain(value.to_le_bytes()));
            };
            for (tag, text) in &self.names {
                entry(*tag, texts.len() as u64);
                texts.extend(text.bytes().chain([0]));
            }
            let interpreter = texts.len() as u64;
            texts.extend(self.interpreter.unwrap_or_default().bytes().chain([0]));
            let start = 64 + 3 * 56;
            for (tag, value) in [(5, start), (10, texts.len() as u64), (0, 0)] {
                entry(tag, value);
            }
            let behind = start + texts.len() as u64;
            let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
            bytes.resize(16, 0);
            bytes.extend([3_u16, self.machine].iter().flat_map(|half| half.to_le_bytes()));
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend([0_u64, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
            bytes
                .extend([0, 0, 64, 56, 3, 64, 0, 0_u16].iter().flat_map(|half| half.to_le_bytes()));
            let whole = behind + dynamic.len() as u64;
            let length = if self.interpreter.is_some() { behind - start - interpreter } else { 0 };
            let interp = if self.interpreter.is_some() { 3 } else { 0 };
            for (kind, offset, size) in [
                (1_u32, 0, whole),
                (2, behind, dynamic.len() as u64),
                (interp, start + interpreter, length),
            ] {
                bytes.extend(kind.to_le_bytes().into_iter().chain(4_u32.to_le_bytes()));
                let words = [offset, offset, offset, size, size, 8];
                bytes.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
            }
            bytes.extend(texts);
            bytes.extend(dynamic);
            bytes
        }
    }

    /// A host with these files, and what the program /opt/x/bin/x needs on it.
    fn needs(files: &[(&str, Sketch)], config: &str) -> Needs {
        let directory = tempfile::tempdir().unwrap();
        let host = Host(directory.path().to_owned());
        let write = |path: &str, bytes: &[u8]| {
            let file = host.at(Path::new(path));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        };
        for (path, sketch) in files {
            write(path, &sketch.bytes());
        }
        write("/etc/ld.so.conf", b"include ld.so.conf.d/*.conf # all of them\n");
        write("/etc/ld.so.conf.d/x.conf", config.as_bytes());
        let path = Path::new("/opt/x/bin/x");
        let Program::Elf(program) = elf::read(&host.at(path)).unwrap() else {
            panic!("the sketch is not taken for an ELF file")
        };
        Libraries::of(&host).needs(path, &program)
    }

    fn found(needs: &Needs) -> Vec<&str> {
        needs.libraries.values().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn directories_are_searched_in_the_loaders_order() {
        let program = || Sketch::program(&[(1, "a.so"), (29, "$ORIGIN/../lib")]);
        let a = || Sketch::library(&[]);
        let own = ("/opt/x/bin/../lib/a.so", a());
        let files = [("/opt/x/bin/x", program()), own, ("/conf/a.so", a()), ("/lib/a.so", a())];
        assert_eq!(found(&needs(&files, "/conf\n")), ["/opt/x/bin/../lib/a.so"]);
        let files = [("/opt/x/bin/x", program()), ("/conf/a.so", a()), ("/lib/a.so", a())];
        assert_eq!(found(&needs(&files, "/conf\n")), ["/conf/a.so"]);
        assert_eq!(found(&needs(&files, "")), ["/lib/a.so"]);
    }

    #[test]
    fn rpath_counts_for_libraries_of_libraries_and_runpath_does_not() {
        let files = |tag| {
            [
                ("/opt/x/bin/x", Sketch::program(&[(1, "a.so"), (tag, "/own")])),
                ("/own/a.so", Sketch::library(&[(1, "b.so")])),
                ("/own/b.so", Sketch::library(&[])),
            ]
        };
        assert_eq!(found(&needs(&files(15), "")), ["/own/a.so", "/own/b.so"]);
        let without = needs(&files(29), "");
        assert_eq!(found(&without), ["/own/a.so"]);
        assert_eq!(without.missing, ["b.so"]);
    }

    #[test]
    fn a_library_for_another_machine_is_passed_over() {
        let files = [
            ("/opt/x/bin/x", Sketch::program(&[(1, "a.so")])),
            ("/lib64/a.so", Sketch { machine: 183, ..Sketch::library(&[]) }),
            ("/usr/lib/a.so", Sketch::library(&[])),
        ];
        assert_eq!(found(&needs(&files, "")), ["/usr/lib/a.so"]);
        assert_eq!(needs(&files[..2], "").missing, ["a.so"]);
    }

    #[test]
    fn musl_looks_elsewhere() {
        let loader = Some("/lib/ld-musl-x86_64.so.1");
        let files = [
            ("/opt/x/bin/x", Sketch { interpreter: loader, ..Sketch::program(&[(1, "a.so")]) }),
            ("/conf/a.so", Sketch::library(&[])),
            ("/usr/local/lib/a.so", Sketch::library(&[])),
        ];
        assert_eq!(found(&needs(&files, "/conf\n")), ["/usr/local/lib/a.so"]);
    }

    #[test]
    fn libraries_that_need_each_other_come_once() {
        let files = [
            ("/opt/x/bin/x", Sketch::program(&[(1, "a.so")])),
            ("/lib/a.so", Sketch::library(&[(1, "b.so")])),
            ("/lib/b.so", Sketch::library(&[(1, "a.so"), (1, "b.so")])),
        ];
        assert_eq!(found(&needs(&files, "")), ["/lib/a.so", "/lib/b.so"]);
    }
}
