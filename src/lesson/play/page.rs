//! What the reader sees. With keys it waits where a screen is full; without,
//! it runs straight through.

use crate::error::{Error, Result};
use crate::lesson::check::{Answer, Judgement, Unknown, Verdict};
use crate::lesson::model::Predict;
use crate::lesson::perform::Done;
use crate::step::Step;
use crate::ui::keys::{self, Key};
use crate::ui::{Screen, Style, fold, markdown, plain, wrap};

/// More lines of a command's output than this are left out, so that a step fits a screen.
const MOST_OUTPUT: usize = 19;

/// The screen, and how much of it is full.
pub struct Page<'a> {
    screen: &'a mut Screen,
    keys: bool,
    rows: usize,
    stopped: bool,
    warned: bool,
    /// What the reader has been told to type in this step.
    seen: Vec<String>,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(screen: &'a mut Screen, keys: bool) -> Self {
        Self { screen, keys, rows: 0, stopped: false, warned: false, seen: Vec::new() }
    }

    /// Whether the reader has asked to stop.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Whether somebody answers.
    pub fn has_keys(&self) -> bool {
        self.keys
    }

    /// Columns for prose.
    pub fn width(&self) -> usize {
        self.screen.width().min(80)
    }

    /// Says once that the reader's place cannot be kept.
    pub fn warn_once(&mut self, error: Option<Error>) -> Result<()> {
        match error {
            Some(error) if !self.warned => {
                self.warned = true;
                self.put(
                    &self.paint(&format!("Your place cannot be kept: {error}"), Style::Warning),
                )
            }
            _ => Ok(()),
        }
    }

    /// `text` in a style.
    pub fn paint(&self, text: &str, style: Style) -> String {
        self.screen.paint(text, style)
    }

    /// A piece of text and an empty line after it; waits first if it does not fit any more.
    pub fn put(&mut self, text: &str) -> Result<()> {
        let text = narrowed(text, self.screen.width());
        self.put_as_it_is(&text)
    }

    /// The same with lines that may be longer than the screen: commands, to be copied whole.
    fn put_as_it_is(&mut self, text: &str) -> Result<()> {
        let needed = text.lines().count() + 1;
        if self.keys && self.rows > 0 && self.rows + needed > self.screen.height().saturating_sub(2)
        {
            self.wait("Enter for more", false)?;
        }
        self.rows += needed;
        self.screen.out(&format!("{text}\n\n"))
    }

    /// Before a new step; `false` when the reader wants to stop.
    pub fn turn(&mut self) -> Result<bool> {
        self.seen.clear();
        if self.keys && self.rows > 0 {
            self.wait("Enter for the next step · q to stop here · ? for help", true)?;
        }
        Ok(!self.stopped)
    }

    /// Waits for Enter (or `q`, where stopping is offered).
    fn wait(&mut self, prompt: &str, may_stop: bool) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        self.screen.prompt(prompt)?;
        loop {
            match keys::read()? {
                Key::Enter | Key::Char(' ') => break,
                Key::Quit | Key::Char('q') => {
                    self.stopped = true;
                    break;
                }
                Key::Char('?') if may_stop => self.screen.prompt(HELP)?,
                Key::Char(_) => {}
            }
        }
        self.rows = 0;
        self.screen.out("")
    }

    /// Lesson text.
    pub fn markdown(&mut self, text: &str) -> Result<()> {
        let text = markdown::render(text, self.width(), self.screen.settings().color_out);
        self.put(&text)
    }

    /// **Today**, **Surprise**, **Notice**.
    pub fn aside(&mut self, word: &str, text: &str) -> Result<()> {
        self.markdown(&format!("**{word}.** {text}"))
    }

    /// How another engine does the same.
    pub fn engine(&mut self, engine: &str, lines: &str) -> Result<()> {
        let head = format!("The same with {engine} (shown, not performed):");
        let mut text = self.paint(&wrap(&head, self.width(), "  "), Style::Dim);
        for line in lines.lines() {
            text.push_str(&format!("\n    {}", self.paint(line, Style::Command)));
        }
        self.put_as_it_is(&text)
    }

    /// A command, the operations it is shown for, and what it printed.
    pub fn performed(
        &mut self,
        line: &str,
        steps: &[&Step],
        hidden: usize,
        output: &str,
        whole: bool,
    ) -> Result<()> {
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
            let more = format!("and {hidden} more operations (`--explain` shows them all)");
            text.push_str(&format!("\n    {}", self.paint(&more, Style::Dim)));
        }
        let lines: Vec<_> = output.trim_end().lines().collect();
        let most = if whole { lines.len() } else { MOST_OUTPUT };
        for line in lines.iter().take(most) {
            let line = fitted(line, self.screen.width().saturating_sub(2));
            text.push_str(&format!("\n  {}", line.replace('\n', "\n  ")));
        }
        if lines.len() > most {
            let rest = format!("… and {} more lines", lines.len() - most);
            text.push_str(&format!("\n  {}", self.paint(&rest, Style::Dim)));
        }
        self.put(&text)
    }

    /// A word on a command that did not end as the lesson expects.
    pub fn exit_told(&mut self, done: &Done, expected: u8, missing: Option<&str>) -> Result<()> {
        let told = match missing {
            Some(missing) => missing.to_owned(),
            None if done.exit == expected => return Ok(()),
            None => {
                format!("It ended with exit code {}, not with {expected} as it should.", done.exit)
            }
        };
        let told = self.paint(&told, Style::Warning);
        self.put(&format!("  {told}"))
    }

    /// Asks a question. `None` when the reader wants to stop; `Some(None)` when
    /// nobody is there to choose.
    pub fn ask(&mut self, predict: &Predict) -> Result<Option<Option<usize>>> {
        let plain = self.screen.plain();
        let mut text = format!("**Predict.** {}\n", predict.question);
        for (number, (choice, _)) in predict.choices.iter().enumerate() {
            // Letters are no list of Markdown's: each a paragraph of its own.
            let (gap, name) = (if plain { "\n" } else { "" }, plain::choice(number, plain));
            text.push_str(&format!("\n{gap}{name}. {choice}"));
        }
        self.markdown(&text)?;
        if !self.keys || self.stopped {
            return Ok(if self.stopped { None } else { Some(None) });
        }
        let most = predict.choices.len();
        let (first, last) = (plain::choice(0, plain), plain::choice(most - 1, plain));
        self.screen.prompt(&format!("What do you think? {first} to {last}"))?;
        loop {
            match keys::read()? {
                Key::Char(c) if plain::chosen(c, most, plain).is_some() => {
                    self.screen.out(&c.to_string())?;
                    self.rows = 0;
                    return Ok(Some(plain::chosen(c, most, plain)));
                }
                Key::Quit | Key::Char('q') => {
                    self.stopped = true;
                    self.screen.out("")?;
                    return Ok(None);
                }
                _ => {}
            }
        }
    }

    /// What this machine answered, beside what the reader expected.
    pub fn answer(
        &mut self,
        predict: &Predict,
        choice: Option<usize>,
        answer: &Answer,
        typed: &str,
    ) -> Result<()> {
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
        self.put(&text)
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
    ) -> Result<()> {
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
        self.put(&text)
    }

    /// A key after a prompt of one's own: for exercises.
    pub fn key(&mut self, prompt: &str) -> Result<Key> {
        self.screen.prompt(prompt)?;
        let key = keys::read()?;
        self.screen.out("")?;
        self.rows = 0;
        self.stopped |= matches!(key, Key::Quit | Key::Char('q'));
        Ok(key)
    }
}

const HELP: &str = "Enter: next · q: stop and keep the place · Ctrl-C: the same. \
                    Whatever the lesson started is ended with it";

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
fn fitted(line: &str, width: usize) -> String {
    const NARROW: usize = 72;
    if crate::ui::width_of(line) <= width || line.contains('\u{1b}') {
        return line.to_owned();
    }
    if width < NARROW {
        return fold(line, width);
    }
    line.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}
