//! What a word stands for: quotes, escapes, and variables, as docker has them.
//!
//! It looks like a shell, and is none: what is not expanded where a shell would
//! (`~`, `*`, `$(…)`) stays, and `"`, `'` and the escape character go.

mod lexer;
mod pattern;

pub use lexer::Lexer;

use super::ast::{Add, Command, Copy, Heredoc, Pair};

/// What a variable stands for; `None` if there is none of that name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// No variable at all.
pub fn nothing(_: &str) -> Option<String> {
    None
}

/// A word, expanded; the error is a clause that says what is wrong with it.
pub fn word(word: &str, env: Env<'_>, escape: char) -> Result<String, String> {
    Lexer::new(escape).lex(word, env).map(|(word, _)| word)
}

/// A word, expanded and divided at white space that is not quoted: of `$PORTS` several may become.
pub fn words(word: &str, env: Env<'_>, escape: char) -> Result<Vec<String>, String> {
    Lexer::new(escape).lex(word, env).map(|(_, words)| words)
}

/// The text of a here-document, expanded: quotes stay, and `\` escapes whatever
/// the file's escape character is.
pub fn document(text: &str, env: Env<'_>) -> Result<String, String> {
    let lexer = Lexer { quotes: false, ..Lexer::new('\\') };
    lexer.lex(text, env).map(|(text, _)| text)
}

/// The same instruction with every word of it expanded, as docker does for that kind of
/// instruction: here-documents too (then they are [`Heredoc::content`], and `expand` and `chomp` are
/// off), and of each port of `EXPOSE` several may become.
/// `RUN`, `CMD`, `ENTRYPOINT`, `SHELL`, `HEALTHCHECK`, `ONBUILD` and `MAINTAINER` stay as they are.
/// Pairs of one `ENV` do not see each other. Of one `ARG` each sees those before it, and a default
/// counts only where no `--build-arg` does: it stays as it is, too, for the caller to go through.
pub fn command(command: &Command, env: Env<'_>, escape: char) -> Result<Command, String> {
    let one = |text: &String| word(text, env, escape);
    let each = |texts: &[String]| texts.iter().map(one).collect::<Result<Vec<_>, _>>();
    let pairs = |pairs: &[Pair]| {
        let pair = |pair: &Pair| Ok(Pair { key: one(&pair.key)?, value: one(&pair.value)? });
        pairs.iter().map(pair).collect::<Result<Vec<_>, String>>()
    };
    Ok(match command {
        Command::Add(add) => {
            Command::Add(Add { copy: copy(&add.copy, env, escape)?, unpack: add.unpack })
        }
        Command::Copy(from) => Command::Copy(copy(from, env, escape)?),
        Command::Env(env) => Command::Env(pairs(env)?),
        Command::Expose(ports) => {
            let ports: Result<Vec<_>, _> =
                ports.iter().map(|port| words(port, env, escape)).collect();
            Command::Expose(ports?.concat())
        }
        Command::Label(labels) => Command::Label(pairs(labels)?),
        Command::Stopsignal(signal) => Command::Stopsignal(one(signal)?),
        Command::User(user) => Command::User(one(user)?),
        Command::Volume(volumes) => Command::Volume(each(volumes)?),
        Command::Workdir(path) => Command::Workdir(one(path)?),
        Command::Arg(_)
        | Command::Cmd(_)
        | Command::Entrypoint(_)
        | Command::Healthcheck(_)
        | Command::Maintainer(_)
        | Command::Onbuild(_)
        | Command::Run(_)
        | Command::Shell(_) => command.clone(),
    })
}

fn copy(copy: &Copy, env: Env<'_>, escape: char) -> Result<Copy, String> {
    let one = |text: &String| word(text, env, escape);
    let sources: Result<_, _> = copy.sources.iter().map(one).collect();
    let heredocs: Result<_, _> = copy.heredocs.iter().map(|doc| file(doc, env)).collect();
    Ok(Copy {
        sources: sources?,
        heredocs: heredocs?,
        dest: one(&copy.dest)?,
        chown: copy.chown.as_ref().map(one).transpose()?,
        chmod: copy.chmod.as_ref().map(one).transpose()?,
        ..copy.clone()
    })
}

fn file(doc: &Heredoc, env: Env<'_>) -> Result<Heredoc, String> {
    let content = doc.content();
    let text = if doc.expand { document(&content, env)? } else { content };
    Ok(Heredoc { name: doc.name.clone(), text, chomp: false, expand: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        Some(match name {
            "P" => "80 443/tcp".to_owned(),
            "X" => "x".to_owned(),
            _ => return None,
        })
    }

    #[test]
    fn each_instruction_is_expanded_as_docker_does() {
        let of = |what: Command| command(&what, &env, '\\').unwrap();
        let ports = Command::Expose(vec!["$P".to_owned(), "8$X".to_owned()]);
        let expected = ["80", "443/tcp", "8x"].map(str::to_owned).to_vec();
        assert_eq!(of(ports), Command::Expose(expected));
        let doc = |text: &str, expand, chomp| Heredoc {
            name: "f".to_owned(),
            text: text.to_owned(),
            chomp,
            expand,
        };
        let copy = Command::Copy(Copy {
            sources: vec!["'$X'".to_owned(), "$X".to_owned()],
            heredocs: vec![doc("\t\"$X\" '$X' \\$X\n", true, true), doc("\t$X\n", false, false)],
            dest: "/$X".to_owned(),
            chown: Some("$X:$X".to_owned()),
            exclude: vec!["$X".to_owned()],
            ..Copy::default()
        });
        let Command::Copy(copy) = of(copy) else { panic!() };
        assert_eq!(copy.sources, ["$X", "x"]);
        assert_eq!(copy.heredocs[0].text, "\"x\" 'x' $X\n");
        assert_eq!(copy.heredocs[1].text, "\t$X\n");
        assert_eq!(copy.chown.as_deref(), Some("x:x"));
        assert_eq!((copy.dest.as_str(), copy.exclude[0].as_str()), ("/x", "$X"));
        let run = Command::Run(super::super::ast::Run {
            line: super::super::ast::Line::Shell("echo $X".to_owned()),
            heredocs: Vec::new(),
            network: Default::default(),
        });
        assert_eq!(of(run.clone()), run);
    }
}
