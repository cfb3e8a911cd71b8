//! `cgroup ls`: the control files, each explained.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::none_mounted;
use crate::cli::cgroup::Ls;
use crate::error::{Error, Result};
use crate::kernel::cgroup::{Doc, Hierarchies, Root, explain, names};
use crate::kernel::process::path_text;
use crate::ui::{Align, Column, Screen, Style, Table, Value};

/// A control file, or a group below.
struct Row {
    name: String,
    mode: String,
    doc: Option<&'static Doc>,
    child: bool,
}

const FILES: Table<Row> = Table(&[
    Column {
        name: "MODE",
        align: Align::Left,
        help: "Who may read and write it",
        value: |row| Value::Text(row.mode.clone()),
    },
    Column {
        name: "FILE",
        align: Align::Left,
        help: "Its name",
        value: |row| Value::Text(row.name.clone()),
    },
    Column {
        name: "KIND",
        align: Align::Left,
        help: "limit, counter or control; group: a cgroup below",
        value: |row| Value::maybe(row.kind()),
    },
    Column {
        name: "WHAT",
        align: Align::Left,
        help: "What it says",
        value: |row| Value::maybe(row.doc.map(|doc| doc.text)),
    },
]);

impl Row {
    fn kind(&self) -> Option<&'static str> {
        if self.child { Some("group") } else { self.doc.map(|doc| doc.kind.name()) }
    }

    fn json(&self) -> Json {
        json!({
            "name": self.name,
            "mode": self.mode,
            "kind": self.kind(),
            "text": self.doc.map(|doc| doc.text),
        })
    }
}

/// Lists the directories that were asked for.
pub fn run(proc: &Path, args: &Ls, screen: &mut Screen) -> Result<u8> {
    let roots = Hierarchies::read(proc)?.roots();
    if roots.is_empty() {
        return Err(none_mounted());
    }
    let chosen = chosen(proc, roots, args.which.as_deref())?;
    let mut listed = Vec::new();
    for root in &chosen {
        listed.push(rows(&root.directory)?);
    }
    if screen.json_wanted() {
        let one = |(root, rows): (&Root, &Vec<Row>)| {
            json!({
                "version": root.version,
                "controllers": root.controllers,
                "directory": path_text(&root.directory),
                "read_only": root.read_only,
                "files": rows.iter().filter(|row| !row.child).map(Row::json).collect::<Vec<_>>(),
                "children": rows.iter().filter(|row| row.child).map(|row| &row.name).collect::<Vec<_>>(),
            })
        };
        let all: Vec<_> = chosen.iter().zip(&listed).map(one).collect();
        return screen.json(&json!({ "directories": all })).map(|()| 0);
    }
    for (index, (root, rows)) in chosen.iter().zip(&listed).enumerate() {
        if index > 0 {
            screen.out("\n")?;
        }
        let heading = screen.paint(&path_text(&root.directory), Style::Heading);
        let line = format!("{heading}  {}", described(root));
        screen.out(&crate::ui::wrap(&line, screen.width(), "  "))?;
        screen.table(&FILES, rows)?;
    }
    Ok(0)
}

fn described(root: &Root) -> String {
    let controllers = match root.controllers.as_slice() {
        [] => "no controllers".to_owned(),
        some => some.join(", "),
    };
    let read_only = if root.read_only { "; mounted read-only" } else { "" };
    format!("version {}: {controllers}{read_only}", root.version)
}

/// The directories that a word means: of a controller, of a group's path, or
/// the top of every hierarchy.
fn chosen(proc: &Path, roots: Vec<Root>, which: Option<&str>) -> Result<Vec<Root>> {
    let Some(which) = which else { return Ok(roots) };
    if which.starts_with('/') {
        // The directory itself, as `ls` would be given it, is as good.
        let below = |root: &Root| which.starts_with(&*root.directory.to_string_lossy());
        let group = match roots.iter().any(below) && Path::new(which).is_dir() {
            true => return Ok(vec![at(&roots, which.into())]),
            false => super::by_path(proc, which)?,
        };
        let mut directories: Vec<PathBuf> = Vec::new();
        for seat in group.seats {
            if !directories.contains(&seat.directory) {
                directories.push(seat.directory);
            }
        }
        return Ok(directories.into_iter().map(|directory| at(&roots, directory)).collect());
    }
    let names: Vec<_> = roots.iter().flat_map(|root| root.controllers.clone()).collect();
    let has = |root: &Root| root.controllers.iter().any(|name| name == which);
    match roots.into_iter().find(has) {
        Some(root) => Ok(vec![root]),
        None => Err(Error::usage(format!("no mounted hierarchy has a controller {which}"))
            .hint(format!("There are: {}.", names.join(", ")))),
    }
}

/// A directory below one of the roots, described like it.
fn at(roots: &[Root], directory: PathBuf) -> Root {
    let root = roots
        .iter()
        .filter(|root| directory.starts_with(&root.directory))
        .max_by_key(|root| root.directory.as_os_str().len());
    match root {
        Some(root) => Root { directory, ..root.clone() },
        None => Root { version: 0, controllers: Vec::new(), directory, read_only: false },
    }
}

fn rows(directory: &Path) -> Result<Vec<Row>> {
    let mode = |name: &str| {
        let metadata = std::fs::metadata(directory.join(name));
        metadata.map_or_else(|_| "?".to_owned(), |metadata| mode(metadata.permissions().mode()))
    };
    let file = |name: String| Row { mode: mode(&name), doc: explain(&name), name, child: false };
    let mut rows: Vec<_> = names(directory)?.into_iter().map(file).collect();
    let mut children: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| path_text(Path::new(&entry.file_name())))
        .collect();
    children.sort();
    let child = |name: String| Row {
        mode: mode(&name).replacen('-', "d", 1),
        name: format!("{name}/"),
        doc: None,
        child: true,
    };
    rows.extend(children.into_iter().map(child));
    Ok(rows)
}

/// `-rw-r--r--`
fn mode(bits: u32) -> String {
    let letter = |index: u32| match bits >> (8 - index) & 1 {
        1 => ['r', 'w', 'x'][index as usize % 3],
        _ => '-',
    };
    std::iter::once('-').chain((0..9).map(letter)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn modes_are_written_as_ls_does() {
        assert_eq!(super::mode(0o644), "-rw-r--r--");
        assert_eq!(super::mode(0o755), "-rwxr-xr-x");
    }
}
