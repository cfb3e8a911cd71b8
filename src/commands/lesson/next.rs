//! `lesson next`: the lesson that was begun and not finished, else the first
//! that has not been finished.

use std::path::Path;

use crate::cli::Global;
use crate::cli::lesson::Playing;
use crate::error::{Error, Result};
use crate::kernel::probe::Facts;
use crate::lesson::model::Lesson;
use crate::lesson::play::lacking;
use crate::lesson::progress::{self, Book};
use crate::lesson::{library, shelf, source};
use crate::ui::Screen;

use super::{Clap, play};

/// What comes next.
enum Next {
    /// This lesson, and why.
    Play(Box<Lesson>, String),
    /// None: all are finished.
    Finished(usize),
    /// None that this machine can play: the first, and why not.
    Cannot(Box<Lesson>, String, Option<String>),
}

pub(super) fn next(playing: &Playing, global: &Global, screen: &mut Screen) -> Result<u8> {
    let book = progress::load()?;
    match choose(&book, screen)? {
        Next::Play(lesson, why) => {
            screen.note(&format!("{}: {why}.", called(&lesson)));
            play::play(&lesson, playing, global, screen)
        }
        Next::Finished(_) if screen.json_wanted() => {
            screen.json(&serde_json::json!({ "claims": [] })).map(|()| 0)
        }
        Next::Finished(how_many) => tell_finished(how_many, screen).map(|()| 0),
        Next::Cannot(lesson, why, fix) => {
            let tried = "none of the lessons that are left can be played here";
            let error = Error::cannot(tried).said(format!("{}: {why}", called(&lesson)));
            Err(Error { hint: fix, ..error })
        }
    }
}

fn choose(book: &Book, screen: &Screen) -> Result<Next> {
    if let Some((lesson, why)) = begun(book, screen) {
        return Ok(Next::Play(Box::new(lesson), why));
    }
    let others = library::installed(&Clap)?.into_iter();
    let others = others.filter(|(_, mistakes)| *mistakes == 0).map(|(lesson, _)| lesson);
    let all: Vec<_> = library::embedded().into_iter().chain(others).collect();
    let how_many = all.len();
    let (facts, mut cannot) = (Facts::new(), None);
    let finished = |lesson: &Lesson| book.get(&lesson.key()).is_some_and(|known| known.finished);
    for lesson in all.into_iter().filter(|lesson| !finished(lesson)) {
        let Some((why, fix)) = lacking(&lesson.front.needs, &facts) else {
            let found = found(&lesson.key())?;
            let why = "the first that you have not finished";
            return Ok(Next::Play(Box::new(found), why.to_owned()));
        };
        screen.note(&format!("{} is passed over: {why}.", called(&lesson)));
        cannot.get_or_insert((Box::new(lesson), why, fix));
    }
    Ok(match cannot {
        Some((lesson, why, fix)) => Next::Cannot(lesson, why, fix),
        None => Next::Finished(how_many),
    })
}

/// The lesson that is under way; of several, the one that was played last.
fn begun(book: &Book, screen: &Screen) -> Option<(Lesson, String)> {
    let mut begun: Vec<_> = book.iter().filter(|(_, known)| known.at.is_some()).collect();
    // What an older version has kept knows no time: it comes last, by number.
    begun.sort_by(|a, b| b.1.last_played.cmp(&a.1.last_played));
    for (key, known) in begun {
        let path = Path::new(key);
        if path.is_absolute() && !source::file_of(path).exists() {
            screen.note(&format!("{key} is passed over: it is not there any more."));
            continue;
        }
        let lesson = match found(key) {
            Ok(lesson) => lesson,
            Err(error) => {
                screen.warn(&format!("{key} is passed over: {error}"));
                continue;
            }
        };
        let at = known.at.as_deref();
        let at = at.and_then(|id| lesson.steps.iter().position(|step| step.id == id)).unwrap_or(0);
        let mut why = format!("goes on at step {} of {}", at + 1, lesson.steps.len());
        if let Some(day) = known.day() {
            why.push_str(&format!(", where you stopped on {day}"));
        }
        return Some((lesson, why));
    }
    None
}

/// By its directory, so that the files beside it are found; nobody named it just now, so
/// root is not led by what somebody else has put on the shelf.
fn found(key: &str) -> Result<Lesson> {
    let wanted = key.strip_suffix("/lesson.md").unwrap_or(key);
    if shelf::installed()?.iter().any(|directory| directory == Path::new(wanted)) {
        shelf::trustworthy(Path::new(wanted))?;
    }
    library::find(wanted, &Clap)
}

fn called(lesson: &Lesson) -> String {
    match lesson.number.filter(|_| lesson.embedded) {
        Some(number) => format!("Lesson {number}, {}", lesson.front.title),
        None => format!("The lesson {}, {}", lesson.name, lesson.front.title),
    }
}

fn tell_finished(how_many: usize, screen: &mut Screen) -> Result<()> {
    screen.prose(&format!("You have finished all {how_many} lessons. What you could do now:"))?;
    let further = |lesson: &Lesson| lesson.steps.iter().any(|step| step.more);
    let more = library::embedded().into_iter().find(further).map(|lesson| {
        format!("{} --more: with the (more) steps, which go further", lesson.command(None))
    });
    let rest = [
        "under-the-hood verify: every claim of every lesson on this machine, in one table",
        "under-the-hood inspect containers: the commands, on containers of your own",
        "under-the-hood lesson new DIR: a lesson of your own",
    ];
    let lines = more.into_iter().chain(rest.map(str::to_owned));
    lines.map(|line| format!("  {line}")).try_for_each(|line| screen.lines(&line))
}
