//! `lesson notes`: the presenter's second terminal. It follows the player: what to
//! say, what comes next, how the time is.

use std::io::IsTerminal;
use std::time::Duration;

use crate::error::Result;
use crate::lesson::rehearsal::now;
use crate::lesson::session::{self, Now, Session};
use crate::ui::{Screen, Style, markdown};

/// How often it looks.
const MOMENT: Duration = Duration::from_millis(200);

/// Shows them until the player has ended; with `once`, as they are now.
pub(super) fn notes(run: Option<&str>, once: bool, screen: &mut Screen) -> Result<u8> {
    let mut session = session::find(run)?;
    if once {
        screen.out(&told(&session, screen))?;
        return Ok(0);
    }
    let live = std::io::stdout().is_terminal() && std::env::var("TERM").is_ok_and(|t| t != "dumb");
    let scope = session.scope.clone();
    let mut shown = String::new();
    loop {
        // The clock alone is no news where nothing can be drawn over.
        let text = told(&session, screen);
        let news = if live { text.clone() } else { format!("{:?}", place(&session)) };
        if news != shown {
            shown = news;
            let clear = if live { "\u{1b}[H\u{1b}[2J" } else { "" };
            screen.pass_on(format!("{clear}{text}\n\n").as_bytes())?;
        }
        std::thread::sleep(MOMENT);
        let there = session::list()?.into_iter().find(|session| session.scope == scope);
        match there {
            Some(there) => session = there,
            // Between two steps its file is written anew.
            None if session.alive() => {}
            None => break,
        }
    }
    screen.note("The player has ended.");
    Ok(0)
}

fn place(session: &Session) -> Option<(usize, u64)> {
    session.now.as_ref().map(|now| (now.step, now.step_since))
}

fn told(session: &Session, screen: &Screen) -> String {
    let Some(at) = &session.now else {
        return format!("{}: before the first step.", session.scope);
    };
    let Now { title, step, steps, heading, next, notes, minutes, .. } = at;
    let head = format!("{title} · step {} of {steps}: {heading}", step + 1);
    let clock = format!(
        "{} of {minutes}:00 · {} in this step",
        clock(now().saturating_sub(at.since)),
        clock(now().saturating_sub(at.step_since))
    );
    let width = screen.width().min(80);
    let color = screen.settings().color_out;
    let notes = match notes.as_slice() {
        [] => "No notes for this step.".to_owned(),
        some => markdown::render(&some.join("\n\n"), width, color),
    };
    let next = match next {
        Some(next) => format!("Next: {next}"),
        None => "This is the last step.".to_owned(),
    };
    format!(
        "{}\n{clock}\n\n{notes}\n\n{}",
        screen.paint(&head, Style::Heading),
        screen.paint(&next, Style::Dim)
    )
}

/// `12:05`
fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
