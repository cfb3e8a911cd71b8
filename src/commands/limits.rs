//! What flags say of limits: sizes, CPUs, devices.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::cli::cgroup::Limit;
use crate::error::{Error, Result};
use crate::kernel::cgroup::Quota;
use crate::kernel::cgroup::limit::{Io, Limits, Rate};

/// The period of a quota, in microseconds: what docker takes.
const PERIOD: u64 = 100_000;

/// What `cgroup limit` asks for.
pub fn of_limit(args: &Limit) -> Result<Limits> {
    let mut limits = Limits {
        cpu: args.cpus.as_deref().map(cpus).transpose()?,
        weight: args.cpu_weight,
        memory: args.memory.as_deref().map(|text| size(text, "--memory")).transpose()?,
        swap: args.swap.as_deref().map(|text| size(text, "--swap")).transpose()?,
        pids: args.pids,
        cpuset: args.cpuset.clone(),
        io: Vec::new(),
    };
    for (given, what, flag) in [
        (&args.io_read, Rate::ReadBytes, "--io-read"),
        (&args.io_write, Rate::WriteBytes, "--io-write"),
    ] {
        for text in given {
            limits.io.push(io(text, '=', what, flag)?);
        }
    }
    Ok(limits)
}

/// `0.2`: a share of one CPU, or several.
pub fn cpus(text: &str) -> Result<Quota> {
    let share: Option<f64> = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    let share = share.ok_or_else(|| {
        Error::usage(format!("--cpus {text}")).hint("A number of CPUs above 0, as 0.2 or 1.5.")
    })?;
    let quota = (share * PERIOD as f64).round() as u64;
    if quota < 1000 {
        return Err(Error::usage(format!("--cpus {text}"))
            .hint("The kernel takes no quota below a millisecond: 0.01 is the least."));
    }
    Ok(Quota { quota: Some(quota), period: PERIOD })
}

/// `64M`, `1.5g`, `4096`: bytes; K, M, G are powers of 1024, as docker's.
pub fn size(text: &str, flag: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, factor) = match number.char_indices().last() {
        Some((at, 'k')) => (&number[..at], 1_u64 << 10),
        Some((at, 'm')) => (&number[..at], 1 << 20),
        Some((at, 'g')) => (&number[..at], 1 << 30),
        Some((at, 't')) => (&number[..at], 1 << 40),
        _ => (number, 1),
    };
    let value: Option<f64> = digits.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    let value = value.map(|value| value * factor as f64).filter(|bytes| *bytes < 9e18);
    value.map(|bytes| bytes as u64).ok_or_else(|| {
        Error::usage(format!("{flag} {text}"))
            .hint("A number of bytes, with K, M or G behind it if you like: 64M.")
    })
}

/// `/dev/sda=10M`, or with docker's colon.
pub fn io(text: &str, between: char, what: Rate, flag: &str) -> Result<Io> {
    let usage = || {
        Error::usage(format!("{flag} {text}"))
            .hint(format!("A device and a rate: /dev/sda{between}10M, or 8:0{between}10M."))
    };
    let (device, rate) = text.rsplit_once(between).ok_or_else(usage)?;
    let rate = size(rate, flag)?;
    let numbers = device.split_once(':').filter(|(major, minor)| {
        [major, minor].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    if numbers.is_some() {
        return Ok(Io { device: device.to_owned(), what, rate });
    }
    let metadata = std::fs::metadata(device).ok().filter(|m| m.file_type().is_block_device());
    let number = metadata.ok_or_else(usage)?.rdev();
    let device = format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number));
    Ok(Io { device, what, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64M", 64 << 20),
            ("64mb", 64 << 20),
            ("1.5g", 3 << 29),
            ("2KiB", 2048),
            ("0", 0),
        ] {
            assert_eq!(size(text, "--memory").expect(text), bytes);
        }
        for text in ["", "M", "-1", "many", "1e400"] {
            assert!(size(text, "--memory").is_err(), "{text}");
        }
    }

    #[test]
    fn cpus_become_a_quota() {
        assert_eq!(cpus("0.2").expect("a quota").quota, Some(20_000));
        assert_eq!(cpus("1.5").expect("a quota").quota, Some(150_000));
        assert!(cpus("0").is_err() && cpus("-1").is_err() && cpus("0.001").is_err());
    }

    #[test]
    fn devices_are_numbers_in_the_end() {
        let found = io("8:0=10M", '=', Rate::ReadBytes, "--io-read").expect("a device");
        assert_eq!((found.device.as_str(), found.rate), ("8:0", 10 << 20));
        assert!(io("/dev/null=1M", '=', Rate::ReadBytes, "--io-read").is_err());
        assert!(io("8:0", '=', Rate::ReadBytes, "--io-read").is_err());
    }
}
