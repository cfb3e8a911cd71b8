//! The older iptables (iptables-legacy(8)), beside nf_tables on the same hooks: its rules
//! are told by a socket option, not over netlink (linux/netfilter_ipv4/ip_tables.h).

use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};

use super::socket::number;
use crate::kernel::raw;

/// The tables there are. One that is asked for and is not there would be made.
const TABLES: &str = "/proc/thread-self/net/ip_tables_names";
const IPT_SO_GET_INFO: i32 = 64;
const IPT_SO_GET_ENTRIES: i32 = 65;
/// `struct ipt_getinfo`: name, valid hooks, where each hook's chain begins, where
/// its policy is, how many entries, their size.
const INFO: usize = 84;
const POLICIES: usize = 32 + 4 + 5 * 4;
/// `struct ipt_get_entries`: name, size, then the entries.
const ENTRIES: usize = 40;
/// linux/netfilter.h: the hook of what passes between two interfaces.
const FORWARD: usize = 2;
/// More than any table that somebody still uses.
const LARGEST: usize = 64 << 20;

/// The table `filter`.
#[derive(Debug)]
pub(super) struct Filter {
    /// Whether it drops what is passed on and no rule is about.
    pub drops_forwarded: bool,
    entries: Vec<u8>,
}

impl Filter {
    /// The one of the network namespace that this thread is in, where there is one
    /// and it may be read (as root).
    pub fn read() -> Option<Self> {
        let tables = std::fs::read_to_string(TABLES).ok()?;
        if !tables.lines().any(|name| name == "filter") {
            return None;
        }
        let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
        let socket = socket_with(AddressFamily::INET, kind, flags, Some(ipproto::RAW)).ok()?;
        // It may change between the two questions.
        (0..3).find_map(|_| Self::ask(&socket))
    }

    fn ask(socket: impl AsFd) -> Option<Self> {
        let named = |length| {
            let mut buffer = vec![0; length];
            buffer[..6].copy_from_slice(b"filter");
            buffer
        };
        let mut info = named(INFO);
        raw::ip_option(&socket, IPT_SO_GET_INFO, &mut info).ok()?;
        let size = number(&info, INFO - 4)?;
        let policy = usize::try_from(number(&info, POLICIES + 4 * FORWARD)?).ok()?;
        let length = usize::try_from(size).ok().filter(|size| *size <= LARGEST)?;
        let mut answer = named(ENTRIES + length);
        answer[32..36].copy_from_slice(&size.to_ne_bytes());
        raw::ip_option(&socket, IPT_SO_GET_ENTRIES, &mut answer).ok()?;
        let entries = answer.split_off(ENTRIES);
        Some(Self { drops_forwarded: drops(&entries, policy)?, entries })
    }

    /// Whether a rule or a chain has this name in it, an interface's or its own.
    pub fn names(&self, word: &str) -> bool {
        let wanted = [word.as_bytes(), &[0]].concat();
        self.entries.windows(wanted.len()).any(|bytes| bytes == wanted)
    }
}

/// Whether the rule at this place says DROP: `struct ipt_entry` tells where its
/// target is, `struct xt_standard_target` the verdict, -1 for NF_DROP.
fn drops(entries: &[u8], rule: usize) -> Option<bool> {
    let [a, b, ..] = number(entries, rule.checked_add(88)?)?.to_ne_bytes();
    let target = rule.checked_add(u16::from_ne_bytes([a, b]).into())?;
    Some(number(entries, target.checked_add(32)?)?.cast_signed() == -1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_found_and_a_torn_answer_is_none() {
        let mut entries = vec![0; 152 * 2];
        entries[152 + 88..][..2].copy_from_slice(&112_u16.to_ne_bytes());
        entries[152 + 112 + 32..][..4].copy_from_slice(&(-1_i32).to_ne_bytes());
        assert_eq!(drops(&entries, 152), Some(true));
        entries[152 + 112 + 32..][..4].copy_from_slice(&(-2_i32).to_ne_bytes());
        assert_eq!(drops(&entries, 152), Some(false));
        assert_eq!((drops(&entries[..290], 152), drops(&entries, usize::MAX)), (None, None));
    }
}
