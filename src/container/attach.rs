//! Staying with a process until it ends: its signals, its terminal.

use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::error::{Context, Error, Result};
use crate::kernel::pidfd::PidFd;
use crate::kernel::watcher::{Status, Watch};
use crate::step::Observer;

/// Who says that the process has ended.
pub trait Ending {
    /// Readable when it has.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Called when `fd` is readable: how it ended.
    fn ended(&mut self) -> Result<Status>;
}

/// Signals that are passed on, as docker passes them on.
const PASSED_ON: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGCONT,
];

/// How long a container has to end when its terminal has hung up.
const AFTER_HANGING_UP: Duration = Duration::from_secs(2);

/// What is waited for while a process runs.
pub fn watched() -> SigSet {
    PASSED_ON.into_iter().chain([Signal::SIGWINCH]).collect()
}

/// Keeps signals waiting until [`attach`] can pass them on: one that comes just
/// as the command starts is meant for the command.
pub fn hold_signals() -> Result<()> {
    watched().thread_block().tried(|| "sigprocmask(SIG_BLOCK)")
}

/// They arrive again, those too that came meanwhile.
pub fn release_signals() -> Result<()> {
    watched().thread_unblock().tried(|| "sigprocmask(SIG_UNBLOCK)")
}

/// Waits for a process that nobody talks to: whoever asks us to end ends it, at once.
/// `None` if that happened.
pub fn until_the_end(process: &PidFd, watch: &mut Watch) -> Result<Option<Status>> {
    let signals = SignalFd::with_flags(&watched(), SfdFlags::SFD_CLOEXEC).tried(|| "signalfd()")?;
    let mut asked = false;
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.tried(|| "poll()")?,
        };
        if !polled[0].revents().is_empty() {
            return watch.exited().map(|status| (!asked).then_some(status));
        }
        let signal = signals.read_signal().tried(|| "read(signalfd)")?;
        let ends = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
        if signal.is_some_and(|signal| ends.contains(&signal.ssi_signo.cast_signed())) {
            asked = true;
            process.signal(libc::SIGKILL)?;
        }
    }
}

/// Waits for the process to end; signals that come meanwhile are passed on,
/// and so is everything typed when it has a terminal.
pub fn attach(
    process: &PidFd,
    console: Option<OwnedFd>,
    ending: &mut dyn Ending,
    observer: &mut dyn Observer,
) -> Result<Status> {
    let watched = watched();
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC).tried(|| "signalfd()")?;
    let mut terminal = console.map(Terminal::take).transpose()?;
    let mut asked_to_end = 0;
    let mut hung_up: Option<Instant> = None;
    loop {
        let mut polled = vec![
            PollFd::from_borrowed_fd(ending.fd(), PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        let shown = terminal.as_ref().filter(|terminal| terminal.open).map(|terminal| {
            polled.push(PollFd::new(&terminal.console, PollFlags::IN));
            polled.len() - 1
        });
        let typed = terminal.as_ref().filter(|terminal| terminal.reading).map(|_| {
            polled.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN));
            polled.len() - 1
        });
        let patience = hung_up.map(|since| AFTER_HANGING_UP.saturating_sub(since.elapsed()));
        let limit = patience.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, limit.as_ref()) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => {
                process.signal(libc::SIGKILL)?;
                hung_up = None;
                continue;
            }
            other => other.tried(|| "poll()")?,
        };
        let polled: Vec<_> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        let ready = |index: Option<usize>| index.is_some_and(|index| polled[index]);
        if ready(shown) {
            // What was written before the end is shown before the end is told.
            terminal.as_mut().map(Terminal::show).transpose()?;
        } else if polled[0] {
            return ending.ended();
        }
        if polled[1]
            && let Some(signal) = signals.read_signal().tried(|| "read(signalfd)")?
        {
            let number = signal.ssi_signo.cast_signed();
            match (number, &terminal) {
                (libc::SIGWINCH, terminal) => {
                    terminal.as_ref().map(Terminal::resize).transpose()?;
                    continue;
                }
                // Somebody stopped us, and whoever had the terminal meanwhile set it as they like it.
                (libc::SIGCONT, Some(terminal)) => {
                    terminal.make_raw()?;
                    continue;
                }
                // Its terminal is gone with us: the kernel tells whoever is at the other end.
                (libc::SIGHUP | libc::SIGTERM, Some(_)) => {
                    (terminal, hung_up) = (None, Some(Instant::now()));
                    observer.note(
                        "Asked to end: the container's terminal hangs up; in 2 s it is killed.",
                    );
                    continue;
                }
                _ => {}
            }
            asked_to_end += u32::from(matches!(number, libc::SIGINT | libc::SIGTERM));
            pass_on(process, number, asked_to_end, observer)?;
        }
        if ready(typed) {
            terminal.as_mut().map(Terminal::type_in).transpose()?;
        }
    }
}

/// The first process of a pid namespace ignores what it has no handler for;
/// whoever asks three times wants it gone.
fn pass_on(
    process: &PidFd,
    signal: i32,
    asked_to_end: u32,
    observer: &mut dyn Observer,
) -> Result<()> {
    if asked_to_end >= 3 {
        observer.note("Asked three times to end: killed.");
        return process.signal(libc::SIGKILL);
    }
    if asked_to_end == 1 {
        observer.note(
            "Signal passed on. Process 1 of a pid namespace ignores signals that it has no handler for; \
             asked twice more, it is killed.",
        );
    }
    process.signal(signal)
}

/// The reader's terminal, raw while the container's stands in its place.
struct Terminal {
    console: OwnedFd,
    before: Option<Termios>,
    open: bool,
    reading: bool,
}

impl Terminal {
    fn take(console: OwnedFd) -> Result<Self> {
        let before = match std::io::stdin().is_terminal() {
            true => Some(tcgetattr(rustix::stdio::stdin()).tried(|| "tcgetattr(0)")?),
            false => None,
        };
        let terminal = Self { console, before, open: true, reading: true };
        terminal.make_raw()?;
        Ok(terminal)
    }

    /// Nothing that is typed means anything out here, and the size is the same in there.
    fn make_raw(&self) -> Result<()> {
        self.resize()?;
        if let Some(before) = &self.before {
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)
                .tried(|| "tcsetattr(0, raw)")?;
        }
        Ok(())
    }

    /// Gives the container's terminal the size of ours, if ours has one.
    fn resize(&self) -> Result<()> {
        let size =
            tcgetwinsize(rustix::stdio::stdin()).or_else(|_| tcgetwinsize(rustix::stdio::stdout()));
        match size {
            Ok(size) => tcsetwinsize(&self.console, size).tried(|| "ioctl(TIOCSWINSZ)"),
            Err(_) => Ok(()),
        }
    }

    /// Passes on what the container wrote.
    fn show(&mut self) -> Result<()> {
        let mut bytes = [0; 16 * 1024];
        match rustix::io::read(&self.console, &mut bytes) {
            Ok(0) | Err(rustix::io::Errno::IO) => {
                self.open = false; // nobody has the other end open any more
                Ok(())
            }
            Ok(count) => write_all(rustix::stdio::stdout(), &bytes[..count]),
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).tried(|| "read(terminal)"),
        }
    }

    /// Passes on what the reader typed; at its end, an end of file.
    fn type_in(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(0) => {
                self.reading = false;
                write_all(&self.console, &[0x04]) // Ctrl-D
            }
            Ok(count) => write_all(&self.console, &bytes[..count]),
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => {
                self.reading = false;
                Err(errno).tried(|| "read(0)")
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::IO) => return Ok(()), // the terminal is gone, and so will the process be
            Err(errno) => {
                return Err(Error::call(
                    "write(terminal)",
                    nix::errno::Errno::from_raw(errno.raw_os_error()),
                ));
            }
        }
    }
    Ok(())
}
