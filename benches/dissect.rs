//! How long it takes to take an image apart, beside what must be done at least:
//! `gzip -dc | sha256sum` of its layers, one after the other; a second look; and
//! unpacking it, beside `umoci unpack`. And how much memory that needs.
//!
//! `cargo bench --bench dissect`, as root, with an image in an OCI image layout:
//! `UTH_BENCH_IMAGE=DIR:TAG` (the real httpd image of 340 MB in 4 layers is what
//! the numbers in the brackets are for). All read the same files from the page
//! cache; each is measured in turn, and the least of several runs counts.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 5;
const MEMORY: u64 = 96 << 20;
const SECOND: Duration = Duration::from_millis(50);
const PROGRAM: &str = env!("CARGO_BIN_EXE_under-the-hood");

fn main() -> ExitCode {
    let Some(image) = std::env::var_os("UTH_BENCH_IMAGE") else {
        say("skipped: UTH_BENCH_IMAGE=DIR:TAG names no image in an OCI image layout");
        return ExitCode::SUCCESS;
    };
    match compare(&image.to_string_lossy()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn compare(image: &str) -> Result<bool, String> {
    let place = tempfile::Builder::new().prefix("uth-bench-").tempdir_in("/var/tmp");
    let place = place.map_err(|error| error.to_string())?;
    let blobs = layers(image)?;
    let root = rustix::process::geteuid().is_root();
    let umoci =
        root && Command::new("umoci").arg("--version").stdout(Stdio::null()).status().is_ok();
    let [mut first, mut second, mut peer, mut ours, mut theirs] = [Duration::MAX; 5];
    let mut memory = 0;
    for n in 0..RUNS {
        let home = place.path().join(format!("home-{n}"));
        peer = peer.min(gzip_and_sum(&blobs)?);
        let dissect = || {
            let mut command = Command::new(PROGRAM);
            command.env("UTH_HOME", &home).args(["image", "dissect", "--format", "json"]);
            command.arg(format!("oci:{image}"));
            time(&mut command)
        };
        let (took, peak) = dissect()?;
        (first, memory) = (first.min(took), memory.max(peak));
        second = second.min(dissect()?.0);
        if umoci {
            let directory = place.path().join("ours");
            let mut command = Command::new(PROGRAM);
            command.env("UTH_HOME", &home).args(["image", "unpack", &format!("oci:{image}")]);
            let (took, peak) = time(command.arg(&directory))?;
            (ours, memory) = (ours.min(took), memory.max(peak));
            remove(&directory)?;
            let bundle = place.path().join("umoci");
            let mut command = Command::new("umoci");
            theirs = theirs.min(time(command.args(["unpack", "--image", image]).arg(&bundle))?.0);
            remove(&bundle)?;
        }
    }
    let share = ratio(first, peer);
    say(&format!("gzip -dc | sha256sum  {peer:>8.0?}"));
    say(&format!("dissect               {first:>8.0?}   {share:.2} times as long   (at most 0.7)"));
    say(&format!("dissect again         {second:>8.0?}   (less than 50 ms)"));
    let mut holds = share <= 0.7 && second < SECOND && memory < MEMORY;
    if umoci {
        let times = ratio(theirs, ours);
        say(&format!("unpack                {ours:>8.0?}"));
        say(&format!(
            "umoci unpack          {theirs:>8.0?}   {times:.2} times as long   (at least 4)"
        ));
        holds &= times >= 4.0;
    } else {
        say("umoci unpack          skipped: it needs root and the package umoci");
    }
    let peak = memory as f64 / f64::from(1 << 20);
    say(&format!("memory at most        {peak:>4.1} MiB   (less than 96)"));
    Ok(holds)
}

/// The files of its layers.
fn layers(image: &str) -> Result<Vec<PathBuf>, String> {
    let output = Command::new(PROGRAM)
        .args(["image", "dissect", "--manifest", &format!("oci:{image}")])
        .output()
        .map_err(|error| error.to_string())?;
    let manifest: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        format!("{image}: {error}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let directory = image.split(':').next().unwrap_or(image);
    let file = |layer: &serde_json::Value| {
        let digest = layer["digest"].as_str().unwrap_or_default().replace(':', "/");
        Path::new(directory).join("blobs").join(digest)
    };
    Ok(manifest["layers"].as_array().into_iter().flatten().map(file).collect())
}

fn gzip_and_sum(blobs: &[PathBuf]) -> Result<Duration, String> {
    let start = Instant::now();
    for blob in blobs {
        let mut command = Command::new("sh");
        time(command.args(["-c", "gzip -dc \"$1\" | sha256sum", "sh"]).arg(blob))?;
    }
    Ok(start.elapsed())
}

/// How long a command takes, and the most memory it had.
fn time(command: &mut Command) -> Result<(Duration, u64), String> {
    let start = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| format!("{command:?}: {error}"))?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        // What the kernel counted, as long as there is a process to ask.
        if let Ok(status) = std::fs::read_to_string(&status) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0) << 10);
        }
        match child.try_wait().map_err(|error| error.to_string())? {
            None => std::thread::sleep(Duration::from_millis(1)),
            Some(status) if status.success() => return Ok((start.elapsed(), peak)),
            Some(status) => return Err(format!("{command:?}: {status}")),
        }
    }
}

fn remove(path: &Path) -> Result<(), String> {
    std::fs::remove_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

#[allow(clippy::print_stdout, reason = "a measurement is for reading")]
fn say(text: &str) {
    println!("{text}");
}
