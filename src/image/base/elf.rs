//! What a program says of itself: which loader starts it, which libraries it
//! needs, and where it wants them looked for. elf(5); readelf -ld shows the same.

use std::path::{Path, PathBuf};

use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::{DT_RPATH, DT_RUNPATH, Dynamic};
use goblin::elf::program_header::{PT_INTERP, ProgramHeader};
use goblin::elf::{Elf as Parsed, header};
use goblin::strtab::Strtab;

/// The part of an ELF file that decides what must be there to start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// Class, byte order and machine: what is loaded together must agree on them.
    pub abi: (u8, u8, u16),
    /// The dynamic loader (`PT_INTERP`); a static program has none.
    pub interpreter: Option<PathBuf>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_RPATH`: also for the libraries of its libraries.
    pub rpath: Vec<String>,
    /// `DT_RUNPATH`: for its own libraries only; where it is, `DT_RPATH` does not count.
    pub runpath: Vec<String>,
}

/// What kind of program a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Machine code.
    Elf(Elf),
    /// A text for the interpreter named in its first line (execve(2), "Interpreter scripts").
    Script(String),
    /// Nothing that this program knows how to start.
    Unknown,
}

/// Reads what `file` says; an I/O error where it cannot be read.
pub fn read(file: &Path) -> std::io::Result<Program> {
    let bytes = std::fs::read(file)?;
    if let Some(line) = bytes.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        return Ok(Program::Script(String::from_utf8_lossy(line).trim().to_owned()));
    }
    Ok(parse(&bytes).map_or(Program::Unknown, Program::Elf))
}

/// Only the headers and the dynamic section: symbols would take a hundred times as long.
fn parse(bytes: &[u8]) -> Option<Elf> {
    let head = Parsed::parse_header(bytes).ok()?;
    let container = if head.e_ident[header::EI_CLASS] == header::ELFCLASS64 {
        Container::Big
    } else {
        Container::Little
    };
    let context = Ctx::new(container, head.endianness().ok()?);
    let start = usize::try_from(head.e_phoff).ok()?;
    let segments = ProgramHeader::parse(bytes, start, usize::from(head.e_phnum), context).ok()?;
    let interpreter = segments.iter().find(|segment| segment.p_type == PT_INTERP);
    let mut elf = Elf {
        abi: (head.e_ident[header::EI_CLASS], head.e_ident[header::EI_DATA], head.e_machine),
        interpreter: interpreter.and_then(|segment| text_of(bytes, segment)),
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
    };
    if let Some(dynamic) = Dynamic::parse(bytes, &segments, context).ok()? {
        let names = Strtab::parse(bytes, dynamic.info.strtab, dynamic.info.strsz, 0).ok()?;
        elf.needed = dynamic.get_libraries(&names).into_iter().map(str::to_owned).collect();
        let paths = |tag| -> Vec<String> {
            let entries = dynamic.dyns.iter().filter(|entry| entry.d_tag == tag);
            entries
                .filter_map(|entry| names.get_at(usize::try_from(entry.d_val).ok()?))
                .flat_map(|list| list.split(':'))
                .filter(|path| !path.is_empty())
                .map(str::to_owned)
                .collect()
        };
        (elf.rpath, elf.runpath) = (paths(DT_RPATH), paths(DT_RUNPATH));
    }
    Some(elf)
}

fn text_of(bytes: &[u8], segment: &ProgramHeader) -> Option<PathBuf> {
    let start = usize::try_from(segment.p_offset).ok()?;
    let end = start.checked_add(usize::try_from(segment.p_filesz).ok()?)?;
    let text = bytes.get(start..end)?;
    let text = text.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(std::str::from_utf8(text).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_test_needs_a_loader_and_a_c_library() {
        let Program::Elf(elf) = read(&std::env::current_exe().unwrap()).unwrap() else {
            panic!("a test is an ELF file")
        };
        assert!(elf.interpreter.unwrap().is_absolute());
        assert!(elf.needed.iter().any(|library| library.starts_with("libc.")));
    }

    #[test]
    fn scripts_and_broken_files_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x");
        std::fs::write(&file, "#! /bin/sh -e\necho").unwrap();
        assert_eq!(read(&file).unwrap(), Program::Script("/bin/sh -e".into()));
        std::fs::write(&file, b"\x7fELF\x02\x01\x01").unwrap();
        assert_eq!(read(&file).unwrap(), Program::Unknown);
        // Every prefix of a real program: refused or read, never a panic.
        let whole = std::fs::read("/bin/sh").unwrap();
        for length in (0..4096).step_by(7) {
            let _ = parse(&whole[..length]);
        }
        // And with every field of its headers at its largest.
        for start in (0..1024).step_by(4) {
            for size in [2, 4, 8] {
                let mut broken = whole.clone();
                broken[start..start + size].fill(0xff);
                let _ = parse(&broken);
            }
        }
    }
}
