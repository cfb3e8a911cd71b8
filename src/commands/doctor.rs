//! `doctor`: what this machine can do, lesson by lesson, and the fix for what
//! it cannot.

use serde::Serialize;
use serde_json::json;

use crate::cli::setup::Doctor;
use crate::error::{Exit, Result};
use crate::kernel::probe::{self, Fact, Facts, Need, Verdict, Way};
use crate::lesson::{self, Needs};
use crate::ui::{Align, Column, Screen, Style, Table, Value, wrap};

/// How a lesson stands on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ready,
    Limited,
    Cannot,
}

/// Something that a lesson lacks, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lack {
    need: Need,
    reason: String,
    fix: Option<String>,
}

/// One lesson, judged.
#[derive(Debug)]
struct Judged {
    number: u32,
    title: String,
    state: State,
    claims_met: usize,
    claims: usize,
    lacks: Vec<Lack>,
    /// The numbers of its lacks in the list below the table.
    fixes: Vec<String>,
}

const LESSONS: Table<Judged> = Table(&[
    Column {
        name: "LESSON",
        align: Align::Left,
        help: "number and title",
        value: |lesson| Value::Text(format!("{} {}", lesson.number, lesson.title)),
    },
    Column {
        name: "STATE",
        align: Align::Left,
        help: "ready, limited (how many claims can be tested), cannot",
        value: |lesson| Value::Text(lesson.described()),
    },
    Column {
        name: "FIX",
        align: Align::Left,
        help: "the numbers of the fixes below",
        value: |lesson| match lesson.fixes.as_slice() {
            [] => Value::None,
            some => Value::List(some.to_vec()),
        },
    },
    Column {
        name: "WHY",
        align: Align::Left,
        help: "what is missing",
        value: |lesson| match lesson.lacks.as_slice() {
            [] => Value::None,
            some => Value::Text(format!(
                "lacks {}",
                some.iter().map(|lack| lack.need.to_string()).collect::<Vec<_>>().join(", ")
            )),
        },
    },
]);

/// Looks at everything, prints it, and says by the exit code whether any lesson can run.
pub fn run(args: &Doctor, screen: &mut Screen) -> Result<u8> {
    let facts = Facts::new().offline(args.offline);
    if args.install {
        return installs(&facts, screen);
    }
    facts.possible()?;
    let mut judged: Vec<_> = lesson::needs().iter().map(|lesson| judge(lesson, &facts)).collect();
    let repairs = number_repairs(&mut judged);
    let known = facts.all();
    if screen.json_wanted() {
        screen.json(&json!({
            "host": facts.host(),
            "facts": known,
            "lessons": judged.iter().map(Judged::json).collect::<Vec<_>>(),
            "install": facts.installs(),
        }))?;
    } else {
        for_people(&judged, &repairs, &known, screen)?;
        let here = facts.installs();
        let here = ways(&ways_of(&here, |way| way.here), screen);
        screen.out(here.trim_end())?;
        screen.note("`under-the-hood doctor --install`: the same for other distributions.");
    }
    let some_run = judged.iter().any(|lesson| lesson.state != State::Cannot);
    Ok(if some_run { 0 } else { Exit::CannotRun.code() })
}

/// How each engine is installed, this machine's distribution first.
fn installs(facts: &Facts, screen: &mut Screen) -> Result<u8> {
    let all = facts.installs();
    if screen.json_wanted() {
        return screen.json(&json!({ "install": all })).map(|()| 0);
    }
    screen.out(ways(&ways_of(&all, |_| true), screen).trim()).map(|()| 0)
}

fn ways_of(ways: &[Way], which: impl Fn(&Way) -> bool) -> Vec<&Way> {
    ways.iter().filter(|way| which(way)).collect()
}

/// Under each distribution its engines, under each of those what to type.
fn ways(ways: &[&Way], screen: &Screen) -> String {
    let mut text = String::new();
    let mut distribution = "";
    for way in ways {
        if way.distribution != distribution {
            distribution = way.distribution;
            let here = if way.here { " (this machine)" } else { "" };
            let heading = format!("Installing an engine: {distribution}{here}");
            let heading = wrap(&heading, screen.width(), "  ");
            text.push_str(&format!("\n{}\n", screen.paint(&heading, Style::Heading)));
        }
        text.push_str(&format!("    {}\n", way.engine.name()));
        for command in &way.commands {
            text.push_str(&format!("      {}\n", screen.paint(command, Style::Command)));
        }
    }
    text
}

/// A lesson is ready when all it asks for is there, and cannot run when it
/// lacks what the whole of it needs, or when none of its claims can be tested.
fn judge(lesson: &Needs, facts: &Facts) -> Judged {
    let number = lesson.number.unwrap_or_default();
    let command = format!("lesson {number}");
    let mut lacks: Vec<Lack> = Vec::new();
    let mut met = |needs: &[Need]| {
        let mut all = true;
        for need in needs {
            let verdict = probe::check_for(need, facts, &command);
            if let Verdict::Missing { reason, fix } = verdict {
                all = false;
                if !lacks.iter().any(|lack| lack.need == *need) {
                    lacks.push(Lack { need: need.clone(), reason, fix });
                }
            }
        }
        all
    };
    let whole = met(&lesson.lesson);
    let claims_met = lesson.claims.iter().filter(|(_, needs)| met(needs)).count();
    let claims = lesson.claims.len();
    let state = match (whole, claims_met) {
        (false, _) => State::Cannot,
        (true, met) if met == claims => State::Ready,
        (true, 0) => State::Cannot,
        (true, _) => State::Limited,
    };
    let claims_met = if whole { claims_met } else { 0 };
    let title = lesson.title.clone();
    Judged { number, title, state, claims_met, claims, lacks, fixes: Vec::new() }
}

/// Something to repair, for one lesson or several.
#[derive(Debug)]
struct Repair {
    needs: Vec<String>,
    reason: String,
    fix: Option<String>,
}

/// Gives each different reason a number, in the order of the lessons.
fn number_repairs(judged: &mut [Judged]) -> Vec<Repair> {
    let mut list: Vec<Repair> = Vec::new();
    for lesson in judged {
        for lack in &lesson.lacks {
            let known = list.iter().position(|repair| repair.reason == lack.reason);
            let index = known.unwrap_or_else(|| {
                let (reason, fix) = (lack.reason.clone(), lack.fix.clone());
                list.push(Repair { needs: Vec::new(), reason, fix });
                list.len() - 1
            });
            let (need, number) = (lack.need.to_string(), (index + 1).to_string());
            if !list[index].needs.contains(&need) {
                list[index].needs.push(need);
            }
            if !lesson.fixes.contains(&number) {
                lesson.fixes.push(number);
            }
        }
    }
    list
}

impl Judged {
    fn described(&self) -> String {
        match self.state {
            State::Ready => "ready".to_owned(),
            State::Cannot => "cannot".to_owned(),
            State::Limited => format!("limited ({} of {} claims)", self.claims_met, self.claims),
        }
    }

    fn json(&self) -> serde_json::Value {
        let joined = |parts: Vec<&str>| {
            let mut once: Vec<&str> = Vec::new();
            for part in parts {
                if !once.contains(&part) {
                    once.push(part);
                }
            }
            (!once.is_empty()).then(|| once.join("\n"))
        };
        let reasons = self.lacks.iter().map(|lack| lack.reason.as_str()).collect();
        let fixes = self.lacks.iter().filter_map(|lack| lack.fix.as_deref());
        let fixes = fixes.flat_map(str::lines).collect();
        json!({
            "number": self.number,
            "title": self.title,
            "state": self.state,
            "claims_met": self.claims_met,
            "claims": self.claims,
            "lacks": self.lacks.iter().map(|lack| lack.need.to_string()).collect::<Vec<_>>(),
            "reason": joined(reasons),
            "fix": joined(fixes),
        })
    }
}

fn for_people(
    lessons: &[Judged],
    repairs: &[Repair],
    facts: &[Fact],
    screen: &mut Screen,
) -> Result<()> {
    screen.table(&LESSONS, lessons)?;
    let mut text = String::new();
    for (index, repair) in repairs.iter().enumerate() {
        let head = format!("{}. {}: {}", index + 1, repair.needs.join(", "), repair.reason);
        text.push_str(&format!("\n{}\n", wrap(&head, screen.width(), "   ")));
        for line in repair.fix.iter().flat_map(|fix| fix.lines()) {
            text.push_str(&format!("{}\n", remedy(line, screen)));
        }
    }
    let mut section = "";
    for (index, fact) in facts.iter().enumerate() {
        if fact.section != section {
            section = fact.section;
            text.push_str(&format!("\n{}\n", screen.paint(section, Style::Heading)));
        }
        let same = |other: &&Fact| fact.reason.is_some() && other.reason == fact.reason;
        match facts[..index].iter().find(same) {
            Some(other) => text.push_str(&fact_for_people(&as_above(fact, other), screen)),
            None => text.push_str(&fact_for_people(fact, screen)),
        }
    }
    screen.out(&text)
}

/// The same reason is said once.
fn as_above(fact: &Fact, other: &Fact) -> Fact {
    let reason = Some(format!("for the same reason as: {}", other.name));
    Fact { reason, fix: None, ..fact.clone() }
}

/// ```text
/// ok  tmpfs in it             mounted
/// no  overlay in it           no
///                             mount("overlay", …): ENODEV (No such device)
///                             sudo modprobe overlay
/// ```
fn fact_for_people(fact: &Fact, screen: &Screen) -> String {
    // On a narrow screen the value stands below the name.
    let narrow = screen.width() < 60;
    let margin = if narrow { 6 } else { 28 };
    let mark = match fact.ok {
        Some(true) => screen.paint("ok", Style::Good),
        Some(false) => screen.paint("no", Style::Warning),
        None => "  ".to_owned(),
    };
    let value = match &fact.value {
        serde_json::Value::Array(items) if items.is_empty() => "none".to_owned(),
        serde_json::Value::Array(items) => {
            items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join(" ")
        }
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let room = screen.width().saturating_sub(margin).max(20);
    let hang = format!("\n{}", " ".repeat(margin));
    let mut lines: Vec<String> = wrap(&value, room, "").lines().map(str::to_owned).collect();
    if fact.ok == Some(false) && value == "no" {
        lines.clear();
    }
    if let Some(reason) = &fact.reason {
        lines.extend(wrap(reason, room, "").lines().map(str::to_owned));
    }
    let mut text = format!("{mark}  {:<24}", fact.name);
    if narrow {
        text.truncate(text.trim_end().len());
    }
    if (narrow && !lines.is_empty()) || fact.name.len() >= 24 {
        text.push_str(&hang);
    }
    text.push_str(&lines.join(&hang));
    for line in fact.fix.iter().flat_map(|fix| fix.lines()) {
        text.push_str(&format!("\n{}", remedy(line, screen)));
    }
    text.push('\n');
    text
}

/// A command is not wrapped: it is there to be copied. A sentence is.
fn remedy(line: &str, screen: &Screen) -> String {
    match line.ends_with('.') {
        true => wrap(&format!("      {line}"), screen.width(), "      "),
        false => format!("      {}", screen.paint(line, Style::Command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(needs: &[&str], claims: &[&[&str]]) -> Needs {
        let parse = |needs: &[&str]| -> Vec<Need> {
            needs.iter().map(|need| need.parse().expect("a need")).collect()
        };
        Needs {
            number: Some(3),
            title: "Some".to_owned(),
            lesson: parse(needs),
            claims: claims.iter().map(|needs| ("claim".to_owned(), parse(needs))).collect(),
        }
    }

    fn judged(needs: &[&str], claims: &[&[&str]]) -> Judged {
        judge(&lesson(needs, claims), &Facts::new().offline(true))
    }

    const NEVER: &str = "tool:no-such-program";

    #[test]
    fn a_lesson_is_ready_limited_or_cannot() {
        let ready = judged(&[], &[&[], &["tool:sh"]]);
        assert_eq!((ready.state, ready.claims_met, ready.claims), (State::Ready, 2, 2));
        let limited = judged(&["tool:sh"], &[&[], &[NEVER], &[NEVER]]);
        assert_eq!(limited.state, State::Limited);
        assert_eq!(limited.described(), "limited (1 of 3 claims)");
        assert_eq!(limited.lacks.len(), 1, "said once");
        assert_eq!(judged(&[NEVER], &[&[], &[]]).state, State::Cannot);
        assert_eq!(judged(&[], &[&[NEVER]]).state, State::Cannot);
        assert_eq!(judged(&[], &[]).state, State::Ready);
    }

    #[test]
    fn fixes_are_numbered_across_lessons() {
        let mut lessons = vec![judged(&[NEVER], &[]), judged(&["network", NEVER], &[])];
        let repairs = number_repairs(&mut lessons);
        assert_eq!(repairs.len(), 2);
        assert_eq!(repairs[1].needs, ["network"]);
        assert_eq!(lessons[0].fixes, ["1"]);
        assert_eq!(lessons[1].fixes, ["2", "1"]);
    }
}
