//! `verify`: every claim of every lesson, in one table; and the same table at
//! the end of a lesson.

use serde_json::json;

use crate::cli::Global;
use crate::cli::lesson::Verify;
use crate::effect::Driven;
use crate::error::{Exit, Result};
use crate::lesson::check::{Judged, Verdict};
use crate::lesson::library;
use crate::lesson::model::Lesson;
use crate::lesson::play::Player;
use crate::ui::{Align, Column, Screen, Style, Table, Value};

use super::{Clap, engine, fetch, play};

struct Row {
    lesson: String,
    judged: Judged,
}

const CLAIMS: Table<Row> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Left,
        help: "the lesson's number",
        value: |row| Value::Text(row.lesson.clone()),
    },
    Column {
        name: "CLAIM",
        align: Align::Left,
        help: "its id in the lesson",
        value: |row| Value::Text(row.judged.id.clone()),
    },
    Column {
        name: "VERDICT",
        align: Align::Left,
        help: "holds, does-not-hold, or untestable here",
        value: |row| Value::Text(row.judged.verdict.word().to_owned()),
    },
    Column {
        name: "EVIDENCE",
        align: Align::Left,
        help: "what this machine answered, or why it cannot",
        value: |row| Value::Text(row.judged.evidence.clone()),
    },
]);

/// `verify [LESSON...]`
pub fn verify(args: &Verify, global: &Global, screen: &mut Screen) -> Result<u8> {
    let lessons: Vec<Lesson> = match args.lessons.as_slice() {
        [] => library::embedded(),
        some => some.iter().map(|wanted| library::find(wanted, &Clap)).collect::<Result<_>>()?,
    };
    for lesson in &lessons {
        play::trusted(lesson, global.yes, screen)?;
    }
    if global.dry_run {
        let lines: Vec<_> = lessons.iter().flat_map(Lesson::lines).map(|(_, line)| line).collect();
        screen.out(&lines.join("\n"))?;
        return Ok(0);
    }
    if let Some(dir) = &args.offline {
        fetch::take_from(dir, &lessons, screen)?;
    }
    let engine = engine::chosen(&args.engine, screen)?;
    report(&lessons, args.offline.is_some(), engine, screen)
}

/// Plays them silently and prints what was judged.
pub(super) fn report(
    lessons: &[Lesson],
    offline: bool,
    engine: Option<Driven>,
    screen: &mut Screen,
) -> Result<u8> {
    let mut rows = Vec::new();
    for lesson in lessons {
        for judged in judge(lesson, offline, engine)? {
            rows.push(Row { lesson: lesson.key(), judged });
        }
    }
    if screen.json_wanted() {
        let claims: Vec<_> = rows.iter().map(claim_json).collect();
        screen.json(&json!({ "claims": claims }))?;
    } else {
        screen.table(&CLAIMS, &rows)?;
        let judged: Vec<_> = rows.iter().map(|row| row.judged.clone()).collect();
        screen.note(&count(&judged));
    }
    Ok(exit(rows.iter().map(|row| row.judged.verdict)))
}

fn judge(lesson: &Lesson, offline: bool, engine: Option<Driven>) -> Result<Vec<Judged>> {
    let mut player = Player::silent(lesson)?;
    if offline {
        player.stage().go_offline()?;
    }
    if let Some(engine) = engine {
        player.stage().drive(engine);
    }
    match player.lacks() {
        Some((reason, _)) => player.all_untestable(&reason),
        None => {
            player.play(0)?;
        }
    }
    player.end()
}

fn claim_json(row: &Row) -> serde_json::Value {
    let Judged { id, claim, verdict, evidence } = &row.judged;
    let untestable = *verdict == Verdict::Untestable;
    json!({
        "lesson": row.lesson,
        "id": id,
        "claim": claim,
        "verdict": verdict.word(),
        "evidence": (!untestable).then_some(evidence),
        "reason": untestable.then_some(evidence),
    })
}

/// The last words of a lesson: what held, and what did not or could not be told.
pub(super) fn summary(judged: &[Judged], screen: &mut Screen) -> Result<()> {
    let counted = crate::ui::wrap(&count(judged), screen.width().min(80), "");
    let mut text = screen.paint(&counted, Style::Heading);
    for claim in judged.iter().filter(|claim| claim.verdict != Verdict::Holds) {
        let mark = crate::lesson::play::verdict_mark(screen, claim.verdict);
        let line = format!("  {}: {mark} ({})", claim.id, claim.evidence);
        text.push_str(&format!("\n{}", crate::ui::wrap(&line, screen.width().min(80), "    ")));
    }
    screen.out(&text)
}

fn count(judged: &[Judged]) -> String {
    let of = |verdict| judged.iter().filter(|claim| claim.verdict == verdict).count();
    let mut text =
        format!("{} of {} claims hold on this machine", of(Verdict::Holds), judged.len());
    for (number, what) in [
        (
            of(Verdict::DoesNotHold),
            if of(Verdict::DoesNotHold) == 1 { "does not" } else { "do not" },
        ),
        (of(Verdict::Untestable), "cannot be tested here"),
    ] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text + "."
}

pub(super) fn held(judged: &[Judged]) -> usize {
    judged.iter().filter(|claim| claim.verdict == Verdict::Holds).count()
}

/// 3 if a claim does not hold, 4 if none could be tested, else 0.
pub(super) fn exit(verdicts: impl Iterator<Item = Verdict>) -> u8 {
    let all: Vec<_> = verdicts.collect();
    if all.contains(&Verdict::DoesNotHold) {
        Exit::DoesNotHold.code()
    } else if !all.is_empty() && all.iter().all(|verdict| *verdict == Verdict::Untestable) {
        Exit::CannotRun.code()
    } else {
        0
    }
}
