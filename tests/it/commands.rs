//! What every command has in common: help, formats, colour, pipes.

use crate::harness::Uth;

/// Commands that print a result and change nothing, or nothing that stays.
const RESULTS: &[&[&str]] = &[
    &["doctor"],
    &["inspect", "host"],
    &["inspect", "ns"],
    &["inspect", "ns", "--tree"],
    &["inspect", "containers"],
    &["inspect", "process", "self"],
    &["inspect", "compare", "self", "host"],
    &["sched", "ps"],
    &["sched", "rt", "--read-only"],
    &["cgroup", "ls"],
    &["cgroup", "tree"],
    &["cgroup", "show", "self"],
    &["lesson"],
    &["cleanup", "--list"],
];

/// `self` in the lists stands for a pid that is there: this test's.
pub fn fill(args: &[&str]) -> Vec<String> {
    let us = std::process::id().to_string();
    args.iter().map(|arg| if *arg == "self" { us.clone() } else { (*arg).to_owned() }).collect()
}

/// Help is written once (in cli/) and read by everyone: whole, at 80 columns.
#[test]
fn help_fits_80_columns() {
    let uth = Uth::new();
    let long = uth.run(["--help"]).ok();
    long.snapshot("help");
    let commands = long.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let ran = uth.run([name, "--help"]).ok();
        for line in ran.stdout.lines() {
            assert!(line.chars().count() <= 80, "longer than 80 columns: {line}");
        }
        ran.snapshot(&format!("help-{name}"));
    }
}

/// Nobody has to ask what the program wants: without arguments it says so.
#[test]
fn a_wrong_command_line_exits_with_2() {
    let uth = Uth::new();
    for args in [vec!["no-such-command"], vec!["run"], vec!["inspect", "ns", "--type", "disk"]] {
        uth.run(args).one_error(2);
    }
}

#[test]
fn every_result_is_also_json() {
    let uth = Uth::new();
    for args in RESULTS {
        let mut args = fill(args);
        args.extend(["--format".to_owned(), "json".to_owned()]);
        let ran = uth.run(&args);
        assert!(matches!(ran.code, Some(0 | 4)), "{}", ran.whole());
        let json = ran.json();
        assert!(keys_are_snake_case(&json), "{}", ran.whole());
    }
}

fn keys_are_snake_case(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Object(map) => map.iter().all(|(key, value)| {
            !key.contains(|c: char| c == ' ' || c == '-' || c.is_uppercase())
                && keys_are_snake_case(value)
        }),
        serde_json::Value::Array(items) => items.iter().all(keys_are_snake_case),
        _ => true,
    }
}

const ESCAPE: char = '\u{1b}';

/// A flag wins over `NO_COLOR`, which wins over `CLICOLOR_FORCE`; through a
/// pipe there is no colour without being asked for.
#[test]
fn colour_is_shown_when_asked_for() {
    let uth = Uth::new();
    for (variables, flag, colour) in [
        (&[][..], None, false),
        (&["CLICOLOR_FORCE=1"], None, true),
        (&["CLICOLOR_FORCE=1", "NO_COLOR=1"], None, false),
        (&["CLICOLOR_FORCE=0"], None, false),
        (&["NO_COLOR=1"], Some("always"), true),
        (&["CLICOLOR_FORCE=1"], Some("never"), false),
    ] {
        // A result, help, a wrong command line, and an error.
        for args in [&["inspect", "ns"][..], &["--help"], &["fly"], &["stop", "nobody"]] {
            let mut command = uth.command(flag.iter().flat_map(|when| ["--color", when]));
            command.args(args);
            command.envs(variables.iter().map(|variable| variable.split_once('=').unwrap()));
            let ran = uth.wait(command);
            let said = if ran.code == Some(0) { &ran.stdout } else { &ran.stderr };
            let told = format!("{variables:?} {flag:?}: {}", ran.whole());
            assert_eq!(said.contains(ESCAPE), colour, "{told}");
        }
    }
}

/// On a terminal there is colour, unless the terminal cannot.
#[test]
fn a_dumb_terminal_gets_no_colour() {
    need!(tool "script");
    let uth = Uth::new();
    for (terminal, colour) in [("xterm", true), ("dumb", false)] {
        let line = format!("TERM={terminal} script -qec \"$UTH inspect ns\" /dev/null");
        let ran = uth.sh(&line).ok();
        assert_eq!(ran.stdout.contains(ESCAPE), colour, "TERM={terminal}: {}", ran.whole());
    }
}

/// Under CI nobody presses keys, whatever the streams look like.
#[test]
fn under_ci_nobody_is_asked() {
    need!(tool "script");
    let uth = Uth::new();
    for (ci, stops) in [("", true), ("false", true), ("true", false)] {
        let keys = "for i in $(seq 100); do printf q; sleep 0.3; done";
        let line = format!("{{ {keys}; }} | CI={ci} script -qec \"$UTH lesson 0\" /dev/null");
        let ran = uth.sh(&line).ok();
        assert_eq!(ran.stdout.contains("Stopped at step"), stops, "CI={ci}: {}", ran.whole());
    }
}

/// `| head -1` ends the program silently, as it does `cat`.
#[test]
fn a_closed_pipe_ends_it_silently() {
    let uth = Uth::new();
    for command in ["man", "completions bash", "inspect ns", "--help"] {
        // Dash has no PIPESTATUS: the program's own exit code goes another way.
        let script = format!("{{ $UTH -q {command}; echo \"[$?]\" >&2; }} | head -c 1 >/dev/null");
        let ran = uth.sh(&script).ok();
        assert!(["[0]\n", "[141]\n"].contains(&&*ran.stderr), "{}", ran.whole());
    }
}
