//! Where the player waits, and what the keys do that mean the same everywhere.

use std::os::fd::BorrowedFd;

use crate::error::{Context, Result};
use crate::lesson::model::Kind;
use crate::lesson::perform;
use crate::ui::Style;
use crate::ui::keys::{Key, Keyboard};

use super::Player;
use super::keys::{self, Act, Place};

/// Where the reader wants to go instead of on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Out of the lesson, with the place kept.
    Stop,
    /// To the step before.
    Back,
    /// To the beginning of this step.
    Again,
    /// To this step, counted from 0.
    To(usize),
}

impl Player<'_> {
    /// Whether somebody answers.
    pub(super) fn has_keys(&self) -> bool {
        self.page.as_ref().is_some_and(super::Page::has_keys)
    }

    /// Waits until the reader goes on, or somewhere else (see `turn`).
    pub(super) fn wait(&mut self, place: Place) -> Result<()> {
        if !self.has_keys() {
            return Ok(());
        }
        while self.turn.is_none() {
            match self.act(place, None)? {
                Some(Act::Next) => break,
                Some(act) => self.common(act, place)?,
                None => {}
            }
        }
        Ok(())
    }

    /// The next key that means something here; `None` when `other` has something to say.
    pub(super) fn act(&mut self, place: Place, other: Option<BorrowedFd>) -> Result<Option<Act>> {
        self.keep_notebook()?;
        let Some(page) = &mut self.page else { return Ok(Some(Act::Next)) };
        let plain = page.plain();
        let prompt = keys::lettered(&keys::prompt(place), place, plain);
        // First the keyboard: whoever sees the prompt may type already.
        let mut keyboard = Keyboard::open()?;
        page.prompt(&prompt)?;
        let mut told = false;
        let act = loop {
            let key = keys::numbered(keyboard.key(other)?, place, plain);
            match (key, keys::meaning(key, place)) {
                (Key::News, _) => break None,
                (_, Some(act)) => break Some(act),
                (Key::Resumed, None) => page.prompt(&format!("\n{prompt}"))?,
                (key, None) if !told && keys::known_elsewhere(key) => {
                    told = true;
                    page.prompt("\nThat key does nothing here; ? shows those that do.")?;
                    page.prompt(&format!("\n{prompt}"))?;
                }
                _ => {}
            }
        };
        drop(keyboard);
        if act.is_some() {
            self.clock.count();
        }
        page.prompted(match act {
            Some(Act::Choose(choice)) => crate::ui::plain::choice(choice, plain),
            _ => String::new(),
        })?;
        Ok(act)
    }

    /// What means the same wherever it is typed.
    pub(super) fn common(&mut self, act: Act, place: Place) -> Result<()> {
        match act {
            Act::Quit => self.turn = Some(Turn::Stop),
            Act::Again => self.turn = Some(Turn::Again),
            Act::Back if self.before(self.at).is_none() => {
                self.quietly("There is no step before this one.")?;
            }
            Act::Back => self.turn = Some(Turn::Back),
            Act::Keys => {
                let plain = self.page.as_ref().is_some_and(super::Page::plain);
                self.put(&keys::lettered(&keys::help(place), place, plain))?;
            }
            Act::Operations => self.operations()?,
            Act::Check => {
                if !self.check_again()? {
                    self.quietly("This step has claimed nothing so far.")?;
                }
            }
            Act::Shell => {
                self.shell()?;
                self.check_again()?;
            }
            Act::Goto => self.go_to()?,
            Act::Engines => self.engines()?,
            Act::Retry | Act::Skip | Act::Recorded | Act::Builtin => {}
            Act::Next | Act::Choose(_) | Act::Hint | Act::Solution => {}
        }
        Ok(())
    }

    pub(super) fn quietly(&mut self, text: &str) -> Result<()> {
        let Some(page) = &self.page else { return Ok(()) };
        let text = page.paint(text, Style::Dim);
        self.put(&text)
    }

    /// `x`: every kernel operation of the commands that were performed last.
    fn operations(&mut self) -> Result<()> {
        if self.performed.iter().all(|(_, steps)| steps.is_empty()) {
            return self.quietly("The last commands reported no kernel operations.");
        }
        for (line, steps) in self.performed.clone() {
            let Some(page) = &self.page else { break };
            let steps: Vec<_> = steps.iter().collect();
            let text = page.performed(&line, &steps, 0, "", false);
            self.put_long(&text)?;
        }
        Ok(())
    }

    /// `c`: what this step has claimed so far, once more; whether there was anything.
    fn check_again(&mut self) -> Result<bool> {
        let Some(step) = self.lesson.steps.get(self.at) else { return Ok(false) };
        let judged = |id: &str| self.judged.iter().any(|judged| judged.id == id);
        let claims: Vec<_> = step
            .blocks
            .iter()
            .filter_map(|block| match &block.kind {
                Kind::Claim(claim) => Some(claim),
                Kind::Try(exercise) => Some(&exercise.claim),
                _ => None,
            })
            .filter(|claim| judged(&claim.id))
            .collect();
        for claim in &claims {
            self.claim(claim)?;
        }
        Ok(!claims.is_empty())
    }

    /// `!`: the reader's own shell, with the lesson's names, on this terminal.
    pub(super) fn shell(&mut self) -> Result<()> {
        let program =
            std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh".into());
        let world = self.stage.world();
        let names: Vec<_> = world.variables().iter().map(|(name, _)| format!("${name}")).collect();
        let mut command = std::process::Command::new(&program);
        command.envs(world.variables()).env("PATH", perform::search_path(&world.program));
        command.env("PS1", format!("(lesson {}) $ ", self.lesson.key()));
        if let Some(page) = &mut self.page {
            let note = format!(
                "Your shell, outside every container; it knows {}. `exit` comes back.",
                names.join(", ")
            );
            let note = crate::ui::wrap(&note, page.width(), "");
            page.put(&page.paint(&note, Style::Dim))?;
        }
        let call = || format!("execve({program:?})");
        crate::ui::foreground(&mut command).tried(call)?;
        self.clock.count();
        if let Some(page) = &mut self.page {
            page.put(&page.paint("Back in the lesson.", Style::Dim))?;
        }
        Ok(())
    }
}
