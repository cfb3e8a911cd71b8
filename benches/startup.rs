//! How long a container takes from the command line to its end, beside other
//! programs that start one on the same root file system, and beside a lower
//! bound: a process that makes only the system calls it cannot do without for
//! the same namespaces and the same mounts (what both see in mountinfo is compared).
//!
//! `cargo bench --bench startup`, as root. The contenders take turns, so that
//! what else the machine does meets all of them. They do not do the same:
//! runc and crun make a cgroup as well; bwrap and unshare set no seccomp
//! filter, no limits on capabilities and no /dev of their own making.
//!
//! Ours is measured as cargo builds it and, where `bash .ci/release` has been
//! run, as it is published: static, and at addresses fixed when it is linked,
//! because it is loaded twice for each container. The promises are about what
//! is published; what cargo builds is held to them where that is all there is.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use under_the_hood::kernel::raw;

const ROUNDS: usize = 40;
/// Between two starts: the kernel takes the network namespace and the mounts of the last
/// container apart when that has long ended, and whoever comes next should not pay for it.
const REST: Duration = Duration::from_millis(20);
/// The program as cargo builds it, and as `.ci/release` does.
const BUILT: &str = "under-the-hood run, as built";
const RELEASED: &str = "under-the-hood run, as released";
/// The part of runc's time that ours may take, and how often the lower bound's.
const OF_RUNC: f64 = 0.25;
const OF_BOUND: f64 = 1.7;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    if let [_, mode, tree, staging, rest @ ..] = args.as_slice()
        && mode == "--lower-bound"
        && let Some(end) = rest.iter().position(|word| word == "--")
    {
        return lower_bound(tree, staging, &rest[..end], &rest[end + 1..]);
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

/// Somebody who starts `/bin/true` in a container.
struct Contender {
    name: &'static str,
    command: Command,
    times: Vec<Duration>,
}

/// Measures, prints, and says whether the promises hold.
fn compare() -> Result<bool, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root, as runc does".to_owned());
    }
    let home = tempfile::TempDir::with_prefix("uth-bench-").map_err(|error| error.to_string())?;
    let mut contenders = contenders(home.path())?;
    contenders.retain_mut(works);
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            std::thread::sleep(REST);
            let start = Instant::now();
            let status = contender.command.status();
            contender.times.push(start.elapsed());
            if !status.is_ok_and(|status| status.success()) {
                return Err(format!("{} failed half-way", contender.name));
            }
        }
    }
    say(&format!("/bin/true in a container, {ROUNDS} rounds in turns (ms)"));
    say("                                     least  median");
    for contender in &mut contenders {
        contender.times.sort();
        let (least, median) = (ms(contender.times[0]), ms(contender.times[ROUNDS / 2]));
        say(&format!("  {:<34} {least:>6.1}  {median:>6.1}", contender.name));
    }
    let least = |name: &str| contenders.iter().find(|c| c.name == name).map(|c| ms(c.times[0]));
    let judged = if least(RELEASED).is_some() { RELEASED } else { BUILT };
    let mut holds = true;
    for (to, most) in [("runc run", OF_RUNC), ("the lower bound", OF_BOUND)] {
        let Some(theirs) = least(to) else { continue };
        for ours in [BUILT, RELEASED] {
            let Some(ratio) = least(ours).map(|ours| ours / theirs) else { continue };
            let counts = if ours == judged { format!("at most {most}") } else { String::new() };
            say(&format!("{ours:<31} / {to:<15} {ratio:>5.2}   {counts}"));
            holds &= ours != judged || ratio <= most;
        }
    }
    Ok(holds)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Whether it can be measured here; says why not.
fn works(contender: &mut Contender) -> bool {
    let why = match contender.command.stderr(Stdio::piped()).output() {
        Err(error) => error.to_string(),
        Ok(output) if output.status.success() => {
            contender.command.stderr(Stdio::null());
            return true;
        }
        Ok(output) => {
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("").to_owned()
        }
    };
    say(&format!("not measured: {}: {why}", contender.name));
    false
}

fn contenders(home: &Path) -> Result<Vec<Contender>, String> {
    let ours = &installed(Path::new(env!("CARGO_BIN_EXE_under-the-hood")), home, "built")?;
    let mut make = Command::new(ours);
    make.args(["run", "base", "true"]).env("UTH_HOME", home).stdout(Stdio::null());
    if !make.status().is_ok_and(|status| status.success()) {
        return Err("under-the-hood cannot start a container here".to_owned());
    }
    let tree = tree(home).ok_or("there is no root file system")?;
    let staging = tree.with_file_name("mnt");
    let (tree, staging) = (tree.display().to_string(), staging.display().to_string());
    let bundle = bundle(home, &tree).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let own = installed(&own, home, "bound")?;
    let container = mounts(Command::new(ours).args(NO_NETWORK).env("UTH_HOME", home))?;
    let covered: Vec<_> = container.iter().filter_map(covered).collect();
    let mut bound = vec![&own, "--lower-bound", &tree, &staging];
    bound.extend(covered.iter().map(String::as_str));
    bound.push("--");
    let bounds = mounts(Command::new(&own).args(&bound[1..]))?;
    assert_eq!(bounds, container, "the lower bound is one of another container");
    bound.push("/bin/true");
    let released = released().map(|path| installed(&path, home, "released")).transpose()?;
    let released = released.unwrap_or_default();
    let list: [(&str, &[&str]); 7] = [
        (BUILT, &[ours, "run", "--network", "none", "base", "/bin/true"]),
        (RELEASED, &[&released, "run", "--network", "none", "base", "/bin/true"]),
        ("the lower bound", &bound),
        ("unshare ... chroot", &["unshare", "-muinpC", "--fork", "chroot", &tree, "/bin/true"]),
        (
            "bwrap --unshare-all",
            &[
                "bwrap",
                "--unshare-all",
                "--bind",
                &tree,
                "/",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "/bin/true",
            ],
        ),
        ("crun run", &["crun", "run", "--bundle", &bundle, "uth-bench"]),
        ("runc run", &["runc", "run", "--bundle", &bundle, "uth-bench"]),
    ];
    let contender = |(name, words): (&'static str, &[&str])| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("UTH_HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Contender { name, command, times: Vec::new() }
    };
    Ok(list.into_iter().filter(|(_, words)| !words[0].is_empty()).map(contender).collect())
}

const NO_NETWORK: [&str; 4] = ["run", "--network", "none", "base"];
const MOUNTS: [&str; 2] = ["/bin/cat", "/proc/self/mountinfo"];

/// The mounts that a process sees which is started so, in order of their targets
/// (proc_pid_mountinfo(5)): the target, `ro` or `rw`, the type.
fn mounts(start: &mut Command) -> Result<Vec<[String; 3]>, String> {
    let output = start.args(MOUNTS).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mount = |line: &str| {
        let (of_mount, of_file_system) = line.split_once(" - ")?;
        let mut words = of_mount.split(' ').skip(4);
        let (target, options) = (words.next()?, words.next()?);
        let kind = of_file_system.split(' ').next()?;
        Some([target, options.split(',').next()?, kind].map(str::to_owned))
    };
    let mut mounts: Vec<_> = text.lines().filter_map(mount).collect();
    mounts.sort();
    Ok(mounts)
}

/// What of the container's /proc and /sys is covered, and with what: for the lower bound.
fn covered([target, _, kind]: &[String; 3]) -> Option<String> {
    let inside = ["/proc/", "/sys/"].iter().any(|root| target.starts_with(root));
    inside.then(|| format!("{kind}:{target}"))
}

/// A copy, as installing makes one. What a linker has just written lies in the page
/// cache page by page, and costs a seventh more to start than what was copied, or read
/// from the disk after a reboot, as the other contenders were.
fn installed(program: &Path, home: &Path, name: &str) -> Result<String, String> {
    let copy = home.join(name);
    std::fs::copy(program, &copy).map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(copy.display().to_string())
}

/// What `.ci/release` has published last, if it has; whether that is still what
/// the sources say, the commit tells.
fn released() -> Option<PathBuf> {
    let name = format!("under-the-hood-{}-linux", std::env::consts::ARCH);
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/publish").join(name);
    let Ok(about) = std::fs::read_to_string(binary.with_extension("about")) else {
        say("as released: not there; `bash .ci/release` makes it");
        return None;
    };
    say(&format!("as released: {}", about.lines().next().unwrap_or_default()));
    Some(binary)
}

fn tree(home: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(home.join("data/rootfs")).ok()?;
    entries.flatten().map(|entry| entry.path().join("tree")).find(|tree| tree.is_dir())
}

/// What runc and crun are told: runc's own example, with this root and command.
fn bundle(home: &Path, tree: &str) -> std::io::Result<String> {
    let bundle = home.join("bundle");
    std::fs::create_dir(&bundle)?;
    let path = bundle.join("config.json");
    if !Command::new("runc").arg("spec").current_dir(&bundle).status()?.success() {
        return Err(std::io::Error::other("runc spec failed"));
    }
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    config["root"]["path"] = tree.into();
    config["process"]["args"] = serde_json::json!(["/bin/true"]);
    config["process"]["terminal"] = false.into();
    // A limit above what this machine grants is refused, and is not what is measured.
    config["process"]["rlimits"] = serde_json::json!([]);
    std::fs::write(path, config.to_string())?;
    Ok(bundle.display().to_string())
}

/// The same namespaces and mounts, and nothing else: no watcher, no journal, no
/// program of our own in there, no filter, all capabilities.
fn lower_bound(tree: &str, staging: &str, covered: &[String], command: &[String]) -> ExitCode {
    let flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWCGROUP;
    match raw::clone3(u64::from(flags.cast_unsigned())) {
        Ok(None) => {
            let failed = contained(tree, staging, covered, command);
            say(&format!("{failed:?}"));
            raw::exit_now(1)
        }
        Ok(Some((pid, _pidfd))) => {
            let pid = nix::unistd::Pid::from_raw(pid);
            match nix::sys::wait::waitpid(pid, None) {
                Ok(nix::sys::wait::WaitStatus::Exited(_, 0)) => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// From inside the namespaces to the command; returns only when something failed.
fn contained(
    tree: &str,
    staging: &str,
    covered: &[String],
    command: &[String],
) -> std::io::Result<()> {
    let none = None::<&str>;
    let plain = MsFlags::empty();
    let root = format!("{staging}/root");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("tmpfs"), staging, Some("tmpfs"), plain, none)?;
    for name in ["root", "upper", "work"] {
        std::fs::create_dir(format!("{staging}/{name}"))?;
    }
    let layers = format!("lowerdir={tree},upperdir={staging}/upper,workdir={staging}/work");
    mount(Some("overlay"), root.as_str(), Some("overlay"), plain, Some(layers.as_str()))?;
    mount(Some("proc"), format!("{root}/proc").as_str(), Some("proc"), plain, none)?;
    let read_only = MsFlags::MS_RDONLY;
    mount(Some("sysfs"), format!("{root}/sys").as_str(), Some("sysfs"), read_only, none)?;
    mount(Some("tmpfs"), format!("{root}/dev").as_str(), Some("tmpfs"), plain, none)?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let (source, target) = (format!("/dev/{name}"), format!("{root}/dev/{name}"));
        std::fs::write(&target, "")?;
        mount(Some(source.as_str()), target.as_str(), none, MsFlags::MS_BIND, none)?;
    }
    for (name, kind) in [("pts", "devpts"), ("shm", "tmpfs"), ("mqueue", "mqueue")] {
        let target = format!("{root}/dev/{name}");
        std::fs::create_dir(&target)?;
        mount(Some(kind), target.as_str(), Some(kind), plain, none)?;
    }
    std::fs::create_dir(format!("{root}/.old"))?;
    std::env::set_current_dir(&root)?;
    nix::unistd::pivot_root(".", ".old")?;
    std::env::set_current_dir("/")?;
    umount2("/.old", MntFlags::MNT_DETACH)?;
    for (kind, target) in covered.iter().filter_map(|covered| covered.split_once(':')) {
        cover(kind, target)?;
    }
    nix::unistd::sethostname("bound")?;
    Err(Command::new(&command[0]).args(&command[1..]).exec())
}

/// Read-only, empty, or nothing: as docker protects what is below /proc and /sys.
fn cover(kind: &str, target: &str) -> std::io::Result<()> {
    let none = None::<&str>;
    let bind = |source| mount(Some(source), target, none, MsFlags::MS_BIND, none);
    match kind {
        "tmpfs" => mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_RDONLY, none)?,
        "devtmpfs" => bind("/dev/null")?,
        _ => {
            bind(target)?;
            let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(none, target, none, read_only, none)?;
        }
    }
    Ok(())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
