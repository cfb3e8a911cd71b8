//! Which system calls a container may make: seccomp(2) filters.
//!
//! A [`Profile`] says it as docker does, by name; what of it holds for a
//! container depends on its capabilities, the kernel and the architecture.
//! Then it is written as filters ([`Filter`]), one for each answer, because
//! one filter has one answer to what it finds: the kernel asks every filter,
//! and the strictest answer counts.
//!
//! A call of another ABI has other numbers: i386 calls end the process, and
//! x32 calls do not exist, whatever the profile says of the same names.

mod calls;
mod default;
mod docker;
mod profile;
mod search;
mod table;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::kernel::raw;
use crate::step::Step;

pub use profile::{Circumstances, Profile};

/// What the kernel answers to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// It is carried out.
    Allow,
    /// It is carried out, and logged.
    Log,
    /// A tracer is asked; without one it does not exist (ENOSYS).
    Trace(u16),
    /// It fails with this errno.
    Errno(u16),
    /// SIGSYS.
    Trap,
    /// The thread ends.
    KillThread,
    /// The process ends.
    KillProcess,
}

impl Action {
    /// Whether the call is carried out.
    pub fn permits(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }

    /// As steps say it.
    pub fn name(self) -> String {
        match self {
            Self::Errno(errno) => {
                crate::error::errno_name(nix::errno::Errno::from_raw(errno.into()))
            }
            Self::Allow => "allowed".to_owned(),
            Self::Log => "logged".to_owned(),
            Self::Trace(_) => "traced".to_owned(),
            Self::Trap => "SIGSYS".to_owned(),
            Self::KillThread => "the thread ends".to_owned(),
            Self::KillProcess => "the process ends".to_owned(),
        }
    }

    fn compiled(self) -> SeccompAction {
        match self {
            Self::Allow => SeccompAction::Allow,
            Self::Log => SeccompAction::Log,
            Self::Trace(value) => SeccompAction::Trace(value.into()),
            Self::Errno(errno) => SeccompAction::Errno(errno.into()),
            Self::Trap => SeccompAction::Trap,
            Self::KillThread => SeccompAction::KillThread,
            Self::KillProcess => SeccompAction::KillProcess,
        }
    }
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compare {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater or equal.
    Ge,
    /// Greater.
    Gt,
    /// Equal in the bits of this mask.
    Masked(u64),
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Which argument, from 0.
    pub index: u8,
    /// How it is compared.
    pub compare: Compare,
    /// With what.
    pub value: u64,
    /// Whether all 64 bits are looked at, or the lower 32.
    pub wide: bool,
}

/// The most instructions that the kernel takes in one filter (BPF_MAXINSNS).
const LONGEST: usize = 4096;

/// The calls that one filter is about, in order of their numbers, and when each matches:
/// always if there is no alternative, else if all conditions of one of them hold.
pub type Calls = Vec<(i64, Vec<Vec<Condition>>)>;

/// What one filter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What it does, for the step.
    pub what: String,
    /// Why.
    pub why: String,
    /// The calls that match.
    pub calls: Calls,
    /// The answer to those.
    pub matched: Action,
    /// The answer to all others.
    pub others: Action,
}

/// seccomp(2) `SECCOMP_SET_MODE_FILTER`. The program is written before there is
/// a container: whoever is to be filtered has nothing left to do but to ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// What it does.
    pub what: String,
    /// Why.
    pub why: String,
    /// The instructions: code, jumps if true and if false, operand.
    pub program: Vec<(u16, u8, u8, u32)>,
}

impl Operation for Install {
    fn step(&self) -> Step {
        Step::new(format!("seccomp(SECCOMP_SET_MODE_FILTER, {})", self.what), &self.why)
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        let instruction = |&(code, jt, jf, k): &_| sock_filter { code, jt, jf, k };
        raw::seccomp_filter(&self.program.iter().map(instruction).collect())
            .tried(|| "seccomp(SECCOMP_SET_MODE_FILTER)")
            .map_err(|error| error.hint("Is CONFIG_SECCOMP_FILTER in this kernel?"))?;
        Ok("0".to_owned())
    }
}

/// The architecture this program runs on, where filters can be written for it.
pub fn architecture() -> Result<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).map_err(|error| {
        Error::cannot("writing a seccomp filter for this architecture").said(error)
    })
}

impl Filter {
    /// As what is done in the process that it is for.
    pub fn install(&self, arch: TargetArch) -> Result<Install> {
        let instruction = |one: sock_filter| (one.code, one.jt, one.jf, one.k);
        let program = self.compile(arch)?.into_iter().map(instruction).collect();
        Ok(Install { what: self.what.clone(), why: self.why.clone(), program })
    }

    /// As the program that the kernel runs before each call.
    pub fn compile(&self, arch: TargetArch) -> Result<BpfProgram> {
        let failed = |error| Error::new(format!("compiling {}", self.what)).said(error);
        // What depends on no argument is found first, and fast.
        let (simple, conditional): (Vec<_>, Vec<_>) =
            self.calls.iter().partition(|(_, alternatives)| alternatives.is_empty());
        let numbers = simple.iter().filter_map(|(number, _)| u32::try_from(*number).ok());
        let numbers: Vec<_> = numbers.collect();
        let search = search::search(&numbers, audit_arch(arch), self.matched.compiled());
        let rules = conditional.iter().map(|(number, alternatives)| {
            let rules = alternatives.iter().map(|conditions| {
                let conditions = conditions.iter().map(Condition::compiled);
                SeccompRule::new(conditions.collect::<Result<_, _>>()?)
            });
            Ok((*number, rules.collect::<Result<Vec<_>, _>>()?))
        });
        let rules = rules.collect::<Result<BTreeMap<_, _>, _>>().map_err(failed)?;
        let (others, matched) = (self.others.compiled(), self.matched.compiled());
        let filter = SeccompFilter::new(rules, others, matched, arch).map_err(failed)?;
        let program: BpfProgram = filter.try_into().map_err(failed)?;
        let program = [beyond_the_list(arch, self.others), search, program].concat();
        match program.len() <= LONGEST {
            true => Ok(program),
            false => Err(failed(seccompiler::BackendError::FilterTooLarge(program.len()))),
        }
    }
}

impl Condition {
    fn compiled(&self) -> Result<SeccompCondition, seccompiler::BackendError> {
        let operator = match self.compare {
            Compare::Eq => SeccompCmpOp::Eq,
            Compare::Ne => SeccompCmpOp::Ne,
            Compare::Lt => SeccompCmpOp::Lt,
            Compare::Le => SeccompCmpOp::Le,
            Compare::Ge => SeccompCmpOp::Ge,
            Compare::Gt => SeccompCmpOp::Gt,
            Compare::Masked(mask) => SeccompCmpOp::MaskedEq(mask),
        };
        let length = if self.wide { SeccompCmpArgLen::Qword } else { SeccompCmpArgLen::Dword };
        SeccompCondition::new(self.index, length, operator, self.value)
    }
}

/// The first of these calls that the filters do not let through whatever its
/// arguments are; one that this architecture lacks is not missed.
pub fn lacking<'a>(filters: &[Filter], arch: TargetArch, needed: &[&'a str]) -> Option<&'a str> {
    let refused = |filter: &Filter, number: i64| {
        let at = filter.calls.binary_search_by_key(&number, |(known, _)| *known);
        match at.map(|at| &filter.calls[at].1) {
            Err(_) => !filter.others.permits(),
            Ok(when) if when.is_empty() => !filter.matched.permits(),
            Ok(_) => !filter.matched.permits() || !filter.others.permits(),
        }
    };
    needed.iter().copied().find(|name| {
        calls::number(name, arch)
            .is_some_and(|number| filters.iter().any(|filter| refused(filter, number)))
    })
}

/// What comes before the rules: numbers from here on are of calls that do not
/// exist (ENOSYS), upon which a C library does without, where EPERM would make
/// it give up.
///
/// x86-64 kernels may know each call under a second number, with bit 30 set
/// (the x32 ABI), which a list of what is forbidden would not find: those never
/// exist. i386 calls carry another architecture, upon which the rules end the process.
fn beyond_the_list(arch: TargetArch, others: Action) -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let first = match others {
        Action::Errno(_) => calls::newest(arch) + 1,
        _ => X32,
    };
    let audit_arch = audit_arch(arch);
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let (load, if_equal, if_at_least, answer) = (0x20, 0x15, 0x35, 0x06);
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![
        instruction(load, 0, 0, 4),              // seccomp_data.arch
        instruction(if_equal, 0, 3, audit_arch), // else on to the rules
        instruction(load, 0, 0, 0),              // seccomp_data.nr
        instruction(if_at_least, 0, 1, first),
        instruction(answer, 0, 0, enosys),
    ]
}

/// How the kernel calls an architecture (linux/audit.h).
fn audit_arch(arch: TargetArch) -> u32 {
    match arch {
        TargetArch::x86_64 => 0xC000_003E,
        TargetArch::aarch64 => 0xC000_00B7,
        TargetArch::riscv64 => 0xC000_00F3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: u32 = 0xC000_003E;
    const I386: u32 = 0x4000_0003;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    /// What the kernel makes of a program: the instructions that are used here.
    fn run(program: &BpfProgram, arch: u32, number: u32, argument: u64) -> u32 {
        let (low, high) = (argument as u32, (argument >> 32) as u32);
        let data = [number, arch, 0, 0, low, high];
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let jump = |taken: bool| usize::from(if taken { jt } else { jf });
            at += 1 + match code {
                0x20 => {
                    accumulator = data.get(k as usize / 4).copied().unwrap_or_default();
                    0
                }
                0x54 => {
                    accumulator &= k;
                    0
                }
                0x05 => k as usize,
                0x15 => jump(accumulator == k),
                0x25 => jump(accumulator > k),
                0x35 => jump(accumulator >= k),
                0x06 => return k,
                other => panic!("no instruction {other:#x} is expected"),
            };
        }
    }

    /// The strictest answer of a stack: an errno before a permission.
    fn asked(
        profile: &Profile,
        capabilities: &[&str],
        arch: u32,
        number: u32,
        argument: u64,
    ) -> u32 {
        let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
        let arch_here = TargetArch::x86_64;
        let circumstances = Circumstances { capabilities, kernel: (6, 1), arch: arch_here };
        let filters = profile.filters(&circumstances).unwrap();
        let programs = filters.iter().map(|filter| filter.compile(arch_here).unwrap());
        let answers = programs.map(|program| run(&program, arch, number, argument));
        answers.min_by_key(|answer| (answer & 0xFFFF_0000).cast_signed()).unwrap()
    }

    #[test]
    fn the_default_list_answers_as_it_is_meant_to() {
        let list = Profile::docker_default();
        let ask = |number, argument| asked(&list, &[], X86_64, number, argument);
        let (read, mount, clone, socket, personality, clone3) = (0, 165, 56, 41, 135, 435);
        assert_eq!((ask(read, 0), ask(mount, 0), ask(clone3, 0)), (ALLOW, EPERM, ENOSYS));
        let user = libc::CLONE_NEWUSER as u64;
        assert_eq!(
            (ask(clone, 17), ask(clone, user), ask(clone, 1 << 32 | user)),
            (ALLOW, EPERM, EPERM)
        );
        for family in [38, 40, 1 << 32 | 40, 0xFFFF_FFFF_0000_0026] {
            assert_eq!(ask(socket, family), EPERM, "{family:#x}");
        }
        assert_eq!((ask(socket, 1), ask(socket, 39)), (ALLOW, ALLOW));
        for (persona, answer) in
            [(0, ALLOW), (0xFFFF_FFFF, ALLOW), (0x4_0000, EPERM), (1 << 32 | 0x4_0000, EPERM)]
        {
            assert_eq!(ask(personality, persona), answer, "{persona:#x}");
        }
        // A capability opens what it is for.
        let admin = |number, argument| asked(&list, &["CAP_SYS_ADMIN"], X86_64, number, argument);
        assert_eq!((admin(mount, 0), admin(clone, user), admin(clone3, 0)), (ALLOW, ALLOW, ALLOW));
    }

    /// The short way leads to where the long one leads: the same list with a
    /// condition on each call that always holds is one that cannot be searched.
    #[test]
    fn the_short_way_gives_the_same_answers() {
        let capabilities = vec!["CAP_SYS_ADMIN".to_owned()];
        let arch = TargetArch::x86_64;
        let circumstances = Circumstances { capabilities, kernel: (6, 1), arch };
        for filter in Profile::docker_default().filters(&circumstances).unwrap() {
            let mut long = filter.clone();
            let always = Condition { index: 0, compare: Compare::Ge, value: 0, wide: true };
            for (_, alternatives) in &mut long.calls {
                if alternatives.is_empty() {
                    alternatives.push(vec![always]);
                }
            }
            let (short, long) = (filter.compile(arch).unwrap(), long.compile(arch));
            let Ok(long) = long else { continue }; // too long for a filter
            for number in (0..700).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
                for arch in [X86_64, I386] {
                    let answers = [&short, &long].map(|program| run(program, arch, number, 17));
                    assert_eq!(answers[0], answers[1], "call {number} of {arch:#x}");
                }
            }
            assert!(short.len() < long.len(), "{} instructions", short.len());
        }
    }

    #[test]
    fn no_other_abi_gets_past() {
        let list = Profile::docker_default();
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]}"#;
        let forbids = Profile::from_json("x", text).unwrap();
        let (mount, x32) = (165, 0x4000_0000);
        for profile in [&list, &forbids] {
            let ask = |arch, number| asked(profile, &[], arch, number, 0);
            assert_eq!(ask(X86_64, mount), EPERM);
            assert_eq!(ask(X86_64, x32 | mount), ENOSYS, "mount of x32");
            assert_eq!(ask(I386, 21), libc::SECCOMP_RET_KILL_PROCESS, "mount of i386");
        }
        // Calls younger than the list do not exist for who is allowed what is listed.
        assert_eq!(asked(&list, &[], X86_64, 1000, 0), ENOSYS);
        assert_eq!(asked(&forbids, &[], X86_64, 1000, 0), ALLOW);
    }

    #[test]
    fn a_refusal_by_argument_holds_whatever_the_upper_half_is() {
        let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]},
            {"names": ["write"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_GT"}]},
            {"names": ["open"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 6, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#;
        let profile = Profile::from_json("x", text).unwrap();
        let ask = |number, argument| asked(&profile, &[], X86_64, number, argument);
        assert_eq!((ask(0, 7), ask(0, 1 << 32 | 7), ask(0, 8)), (EPERM, EPERM, ALLOW));
        assert_eq!((ask(1, 8), ask(1, 1 << 32), ask(1, 7)), (EPERM, EPERM, ALLOW));
        assert_eq!((ask(2, 3), ask(2, 1 << 32 | 3), ask(2, 4)), (EPERM, EPERM, ALLOW));
    }
}
