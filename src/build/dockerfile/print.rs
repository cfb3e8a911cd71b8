//! A Dockerfile as a list of its steps: `image build --print-steps`.

use serde::Serialize;

use super::ast::{Command, Dockerfile, Instruction, Source};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Printed {
    /// Its first line in the file, from 1.
    pub line: usize,
    /// Its stage, from 0; none for `ARG` before the first `FROM`.
    pub stage: Option<usize>,
    /// The instruction's name in lower case: `run`.
    pub keyword: String,
    /// What comes behind it, on one line.
    pub arguments: String,
    /// The names of its here-documents.
    pub heredocs: Vec<String>,
}

impl Printed {
    fn new(source: &Source, stage: Option<usize>) -> Self {
        let line = source.line.as_str();
        let end = line.find(char::is_whitespace).unwrap_or(line.len());
        let (keyword, arguments) = line.split_at(end);
        Self {
            line: source.first,
            stage,
            keyword: keyword.to_ascii_lowercase(),
            arguments: arguments.trim().to_owned(),
            heredocs: Vec::new(),
        }
    }

    /// The step as a line: the keyword first.
    pub fn text(&self) -> String {
        format!("{} {}", self.keyword, self.arguments)
    }
}

/// All steps in the order of the file.
pub fn steps(file: &Dockerfile) -> Vec<Printed> {
    let mut steps: Vec<_> = file.args.iter().map(|arg| Printed::new(&arg.source, None)).collect();
    for (index, stage) in file.stages.iter().enumerate() {
        steps.push(Printed::new(&stage.source, Some(index)));
        steps.extend(stage.instructions.iter().map(|it| {
            let heredocs = heredocs(it);
            Printed { heredocs, ..Printed::new(&it.source, Some(index)) }
        }));
    }
    steps
}

fn heredocs(instruction: &Instruction) -> Vec<String> {
    fn of(command: &Command) -> &[super::ast::Heredoc] {
        match command {
            Command::Run(run) => &run.heredocs,
            Command::Copy(copy) => &copy.heredocs,
            Command::Add(add) => &add.copy.heredocs,
            Command::Onbuild(onbuild) => of(&onbuild.command),
            _ => &[],
        }
    }
    of(&instruction.command).iter().map(|doc| doc.name.clone()).collect()
}
