//! `e`: how other engines do what this step does, for people who know one of them.

use crate::error::Result;
use crate::lesson::model::Kind;
use crate::ui::{Style, wrap};

use super::Player;

impl Player<'_> {
    /// The lines to type with each of them, or why there are none.
    pub(super) fn engines(&mut self) -> Result<()> {
        let Some(step) = self.lesson.steps.get(self.at) else { return Ok(()) };
        let fences = step.blocks.iter().filter_map(|block| match &block.kind {
            Kind::Run(fence) => Some(fence),
            _ => None,
        });
        let mut told = false;
        for (_, line) in fences.flat_map(|fence| &fence.lines) {
            let elsewhere = self.stage.elsewhere(line)?;
            let Some(page) = self.page.as_ref().filter(|_| !elsewhere.is_empty()) else { continue };
            let mut text = page.performed(line, &[], 0, "", false);
            for (engine, lines) in elsewhere {
                let name = engine.name();
                match lines {
                    Ok(lines) => {
                        let typed =
                            |line: &String| format!("      $ {}", page.paint(line, Style::Command));
                        let lines: Vec<_> = lines.iter().map(typed).collect();
                        text.push_str(&format!("\n    with {name}:\n{}", lines.join("\n")));
                    }
                    Err(why) => {
                        let why =
                            wrap(&format!("    not with {name}: {why}"), page.width(), "      ");
                        text.push_str(&format!("\n{why}"));
                    }
                }
            }
            told = true;
            self.put_long(&text)?;
        }
        match told {
            true => Ok(()),
            false => self.quietly("No command of this step starts or ends a container that stays."),
        }
    }
}
