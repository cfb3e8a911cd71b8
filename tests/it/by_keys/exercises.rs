//! Exercises: too early, with every hint, and done in three ways.

use under_the_hood::lesson::model::{Kind, Try};

use super::plan::By;
use super::reader::{Playing, blocks};
use super::screen::{Prompt, squashed};

impl Playing<'_> {
    /// The exercise on the screen.
    fn task(&self) -> Try {
        let page = squashed(&self.screen.page);
        let all = blocks(&self.lesson).filter_map(|kind| match kind {
            Kind::Try(exercise) => Some(exercise),
            _ => None,
        });
        let shown =
            |exercise: &&Try| page.contains(&format!("Try.{}", squashed(&exercise.claim.text)));
        let exercise = all.into_iter().find(shown);
        exercise.unwrap_or_else(|| panic!("no exercise:\n{}", self.screen.page)).clone()
    }

    pub fn does(&mut self) -> Prompt {
        let exercise = self.task();
        self.screen.is_curious(Prompt::Exercise);
        if let Some(prompt) = self.stops_here(Prompt::Exercise) {
            return prompt;
        }
        let nth = self.exercises.iter().position(|id| *id == exercise.claim.id);
        let by = match nth {
            Some(_) => By::Solution,
            None => self.plan.exercises[self.exercises.len() % self.plan.exercises.len()],
        };
        if nth.is_none() {
            self.exercises.push(exercise.claim.id.clone());
            self.is_too_early();
            self.takes_every_hint();
        }
        let prompt = match by {
            By::Solution => self.by_the_solution(&exercise),
            By::Shell => self.in_the_shell(&exercise),
            By::Second => self.in_a_second_terminal(&exercise),
        };
        let page = &self.screen.page;
        assert!(!self.is_open(prompt), "{} is not done:\n{page}", exercise.claim.id);
        prompt
    }

    /// Types a key while the exercise is open, and reads on to what it shows: what is watched
    /// may be told before it. What is shown from there on.
    #[track_caller]
    fn is_shown(&mut self, key: &str, word: &str) -> String {
        let mut prompt = self.types(key);
        while !self.screen.page.contains(word) {
            assert_eq!(prompt, Prompt::Exercise, "no {word:?}:\n{}", self.screen.page);
            prompt = self.screen.reads_once(&self.lesson).0;
        }
        assert_eq!(prompt, Prompt::Exercise, "after {key:?}:\n{}", self.screen.page);
        let page = &self.screen.page;
        page[page.find(word).unwrap()..].to_owned()
    }

    /// Enter before anything is done: what is missing is said, and it does not go on.
    fn is_too_early(&mut self) {
        self.is_shown("\r", "Not yet.");
        let page = &self.screen.page;
        assert!(page.contains("✗ does not hold"), "nothing is said to be missing:\n{page}");
    }

    /// Each hint is the lesson's and another one, until there are no more.
    fn takes_every_hint(&mut self) {
        let source = format!(
            "{}/lessons/{}-{}/lesson.md",
            env!("CARGO_MANIFEST_DIR"),
            format_args!("{:0>2}", self.plan.lesson),
            self.lesson.name
        );
        let source = std::fs::read_to_string(source).unwrap().replace("\n>", "\n");
        let source = squashed(&source);
        let mut hints: Vec<String> = Vec::new();
        loop {
            // `Hint.`, or `Hint for check 1 of 2.`
            let shown = squashed(&self.is_shown("h", "Hint"));
            let (_, hint) = shown.split_once('.').unwrap();
            if hint.contains("nomore") {
                break;
            }
            assert!(source.contains(hint), "this hint is not the lesson's: {hint}");
            assert!(!hints.iter().any(|known| known == hint), "said before: {hint}");
            hints.push(hint.to_owned());
        }
        assert!(!hints.is_empty(), "not a single hint");
    }

    fn by_the_solution(&mut self, exercise: &Try) -> Prompt {
        let shown = self.is_shown("s", "One way to do it");
        let commands = shown.lines().filter(|line| line.starts_with("$ ")).count();
        assert_eq!(commands, exercise.solution.len(), "each on a line of its own: {shown}");
        let page = squashed(&shown);
        for line in &exercise.solution {
            assert!(page.contains(&squashed(line)), "{line} is not in: {page}");
        }
        let prompt = self.types("s");
        self.comes_to_be_done(prompt)
    }

    fn in_the_shell(&mut self, exercise: &Try) -> Prompt {
        let ready = format!("(lesson {}) $ ", self.plan.lesson);
        let reader = &mut self.screen.reader;
        reader.types("!").sees("Your shell").sees(&ready);
        for line in &exercise.solution {
            reader.types(&format!("{line}\r")).sees(&ready);
        }
        let prompt = self.types("exit\r");
        let page = &self.screen.page;
        assert!(page.contains("Back in the lesson."), "{page}");
        self.comes_to_be_done(prompt)
    }

    /// Nothing is typed here: who watches says that it is done.
    fn in_a_second_terminal(&mut self, exercise: &Try) -> Prompt {
        let lines = exercise.solution.join("\n");
        self.uth.sh(&format!("eval \"$($UTH lesson env)\"\n{lines}")).ok();
        self.screen.page.clear();
        let prompt = self.comes_to_be_done(Prompt::Exercise);
        assert_eq!(prompt, Prompt::Solved, "{}", self.screen.page);
        prompt
    }

    /// Reads on: what was begun may need a moment, and then who watches tells it.
    fn comes_to_be_done(&mut self, mut prompt: Prompt) -> Prompt {
        while self.is_open(prompt) || prompt == Prompt::More {
            if prompt == Prompt::More {
                self.screen.reader.types("\r");
            }
            prompt = self.screen.reads_once(&self.lesson).0;
        }
        self.is_done();
        prompt
    }

    /// Whether the same exercise is still asked for, and not the next one.
    fn is_open(&self, prompt: Prompt) -> bool {
        prompt == Prompt::Exercise && !self.screen.page.contains("\nTry.")
    }

    /// Every condition holds, as was said last.
    #[track_caller]
    fn is_done(&self) {
        let page = &self.screen.page;
        let (page, _) = page.split_once("\nTry.").unwrap_or((page, ""));
        let (holds, not) = (page.rfind("✓ holds"), page.rfind("✗ does not hold"));
        assert!(holds.is_some() && holds > not, "{page}");
    }
}
