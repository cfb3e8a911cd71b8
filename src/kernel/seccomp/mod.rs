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
mod docker;
mod profile;

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

/// The calls that one filter is about: a number, and when it matches: always
/// if there is no alternative, else if all conditions of one of them hold.
pub type Calls = BTreeMap<i64, Vec<Vec<Condition>>>;

/// seccomp(2) `SECCOMP_SET_MODE_FILTER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// What it does, for the step.
    pub what: String,
    /// Why.
    pub why: String,
    /// The calls that match, as pairs (JSON has no numbers as keys).
    pub calls: Vec<(i64, Vec<Vec<Condition>>)>,
    /// The answer to those.
    pub matched: Action,
    /// The answer to all others.
    pub others: Action,
}

impl Operation for Filter {
    fn step(&self) -> Step {
        Step::new(format!("seccomp(SECCOMP_SET_MODE_FILTER, {})", self.what), &self.why)
    }

    fn perform(&self, _: &mut World<'_>) -> Result<String> {
        raw::seccomp_filter(&self.compile(architecture()?)?)
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
    /// As the program that the kernel runs before each call.
    pub fn compile(&self, arch: TargetArch) -> Result<BpfProgram> {
        let failed = |error| Error::new(format!("compiling {}", self.what)).said(error);
        let rules = self.calls.iter().map(|(number, alternatives)| {
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
        let program = [beyond_the_list(arch, self.others), program].concat();
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
        let call = filter.calls.iter().find(|(known, _)| *known == number);
        match call {
            None => !filter.others.permits(),
            Some((_, when)) if when.is_empty() => !filter.matched.permits(),
            Some(_) => !filter.matched.permits() || !filter.others.permits(),
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
    let audit_arch = match arch {
        TargetArch::x86_64 => 0xC000_003E,
        TargetArch::aarch64 => 0xC000_00B7,
        TargetArch::riscv64 => 0xC000_00F3,
    };
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
