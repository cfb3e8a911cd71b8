//! `lesson N`: played for somebody at the terminal, or straight through.

use std::path::Path;
use std::time::Instant;

use crate::cli::Global;
use crate::cli::lesson::Playing;
use crate::error::{Error, Result};
use crate::lesson::model::Lesson;
use crate::lesson::notebook::Target;
use crate::lesson::play::present::tell_marked;
use crate::lesson::play::{End, Player, step_named};
use crate::lesson::progress::{self, Progress};
use crate::lesson::record::{self, Record};
use crate::lesson::rehearsal::Rehearsal;
use crate::lesson::report::{self, Course, Report};
use crate::lesson::score::Score;
use crate::lesson::{library, source, translation};
use crate::ui::{Screen, Style, keys};

use super::{Clap, engine, fetch, rehearse, verify};

pub(super) fn play(
    lesson: &Lesson,
    args: &Playing,
    global: &Global,
    screen: &mut Screen,
) -> Result<u8> {
    let translated = in_language(lesson, args.lang.as_deref(), screen)?;
    let lesson = translated.as_ref().unwrap_or(lesson);
    if global.dry_run {
        return plan(lesson, screen);
    }
    let notebook = notebook_wanted(args, global, screen)?;
    trusted(lesson, args.trust || global.yes, screen)?;
    if let Some(file) = &args.report {
        if screen.json_wanted() {
            return Err(Error::usage("--report and --format json are two kinds of result")
                .hint("Leave one out: the report is JSON anyhow."));
        }
        report::keep(file, None)?;
    }
    if let Some(dir) = &args.offline {
        fetch::take_from(dir, std::slice::from_ref(lesson), screen)?;
    }
    let offline = args.offline.is_some();
    let engine = engine::chosen(&args.engine, screen)?;
    if args.rehearse {
        return rehearse::rehearse(lesson, offline, engine, screen);
    }
    if screen.json_wanted() {
        return verify::report(std::slice::from_ref(lesson), offline, engine, screen);
    }
    let someone = !args.auto && keys::someone_there();
    let kept = if someone { progress_of(lesson, screen) } else { Progress::default() };
    let from = match &args.from {
        Some(step) => step_named(lesson, step)?,
        None => kept_place(lesson, &kept),
    };
    if args.ascii {
        screen.use_ascii();
    }
    // Without a reader every claim counts, so the further steps are played too.
    let mut player = Player::shown(lesson, screen, someone, args.more || !someone)?;
    player.show_all_operations(global.explain);
    if kept.at.is_some() {
        player.resume(kept.run);
    }
    // Without a terminal nothing is typed slowly, and nobody looks at slides.
    if args.present && someone {
        player.present(args.typing, Rehearsal::load(lesson)?);
    }
    if offline {
        player.stage().go_offline()?;
    }
    if let Some(engine) = engine {
        player.stage().drive(engine);
    }
    if let Some(notebook) = &notebook {
        player.note_in(notebook);
    }
    if let Some((reason, fix)) = player.lacks() {
        player.end()?;
        let error =
            Error::cannot(format!("lesson {} cannot be played here", lesson.key())).said(reason);
        return Err(Error { hint: fix, ..error });
    }
    // Whatever goes wrong on the way, the stage is emptied first.
    let begun = Instant::now();
    let end = player.play(from);
    let (record, marked, (run, fresh)) = (player.record(), player.marked(), player.run_so_far());
    let course = Course {
        finished: matches!(end, Ok(End::Finished)),
        at: match end {
            Ok(End::Finished) => lesson.steps.len(),
            Ok(End::Stopped(step)) => step + 1,
            Err(_) => player.reached() + 1,
        },
        seconds: if someone { run.seconds } else { begun.elapsed().as_secs() },
        score: Score::of(&run.answers),
    };
    let judged = player.end();
    let kept = notebook.as_ref().map_or(Ok(()), |notebook| keep(notebook, record, &end, screen));
    let reported = args.report.as_ref().map_or(Ok(()), |file| {
        report::keep(
            file,
            Some(&Report::new(args.name.as_deref(), lesson, course, &run.judged).text()?),
        )
    });
    // What went wrong first is the error; what could not be undone then is told beside it.
    if end.is_err() {
        let others = [judged.as_ref().err(), kept.as_ref().err(), reported.as_ref().err()];
        others.into_iter().flatten().for_each(|error| screen.warn(&error.to_string()));
    }
    let (end, judged) = (end?, judged?);
    kept.and(reported)?;
    tell_marked(&marked, screen)?;
    match end {
        End::Stopped(step) => {
            screen.note(&format!(
                "Stopped at step {}; everything that was started is ended. `{}` goes on here.",
                step + 1,
                lesson.command(None)
            ));
            Ok(0)
        }
        End::Finished => {
            let held = verify::held(&judged);
            let kept = progress::update(&lesson.key(), |progress| match someone {
                true => progress.finish(held, &run.answers, fresh),
                false => progress.finish_alone(held),
            });
            if let Err(error) = kept {
                screen.warn(&format!("Your progress cannot be kept: {error}"));
            }
            verify::summary(&judged, screen)?;
            Ok(verify::exit(judged.iter().map(|judged| judged.verdict)))
        }
    }
}

/// Whether the notebook can be written is found out before anything is played.
fn notebook_wanted(args: &Playing, global: &Global, screen: &Screen) -> Result<Option<Target>> {
    let Some(path) = &args.notebook else { return Ok(None) };
    if screen.json_wanted() {
        return Err(Error::usage("--notebook together with --format json")
            .hint("A notebook keeps what a lesson shows, and as JSON it shows only its claims."));
    }
    Target::check(path, global.yes).map(Some)
}

/// Writes the notebook, also of a run that was not finished.
fn keep(notebook: &Target, mut record: Record, end: &Result<End>, screen: &Screen) -> Result<()> {
    record.end = match end {
        Ok(End::Finished) => record::End::Finished,
        Ok(End::Stopped(step)) => record::End::Stopped(step + 1),
        Err(error) => record::End::Failed(error.to_string()),
    };
    notebook.write(&record)?;
    screen.note(&format!("The notebook of this run: {}", notebook.path().display()));
    Ok(())
}

/// The lesson as the reader wants to read it, if it is translated. A translation that was
/// asked for and is not there is told, one that only the locale would like is not missed.
pub(super) fn in_language(
    lesson: &Lesson,
    said: Option<&str>,
    screen: &Screen,
) -> Result<Option<Lesson>> {
    let wanted = languages(said)?;
    let (found, differs) = library::in_language(lesson, &wanted, &Clap);
    if let Some(why) = differs {
        screen.warn(&format!(
            "The translation is not played, since it is not the same lesson, or cannot be read: {why}. `under-the-hood lesson check` tells all."
        ));
    } else if let (Some(said), None) = (said, &found) {
        screen.note(&format!(
            "The lesson is not translated into `{said}`: it is played as it was written."
        ));
    }
    Ok(found.map(|(lesson, _)| lesson))
}

/// The same where many lessons are read, of which most will not be translated.
pub(super) fn translated(lesson: &Lesson, language: &str) -> Result<Option<Lesson>> {
    let wanted = languages(Some(language))?;
    Ok(library::in_language(lesson, &wanted, &Clap).0.map(|(lesson, _)| lesson))
}

fn languages(said: Option<&str>) -> Result<Vec<String>> {
    let wanted = translation::wanted(said);
    if let (Some(said), []) = (said, wanted.as_slice()) {
        return Err(Error::usage(format!("--lang {said} is no language"))
            .hint("A language is called as in the locale: de, pt_BR."));
    }
    Ok(wanted)
}

fn progress_of(lesson: &Lesson, screen: &Screen) -> Progress {
    let kept = progress::load().map(|mut book| book.remove(&lesson.key()).unwrap_or_default());
    kept.unwrap_or_else(|error| {
        screen.warn(&format!("Your progress cannot be read: {error}"));
        Progress::default()
    })
}

fn kept_place(lesson: &Lesson, kept: &Progress) -> usize {
    let at = kept.at.as_ref();
    at.and_then(|id| lesson.steps.iter().position(|step| step.id == *id)).unwrap_or(0)
}

/// `--dry-run`: every line that would be performed.
fn plan(lesson: &Lesson, screen: &mut Screen) -> Result<u8> {
    if screen.json_wanted() {
        let lines = lesson.lines();
        screen.json(
            &serde_json::json!({ "lines": lines.iter().map(|(_, line)| line).collect::<Vec<_>>() }),
        )?;
    } else {
        screen.out(&numbered(lesson))?;
    }
    Ok(0)
}

fn numbered(lesson: &Lesson) -> String {
    let line = |(number, line): &(usize, String)| format!("{number:>5}  {line}");
    lesson.lines().iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A lesson from elsewhere shows all that it would perform, and asks.
pub(super) fn trusted(lesson: &Lesson, trust: bool, screen: &mut Screen) -> Result<()> {
    if lesson.embedded || trust {
        return Ok(());
    }
    let head = format!("{} would perform these lines on this machine:", lesson.path);
    let text = format!("{}\n{}", screen.paint(&head, Style::Label), numbered(lesson));
    if let Some(why) = source::changeable(Path::new(&lesson.path)) {
        screen.warn(&format!(
            "You are root, and {why}: what follows is what was read just now and is what will be performed, but next time it may be another lesson."
        ));
    }
    if !keys::someone_there() {
        return Err(Error::usage(format!("{} does not come with this program", lesson.path)).hint(
            "Look at what it would perform with --dry-run, then say that you trust it with --trust.",
        ));
    }
    screen.out(&text)?;
    let mut keyboard = keys::Keyboard::open()?;
    screen.prompt("Perform them? y or n")?;
    let yes = loop {
        match keyboard.key(None)? {
            keys::Key::Char('y' | 'Y') => break true,
            keys::Key::Resumed | keys::Key::Other => {}
            _ => break false,
        }
    };
    drop(keyboard);
    screen.out("")?;
    if yes { Ok(()) } else { Err(Error::new(format!("{} was not played", lesson.path))) }
}
