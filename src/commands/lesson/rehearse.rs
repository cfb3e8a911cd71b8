//! `lesson N --rehearse`: every step before the audience comes.

use crate::effect::Driven;
use crate::error::{Error, Exit, Result};
use crate::lesson::model::Lesson;
use crate::lesson::play::present::seconds;
use crate::lesson::rehearsal;
use crate::ui::{Screen, Style, wrap};

/// Plays them, says of each how long it took and what went wrong, and keeps the recording.
pub(super) fn rehearse(
    lesson: &Lesson,
    offline: bool,
    engine: Option<Driven>,
    screen: &mut Screen,
) -> Result<u8> {
    let (of, width) = (lesson.steps.len(), screen.width().min(80));
    let mut wrong = 0;
    let rehearsal = rehearsal::rehearse(lesson, offline, engine, |index, took, takes| {
        let step = &lesson.steps[index];
        let failed: Vec<_> = takes.iter().filter(|take| take.wrong.is_some()).collect();
        wrong += failed.len();
        let mark = match failed.is_empty() {
            true => screen.paint("✓ good", Style::Good),
            false => screen.paint("✗ would fail", Style::Error),
        };
        screen.out(&format!("{:>2}/{of}  {mark}  {}  {}", index + 1, seconds(took), step.title))?;
        for take in failed {
            let why = take.wrong.as_deref().unwrap_or_default();
            screen.out(&wrap(&format!("       {}: {why}", take.what), width, "         "))?;
            for line in take.output.trim().lines().take(3) {
                screen.out(&wrap(&format!("         {line}"), width, "           "))?;
            }
        }
        Ok(())
    })?;
    rehearsal.keep(lesson)?;
    let took: u64 = rehearsal.takes.iter().map(|take| take.took).sum();
    screen.note(&format!(
        "Recorded: {} commands and claims, {}.{} s of them waiting. `under-the-hood lesson {} --present` has it at hand.",
        rehearsal.takes.len(),
        took / 1000,
        took % 1000 / 100,
        lesson.key()
    ));
    match wrong {
        0 => Ok(0),
        many => Err(Error::new(format!("{many} of them would fail on stage"))
            .exit(Exit::DoesNotHold)
            .hint("Mend them, or be ready to show what was recorded before.")),
    }
}
