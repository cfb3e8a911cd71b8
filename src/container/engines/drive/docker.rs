//! `docker run` and `podman run`: our own flags are theirs, but for a few.

use super::{Asked, Driven, Start, With, line};
use crate::container::nobody;
use crate::kernel::driven::LABEL;

pub fn start(engine: Driven, asked: &Asked, with: With<'_>) -> Result<Start, String> {
    let mut words = vec![engine.program().to_owned(), "run".to_owned()];
    let mut say = |word: &str| words.push(word.to_owned());
    if asked.detach {
        say("-d");
    }
    if asked.tty {
        say("-t");
    }
    if let Some(label) = with.label {
        say("--label");
        say(&format!("{LABEL}={label}"));
    }
    if !asked.name.is_empty() {
        say("--name");
        say(&asked.name);
    }
    if asked.userns {
        users(engine)?.iter().for_each(|word| say(word));
    }
    for (flag, value) in &asked.flags {
        let flag = if flag == "--publish" { "-p" } else { flag };
        say(flag);
        say(value);
    }
    say(with.image);
    asked.command.iter().for_each(|word| say(word));
    Ok(Start { lines: vec![line(&words)], left_out: Vec::new() })
}

fn users(engine: Driven) -> Result<Vec<String>, String> {
    if engine == Driven::Docker {
        return Err("Docker makes user namespaces for all containers of its daemon or for none (`userns-remap` in daemon.json)".to_owned());
    }
    let (uids, gids) = map()?;
    Ok(vec!["--uidmap".to_owned(), uids, "--gidmap".to_owned(), gids])
}

/// `0:100000:65536`, for users and for groups: ids that nobody here has.
pub fn map() -> Result<(String, String), String> {
    let map = nobody::map().map_err(|error| error.to_string())?;
    let [uids, gids] = map.maps.map(|(_, ranges, _)| {
        ranges.first().map(|it| format!("{}:{}:{}", it.inside, it.outside, it.count))
    });
    uids.zip(gids).ok_or_else(|| "no free range of ids is left here".to_owned())
}
