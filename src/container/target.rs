//! What a person means by a TARGET: digits are a pid; `self` is this program,
//! so all that holds for the shell it was started from; `host` is process 1.
//! `ENGINE:NAME` or a bare name or beginning of an id is a container, found by
//! kernel evidence; names that only the engine knows are asked for.

use std::path::Path;

use super::engines::{Detective, Engine, Found, Host, state};
use super::scope;
use super::survey::{self, What};
use crate::error::{Error, Exit, Result};
use crate::kernel::namespace::{self, Census};
use crate::kernel::process;

/// A process, and the container that was asked for if it was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The process itself, or the container's first.
    pub pid: i32,
    /// The container, where one was named.
    pub container: Option<Found>,
}

/// Finds what `text` means.
pub fn resolve(proc: &Path, text: &str) -> Result<Target> {
    let pid = match text {
        "self" => Some(std::process::id().cast_signed()),
        "host" => Some(host(proc)?),
        _ => as_pid(text)?,
    };
    if let Some(pid) = pid {
        process::Status::read(proc, pid)?;
        return Ok(Target { pid, container: None });
    }
    let (engine, name) = split(text)?;
    if engine == Some(Engine::UnderTheHood) {
        // In our registry, and then nothing else need be read; else perhaps another user's.
        match super::registry::find(name) {
            Ok(container) => {
                return Ok(Target { pid: container.pid, container: Some(of_ours(&container)) });
            }
            Err(error) if error.exit == Exit::Usage => return Err(error),
            Err(_) => {}
        }
    }
    let mut detective = Detective::new(proc)?;
    container(proc, &namespace::census(proc)?, &mut detective, text)
}

/// Process 1, or, where even root may not look into that one, a thread of the
/// kernel's, which is in the same namespaces.
fn host(proc: &Path) -> Result<i32> {
    let Host { pid, .. } = Host::find(proc)?;
    Ok(if pid == std::process::id().cast_signed() { 1 } else { pid })
}

/// Finds the container that `text` means among those that a census shows.
pub fn container(
    proc: &Path,
    census: &Census,
    detective: &mut Detective,
    text: &str,
) -> Result<Target> {
    let (engine, name) = split(text)?;
    let mut all = running(proc, census, detective);
    let wanted = all.iter().map(|(pid, found)| (*pid, found));
    let wanted = wanted.filter(|(_, f)| engine.is_none_or(|engine| engine == f.engine));
    let heard = state::ask_names(wanted, detective);
    all.iter_mut().for_each(|(pid, found)| heard.name(*pid, found));
    let of_engine = |found: &Found| engine.is_none_or(|engine| engine == found.engine);
    let candidates: Vec<_> = all.iter().filter(|(_, found)| of_engine(found)).collect();
    let exact: Vec<_> = candidates
        .iter()
        .filter(|(_, found)| {
            let known = [&found.name, &found.id].into_iter().flatten();
            known.clone().any(|known| known == name) || found.label() == text
        })
        .collect();
    let begins = |id: &Option<String>| {
        !name.is_empty() && id.as_ref().is_some_and(|id| id.starts_with(name))
    };
    let by_id: Vec<_> = candidates.iter().filter(|(_, found)| begins(&found.id)).collect();
    // A name of ours means what it means in our scope; an id means that container.
    let meant = match engine {
        None | Some(Engine::UnderTheHood) => {
            let index = scope::named(detective.ours(), name, scope::own().as_deref())?;
            index.and_then(|index| detective.ours().nth(index)).map(|ours| ours.id.clone())
        }
        Some(_) => None,
    };
    let counts = |found: &Found| {
        !registered(found) || found.id == meant || found.id.as_deref() == Some(name)
    };
    let exact: Vec<_> = exact.into_iter().filter(|(_, found)| counts(found)).collect();
    let mut matching = if exact.is_empty() { by_id } else { exact };
    // A name in our own registry is meant before the same name in another user's.
    if matching.iter().any(|(_, found)| registered(found)) {
        matching.retain(|(_, found)| registered(found) || found.engine != Engine::UnderTheHood);
    }
    // In a lesson its own container is meant, whoever else on this machine calls one the same.
    let own = |found: &Found| registered(found) && meant.is_some() && found.id == meant;
    if scope::own().is_some() && matching.iter().any(|(_, found)| own(found)) {
        matching.retain(|(_, found)| own(found));
    }
    match matching.as_slice() {
        [(pid, found)] => Ok(Target { pid: *pid, container: Some(found.clone()) }),
        [] => Err(not_running(text, &all, heard.silence())),
        several => Err(Error::usage(format!("{text} can mean more than one container"))
            .said(
                several
                    .iter()
                    .map(|(pid, found)| described(*pid, found))
                    .collect::<Vec<_>>()
                    .join(", "),
            )
            .hint("Give ENGINE:NAME, more of the id, or the pid.")),
    }
}

/// Every container that shows itself, with the pid of its first process.
fn running(proc: &Path, census: &Census, detective: &mut Detective) -> Vec<(i32, Found)> {
    let mut all: Vec<(i32, Found)> =
        detective.ours().map(|container| (container.pid, of_ours(container))).collect();
    let seen = survey::survey(proc, census, detective);
    let others = seen.iter().filter(|seen| seen.what == What::Container);
    for (pid, found) in others.filter_map(|seen| Some((seen.pid, seen.found()?))) {
        // What `survey` has of ours is what we know already.
        if !(registered(found) && all.iter().any(|(_, known)| known.same(found))) {
            all.push((pid, found.clone()));
        }
    }
    all
}

/// Ours, and in the registry that we read: nothing else tells an id of ours.
fn registered(found: &Found) -> bool {
    found.engine == Engine::UnderTheHood && found.id.is_some()
}

fn of_ours(container: &super::registry::Container) -> Found {
    Found {
        engine: Engine::UnderTheHood,
        id: Some(container.id.clone()),
        name: Some(container.name.clone()),
    }
}

fn described(pid: i32, found: &Found) -> String {
    match (&found.name, &found.id) {
        (Some(name), Some(id)) => format!("{}:{name} (id {id}, pid {pid})", found.engine.name()),
        _ => format!("{} (pid {pid})", found.label()),
    }
}

fn not_running(text: &str, all: &[(i32, Found)], silence: Option<String>) -> Error {
    let error = Error::new(format!("no container {text} is running"));
    let hint = match all {
        [] if rustix::process::geteuid().is_root() => {
            "No container is running on this machine; `under-the-hood run -d --name box base sleep 600` starts one.".to_owned()
        }
        [] => "None is running that we may see; those of other users show themselves to root.".to_owned(),
        some => format!(
            "Running: {}.",
            some.iter().map(|(_, found)| called(found)).collect::<Vec<_>>().join(", ")
        ),
    };
    error.hint([Some(hint), silence].into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// What to type for it; of another scope's its id, since its name is not ours to use.
fn called(found: &Found) -> String {
    let ours = super::registry::list().unwrap_or_default();
    let ours = ours.iter().find(|ours| found.id.as_ref() == Some(&ours.id));
    match ours.filter(|ours| ours.scope != scope::own()) {
        Some(ours) => format!("{}:{}", found.engine.name(), scope::described(ours)),
        None => found.label(),
    }
}

/// Digits are a pid, whatever containers there are.
fn as_pid(text: &str) -> Result<Option<i32>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(pid) if pid > 0 => Ok(Some(pid)),
        _ => Err(Error::usage(format!("{text} cannot be a pid"))
            .hint("Pids start at 1; /proc/sys/kernel/pid_max has the highest.")),
    }
}

/// `ENGINE:NAME` or a bare name.
fn split(text: &str) -> Result<(Option<Engine>, &str)> {
    let Some((engine, name)) = text.split_once(':') else { return Ok((None, text)) };
    if engine == "netns" {
        return Err(Error::usage(format!("{text} names a network namespace, not a process"))
            .hint("Give a pid, a container's name or id, or ENGINE:NAME."));
    }
    let known = Engine::ALL.into_iter().find(|known| known.name() == engine);
    match known {
        Some(engine) => Ok((Some(engine), name)),
        None => Err(Error::usage(format!("no container engine is called {engine}"))
            .hint(format!("Known: {}.", Engine::ALL.map(Engine::name).join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_pid_and_nothing_else_is() {
        assert_eq!(as_pid("42").expect("a pid"), Some(42));
        assert_eq!(as_pid("4a").expect("no pid"), None);
        assert_eq!(as_pid("").expect("no pid"), None);
        assert!(as_pid("0").is_err());
        assert!(as_pid("99999999999").is_err());
    }

    #[test]
    fn an_engine_stands_before_the_colon() {
        assert_eq!(split("box").expect("a name"), (None, "box"));
        assert_eq!(split("docker:web").expect("both"), (Some(Engine::Docker), "web"));
        assert!(split("dokcer:web").is_err());
        assert!(split("netns:web").is_err());
    }
}
