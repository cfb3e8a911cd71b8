//! `lesson reports DIR`: what a class has come to, for its instructor. One row
//! a report, one a lesson, and the claims that did not hold for everybody.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::error::{Context, Error, Result};
use crate::lesson::check::Verdict;
use crate::lesson::report::{self, KIND, Report};
use crate::ui::{Align, Column, Screen, Style, Table, Value, shown};

/// More files than this are not read.
const MOST: usize = 2_000;

struct Row {
    file: String,
    report: Report,
}

const REPORTS: Table<Row> = Table(&[
    Column {
        name: "REPORT",
        align: Align::Left,
        help: "the file",
        value: |row| Value::Text(row.file.clone()),
    },
    Column {
        name: "NAME",
        align: Align::Left,
        help: "whose it is, if they said so",
        value: |row| Value::maybe(row.report.name.clone()),
    },
    Column {
        name: "LESSON",
        align: Align::Left,
        help: "the lesson's number or name",
        value: |row| Value::Text(row.report.lesson.clone()),
    },
    Column {
        name: "END",
        align: Align::Left,
        help: "finished, or the step at which it was left",
        value: |row| {
            Value::Text(match row.report.finished {
                true => "finished".to_owned(),
                false => format!("step {} of {}", row.report.at, row.report.steps),
            })
        },
    },
    Column {
        name: "HOLD",
        align: Align::Right,
        help: "claims that held",
        value: |row| Value::Number(row.report.count(Verdict::Holds) as u64),
    },
    Column {
        name: "DO NOT",
        align: Align::Right,
        help: "claims that did not hold",
        value: |row| Value::Number(row.report.count(Verdict::DoesNotHold) as u64),
    },
    Column {
        name: "UNTESTABLE",
        align: Align::Right,
        help: "claims that could not be tested there",
        value: |row| Value::Number(row.report.count(Verdict::Untestable) as u64),
    },
    Column {
        name: "PREDICTED",
        align: Align::Right,
        help: "predictions that were right, of those given",
        value: |row| share(row.report.right, row.report.asked),
    },
    Column {
        name: "MINUTES",
        align: Align::Right,
        help: "how long it took",
        value: |row| Value::Number(row.report.seconds.div_ceil(60)),
    },
    Column {
        name: "MACHINE",
        align: Align::Left,
        help: "what it was played on",
        value: |row| Value::Text(machine(&row.report)),
    },
]);

/// All reports of one lesson.
struct Sum {
    lesson: String,
    reports: usize,
    finished: usize,
    held: usize,
    claims: usize,
    right: usize,
    asked: usize,
    minutes: u64,
}

const LESSONS: Table<Sum> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Left,
        help: "the lesson's number or name",
        value: |row| Value::Text(row.lesson.clone()),
    },
    Column {
        name: "REPORTS",
        align: Align::Right,
        help: "how many there are",
        value: |row| Value::Number(row.reports as u64),
    },
    Column {
        name: "FINISHED",
        align: Align::Right,
        help: "of them played to the end",
        value: |row| Value::Number(row.finished as u64),
    },
    Column {
        name: "HELD",
        align: Align::Right,
        help: "claims that held, of those that were judged",
        value: |row| share(row.held, row.claims),
    },
    Column {
        name: "PREDICTED",
        align: Align::Right,
        help: "predictions that were right, of those given",
        value: |row| share(row.right, row.asked),
    },
    Column {
        name: "MINUTES",
        align: Align::Right,
        help: "the middle one of all the times",
        value: |row| Value::Number(row.minutes),
    },
]);

/// One claim in all reports.
struct Claim {
    lesson: String,
    id: String,
    held: usize,
    not: usize,
    untestable: usize,
}

const CLAIMS: Table<Claim> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Left,
        help: "the lesson's number or name",
        value: |row| Value::Text(row.lesson.clone()),
    },
    Column {
        name: "CLAIM",
        align: Align::Left,
        help: "its id in the lesson",
        value: |row| Value::Text(row.id.clone()),
    },
    Column {
        name: "DID NOT HOLD",
        align: Align::Right,
        help: "in so many reports",
        value: |row| Value::Number(row.not as u64),
    },
    Column {
        name: "UNTESTABLE",
        align: Align::Right,
        help: "in so many",
        value: |row| Value::Number(row.untestable as u64),
    },
    Column {
        name: "HELD",
        align: Align::Right,
        help: "in so many",
        value: |row| Value::Number(row.held as u64),
    },
]);

fn share(some: usize, all: usize) -> Value {
    if all == 0 { Value::None } else { Value::Text(format!("{some} of {all}")) }
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    let mut words = vec![machine.distribution.clone().unwrap_or_else(|| "?".to_owned())];
    words.push(format!("kernel {} {}", machine.kernel, machine.architecture));
    words.extend(machine.virtual_machine.clone());
    words.extend(
        machine.container.as_ref().map(|container| format!("in a container ({container})")),
    );
    words.push(if machine.root { "root" } else { "a user" }.to_owned());
    words.join(", ")
}

/// `lesson reports DIR`
pub(super) fn reports(directory: &Path, screen: &mut Screen) -> Result<u8> {
    let (rows, told) = read(directory)?;
    for (file, why) in &told {
        screen.warn(&shown(&format!("{file} is left out: {why}")));
    }
    let (lessons, claims) = (lessons(&rows), claims(&rows));
    if screen.json_wanted() {
        let left_out: Vec<_> =
            told.iter().map(|(file, why)| json!({ "file": file, "why": why })).collect();
        let whole = |row: &Row| json!({ "file": row.file, "report": row.report });
        screen.json(&json!({
            "lessons": LESSONS.json(&lessons),
            "claims": CLAIMS.json(&claims),
            "reports": rows.iter().map(whole).collect::<Vec<_>>(),
            "left_out": left_out,
        }))?;
        return Ok(0);
    }
    if rows.is_empty() {
        return Err(Error::new(format!("there is no report in {}", directory.display())).hint(
            "`under-the-hood lesson 1 --report FILE` writes one; gather them in a directory.",
        ));
    }
    screen.table(&LESSONS, &lessons)?;
    if !claims.is_empty() {
        let heading = screen.paint("What did not hold everywhere", Style::Heading);
        screen.out(&format!("\n{heading}\n"))?;
        screen.table(&CLAIMS, &claims)?;
    }
    let heading = screen.paint("The reports", Style::Heading);
    screen.out(&format!("\n{heading}\n"))?;
    screen.table(&REPORTS, &rows)?;
    Ok(0)
}

/// The reports of a directory, by lesson and name; and what is none, with the reason.
#[allow(clippy::type_complexity)]
fn read(directory: &Path) -> Result<(Vec<Row>, Vec<(String, String)>)> {
    let entries = std::fs::read_dir(directory).tried(|| format!("opendir({directory:?})"))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    });
    files.sort();
    let (mut rows, mut told) = (Vec::new(), Vec::new());
    if files.len() > MOST {
        let rest = format!("{} more files", files.len() - MOST);
        told.push((rest, format!("no more than {MOST} are read")));
        files.truncate(MOST);
    }
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match parsed(&path) {
            Ok(report) => rows.push(Row { file, report }),
            Err(why) => told.push((file, why)),
        }
    }
    rows.sort_by(|a, b| {
        let key =
            |row: &Row| (row.report.lesson.clone(), row.report.name.clone(), row.file.clone());
        key(a).cmp(&key(b))
    });
    Ok((rows, told))
}

fn parsed(path: &Path) -> Result<Report, String> {
    if path.is_dir() {
        return Err("it is a directory".to_owned());
    }
    let text = report::report_text(path).map_err(|error| error.said.unwrap_or(error.tried))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"))?;
    if value["kind"] != KIND {
        return Err("it is JSON, but not a lesson's report".to_owned());
    }
    serde_json::from_value(value).map_err(|error| format!("it is a broken report: {error}"))
}

fn lessons(rows: &[Row]) -> Vec<Sum> {
    let mut by_lesson: BTreeMap<&str, Vec<&Report>> = BTreeMap::new();
    for row in rows {
        by_lesson.entry(&row.report.lesson).or_default().push(&row.report);
    }
    let sum = |(lesson, reports): (&str, Vec<&Report>)| {
        // A report is anybody's file: its numbers can be any.
        let add = |of: fn(&Report) -> usize| {
            reports.iter().map(|report| of(report)).fold(0, usize::saturating_add)
        };
        let mut seconds: Vec<_> = reports.iter().map(|report| report.seconds).collect();
        seconds.sort_unstable();
        Sum {
            lesson: lesson.to_owned(),
            reports: reports.len(),
            finished: add(|report| usize::from(report.finished)),
            held: add(|report| report.count(Verdict::Holds)),
            claims: add(|report| report.claims.len()),
            right: add(|report| report.right),
            asked: add(|report| report.asked),
            minutes: seconds[seconds.len() / 2].div_ceil(60),
        }
    };
    by_lesson.into_iter().map(sum).collect()
}

/// Claims that did not hold for everybody, those first that held for the fewest.
fn claims(rows: &[Row]) -> Vec<Claim> {
    let mut all: BTreeMap<(&str, &str), Claim> = BTreeMap::new();
    for report in rows.iter().map(|row| &row.report) {
        for verdict in &report.claims {
            let (lesson, id) = (report.lesson.clone(), verdict.id.clone());
            let claim = all.entry((&report.lesson, &verdict.id)).or_insert(Claim {
                lesson,
                id,
                held: 0,
                not: 0,
                untestable: 0,
            });
            match verdict.verdict {
                Verdict::Holds => claim.held += 1,
                Verdict::DoesNotHold => claim.not += 1,
                Verdict::Untestable => claim.untestable += 1,
            }
        }
    }
    let mut claims: Vec<_> =
        all.into_values().filter(|claim| claim.not + claim.untestable > 0).collect();
    claims.sort_by_key(|claim| std::cmp::Reverse((claim.not, claim.untestable)));
    claims
}
