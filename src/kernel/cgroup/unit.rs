//! What a control file's value means: its unit, and the same in words.

/// How the value of a control file reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, or `max`.
    Bytes,
    /// A number of things, or `max`.
    Count,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
    /// Clock ticks, a hundred a second.
    Ticks,
    /// `QUOTA PERIOD` of cpu.max, in microseconds.
    Quota,
    /// 100 is ordinary.
    Weight,
    /// 1024 is ordinary.
    Shares,
    /// 0 or 1.
    Flag,
    /// Names or ranges.
    List,
    /// Pids, one a line.
    Pids,
    /// Pressure stall information.
    Pressure,
    /// `MAJOR:MINOR key=value ...`, one device a line.
    Devices,
    /// `KEY VALUE`, one a line.
    Keyed,
    /// A table of its own.
    Lines,
    /// Whatever it says.
    Text,
}

impl Unit {
    /// By its name in assets/cgroup-files.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bytes" => Self::Bytes,
            "count" => Self::Count,
            "us" => Self::Us,
            "ns" => Self::Ns,
            "ticks" => Self::Ticks,
            "quota" => Self::Quota,
            "weight" => Self::Weight,
            "shares" => Self::Shares,
            "flag" => Self::Flag,
            "list" => Self::List,
            "pids" => Self::Pids,
            "pressure" => Self::Pressure,
            "devices" => Self::Devices,
            "keyed" => Self::Keyed,
            "lines" => Self::Lines,
            "text" => Self::Text,
            _ => return None,
        })
    }

    /// A value in words.
    pub fn words(self, value: &str) -> String {
        let value = value.trim();
        let number = value.parse::<u64>().ok();
        match (self, number) {
            (Self::Bytes | Self::Count | Self::Us, _) if matches!(value, "max" | "-1") => {
                "no limit".to_owned()
            }
            (Self::Bytes, Some(number)) => bytes(number),
            (Self::Us, Some(number)) => time(number.saturating_mul(1000)),
            (Self::Ns, Some(number)) => time(number),
            (Self::Ticks, Some(number)) => time(number.saturating_mul(10_000_000)),
            (Self::Quota, _) => quota(value),
            (Self::Weight, Some(number)) => against(number, 100),
            (Self::Shares, Some(number)) => against(number, 1024),
            (Self::Flag, Some(0)) => "no".to_owned(),
            (Self::Flag, Some(1)) => "yes".to_owned(),
            (Self::Pids, _) => match value.lines().count() {
                1 => "1".to_owned(),
                many => many.to_string(),
            },
            (Self::Pressure, _) => pressure(value),
            (Self::List | Self::Devices, _) if value.is_empty() => "none".to_owned(),
            _ => value.lines().collect::<Vec<_>>().join("; "),
        }
    }
}

/// What v1 says for "no limit": the largest multiple of a page.
const V1_MAX: u64 = 0x7fff_ffff_ffff_0000;

/// Bytes as people say them: `64 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    if number >= V1_MAX {
        return "no limit".to_owned();
    }
    let mut unit = 0;
    let mut value = number as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

/// Nanoseconds as people say them: `12.5 s`, `40 ms`.
pub fn time(ns: u64) -> String {
    let text = |value: f64, unit: &str| {
        let digits = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
        let digits = match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => digits,
        };
        format!("{digits} {unit}")
    };
    match ns {
        0 => "0 s".to_owned(),
        1..1_000_000 => text(ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => text(ns as f64 / 1e6, "ms"),
        1_000_000_000..60_000_000_000 => text(ns as f64 / 1e9, "s"),
        _ => format!("{} min {} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60),
    }
}

fn quota(value: &str) -> String {
    let Some((quota, period)) = value.split_once(' ') else { return value.to_owned() };
    match (quota.parse::<u64>(), period.parse::<u64>()) {
        (Ok(quota), Ok(period)) if period > 0 => cpus(quota, period),
        _ => "no limit".to_owned(),
    }
}

/// `0.2 CPUs: 20 ms in every 100 ms`
pub fn cpus(quota_us: u64, period_us: u64) -> String {
    let share = quota_us as f64 / period_us.max(1) as f64;
    let share = format!("{share:.3}");
    let share = share.trim_end_matches('0').trim_end_matches('.');
    let unit = if share == "1" { "CPU" } else { "CPUs" };
    format!("{share} {unit}: {} in every {}", time(quota_us * 1000), time(period_us * 1000))
}

fn against(number: u64, ordinary: u64) -> String {
    match number == ordinary {
        true => format!("{number}, ordinary"),
        false => {
            format!("{number}, {:.2} of an ordinary group", number as f64 / ordinary as f64)
        }
    }
}

/// `some avg10=1.50 ...`: in the last ten seconds, so much of the time.
fn pressure(value: &str) -> String {
    let line = value.lines().find(|line| line.starts_with("some ") || line.starts_with("full "));
    let field = |line: &str, name: &str| {
        let found = line.split_whitespace().find_map(|field| field.strip_prefix(name));
        found.unwrap_or("?").to_owned()
    };
    match line {
        None => "not measured".to_owned(),
        Some(line) => {
            let total =
                field(line, "total=").parse().map_or("?".to_owned(), |us: u64| time(us * 1000));
            format!("{} % of the last 10 s, {total} in all", field(line, "avg10="))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_in_words() {
        for (unit, value, words) in [
            (Unit::Bytes, "67108864\n", "64 MiB"),
            (Unit::Bytes, "max", "no limit"),
            (Unit::Bytes, "9223372036854771712", "no limit"),
            (Unit::Bytes, "0", "0 bytes"),
            (Unit::Quota, "20000 100000", "0.2 CPUs: 20 ms in every 100 ms"),
            (Unit::Quota, "max 100000", "no limit"),
            (Unit::Us, "-1", "no limit"),
            (Unit::Us, "1500000", "1.5 s"),
            (Unit::Ns, "0", "0 s"),
            (Unit::Ns, "125000000000", "2 min 5 s"),
            (Unit::Shares, "1024", "1024, ordinary"),
            (Unit::Weight, "50", "50, 0.50 of an ordinary group"),
            (Unit::Flag, "1", "yes"),
            (Unit::Pids, "1\n2\n", "2"),
            (Unit::Pids, "", "0"),
            (
                Unit::Pressure,
                "some avg10=1.50 avg60=0.10 avg300=0.00 total=2000000\nfull avg10=0",
                "1.50 % of the last 10 s, 2 s in all",
            ),
            (Unit::Pressure, "", "not measured"),
        ] {
            assert_eq!(unit.words(value), words, "{unit:?} {value}");
        }
    }
}
