//! `lesson` without a name: the list, with how far the reader has come.

use crate::error::Result;
use crate::lesson::library;
use crate::lesson::model::Lesson;
use crate::lesson::progress::{self, Book};
use crate::ui::{Align, Column, Screen, Style, Table, Value};

use super::Clap;

struct Row {
    lesson: Lesson,
    progress: String,
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
        value: |row| Value::Text(row.progress.clone()),
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
        value: |row| Value::Text(row.progress.clone()),
    },
    Column {
        name: "FILE",
        align: Align::Left,
        help: "where it is",
        value: |row| Value::Text(row.lesson.path.clone()),
    },
]);

pub(super) fn list(screen: &mut Screen) -> Result<u8> {
    let book = progress::load().unwrap_or_else(|error| {
        screen.warn(&format!("Your progress cannot be read: {error}"));
        Book::new()
    });
    let row = |lesson: Lesson| Row { progress: told(&lesson, &book), lesson };
    let rows: Vec<_> = library::embedded().into_iter().map(row).collect();
    let others: Vec<_> = library::installed(&Clap)?
        .into_iter()
        .map(|(lesson, mistakes)| match mistakes {
            0 => row(lesson),
            _ => Row { progress: "has mistakes: `lesson check` tells them".to_owned(), lesson },
        })
        .collect();
    if screen.json_wanted() {
        let all: Vec<_> = rows.into_iter().chain(others).collect();
        screen.json(&LIST.json(&all))?;
        return Ok(0);
    }
    screen.table(&LIST, &rows)?;
    if !others.is_empty() {
        let heading = screen.paint("Lessons of others, installed here", Style::Heading);
        screen.out(&format!("\n{heading}\n"))?;
        screen.table(&INSTALLED, &others)?;
    }
    screen.note("Play one: `under-the-hood lesson 1`.");
    Ok(0)
}

fn told(lesson: &Lesson, book: &Book) -> String {
    let Some(progress) = book.get(&lesson.key()) else { return "not begun".to_owned() };
    let at = progress.at.as_deref();
    match at.and_then(|id| lesson.steps.iter().position(|step| step.id == id)) {
        Some(at) => format!("at step {} of {}", at + 1, lesson.steps.len()),
        None if progress.finished => {
            format!("finished, {} of {} claims held", progress.held, lesson.claims().count())
        }
        None => "not begun".to_owned(),
    }
}
