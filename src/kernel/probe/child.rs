//! Trying something where it can do no harm: in a child process that is given
//! a time limit, and that ends when this program ends, however that happens.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context, Error, Result};
use crate::kernel::raw;

/// What a child may answer at most; a daemon's list of containers is far below.
const LONGEST_ANSWER: usize = 8 << 20;

/// Runs `work` in a child process and brings its answer back. `what` names it
/// for the error when the child takes longer than `limit` or dies.
pub fn attempt<T>(what: &str, limit: Duration, work: impl FnOnce() -> Result<T>) -> Result<T>
where
    T: Serialize + DeserializeOwned,
{
    let answer = capture(what, limit, |pipe| {
        let answer = work();
        let text = serde_json::to_vec(&answer).unwrap_or_default();
        i32::from(File::from(pipe).write_all(&text).is_err())
    })?;
    serde_json::from_slice::<Result<T>>(&answer.output).unwrap_or_else(|_| {
        Err(Error::new(what).said(format!("the child process that tried it {}", answer.end)))
    })
}

/// What a child wrote, and how it ended.
struct Answer {
    output: Vec<u8>,
    end: String,
}

/// Forks; the copy runs `work` and ends with its answer as exit code.
pub fn fork(work: impl FnOnce() -> i32) -> Result<Pid> {
    match raw::fork().tried(|| "fork()")? {
        Some(pid) => Ok(Pid::from_raw(pid)),
        None => {
            let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            raw::exit_now(answer.unwrap_or(101))
        }
    }
}

fn capture(what: &str, limit: Duration, work: impl FnOnce(OwnedFd) -> i32) -> Result<Answer> {
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).tried(|| "pipe2(O_CLOEXEC)")?;
    let us = nix::unistd::getpid();
    let deadline = Instant::now() + limit;
    let child = fork(move || if die_with(us).is_ok() { work(writer) } else { 1 })?;
    let output = read_until(File::from(reader), deadline);
    if output.is_none() {
        let _ = kill(child, Signal::SIGKILL);
    }
    let end = reap(child);
    match output {
        Some(output) => Ok(Answer { output, end }),
        None => Err(Error::new(what).said(format!("no answer within {} s", limit.as_secs_f32()))),
    }
}

/// Asks the kernel to kill us when our parent ends; to be repeated after a
/// change of credentials, which clears it (PR_SET_PDEATHSIG(2const)).
pub fn die_with(parent: Pid) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).tried(|| "prctl(PR_SET_PDEATHSIG, SIGKILL)")?;
    // Seen from a new pid namespace the parent is 0; elsewhere another number
    // means that it died before the line above.
    let now = nix::unistd::getppid();
    if now == parent || now.as_raw() == 0 {
        Ok(())
    } else {
        Err(Error::new("the parent process has ended"))
    }
}

/// All there is to read, or nothing when the deadline comes first.
fn read_until(mut pipe: File, deadline: Instant) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        let millis = i32::try_from(left.as_millis()).ok()?.max(1);
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::try_from(millis).ok()?) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return None,
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return Some(output),
            Ok(count) => output.extend_from_slice(&buffer[..count]),
            Err(_) => return None,
        }
        if output.len() > LONGEST_ANSWER {
            return None;
        }
    }
}

/// Waits for a child that is ending; gives up after a second on one that the
/// kernel cannot end just now (state D).
fn reap(child: Pid) -> String {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut killed = false;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => return format!("exited with {code}"),
            Ok(WaitStatus::Signaled(_, signal, _)) => return format!("was ended by {signal}"),
            Ok(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            Ok(_) if !killed => {
                killed = true; // its output is closed, but it goes on: no longer of use
                let _ = kill(child, Signal::SIGKILL);
            }
            Ok(_) => return "does not end".to_owned(),
            Err(errno) => return format!("could not be waited for ({errno})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn brings_back_answers_and_errors() {
        assert_eq!(attempt("x", LIMIT, || Ok(7)), Ok(7));
        let error = Error::call("mount()", nix::errno::Errno::EPERM).hint("sudo");
        assert_eq!(attempt("x", LIMIT, || Err::<(), _>(error.clone())), Err(error));
    }

    #[test]
    fn a_child_that_hangs_is_ended_in_time() {
        let start = Instant::now();
        let error = attempt("sleeping", Duration::from_millis(200), || {
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        })
        .expect_err("no answer");
        assert_eq!(error.said.as_deref(), Some("no answer within 0.2 s"));
        assert!(start.elapsed() < LIMIT);
    }

    #[test]
    fn a_child_that_dies_is_an_error() {
        let error = attempt("dying", LIMIT, || -> Result<()> {
            let _ = kill(nix::unistd::getpid(), Signal::SIGKILL);
            Ok(())
        })
        .expect_err("it died");
        assert!(error.said.is_some_and(|said| said.contains("SIGKILL")));
    }
}
