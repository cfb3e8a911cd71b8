//! What is on the reader's screen: the prompts, and the text above them.

use std::collections::BTreeSet;

use regex::Regex;
use under_the_hood::lesson::model::Lesson;

use crate::player::Reader;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prompt {
    /// The screen is full.
    More,
    /// Between two steps.
    Step,
    /// After the last.
    Last,
    /// A question is open.
    Question,
    /// An exercise is open.
    Exercise,
    /// An exercise is done, and the reader has been told so.
    Solved,
    /// Whether to remove what was made.
    Remove,
    /// One that wants Enter, whatever it says.
    Other,
    /// Nothing any more: the player has ended.
    Ended,
}

/// All prompts end so.
const PROMPT: &str = r"[^\r\n]*(\? keys|\? y or n)";

/// By what each is known, and a line of its `?`.
const KINDS: [(Prompt, &str, &str); 7] = [
    (Prompt::More, "Enter for more", "go on (so does"),
    (Prompt::Step, "Enter for the next step", "back: undo this step"),
    (Prompt::Last, "Enter to finish", "check again what this step claims"),
    (Prompt::Question, "What do you think?", "leave the question unanswered"),
    (Prompt::Exercise, "s solution", "have it done for you"),
    (Prompt::Solved, "Enter goes on", "again: undo this step"),
    (Prompt::Remove, "y or n", ""),
];

impl Prompt {
    fn of(text: &str) -> Self {
        let known = KINDS.into_iter().find(|(_, word, _)| text.contains(word));
        known.map_or(Self::Other, |(kind, ..)| kind)
    }

    fn help(self) -> &'static str {
        KINDS.into_iter().find(|(kind, ..)| *kind == self).map_or("", |(.., help)| help)
    }
}

/// A text without what differs by width: spaces, line ends, quotes around code.
pub fn squashed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '`' | '*')).collect()
}

/// The screen of one player.
pub struct Screen {
    pub reader: Reader,
    /// How the terminal was before the player came.
    before: String,
    /// What has been shown since something was typed.
    pub page: String,
    /// What has been shown since the step began.
    pub step_text: String,
    /// The step whose heading was shown last, from 1.
    pub step: usize,
    /// Prompts at which `?` was asked.
    asked: BTreeSet<Prompt>,
}

impl Screen {
    /// Of a player that a shell begins once it is told to.
    pub fn new(mut reader: Reader) -> Self {
        let before = reader.terminal();
        reader.types("\r");
        let (page, step_text) = (String::new(), String::new());
        Self { reader, before, page, step_text, step: 0, asked: BTreeSet::new() }
    }

    /// Another player, on another terminal.
    pub fn taken_up(&mut self, mut reader: Reader) {
        self.before = reader.terminal();
        reader.types("\r");
        self.reader = reader;
    }

    /// Reads on to the next prompt that wants more than to go on reading.
    #[track_caller]
    pub fn reads(&mut self, lesson: &Lesson) -> Prompt {
        self.page.clear();
        loop {
            let (prompt, _) = self.reads_once(lesson);
            if prompt != Prompt::More {
                return prompt;
            }
            self.is_curious(prompt);
            self.reader.types("\r");
        }
    }

    /// Reads on to the next prompt, whichever it is.
    #[track_caller]
    pub fn reads_once(&mut self, lesson: &Lesson) -> (Prompt, String) {
        let (shown, prompt) = self.reader.sees_match(PROMPT);
        let shown = shown.replace("\r\n", "\n");
        let headings = Regex::new(r"(?m)^(\d+)/(\d+)  (?:\(more\) )?(.+)$").unwrap();
        for heading in headings.captures_iter(&shown) {
            self.step = heading[1].parse().unwrap();
            let title = &lesson.steps[self.step - 1].title;
            assert_eq!(squashed(title), squashed(&heading[3]), "another step's heading");
            assert_eq!(heading[2], lesson.steps.len().to_string());
            self.step_text.clear();
        }
        // The rest of the line before, with what was typed there, is not new; and what is said
        // at the very end stands on the terminal like the output of any other command.
        let rows = shown.lines().skip(1).map(|line| line.chars().count().div_ceil(80).max(1));
        let rows = rows.sum::<usize>() + 1;
        assert!(
            rows <= 24 || prompt.is_none(),
            "{rows} rows scroll away from a screen of 24:\n{shown}"
        );
        self.page.push_str(&shown);
        self.step_text.push_str(&shown);
        (prompt.as_deref().map_or(Prompt::Ended, Prompt::of), shown)
    }

    /// Types what means nothing here, then `?`; once at each kind of prompt.
    #[track_caller]
    pub fn is_curious(&mut self, prompt: Prompt) {
        if self.asked.insert(prompt) {
            // An arrow, a function key, one that nobody knows, one of another place.
            self.reader.types("\u{1b}[A\u{1b}[15~zk");
            let (before, _) = self.reader.sees_match("That key does nothing here");
            assert_eq!(before.trim(), "", "something is done at {prompt:?}");
            let (_, again) = self.reader.sees_match(PROMPT);
            assert_eq!(again.as_deref().map(Prompt::of), Some(prompt));
            self.asks_for_keys(prompt);
        }
    }

    /// `?`: the keys of this place, and the same prompt again.
    #[track_caller]
    pub fn asks_for_keys(&mut self, prompt: Prompt) {
        self.reader.types("?");
        let (help, again) = self.reader.sees_match(PROMPT);
        assert_eq!(again.as_deref().map(Prompt::of), Some(prompt));
        for line in ["these keys", "stop and keep the place", prompt.help()] {
            assert!(help.contains(line), "`?` at {prompt:?} does not say {line:?}:\n{help}");
        }
        assert!(
            self.before != self.reader.terminal(),
            "while keys are read, the terminal should be set for it"
        );
    }

    /// A prompt is on the screen that may have been answered already: `?` tells which one
    /// is open now.
    #[track_caller]
    pub fn finds_its_place(&mut self, lesson: &Lesson) -> Prompt {
        self.reader.types("?");
        loop {
            let (prompt, shown) = self.reads_once(lesson);
            if matches!(prompt, Prompt::Remove | Prompt::Ended) || shown.contains("these keys") {
                return prompt;
            }
        }
    }

    /// The player has ended well, and the terminal is as it was.
    #[track_caller]
    pub fn has_ended(&mut self, code: i32) {
        let (_, status) = self.reader.ends();
        let ended = format!("{status:?}");
        assert!(
            matches!(status, expectrl::process::unix::WaitStatus::Exited(_, is) if is == code),
            "{ended}:\n{}",
            self.page
        );
        assert_eq!(self.reader.terminal(), self.before, "the terminal's settings");
    }
}
