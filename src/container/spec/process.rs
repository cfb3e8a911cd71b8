//! A process in a container, as `run` and `exec` are asked for it.

use crate::container::spec::{Rights, clean, usage};
use crate::error::Result;

/// A process in a container that is asked for.
#[derive(Debug, Clone)]
pub struct Process {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Its environment, `NAME=value`.
    pub env: Vec<String>,
    /// Where it starts.
    pub workdir: String,
    /// User and group id, as the container counts.
    pub user: (u32, u32),
    /// What it may do.
    pub rights: Rights,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Whether it can read our standard input.
    pub interactive: bool,
    /// Whether it goes on when we end.
    pub detached: bool,
}

impl Process {
    /// A process that runs `command` with this environment.
    pub fn new(command: Vec<String>, env: &[String]) -> Self {
        Self {
            command,
            env: env.to_vec(),
            workdir: "/".to_owned(),
            user: (0, 0),
            rights: Rights::default(),
            terminal: false,
            interactive: false,
            detached: false,
        }
    }

    /// `--tty`: with a terminal of the reader's kind.
    pub fn with_terminal(&mut self) {
        self.terminal = true;
        let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
        set(&mut self.env, format!("TERM={term}"));
    }

    /// `--env NAME=VALUE`, or `--env NAME` for the value it has out here.
    pub fn set_env(&mut self, given: &str) -> Result<()> {
        match given.split_once('=') {
            Some(("", _)) => return Err(usage(format!("--env {given}: a variable needs a name"))),
            Some(_) => set(&mut self.env, given.to_owned()),
            None => {
                if let Ok(value) = std::env::var(given) {
                    set(&mut self.env, format!("{given}={value}"));
                }
            }
        }
        Ok(())
    }

    /// `--workdir`
    pub fn set_workdir(&mut self, given: &str) -> Result<()> {
        if !given.starts_with('/') {
            return Err(usage(format!(
                "--workdir {given}: the path must be absolute, as the container sees it"
            )));
        }
        self.workdir = clean(given).to_string_lossy().into_owned();
        Ok(())
    }

    /// `--user UID[:GID]`
    pub fn set_user(&mut self, given: &str) -> Result<()> {
        self.user = user(given)?;
        Ok(())
    }
}

fn set(env: &mut Vec<String>, entry: String) {
    let name = entry.split('=').next().unwrap_or_default();
    env.retain(|present| present.split('=').next() != Some(name));
    env.push(entry);
}

/// `UID[:GID]`, as numbers; nothing wraps, nothing is guessed.
fn user(text: &str) -> Result<(u32, u32)> {
    let number = |part: &str| {
        part.parse::<u32>().ok().filter(|id| *id != u32::MAX).ok_or_else(|| {
            usage(format!("--user {text}: {part:?} is no user or group id"))
                .hint("Give numbers, as in --user 1000 or --user 1000:1000.")
        })
    };
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid)?, number(gid)?)),
        None => Ok((number(text)?, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn users_are_exact() {
        assert_eq!(user("1000").unwrap(), (1000, 0));
        assert_eq!(user("1:2").unwrap(), (1, 2));
        for wrong in ["", "root", "-1", "4294967295", "4294967296", "1:", "1:2:3"] {
            assert_eq!(user(wrong).unwrap_err().exit, Exit::Engine, "{wrong}");
        }
    }

    #[test]
    fn later_variables_replace_earlier_ones() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        set(&mut env, "A=3".to_owned());
        assert_eq!(env, ["B=2", "A=3"]);
    }
}
