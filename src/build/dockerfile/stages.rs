//! A whole file: its stages, and what only counts between instructions.

use super::ast::{Command, Copy, Dockerfile, GlobalArg, Instruction, Source, Stage, Warning};
use super::fault::ParseError;
use super::heredoc;
use super::instruction::{Reading, Statement, statement};
use super::lines::{Lines, Logical};
use super::part::{Part, Wrong};

/// What docker's own frontend is called.
const FRONTENDS: [&str; 3] =
    ["docker/dockerfile", "docker/dockerfile-upstream", "docker.io/docker/dockerfile"];

/// Reads a file, one instruction after the other.
pub struct Reader<'a> {
    lines: Lines<'a>,
    file: Dockerfile,
    /// Each `--from`: the stage it is in, what it says, and an error there.
    from: Vec<(usize, String, ParseError)>,
}

impl<'a> Reader<'a> {
    /// Of this file.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self, ParseError> {
        let lines = Lines::new(name, bytes);
        let (directives, syntax_line) = lines.directives()?;
        let file = Dockerfile { name: name.to_owned(), directives, ..Dockerfile::default() };
        let mut reader = Self { lines, file, from: Vec::new() };
        if let Some(syntax) = reader.file.directives.syntax.clone() {
            let image = syntax.split('@').next().unwrap_or_default();
            let image = match image.rsplit_once(':') {
                Some((image, tag)) if !tag.contains('/') => image,
                _ => image,
            };
            if !FRONTENDS.contains(&image) {
                let told = format!(
                    "`# syntax={syntax}` names a frontend that is not docker's; the file is read as docker's reads it"
                );
                reader.warn(syntax_line, told);
            }
        }
        Ok(reader)
    }

    fn warn(&mut self, line: usize, text: String) {
        self.file.warnings.push(Warning { line, text });
    }

    /// The whole file.
    pub fn read(mut self) -> Result<Dockerfile, ParseError> {
        while let Some(mut logical) = self.lines.next(self.file.directives.escape)? {
            self.instruction(&mut logical)?;
        }
        for (stage, from, place) in std::mem::take(&mut self.from) {
            if let Some(what) = self.not_before(stage, &from) {
                let hint = "A stage may copy from those before it, and from images.".to_owned();
                return Err(ParseError { what, hint: Some(hint), ..place });
            }
        }
        if self.file.stages.is_empty() {
            let none = self.file.args.is_empty();
            return Err(ParseError {
                name: self.file.name,
                line: 0,
                text: String::new(),
                place: 0..0,
                what: if none { "no instruction is there" } else { "no FROM is there" }.to_owned(),
                hint: Some(
                    "An image begins with FROM: an image to start from, or scratch.".to_owned(),
                ),
            });
        }
        Ok(self.file)
    }

    /// One instruction, which is all that the text is: a trigger.
    pub fn only(mut self) -> Result<Instruction, ParseError> {
        let escape = self.file.directives.escape;
        let Some(mut logical) = self.lines.next(escape)? else {
            return Err(self.lines.wrong(0, "no instruction is there".to_owned()));
        };
        let (source, command) = self.command(&mut logical)?;
        match self.lines.next(escape)? {
            Some(more) => {
                let line = Part::new(&more.text);
                Err(self.lines.located(&more, line.wrong("a trigger is one instruction")))
            }
            None => Ok(Instruction { source, command }),
        }
    }

    fn instruction(&mut self, logical: &mut Logical) -> Result<(), ParseError> {
        let escape = self.file.directives.escape;
        let text = logical.text.clone();
        let it = statement(Part::new(&text), escape)
            .map_err(|wrong| self.lines.located(logical, wrong))?;
        if let Some(line) = logical.gap {
            self.warn(
                line,
                format!("an empty line within {}: docker will refuse it some day", it.keyword),
            );
        }
        if it.keyword == "FROM" {
            let source = self.lines.source(logical);
            let stage = from(&it, source).map_err(|wrong| self.lines.located(logical, wrong))?;
            self.begins(stage);
            return Ok(());
        }
        if self.file.stages.is_empty() && it.keyword != "ARG" {
            let wrong = it.written.wrong(format!("{} comes before any FROM", it.keyword));
            let hint = "The first instruction is FROM; only ARG may come before it.";
            return Err(self.lines.located(logical, wrong.hint(hint)));
        }
        let (source, command) = self.command(logical)?;
        if let Command::Copy(Copy { from: Some(from), .. }) = &command {
            let stage = self.file.stages.len().saturating_sub(1);
            let wrong = it.flags.wrong("from", "");
            self.from.push((stage, from.clone(), self.lines.located(logical, wrong)));
        }
        match (self.file.stages.last_mut(), command) {
            (Some(stage), command) => {
                stage.instructions.push(Instruction { source, command });
                self.repeated();
            }
            (None, Command::Arg(args)) => self.file.args.push(GlobalArg { source, args }),
            (None, _) => {}
        }
        Ok(())
    }

    /// What an instruction says, its here-documents read.
    fn command(&mut self, logical: &mut Logical) -> Result<(Source, Command), ParseError> {
        let escape = self.file.directives.escape;
        let text = logical.text.clone();
        let it = statement(Part::new(&text), escape)
            .map_err(|wrong| self.lines.located(logical, wrong))?;
        let mut heredocs = Vec::new();
        if it.takes_documents(escape) {
            heredocs = heredoc::named(&text);
            for doc in &mut heredocs {
                let start = text.find("<<").unwrap_or_default();
                let length = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
                self.lines.document(doc, logical, start..start + length)?;
            }
        }
        let mut reading = Reading { escape, heredocs: &heredocs, warnings: Vec::new() };
        let command =
            it.command(&mut reading).map_err(|wrong| self.lines.located(logical, wrong))?;
        let source = self.lines.source(logical);
        for text in std::mem::take(&mut reading.warnings) {
            self.warn(source.first, text);
        }
        Ok((source, command))
    }

    fn begins(&mut self, stage: Stage) {
        let line = stage.source.first;
        if let Some(name) = &stage.name {
            if let Some(before) = self.file.stages.iter().find(|it| it.name.as_ref() == Some(name))
            {
                let text = format!(
                    "the stage {name} hides that of line {}, which has the same name",
                    before.source.first
                );
                self.warn(line, text);
            } else if name == "scratch" {
                self.warn(
                    line,
                    "a stage named scratch cannot be built on: FROM scratch is nothing".to_owned(),
                );
            }
        }
        self.file.stages.push(stage);
    }

    /// Why `--from` in a stage cannot be that.
    fn not_before(&self, stage: usize, from: &str) -> Option<String> {
        if let Ok(index) = from.parse::<usize>() {
            return (index >= stage).then(|| match stage {
                0 => format!("there is no stage {index} before this one, which is the first"),
                _ => format!("there is no stage {index} before this one, which is stage {stage}"),
            });
        }
        let named =
            |it: &Stage| it.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(from));
        let first = self.file.stages.iter().position(named).filter(|first| *first >= stage)?;
        Some(match first == stage {
            true => format!("{from} is this stage itself"),
            false => {
                let line = self.file.stages[first].source.first;
                format!("the stage {from} comes later, on line {line}")
            }
        })
    }

    /// Of several `CMD`, `ENTRYPOINT` or `HEALTHCHECK` the last one counts.
    fn repeated(&mut self) {
        let Some(stage) = self.file.stages.last() else { return };
        let Some((last, before)) = stage.instructions.split_last() else { return };
        let keyword = last.command.keyword();
        if !["CMD", "ENTRYPOINT", "HEALTHCHECK"].contains(&keyword) {
            return;
        }
        if let Some(first) = before.iter().rfind(|it| it.command.keyword() == keyword) {
            let text = format!(
                "the {keyword} of line {} counts for nothing: only the last one does",
                first.source.first
            );
            let line = last.source.first;
            self.warn(line, text);
        }
    }
}

/// `FROM [--platform=…] base [AS name]`.
fn from(it: &Statement<'_>, source: Source) -> Result<Stage, Wrong> {
    it.flags.check(&["platform"], &[])?;
    let words = it.args.words();
    let (base, name) = match words.as_slice() {
        [base] => (base, None),
        [base, r#as, name] if r#as.text.eq_ignore_ascii_case("as") => (base, Some(name)),
        [] => return Err(it.written.wrong("FROM needs an image, or scratch")),
        [_, r#as] if r#as.text.eq_ignore_ascii_case("as") => {
            return Err(r#as.wrong("a name is missing behind AS"));
        }
        [_, more, ..] => {
            let wrong = more.wrong("FROM has one image, and perhaps AS and a name");
            return Err(wrong.hint("Such as FROM alpine:3 AS tools."));
        }
    };
    let lower = name.map(|name| name.text.to_ascii_lowercase());
    if let (Some(name), Some(lower)) = (name, &lower) {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !(lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.chars().all(letters)) {
            return Err(name
                .wrong(format!("{:?} cannot name a stage", name.text))
                .hint("A name begins with a letter; then come letters, digits, -, _ and . only."));
        }
    }
    let platform = it.flags.value("platform")?;
    Ok(Stage {
        source,
        name: lower,
        base: base.text.to_owned(),
        platform,
        instructions: Vec::new(),
    })
}
