//! One reader: from the first prompt to the end of the lesson.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use under_the_hood::lesson::library;
use under_the_hood::lesson::model::{Kind, Lesson, Predict};

use super::answers::Answered;
use super::plan::Plan;
use super::screen::{Prompt, Screen, squashed};
use crate::backwards::{differs, state};
use crate::harness::Uth;
use crate::machine::{Machine, base_and_progress};
use crate::player::Reader;

/// A lesson, being played.
pub struct Playing<'a> {
    pub uth: &'a Uth,
    pub plan: &'a Plan,
    pub lesson: Lesson,
    pub screen: Screen,
    before: Machine,
    /// The machine at the end of each step, as it was the first time.
    reached: BTreeMap<usize, Vec<String>>,
    /// What of the plan has been done.
    done: BTreeSet<&'static str>,
    /// A question whose answer has not been shown, and what was said.
    pub pending: Option<(Predict, Option<usize>)>,
    /// How many questions have been asked.
    pub questions: BTreeSet<usize>,
    /// What became of each that was measured.
    pub answers: BTreeMap<usize, Answered>,
    /// The exercises that were done, and the last of them.
    pub exercises: Vec<String>,
}

impl<'a> Playing<'a> {
    /// The lesson's player is on a terminal.
    pub fn new(uth: &'a Uth, plan: &'a Plan) -> Self {
        let lessons = library::embedded();
        let lesson = lessons.into_iter().find(|lesson| lesson.key() == plan.lesson).unwrap();
        let questions = blocks(&lesson).filter(|kind| matches!(kind, Kind::Predict(_))).count();
        assert_eq!(questions, plan.truths.len(), "say in plan.rs what is true of each question");
        let before = Machine::look(uth);
        let screen = Screen::new(begins(uth, plan.lesson));
        Self {
            uth,
            plan,
            lesson,
            screen,
            before,
            reached: BTreeMap::new(),
            done: BTreeSet::new(),
            pending: None,
            questions: BTreeSet::new(),
            answers: BTreeMap::new(),
            exercises: Vec::new(),
        }
    }

    /// To the end; the claims that could not be tested here.
    pub fn plays(mut self) -> Vec<String> {
        let mut prompt = self.reads();
        while prompt != Prompt::Ended {
            prompt = match prompt {
                Prompt::Step | Prompt::Last => self.at_a_steps_end(prompt),
                Prompt::Question => self.is_asked(),
                Prompt::Exercise => self.does(),
                Prompt::Remove => self.types("y"),
                Prompt::Solved => self.types("\r"),
                Prompt::More | Prompt::Other | Prompt::Ended => self.goes_on(),
            };
        }
        self.has_finished()
    }

    /// Reads on; what is shown must be well.
    #[track_caller]
    pub fn reads(&mut self) -> Prompt {
        let prompt = self.screen.reads(&self.lesson);
        for wrong in ["did not end as it should", "It ended with exit code", "cannot be kept"] {
            let page = &self.screen.page;
            assert!(!page.contains(wrong), "lesson {}:\n{page}", self.plan.lesson);
        }
        let mut pieces = self.screen.page.split("\n\n");
        let refuted = |piece: &&str| piece.starts_with("Claim.") && piece.contains('✗');
        let refuted = pieces.find(refuted);
        assert_eq!(refuted, None, "lesson {}, step {}", self.plan.lesson, self.screen.step);
        self.is_answered();
        prompt
    }

    #[track_caller]
    pub fn types(&mut self, keys: &str) -> Prompt {
        self.screen.reader.types(keys);
        self.reads()
    }

    /// Types a key after which the same is waited for; what is shown.
    #[track_caller]
    pub fn stays(&mut self, keys: &str, prompt: Prompt) -> String {
        let next = self.types(keys);
        assert_eq!(next, prompt, "after {keys:?}:\n{}", self.screen.page);
        self.screen.page.clone()
    }

    /// At a prompt that we do not know: Enter, if it is still open.
    fn goes_on(&mut self) -> Prompt {
        match self.screen.finds_its_place(&self.lesson) {
            Prompt::More | Prompt::Other => self.types("\r"),
            known => known,
        }
    }

    fn at_a_steps_end(&mut self, prompt: Prompt) -> Prompt {
        let step = self.screen.step;
        self.screen.is_curious(prompt);
        assert!(self.pending.is_none(), "no answer at the end of step {step}: {:?}", self.pending);
        self.is_as_before(step);
        if step == 0 {
            let page = self.stays("b", prompt);
            assert!(page.contains("no step before this one"), "{page}");
            return self.types("\r");
        }
        // Who has just come back is before the next step, not behind this one.
        if self.screen.page.contains("Taken up again") {
            return self.types("\r");
        }
        self.looks_again(prompt);
        if (step, prompt) == (self.plan.stops.0, self.plan.stops.1) && self.done.insert("stops") {
            return self.stops(step + 1);
        }
        if step == self.plan.again && self.done.insert("again") {
            return self.returns("r", step);
        }
        if step == self.plan.back + 1 && self.done.insert("back") {
            return self.returns("b", step - 1);
        }
        if step == self.plan.goes && self.done.insert("goes") {
            return self.goes_to(step - 1, prompt);
        }
        self.types("\r")
    }

    /// The machine at the end of a step is as it was when that was first played.
    fn is_as_before(&mut self, step: usize) {
        match self.reached.get(&step) {
            Some(expected) => {
                let differs = differs(self.uth, expected);
                let (seen, lesson) = (self.screen.reader.seen(), self.plan.lesson);
                assert!(differs.is_empty(), "lesson {lesson}, step {step}:\n{differs}\n{seen}");
            }
            None => {
                let now = (0..20).find_map(|_| {
                    let (once, twice) = (state(self.uth), state(self.uth));
                    (once == twice).then_some(once)
                });
                self.reached.insert(step, now.expect("the machine comes to rest"));
            }
        }
    }

    /// `x` where operations were left out, `c` where something was claimed; once each.
    fn looks_again(&mut self, prompt: Prompt) {
        let shown = &self.screen.step_text;
        let hidden = regex::Regex::new(r"and (\d+) more operations \(x").unwrap();
        let hidden: usize = hidden.captures(shown).map_or(0, |found| found[1].parse().unwrap());
        let last_is_that = shown.rfind("(x shows them all)") > shown.rfind("  $ ");
        if hidden > 0 && last_is_that && self.done.insert("x") {
            let page = self.stays("x", prompt);
            let calls = page.lines().filter(|line| {
                line.starts_with("    ") && !line.starts_with("     ") && line.contains('(')
            });
            assert!(calls.count() > hidden, "fewer operations than said ({hidden}):\n{page}");
        }
        let claimed = |text: &str| text.matches("\nClaim.").count();
        let (shown, step) = (claimed(&self.screen.step_text), self.screen.step);
        let tries = self.lesson.steps[step - 1].blocks.iter();
        let tries = tries.filter(|block| matches!(block.kind, Kind::Try(_))).count();
        if shown > 0 && tries == 0 && self.done.insert("c") {
            let page = self.stays("c", prompt);
            assert_eq!(claimed(&format!("\n{page}")), shown, "{page}");
            assert!(!page.contains("✗"), "{page}");
        }
        if shown == 0 && tries == 0 && self.done.insert("c without claims") {
            let page = self.stays("c", prompt);
            assert!(page.contains("claimed nothing so far"), "{page}");
        }
    }

    /// Back, again, to: what was done is undone, and the step begins anew.
    #[track_caller]
    fn returns(&mut self, keys: &str, to: usize) -> Prompt {
        self.pending = None;
        let prompt = self.types(keys);
        let page = &self.screen.page;
        let told = format!("is undone; step {to} begins anew");
        assert!(page.contains(&told), "no {told:?} after {keys:?}:\n{page}");
        assert_eq!(self.screen.step, to, "{page}");
        prompt
    }

    fn goes_to(&mut self, to: usize, prompt: Prompt) -> Prompt {
        self.screen.reader.types("g").sees("Which step? Its number or id, then Enter:");
        let page = self.stays("99\r", prompt);
        let id = self.lesson.steps[to - 1].id.clone();
        assert!(page.contains("no step `99`") && page.contains(&id), "{page}");
        self.screen.reader.types("g").sees("Which step? Its number or id, then Enter:");
        self.returns(&format!("{id}\r"), to)
    }

    /// Whether the reader stops here; then it is taken up again, at this step.
    pub fn stops_here(&mut self, prompt: Prompt) -> Option<Prompt> {
        let here = (self.screen.step, prompt);
        let stops = here == (self.plan.stops.0, self.plan.stops.1) && self.done.insert("stops");
        stops.then(|| self.stops(here.0))
    }

    fn stops(&mut self, at: usize) -> Prompt {
        let lesson = self.plan.lesson;
        assert_eq!(self.types(self.plan.stops.2), Prompt::Ended, "{}", self.screen.page);
        let told = format!("Stopped at step {at}; everything that was started is ended.");
        assert!(squashed(&self.screen.page).contains(&squashed(&told)), "{}", self.screen.page);
        self.screen.has_ended(0);
        self.leaves_nothing();
        let of = self.lesson.steps.len();
        assert_eq!(self.progress(), format!("at step {at} of {of}"));
        self.pending = None;
        self.screen.taken_up(begins(self.uth, lesson));
        self.screen.step = at - 1;
        let prompt = self.reads();
        let told = format!("Taken up again at step {at};");
        assert!(self.screen.page.contains(&told), "{}", self.screen.page);
        assert_eq!((prompt, self.screen.step), (Prompt::Step, at - 1));
        prompt
    }

    fn leaves_nothing(&self) {
        let allowed = |line: &str| base_and_progress(line) || line.contains(" cache/");
        Machine::settles(self.uth, &self.before, Duration::from_secs(10), allowed);
    }

    /// What `lesson` says of this one.
    fn progress(&self) -> String {
        let list = self.uth.run(["lesson", "--format", "json"]).ok();
        let list = list.json();
        let number: u64 = self.plan.lesson.parse().unwrap();
        let row = list.as_array().unwrap().iter().find(|row| row["lesson"] == number);
        row.unwrap()["progress"].as_str().unwrap().to_owned()
    }

    fn has_finished(mut self) -> Vec<String> {
        let page = self.screen.page.clone();
        let counted = regex::Regex::new(r"(\d+) of (\d+) claims hold on this machine").unwrap();
        let counted = counted.captures(&page).unwrap_or_else(|| panic!("no summary:\n{page}"));
        let number = |n: usize| counted[n].parse::<usize>().unwrap();
        let mut untested = Vec::new();
        for (_, claim) in self.lesson.claims() {
            if page.contains(&format!("  {}: ", claim.id)) {
                assert!(!claim.needs.is_empty(), "{} needs nothing:\n{page}", claim.id);
                untested.push(claim.id.clone());
            }
        }
        assert!(!page.contains("✗"), "{page}");
        assert_eq!(number(1) + untested.len(), number(2), "{page}");
        // What was judged before the stop counts.
        assert_eq!(number(2), self.lesson.claims().count(), "{page}");
        self.screen.has_ended(0);
        self.leaves_nothing();
        assert_eq!(
            self.progress(),
            format!("finished, {} of {} claims held", number(1), self.lesson.claims().count())
        );
        for what in ["stops", "again", "back", "goes", "c"] {
            assert!(self.done.contains(what), "lesson {}: {what} was not tried", self.plan.lesson);
        }
        assert_eq!(self.questions.len(), self.plan.truths.len(), "not every question was asked");
        let wrong: Vec<_> =
            self.answers.values().filter(|answer| answer.is_wrong_still()).collect();
        assert!(wrong.is_empty(), "what was wrong comes again at the end: {wrong:?}");
        untested
    }
}

/// A player that waits for Enter before it begins.
fn begins(uth: &Uth, lesson: &str) -> Reader {
    let mut command = uth.beside("sh");
    let script = "read go; exec \"$UTH\" lesson \"$1\" --more";
    command.args(["-c", script, "sh", lesson]);
    command.env("TERM", "dumb").env("SHELL", "/bin/sh").env_remove("COLUMNS");
    Reader::of(command, 24)
}

/// All that a lesson consists of.
pub fn blocks(lesson: &Lesson) -> impl Iterator<Item = &Kind> {
    lesson.steps.iter().flat_map(|step| &step.blocks).map(|block| &block.kind)
}
