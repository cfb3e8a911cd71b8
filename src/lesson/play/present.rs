//! On stage: one thing at a time, with wide margins, commands that appear as
//! typed and are performed at Enter; and what to do when one fails before an audience.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::lesson::check::{Judgement, Verdict};
use crate::lesson::model::Claim;
use crate::lesson::perform::Done;
use crate::lesson::rehearsal::{Rehearsal, Take};
use crate::ui::keys::Key;
use crate::ui::{Screen, Style, typed};

use super::Player;
use super::keys::{Act, Instead, Place};
use super::page::Page;
use super::turn::Turn;

/// Columns of text at most: what is read from the last row.
pub const COLUMNS: usize = 64;

/// How a lesson is presented, and what became of it.
#[derive(Debug, Default)]
pub struct Present {
    /// Characters a second.
    pub typing: u32,
    /// What was recorded before.
    pub rehearsal: Option<Rehearsal>,
    /// What did not go as it should, and was passed over or replaced.
    pub marked: Vec<String>,
}

/// What the presenter wants where something has failed.
pub enum Remedy {
    /// Do it once more.
    Again,
    /// Go on.
    On,
}

impl<'a> Player<'a> {
    /// Presents instead of showing.
    pub fn present(&mut self, typing: u32, rehearsal: Option<Rehearsal>) {
        self.present = Some(Present { typing, rehearsal, marked: Vec::new() });
        if let Some(page) = &mut self.page {
            page.on_stage();
        }
    }

    /// What had to be passed over or shown from the rehearsal.
    pub fn marked(&self) -> Vec<String> {
        self.present.as_ref().map(|present| present.marked.clone()).unwrap_or_default()
    }

    /// One thing on an empty screen, once the one before has been gone on from.
    pub(super) fn slide(&mut self, text: &str) -> Result<()> {
        let most = self.page.as_ref().map_or(usize::MAX, Page::rows_of_a_slide);
        let lines: Vec<_> = text.lines().collect();
        for part in lines.chunks(most.max(1)) {
            self.wait_for_the_last()?;
            if self.turn.is_some() {
                return Ok(());
            }
            let head = self.head();
            if let Some(page) = &mut self.page {
                page.slide(&head, &part.join("\n"))?;
            }
        }
        Ok(())
    }

    /// On a stage nothing is looked at before the presenter has gone on to it.
    pub(super) fn ready_on_stage(&mut self) -> Result<()> {
        match self.present.is_some() {
            true => self.wait_for_the_last(),
            false => Ok(()),
        }
    }

    fn wait_for_the_last(&mut self) -> Result<()> {
        match self.page.as_ref().is_some_and(Page::has_something) {
            true => self.wait(Place::Slide),
            false => Ok(()),
        }
    }

    fn head(&self) -> String {
        let steps = &self.lesson.steps;
        let title = steps.get(self.at).map_or("", |step| step.title.as_str());
        format!("{}/{} · {title}", self.at + 1, steps.len())
    }

    /// A command, typed; it is performed when the presenter says so.
    pub(super) fn type_command(&mut self, line: &str) -> Result<()> {
        let Some(speed) = self.present.as_ref().map(|present| present.typing) else {
            return Ok(());
        };
        self.wait_for_the_last()?;
        if self.turn.is_some() {
            return Ok(());
        }
        let head = self.head();
        if let Some(page) = &mut self.page
            && page.type_command(&head, line, speed)? == Some(Key::Quit)
        {
            self.turn = Some(Turn::Stop);
        }
        self.wait(Place::Typed)
    }

    /// A command that ended as it should not: what the presenter makes of it.
    pub(super) fn failed(&mut self, line: &str, done: &Done, expected: u8) -> Result<Remedy> {
        if done.exit == expected {
            return Ok(Remedy::On);
        }
        let said = done.output.trim().lines().last().unwrap_or("nothing was said");
        let why = format!("it ended with exit code {}: {said}", done.exit);
        self.remedy(line, &format!("`{line}`"), &why)
    }

    /// A command that the engine could not even begin, or that did something else: on a
    /// stage that is no end yet.
    pub(super) fn not_done_there(&mut self, line: &str, error: Error) -> Result<Remedy> {
        if self.present.is_none() || !self.has_keys() || self.stage.world().engine.is_none() {
            return Err(error);
        }
        let why = error.to_string();
        let Some(page) = &self.page else { return Err(error) };
        let told = page.paint(&crate::ui::wrap(&why, page.width(), "  "), Style::Warning);
        let text = page.performed(line, &[], 0, "", false);
        self.record.not_done(line, &why);
        self.slide(&format!("{text}\n\n{told}"))?;
        self.remedy(line, &format!("`{line}`"), &why)
    }

    /// The same of a claim.
    pub(super) fn refuted(&mut self, claim: &Claim, judgement: &Judgement) -> Result<Remedy> {
        if judgement.verdict != Verdict::DoesNotHold {
            return Ok(Remedy::On);
        }
        let why = format!("it does not hold: {}", judgement.evidence);
        self.remedy(&claim.id, &format!("the claim {}", claim.id), &why)
    }

    fn remedy(&mut self, what: &str, called: &str, why: &str) -> Result<Remedy> {
        if self.present.is_none() || !self.has_keys() {
            return Ok(Remedy::On);
        }
        let lesson = self.lesson;
        let step = lesson.steps.get(self.at).map_or("", |step| step.id.as_str());
        let rehearsal = self.present.as_ref().and_then(|present| present.rehearsal.as_ref());
        let take = rehearsal.and_then(|rehearsal| rehearsal.take(step, what)).cloned();
        let builtin = self.stage.world().engine.is_some();
        let place = Place::Failed(Instead { recorded: take.is_some(), builtin });
        while self.turn.is_none() {
            match (self.act(place, None)?, &take) {
                (Some(Act::Retry), _) => return Ok(Remedy::Again),
                (Some(Act::Skip), _) => {
                    self.mark(format!("step {step}: {called} was skipped"));
                    self.slide(&format!("Skipped: {called}. It is marked, and told at the end."))?;
                    return Ok(Remedy::On);
                }
                (Some(Act::Recorded), Some(take)) => {
                    self.mark(format!(
                        "step {step}: {called} was shown as recorded on {}",
                        take.when()
                    ));
                    self.show_recorded(take)?;
                    return Ok(Remedy::On);
                }
                (Some(Act::Builtin), _) => {
                    self.go_on_with_ours(&format!("{called} failed: {why}"))?;
                    return Ok(Remedy::On);
                }
                (Some(act), _) => self.common(act, place)?,
                (None, _) => {}
            }
        }
        Ok(Remedy::On)
    }

    /// The engine is left: the stage is emptied, what came before is replayed with our own
    /// containers, and this step begins anew.
    fn go_on_with_ours(&mut self, why: &str) -> Result<()> {
        let Some(engine) = self.stage.world().engine else { return Ok(()) };
        let (name, step) = (engine.name(), self.at + 1);
        let text = format!(
            "From here on with this program's own containers instead of those of {name}. What was begun is undone; step {step} begins anew."
        );
        let width = self.page.as_ref().map_or(80, Page::width);
        self.record.aside("Notice", &format!("{text} The reason: {why}"));
        self.slide(&crate::ui::wrap(&text, width, ""))?;
        self.mark(format!("from step {step} on with the built-in engine, because {why}"));
        // An engine that fails may fail to tidy up, too: that is told, and no end.
        if let Err(error) = self.stage.leave_engine() {
            self.mark(format!("with {name} something may be left: {error}; `cleanup` tries again"));
        }
        self.turn = Some(Turn::Again);
        Ok(())
    }

    fn mark(&mut self, text: String) {
        if let Some(present) = &mut self.present {
            present.marked.push(text);
        }
    }

    fn show_recorded(&mut self, take: &Take) -> Result<()> {
        let Some(page) = &self.page else { return Ok(()) };
        let label = format!(
            "RECORDED, not live: from the rehearsal of {}. It took {} ms then.",
            take.when(),
            take.took
        );
        let label = page.paint(&crate::ui::wrap(&label, page.width(), ""), Style::Warning);
        let output = page.output(&take.output);
        self.slide(&format!("{label}\n\n{}\n{output}", take.what))
    }

    /// From now on everything performed and judged is recorded.
    pub fn rehearse(&mut self) {
        self.recorder = Some(Vec::new());
    }

    /// What was recorded since this was last asked.
    pub fn recorded(&mut self) -> Vec<Take> {
        self.recorder.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn take(&mut self, what: &str, since: Instant, output: &str, wrong: Option<String>) {
        let step = self.lesson.steps.get(self.at).map_or("", |step| step.id.as_str());
        let take = Take::new(step, what, since.elapsed(), output).wrong(wrong);
        if let Some(recorder) = &mut self.recorder {
            recorder.push(take);
        }
    }

    /// The same of a command.
    pub(super) fn take_command(&mut self, line: &str, since: Instant, done: &Done, expected: u8) {
        let wrong = (done.exit != expected)
            .then(|| format!("it ended with exit code {}, not {expected}", done.exit));
        self.take(line, since, &done.output, wrong);
    }

    /// `g`: the step that is named, by number or id.
    pub(super) fn go_to(&mut self) -> Result<()> {
        let Some(page) = &mut self.page else { return Ok(()) };
        page.prompt("Which step? Its number or id, then Enter:")?;
        let wanted = crate::ui::keys::line().unwrap_or_default();
        page.prompted(String::new())?;
        if wanted.is_empty() {
            return Ok(());
        }
        match super::step_named(self.lesson, &wanted) {
            Ok(step) => {
                self.turn = Some(Turn::To(step));
                Ok(())
            }
            Err(error) => {
                let hint = error.hint.unwrap_or_default();
                self.put(&crate::ui::wrap(&format!("{}. {hint}", error.tried), 76, "  "))
            }
        }
    }
}

impl Page<'_> {
    /// Lines of a slide that fit, beside its head and the prompt.
    pub(super) fn rows_of_a_slide(&self) -> usize {
        self.rows_at_once().saturating_sub(6)
    }

    /// An empty screen with a head, and the text in the middle of the width.
    pub(super) fn slide(&mut self, head: &str, text: &str) -> Result<()> {
        let margin = self.begin_slide(head)?;
        let lines: Vec<_> = text.lines().map(|line| format!("{margin}{line}")).collect();
        self.put(&lines.join("\n"))
    }

    fn begin_slide(&mut self, head: &str) -> Result<String> {
        let margin = " ".repeat(self.margin());
        let head = self.paint(head, Style::Dim);
        let clear = match std::env::var("TERM").is_ok_and(|term| term != "dumb") {
            true => "\u{1b}[H\u{1b}[2J\u{1b}[3J",
            false => "",
        };
        self.screen().pass_on(format!("{clear}\n{margin}{head}\n\n\n").as_bytes())?;
        Ok(margin)
    }

    /// A command as if typed; the key that ended it, if one did.
    fn type_command(&mut self, head: &str, line: &str, speed: u32) -> Result<Option<Key>> {
        let margin = self.begin_slide(head)?;
        self.screen().pass_on(format!("{margin}$ ").as_bytes())?;
        let key = typed(self.screen(), line, &format!("{margin}  "), speed)?;
        self.screen().pass_on(b"\n\n")?;
        Ok(key)
    }

    fn margin(&self) -> usize {
        (self.columns().saturating_sub(self.width()) / 2).max(2)
    }
}

/// How long it took, for people: `0.4 s`.
pub fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// The last word on what was marked.
pub fn tell_marked(marked: &[String], screen: &mut Screen) -> Result<()> {
    if marked.is_empty() {
        return Ok(());
    }
    let head = screen.paint("Not as it should have been on stage:", Style::Warning);
    let lines: Vec<_> =
        marked.iter().map(|line| crate::ui::wrap(&format!("  {line}"), 78, "    ")).collect();
    screen.out(&format!("{head}\n{}", lines.join("\n")))
}
