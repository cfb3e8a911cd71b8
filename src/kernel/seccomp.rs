//! Which system calls a container may make: seccomp(2) filters, docker's
//! default list.
//!
//! Two filters are stacked, because one filter has one answer to what it does
//! not like, and two are needed: EPERM, and for clone3 ENOSYS ("this kernel
//! has no such call"), upon which a C library falls back to clone; EPERM would
//! make it give up. The kernel asks every filter, and of two equally strict
//! answers takes the one of the filter that was added last.

use seccompiler::{BpfProgram, TargetArch, compile_from_json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::kernel::raw;
use crate::step::Step;

const PROFILE: &str = include_str!("../../assets/seccomp.toml");

#[derive(Deserialize)]
struct Profile {
    everywhere: String,
    x86_64: String,
    conditional: Vec<Conditional>,
}

#[derive(Deserialize)]
struct Conditional {
    syscall: String,
    index: u8,
    masked: Option<u64>,
    #[serde(default)]
    equals: Vec<u64>,
    differs: Option<u64>,
}

/// seccomp(2) `SECCOMP_SET_MODE_FILTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// docker's list; what is not on it gets EPERM.
    Default,
    /// clone3 gets ENOSYS.
    NoClone3,
}

impl Operation for Filter {
    fn step(&self) -> Step {
        match self {
            Self::Default => Step::new(
                "seccomp(SECCOMP_SET_MODE_FILTER, docker's default list: others EPERM)",
                "about 340 system calls stay; mount, kexec_load, init_module and the like are refused",
            ),
            Self::NoClone3 => Step::new(
                "seccomp(SECCOMP_SET_MODE_FILTER, clone3: ENOSYS)",
                "a filter cannot look into clone3's arguments, so clone3 is said not to exist, and libc takes clone",
            ),
        }
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| {
            Error::cannot("writing a seccomp filter for this architecture").said(error)
        })?;
        let program = self.compile(arch)?;
        raw::seccomp_filter(&program)
            .tried(|| "seccomp(SECCOMP_SET_MODE_FILTER)")
            .map_err(|error| error.hint("Is CONFIG_SECCOMP_FILTER in this kernel?"))?;
        Ok("0".to_owned())
    }
}

impl Filter {
    fn compile(self, arch: TargetArch) -> Result<BpfProgram> {
        let json = match self {
            Self::Default => default_filter(arch)?,
            Self::NoClone3 => json!({ "filter": {
                "mismatch_action": "allow",
                "match_action": { "errno": libc::ENOSYS },
                "filter": [{ "syscall": "clone3" }],
            }}),
        };
        compile_from_json(json.to_string().as_bytes(), arch)
            .ok()
            .and_then(|mut programs| programs.remove("filter"))
            .ok_or_else(|| Error::new("compiling the seccomp profile"))
    }
}

fn default_filter(arch: TargetArch) -> Result<Value> {
    let profile: Profile = toml::from_str(PROFILE)
        .map_err(|error| Error::new("reading the seccomp profile").said(error))?;
    let mut names: Vec<_> = profile.everywhere.split_whitespace().collect();
    if matches!(arch, TargetArch::x86_64) {
        names.extend(profile.x86_64.split_whitespace());
    }
    let mut rules: Vec<_> = names.iter().map(|name| json!({ "syscall": name })).collect();
    for Conditional { syscall, index, masked, equals, differs } in profile.conditional {
        let rule = |op: Value, value: u64| json!({ "syscall": syscall, "args": [{ "index": index, "type": "dword", "op": op, "val": value }] });
        let op = masked.map_or(json!("eq"), |mask| json!({ "masked_eq": mask }));
        rules.extend(equals.iter().map(|value| rule(op.clone(), *value)));
        rules.extend(differs.map(|value| rule(json!("ne"), value)));
    }
    Ok(json!({ "filter": {
        "mismatch_action": { "errno": libc::EPERM },
        "match_action": "allow",
        "filter": rules,
    }}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_filters_compile_for_each_architecture() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64] {
            assert!(Filter::Default.compile(arch).unwrap().len() > 300);
            assert!(Filter::NoClone3.compile(arch).unwrap().len() > 3);
        }
    }
}
