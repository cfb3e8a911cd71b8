//! `lesson test`: every check both ways. With its effect it must be true;
//! without it (an ordinary process in the container's place, no container at
//! all, or the opposite made) it must be false. A check that cannot be false
//! proves nothing.

use crate::error::Result;

use super::check::{self, Judgement, Verdict};
use super::model::{Claim, Kind, Lesson, Opposite};
use super::play::Player;

/// What came of one claim.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Its id.
    pub id: String,
    /// With the effect.
    pub with: Judgement,
    /// Without it; none where it could not be tested with it either.
    pub without: Option<Judgement>,
}

impl Tried {
    /// Whether the check is one: true with its effect, false without.
    pub fn good(&self) -> bool {
        self.with.verdict == Verdict::Holds
            && self
                .without
                .as_ref()
                .is_some_and(|judgement| judgement.verdict == Verdict::DoesNotHold)
    }

    /// Whether this machine could tell at all.
    pub fn tested(&self) -> bool {
        self.with.verdict != Verdict::Untestable
    }
}

/// Tries every claim and exercise of a lesson.
pub fn trial(lesson: &Lesson) -> Result<Vec<Tried>> {
    let mut player = Player::silent(lesson)?;
    let mut tried = Vec::new();
    if let Some((reason, _)) = player.lacks() {
        let with = || Judgement { verdict: Verdict::Untestable, evidence: reason.clone() };
        let all = lesson.claims();
        return Ok(all
            .map(|(_, claim)| Tried { id: claim.id.clone(), with: with(), without: None })
            .collect());
    }
    for (index, step) in lesson.steps.iter().enumerate() {
        for (place, block) in step.blocks.iter().enumerate() {
            match &block.kind {
                Kind::Claim(claim) => {
                    player.stage().empty()?;
                    player.replay(index, place)?;
                    let with = player.judge(claim);
                    let without = match with.verdict {
                        Verdict::Untestable => None,
                        _ => Some(without(&mut player, claim)?),
                    };
                    tried.push(Tried { id: claim.id.clone(), with, without });
                }
                Kind::Try(exercise) => {
                    player.stage().empty()?;
                    player.replay(index, place)?;
                    player.stage().there_before(&exercise.leaves);
                    let without = player.judge(&exercise.claim);
                    player.replay_exercise(exercise)?;
                    let with = player.judge(&exercise.claim);
                    let without = (with.verdict != Verdict::Untestable).then_some(without);
                    tried.push(Tried { id: exercise.claim.id.clone(), with, without });
                }
                _ => {}
            }
        }
    }
    player.end()?;
    Ok(tried)
}

/// The claim where it must not hold.
fn without(player: &mut Player, claim: &Claim) -> Result<Judgement> {
    match &claim.opposite {
        Opposite::Ordinary => {
            let names: Vec<_> =
                player.stage().world().bound.iter().map(|bound| bound.name.clone()).collect();
            let world = player.stage().stand_ins(&names)?;
            Ok(check::judge(claim, &world))
        }
        Opposite::Nothing => {
            player.stage().empty()?;
            Ok(player.judge(claim))
        }
        Opposite::Command(line) => {
            player.stage().empty()?;
            if line.starts_with(super::review::PROGRAM) {
                player.stage().own(line)?;
            } else {
                player.stage().shell(line)?;
            }
            Ok(player.judge(claim))
        }
    }
}
