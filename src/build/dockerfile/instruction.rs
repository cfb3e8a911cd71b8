//! One instruction: its name, its flags, and what its arguments are.

use super::ast::{Arg, Command, Heredoc, Line, Network, Onbuild, Pair, Run};
use super::copy;
use super::expand;
use super::flags::{Flags, Refused};
use super::health;
use super::part::{Part, Wrong, is_blank};
use super::port;
use super::words::{array, quoted};
use crate::nearest::nearest;

/// All instructions.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// What of `RUN` is docker's only.
const RUN_REFUSED: [Refused; 3] = [
    (
        "mount",
        "Mounts are not made for a RUN here: COPY what it needs, in a stage of its own if it shall not stay.",
    ),
    ("security", "A RUN has the rights of a container here, never more."),
    ("device", "A RUN sees the devices that every container has."),
];

/// An instruction's line, its name known.
#[derive(Debug)]
pub struct Statement<'a> {
    /// Its name in upper case.
    pub keyword: &'static str,
    /// As it is written.
    pub written: Part<'a>,
    /// Its flags.
    pub flags: Flags<'static>,
    /// What comes behind them.
    pub args: Part<'a>,
}

/// What an instruction's arguments are read with.
pub struct Reading<'a> {
    /// What takes the meaning from the next character.
    pub escape: char,
    /// The here-documents it names.
    pub heredocs: &'a [Heredoc],
    /// What is hardly what was meant.
    pub warnings: Vec<String>,
}

/// Takes the name and the flags from a line.
pub fn statement(line: Part<'_>, escape: char) -> Result<Statement<'_>, Wrong> {
    let (written, rest) = line.trim().first_word();
    let upper = written.text.to_ascii_uppercase();
    let Some(keyword) = KEYWORDS.iter().find(|known| **known == upper) else {
        let word: String = written.text.chars().take(40).collect();
        let wrong = written.wrong(format!("there is no instruction {word}"));
        return Err(match nearest(&upper, &KEYWORDS) {
            Some(meant) => wrong.hint(format!("Did you mean {meant}?")),
            None => wrong.hint(format!("There are: {}.", KEYWORDS.join(", "))),
        });
    };
    let (flags, args) = Flags::split(keyword, rest, escape);
    Ok(Statement { keyword, written, flags, args })
}

impl Statement<'_> {
    /// Whether `<<EOF` in it is a here-document.
    pub fn takes_documents(&self, escape: char) -> bool {
        match self.keyword {
            "RUN" | "COPY" | "ADD" => !matches!(array(self.args), Ok(Some(_))),
            "ONBUILD" => {
                let within = statement(self.args, escape);
                within.is_ok_and(|it| it.keyword != "ONBUILD" && it.takes_documents(escape))
            }
            _ => false,
        }
    }

    /// What it says, unless it is `FROM`.
    pub fn command(&self, reading: &mut Reading<'_>) -> Result<Command, Wrong> {
        let known: &[&str] = match self.keyword {
            "RUN" => &["network"],
            "COPY" => &copy::COPY_FLAGS,
            "ADD" => &copy::ADD_FLAGS,
            "HEALTHCHECK" => &health::FLAGS,
            _ => &[],
        };
        let refused: &[Refused] = match self.keyword {
            "RUN" => &RUN_REFUSED,
            "COPY" => &copy::COPY_REFUSED,
            "ADD" => &copy::ADD_REFUSED,
            _ => &[],
        };
        self.flags.check(known, refused)?;
        let command = match self.keyword {
            "ADD" => Command::Add(copy::add(self, reading)?),
            "ARG" => Command::Arg(self.arguments(reading.escape)?),
            "CMD" => Command::Cmd(self.line(self.args, reading)?),
            "COPY" => Command::Copy(copy::copy(self, reading)?),
            "ENTRYPOINT" => Command::Entrypoint(self.line(self.args, reading)?),
            "ENV" => Command::Env(self.pairs(reading)?),
            "EXPOSE" => Command::Expose(self.ports()?),
            "HEALTHCHECK" => Command::Healthcheck(health::healthcheck(self, reading)?),
            "LABEL" => Command::Label(self.pairs(reading)?),
            "MAINTAINER" => {
                reading
                    .warnings
                    .push("MAINTAINER is deprecated: LABEL maintainer=… says it, too".to_owned());
                Command::Maintainer(self.one()?)
            }
            "ONBUILD" => Command::Onbuild(self.onbuild(reading)?),
            "RUN" => Command::Run(self.run(reading)?),
            "SHELL" => Command::Shell(self.shell()?),
            "STOPSIGNAL" => Command::Stopsignal(self.one()?),
            "USER" => Command::User(self.one()?),
            "VOLUME" => Command::Volume(self.volumes(reading)?),
            "WORKDIR" => Command::Workdir(self.one()?),
            _ => return Err(self.written.wrong("FROM begins a stage, and belongs to none")),
        };
        // What no value of a variable could mend is told now, and not in the middle of a build.
        let anything = |_: &str| Some("x".to_owned());
        match expand::command(&command, &anything, reading.escape) {
            Ok(_) => Ok(command),
            Err(what) => {
                let fails = |text: &str| expand::word(text, &anything, reading.escape).is_err();
                let words = quoted(self.args, reading.escape);
                let word = words.iter().find(|word| fails(&word.text));
                Err(word.map_or_else(|| self.args.wrong(&what), |word| word.wrong(&what)))
            }
        }
    }

    fn nothing(&self, needs: &str) -> Wrong {
        self.written.wrong(format!("{} needs {needs}", self.keyword))
    }

    /// All that is there, spaces included, is one argument.
    fn one(&self) -> Result<String, Wrong> {
        match self.args.text {
            "" => Err(self.nothing("an argument")),
            text => Ok(text.to_owned()),
        }
    }

    /// The exec form or the shell form.
    pub fn line(&self, part: Part<'_>, reading: &mut Reading<'_>) -> Result<Line, Wrong> {
        if let Some(words) = array(part)? {
            return Ok(Line::Exec(words));
        }
        let looks_like_one = part.text.strip_prefix('[').is_some_and(|rest| {
            rest.trim_start().starts_with(['"', '\'', ']']) && part.text.ends_with(']')
        });
        if looks_like_one {
            reading.warnings.push(format!(
                "what {} has looks like a JSON array and is none, so a shell gets it as it is: in JSON, strings \
                 are in double quotes and `\\` is written `\\\\`",
                self.keyword
            ));
        }
        match part.text {
            "" => Err(self.nothing("a command")),
            text => Ok(Line::Shell(text.to_owned())),
        }
    }

    fn run(&self, reading: &mut Reading<'_>) -> Result<Run, Wrong> {
        let network = match self.flags.value("network")?.as_deref() {
            None | Some("default") => Network::Default,
            Some("none") => Network::None,
            Some("host") => {
                let wrong = self.flags.wrong("network", "RUN --network=host is not supported");
                return Err(wrong.hint(
                    "`image build --network host` gives the whole build the host's network.",
                ));
            }
            Some(other) => {
                let wrong = format!("there is no network {other:?} for RUN");
                return Err(self.flags.wrong("network", wrong).hint("There are: default, none."));
            }
        };
        let line = self.line(self.args, reading)?;
        match line {
            Line::Exec(words) if words.is_empty() => Err(self.nothing("a command")),
            line => Ok(Run { line, heredocs: reading.heredocs.to_vec(), network }),
        }
    }

    fn arguments(&self, escape: char) -> Result<Vec<Arg>, Wrong> {
        let words = quoted(self.args, escape);
        let arg = |word: &super::words::Word| match word.text.split_once('=') {
            Some(("", _)) => Err(word.wrong("a name is missing before =")),
            Some((name, value)) => {
                Ok(Arg { name: name.to_owned(), default: Some(value.to_owned()) })
            }
            None => Ok(Arg { name: word.text.clone(), default: None }),
        };
        match words.is_empty() {
            true => Err(self.nothing("a name: ARG NAME[=DEFAULT]")),
            false => words.iter().map(arg).collect(),
        }
    }

    /// `NAME=value …`, or the old form `NAME value`, which reaches to the end of the line.
    fn pairs(&self, reading: &mut Reading<'_>) -> Result<Vec<Pair>, Wrong> {
        let words = quoted(self.args, reading.escape);
        let keyword = self.keyword;
        let Some(first) = words.first() else {
            return Err(self.nothing(&format!("a name and a value: {keyword} NAME=VALUE")));
        };
        if !first.text.contains('=') {
            let (name, value) = match self.args.text.split_once(is_blank) {
                Some((name, value)) => (name, value.trim_start_matches(is_blank)),
                None => {
                    return Err(first
                        .wrong(format!("{keyword} gives {} no value", first.text))
                        .hint(format!("Write {keyword} NAME=VALUE.")));
                }
            };
            let warning =
                format!("{keyword} NAME VALUE is an old form; {keyword} NAME=VALUE is clearer");
            reading.warnings.push(warning);
            return Ok(vec![Pair { key: name.to_owned(), value: value.to_owned() }]);
        }
        let pair = |word: &super::words::Word| match word.text.split_once('=') {
            Some(("", _)) => Err(word.wrong("a name is missing before =")),
            Some((key, value)) => Ok(Pair { key: key.to_owned(), value: value.to_owned() }),
            None => Err(word
                .wrong(format!("{:?} has no =", word.text))
                .hint("A value with spaces is quoted: NAME=\"a b\".")),
        };
        words.iter().map(pair).collect()
    }

    fn ports(&self) -> Result<Vec<String>, Wrong> {
        let words = self.args.words();
        if words.is_empty() {
            return Err(self.nothing("a port"));
        }
        for word in words.iter().filter(|word| !word.text.contains(['$', '\'', '"', '\\', '`'])) {
            port::exposed(word.text).map_err(|why| word.wrong(why))?;
        }
        Ok(words.iter().map(|word| word.text.to_owned()).collect())
    }

    /// The paths of `VOLUME`, or those of `COPY` and `ADD`.
    pub fn paths(&self) -> Result<Vec<String>, Wrong> {
        Ok(match array(self.args)? {
            Some(paths) => paths,
            None => self.args.words().iter().map(|word| word.text.to_owned()).collect(),
        })
    }

    fn volumes(&self, _: &mut Reading<'_>) -> Result<Vec<String>, Wrong> {
        let paths: Vec<String> = self.paths()?.iter().map(|path| path.trim().to_owned()).collect();
        match paths.as_slice() {
            [] => Err(self.nothing("a path")),
            paths if paths.iter().any(String::is_empty) => {
                Err(self.args.wrong("an empty path is no volume"))
            }
            _ => Ok(paths),
        }
    }

    fn shell(&self) -> Result<Vec<String>, Wrong> {
        match array(self.args)? {
            Some(words) if !words.is_empty() => Ok(words),
            Some(_) => Err(self.args.wrong("SHELL needs a program")),
            None if self.args.text.is_empty() => Err(self.nothing("a JSON array")),
            None => Err(self
                .args
                .wrong("SHELL takes a JSON array and nothing else")
                .hint("Such as SHELL [\"/bin/bash\", \"-c\"].")),
        }
    }

    fn onbuild(&self, reading: &mut Reading<'_>) -> Result<Onbuild, Wrong> {
        if self.args.text.is_empty() {
            return Err(self.nothing("an instruction"));
        }
        let within = statement(self.args, reading.escape)?;
        if ["ONBUILD", "FROM", "MAINTAINER"].contains(&within.keyword) {
            let what = format!("{} cannot be put off with ONBUILD", within.keyword);
            return Err(within.written.wrong(what));
        }
        let command = Box::new(within.command(reading)?);
        let documents = reading.heredocs.iter().map(|doc| format!("\n{}{}", doc.text, doc.name));
        let trigger = format!("{}{}", self.args.text, documents.collect::<String>());
        Ok(Onbuild { trigger, command })
    }
}
