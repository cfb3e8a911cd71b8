//! `doctor`: what it says is true, it says it within its time limits, and the
//! machine is afterwards as it was.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Ran, Uth};
use crate::machine::Machine;

const ID: &str = "4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c";

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.whole()))
}

fn fact<'a>(said: &'a Value, section: &str, name: &str) -> &'a Value {
    let facts = said["facts"].as_array().unwrap();
    let found = facts.iter().find(|fact| fact["section"] == section && fact["name"] == name);
    found.unwrap_or_else(|| panic!("{section}/{name} in {facts:#?}"))
}

#[test]
fn json_has_every_fact_and_every_lesson_and_a_reason_for_every_no() {
    let said = json(&Uth::new().run(["doctor", "--offline", "--format", "json"]));
    let uname = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(said["host"]["kernel"], format!("Linux {}", uname.trim()));
    for fact in said["facts"].as_array().unwrap() {
        for key in ["section", "name", "value", "ok", "reason", "fix"] {
            assert!(fact.get(key).is_some(), "{key} in {fact}");
        }
        assert_eq!(fact["ok"] == false, fact["reason"].is_string(), "{fact}");
    }
    let lessons = said["lessons"].as_array().unwrap();
    assert!(lessons.len() >= 2, "{lessons:?}");
    for lesson in lessons {
        match lesson["state"].as_str() {
            Some("ready") => assert_eq!(lesson["claims"], lesson["claims_met"], "{lesson}"),
            Some("limited" | "cannot") => assert!(lesson["reason"].is_string(), "{lesson}"),
            _ => panic!("{lesson}"),
        }
    }
}

/// The same questions, asked of the machine's own tools.
#[test]
fn what_it_says_of_namespaces_is_what_unshare_says() {
    need!(tool "unshare");
    let uth = Uth::new();
    let said = json(&uth.run(["doctor", "--offline", "--format", "json"]));
    let root = rustix::process::geteuid().is_root();
    let user = if root { "" } else { "--user --map-root-user" };
    for (name, flag) in [("mnt", "--mount"), ("net", "--net"), ("uts", "--uts"), ("ipc", "--ipc")] {
        let made = uth.sh(&format!("unshare {user} {flag} true")).code == Some(0);
        assert_eq!(fact(&said, "Namespaces", name)["ok"], made, "{name}");
    }
    let user = uth.sh("unshare --user --map-root-user true").code == Some(0);
    assert_eq!(fact(&said, "User namespaces", "user namespace")["ok"], user);
    let mount = "unshare --user --map-root-user --mount mount -t tmpfs none /tmp";
    let mounted = uth.sh(mount).code == Some(0);
    assert_eq!(fact(&said, "User namespaces", "tmpfs in it")["ok"], mounted);
}

#[test]
fn it_fits_80_columns_but_for_commands_to_be_copied() {
    let ran = Uth::new().run(["doctor", "--offline"]);
    assert!(ran.stdout.starts_with("LESSON "), "{}", ran.whole());
    for line in ran.stdout.lines().filter(|line| !line.starts_with("      ")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn doctor_leaves_the_machine_as_it_was() {
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let _ = uth.run(["doctor", "--offline"]);
    Machine::settles(&uth, &before, Duration::ZERO, |_| false);
}

/// A socket at which something answers as Docker Desktop would, and where.
struct Desktop {
    directory: tempfile::TempDir,
}

impl Desktop {
    fn new(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = String::new();
                BufReader::new(&stream).read_line(&mut request).unwrap();
                match answer(request.split(' ').nth(1).unwrap_or_default()) {
                    Some(body) => {
                        let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}");
                    }
                    None => std::mem::forget(stream), // accepted, and never answered
                }
            }
        });
        Self { directory }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }
}

#[test]
fn an_engine_whose_pids_are_not_here_is_named() {
    let desktop = Desktop::new(|path| {
        let text = match path {
            "/info" => {
                r#"{"OperatingSystem":"Docker Desktop","KernelVersion":"6.6.12-linuxkit"}"#.into()
            }
            path if path.starts_with("/containers/json") => format!(r#"[{{"Id":"{ID}"}}]"#),
            _ => r#"{"State":{"Pid":1}}"#.to_owned(),
        };
        Some(text)
    });
    let uth = Uth::new();
    let mut doctor = uth.command(["doctor", "--offline", "--format", "json"]);
    doctor.env("DOCKER_HOST", desktop.host());
    let said = json(&uth.wait(doctor));
    let docker = fact(&said, "Engines", "docker");
    assert_eq!(docker["ok"], false, "{docker}");
    let reason = docker["reason"].as_str().unwrap();
    assert!(reason.contains("Docker Desktop: its container 4f5c1b9d2e3a has pid 1"), "{reason}");
}

#[test]
fn a_socket_that_never_answers_costs_no_more_than_its_time_limit() {
    let silent = Desktop::new(|_| None);
    let uth = Uth::new();
    let mut doctor = uth.command(["doctor", "--offline", "--format", "json"]);
    doctor.env("DOCKER_HOST", silent.host());
    let start = Instant::now();
    let said = json(&uth.wait(doctor));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let reason = fact(&said, "Engines", "docker")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("no answer within"), "{reason}");
}

/// Its children end with it, also when it has no chance to end them.
#[test]
fn a_killed_doctor_leaves_no_child() {
    let silent = Desktop::new(|_| None);
    let uth = Uth::new();
    let before = Machine::look(&uth);
    let mut doctor = uth.command(["doctor", "--offline"]);
    doctor.env("DOCKER_HOST", silent.host()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut doctor = doctor.spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", doctor.id());
    let connected = |children: &str| {
        let child = children.split_whitespace().next()?;
        let wait = std::fs::read_to_string(format!("/proc/{child}/wchan")).unwrap_or_default();
        let fds = std::fs::read_dir(format!("/proc/{child}/fd")).ok()?;
        let targets = fds.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        let socket = targets.into_iter().any(|target| target.starts_with("socket:"));
        (socket || wait.contains("unix")).then_some(())
    };
    let start = Instant::now();
    while std::fs::read_to_string(&children).ok().and_then(|text| connected(&text)).is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "it asks no engine");
        std::thread::sleep(Duration::from_millis(10));
    }
    doctor.kill().unwrap();
    doctor.wait().unwrap();
    Machine::settles(&uth, &before, Duration::from_secs(2), |_| false);
}

#[test]
fn without_programs_and_engines_it_says_so_and_goes_on() {
    let uth = Uth::new();
    let mut doctor = uth.command(["doctor", "--offline", "--format", "json"]);
    doctor.env("PATH", "/nonexistent").env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let said = json(&uth.wait(doctor));
    for engine in ["podman", "bwrap"] {
        assert_eq!(fact(&said, "Engines", engine)["value"], "not installed");
    }
    let lsns = fact(&said, "Programs", "lsns");
    assert_eq!(lsns["ok"], false, "{lsns}");
    assert!(lsns["reason"].as_str().unwrap().starts_with("lsns is not installed"), "{lsns}");
    // Whatever a lesson asks for has a package that can be named (on a distribution we know).
    let lessons = said["lessons"].to_string();
    assert!(lessons.contains("tool:ss") && lessons.contains("tool:busybox"), "{lessons}");
    assert!(!lessons.contains("install the package that has"), "{lessons}");
}

/// No certificates, no resolver: reasons, and nothing else breaks.
#[test]
fn what_cannot_be_reached_has_a_reason() {
    let uth = Uth::new();
    let mut doctor = uth.command(["doctor", "--format", "json"]);
    doctor.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    doctor.env("HTTPS_PROXY", "http://127.0.0.1:9"); // discard: nobody listens there
    let said = json(&uth.wait(doctor));
    let mirror = fact(&said, "Network", "https://dl-cdn.alpinelinux.org/alpine/");
    assert_eq!(mirror["value"], "not reached");
    assert!(mirror["reason"].as_str().unwrap().contains("refused"), "{mirror}");
}

/// Root's hint is a command that can be typed as it stands.
#[test]
fn root_hints_have_the_programs_full_path() {
    need!(ordinary_user);
    let said = json(&Uth::new().run(["doctor", "--offline", "--format", "json"]));
    let fix = fact(&said, "You", "root")["fix"].as_str().unwrap().to_owned();
    let program = std::fs::canonicalize(Uth::program()).unwrap();
    assert!(fix.contains(&format!("{} lesson 1", program.display())), "{fix}");
    assert!(Path::new(&program).is_absolute());
}

/// Root without capabilities, as in a container: nothing is taken on trust.
#[test]
fn root_without_capabilities_is_not_called_ready() {
    need!(root);
    need!(tool "setpriv");
    let uth = Uth::new();
    let setpriv = "setpriv --bounding-set=-all --inh-caps=-all";
    let ran = uth.sh(&format!("exec {setpriv} \"$UTH\" doctor --offline --format json"));
    let said = json(&ran);
    assert_eq!(fact(&said, "You", "effective capabilities")["value"], serde_json::json!([]));
    assert_eq!(fact(&said, "You", "root")["ok"], false);
}

/// Looking changes nothing: `incus --version` alone would make files in the home, and
/// `podman --version` directories where there are none yet.
#[test]
fn programs_that_would_make_something_are_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["podman", "incus", "lxd"] {
        let ran = path(&format!("{name}-ran"));
        std::fs::write(path(name), format!("#!/bin/sh\n: >{}\n", ran.display())).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let uth = Uth::new();
    let mut doctor = uth.command(["doctor", "--offline", "--format", "json"]);
    doctor.env("PATH", directory.path());
    let said = json(&uth.wait(doctor));
    for name in ["podman", "incus", "lxd"] {
        let found = fact(&said, "Engines", name)["value"].as_str().unwrap();
        assert!(found.contains(path(name).to_str().unwrap()), "{found}");
        let its = rustix::process::geteuid().is_root()
            && Path::new("/var/lib/containers/storage").exists();
        let may = name == "podman" && its;
        assert_eq!(path(&format!("{name}-ran")).exists(), may, "{name}");
    }
}

/// Every engine on every distribution, this machine's first, never a desktop.
#[test]
fn how_engines_are_installed_is_said() {
    let uth = Uth::new();
    let said = json(&uth.run(["doctor", "--install", "--format", "json"]));
    let ways = said["install"].as_array().unwrap();
    for engine in ["docker", "containerd", "podman", "lxc", "incus"] {
        for distribution in ["Debian", "Fedora", "RHEL", "Arch", "Alpine", "openSUSE"] {
            let is = |way: &&Value| {
                way["engine"] == engine
                    && way["distribution"].as_str().unwrap().contains(distribution)
            };
            let way = ways.iter().find(is).unwrap_or_else(|| panic!("{engine} on {distribution}"));
            assert!(way["commands"][0].is_string(), "{way}");
        }
    }
    let text = uth.run(["doctor", "--install"]).ok().stdout;
    if uth.sh("grep -qx ID=debian /etc/os-release").code == Some(0) {
        assert_eq!(ways[0]["here"], true);
        assert!(text.starts_with("Installing an engine: Debian, Ubuntu (this machine)"), "{text}");
        // What is named is a package of this machine's own sources.
        for package in ["docker.io", "containerd", "podman", "lxc"] {
            let line = |line: &str| {
                line.trim_end_matches('\'').ends_with(&format!("apt-get install {package}"))
            };
            assert!(text.lines().any(line), "{package}: {text}");
        }
    }
}

/// What it says of an engine is what the engine's own program says.
#[test]
fn an_engine_has_a_version_and_a_place() {
    need!(tool "systemd-nspawn");
    let uth = Uth::new();
    let said = json(&uth.run(["doctor", "--offline", "--format", "json"]));
    let version = uth.sh("systemd-nspawn --version | head -1 | cut -d ' ' -f 2").ok().stdout;
    let nspawn = fact(&said, "Engines", "nspawn")["value"].as_str().unwrap();
    assert!(nspawn.contains(&format!("version {}", version.trim())), "{nspawn}");
}
