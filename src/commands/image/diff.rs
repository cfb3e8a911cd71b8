//! `image diff A B`: what a container of B finds that one of A does not.

use serde_json::json;

use super::dissect::views::mode;
use super::which::{open, path, path_json};
use crate::cli::dissect;
use crate::error::Result;
use crate::image::diff::{self, Difference, Field};
use crate::image::dissect::layers;
use crate::image::dissect::listing::Entry;
use crate::image::dissect::stack::Stack;
use crate::image::{oci, text};
use crate::ui::{Align, Column, Screen, Table, Value, shown};

/// A difference, in one line.
struct Row {
    change: &'static str,
    a: Option<u64>,
    b: Option<u64>,
    what: String,
    path: String,
}

const FILES: Table<Row> = Table(&[
    Column {
        name: "CHANGE",
        align: Align::Left,
        help: "From A to B",
        value: |row| Value::Text(row.change.to_owned()),
    },
    Column {
        name: "BYTES IN A",
        align: Align::Right,
        help: "Its size there",
        value: |row| row.a.map_or(Value::None, Value::Number),
    },
    Column {
        name: "IN B",
        align: Align::Right,
        help: "Its size there",
        value: |row| row.b.map_or(Value::None, Value::Number),
    },
    Column {
        name: "WHAT",
        align: Align::Left,
        help: "What differs: kind, content, link, mode, owner",
        value: |row| Value::Text(row.what.clone()),
    },
    Column {
        name: "PATH",
        align: Align::Left,
        help: "From the image's root",
        value: |row| Value::Text(row.path.clone()),
    },
]);

/// `image diff`
pub fn run(args: &dissect::Diff, screen: &mut Screen) -> Result<u8> {
    let platform = args.platform.as_deref();
    let (a, b) = (open(&args.a, platform)?, open(&args.b, platform)?);
    let (below, above) = (layers(&a, screen)?, layers(&b, screen)?);
    let (left, right) = (Stack::of(&below), Stack::of(&above));
    let files = diff::files(&left, &right);
    let fields = diff::config(&a.config, &b.config);
    if screen.json_wanted() {
        let image = |image: &crate::image::source::Image| json!({ "reference": image.name, "digest": image.descriptor.digest });
        let files: Vec<_> = files.iter().map(file_json).collect();
        screen
            .json(&json!({ "a": image(&a), "b": image(&b), "files": files, "config": fields }))?;
        return Ok(0);
    }
    let same = above.iter().filter(|layer| below.iter().any(|one| one.diff_id == layer.diff_id));
    screen.out(&format!("A  {}\nB  {}", shown(&a.name), shown(&b.name)))?;
    screen.out(&format!(
        "{} of B's {} layers are A's too; {} files differ\n\n",
        same.count(),
        above.len(),
        files.len()
    ))?;
    if !files.is_empty() {
        let rows: Vec<_> = files.iter().map(row).collect();
        screen.table(&FILES, &rows)?;
        screen.out("\n")?;
    }
    show_fields(&fields, screen)?;
    Ok(0)
}

fn row(difference: &Difference<'_>) -> Row {
    Row {
        change: difference.change(),
        a: difference.a.map(|entry| entry.size),
        b: difference.b.map(|entry| entry.size),
        what: match difference.what().join(",") {
            what if what.is_empty() => "-".to_owned(),
            what => what,
        },
        path: path(difference.path),
    }
}

fn file_json(difference: &Difference<'_>) -> serde_json::Value {
    let entry = |entry: &Entry<'_>| {
        json!({
            "kind": entry.kind.name(), "size": entry.size, "mode": entry.mode, "uid": entry.uid, "gid": entry.gid,
            "link": entry.link.map(text::of), "sha256": entry.sum.map(|sum| oci::hex(sum)), "ls": mode(entry),
        })
    };
    json!({
        "path": path_json(difference.path), "change": difference.change(), "what": difference.what(),
        "a": difference.a.as_ref().map(entry), "b": difference.b.as_ref().map(entry),
    })
}

fn show_fields(fields: &[Field], screen: &mut Screen) -> Result<()> {
    if fields.is_empty() {
        return screen.out("The configs start a container the same way.");
    }
    screen.out("How a container is started:")?;
    for Field { key, a, b } in fields {
        let value = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or_else(|| "-".to_owned(), |value| shown(&value.to_string()))
        };
        let lines = format!("  {}\n    A  {}\n    B  {}", shown(key), value(a), value(b));
        for line in lines.lines() {
            screen.out(&crate::ui::wrap(line, screen.width(), "       "))?;
        }
    }
    Ok(())
}
