//! The way through a lesson: on, back, again, and into the middle.

use crate::error::{Error, Result};
use crate::lesson::driving::Played;
use crate::lesson::model::{Block, Kind, Lesson};
use crate::lesson::review;
use crate::lesson::words::Line;
use crate::ui::Style;

use super::keys::Place;
use super::turn::Turn;
use super::{End, Player, lacking};

impl<'a> Player<'a> {
    /// Plays from a step (counted from 0) to the end, or to where the reader stops.
    pub fn play(&mut self, from: usize) -> Result<End> {
        let lesson = self.lesson;
        self.title(from)?;
        if from > 0 {
            self.back_to(from)?;
            self.tell_amiss()?;
        } else {
            lesson.intro.iter().try_for_each(|block| self.block(block))?;
        }
        let Some(mut at) = self.playable(from) else { return Ok(End::Finished) };
        self.at = at;
        self.wait(Place::Step)?;
        let (mut whole, mut begun) = (false, false);
        loop {
            // Where the last wait has led.
            match self.turn.take() {
                None => {}
                Some(Turn::Stop) => return self.stopped(at, whole),
                Some(Turn::Again) => self.return_to(at, begun)?,
                Some(Turn::To(step)) => {
                    at = step;
                    self.return_to(at, begun)?;
                }
                Some(Turn::Back) => {
                    at = self.before(at).unwrap_or(at);
                    self.return_to(at, begun)?;
                }
            }
            begun = true;
            self.step(at)?;
            whole = self.turn.is_none();
            let next = self.playable(at + 1);
            self.wait(if next.is_some() { Place::Step } else { Place::Last })?;
            match (self.turn, next) {
                (None, Some(next)) => at = next,
                (None, None) => {
                    self.once_more()?;
                    if matches!(self.turn, None | Some(Turn::Stop)) {
                        return Ok(End::Finished);
                    }
                }
                _ => {}
            }
        }
    }

    /// Stopped at a step, or before the next if all of this one has been shown.
    pub(super) fn stopped(&mut self, at: usize, whole: bool) -> Result<End> {
        let at = if whole { self.playable(at + 1).unwrap_or(at) } else { at };
        self.keep_place(Some(&self.lesson.steps[at].id))?;
        Ok(End::Stopped(at))
    }

    /// The first step from this one on that is played.
    pub(super) fn playable(&self, from: usize) -> Option<usize> {
        let steps = &self.lesson.steps;
        (from..steps.len()).find(|step| self.more || !steps[*step].more)
    }

    /// The step played before this one.
    pub(super) fn before(&self, step: usize) -> Option<usize> {
        (0..step).rev().find(|step| self.more || !self.lesson.steps[*step].more)
    }

    /// One step, from its heading to its end or to where the reader turns.
    pub(in crate::lesson) fn step(&mut self, index: usize) -> Result<()> {
        let lesson = self.lesson;
        let step = &lesson.steps[index];
        self.at = index;
        self.asked = None;
        self.performed.clear();
        self.heading(index, step)?;
        for block in &step.blocks {
            self.block(block)?;
            if self.turn.is_some() {
                return Ok(());
            }
        }
        self.answer()
    }

    /// The way back: undone and replayed, and said so. `begun`: a step has been played.
    fn return_to(&mut self, step: usize, begun: bool) -> Result<()> {
        if self.present.is_some() {
            self.back_to(step)?;
            self.at = step;
            return self.tell_amiss();
        }
        if let Some(page) = &self.page {
            let text = match begun {
                true => format!("What this step did is undone; step {} begins anew.", step + 1),
                false => format!("Step {} begins.", step + 1),
            };
            let text = page.paint(&text, Style::Dim);
            self.back_to(step)?;
            self.put(&text)?;
            return self.tell_amiss();
        }
        self.back_to(step)
    }

    /// What did not go as it should on the way to a step.
    pub(super) fn tell_amiss(&mut self) -> Result<()> {
        for line in std::mem::take(&mut self.amiss) {
            let Some(page) = &self.page else { break };
            let text = format!("On the way here this did not end as it should: {line}");
            let text = page.paint(&crate::ui::wrap(&text, page.width(), "  "), Style::Warning);
            self.put(&text)?;
        }
        Ok(())
    }

    /// Empties the stage and replays, silently, all that comes before a step.
    pub fn back_to(&mut self, step: usize) -> Result<()> {
        self.stage.empty()?;
        self.record.replayed(step);
        self.replay(step, 0)
    }

    /// Performs what changes something, up to a block of a step; shows nothing.
    pub fn replay(&mut self, step: usize, block: usize) -> Result<()> {
        let lesson = self.lesson;
        for (index, played) in lesson.steps.iter().enumerate().take(step + 1) {
            if played.more && !self.more {
                continue;
            }
            let end = if index == step { block } else { played.blocks.len() };
            played.blocks[..end].iter().try_for_each(|block| self.replay_block(block))?;
        }
        Ok(())
    }

    /// Performs a block, if it changes something; shows nothing.
    pub fn replay_block(&mut self, block: &Block) -> Result<()> {
        match &block.kind {
            Kind::Run(fence) => {
                if lacking(&fence.needs, &self.facts).is_some() {
                    return Ok(());
                }
                for (_, line) in fence.lines.iter().filter(|(_, line)| changes(line)) {
                    let played = self.stage.played(line, fence.or_ours)?;
                    let Some(Played { done, .. }) = played.last() else { continue };
                    if done.exit != fence.exit {
                        // The error itself, not the end of the advice below it.
                        let lines = || done.output.lines();
                        let error = lines().find(|line| line.starts_with("Error:"));
                        let said = error.or(lines().last()).unwrap_or_default();
                        self.amiss.push(format!("{line}: exit code {}, {said}", done.exit));
                    }
                }
            }
            // What was not asked for, since it cannot be done here, is not done on the way back.
            Kind::Try(exercise) if lacking(&exercise.claim.needs, &self.facts).is_some() => {}
            Kind::Try(exercise) => self.replay_exercise(exercise)?,
            _ => {}
        }
        Ok(())
    }
}

/// Whether a line may change something: replaying leaves the others out.
fn changes(line: &str) -> bool {
    let words = Line::parse(line).map(|line| line.words(|_| None)).unwrap_or_default();
    !review::only_looks(words.get(1..).unwrap_or_default())
}

/// The step that `--from` names, by number or id.
pub fn step_named(lesson: &Lesson, wanted: &str) -> Result<usize> {
    let by_number = wanted.parse::<usize>().ok().filter(|n| (1..=lesson.steps.len()).contains(n));
    let by_id = || lesson.steps.iter().position(|step| step.id == wanted);
    by_number.map(|number| number - 1).or_else(by_id).ok_or_else(|| {
        let ids: Vec<_> = lesson.steps.iter().map(|step| step.id.as_str()).collect();
        Error::usage(format!("this lesson has no step `{wanted}`")).hint(format!(
            "1 to {}, or one of: {}.",
            ids.len(),
            ids.join(", ")
        ))
    })
}
