//! A notebook: one page, complete in itself, of what a run of a lesson showed and
//! found on this machine. As HTML to be looked at (on a phone, on paper, at night),
//! or as Markdown to be kept among one's own notes.

mod ansi;
mod blocks;
mod file;
mod html;
mod markdown;
mod prose;

use std::path::Path;

use crate::build::clock;
use crate::error::{Error, Result};

use super::check::{Judgement, Verdict};
use super::record::{End, Entry, Record};

pub use file::{Target, serve};

/// How a notebook is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page for a browser.
    Html,
    /// Plain text that reads well, too.
    Markdown,
}

impl Form {
    /// By the ending of its name.
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("html" | "htm") => Ok(Self::Html),
            Some("md" | "markdown") => Ok(Self::Markdown),
            _ => Err(Error::usage(format!("--notebook {}", path.display()))
                .said("its name does not say what it is to be")
                .hint("A notebook is a page (NAME.html) or Markdown (NAME.md).")),
        }
    }

    /// The whole text.
    pub fn render(self, record: &Record) -> String {
        match self {
            Self::Html => html::render(record),
            Self::Markdown => markdown::render(record),
        }
    }
}

/// What a notebook of ours has in its first kilobyte, whatever its form.
const MARK: &str = "under-the-hood notebook";

/// `Lesson 1: Processes`
fn heading(record: &Record) -> String {
    match record.number {
        Some(number) => format!("Lesson {number}: {}", record.title),
        None => record.title.clone(),
    }
}

/// `2026-11-26 11:40 UTC`
fn date(record: &Record) -> String {
    let text = clock::date(record.began.try_into().unwrap_or(i64::MAX));
    let minutes = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minutes.replace('T', " "))
}

/// Up to where it was played, if not to its end.
fn ending(record: &Record) -> Option<String> {
    match &record.end {
        End::Finished => None,
        End::Stopped(step) => Some(format!(
            "Stopped at step {step} of {}: what comes after is not in here.",
            record.steps
        )),
        End::Failed(why) => Some(format!("The lesson could not go on: {why}")),
    }
}

/// What was judged: claims and tasks, by their ids; the last word counts.
fn judged(record: &Record) -> Vec<(&str, &str, &Judgement)> {
    let mut judged: Vec<(&str, &str, &Judgement)> = Vec::new();
    for entry in &record.entries {
        let (id, text, judgement) = match entry {
            Entry::Claim { id, text, judgement, .. } => (id, text, judgement),
            Entry::Try(task) => match &task.judgement {
                Some(judgement) => (&task.id, &task.text, judgement),
                None => continue,
            },
            _ => continue,
        };
        match judged.iter_mut().find(|known| known.0 == id) {
            Some(known) => known.2 = judgement,
            None => judged.push((id, text, judgement)),
        }
    }
    judged
}

/// `17 of 19 claims hold on this machine; 2 cannot be tested here.`
fn score(record: &Record) -> String {
    let judged = judged(record);
    let of = |verdict| judged.iter().filter(|(_, _, found)| found.verdict == verdict).count();
    let mut text =
        format!("{} of {} claims hold on this machine", of(Verdict::Holds), judged.len());
    for (count, what) in [
        (of(Verdict::DoesNotHold), "do not hold"),
        (of(Verdict::Untestable), "cannot be tested here"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    let answered = answered(record);
    if !answered.is_empty() {
        let right = answered.iter().filter(|hit| **hit).count();
        text.push_str(&format!("; {right} of {} predictions were right", answered.len()));
    }
    text + "."
}

/// Whether each prediction was right: the first answer to a question counts, as in the
/// reader's score, and one that was left open stays open.
fn answered(record: &Record) -> Vec<bool> {
    let (mut asked, mut first) = ("", std::collections::BTreeMap::new());
    for entry in &record.entries {
        match entry {
            Entry::Asked { question, .. } => asked = question,
            Entry::Measured { hit, .. } => drop(first.entry(asked).or_insert(*hit)),
            _ => {}
        }
    }
    first.into_values().flatten().collect()
}

fn verdict(judgement: &Judgement) -> (&'static str, &'static str) {
    match judgement.verdict {
        Verdict::Holds => ("holds", "✓ holds"),
        Verdict::DoesNotHold => ("fails", "✗ does not hold"),
        Verdict::Untestable => ("open", "– cannot be tested here"),
    }
}

/// `mkdir("…") = 0`, `mount(…) failed: EPERM`.
fn call(step: &crate::step::Step) -> String {
    match &step.result {
        Some(Ok(value)) => format!("{} = {value}", step.call),
        Some(Err(error)) => {
            format!("{} failed: {}", step.call, error.said.as_deref().unwrap_or(&error.tried))
        }
        None => step.call.clone(),
    }
}

#[cfg(test)]
mod tests;
