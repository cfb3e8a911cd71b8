//! A Dockerfile, taken apart: plain data.
//!
//! A *word* here is text as it was written: quotes, escapes and `$NAME` are in
//! it still. [`super::expand`] makes of it what it stands for, when it is known
//! which variables there are. Text that docker does not expand (a command line
//! for a shell, the strings of a JSON array of RUN, CMD, ENTRYPOINT and SHELL)
//! is not called so.

use std::time::Duration;

/// A Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// What errors call it: its path, as it was given.
    pub name: String,
    /// What the comments at its very beginning say about how it is read.
    pub directives: Directives,
    /// `ARG` before the first `FROM`: `FROM` may use them, and a stage that
    /// repeats such an `ARG` without a default takes its value from here.
    pub args: Vec<GlobalArg>,
    /// The stages in the order of the file; at least one.
    pub stages: Vec<Stage>,
    /// What is allowed, but hardly what was meant.
    pub warnings: Vec<Warning>,
}

/// `# escape=`, `# syntax=`, `# check=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// What takes the meaning from the next character, and continues a line: `\` or `` ` ``.
    pub escape: char,
    /// The frontend that docker would read the file with: `docker/dockerfile:1`.
    pub syntax: Option<String>,
    /// What docker's linter is told.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { escape: '\\', syntax: None, check: None }
    }
}

/// The lines of an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Its first line in the file, from 1.
    pub first: usize,
    /// Its last line, that of a here-document's delimiter included.
    pub last: usize,
    /// As it is written there, line breaks, comments within and here-documents included.
    pub text: String,
    /// The instruction as one line: continued lines put together, comments and
    /// here-documents left out. Docker's history has it so.
    pub line: String,
}

/// `ARG` before the first `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalArg {
    /// Where.
    pub source: Source,
    /// The names and defaults; one instruction may have several.
    pub args: Vec<Arg>,
}

/// One name that `ARG` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name (a word).
    pub name: String,
    /// Its value, unless `--build-arg` gives another (a word).
    pub default: Option<String>,
}

/// `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The lines of `FROM`.
    pub source: Source,
    /// `AS name`, in lower case.
    pub name: Option<String>,
    /// The image, `scratch` or an earlier stage (a word; global arguments only). See [`Dockerfile::base`].
    pub base: String,
    /// `--platform` (a word; global arguments only).
    pub platform: Option<String>,
    /// What is done in it.
    pub instructions: Vec<Instruction>,
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where.
    pub source: Source,
    /// What.
    pub command: Command,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `ADD`: as `COPY`, and archives are unpacked.
    Add(Add),
    /// `ARG`.
    Arg(Vec<Arg>),
    /// `CMD`. Empty arrays are allowed: `CMD []` takes an inherited one away.
    Cmd(Line),
    /// `COPY`.
    Copy(Copy),
    /// `ENTRYPOINT`.
    Entrypoint(Line),
    /// `ENV`.
    Env(Vec<Pair>),
    /// `EXPOSE`: `80`, `80/tcp`, `8000-8010/udp` (words, each of which may become several, see
    /// [`super::expand::words`]).
    Expose(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL`.
    Label(Vec<Pair>),
    /// `MAINTAINER`: the config's `author`.
    Maintainer(String),
    /// `ONBUILD`.
    Onbuild(Onbuild),
    /// `RUN`.
    Run(Run),
    /// `SHELL`: what the shell form of later instructions is run with.
    Shell(Vec<String>),
    /// `STOPSIGNAL`: a name or number (a word).
    Stopsignal(String),
    /// `USER`: `NAME|UID[:GROUP|GID]` (a word).
    User(String),
    /// `VOLUME`: paths (words).
    Volume(Vec<String>),
    /// `WORKDIR` (a word); relative to the one before.
    Workdir(String),
}

impl Command {
    /// The instruction's name in upper case.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}

/// A command in one of the two forms that docker knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// `["program", "argument"]`: executed as it is. May be empty.
    Exec(Vec<String>),
    /// Anything else: given to the shell (`SHELL`, or `/bin/sh -c`) as its last argument. Never empty.
    Shell(String),
}

/// `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name (a word).
    pub key: String,
    /// The value (a word).
    pub value: String,
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run. See [`Run::script`] where here-documents belong to it.
    pub line: Line,
    /// The here-documents that it names.
    pub heredocs: Vec<Heredoc>,
    /// `--network`.
    pub network: Network,
}

/// What a shell is given for `RUN`, or what stands in for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// `RUN ["program"]`.
    Exec(Vec<String>),
    /// The shell's last argument.
    Shell(String),
    /// `RUN <<EOF` whose text starts with `#!`: to be written, executable, to
    /// `/dev/pipes/NAME` (docker's place for it) and executed.
    File {
        /// The delimiter.
        name: String,
        /// The file's text.
        text: String,
    },
}

/// `RUN --network=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// As the build has it.
    #[default]
    Default,
    /// Only a loopback.
    None,
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter, which is also the name of the file that `COPY` makes of it.
    pub name: String,
    /// The text as it is written, every line with its line break; with `chomp`, tabs are still there.
    pub text: String,
    /// `<<-`: tabs at the beginning of each line are left out, see [`Heredoc::content`].
    pub chomp: bool,
    /// Whether variables in it are expanded by `COPY` and `ADD`: not when the delimiter was quoted.
    pub expand: bool,
}

/// `COPY`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// Paths and patterns in the build context, or in `from` (words).
    pub sources: Vec<String>,
    /// Files whose content is in the Dockerfile itself.
    pub heredocs: Vec<Heredoc>,
    /// Where to (a word).
    pub dest: String,
    /// `--from`: a stage or an image; docker expands nothing here. See [`Dockerfile::from`].
    pub from: Option<String>,
    /// `--chown=USER[:GROUP]` (a word).
    pub chown: Option<String>,
    /// `--chmod`: octal digits or letters as chmod(1) knows them (a word).
    pub chmod: Option<String>,
    /// `--link`: the layer does not depend on those below it.
    pub link: bool,
    /// `--exclude`: patterns as those of .dockerignore, below each source (words).
    pub exclude: Vec<String>,
}

/// `ADD`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Add {
    /// What it has in common with `COPY`; `from` is always `None`.
    pub copy: Copy,
    /// `--unpack`: whether archives are unpacked; docker does when they are local.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: an inherited one is taken away.
    None,
    /// `CMD`.
    Cmd {
        /// What is run: `["CMD", …]` in the config for an array, `["CMD-SHELL", line]` otherwise.
        test: Line,
        /// `--interval`; absent is docker's default.
        interval: Option<Duration>,
        /// `--timeout`.
        timeout: Option<Duration>,
        /// `--start-period`.
        start_period: Option<Duration>,
        /// `--start-interval`.
        start_interval: Option<Duration>,
        /// `--retries`; 0 is docker's default.
        retries: u32,
    },
}

/// `ONBUILD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// The trigger as the config keeps it, and as [`super::trigger`] reads it when an image is built on this one.
    pub trigger: String,
    /// The same, taken apart.
    pub command: Box<Command>,
}

/// What is allowed, but hardly what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line, from 1.
    pub line: usize,
    /// What, as a sentence without a full stop.
    pub text: String,
}

/// What `FROM` starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing at all.
    Scratch,
    /// An earlier stage: its index.
    Stage(usize),
    /// An image: a name as [`crate::image::reference`] reads it.
    Image(String),
}

impl Dockerfile {
    /// The stage that `--target` or `AS` names (case does not matter), or whose index it is.
    pub fn stage(&self, name: &str) -> Option<usize> {
        self.named_before(name, self.stages.len())
            .or_else(|| name.parse::<usize>().ok().filter(|index| *index < self.stages.len()))
    }

    /// What stage `index` starts with; `base` is its base, expanded.
    pub fn base(&self, index: usize, base: &str) -> Base {
        match self.named_before(base, index) {
            _ if base == "scratch" => Base::Scratch,
            Some(stage) => Base::Stage(stage),
            None => Base::Image(base.to_owned()),
        }
    }

    /// What `--from` in stage `index` means. Indices count here, too.
    pub fn from(&self, index: usize, from: &str) -> Base {
        let number = from.parse::<usize>().ok().filter(|number| *number < index);
        match self.named_before(from, index).or(number) {
            Some(stage) => Base::Stage(stage),
            None if from == "scratch" => Base::Scratch,
            None => Base::Image(from.to_owned()),
        }
    }

    /// The last stage of that name before stage `end`.
    fn named_before(&self, name: &str, end: usize) -> Option<usize> {
        let is_it = |stage: &Stage| {
            stage.name.as_ref().is_some_and(|named| named.eq_ignore_ascii_case(name))
        };
        self.stages[..end.min(self.stages.len())].iter().rposition(is_it)
    }
}

impl Heredoc {
    /// The text, without the tabs that `<<-` leaves out; not expanded.
    pub fn content(&self) -> String {
        match self.chomp {
            true => self.text.split_inclusive('\n').map(|l| l.trim_start_matches('\t')).collect(),
            false => self.text.clone(),
        }
    }
}

impl Run {
    /// What is executed for it.
    pub fn script(&self) -> Script {
        let line = match &self.line {
            Line::Exec(words) => return Script::Exec(words.clone()),
            Line::Shell(line) => line,
        };
        match self.heredocs.as_slice() {
            [] => Script::Shell(line.clone()),
            [only] if super::heredoc::is_alone(line) => match only.text.starts_with("#!") {
                true => Script::File { name: only.name.clone(), text: only.content() },
                false => Script::Shell(only.content()),
            },
            several => {
                let documents = several.iter().map(|doc| format!("\n{}{}", doc.text, doc.name));
                Script::Shell(format!("{line}{}", documents.collect::<String>()))
            }
        }
    }
}
