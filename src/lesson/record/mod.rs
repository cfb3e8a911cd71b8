//! What a run of a lesson showed and found, in order and as plain data: what a
//! notebook is made of. The player writes it down as it goes.

mod entry;

pub use entry::{Article, Command, End, Entry, Exercise, Machine, Output};

use std::time::{SystemTime, UNIX_EPOCH};

use crate::step::Step;

use super::check::{Answer, Judgement, Unknown};
use super::model::{Claim, Fence, Lesson, Picture, Predict, Step as LessonStep, Try};
use super::perform::Done;
use super::picture::Drawn;

/// A run of a lesson.
#[derive(Debug, Clone)]
pub struct Record {
    /// The lesson's number.
    pub number: Option<u32>,
    /// Its title.
    pub title: String,
    /// The article's heading.
    pub chapter: String,
    /// How many steps it has.
    pub steps: usize,
    /// When this run began, in seconds since 1970.
    pub began: u64,
    /// Where.
    pub machine: Machine,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// How it ended.
    pub end: End,
}

impl Record {
    /// A run that begins now.
    pub fn begin(lesson: &Lesson) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            number: lesson.number,
            title: lesson.front.title.clone(),
            chapter: lesson.front.chapter.clone(),
            steps: lesson.steps.len(),
            began: now.as_secs(),
            machine: Machine::default(),
            entries: Vec::new(),
            end: End::default(),
        }
    }

    /// A step begins.
    pub fn step(&mut self, index: usize, step: &LessonStep) {
        let (id, title) = (step.id.clone(), step.title.clone());
        self.entries.push(Entry::Step { place: index + 1, id, title, more: step.more });
    }

    /// What comes before a step (counted from 0) has been replayed.
    pub fn replayed(&mut self, step: usize) {
        self.entries.push(Entry::Replayed(step + 1));
    }

    /// Something was said.
    pub fn prose(&mut self, text: &str) {
        self.entries.push(Entry::Prose(text.to_owned()));
    }

    /// Something was said, with a word before it. A task is an entry of its own.
    pub fn aside(&mut self, word: &str, text: &str) {
        if word != "Try" {
            self.entries.push(Entry::Aside(word.to_owned(), text.to_owned()));
        }
    }

    /// Another engine's way was shown.
    pub fn engine(&mut self, engine: &str, lines: &str) {
        self.entries.push(Entry::Engine(engine.to_owned(), lines.to_owned()));
    }

    /// A line was performed; `why` it is not shown, if so.
    pub fn command(&mut self, line: &str, fence: &Fence, done: &Done, why: Option<&str>) {
        let mut command = Command::of(line, done);
        command.expected = fence.exit;
        command.why = why.map(str::to_owned);
        let named = |step: &Step| fence.ops.iter().any(|op| super::play::is_named(step, op));
        command.named = (0..command.steps.len()).filter(|n| named(&command.steps[*n])).collect();
        self.entries.push(Entry::Command(command));
    }

    /// A line could not be performed here.
    pub fn not_done(&mut self, line: &str, why: &str) {
        let (line, why) = (line.to_owned(), Some(why.to_owned()));
        self.entries.push(Entry::Command(Command { line, why, ..Command::default() }));
    }

    /// A question was asked.
    pub fn asked(&mut self, predict: &Predict, choice: Option<usize>) {
        let choices = predict.choices.iter().map(|(text, _)| text.clone()).collect();
        self.entries.push(Entry::Asked { question: predict.question.clone(), choices, choice });
    }

    /// It was answered.
    pub fn measured(
        &mut self,
        predict: &Predict,
        choice: Option<usize>,
        answer: &Answer,
        typed: &str,
    ) {
        let value = answer.clone().map_err(|unknown| match unknown {
            Unknown::Absent(why) | Unknown::Untestable(why) => why,
        });
        let is_right = |value: &str| value == answer.as_ref().map_or("", |found| &found.value);
        let right = predict.choices.iter().position(|(_, value)| is_right(value));
        let right = right.filter(|_| answer.is_ok());
        let hit = value.is_ok().then(|| choice.map(|choice| Some(choice) == right)).flatten();
        let right = right.map(|right| predict.choices[right].0.clone());
        self.entries.push(Entry::Measured { right, hit, value, typed: typed.to_owned() });
    }

    /// A task was set.
    pub fn task(&mut self, exercise: &Try) {
        self.entries.push(Entry::Try(Exercise {
            id: exercise.claim.id.clone(),
            text: exercise.claim.text.clone(),
            solution: exercise.solution.clone(),
            played: Vec::new(),
            judgement: None,
            typed: Vec::new(),
        }));
    }

    fn open_task(&mut self, id: &str) -> Option<&mut Exercise> {
        self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Try(task) if task.id == id && task.judgement.is_none() => Some(task),
            _ => None,
        })
    }

    /// The player has carried out its solution.
    pub fn played(&mut self, exercise: &Try, played: &[Done]) {
        if let Some(task) = self.open_task(&exercise.claim.id) {
            let lines = exercise.solution.iter().zip(played);
            task.played = lines.map(|(line, done)| Command::of(line, done)).collect();
        }
    }

    /// A claim was judged; or a task, if that is what it belongs to.
    pub fn judged(&mut self, claim: &Claim, judgement: &Judgement, typed: Vec<String>) {
        let judgement = judgement.clone();
        if let Some(task) = self.open_task(&claim.id) {
            (task.judgement, task.typed) = (Some(judgement), typed);
            return;
        }
        let (id, text) = (claim.id.clone(), claim.text.clone());
        self.entries.push(Entry::Claim { id, text, judgement, typed });
    }

    /// The article's output was laid beside this machine's.
    pub fn article(
        &mut self,
        (line, there): (&str, &[String]),
        here: Result<&str, &str>,
        differences: &[String],
    ) {
        self.entries.push(Entry::Article(Article {
            line: line.to_owned(),
            there: there.to_owned(),
            here: here.map(Output::of).map_err(str::to_owned),
            differences: differences.to_owned(),
        }));
    }

    /// A picture was drawn, or could not be.
    pub fn picture(&mut self, picture: &Picture, drawn: &Drawn) {
        let (caption, drawn) = (picture.caption.clone(), drawn.clone());
        self.entries.push(Entry::Picture { caption, drawn });
    }
}
