//! A profile: which calls, by name, get which answer, for whom.

use std::borrow::Cow;
use std::collections::BTreeMap;

use seccompiler::TargetArch;
use serde::{Deserialize, Serialize};

use super::{Action, Calls, Compare, Condition, Filter, calls, default};
use crate::error::{Error, Exit, Result};

/// What a rule looks at before it counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Capabilities, by name.
    #[serde(default)]
    pub caps: Vec<String>,
    /// Architectures, as Go calls them.
    #[serde(default)]
    pub arches: Vec<String>,
    /// A kernel as new as this.
    #[serde(default)]
    pub min_kernel: Option<(u32, u32)>,
}

/// Names of calls: those of docker's list are part of the program.
pub type Names = Cow<'static, [Cow<'static, str>]>;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The calls.
    pub names: Names,
    /// The answer to them.
    pub action: Action,
    /// What must hold for the arguments, all of it: index, comparison, value.
    #[serde(default)]
    pub args: Vec<(u8, Compare, u64)>,
    /// It counts only where all of this is so.
    #[serde(default)]
    pub includes: Choice,
    /// It does not count where any of this is so.
    #[serde(default)]
    pub excludes: Choice,
}

/// A list of rules, and the answer to everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What it is called in steps and errors.
    pub name: String,
    /// The answer to what no rule is about.
    pub default: Action,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// For whom filters are written.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The bounding set, by name.
    pub capabilities: Vec<String>,
    /// Version and patch level of the kernel.
    pub kernel: (u32, u32),
    /// What the calls' numbers depend on.
    pub arch: TargetArch,
}

impl Rule {
    /// For these calls, whatever their arguments are, everywhere.
    pub fn new(names: Names, action: Action) -> Self {
        let (includes, excludes) = Default::default();
        Self { names, action, args: Vec::new(), includes, excludes }
    }
}

impl Profile {
    /// docker's default list.
    pub fn docker_default() -> Self {
        super::default::profile()
    }

    /// A profile in docker's JSON format.
    pub fn from_json(name: &str, text: &str) -> Result<Self> {
        super::docker::parse(name, text)
    }

    /// The filters that say the same, in the order in which to install them.
    ///
    /// Refused is what would have to be said looser than it is written.
    pub fn filters(&self, circumstances: &Circumstances) -> Result<Vec<Filter>> {
        let mut answers = Answers { profile: self, by_number: BTreeMap::new(), unknown: 0 };
        for rule in self.rules.iter().filter(|rule| rule.counts(circumstances)) {
            answers.add(rule, circumstances.arch)?;
        }
        Ok(answers.filters())
    }

    /// An error of this profile.
    pub fn refused(&self, what: &str) -> Error {
        Error::new(format!("--security-opt seccomp={}", self.name)).said(what).exit(Exit::Engine)
    }
}

impl Rule {
    fn counts(&self, circumstances: &Circumstances) -> bool {
        let Circumstances { capabilities, kernel, arch } = circumstances;
        let arch = match arch {
            TargetArch::x86_64 => "amd64",
            TargetArch::aarch64 => "arm64",
            TargetArch::riscv64 => "riscv64",
        };
        let here = |arches: &[String]| arches.iter().any(|name| name == arch);
        let (wanted, unwanted) = (&self.includes, &self.excludes);
        wanted.caps.iter().all(|cap| capabilities.contains(cap))
            && (wanted.arches.is_empty() || here(&wanted.arches))
            && wanted.min_kernel.is_none_or(|least| *kernel >= least)
            && !unwanted.caps.iter().any(|cap| capabilities.contains(cap))
            && !here(&unwanted.arches)
            && unwanted.min_kernel.is_none_or(|least| *kernel < least)
    }
}

/// What each call is answered, while rules are gathered.
struct Answers<'a> {
    profile: &'a Profile,
    by_number: BTreeMap<i64, Answer<'a>>,
    /// Names of calls that do not exist here.
    unknown: usize,
}

/// The one answer that a call has.
struct Answer<'a> {
    call: &'a str,
    action: Action,
    /// Whether some rule has it for any arguments.
    always: bool,
    /// Else the arguments for which it has it.
    alternatives: Vec<&'a Arguments>,
}

/// What must hold of arguments.
type Arguments = Vec<(u8, Compare, u64)>;

impl<'a> Answers<'a> {
    fn add(&mut self, rule: &'a Rule, arch: TargetArch) -> Result<()> {
        for name in &*rule.names {
            let Some(number) = calls::number(name, arch) else {
                // To refuse what is not there is no loss; to believe it refused when it is there is.
                if !self.profile.default.permits() || calls::elsewhere(name) {
                    self.unknown += 1;
                    continue;
                }
                return Err(self
                    .profile
                    .refused(&format!("no system call {name} is known here"))
                    .hint("A profile that allows by default must name what it refuses exactly."));
            };
            let (call, action) = (&**name, rule.action);
            let new = || Answer { call, action, always: false, alternatives: Vec::new() };
            let known = self.by_number.entry(number).or_insert_with(new);
            if known.action != action {
                return Err(self
                    .profile
                    .refused(&format!(
                        "{name} has two answers, depending on its arguments: {} and {}",
                        known.action.name(),
                        action.name()
                    ))
                    .hint("Filters are stacked here, one for each answer, so a call can have one and the default."));
            }
            match rule.args.is_empty() {
                true => known.always = true,
                false => known.alternatives.push(&rule.args),
            }
        }
        Ok(())
    }

    fn filters(self) -> Vec<Filter> {
        let Profile { name, default, .. } = self.profile;
        let mut listed = Vec::with_capacity(self.by_number.len());
        let mut special: Vec<(Action, Vec<&str>, Calls)> = Vec::new();
        for (number, answer) in &self.by_number {
            let Answer { call, action, .. } = answer;
            // As every other call.
            if action == default {
                continue;
            }
            if *action == Action::Allow || !default.permits() {
                listed.push((*number, answer.conditions(true)));
            }
            if *action == Action::Allow {
                continue;
            }
            let at = special.iter().position(|(other, ..)| other == action);
            let at = at.unwrap_or_else(|| {
                special.push((*action, Vec::new(), Calls::new()));
                special.len() - 1
            });
            special[at].1.push(call);
            special[at].2.push((*number, answer.conditions(false)));
        }
        let mut filters: Vec<_> = special.into_iter().map(answered).collect();
        if *default != Action::Allow {
            let why = match (name.as_str(), self.unknown) {
                (default::NAME, _) => "; kexec_load, keyctl and the like are refused".to_owned(),
                (_, 0) => String::new(),
                (_, some) => format!("; {some} of its names mean nothing on this machine"),
            };
            filters.push(Filter {
                what: format!("{name}: others {}", default.name()),
                why: format!("{} system calls stay{why}", listed.len()),
                calls: listed,
                matched: Action::Allow,
                others: *default,
            });
        }
        filters
    }
}

/// The filter for calls with an answer of their own.
fn answered((action, mut names, calls): (Action, Vec<&str>, Calls)) -> Filter {
    names.sort_unstable();
    let why = match names.as_slice() {
        ["clone3"] => {
            "a filter cannot look into clone3's arguments, so clone3 is said not to exist, and libc takes clone".to_owned()
        }
        _ => "a filter has one answer to what it finds, so these have one of their own".to_owned(),
    };
    let shown = names.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more =
        if names.len() > 4 { format!(" and {} more", names.len() - 4) } else { String::new() };
    Filter {
        what: format!("{shown}{more}: {}", action.name()),
        why,
        calls,
        matched: action,
        others: Action::Allow,
    }
}

impl Answer<'_> {
    /// The alternatives as a filter has them. An argument is a register of 64
    /// bits, of which the kernel may look at 32 only (ioctl's request, socket's
    /// family): what permits is read so that it permits less, what refuses so that
    /// it refuses more, whichever of the two the kernel looks at.
    fn conditions(&self, permits: bool) -> Vec<Vec<Condition>> {
        if self.always {
            return Vec::new();
        }
        let condition = |(index, compare, value): &(u8, Compare, u64)| {
            let wide = match compare {
                _ if u32::try_from(*value).is_err() => true,
                Compare::Eq | Compare::Lt | Compare::Le | Compare::Masked(_) => permits,
                Compare::Ne | Compare::Gt | Compare::Ge => !permits,
            };
            Condition { index: *index, compare: *compare, value: *value, wide }
        };
        let all = |arguments: &&Arguments| arguments.iter().map(condition).collect();
        self.alternatives.iter().map(all).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circumstances(capabilities: &[&str], arch: TargetArch) -> Circumstances {
        let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
        Circumstances { capabilities, kernel: (6, 1), arch }
    }

    fn listed(capabilities: &[&str], call: &str) -> bool {
        let circumstances = circumstances(capabilities, TargetArch::x86_64);
        let filters = Profile::docker_default().filters(&circumstances).unwrap();
        let number = calls::number(call, TargetArch::x86_64).unwrap();
        filters.last().unwrap().calls.iter().any(|(known, _)| *known == number)
    }

    #[test]
    fn the_default_list_compiles_for_each_architecture() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64] {
            let filters = Profile::docker_default().filters(&circumstances(&[], arch)).unwrap();
            assert_eq!(filters.len(), 2);
            assert_eq!(filters[0].what, "clone3: ENOSYS");
            assert_eq!(filters[1].what, "docker's default list: others EPERM");
            assert!(filters[1].calls.len() > 250, "{}", filters[1].calls.len());
            assert!(filters.iter().all(|filter| filter.compile(arch).is_ok()));
        }
    }

    #[test]
    fn a_capability_brings_its_calls() {
        assert!(listed(&["CAP_SYS_CHROOT"], "chroot") && !listed(&[], "chroot"));
        assert!(listed(&["CAP_SYS_ADMIN"], "mount") && !listed(&["CAP_BPF"], "mount"));
        assert!(listed(&[], "read") && listed(&[], "mseal") && listed(&[], "uretprobe"));
        for never in ["keyctl", "add_key", "kexec_load", "io_uring_setup", "userfaultfd"] {
            assert!(!listed(&["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"], never), "{never}");
        }
        let all = circumstances(&["CAP_SYS_ADMIN"], TargetArch::x86_64);
        assert_eq!(Profile::docker_default().filters(&all).unwrap().len(), 1);
    }

    #[test]
    fn what_permits_is_read_narrowly_and_what_refuses_widely() {
        let read = |compare, value, permits| {
            let (arguments, action) = (vec![(0, compare, value)], Action::Allow);
            let alternatives = vec![&arguments];
            let answer = Answer { call: "read", action, always: false, alternatives };
            answer.conditions(permits)[0][0].wide
        };
        let wide = |compare, permits| read(compare, 40, permits);
        assert!(wide(Compare::Eq, true) && !wide(Compare::Eq, false));
        assert!(!wide(Compare::Ne, true) && wide(Compare::Ne, false));
        assert!(read(Compare::Ne, 1 << 40, true));
    }
}
