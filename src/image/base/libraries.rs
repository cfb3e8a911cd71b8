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
