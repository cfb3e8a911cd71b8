//! One container of each engine at once, and one of ours: the joined table says of each
//! what its engine says (docker inspect, ctr, podman inspect, lxc-info), every command
//! takes each by its name, and none of them is left afterwards.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Ran, Uth};
use crate::interop::Engine;

/// All of them, as long as this value lives.
struct All {
    docker: Engine,
    containerd: Engine,
    podman: Engine,
    lxc: Engine,
    nspawn: Engine,
    bwrap: Engine,
}

impl All {
    fn start() -> Self {
        let wide = || vec![("WIDE", "1".to_owned())];
        let docker = Engine::start_with("docker", wide());
        let archive = docker.path("bb.tar");
        let archive = archive.to_str().unwrap();
        docker.asked("save", &["bb:1", archive]).unwrap();
        let image = || [wide(), vec![("ARCHIVE", archive.to_owned())]].concat();
        Self {
            containerd: Engine::start_with("containerd", image()),
            podman: Engine::start_with("podman", wide()),
            lxc: Engine::start_with("lxc", wide()),
            nspawn: Engine::start("nspawn"),
            bwrap: Engine::start("bwrap"),
            docker,
        }
    }

    /// Our program, told where this Docker listens; that of the others it finds out.
    fn run(&self, uth: &Uth, args: &[&str]) -> Ran {
        let mut command: Command = uth.command(args);
        let socket = self.docker.path("docker.sock");
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        uth.wait(command)
    }
}

fn said(engine: &Engine) -> Value {
    serde_json::from_str(&engine.asked("said", &[]).unwrap()).unwrap()
}

fn of<'a>(list: &'a [Value], engine: &str, pid: &str) -> &'a Value {
    let is = |entry: &&Value| {
        entry["owner"]["engine"] == engine && entry["pid"].as_i64() == pid.parse().ok()
    };
    list.iter().find(is).unwrap_or_else(|| panic!("no {engine} with pid {pid} in {list:#?}"))
}

fn sorted(list: &Value) -> Vec<String> {
    let mut names: Vec<_> =
        list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

fn addresses(entry: &Value) -> Vec<String> {
    let interfaces = entry["network"]["interfaces"].as_array().unwrap().iter();
    let all = interfaces.flat_map(|one| one["addresses"].as_array().unwrap().clone());
    all.map(|address| address.as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "starts every real engine"]
fn each_container_is_what_its_engine_says() {
    need!(root);
    let uth = Uth::new();
    let all = All::start();
    uth.run([
        "run",
        "-d",
        "--name",
        "ours",
        "--memory",
        "64m",
        "--pids-limit",
        "20",
        "--network",
        "none",
        "base",
        "sleep",
        "600",
    ])
    .ok();
    let ran = all.run(&uth, &["inspect", "containers", "--wide", "--format", "json"]).ok();
    let json = ran.json();
    assert_eq!(json["silent_engines"], json!([]), "{}", ran.whole());
    let list = json["containers"].as_array().unwrap().clone();
    docker_is_right(&all, of(&list, "docker", &all.docker.pid));
    containerd_is_right(&all, of(&list, "containerd", &all.containerd.pid));
    podman_is_right(&all, of(&list, "podman", &all.podman.pid));
    lxc_is_right(&all, of(&list, "lxc", &all.lxc.pid));
    others_are_right(&uth, &all, &list);
    let text = all.run(&uth, &["inspect", "containers", "--wide"]).ok();
    for word in
        ["docker:uth-interop", "127.0.0.1:18080->80/tcp", "beyond docker's default CAP_SYS_TIME"]
    {
        assert!(text.stdout.contains(word), "{word} is not in {}", text.whole());
    }
    every_command_takes_each(&uth, &all);
    differences_are_told(&uth, &all);
    uth.run(["stop", "-t", "0", "ours"]).ok();
}

fn docker_is_right(all: &All, entry: &Value) {
    let said = said(&all.docker);
    let host = &said["HostConfig"];
    assert_eq!(said["State"]["Pid"], entry["pid"]);
    assert_eq!(
        (&entry["owner"]["id"], &entry["owner"]["name"]),
        (&said["Id"], &json!("uth-interop"))
    );
    assert_eq!((&entry["image"], &said["Config"]["Image"]), (&json!("bb:1"), &json!("bb:1")));
    let port = &said["NetworkSettings"]["Ports"]["80/tcp"][0];
    let port = format!(
        "{}:{}->80/tcp",
        port["HostIp"].as_str().unwrap(),
        port["HostPort"].as_str().unwrap()
    );
    assert_eq!(entry["ports"], json!([port]));
    let network = &said["NetworkSettings"];
    let address = format!("{}/{}", network["IPAddress"].as_str().unwrap(), network["IPPrefixLen"]);
    assert!(addresses(entry).contains(&address), "{address} in {entry:#}");
    assert!(
        sorted(&entry["network"]["names"])
            .contains(&network["SandboxKey"].as_str().unwrap().to_owned())
    );
    let mut interfaces = entry["network"]["interfaces"].as_array().unwrap().iter();
    let eth0 = interfaces.find(|one| one["name"] == "eth0").unwrap();
    assert_eq!(eth0["mac"], network["MacAddress"]);
    assert!(eth0["peer"]["name"].as_str().unwrap().starts_with("veth"), "{eth0:#}");
    let limits = &entry["limits"];
    let cpus = limits["cpu_quota_us"].as_f64().unwrap() / limits["cpu_period_us"].as_f64().unwrap();
    assert!((cpus - host["NanoCpus"].as_f64().unwrap() / 1e9).abs() < 0.001, "{limits:#}");
    assert_eq!((&limits["memory"], &limits["tasks"]), (&host["Memory"], &host["PidsLimit"]));
    assert_eq!(limits["cpus"], host["CpusetCpus"]);
    let bare = |list: &Value| -> Vec<String> {
        sorted(list).iter().map(|name| format!("CAP_{}", name.trim_start_matches("CAP_"))).collect()
    };
    assert_eq!(sorted(&entry["capabilities"]["beyond_default"]), bare(&host["CapAdd"]));
    assert_eq!(sorted(&entry["capabilities"]["below_default"]), bare(&host["CapDrop"]));
    assert_eq!((&entry["seccomp"]["mode"], &host["SecurityOpt"]), (&json!("filter"), &Value::Null));
    let layers = &said["GraphDriver"]["Data"];
    assert_eq!(
        (&entry["root"]["type"], &entry["root"]["upper"]),
        (&json!("overlay"), &layers["UpperDir"])
    );
    let lower = layers["LowerDir"].as_str().unwrap().split(':').count();
    assert_eq!(entry["root"]["lower"].as_array().unwrap().len(), lower);
}

fn containerd_is_right(all: &All, entry: &Value) {
    let said = said(&all.containerd);
    let spec = &said["Spec"];
    assert_eq!((&entry["owner"]["name"], &entry["image"]), (&said["ID"], &said["Image"]));
    assert_eq!(entry["image"], "docker.io/library/bb:1");
    let resources = &spec["linux"]["resources"];
    let limits = &entry["limits"];
    assert_eq!(limits["memory"], resources["memory"]["limit"]);
    assert_eq!(limits["cpu_quota_us"], resources["cpu"]["quota"]);
    assert_eq!(entry["cgroup"], spec["linux"]["cgroupsPath"]);
    let bounding = &spec["process"]["capabilities"]["bounding"];
    assert_eq!(sorted(&entry["capabilities"]["bounding"]), sorted(bounding));
    assert_eq!(spec["linux"]["seccomp"], Value::Null);
    assert_eq!(entry["seccomp"]["mode"], "disabled");
    assert_eq!(entry["no_new_privs"], spec["process"]["noNewPrivileges"]);
    assert_eq!(entry["root"]["type"], "overlay");
}

fn podman_is_right(all: &All, entry: &Value) {
    let said = said(&all.podman);
    let host = &said["HostConfig"];
    assert_eq!(said["State"]["Pid"], entry["pid"]);
    assert_eq!((&entry["owner"]["id"], &entry["owner"]["name"]), (&said["Id"], &said["Name"]));
    assert_eq!(entry["image"], said["ImageName"]);
    assert_eq!(entry["ports"], json!(["127.0.0.1:18081->80/tcp"]));
    assert_eq!(said["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"], "18081");
    let key = said["NetworkSettings"]["SandboxKey"].as_str().unwrap();
    let names = sorted(&entry["network"]["names"]);
    assert!(names.iter().any(|name| key.ends_with(name.as_str())), "{key} in {names:?}");
    let limits = &entry["limits"];
    assert_eq!((&limits["memory"], &limits["tasks"]), (&host["Memory"], &host["PidsLimit"]));
    assert_eq!(sorted(&entry["capabilities"]["bounding"]), sorted(&said["BoundingCaps"]));
    assert_eq!(entry["root"]["upper"], said["GraphDriver"]["Data"]["UpperDir"]);
    assert_eq!(entry["seccomp"]["mode"], "filter");
}

fn lxc_is_right(all: &All, entry: &Value) {
    let said = said(&all.lxc);
    assert_eq!(
        (&entry["owner"]["name"], &entry["image"]),
        (&json!("uth-interop"), &json!("busybox"))
    );
    assert_eq!(said["pid"], entry["pid"].to_string());
    let address = format!("{}/24", said["address"].as_str().unwrap());
    assert!(address.len() > 3 && addresses(entry).contains(&address), "{address} in {entry:#}");
    let mut interfaces = entry["network"]["interfaces"].as_array().unwrap().iter();
    assert!(interfaces.any(|one| one["peer"]["name"] == "uthwide0"), "{entry:#}");
    assert_eq!(entry["limits"]["memory"].to_string(), said["memory"].as_str().unwrap());
    assert_eq!(entry["limits"]["tasks"].to_string(), said["tasks"].as_str().unwrap());
    assert_eq!(entry["root"]["path"], said["root"]);
}

/// Of nspawn and bubblewrap nobody can be asked: what was asked for is known.
fn others_are_right(uth: &Uth, all: &All, list: &[Value]) {
    let nspawn = of(list, "nspawn", &all.nspawn.pid);
    assert_eq!(nspawn["owner"]["name"], "uth-interop");
    assert_eq!(nspawn["root"]["path"], json!(all.nspawn.path("rootfs")));
    assert_eq!(nspawn["network"]["is_hosts"], true, "{nspawn:#}");
    let bwrap = of(list, "bwrap", &all.bwrap.pid);
    assert_eq!(
        (&bwrap["root"]["path"], &bwrap["root"]["read_only"]),
        (&json!(all.bwrap.path("rootfs")), &json!(true))
    );
    assert_eq!(bwrap["no_new_privs"], true);
    let mut pods = list.iter().filter(|entry| entry["owner"]["engine"] == "kubernetes");
    let pod = pods.next().unwrap();
    assert_eq!(pod["owner"]["label"], "kubernetes:default/web-1/httpd", "{pod:#}");
    let id =
        uth.run(["inspect", "process", "ours", "--format", "json"]).ok().json()["pid"].to_string();
    let ours = of(list, "under-the-hood", &id);
    assert_eq!(
        (&ours["limits"]["memory"], &ours["limits"]["tasks"]),
        (&json!(64 << 20), &json!(20))
    );
    assert_eq!(ours["capabilities"]["beyond_default"], json!([]));
    assert_eq!(ours["capabilities"]["below_default"], json!([]));
}

/// By its name, and where it has an id by the beginning of that.
fn every_command_takes_each(uth: &Uth, all: &All) {
    let json = |args: &[&str]| all.run(uth, &[args, &["--format", "json"]].concat()).ok().json();
    let docker = said(&all.docker)["Id"].as_str().unwrap().to_owned();
    let podman = said(&all.podman)["Id"].as_str().unwrap().to_owned();
    let pod = json(&["inspect", "process", "kubernetes:default/web-1/httpd"])["pid"].to_string();
    for (target, pid) in [
        ("docker:uth-interop", &all.docker.pid),
        (&format!("x{}", &docker[..14])[1..], &all.docker.pid),
        ("containerd:uth-interop", &all.containerd.pid),
        ("podman:uth-interop", &all.podman.pid),
        (&format!("podman:{}", &podman[..14]), &all.podman.pid),
        ("lxc:uth-interop", &all.lxc.pid),
        ("nspawn:uth-interop", &all.nspawn.pid),
        ("kubernetes:default/web-1/httpd", &pod),
    ] {
        if target.bytes().all(|byte| byte.is_ascii_digit()) {
            continue; // a beginning of digits alone is a pid
        }
        let is = |value: &Value| assert_eq!(value.to_string(), **pid, "{target}");
        is(&json(&["inspect", "process", target])["pid"]);
        is(&json(&["inspect", "compare", target, "self"])["a"]["pid"]);
        is(&json(&["inspect", "layers", target])["pid"]);
        let spaces = json(&["inspect", "ns", "--container", target])["namespaces"].clone();
        assert!(
            spaces.as_array().unwrap().iter().any(|row| row["pid"].as_i64() == pid.parse().ok()),
            "{target}"
        );
        let link = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        let exec =
            all.run(uth, &["netns", "exec", target, "--", "readlink", "/proc/self/ns/net"]).ok();
        assert_eq!(exec.stdout.trim(), link.to_string_lossy(), "{target}");
        json(&["netns", "addr", target]);
        let tasks = json(&["sched", "ps", "--container", target]);
        assert!(tasks.to_string().contains(&format!("\"pid\":{pid}")), "{target}: {tasks}");
        json(&["cgroup", "show", target]);
        json(&["cgroup", "watch", target, "--count", "1"]);
        entered(uth, all, target, pid);
    }
    let bare = all.run(uth, &["inspect", "process", "uth-interop"]).one_error(2);
    for engine in ["docker", "containerd", "podman", "lxc", "nspawn"] {
        assert!(bare.stderr.contains(&format!("{engine}:uth-interop")), "{}", bare.whole());
    }
}

/// `exec` is in all its namespaces and its cgroup, with its powers and no more.
fn entered(uth: &Uth, all: &All, target: &str, pid: &str) {
    let look = "for t in cgroup ipc mnt net pid uts user; do ls -l /proc/self/ns/$t; done; cat /proc/self/cgroup /proc/self/status";
    let ran = all.run(uth, &["exec", target, "/bin/sh", "-c", look]).ok();
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "uts", "user"] {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        assert!(
            ran.stdout.contains(&*link.to_string_lossy()),
            "{target}: {link:?} in {}",
            ran.whole()
        );
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for field in ["CapEff", "CapBnd", "NoNewPrivs"] {
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        assert!(ran.stdout.contains(line), "{target}: {line} in {}", ran.whole());
    }
}

fn differences_are_told(uth: &Uth, all: &All) {
    let compare = |a: &str, b: &str| {
        all.run(uth, &["inspect", "compare", a, b, "--format", "json"]).ok().json()
    };
    let json = compare("docker:uth-interop", "podman:uth-interop");
    let effective = &json["capabilities"]["effective"];
    assert_eq!(effective["only_b"], json!([]), "{json:#}");
    assert!(sorted(&effective["only_a"]).contains(&"CAP_MKNOD".to_owned()), "{json:#}");
    assert_eq!((&json["seccomp"]["same"], &json["root"]["same"]), (&json!(true), &json!(false)));
    let said = |json: &Value, fact: &str| {
        let all = json["means"].as_array().unwrap().iter();
        let found = all.filter(|one| one["fact"] == fact).map(|one| one["text"].to_string());
        found.collect::<String>()
    };
    assert!(
        said(&json, "capabilities").contains("docker:uth-interop alone can make device files"),
        "{json:#}"
    );
    let json = compare("docker:uth-interop", "lxc:uth-interop");
    assert!(
        said(&json, "seccomp").contains("lxc:uth-interop can make every system call"),
        "{json:#}"
    );
    assert!(said(&json, "root").contains("docker:uth-interop writes into a layer"), "{json:#}");
    let masked = sorted(&json["masked_paths"]["a"]);
    assert!(masked.contains(&"/proc/keys".to_owned()), "{json:#}");
    let json = compare("containerd:uth-interop", "docker:uth-interop");
    assert!(
        said(&json, "limits").contains("containerd:uth-interop can take all process numbers"),
        "{json:#}"
    );
    assert!(said(&json, "no_new_privs").contains("root in docker:uth-interop"), "{json:#}");
}
