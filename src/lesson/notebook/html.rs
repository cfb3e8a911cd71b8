//! The page. It has no scripts and loads nothing; what stands on it was escaped by
//! maud unless a `PreEscaped` says otherwise (the style sheet, and `prose`).

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::record::{Entry, Record};
use super::{MARK, ansi, blocks, date, ending, heading, judged, prose, score, verdict};

const STYLE: &str = include_str!("../../../assets/notebook.css");
/// Should anything slip through all the same, the browser neither runs nor loads it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The whole page.
pub fn render(record: &Record) -> String {
    let title = format!("{} · under-the-hood", ansi::plain(&heading(record)));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="generator" content={ (MARK) " " (env!("CARGO_PKG_VERSION")) };
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (front(record))
                main { (steps(record)) }
                (results(record))
                footer {
                    p {
                        "Written by under-the-hood " (env!("CARGO_PKG_VERSION"))
                        " while it was played: nothing here was made up, and another machine may answer otherwise."
                    }
                }
            }
        }
    };
    page.into_string()
}

fn front(record: &Record) -> Markup {
    html! {
        header {
            p.kicker { "under-the-hood · notebook of a run" }
            h1 { (ansi::plain(&heading(record))) }
            p.lead {
                "Follows the article’s “" (ansi::plain(&record.chapter)) "”. Played on " (date(record)) "."
            }
            @if let Some(ending) = ending(record) {
                p.ended { (ansi::plain(&ending)) }
            }
            p.score { (score(record)) }
            table.machine {
                caption { "The machine" }
                tbody {
                    @for (name, value) in &record.machine.facts {
                        tr { th scope="row" { (name) } td { (ansi::plain(value)) } }
                    }
                    tr { th scope="row" { "Program" } td { "under-the-hood " (env!("CARGO_PKG_VERSION")) } }
                }
            }
            @let all: Vec<_> = record.entries.iter().enumerate().collect();
            @if all.iter().any(|(_, entry)| matches!(entry, Entry::Step { .. })) {
                nav aria-label="Steps" {
                    ol {
                        @for (at, entry) in all {
                            @if let Entry::Step { place, title, .. } = entry {
                                li value=(place) { a href={ "#step-" (at) } { (ansi::plain(title)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The entries, a section for each step.
fn steps(record: &Record) -> Markup {
    let mut sections: Vec<(Option<usize>, Vec<usize>)> = vec![(None, Vec::new())];
    for (at, entry) in record.entries.iter().enumerate() {
        match entry {
            Entry::Step { .. } => sections.push((Some(at), Vec::new())),
            _ => sections.last_mut().into_iter().for_each(|(_, inside)| inside.push(at)),
        }
    }
    html! {
        @for (head, inside) in &sections {
            @let blocks = html! {
                @for at in inside { (blocks::entry(&record.entries[*at], *at)) }
            };
            @match head.map(|at| (at, &record.entries[at])) {
                Some((at, Entry::Step { place, title, more, .. })) => {
                    section id={ "step-" (at) } {
                        h2 {
                            span.place { (place) "/" (record.steps) }
                            " " (ansi::plain(title))
                            @if *more { " " span.more { "(more)" } }
                        }
                        (blocks)
                    }
                }
                _ => (blocks),
            }
        }
    }
}

/// Every claim in one table.
fn results(record: &Record) -> Markup {
    let judged = judged(record);
    html! {
        @if !judged.is_empty() {
            section.results {
                h2 { "What this machine says" }
                table {
                    thead { tr { th scope="col" { "Claim" } th scope="col" { "Verdict" } th scope="col" { "Evidence" } } }
                    tbody {
                        @for (_, text, judgement) in judged {
                            @let (class, word) = verdict(judgement);
                            tr {
                                td { (prose::inline(text)) }
                                td class={ "verdict " (class) } { (word) }
                                td.evidence { (ansi::plain(&judgement.evidence)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
