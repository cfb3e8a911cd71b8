//! What the reader sees: how each thing looks, and how full the screen is.

use crate::error::Result;
use crate::lesson::check::{Answer, Judgement, Unknown, Verdict};
use crate::lesson::model::Predict;
use crate::lesson::perform::Done;
use crate::step::Step;
use crate::ui::{Screen, Settings, Style, fold, markdown, plain, width_of, wrap};

/// More lines of a command's output than this are left out, so that a step fits a screen.
const MOST_OUTPUT: usize = 19;

/// The screen, and how much of it is full.
pub struct Page<'a> {
    screen: &'a mut Screen,
    keys: bool,
    rows: usize,
    /// Whether one thing at a time is shown, to an audience.
    stage: bool,
    /// What the reader has been told to type in this step.
    seen: Vec<String>,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(screen: &'a mut Screen, keys: bool) -> Self {
        Self { screen, keys, rows: 0, stage: false, seen: Vec::new() }
    }

    /// Whether somebody answers.
    pub fn has_keys(&self) -> bool {
        self.keys
    }

    /// How the screen was set up.
    pub fn settings(&self) -> &Settings {
        self.screen.settings()
    }

    /// Whether nothing is to be drawn, and answers are letters.
    pub fn plain(&self) -> bool {
        self.screen.plain()
    }

    /// Columns for prose.
    pub fn width(&self) -> usize {
        match self.stage {
            true => self.screen.width().saturating_sub(8).min(super::present::COLUMNS),
            false => self.screen.width().min(80),
        }
    }

    /// From now on one thing at a time is shown.
    pub(super) fn on_stage(&mut self) {
        self.stage = true;
    }

    pub(super) fn screen(&mut self) -> &mut Screen {
        self.screen
    }

    /// Columns of the whole screen.
    pub(super) fn columns(&self) -> usize {
        self.screen.width()
    }

    /// Whether there is something that the reader has not gone on from.
    pub(super) fn has_something(&self) -> bool {
        self.rows > 0
    }

    /// `text` in a style.
    pub fn paint(&self, text: &str, style: Style) -> String {
        self.screen.paint(text, style)
    }

    /// Whether this text does not fit any more below what the reader has not gone on from.
    pub fn is_full(&self, text: &str) -> bool {
        self.rows > 0 && self.rows + self.rows_of(text) + 1 > self.rows_at_once()
    }

    /// Lines on the screen: what is typed is longer than it is wide, now and then.
    fn rows_of(&self, text: &str) -> usize {
        let width = self.screen.width().max(1);
        narrowed(text, width).lines().map(|line| width_of(line).div_ceil(width).max(1)).sum()
    }

    /// The text in pieces that fit the screen; mostly it is one.
    pub fn screenfuls(&self, text: &str) -> Vec<String> {
        let most = self.rows_at_once().saturating_sub(1);
        if self.rows_of(text) <= most {
            return vec![text.to_owned()];
        }
        let (mut pieces, mut rows) = (vec![Vec::new()], 0);
        for line in text.split('\n') {
            let more = self.rows_of(line).max(1);
            if rows > 0 && rows + more > most {
                pieces.push(Vec::new());
                rows = 0;
            }
            rows += more;
            pieces.last_mut().into_iter().for_each(|piece| piece.push(line));
        }
        pieces.into_iter().map(|lines| lines.join("\n")).collect()
    }

    /// Lines that fit above a prompt.
    pub fn rows_at_once(&self) -> usize {
        self.screen.height().saturating_sub(2)
    }

    /// A piece of text and an empty line after it.
    pub fn put(&mut self, text: &str) -> Result<()> {
        let text = narrowed(text, self.screen.width());
        self.rows += self.rows_of(&text) + 1;
        self.screen.out(&format!("{text}\n\n"))
    }

    /// What may be typed now; the line stays open.
    pub fn prompt(&mut self, text: &str) -> Result<()> {
        self.screen.prompt(text)
    }

    /// The end of the prompt's line, with what was typed; the reader has seen all above it.
    pub fn prompted(&mut self, typed: String) -> Result<()> {
        self.rows = 0;
        self.screen.out(&typed)
    }

    /// A new step: what is said once a step may be said again.
    pub fn begin(&mut self) {
        self.seen.clear();
    }

    /// Lesson text.
    pub fn markdown(&self, text: &str) -> String {
        markdown::render(text, self.width(), self.screen.settings().color_out)
    }

    /// **Today**, **Surprise**, **Notice**.
    pub fn aside(&self, word: &str, text: &str) -> String {
        self.markdown(&format!("**{word}.** {text}"))
    }

    /// How another engine does the same.
    pub fn engine(&self, engine: &str, lines: &str) -> String {
        let head = format!("The same with {engine} (shown, not performed):");
        let mut text = self.paint(&wrap(&head, self.width(), "  "), Style::Dim);
        for line in lines.lines() {
            let dollar = self.paint("$", Style::Dim);
            text.push_str(&format!("\n    {dollar} {}", self.paint(line, Style::Command)));
        }
        text
    }

    /// A command, the operations it is shown for, and what it printed.
    pub fn performed(
        &self,
        line: &str,
        steps: &[&Step],
        hidden: usize,
        output: &str,
        whole: bool,
    ) -> String {
        let typed: Vec<_> = line.lines().map(|line| self.paint(line, Style::Command)).collect();
        let mut text = format!("  {} {}", self.paint("$", Style::Dim), typed.join("\n  "));
        let width = self.width().saturating_sub(6);
        for step in steps {
            let result = match &step.result {
                Some(Ok(value)) => format!(" = {value}"),
                Some(Err(error)) => {
                    format!(" failed: {}", error.said.as_deref().unwrap_or(&error.tried))
                }
                None => String::new(),
            };
            let call = breakable(&format!("{}{result}", step.call), width);
            for call in wrap(&call, width, "  ").lines() {
                text.push_str(&format!("\n    {}", self.paint(call, Style::Call)));
            }
            for why in wrap(&step.why, width - 2, "").lines() {
                text.push_str(&format!("\n      {}", self.paint(why, Style::Dim)));
            }
        }
        if hidden > 0 {
            let how = if self.keys { "x" } else { "`--explain`" };
            let more = format!("and {hidden} more operations ({how} shows them all)");
            text.push_str(&format!("\n    {}", self.paint(&more, Style::Dim)));
        }
        text.push_str(&self.printed(output, whole));
        text
    }

    /// What a command printed.
    pub(super) fn output(&self, output: &str) -> String {
        self.printed(output, false)
    }

    fn printed(&self, output: &str, whole: bool) -> String {
        let mut text = String::new();
        let columns = if self.stage { self.width() } else { self.screen.width() };
        let lines: Vec<_> = output.trim_end().lines().collect();
        let most = if whole { lines.len() } else { MOST_OUTPUT };
        // Where nothing is drawn the three dots are three characters.
        let gap = if self.plain() { "..." } else { "…" };
        for line in lines.iter().take(most) {
            let line = fitted(line, columns.saturating_sub(2), gap);
            text.push_str(&format!("\n  {}", line.replace('\n', "\n  ")));
        }
        if lines.len() > most {
            let rest = format!("… and {} more lines", lines.len() - most);
            text.push_str(&format!("\n  {}", self.paint(&rest, Style::Dim)));
        }
        text
    }

    /// A word on a command that did not end as the lesson expects.
    pub fn exit_told(&self, done: &Done, expected: u8, missing: Option<&str>) -> Option<String> {
        let told = match missing {
            Some(missing) => missing.to_owned(),
            None if done.exit == expected => return None,
            None => {
                format!("It ended with exit code {}, not with {expected} as it should.", done.exit)
            }
        };
        Some(format!("  {}", self.paint(&told, Style::Warning)))
    }

    /// A question, and what may be answered.
    pub fn question(&self, predict: &Predict) -> String {
        let plain = self.screen.plain();
        let mut text = format!("**Predict.** {}\n", predict.question);
        for (number, (choice, _)) in predict.choices.iter().enumerate() {
            // Letters are no list of Markdown's: each a paragraph of its own.
            let (gap, name) = (if plain { "\n" } else { "" }, plain::choice(number, plain));
            text.push_str(&format!("\n{gap}{name}. {choice}"));
        }
        self.markdown(&text)
    }

    /// What this machine answered, beside what the reader expected.
    pub fn answer(
        &mut self,
        predict: &Predict,
        choice: Option<usize>,
        answer: &Answer,
        typed: &str,
    ) -> String {
        let named = |index: usize| plain::choice(index, self.screen.plain());
        let text = match answer {
            Ok(finding) => {
                let right = predict.choices.iter().position(|(_, value)| *value == finding.value);
                let said = match (right, choice) {
                    (None, _) => format!("None of these: this machine says {}.", finding.value),
                    (Some(right), choice) => {
                        let lead = match choice {
                            None => format!("Answer {}", named(right)),
                            Some(choice) if choice == right => "As you said".to_owned(),
                            Some(choice) => format!("Not {} but {}", named(choice), named(right)),
                        };
                        format!("{lead}: {}.", predict.choices[right].0)
                    }
                };
                format!("**Measured.** {said}\n\n({})", finding.evidence)
            }
            Err(Unknown::Absent(why) | Unknown::Untestable(why)) => {
                format!("**Measured.** This machine cannot tell: {why}")
            }
        };
        let width = self.width();
        let color = self.screen.settings().color_out;
        let mut text = markdown::render(&text, width, color).replace("\n\n(", "\n(");
        text.push_str(&self.see(typed));
        text
    }

    /// How to see the same without us; the same line only once a step.
    fn see(&mut self, typed: &str) -> String {
        if self.seen.iter().any(|seen| seen == typed) {
            return String::new();
        }
        self.seen.push(typed.to_owned());
        format!(
            "\n  {} {}",
            self.paint("see for yourself: $", Style::Dim),
            self.paint(typed, Style::Command)
        )
    }

    /// A claim, whether it holds, and the evidence.
    pub fn claim(
        &mut self,
        word: &str,
        text: &str,
        judged: &Judgement,
        typed: &[String],
    ) -> String {
        let color = self.screen.settings().color_out;
        let mut text = markdown::render(&format!("**{word}.** {text}"), self.width(), color);
        let mark = verdict_mark(self.screen, judged.verdict);
        let evidence = if judged.evidence.is_empty() {
            String::new()
        } else {
            format!(": {}", judged.evidence)
        };
        text.push_str(&format!(
            "\n  {}",
            wrap(&format!("{mark}{evidence}"), self.width() - 2, "    ")
        ));
        if judged.verdict != Verdict::Untestable {
            for line in typed {
                text.push_str(&self.see(line));
            }
        }
        text
    }
}

/// A long list of flags may be broken after a bar.
fn breakable(call: &str, width: usize) -> String {
    let long = |word: &str| word.chars().count() > width;
    if call.split(' ').any(long) { call.replace('|', "| ") } else { call.to_owned() }
}

/// `✓ holds`, in its colour.
pub fn verdict_mark(screen: &Screen, verdict: Verdict) -> String {
    match verdict {
        Verdict::Holds => screen.paint("✓ holds", Style::Good),
        Verdict::DoesNotHold => screen.paint("✗ does not hold", Style::Error),
        Verdict::Untestable => screen.paint("– cannot be tested here", Style::Warning),
    }
}

/// What is longer than the screen is wide is wrapped, but not what is typed.
fn narrowed(text: &str, width: usize) -> String {
    let typed = |line: &str| line.contains("$ ") || line.contains("$\u{1b}");
    let line = |line: &str| if typed(line) { line.to_owned() } else { wrap(line, width, "  ") };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A line of output as it fits: cut by what a terminal shows, but folded where that is too
/// narrow for what programs print. Escape sequences stay whole because a coloured line of
/// ours is never longer than the width it was told.
fn fitted(line: &str, width: usize, gap: &str) -> String {
    const NARROW: usize = 72;
    if crate::ui::width_of(line) <= width || line.contains('\u{1b}') {
        return line.to_owned();
    }
    if width < NARROW {
        return fold(line, width);
    }
    let room = width.saturating_sub(gap.chars().count());
    line.chars().take(room).chain(gap.chars()).collect()
}
