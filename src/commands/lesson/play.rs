//! `lesson N`: played for somebody at the terminal, or straight through.

use crate::cli::Global;
use crate::cli::lesson::Lesson as LessonArgs;
use crate::error::{Error, Result};
use crate::lesson::model::Lesson;
use crate::lesson::play::{End, Player, step_named};
use crate::lesson::progress;
use crate::ui::{Screen, Style, keys};

use super::{engine, fetch, verify};

pub(super) fn play(
    lesson: &Lesson,
    args: &LessonArgs,
    global: &Global,
    screen: &mut Screen,
) -> Result<u8> {
    if global.dry_run {
        return plan(lesson, screen);
    }
    trusted(lesson, args.trust || global.yes, screen)?;
    if let Some(dir) = &args.offline {
        fetch::take_from(dir, std::slice::from_ref(lesson), screen)?;
    }
    let offline = args.offline.is_some();
    let engine = engine::chosen(&args.engine, screen)?;
    if screen.json_wanted() {
        return verify::report(std::slice::from_ref(lesson), offline, engine, screen);
    }
    let someone = !args.auto && keys::someone_there();
    let from = match &args.from {
        Some(step) => step_named(lesson, step)?,
        None if someone => kept_place(lesson, screen),
        None => 0,
    };
    // Without a reader every claim counts, so the further steps are played too.
    let mut player = Player::shown(lesson, screen, someone, args.more || !someone)?;
    player.show_all_operations(global.explain);
    if offline {
        player.stage().go_offline()?;
    }
    if let Some(engine) = engine {
        player.stage().drive(engine);
    }
    if let Some((reason, fix)) = player.lacks() {
        player.end()?;
        let error =
            Error::cannot(format!("lesson {} cannot be played here", lesson.key())).said(reason);
        return Err(Error { hint: fix, ..error });
    }
    // Whatever goes wrong on the way, the stage is emptied first.
    let end = player.play(from);
    let judged = player.end()?;
    match end? {
        End::Stopped(step) => {
            let key = lesson.key();
            screen.note(&format!(
                "Stopped at step {}; everything that was started is ended. `under-the-hood lesson {key}` goes on here.",
                step + 1
            ));
            Ok(0)
        }
        End::Finished => {
            let held = verify::held(&judged);
            let kept = progress::update(&lesson.key(), |progress| {
                *progress = progress::Progress { at: None, finished: true, held };
            });
            if let Err(error) = kept {
                screen.warn(&format!("Your progress cannot be kept: {error}"));
            }
            verify::summary(&judged, screen)?;
            Ok(verify::exit(judged.iter().map(|judged| judged.verdict)))
        }
    }
}

fn kept_place(lesson: &Lesson, screen: &Screen) -> usize {
    let book = match progress::load() {
        Ok(book) => book,
        Err(error) => {
            screen.warn(&format!("Your progress cannot be read: {error}"));
            return 0;
        }
    };
    let at = book.get(&lesson.key()).and_then(|progress| progress.at.clone());
    at.and_then(|id| lesson.steps.iter().position(|step| step.id == id)).unwrap_or(0)
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
    if !keys::someone_there() {
        return Err(Error::usage(format!("{} does not come with this program", lesson.path)).hint(
            "Look at what it would perform with --dry-run, then say that you trust it with --trust.",
        ));
    }
    screen.out(&text)?;
    screen.prompt("Perform them? y or n")?;
    let yes = matches!(keys::read()?, keys::Key::Char('y' | 'Y'));
    screen.out("")?;
    if yes { Ok(()) } else { Err(Error::new(format!("{} was not played", lesson.path))) }
}
