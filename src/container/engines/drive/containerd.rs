//! `ctr run`: containerd's own client, made for trying things out. It has few flags.

use super::asked::bytes;
use super::{Asked, Start, With, docker, line};
use crate::kernel::driven::LABEL;

pub fn start(asked: &Asked, with: With<'_>) -> Result<Start, String> {
    let mut words = vec!["ctr".to_owned(), "run".to_owned()];
    let mut left_out = Vec::new();
    let say = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if asked.detach {
        words.extend(say(&["-d"]));
    }
    if asked.tty && asked.detach {
        return Err("`ctr run -t` lends the container the terminal that it stands at itself, and ends with it".to_owned());
    }
    if let Some(label) = with.label {
        words.extend(say(&["--label", &format!("{LABEL}={label}")]));
    }
    if asked.userns {
        let (uids, gids) = docker::map()?;
        words.extend(say(&["--uidmap", &uids, "--gidmap", &gids]));
    }
    for (flag, value) in &asked.flags {
        let more = match (flag.as_str(), value.as_str()) {
            // A namespace with nothing in it is what it gives when nothing is said.
            ("--network", "none") => say(&[]),
            ("--network", "host") => say(&["--net-host"]),
            ("--network" | "--publish", _) => {
                return Err("`ctr run` publishes no ports and makes no bridge: it leaves networks to CNI's plug-ins".to_owned());
            }
            ("--cpus", value) => say(&["--cpus", value]),
            ("--cpu-shares", value) => say(&["--cpu-shares", value]),
            ("--memory", value) => {
                let bytes = bytes(value).ok_or_else(|| format!("--memory {value} is no size"))?;
                say(&["--memory-limit", &bytes.to_string()])
            }
            ("--cap-add" | "--cap-drop", value) => say(&[flag, &capability(value)?]),
            ("--tmpfs", value) => {
                say(&["--mount", &format!("type=tmpfs,src=tmpfs,dst={value},options=rw")])
            }
            ("--env", value) => say(&["--env", value]),
            (flag, value) => {
                left_out.push(format!("{flag} {value}"));
                say(&[])
            }
        };
        words.extend(more);
    }
    words.extend(say(&[with.image, &asked.name]));
    words.extend(asked.command.iter().cloned());
    Ok(Start { lines: vec![line(&words)], left_out })
}

/// `ctr` takes one name at a time, with its prefix, as the kernel's headers write it.
fn capability(name: &str) -> Result<String, String> {
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    match name {
        "ALL" => {
            Err("`ctr run` adds and drops capabilities by their names, not all at once".to_owned())
        }
        name => Ok(format!("CAP_{name}")),
    }
}
