//! How one kernel operation looks: the call, its shell twin, and why.

use crate::step::{Actor, Step};

use super::style::{Style, paint};
use super::wrap::wrap;

/// ```text
///  7 init      mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV, NULL) = 0
///              $ mount -t proc -o nosuid,nodev proc /proc
///              a /proc of the new pid namespace, or ps would show the host
/// ```
pub fn render(number: usize, step: &Step, width: usize, color: bool) -> String {
    let actor = match step.actor {
        Actor::Launcher => "launcher",
        Actor::Shim => "shim",
        Actor::Init => "init",
    };
    let result = match &step.result {
        None => String::new(),
        Some(Ok(value)) => format!(" = {value}"),
        Some(Err(error)) => format!(" = -1 {}", outcome(error)),
    };
    let margin = 13;
    let hang = " ".repeat(margin);
    let head = format!("{number:>2} {actor:<9} ");
    let call = wrap(&format!("{}{result}", step.call), width.saturating_sub(margin), "  ");
    let mut text = String::new();
    for (index, line) in call.lines().enumerate() {
        let lead = if index == 0 { paint(&head, Style::Dim, color) } else { format!("\n{hang}") };
        text.push_str(&lead);
        text.push_str(&paint(line, Style::Call, color));
    }
    let mut below = |line: &str, style| {
        for line in wrap(line, width.saturating_sub(margin), "  ").lines() {
            text.push_str(&format!("\n{hang}{}", paint(line, style, color)));
        }
    };
    if let Some(shell) = &step.shell {
        below(&format!("$ {shell}"), Style::Command);
    }
    below(&step.why, Style::Dim);
    text
}

fn outcome(error: &crate::error::Error) -> String {
    let name = error.tried.rsplit(": ").next().unwrap_or_default();
    match &error.said {
        Some(said) => format!("{name} ({said})"),
        None => name.to_owned(),
    }
}
