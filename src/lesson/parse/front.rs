//! The TOML at the top of a lesson, between two lines `+++`.

use serde::Deserialize;

use crate::kernel::probe::Need;
use crate::lesson::fault::Fault;
use crate::lesson::model::Front;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: String,
    chapter: String,
    minutes: u32,
    #[serde(default)]
    needs: Vec<String>,
}

/// Longer than this, and it should be two lessons.
const LONGEST: u32 = 30;

/// The front matter, and where the lesson's body begins.
pub fn parse(text: &str, faults: &mut Vec<Fault>) -> (Front, usize) {
    let allowed = "a lesson starts with a line `+++`, then title, chapter, minutes and needs as TOML, then `+++`";
    let Some(rest) = text.strip_prefix("+++\n") else {
        faults.push(Fault::new(1, "there is no front matter").allowed(allowed));
        return (Front::default(), 0);
    };
    let Some(end) = rest.find("\n+++\n") else {
        faults.push(Fault::new(1, "the front matter does not end").allowed(allowed));
        return (Front::default(), text.len());
    };
    let (toml, body_at) = (&rest[..=end], "+++\n".len() + end + "\n+++\n".len());
    let raw: Raw = match toml::from_str(toml) {
        Ok(raw) => raw,
        Err(error) => {
            let line = error.span().map_or(1, |span| super::line_of(toml, span.start) + 1);
            faults.push(Fault::new(line, error.message().replace('\n', " ")));
            return (Front::default(), body_at);
        }
    };
    let line_of =
        |key: &str| toml.lines().position(|line| line.starts_with(key)).map_or(1, |at| at + 2);
    if !(1..=LONGEST).contains(&raw.minutes) {
        let what = format!("a lesson of {} minutes", raw.minutes);
        faults.push(Fault::new(line_of("minutes"), what).allowed(format!("1 to {LONGEST}")));
    }
    let needs = needs(line_of("needs"), raw.needs.iter().map(String::as_str), faults);
    (Front { title: raw.title, chapter: raw.chapter, minutes: raw.minutes, needs }, body_at)
}

/// Needs by name; the names that nobody checks are mistakes.
pub fn needs<'a>(
    line: usize,
    names: impl Iterator<Item = &'a str>,
    faults: &mut Vec<Fault>,
) -> Vec<Need> {
    let mut needs = Vec::new();
    for name in names {
        match name.parse::<Need>() {
            Ok(need) => needs.push(need),
            Err(error) => {
                let mut fault = Fault::new(line, format!("unknown need `{name}`"));
                fault.allowed =
                    error.hint.map(|hint| hint.replace("Allowed", "allowed").replace('.', ""));
                faults.push(fault);
            }
        }
    }
    needs
}
