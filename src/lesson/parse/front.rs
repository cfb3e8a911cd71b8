//! The TOML at the top of a lesson, between two lines `+++`.

use toml::{Table, Value};

use crate::kernel::probe::Need;
use crate::lesson::fault::Fault;
use crate::lesson::model::Front;

const KEYS: [&str; 4] = ["title", "chapter", "minutes", "needs"];

/// Longer than this, and it should be two lessons.
const LONGEST: u32 = 30;

/// The front matter, and where the lesson's body begins.
pub fn parse(text: &str, faults: &mut Vec<Fault>) -> (Front, usize) {
    let allowed = "a lesson starts with a line `+++`, then title, chapter, minutes and needs as TOML, then `+++`";
    let Some(rest) = text.strip_prefix("+++\n") else {
        faults.push(Fault::new(1, "there is no front matter").allowed(allowed));
        return (Front::default(), 0);
    };
    let Some(end) =
        rest.find("\n+++\n").or_else(|| rest.ends_with("\n+++").then(|| rest.len() - 4))
    else {
        faults.push(Fault::new(1, "the front matter does not end").allowed(allowed));
        return (Front::default(), text.len());
    };
    let (toml, body_at) = (&rest[..=end], text.len().min("+++\n".len() + end + "\n+++\n".len()));
    let table: Table = match toml.parse() {
        Ok(table) => table,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let before = &toml[..at.min(toml.len())];
            let mut fault = Fault::new(
                super::line_of(toml, at) + 1,
                format!("this is not TOML: {}", error.message().replace('\n', " ")),
            )
            .allowed("lines `key = \"text\"`, `key = 1`, `key = [\"text\"]`");
            fault.column = Some(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
            faults.push(fault);
            return (Front::default(), body_at);
        }
    };
    let mut reader = Reader { toml, table, faults };
    (reader.front(), body_at)
}

/// The keys, one by one, so that all mistakes are told at once.
struct Reader<'a> {
    toml: &'a str,
    table: Table,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn front(&mut self) -> Front {
        let unknown: Vec<_> =
            self.table.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        for key in unknown {
            self.faults.push(Fault::unknown(self.line_of(&key), "key", &key, &KEYS));
        }
        let minutes = self.minutes();
        let front = Front {
            title: self.text("title"),
            chapter: self.text("chapter"),
            minutes,
            needs: Vec::new(),
        };
        let line = self.line_of("needs");
        let names = match self.table.get("needs") {
            None => Vec::new(),
            Some(Value::Array(names)) if names.iter().all(Value::is_str) => {
                names.iter().filter_map(Value::as_str).collect()
            }
            Some(_) => {
                self.wrong("needs", "is not a list of words", "needs = [\"container\"]");
                Vec::new()
            }
        };
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let needs = needs(line, names.iter().map(String::as_str), self.faults);
        Front { needs, ..front }
    }

    fn text(&mut self, key: &'static str) -> String {
        let example = format!("{key} = \"…\"");
        match self.table.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => return text.clone(),
            Some(Value::String(_)) => self.wrong(key, "says nothing", &example),
            Some(_) => self.wrong(key, "is not text", &example),
            None => self.missing(key, &example),
        }
        String::new()
    }

    fn minutes(&mut self) -> u32 {
        let example = format!("minutes = 10: a whole number, 1 to {LONGEST}");
        match self.table.get("minutes") {
            Some(Value::Integer(minutes)) => match u32::try_from(*minutes) {
                Ok(minutes) if (1..=LONGEST).contains(&minutes) => return minutes,
                _ => {
                    let what = format!("a lesson of {minutes} minutes");
                    let fault = Fault::new(self.line_of("minutes"), what);
                    self.faults.push(fault.allowed(format!("1 to {LONGEST}")));
                }
            },
            Some(_) => self.wrong("minutes", "is not a whole number", &example),
            None => self.missing("minutes", &example),
        }
        0
    }

    fn wrong(&mut self, key: &str, what: &str, allowed: &str) {
        let fault = Fault::new(self.line_of(key), format!("`{key}` {what}"));
        self.faults.push(fault.allowed(allowed));
    }

    fn missing(&mut self, key: &str, allowed: &str) {
        self.faults
            .push(Fault::new(1, format!("the front matter has no `{key}`")).allowed(allowed));
    }

    /// The line of the file on which a key stands; the first where it does not.
    fn line_of(&self, key: &str) -> usize {
        let is = |line: &str| line.split('=').next().is_some_and(|left| left.trim() == key);
        self.toml.lines().position(is).map_or(1, |at| at + 2)
    }
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
