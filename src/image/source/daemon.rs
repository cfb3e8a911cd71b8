//! Docker's own images: its daemon is asked for one over its socket, and answers
//! with what `docker save` writes.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::tarred::spooled;
use crate::error::{Context, Error, Result};

/// Where the daemon listens.
const SOCKET: &str = "/var/run/docker.sock";

/// It may have to look for a while before it answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of the answer's head.
const MOST_HEAD: u64 = 64 << 10;

fn socket() -> Result<PathBuf> {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(Error::cannot(format!("DOCKER_HOST={host} is no unix:// address"))
                .hint("`docker save NAME -o FILE`, then docker-archive:FILE.")),
        },
        _ => Ok(SOCKET.into()),
    }
}

/// The archive of this image, in a file that has no name.
pub fn saved(name: &str) -> Result<File> {
    let socket = socket()?;
    let call = || format!("connect({socket:?})");
    let mut stream = UnixStream::connect(&socket).tried(call).map_err(|error| {
        error.hint("Docker's daemon is asked for its images, and it does not answer here: `docker version` says more.")
    })?;
    stream.set_read_timeout(Some(PATIENCE)).tried(call)?;
    // HTTP/1.0: the answer comes in one piece and ends when the connection does.
    let request = format!("GET /images/{name}/get HTTP/1.0\r\nHost: docker\r\n\r\n");
    stream.write_all(request.as_bytes()).tried(call)?;
    let mut answer = BufReader::new(stream);
    let status = head(&mut answer)?;
    if status == 200 {
        return spooled(answer);
    }
    let mut message = String::new();
    let _ = answer.take(4096).read_to_string(&mut message);
    let json: serde_json::Value = serde_json::from_str(&message).unwrap_or_default();
    let said = json["message"].as_str().unwrap_or_default().escape_debug().to_string();
    let error = Error::new(format!("GET /images/{name}/get from docker's daemon"))
        .said(format!("it answered {status} {said}"));
    Err(match status {
        404 => error.hint("`docker images` shows what docker has."),
        _ => error,
    })
}

/// Reads the head of the answer; its status.
fn head(answer: &mut impl BufRead) -> Result<u16> {
    let wrong = |said: &str| Error::new("asking docker's daemon").said(said.to_owned());
    let mut head = answer.take(MOST_HEAD);
    let mut status = None;
    loop {
        let mut line = Vec::new();
        head.read_until(b'\n', &mut line).tried(|| "reading the answer of docker's daemon")?;
        let line = String::from_utf8_lossy(&line);
        match line.trim_end() {
            "" if !line.ends_with('\n') => return Err(wrong("its answer was cut")),
            "" => return status.ok_or_else(|| wrong("this is not HTTP")),
            first if status.is_none() => {
                let number = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
                status = number.and_then(|number| number.parse().ok());
                status.ok_or_else(|| wrong("this is not HTTP"))?;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_answer_is_read_and_nothing_of_the_body() {
        let mut answer = &b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\nbody"[..];
        assert_eq!(head(&mut answer).unwrap(), 404);
        assert_eq!(answer, b"body");
        for wrong in
            [&b""[..], b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y", b"HTTP/1.1 ok\r\n\r\n"]
        {
            assert!(head(&mut &*wrong).is_err());
        }
    }
}
