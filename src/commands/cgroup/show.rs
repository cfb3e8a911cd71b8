//! `cgroup show`: every limit and counter of a group, in words and units, with
//! the file each comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::cli::cgroup::Show;
use crate::error::Result;
use crate::kernel::cgroup::{Group, Kind, Reading, readings};
use crate::kernel::process::path_text;
use crate::ui::{Align, Column, Screen, Style, Table, Value};

const VALUES: Table<Reading> = Table(&[
    Column {
        name: "FILE",
        align: Align::Left,
        help: "The file, and the line of it",
        value: |reading| Value::Text(name(reading)),
    },
    Column {
        name: "VALUE",
        align: Align::Left,
        help: "What it says, in words and units",
        value: |reading| Value::Text(reading.doc.unit.words(&reading.value)),
    },
    Column {
        name: "WHAT",
        align: Align::Left,
        help: "What that is",
        value: |reading| Value::Text(reading.doc.text.to_owned()),
    },
]);

fn name(reading: &Reading) -> String {
    let file = path_text(Path::new(reading.file.file_name().unwrap_or_default()));
    match &reading.key {
        Some(key) => format!("{file}: {key}"),
        None => file,
    }
}

/// One directory and what its files say.
struct Part {
    version: u8,
    controllers: Vec<String>,
    directory: PathBuf,
    readings: Vec<Reading>,
}

/// Prints the group of what was asked for.
pub fn run(proc: &Path, args: &Show, screen: &mut Screen) -> Result<u8> {
    let (pid, group) = super::group(proc, &args.target)?;
    let parts = parts(&group)?;
    if screen.json_wanted() {
        let values: Vec<_> = parts.iter().flat_map(|part| part.readings.iter().map(json)).collect();
        let seats: Vec<_> = group
            .seats
            .iter()
            .map(|seat| {
                json!({
                    "controller": seat.controller,
                    "version": seat.version,
                    "directory": path_text(&seat.directory),
                })
            })
            .collect();
        let result = json!({
            "target": args.target,
            "pid": pid,
            "path": group.path,
            "controllers": seats,
            "processes": group.processes(),
            "values": values,
        });
        return screen.json(&result).map(|()| 0);
    }
    let who = pid.map_or(String::new(), |pid| format!("pid {pid} is in "));
    screen.out(&format!("{who}cgroup {}", group.path))?;
    for part in &parts {
        let heading = screen.paint(&path_text(&part.directory), Style::Heading);
        let version = part.version;
        screen.out(&format!("\n{heading}  version {version}: {}", part.controllers.join(", ")))?;
        if part.readings.is_empty() {
            screen.out("no limit and no counter")?;
            continue;
        }
        screen.table(&VALUES, &part.readings)?;
    }
    if !parts.iter().flat_map(|part| &part.readings).any(|r| r.doc.kind == Kind::Limit) {
        screen.note("No file here limits anything: the top of a hierarchy is the machine itself.");
    }
    Ok(0)
}

/// The group's directories, each once.
fn parts(group: &Group) -> Result<Vec<Part>> {
    let mut directories: BTreeMap<&PathBuf, (u8, Vec<String>)> = BTreeMap::new();
    for seat in &group.seats {
        let entry = directories.entry(&seat.directory).or_insert((seat.version, Vec::new()));
        entry.1.push(seat.controller.clone());
    }
    let part = |(directory, (version, controllers)): (&PathBuf, (u8, Vec<String>))| {
        let readings = readings(directory, &[])?;
        Ok(Part { version, controllers, directory: directory.clone(), readings })
    };
    directories.into_iter().map(part).collect()
}

fn json(reading: &Reading) -> Json {
    let number = reading.value.parse::<u64>().ok();
    json!({
        "file": path_text(&reading.file),
        "key": reading.key,
        "kind": reading.doc.kind.name(),
        "value": number.map_or_else(|| json!(reading.value), |number| json!(number)),
        "words": reading.doc.unit.words(&reading.value),
        "text": reading.doc.text,
    })
}
