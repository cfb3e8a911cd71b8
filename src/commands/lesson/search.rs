//! `lesson search WORDS`: the steps that speak of something, with the lines
//! that do and the command that goes there.

use std::ops::Range;

use serde_json::json;

use crate::cli::lesson::Search;
use crate::error::{Error, Exit, Result};
use crate::lesson::library;
use crate::lesson::model::Lesson;
use crate::lesson::search::{Found, Hit, Piece, Words};
use crate::ui::{Screen, Style, shown, wrap};

use super::{Clap, play};

/// More lines of one step are counted, not shown.
const MOST_LINES: usize = 3;
/// Characters that are shown before and after the words of a long line.
const AROUND: (usize, usize) = (70, 110);

pub(super) fn search(args: &Search, screen: &mut Screen) -> Result<u8> {
    let words = Words::new(&args.words).ok_or_else(|| {
        Error::usage("there is nothing to search for").hint("Say which words: lesson search veth.")
    })?;
    let lessons = lessons(args, screen)?;
    let found = words.find(&lessons);
    if screen.json_wanted() {
        let hits: Vec<_> = found.hits.iter().map(hit_json).collect();
        let searched = json!({ "lessons": lessons.len(), "steps": found.steps });
        screen.json(&json!({ "words": words.all(), "searched": searched, "hits": hits }))?;
        return Ok(if found.hits.is_empty() { Exit::Failed.code() } else { 0 });
    }
    if found.hits.is_empty() {
        return Err(nothing(&words, &found, &lessons));
    }
    for (at, hit) in found.hits.iter().enumerate() {
        if at > 0 {
            screen.out("")?;
        }
        show(hit, &words, screen)?;
    }
    screen.note(&format!(
        "\n{} of {} in {}.",
        counted(found.hits.len(), "place"),
        counted(found.steps, "step"),
        counted(lessons.len(), "lesson")
    ));
    Ok(0)
}

/// Which lessons, in which language.
fn lessons(args: &Search, screen: &Screen) -> Result<Vec<Lesson>> {
    let mut lessons = Vec::new();
    if args.lessons.is_empty() {
        lessons = library::embedded();
        for (lesson, mistakes) in library::installed(&Clap)? {
            match mistakes {
                0 => lessons.push(lesson),
                _ => screen.note(&format!(
                    "{} is left out: it has mistakes, which `lesson check` tells.",
                    lesson.path
                )),
            }
        }
    }
    for wanted in &args.lessons {
        let lesson = library::find(wanted, &Clap)?;
        if lessons.iter().all(|known: &Lesson| known.key() != lesson.key()) {
            lessons.push(lesson);
        }
    }
    // Of a language that most are not translated into, one note would come for each.
    let one = args.lessons.len() == 1;
    let quiet = args.lang.as_deref().filter(|_| !one);
    for lesson in &mut lessons {
        let translated = match quiet {
            Some(language) => play::translated(lesson, language)?,
            None => play::in_language(lesson, args.lang.as_deref(), screen)?,
        };
        *lesson = translated.unwrap_or_else(|| lesson.clone());
    }
    Ok(lessons)
}

fn nothing(words: &Words, found: &Found, lessons: &[Lesson]) -> Error {
    let all = words.all().join(", ");
    let place = format!(
        "no step has {} {all}",
        if words.all().len() == 1 { "the word" } else { "all of the words" }
    );
    let searched = format!(
        "{} in {} were searched: titles, text, commands, questions, claims, exercises, the article's output",
        counted(found.steps, "step"),
        counted(lessons.len(), "lesson")
    );
    let alone = found.alone.iter().filter(|(_, count)| *count > 0);
    let alone: Vec<_> =
        alone.map(|(word, count)| format!("{word} in {}", counted(*count, "place"))).collect();
    let hint = match alone.as_slice() {
        [] => {
            "A part of a word finds more, and `under-the-hood lesson` lists the lessons.".to_owned()
        }
        some => format!("By itself there is {}.", some.join(", ")),
    };
    Error::new(place).said(searched).hint(hint)
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn hit_json(hit: &Hit) -> serde_json::Value {
    let step = hit.step.map(|(at, step)| {
        json!({ "number": at + 1, "id": step.id, "title": step.title, "more": step.more })
    });
    let piece = |piece: &Piece| json!({ "kind": piece.kind, "text": piece.text });
    json!({
        "lesson": hit.lesson.key(),
        "name": hit.lesson.name,
        "title": hit.lesson.front.title,
        "step": step,
        "matches": hit.pieces.iter().map(piece).collect::<Vec<_>>(),
        "command": hit.lesson.command(hit.step.map(|(_, step)| step)),
    })
}

/// One hit: where, the lines, and how to go there.
fn show(hit: &Hit, words: &Words, screen: &mut Screen) -> Result<()> {
    let width = screen.width().min(80);
    let lesson = match hit.lesson.number.filter(|_| hit.lesson.embedded) {
        Some(number) => format!("Lesson {number}, {}", hit.lesson.front.title),
        None => format!("{}, {}", hit.lesson.name, hit.lesson.front.title),
    };
    let head = match hit.step {
        Some((at, step)) => {
            let more = if step.more { "(more) " } else { "" };
            format!("{lesson} · step {} ({}): {more}{}", at + 1, step.id, step.title)
        }
        None => format!("{lesson} · before its first step"),
    };
    let mut lines = vec![];
    for head in wrap(&shown(&head), width, "  ").lines() {
        lines.push(screen.paint(head, Style::Heading));
    }
    for piece in best(&hit.pieces, words) {
        let text = excerpt(&shown(&piece.text), words, screen.plain());
        let marked = marked(&text, words, screen);
        lines.push(wrap(&format!("  {}: {marked}", piece.kind), width, "  "));
    }
    if hit.pieces.len() > MOST_LINES {
        let rest = counted(hit.pieces.len() - MOST_LINES, "more line");
        lines.push(screen.paint(&format!("  and {rest}"), Style::Dim));
    }
    // What is typed is not broken.
    let command = hit.lesson.command(hit.step.map(|(_, step)| step));
    lines.push(format!(
        "  {} {}",
        screen.paint("$", Style::Dim),
        screen.paint(&command, Style::Command)
    ));
    screen.out(&lines.join("\n"))
}

/// The few lines that are shown: first those that have a word that none before had.
fn best<'a>(pieces: &'a [Piece], words: &Words) -> Vec<&'a Piece> {
    let has = |piece: &Piece, word: &str| piece.text.to_lowercase().contains(word);
    let mut missing: Vec<_> = words.all().iter().collect();
    let mut chosen = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let before = missing.len();
        missing.retain(|word| !has(piece, word));
        if missing.len() < before && chosen.len() < MOST_LINES {
            chosen.push(at);
        }
    }
    let others = (0..pieces.len()).filter(|at| !chosen.contains(at)).collect::<Vec<_>>();
    let room = MOST_LINES.saturating_sub(chosen.len());
    chosen.extend(others.into_iter().take(room));
    chosen.sort_unstable();
    chosen.into_iter().map(|at| &pieces[at]).collect()
}

/// A long line from some way before its first match on, cut between words.
fn excerpt(text: &str, words: &Words, plain: bool) -> String {
    let Some(first) = words.places(text).into_iter().next() else { return text.to_owned() };
    let before = text[..first.start].char_indices().rev();
    let start = before.take(AROUND.0 + 1).last().map_or(0, |(at, _)| at);
    let after = text[first.end..].char_indices().nth(AROUND.1);
    let end = after.map_or(text.len(), |(at, _)| first.end + at);
    let start = match start {
        0 => 0,
        start => text[start..first.start].find(' ').map_or(first.start, |at| start + at + 1),
    };
    let end = match end == text.len() {
        true => end,
        false => text[first.end..end].rfind(' ').map_or(end, |at| first.end + at),
    };
    // What `--plain` would make of it later is longer, and so would the lines be.
    let gap = if plain { "..." } else { "…" };
    let head = if start > 0 { format!("{gap} ") } else { String::new() };
    let tail = if end < text.len() { format!(" {gap}") } else { String::new() };
    format!("{head}{}{tail}", &text[start..end])
}

/// The words as such: in colour, or between stars where there is none.
fn marked(text: &str, words: &Words, screen: &Screen) -> String {
    let color = screen.settings().color_out;
    let mut marked = String::new();
    let mut from = 0;
    for Range { start, end } in words.places(text) {
        marked.push_str(&text[from..start]);
        match color {
            // Word by word, so that no colour runs across the end of a line.
            true => {
                let words = text[start..end].split(' ');
                let words: Vec<_> = words.map(|word| screen.paint(word, Style::Command)).collect();
                marked.push_str(&words.join(" "));
            }
            false => marked.push_str(&format!("*{}*", &text[start..end])),
        }
        from = end;
    }
    marked + &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_word() {
        let words = Words::new(&["needle".to_owned()]).unwrap();
        let hay = "hay ".repeat(60);
        let cut = excerpt(&format!("{hay}a needle {hay}"), &words, false);
        assert!(cut.starts_with("… hay") && cut.contains("a needle hay") && cut.ends_with("hay …"));
        assert!(cut.chars().count() < AROUND.0 + AROUND.1 + 20, "{cut}");
        assert_eq!(excerpt("a needle here", &words, false), "a needle here");
        let long = format!("{}needle{}", "é".repeat(200), "é".repeat(200));
        assert!(excerpt(&long, &words, true).starts_with("... needle"));
    }
}
