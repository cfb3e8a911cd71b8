//! How long `sched ps` takes beside the real `ps`, on 4,000 processes.
//!
//! `cargo bench --bench scheduler`. The processes are subshells that wait to
//! read from a pipe whose only other end is here: however this program ends,
//! the pipe closes and all of them end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const PROCESSES: usize = 4000;
const SHELLS: usize = 40;
const RUNS: usize = 12;

fn main() -> ExitCode {
    let Some(crowd) = Crowd::gather() else {
        say("skipped: this machine does not let us have 4,000 processes");
        return ExitCode::SUCCESS;
    };
    let (mut ours, mut threads, mut ps) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let program = env!("CARGO_BIN_EXE_under-the-hood");
    for _ in 0..RUNS {
        // In turns, so that what else the machine does meets both.
        ours = ours.min(time(program, &["sched", "ps"]));
        threads = threads.min(time(program, &["sched", "ps", "--threads"]));
        ps = ps.min(time("ps", &["-e", "-o", "pid,class,rtprio,ni,comm"]));
    }
    drop(crowd);
    say(&format!("{PROCESSES} processes (best of {RUNS})"));
    for (what, took) in [
        ("under-the-hood sched ps", ours),
        ("under-the-hood sched ps --threads", threads),
        ("ps -e -o pid,class,rtprio,ni,comm", ps),
    ] {
        say(&format!("  {what:<36} {:>8.1} ms", took.as_secs_f64() * 1000.0));
    }
    let ratio = ours.as_secs_f64() / ps.as_secs_f64();
    say(&format!("ours / ps              {ratio:.3}   (at most 0.5)"));
    if ratio <= 0.5 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn time(program: &str, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{program} failed");
    start.elapsed()
}

/// The processes to look at.
struct Crowd(Vec<Child>);

impl Crowd {
    fn gather() -> Option<Self> {
        let script = format!(
            "exec 3<&0; i=1; while [ $i -lt {} ]; do (read x <&3) & i=$((i+1)); done; echo ready; read x <&3",
            PROCESSES / SHELLS
        );
        let mut crowd = Self(Vec::new());
        for _ in 0..SHELLS {
            let mut command = Command::new("sh");
            command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            crowd.0.push(command.spawn().ok()?);
        }
        for child in &mut crowd.0 {
            let mut line = String::new();
            BufReader::new(child.stdout.as_mut()?).read_line(&mut line).ok()?;
            if line != "ready\n" {
                return None;
            }
        }
        Some(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.stdin.take());
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
