//! Questions: answered on purpose, and what the player makes of the answer.

use under_the_hood::lesson::check::Probe;
use under_the_hood::lesson::model::{Kind, Predict};

use super::plan::Answers;
use super::reader::{Playing, blocks};
use super::screen::{Prompt, squashed};

/// A question's first answer, by its choices; and whether a later one was right.
#[derive(Debug)]
pub struct Answered {
    /// None: it was left open.
    said: Option<usize>,
    right: usize,
    right_later: bool,
}

impl Answered {
    /// Whether it is asked once more at the end.
    pub fn is_wrong_still(&self) -> bool {
        self.said.is_some_and(|said| said != self.right) && !self.right_later
    }
}

impl Playing<'_> {
    /// What is measured on a machine like this one, as far as that can be known.
    fn truth(&self, question: usize) -> &'static [&'static str] {
        let (root, other) = self.plan.truths[question];
        if crate::skip::root().is_ok() { root } else { other }
    }

    /// The question on the screen, and which of the lesson's it is.
    fn question(&self) -> (usize, Predict) {
        let page = squashed(&self.screen.page);
        let all = blocks(&self.lesson).filter_map(|kind| match kind {
            Kind::Predict(predict) => Some(predict),
            _ => None,
        });
        let shown =
            |predict: &Predict| page.rfind(&format!("Predict.{}", squashed(&predict.question)));
        let last = all.enumerate().max_by_key(|(_, predict)| shown(predict));
        let (number, predict) = last.unwrap();
        assert!(shown(predict).is_some(), "no question of the lesson's:\n{}", self.screen.page);
        (number, predict.clone())
    }

    pub fn is_asked(&mut self) -> Prompt {
        if self.screen.page.contains("Once more, from") {
            return self.is_asked_again();
        }
        let (number, predict) = self.question();
        let page = squashed(&self.screen.page);
        for (choice, (text, _)) in predict.choices.iter().enumerate() {
            let line = format!("{}.{}", choice + 1, squashed(text));
            assert!(page.contains(&line), "choice {line:?} is not on the screen:\n{page}");
        }
        assert!(self.pending.is_none(), "no answer before the next question: {:?}", self.pending);
        self.screen.is_curious(Prompt::Question);
        if let Some(prompt) = self.stops_here(Prompt::Question) {
            return prompt;
        }
        let first = self.questions.insert(number);
        let truth = self.truth(number);
        let is_right = |choice: &usize| truth.contains(&predict.choices[*choice].1.as_str());
        let among = 0..predict.choices.len();
        let choice = match self.plan.answers {
            _ if first && self.plan.open == number => None,
            // Where nobody can know, anything.
            Answers::Right => Some(among.clone().find(is_right).unwrap_or(0)),
            Answers::Wrong => Some(among.clone().find(|choice| !is_right(choice)).unwrap_or(0)),
        };
        self.pending = Some((predict, choice));
        // A number that is no choice is passed over.
        self.types(&choice.map_or("9\r".to_owned(), |choice| format!("9{}", choice + 1)))
    }

    /// At the end, what was answered wrongly comes once more; now it is answered rightly.
    fn is_asked_again(&mut self) -> Prompt {
        let (number, predict) = self.question();
        let answers = &mut self.answers;
        if self.screen.page.contains("Predictions: ") {
            let given = answers.values().filter(|answer| answer.said.is_some()).count();
            let right = answers.values().filter(|it| it.said == Some(it.right)).count();
            let told = format!("Predictions: {right} of {given} right");
            assert!(self.screen.page.contains(&told), "no {told:?}:\n{}", self.screen.page);
        }
        let answered = answers.get_mut(&number).unwrap();
        assert!(answered.is_wrong_still(), "it was not wrong:\n{}", self.screen.page);
        answered.right_later = true;
        let measured = answered.right;
        let prompt = self.types(&(measured + 1).to_string());
        let told = format!("Right this time: {}, {}", measured + 1, predict.choices[measured].0);
        let page = squashed(&self.screen.page);
        assert!(page.contains(&squashed(&told)), "no {told:?}:\n{}", self.screen.page);
        prompt
    }

    /// If the answer is on the screen: it is this machine's, and what it says of the
    /// reader's own is right.
    #[track_caller]
    pub fn is_answered(&mut self) {
        let page = squashed(&self.screen.page);
        let Some((_, measured)) = page.split_once("Measured.") else { return };
        let Some((predict, choice)) = self.pending.take() else { return };
        let all = blocks(&self.lesson).filter_map(|kind| match kind {
            Kind::Predict(predict) => Some(&predict.question),
            _ => None,
        });
        let number = all.into_iter().position(|question| *question == predict.question).unwrap();
        let truth = self.truth(number);
        let told = |right: usize| {
            let lead = match choice {
                None => format!("Answer {}", right + 1),
                Some(choice) if choice == right => "As you said".to_owned(),
                Some(choice) => format!("Not {} but {}", choice + 1, right + 1),
            };
            squashed(&format!("{lead}: {}.", predict.choices[right].0))
        };
        let found = (0..predict.choices.len()).find(|right| measured.starts_with(&told(*right)));
        let Some(right) = found else {
            let may_be = truth.is_empty() && measured.starts_with("Thismachinecannottell");
            assert!(may_be, "lesson {}: {}", self.plan.lesson, self.screen.page);
            return;
        };
        let first = Answered { said: choice, right, right_later: false };
        let answered = self.answers.entry(number).or_insert(first);
        // A machine may answer otherwise the second time.
        answered.right_later |= choice == Some(right);
        let value = &predict.choices[right].1;
        assert!(
            truth.is_empty() || truth.contains(&value.as_str()),
            "{value} is measured, and {truth:?} is true: {}",
            self.screen.page
        );
        if matches!(predict.measure.probe, Probe::Shell(_)) {
            let evidence = format!("{}(itprinted{})", told(right), squashed(value));
            assert!(measured.starts_with(&evidence), "{evidence}: {}", self.screen.page);
        }
    }
}
