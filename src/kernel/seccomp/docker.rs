//! docker's format of a seccomp profile, as `--security-opt seccomp=FILE`
//! takes it (moby/profiles; the runtime specification of the OCI below it).
//! A field that is not known here is an error: it may be the one that forbids.

use std::borrow::Cow;

use serde::Deserialize;

use super::profile::{Choice, Profile, Rule};
use super::{Action, Compare};
use crate::error::{Error, Exit, Result};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<Architecture>>,
    #[serde(default)]
    syscalls: Option<Vec<Syscalls>>,
    #[serde(default)]
    flags: Option<Vec<String>>,
}

/// Which ABIs the list is for. Here it is the machine's own one alone, the
/// others are refused, so nothing in it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code, reason = "read to be checked")]
struct Architecture {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Syscalls {
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    includes: Option<Conditions>,
    excludes: Option<Conditions>,
    #[allow(dead_code, reason = "for people")]
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Conditions {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Reads one; `name` is what errors call it.
pub fn parse(name: &str, text: &str) -> Result<Profile> {
    let wrong = |what: &dyn std::fmt::Display| {
        Error::new(format!("--security-opt seccomp={name}")).said(what).exit(Exit::Engine)
    };
    let file: File = serde_json::from_str(text).map_err(|error| {
        wrong(&error).hint(
            "The file must be a profile as docker takes it, with fields that are known here: \
             what a filter cannot carry out must not be passed over.",
        )
    })?;
    let same_abi = file.architectures.is_some() && file.arch_map.is_some();
    if same_abi {
        return Err(wrong(&"both architectures and archMap are given, and docker takes one"));
    }
    if let Some(flag) = file.flags.iter().flatten().next() {
        return Err(wrong(&format!("the flag {flag} is not set here")));
    }
    let default =
        action(&file.default_action, file.default_errno_ret).map_err(|said| wrong(&said))?;
    let mut rules = Vec::new();
    for entry in file.syscalls.unwrap_or_default() {
        rules.extend(entry.rules(file.default_errno_ret).map_err(|said| wrong(&said))?);
    }
    Ok(Profile { name: name.to_owned(), default, rules })
}

impl Syscalls {
    fn rules(self, default_errno: Option<u16>) -> Result<Vec<Rule>, String> {
        let names = match (self.name, self.names.unwrap_or_default()) {
            (None, names) if !names.is_empty() => names,
            (Some(name), names) if names.is_empty() => vec![name],
            (None, _) => return Err("an entry of syscalls names no call".to_owned()),
            (Some(name), _) => return Err(format!("{name}: both name and names are given")),
        };
        let action = action(&self.action, self.errno_ret.or(default_errno))
            .map_err(|said| format!("{}: {said}", names.join(", ")))?;
        let (includes, excludes) = (choice(self.includes)?, choice(self.excludes)?);
        let args = self.args.unwrap_or_default().into_iter().map(Argument::read);
        let args = args
            .collect::<Result<Vec<_>, _>>()
            .map_err(|said| format!("{}: {said}", names.join(", ")))?;
        let rule = |args| Rule {
            names: names.iter().cloned().map(Cow::Owned).collect(),
            action,
            args,
            includes: includes.clone(),
            excludes: excludes.clone(),
        };
        // Two conditions on the same argument are alternatives, as for runc.
        let twice = |at: usize| args[..at].iter().any(|(index, ..)| *index == args[at].0);
        Ok(match (0..args.len()).any(twice) {
            true => args.iter().map(|arg| rule(vec![*arg])).collect(),
            false => vec![rule(args)],
        })
    }
}

impl Argument {
    fn read(self) -> Result<(u8, Compare, u64), String> {
        if self.index > 5 {
            return Err(format!("a call has no argument {}", self.index));
        }
        let compare = match self.op.as_str() {
            "SCMP_CMP_EQ" => Compare::Eq,
            "SCMP_CMP_NE" => Compare::Ne,
            "SCMP_CMP_LT" => Compare::Lt,
            "SCMP_CMP_LE" => Compare::Le,
            "SCMP_CMP_GE" => Compare::Ge,
            "SCMP_CMP_GT" => Compare::Gt,
            // Here `value` is the mask, and `valueTwo` what is compared.
            "SCMP_CMP_MASKED_EQ" => {
                return Ok((self.index, Compare::Masked(self.value), self.value_two));
            }
            other => return Err(format!("the comparison {other:?} is not known")),
        };
        Ok((self.index, compare, self.value))
    }
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, String> {
    let errno = errno.unwrap_or(libc::EPERM as u16);
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ERRNO" => Action::Errno(errno),
        "SCMP_ACT_TRACE" => Action::Trace(errno),
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_NOTIFY" => {
            return Err(
                "SCMP_ACT_NOTIFY needs a program that answers, and there is none".to_owned()
            );
        }
        other => return Err(format!("the action {other:?} is not known")),
    })
}

fn choice(conditions: Option<Conditions>) -> Result<Choice, String> {
    let conditions = conditions.unwrap_or_default();
    let min_kernel = conditions.min_kernel.as_deref().filter(|text| !text.is_empty()).map(version);
    Ok(Choice {
        caps: conditions.caps.unwrap_or_default(),
        arches: conditions.arches.unwrap_or_default(),
        min_kernel: min_kernel.transpose()?,
    })
}

/// `4.8`
fn version(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('.');
    parts
        .and_then(|(version, level)| Some((version.parse().ok()?, level.parse().ok()?)))
        .ok_or_else(|| format!("minKernel {text:?}: two numbers are wanted, as in \"4.8\""))
}

#[cfg(test)]
mod tests {
    use seccompiler::TargetArch;

    use super::super::Circumstances;
    use super::*;

    fn filters(text: &str) -> Result<Vec<super::super::Filter>> {
        let circumstances = Circumstances {
            capabilities: vec!["CAP_CHOWN".to_owned()],
            kernel: (5, 12),
            arch: TargetArch::x86_64,
        };
        parse("x.json", text)?.filters(&circumstances)
    }

    fn with(rules: &str) -> String {
        format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rules}]}}"#)
    }

    #[test]
    fn a_profile_is_read_for_this_container() {
        let made = filters(&with(
            r#"{"names": ["read", "chown32", "opne"], "action": "SCMP_ACT_ALLOW"},
               {"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
               {"names": ["close"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
               {"names": ["dup"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
               {"names": ["stat"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
               {"name": "mount", "action": "SCMP_ACT_KILL_PROCESS", "comment": "no"}"#,
        ))
        .unwrap();
        assert_eq!(made.len(), 2);
        assert_eq!(made[0].what, "mount: the process ends");
        // read, close and, for the other filter to answer, mount.
        assert_eq!(
            made[1].calls.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            [0, 3, 165]
        );
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused_by_name() {
        for (text, word) in [
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#), "NOTIFY"),
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_PRETEND"}"#), "PRETEND"),
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}"#), "argument 6"),
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": 1, "op": "SCMP_CMP_LIKE"}]}"#), "SCMP_CMP_LIKE"),
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "unless": 1}"#), "unless"),
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4"}}"#), "minKernel"),
            (with(r#"{"names": [], "action": "SCMP_ACT_ALLOW"}"#), "names no call"),
            (with(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["read"], "action": "SCMP_ACT_LOG"}"#), "read has two answers"),
            (r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["opne"], "action": "SCMP_ACT_ERRNO"}]}"#.to_owned(), "opne"),
            (r#"{"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}"#.to_owned(), "TSYNC"),
            (r#"{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/x"}"#.to_owned(), "listenerPath"),
            ("{}".to_owned(), "defaultAction"),
        ] {
            let error = filters(&text).expect_err(&text);
            assert!(error.to_string().contains(word), "{word}: {error}");
            assert_eq!(error.exit, Exit::Engine);
        }
    }

    #[test]
    fn conditions_on_one_argument_are_alternatives_and_on_several_are_not() {
        let made = filters(&with(
            r#"{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [
                 {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]},
               {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "args": [
                 {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 7, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}"#,
        ))
        .unwrap();
        let shape: Vec<_> = made[0]
            .calls
            .iter()
            .map(|(_, any)| any.iter().map(Vec::len).collect::<Vec<_>>())
            .collect();
        assert_eq!(shape, [vec![1, 1], vec![2]]);
    }
}
