//! Capabilities: the parts that root's power is split into (capabilities(7)).
//!
//! The kernel shows a process's sets as bit masks in /proc/PID/status; here is
//! which bit has which name.

/// The names, by number (include/uapi/linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The highest number that has a name here (Linux 5.9 and later).
pub const LAST: u8 = NAMES.len() as u8 - 1;

/// The name of a capability.
pub fn name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

/// The number of a capability, with or without `CAP_`, in any case.
pub fn number(name: &str) -> Option<u8> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let position = NAMES.iter().position(|name| name.strip_prefix("CAP_") == Some(bare))?;
    u8::try_from(position).ok()
}

/// Every capability that this kernel has, and whether it is in the bounding
/// set of this process: what is not can never come back.
pub fn bounding() -> Vec<(&'static str, bool)> {
    let one = |number: u8| {
        let set = rustix::thread::CapabilitySet::from_bits_retain(1 << number);
        Some((name(number)?, rustix::thread::capability_is_in_bounding_set(set).ok()?))
    };
    (0..=LAST).map_while(one).collect()
}

/// A set as /proc/PID/status writes it: sixteen hexadecimal digits.
pub fn parse(hexadecimal: &str) -> Option<u64> {
    u64::from_str_radix(hexadecimal.trim(), 16).ok()
}

/// The names in a set; a bit newer than this table as its number.
pub fn names(set: u64) -> Vec<String> {
    let member = |number: &u8| set & (1 << number) != 0;
    let named = |number: u8| name(number).map_or_else(|| format!("CAP_{number}"), str::to_owned);
    (0..64).filter(member).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_kernel() {
        assert_eq!(name(21), Some("CAP_SYS_ADMIN"));
        assert_eq!(name(LAST), Some("CAP_CHECKPOINT_RESTORE"));
        assert_eq!(name(LAST + 1), None);
        assert_eq!(number("net_raw"), Some(13));
        assert_eq!(number("CAP_NET_RAW"), Some(13));
        assert_eq!(number("CAP_"), None);
        for bit in 0..=LAST {
            assert_eq!(name(bit).and_then(number), Some(bit));
        }
    }

    #[test]
    fn dockers_default_set_has_fourteen_names() {
        let set = parse("00000000a80425fb").expect("hexadecimal");
        let names = names(set);
        assert_eq!(names.len(), 14);
        assert!(names.iter().any(|name| name == "CAP_AUDIT_WRITE"));
        assert_eq!(super::names(1 << 50), ["CAP_50"]);
    }
}
