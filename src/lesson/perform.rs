//! Performing a lesson's lines: our own commands in a re-executed process that
//! reports its steps, the machine's programs through a shell. The player
//! itself enters nothing and starts no thread.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::error::{Context, Error, Result};
use crate::shell::in_quotes;
use crate::step::Step;
use crate::ui::columns;

use super::check::World;

/// What came of a line.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Its exit code; 128 + the signal that ended it.
    pub exit: u8,
    /// What it wrote, to either stream, in order.
    pub output: String,
    /// The kernel operations that it reported (our own commands only).
    pub steps: Vec<Step>,
}

/// How the commands' own output is to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Whether in colour.
    pub color: bool,
    /// Whether nothing is to be drawn.
    pub plain: bool,
    /// Whether they are shown, on a terminal whose window may change; else 80 columns.
    pub shown: bool,
}

impl Look {
    /// What commands print stands indented by two.
    fn width(self) -> usize {
        if self.shown { columns().unwrap_or(80).min(100) - 2 } else { 80 }
    }
}

/// This program's own path, to be found by a shell and by `sudo`.
pub fn own_program() -> Result<PathBuf> {
    std::env::current_exe().tried(|| "readlink(\"/proc/self/exe\")")
}

/// One of our own command lines (without the program's name), in a process of its own.
pub fn own(words: &[String], world: &World, look: Look) -> Result<Done> {
    let reports = memory("steps")?;
    let number = reports.as_raw_fd().to_string();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(super::review::PROGRAM);
    command.args(["--report-fd", &number, "--color", if look.color { "always" } else { "never" }]);
    command.args(words).env("COLUMNS", look.width().to_string());
    command.envs(look.plain.then_some(("UTH_PLAIN", "1")));
    rustix::io::fcntl_setfd(&reports, rustix::io::FdFlags::empty()).tried(|| "fcntl(F_SETFD)")?;
    let done = capture(command, world);
    rustix::io::fcntl_setfd(&reports, rustix::io::FdFlags::CLOEXEC).tried(|| "fcntl(F_SETFD)")?;
    let mut done = done?;
    let steps = text(reports)?;
    done.steps = steps.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok(done)
}

/// A line for the machine's shell.
pub fn shell(line: &str, world: &World) -> Result<Done> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &by_its_own_name(&world.qualified(line), &world.program)]);
    capture(command, world)
}

/// A lesson calls this program `under-the-hood`; whoever keeps it under another
/// name still means this one.
fn by_its_own_name(line: &str, program: &Path) -> String {
    let known = super::review::PROGRAM;
    if program.file_name().is_none_or(|name| name == known) {
        return line.to_owned();
    }
    let path = in_quotes(&program.to_string_lossy());
    let named = |word: &str| match word.strip_suffix(known) {
        Some(before) if before.is_empty() || before.ends_with('(') => format!("{before}{path}"),
        _ => word.to_owned(),
    };
    line.split(' ').map(named).collect::<Vec<_>>().join(" ")
}

fn capture(mut command: Command, world: &World) -> Result<Done> {
    let output = memory("output")?;
    let again = || output.try_clone().tried(|| "dup(output)");
    command.envs(world.variables()).env("PATH", search_path(&world.program));
    command.stdin(Stdio::null()).stdout(again()?).stderr(again()?);
    let program = command.get_program().to_owned();
    let status = command.status().tried(|| format!("execve({program:?})"))?;
    Ok(Done { exit: code(status), output: text(output)?, steps: Vec::new() })
}

fn code(status: ExitStatus) -> u8 {
    let number = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// `PATH` with our own directory first, and with those that `ip` and the like
/// are in even where an ordinary user's has not.
pub fn search_path(program: &Path) -> OsString {
    let given = std::env::var_os("PATH").unwrap_or_default();
    let ours = program.parent().map(Path::to_owned);
    let more = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    let mut all: Vec<PathBuf> = ours.into_iter().collect();
    for directory in std::env::split_paths(&given).chain(more) {
        if !all.contains(&directory) {
            all.push(directory);
        }
    }
    std::env::join_paths(all).unwrap_or(given)
}

/// A file in memory: unlike a pipe it can be read when all is over, however
/// long a process that was left running keeps it open.
fn memory(name: &str) -> Result<File> {
    memfd_create(name, MemfdFlags::CLOEXEC)
        .map(File::from)
        .tried(|| format!("memfd_create({name:?})"))
}

fn text(mut file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| Error::io("read(output)", &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_exit_code_and_both_streams_in_order() {
        let done = shell("echo a; echo b >&2; echo c; exit 3", &World::default()).unwrap();
        assert_eq!((done.exit, done.output.as_str()), (3, "a\nb\nc\n"));
    }

    #[test]
    fn the_program_is_found_under_another_name_too() {
        let line = "! under-the-hood exec -d box ls /under-the-hood";
        assert_eq!(by_its_own_name(line, Path::new("/bin/under-the-hood")), line);
        let other = by_its_own_name(line, Path::new("/my bin/uth"));
        assert_eq!(other, "! '/my bin/uth' exec -d box ls /under-the-hood");
        let inner = by_its_own_name("test \"$(under-the-hood exec box id)\"", Path::new("/uth"));
        assert_eq!(inner, "test \"$('/uth' exec box id)\"");
    }

    #[test]
    fn a_process_left_running_does_not_hold_us_up() {
        let begun = std::time::Instant::now();
        let done = shell("sleep 5 & echo $!", &World::default()).unwrap();
        assert!(begun.elapsed().as_secs() < 4);
        let pid: i32 = done.output.trim().parse().unwrap();
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
    }
}
