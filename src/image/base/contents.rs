//! What goes into the base image: this machine's static busybox if it has one,
//! else copies of its own programs with the libraries they need.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::elf::{self, Elf};
use super::libraries::Libraries;
use super::skeleton;
use super::tree::{Host, Tree};
use crate::error::{Error, Result};
use crate::kernel::tree::{Entry, Node};

const WANTED: &str = include_str!("../../../assets/base/programs");

/// Where programs are, in a fixed order: what is in an image must not depend on
/// the PATH of whoever makes it.
const DIRECTORIES: [&str; 4] = ["/bin", "/usr/bin", "/sbin", "/usr/sbin"];

/// Where programs are on NixOS and Guix; they come in as links from /usr/bin.
const PROFILES: [&str; 2] = ["/run/current-system/sw/bin", "/run/current-system/profile/bin"];

const GET_BUSYBOX: &str = "Install a static busybox: package busybox-static on Debian, Ubuntu and Alpine, busybox on Fedora.";

const BUSYBOXES: [&str; 4] =
    ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static", "/usr/lib/busybox/busybox-static"];

/// The entries of terminfo(5) that a container's terminal may need.
const TERMINALS: [&str; 9] = [
    "dumb",
    "linux",
    "screen",
    "screen-256color",
    "tmux",
    "tmux-256color",
    "vt100",
    "xterm",
    "xterm-256color",
];

/// What an image is made of, before it is made.
#[derive(Debug, Clone)]
pub struct Contents {
    /// What its programs were taken from.
    pub source: Source,
    /// Its files.
    pub entries: Vec<Entry>,
    /// Its programs.
    pub programs: Vec<Program>,
    /// The names that a static busybox answers to; none where there is no busybox.
    pub applets: Vec<String>,
    /// The libraries that came along.
    pub libraries: Vec<Library>,
    /// Programs that were wanted and are not in it, and why.
    pub missing: Vec<Missing>,
}

impl Contents {
    fn empty(source: Source) -> Self {
        Self {
            source,
            entries: Vec::new(),
            programs: Vec::new(),
            applets: Vec::new(),
            libraries: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The size of all programs and libraries together.
    pub fn bytes(&self) -> u64 {
        let programs = self.programs.iter().map(|program| program.bytes);
        programs.chain(self.libraries.iter().map(|library| library.bytes)).sum()
    }
}

/// A program that is in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The file of the host that it is a copy of.
    pub from: PathBuf,
    /// The size of that file.
    pub bytes: u64,
    /// The libraries its loader will look for.
    pub libraries: Vec<String>,
}

/// A library that is in the image, or a loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// The file of the host that it is a copy of.
    pub from: PathBuf,
    /// The size of that file.
    pub bytes: u64,
}

/// A program that is not in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What the programs are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One static busybox: small, and it needs no library.
    Busybox,
    /// The machine's own programs.
    Programs,
}

/// Looks at a host and decides, unless the source is given; changes nothing.
pub fn of(host: &Host, source: Option<Source>) -> Result<Contents> {
    let busybox = if source == Some(Source::Programs) { None } else { busybox(host) };
    match busybox {
        Some((path, applets)) => Ok(from_busybox(host, &path, applets)),
        None if source == Some(Source::Busybox) => Err(Error::cannot(
            "this machine has no static busybox that can be started",
        )
        .hint(format!("{GET_BUSYBOX} Or leave --from away: then its own programs are copied."))),
        None => from_programs(host),
    }
}

/// A busybox that needs no library, with a shell, that this machine can start.
fn busybox(host: &Host) -> Option<(PathBuf, Vec<String>)> {
    BUSYBOXES.iter().find_map(|path| {
        let path = host.resolve(Path::new(path)).ok()?;
        let file = host.at(&path);
        match elf::read(&file).ok()? {
            elf::Program::Elf(elf) if elf.interpreter.is_none() => {}
            _ => return None,
        }
        let output = Command::new(&file).arg("--list").env_clear().output().ok()?;
        let applets: BTreeSet<_> = String::from_utf8(output.stdout)
            .ok()?
            .lines()
            .filter(|name| !name.is_empty() && *name != "busybox" && !name.contains('/'))
            .map(str::to_owned)
            .collect();
        applets.contains("sh").then(|| (path, applets.into_iter().collect()))
    })
}

fn from_busybox(host: &Host, path: &Path, applets: Vec<String>) -> Contents {
    let mut tree = skeleton::tree();
    let from = host.at(path);
    let bytes = size(&from);
    tree.put("bin/busybox", Node::Copy { from, mode: 0o755 });
    for applet in &applets {
        tree.put(Path::new("bin").join(applet), Node::Link("busybox".into()));
    }
    tree.put("sbin", Node::Link("bin".into()));
    tree.put("usr/bin", Node::Link("../bin".into()));
    tree.put("usr/sbin", Node::Link("../bin".into()));
    let program =
        Program { name: "busybox".into(), from: path.to_owned(), bytes, libraries: Vec::new() };
    let entries = tree.entries();
    Contents { entries, programs: vec![program], applets, ..Contents::empty(Source::Busybox) }
}

fn from_programs(host: &Host) -> Result<Contents> {
    let mut copier = Copier {
        host,
        libraries: Libraries::of(host),
        tree: skeleton::tree(),
        contents: Contents::empty(Source::Programs),
        imported: BTreeSet::new(),
    };
    if let Err(reason) = copier.program("sh") {
        return Err(Error::cannot("making the base image from this machine's programs")
            .said(format!("its shell, sh, cannot be used: {reason}"))
            .hint(GET_BUSYBOX));
    }
    for name in wanted() {
        if let Err(reason) = copier.program(name) {
            copier.contents.missing.push(Missing { name: name.to_owned(), reason });
        }
    }
    copier.terminals();
    let Copier { tree, mut contents, imported, .. } = copier;
    contents.entries = tree.entries();
    let library = |from: PathBuf| Library { bytes: size(&host.at(&from)), from };
    contents.libraries = imported.into_iter().map(library).collect();
    Ok(contents)
}

/// The names in assets/base/programs.
fn wanted() -> impl Iterator<Item = &'static str> {
    WANTED.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// Brings programs in, one after the other.
struct Copier<'a> {
    host: &'a Host,
    libraries: Libraries<'a>,
    tree: Tree,
    contents: Contents,
    imported: BTreeSet<PathBuf>,
}

impl Copier<'_> {
    /// Brings in a program and all it needs, or nothing and says why.
    fn program(&mut self, name: &str) -> Result<(), String> {
        let path = self.find(name).ok_or("not on this machine")?;
        let resolved = self.host.resolve(&path).map_err(|error| error.to_string())?;
        let file = self.host.at(&resolved);
        let elf = match elf::read(&file).map_err(|error| format!("{}: {error}", path.display()))? {
            elf::Program::Elf(elf) => elf,
            elf::Program::Script(interpreter) => {
                return Err(format!("{} is a script for {interpreter}", path.display()));
            }
            elf::Program::Unknown => {
                return Err(format!("{} is not a program for Linux", path.display()));
            }
        };
        let libraries = self.needs(&resolved, &elf)?;
        if PROFILES.iter().any(|profile| path.starts_with(profile)) {
            self.import(&resolved)?;
            self.tree.put(Path::new("usr/bin").join(name), Node::Link(resolved.clone()));
        } else {
            self.import(&path)?;
        }
        self.contents.programs.push(Program {
            name: name.to_owned(),
            from: path,
            bytes: size(&file),
            libraries,
        });
        Ok(())
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let candidates = DIRECTORIES.iter().chain(&PROFILES);
        candidates.map(|directory| Path::new(directory).join(name)).find(|path| {
            let resolved = self.host.resolve(path).map(|path| self.host.at(&path));
            resolved.is_ok_and(|file| {
                file.metadata().is_ok_and(|metadata| {
                    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
                })
            })
        })
    }

    /// Brings in a program's loader and libraries; their names.
    fn needs(&mut self, program: &Path, elf: &Elf) -> Result<Vec<String>, String> {
        let Some(loader) = &elf.interpreter else { return Ok(Vec::new()) };
        let needs = self.libraries.needs(program, elf);
        if !needs.missing.is_empty() {
            return Err(format!("it needs {}, not found here", needs.missing.join(", ")));
        }
        let resolved = self.import(loader)?;
        self.imported.insert(resolved);
        let libc = needs.libraries.iter().find(|(name, _)| name.starts_with("libc."));
        let home = libc.and_then(|(_, path)| path.parent()).map(Path::to_owned);
        for (name, path) in &needs.libraries {
            let resolved = self.import(path)?;
            self.imported.insert(resolved);
            if let Some(home) = &home {
                self.make_findable(name, path, home);
            }
        }
        if let Some(home) = &home {
            // glibc before 2.34 reads /etc/passwd through a library that nothing names.
            if let Ok(resolved) = self.import(&home.join("libnss_files.so.2")) {
                self.imported.insert(resolved);
            }
        }
        Ok(needs.libraries.into_keys().collect())
    }

    /// The image has no ld.so.cache, which is how a loader knows of directories
    /// like /opt/x/lib: a library from such a place gets a link beside libc.
    fn make_findable(&mut self, name: &str, path: &Path, home: &Path) {
        let directory = path.parent().unwrap_or(home);
        let same = |a: &Path, b: &Path| self.host.resolve(a).ok() == self.host.resolve(b).ok();
        if same(directory, home) || name.contains('/') {
            return;
        }
        if let Ok(home) = self.host.resolve(home)
            && !self.tree.has(home.join(name))
        {
            self.tree.put(home.join(name), Node::Link(path.to_owned()));
        }
    }

    fn terminals(&mut self) {
        for directory in ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"] {
            for name in TERMINALS {
                let _ = self.import(&Path::new(directory).join(&name[..1]).join(name));
            }
        }
    }

    fn import(&mut self, path: &Path) -> Result<PathBuf, String> {
        self.tree.import(self.host, path).map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn size(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}
