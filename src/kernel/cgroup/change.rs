//! Changing cgroups: directories are made, files are written, and all of it is
//! undone the same way, depth first, never by removing files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::kernel::pidfd::PidFd;
use crate::step::Step;

/// mkdir(2) in a cgroup hierarchy: a new group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeGroup {
    /// Its directory; the last part carries the journal's token.
    pub path: String,
    /// Whether its processes go back to the parent when it is removed; otherwise
    /// whatever is still in it then is killed.
    pub lent: bool,
    /// Why.
    pub why: String,
}

impl Operation for MakeGroup {
    fn step(&self) -> Step {
        Step::new(format!("mkdir(\"{}\", 0755)", self.path), &self.why)
            .shell(format!("mkdir {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = PathBuf::from(world.slots.fill(&self.path));
        fs::create_dir(&path).tried(|| format!("mkdir({path:?})")).map_err(|error| {
            match error.errno.map(Errno::from_raw) {
                Some(Errno::EACCES | Errno::EPERM) => error.hint(
                    "Who may make a group is said by the owner and mode of the directory above it.",
                ),
                Some(Errno::EROFS) => error.hint("The hierarchy is mounted read-only here."),
                Some(Errno::EAGAIN) => error.hint(
                    "A group above allows no more below it: cgroup.max.descendants or cgroup.max.depth.",
                ),
                _ => error,
            }
        })?;
        Ok("0".to_owned())
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        Some(Effect::Cgroup { path: slots.fill(&self.path).into(), lent: self.lent })
    }
}

/// Writes a control file: a limit, or a process that moves in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Set {
    /// The file.
    pub path: String,
    /// What is written.
    pub value: String,
    /// Why.
    pub why: String,
}

impl Operation for Set {
    fn step(&self) -> Step {
        Step::new(
            format!("write(open(\"{}\", O_WRONLY), \"{}\")", self.path, self.value),
            &self.why,
        )
        .shell(format!("echo '{}' > {}", self.value, self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (path, value) = (world.slots.fill(&self.path), world.slots.fill(&self.value));
        write(Path::new(&path), &value)?;
        Ok(value.len().to_string())
    }
}

/// Hands controllers on to the children of a group (version 2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandOn {
    /// The group.
    pub directory: String,
    /// Those that are not handed on yet.
    pub controllers: Vec<String>,
}

impl HandOn {
    fn value(&self) -> String {
        let signed: Vec<_> = self.controllers.iter().map(|name| format!("+{name}")).collect();
        signed.join(" ")
    }
}

impl Operation for HandOn {
    fn step(&self) -> Step {
        let (file, value) = (format!("{}/cgroup.subtree_control", self.directory), self.value());
        let why = "version 2: a child has only the controllers that its parent hands on";
        Step::new(format!("write(open(\"{file}\", O_WRONLY), \"{value}\")"), why)
            .shell(format!("echo '{value}' > {file}"))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let directory = PathBuf::from(world.slots.fill(&self.directory));
        let value = self.value();
        write(&directory.join("cgroup.subtree_control"), &value)?;
        Ok(value.len().to_string())
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        Some(Effect::Controllers {
            directory: slots.fill(&self.directory).into(),
            controllers: self.controllers.clone(),
        })
    }
}

/// Opens without O_CREAT: what is not there is a controller that does not rule here.
fn write(path: &Path, value: &str) -> Result<()> {
    use std::io::Write;
    let call = || format!("write({path:?}, {value:?})");
    let file = fs::OpenOptions::new().write(true).open(path);
    let result = file.and_then(|mut file| file.write_all(value.as_bytes())).tried(call);
    result.map_err(|error| explain(error, path))
}

/// The rule that was hit.
fn explain(error: Error, path: &Path) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hint = match (error.errno.map(Errno::from_raw), name.as_str()) {
        (Some(Errno::EBUSY), "cgroup.subtree_control") => {
            "No internal processes: a group hands on controllers, or holds processes, not both \
             (the top is the exception). Move what is in its cgroup.procs into a child first."
        }
        (Some(Errno::EBUSY), "cgroup.procs") => {
            "No internal processes: a group that hands on controllers holds no processes itself."
        }
        (Some(Errno::EBUSY), _) => {
            "It is in use: more is used already than this would allow, or a child has set it."
        }
        (Some(Errno::ENOENT), "cgroup.subtree_control") => {
            "That controller is not handed on to this group: see its cgroup.controllers."
        }
        (Some(Errno::ENOENT), "io.max") => {
            "There is no such device; limits are for whole disks, not for partitions."
        }
        (Some(Errno::ENOENT), _) => "This group does not have that controller.",
        (Some(Errno::ENODEV), _) => "There is no such device: `lsblk` lists disks as MAJ:MIN.",
        (Some(Errno::EOPNOTSUPP), _) => {
            "The group is threaded, or not valid as a domain: see cgroup.type."
        }
        (Some(Errno::EACCES | Errno::EPERM), "cgroup.procs") => {
            "Moving a process wants the right to write to this file, and (version 2) to that of \
             the nearest group above both places."
        }
        (Some(Errno::EACCES | Errno::EPERM), _) => {
            "Who may set it is said by the file's owner and mode."
        }
        (Some(Errno::EROFS), _) => "The hierarchy is mounted read-only here.",
        (Some(Errno::EINVAL), _) => "The kernel does not take that value for this file.",
        (Some(Errno::ESRCH), _) => "The process has ended meanwhile.",
        (Some(Errno::ENOSPC), "cgroup.procs") => {
            "A cpuset without CPUs or memory nodes takes no process."
        }
        _ => return error,
    };
    error.hint(hint)
}

/// How long processes may take to end, and the kernel to count them out.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes a group that was made, with what is below it. Its processes are
/// killed, or, where it was only `lent` to them, go back to the parent.
pub fn remove(path: &Path, lent: bool) -> Result<()> {
    for entry in fs::read_dir(path).tried(|| format!("opendir({path:?})"))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path(), lent)?;
        }
    }
    let start = Instant::now();
    loop {
        if lent {
            give_back(path)?
        } else {
            kill_all(path)
        }
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(libc::EBUSY) && start.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => {
                return Err(Error::io(format!("rmdir({path:?})"), &error)
                    .hint("A group can only be removed when no process is in it."));
            }
        }
    }
}

fn processes(path: &Path) -> Vec<i32> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

fn kill_all(path: &Path) {
    // Version 2 since Linux 5.14: all at once, and nothing can fork away.
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for pid in processes(path) {
        let Ok(process) = PidFd::open(pid) else { continue };
        // Looked at again while it is held: the number could be another's by now.
        if processes(path).contains(&pid) {
            let _ = process.signal(libc::SIGKILL);
        }
    }
}

/// How the name of a group ends that what was there before has to wait in.
pub(super) const REST: &str = ".rest";

/// Whether a group is one of those, of ours.
pub(super) fn is_rest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("under-the-hood-") && name.ends_with(REST)
}

/// To the parent; or, as long as another group of ours is there that has
/// controllers handed on to it, to where that one has put the rest.
fn give_back(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    for pid in processes(path) {
        let mut moved = write(&parent.join("cgroup.procs"), &pid.to_string());
        if moved.as_ref().is_err_and(|error| error.is(Errno::EBUSY))
            && let Some(other) = another_rest(parent, path)
        {
            moved = write(&other.join("cgroup.procs"), &pid.to_string());
        }
        match moved {
            Err(error) if !error.is(Errno::ESRCH) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn another_rest(parent: &Path, path: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(parent).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find(|other| other != path && is_rest(other))
}

/// Hands controllers on no longer.
pub fn keep_back(directory: &Path, controllers: &[String]) -> Result<()> {
    let signed: Vec<_> = controllers.iter().map(|name| format!("-{name}")).collect();
    match write(&directory.join("cgroup.subtree_control"), &signed.join(" ")) {
        // Somebody below relies on them by now; or the whole group is gone.
        Err(error) if error.is(Errno::EBUSY) || error.is(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
