//! Real engines: whose a namespace is, by the evidence of the kernel alone, is
//! what the engine itself says, and the numbers are those of lsns(8); each is
//! one entry of `inspect containers`; its limits are what the engine was asked
//! for. Each test starts an engine with
//! tests/engines.sh, in a directory of its own, and ends it again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Ran, Uth};
use crate::netns::{all_known, documents};

/// A container in somebody else's engine, as long as this value lives.
pub struct Engine {
    name: &'static str,
    directory: TempDir,
    /// Its first process, by the engine's own word.
    pub pid: String,
    /// What the script is given beside its arguments.
    env: Vec<(&'static str, String)>,
}

impl Engine {
    pub fn start(name: &'static str) -> Self {
        Self::start_with(name, Vec::new())
    }

    /// The same, with variables that the script knows.
    pub fn start_with(name: &'static str, env: Vec<(&'static str, String)>) -> Self {
        let directory = TempDir::with_prefix("uth-engine-").unwrap();
        let mut engine = Self { name, directory, pid: String::new(), env };
        engine.pid = engine.script("start").unwrap();
        let process = Path::new("/proc").join(&engine.pid);
        assert!(!engine.pid.is_empty() && process.exists(), "{name}: no process {:?}", engine.pid);
        engine
    }

    fn script(&self, verb: &str) -> Result<String, String> {
        self.asked(verb, &[])
    }

    /// One of the script's verbs, with what it takes.
    pub fn asked(&self, verb: &str, more: &[&str]) -> Result<String, String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engines.sh");
        // To a file: a daemon that the script starts would keep a pipe open.
        let (out, err) = (self.path("script.out"), self.path("script.err"));
        let open = |path: &PathBuf| std::fs::File::create(path).unwrap();
        let mut command = Command::new("timeout");
        command.args(["120", "bash", script, verb, self.name]).arg(self.directory.path());
        command.args(more);
        let further = if self.name == "docker" { AND_MORE } else { "" };
        command.env("CHANGES", format!("{CHANGES}{further}"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let status = command.stdout(open(&out)).stderr(open(&err)).status().unwrap();
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        match status.success() {
            true => Ok(read(&out).trim().to_owned()),
            false => Err(format!("{} {verb}: {status}\n{}", self.name, read(&err))),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let stopped = self.script("stop");
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

/// `cgroup show` and `cgroup watch` say of its limits what the engine says, and
/// what stands in the kernel's files (found here without our program).
fn limits_are_read(uth: &Uth, container: &Engine) {
    let asked: Value = serde_json::from_str(&container.script("limits").unwrap()).unwrap();
    let pid = &container.pid;
    let shown = uth.run(["cgroup", "show", pid, "--format", "json"]).ok();
    let values = shown.json()["values"].as_array().unwrap().clone();
    // A controller's directory of version 1, by /proc/PID/cgroup.
    let file = |controller: &str, name: &str| {
        let line =
            format!("sed -nE 's/^[0-9]+:([a-z,_]+,)?{controller}(,[^:]*)?://p' /proc/{pid}/cgroup");
        format!("/sys/fs/cgroup/{controller}{}/{name}", uth.sh(&line).ok().stdout.trim())
    };
    let number = |controller: &str, name: &str| {
        let path = file(controller, name);
        let text = std::fs::read_to_string(&path).unwrap().trim().to_owned();
        let found = values.iter().find(|value| value["file"] == *path && value["key"].is_null());
        let found = found.unwrap_or_else(|| panic!("{path} in {}", shown.whole()));
        assert_eq!(found["value"].to_string().trim_matches('"'), text, "{path}");
        text
    };
    let quota: f64 = number("cpu", "cpu.cfs_quota_us").parse().unwrap();
    let period: f64 = number("cpu", "cpu.cfs_period_us").parse().unwrap();
    assert_eq!(asked["cpus"].as_f64(), Some(0.5), "{asked}");
    assert!((quota / period - 0.5).abs() < 0.001, "{quota} of {period}");
    let watched = uth.run(["cgroup", "watch", pid, "--count", "1", "--format", "json"]).ok();
    let usage = watched.json()["usage"].clone();
    assert_eq!(usage["cpu_quota_us"].as_f64(), Some(quota), "{usage}");
    let memory = number("memory", "memory.limit_in_bytes");
    assert_eq!((memory.as_str(), asked["memory"].to_string().as_str()), ("67108864", "67108864"));
    assert_eq!(usage["memory_limit"].to_string(), memory, "{usage}");
    if !asked["tasks"].is_null() {
        assert_eq!(number("pids", "pids.max"), asked["tasks"].to_string(), "{asked}");
        assert_eq!(usage["tasks_limit"], asked["tasks"], "{usage}");
        assert_eq!(number("cpuset", "cpuset.cpus"), asked["cpuset"].as_str().unwrap());
        assert_eq!(usage["cpus"], asked["cpuset"], "{usage}");
    }
}

/// `(inode, type)` of each namespace that lsns says the process is in.
fn lsns(uth: &Uth, pid: &str) -> BTreeSet<(u64, String)> {
    let ran = uth.sh(&format!("lsns --json --output NS,TYPE --task {pid}")).ok();
    pairs(&ran.json()["namespaces"])
}

fn pairs(rows: &Value) -> BTreeSet<(u64, String)> {
    let pair =
        |row: &Value| (row["ns"].as_u64().unwrap(), row["type"].as_str().unwrap().to_owned());
    rows.as_array().unwrap().iter().map(pair).collect()
}

/// Starts a container and asks: are its namespaces found, are they called its
/// own, and those that it shares with the machine the machine's?
fn owner_is_seen(name: &'static str, engine: Option<&str>, known_by: Option<&str>) {
    need!(root);
    let uth = Uth::new();
    let container = Engine::start(name);
    let ran = uth.run(["inspect", "ns", "--format", "json", "--pid", &container.pid]).ok();
    let rows = ran.json()["namespaces"].clone();
    assert_eq!(pairs(&rows), lsns(&uth, &container.pid), "{}", ran.whole());
    for row in rows.as_array().unwrap() {
        let (kind, inode) = (row["type"].as_str().unwrap(), row["ns"].as_u64().unwrap());
        let hosts = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        let is_hosts = hosts.to_string_lossy() == format!("{kind}:[{inode}]");
        let owner = &row["owner"];
        let expected = match (is_hosts, engine) {
            (true, _) => "host",
            (false, Some(_)) => "container",
            (false, None) => "unknown",
        };
        assert_eq!(owner["kind"], expected, "{name}: {row:#}");
        if expected == "container" {
            assert_eq!(owner["engine"].as_str(), engine, "{row:#}");
        }
        if kind == "pid" && !is_hosts {
            // nspawn's and lxc's first process, not their monitor.
            assert_eq!(row["pid"].to_string(), container.pid, "{row:#}");
        }
    }
    listed_once(&uth, name, engine, &container.pid);
    exposed_and_hidden(&uth, name, &container.pid);
    layers_are_told(&uth, name, &container);
    if ["docker", "containerd", "podman"].contains(&name) {
        limits_are_read(&uth, &container);
    }
    if let Some(known_by) = known_by {
        let ran = uth.run(["inspect", "ns", "--format", "json", "--container", known_by]).ok();
        assert_eq!(pairs(&ran.json()["namespaces"]), pairs(&rows), "{}", ran.whole());
        let ran = uth.run(["inspect", "process", "--format", "json", known_by]).ok();
        assert_eq!(ran.json()["pid"].to_string(), container.pid, "{}", ran.whole());
        exposed_by_name(&uth, known_by, &container);
    }
    if name == "docker" {
        its_name_is_asked_for(&uth, &container);
    }
}

/// Of Docker's the kernel knows no name: the daemon says it, and the image. What
/// has the name is found by it, bare too, in whatever command.
fn its_name_is_asked_for(uth: &Uth, container: &Engine) {
    let ask = |args: &[&str]| {
        let mut command = uth.command(args);
        let socket = container.path("docker.sock");
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        uth.wait(command).ok().json()
    };
    for target in ["docker:uth-interop", "uth-interop"] {
        let found = ask(&["inspect", "process", target, "--format", "json"]);
        assert_eq!(found["pid"].to_string(), container.pid, "{target}");
    }
    exposed_by_name(uth, "docker:uth-interop", container);
    ask(&["cgroup", "watch", "docker:uth-interop", "--count", "1", "--format", "json"]);
    let all = ask(&["inspect", "containers", "--format", "json"]);
    let mut all = all["containers"].as_array().unwrap().iter();
    let pid: i64 = container.pid.parse().unwrap();
    let it = all.find(|entry| entry["pid"] == pid).unwrap();
    assert_eq!(it["owner"]["label"], "docker:uth-interop", "{it:#}");
    assert_eq!((&it["image"], &it["ports"]), (&"bb:1".into(), &json!([])), "{it:#}");
}

/// It is one container of the list, with what readlink(1) says; and an ordinary
/// user, to whom its namespaces are closed, learns that it is there and whose.
fn listed_once(uth: &Uth, name: &str, engine: Option<&str>, pid: &str) {
    let entry = |ran: &Ran| {
        let json = ran.json();
        let all = ["containers", "others"].map(|which| json[which].as_array().unwrap().clone());
        let mut of_it = all.concat();
        of_it.retain(|entry| match engine {
            Some(engine) => entry["owner"]["engine"] == engine,
            None => entry["pid"].as_i64() == pid.parse().ok(),
        });
        assert_eq!(of_it.len(), 1, "{name}: {of_it:#?}\n{}", ran.whole());
        of_it.remove(0)
    };
    let seen = entry(&uth.run(["inspect", "containers", "--format", "json"]).ok());
    assert_eq!((&seen["what"], seen["pid"].to_string()), (&"container".into(), pid.to_owned()));
    assert_eq!(seen["owner"]["label"] == "unknown", engine.is_none(), "{seen:#}");
    let links = format!(
        "for t in cgroup ipc mnt net pid time user uts; do test $(readlink /proc/{pid}/ns/$t) = $(readlink /proc/self/ns/$t) || echo $t; done"
    );
    let own: Vec<_> = seen["own"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(own.join("\n"), uth.sh(&links).ok().stdout.trim(), "{seen:#}");

    let program = uth.home().join("program");
    std::fs::copy(Uth::program(), &program).unwrap();
    let user = "chmod 755 $UTH_HOME $UTH_HOME/program; export UTH_HOME=/nowhere; setpriv --reuid 65534 --regid 65534 --clear-groups";
    let line = format!("P=$UTH_HOME/program; {user} $P inspect containers --format json");
    let closed = entry(&uth.sh(&line).ok());
    assert_eq!(closed["pid"].to_string(), pid, "{closed:#}");
    assert_eq!((&closed["namespaces_closed"], &closed["own"]), (&true.into(), &json!(["pid"])));
}

/// Changes made in the container through the engine's own `exec`, of every kind.
// (A time of its own: within the second in which a file was packed, a touch is not seen.)
const CHANGES: &str = "cd /; B=/bin/busybox; echo x >/etc/new; $B mkdir -p /a/b; echo x >/a/b/c; $B rm /etc/os-release; \
    $B rm -r /var; $B mkdir /var; echo x >/var/z; $B chmod 700 /root; $B ln -s /etc/passwd /tmp/l; \
    $B touch -d '2001-01-01 00:00' /usr/bin/busybox; $B mv /etc/group /etc/group2; echo x >/odd.wh.; $B rm -r /sbin; echo x >/sbin";

/// A directory where a file was: Podman's own `diff` stumbles over it.
const AND_MORE: &str = "; $B rm /etc/passwd; $B mkdir /etc/passwd; echo x >/etc/passwd/x";

/// What a container's root is made of: with layers in Docker and Podman, and
/// there `diff` says what we say; in the others a directory as it is.
fn layers_are_told(uth: &Uth, name: &str, container: &Engine) {
    let layered = matches!(name, "docker" | "podman" | "podman-crun");
    if layered {
        container.script("change").unwrap();
    }
    let ran = uth.run(["inspect", "layers", &container.pid, "--format", "json"]).ok();
    let json = ran.json();
    assert_eq!(json["overlay"], layered, "{name}: {json:#}");
    if !layered {
        return;
    }
    assert_eq!(json["compared"], "upper", "{json:#}");
    let theirs = container.script("diff").unwrap();
    let theirs: BTreeSet<_> = theirs.lines().map(str::to_owned).collect();
    let ours = crate::layers::changes(&json);
    assert!(ours.contains("A /a/b/c") && ours.contains("D /etc/os-release"), "{ours:#?}");
    match name {
        "docker" => assert_eq!(ours, theirs),
        // Podman leaves out what it made itself and directories in which only
        // something else changed, and calls an opaque directory deleted.
        _ => {
            let only_theirs: Vec<_> = theirs.difference(&ours).collect();
            assert!(only_theirs.iter().all(|line| line.starts_with("D ")), "{only_theirs:?}");
            let only_ours: Vec<_> = ours.difference(&theirs).collect();
            let known =
                ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/mtab", "/run", "/var"];
            let on_the_way = |line: &str| {
                let below = format!("{}/", &line[2..]);
                line.starts_with("C ") && ours.iter().any(|other| other[2..].starts_with(&below))
            };
            let own = |line: &str| known.iter().any(|path| line[2..].starts_with(path));
            assert!(only_ours.iter().all(|line| own(line) || on_the_way(line)), "{only_ours:?}");
        }
    }
    let of = |path: &str| {
        let args = ["inspect", "layers", &container.pid, "--path", path, "--format", "json"];
        uth.run(args).ok().json()["path"]["from"].clone()
    };
    assert_eq!((of("/a/b/c"), of("/etc/os-release")), (json!(0), Value::Null));
    assert_eq!(
        of("/bin/busybox"),
        json!(json["layers"].as_array().unwrap().len() - 2),
        "the lowest"
    );
}

/// The article's way: exposed by pid, the engine's container is in ip's list; ip
/// and ss see in there what our tables say; hidden, it is as it was. Names are
/// given in a mount namespace of the test's own.
fn exposed_and_hidden(uth: &Uth, name: &str, pid: &str) {
    let script = format!(
        r#"set -e; mkdir -p /run/netns; mount -t tmpfs names /run/netns
        nsenter -t {pid} -n busybox nc -l -p 8001 & server=$!; trap 'kill $server' EXIT
        until nsenter -t {pid} -n ss -Hlnt | grep -q :8001; do sleep 0.05; done
        [ $($UTH netns expose {pid}) = {pid} ]; ip netns list | grep -w {pid} >&2
        ip netns exec {pid} ip -j addr; $UTH --format json netns addr {pid}
        $UTH --format json netns addr netns:{pid}
        ip netns exec {pid} ss -Hlnt | sort >theirs; nsenter -t {pid} -n ss -Hlnt | sort >inside; cmp theirs inside >&2
        $UTH --format json netns ports; stat -Lc %i /proc/{pid}/ns/net
        $UTH netns hide {pid} >&2; [ -z "$(ls /run/netns)" ]; ! grep " /run/netns/" /proc/self/mountinfo >&2"#
    );
    let mut unshare = uth.beside("unshare");
    unshare.current_dir(uth.home()).args(["--mount", "sh", "-c", &script]);
    let ran = uth.wait(unshare).ok();
    let [theirs, by_pid, by_name, ports, inode] = documents(&ran).try_into().unwrap();
    assert_eq!(all_known(&by_pid["interfaces"]), all_known(&theirs), "{name}: {}", ran.whole());
    assert_eq!(by_pid["interfaces"], by_name["interfaces"], "{name}");
    let ours: Vec<_> =
        ports["listeners"].as_array().unwrap().iter().filter(|l| l["ns"] == inode).collect();
    let sockets = std::fs::read_to_string(uth.home().join("theirs")).unwrap();
    assert_eq!(ours.len(), sockets.lines().count(), "{name}: {sockets}{}", ran.whole());
    assert!(ours.iter().any(|listener| listener["port"] == 8001), "{name}: {}", ran.whole());
}

/// By the engine's own name for it: the same namespace.
fn exposed_by_name(uth: &Uth, target: &str, container: &Engine) {
    let (pid, socket) = (&container.pid, container.path("docker.sock"));
    let script = format!(
        r#"set -e; mkdir -p /run/netns; mount -t tmpfs names /run/netns
        $UTH netns expose {target} --name by-name; ip netns list | grep -w by-name
        [ $(stat -c %i /run/netns/by-name) = $(stat -Lc %i /proc/{pid}/ns/net) ]
        $UTH netns hide by-name; [ -z "$(ls /run/netns)" ]"#
    );
    let mut unshare = uth.beside("unshare");
    unshare.args(["--mount", "sh", "-c", &script]);
    unshare.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    uth.wait(unshare).ok();
}

macro_rules! engines {
    ($($test:ident: $name:literal, $engine:expr, $known_by:expr;)+) => {$(
        #[test]
        #[ignore = "starts a real engine"]
        fn $test() {
            owner_is_seen($name, $engine, $known_by);
        }
    )+};
}

engines! {
    docker: "docker", Some("docker"), None;
    containerd: "containerd", Some("containerd"), Some("containerd:uth-interop");
    podman: "podman", Some("podman"), Some("podman:uth-interop");
    podman_with_crun: "podman-crun", Some("podman"), Some("uth-interop");
    lxc: "lxc", Some("lxc"), Some("lxc:uth-interop");
    nspawn: "nspawn", Some("nspawn"), Some("nspawn:uth-interop");
    bubblewrap: "bwrap", Some("bwrap"), None;
    runc_alone: "runc", None, None;
    crun_alone: "crun", None, None;
}
