//! System calls by name: filters know numbers only, and each architecture has
//! its own.

use std::sync::LazyLock;

use seccompiler::TargetArch;

/// Name, number on x86_64, number on aarch64; by name.
const TABLE: &str = include_str!("../../../assets/syscalls.txt");

/// Each name with what follows it. Of most no number is ever asked, so none is read before it is.
static LINES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

fn numbers(name: &str) -> Option<&'static str> {
    LINES.binary_search_by_key(&name, |(known, _)| known).ok().map(|at| LINES[at].1)
}

fn of(numbers: &str, arch: TargetArch) -> Option<i64> {
    let (x86_64, aarch64) = numbers.split_once(' ')?;
    match arch {
        TargetArch::x86_64 => x86_64.parse().ok(),
        TargetArch::aarch64 => aarch64.parse().ok(),
        _ => None,
    }
}

/// The number of a call on this architecture.
pub fn number(name: &str, arch: TargetArch) -> Option<i64> {
    of(numbers(name)?, arch)
}

/// The highest number on the list: of calls above it nothing is known.
pub fn newest(arch: TargetArch) -> u32 {
    let numbers = LINES.iter().filter_map(|(_, numbers)| of(numbers, arch));
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
    let known = |name: &str| numbers(name).is_some();
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

    /// Names are found by halving.
    #[test]
    fn the_table_is_in_order() {
        assert!(LINES.is_sorted_by_key(|(name, _)| name) && LINES.len() > 370);
    }

    #[test]
    fn calls_of_other_machines_are_known_as_such() {
        for name in ["chown32", "socketcall", "clock_gettime64", "futex_time64", "open"] {
            assert!(elsewhere(name), "{name}");
        }
        assert!(!elsewhere("opne"));
    }
}
