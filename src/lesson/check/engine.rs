//! What another engine changes about what can be claimed: containers that it
//! could not start, and what it does otherwise than ours.

use super::{Judgement, Test, Verdict, World};
use crate::lesson::driving::Foreign;
use crate::lesson::model::Claim;
use crate::lesson::review::PROGRAM;

impl World {
    /// The container of another engine that has this name in the lesson.
    pub fn foreign(&self, name: &str) -> Option<&Foreign> {
        self.foreign.iter().find(|foreign| foreign.name == name)
    }

    /// A line in which our commands name the containers of another engine by
    /// engine and name: `under-the-hood exec docker:box id`.
    pub fn qualified(&self, line: &str) -> String {
        if self.foreign.is_empty() || !line.contains(PROGRAM) {
            return line.to_owned();
        }
        let mut made: Vec<String> = Vec::new();
        // Whether a TARGET can come: in a command of ours, before what it runs.
        let (mut ours, mut several) = (false, false);
        for word in line.split(' ') {
            let bare = word.trim_end_matches([')', ';']);
            if word.trim_start_matches(['(', '"']).rsplit('(').next() == Some(PROGRAM) {
                (ours, several) = (true, false);
            } else if word == "--" || word.starts_with('|') || word.starts_with('&') {
                ours = false;
            } else if word == "inspect" {
                several = true;
            }
            match self.foreign(bare) {
                Some(Foreign { there, engine, .. }) if ours => {
                    made.push(format!("{}:{there}{}", engine.name(), &word[bare.len()..]));
                    ours = several;
                }
                _ => made.push(word.to_owned()),
            }
        }
        made.join(" ")
    }
}

/// A claim that does not hold, where the engine is the reason: then it cannot be
/// tested with this one. What holds all the same, holds.
pub fn excused(claim: &Claim, world: &World, judged: Judgement) -> Judgement {
    if judged.verdict == Verdict::Holds {
        return judged;
    }
    let Some(engine) = world.engine else { return judged };
    let lacking = world.lacking.iter().find(|(name, _)| {
        !world.bound.iter().any(|bound| bound.name == *name)
            && claim.checks.iter().any(|check| mentions(check, name))
    });
    if let Some((name, why)) = lacking {
        let evidence = format!("there is no {name} {why}");
        return Judgement { verdict: Verdict::Untestable, evidence };
    }
    let excepted = claim.except.iter().find(|(engines, _)| engines.contains(&engine));
    match (excepted, judged.verdict) {
        (Some((_, why)), Verdict::DoesNotHold) => {
            let evidence = format!("with {}: {why} ({})", engine.name(), judged.evidence);
            Judgement { verdict: Verdict::Untestable, evidence }
        }
        _ => judged,
    }
}

fn mentions(check: &Test, name: &str) -> bool {
    let variable = format!("${}_", name.replace('-', "_"));
    let line = check.shell_line().map(|(_, line)| line).unwrap_or_default();
    let by_word = || line.split([' ', '"', ')', ';']).any(|word| word == name);
    check.targets().contains(&name)
        || check.arguments().iter().any(|argument| argument.contains(&variable))
        || line.contains(&variable)
        || (line.contains(PROGRAM) && by_word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Driven;
    use crate::lesson::driving::Foreign;

    #[test]
    fn our_commands_name_the_engine_and_what_they_run_is_left_alone() {
        let foreign = |name: &str, there: &str| Foreign {
            name: name.to_owned(),
            there: there.to_owned(),
            engine: Driven::Docker,
        };
        let foreign = vec![foreign("box", "box"), foreign("twin", "twin-lesson1-3fa2c1")];
        let world = World { foreign, ..World::default() };
        for (line, expected) in [
            ("under-the-hood exec box ls box", "under-the-hood exec docker:box ls box"),
            (
                "under-the-hood inspect compare box twin",
                "under-the-hood inspect compare docker:box docker:twin-lesson1-3fa2c1",
            ),
            (
                "test \"$(under-the-hood exec box cat /x)\" = box",
                "test \"$(under-the-hood exec docker:box cat /x)\" = box",
            ),
            ("(under-the-hood exec -d box sleep 1)", "(under-the-hood exec -d docker:box sleep 1)"),
            (
                "under-the-hood netns exec box -- echo box",
                "under-the-hood netns exec docker:box -- echo box",
            ),
            ("echo box", "echo box"),
        ] {
            assert_eq!(world.qualified(line), expected);
        }
    }
}
