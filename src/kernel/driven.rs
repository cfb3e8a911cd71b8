//! Other engines' programs: found where nobody else can have put them, run
//! with a limit on their time, and asked for the containers that carry a label.
//!
//! A journal names an engine, never a program: what is run to undo an effect
//! is one of a few lines that stand here, with a label or an image's name in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::probe::program;
use super::undo::Undone;
use crate::effect::{Driven, Effect};
use crate::error::{Error, Result};
use crate::step::Step;

/// The key of the label that a lesson's containers carry.
pub const LABEL: &str = "lesson";

/// How long an engine may take to remove its containers.
const LIMIT: Duration = Duration::from_secs(30);

/// Where programs are looked for; PATH can be anybody's.
const DIRECTORIES: [&str; 7] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/snap/bin"];

/// By which an engine's own client finds it: kept, so that the undoing finds the same.
const SETTINGS: [&str; 13] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "CONTAINERD_ADDRESS",
    "CONTAINERD_NAMESPACE",
    "CONTAINER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "HOME",
];

/// The variables by which the engine is found from here.
pub fn settings() -> Vec<(String, String)> {
    let set = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
    SETTINGS.iter().filter_map(set).collect()
}

/// Where a program is that can be trusted: root's or ours, and nobody else's to write.
pub fn trusted(name: &str) -> Option<PathBuf> {
    let ours = rustix::process::geteuid().as_raw();
    let nobody_elses = |path: &PathBuf| {
        std::fs::metadata(path)
            .is_ok_and(|it| it.is_file() && [0, ours].contains(&it.uid()) && it.mode() & 0o022 == 0)
    };
    DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(nobody_elses)
}

/// What an engine's program prints when it ends well and in time; on its way to
/// an error what it said against it. It finds its engine by these settings and by no
/// others: what undoes may be called from quite another shell than what did.
pub fn said(argv: &[&str], settings: &[(String, String)], limit: Duration) -> Result<String> {
    let call = argv.join(" ");
    let (name, arguments) = argv.split_first().ok_or_else(|| Error::new("no program"))?;
    let path = trusted(name).ok_or_else(|| {
        Error::new(&call).said(format!("{name} is in none of {}", DIRECTORIES.join(", ")))
    })?;
    let mut command = Command::new(path);
    for name in SETTINGS {
        command.env_remove(name);
    }
    command.args(arguments).env("PATH", DIRECTORIES.join(":")).current_dir("/");
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    program::said(command, &call, Instant::now() + limit)
}

/// The containers of an engine that carry the label, by the names it takes.
pub fn labelled(engine: Driven, label: &str, settings: &[(String, String)]) -> Result<Vec<String>> {
    let filter = format!("label={LABEL}={label}");
    let by_containerd = format!("labels.{LABEL}=={label}");
    let list = match engine {
        Driven::Docker => {
            said(&["docker", "ps", "-aq", "--no-trunc", "--filter", &filter], settings, LIMIT)?
        }
        Driven::Podman => {
            said(&["podman", "ps", "-aq", "--no-trunc", "--filter", &filter], settings, LIMIT)?
        }
        Driven::Containerd => {
            said(&["ctr", "containers", "ls", "-q", &by_containerd], settings, LIMIT)?
        }
        Driven::Lxc => said(&["lxc-ls", "--active", "-1"], settings, LIMIT)?,
    };
    let names = list.lines().map(str::trim).filter(|name| !name.is_empty());
    let wanted = |name: &&str| engine != Driven::Lxc || lxc_is_labelled(name, label, settings);
    Ok(names.filter(wanted).map(str::to_owned).collect())
}

/// LXC has no labels: what marks a container is a variable of its first process.
fn lxc_is_labelled(name: &str, label: &str, settings: &[(String, String)]) -> bool {
    let pid = said(&["lxc-info", "-n", name, "-pH"], settings, LIMIT).unwrap_or_default();
    let environment = std::fs::read(format!("/proc/{}/environ", pid.trim())).unwrap_or_default();
    let wanted = format!("{LABEL}={label}");
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Ends and removes every container that carries the label.
pub fn remove_labelled(
    engine: Driven,
    label: &str,
    settings: &[(String, String)],
) -> Result<Undone> {
    let names = labelled(engine, label, settings)?;
    // One that cannot be removed keeps no other from being.
    let all: Vec<_> = names.iter().map(|name| remove(engine, name, settings)).collect();
    all.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(if names.is_empty() { Undone::NotThere } else { Undone::Removed })
}

/// Ends and removes one container.
fn remove(engine: Driven, name: &str, settings: &[(String, String)]) -> Result<()> {
    let lines: &[&[&str]] = match engine {
        Driven::Docker => &[&["docker", "rm", "-f", name]],
        Driven::Podman => &[&["podman", "rm", "-f", "-t", "0", name]],
        Driven::Containerd => {
            // Without a task (it has ended, say) the first has nothing to do.
            let _ = said(&["ctr", "task", "rm", "-f", name], settings, LIMIT);
            &[&["ctr", "container", "rm", name]]
        }
        Driven::Lxc => &[&["lxc-stop", "-k", "-n", name]],
    };
    lines.iter().try_for_each(|line| said(line, settings, LIMIT).map(drop))
}

/// Whether an engine has a container of this name, running or not.
pub fn has_container(engine: Driven, name: &str, settings: &[(String, String)]) -> Result<bool> {
    let exactly = format!("name=^{name}$");
    let list = match engine {
        Driven::Docker | Driven::Podman => {
            said(&[engine.program(), "ps", "-aq", "--filter", &exactly], settings, LIMIT)?
        }
        Driven::Containerd => {
            said(&["ctr", "containers", "ls", "-q", &format!("id=={name}")], settings, LIMIT)?
        }
        Driven::Lxc => said(&["lxc-ls", "-1", "--filter", &format!("^{name}$")], settings, LIMIT)?,
    };
    Ok(!list.trim().is_empty())
}

/// Whether an engine has an image of this name.
pub fn has_image(engine: Driven, image: &str, settings: &[(String, String)]) -> Result<bool> {
    let list = match engine {
        Driven::Docker => said(&["docker", "images", "-q", image], settings, LIMIT)?,
        // As an argument, a name that it cannot resolve would be an error to Podman.
        Driven::Podman => {
            let exactly = format!("reference={image}");
            said(&["podman", "images", "-q", "--filter", &exactly], settings, LIMIT)?
        }
        Driven::Containerd => {
            said(&["ctr", "image", "ls", "-q", &format!("name=={image}")], settings, LIMIT)?
        }
        Driven::Lxc => String::new(),
    };
    Ok(!list.trim().is_empty())
}

/// Removes an image that was loaded; containers of others keep it.
pub fn remove_image(engine: Driven, image: &str, settings: &[(String, String)]) -> Result<Undone> {
    if !has_image(engine, image, settings)? {
        return Ok(Undone::NotThere);
    }
    match engine {
        Driven::Docker => said(&["docker", "rmi", image], settings, LIMIT)?,
        Driven::Podman => said(&["podman", "rmi", image], settings, LIMIT)?,
        Driven::Containerd => said(&["ctr", "image", "rm", "--sync", image], settings, LIMIT)?,
        Driven::Lxc => String::new(),
    };
    Ok(Undone::Removed)
}

/// How it is undone, for `--dry-run` and `--explain`.
pub fn step(effect: &Effect) -> Step {
    match effect {
        Effect::Labelled { engine, label, .. } => {
            let what = format!("execve(\"{}\", rm of label {LABEL}={label})", engine.program());
            let why = "containers that a lesson started in another engine, by its own command";
            let list = format!("label={LABEL}={label}");
            Step::new(what, why).shell(match engine {
                Driven::Docker => format!("docker rm -f $(docker ps -aq --filter {list})"),
                Driven::Podman => format!("podman rm -f $(podman ps -aq --filter {list})"),
                Driven::Containerd => format!(
                    "for c in $(ctr c ls -q labels.{LABEL}=={label}); do ctr t rm -f $c; ctr c rm $c; done"
                ),
                Driven::Lxc => format!(
                    "for c in $(lxc-ls --active); do grep -qz {LABEL}={label} /proc/$(lxc-info -pHn $c)/environ && lxc-stop -kn $c; done"
                ),
            })
        }
        Effect::Loaded { engine, image, .. } => {
            let why = "an image that a lesson loaded into another engine";
            let line = match engine {
                Driven::Containerd => format!("ctr image rm {image}"),
                _ => format!("{} rmi {image}", engine.program()),
            };
            Step::new(format!("execve(\"{}\", rmi {image})", engine.program()), why).shell(line)
        }
        _ => Step::new("nothing", "it is no other engine's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_taken_only_from_where_nobody_else_could_put_it() {
        assert!(trusted("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(trusted("no-such-program-of-an-engine"), None);
    }

    #[test]
    fn what_does_not_end_is_ended_and_what_fails_says_why() {
        let begun = Instant::now();
        let error = said(&["sleep", "60"], &[], Duration::from_millis(100)).unwrap_err();
        assert!(error.said.unwrap().contains("did not end"));
        assert!(begun.elapsed() < Duration::from_secs(10));
        let error = said(&["sh", "-c", "echo why >&2; exit 3"], &[], LIMIT).unwrap_err();
        assert_eq!(error.said.as_deref(), Some("why"));
        assert_eq!(said(&["echo", "x"], &[], LIMIT).as_deref(), Ok("x\n"));
    }

    /// A daemon that only this shell knows of is not asked to undo what was done in another.
    #[test]
    fn only_what_was_kept_says_where_the_engine_is() {
        let ask = |settings: &[(String, String)]| {
            said(&["sh", "-c", "echo ${HOME-none}"], settings, LIMIT)
        };
        assert!(std::env::var_os("HOME").is_some());
        assert_eq!(ask(&[]).as_deref(), Ok("none\n"));
        assert_eq!(ask(&[("HOME".to_owned(), "/x".to_owned())]).as_deref(), Ok("/x\n"));
    }
}
