//! At the end of a lesson: how many predictions were right, and those that were
//! not once more, each with the step where this machine said otherwise.

use crate::error::Result;
use crate::lesson::model::{Predict, Question};
use crate::lesson::score::{self, Score};
use crate::ui::{Style, plain, wrap};

use super::Player;
use super::keys::Place;

impl<'a> Player<'a> {
    /// What the reader chose and this machine answered: the first of it counts.
    pub(super) fn scored(
        &mut self,
        predict: &Predict,
        choice: Option<usize>,
        measured: &str,
    ) -> Result<()> {
        if !self.has_keys() {
            return Ok(());
        }
        let lesson = self.lesson;
        let this = |question: &Question| std::ptr::eq(question.predict, predict);
        let Some(question) = lesson.questions().find(this) else { return Ok(()) };
        let chose = choice.and_then(|choice| predict.choices.get(choice));
        let chose = chose.map(|(_, value)| value.as_str());
        score::take(&mut self.answers, &question.key, chose, measured);
        match lesson.steps.get(self.at) {
            Some(step) => self.keep_place(Some(&step.id)),
            None => Ok(()),
        }
    }

    /// The score, and then the wrong ones. It asks nobody on a stage, and nobody who is not there.
    pub(super) fn once_more(&mut self) -> Result<()> {
        if !self.has_keys() || self.present.is_some() || self.answers.is_empty() {
            return Ok(());
        }
        let told = format!("{}.", Score::of(&self.answers).told());
        self.record.aside("Predictions", &told);
        if let Some(page) = &self.page {
            let text = page.paint(&format!("Predictions: {told}"), Style::Heading);
            self.put(&text)?;
        }
        let wrong = |question: &Question| {
            self.answers.get(&question.key).is_some_and(score::Given::is_wrong_still)
        };
        let lesson = self.lesson;
        let wrong: Vec<_> = lesson.questions().filter(wrong).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        for question in wrong {
            if self.turn.is_some() {
                return Ok(());
            }
            self.ask_again(&question)?;
        }
        // So that the last answer can be read, and gone back to.
        self.wait(Place::Last)
    }

    fn ask_again(&mut self, question: &Question<'a>) -> Result<()> {
        let (Some(given), Some(page)) = (self.answers.get(&question.key).cloned(), &self.page)
        else {
            return Ok(());
        };
        let predict = question.predict;
        let place = |value: &str| predict.choices.iter().position(|(_, known)| known == value);
        // A lesson may have been changed since: then there is nothing to ask.
        let Some(chose) = given.chose.as_deref().and_then(place) else { return Ok(()) };
        let choice = |index: usize| {
            format!("{}, {}", plain::choice(index, page.plain()), predict.choices[index].0)
        };
        let head = match question.step {
            Some(at) => format!("Once more, from {}", self.where_it_stands(at)),
            None => "Once more, from before the first step".to_owned(),
        };
        let head = page.paint(&wrap(&head, page.width(), "  "), Style::Dim);
        let said = format!("You said {}. This machine answered otherwise.", choice(chose));
        let text = format!("{head}\n{}\n\n{}", page.question(predict), page.markdown(&said));
        let right = place(&given.measured);
        let answer = right.map_or_else(|| format!("`{}`", given.measured), choice);
        self.put(&text)?;
        let again = self.choice(predict)?;
        if self.turn.is_some() {
            return Ok(());
        }
        let value = again.and_then(|again| predict.choices.get(again)).map(|(_, value)| value);
        score::take(&mut self.answers, &question.key, value.map(String::as_str), &given.measured);
        let verdict = match (again, again.is_some() && again == right) {
            (None, _) => format!("It was {answer}."),
            (_, true) => format!("Right this time: {answer}."),
            (_, false) => format!("Not this either, but {answer}."),
        };
        let told = format!("{verdict} That was measured then, and is not measured again.");
        match again {
            Some(_) => self.record.asked(predict, again),
            None => self.record.aside("Once more", &predict.question),
        }
        self.record.aside("Answer", &told);
        let Some(page) = &self.page else { return Ok(()) };
        let mut text = page.aside("Answer", &told);
        if let Some(at) = question.step {
            text.push_str(&self.way_there(at));
        }
        self.put(&text)
    }

    fn where_it_stands(&self, at: usize) -> String {
        let steps = &self.lesson.steps;
        format!("step {} of {}: {}", at + 1, steps.len(), steps[at].title)
    }

    /// How a step is seen again: now, and on another day.
    fn way_there(&self, at: usize) -> String {
        let step = &self.lesson.steps[at];
        let Some(page) = &self.page else { return String::new() };
        let label = |text: &str| page.paint(text, Style::Dim);
        let line = page.paint(&self.lesson.command(Some(step)), Style::Command);
        let now = label(&format!("see it again: the key g, and then {}", step.id));
        format!("\n  {now}\n  {} {line}", label("another day: $"))
    }
}
