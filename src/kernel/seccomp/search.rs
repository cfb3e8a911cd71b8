//! The short way through a filter: the kernel asks it before each call of a
//! container, and, as it is loaded, once for every call there is. Most calls
//! are allowed whatever their arguments are, and their numbers lie side by
//! side: a binary search over some sixty ranges finds them, where a comparison
//! for each would take three hundred.

use seccompiler::{BpfProgram, SeccompAction, sock_filter};

/// Instructions as linux/bpf_common.h spells them.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_ABOVE: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const ANSWER: u16 = 0x06;

/// Where the number and the architecture of the call are (struct seccomp_data).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// A jump behind this program, whose distance is known when it is whole.
const BEHIND: u32 = u32::MAX;

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Answers `matched` to these calls of this architecture; to all else what
/// follows is to find an answer. The numbers are in order.
pub fn search(numbers: &[u32], audit_arch: u32, matched: SeccompAction) -> BpfProgram {
    let ranges = ranges(numbers);
    if ranges.is_empty() {
        return Vec::new();
    }
    let mut program = vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(IF_EQUAL, 1, 0, audit_arch),
        instruction(JUMP, 0, 0, BEHIND),
        instruction(LOAD, 0, 0, NUMBER),
    ];
    program.extend(tree(&ranges, matched.into()));
    let length = program.len();
    for (at, instruction) in program.iter_mut().enumerate() {
        if instruction.code == JUMP && instruction.k == BEHIND {
            instruction.k = u32::try_from(length - at - 1).unwrap_or(BEHIND);
        }
    }
    program
}

/// First and last of each run of numbers.
fn ranges(numbers: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    ranges
}

fn tree(ranges: &[(u32, u32)], answer: u32) -> BpfProgram {
    if let [(first, last)] = ranges {
        return vec![
            instruction(IF_ABOVE, 1, 0, *last),
            instruction(IF_AT_LEAST, 1, 0, *first),
            instruction(JUMP, 0, 0, BEHIND),
            instruction(ANSWER, 0, 0, answer),
        ];
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let below = tree(low, answer);
    let distance = u32::try_from(below.len()).unwrap_or(BEHIND);
    let mut program = vec![
        instruction(IF_AT_LEAST, 0, 1, high[0].0),
        instruction(JUMP, 0, 0, distance), // a conditional jump reaches 255 instructions at most
    ];
    program.extend(below);
    program.extend(tree(high, answer));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_one_range() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), [(0, 2), (5, 5), (7, 8)]);
        assert_eq!(ranges(&[]), []);
    }
}
