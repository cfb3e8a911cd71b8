//! Where lessons speak of something: the steps in which all words are. What
//! would spoil an exercise or a question (solutions, hints, what may be
//! answered) is not looked at, nor are the instructor's notes.

use std::ops::Range;

use super::model::{Block, Kind, Lesson, Step};

/// A piece of a lesson's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it is: `title`, `text`, `command`, `question`, `claim`, `exercise`, `article`,
    /// `picture`, `surprise`, ...
    pub kind: String,
    /// A paragraph or a line, without its Markdown.
    pub text: String,
}

/// A step that all words are in.
#[derive(Debug)]
pub struct Hit<'a> {
    /// The lesson.
    pub lesson: &'a Lesson,
    /// The step and its place, from 0; none: it is before the first one.
    pub step: Option<(usize, &'a Step)>,
    /// The pieces that have one of the words, in order.
    pub pieces: Vec<Piece>,
}

/// What is looked for, in lower case.
#[derive(Debug, Clone)]
pub struct Words(Vec<String>);

/// What was found.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// Each step, in the lessons' order.
    pub hits: Vec<Hit<'a>>,
    /// How many steps were looked through.
    pub steps: usize,
    /// In how many of them each word is by itself.
    pub alone: Vec<(String, usize)>,
}

impl Words {
    /// None where there is nothing to look for.
    pub fn new(words: &[String]) -> Option<Self> {
        let plain =
            |word: &String| word.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        let words: Vec<_> = words.iter().map(plain).filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then_some(Self(words))
    }

    /// They.
    pub fn all(&self) -> &[String] {
        &self.0
    }

    /// Where they are in a text, in order; what overlaps is one.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        let (lower, origin) = lowered(text);
        let mut places: Vec<Range<usize>> = Vec::new();
        for word in &self.0 {
            let at = lower.match_indices(word.as_str());
            places.extend(at.map(|(at, _)| origin[at]..origin[at + word.len()]));
        }
        places.sort_by_key(|place| (place.start, place.end));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for place in places {
            match apart.last_mut() {
                Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
                _ => apart.push(place),
            }
        }
        apart
    }

    fn which(&self, text: &str) -> Vec<bool> {
        let lower = text.to_lowercase();
        self.0.iter().map(|word| lower.contains(word.as_str())).collect()
    }

    /// Looks through lessons.
    pub fn find<'a>(&self, lessons: &'a [Lesson]) -> Found<'a> {
        let mut found = Found::default();
        let mut alone = vec![0; self.0.len()];
        for lesson in lessons {
            let steps = lesson.steps.iter().enumerate();
            let steps = steps.map(|step| (Some(step), step_pieces(step.1)));
            for (step, pieces) in std::iter::once((None, first_pieces(lesson))).chain(steps) {
                found.steps += usize::from(step.is_some());
                let mut there = vec![false; self.0.len()];
                let mut with = Vec::new();
                for piece in pieces {
                    let which = self.which(&piece.text);
                    there.iter_mut().zip(&which).for_each(|(there, here)| *there |= here);
                    if which.contains(&true) {
                        with.push(piece);
                    }
                }
                alone
                    .iter_mut()
                    .zip(&there)
                    .for_each(|(count, there)| *count += usize::from(*there));
                if !there.contains(&false) {
                    found.hits.push(Hit { lesson, step, pieces: with });
                }
            }
        }
        found.alone = self.0.iter().cloned().zip(alone).collect();
        found
    }
}

/// The text in lower case; and where each of its bytes (and its end) comes from, since a
/// letter may be longer in lower case.
fn lowered(text: &str) -> (String, Vec<usize>) {
    let (mut lower, mut origin) = (String::new(), Vec::new());
    for (at, c) in text.char_indices() {
        lower.extend(c.to_lowercase());
        origin.resize(lower.len(), at);
    }
    origin.push(text.len());
    (lower, origin)
}

/// What is said before the first step.
fn first_pieces(lesson: &Lesson) -> Vec<Piece> {
    let title = Piece { kind: "title".to_owned(), text: lesson.front.title.clone() };
    let chapter = Piece { kind: "chapter".to_owned(), text: lesson.front.chapter.clone() };
    let mut pieces = vec![title];
    if lesson.front.chapter != lesson.front.title {
        pieces.push(chapter);
    }
    pieces.extend(lesson.intro.iter().flat_map(block_pieces));
    pieces
}

fn step_pieces(step: &Step) -> Vec<Piece> {
    let title = Piece { kind: "title".to_owned(), text: step.title.clone() };
    std::iter::once(title).chain(step.blocks.iter().flat_map(block_pieces)).collect()
}

fn block_pieces(block: &Block) -> Vec<Piece> {
    match &block.kind {
        Kind::Prose(text) => prose("text", text),
        Kind::Aside(word, text) => prose(&word.to_lowercase(), text),
        Kind::Predict(predict) => prose("question", &predict.question),
        Kind::Claim(claim) => prose("claim", &claim.text),
        Kind::Try(exercise) => prose("exercise", &exercise.claim.text),
        Kind::Picture(picture) => prose("picture", &picture.caption),
        Kind::Run(fence) | Kind::Shell(fence) => {
            lines("command", fence.lines.iter().map(|(_, line)| line.as_str()))
        }
        Kind::Engine(engine, text) => lines(&format!("with {engine}"), text.lines()),
        Kind::Article(article) => {
            let part = |(command, output): &(String, Vec<String>)| {
                let mut pieces = lines("command", std::iter::once(command.as_str()));
                pieces.extend(lines("article", output.iter().map(String::as_str)));
                pieces
            };
            article.parts.iter().flat_map(part).collect()
        }
        Kind::Notes(_) => Vec::new(),
    }
}

/// Paragraphs and list items, each on one line.
fn prose(kind: &str, text: &str) -> Vec<Piece> {
    let plain = crate::ui::markdown::render(text, usize::MAX, false);
    lines(kind, plain.lines())
}

fn lines<'a>(kind: &str, lines: impl Iterator<Item = &'a str>) -> Vec<Piece> {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = lines.map(line).filter(|text| !text.is_empty());
    lines.map(|text| Piece { kind: kind.to_owned(), text }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Words {
        Words::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn words_are_found_in_any_case_and_overlap_once() {
        let places = |looked_for: &[&str], text: &str| -> Vec<(usize, usize)> {
            words(looked_for).places(text).iter().map(|place| (place.start, place.end)).collect()
        };
        assert_eq!(places(&["net"], "A NET of nets"), [(2, 5), (9, 12)]);
        assert_eq!(places(&["pivot", "pivot_root"], "pivot_root(2)"), [(0, 10)]);
        assert_eq!(places(&["über"], "Ein ÜBERBLICK"), [(4, 9)]);
        // In lower case İ is longer than it is.
        assert_eq!(places(&["b"], "İb"), [(2, 3)]);
        assert_eq!(places(&[" Two  words "], "of two words"), [(3, 12)]);
        assert!(Words::new(&[" ".to_owned()]).is_none());
    }

    #[test]
    fn what_would_spoil_it_is_not_looked_at() {
        let lessons = crate::lesson::library::embedded();
        let (mut questions, mut exercises, mut notes) = (0, 0, 0);
        for block in lessons.iter().flat_map(|lesson| &lesson.steps).flat_map(|step| &step.blocks) {
            let pieces = block_pieces(block);
            match &block.kind {
                Kind::Predict(predict) => {
                    questions += 1;
                    assert_eq!(pieces, prose("question", &predict.question));
                }
                Kind::Try(exercise) => {
                    exercises += 1;
                    assert_eq!(pieces, prose("exercise", &exercise.claim.text));
                    let solved = |line| exercise.claim.text.contains(line);
                    assert!(!exercise.solution.iter().any(|line| solved(line.as_str())));
                }
                Kind::Notes(_) => {
                    notes += 1;
                    assert_eq!(pieces, []);
                }
                _ => {}
            }
        }
        assert!(questions > 20 && exercises > 5 && notes > 5, "there is something to spoil");
    }
}
