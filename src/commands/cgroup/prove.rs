//! `cgroup prove`: each limit is made to bite, and the kernel's own counters
//! say whether it did.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::limit::usage_json;
use crate::cli::Global;
use crate::cli::cgroup::{Proof, Prove};
use crate::commands::limits::{ask_systemd, must_ask};
use crate::container::limited::{self, Outcome, Plan, Request};
use crate::error::{Error, Exit, Result};
use crate::kernel::cgroup::limit::{Io, Limits, Rate};
use crate::kernel::cgroup::unit::{bytes, time};
use crate::kernel::cgroup::{Quota, Usage};
use crate::kernel::watcher::Status;
use crate::step::Observer;
use crate::ui::{Screen, Style};

/// How a proof came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    DoesNotHold,
    Untestable,
}

/// A limit that was tried.
struct Tried {
    what: &'static str,
    claim: &'static str,
    verdict: Verdict,
    before: String,
    after: String,
    usage: Option<Usage>,
}

/// Proves what was asked for.
pub fn run(args: &Prove, global: &Global, screen: &mut Screen) -> Result<u8> {
    if must_ask() {
        return ask_systemd(None, global, screen);
    }
    let chosen: Vec<Proof> = match args.what {
        Proof::All => vec![Proof::Cpu, Proof::Memory, Proof::Pids, Proof::Io],
        one => vec![one],
    };
    if global.dry_run {
        return plan(&chosen, screen);
    }
    let mut all = Vec::new();
    for proof in chosen {
        let tried = prove(proof, screen)?;
        if !screen.json_wanted() {
            show(&tried, screen)?;
        }
        all.push(tried);
    }
    if screen.json_wanted() {
        let results: Vec<_> = all.iter().map(json).collect();
        screen.json(&json!({ "proofs": results }))?;
    }
    let any = |verdict| all.iter().any(|tried| tried.verdict == verdict);
    Ok(match (any(Verdict::DoesNotHold), any(Verdict::Holds)) {
        (true, _) => Exit::DoesNotHold.code(),
        (false, true) => 0,
        (false, false) => Exit::CannotRun.code(),
    })
}

/// `--dry-run`: every load that would be started, and the group it would be in.
fn plan(chosen: &[Proof], screen: &mut Screen) -> Result<u8> {
    let mut steps = Vec::new();
    for proof in chosen {
        let planned = pair(*proof).and_then(|loads| {
            let steps = |load: &Load| Ok(Plan::new(&load.limits, &load.command()?, "$id")?.steps());
            loads.iter().map(steps).collect::<Result<Vec<_>>>()
        });
        match planned {
            Ok(planned) => steps.extend(planned.concat()),
            Err(error) if error.exit == Exit::CannotRun && chosen.len() > 1 => {
                screen.note(&format!("left out: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    screen.plan(&steps).map(|()| 0)
}

fn prove(proof: Proof, screen: &mut Screen) -> Result<Tried> {
    let (what, claim) = match proof {
        Proof::Cpu => ("cpu", "a loop without end is held to 0.2 CPUs"),
        Proof::Memory => ("memory", "what takes 128 MiB where 32 are allowed is killed"),
        Proof::Pids => ("pids", "of 60 forks where 20 tasks are allowed, the rest fails"),
        Proof::Io | Proof::All => ("io", "a disk is read at 2 MiB a second, no faster"),
    };
    let tried = match proof {
        Proof::Cpu => cpu(screen),
        Proof::Memory => memory(screen),
        Proof::Pids => pids(screen),
        Proof::Io | Proof::All => io(screen),
    };
    match tried {
        Ok(found) => Ok(Tried {
            what,
            claim,
            verdict: found.verdict,
            before: found.before,
            after: found.after,
            usage: Some(found.usage),
        }),
        // What this machine cannot do is an answer, too.
        Err(error) if error.exit == Exit::CannotRun => Ok(Tried {
            what,
            claim,
            verdict: Verdict::Untestable,
            before: String::new(),
            after: error.to_string(),
            usage: None,
        }),
        Err(error) => Err(error),
    }
}

struct Found {
    verdict: Verdict,
    before: String,
    after: String,
    usage: Usage,
}

/// A bounded load of ours, and the limits of the group that it runs in.
struct Load {
    limits: Limits,
    kind: &'static str,
    amount: u64,
}

impl Load {
    fn command(&self) -> Result<Vec<String>> {
        let program = std::env::current_exe()
            .map_err(|error| Error::io("readlink(\"/proc/self/exe\")", &error))?;
        let program = program.to_string_lossy().into_owned();
        Ok(vec![program, "__load".to_owned(), self.kind.to_owned(), self.amount.to_string()])
    }

    fn run(self, observer: &mut dyn Observer) -> Result<Outcome> {
        let command = self.command()?;
        let request = Request { limits: self.limits, command, silent: true };
        let outcome = limited::run(&request, observer, &mut |_| {})?;
        for error in &outcome.left {
            observer.note(&format!("could not be undone: {error}"));
        }
        match outcome.status {
            // Passed on to the load: whoever sent it meant all of us.
            Status::Signal(signal @ (libc::SIGINT | libc::SIGTERM | libc::SIGHUP)) => {
                let code = 128 + u8::try_from(signal).unwrap_or(0);
                Err(Error::new("cgroup prove was interrupted").exit(Exit::Code(code)))
            }
            _ => Ok(outcome),
        }
    }
}

const MIB: u64 = 1 << 20;
const QUOTA: Quota = Quota { quota: Some(20_000), period: 100_000 };
/// Bytes a second.
const RATE: u64 = 2 * MIB;

/// The load without the limit, and with it.
fn pair(proof: Proof) -> Result<[Load; 2]> {
    let none = Limits::default;
    let (kind, amounts, limits) = match proof {
        Proof::Cpu => ("cpu", [1000, 3000], Limits { cpu: Some(QUOTA), ..none() }),
        Proof::Memory => {
            ("memory", [128 * MIB; 2], Limits { memory: Some(32 * MIB), swap: Some(0), ..none() })
        }
        Proof::Pids => ("forks", [60; 2], Limits { pids: Some(20), ..none() }),
        Proof::Io | Proof::All => {
            let device = disk_of(Path::new("/proc/self/exe"))?;
            let io = vec![Io { device, what: Rate::ReadBytes, rate: RATE }];
            ("read", [4 * MIB; 2], Limits { io, ..none() })
        }
    };
    // No limit that this load could meet: only so that there is a group to count in.
    let free = Limits { pids: Some(1000), ..none() };
    let [without, with] = amounts;
    Ok([Load { limits: free, kind, amount: without }, Load { limits, kind, amount: with }])
}

fn not_measured(file: &str) -> Error {
    Error::cannot(format!("not measured: this kernel has no {file} here"))
}

fn cpu(observer: &mut dyn Observer) -> Result<Found> {
    let [without, with] = pair(Proof::Cpu)?;
    let before = without.run(observer)?;
    let used = before.usage.cpu.ok_or_else(|| not_measured("CPU time of a group"))?;
    let rate = used as f64 / before.took.as_nanos().max(1) as f64;
    let before = format!("{:.0} % of one CPU", rate * 100.0);
    let mut usage = with.run(observer)?.usage;
    let mut attempts = 1;
    loop {
        let (Some(used), Some(periods), Some(throttled)) =
            (usage.cpu, usage.periods, usage.throttled)
        else {
            return Err(not_measured("cpu.stat with nr_periods"));
        };
        let share = used as f64 / (periods.max(1) * 100_000_000) as f64;
        let held = (0.18..=0.22).contains(&share) && throttled > 0;
        // Busy with other things, the machine may not even have given what was allowed.
        if held || attempts == 3 || share > 0.22 {
            let waited = usage.throttled_time.map_or("not measured".to_owned(), time);
            let after = format!(
                "{:.1} % of one CPU, throttled in {throttled} of {periods} periods, {waited} in all",
                share * 100.0
            );
            return Ok(Found { verdict: verdict(held), before, after, usage });
        }
        let [_, again] = pair(Proof::Cpu)?;
        usage = again.run(observer)?.usage;
        attempts += 1;
    }
}

fn memory(observer: &mut dyn Observer) -> Result<Found> {
    let [without, with] = pair(Proof::Memory)?;
    let outcome = without.run(observer)?;
    let peak = |usage: &Usage| usage.memory_peak.map_or("not measured".to_owned(), bytes);
    let before = format!("at most {}, {}", peak(&outcome.usage), ended(outcome.status));
    let Outcome { status, usage, .. } = with.run(observer)?;
    let kills = usage.oom_kills.ok_or_else(|| not_measured("counter of OOM kills"))?;
    let within = usage.memory_peak.is_none_or(|peak| peak <= 32 * MIB);
    let held = kills > 0 && within && status == Status::Signal(libc::SIGKILL);
    let after = format!("at most {}, {}, {kills} OOM kill", peak(&usage), ended(status));
    Ok(Found { verdict: verdict(held), before, after, usage })
}

fn pids(observer: &mut dyn Observer) -> Result<Found> {
    let made = |outcome: &Outcome| match outcome.status {
        Status::Code(code) => Ok(code),
        status => Err(Error::new(format!("the forks {}", ended(status)))),
    };
    let [without, with] = pair(Proof::Pids)?;
    let before = format!("{} forks made", made(&without.run(observer)?)?);
    let outcome = with.run(observer)?;
    let (made, usage) = (made(&outcome)?, outcome.usage);
    let refused =
        usage.pids_refused.map_or("refusals not measured".to_owned(), |n| format!("{n} refused"));
    let after = format!("{made} forks made, {refused}");
    let held = made == 19 && usage.pids_refused.is_none_or(|refused| refused > 0);
    Ok(Found { verdict: verdict(held), before, after, usage })
}

fn io(observer: &mut dyn Observer) -> Result<Found> {
    let [without, with] = pair(Proof::Io)?;
    let free = without.run(observer)?;
    if free.status != Status::Code(0) {
        return Err(Error::cannot("the disk of this program cannot be read past the page cache"));
    }
    let before = format!("4 MiB read in {}", time(free.took.as_nanos() as u64));
    let Outcome { took, usage, .. } = with.run(observer)?;
    let read =
        usage.read.filter(|read| *read > 0).ok_or_else(|| not_measured("counter of reads"))?;
    let after = format!("{} read in {}", bytes(read), time(took.as_nanos() as u64));
    // The first slice of a tenth of a second is free.
    let least = Duration::from_secs_f64(4.0 * MIB as f64 / RATE as f64 * 0.8);
    Ok(Found { verdict: verdict(took >= least && took > free.took), before, after, usage })
}

fn verdict(held: bool) -> Verdict {
    if held { Verdict::Holds } else { Verdict::DoesNotHold }
}

fn ended(status: Status) -> String {
    match status {
        Status::Code(0) => "ended by itself".to_owned(),
        Status::Code(code) => format!("ended with {code}"),
        Status::Signal(libc::SIGKILL) => "killed".to_owned(),
        Status::Signal(signal) => format!("ended by signal {signal}"),
    }
}

/// `MAJOR:MINOR` of the whole disk that a file is on: limits are for disks.
fn disk_of(file: &Path) -> Result<String> {
    let none = || {
        Error::cannot("the disk of this program is no block device that could be limited")
            .hint("It is on a network share, or on a file system of several disks.")
    };
    let device = std::fs::metadata(file).map_err(|_| none())?.dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let mut at: PathBuf =
        std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).map_err(|_| none())?;
    if at.join("partition").exists() {
        at.pop();
    }
    let number = std::fs::read_to_string(at.join("dev")).map_err(|_| none())?;
    Ok(number.trim().to_owned())
}

impl Verdict {
    fn words(self) -> (&'static str, Style) {
        match self {
            Self::Holds => ("holds", Style::Good),
            Self::DoesNotHold => ("does not hold", Style::Error),
            Self::Untestable => ("untestable", Style::Warning),
        }
    }
}

fn show(tried: &Tried, screen: &mut Screen) -> Result<()> {
    let (word, style) = tried.verdict.words();
    let verdict = screen.paint(word, style);
    screen.out(&format!("{}: {} · {verdict}", tried.what, tried.claim))?;
    match tried.verdict {
        Verdict::Untestable => screen.prose(&format!("  {}", tried.after)),
        _ => {
            screen.prose(&format!("  without the limit: {}", tried.before))?;
            screen.prose(&format!("  with it: {}", tried.after))
        }
    }
}

fn json(tried: &Tried) -> serde_json::Value {
    let untestable = tried.verdict == Verdict::Untestable;
    json!({
        "what": tried.what,
        "claim": tried.claim,
        "verdict": tried.verdict.words().0.replace(' ', "-"),
        "before": (!untestable).then_some(&tried.before),
        "after": (!untestable).then_some(&tried.after),
        "reason": untestable.then_some(&tried.after),
        "usage": tried.usage.as_ref().map(usage_json),
    })
}
