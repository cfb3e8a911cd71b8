//! How long `image build` takes for the article's Dockerfile beside `buildah bud` and,
//! where its daemon runs, `docker build`: everything anew, and everything from the cache.
//!
//! `cargo bench --bench build`, as root (package buildah). The base is the base image
//! of this program, or what is given: `UTH_BENCH_LAYOUT=DIR`, an OCI image layout with one
//! image, such as httpd's. It is there and unpacked for everybody before the first
//! measurement; they take turns. buildah runs commands by chroot, with the host's network:
//! the least that it can do.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 11;
/// The part of buildah's time that ours may take.
const COLD: f64 = 0.5;
const CACHED: f64 = 0.2;

const DOCKERFILE: &str = "\
FROM BASE
RUN mkdir -p /usr/local/apache2/conf/sites/
COPY my-httpd.conf /usr/local/apache2/conf/httpd.conf
COPY ./public-html/ /usr/local/apache2/htdocs/
";

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

/// Somebody who builds.
struct Contender {
    name: &'static str,
    cold: Vec<String>,
    cached: Vec<String>,
    env: Vec<(&'static str, PathBuf)>,
    times: [Vec<Duration>; 2],
}

fn compare() -> Result<bool, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root: buildah's overlay does".to_owned());
    }
    let place = tempfile::Builder::new().prefix("uth-bench-").tempdir_in("/var/tmp");
    let place = place.map_err(|error| error.to_string())?;
    let place = place.path();
    context(place).map_err(|error| error.to_string())?;
    let (base, archive) = base(place)?;
    let mut contenders = vec![ours(place, &base)];
    contenders
        .extend([buildah(place, &archive), docker(place, &archive)].into_iter().filter_map(told));
    for contender in &mut contenders {
        contender.run(0)?; // the first time base images are unpacked
        contender.times = Default::default();
    }
    for _ in 0..RUNS {
        for which in [0, 1] {
            for contender in &mut contenders {
                contender.run(which)?;
            }
        }
    }
    say(&format!("the article's Dockerfile, middle of {RUNS} (ms)"));
    say("                          anew   cached");
    let middle = |contender: &Contender, which: usize| {
        let mut times = contender.times[which].clone();
        times.sort();
        times[RUNS / 2].as_secs_f64() * 1000.0
    };
    for contender in &contenders {
        let (cold, cached) = (middle(contender, 0), middle(contender, 1));
        say(&format!("  {:<20} {cold:>8.1} {cached:>8.1}", contender.name));
    }
    let mut holds = true;
    for other in contenders.iter().skip(1) {
        let ratio = |which| middle(&contenders[0], which) / middle(other, which);
        let (cold, cached) = (ratio(0), ratio(1));
        let most = match other.name {
            "buildah bud" => format!("   (at most {COLD:.2} and {CACHED:.2})"),
            _ => String::new(),
        };
        say(&format!("ours / {:<15} {cold:>8.2} {cached:>8.2}{most}", other.name));
        holds &= most.is_empty() || cold <= COLD && cached <= CACHED;
    }
    Ok(holds)
}

impl Contender {
    fn run(&mut self, which: usize) -> Result<(), String> {
        let words = if which == 0 { &self.cold } else { &self.cached };
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let output = command.output().map_err(|error| format!("{}: {error}", self.name))?;
        self.times[which].push(start.elapsed());
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("{}: {}", self.name, String::from_utf8_lossy(&output.stderr))),
        }
    }
}

/// Says why one is not measured.
fn told(contender: Result<Contender, String>) -> Option<Contender> {
    contender.map_err(|why| say(&format!("not measured: {why}"))).ok()
}

fn context(place: &Path) -> std::io::Result<()> {
    let context = place.join("context");
    std::fs::create_dir_all(context.join("public-html/images"))?;
    std::fs::write(context.join("my-httpd.conf"), "Listen 80\n".repeat(300))?;
    std::fs::write(context.join("public-html/index.html"), "<h1>Hello</h1>\n")?;
    for n in 0..20 {
        let name = context.join(format!("public-html/images/{n}.svg"));
        std::fs::write(name, format!("<svg id='{n}'/>").repeat(500))?;
    }
    Ok(())
}

/// The base's name for us, and an archive of it for others.
fn base(place: &Path) -> Result<(String, PathBuf), String> {
    let archive = place.join("base.tar");
    let us = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_under-the-hood"));
        command.env("UTH_HOME", place.join("ours")).arg("-q").stdout(Stdio::null());
        command
    };
    let done = |mut command: Command| match command.status() {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{command:?}: {other:?}")),
    };
    let name = "bench/base:1";
    let from = match std::env::var_os("UTH_BENCH_LAYOUT") {
        Some(given) => given,
        None => {
            let saved = place.join("made.tar");
            let mut command = us();
            command.args(["image", "base"]);
            done(command)?;
            let mut command = us();
            command.args(["image", "save", "base", "-o"]).arg(&saved);
            done(command)?;
            saved.into()
        }
    };
    let mut command = us();
    command.args(["image", "load", "--name", name]).arg(from);
    done(command)?;
    let mut command = us();
    command.args(["image", "save", name, "-o"]).arg(&archive);
    done(command)?;
    Ok((name.to_owned(), archive))
}

fn dockerfile(place: &Path, whose: &str, base: &str) -> String {
    let path = place.join(format!("Dockerfile.{whose}"));
    let _ = std::fs::write(&path, DOCKERFILE.replace("BASE", base));
    path.display().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ours(place: &Path, base: &str) -> Contender {
    let (file, context) = (dockerfile(place, "ours", base), place.join("context"));
    let context = context.display().to_string();
    let program = env!("CARGO_BIN_EXE_under-the-hood");
    let cached = words(&[
        program,
        "image",
        "build",
        "--network",
        "none",
        "-t",
        "bench:1",
        "-f",
        &file,
        &context,
    ]);
    let cold = [cached.clone(), words(&["--no-cache"])].concat();
    let env = vec![("UTH_HOME", place.join("ours"))];
    Contender { name: "ours", cold, cached, env, times: Default::default() }
}

fn buildah(place: &Path, archive: &Path) -> Result<Contender, String> {
    let storage = |name: &str| place.join(format!("buildah-{name}")).display().to_string();
    let own =
        ["--root", &storage("root"), "--runroot", &storage("run"), "--storage-driver", "overlay"];
    let program = [&["buildah"][..], &own].concat();
    let mut pull = Command::new("buildah");
    pull.args(own).args(["pull", "-q"]).arg(format!("docker-archive:{}", archive.display()));
    let pulled = pull.output().map_err(|error| format!("buildah: {error}"))?;
    if !pulled.status.success() {
        return Err(format!("buildah: {}", String::from_utf8_lossy(&pulled.stderr)));
    }
    let file = dockerfile(place, "buildah", String::from_utf8_lossy(&pulled.stdout).trim());
    let context = place.join("context").display().to_string();
    let bud = [
        "bud",
        "--layers",
        "--isolation",
        "chroot",
        "--network",
        "host",
        "--pull-never",
        "-q",
        "-t",
        "bench:1",
    ];
    let common = words(&[&program[..], &bud].concat());
    let end = words(&["-f", &file, &context]);
    let cold = [common.clone(), words(&["--no-cache"]), end.clone()].concat();
    let cached = [common, end].concat();
    Ok(Contender { name: "buildah bud", cold, cached, env: Vec::new(), times: Default::default() })
}

fn docker(place: &Path, archive: &Path) -> Result<Contender, String> {
    let docker = || Command::new("docker");
    if !docker().arg("info").output().is_ok_and(|output| output.status.success()) {
        return Err("docker: no daemon runs here".to_owned());
    }
    let loaded = docker().args(["load", "-q", "-i"]).arg(archive).output();
    if !loaded.is_ok_and(|output| output.status.success()) {
        return Err("docker: the base cannot be loaded".to_owned());
    }
    let file = dockerfile(place, "docker", "bench/base:1");
    let context = place.join("context").display().to_string();
    let cached = words(&[
        "docker",
        "build",
        "-q",
        "--network",
        "none",
        "-t",
        "uth-bench:1",
        "-f",
        &file,
        &context,
    ]);
    let cold = [cached.clone(), words(&["--no-cache"])].concat();
    Ok(Contender { name: "docker build", cold, cached, env: Vec::new(), times: Default::default() })
}

#[allow(clippy::print_stdout, reason = "a measurement is told on standard output")]
fn say(line: &str) {
    println!("{line}");
}
