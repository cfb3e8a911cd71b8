//! Fences: ```` ```sh run ops=clone3 ````, `sh shell`, `sh engine=docker`,
//! `console article`. Nothing but commands and output stands in them.

use super::front;
use crate::lesson::fault::Fault;
use crate::lesson::model::{Article, Fence, Kind};

const KINDS: [&str; 7] = [
    "sh run",
    "sh shell",
    "sh engine=docker",
    "sh engine=ctr",
    "sh engine=podman",
    "sh engine=lxc",
    "console article",
];

/// What stands between the fence's first and last line.
pub fn body(source: &str) -> &str {
    let body = source.split_once('\n').map_or("", |(_, rest)| rest);
    let closing = body.trim_end().rfind('\n').map_or(0, |at| at + 1);
    let last = body[closing..].trim();
    if last.starts_with("```") || last.starts_with("~~~") { &body[..closing] } else { body }
}

/// Whether the last line closes it; else it goes on to the end of the file.
pub fn is_closed(source: &str) -> bool {
    let mark = if source.trim_start().starts_with('~') { "~~~" } else { "```" };
    let mut lines = source.trim_end().lines();
    lines.next_back().is_some_and(|last| last.trim().starts_with(mark)) && lines.next().is_some()
}

/// A fence by its info string; `line` is the line it starts on.
pub fn parse(line: usize, info: &str, body: &str, faults: &mut Vec<Fault>) -> Option<Kind> {
    let words: Vec<_> = info.split_whitespace().collect();
    let kind = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
    if kind.is_empty() {
        let fault = Fault::new(line, "a block of code that does not say what it is");
        faults.push(fault.allowed(format!("one of ```{}", KINDS.join(", ```"))));
        return None;
    }
    if !KINDS.contains(&kind.as_str()) {
        faults.push(Fault::unknown(line, "block", &kind, &KINDS));
        return None;
    }
    if body.trim().is_empty() {
        faults.push(Fault::new(line, format!("the `{kind}` block is empty")));
        return None;
    }
    let mut given = Attributes::parse(line, words.get(2..).unwrap_or_default(), faults);
    let made = match kind.as_str() {
        "sh run" => Kind::Run(commands(line, body, &mut given, faults)),
        "sh shell" => Kind::Shell(commands(line, body, &mut given, faults)),
        "console article" => Kind::Article(article(line, body, &mut given, faults)),
        engine => {
            let engine = engine.trim_start_matches("sh engine=").to_owned();
            Kind::Engine(engine, body.trim_end().to_owned())
        }
    };
    given.nothing_left(line, &kind, faults);
    Some(made)
}

/// `key=value` after the kind.
struct Attributes(Vec<(String, String)>);

impl Attributes {
    fn parse(line: usize, words: &[&str], faults: &mut Vec<Fault>) -> Self {
        let mut given = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => given.push((key.to_owned(), value.to_owned())),
                None => faults.push(Fault::new(line, format!("`{word}` is not `key=value`"))),
            }
        }
        Self(given)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(given, _)| given == key)?;
        Some(self.0.remove(at).1)
    }

    fn nothing_left(self, line: usize, kind: &str, faults: &mut Vec<Fault>) {
        let allowed: &[&str] = match kind {
            "sh run" => &["ops", "exit", "needs", "output", "or"],
            "sh shell" => &["exit", "needs", "output"],
            "console article" => &["what"],
            _ => &[],
        };
        for (key, _) in self.0 {
            faults.push(match allowed {
                [] => Fault::new(line, format!("`{kind}` takes no attribute `{key}`")),
                allowed => Fault::unknown(line, "attribute", &key, allowed),
            });
        }
    }
}

fn commands(line: usize, body: &str, given: &mut Attributes, faults: &mut Vec<Fault>) -> Fence {
    let lines = whole_lines(line + 1, body);
    let exit = given.take("exit").map_or(0, |exit| {
        exit.parse().unwrap_or_else(|_| {
            faults.push(
                Fault::new(line, format!("`exit={exit}` is not an exit code")).allowed("0 to 255"),
            );
            0
        })
    });
    let ops = given.take("ops").unwrap_or_default();
    let ops = ops.split(',').filter(|op| !op.is_empty()).map(str::to_owned).collect();
    let needs = given.take("needs").unwrap_or_default();
    let needs = front::needs(line, needs.split(',').filter(|need| !need.is_empty()), faults);
    let whole = given.take("output").is_some_and(|output| {
        if output != "whole" {
            faults.push(Fault::unknown(line, "output", &output, &["whole"]));
        }
        output == "whole"
    });
    let or_ours = given.take("or").is_some_and(|other| {
        if other != "builtin" {
            faults.push(Fault::unknown(line, "or", &other, &["builtin"]));
        }
        other == "builtin"
    });
    Fence { lines, ops, exit, needs, whole, or_ours }
}

/// The quote that is open at the end of a line, if one was open before.
fn left_open(text: &str, mut open: Option<char>) -> Option<char> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (None, '\\') => drop(chars.next()),
            (None, '\'' | '"') => open = Some(c),
            (Some(quote), c) if c == quote => open = None,
            _ => {}
        }
    }
    open
}

/// Command lines; one whose quote is still open goes on in the next line, so that
/// a script for `sh -c` can be read.
fn whole_lines(first: usize, body: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = None;
    for (index, text) in body.lines().enumerate() {
        match (lines.last_mut(), open) {
            (Some((_, last)), Some(_)) => last.push_str(&format!("\n{text}")),
            _ if text.trim().is_empty() => continue,
            _ => lines.push((first + index, text.trim().to_owned())),
        }
        open = left_open(text, open);
    }
    lines
}

fn article(line: usize, body: &str, given: &mut Attributes, faults: &mut Vec<Fault>) -> Article {
    let mut parts: Vec<(String, Vec<String>)> = Vec::new();
    for (index, text) in body.lines().enumerate() {
        match (text.strip_prefix("$ "), parts.last_mut()) {
            (Some(command), _) => parts.push((command.to_owned(), Vec::new())),
            (None, Some((_, output))) => output.push(text.to_owned()),
            (None, None) => faults.push(
                Fault::new(
                    line + 1 + index,
                    "output of the article without the command that gives it",
                )
                .allowed("start with a line `$ COMMAND`; it is performed to compare"),
            ),
        }
    }
    Article { what: given.take("what"), parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_in_quotes_goes_over_several_lines() {
        let body = "a\n\nb sh -c '\n  x \"$y\"\n\n  z'\nc \"d\" 'e'\nf \\'\ng\n";
        let lines = whole_lines(5, body);
        let expected = [
            (5, "a"),
            (7, "b sh -c '\n  x \"$y\"\n\n  z'"),
            (11, "c \"d\" 'e'"),
            (12, "f \\'"),
            (13, "g"),
        ];
        assert_eq!(lines, expected.map(|(line, text)| (line, text.to_owned())));
    }
}
