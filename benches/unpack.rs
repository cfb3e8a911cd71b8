//! How long the unpacker takes beside `tar -xzf` and `umoci unpack`, on a Debian
//! root file system of 170 MB, and how much memory it needs.
//!
//! `cargo bench --bench unpack`, as root. The file system is made by mmdebstrap
//! (package mmdebstrap; it asks Debian's mirror), or given: `UTH_BENCH_TAR=FILE`,
//! a plain tar archive. All three read the same gzip bytes from the page cache
//! and write to the same disk.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use under_the_hood::image::unpack::{Options, unpack};
use under_the_hood::step::Deaf;

const RUNS: usize = 7;
const MEMORY: u64 = 64 << 20;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, word, archive, directory] = &arguments[..]
        && word == "unpack"
    {
        return ours(archive.as_ref(), directory.as_ref());
    }
    match compare() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            say(&format!("skipped: {reason}"));
            ExitCode::SUCCESS
        }
    }
}

/// What is measured of us, in a process of its own like the others.
fn ours(archive: &Path, directory: &Path) -> ExitCode {
    let unpacked =
        std::fs::File::open(archive).map_err(|error| error.to_string()).and_then(|archive| {
            unpack(archive, directory, &Options::default(), &mut Deaf)
                .map_err(|error| error.to_string())
        });
    match unpacked {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<bool, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can give files their owners".to_owned());
    }
    let place = tempfile::Builder::new().prefix("uth-bench-").tempdir_in("/var/tmp");
    let place = place.map_err(|error| error.to_string())?;
    let place = place.path();
    let tar = archive(place)?;
    let packed = place.join("root.tar.gz");
    run(Command::new("gzip").arg("-c").arg(&tar).stdout(create(&packed)?))?;
    let layout = umoci_layout(place, &tar)?;
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let (mut us, mut gnu, mut umoci) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut memory = 0;
    for n in 0..RUNS {
        let fresh = |name: &str| -> Result<PathBuf, String> {
            let directory = place.join(format!("{name}-{n}"));
            std::fs::create_dir(&directory).map_err(|error| error.to_string())?;
            Ok(directory)
        };
        let directory = fresh("tar")?;
        let mut command = Command::new("tar");
        command.arg("-xzf").arg(&packed).arg("-C").arg(&directory);
        gnu = gnu.min(time(&mut command)?.0);
        let again = fresh("ours")?;
        let mut command = Command::new(&exe);
        let (took, peak) = time(command.arg("unpack").arg(&packed).arg(&again))?;
        (us, memory) = (us.min(took), memory.max(peak));
        if n == 0 {
            same(&directory, &again)?;
        }
        if let Some(layout) = &layout {
            let bundle = place.join(format!("umoci-{n}"));
            let mut command = Command::new("umoci");
            command.args(["unpack", "--image"]).arg(layout).arg(&bundle);
            umoci = umoci.min(time(&mut command)?.0);
            remove(&bundle)?;
        }
        remove(&directory)?;
        remove(&again)?;
    }
    let to_tar = ratio(gnu, us);
    say(&format!("ours            {us:>8.0?}"));
    say(&format!("tar -xzf        {gnu:>8.0?}   {to_tar:.2} times as long   (at least 1.3)"));
    let mut holds = to_tar >= 1.3 && memory < MEMORY;
    if layout.is_some() {
        let to_umoci = ratio(umoci, us);
        say(&format!(
            "umoci unpack    {umoci:>8.0?}   {to_umoci:.2} times as long   (at least 2.5)"
        ));
        holds &= to_umoci >= 2.5;
    } else {
        say("umoci unpack    skipped: there is no umoci (package umoci)");
    }
    say(&format!(
        "memory at most  {:>5.1} MiB   (less than 64)",
        memory as f64 / f64::from(1 << 20)
    ));
    Ok(holds)
}

fn archive(place: &Path) -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("UTH_BENCH_TAR") {
        return Ok(given.into());
    }
    let tar = place.join("root.tar");
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "bookworm"]).arg(&tar);
    run(&mut command)
        .map_err(|error| format!("{error} (package mmdebstrap, or UTH_BENCH_TAR=FILE)"))?;
    Ok(tar)
}

/// The archive as the only layer of an image; none without umoci.
fn umoci_layout(place: &Path, tar: &Path) -> Result<Option<PathBuf>, String> {
    if Command::new("umoci").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Ok(None);
    }
    let layout = place.join("layout");
    let image = format!("{}:bench", layout.display());
    run(Command::new("umoci").args(["init", "--layout"]).arg(&layout))?;
    run(Command::new("umoci").args(["new", "--image", &image]))?;
    run(Command::new("umoci").args(["raw", "add-layer", "--image", &image]).arg(tar))?;
    Ok(Some(image.into()))
}

/// Both trees have the same files, owners, modes, times and content.
fn same(a: &Path, b: &Path) -> Result<(), String> {
    let list = "cd \"$1\" && find . -printf '%p %y %m %U %G %T@ %l\\n' | sort | sha256sum; \
                cd \"$1\" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum";
    let sum = |directory: &Path| {
        let output = Command::new("sh").args(["-c", list, "sh"]).arg(directory).output();
        output.map(|output| output.stdout).map_err(|error| error.to_string())
    };
    match sum(a)? == sum(b)? {
        true => Ok(()),
        false => Err(format!("{} and {} differ", a.display(), b.display())),
    }
}

/// How long a command takes, and the most memory it had.
fn time(command: &mut Command) -> Result<(Duration, u64), String> {
    let start = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.map_err(|error| format!("{command:?}: {error}"))?;
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).ok_or("no pid")?;
    let mut peak = 0;
    loop {
        let options = rustix::process::WaitOptions::NOHANG;
        // What the kernel counted, as long as there is a process to ask.
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", child.id())) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or(0) << 10);
        }
        match rustix::process::waitpid(Some(pid), options).map_err(|error| error.to_string())? {
            None => std::thread::sleep(Duration::from_millis(2)),
            Some((_, status)) if status.exit_status() == Some(0) => {
                return Ok((start.elapsed(), peak));
            }
            Some((_, status)) => {
                let status = std::process::ExitStatus::from_raw(status.as_raw());
                return Err(format!("{command:?}: {status}"));
            }
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    status.success().then_some(()).ok_or_else(|| format!("{command:?}: {status}"))
}

fn create(path: &Path) -> Result<std::fs::File, String> {
    std::fs::File::create(path).map_err(|error| format!("{}: {error}", path.display()))
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
