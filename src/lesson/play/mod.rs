//! The player: a lesson's steps one by one, with or without somebody watching.
//!
//! Going back, resuming and starting in the middle are one mechanism: empty the
//! stage, then replay silently up to the step.

mod compare;
mod exercise;
mod fences;
mod keys;
mod page;
mod picture;
pub mod present;
mod turn;

pub(super) use fences::is_named;
pub use page::{Page, verdict_mark};

use crate::error::{Error, Result};
use crate::kernel::probe::{self, Facts, Need, Verdict as Met};
use crate::ui::{Screen, Style};

use keys::{Act, Place};
use present::{Present, Remedy};
use turn::Turn;

use super::check::{self, Judgement, Verdict};
use super::driving::Played;
use super::model::{Block, Claim, Kind, Lesson, Predict, Step, Try};
use super::perform::Look;
use super::progress;
use super::record::{Machine, Record};
use super::rehearsal::{self, Take};
use super::review;
use super::session::Now;
use super::stage::Stage;
use super::words::Line;

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
    /// The step that is being played.
    at: usize,
    /// Where the reader wants to go instead of on.
    turn: Option<Turn>,
    /// The commands performed last, with all that they reported.
    performed: Vec<(String, Vec<crate::step::Step>)>,
    /// Lines that ended otherwise than they should when they were replayed.
    amiss: Vec<String>,
    /// Whether the reader knows that the place cannot be kept.
    warned: bool,
    /// How it is presented on a stage; none elsewhere.
    present: Option<Present>,
    /// What a rehearsal has recorded since it was last asked.
    recorder: Option<Vec<Take>>,
    /// When the lesson began, in seconds since the epoch.
    since: u64,
    /// What has been judged so far.
    judged: Vec<Judged>,
    /// A question that the next performed block answers, and the reader's choice.
    asked: Option<(&'a Predict, Option<usize>)>,
    /// What was shown and found so far.
    record: Record,
    /// Predictions that were given, and those that this machine confirmed.
    predictions: (usize, usize),
}

impl<'a> Player<'a> {
    /// A player that shows the lesson on the screen; with keys, if somebody is there.
    pub fn shown(
        lesson: &'a Lesson,
        screen: &'a mut Screen,
        keys: bool,
        more: bool,
    ) -> Result<Self> {
        let (color, plain) = (screen.settings().color_out, screen.plain());
        let look = Look { color, plain, shown: true };
        Self::new(lesson, Some(Page::new(screen, keys)), look, more)
    }

    /// A player that shows nothing and judges every claim.
    pub fn silent(lesson: &'a Lesson) -> Result<Self> {
        Self::new(lesson, None, Look::default(), true)
    }

    fn new(lesson: &'a Lesson, page: Option<Page<'a>>, look: Look, more: bool) -> Result<Self> {
        let stage = Stage::new(lesson, look)?;
        let facts = Facts::new();
        let all_operations = false;
        Ok(Self {
            lesson,
            page,
            stage,
            facts,
            more,
            all_operations,
            at: 0,
            turn: None,
            performed: Vec::new(),
            amiss: Vec::new(),
            warned: false,
            present: None,
            recorder: None,
            since: rehearsal::now(),
            judged: Vec::new(),
            asked: None,
            record: Record::begin(lesson),
            predictions: (0, 0),
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
        let lesson = self.lesson;
        self.title(from)?;
        if from > 0 {
            self.back_to(from)?;
            self.tell_amiss()?;
        } else {
            lesson.intro.iter().try_for_each(|block| self.block(block))?;
        }
        let Some(mut at) = self.playable(from) else { return Ok(End::Finished) };
        self.at = at;
        self.wait(Place::Step)?;
        let mut whole = false;
        loop {
            // Where the last wait has led.
            match self.turn.take() {
                None => {}
                Some(Turn::Stop) => return self.stopped(at, whole),
                Some(Turn::Again) => self.return_to(at)?,
                Some(Turn::To(step)) => {
                    at = step;
                    self.return_to(at)?;
                }
                Some(Turn::Back) => {
                    at = self.before(at).unwrap_or(at);
                    self.return_to(at)?;
                }
            }
            self.step(at)?;
            whole = self.turn.is_none();
            let next = self.playable(at + 1);
            self.wait(if next.is_some() { Place::Step } else { Place::Last })?;
            match (self.turn, next) {
                (None, Some(next)) => at = next,
                (None, None) => return Ok(End::Finished),
                _ => {}
            }
        }
    }

    /// Stopped at a step, or before the next if all of this one has been shown.
    fn stopped(&mut self, at: usize, whole: bool) -> Result<End> {
        let at = if whole { self.playable(at + 1).unwrap_or(at) } else { at };
        self.keep_place(Some(&self.lesson.steps[at].id))?;
        Ok(End::Stopped(at))
    }

    /// The first step from this one on that is played.
    fn playable(&self, from: usize) -> Option<usize> {
        let steps = &self.lesson.steps;
        (from..steps.len()).find(|step| self.more || !steps[*step].more)
    }

    /// The step played before this one.
    fn before(&self, step: usize) -> Option<usize> {
        (0..step).rev().find(|step| self.more || !self.lesson.steps[*step].more)
    }

    /// One step, from its heading to its end or to where the reader turns.
    pub(in crate::lesson) fn step(&mut self, index: usize) -> Result<()> {
        let lesson = self.lesson;
        let step = &lesson.steps[index];
        self.at = index;
        self.asked = None;
        self.performed.clear();
        self.heading(index, step)?;
        for block in &step.blocks {
            self.block(block)?;
            if self.turn.is_some() {
                return Ok(());
            }
        }
        self.answer()
    }

    /// The way back: undone and replayed, and said so.
    fn return_to(&mut self, step: usize) -> Result<()> {
        if self.present.is_some() {
            self.back_to(step)?;
            self.at = step;
            return self.tell_amiss();
        }
        if let Some(page) = &self.page {
            let text = format!("What this step did is undone; step {} begins anew.", step + 1);
            let text = page.paint(&text, Style::Dim);
            self.back_to(step)?;
            self.put(&text)?;
            return self.tell_amiss();
        }
        self.back_to(step)
    }

    /// What did not go as it should on the way to a step.
    fn tell_amiss(&mut self) -> Result<()> {
        for line in std::mem::take(&mut self.amiss) {
            let Some(page) = &self.page else { break };
            let text = format!("On the way here this did not end as it should: {line}");
            let text = page.paint(&crate::ui::wrap(&text, page.width(), "  "), Style::Warning);
            self.put(&text)?;
        }
        Ok(())
    }

    /// Empties the stage and replays, silently, all that comes before a step.
    pub fn back_to(&mut self, step: usize) -> Result<()> {
        self.stage.empty()?;
        self.record.replayed(step);
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
                if lacking(&fence.needs, &self.facts).is_some() {
                    return Ok(());
                }
                for (_, line) in fence.lines.iter().filter(|(_, line)| changes(line)) {
                    let played = self.stage.played(line, fence.or_ours)?;
                    let Some(Played { done, .. }) = played.last() else { continue };
                    if done.exit != fence.exit {
                        let said = done.output.lines().last().unwrap_or_default();
                        self.amiss.push(format!("{line}: exit code {}, {said}", done.exit));
                    }
                }
            }
            Kind::Try(exercise) => self.replay_exercise(exercise)?,
            _ => {}
        }
        Ok(())
    }

    /// One block.
    fn block(&mut self, block: &'a Block) -> Result<()> {
        if self.turn.is_some() {
            return Ok(());
        }
        match &block.kind {
            Kind::Prose(text) => self.say(text),
            Kind::Aside(word, text) => self.aside(word, text),
            Kind::Notes(_) => Ok(()),
            Kind::Engine(engine, lines) => self.engine(engine, lines),
            Kind::Run(fence) => {
                self.run(fence)?;
                self.answer()
            }
            Kind::Shell(fence) => {
                self.look(fence)?;
                self.answer()
            }
            Kind::Article(article) => {
                self.compare(article)?;
                self.answer()
            }
            Kind::Predict(predict) => self.ask(predict),
            Kind::Picture(picture) => {
                self.answer()?;
                self.picture(picture)
            }
            Kind::Claim(claim) => {
                self.answer()?;
                self.claim(claim)
            }
            Kind::Try(exercise) => self.exercise(exercise),
        }
    }

    fn ask(&mut self, predict: &'a Predict) -> Result<()> {
        self.answer()?;
        if self.recorder.is_some() {
            self.asked = Some((predict, None));
        }
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.question(predict);
        self.put(&text)?;
        let choice = self.choice(predict)?;
        self.record.asked(predict, choice);
        self.asked = Some((predict, choice));
        Ok(())
    }

    /// What the reader answers; nothing where nobody does.
    fn choice(&mut self, predict: &Predict) -> Result<Option<usize>> {
        let place = Place::Question(predict.choices.len());
        while self.has_keys() && self.turn.is_none() {
            match self.act(place, None)? {
                Some(Act::Choose(choice)) => return Ok(Some(choice)),
                Some(Act::Next) => break,
                Some(act) => self.common(act, place)?,
                None => {}
            }
        }
        Ok(None)
    }

    /// The answer to an open question, from this machine.
    fn answer(&mut self) -> Result<()> {
        let Some((predict, choice)) = self.asked.take() else { return Ok(()) };
        if self.turn.is_some() {
            return Ok(());
        }
        let begun = std::time::Instant::now();
        let answer = predict.measure.measure(self.stage.world());
        self.take_answer(predict, begun, &answer);
        let typed = predict.measure.typed(self.stage.world());
        self.record.measured(predict, choice, &answer, &typed);
        if let (Some(choice), Ok(finding)) = (choice, &answer) {
            let right =
                predict.choices.get(choice).is_some_and(|(_, value)| *value == finding.value);
            self.predictions.0 += 1;
            self.predictions.1 += usize::from(right);
        }
        let Some(page) = &mut self.page else { return Ok(()) };
        let text = page.answer(predict, choice, &answer, &typed);
        self.put(&text)
    }

    /// A rehearsal's answer: that none of the choices says what was measured is wrong.
    fn take_answer(
        &mut self,
        predict: &Predict,
        begun: std::time::Instant,
        answer: &check::Answer,
    ) {
        let Ok(found) = answer else { return };
        let among = predict.choices.iter().any(|(_, value)| *value == found.value);
        let wrong = (!among).then(|| format!("no choice says what was measured: {}", found.value));
        self.take(&predict.question, begun, &found.evidence, wrong);
    }

    fn claim(&mut self, claim: &Claim) -> Result<()> {
        while let Remedy::Again = self.claim_once(claim)? {}
        Ok(())
    }

    fn claim_once(&mut self, claim: &Claim) -> Result<Remedy> {
        self.ready_on_stage()?;
        if self.turn.is_some() {
            return Ok(Remedy::On);
        }
        let begun = std::time::Instant::now();
        let judgement = self.judge(claim);
        let wrong =
            (judgement.verdict == Verdict::DoesNotHold).then(|| "it does not hold".to_owned());
        self.take(&claim.id, begun, &judgement.evidence, wrong);
        let typed: Vec<_> =
            claim.checks.iter().map(|check| check.typed(self.stage.world())).collect();
        if let Some(page) = &mut self.page {
            let text = page.claim("Claim", &claim.text, &judgement, &typed);
            self.put(&text)?;
        }
        self.note(claim, judgement.clone());
        self.refuted(claim, &judgement)
    }

    /// Whether a claim holds now; what it needs of the machine comes first.
    pub fn judge(&self, claim: &Claim) -> Judgement {
        match lacking(&claim.needs, &self.facts) {
            Some((reason, _)) => Judgement { verdict: Verdict::Untestable, evidence: reason },
            None => check::judge(claim, self.stage.world()),
        }
    }

    fn note(&mut self, claim: &Claim, judgement: Judgement) {
        let typed = claim.checks.iter().map(|check| check.typed(self.stage.world())).collect();
        self.record.judged(claim, &judgement, typed);
        let judged = Judged {
            id: claim.id.clone(),
            claim: claim.text.clone(),
            verdict: judgement.verdict,
            evidence: judgement.evidence,
        };
        // Whoever goes back judges again: what was found last counts.
        match self.judged.iter_mut().find(|known| known.id == judged.id) {
            Some(known) => *known = judged,
            None => self.judged.push(judged),
        }
    }

    /// Every claim as untestable, for one reason.
    pub fn all_untestable(&mut self, reason: &str) {
        for (_, claim) in self.lesson.claims() {
            let evidence = reason.to_owned();
            self.note(claim, Judgement { verdict: Verdict::Untestable, evidence });
        }
    }

    /// How many predictions the reader has given, and how many were right.
    pub fn predictions(&self) -> (usize, usize) {
        self.predictions
    }

    /// Puts everything away; what was judged.
    pub fn end(self) -> Result<Vec<Judged>> {
        self.stage.end()?;
        Ok(self.judged)
    }

    /// What was shown and found so far, and where.
    pub fn record(&self) -> Record {
        Record { machine: Machine::look(&self.facts), ..self.record.clone() }
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
        let Some(page) = &self.page else { return Ok(()) };
        let title = page.paint(&format!("{number}: {}", front.title), Style::Heading);
        let rest = format!("the article's \"{}\" · {} minutes", front.chapter, front.minutes);
        let mut text = format!("{title} · {}", page.paint(&rest, Style::Dim));
        if from > 0 {
            let again =
                format!("Taken up again at step {}; what came before has been replayed.", from + 1);
            text.push_str(&format!("\n\n{}", page.paint(&again, Style::Dim)));
        }
        self.put(&text)
    }

    fn heading(&mut self, index: usize, step: &Step) -> Result<()> {
        self.record.step(index, step);
        if self.has_keys() {
            // At every step, so that the place is kept even when the player is killed.
            self.keep_place(Some(&step.id))?;
        }
        self.tell_where(index, step)?;
        let Some(page) = &mut self.page else { return Ok(()) };
        page.begin();
        let of = self.lesson.steps.len();
        let more = if step.more { "(more) " } else { "" };
        let heading = format!("{}/{of}  {more}{}", index + 1, step.title);
        let heading = page.paint(&heading, Style::Heading);
        self.put(&heading)
    }

    /// Tells a second terminal where the player is.
    fn tell_where(&mut self, index: usize, step: &Step) -> Result<()> {
        let notes = step.blocks.iter().filter_map(|block| match &block.kind {
            Kind::Notes(text) => Some(text.clone()),
            _ => None,
        });
        let lesson = self.lesson;
        let next = self.playable(index + 1).map(|next| lesson.steps[next].title.clone());
        self.stage.tell(Now {
            lesson: lesson.key(),
            title: lesson.front.title.clone(),
            step: index,
            steps: lesson.steps.len(),
            heading: step.title.clone(),
            next,
            notes: notes.collect(),
            minutes: lesson.front.minutes,
            since: self.since,
            step_since: rehearsal::now(),
        })
    }

    /// Writes down where the reader is; says once that it cannot be.
    fn keep_place(&mut self, step: Option<&str>) -> Result<()> {
        let kept = progress::update(&self.lesson.key(), |progress| {
            progress.at = step.map(str::to_owned);
        });
        match (kept, &self.page) {
            (Err(error), Some(page)) if !self.warned => {
                self.warned = true;
                let text = format!("Your place cannot be kept: {error}");
                let text = page.paint(&text, Style::Warning);
                self.put(&text)
            }
            _ => Ok(()),
        }
    }

    /// Shows a piece of text; waits first where the screen is full. All that is shown comes by here.
    fn put(&mut self, text: &str) -> Result<()> {
        if self.present.is_some() {
            return self.slide(text);
        }
        if self.turn.is_none()
            && self.page.as_ref().is_some_and(|page| page.has_keys() && page.is_full(text))
        {
            self.wait(Place::More)?;
        }
        match &mut self.page {
            Some(page) if self.turn.is_none() => page.put(text),
            _ => Ok(()),
        }
    }

    /// The same for what may be longer than a screen.
    fn put_long(&mut self, text: &str) -> Result<()> {
        let most = self.page.as_ref().map_or(usize::MAX, |page| page.rows_at_once() - 1);
        let lines: Vec<_> = text.lines().collect();
        lines.chunks(most.max(1)).try_for_each(|lines| self.put(&lines.join("\n")))
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.record.prose(text);
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.markdown(text);
        self.put(&text)
    }

    fn aside(&mut self, word: &str, text: &str) -> Result<()> {
        self.record.aside(word, text);
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.aside(word, text);
        self.put(&text)
    }

    fn engine(&mut self, engine: &str, lines: &str) -> Result<()> {
        self.record.engine(engine, lines);
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.engine(engine, lines);
        self.put(&text)
    }
}

/// Whether a line may change something: replaying leaves the others out.
fn changes(line: &str) -> bool {
    let words = Line::parse(line).map(|line| line.words(|_| None)).unwrap_or_default();
    !review::only_looks(words.get(1..).unwrap_or_default())
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
