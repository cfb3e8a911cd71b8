//! An error at each state-changing call of `run`: none of them is swallowed.
//! A tracer (tracer.rs) lets one call fail, with each of six errors in turn, in
//! the launcher, the watcher, or the container's first process. Either the
//! error is told once, with the call and what to do about it, and nothing is
//! left; or, interrupted, the process simply tried again; or it stands in
//! [`TOLERATED`], with the reason.

use std::io::{Read, Seek, Write};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::WaitStatus;

use crate::harness::Uth;
use crate::machine::{Machine, base_and_progress};
use crate::tracer::{Calls, Point, Role, Strike, When, trace_to};

/// What a kernel, a disk or a security module may answer to anything.
const ERRNOS: [Errno; 6] =
    [Errno::EPERM, Errno::ENOSPC, Errno::ENOMEM, Errno::EROFS, Errno::EINTR, Errno::ENOSYS];

const RUN: [&str; 5] = ["run", "--name", "victim", "base", "true"];

/// One case: the n-th call of a role fails like this.
#[derive(Debug, Clone, Copy)]
struct Fault {
    role: Role,
    n: usize,
    call: &'static str,
    errno: Errno,
}

/// Calls that may fail in silence, since the same is then done another way: with the reason.
const TOLERATED: &[(&str, &str)] = &[(
    "close_range",
    "before Linux 5.9, and behind the filters of older engines, it is not there: \
     what is open is closed one by one",
)];

/// What an error calls a system call: without the suffixes of later variants.
fn told_as(call: &str) -> Vec<String> {
    let names: &[&str] = match call {
        "unlinkat" => &["unlinkat", "unlink", "rmdir"],
        "clone" => &["fork", "clone"],
        call => &[call, call.strip_suffix("at").unwrap_or(call)],
    };
    names.iter().map(|name| format!("{name}(")).collect()
}

/// What came of one case.
struct Outcome {
    status: Option<WaitStatus>,
    stderr: String,
}

fn run_with(uth: &Uth, calls: Calls, fault: Option<Fault>) -> (crate::tracer::Trace, String) {
    let mut stderr = tempfile::tempfile().unwrap();
    let strike = fault.map(|fault| {
        let point = Point { role: fault.role, n: fault.n, when: When::Entry };
        (point, Strike::Fail(fault.errno))
    });
    let trace = trace_to(uth, &RUN, calls, strike, Stdio::from(stderr.try_clone().unwrap()));
    let mut text = String::new();
    stderr.rewind().unwrap();
    stderr.read_to_string(&mut text).unwrap();
    (trace, text)
}

/// What is wrong with how this ended, if anything is.
fn judge(fault: Fault, outcome: &Outcome) -> Option<String> {
    let Outcome { status, stderr } = outcome;
    let code = match status {
        Some(WaitStatus::Exited(_, code)) => *code,
        other => return Some(format!("ended by {other:?}")),
    };
    for word in ["panicked", "RUST_BACKTRACE", "unwrap", "Errno("] {
        if stderr.contains(word) {
            return Some(format!("{word:?} is in what it says"));
        }
    }
    // Whoever is interrupted may simply try again.
    let tolerated = TOLERATED.iter().any(|(call, _)| *call == fault.call);
    if code == 0 && (tolerated || fault.errno == Errno::EINTR) {
        return None;
    }
    let told = told_as(fault.call).iter().any(|name| stderr.contains(name))
        && stderr.contains(&format!("{:?}", fault.errno));
    let hint = stderr.contains("Hint:") || stderr.contains("`under-the-hood cleanup`");
    match code {
        0 if told && hint && stderr.starts_with("Warning:") => None,
        0 => Some("the error is swallowed".to_owned()),
        1 | 4 | 125 | 126 | 127 if stderr.matches("Error:").count() != 1 => {
            Some("not one error".to_owned())
        }
        1 | 4 | 125 | 126 | 127 if !told => Some("the call and the error are not named".to_owned()),
        1 | 4 | 125 | 126 | 127 if !hint => Some("it does not say what to do".to_owned()),
        1 | 4 | 125 | 126 | 127 => None,
        code => Some(format!("exit code {code}")),
    }
}

/// Every (role, n-th call, errno); where a call repeats the one before it (26
/// capabilities are dropped in a row), the errors take turns.
fn faults(calls: &[(Role, &'static str)], errnos: &'static [Errno]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for role in [Role::Launcher, Role::Watcher, Role::Init] {
        let own: Vec<_> =
            calls.iter().filter(|(whose, _)| *whose == role).map(|(_, call)| *call).collect();
        for (n, call) in own.iter().enumerate() {
            let repeated = n > 0 && own[n - 1] == *call;
            for (index, errno) in errnos.iter().enumerate() {
                if !repeated || index == n % errnos.len() {
                    faults.push(Fault { role, n, call, errno: *errno });
                }
            }
        }
    }
    faults
}

/// A home to fail in, again and again.
fn bench() -> (Uth, Machine) {
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = Machine::look(&uth);
    (uth, before)
}

/// Everything that is left, after `cleanup` where the error said that it is needed.
fn left(uth: &Uth, before: &Machine, stderr: &str) -> Vec<String> {
    if stderr.contains("`under-the-hood cleanup`") {
        uth.run(["cleanup"]).ok();
    }
    Machine::left(uth, before, Duration::from_secs(3), base_and_progress)
}

/// Tries every case in a few threads with a home each; how many there were.
fn fail_everywhere(
    calls: Calls,
    errnos: &'static [Errno],
    judge: fn(Fault, &Outcome) -> Option<String>,
) -> usize {
    let (uth, _) = bench();
    let (whole, _) = run_with(&uth, calls, None);
    let faults = Mutex::new(faults(&whole.calls, errnos).into_iter());
    let (tried, failures) = (Mutex::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let (mut uth, mut before) = bench();
                loop {
                    let Some(fault) = faults.lock().unwrap().next() else { break };
                    let (trace, stderr) = run_with(&uth, calls, Some(fault));
                    if !trace.struck {
                        continue; // how often one waits for another differs
                    }
                    *tried.lock().unwrap() += 1;
                    let outcome = Outcome { status: trace.status, stderr };
                    let left = left(&uth, &before, &outcome.stderr);
                    let wrong = judge(fault, &outcome)
                        .or_else(|| (!left.is_empty()).then(|| format!("left: {left:#?}")));
                    if let Some(wrong) = wrong {
                        let text =
                            format!("{fault:?}: {wrong}\n{:?} {}", outcome.status, outcome.stderr);
                        failures.lock().unwrap().push(text);
                    }
                    if !left.is_empty() {
                        (uth, before) = bench(); // not to be taken for the next one's
                    } else if outcome.stderr.contains("Error:") {
                        // What it knows of this machine may have been put in doubt: once more,
                        // or the next run would try things out first.
                        uth.run(["run", "base", "true"]).ok();
                    }
                }
            });
        }
    });
    let (tried, failures) = (tried.into_inner().unwrap(), failures.into_inner().unwrap());
    let line = format!("{tried} calls of `run` were let fail ({calls:?})\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap(); // past the test runner
    assert!(
        failures.is_empty(),
        "{} of {tried} are not told as they should be:\n\n{}",
        failures.len(),
        failures.join("\n")
    );
    tried
}

#[test]
fn an_error_at_any_call_is_told_and_leaves_nothing() {
    need!(root);
    let tried = fail_everywhere(Calls::ChangingAndNoting, &ERRNOS, judge);
    assert!(tried >= 300, "too few cases: {tried}");
}

/// A signal may come while one process waits for another: it waits on.
#[test]
fn an_interrupted_wait_is_taken_up_again() {
    need!(root);
    let judge = |_: Fault, outcome: &Outcome| {
        let goes_on = matches!(outcome.status, Some(WaitStatus::Exited(_, 0)));
        (!goes_on || !outcome.stderr.is_empty()).then(|| "it gave up".to_owned())
    };
    fail_everywhere(Calls::Waiting, &[Errno::EINTR], judge);
}
