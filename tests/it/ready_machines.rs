//! assets/machines: each file held against the schema of who will read it.
//! Names begin with `interop`: they need packages that `.ci/run` installs.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

fn machine(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/machines").join(name)
}

/// The same text with one key misspelt: what every validator must refuse.
fn misspelt(name: &str, right: &str, wrong: &str) -> tempfile::NamedTempFile {
    let text = std::fs::read_to_string(machine(name)).unwrap();
    assert!(text.contains(right), "{right}");
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), text.replacen(right, wrong, 1)).unwrap();
    file
}

#[track_caller]
fn says(command: &mut Command, good: bool) {
    let output = command.output().unwrap();
    let told = format!(
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.success(), good, "{told}");
}

/// cloud-init's own validator.
#[test]
#[ignore = "needs cloud-init"]
fn interop_cloud_init_takes_the_user_data() {
    need!(tool "cloud-init");
    let validate = |file: &std::path::Path, good| {
        says(Command::new("cloud-init").args(["schema", "-c"]).arg(file), good);
    };
    validate(&machine("cloud-init.yaml"), true);
    validate(misspelt("cloud-init.yaml", "permissions:", "permisions:").path(), false);
    validate(
        misspelt("cloud-init.yaml", "package_update: true", "package_update: perhaps").path(),
        false,
    );
}

/// The Kubernetes API's own JSON schemas, in the package kubernetes-validate of PyPI.
#[test]
#[ignore = "needs kubernetes-validate"]
fn interop_kubernetes_takes_the_stateful_set() {
    need!(tool "kubernetes-validate");
    let validate = |file: &std::path::Path, good| {
        says(Command::new("kubernetes-validate").args(["--strict", "--quiet"]).arg(file), good);
    };
    validate(&machine("kubernetes.yaml"), true);
    validate(misspelt("kubernetes.yaml", "replicas: 2", "replcas: 2").path(), false);
    validate(misspelt("kubernetes.yaml", "privileged: true", "privileged: perhaps").path(), false);
    let text = std::fs::read_to_string(machine("kubernetes.yaml")).unwrap();
    assert!(text.contains("kind: StatefulSet") && text.contains("privileged: true"));
}

/// Lima's fields, those that we use, as pkg/limatype/lima_yaml.go of Lima 2.0 declares them:
/// limactl itself cannot be had here. What is not one of them is refused, as `limactl validate` does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code)]
struct Lima {
    minimum_lima_version: Option<String>,
    base: Vec<String>,
    cpus: Option<u32>,
    memory: Option<String>,
    disk: Option<String>,
    mounts: Option<Vec<serde_json::Value>>,
    containerd: Option<Containerd>,
    param: Option<std::collections::BTreeMap<String, String>>,
    provision: Vec<Provision>,
    probes: Vec<Probe>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Containerd {
    system: Option<bool>,
    user: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    System,
    User,
    Boot,
    Dependency,
    Data,
    Yq,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Provision {
    mode: Mode,
    script: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProbeMode {
    Readiness,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Probe {
    mode: ProbeMode,
    description: Option<String>,
    script: String,
    hint: Option<String>,
}

/// PyYAML, which comes with cloud-init, reads it.
fn lima(file: &std::path::Path) -> Result<Lima, String> {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new("/usr/bin/python3").args(["-c", script]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

#[test]
#[ignore = "needs python3-yaml"]
fn interop_limas_fields_are_limas() {
    need!(sh "python3-yaml", "/usr/bin/python3 -c 'import yaml'");
    let good = lima(&machine("lima.yaml")).unwrap();
    // Every script is one that its shell can read, and names only parameters that are there.
    let scripts = good.provision.iter().filter_map(|provision| provision.script.as_ref());
    for script in scripts.chain(good.probes.iter().map(|probe| &probe.script)) {
        assert!(script.starts_with("#!"), "{script}");
        says(Command::new("bash").args(["-n", "-c", script]), true);
        for (_, after) in script.match_indices("{{.Param.").map(|(at, _)| script.split_at(at + 9)) {
            let name = after.split("}}").next().unwrap();
            assert!(good.param.as_ref().unwrap().contains_key(name), "{name}");
        }
    }
    for (right, wrong) in [
        ("cpus: 2", "cpu: 2"),
        ("cpus: 2", "cpus: two"),
        ("mode: system", "mode: sistem"),
        ("mode: readiness", "mode: ready"),
    ] {
        assert!(lima(misspelt("lima.yaml", right, wrong).path()).is_err(), "{wrong}");
    }
}

/// Whichever machine: the same packages, and the binary only with its checksum.
#[test]
fn every_machine_checks_the_binary_and_installs_the_lessons_programs() {
    for name in ["cloud-init.yaml", "lima.yaml", "kubernetes.yaml"] {
        let text = std::fs::read_to_string(machine(name)).unwrap();
        for word in [
            "sha256sum -c",
            "iproute2",
            "procps",
            "util-linux",
            "uidmap",
            "under-the-hood lesson 1",
        ] {
            assert!(text.contains(word), "{name}: {word}");
        }
    }
}
