//! The last operation: the process becomes another program, execve(2).

use std::ffi::CString;
use std::path::Path;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Exit, Result};
use crate::kernel::enter::FromInit;
use crate::kernel::op::{Operation, World, fill, literal};
use crate::step::{Actor, Step};

/// Becomes a program. Nothing of ours is left in the process afterwards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Execute {
    /// The program, looked for along PATH when there is no slash in it, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment: `NAME=value`.
    pub env: Vec<String>,
}

impl Operation for Execute {
    fn step(&self) -> Step {
        let arguments =
            self.argv.iter().map(|argument| format!("{argument:?}")).collect::<Vec<_>>().join(", ");
        let program = self.argv.first().map_or("", String::as_str);
        Step::new(
            literal(&format!("execve({program:?}, [{arguments}], [{} variables])", self.env.len())),
            "our program is gone from this process: it is your command now, with the pid it had",
        )
        .shell(literal(&format!("exec {}", self.argv.join(" "))))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let program = self.find()?;
        let argv = strings(&self.argv)?;
        let env = strings(&self.env)?;
        let path = strings(std::slice::from_ref(&program))?;
        if let Some(channel) = world.channel {
            let mut step = Step { actor: Actor::Init, ..self.step() };
            fill(&mut step, world.slots);
            channel.send(&FromInit::Executing(step), &[])?;
            // Closed by the kernel as the command starts: that is how the launcher hears of it.
            rustix::io::fcntl_setfd(channel, rustix::io::FdFlags::CLOEXEC)
                .tried(|| "fcntl(channel, FD_CLOEXEC)")?;
        }
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
        let Err(errno) = nix::unistd::execve(&path[0], &argv, &env);
        Err(refused(&program, errno))
    }
}

fn refused(program: &str, errno: Errno) -> Error {
    let error = Error::call(format!("execve({program:?})"), errno).exit(Exit::NotExecutable);
    match errno {
        Errno::ENOENT => error.exit(Exit::NotFound).hint(
            "The file is there, but the loader or interpreter that it names is not: \
             a program needs its libraries in the same root.",
        ),
        Errno::EACCES => error.hint("It is no program: a directory, or a file without the x bit."),
        Errno::ENOEXEC => error.hint(
            "The kernel does not know this format: another architecture, or a script without #!.",
        ),
        _ => error,
    }
}

/// Becomes a program of this machine, found along PATH, in the environment there is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Become {
    /// The program and its arguments.
    pub argv: Vec<String>,
}

impl Operation for Become {
    fn step(&self) -> Step {
        let arguments: Vec<_> = self.argv.iter().map(|word| format!("{word:?}")).collect();
        let program = self.argv.first().map_or("", String::as_str);
        Step::new(
            literal(&format!(
                "execve({program:?}, [{}], [your environment])",
                arguments.join(", ")
            )),
            "our program is gone from this process: it is your command now",
        )
        .shell(literal(&format!("exec {}", self.argv.join(" "))))
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let argv = strings(&self.argv)?;
        let Some(program) = argv.first() else {
            return Err(Error::new("there is no command to start").exit(Exit::NotFound));
        };
        let Err(errno) = nix::unistd::execvp(program, &argv);
        let name = self.argv.first().map_or("", String::as_str);
        Err(match errno {
            Errno::ENOENT => Error::call(format!("execve({name:?})"), errno)
                .exit(Exit::NotFound)
                .hint("There is no such program on this machine: the files are still the host's."),
            errno => refused(name, errno),
        })
    }
}

impl Execute {
    /// As execvp(3) looks: the file itself with a slash, else along PATH.
    fn find(&self) -> Result<String> {
        let name = self.argv.first().filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| Error::new("there is no command to start").exit(Exit::NotFound))?;
        let not_found = |looked: &str| {
            Error::call(format!("execve({name:?})"), Errno::ENOENT).exit(Exit::NotFound).hint(
                format!(
                    "There is no {name} in the container ({looked}). It sees only its own files."
                ),
            )
        };
        if name.contains('/') {
            return match Path::new(name).exists() {
                true => Ok(name.clone()),
                false => Err(not_found("not at that path")),
            };
        }
        let path = self
            .env
            .iter()
            .find_map(|entry| entry.strip_prefix("PATH="))
            .unwrap_or("/bin:/usr/bin");
        let found = path
            .split(':')
            .map(|directory| format!("{directory}/{name}"))
            .find(|candidate| Path::new(candidate).is_file());
        found.ok_or_else(|| not_found(&format!("PATH={path}")))
    }
}

/// For the kernel: no NUL bytes inside.
pub fn strings(texts: &[String]) -> Result<Vec<CString>> {
    let convert = |text: &String| {
        CString::new(text.as_str())
            .map_err(|_| Error::usage(format!("{text:?} has a NUL byte in it")))
    };
    texts.iter().map(convert).collect()
}
