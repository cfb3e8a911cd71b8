//! `lesson test`: every check both ways. With its effect it must be true;
//! without it (an ordinary process in the container's place, no container at
//! all, or the opposite made) it must be false. A check that cannot be false
//! proves nothing.
//!
//! The lesson is played through once; worlds that need an empty stage come after it.

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
        player.end()?;
        let with = || Judgement { verdict: Verdict::Untestable, evidence: reason.clone() };
        let all = lesson.claims();
        return Ok(all
            .map(|(_, claim)| Tried { id: claim.id.clone(), with: with(), without: None })
            .collect());
    }
    for block in lesson.steps.iter().flat_map(|step| &step.blocks) {
        match &block.kind {
            Kind::Claim(claim) => {
                let with = player.judge(claim);
                let without = match (with.verdict, &claim.opposite) {
                    (Verdict::Untestable, _) => None,
                    (_, Opposite::Ordinary) => Some(beside_ordinary(&mut player, claim)?),
                    // Found out below.
                    _ => None,
                };
                tried.push(Tried { id: claim.id.clone(), with, without });
            }
            Kind::Try(exercise) => {
                player.stage().there_before(&exercise.leaves);
                let without = player.judge(&exercise.claim);
                player.replay_exercise(exercise)?;
                let with = player.judge(&exercise.claim);
                let without = (with.verdict != Verdict::Untestable).then_some(without);
                tried.push(Tried { id: exercise.claim.id.clone(), with, without });
            }
            _ => player.replay_block(block)?,
        }
    }
    for (tried, (_, claim)) in tried.iter_mut().zip(lesson.claims()) {
        if tried.tested() && tried.without.is_none() {
            player.stage().empty()?;
            tried.without = Some(on_an_empty_stage(&mut player, claim)?);
        }
    }
    player.end()?;
    Ok(tried)
}

/// The claim of ordinary processes of this machine.
fn beside_ordinary(player: &mut Player, claim: &Claim) -> Result<Judgement> {
    let names: Vec<_> =
        player.stage().world().bound.iter().map(|bound| bound.name.clone()).collect();
    let world = player.stage().stand_ins(&names)?;
    Ok(check::judge(claim, &world))
}

/// The claim where nothing has been done, or only the opposite.
fn on_an_empty_stage(player: &mut Player, claim: &Claim) -> Result<Judgement> {
    if let Opposite::Command(line) = &claim.opposite {
        if line.starts_with(super::review::PROGRAM) {
            player.stage().own(line)?;
        } else {
            player.stage().shell(line)?;
        }
    }
    Ok(player.judge(claim))
}
