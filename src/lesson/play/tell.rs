//! What the player says, and where a second terminal hears of it.

use crate::error::Result;
use crate::lesson::model::{Kind, Step};
use crate::lesson::notebook::Target;
use crate::lesson::record::{End, Record};
use crate::lesson::session::Now;
use crate::lesson::{progress, rehearsal};
use crate::ui::Style;

use super::Player;
use super::keys::Place;

impl<'a> Player<'a> {
    pub(super) fn title(&mut self, from: usize) -> Result<()> {
        let front = &self.lesson.front;
        let number =
            self.lesson.number.map_or("Lesson".to_owned(), |number| format!("Lesson {number}"));
        let Some(page) = &self.page else { return Ok(()) };
        let title = page.paint(&format!("{number}: {}", front.title), Style::Heading);
        let rest = format!("the article's \"{}\" · {} minutes", front.chapter, front.minutes);
        let mut text = format!("{title} · {}", page.paint(&rest, Style::Dim));
        if from > 0 {
            let again =
                format!("Taken up again at step {}; what came before has been replayed.", from + 1);
            text.push_str(&format!("\n\n{}", page.paint(&again, Style::Dim)));
        }
        self.put(&text)
    }

    pub(super) fn heading(&mut self, index: usize, step: &Step) -> Result<()> {
        self.record.step(index, step);
        if self.has_keys() {
            // At every step, so that the place is kept even when the player is killed.
            self.keep_place(Some(&step.id))?;
        }
        self.tell_where(index, step)?;
        let Some(page) = &mut self.page else { return Ok(()) };
        page.begin();
        let of = self.lesson.steps.len();
        let more = if step.more { "(more) " } else { "" };
        let heading = format!("{}/{of}  {more}{}", index + 1, step.title);
        let heading = page.paint(&heading, Style::Heading);
        self.put(&heading)
    }

    /// Tells a second terminal where the player is.
    pub(super) fn tell_where(&mut self, index: usize, step: &Step) -> Result<()> {
        let notes = step.blocks.iter().filter_map(|block| match &block.kind {
            Kind::Notes(text) => Some(text.clone()),
            _ => None,
        });
        let lesson = self.lesson;
        let next = self.playable(index + 1).map(|next| lesson.steps[next].title.clone());
        self.stage.tell(Now {
            lesson: lesson.key(),
            title: lesson.front.title.clone(),
            step: index,
            steps: lesson.steps.len(),
            heading: step.title.clone(),
            next,
            notes: notes.collect(),
            minutes: lesson.front.minutes,
            since: self.since,
            step_since: rehearsal::now(),
        })
    }

    /// Writes down where the reader is; says once that it cannot be.
    pub(super) fn keep_place(&mut self, step: Option<&str>) -> Result<()> {
        let (run, fresh) = self.run_so_far();
        let kept = progress::update(&self.lesson.key(), |progress| {
            progress.reached(step, run, fresh);
        });
        if kept.is_ok() {
            self.clock.kept();
        }
        match (kept, &self.page) {
            (Err(error), Some(page)) if !self.warned => {
                self.warned = true;
                let text = format!("Your place cannot be kept: {error}");
                let text = page.paint(&text, Style::Warning);
                self.put(&text)
            }
            _ => Ok(()),
        }
    }

    /// From now on what was shown and found is written there as it comes.
    pub fn note_in(&mut self, notebook: &'a Target) {
        self.notebook = Some(notebook);
    }

    /// Writes down what has been shown so far: whatever ends this process next, even a
    /// SIGKILL, the reader has it. Says once that it cannot be written.
    pub(super) fn keep_notebook(&mut self) -> Result<()> {
        let Some(notebook) = self.notebook else { return Ok(()) };
        let record = Record { end: End::Stopped(self.at + 1), ..self.record() };
        let Err(error) = notebook.write(&record) else { return Ok(()) };
        // At the end it is tried once more, and then it is an error.
        self.notebook = None;
        let text = format!("The notebook cannot be written any more: {error}");
        let Some(page) = &mut self.page else { return Ok(()) };
        let text = page.paint(&crate::ui::wrap(&text, page.width(), "  "), Style::Warning);
        page.put(&text)
    }

    /// Shows a piece of text; waits first where the screen is full, and in the middle of what
    /// is longer than a screen. All that is shown comes by here.
    pub(super) fn put(&mut self, text: &str) -> Result<()> {
        if self.present.is_some() {
            return self.slide(text);
        }
        match self.page.as_ref().filter(|page| page.has_keys()) {
            Some(page) => page.screenfuls(text).iter().try_for_each(|text| self.put_once(text)),
            None => self.put_once(text),
        }
    }

    fn put_once(&mut self, text: &str) -> Result<()> {
        if self.turn.is_none()
            && self.page.as_ref().is_some_and(|page| page.has_keys() && page.is_full(text))
        {
            self.wait(Place::More)?;
        }
        match &mut self.page {
            Some(page) if self.turn.is_none() => page.put(text),
            _ => Ok(()),
        }
    }

    /// What may be longer than a screen, on a stage too.
    pub(super) fn put_long(&mut self, text: &str) -> Result<()> {
        let Some(page) = &self.page else { return Ok(()) };
        page.screenfuls(text).iter().try_for_each(|text| self.put(text))
    }

    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        self.record.prose(text);
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.markdown(text);
        self.put(&text)
    }

    pub(super) fn aside(&mut self, word: &str, text: &str) -> Result<()> {
        self.record.aside(word, text);
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.aside(word, text);
        self.put(&text)
    }

    pub(super) fn engine(&mut self, engine: &str, lines: &str) -> Result<()> {
        self.record.engine(engine, lines);
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.engine(engine, lines);
        self.put(&text)
    }
}
