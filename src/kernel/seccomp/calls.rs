//! System calls by name: filters know numbers only, and each architecture has
//! its own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use seccompiler::TargetArch;

/// Name, number on x86_64, number on aarch64.
const TABLE: &str = include_str!("../../../assets/syscalls.txt");

type Numbers = BTreeMap<&'static str, [Option<i64>; 2]>;

static NUMBERS: LazyLock<Numbers> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| !name.starts_with('#'))?;
        let mut number = || words.next()?.parse().ok();
        Some((name, [number(), number()]))
    };
    TABLE.lines().filter_map(line).collect()
});

/// The number of a call on this architecture.
pub fn number(name: &str, arch: TargetArch) -> Option<i64> {
    let column = match arch {
        TargetArch::x86_64 => 0,
        TargetArch::aarch64 => 1,
        _ => return None,
    };
    NUMBERS.get(name)?[column]
}

/// The highest number on the list: of calls above it nothing is known.
pub fn newest(arch: TargetArch) -> u32 {
    let numbers = NUMBERS.keys().filter_map(|name| number(name, arch));
    numbers.max().and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

/// Whether another architecture has a call of this name, or had it when
/// numbers were 32 bits wide.
pub fn elsewhere(name: &str) -> bool {
    const BEGINNINGS: [&str; 4] = ["arm_", "s390_", "riscv_", "spu_"];
    const OLD: &str = "_llseek _newselect bdflush breakpoint cacheflush idle ipc mmap2 nice oldfstat \
        oldlstat oldolduname oldstat olduname recv send set_tls sgetmask sigaction signal sigpending \
        sigprocmask sigreturn sigsuspend socketcall ssetmask stime swapcontext sync_file_range2 \
        ugetrlimit umount usr26 usr32 vm86 vm86old waitpid fadvise64_64 fstatat64 sendfile64";
    let known = |name: &str| NUMBERS.contains_key(name);
    let wider =
        name.strip_suffix("_time64").or(name.strip_suffix("64")).or(name.strip_suffix("32"));
    known(name)
        || wider.is_some_and(known)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || OLD.split_whitespace().any(|old| old == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernel() {
        assert_eq!(number("read", TargetArch::x86_64), Some(0));
        assert_eq!(number("read", TargetArch::aarch64), Some(63));
        assert_eq!(number("open", TargetArch::aarch64), None);
        assert_eq!(number("no_such_call", TargetArch::x86_64), None);
        let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
        for (name, known) in [
            ("mount", libc::SYS_mount),
            ("clone3", libc::SYS_clone3),
            ("renameat", libc::SYS_renameat),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
        ] {
            assert_eq!(number(name, arch), Some(known), "{name}");
        }
    }

    #[test]
    fn calls_of_other_machines_are_known_as_such() {
        for name in ["chown32", "socketcall", "clock_gettime64", "futex_time64", "open"] {
            assert!(elsewhere(name), "{name}");
        }
        assert!(!elsewhere("opne"));
    }
}
