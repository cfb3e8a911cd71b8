//! The player: a lesson's steps one by one, with or without somebody watching.
//!
//! Going back, resuming and starting in the middle are one mechanism: empty the
//! stage, then replay silently up to the step.

mod compare;
mod exercise;
mod fences;
mod page;

pub use page::{Page, verdict_mark};

use crate::error::{Error, Result};
use crate::kernel::probe::{self, Facts, Need, Verdict as Met};
use crate::ui::{Screen, Style};

use super::check::{self, Judgement, Verdict};
use super::model::{Block, Claim, Kind, Lesson, Predict, Step, Try};
use super::progress;
use super::stage::Stage;

/// A claim of a lesson, judged on this machine.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The claim's id.
    pub id: String,
    /// Its sentence.
    pub claim: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What it rests on; why it cannot be tested.
    pub evidence: String,
}

/// How playing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last step was played.
    Finished,
    /// The reader stopped at this step (its place in the lesson).
    Stopped(usize),
}

/// A lesson being played.
pub struct Player<'a> {
    lesson: &'a Lesson,
    /// Where it is shown; nothing is shown without one.
    page: Option<Page<'a>>,
    stage: Stage,
    facts: Facts,
    /// Play `(more)` steps too.
    more: bool,
    all_operations: bool,
    /// What has been judged so far.
    judged: Vec<Judged>,
    /// A question that the next performed block answers, and the reader's choice.
    asked: Option<(&'a Predict, Option<usize>)>,
}

impl<'a> Player<'a> {
    /// A player that shows the lesson on the screen; with keys, if somebody is there.
    pub fn shown(
        lesson: &'a Lesson,
        screen: &'a mut Screen,
        keys: bool,
        more: bool,
    ) -> Result<Self> {
        // What commands print stands indented by two.
        let look = (screen.settings().color_out, screen.width().min(100) - 2);
        Self::new(lesson, Some(Page::new(screen, keys)), look, more)
    }

    /// A player that shows nothing and judges every claim.
    pub fn silent(lesson: &'a Lesson) -> Result<Self> {
        Self::new(lesson, None, (false, 80), true)
    }

    fn new(
        lesson: &'a Lesson,
        page: Option<Page<'a>>,
        look: (bool, usize),
        more: bool,
    ) -> Result<Self> {
        let title = format!("lesson {}", lesson.key());
        let stage = Stage::new(&title, &lesson.files, look)?;
        let facts = Facts::new();
        let all_operations = false;
        Ok(Self {
            lesson,
            page,
            stage,
            facts,
            more,
            all_operations,
            judged: Vec::new(),
            asked: None,
        })
    }

    /// Shows every kernel operation of a command, not only those that a step is about.
    pub fn show_all_operations(&mut self, all: bool) {
        self.all_operations = all;
    }

    /// What the lesson as a whole lacks here: the need, why, and the fix.
    pub fn lacks(&self) -> Option<(String, Option<String>)> {
        lacking(&self.lesson.front.needs, &self.facts)
    }

    /// Plays from a step (counted from 0) to the end, or to where the reader stops.
    pub fn play(&mut self, from: usize) -> Result<End> {
        self.title(from)?;
        if from > 0 {
            self.back_to(from)?;
        } else {
            for block in &self.lesson.intro {
                self.block(block)?;
            }
        }
        let lesson = self.lesson;
        for (index, step) in lesson.steps.iter().enumerate().skip(from) {
            if step.more && !self.more {
                continue;
            }
            if !self.turn_page()? {
                return Ok(End::Stopped(index));
            }
            self.heading(index, step)?;
            for block in &step.blocks {
                if !self.block(block)? || self.page.as_ref().is_some_and(Page::stopped) {
                    return Ok(End::Stopped(index));
                }
            }
            self.answer()?;
        }
        Ok(End::Finished)
    }

    /// Empties the stage and replays, silently, all that comes before a step.
    pub fn back_to(&mut self, step: usize) -> Result<()> {
        self.stage.empty()?;
        self.replay(step, 0)
    }

    /// Performs what changes something, up to a block of a step; shows nothing.
    pub fn replay(&mut self, step: usize, block: usize) -> Result<()> {
        let lesson = self.lesson;
        for (index, played) in lesson.steps.iter().enumerate().take(step + 1) {
            if played.more && !self.more {
                continue;
            }
            let end = if index == step { block } else { played.blocks.len() };
            played.blocks[..end].iter().try_for_each(|block| self.replay_block(block))?;
        }
        Ok(())
    }

    /// Performs a block, if it changes something; shows nothing.
    pub fn replay_block(&mut self, block: &Block) -> Result<()> {
        match &block.kind {
            Kind::Run(fence) => {
                for (_, line) in &fence.lines {
                    self.stage.played(line, fence.or_ours)?;
                }
            }
            Kind::Try(exercise) => self.replay_exercise(exercise)?,
            _ => {}
        }
        Ok(())
    }

    /// One block; `false` when the reader has had enough.
    fn block(&mut self, block: &'a Block) -> Result<bool> {
        match &block.kind {
            Kind::Prose(text) => self.say(text)?,
            Kind::Aside(word, text) => self.aside(word, text)?,
            Kind::Notes(_) => {}
            Kind::Engine(engine, lines) => self.engine(engine, lines)?,
            Kind::Run(fence) => {
                self.run(fence)?;
                self.answer()?;
            }
            Kind::Shell(fence) => {
                self.look(fence)?;
                self.answer()?;
            }
            Kind::Article(article) => {
                self.compare(article)?;
                self.answer()?;
            }
            Kind::Predict(predict) => return self.ask(predict),
            Kind::Claim(claim) => {
                self.answer()?;
                self.claim(claim)?;
            }
            Kind::Try(exercise) => return self.exercise(exercise),
        }
        Ok(true)
    }

    fn ask(&mut self, predict: &'a Predict) -> Result<bool> {
        self.answer()?;
        let Some(page) = &mut self.page else { return Ok(true) };
        let Some(choice) = page.ask(predict)? else { return Ok(false) };
        self.asked = Some((predict, choice));
        Ok(true)
    }

    /// The answer to an open question, from this machine.
    fn answer(&mut self) -> Result<()> {
        let Some((predict, choice)) = self.asked.take() else { return Ok(()) };
        let answer = predict.measure.measure(self.stage.world());
        let typed = predict.measure.typed(self.stage.world());
        match &mut self.page {
            Some(page) => page.answer(predict, choice, &answer, &typed),
            None => Ok(()),
        }
    }

    fn claim(&mut self, claim: &Claim) -> Result<()> {
        let judgement = self.judge(claim);
        let typed: Vec<_> =
            claim.checks.iter().map(|check| check.typed(self.stage.world())).collect();
        if let Some(page) = &mut self.page {
            page.claim("Claim", &claim.text, &judgement, &typed)?;
        }
        self.note(claim, judgement);
        Ok(())
    }

    /// Whether a claim holds now; what it needs of the machine comes first.
    pub fn judge(&self, claim: &Claim) -> Judgement {
        match lacking(&claim.needs, &self.facts) {
            Some((reason, _)) => Judgement { verdict: Verdict::Untestable, evidence: reason },
            None => check::judge(claim, self.stage.world()),
        }
    }

    fn note(&mut self, claim: &Claim, judgement: Judgement) {
        self.judged.push(Judged {
            id: claim.id.clone(),
            claim: claim.text.clone(),
            verdict: judgement.verdict,
            evidence: judgement.evidence,
        });
    }

    /// Every claim as untestable, for one reason.
    pub fn all_untestable(&mut self, reason: &str) {
        for (_, claim) in self.lesson.claims() {
            let evidence = reason.to_owned();
            self.note(claim, Judgement { verdict: Verdict::Untestable, evidence });
        }
    }

    /// Puts everything away; what was judged.
    pub fn end(self) -> Result<Vec<Judged>> {
        self.stage.end()?;
        Ok(self.judged)
    }

    /// An exercise solved; shows nothing.
    pub fn replay_exercise(&mut self, exercise: &Try) -> Result<()> {
        self.solve(exercise).map(|_| ())
    }

    /// The stage: for `lesson test`, and to go offline.
    pub fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    fn title(&mut self, from: usize) -> Result<()> {
        let front = &self.lesson.front;
        let number =
            self.lesson.number.map_or("Lesson".to_owned(), |number| format!("Lesson {number}"));
        let Some(page) = &mut self.page else { return Ok(()) };
        let title = page.paint(&format!("{number}: {}", front.title), Style::Heading);
        let rest = format!("the article's \"{}\" · {} minutes", front.chapter, front.minutes);
        page.put(&format!("{title} · {}", page.paint(&rest, Style::Dim)))?;
        if from > 0 {
            let again =
                format!("Taken up again at step {}; what came before has been replayed.", from + 1);
            page.put(&page.paint(&again, Style::Dim))?;
        }
        Ok(())
    }

    fn heading(&mut self, index: usize, step: &Step) -> Result<()> {
        let Some(page) = &mut self.page else { return Ok(()) };
        if page.has_keys() {
            // At every step, so that the place is kept even when the player is killed.
            let kept = progress::update(&self.lesson.key(), |progress| {
                progress.at = Some(step.id.clone())
            });
            page.warn_once(kept.err())?;
        }
        let of = self.lesson.steps.len();
        let more = if step.more { "(more) " } else { "" };
        let heading =
            page.paint(&format!("{}/{of}  {more}{}", index + 1, step.title), Style::Heading);
        page.put(&heading)
    }

    fn turn_page(&mut self) -> Result<bool> {
        self.page.as_mut().map_or(Ok(true), Page::turn)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.page.as_mut().map_or(Ok(()), |page| page.markdown(text))
    }

    fn aside(&mut self, word: &str, text: &str) -> Result<()> {
        self.page.as_mut().map_or(Ok(()), |page| page.aside(word, text))
    }

    fn engine(&mut self, engine: &str, lines: &str) -> Result<()> {
        self.page.as_mut().map_or(Ok(()), |page| page.engine(engine, lines))
    }
}

/// The first need that this machine does not meet: why, and the fix.
pub fn lacking(needs: &[Need], facts: &Facts) -> Option<(String, Option<String>)> {
    needs.iter().find_map(|need| match probe::check(need, facts) {
        Met::Met => None,
        Met::Missing { reason, fix } => Some((format!("needs {need}: {reason}"), fix)),
    })
}

/// The step that `--from` names, by number or id.
pub fn step_named(lesson: &Lesson, wanted: &str) -> Result<usize> {
    let by_number = wanted.parse::<usize>().ok().filter(|n| (1..=lesson.steps.len()).contains(n));
    let by_id = || lesson.steps.iter().position(|step| step.id == wanted);
    by_number.map(|number| number - 1).or_else(by_id).ok_or_else(|| {
        let ids: Vec<_> = lesson.steps.iter().map(|step| step.id.as_str()).collect();
        Error::usage(format!("this lesson has no step `{wanted}`")).hint(format!(
            "1 to {}, or one of: {}.",
            ids.len(),
            ids.join(", ")
        ))
    })
}
