//! How long `image pull` takes beside `skopeo copy`, from a registry on this
//! machine, and how much memory it needs.
//!
//! `cargo bench --bench pull` (packages docker-registry and skopeo). The image is
//! made here, of four layers with 160 MB that cannot be compressed further, or given:
//! `UTH_BENCH_LAYOUT=DIR`, an OCI image layout with one image. Both write an OCI
//! image layout on the same disk; they take turns.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 9;
const MEMORY: u64 = 96 << 20;
const LAYERS: usize = 4;
const LAYER: usize = 40 << 20;

fn main() -> ExitCode {
    match compare() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            say(&format!("skipped: {reason}"));
            ExitCode::SUCCESS
        }
    }
}

/// docker-registry, until this is dropped.
struct Registry(Child);

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn compare() -> Result<bool, String> {
    let place = tempfile::Builder::new().prefix("uth-bench-").tempdir_in("/var/tmp");
    let place = place.map_err(|error| error.to_string())?;
    let place = place.path();
    let layout = match std::env::var_os("UTH_BENCH_LAYOUT") {
        Some(given) => given.into(),
        None => made(place)?,
    };
    let (_registry, port) = registry(place)?;
    let name = format!("127.0.0.1:{port}/library/image:1");
    let skopeo = || {
        let mut command = Command::new("skopeo");
        command.args(["copy", "-q", "--insecure-policy"]);
        command
    };
    let from = format!("oci:{}", layout.display());
    time(skopeo().args(["--dest-tls-verify=false", &from, &format!("docker://{name}")]))?;
    let (mut us, mut theirs, mut ratios, mut memory) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for n in 0..RUNS {
        let to = place.join(format!("skopeo-{n}"));
        let target = format!("oci:{}:image", to.display());
        let mut copy = skopeo();
        copy.args(["--src-tls-verify=false", &format!("docker://{name}"), &target]);
        let (their, _) = time(&mut copy)?;
        let home = place.join(format!("ours-{n}"));
        let mut pull = Command::new(env!("CARGO_BIN_EXE_under-the-hood"));
        pull.args(["--quiet", "image", "pull", &name]).env("UTH_HOME", &home);
        let (our, peak) = time(&mut pull)?;
        memory = memory.max(peak);
        ratios.push(our.as_secs_f64() / their.as_secs_f64());
        us.push(our);
        theirs.push(their);
        remove(&to)?;
        remove(&home)?;
    }
    [&mut us, &mut theirs].into_iter().for_each(|times| times.sort());
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[RUNS / 2];
    say(&format!("ours          {:>8.0?}   (middle of {RUNS})", us[RUNS / 2]));
    say(&format!("skopeo copy   {:>8.0?}", theirs[RUNS / 2]));
    say(&format!("ratio             {ratio:.2}   (at most 1.00)"));
    let mib = memory as f64 / f64::from(1 << 20);
    say(&format!("memory at most  {mib:.1} MiB   (less than 96)"));
    Ok(ratio <= 1.0 && memory < MEMORY)
}

/// An OCI image layout with layers of noise.
fn made(place: &Path) -> Result<PathBuf, String> {
    use sha2::{Digest, Sha256};
    let layout = place.join("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).map_err(|error| error.to_string())?;
    let mut state = 1_u64;
    let put = |bytes: &[u8]| -> Result<String, String> {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(blobs.join(&hex), bytes).map_err(|error| error.to_string())?;
        Ok(format!("sha256:{hex}"))
    };
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for _ in 0..LAYERS {
        let noise = (0..LAYER / 8).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let bytes: Vec<u8> = noise.collect();
        let digest = put(&bytes)?;
        diff_ids.push(digest.clone());
        layers.push(serde_json::json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": bytes.len(),
        }));
    }
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    let config = config.to_string();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": layers,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": put(config.as_bytes())?, "size": config.len() },
    });
    let manifest = manifest.to_string();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": put(manifest.as_bytes())?, "size": manifest.len() }] });
    let version = r#"{"imageLayoutVersion": "1.0.0"}"#.to_owned();
    for (name, text) in [("index.json", index.to_string()), ("oci-layout", version)] {
        std::fs::write(layout.join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(layout)
}

fn registry(place: &Path) -> Result<(Registry, u16), String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = free.map_err(|error| error.to_string())?.port();
    let file = place.join("registry.yml");
    let data = place.join("registry").display().to_string();
    let config = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {data}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
    );
    std::fs::write(&file, config).map_err(|error| error.to_string())?;
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn();
    let child = child.map_err(|_| "there is no docker-registry (package docker-registry)")?;
    let registry = Registry(child);
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok((registry, port));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("docker-registry does not listen".to_owned())
}

/// How long a command takes, and the most memory that it and its child (who
/// talks to the registry) had together.
fn time(command: &mut Command) -> Result<(Duration, u64), String> {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let mut peak = 0;
    loop {
        let others = std::fs::read_to_string(&children).unwrap_or_default();
        let all = others.split_whitespace().filter_map(|pid| pid.parse().ok());
        peak = peak.max(all.chain([child.id()]).map(memory_of).sum());
        match child.try_wait().map_err(|error| error.to_string())? {
            None => std::thread::sleep(Duration::from_millis(2)),
            Some(status) if status.success() => return Ok((start.elapsed(), peak)),
            Some(status) => return Err(format!("{command:?}: {status}")),
        }
    }
}

/// The most that a process had so far, as the kernel counts it.
fn memory_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

fn remove(path: &Path) -> Result<(), String> {
    std::fs::remove_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[allow(clippy::print_stdout, reason = "a measurement is for reading")]
fn say(text: &str) {
    println!("{text}");
}
