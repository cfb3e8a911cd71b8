//! One `check:` or `measure:` line.

use crate::lesson::fault::Fault;

use super::{Answer, Judgement, Unknown, Verdict, World, catalogue, shell};

/// A check as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its line in the lesson's file.
    pub line: usize,
    /// What is asked.
    pub probe: Probe,
    /// What the answer must be; none for a shell line.
    pub expect: Option<(Compare, String)>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// One of the catalogue, with its arguments.
    Named(&'static catalogue::Entry, Vec<String>),
    /// A line for a shell.
    Shell(String),
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compare {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
}

const COMPARISONS: [(&str, Compare); 4] = [
    (" != ", Compare::NotEqual),
    (" >= ", Compare::AtLeast),
    (" <= ", Compare::AtMost),
    (" = ", Compare::Equal),
];

impl Test {
    /// Reads `NAME ARGUMENTS [= VALUE]` or `sh: LINE`.
    pub fn parse(line: usize, text: &str) -> Result<Self, Fault> {
        let text = text.trim().trim_matches('`').trim();
        if let Some(command) = text.strip_prefix("sh:") {
            let command = command.trim().trim_matches('`').to_owned();
            if command.is_empty() {
                return Err(Fault::new(line, "`sh:` without a line for the shell"));
            }
            return Ok(Self { line, probe: Probe::Shell(command), expect: None });
        }
        let split = |(sign, compare)| {
            let (asked, value) = text.split_once(sign)?;
            Some((asked, Some((compare, value.trim().to_owned()))))
        };
        let (asked, expect) = COMPARISONS.into_iter().find_map(split).unwrap_or((text, None));
        let mut words = asked.split_whitespace();
        let name = words.next().unwrap_or_default();
        let names: Vec<_> = catalogue::ALL.iter().map(|entry| entry.name).collect();
        let Some(entry) = catalogue::ALL.iter().find(|entry| entry.name == name) else {
            let mut fault = Fault::unknown(line, "check", name, &names);
            fault.allowed = fault.allowed.map(|allowed| format!("{allowed}, or sh: LINE"));
            return Err(fault);
        };
        let arguments: Vec<_> = words.map(str::to_owned).collect();
        entry.accepts(&arguments).map_err(|allowed| {
            let with = match arguments.as_slice() {
                [] => "without a word after it".to_owned(),
                some => format!("with `{}`", some.join(" ")),
            };
            Fault::new(line, format!("`{name}` cannot be asked {with}")).allowed(allowed)
        })?;
        Ok(Self { line, probe: Probe::Named(entry, arguments), expect })
    }

    /// The names of containers it asks about.
    pub fn targets(&self) -> Vec<&str> {
        match &self.probe {
            Probe::Named(entry, arguments) => entry.targets(arguments),
            Probe::Shell(_) => Vec::new(),
        }
    }

    /// What is asked with.
    pub fn arguments(&self) -> &[String] {
        match &self.probe {
            Probe::Named(_, arguments) => arguments,
            Probe::Shell(_) => &[],
        }
    }

    /// The line that a shell would perform, with its line in the lesson's file.
    pub fn shell_line(&self) -> Option<(usize, String)> {
        match &self.probe {
            Probe::Shell(line) => Some((self.line, line.clone())),
            Probe::Named(..) => None,
        }
    }

    /// What the reader can type to see for themselves.
    pub fn typed(&self, world: &World) -> String {
        match &self.probe {
            Probe::Named(entry, arguments) => entry.typed(&filled(arguments, world), world),
            Probe::Shell(line) => world.filled(&world.qualified(line)),
        }
    }

    /// Asks, and answers with the value.
    pub fn measure(&self, world: &World) -> Answer {
        match &self.probe {
            Probe::Named(entry, arguments) => (entry.ask)(world, &filled(arguments, world)),
            Probe::Shell(line) => shell::measure(line, world),
        }
    }

    /// Asks, and compares with what is expected.
    pub fn judge(&self, world: &World) -> Judgement {
        let answer = match &self.probe {
            Probe::Shell(line) => return shell::judge(line, world),
            Probe::Named(..) => self.measure(world),
        };
        match answer {
            Ok(finding) => {
                let holds = match &self.expect {
                    Some((compare, wanted)) => compare.holds(&finding.value, wanted),
                    None => finding.value == "yes",
                };
                let verdict = if holds { Verdict::Holds } else { Verdict::DoesNotHold };
                Judgement { verdict, evidence: finding.evidence }
            }
            Err(Unknown::Absent(why)) => Judgement { verdict: Verdict::DoesNotHold, evidence: why },
            Err(Unknown::Untestable(why)) => {
                Judgement { verdict: Verdict::Untestable, evidence: why }
            }
        }
    }
}

/// As it would stand in a lesson.
impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.probe {
            Probe::Named(entry, arguments) => {
                write!(f, "{}", entry.name)?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))?;
            }
            Probe::Shell(line) => write!(f, "sh: {line}")?,
        }
        let Some((compare, value)) = &self.expect else { return Ok(()) };
        let sign = COMPARISONS.iter().find(|(_, known)| known == compare);
        write!(f, "{}{value}", sign.map_or(" = ", |(sign, _)| sign))
    }
}

fn filled(arguments: &[String], world: &World) -> Vec<String> {
    arguments.iter().map(|word| world.filled(word)).collect()
}

impl Compare {
    fn holds(self, value: &str, wanted: &str) -> bool {
        let numbers = || Some((value.parse::<i64>().ok()?, wanted.parse::<i64>().ok()?));
        match self {
            Self::Equal => value == wanted,
            Self::NotEqual => value != wanted,
            Self::AtLeast => numbers().is_some_and(|(value, wanted)| value >= wanted),
            Self::AtMost => numbers().is_some_and(|(value, wanted)| value <= wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_name_arguments_and_perhaps_a_value() {
        let test = Test::parse(1, "ns-differs net box self").unwrap();
        assert_eq!((test.targets(), &test.expect), (vec!["box", "self"], &None));
        let test = Test::parse(1, "proc-count box >= 2").unwrap();
        assert_eq!(test.expect, Some((Compare::AtLeast, "2".to_owned())));
        assert!(Compare::AtLeast.holds("10", "2") && !Compare::AtLeast.holds("many", "2"));
    }

    #[test]
    fn what_cannot_be_asked_is_a_mistake() {
        let told = |text| Test::parse(7, text).expect_err(text).to_string();
        assert!(told("ns-difers net box self").contains("did you mean `ns-differs`?"));
        assert!(told("ns-differs nat box self").contains("net"));
        assert!(told("hostname").contains("hostname WHO"));
        assert!(told("sh:").contains("without a line"));
    }

    #[test]
    fn nothing_holds_about_a_container_that_is_not_there() {
        let world = World::default();
        for entry in catalogue::ALL.iter().filter(|entry| entry.usage.contains("WHO")) {
            let line = format!("{} {}", entry.name, entry.example);
            let judged = Test::parse(1, &line).unwrap().judge(&world);
            assert_eq!(judged.verdict, Verdict::DoesNotHold, "{line}: {}", judged.evidence);
        }
    }
}
