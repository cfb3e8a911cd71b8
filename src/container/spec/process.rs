//! A process in a container, as `run` and `exec` are asked for it.

use crate::container::passwd::User;
use crate::container::spec::{Rights, clean, usage};
use crate::error::Result;
use crate::kernel::limits::Limit;

/// A process in a container that is asked for.
#[derive(Debug, Clone)]
pub struct Process {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Its environment, `NAME=value`.
    pub env: Vec<String>,
    /// Where it starts.
    pub workdir: String,
    /// Who it is.
    pub user: User,
    /// What it may do.
    pub rights: Rights,
    /// What it may use at most.
    pub limits: Vec<Limit>,
    /// How gladly the kernel kills it, if somebody said.
    pub oom_score: Option<i32>,
    /// Whether an init of ours comes before it.
    pub init: bool,
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
            user: User::default(),
            rights: Rights::default(),
            limits: Vec::new(),
            oom_score: None,
            init: false,
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

    /// Sets a variable, or takes it away.
    pub fn set_env(&mut self, (name, value): &(String, Option<String>)) {
        match value {
            Some(value) => set(&mut self.env, format!("{name}={value}")),
            None => self.env.retain(|present| present.split('=').next() != Some(name)),
        }
    }

    /// Who it is; HOME follows, unless somebody said what it is.
    pub fn set_user(&mut self, user: User) {
        if !self.env.iter().any(|present| present.starts_with("HOME=")) {
            self.env.push(format!("HOME={}", user.home));
        }
        self.user = user;
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
}

fn set(env: &mut Vec<String>, entry: String) {
    let name = entry.split('=').next().unwrap_or_default();
    env.retain(|present| present.split('=').next() != Some(name));
    env.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_variables_replace_earlier_ones() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        set(&mut env, "A=3".to_owned());
        assert_eq!(env, ["B=2", "A=3"]);
    }
}
