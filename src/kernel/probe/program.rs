//! Asking a program of an engine's, which may say nothing, or too much, or never end.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Context, Error, Result};

/// What a program of an engine's may print.
const MOST: usize = 4 << 20;

/// What a program prints, if it ends in time and well; else it is ended.
pub fn said_by(client: &[String], rest: &[&str], until: Instant) -> Result<String> {
    let call = || format!("{} {}", client.join(" "), rest.join(" ")).trim_end().to_owned();
    let (program, flags) = client.split_first().ok_or_else(|| Error::new("no program"))?;
    let mut child = Command::new(program)
        .args(flags)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .tried(call)?;
    let mut pipe = child.stdout.take().ok_or_else(|| Error::new(call()))?;
    let read = read_until(&mut pipe, until);
    if !matches!(read, Ok(Some(_))) {
        let _ = child.kill();
    }
    let status = child.wait().tried(call)?;
    match read.tried(call)? {
        None if Instant::now() < until => {
            Err(Error::new(call()).said("it said more than 4 MiB, and was ended"))
        }
        None => Err(Error::new(call()).said("it did not end in time")),
        Some(_) if !status.success() => Err(Error::new(call()).said(status)),
        Some(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
    }
}

/// All of it, or none if it takes too long, or is too much.
fn read_until(pipe: &mut (impl Read + AsFd), until: Instant) -> std::io::Result<Option<Vec<u8>>> {
    let (mut text, mut buffer) = (Vec::new(), [0; 16 << 10]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], limit.as_ref()) {
            Ok(0) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        match pipe.read(&mut buffer)? {
            0 => return Ok(Some(text)),
            length => text.extend_from_slice(&buffer[..length]),
        }
        if text.len() > MOST {
            return Ok(None);
        }
    }
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
        assert_eq!(said_by(&words("echo"), &["x"], later).as_deref(), Ok("x\n"));
        let error = said_by(&words("yes"), &[], later).expect_err("too much");
        assert!(error.said.is_some_and(|said| said.contains("4 MiB")));
    }
}
