//! What flags say of limits: sizes, CPUs, devices.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;

use crate::cli::Global;
use crate::cli::cgroup::Limit;
use crate::cli::run::LimitFlags;
use crate::error::{Error, Exit, Result};
use crate::kernel::cgroup::Quota;
use crate::kernel::cgroup::limit::{Io, Limits, Rate, must_ask_systemd};
use crate::step::Step;
use crate::ui::Screen;

/// The period of a quota, in microseconds: what docker takes.
const PERIOD: u64 = 100_000;

/// What `cgroup limit` asks for.
pub fn of_limit(args: &Limit) -> Result<Limits> {
    let mut limits = Limits {
        cpu: args.cpus.as_deref().map(cpus).transpose()?,
        weight: args.cpu_weight,
        shares: None,
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

/// What `run` asks for, with docker's flags.
pub fn of_run(flags: &LimitFlags) -> Result<Limits> {
    let memory = flags.memory.as_deref().map(|text| size(text, "--memory")).transpose()?;
    let both = flags.memory_swap.as_deref().filter(|text| *text != "-1");
    let both = both.map(|text| size(text, "--memory-swap")).transpose()?;
    let swap = both.zip(memory).map(|(both, memory)| {
        both.checked_sub(memory).ok_or_else(|| {
            Error::usage("--memory-swap is less than --memory")
                .hint("It is the sum of both: --memory 64M --memory-swap 64M means no swap.")
        })
    });
    let mut limits = Limits {
        cpu: flags.cpus.as_deref().map(cpus).transpose()?,
        shares: flags.cpu_shares,
        memory,
        swap: swap.transpose()?,
        pids: flags.pids_limit.and_then(|pids| u64::try_from(pids).ok()).filter(|pids| *pids > 0),
        cpuset: flags.cpuset_cpus.clone(),
        ..Limits::default()
    };
    for (given, what, flag) in [
        (&flags.device_read_bps, Rate::ReadBytes, "--device-read-bps"),
        (&flags.device_write_bps, Rate::WriteBytes, "--device-write-bps"),
        (&flags.device_read_iops, Rate::Reads, "--device-read-iops"),
        (&flags.device_write_iops, Rate::Writes, "--device-write-iops"),
    ] {
        for text in given {
            limits.io.push(io(text, ':', what, flag)?);
        }
    }
    Ok(limits)
}

/// Set in the process that systemd has given a group of its own.
const ASKED: &str = "UTH_ASKED_SYSTEMD";

/// Whether an ordinary user has to ask systemd for a group first, and has not.
pub fn must_ask() -> bool {
    must_ask_systemd() && std::env::var_os(ASKED).is_none()
}

/// An ordinary user's group has to come from systemd's user manager: a scope
/// that is delegated, in which this same command line runs again.
pub fn ask_systemd(weight: Option<u64>, global: &Global, screen: &mut Screen) -> Result<u8> {
    let program = std::env::current_exe()
        .map_err(|error| Error::io("readlink(\"/proc/self/exe\")", &error))?;
    // A weight counts among neighbours, and ours are the manager's other scopes.
    let weight = weight.map(|weight| format!("CPUWeight={weight}"));
    let weight: Vec<_> = weight.iter().flat_map(|weight| ["-p", weight]).collect();
    let manager = ["--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes"];
    let manager = [&manager[..], &weight, &["--"]].concat();
    if global.dry_run {
        let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--dry-run").collect();
        let (manager, words) = (manager.join(" "), words.join(" "));
        let line = format!("systemd-run {manager} {} {words}", program.display());
        let why =
            "your shell's group is not delegated to you; systemd's user manager makes one that is";
        let call = "execve(\"systemd-run\", [\"--user\", \"--scope\", ...])";
        return screen.plan(&[Step::new(call, why).shell(line)]).map(|()| 0);
    }
    screen.note(
        "Your shell's cgroup is not delegated to you, so systemd's user manager is asked for one \
         (systemd-run --user --scope -p Delegate=yes).",
    );
    let error = std::process::Command::new("systemd-run")
        .args(manager)
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(ASKED, "1")
        .exec();
    Err(Error::io("execve(\"systemd-run\")", &error)
        .hint("It is in the package systemd. As root this works without it: use sudo.")
        .exit(Exit::CannotRun))
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
