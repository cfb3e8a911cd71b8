//! Tables are declared once, one entry per column; the table, its JSON and its
//! help follow from that.

use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde_json::{Map, json};

use super::style::{self, Style};
use super::wrap::{fold, width_of};

/// Which side a column's cells stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A cell's value: formatted for people in a table, as it is in JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A count, an id, bytes.
    Number(u64),
    /// A number that can be negative.
    Signed(i64),
    /// Text.
    Text(String),
    /// Several, joined with commas for people.
    List(Vec<String>),
    /// Yes or no.
    Bool(bool),
    /// Not known or not there: `-` for people, null in JSON.
    None,
}

impl Value {
    /// Text, or `None` where there is none.
    pub fn maybe(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::None, |text| Self::Text(text.into()))
    }

    fn for_people(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Signed(number) => number.to_string(),
            Self::Text(text) => printable(text),
            Self::List(items) => printable(&items.join(",")),
            Self::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Self::None => "-".to_owned(),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Signed(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::List(items) => json!(items),
            Self::Bool(yes) => json!(yes),
            Self::None => serde_json::Value::Null,
        }
    }
}

/// Text of others (a process's arguments, say) without what could drive the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// One column of a table of `R`s.
pub struct Column<R> {
    /// The heading; in lower case the key in JSON.
    pub name: &'static str,
    /// Which side its cells stand on.
    pub align: Align,
    /// What it says, for `--help`.
    pub help: &'static str,
    /// Its cell in a row.
    pub value: fn(&R) -> Value,
}

/// A table of `R`s: its columns from left to right. Where the screen is too
/// narrow, the last column is cut.
pub struct Table<R: 'static>(pub &'static [Column<R>]);

impl<R> Table<R> {
    /// The table as text, at most `width` columns wide where a width is given.
    pub fn render(&self, rows: &[R], width: Option<usize>, color: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.0.iter().map(|column| column.name));
        for row in rows {
            table.add_row(self.0.iter().map(|column| (column.value)(row).for_people()));
        }
        for (index, column) in self.0.iter().enumerate() {
            let Some(drawn) = table.column_mut(index) else { continue };
            drawn.set_padding(if index == 0 { (0, 0) } else { (2, 0) });
            drawn.set_cell_alignment(match column.align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
        let mut lines = table.lines().map(|line| cut(line.trim_end(), width));
        let heading = lines.next().map(|heading| style::paint(&heading, Style::Heading, color));
        heading.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
    }

    /// Whether a table of these rows leaves its last column room enough. Only a narrow screen
    /// is worth the look: at 60 columns and more, a column that is cut is cut.
    pub fn fits(&self, rows: &[R], width: usize) -> bool {
        const NARROW: usize = 60;
        const ENOUGH: usize = 24;
        if width >= NARROW {
            return true;
        }
        let heads: Vec<_> = self.0.iter().map(|column| column.name.to_owned()).collect();
        let cells: Vec<Vec<_>> = rows.iter().map(|row| self.cells(self.0, row)).collect();
        let widths = widths(&heads, &cells);
        let Some((last, before)) = widths.split_last() else { return true };
        before.iter().map(|width| width + 2).sum::<usize>() + last.min(&ENOUGH) <= width
    }

    fn cells(&self, columns: &[Column<R>], row: &R) -> Vec<String> {
        columns.iter().map(|column| (column.value)(row).for_people()).collect()
    }

    /// The rows as JSON objects, keyed by the columns' names in lower case.
    pub fn json(&self, rows: &[R]) -> serde_json::Value {
        let object = |row: &R| -> Map<String, serde_json::Value> {
            let entry = |column: &Column<R>| (key(column.name), (column.value)(row).json());
            self.0.iter().map(entry).collect()
        };
        rows.iter().map(object).collect()
    }

    /// The columns explained, for the end of a command's `--help`.
    pub fn help(&self) -> String {
        let widest = self.0.iter().map(|column| column.name.len()).max().unwrap_or(0);
        let line = |column: &Column<R>| format!("  {:widest$}  {}", column.name, column.help);
        format!("Columns:\n{}", self.0.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

impl<R> Table<R> {
    /// The table with its last column wrapped below itself instead of cut.
    pub fn hanging(&self, rows: &[R], width: usize, color: bool) -> String {
        let Some((last, before)) = self.0.split_last() else { return String::new() };
        let heads: Vec<_> = before.iter().map(|column| column.name.to_owned()).collect();
        let cells: Vec<Vec<_>> = rows.iter().map(|row| self.cells(before, row)).collect();
        let widths = widths(&heads, &cells);
        let margin = widths.iter().map(|width| width + 2).sum::<usize>();
        let heading = |name: &str| style::paint(name, Style::Heading, color);
        let start = |cells: &[String], paint: &dyn Fn(&str) -> String| {
            let mut line = String::new();
            for ((cell, column), width) in cells.iter().zip(before).zip(&widths) {
                place(&mut line, &paint(cell), column.align, width - width_of(cell));
            }
            line
        };
        let gap = if before.is_empty() { "" } else { GAP };
        let mut lines = vec![start(&heads, &heading) + gap + &heading(last.name)];
        for (row, cells) in rows.iter().zip(&cells) {
            let text = (last.value)(row).for_people();
            let text = fold(&text, width.saturating_sub(margin).max(16));
            let text = text.replace('\n', &format!("\n{:margin$}", ""));
            lines.push(start(cells, &str::to_owned) + gap + &text);
        }
        lines.join("\n")
    }
}

/// What stands between two columns.
const GAP: &str = "  ";

/// How wide each column is: as its widest cell.
fn widths(heads: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<_> = heads.iter().map(|head| width_of(head)).collect();
    for cells in rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(width_of(cell));
        }
    }
    widths
}

/// Adds a cell to a line, with so much room to spare on its other side.
fn place(line: &mut String, cell: &str, align: Align, room: usize) {
    if !line.is_empty() {
        line.push_str(GAP);
    }
    let room = std::iter::repeat_n(' ', room);
    match align {
        Align::Left => {
            line.push_str(cell);
            line.extend(room);
        }
        Align::Right => {
            line.extend(room);
            line.push_str(cell);
        }
    }
}

/// One row after the other, a line for each column.
pub(super) fn records<'a, R: 'a>(
    columns: impl Iterator<Item = &'a Column<R>> + Clone,
    rows: &[R],
    width: usize,
    color: bool,
) -> String {
    let widest = columns.clone().map(|column| column.name.len()).max().unwrap_or(0);
    let hang = format!("\n{:1$}", "", widest + 2);
    let line = |row: &R, column: &Column<R>| {
        let name = style::paint(&format!("{:widest$}", column.name), Style::Heading, color);
        let text = (column.value)(row).for_people();
        let text = fold(&text, width.saturating_sub(widest + 2).max(16));
        format!("{name}  {}", text.replace('\n', &hang))
    };
    let record = |row: &R| -> String {
        columns.clone().map(|column| line(row, column)).collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n\n")
}

/// The same for a screen reader: `name: value`, in lower case, which is read as a word.
pub(super) fn named<'a, R: 'a>(
    columns: impl Iterator<Item = &'a Column<R>> + Clone,
    rows: &[R],
    width: usize,
) -> String {
    let line = |row: &R, column: &Column<R>| {
        let text = match (column.value)(row) {
            Value::None => "none".to_owned(),
            value => value.for_people(),
        };
        fold(&format!("{}: {text}", column.name.to_lowercase()), width).replace('\n', "\n  ")
    };
    let record = |row: &R| -> String {
        columns.clone().map(|column| line(row, column)).collect::<Vec<_>>().join("\n")
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n\n")
}

fn key(name: &str) -> String {
    name.to_lowercase().replace([' ', '-'], "_")
}

fn cut(line: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| width_of(line) > *width) else {
        return line.to_owned();
    };
    let mut kept = String::new();
    for c in line.chars() {
        kept.push(c);
        if width_of(&kept) > width - 1 {
            kept.pop();
            break;
        }
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table<(u64, &str)> = Table(&[
        Column { name: "PID", align: Align::Right, help: "", value: |r| Value::Number(r.0) },
        Column {
            name: "COMMAND",
            align: Align::Left,
            help: "",
            value: |r| Value::Text(r.1.into()),
        },
    ]);

    #[test]
    fn aligns_cuts_and_hides_control_characters() {
        let rows = [(1, "init"), (1234, "a long\u{1b} command")];
        assert_eq!(
            TABLE.render(&rows, None, false),
            " PID  COMMAND\n   1  init\n1234  a long? command"
        );
        assert_eq!(TABLE.render(&rows[1..], Some(12), false), " PID  COMMA…\n1234  a lon…");
    }

    #[test]
    fn nothing_is_cut_where_lines_may_follow() {
        let rows = [(7, "a long command"), (42, "x")];
        assert_eq!(TABLE.hanging(&rows, 14, false), "PID  COMMAND\n  7  a long command\n 42  x");
        assert_eq!(
            TABLE.hanging(&[(7, "a word: 0123456789abcdef0")], 21, false),
            "PID  COMMAND\n  7  a word:\n     0123456789abcdef\n     0"
        );
        assert_eq!(
            records(TABLE.0.iter(), &rows, 40, false),
            "PID      7\nCOMMAND  a long command\n\nPID      42\nCOMMAND  x"
        );
    }

    #[test]
    fn a_narrow_table_becomes_records() {
        let rows = [(7, "a long command of several words")];
        assert!(TABLE.fits(&rows, 40) && !TABLE.fits(&rows, 24) && TABLE.fits(&[], 24));
        assert_eq!(
            named(TABLE.0.iter(), &rows, 30),
            "pid: 7\ncommand: a long command of\n  several words"
        );
    }

    #[test]
    fn json_has_plain_values_and_snake_case_keys() {
        assert_eq!(TABLE.json(&[(7, "x")]), json!([{"pid": 7, "command": "x"}]));
    }
}
