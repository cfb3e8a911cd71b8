//! Asking a program of an engine's, which may say nothing, or too much, or never end.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::error::{Context, Error, Result};

/// What a program of an engine's may print.
const MOST: u64 = 4 << 20;

/// What of its last words an error repeats.
const LAST_WORDS: usize = 300;

/// What a client, found on PATH, prints.
pub fn said_by(client: &[String], rest: &[&str], until: Instant) -> Result<String> {
    let (program, flags) = client.split_first().ok_or_else(|| Error::new("no program"))?;
    let call = format!("{} {}", client.join(" "), rest.join(" "));
    let mut command = Command::new(program);
    command.args(flags).args(rest);
    said(command, call.trim_end(), until)
}

/// What a program prints, if it ends in time and well; else it is ended, and the error has
/// what it said against it. It writes to files in memory: unlike pipes they are no longer
/// waited for than the program itself, whatever that has left running.
pub fn said(mut command: Command, call: &str, until: Instant) -> Result<String> {
    let [out, err] = [memory()?, memory()?];
    let copy = |file: &File| file.try_clone().tried(|| "dup(output)");
    let streams = command.stdin(Stdio::null()).stdout(copy(&out)?).stderr(copy(&err)?);
    let mut child = streams.spawn().tried(|| call)?;
    let length = |file: &File| file.metadata().map_or(u64::MAX, |metadata| metadata.len());
    let status = loop {
        if let Some(status) = child.try_wait().tried(|| call)? {
            break status;
        }
        let why = match (Instant::now() < until, length(&out).max(length(&err)) <= MOST) {
            (true, true) => {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            (_, false) => "it said more than 4 MiB, and was ended",
            (false, true) => "it did not end in time",
        };
        let _ = child.kill();
        let _ = child.wait();
        return Err(Error::new(call).said(why));
    };
    if length(&out) > MOST {
        return Err(Error::new(call).said("it said more than 4 MiB"));
    }
    if status.success() {
        return text(out);
    }
    let told = last_words(&text(err)?);
    Err(Error::new(call).said(if told.is_empty() { status.to_string() } else { told }))
}

fn memory() -> Result<File> {
    memfd_create("said", MemfdFlags::CLOEXEC).map(File::from).tried(|| "memfd_create(\"said\")")
}

fn text(mut file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.take(MOST).read_to_end(&mut bytes))
        .tried(|| "read(output)")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last line, without what would drive a terminal.
fn last_words(text: &str) -> String {
    let last = text.trim().lines().last().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(LAST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let (start, words) = (Instant::now(), |text: &str| vec![text.to_owned()]);
        let later = start + Duration::from_secs(20);
        let soon = start + Duration::from_millis(100);
        let error = said_by(&words("sleep"), &["60"], soon).expect_err("too slow");
        assert_eq!(error.said.as_deref(), Some("it did not end in time"));
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(said_by(&words("false"), &[], later).is_err());
        let script = "printf 'no \\033[31mdaemon\\n' >&2; exit 3";
        let error = said_by(&words("sh"), &["-c", script], later).expect_err("exit 3");
        assert_eq!(error.said.as_deref(), Some("no [31mdaemon"));
        assert_eq!(said_by(&words("echo"), &["x"], later).as_deref(), Ok("x\n"));
        let error = said_by(&words("yes"), &[], later).expect_err("too much");
        assert!(error.said.is_some_and(|said| said.contains("4 MiB")));
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        let (start, words) = (Instant::now(), ["sh".to_owned()]);
        let later = start + Duration::from_secs(5);
        let said = said_by(&words, &["-c", "sleep 9 & echo x"], later);
        assert_eq!(said.as_deref(), Ok("x\n"));
    }
}
