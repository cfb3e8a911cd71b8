//! **Try**: the reader does it in a shell of their own; the check watches the
//! kernel and accepts any way that leads there.

use crate::error::Result;
use crate::lesson::check::{Judgement, Verdict};
use crate::lesson::model::{Leaves, Try};
use crate::lesson::perform::Done;
use crate::lesson::session;
use crate::lesson::stage::Left;
use crate::ui::keys::{Key, Keyboard};

use super::Player;
use super::keys::{Act, Place};
use super::turn::Turn;

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
        for _ in 0..100 {
            self.stage.meet(&exercise.leaves)?;
            if self.judge(&exercise.claim).verdict == Verdict::Holds {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
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
        let (mut hints, mut shown) = (exercise.hints.iter(), false);
        while self.turn.is_none() {
            match self.act(Place::Exercise, None)? {
                Some(Act::Next | Act::Check) if self.done(exercise)? => break,
                Some(Act::Shell) => {
                    self.shell()?;
                    if self.done(exercise)? {
                        break;
                    }
                }
                Some(Act::Hint) => {
                    let none = "There are no more; `s` shows one way to do it.";
                    self.aside("Hint", hints.next().map_or(none, String::as_str))?;
                }
                Some(Act::Solution) if shown => {
                    self.solve_beside(exercise, &before)?;
                    if self.done(exercise)? {
                        return Ok(());
                    }
                }
                Some(Act::Solution) => {
                    shown = true;
                    self.show_solution(exercise)?;
                }
                Some(Act::Next | Act::Check) | None => {}
                Some(act) => self.common(act, Place::Exercise)?,
            }
        }
        self.tidy(&exercise.leaves, &before)
    }

    /// Looks whether it is done, and says which of the conditions hold.
    fn done(&mut self, exercise: &Try) -> Result<bool> {
        self.stage.meet(&exercise.leaves)?;
        let mut judgement = self.judge(&exercise.claim);
        let all_hold = self.show_conditions(exercise)?;
        // What was on its way a moment ago may be there by now: what is shown counts.
        if all_hold && judgement.verdict == Verdict::DoesNotHold {
            judgement = self.judge(&exercise.claim);
        }
        if judgement.verdict != Verdict::Holds {
            self.aside("Not yet", "`h` gives a hint, `s` shows one way to do it.")?;
            return Ok(false);
        }
        self.note(&exercise.claim, judgement);
        Ok(true)
    }

    /// Which of the conditions hold, and which do not; whether all do.
    fn show_conditions(&mut self, exercise: &Try) -> Result<bool> {
        let mut all_hold = true;
        for check in &exercise.claim.checks {
            let judgement: Judgement = check.judge(self.stage.world());
            all_hold &= judgement.verdict == Verdict::Holds;
            let typed = check.typed(self.stage.world());
            if let Some(page) = &mut self.page {
                let text = page.claim("Check", "", &judgement, &[typed]);
                self.put(&text)?;
            }
        }
        Ok(all_hold)
    }

    fn show_solution(&mut self, exercise: &Try) -> Result<()> {
        let world = self.stage.world();
        let lines = exercise.solution.iter().map(|line| format!("`{}`", world.qualified(line)));
        let lines = lines.collect::<Vec<_>>().join("\n");
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
