//! The screen: the only place that writes to the terminal.
//!
//! Results go to standard output, everything else (explanations, progress,
//! warnings, errors) to standard error. Callers hand over rows, steps and
//! plain text; colour, width and format are decided here.

mod explain;
pub mod explorer;
mod foreground;
mod full;
pub mod gauge;
pub mod guard;
mod json;
pub mod keys;
pub mod markdown;
pub mod picture;
pub mod plain;
mod progress;
mod settings;
mod shown;
mod style;
pub mod table;
pub mod tree;
mod typed;
mod wrap;

use std::io::Write;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::step::{Observer, Step};

pub use foreground::foreground;
pub use settings::{ColorChoice, Format, Settings, columns};
pub use shown::shown;
pub use style::Style;
pub use table::{Align, Column, Table, Value};
pub use typed::typed;
pub use wrap::{fold, width_of, wrap};

/// Where output goes and how it looks.
pub struct Screen {
    settings: Settings,
    steps_shown: usize,
    progress: progress::Progress,
}

impl Screen {
    /// A screen with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, steps_shown: 0, progress: Default::default() }
    }

    /// How it was set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Pictures in ASCII from now on.
    pub fn use_ascii(&mut self) {
        self.settings.ascii = true;
    }

    /// Whether results are wanted as JSON.
    pub fn json_wanted(&self) -> bool {
        self.settings.format == Format::Json
    }

    /// Columns that prose and tables on standard output may take.
    pub fn width(&self) -> usize {
        self.settings.columns().unwrap_or(80)
    }

    /// Whether nothing is to be drawn or written over (`--plain`).
    pub fn plain(&self) -> bool {
        self.settings.plain
    }

    /// What is written where nothing is to be drawn.
    fn undrawn<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        if self.settings.plain { plain::linear(text).into() } else { text.into() }
    }

    /// Rows of the terminal; 24 where there is none.
    pub fn height(&self) -> usize {
        rustix::termios::tcgetwinsize(std::io::stdout())
            .map(|size| usize::from(size.ws_row))
            .ok()
            .filter(|rows| *rows > 0)
            .unwrap_or(24)
    }

    /// A question or the keys that may be pressed now: no line break after it.
    pub fn prompt(&mut self, text: &str) -> Result<()> {
        let text = style::paint(&self.undrawn(text), Style::Dim, self.settings.color_out);
        let mut stdout = std::io::stdout().lock();
        write!(stdout, "{text} ")
            .and_then(|()| stdout.flush())
            .map_err(|error| Error::io("write(1, \"…\")", &error))
    }

    /// `text` in a style, if standard output shows colour.
    pub fn paint(&self, text: &str, style: Style) -> String {
        style::paint(text, style, self.settings.color_out)
    }

    /// One result line (or several) to standard output.
    pub fn out(&mut self, text: &str) -> Result<()> {
        if crate::kernel::raw::closed_at_start(1) {
            return Err(Error::call("write(1, \"…\")", nix::errno::Errno::EBADF)
                .hint("Standard output is closed; give the program one, as in `> /dev/null`."));
        }
        let text = &*self.undrawn(text);
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { stdout.write_all(b"\n") })
            .and_then(|()| stdout.flush())
            .map_err(|error| {
                Error::io("write(1, \"…\")", &error)
                    .hint("The result could not be written to standard output.")
            })
    }

    /// What somebody else wrote, as it is, to standard output.
    pub fn pass_on(&mut self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|error| Error::io("write(1, \"…\")", &error))
    }

    /// A value as JSON to standard output, written as it goes: it may be long.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        if crate::kernel::raw::closed_at_start(1) {
            return self.out("");
        }
        let mut to = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        let written = serde_json::to_writer_pretty(json::Guarded(&mut to), value);
        written
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(to))
            .and_then(|()| to.flush())
            .map_err(|error| Error::io("write(1, \"…\")", &error))
    }

    /// Rows as a table (never JSON: see [`Table::json`]).
    pub fn table<R>(&mut self, table: &Table<R>, rows: &[R]) -> Result<()> {
        let width = self.settings.columns();
        if self.settings.plain || width.is_some_and(|width| !table.fits(rows, width)) {
            return self.records(table.0.iter(), rows);
        }
        let text = table.render(rows, width, self.settings.color_out);
        self.out(&text)
    }

    /// One row after the other, a line for each column: for a screen that is
    /// too narrow for a table.
    pub fn records<'a, R: 'a>(
        &mut self,
        columns: impl Iterator<Item = &'a Column<R>> + Clone,
        rows: &[R],
    ) -> Result<()> {
        let (width, color) = (self.width(), self.settings.color_out);
        let text = match self.settings.plain {
            true => table::named(columns, rows, width),
            false => table::records(columns, rows, width, color),
        };
        if text.is_empty() { Ok(()) } else { self.out(&text) }
    }

    /// Rows as a table whose last column is wrapped below itself.
    pub fn hanging<R>(&mut self, table: &Table<R>, rows: &[R]) -> Result<()> {
        if self.settings.plain || !table.fits(rows, self.width()) {
            return self.records(table.0.iter(), rows);
        }
        let text = table.hanging(rows, self.width(), self.settings.color_out);
        self.out(&text)
    }

    /// Lines, each wrapped where the screen is too narrow for it, the rest below itself.
    pub fn lines(&mut self, text: &str) -> Result<()> {
        let text = self.settings.columns().map_or_else(|| text.to_owned(), |w| wrap(text, w, "  "));
        self.out(&text)
    }

    /// A paragraph of explanation to standard output, wrapped.
    pub fn prose(&mut self, text: &str) -> Result<()> {
        let wrapped = wrap(text, self.width().min(100), "");
        self.out(&wrapped)
    }

    /// Something worth knowing, to standard error; silent under `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.settings.quiet {
            self.err(&wrap(text, self.err_width(), ""));
        }
    }

    /// The same, with what does not fit on its line below itself.
    pub fn listed(&self, text: &str) {
        if !self.settings.quiet {
            self.err(&wrap(text, self.err_width(), "      "));
        }
    }

    /// A warning, to standard error.
    pub fn warn(&self, text: &str) {
        let label = style::paint("Warning:", Style::Warning, self.settings.color_err);
        self.err(&wrap(&format!("{label} {text}"), self.err_width(), "  "));
    }

    /// An error: what was tried, what was answered, what to do.
    pub fn error(&self, error: &Error) {
        let paint = |text: &str, style| style::paint(text, style, self.settings.color_err);
        let mut text = format!("{} {}", paint("Error:", Style::Error), error.tried);
        if let Some(said) = &error.said {
            text.push_str(&format!("\n{} {said}", paint("Caused by:", Style::Label)));
        }
        if let Some(hint) = &error.hint {
            text.push_str(&format!("\n{} {hint}", paint("Hint:", Style::Label)));
        }
        let lines: Vec<_> = text.lines().map(|line| wrap(line, self.err_width(), "  ")).collect();
        self.err(&lines.join("\n"));
    }

    /// What clap says of a wrong command line: it is laid out already.
    pub fn usage(&self, plain: &str, coloured: &str) {
        let text = if self.settings.color_err { coloured } else { plain };
        self.err(text.trim_end());
    }

    /// A plan that is not performed (`--dry-run`), to standard output.
    pub fn plan(&mut self, steps: &[Step]) -> Result<()> {
        if self.json_wanted() {
            return self.json(&serde_json::json!({ "plan": steps }));
        }
        let width = self.width();
        let text: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| explain::render(index + 1, step, width, self.settings.color_out))
            .collect();
        self.out(&text.join("\n"))
    }

    fn err_width(&self) -> usize {
        self.settings.columns().unwrap_or(80).min(100)
    }

    fn err(&self, text: &str) {
        // Nothing can be told when standard error itself is gone.
        let text = self.undrawn(text);
        let write = || drop(writeln!(std::io::stderr().lock(), "{text}"));
        self.progress.beside(write);
    }
}

/// `--explain`: each step as it is performed; and the same as JSON lines for a
/// lesson's player, which reads them from the descriptor it handed us.
impl Observer for Screen {
    fn note(&mut self, text: &str) {
        Self::note(self, text);
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        if self.settings.quiet {
            return;
        }
        let bars = self.shows_gauges();
        if let Some(line) = self.progress.set(what, done, total, bars) {
            Self::note(self, &line);
        }
    }

    fn progress_over(&mut self, what: &str) {
        self.progress.over(what);
    }

    fn wants_steps(&self) -> bool {
        self.settings.explain || self.settings.report.is_some()
    }

    fn step(&mut self, step: &Step) {
        if let Some(report) = &mut self.settings.report {
            let _ = serde_json::to_writer(&mut *report, step).map(|()| writeln!(report));
        }
        if self.settings.explain {
            self.steps_shown += 1;
            let width = self.err_width();
            self.err(&explain::render(self.steps_shown, step, width, self.settings.color_err));
        }
    }
}
