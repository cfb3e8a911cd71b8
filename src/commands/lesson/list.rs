//! `lesson` without a name: the list, with how far the reader has come.

use crate::error::Result;
use crate::lesson::library;
use crate::lesson::model::Lesson;
use crate::lesson::progress::{self, Book, Progress};
use crate::lesson::score::Score;
use crate::ui::{Align, Column, Screen, Style, Table, Value};

use super::Clap;

struct Row {
    lesson: Lesson,
    known: Progress,
    /// Mistakes that it must be rid of before it can be played.
    mistakes: usize,
}

const LIST: Table<Row> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Right,
        help: "what to type: under-the-hood lesson 1",
        value: |row| {
            row.lesson.number.map_or(Value::None, |number| Value::Number(u64::from(number)))
        },
    },
    Column {
        name: "NAME",
        align: Align::Left,
        help: "or this",
        value: |row| Value::Text(row.lesson.name.clone()),
    },
    Column {
        name: "ARTICLE",
        align: Align::Left,
        help: "or the article's heading that it follows",
        value: |row| Value::Text(row.lesson.front.chapter.clone()),
    },
    Column {
        name: "MINUTES",
        align: Align::Right,
        help: "how long it takes",
        value: |row| Value::Number(u64::from(row.lesson.front.minutes)),
    },
    Column {
        name: "PROGRESS",
        align: Align::Left,
        help: "how far you have come",
        value: |row| Value::Text(told(row)),
    },
]);

/// The same, with the directory instead of the article's heading.
const INSTALLED: Table<Row> = Table(&[
    Column {
        name: "NAME",
        align: Align::Left,
        help: "what to type: under-the-hood lesson NAME",
        value: |row| Value::Text(row.lesson.name.clone()),
    },
    Column {
        name: "TITLE",
        align: Align::Left,
        help: "its own title",
        value: |row| Value::Text(row.lesson.front.title.clone()),
    },
    Column {
        name: "PROGRESS",
        align: Align::Left,
        help: "how far you have come",
        value: |row| Value::Text(told(row)),
    },
    Column {
        name: "FILE",
        align: Align::Left,
        help: "where it is",
        value: |row| Value::Text(row.lesson.path.clone()),
    },
]);

/// What a lesson that was begun has come to.
const DONE: Table<Row> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Left,
        help: "its number, or its name",
        value: |row| Value::Text(named(&row.lesson)),
    },
    Column {
        name: "STEP",
        align: Align::Left,
        help: "the step you have reached",
        value: |row| {
            Value::maybe(step(row).map(|step| format!("{step} of {}", row.lesson.steps.len())))
        },
    },
    Column {
        name: "CLAIMS HELD",
        align: Align::Left,
        help: "when you finished it last",
        value: |row| {
            let claims = row.lesson.claims().count();
            Value::maybe(row.known.finished.then(|| format!("{} of {claims}", row.known.held)))
        },
    },
    Column {
        name: "PREDICTIONS",
        align: Align::Left,
        help: "that were right, of those you gave; the first answer counts",
        value: |row| Value::maybe(row.known.predictions().map(predicted)),
    },
    Column {
        name: "MINUTES",
        align: Align::Right,
        help: "that you have been at it",
        value: |row| match row.known.seconds {
            0 => Value::None,
            seconds => Value::Number(seconds.div_ceil(60)),
        },
    },
    Column {
        name: "LAST PLAYED",
        align: Align::Left,
        help: "the day (UTC)",
        value: |row| Value::maybe(row.known.day()),
    },
]);

pub(super) fn list(screen: &mut Screen) -> Result<u8> {
    let book = progress::load().unwrap_or_else(|error| {
        screen.warn(&format!("Your progress cannot be read: {error}"));
        Book::new()
    });
    let row = |(lesson, mistakes): (Lesson, usize)| Row {
        known: book.get(&lesson.key()).cloned().unwrap_or_default(),
        lesson,
        mistakes,
    };
    let rows: Vec<_> = library::embedded().into_iter().map(|lesson| row((lesson, 0))).collect();
    let others: Vec<_> = library::installed(&Clap)?.into_iter().map(row).collect();
    if screen.json_wanted() {
        let all: Vec<_> = rows.into_iter().chain(others).collect();
        screen.json(&json(&all))?;
        return Ok(0);
    }
    screen.hanging(&LIST, &rows)?;
    if !others.is_empty() {
        let heading = screen.paint("Lessons of others, installed here", Style::Heading);
        screen.out(&format!("\n{heading}\n"))?;
        screen.table(&INSTALLED, &others)?;
    }
    let done: Vec<_> =
        rows.into_iter().chain(others).filter(|row| row.known != Progress::default()).collect();
    if done.is_empty() {
        screen.note("Play one: `under-the-hood lesson 1`.");
        return Ok(0);
    }
    let heading = screen.paint("What you have done", Style::Heading);
    screen.out(&format!("\n{heading}\n"))?;
    screen.table(&DONE, &done)?;
    screen.note("Go on: `under-the-hood lesson next`.");
    Ok(0)
}

/// The columns of the list, and what was done as numbers.
fn json(rows: &[Row]) -> serde_json::Value {
    let mut all = LIST.json(rows);
    for (row, value) in rows.iter().zip(all.as_array_mut().into_iter().flatten()) {
        let Row { lesson, known, .. } = row;
        let score = known.predictions();
        let more = serde_json::json!({
            "finished": known.finished,
            "step": step(row),
            "steps": lesson.steps.len(),
            "held": known.finished.then_some(known.held),
            "claims": lesson.claims().count(),
            "given": score.map(|score| score.given),
            "right": score.map(|score| score.right),
            "left_open": score.map(|score| score.open),
            "seconds": known.seconds,
            "last_played": known.last_played,
        });
        if let (Some(value), serde_json::Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
    }
    all
}

fn named(lesson: &Lesson) -> String {
    match lesson.number.filter(|_| lesson.embedded) {
        Some(number) => number.to_string(),
        None => lesson.name.clone(),
    }
}

/// `5 of 7, 1 open`
fn predicted(score: Score) -> String {
    let open = if score.open > 0 { format!(", {} open", score.open) } else { String::new() };
    format!("{} of {}{open}", score.right, score.given)
}

/// The step that was reached, counted from 1; whoever finished a lesson has come at least to
/// the last step that is not `(more)`.
fn step(row: &Row) -> Option<usize> {
    let steps = &row.lesson.steps;
    let at = row.known.at.as_deref();
    let at = at.and_then(|id| steps.iter().position(|step| step.id == id)).map(|at| at + 1);
    let last = || steps.iter().rposition(|step| !step.more).map_or(steps.len(), |at| at + 1);
    at.or_else(|| row.known.finished.then(last))
}

fn told(row: &Row) -> String {
    let Row { lesson, known, mistakes } = row;
    if *mistakes > 0 {
        return "has mistakes: `lesson check` tells them".to_owned();
    }
    match (step(row), &known.at) {
        (None, _) => "not begun".to_owned(),
        (Some(at), Some(_)) => format!("at step {at} of {}", lesson.steps.len()),
        (Some(_), None) => {
            format!("finished, {} of {} claims held", known.held, lesson.claims().count())
        }
    }
}
