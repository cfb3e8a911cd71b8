//! Lessons with real engines: each of lessons 1 to 5 with each engine, all
//! claims; what cannot be tested with one stands here, and nothing else may. When
//! it is over, however it ends, the engine has no container and no image of ours.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ran, Uth};

/// An engine that runs, in a network of its own, as long as this value lives.
struct Serving {
    name: &'static str,
    directory: TempDir,
    /// A process in that network.
    net: String,
    /// By what its own client finds it.
    settings: Vec<(String, String)>,
}

impl Serving {
    fn start(name: &'static str) -> Self {
        let directory = TempDir::with_prefix("uth-serving-").unwrap();
        let mut serving = Self { name, directory, net: String::new(), settings: Vec::new() };
        let said = serving.script("serve");
        let mut lines = said.lines();
        serving.net = lines.next().unwrap().to_owned();
        let pair = |line: &str| line.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned()));
        serving.settings = lines.filter_map(pair).collect();
        serving
    }

    fn script(&self, verb: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines.sh");
        // To a file: a daemon that the script starts would keep a pipe open.
        let (out, err) = (self.path("script.out"), self.path("script.err"));
        let open = |path: &PathBuf| std::fs::File::create(path).unwrap();
        let mut command = Command::new("timeout");
        command.args(["120", "bash", script, verb, self.name]).arg(self.directory.path());
        let status = command.stdout(open(&out)).stderr(open(&err)).status().unwrap();
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        assert!(status.success(), "{} {verb}: {status}\n{}", self.name, read(&err));
        read(&out).trim().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Our program where the engine is.
    fn command(&self, uth: &Uth, args: &[&str]) -> Command {
        let mut command = uth.beside("nsenter");
        command.args(["--target", &self.net, "--net"]).arg(Uth::program()).args(args);
        command.envs(self.settings.iter().cloned());
        command
    }

    fn run(&self, uth: &Uth, args: &[&str]) -> Ran {
        uth.wait_for(self.command(uth, args), Duration::from_secs(180))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.script("away")));
        } else {
            self.script("away");
        }
    }
}

/// Claims that an engine cannot be held to, here: each says why in its reason.
fn exceptions(name: &str) -> BTreeSet<(&'static str, &'static str)> {
    // On cgroup version 1, with RT_GROUP_SCHED, and without ids for root in /etc/subuid.
    let mut all = BTreeSet::from([("4", "no-group"), ("4", "first-come"), ("4", "something-left")]);
    all.extend(match name {
        "docker" => vec![
            ("1", "cgroup-too"),
            ("1", "another-user"),
            ("1", "no-user"),
            ("2", "nobody-here"),
            ("5", "dockers-own"),
        ],
        "containerd" => vec![
            ("1", "cgroup-too"),
            ("1", "another-user"),
            ("1", "no-user"),
            ("1", "own-hostname"),
            ("1", "terminal-of-its-own"),
            ("2", "published"),
            ("2", "nobody-here"),
            ("4", "refused"),
            ("4", "no-more"),
            ("4", "more"),
        ],
        "podman" => vec![("1", "cgroup-too"), ("2", "nobody-here")],
        _ => {
            vec![("1", "another-user"), ("1", "no-user"), ("2", "published"), ("2", "nobody-here")]
        }
    });
    all
}

fn every_claim(name: &'static str) {
    need!(root);
    let uth = Uth::new();
    let engine = Serving::start(name);
    let mut seen = BTreeSet::new();
    for lesson in ["1", "2", "3", "4", "5"] {
        let args = ["verify", lesson, "--engine", name, "--format", "json"];
        let ran = engine.run(&uth, &args).ok();
        for claim in ran.json()["claims"].as_array().unwrap() {
            match claim["verdict"].as_str().unwrap() {
                "holds" => {}
                "untestable" => {
                    let id = claim["id"].as_str().unwrap().to_owned();
                    let reason = claim["reason"].as_str().unwrap();
                    assert!(reason.contains(&format!("with {name}: ")), "{claim:#}");
                    seen.insert((lesson, id));
                }
                _ => panic!("{name}: {claim:#}"),
            }
        }
        assert_eq!(engine.script("left"), "", "{name}: after lesson {lesson}");
    }
    let seen: BTreeSet<_> = seen.iter().map(|(lesson, id)| (*lesson, id.as_str())).collect();
    let expected = exceptions(name);
    let more: Vec<_> = seen.difference(&expected).collect();
    assert!(more.is_empty(), "{name} has further exceptions: {more:?}");
    if name == "docker" {
        auto_says_which(&uth, &engine);
    }
    told_as_typed(&uth, &engine);
    killed_in_the_middle(&uth, &engine);
}

/// `auto` takes the first that can be used, and says which and why.
fn auto_says_which(uth: &Uth, engine: &Serving) {
    let ran = engine.run(uth, &["verify", "0", "--engine", "auto", "--format", "json"]).ok();
    let expected = "Engine: docker (docker can be used here)";
    assert!(ran.stderr.contains(expected), "{}", ran.whole());
    assert_eq!(engine.script("left"), "");
}

/// The lesson shows the engine's own commands, with what they printed; and where
/// somebody else plays it in the same engine, whose container is whose.
fn told_as_typed(uth: &Uth, engine: &Serving) {
    let name = engine.name;
    let args = ["lesson", "3", "--auto", "--engine", name];
    let taken = engine.script("taken");
    let ran = engine.run(uth, &args).ok();
    assert!(!ran.stdout.contains("does not hold"), "{}", ran.whole());
    let told = format!("{name} has a box of somebody else's: yours is box-lesson3-");
    let line = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(line.contains(&told), "{}", ran.whole());
    assert!(ran.stdout.contains(&format!("exec {name}:box-lesson3-")), "{}", ran.whole());
    assert_eq!(engine.script("left"), taken, "the other box is as it was");
    engine.script("untaken");
    let ran = engine.run(uth, &args).ok();
    let typed = match name {
        "docker" | "podman" => format!("$ {name} run -d --label lesson="),
        "containerd" => "$ ctr run -d --label lesson=".to_owned(),
        _ => "$ lxc-start -n box -f ".to_owned(),
    };
    assert!(ran.stdout.contains(&typed), "{}", ran.whole());
    assert!(ran.stdout.contains(&format!("under-the-hood exec {name}:box")), "{}", ran.whole());
}

/// Whoever kills the player leaves nothing behind in the engine: its watcher
/// ends the containers by the engine's own command.
fn killed_in_the_middle(uth: &Uth, engine: &Serving) {
    let mut command = engine.command(uth, &["lesson", "4", "--auto", "--engine", engine.name]);
    let mut player = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let patient = |what: &str| {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}: {what}", engine.name);
        std::thread::sleep(Duration::from_millis(100));
    };
    // The image alone can be there first.
    let containers = || engine.script("left").lines().count();
    let enough = if engine.name == "lxc" { 1 } else { 2 };
    while containers() < enough {
        assert_eq!(player.try_wait().unwrap(), None, "{}: it ended by itself", engine.name);
        patient("no container of the lesson is to be seen");
    }
    player.kill().unwrap();
    player.wait().unwrap();
    while !engine.script("left").is_empty() {
        patient("what a killed lesson started is still there");
    }
    let ran = engine.run(uth, &["cleanup", "--list", "--format", "json"]).ok();
    // Of a tree that went with the lesson's directory only the record can be left.
    let left = ran.json();
    let left = left["leftovers"].as_array().unwrap();
    let there: Vec<&Value> = left.iter().filter(|entry| entry["state"] != "gone").collect();
    assert!(there.is_empty(), "{there:#?}");
}

macro_rules! engines {
    ($($test:ident: $name:literal;)+) => {$(
        #[test]
        #[ignore = "starts a real engine"]
        fn $test() {
            every_claim($name);
        }
    )+};
}

engines! {
    docker: "docker";
    containerd: "containerd";
    podman: "podman";
    lxc: "lxc";
}

/// A daemon that is not there, is silent, or closed: one error that says what to do.
#[test]
fn an_engine_that_cannot_be_used_is_one_error() {
    let uth = Uth::new();
    let nobody = uth.home().join("nobody.sock");
    for (engine, variable) in [("docker", "DOCKER_HOST"), ("containerd", "CONTAINERD_ADDRESS")] {
        for args in [["lesson", "1", "--auto"].as_slice(), ["verify", "1"].as_slice()] {
            let mut command = uth.command(args);
            command.args(["--engine", engine]);
            command.env(variable, format!("unix://{}", nobody.display()));
            let ran = uth.wait(command).one_error(4);
            assert!(ran.stderr.contains(&format!("--engine {engine}")), "{}", ran.whole());
            assert!(ran.stderr.contains("Hint: "), "{}", ran.whole());
        }
    }
    let ran = uth.run(["lesson", "1", "--auto", "--engine", "rkt"]).exits(2);
    assert!(ran.stderr.contains("possible values"), "{}", ran.whole());
}
