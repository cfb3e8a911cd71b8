//! The same as Markdown. What a command wrote stands in a fence that nothing in it
//! can close.

use super::super::check::Judgement;
use super::super::record::{Article, Command, Entry, Exercise, Output, Record};
use super::{MARK, ansi, call, date, ending, heading, judged, score, verdict};
use crate::ui::picture;

/// The whole text.
pub fn render(record: &Record) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut parts = vec![
        format!("<!-- {MARK} {version} -->"),
        format!("# {}", line(&heading(record))),
        format!("Follows the article’s “{}”. Played on {}.", line(&record.chapter), date(record)),
    ];
    parts.extend(ending(record).map(|ending| format!("**{}**", line(&ending))));
    parts.push(score(record));
    let mut table = "| The machine | |\n| --- | --- |".to_owned();
    for (name, value) in &record.machine.facts {
        table.push_str(&format!("\n| {name} | {} |", cell(value)));
    }
    table.push_str(&format!("\n| Program | under-the-hood {version} |"));
    parts.push(table);
    parts.extend(record.entries.iter().map(|entry| self::entry(record, entry)));
    let judged = judged(record);
    if !judged.is_empty() {
        parts.push("## What this machine says".to_owned());
        let mut table = "| Claim | Verdict | Evidence |\n| --- | --- | --- |".to_owned();
        for (_, text, judgement) in judged {
            let (text, evidence) = (cell(text), cell(&judgement.evidence));
            table.push_str(&format!("\n| {text} | {} | {evidence} |", verdict(judgement).1));
        }
        parts.push(table);
    }
    parts.join("\n\n") + "\n"
}

fn entry(record: &Record, entry: &Entry) -> String {
    match entry {
        Entry::Step { place, title, more, .. } => {
            let more = if *more { " (more)" } else { "" };
            format!("## {place}/{} {}{more}", record.steps, line(title))
        }
        Entry::Replayed(step) => format!(
            "*From here on at step {step}: the stage was emptied, and what comes before was done again.*"
        ),
        Entry::Prose(text) => ansi::plain(text),
        Entry::Aside(word, text) => quoted(&format!("**{word}** {}", ansi::plain(text))),
        Entry::Engine(engine, lines) => {
            format!("The same with {engine} (shown, not performed):\n\n{}", fenced("sh", lines))
        }
        Entry::Command(command) => self::command(command),
        Entry::Asked { question, choices, choice } => {
            let choices = choices.iter().enumerate().map(|(n, text)| {
                let mine = if *choice == Some(n) { " **← the prediction**" } else { "" };
                format!("\n{}. {}{mine}", n + 1, line(text))
            });
            let choices: String = choices.collect();
            quoted(&format!("**Predict** {}\n{choices}", ansi::plain(question)))
        }
        Entry::Measured { right, hit, value, typed } => {
            let word = match hit {
                Some(true) => "✓ As predicted: ",
                Some(false) => "✗ Not as predicted: ",
                None => "",
            };
            let said = match (value, right) {
                (Ok(finding), Some(right)) => {
                    format!("{word}{}\n\n{}", line(right), escaped(&finding.evidence))
                }
                (Ok(finding), None) => format!(
                    "{word}none of these: this machine says {}\n\n{}",
                    code(&finding.value),
                    escaped(&finding.evidence)
                ),
                (Err(why), _) => format!("This machine cannot tell: {}", escaped(why)),
            };
            quoted(&format!("**Measured** {said}\n\n{}", see(std::slice::from_ref(typed))))
        }
        Entry::Claim { text, judgement, typed, .. } => {
            let text = ansi::plain(text);
            quoted(&format!("**Claim** {text}\n\n{}", self::judgement(judgement, typed)))
        }
        Entry::Try(task) => exercise(task),
        Entry::Article(article) => self::article(article),
        Entry::Picture { caption, drawn } => {
            let caption = format!("**Picture** {}", ansi::plain(caption));
            match drawn {
                Ok(drawn) => {
                    let lines = picture::text(&drawn.draw(80), false, false);
                    format!(
                        "{caption}\n\n{}\n\n{}",
                        fenced("text", &lines),
                        escaped(&drawn.words())
                    )
                }
                Err(why) => format!("{caption}\n\n*Not drawn: {}.*", escaped(why)),
            }
        }
    }
}

fn command(command: &Command) -> String {
    let mut parts = vec![fenced("sh", &command.line)];
    if !command.steps.is_empty() {
        let row = |step: &crate::step::Step| {
            let shell = step.shell.as_deref().map(|shell| format!(" ({})", code(shell)));
            format!("- {} {}{}", code(&call(step)), escaped(&step.why), shell.unwrap_or_default())
        };
        let mut rows: Vec<_> = command.steps.iter().map(row).collect();
        if command.more_steps > 0 {
            rows.push(format!("- … and {} more, left out here.", command.more_steps));
        }
        parts.push(format!("Its kernel operations:\n\n{}", rows.join("\n")));
    }
    match (&command.why, command.exit) {
        (Some(why), _) => parts.push(format!("*{}*", escaped(why))),
        (None, exit) => {
            if !command.output.head.is_empty() {
                parts.push(fenced("text", &whole(&command.output)));
            }
            match exit {
                Some(exit) if exit != command.expected => parts.push(format!(
                    "*It ended with exit code {exit}, not with {} as it should.*",
                    command.expected
                )),
                Some(exit) if exit != 0 => {
                    parts.push(format!("*exit code {exit}, as it should be*"))
                }
                _ => {}
            }
        }
    }
    parts.join("\n\n")
}

fn whole(output: &Output) -> String {
    match output.gap() {
        Some(gap) => format!("{}\n{gap}\n{}", output.head, output.tail),
        None => output.head.clone(),
    }
}

fn judgement(judgement: &Judgement, typed: &[String]) -> String {
    let evidence = escaped(&judgement.evidence);
    format!("**{}** {evidence}\n\n{}", verdict(judgement).1, see(typed))
}

fn see(typed: &[String]) -> String {
    match typed {
        [] => String::new(),
        typed => format!("See for yourself:\n\n{}", fenced("sh", &typed.join("\n"))),
    }
}

fn exercise(task: &Exercise) -> String {
    let mut parts = vec![quoted(&format!("**Try** {}", ansi::plain(&task.text)))];
    match task.played.as_slice() {
        [] => {
            let way = fenced("sh", &task.solution.join("\n"));
            parts.push(quoted(&format!("One way to do it:\n\n{way}")));
        }
        played => parts.extend(played.iter().map(command)),
    }
    parts.push(quoted(&match &task.judgement {
        Some(judgement) => self::judgement(judgement, &task.typed),
        None => "Not finished.".to_owned(),
    }));
    parts.join("\n\n")
}

fn article(article: &Article) -> String {
    let mut parts = vec![
        fenced("sh", &article.line),
        format!("The article:\n\n{}", fenced("text", &article.there.join("\n"))),
    ];
    match &article.here {
        Ok(here) => {
            parts.push(format!("This machine:\n\n{}", fenced("text", &whole(here))));
            parts.push(match article.differences.as_slice() {
                [] => "No difference.".to_owned(),
                some => some
                    .iter()
                    .map(|it| format!("- {}", escaped(it)))
                    .collect::<Vec<_>>()
                    .join("\n"),
            });
        }
        Err(why) => parts.push(format!("*{}*", escaped(why))),
    }
    parts.join("\n\n")
}

/// A fence longer than any row of backquotes in it.
fn fenced(kind: &str, text: &str) -> String {
    let text = ansi::plain(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{kind}\n{}\n{fence}", text.trim_end())
}

/// The same in a sentence.
fn code(text: &str) -> String {
    let text = ansi::plain(text).replace('\n', " ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn quoted(text: &str) -> String {
    let lines = text.trim_end().lines().map(|line| format!("> {line}"));
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// One line of a lesson's own Markdown.
fn line(text: &str) -> String {
    ansi::plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What somebody else has written, as text and nothing else.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in line(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' | '$')
        {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|").replace('<', "&lt;")
}
