//! Which lesson is played how, and what is true of its questions.

use super::screen::Prompt;

/// How the questions of a lesson are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Right,
    Wrong,
}

/// How an exercise is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// `!`, and the solution typed line by line.
    Shell,
    /// `s`, and `s` again.
    Solution,
    /// A second terminal with `lesson env`.
    Second,
}

/// What one lesson's reader does. Steps count from 1.
pub struct Plan {
    pub lesson: &'static str,
    pub answers: Answers,
    /// The question that is left open, from 0.
    pub open: usize,
    /// How the exercises are done, in turn.
    pub exercises: &'static [By],
    /// The step before which `b` is typed at the end of the next.
    pub back: usize,
    /// The step that is played again.
    pub again: usize,
    /// The step from whose end `g` goes to the one before.
    pub goes: usize,
    /// Where the reader stops, and by which key.
    pub stops: (usize, Prompt, &'static str),
    /// The measured value of each question: for root, for others; none where a machine
    /// or a user may be unable to tell, several where machines differ.
    pub truths: &'static [(&'static [&'static str], &'static [&'static str])],
}

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

pub const PLANS: [Plan; 8] = [
    Plan {
        lesson: "0",
        answers: Answers::Wrong,
        open: 9,
        exercises: &[],
        back: 2,
        again: 1,
        goes: 2,
        stops: (2, Prompt::Step, "q"),
        truths: &[(&["less", "longer"], &["less", "longer"])],
    },
    Plan {
        lesson: "1",
        answers: Answers::Wrong,
        open: 2,
        exercises: &[By::Shell, By::Second],
        back: 3,
        again: 5,
        goes: 4,
        stops: (8, Prompt::Question, CTRL_C),
        truths: &[
            (&["yes"], &["yes"]),
            (&["1"], &["1"]),
            (&["6"], &["7"]),
            (&["2"], &["1"]),
            (&["nobody"], &["you"]),
        ],
    },
    Plan {
        lesson: "2",
        answers: Answers::Right,
        open: 0,
        exercises: &[By::Second, By::Solution],
        back: 1,
        again: 4,
        goes: 2,
        stops: (5, Prompt::Question, CTRL_D),
        truths: &[(&["unnamed"], &["unnamed"]), (&["1"], &["1"]), (&["eth0,lo"], &["lo"])],
    },
    Plan {
        lesson: "3",
        answers: Answers::Wrong,
        open: 1,
        exercises: &[By::Solution, By::Shell],
        back: 3,
        again: 4,
        goes: 2,
        stops: (4, Prompt::Exercise, CTRL_D),
        truths: &[
            (&["yes"], &["yes"]),
            (&["yes"], &["yes"]),
            (&["out"], &["out"]),
            (&["in"], &["in"]),
        ],
    },
    Plan {
        lesson: "4",
        answers: Answers::Right,
        open: 3,
        exercises: &[By::Shell, By::Second, By::Shell, By::Second, By::Solution],
        back: 5,
        again: 2,
        goes: 6,
        stops: (7, Prompt::Step, CTRL_C),
        truths: &[
            (&["most"], &["most"]),
            (&["some"], &[]),
            (&["yes"], &[]),
            (&["137"], &[]),
            (&["machine"], &[]),
            (&["refused"], &[]),
        ],
    },
    Plan {
        lesson: "5",
        answers: Answers::Right,
        open: 4,
        exercises: &[By::Shell, By::Second],
        back: 2,
        again: 6,
        goes: 5,
        stops: (8, Prompt::Question, CTRL_D),
        truths: &[
            (&["no"], &["no"]),
            (&["no"], &["no"]),
            (&["diff_id"], &["diff_id"]),
            (&["3"], &["3"]),
            (&["2"], &["2"]),
        ],
    },
    Plan {
        lesson: "6",
        answers: Answers::Wrong,
        open: 0,
        exercises: &[By::Second, By::Shell, By::Solution, By::Shell],
        back: 2,
        again: 4,
        goes: 3,
        stops: (5, Prompt::Exercise, "q"),
        truths: &[
            (&["refused"], &["refused"]),
            (&["three"], &["three"]),
            (&["last"], &["last"]),
            (&["entry point: hello"], &["entry point: hello"]),
            (&["differs"], &["differs"]),
        ],
    },
    Plan {
        lesson: "7",
        answers: Answers::Right,
        open: 1,
        exercises: &[By::Shell, By::Shell, By::Second, By::Shell, By::Solution, By::Second],
        back: 4,
        again: 3,
        goes: 5,
        stops: (7, Prompt::Step, CTRL_D),
        truths: &[
            (&["same"], &["same"]),
            (&["nothing"], &["nothing"]),
            (&["overlay"], &["overlay"]),
            (&["no"], &["no"]),
            (&["free"], &["free"]),
            (&["dozens"], &["dozens"]),
            (&["blink", "second"], &["blink", "second"]),
        ],
    },
];
