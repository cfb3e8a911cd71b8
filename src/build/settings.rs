//! Instructions that change nothing but the image's config: what they do to it, in
//! docker's words, and what to tell the reader.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::build::dockerfile::ast::{Command, Healthcheck, Line, Pair};
use crate::build::dockerfile::exposed;
use crate::error::{Error, Result};
use crate::image::oci::{Config, Execution};

/// What runs the shell form where `SHELL` says nothing else.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What the shell form of an instruction is run with.
pub fn shell(execution: &Execution) -> Vec<String> {
    let own = execution.other.get("Shell").and_then(Value::as_array);
    let own: Vec<String> =
        own.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    match own.is_empty() {
        true => SHELL.map(str::to_owned).to_vec(),
        false => own,
    }
}

/// A command line as it is executed.
pub fn words(line: &Line, execution: &Execution) -> Vec<String> {
    match line {
        Line::Exec(words) => words.clone(),
        Line::Shell(line) => shell(execution).into_iter().chain([line.clone()]).collect(),
    }
}

/// Whether a later step could come out another way because of this one.
pub fn matters(command: &Command) -> bool {
    matches!(command, Command::Env(_) | Command::User(_) | Command::Workdir(_) | Command::Shell(_))
}

/// Carries it out; `cmd_set` is whether this stage has a `CMD` of its own by now. What the
/// history says of it.
pub fn apply(command: &Command, config: &mut Config, cmd_set: &mut bool) -> Result<String> {
    let execution = &mut config.config;
    match command {
        Command::Env(pairs) => {
            for Pair { key, value } in pairs {
                set_env(&mut execution.env, key, value);
            }
        }
        Command::Label(pairs) => {
            let pairs = pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone()));
            execution.labels.extend(pairs);
        }
        Command::Expose(ports) => {
            for port in ports {
                let exposed = exposed(port).map_err(|why| Error::usage("EXPOSE").said(why))?;
                execution.exposed_ports.extend(exposed.into_iter().map(|port| (port, json!({}))));
            }
        }
        Command::Volume(paths) => {
            execution.volumes.extend(paths.iter().map(|path| (path.clone(), json!({}))));
        }
        Command::User(user) => execution.user.clone_from(user),
        Command::Workdir(path) => execution.working_dir.clone_from(path),
        Command::Stopsignal(signal) => {
            crate::container::spec::stop_signal(signal)
                .map_err(|error| Error::usage(format!("STOPSIGNAL {signal}")).said(error))?;
            execution.stop_signal = Some(signal.clone());
        }
        Command::Shell(words) => drop(execution.other.insert("Shell".to_owned(), json!(words))),
        Command::Cmd(line) => {
            execution.cmd = Some(words(line, execution)).filter(|words| !words.is_empty());
            // Only Windows looks at this note, and it is not of this command.
            execution.other.remove("ArgsEscaped");
            *cmd_set = true;
        }
        Command::Entrypoint(line) => {
            execution.entrypoint = Some(words(line, execution)).filter(|words| !words.is_empty());
            // What the base would have given it as arguments was not meant for it.
            if !*cmd_set {
                execution.cmd = None;
            }
        }
        Command::Healthcheck(check) => {
            execution.other.insert("Healthcheck".to_owned(), healthcheck(check));
        }
        Command::Onbuild(onbuild) => {
            let list = execution.other.entry("OnBuild").or_insert_with(|| json!([]));
            match list.as_array_mut() {
                Some(list) => list.push(json!(onbuild.trigger)),
                None => *list = json!([onbuild.trigger]),
            }
        }
        Command::Maintainer(author) => config.author = Some(author.clone()),
        Command::Add(_) | Command::Arg(_) | Command::Copy(_) | Command::Run(_) => {}
    }
    Ok(text(command, &config.config))
}

/// `ENV`: in its place if it was there, at the end if not.
pub fn set_env(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    match env.iter_mut().find(|entry| entry.split('=').next() == Some(key)) {
        Some(there) => *there = entry,
        None => env.push(entry),
    }
}

fn healthcheck(check: &Healthcheck) -> Value {
    let Healthcheck::Cmd { test, interval, timeout, start_period, start_interval, retries } = check
    else {
        return json!({ "Test": ["NONE"] });
    };
    let test = match test {
        Line::Exec(words) => ["CMD"].into_iter().chain(words.iter().map(String::as_str)).collect(),
        Line::Shell(line) => vec!["CMD-SHELL", line],
    };
    let mut value = json!({ "Test": test });
    let times = [
        ("Interval", interval),
        ("Timeout", timeout),
        ("StartPeriod", start_period),
        ("StartInterval", start_interval),
    ];
    for (key, time) in times {
        if let Some(time) = time.filter(|time| !time.is_zero()) {
            value[key] = json!(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    if *retries > 0 {
        value["Retries"] = json!(retries);
    }
    value
}

/// As docker's history has it.
pub fn text(command: &Command, execution: &Execution) -> String {
    let keyword = command.keyword();
    let pairs = |pairs: &[Pair]| {
        pairs.iter().map(|Pair { key, value }| format!("{key}={value}")).collect::<Vec<_>>()
    };
    let array = |words: &[String]| json!(words).to_string();
    let rest = match command {
        Command::Env(list) | Command::Label(list) => pairs(list).join(" "),
        Command::Expose(ports) => ports.join(" "),
        Command::Volume(paths) => array(paths),
        Command::User(text) | Command::Workdir(text) | Command::Stopsignal(text) => text.clone(),
        Command::Maintainer(text) => text.clone(),
        Command::Shell(words) => array(words),
        Command::Cmd(line) | Command::Entrypoint(line) => array(&words(line, execution)),
        Command::Healthcheck(check) => match check {
            Healthcheck::None => "NONE".to_owned(),
            Healthcheck::Cmd { test: Line::Exec(words), .. } => format!("CMD {}", array(words)),
            Healthcheck::Cmd { test: Line::Shell(line), .. } => format!("CMD {line}"),
        },
        Command::Onbuild(onbuild) => onbuild.trigger.clone(),
        Command::Arg(_) | Command::Add(_) | Command::Copy(_) | Command::Run(_) => String::new(),
    };
    format!("{keyword} {rest}").trim_end().to_owned()
}

/// What of the config is another now: `Env: +A=1`, `Cmd: ["a"] (was ["b"])`.
pub fn changed(before: &Config, after: &Config) -> Vec<String> {
    let mut changes = Vec::new();
    let (old, new) = (&before.config, &after.config);
    for entry in new.env.iter().filter(|entry| !old.env.contains(entry)) {
        changes.push(format!("Env {entry}"));
    }
    let fields = |execution: &Execution| -> BTreeMap<String, Value> {
        match serde_json::to_value(execution) {
            Ok(Value::Object(fields)) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        }
    };
    let (old, new) = (fields(old), fields(new));
    for key in old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))) {
        match (old.get(key), new.get(key)) {
            _ if key == "Env" => {}
            (before, after) if before == after => {}
            (_, None) => changes.push(format!("{key} taken away")),
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                changes.push(format!("{key} {}", added(before, after)));
            }
            (None, Some(Value::Object(after))) if key != "Healthcheck" => {
                changes.push(format!("{key} {}", added(&serde_json::Map::new(), after)));
            }
            (_, Some(after)) => changes.push(format!("{key} {}", plain(after))),
        }
    }
    if before.author != after.author {
        changes.push(format!("author {}", after.author.clone().unwrap_or_default()));
    }
    changes
}

fn added(
    before: &serde_json::Map<String, Value>,
    after: &serde_json::Map<String, Value>,
) -> String {
    let new = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let shown: Vec<_> = new
        .map(|(key, value)| match value {
            Value::Object(_) => key.clone(),
            other => format!("{key}={}", plain(other)),
        })
        .collect();
    shown.join(" ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::state::State;
    use crate::image::oci::Platform;

    fn config(execution: Execution) -> Config {
        Config { config: execution, ..State::scratch(&Platform::host()).config }
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn an_entrypoint_takes_away_the_cmd_of_the_base_and_not_our_own() {
        let base = || config(Execution { cmd: Some(strings(&["bash"])), ..Execution::default() });
        let entrypoint = Command::Entrypoint(Line::Exec(strings(&["/x"])));
        let (mut one, mut set) = (base(), false);
        apply(&entrypoint, &mut one, &mut set).unwrap();
        assert_eq!(one.config.cmd, None);
        let (mut other, mut set) = (base(), false);
        apply(&Command::Cmd(Line::Exec(strings(&["y"]))), &mut other, &mut set).unwrap();
        apply(&entrypoint, &mut other, &mut set).unwrap();
        assert_eq!(other.config.cmd, Some(strings(&["y"])));
    }

    #[test]
    fn the_shell_form_is_run_by_what_shell_says() {
        let (mut config, mut set) = (config(Execution::default()), false);
        apply(&Command::Cmd(Line::Shell("a b".to_owned())), &mut config, &mut set).unwrap();
        assert_eq!(config.config.cmd, Some(strings(&["/bin/sh", "-c", "a b"])));
        apply(&Command::Shell(strings(&["/bin/bash", "-lc"])), &mut config, &mut set).unwrap();
        apply(&Command::Cmd(Line::Shell("a b".to_owned())), &mut config, &mut set).unwrap();
        assert_eq!(config.config.cmd, Some(strings(&["/bin/bash", "-lc", "a b"])));
        assert_eq!(text(&Command::Cmd(Line::Exec(vec![])), &config.config), "CMD []");
    }

    #[test]
    fn what_changed_is_said() {
        let before = config(Execution { env: strings(&["A=1"]), ..Execution::default() });
        let mut after = before.clone();
        let mut set = false;
        for command in [
            Command::Env(vec![Pair { key: "A".to_owned(), value: "2".to_owned() }]),
            Command::Expose(strings(&["80"])),
            Command::User("www".to_owned()),
            Command::Healthcheck(Healthcheck::None),
        ] {
            apply(&command, &mut after, &mut set).unwrap();
        }
        let expected =
            ["Env A=2", "ExposedPorts 80/tcp", r#"Healthcheck {"Test":["NONE"]}"#, "User www"];
        assert_eq!(changed(&before, &after), expected);
    }
}
