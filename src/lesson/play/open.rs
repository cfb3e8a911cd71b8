//! An exercise that is open: how its conditions are, as far as the reader has
//! been told, which hints were given, and the words for it.

use crate::lesson::check::{Judgement, Verdict};
use crate::lesson::model::Try;
use crate::lesson::stage::Left;

use super::keys::Place;
use super::watch::holds;

/// An exercise that the reader is at.
pub(super) struct Open<'a> {
    pub exercise: &'a Try,
    /// What was there before it began.
    pub before: Vec<Left>,
    /// Each condition, as it was told.
    pub judged: Vec<Judgement>,
    /// Which hints have been given.
    given: Vec<bool>,
    /// Whether the solution has been shown.
    pub shown: bool,
}

impl<'a> Open<'a> {
    pub fn new(exercise: &'a Try, before: Vec<Left>) -> Self {
        let unknown = Judgement { verdict: Verdict::DoesNotHold, evidence: String::new() };
        let judged = vec![unknown; exercise.claim.checks.len()];
        let given = vec![false; exercise.hints.len()];
        Self { exercise, before, judged, given, shown: false }
    }

    /// Whether all that was asked for is done.
    pub fn is_solved(&self) -> bool {
        self.judged.iter().all(holds)
    }

    /// Where the reader is, by that.
    pub fn place(&self) -> Place {
        if self.is_solved() { Place::Solved } else { Place::Exercise }
    }

    /// The next hint that fits: first those for the first condition that does not hold, then
    /// those for all, then those for the other conditions that do not hold.
    pub fn hint(&mut self) -> Option<(String, &'a str)> {
        let open: Vec<_> = (0..self.judged.len()).filter(|n| !holds(&self.judged[*n])).collect();
        let (first, rest) =
            open.split_first().map_or((None, &[][..]), |(n, rest)| (Some(*n), rest));
        let wanted =
            first.map(Some).into_iter().chain([None]).chain(rest.iter().copied().map(Some));
        let hints = &self.exercise.hints;
        let index = wanted.into_iter().find_map(|check| {
            (0..hints.len()).find(|at| !self.given[*at] && hints[*at].check == check)
        })?;
        self.given[index] = true;
        let hint = &hints[index];
        let word = match hint.check {
            Some(check) if self.judged.len() > 1 => {
                format!("Hint for check {} of {}", check + 1, self.judged.len())
            }
            _ => "Hint".to_owned(),
        };
        Some((word, hint.text.as_str()))
    }

    /// What a check is called before its evidence.
    pub fn check(&self, index: usize) -> String {
        match self.judged.len() {
            1 => "Check".to_owned(),
            several => format!("Check {} of {several}", index + 1),
        }
    }

    /// What is said when all of it is done.
    pub fn done(&self) -> String {
        match self.judged.len() {
            1 => "**Done.** What was asked for holds:".to_owned(),
            2 => "**Done.** Both conditions hold:".to_owned(),
            several => format!("**Done.** All {several} conditions hold:"),
        }
    }

    /// What is said of the conditions that have changed, given how they are now.
    pub fn changes(&self, now: &[Judgement]) -> Vec<String> {
        let pairs = self.judged.iter().zip(now).enumerate();
        let changed = pairs.filter(|(_, (was, is))| holds(was) != holds(is));
        changed.map(|(index, (_, is))| self.told(index, is)).collect()
    }

    /// One condition, in a line.
    pub fn told(&self, index: usize, judgement: &Judgement) -> String {
        let which = match self.judged.len() {
            1 => "It".to_owned(),
            several => format!("The {} of {several} conditions", ordinal(index)),
        };
        let evidence = match judgement.evidence.as_str() {
            "" => String::new(),
            evidence => format!(": {evidence}"),
        };
        match holds(judgement) {
            true => format!("✓ {which} holds{evidence}"),
            false => format!("✗ {which} does not hold any more{evidence}"),
        }
    }
}

fn ordinal(index: usize) -> String {
    const WORDS: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];
    WORDS.get(index).map_or_else(|| format!("{}th", index + 1), |word| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::check::Test;
    use crate::lesson::model::{Claim, Hint, Opposite};

    fn exercise() -> Try {
        let checks = ["sh: true", "sh: true"].map(|line| Test::parse(1, line).unwrap()).into();
        let (id, text, opposite) = (String::new(), String::new(), Opposite::Nothing);
        let claim = Claim { id, text, checks, needs: Vec::new(), opposite, except: Vec::new() };
        let hint = |check, text: &str| Hint { line: 1, check, text: text.to_owned() };
        let hints = vec![
            hint(None, "all 1"),
            hint(Some(1), "second 1"),
            hint(Some(0), "first 1"),
            hint(Some(0), "first 2"),
            hint(None, "all 2"),
        ];
        Try { claim, leaves: Vec::new(), hints, solution: Vec::new() }
    }

    fn judged(verdict: Verdict) -> Judgement {
        Judgement { verdict, evidence: "seen".to_owned() }
    }

    #[test]
    fn hints_fit_the_state_and_grow() {
        let exercise = exercise();
        let mut open = Open::new(&exercise, Vec::new());
        let next = |open: &mut Open| open.hint().map_or("", |(_, text)| text).to_owned();
        assert_eq!(next(&mut open), "first 1");
        open.judged[0] = judged(Verdict::Holds);
        assert_eq!(next(&mut open), "second 1");
        assert_eq!(next(&mut open), "all 1");
        open.judged[0] = judged(Verdict::DoesNotHold);
        assert_eq!([next(&mut open), next(&mut open), next(&mut open)], ["first 2", "all 2", ""]);
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let exercise = exercise();
        let mut open = Open::new(&exercise, Vec::new());
        let now = vec![judged(Verdict::Holds), judged(Verdict::Untestable)];
        assert_eq!(open.changes(&now), ["✓ The first of 2 conditions holds: seen"]);
        open.judged = now;
        assert!(open.changes(&open.judged.clone()).is_empty() && !open.is_solved());
        let gone = vec![judged(Verdict::DoesNotHold), judged(Verdict::Holds)];
        assert_eq!(
            open.changes(&gone),
            [
                "✗ The first of 2 conditions does not hold any more: seen",
                "✓ The second of 2 conditions holds: seen"
            ]
        );
    }
}
