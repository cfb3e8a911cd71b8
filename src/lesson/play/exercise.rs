//! **Try**: the reader does it in a shell of their own; the check watches the
//! kernel and accepts any way that leads there.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::lesson::check::{self, Bound, Judgement, Verdict, World};
use crate::lesson::model::{Leaves, Try};
use crate::lesson::perform::Done;
use crate::lesson::session;
use crate::lesson::stage::Left;
use crate::ui::keys::{Key, Keyboard};
use crate::ui::{Style, wrap};

use super::Player;
use super::keys::Act;
use super::open::Open;
use super::page::Page;
use super::present::Remedy;
use super::turn::Turn;
use super::watch::Watching;

/// What is said where not all of it is done.
const NOT_YET: &str = "**Not yet.** `h` gives a hint, `s` shows one way to do it.";
/// The same on a stage, where the solution should have done it.
const FAILED: &str = "**Not yet.** The solution does not do what is asked for.";

/// How long a solution may take at most to have its effect.
const PATIENCE: Duration = Duration::from_secs(10);

impl Player<'_> {
    /// Poses the task, or plays its solution where nobody is there.
    pub(super) fn exercise(&mut self, exercise: &Try) -> Result<()> {
        let claim = &exercise.claim;
        self.record.task(exercise);
        let judgement = self.judge(claim);
        if judgement.verdict == Verdict::Untestable {
            if let Some(page) = &mut self.page {
                let text = page.claim("Try", &claim.text, &judgement, &[]);
                self.put(&text)?;
            }
            self.note(claim, judgement);
            return Ok(());
        }
        if self.has_keys() {
            return self.by_hand(exercise);
        }
        self.aside("Try", &claim.text)?;
        self.solved_here(exercise)
    }

    /// The solution, played and shown.
    fn solved_here(&mut self, exercise: &Try) -> Result<()> {
        let begun = std::time::Instant::now();
        let played = self.solve(exercise)?;
        self.record.played(exercise, &played);
        let judgement = self.judge(&exercise.claim);
        let wrong = (judgement.verdict == Verdict::DoesNotHold).then(|| {
            let said = played.iter().map(|done| done.output.trim()).collect::<Vec<_>>().join("; ");
            format!("the solution does not do what is asked: {said}")
        });
        self.take(&exercise.claim.id, begun, &judgement.evidence, wrong);
        for (line, done) in exercise.solution.iter().zip(&played) {
            let Some(page) = &self.page else { break };
            let output = if done.exit == 0 { "" } else { &done.output };
            let line = self.stage.world().qualified(line);
            let text = page.performed(&line, &[], 0, output, false);
            let told = page.exit_told(done, 0, None);
            self.put(&text)?;
            told.map_or(Ok(()), |told| self.put(&told))?;
        }
        if let Some(page) = &mut self.page {
            let text = page.claim("The solution", "It does what was asked.", &judgement, &[]);
            self.put(&text)?;
        }
        self.note(&exercise.claim, judgement);
        Ok(())
    }

    /// Plays the solution; what it leaves is the lesson's to remove.
    pub(super) fn solve(&mut self, exercise: &Try) -> Result<Vec<Done>> {
        let before = self.stage.there_before(&exercise.leaves);
        self.solve_beside(exercise, &before)
    }

    fn solve_beside(&mut self, exercise: &Try, before: &[Left]) -> Result<Vec<Done>> {
        let played =
            exercise.solution.iter().map(|line| self.stage.shell(line)).collect::<Result<_>>()?;
        self.settled(exercise)?;
        let appeared = self.stage.appeared(&exercise.leaves, before);
        self.stage.adopt(&appeared)?;
        Ok(played)
    }

    /// What a shell left running in the background may need a moment to get there.
    fn settled(&mut self, exercise: &Try) -> Result<()> {
        let begun = Instant::now();
        for _ in 0..100 {
            self.stage.meet(&exercise.leaves)?;
            let holds = self.judge(&exercise.claim).verdict == Verdict::Holds;
            // A check may take its time.
            if holds || begun.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn by_hand(&mut self, exercise: &Try) -> Result<()> {
        let before = self.stage.there_before(&exercise.leaves);
        // Only where somebody else plays too must it be said which run is meant.
        let several = session::list().is_ok_and(|all| all.len() > 1);
        let run = if several { format!(" {}", self.stage.world().scope) } else { String::new() };
        let text = format!(
            "{}\n\nIn a second terminal, `eval \"$({} lesson env{run})\"` gives your shell this lesson's names; `!` opens one that has them.",
            exercise.claim.text,
            self.program()
        );
        self.aside("Try", &text)?;
        let mut open = Open::new(exercise, before);
        while self.turn.is_none() {
            let Some(act) = self.attend(&mut open)? else { break };
            match act {
                Act::Next if self.gone_on_from(&mut open)? => break,
                Act::Next => {}
                Act::Check => drop(self.look_at(&mut open, NOT_YET)?),
                Act::Shell => {
                    self.shell()?;
                    self.look_at(&mut open, NOT_YET)?;
                }
                Act::Hint => match open.hint() {
                    Some((word, text)) => self.aside(&word, text)?,
                    None => {
                        self.aside("Hint", "There are no more; `s` shows one way to do it.")?;
                    }
                },
                Act::Solution if open.shown => {
                    if self.solved_for_the_reader(&mut open)? {
                        return Ok(());
                    }
                }
                Act::Solution => {
                    open.shown = true;
                    self.show_solution(exercise)?;
                }
                act => self.common(act, open.place())?,
            }
        }
        self.tidy(&exercise.leaves, &open.before)
    }

    /// What the next key means; nothing where the reader has turned elsewhere. Meanwhile the
    /// kernel is watched, and what changes is told. Nobody watches any more when this returns.
    fn attend(&mut self, open: &mut Open<'_>) -> Result<Option<Act>> {
        let begun = Watching::begin(self.stage.world(), open.exercise, &open.judged);
        let mut watching = Some(begun?);
        loop {
            let news = watching.as_ref().map(AsFd::as_fd);
            if let Some(act) = self.act(open.place(), news)? {
                return Ok(Some(act));
            }
            let Some(watcher) = &mut watching else { continue };
            match watcher.news()? {
                Some(now) => self.tell_news(open, now)?,
                None => {
                    watching = None;
                    self.aside("Notice", "Nobody watches any more what you do; Enter looks.")?;
                }
            }
            if self.turn.is_some() {
                return Ok(None);
            }
        }
    }

    /// What has changed since the reader was told last.
    fn tell_news(&mut self, open: &mut Open<'_>, now: Vec<Judgement>) -> Result<()> {
        let mut lines = Vec::new();
        for met in self.stage.meet(&open.exercise.leaves)? {
            let Bound { name, pid, command, .. } = met;
            let variable = name.replace('-', "_");
            lines.push(format!(
                "`{}` is process {pid}: `${variable}_pid`, for `!` and `lesson env`.",
                command.join(" ")
            ));
        }
        let changes = open.changes(&now);
        let changed = !changes.is_empty();
        lines.extend(changes);
        open.judged = now;
        let Some(page) = &mut self.page else { return Ok(()) };
        if changed && open.is_solved() {
            let text = page.solved(open, self.stage.world());
            return self.put(&text);
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = lines.iter().map(|line| page.news(line)).collect::<Vec<_>>().join("\n");
        if self.present.is_some() {
            // A slide has all of it.
            text = format!("{}\n\n{}", page.aside("Try", &open.exercise.claim.text), text);
        }
        self.put(&text)
    }

    /// Enter: whether it is done, looked at once more; if not, which of the conditions hold.
    fn gone_on_from(&mut self, open: &mut Open<'_>) -> Result<bool> {
        let judgement = match open.is_solved() {
            // They have been told of it, and why.
            true => {
                self.stage.meet(&open.exercise.leaves)?;
                self.judge(&open.exercise.claim)
            }
            false => self.look_at(open, NOT_YET)?,
        };
        if judgement.verdict == Verdict::Holds {
            self.note(&open.exercise.claim, judgement);
            return Ok(true);
        }
        if open.is_solved() {
            self.look_at(open, "What held before does not hold any more.")?;
        }
        Ok(false)
    }

    /// Looks now, and says which of the conditions hold; `else_` is added where not all do.
    fn look_at(&mut self, open: &mut Open<'_>, else_: &str) -> Result<Judgement> {
        let claim = &open.exercise.claim;
        self.stage.meet(&open.exercise.leaves)?;
        let world = self.stage.world();
        open.judged = check::each(claim, world);
        let judgement = check::together(claim, world, &open.judged);
        if let Some(page) = &mut self.page {
            let text = match open.is_solved() {
                true => page.solved(open, world),
                false => {
                    let text = page.conditions(open, world);
                    format!("{text}\n\n{}", page.markdown(else_))
                }
            };
            self.put(&text)?;
        }
        Ok(judgement)
    }

    /// The solution, played because the reader wants it; whether the exercise is over.
    fn solved_for_the_reader(&mut self, open: &mut Open<'_>) -> Result<bool> {
        let (exercise, before) = (open.exercise, open.before.clone());
        loop {
            self.solve_beside(exercise, &before)?;
            let staged = self.present.is_some();
            let judgement = self.look_at(open, if staged { FAILED } else { NOT_YET })?;
            let holds = judgement.verdict == Verdict::Holds;
            if holds || staged {
                self.note(&exercise.claim, judgement.clone());
            }
            if holds || !staged {
                return Ok(holds);
            }
            if let Remedy::Again = self.refuted(&exercise.claim, &judgement)? {
                continue;
            }
            return Ok(self.turn.is_none());
        }
    }

    fn show_solution(&mut self, exercise: &Try) -> Result<()> {
        let world = self.stage.world();
        // Each command on a line of its own, told from the rest of a long one by its `$`.
        let lines =
            exercise.solution.iter().map(|line| format!("\\\n`$ {}`", world.qualified(line)));
        let lines: String = lines.collect();
        self.aside("One way to do it", &format!("{lines}\n\n`s` once more has it done for you."))
    }

    /// Asks before what the reader made is removed; what stays is not ours any more.
    fn tidy(&mut self, leaves: &[Leaves], before: &[Left]) -> Result<()> {
        let appeared = self.stage.appeared(leaves, before);
        let Some(page) = &mut self.page else { return Ok(()) };
        if appeared.is_empty() || self.turn == Some(Turn::Stop) {
            return Ok(());
        }
        let names: Vec<_> = appeared.iter().map(ToString::to_string).collect();
        let when = if self.turn.is_none() { "at the end of the lesson" } else { "now" };
        let question = format!("You made: {}. Remove it {when}? y or n", names.join(", "));
        let mut keyboard = Keyboard::open()?;
        page.prompt(&question)?;
        let wanted = loop {
            match keyboard.key(None)? {
                Key::Char('y') | Key::Enter => break true,
                Key::Char('n') | Key::Quit => break false,
                Key::Resumed => page.prompt(&format!("\n{question}"))?,
                _ => {}
            }
        };
        drop(keyboard);
        page.prompted(if wanted { "y" } else { "n" }.to_owned())?;
        if wanted { self.stage.adopt(&appeared) } else { Ok(()) }
    }

    /// How this program is called from another terminal.
    fn program(&self) -> String {
        let program = self.stage.world().program.display().to_string();
        let sudo = rustix::process::geteuid().is_root() && std::env::var_os("SUDO_UID").is_some();
        if sudo { format!("sudo {program}") } else { program }
    }
}

impl Page<'_> {
    /// That all of it is done, and why.
    fn solved(&mut self, open: &Open<'_>, world: &World) -> String {
        let done = self.markdown(&open.done());
        format!("{done}\n{}", self.conditions(open, world))
    }

    /// Which of the conditions hold, which do not, and how to see it.
    fn conditions(&mut self, open: &Open<'_>, world: &World) -> String {
        let told = open.exercise.claim.checks.iter().zip(&open.judged).enumerate();
        let told = told.map(|(index, (check, judgement))| {
            self.claim(&open.check(index), "", judgement, &[check.typed(world)])
        });
        told.collect::<Vec<_>>().join("\n")
    }

    /// A line on what has just changed.
    fn news(&self, line: &str) -> String {
        let style = match line.chars().next() {
            Some('✓') => Style::Good,
            Some('✗') => Style::Error,
            _ => return self.markdown(line),
        };
        let line = wrap(line, self.width(), "  ");
        let head = line.find(':').map_or(line.len(), |at| at);
        format!("{}{}", self.paint(&line[..head], style), &line[head..])
    }
}
