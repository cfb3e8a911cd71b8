//! System calls by name: filters know numbers only, and each architecture has
//! its own.

use std::sync::LazyLock;

use seccompiler::TargetArch;

/// Name, number on x86_64, number on aarch64; by name.
const TABLE: &str = include_str!("../../../assets/syscalls.txt");

/// Its lines. Of most no number is ever asked, so none is read before it is.
static LINES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
});

fn name(line: &'static str) -> &'static str {
    line.split(' ').next().unwrap_or(line)
}

fn line(wanted: &str) -> Option<&'static str> {
    LINES.binary_search_by_key(&wanted, |line| name(line)).ok().map(|at| LINES[at])
}

fn number_in(line: &str, arch: TargetArch) -> Option<i64> {
    let column = match arch {
        TargetArch::x86_64 => 1,
        TargetArch::aarch64 => 2,
        _ => return None,
    };
    line.split(' ').nth(column)?.parse().ok()
}

/// The number of a call on this architecture.
pub fn number(name: &str, arch: TargetArch) -> Option<i64> {
    number_in(line(name)?, arch)
}

/// The highest number on the list: of calls above it nothing is known.
pub fn newest(arch: TargetArch) -> u32 {
    let numbers = LINES.iter().filter_map(|line| number_in(line, arch));
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
    let known = |name: &str| line(name).is_some();
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
        assert!(LINES.is_sorted_by_key(|line| name(line)) && LINES.len() > 370);
    }

    #[test]
    fn calls_of_other_machines_are_known_as_such() {
        for name in ["chown32", "socketcall", "clock_gettime64", "futex_time64", "open"] {
            assert!(elsewhere(name), "{name}");
        }
        assert!(!elsewhere("opne"));
    }
}
