//! The few styles there are, by meaning.

use colored::Colorize;

/// What a piece of text is, rather than what colour it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A table's header, a lesson's heading.
    Heading,
    /// `Hint:`, `Caused by:`, `Predict`.
    Label,
    /// A command line.
    Command,
    /// A kernel call.
    Call,
    /// An explanation beside something more important.
    Dim,
    /// It holds, it is ready.
    Good,
    /// It does not hold; an error.
    Error,
    /// It is limited, it could not be tried.
    Warning,
}

/// `text` with the style's escape codes, or as it is.
pub fn paint(text: &str, style: Style, color: bool) -> String {
    if !color {
        return text.to_owned();
    }
    // The crate would look at the environment itself; that is settled by now.
    colored::control::set_override(true);
    match style {
        Style::Heading | Style::Label => text.bold(),
        Style::Command => text.cyan().bold(),
        Style::Call => text.cyan(),
        Style::Dim => text.dimmed(),
        Style::Good => text.green(),
        Style::Error => text.red().bold(),
        Style::Warning => text.yellow(),
    }
    .to_string()
}
