//! What a record is made of: what was shown, done or found, as plain data.

use procfs::Current;

use crate::kernel::cgroup::unit::bytes;
use crate::kernel::probe::Facts;
use crate::lesson::check::{Finding, Judgement};
use crate::lesson::perform::Done;
use crate::lesson::picture::Drawn;
use crate::step::Step;

/// More bytes of one command's output than this are left out, from its middle.
const MOST_OUTPUT: usize = 24 << 10;
/// More kernel operations of one command than this are left out.
const MOST_STEPS: usize = 300;

/// The machine of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Each with its name, for a table.
    pub facts: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum End {
    /// It was played to its end.
    #[default]
    Finished,
    /// The reader stopped at this step (counted from 1).
    Stopped(usize),
    /// It could not go on: why.
    Failed(String),
}

/// One thing that was shown, done or found.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A step begins (its place from 1, its id, its title, whether it is `(more)`).
    Step {
        /// From 1.
        place: usize,
        /// Its id.
        id: String,
        /// Its heading.
        title: String,
        /// Whether it goes further than the lesson needs.
        more: bool,
    },
    /// The stage was emptied and what comes before this step (from 1) replayed.
    Replayed(usize),
    /// Markdown that was read.
    Prose(String),
    /// The same with a word before it: **Notice**, **Hint**.
    Aside(String, String),
    /// How another engine does it.
    Engine(String, String),
    /// A command and what came of it.
    Command(Command),
    /// A question, and what the reader expected.
    Asked {
        /// The question.
        question: String,
        /// What could be chosen.
        choices: Vec<String>,
        /// What was (counted from 0).
        choice: Option<usize>,
    },
    /// The answer to it, from this machine.
    Measured {
        /// Which choice was right; none: none of them.
        right: Option<String>,
        /// What the reader said: right, wrong, or nothing.
        hit: Option<bool>,
        /// What was measured, or why nothing could be.
        value: Result<Finding, String>,
        /// How to see the same.
        typed: String,
    },
    /// A claim, judged.
    Claim {
        /// Its id.
        id: String,
        /// The sentence.
        text: String,
        /// Whether it holds, and why.
        judgement: Judgement,
        /// How to see the same.
        typed: Vec<String>,
    },
    /// Something for the reader to do.
    Try(Exercise),
    /// The article's output and this machine's.
    Article(Article),
    /// A picture.
    Picture {
        /// What to look at.
        caption: String,
        /// It, or why there is none.
        drawn: Drawn,
    },
}

/// A command that was shown.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// As it was typed.
    pub line: String,
    /// What it exited with; none: it was not performed.
    pub exit: Option<u8>,
    /// What it should exit with.
    pub expected: u8,
    /// What it wrote.
    pub output: Output,
    /// The kernel operations that it reported.
    pub steps: Vec<Step>,
    /// Which of them the lesson's step is about.
    pub named: Vec<usize>,
    /// How many more there were.
    pub more_steps: usize,
    /// Why it was not done, or not shown.
    pub why: Option<String>,
}

/// What a command wrote, with all that it had in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// All of it, or its beginning.
    pub head: String,
    /// Bytes that are left out after that.
    pub left_out: usize,
    /// Its end.
    pub tail: String,
}

/// A **Try** and what came of it.
#[derive(Debug, Clone)]
pub struct Exercise {
    /// The claim's id.
    pub id: String,
    /// The task.
    pub text: String,
    /// One way to do it.
    pub solution: Vec<String>,
    /// The same, where the player did it.
    pub played: Vec<Command>,
    /// Whether it was done; none: the reader stopped.
    pub judgement: Option<Judgement>,
    /// How to see the same.
    pub typed: Vec<String>,
}

/// A part of the article beside this machine.
#[derive(Debug, Clone)]
pub struct Article {
    /// The command.
    pub line: String,
    /// The article's output.
    pub there: Vec<String>,
    /// This machine's; or why there is none.
    pub here: Result<Output, String>,
    /// Each difference.
    pub differences: Vec<String>,
}

impl Output {
    /// The text, cut in its middle if it is long: the end says how it ended.
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim_end();
        if text.len() <= MOST_OUTPUT {
            return Self { head: text.to_owned(), ..Self::default() };
        }
        let floor = |at: usize| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        // At the ends of lines, where there are any.
        let first = floor(MOST_OUTPUT * 3 / 4);
        let first = text[..first].rfind('\n').unwrap_or(first);
        let last = floor(text.len() - MOST_OUTPUT / 4);
        let last = text[last..].find('\n').map_or(last, |at| last + at + 1);
        let (head, tail) = (text[..first].to_owned(), text[last..].to_owned());
        Self { head, left_out: last - first, tail }
    }

    /// What is said where something is left out.
    pub fn gap(&self) -> Option<String> {
        (self.left_out > 0).then(|| format!("… {} bytes left out here …", self.left_out))
    }
}

impl Machine {
    /// The machine that we are on.
    pub fn look(facts: &Facts) -> Self {
        let (host, identity) = (facts.host(), facts.identity());
        let memory = match procfs::Meminfo::current() {
            Ok(memory) => bytes(memory.mem_total),
            Err(error) => format!("not known: {error}"),
        };
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let mut all = vec![
            ("Kernel", format!("{}, {}", host.kernel, host.architecture)),
            ("Distribution", host.distribution.clone()),
            ("CPUs", cpus.to_string()),
            ("Memory", memory),
            ("Control groups", facts.cgroups().layout().to_owned()),
        ];
        if let Some(by) = &host.virtualization {
            all.push(("Virtual machine", by.clone()));
        }
        if let Some(kind) = &host.container {
            all.push(("Itself a container", kind.clone()));
        }
        let who = if identity.uid == 0 { "root" } else { "an ordinary user" };
        all.push(("Played as", who.to_owned()));
        let facts = all.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self { facts: facts.collect() }
    }
}

impl Command {
    pub(super) fn of(line: &str, done: &Done) -> Self {
        Self {
            line: line.to_owned(),
            exit: Some(done.exit),
            output: Output::of(&done.output),
            steps: done.steps.iter().take(MOST_STEPS).cloned().collect(),
            more_steps: done.steps.len().saturating_sub(MOST_STEPS),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_in_its_middle_and_says_so() {
        let text: String = (0..20_000).map(|n| format!("línea {n}\n")).collect();
        let output = Output::of(&text);
        assert!(output.head.starts_with("línea 0\n") && output.tail.ends_with("línea 19999"));
        let kept = output.head.len() + output.tail.len();
        assert!(kept <= MOST_OUTPUT && kept + output.left_out == text.trim_end().len());
        assert!(output.head.lines().chain(output.tail.lines()).all(|l| l.starts_with("línea")));
        assert_eq!(Output::of("short\n"), Output { head: "short".into(), ..Output::default() });
        assert_eq!(Output::of(&"é".repeat(MOST_OUTPUT)).tail.chars().next(), Some('é'));
    }
}
