//! **Try**: the reader does it in a shell of their own; the check watches the
//! kernel and accepts any way that leads there.

use crate::error::Result;
use crate::lesson::check::{Judgement, Verdict};
use crate::lesson::model::{Leaves, Try};
use crate::lesson::perform::Done;
use crate::lesson::stage::Left;
use crate::ui::keys::Key;

use super::Player;

impl Player<'_> {
    /// Poses the task; `false` when the reader has had enough.
    pub(super) fn exercise(&mut self, exercise: &Try) -> Result<bool> {
        let claim = &exercise.claim;
        if let Judgement { verdict: Verdict::Untestable, evidence } = self.judge(claim) {
            let judgement = Judgement { verdict: Verdict::Untestable, evidence };
            if let Some(page) = &mut self.page {
                page.claim("Try", &claim.text, &judgement, &[])?;
            }
            self.note(claim, judgement);
            return Ok(true);
        }
        if self.page.as_ref().is_some_and(super::Page::has_keys) {
            return self.by_hand(exercise);
        }
        if let Some(page) = &mut self.page {
            page.aside("Try", &claim.text)?;
        }
        let played = self.solve(exercise)?;
        let judgement = self.judge(claim);
        let typed = |line: &String| self.stage.world().qualified(line);
        let solution: Vec<_> = exercise.solution.iter().map(typed).collect();
        if let Some(page) = &mut self.page {
            for (line, done) in solution.iter().zip(&played) {
                let output = if done.exit == 0 { "" } else { &done.output };
                page.performed(line, &[], 0, output, false)?;
                page.exit_told(done, 0, None)?;
            }
            page.claim("The solution", "It does what was asked.", &judgement, &[])?;
        }
        self.note(claim, judgement);
        Ok(true)
    }

    /// Plays the solution; what it leaves is the lesson's to remove.
    pub(super) fn solve(&mut self, exercise: &Try) -> Result<Vec<Done>> {
        let before = self.stage.there_before(&exercise.leaves);
        let played =
            exercise.solution.iter().map(|line| self.stage.shell(line)).collect::<Result<_>>()?;
        self.settled(exercise)?;
        let appeared = self.stage.appeared(&exercise.leaves, &before);
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

    fn by_hand(&mut self, exercise: &Try) -> Result<bool> {
        let claim = &exercise.claim;
        let before = self.stage.there_before(&exercise.leaves);
        let text = format!(
            "{}\n\nIn a second terminal, `eval \"$({} lesson env)\"` gives your shell this lesson's names.",
            claim.text,
            self.program()
        );
        self.aside("Try", &text)?;
        let mut hints = exercise.hints.iter();
        loop {
            let prompt = "Enter when it is done · s for the solution · q to stop here";
            let key = match &mut self.page {
                Some(page) => page.key(prompt)?,
                None => return Ok(true),
            };
            match key {
                Key::Quit | Key::Char('q') => {
                    self.tidy(&exercise.leaves, &before, false)?;
                    return Ok(false);
                }
                Key::Char('s') => self.show_solution(exercise)?,
                Key::Enter => {
                    self.stage.meet(&exercise.leaves)?;
                    let judgement = self.judge(claim);
                    self.show_conditions(exercise)?;
                    if judgement.verdict == Verdict::Holds {
                        self.note(claim, judgement);
                        self.tidy(&exercise.leaves, &before, true)?;
                        return Ok(true);
                    }
                    match hints.next() {
                        Some(hint) => self.aside("Hint", hint)?,
                        None => self.show_solution(exercise)?,
                    }
                }
                Key::Char(_) => {}
            }
        }
    }

    /// Which of the conditions hold, and which do not.
    fn show_conditions(&mut self, exercise: &Try) -> Result<()> {
        for check in &exercise.claim.checks {
            let judgement = check.judge(self.stage.world());
            let typed = check.typed(self.stage.world());
            if let Some(page) = &mut self.page {
                page.claim("Check", "", &judgement, &[typed])?;
            }
        }
        Ok(())
    }

    fn show_solution(&mut self, exercise: &Try) -> Result<()> {
        let world = self.stage.world();
        let lines = exercise.solution.iter().map(|line| format!("`{}`", world.qualified(line)));
        self.aside("One way to do it", &lines.collect::<Vec<_>>().join("\n"))
    }

    /// Asks before what the reader made is removed; what stays is not ours any more.
    fn tidy(&mut self, leaves: &[Leaves], before: &[Left], ask: bool) -> Result<()> {
        let appeared = self.stage.appeared(leaves, before);
        if appeared.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = appeared.iter().map(ToString::to_string).collect();
        let question =
            format!("You made: {}. Remove it at the end of the lesson? y or n", names.join(", "));
        let wanted = match &mut self.page {
            Some(page) if ask => loop {
                match page.key(&question)? {
                    Key::Char('y') | Key::Enter => break true,
                    Key::Char('n') | Key::Char('q') | Key::Quit => break false,
                    Key::Char(_) => {}
                }
            },
            _ => false,
        };
        if wanted { self.stage.adopt(&appeared) } else { Ok(()) }
    }

    /// How this program is called from another terminal.
    fn program(&self) -> String {
        let program = self.stage.world().program.display().to_string();
        let sudo = rustix::process::geteuid().is_root() && std::env::var_os("SUDO_UID").is_some();
        if sudo { format!("sudo {program}") } else { program }
    }
}
