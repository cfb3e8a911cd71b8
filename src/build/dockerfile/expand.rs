//! What a word stands for: quotes, escapes, and variables, as docker has them.

use super::ast::Command;

/// What a variable stands for; `None` if there is none of that name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A word, expanded; the error is a clause that says what is wrong with it.
pub fn word(word: &str, env: Env<'_>, escape: char) -> Result<String, String> {
    let _ = (env, escape);
    Ok(word.to_owned())
}

/// A word, expanded and divided at white space that is not quoted: of `$PORTS` several may become.
pub fn words(word: &str, env: Env<'_>, escape: char) -> Result<Vec<String>, String> {
    let _ = (env, escape);
    Ok(vec![word.to_owned()])
}

/// The same instruction with every word of it expanded, as docker does for that kind of
/// instruction: here-documents too (what was expanded has `expand: false`), and of each port several may become.
/// `RUN`, `CMD`, `ENTRYPOINT`, `SHELL`, `HEALTHCHECK`, `ONBUILD` and `MAINTAINER` stay as they are.
/// Pairs of one `ENV` do not see each other; each `ARG` of one line sees those before it
/// (the caller expands them one at a time: `Command::Arg` is left as it is, too).
pub fn command(command: &Command, env: Env<'_>, escape: char) -> Result<Command, String> {
    let _ = (env, escape);
    Ok(command.clone())
}
