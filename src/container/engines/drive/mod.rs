//! Other engines at work: the command lines that a person would type there for
//! what our own `run` and `stop` say, which of them can be used here, and what
//! they say of a container that was started with them.
//!
//! What an engine cannot do is an answer, with its reason, and never done otherwise.

mod asked;
mod containerd;
mod docker;
mod lxc;

pub use crate::effect::Driven;
pub use asked::Asked;

use std::path::Path;
use std::time::Duration;

use super::{Detective, Engine, Owner};
use crate::error::{Error, Result};
use crate::image::reference::Name;
use crate::kernel::driven;
use crate::kernel::namespace::of_process;
use crate::kernel::probe::{self, Facts, Need, Verdict};
use crate::kernel::process;
use crate::shell::quoted;

/// How long an engine may take to say what it is asked.
const LIMIT: Duration = Duration::from_secs(10);

/// The command lines that start a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// As they are typed.
    pub lines: Vec<String>,
    /// What was asked for and this engine has no flag for: it is started without.
    pub left_out: Vec<String>,
}

/// What a container is started with, beside what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct With<'a> {
    /// The image, as this engine calls it.
    pub image: &'a str,
    /// The value of the label by which it is found again, if it is to have one.
    pub label: Option<&'a str>,
    /// Whether our own flags and paths may be used: where the engine's root file systems are.
    pub roots: &'a str,
}

/// The command lines that start what was asked for; the error is why there are none.
pub fn start(engine: Driven, asked: &Asked, with: With<'_>) -> Result<Start, String> {
    match engine {
        Driven::Docker | Driven::Podman => docker::start(engine, asked, with),
        Driven::Containerd => containerd::start(asked, with),
        Driven::Lxc => lxc::start(asked, with),
    }
}

/// The command lines that end a container and remove it.
pub fn stop(engine: Driven, name: &str) -> Vec<String> {
    let name = quoted(name);
    match engine {
        Driven::Docker => vec![format!("docker rm -f {name}")],
        Driven::Podman => vec![format!("podman rm -f -t 0 {name}")],
        Driven::Containerd => {
            vec![format!("ctr task rm -f {name}"), format!("ctr container rm {name}")]
        }
        Driven::Lxc => vec![format!("lxc-stop -k -n {name}")],
    }
}

/// What the engine calls an image: containerd and Podman take no short names.
pub fn image_name(engine: Driven, given: &str) -> String {
    let full = |name: Name| format!("{}:{}", name.repository(), name.tag().unwrap_or("latest"));
    match (engine, given.parse::<Name>()) {
        (_, Ok(name)) if name.is_local() => full(name),
        (Driven::Docker, _) | (_, Err(_)) => given.to_owned(),
        (_, Ok(name)) if name.digest().is_some() => given.to_owned(),
        (_, Ok(name)) => full(name),
    }
}

/// The line that fetches an image from its registry.
pub fn pull(engine: Driven, image: &str) -> String {
    let image = quoted(image);
    match engine {
        Driven::Containerd => format!("ctr image pull {image}"),
        _ => format!("{} pull {image}", engine.program()),
    }
}

/// The line that loads an archive of images.
pub fn load(engine: Driven, archive: &str) -> String {
    match engine {
        Driven::Containerd => format!("ctr image import {archive}"),
        _ => format!("{} load -q -i {archive}", engine.program()),
    }
}

/// The same container with every other engine, for people who want to compare:
/// its name, and the lines to type there or why there are none.
pub fn translations(words: &[String]) -> Vec<(Driven, Result<Vec<String>, String>)> {
    let of = |engine| {
        let lines = Asked::parse(words).and_then(|asked| {
            let image = image_name(engine, &asked.image);
            let with = With { image: &image, label: None, roots: "/var/lib/lxc" };
            start(engine, &asked, with).map(|start| start.lines)
        });
        (engine, lines)
    };
    Driven::ALL.into_iter().map(of).collect()
}

/// Whether an engine can be used here and by us: else why not, and what helps.
pub fn usable(engine: Driven) -> Verdict {
    let probed = match engine {
        Driven::Docker => probe::Engine::Docker,
        Driven::Containerd => probe::Engine::Containerd,
        Driven::Podman => probe::Engine::Podman,
        Driven::Lxc => probe::Engine::Lxc,
    };
    let verdict = probe::check(&Need::Engine(probed), &Facts::new());
    if verdict != Verdict::Met {
        return verdict;
    }
    let (name, program) = (engine.name(), engine.program());
    if engine == Driven::Lxc && !rustix::process::geteuid().is_root() {
        let reason = "lxc: what its containers need of an ordinary user's machine (lxc-usernet, a delegated cgroup) is not prepared by lessons";
        return Verdict::fixable(reason, probe::sudo_hint("COMMAND"));
    }
    match driven::trusted(program) {
        Some(_) => Verdict::Met,
        None => Verdict::missing(format!(
            "{name} runs, but its program `{program}` is in none of the machine's own directories"
        )),
    }
}

/// What `--engine` says: an engine, ours (`None`), or the first that can be used;
/// with `auto`, why it is that one.
pub fn choose(wanted: &str) -> Result<(Option<Driven>, Option<String>)> {
    if wanted == "builtin" {
        return Ok((None, None));
    }
    if let Some(engine) = Driven::ALL.into_iter().find(|engine| engine.name() == wanted) {
        return match usable(engine) {
            Verdict::Met => Ok((Some(engine), None)),
            Verdict::Missing { reason, fix } => {
                let tried = format!("--engine {wanted}: this engine cannot be used here");
                Err(Error { hint: fix, ..Error::cannot(tried).said(reason) })
            }
        };
    }
    let mut against = Vec::new();
    for engine in Driven::ALL {
        match usable(engine) {
            Verdict::Met => {
                against.push(format!("{} can be used here", engine.name()));
                return Ok((Some(engine), Some(against.join("; "))));
            }
            Verdict::Missing { reason, .. } => against.push(reason),
        }
    }
    against.push("so it is this program's own containers".to_owned());
    Ok((None, Some(against.join("; "))))
}

/// The id and the first process of a container that was started, by the engine's word;
/// `None` where it has ended.
fn said(
    engine: Driven,
    name: &str,
    settings: &[(String, String)],
) -> Result<Option<(String, i32)>> {
    let ask = |argv: &[&str]| driven::said(argv, settings, LIMIT);
    let of_two = |words: &str| {
        let mut words = words.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let said = match engine {
        Driven::Docker | Driven::Podman => {
            let format = "{{.Id}} {{.State.Pid}}";
            of_two(&ask(&[engine.program(), "container", "inspect", "-f", format, name])?)
        }
        Driven::Containerd => {
            let said = ask(&["ctr", "task", "ls"])?;
            said.lines().filter_map(of_two).find(|(id, _)| id == name)
        }
        // What has ended is no longer known to LXC: that is no error.
        Driven::Lxc => {
            let pid = ask(&["lxc-info", "-n", name, "-pH"]).unwrap_or_default();
            Some((name.to_owned(), pid))
        }
    };
    Ok(said.and_then(|(id, pid)| Some((id, pid.trim().parse().ok().filter(|pid| *pid > 0)?))))
}

/// A container that was started in an engine: its id and first process, by the
/// engine's word and the kernel's evidence. `None` if it does not run.
pub fn find(
    engine: Driven,
    name: &str,
    settings: &[(String, String)],
) -> Result<Option<(String, i32)>> {
    let proc = Path::new("/proc");
    let Some((id, pid)) = said(engine, name, settings)? else { return Ok(None) };
    let here = |why: String| {
        Error::cannot(format!("finding {name}, a container of {}", engine.name()))
            .said(format!("its first process is pid {pid}, says the engine, {why}"))
            .hint("A lesson looks underneath: it needs an engine whose containers are on this kernel (Docker Engine, not Desktop).")
    };
    if process::brief(proc, pid).is_none() {
        return Err(here("and there is none of this number on this kernel".to_owned()));
    }
    let ids = of_process(proc, pid)?;
    let verdict = Detective::new(proc)?.owner(pid, &ids);
    let expected = match engine {
        Driven::Docker => Engine::Docker,
        Driven::Containerd => Engine::Containerd,
        Driven::Podman => Engine::Podman,
        Driven::Lxc => Engine::Lxc,
    };
    match &verdict.owner {
        Owner::Container(found) if found.engine == expected => Ok(Some((id, pid))),
        other => Err(here(format!("but it is {}'s: {}", other.label(), verdict.evidence))),
    }
}

/// Words as a line that a shell takes.
fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn typed(engine: Driven, asked: &str) -> Result<Vec<String>, String> {
        let asked = Asked::parse(&words(asked))?;
        let image = image_name(engine, &asked.image);
        let with = With { image: &image, label: Some("cafe"), roots: "$lesson_dir" };
        start(engine, &asked, with).map(|start| start.lines)
    }

    #[test]
    fn one_container_in_each_engines_words() {
        let asked = "run -d --name box --hostname box --or-base busybox sleep 600";
        assert_eq!(
            typed(Driven::Docker, asked).unwrap(),
            ["docker run -d --label lesson=cafe --name box --hostname box busybox sleep 600"]
        );
        assert_eq!(
            typed(Driven::Podman, asked).unwrap(),
            [
                "podman run -d --label lesson=cafe --name box --hostname box docker.io/library/busybox:latest sleep 600"
            ]
        );
        assert_eq!(
            typed(Driven::Containerd, asked).unwrap(),
            ["ctr run -d --label lesson=cafe docker.io/library/busybox:latest box sleep 600"]
        );
        let lxc = typed(Driven::Lxc, asked).unwrap();
        assert!(lxc.last().unwrap().starts_with("lxc-start -n box -f "), "{lxc:?}");
        assert!(lxc.last().unwrap().ends_with(" -- sleep 600"), "{lxc:?}");
    }

    #[test]
    fn what_an_engine_cannot_do_is_said_with_the_reason() {
        let users = "run -d --userns --name modest base sleep 600";
        assert!(typed(Driven::Docker, users).unwrap_err().contains("userns-remap"));
        let port = "run -d --name web -p 8099:80 base sleep 600";
        assert!(typed(Driven::Containerd, port).unwrap_err().contains("publish"));
        assert!(typed(Driven::Docker, port).unwrap()[0].contains(" -p 8099:80 "));
        let limits = "run -d --name small --memory 32M --pids-limit 20 base sleep 600";
        let asked = Asked::parse(&words(limits)).unwrap();
        let with = With { image: "base", label: None, roots: "/r" };
        let made = start(Driven::Containerd, &asked, with).unwrap();
        assert!(made.lines[0].contains("--memory-limit 33554432"), "{made:?}");
        assert_eq!(made.left_out, ["--pids-limit 20"]);
        let named = Asked::parse(&words("run -d --name box --hostname box base")).unwrap();
        let made = start(Driven::Containerd, &named, with).unwrap();
        assert_eq!(made.left_out, ["--hostname box"], "nothing is left out silently");
        let able = "run -d --name box --cap-add cap_sys_time --cap-drop KILL base";
        let line = typed(Driven::Containerd, able).unwrap().remove(0);
        assert!(line.contains("--cap-add CAP_SYS_TIME --cap-drop CAP_KILL"), "{line}");
        assert!(typed(Driven::Containerd, "run -d --cap-drop ALL base").is_err());
        assert!(Asked::parse(&words("run -d --privileged base")).unwrap_err().contains("--priv"));
    }

    #[test]
    fn no_word_means_more_to_a_shell_than_it_says() {
        let odd = ["run", "-d", "--name", "a;b", "c;d", "true"].map(str::to_owned);
        for engine in Driven::ALL {
            let asked = Asked::parse(&odd).unwrap();
            let with = With { image: &asked.image, label: None, roots: "$lesson_dir" };
            let mut lines = start(engine, &asked, with).unwrap().lines;
            lines.extend(stop(engine, "a;b"));
            lines.push(pull(engine, "c;d"));
            let bare = lines.join("\n").replace("'a;b'", "").replace("'c;d'", "");
            assert!(!bare.contains(';'), "{}", lines.join("\n"));
        }
    }
}
