//! System calls by name: filters know numbers only, and each architecture has
//! its own.

use seccompiler::TargetArch;

use super::table::CALLS;

fn numbers(name: &str) -> Option<(i16, i16)> {
    let at = CALLS.binary_search_by_key(&name, |(known, ..)| known).ok()?;
    Some((CALLS[at].1, CALLS[at].2))
}

fn of((x86_64, aarch64): (i16, i16), arch: TargetArch) -> Option<i16> {
    match arch {
        TargetArch::x86_64 => Some(x86_64),
        TargetArch::aarch64 => Some(aarch64),
        _ => None,
    }
    .filter(|number| *number >= 0)
}

/// The number of a call on this architecture.
pub fn number(name: &str, arch: TargetArch) -> Option<i64> {
    of(numbers(name)?, arch).map(i64::from)
}

/// The highest number on the list: of calls above it nothing is known.
pub fn newest(arch: TargetArch) -> u32 {
    let numbers = CALLS.iter().filter_map(|(_, x86_64, aarch64)| of((*x86_64, *aarch64), arch));
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
        assert!(CALLS.is_sorted_by_key(|(name, ..)| name) && CALLS.len() > 370);
    }

    #[test]
    fn calls_of_other_machines_are_known_as_such() {
        for name in ["chown32", "socketcall", "clock_gettime64", "futex_time64", "open"] {
            assert!(elsewhere(name), "{name}");
        }
        assert!(!elsewhere("opne"));
    }
}
