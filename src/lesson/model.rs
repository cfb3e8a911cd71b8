//! What a lesson is made of, as plain data.

use std::path::PathBuf;

use crate::effect::Driven;
use crate::kernel::probe::Need;

use super::check::Test;
use super::picture::Draw;

/// A lesson, as its file says it.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Where its file is, for error messages.
    pub path: String,
    /// Whether it came with this program; only such a lesson is trusted.
    pub embedded: bool,
    /// What its steps need beside it, by the path in its directory: each run of the
    /// lesson finds them in `$lesson_dir`.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// The number that its directory's name starts with.
    pub number: Option<u32>,
    /// The rest of its directory's name.
    pub name: String,
    /// What its front matter says.
    pub front: Front,
    /// What is said before the first step.
    pub intro: Vec<Block>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// The TOML between the two `+++` lines at the top.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// The lesson's own title.
    pub title: String,
    /// The article's heading that it follows.
    pub chapter: String,
    /// How long it takes.
    pub minutes: u32,
    /// What it needs of a machine to be of any use.
    pub needs: Vec<Need>,
}

/// One `##` heading and what follows it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line of its heading.
    pub line: usize,
    /// `{#id}`: what progress remembers.
    pub id: String,
    /// The heading.
    pub title: String,
    /// `(more)`: skipped unless asked for.
    pub more: bool,
    /// What it consists of.
    pub blocks: Vec<Block>,
}

/// A piece of a step, and the line it starts on.
#[derive(Debug, Clone)]
pub struct Block {
    /// In the lesson's file, from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of blocks.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Markdown to read.
    Prose(String),
    /// `sh run`: command lines of this program, performed and explained.
    Run(Fence),
    /// `sh shell`: programs of this machine that only look, performed as typed.
    Shell(Fence),
    /// `sh engine=docker`: the same another engine's way, shown.
    Engine(String, String),
    /// `console article`: the article's output, compared with this machine's.
    Article(Article),
    /// **Predict**
    Predict(Predict),
    /// **Claim**
    Claim(Claim),
    /// **Try**
    Try(Try),
    /// **Picture**
    Picture(Picture),
    /// **Today**, **Surprise**, **Notice**: the word and the Markdown after it.
    Aside(String, String),
    /// `<!-- notes: -->`: the instructor's.
    Notes(String),
}

/// Command lines to perform.
#[derive(Debug, Clone, Default)]
pub struct Fence {
    /// Each with its line in the file.
    pub lines: Vec<(usize, String)>,
    /// `ops=clone3,pivot_root`, `ops=write:pids.max`: the few kernel operations that the
    /// step is about.
    pub ops: Vec<String>,
    /// `exit=1`: what the commands exit with when all is well.
    pub exit: u8,
    /// `needs=root`: what the machine must have for it; else it is not performed.
    pub needs: Vec<Need>,
    /// `output=whole`: all of what they write is shown, more than a screen too.
    pub whole: bool,
    /// `or=builtin`: where the engine that the lesson is played with cannot start this
    /// container, ours is started in its place.
    pub or_ours: bool,
}

/// Output from the article, and the command that gives this machine's.
#[derive(Debug, Clone)]
pub struct Article {
    /// `what=kernel`: what a difference is called where the lines do not say it.
    pub what: Option<String>,
    /// Each command with the article's output below it.
    pub parts: Vec<(String, Vec<String>)>,
}

/// A question asked before the step, answered by measurement.
#[derive(Debug, Clone)]
pub struct Predict {
    /// The question.
    pub question: String,
    /// What the reader can choose, and the measured value that it means.
    pub choices: Vec<(String, String)>,
    /// How it is measured.
    pub measure: Test,
}

/// A question in its place.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// What progress calls it, in every language: `STEP/1`, the step's id and its place in there.
    pub key: String,
    /// The step it stands in, from 0; none before the first.
    pub step: Option<usize>,
    /// It.
    pub predict: &'a Predict,
}

/// A sentence that this machine can prove wrong.
#[derive(Debug, Clone)]
pub struct Claim {
    /// `{#id}`
    pub id: String,
    /// The sentence.
    pub text: String,
    /// How it is checked; all must hold.
    pub checks: Vec<Test>,
    /// What the machine must have for it to be tested.
    pub needs: Vec<Need>,
    /// What makes it false, for `lesson test`.
    pub opposite: Opposite,
    /// Engines with which it need not hold, and why.
    pub except: Vec<(Vec<Driven>, String)>,
}

/// What is really there, drawn when the lesson comes to it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// What to look at.
    pub caption: String,
    /// What is drawn.
    pub draw: Draw,
}

/// Something the reader does in a shell of their own.
#[derive(Debug, Clone)]
pub struct Try {
    /// The claim that what was asked for has been done.
    pub claim: Claim,
    /// What it makes, to be removed afterwards.
    pub leaves: Vec<Leaves>,
    /// Given one by one, those that fit the state.
    pub hints: Vec<Hint>,
    /// One way to do it: lines for a shell.
    pub solution: Vec<String>,
}

/// What helps without giving it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Its line in the lesson's file.
    pub line: usize,
    /// `hint (check 2)`: which condition it helps with, from 0; none for all of them.
    pub check: Option<usize>,
    /// What is said.
    pub text: String,
}

/// What an exercise leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaves {
    /// A file or directory.
    Path(String),
    /// Every process with this command line; the first gets the name, and is
    /// from then on as a container that the lesson has started.
    Process {
        /// Its words, with a space between them.
        command: String,
        /// `process sleep 1 as box` binds `$box_pid`.
        name: Option<String>,
    },
}

/// In what world a claim must be false.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Opposite {
    /// With an ordinary process of this machine in the container's place.
    #[default]
    Ordinary,
    /// Where there is no container at all (what is claimed holds for every process).
    Nothing,
    /// After this command line.
    Command(String),
}

impl Lesson {
    /// Every claim and exercise, with the step it stands in.
    pub fn claims(&self) -> impl Iterator<Item = (&Step, &Claim)> {
        self.steps.iter().flat_map(|step| {
            step.blocks.iter().filter_map(move |block| match &block.kind {
                Kind::Claim(claim) => Some((step, claim)),
                Kind::Try(exercise) => Some((step, &exercise.claim)),
                _ => None,
            })
        })
    }

    /// Every question, in order.
    pub fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        let steps = self.steps.iter().enumerate();
        let steps = steps.map(|(at, step)| (Some(at), step.id.as_str(), step.blocks.as_slice()));
        let all = std::iter::once((None, "", self.intro.as_slice())).chain(steps);
        all.flat_map(|(step, id, blocks)| {
            let asked = blocks.iter().filter_map(|block| match &block.kind {
                Kind::Predict(predict) => Some(predict),
                _ => None,
            });
            asked.enumerate().map(move |(place, predict)| Question {
                key: format!("{id}/{}", place + 1),
                step,
                predict,
            })
        })
    }

    /// Every line that playing or testing it performs, with its line in the file.
    pub fn lines(&self) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        let blocks = self.intro.iter().chain(self.steps.iter().flat_map(|step| &step.blocks));
        for block in blocks {
            match &block.kind {
                Kind::Run(fence) | Kind::Shell(fence) => lines.extend(fence.lines.iter().cloned()),
                Kind::Article(article) => {
                    lines.extend(article.parts.iter().map(|(line, _)| (block.line, line.clone())));
                }
                Kind::Predict(predict) => lines.extend(predict.measure.shell_line()),
                Kind::Claim(claim) => lines.extend(claim.lines(block.line)),
                Kind::Try(exercise) => {
                    lines.extend(exercise.solution.iter().map(|line| (block.line, line.clone())));
                    lines.extend(exercise.claim.lines(block.line));
                }
                _ => {}
            }
        }
        lines
    }
}

impl Claim {
    fn lines(&self, line: usize) -> Vec<(usize, String)> {
        let mut lines: Vec<_> = self.checks.iter().filter_map(Test::shell_line).collect();
        if let Opposite::Command(command) = &self.opposite {
            lines.push((line, command.clone()));
        }
        lines
    }
}
