//! Quoted blocks: what is said to the reader. A bold word says which kind it
//! is; after the sentence come lines `key: value`, choices `- text = value`,
//! and a solution in `<details>`.

use crate::effect::Driven;
use crate::lesson::check::Test;
use crate::lesson::fault::Fault;
use crate::lesson::model::{Claim, Hint, Kind, Leaves, Opposite, Picture, Predict, Try};
use crate::lesson::picture::Draw;

const WORDS: [&str; 7] = ["Predict", "Claim", "Try", "Picture", "Today", "Surprise", "Notice"];
const KEYS: [&str; 8] =
    ["check", "measure", "needs", "opposite", "except", "leaves", "hint", "draw"];

/// One `key: value`, choice or solution.
struct Item {
    line: usize,
    key: String,
    text: String,
}

/// A quoted block; `line` is the line it starts on.
pub fn parse(line: usize, source: &str, faults: &mut Vec<Fault>) -> Option<Kind> {
    let lines: Vec<&str> = source.lines().map(unquoted).collect();
    let first = lines.first().copied().unwrap_or_default();
    let Some((word, rest)) = first.strip_prefix("**").and_then(|rest| rest.split_once("**")) else {
        let what = "a quoted block does not say what it is";
        faults.push(Fault::new(line, what).allowed(format!("start with one of {}", bold_words())));
        return None;
    };
    if !WORDS.contains(&word) {
        faults.push(Fault::unknown(line, "quoted block", word, &WORDS));
        return None;
    }
    if ["Today", "Surprise", "Notice"].contains(&word) {
        let text = std::iter::once(rest.trim_start()).chain(lines[1..].iter().copied());
        let text = text.collect::<Vec<_>>().join("\n").trim().to_owned();
        return Some(Kind::Aside(word.to_owned(), text));
    }
    let (id, rest) = match rest.trim_start().strip_prefix("{#").and_then(|id| id.split_once('}')) {
        Some((id, rest)) => (id.to_owned(), rest),
        None => (String::new(), rest),
    };
    let (text, items) = items(line, rest.trim(), &lines[1..]);
    let open = |item: &&Item| item.key == "solution" && !item.text.contains("</details>");
    for item in items.iter().filter(open) {
        let fault = Fault::new(item.line, "`<details>` does not end");
        faults.push(fault.allowed("<details><summary>Solution</summary> `COMMAND` </details>"));
    }
    let mut quote = Quote { line, word, id, text, items, faults };
    Some(match word {
        "Predict" => Kind::Predict(quote.predict()?),
        "Claim" => Kind::Claim(quote.claim(&["check", "needs", "opposite", "except"])),
        "Picture" => Kind::Picture(quote.picture()?),
        _ => Kind::Try(quote.exercise()),
    })
}

fn bold_words() -> String {
    WORDS.map(|word| format!("**{word}**")).join(", ")
}

fn unquoted(line: &str) -> &str {
    let line = line.trim_start().strip_prefix('>').unwrap_or(line);
    line.strip_prefix(' ').unwrap_or(line)
}

/// The sentence, and the items after it.
fn items(line: usize, first: &str, rest: &[&str]) -> (String, Vec<Item>) {
    let mut text = first.to_owned();
    let mut items: Vec<Item> = Vec::new();
    let mut after_blank = false;
    let mut in_details = false;
    for (index, source) in rest.iter().enumerate() {
        let here = line + 1 + index;
        let source = source.trim();
        if source.is_empty() {
            after_blank = true;
            continue;
        }
        let fresh = after_blank || !items.is_empty();
        match start_of_item(source, fresh) {
            _ if in_details => append(&mut items, source),
            Some((key, value)) => items.push(Item { line: here, key, text: value }),
            None if items.is_empty() => {
                text.push(if after_blank { '\n' } else { ' ' });
                if after_blank {
                    text.push('\n');
                }
                text.push_str(source);
            }
            None => append(&mut items, source),
        }
        in_details = items
            .last()
            .is_some_and(|item| item.key == "solution" && !item.text.contains("</details>"));
        after_blank = false;
    }
    (text.trim().to_owned(), items.into_iter().flat_map(divided).collect())
}

fn append(items: &mut [Item], source: &str) {
    if let Some(item) = items.last_mut() {
        item.text.push(' ');
        item.text.push_str(source);
    }
}

/// `- choice`, `<details>`, or `key: value`; a key that we do not know counts
/// where no sentence can be going on, so that its misspelling is told.
fn start_of_item(source: &str, fresh: bool) -> Option<(String, String)> {
    if let Some(choice) = source.strip_prefix("- ") {
        return Some(("choice".to_owned(), choice.trim().to_owned()));
    }
    if let Some(rest) = source.strip_prefix("<details>") {
        return Some(("solution".to_owned(), rest.to_owned()));
    }
    let (key, value) = source.split_once(':')?;
    if key.strip_prefix("hint").is_some_and(|of| of.trim_start().starts_with('(')) {
        return Some((key.to_owned(), value.trim().to_owned()));
    }
    let word = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase());
    let begins = KEYS.contains(&key) || (fresh && (value.starts_with(' ') || value.is_empty()));
    (word && begins).then(|| (key.to_owned(), value.trim().to_owned()))
}

/// `check: A · leaves: B` on one line is two items.
fn divided(item: Item) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    if item.key == "solution" || is_hint(&item) {
        return vec![item];
    }
    for part in item.text.split(" · ") {
        let (key, text) = match (items.is_empty(), start_of_item(part, true)) {
            (false, Some((key, value))) => (key, value),
            _ => (item.key.clone(), part.trim().to_owned()),
        };
        items.push(Item { line: item.line, key, text });
    }
    items
}

/// `hint`, or `hint (check 2)`.
fn is_hint(item: &Item) -> bool {
    item.key.starts_with("hint")
}

struct Quote<'a> {
    line: usize,
    word: &'a str,
    id: String,
    text: String,
    items: Vec<Item>,
    faults: &'a mut Vec<Fault>,
}

impl Quote<'_> {
    fn fault(&mut self, what: &str, allowed: &str) {
        let what = format!("this **{}** {what}", self.word);
        self.faults.push(Fault::new(self.line, what).allowed(allowed));
    }

    /// Takes the items out; those with another key are mistakes.
    fn take_items(&mut self, allowed: &[&str]) -> Vec<Item> {
        let items = std::mem::take(&mut self.items);
        let unknown = |item: &&Item| {
            let key = item.key.split([' ', '(']).next().unwrap_or_default();
            !allowed.contains(&key)
        };
        for item in items.iter().filter(unknown) {
            let kind = format!("key in a **{}**", self.word);
            self.faults.push(Fault::unknown(item.line, &kind, &item.key, allowed));
        }
        items
    }

    fn test(&mut self, item: &Item) -> Option<Test> {
        Test::parse(item.line, &item.text).map_err(|fault| self.faults.push(fault)).ok()
    }

    fn predict(&mut self) -> Option<Predict> {
        let items = self.take_items(&["choice", "measure"]);
        let mut choices = Vec::new();
        let mut measure = None;
        for item in &items {
            match item.key.as_str() {
                "choice" => match item.text.rsplit_once(" = ") {
                    Some((text, value)) => {
                        choices.push((text.trim().to_owned(), value.trim().to_owned()));
                    }
                    None => self.faults.push(
                        Fault::new(item.line, "a choice without a value")
                            .allowed("- what the reader reads = the measured value"),
                    ),
                },
                "measure" => measure = self.test(item),
                _ => {}
            }
        }
        if items.iter().filter(|item| item.key == "choice").count() < 2 {
            self.fault(
                "has fewer than two choices",
                "- what the reader reads = the measured value",
            );
        }
        let mut values = std::collections::HashSet::new();
        for (item, (_, value)) in items.iter().filter(|item| item.key == "choice").zip(&choices) {
            if !values.insert(value) {
                let what = format!("a second choice with the value `{value}`");
                let fault = Fault::new(item.line, what);
                self.faults.push(fault.allowed("each value once, or nobody can be right"));
            }
        }
        if !items.iter().any(|item| item.key == "measure") {
            self.fault("is not measured", "measure: NAME ARGUMENTS, or measure: sh: LINE");
        }
        Some(Predict { question: self.text.clone(), choices, measure: measure? })
    }

    fn picture(&mut self) -> Option<Picture> {
        if self.text.is_empty() {
            self.fault("says nothing", "a sentence that says what to look at");
        }
        let items = self.take_items(&["draw"]);
        let drawn: Vec<_> = items.iter().filter(|item| item.key == "draw").collect();
        let [item] = drawn.as_slice() else {
            let what = if drawn.is_empty() { "draws nothing" } else { "draws twice" };
            self.fault(what, "one line draw: NAME ARGUMENTS, as draw: namespaces box");
            return None;
        };
        let draw = Draw::parse(item.line, &item.text).map_err(|fault| self.faults.push(fault));
        Some(Picture { caption: self.text.clone(), draw: draw.ok()? })
    }

    fn claim(&mut self, allowed: &[&str]) -> Claim {
        if self.id.is_empty() {
            self.fault("has no id", &format!("**{}** {{#a-word}} the sentence", self.word));
        }
        if self.text.is_empty() {
            self.fault("says nothing", "a sentence after the bold word");
        }
        let items = self.take_items(allowed);
        let mut claim = Claim {
            id: self.id.clone(),
            text: self.text.clone(),
            checks: Vec::new(),
            needs: Vec::new(),
            opposite: Opposite::default(),
            except: Vec::new(),
        };
        for item in &items {
            match item.key.as_str() {
                "check" => claim.checks.extend(self.test(item)),
                "needs" => {
                    let names = item.text.split(',').map(str::trim);
                    claim.needs.extend(super::front::needs(item.line, names, self.faults));
                }
                "opposite" => {
                    claim.opposite = match item.text.as_str() {
                        "nothing" => Opposite::Nothing,
                        line => Opposite::Command(
                            code_spans(line).into_iter().next().unwrap_or_else(|| line.to_owned()),
                        ),
                    }
                }
                "except" => claim.except.extend(self.except(item)),
                _ => {}
            }
        }
        if !items.iter().any(|item| item.key == "check") {
            self.fault("is not checked", "check: NAME ARGUMENTS, or check: sh: LINE");
        }
        self.items = items;
        claim
    }

    /// `except: docker, podman because REASON`
    fn except(&mut self, item: &Item) -> Option<(Vec<Driven>, String)> {
        let Some((engines, why)) = item.text.split_once(" because ") else {
            self.faults.push(
                Fault::new(item.line, "an exception without a reason")
                    .allowed("except: docker, podman because what that engine does otherwise"),
            );
            return None;
        };
        let names = Driven::ALL.map(Driven::name);
        let mut named = Vec::new();
        for wanted in engines.split(',').map(str::trim) {
            match Driven::ALL.into_iter().find(|engine| engine.name() == wanted) {
                Some(engine) => named.push(engine),
                None => self.faults.push(Fault::unknown(item.line, "engine", wanted, &names)),
            }
        }
        Some((named, why.trim().to_owned()))
    }

    fn exercise(&mut self) -> Try {
        let claim =
            self.claim(&["check", "needs", "opposite", "except", "leaves", "hint", "solution"]);
        let items = std::mem::take(&mut self.items);
        let of = |key: &'static str| items.iter().filter(move |item| item.key == key);
        let checks = items.iter().filter(|item| item.key == "check").count();
        let hints: Vec<_> = items.iter().filter(|item| is_hint(item)).collect();
        let hints = hints.into_iter().filter_map(|item| self.hint(item, checks)).collect();
        let solution: Vec<_> = of("solution").flat_map(|item| code_spans(&item.text)).collect();
        let leaves = of("leaves").map(|item| match item.text.strip_prefix("process ") {
            Some(process) => {
                let (command, name) = match process.rsplit_once(" as ") {
                    Some((command, name)) => (command, Some(name.trim().to_owned())),
                    None => (process, None),
                };
                Leaves::Process { command: command.trim().to_owned(), name }
            }
            None => Leaves::Path(item.text.clone()),
        });
        let leaves = leaves.collect();
        if solution.is_empty() {
            let allowed = "<details><summary>Solution</summary> `COMMAND` </details>";
            self.fault("has no solution", allowed);
        }
        if !items.iter().any(is_hint) {
            self.fault("has no hint", "hint: what helps without giving it away");
        }
        Try { claim, leaves, hints, solution }
    }
}

impl Quote<'_> {
    /// `hint: TEXT`, or `hint (check 2): TEXT`, which helps with that one of the checks.
    fn hint(&mut self, item: &Item, checks: usize) -> Option<Hint> {
        let (line, key) = (item.line, &item.key);
        if item.text.is_empty() {
            let allowed = format!("{key}: what helps without giving it away");
            self.faults.push(Fault::new(line, format!("`{key}` says nothing")).allowed(allowed));
            return None;
        }
        let hint = |check| Hint { line, check, text: item.text.clone() };
        let Some(of) = key.strip_prefix("hint").filter(|of| !of.is_empty()) else {
            return Some(hint(None));
        };
        let number = of.trim().strip_prefix("(check ").and_then(|of| of.strip_suffix(')'));
        let Some(number) = number.and_then(|number| number.trim().parse::<usize>().ok()) else {
            let what = format!("`{key}` does not say which check it helps with");
            let allowed = "hint (check 1): TEXT, or hint: TEXT for all of them";
            self.faults.push(Fault::new(line, what).allowed(allowed));
            return None;
        };
        if (1..=checks).contains(&number) {
            return Some(hint(Some(number - 1)));
        }
        let has = match checks {
            1 => "has one check, check 1".to_owned(),
            checks => format!("has check 1 to check {checks}"),
        };
        let fault = Fault::new(line, format!("there is no `check {number}` here"));
        self.faults.push(fault.allowed(format!("this **Try** {has}; hint: TEXT is for all")));
        None
    }
}

/// What stands between backquotes.
fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(|span| span.trim().to_owned()).collect()
}
