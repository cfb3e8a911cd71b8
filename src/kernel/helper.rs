//! A network for who may lay no cable: a program of this machine (pasta,
//! slirp4netns) opens a tap device inside the container and carries what comes
//! out of it over ordinary sockets out here.
//!
//! It is a child of the watcher, named in the journal: it ends with the
//! container, and the kernel kills it when the watcher is killed.

use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Exit, Result};
use crate::kernel::execute::strings;
use crate::kernel::netlink::{Protocol, Socket, inside, routes};
use crate::kernel::op::{Operation, World};
use crate::kernel::pidfd::{PidFd, start_time};
use crate::kernel::raw;
use crate::step::{Actor, Step};

/// How long a network may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the program for the container `$pid`, and waits until it has made the
/// default route in there, which is the last thing that it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserNet {
    /// The program, found along PATH, and its arguments.
    pub argv: Vec<String>,
}

impl UserNet {
    fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

impl Operation for UserNet {
    fn step(&self) -> Step {
        let arguments: Vec<_> = self.argv.iter().map(|word| format!("{word:?}")).collect();
        Step {
            actor: Actor::Shim,
            ..Step::new(
                format!("execve({:?}, [{}])", self.program(), arguments.join(", ")),
                "an ordinary user may lay no cable to the host: this program, which runs as you, \
                 carries what comes out of a tap device in there over sockets of its own",
            )
            .shell(format!("{} &", self.argv.join(" ")))
        }
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill("/proc/$pid/ns/net");
        let net = File::open(&path).tried(|| format!("open({path:?})"))?;
        let socket = inside::socket_in(&net, Protocol::Route)?;
        socket.subscribe(routes::NEWS)?;
        let words = memfd_create("under-the-hood: what a helper says", MemfdFlags::CLOEXEC);
        let words = File::from(words.tried(|| "memfd_create()")?);
        let null = File::options().read(true).write(true).open("/dev/null");
        let copy = || words.try_clone().map(OwnedFd::from).tried(|| "dup()");
        let fds = vec![null.tried(|| "open(\"/dev/null\")")?.into(), copy()?, copy()?];
        let argv = self.argv.iter().map(|word| world.slots.fill(word)).collect();
        let (pid, start) = world.watch()?.help(argv, fds)?;
        match PidFd::open_if_started_at(pid, start)? {
            Some(process) => self.wait(&socket, &process, &words)?,
            None => return Err(self.failed("it ended at once", &words)),
        }
        Ok(pid.to_string())
    }
}

impl UserNet {
    fn wait(&self, socket: &Socket, process: &PidFd, words: &File) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.failed("it made no route in time", words));
            }
            let limit = Timespec::try_from(left).ok();
            let mut polled = [
                PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            ];
            match poll(&mut polled, limit.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.tried(|| "poll()")?,
            };
            let [news, ended] = polled.map(|fd| !fd.revents().is_empty());
            if news && routes::default_is_new(socket)? {
                return Ok(());
            }
            if ended {
                return Err(self.failed("it ended", words));
            }
        }
    }

    /// With its own last words, but for those on how it could not reach a log.
    fn failed(&self, how: &str, words: &File) -> Error {
        let mut text = String::new();
        let read = words.try_clone().and_then(|mut words| {
            words.rewind()?;
            words.read_to_string(&mut text)
        });
        let told = |line: &&str| !line.contains("syslog") && !line.trim().is_empty();
        let said: Vec<_> = text.lines().filter(told).collect();
        let said = match (&read, said.as_slice()) {
            (Err(_), _) | (_, []) => "it says nothing".to_owned(),
            (_, lines) => lines.join("; "),
        };
        let hint = match said.as_str() {
            said if said.contains("tun") => {
                "It needs /dev/net/tun, which everybody may open on most machines: `sudo modprobe tun`, \
                 `sudo chmod 666 /dev/net/tun`."
            }
            said if said.contains("routable") => {
                "It copies the network of this machine, which has no default route itself; \
                 --network slirp4netns needs none."
            }
            _ => "--network none needs nobody's help.",
        };
        Error::new(format!("starting {} for the container: {how}", self.program()))
            .said(said)
            .hint(hint)
            .exit(Exit::Engine)
    }
}

/// Starts a program as a child of this process, the watcher; `fds` become its
/// 0, 1 and 2. Its pid, and when it was started.
pub fn start(argv: &[String], fds: Vec<OwnedFd>) -> Result<(i32, u64)> {
    let words = strings(argv)?;
    let us = rustix::process::getpid();
    if let Some(pid) = raw::fork().tried(|| "fork()")? {
        return Ok((pid, start_time(pid).unwrap_or_default()));
    }
    if raw::only_fds(fds).is_ok() {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
        raw::default_signals();
        let died_with = set_parent_process_death_signal(Some(Signal::KILL));
        // The watcher may have died just before; then no signal will ever come.
        if died_with.is_ok() && rustix::process::getppid() == Some(us) {
            let errno = words.first().map(|program| nix::unistd::execvp(program, &words));
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("{errno:?}\n").as_bytes());
        }
    }
    raw::exit_now(127)
}
