//! The player: a lesson's steps one by one, with or without somebody watching.
//!
//! Going back, resuming and starting in the middle are one mechanism: empty the
//! stage, then replay silently up to the step.

mod again;
mod clock;
mod compare;
mod engines;
mod exercise;
mod fences;
mod keys;
mod open;
mod page;
mod picture;
pub mod present;
mod tell;
mod turn;
mod walk;
mod watch;

pub(super) use fences::is_named;
pub use page::{Page, verdict_mark};
pub use walk::step_named;

use crate::error::Result;
use crate::kernel::probe::{self, Facts, Need, Verdict as Met};
use crate::ui::Screen;

use clock::Clock;
use keys::{Act, Place};
use present::{Present, Remedy};
use turn::Turn;

use super::check::{self, Judged, Judgement, Verdict};
use super::model::{Block, Claim, Kind, Lesson, Predict, Try};
use super::notebook::Target;
use super::perform::Look;
use super::progress::Run;
use super::record::{Machine, Record};
use super::rehearsal::{self, Take};
use super::score::Answers;
use super::stage::Stage;

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
    /// Where that is written while it is played, so that it is there however this ends.
    notebook: Option<&'a Target>,
    /// What became of each question, in earlier sittings of this run too.
    answers: Answers,
    /// How long those took, in seconds.
    earlier: u64,
    /// How long this one takes.
    clock: Clock,
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
            notebook: None,
            answers: Answers::new(),
            earlier: 0,
            clock: Clock::start(),
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

    /// One block.
    fn block(&mut self, block: &'a Block) -> Result<()> {
        if self.turn.is_some() {
            return Ok(());
        }
        self.show(block)?;
        // Whoever is waited for has it written at each key.
        if self.has_keys() { Ok(()) } else { self.keep_notebook() }
    }

    fn show(&mut self, block: &'a Block) -> Result<()> {
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
        let Some(page) = &mut self.page else { return Ok(()) };
        let text = page.answer(predict, choice, &answer, &typed);
        self.put(&text)?;
        answer.map_or(Ok(()), |finding| self.scored(predict, choice, &finding.value))
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

    /// Goes on with a run that was begun on another day.
    pub fn resume(&mut self, run: Run) {
        (self.answers, self.earlier) = (run.answers, run.seconds);
        // The lesson may have been changed since.
        let known = |judged: &Judged| self.lesson.claims().any(|(_, claim)| claim.id == judged.id);
        self.judged = run.judged.into_iter().filter(known).collect();
    }

    /// This run so far; and the seconds of it that the progress does not know yet.
    pub fn run_so_far(&mut self) -> (Run, u64) {
        self.clock.count();
        let seconds = self.earlier + self.clock.seconds();
        let (answers, judged) = (self.answers.clone(), self.judged.clone());
        (Run { seconds, answers, judged }, self.clock.fresh())
    }

    /// The step that was played last, counted from 0.
    pub fn reached(&self) -> usize {
        self.at
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
}

/// The first need that this machine does not meet: why, and the fix.
pub fn lacking(needs: &[Need], facts: &Facts) -> Option<(String, Option<String>)> {
    needs.iter().find_map(|need| match probe::check(need, facts) {
        Met::Met => None,
        Met::Missing { reason, fix } => Some((format!("needs {need}: {reason}"), fix)),
    })
}
