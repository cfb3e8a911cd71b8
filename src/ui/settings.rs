//! How output looks: decided once, from the flags, the environment and what
//! the streams are connected to.

use std::fs::File;
use std::io::IsTerminal;

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Text and tables for people.
    #[default]
    Table,
    /// JSON, the stable face for programs.
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colour on a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Colour everywhere.
    Always,
    /// No colour anywhere.
    Never,
}

/// How a [`super::Screen`] behaves.
#[derive(Debug, Default)]
pub struct Settings {
    /// Table or JSON.
    pub format: Format,
    /// Colour on standard output.
    pub color_out: bool,
    /// Colour on standard error.
    pub color_err: bool,
    /// Columns of the terminal or of `COLUMNS`; `None` through a pipe, where
    /// tables are not cut and prose is wrapped at 80.
    pub width: Option<usize>,
    /// Pictures in ASCII: box drawings would not be shown.
    pub ascii: bool,
    /// The width was asked for (`COLUMNS`), so that a terminal is not asked for its own.
    pub fixed: bool,
    /// Nothing is drawn or written over.
    pub plain: bool,
    /// No notes on standard error.
    pub quiet: bool,
    /// Show each kernel operation on standard error.
    pub explain: bool,
    /// Where steps are reported as JSON lines (a lesson's player listens).
    pub report: Option<File>,
}

impl Settings {
    /// What flags, environment and streams ask for together.
    pub fn from_environment(format: Format, color: ColorChoice) -> Self {
        Self {
            format,
            color_out: colour(color, std::io::stdout().is_terminal()),
            color_err: colour(color, std::io::stderr().is_terminal()),
            width: columns(),
            ascii: !locale_is_utf_8(|name| std::env::var(name).ok()),
            fixed: columns_asked().is_some(),
            plain: super::plain::wanted(),
            ..Self::default()
        }
    }
}

/// `NO_COLOR` (no-color.org) wins over `CLICOLOR_FORCE`, a flag over both.
fn colour(choice: ColorChoice, terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) => false,
        ColorChoice::Auto if set("CLICOLOR_FORCE") => true,
        ColorChoice::Auto => terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// What the locale's variables say (locale(7)): the first that is set counts, and
/// without any it is the C locale, which knows ASCII.
fn locale_is_utf_8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

impl Settings {
    /// Columns now: a terminal's window may have another size than at the start.
    pub fn columns(&self) -> Option<usize> {
        match (self.fixed, self.width) {
            (false, Some(width)) => columns_of_terminal().or(Some(width)),
            (_, width) => width,
        }
    }
}

/// Columns of the terminal, or those that `COLUMNS` asks for.
pub fn columns() -> Option<usize> {
    columns_asked().or_else(columns_of_terminal)
}

fn columns_asked() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok()?.parse().ok();
    columns.filter(|columns: &usize| *columns > 0).map(|columns| columns.max(20))
}

fn columns_of_terminal() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()));
    let columns = size.ok().map(|size| usize::from(size.ws_col))?;
    (columns > 0).then(|| columns.max(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_is_the_locale() {
        let of = |set: &[(&str, &str)]| {
            locale_is_utf_8(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(of(&[("LANG", "de_DE.UTF-8")]) && of(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!of(&[]) && !of(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")]));
    }
}
