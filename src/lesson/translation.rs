//! A lesson in another language: `lesson.de.md` beside `lesson.md`. Its words
//! are its own; ids, fences, checks and everything else that is performed or
//! remembered must be the original's, so that it proves the same.

use super::check::Test;
use super::fault::Fault;
use super::model::{Block, Claim, Fence, Kind, Lesson, Opposite, Step};

/// Where a translation differs from its original in what is not words.
pub fn compare(original: &Lesson, translated: &Lesson) -> Vec<Fault> {
    let mut compared = Compared(Vec::new());
    let (there, here) = (&original.front, &translated.front);
    let front = |front: &super::model::Front| {
        let needs: Vec<_> = front.needs.iter().map(ToString::to_string).collect();
        format!("chapter {:?}, {} minutes, needs {}", front.chapter, front.minutes, needs.join(","))
    };
    compared.same(1, 1, "the front matter", &front(here), &front(there));
    compared.blocks(1, (&original.intro, 1), &translated.intro);
    compared.steps(&original.steps, &translated.steps);
    compared.0.sort();
    compared.0
}

struct Compared(Vec<Fault>);

impl Compared {
    fn same(&mut self, line: usize, there: usize, what: &str, here: &str, original: &str) {
        if here != original {
            self.0.push(
                Fault::new(line, format!("{what} is not the original's: {here}"))
                    .allowed(format!("as in line {there} of lesson.md: {original}")),
            );
        }
    }

    fn steps(&mut self, original: &[Step], translated: &[Step]) {
        let mut before = 0;
        for (at, step) in original.iter().enumerate() {
            match translated.iter().find(|other| other.id == step.id) {
                Some(other) => {
                    if other.line < before {
                        self.fault(
                            other.line,
                            format!("the step `{}` stands elsewhere", step.id),
                            step.line,
                        );
                    }
                    before = other.line;
                    if other.more != step.more {
                        self.fault(
                            other.line,
                            "`(more)` is not as in the original".into(),
                            step.line,
                        );
                    }
                    self.blocks(other.line, (&step.blocks, step.line), &other.blocks);
                }
                None => {
                    // The step that stands where it should, renamed, or nothing.
                    let there = translated
                        .get(at)
                        .filter(|other| original.iter().all(|step| step.id != other.id));
                    match there {
                        Some(other) => self.fault(
                            other.line,
                            format!("the step `{}` has another id: `{}`", step.id, other.id),
                            step.line,
                        ),
                        None => self.fault(
                            before.max(1),
                            format!("after this the step `{}` is missing", step.id),
                            step.line,
                        ),
                    }
                }
            }
        }
        for (at, extra) in translated.iter().enumerate() {
            let known = original.iter().any(|step| step.id == extra.id);
            let renamed = original
                .get(at)
                .is_some_and(|step| translated.iter().all(|other| other.id != step.id));
            if !known && !renamed {
                self.fault(extra.line, format!("the original has no step `{}`", extra.id), 1);
            }
        }
    }

    fn fault(&mut self, line: usize, what: String, there: usize) {
        self.0.push(Fault::new(line, what).allowed(format!("as in line {there} of lesson.md")));
    }

    /// What is performed, asked or checked, in order; prose and asides may be divided otherwise.
    fn blocks(&mut self, line: usize, (original, there): (&[Block], usize), translated: &[Block]) {
        let bound = |blocks: &[Block]| -> Vec<(usize, &'static str, Vec<Part>)> {
            blocks
                .iter()
                .filter_map(|block| Some((block.line, name(&block.kind)?, parts(block))))
                .collect()
        };
        let (original, translated) = (bound(original), bound(translated));
        for (ours, theirs) in translated.iter().zip(&original) {
            if ours.1 != theirs.1 {
                let what = format!("here stands {}, in the original {}", ours.1, theirs.1);
                return self.fault(ours.0, what, theirs.0);
            }
            self.block(ours, theirs);
        }
        let count = translated.len();
        if let Some(missing) = original.get(count) {
            let last = translated.last().map_or(line, |block| block.0);
            self.fault(
                last,
                format!("after this {} of the original is missing", missing.1),
                missing.0,
            );
        }
        if let Some(extra) = translated.get(original.len()) {
            self.fault(extra.0, format!("{} that the original does not have", extra.1), there);
        }
    }

    fn block(
        &mut self,
        ours: &(usize, &'static str, Vec<Part>),
        theirs: &(usize, &'static str, Vec<Part>),
    ) {
        for (index, theirs_part) in theirs.2.iter().enumerate() {
            match ours.2.get(index) {
                Some(part) if part.kind == theirs_part.kind => {
                    let what = format!("{} of {}", part.kind, ours.1);
                    self.same(
                        part.line,
                        theirs_part.line,
                        &what,
                        &shown(&part.text),
                        &shown(&theirs_part.text),
                    );
                }
                _ => {
                    let what = format!(
                        "{} of {} is missing: {}",
                        theirs_part.kind,
                        ours.1,
                        shown(&theirs_part.text)
                    );
                    return self.fault(ours.0, what, theirs_part.line);
                }
            }
        }
        if let Some(extra) = ours.2.get(theirs.2.len()) {
            let what = format!(
                "{} of {} that the original does not have: {}",
                extra.kind,
                ours.1,
                shown(&extra.text)
            );
            self.fault(extra.line, what, theirs.0);
        }
    }
}

fn shown(text: &str) -> String {
    format!("`{text}`")
}

/// A piece of a block that must not change.
struct Part {
    line: usize,
    kind: &'static str,
    text: String,
}

/// What a bound block is called; words have no name here.
fn name(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Run(_) => "`sh run`",
        Kind::Shell(_) => "`sh shell`",
        Kind::Engine(..) => "`sh engine`",
        Kind::Article(_) => "`console article`",
        Kind::Predict(_) => "**Predict**",
        Kind::Claim(_) => "**Claim**",
        Kind::Try(_) => "**Try**",
        Kind::Picture(_) => "**Picture**",
        Kind::Prose(_) | Kind::Aside(..) | Kind::Notes(_) => return None,
    })
}

fn parts(block: &Block) -> Vec<Part> {
    let line = block.line;
    let part = |line: usize, kind: &'static str, text: String| Part { line, kind, text };
    match &block.kind {
        Kind::Run(fence) | Kind::Shell(fence) => fence_parts(line, fence),
        Kind::Engine(engine, lines) => {
            let head = part(line, "the engine", engine.clone());
            let below = lines.lines().enumerate();
            let below = below.map(|(at, text)| part(line + 1 + at, "the line", text.to_owned()));
            std::iter::once(head).chain(below).collect()
        }
        Kind::Article(article) => {
            let text = |(command, output): &(String, Vec<String>)| {
                format!("{command}\n{}", output.join("\n"))
            };
            article.parts.iter().map(|shown| part(line, "the output", text(shown))).collect()
        }
        Kind::Predict(predict) => {
            let value =
                |(_, value): &(String, String)| part(line, "the value of a choice", value.clone());
            let measure = part(predict.measure.line, "the measure", written(&predict.measure));
            predict.choices.iter().map(value).chain([measure]).collect()
        }
        Kind::Claim(claim) => claim_parts(line, claim),
        Kind::Picture(picture) => {
            vec![part(picture.draw.line, "what is drawn", picture.draw.written())]
        }
        Kind::Try(exercise) => {
            let mut parts = claim_parts(line, &exercise.claim);
            parts.extend(
                exercise
                    .leaves
                    .iter()
                    .map(|leaves| part(line, "what it leaves", format!("{leaves:?}"))),
            );
            // The text is translated; what it helps with is not.
            parts.extend(exercise.hints.iter().map(|hint| Part {
                line: hint.line,
                kind: "what a hint is for",
                text: match hint.check {
                    Some(check) => format!("check {}", check + 1),
                    None => "all of it".to_owned(),
                },
            }));
            parts.extend(
                exercise.solution.iter().map(|text| part(line, "the solution", text.clone())),
            );
            parts
        }
        Kind::Prose(_) | Kind::Aside(..) | Kind::Notes(_) => Vec::new(),
    }
}

fn fence_parts(line: usize, fence: &Fence) -> Vec<Part> {
    let Fence { lines, ops, exit, needs, whole, or_ours } = fence;
    let needs: Vec<_> = needs.iter().map(ToString::to_string).collect();
    let head = format!(
        "ops={} exit={exit} needs={} whole={whole} or_ours={or_ours}",
        ops.join(","),
        needs.join(",")
    );
    let head = Part { line, kind: "the first line", text: head };
    let lines =
        lines.iter().map(|(line, text)| Part { line: *line, kind: "the line", text: text.clone() });
    std::iter::once(head).chain(lines).collect()
}

fn claim_parts(line: usize, claim: &Claim) -> Vec<Part> {
    let needs: Vec<_> = claim.needs.iter().map(ToString::to_string).collect();
    let opposite = match &claim.opposite {
        Opposite::Ordinary => "ordinary".to_owned(),
        Opposite::Nothing => "nothing".to_owned(),
        Opposite::Command(command) => command.clone(),
    };
    let mut parts = vec![
        Part { line, kind: "the id", text: claim.id.clone() },
        Part { line, kind: "what is needed", text: needs.join(",") },
        Part { line, kind: "the opposite", text: opposite },
    ];
    // The reasons are prose, and translated.
    parts.extend(claim.except.iter().map(|(engines, _)| {
        let engines: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
        Part { line, kind: "the exceptions", text: engines.join(",") }
    }));
    parts.extend(claim.checks.iter().map(|check| Part {
        line: check.line,
        kind: "the check",
        text: written(check),
    }));
    parts
}

fn written(test: &Test) -> String {
    test.to_string()
}

/// The languages somebody wants, the best first, from what they said or from the environment:
/// `de_AT.UTF-8` is `de_AT`, then `de`; the C locale is none.
pub fn wanted(said: Option<&str>) -> Vec<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let value = match said {
        Some(said) => Some(said.to_owned()),
        None => ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set),
    };
    value.map_or_else(Vec::new, |value| languages(&value))
}

fn languages(locale: &str) -> Vec<String> {
    let full = locale.split(['.', '@']).next().unwrap_or_default().replace('-', "_");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if matches!(&*full, "" | "C" | "POSIX") || !full.chars().all(plain) {
        return Vec::new();
    }
    let short = full.split('_').next().unwrap_or_default().to_owned();
    if short == full { vec![full] } else { vec![full, short] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_gives_its_languages() {
        assert_eq!(languages("de_AT.UTF-8@euro"), ["de_AT", "de"]);
        assert_eq!(languages("pt-BR"), ["pt_BR", "pt"]);
        assert_eq!(languages("de"), ["de"]);
        for none in ["", "C", "C.UTF-8", "POSIX", "../../etc"] {
            assert_eq!(languages(none), Vec::<String>::new(), "{none}");
        }
    }
}
