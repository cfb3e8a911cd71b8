//! Whoever watches while an exercise is open: a companion that judges its
//! conditions again and again, and tells when one changes. The player waits for
//! a key meanwhile, and hears of it beside the keyboard.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::error::{Error, Result};
use crate::kernel::companion::Companion;
use crate::lesson::check::{Judgement, Verdict, World};
use crate::lesson::model::{Leaves, Try};

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(300);

/// A condition rests this many times as long as the processor needed for it: so watching costs
/// at most some three hundredths of one, whatever is asked.
const REST: u32 = 30;

/// After so long, what has changed is told, however long the rest of the round takes.
const SLOW: Duration = Duration::from_millis(100);

/// `ps` shows it for the companion.
const TITLE: &str = "under-the-hood: watches";

/// Somebody who watches, as long as this value lives.
pub(super) struct Watching {
    companion: Companion,
    heard: Vec<u8>,
}

impl Watching {
    /// Begins to watch the conditions of an exercise; `known` is how they are by now, as far as
    /// it has been told.
    pub fn begin(world: &World, exercise: &Try, known: &[Judgement]) -> Result<Self> {
        let player = rustix::process::getpid().as_raw_nonzero().get();
        let work = |news| {
            let round = Round {
                world: world.clone(),
                exercise,
                sent: known.iter().map(holds).collect(),
                judged: known.to_vec(),
                due: vec![Instant::now(); known.len()],
                news,
            };
            round.watch(player);
        };
        Ok(Self { companion: Companion::start(TITLE, work)?, heard: Vec::new() })
    }

    /// How every condition is by now, once one has changed or a name is met; `None` when nobody
    /// watches any more. Waits for it.
    pub fn news(&mut self) -> Result<Option<Vec<Judgement>>> {
        let mut buffer = [0; 4096];
        while !self.heard.contains(&b'\n') {
            match self.companion.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.heard.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read(news)", &error)),
            }
        }
        // Only the newest is of interest.
        let end = self.heard.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
        let rest = self.heard.split_off(end + 1);
        let lines = std::mem::replace(&mut self.heard, rest);
        let last = lines[..end].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(serde_json::from_slice(last).ok())
    }
}

/// Readable when there is news.
impl AsFd for Watching {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.companion.as_fd()
    }
}

/// Whether a condition holds.
pub(super) fn holds(judgement: &Judgement) -> bool {
    judgement.verdict == Verdict::Holds
}

/// The companion's side.
struct Round<'a, W: Write> {
    world: World,
    exercise: &'a Try,
    /// Which conditions the player knows to hold.
    sent: Vec<bool>,
    judged: Vec<Judgement>,
    /// When each is looked at next.
    due: Vec<Instant>,
    news: W,
}

impl<W: Write> Round<'_, W> {
    /// Until nobody listens; not while the player is stopped (Ctrl-Z).
    fn watch(mut self, player: i32) {
        loop {
            let told = if stopped(player) { Ok(()) } else { self.once() };
            if told.is_err() {
                return;
            }
            std::thread::sleep(PERIOD);
        }
    }

    fn once(&mut self) -> std::io::Result<()> {
        let begun = Instant::now();
        let leaves: &[Leaves] = &self.exercise.leaves;
        let met = !self.world.meet(leaves).is_empty();
        if met {
            // What could not be asked before can be now.
            self.due.fill(begun);
        }
        for (index, check) in self.exercise.claim.checks.iter().enumerate() {
            if self.due[index] > Instant::now() {
                continue;
            }
            let (since, before) = (Instant::now(), used());
            self.judged[index] = check.judge(&self.world);
            let rest = (used().saturating_sub(before) * REST).max(since.elapsed());
            self.due[index] = Instant::now() + rest;
            if begun.elapsed() > SLOW {
                self.tell(false)?;
            }
        }
        self.tell(met)
    }

    /// Tells how things are, where that has changed.
    fn tell(&mut self, met: bool) -> std::io::Result<()> {
        let now: Vec<_> = self.judged.iter().map(holds).collect();
        if now == self.sent && !met {
            return Ok(());
        }
        self.sent = now;
        let mut line = serde_json::to_vec(&self.judged)?;
        line.push(b'\n');
        self.news.write_all(&line)
    }
}

/// The processor's time that we and what we have started have had.
fn used() -> Duration {
    let time = |usage: Usage| (usage.user_time() + usage.system_time()).num_microseconds();
    let of = |who| getrusage(who).map_or(0, time);
    let all = of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN);
    Duration::from_micros(u64::try_from(all).unwrap_or_default())
}

/// Whether a process is stopped by a signal.
fn stopped(pid: i32) -> bool {
    let stat = procfs::process::Process::new(pid).and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.state == 'T')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::check::Test;
    use crate::lesson::model::{Claim, Opposite};

    fn asks(lines: &[&str]) -> Try {
        let checks = lines.iter().map(|line| Test::parse(1, line).unwrap()).collect();
        let (id, text, opposite) = (String::new(), String::new(), Opposite::Nothing);
        let claim = Claim { id, text, checks, needs: Vec::new(), opposite, except: Vec::new() };
        Try { claim, leaves: Vec::new(), hints: Vec::new(), solution: Vec::new() }
    }

    #[test]
    fn a_change_is_told_once_and_what_costs_much_rests() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("made");
        let lines = [
            format!("sh: test -e {} && echo it is there", file.display()),
            "sh: for i in $(seq 20000); do :; done; echo asked >&2; false".to_owned(),
        ];
        let exercise = asks(&lines.each_ref().map(String::as_str));
        let unknown = Judgement { verdict: Verdict::DoesNotHold, evidence: String::new() };
        let mut round = Round {
            world: World::default(),
            exercise: &exercise,
            sent: vec![false; 2],
            judged: vec![unknown; 2],
            due: vec![Instant::now(); 2],
            news: Vec::new(),
        };
        round.once().unwrap();
        assert!(round.news.is_empty(), "nothing has changed");
        assert!(round.due[1] > round.due[0], "the second costs more");
        std::fs::write(&file, "").unwrap();
        for _ in 0..2 {
            round.due[0] = Instant::now();
            round.once().unwrap();
        }
        let told = String::from_utf8(round.news.clone()).unwrap();
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("it is there"), "{told}");
        std::fs::remove_file(&file).unwrap();
        round.due[0] = Instant::now();
        round.once().unwrap();
        let told = String::from_utf8(round.news).unwrap();
        assert_eq!(told.lines().count(), 2, "{told}");
    }
}
