//! Each kind of entry as a block of the page.

use maud::{Markup, html};

use super::super::check::{Finding, Judgement};
use super::super::picture::Drawn;
use super::super::record::{Article, Command, Entry, Exercise, Output};
use super::{ansi, call, prose, verdict};
use crate::step::Step;
use crate::ui::picture;

/// Columns of a picture where there is room, and on a phone.
const WIDE: usize = 80;
const NARROW: usize = 42;

/// An entry; `at` is its place, for what must have a name of its own.
pub fn entry(entry: &Entry, at: usize) -> Markup {
    match entry {
        // The page has put it above.
        Entry::Step { .. } => html! {},
        Entry::Replayed(step) => html! {
            p.replayed { "From here on at step " (step) ": the stage was emptied, and what comes before was done again." }
        },
        Entry::Prose(text) => prose::blocks(text),
        Entry::Aside(word, text) => html! {
            aside class={ "aside " (word.to_ascii_lowercase().replace(' ', "-")) } {
                h3 { (ansi::plain(word)) } (prose::blocks(text))
            }
        },
        Entry::Engine(engine, lines) => html! {
            figure.engine {
                figcaption { "The same with " (ansi::plain(engine)) " (shown, not performed)" }
                pre { code { (ansi::plain(lines)) } }
            }
        },
        Entry::Command(command) => self::command(command),
        Entry::Asked { question, choices, choice } => asked(question, choices, *choice),
        Entry::Measured { right, hit, value, typed } => {
            measured(right.as_deref(), *hit, value, typed)
        }
        Entry::Claim { text, judgement, typed, .. } => html! {
            div class={ "claim " (verdict(judgement).0) } {
                h3 { "Claim" }
                p { (prose::inline(text)) }
                (self::judgement(judgement, typed))
            }
        },
        Entry::Try(task) => exercise(task),
        Entry::Article(article) => self::article(article),
        Entry::Picture { caption, drawn } => self::picture(caption, drawn, at),
    }
}

/// What a command wrote, in its colours.
fn output(output: &Output) -> Markup {
    let written = |text: &str| {
        html! {
            @for span in ansi::spans(text) {
                @if span.classes.is_empty() { (span.text) }
                @else { span class=(span.classes.join(" ")) { (span.text) } }
            }
        }
    };
    html! {
        (written(&output.head))
        @if let Some(gap) = output.gap() { "\n" span.gap { (gap) } "\n" (written(&output.tail)) }
    }
}

fn command(command: &Command) -> Markup {
    html! {
        figure.command {
            pre.typed { span.prompt aria-hidden="true" { "$ " } code { (ansi::plain(&command.line)) } }
            @if !command.steps.is_empty() { (operations(command)) }
            @match &command.why {
                Some(why) => p.not-done { (ansi::plain(why)) },
                None => {
                    @let written = html! { (output(&command.output)) };
                    @if !command.output.head.is_empty() {
                        pre.output tabindex="0" aria-label="what it wrote" { samp { (written) } }
                    }
                    (exit(command))
                }
            }
        }
    }
}

fn exit(command: &Command) -> Markup {
    html! {
        @if let Some(exit) = command.exit {
            @if exit != command.expected {
                p.not-done { "It ended with exit code " (exit) ", not with " (command.expected) " as it should." }
            } @else if exit != 0 {
                p.exit { "exit code " (exit) ", as it should be" }
            } @else if command.output.head.is_empty() {
                p.exit { "(it wrote nothing, and exited with 0)" }
            }
        }
    }
}

/// The few operations that the step is about, and all of them behind a fold.
fn operations(command: &Command) -> Markup {
    let row = |step: &Step| {
        html! {
            li {
                code.call { (ansi::plain(&call(step))) }
                span.why { (ansi::plain(&step.why)) }
                @if let Some(shell) = &step.shell { code.shell { (ansi::plain(shell)) } }
            }
        }
    };
    let all = command.steps.len() + command.more_steps;
    html! {
        @if !command.named.is_empty() {
            ul.operations {
                @for at in &command.named { (row(&command.steps[*at])) }
            }
        }
        details {
            summary {
                @if all == 1 { "The kernel operation of this command" }
                @else { "All " (all) " kernel operations of this command" }
            }
            ol.operations {
                @for step in &command.steps { (row(step)) }
            }
            @if command.more_steps > 0 { p { "… and " (command.more_steps) " more, left out here." } }
        }
    }
}

fn asked(question: &str, choices: &[String], choice: Option<usize>) -> Markup {
    html! {
        div.predict {
            h3 { "Predict" }
            p { (prose::inline(question)) }
            ol {
                @for (n, text) in choices.iter().enumerate() {
                    @let chosen = choice == Some(n);
                    li.chosen[chosen] {
                        (prose::inline(text))
                        @if chosen { strong.mine { " ← the prediction" } }
                    }
                }
            }
            @if choice.is_none() { p.exit { "No prediction was made." } }
        }
    }
}

fn measured(
    right: Option<&str>,
    hit: Option<bool>,
    value: &Result<Finding, String>,
    typed: &str,
) -> Markup {
    let word = match hit {
        Some(true) => "✓ As predicted: ",
        Some(false) => "✗ Not as predicted: ",
        None => "",
    };
    html! {
        div class={ "measured " (hit.map_or("", |hit| if hit { "holds" } else { "fails" })) } {
            h3 { "Measured" }
            @match value {
                Ok(finding) => {
                    p {
                        strong { (word) }
                        @match right {
                            Some(right) => (prose::inline(right)),
                            None => { "none of these: this machine says " code { (ansi::plain(&finding.value)) } },
                        }
                    }
                    p.evidence { (ansi::plain(&finding.evidence)) }
                }
                Err(why) => p.not-done { "This machine cannot tell: " (ansi::plain(why)) },
            }
            (see(&[typed.to_owned()]))
        }
    }
}

fn judgement(judgement: &Judgement, typed: &[String]) -> Markup {
    let (class, word) = verdict(judgement);
    html! {
        p.evidence { strong class={ "verdict " (class) } { (word) } " " (ansi::plain(&judgement.evidence)) }
        (see(typed))
    }
}

/// How to see the same without us.
fn see(typed: &[String]) -> Markup {
    html! {
        @if !typed.is_empty() {
            details.see {
                summary { "See for yourself" }
                pre { code { (ansi::plain(&typed.join("\n"))) } }
            }
        }
    }
}

fn exercise(task: &Exercise) -> Markup {
    let class = task.judgement.as_ref().map_or("open", |judgement| verdict(judgement).0);
    html! {
        div class={ "try " (class) } {
            h3 { "Try" }
            p { (prose::inline(&task.text)) }
            @for command in &task.played { (self::command(command)) }
            @if task.played.is_empty() {
                details.see {
                    summary { "One way to do it" }
                    pre { code { (ansi::plain(&task.solution.join("\n"))) } }
                }
            }
            @match &task.judgement {
                Some(judgement) => (self::judgement(judgement, &task.typed)),
                None => p.not-done { "Not finished." },
            }
        }
    }
}

fn article(article: &Article) -> Markup {
    html! {
        figure.compared {
            pre.typed { span.prompt aria-hidden="true" { "$ " } code { (ansi::plain(&article.line)) } }
            div.beside {
                div { h3 { "The article" } pre tabindex="0" { samp { (ansi::plain(&article.there.join("\n"))) } } }
                div {
                    h3 { "This machine" }
                    @match &article.here {
                        Ok(here) => pre tabindex="0" { samp { (output(here)) } },
                        Err(why) => p.not-done { (ansi::plain(why)) },
                    }
                }
            }
            @if article.here.is_ok() {
                figcaption {
                    @if article.differences.is_empty() { "No difference." }
                    @else { ul { @for difference in &article.differences { li { (ansi::plain(difference)) } } } }
                }
            }
        }
    }
}

fn picture(caption: &str, drawn: &Drawn, at: usize) -> Markup {
    html! {
        figure.picture {
            @match drawn {
                Ok(drawn) => {
                    (picture::svg(drawn, WIDE, &format!("picture-{at}"), "wide"))
                    (picture::svg(drawn, NARROW, &format!("picture-{at}-narrow"), "narrow"))
                    figcaption { p { (prose::inline(caption)) } p.words { (ansi::plain(&drawn.words())) } }
                }
                Err(why) => {
                    figcaption { p { (prose::inline(caption)) } p.not-done { "Not drawn: " (ansi::plain(why)) "." } }
                }
            }
        }
    }
}
