//! `--env` and `--env-file`: variables as docker takes them.

use std::path::Path;

use crate::container::spec::usage;
use crate::error::{Context, Error, Exit, Result};

/// More than an environment can be: Linux passes no single one of over 128 KiB.
const MOST: u64 = 1 << 20;

/// What `NAME=VALUE` or `NAME` says: the variable with its value; with the value it has
/// out here; or, where it has none, without one.
pub fn variable(flag: &str, given: &str) -> Result<(String, Option<String>)> {
    let wrong = |why: &str| usage(format!("{flag} {given}: {why}"));
    if given.contains('\0') {
        return Err(wrong("it has a NUL byte in it"));
    }
    let (name, value) = match given.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => match std::env::var(given) {
            Ok(value) => (given, Some(value)),
            Err(std::env::VarError::NotPresent) => (given, None),
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(wrong("the value it has here is not UTF-8"));
            }
        },
    };
    match name {
        "" => Err(wrong("a variable needs a name")),
        name => Ok((name.to_owned(), value)),
    }
}

/// The variables of a file: one a line, `#` before a comment.
pub fn file(path: &Path) -> Result<Vec<(String, Option<String>)>> {
    use std::io::Read;
    let flag = format!("--env-file {}", path.display());
    let file = std::fs::File::open(path)
        .tried(|| format!("{flag}: open"))
        .map_err(|error| error.exit(Exit::Engine))?;
    let mut bytes = Vec::new();
    file.take(MOST + 1)
        .read_to_end(&mut bytes)
        .tried(|| format!("{flag}: read"))
        .map_err(|error| error.exit(Exit::Engine))?;
    if bytes.len() as u64 > MOST {
        return Err(usage(format!("{flag}: it is longer than {MOST} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| usage(format!("{flag}: it is not UTF-8")))?;
    let lines = text.strip_prefix('\u{feff}').unwrap_or(&text).lines().enumerate();
    let lines = lines.map(|(index, line)| (index + 1, line.trim_start()));
    let wanted = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    wanted.map(|(number, line)| of_line(&format!("{flag}, line {number}:"), line)).collect()
}

fn of_line(place: &str, line: &str) -> Result<(String, Option<String>)> {
    let name = line.split('=').next().unwrap_or(line);
    match name.contains(char::is_whitespace) {
        false => variable(place, line),
        true => Err(Error::usage(format!("{place} {name:?} has a space in its name"))
            .exit(Exit::Engine)
            .hint("One NAME=VALUE a line; the value is taken as it stands, quotes too.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_docker_reads_it() {
        let file_of = |text: &[u8]| {
            let path = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(path.path(), text).unwrap();
            file(path.path())
        };
        let text = "\u{feff}# note\n\n  A=1\nB=two words \nC='q'=\nD=\r\n  # note\nPATH\nNO_SUCH_VARIABLE_HERE\n";
        let found = file_of(text.as_bytes()).unwrap();
        let value = |name: &str| found.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(value("A").as_deref(), Some("1"));
        assert_eq!(value("B").as_deref(), Some("two words "));
        assert_eq!(value("C").as_deref(), Some("'q'="));
        assert_eq!(value("D").as_deref(), Some(""));
        assert_eq!(value("PATH"), std::env::var("PATH").ok());
        assert_eq!(value("NO_SUCH_VARIABLE_HERE"), None);
        assert_eq!(found.len(), 6);
        for wrong in ["=x", "A B=c", "A =c", "two words", "A=\0"] {
            assert_eq!(file_of(wrong.as_bytes()).unwrap_err().exit, Exit::Engine, "{wrong:?}");
        }
        assert!(file_of(b"A=\xff").is_err());
        assert!(file_of(&vec![b'x'; 1 << 21]).is_err());
        assert_eq!(file(Path::new("/no/such/file")).unwrap_err().exit, Exit::Engine);
    }
}
