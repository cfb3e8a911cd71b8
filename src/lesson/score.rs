//! Predictions, scored: the first answer to a question counts, however often
//! the reader goes back. A question that was left open is not wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The value that the reader's choice means; none: it was left open.
    pub chose: Option<String>,
    /// What this machine answered.
    pub measured: String,
    /// Whether it was wrong at first, and right when it was answered once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub right_later: bool,
}

/// Each question that was asked, by its key (see `Lesson::questions`).
pub type Answers = BTreeMap<String, Given>;

/// How many there were, and how many were right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// Predictions that were given.
    pub given: usize,
    /// Those of them that this machine confirmed.
    pub right: usize,
    /// Questions that were left open.
    #[serde(default)]
    pub open: usize,
}

impl Given {
    /// The first answer to a question.
    pub fn first(chose: Option<&str>, measured: &str) -> Self {
        let (chose, measured) = (chose.map(str::to_owned), measured.to_owned());
        Self { chose, measured, right_later: false }
    }

    /// Whether the reader predicted it.
    pub fn is_right(&self) -> bool {
        self.chose.as_ref() == Some(&self.measured)
    }

    /// Whether it is worth being asked once more.
    pub fn is_wrong_still(&self) -> bool {
        self.chose.is_some() && !self.is_right() && !self.right_later
    }
}

/// Takes an answer: the first is kept; a later one can only be right after all.
pub fn take(answers: &mut Answers, key: &str, chose: Option<&str>, measured: &str) {
    let given = Given::first(chose, measured);
    match answers.get_mut(key) {
        Some(first) => first.right_later |= first.is_wrong_still() && given.is_right(),
        None => drop(answers.insert(key.to_owned(), given)),
    }
}

impl Score {
    /// Of these answers.
    pub fn of(answers: &Answers) -> Self {
        let count =
            |which: fn(&Given) -> bool| answers.values().filter(|given| which(given)).count();
        let given = count(|given| given.chose.is_some());
        Self { given, right: count(Given::is_right), open: answers.len() - given }
    }

    /// For people: `5 of 7 right, 1 left open`.
    pub fn told(&self) -> String {
        let given = match self.given {
            0 => "none given".to_owned(),
            given => format!("{} of {given} right", self.right),
        };
        match self.open {
            0 => given,
            open => format!("{given}, {open} left open"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_counts() {
        let mut answers = Answers::new();
        take(&mut answers, "one/1", Some("5"), "4");
        take(&mut answers, "one/2", None, "4");
        take(&mut answers, "two/1", Some("4"), "4");
        let score = Score { given: 2, right: 1, open: 1 };
        assert_eq!(Score::of(&answers), score);
        assert!(answers["one/1"].is_wrong_still() && !answers["one/2"].is_wrong_still());
        // Neither a right answer nor a wrong one changes the score when the first is in.
        for (key, chose) in [("one/1", "4"), ("one/2", "4"), ("two/1", "5"), ("one/1", "5")] {
            take(&mut answers, key, Some(chose), "4");
        }
        assert_eq!(Score::of(&answers), score);
        assert!(answers.values().all(|given| !given.is_wrong_still()));
        assert_eq!(score.told(), "1 of 2 right, 1 left open");
        assert_eq!(Score { open: 2, ..Score::default() }.told(), "none given, 2 left open");
    }
}
