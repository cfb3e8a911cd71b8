//! A thousand starts in a row, and fifty at once: none fails, nothing is left,
//! and the thousandth is as fast as the first.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::Uth;
use crate::machine::{Machine, base_and_progress};

#[test]
fn fifty_at_once_all_start_and_leave_nothing() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = Machine::look(&uth);
    let started = |number: usize| {
        let name = format!("box-{number}");
        let script = format!("echo {number}; hostname");
        let mut command =
            uth.command(["run", "--name", &name, "-H", &name, "base", "sh", "-c", &script]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..50).map(started).collect();
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "number {number}: {stderr}");
        assert_eq!((&*stdout, &*stderr), (&*format!("{number}\nbox-{number}\n"), ""));
    }
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
}

/// On its own (`.ci/run starts`): what else the machine does would be measured too.
#[test]
#[ignore = "takes a minute; .ci/run has a part for it"]
fn starts_a_thousand_in_a_row_and_the_last_is_as_fast_as_the_first() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    uth.run(["run", "base", "true"]).ok();
    let before = Machine::look(&uth);
    let mut times = Vec::new();
    for number in 0..1000 {
        let mut command = uth.command(["run", "base", "true"]);
        let start = Instant::now();
        let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
        times.push(start.elapsed());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "number {number}: {stderr}");
    }
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2]
    };
    let (first, last) = (median(&times[..100]), median(&times[900..]));
    let line =
        format!("a thousand starts: the first hundred {first:?}, the last hundred {last:?} each\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap(); // past the test runner
    assert!(last < first * 3 / 2 + Duration::from_millis(5), "slower: {line}");
    Machine::settles(&uth, &before, Duration::from_secs(5), base_and_progress);
}
