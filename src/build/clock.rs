//! What time it is for a build: now, or what `SOURCE_DATE_EPOCH` says, so that the
//! same sources give the same bytes (https://reproducible-builds.org/specs/source-date-epoch/).

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// The time of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub epoch: Option<i64>,
}

impl Clock {
    /// As the environment has it.
    pub fn from_environment() -> Result<Self> {
        let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty())
        else {
            return Ok(Self { epoch: None });
        };
        let epoch = text.to_str().and_then(|text| text.parse::<u32>().ok()).map(i64::from);
        match epoch {
            Some(_) => Ok(Self { epoch }),
            None => Err(Error::usage(format!("SOURCE_DATE_EPOCH={}", text.to_string_lossy()))
                .said("it is no number of seconds since 1970")
                .hint("`git log -1 --format=%ct` prints that of the last commit.")),
        }
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.epoch.unwrap_or_else(|| since.as_secs().try_into().unwrap_or(i64::MAX))
    }

    /// The same as RFC 3339 writes it: with nanoseconds where it is really now.
    pub fn text(self) -> String {
        match self.epoch {
            Some(epoch) => format!("{}Z", date(epoch)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let seconds = since.as_secs().try_into().unwrap_or(i64::MAX);
                format!("{}.{:09}Z", date(seconds), since.subsec_nanos())
            }
        }
    }
}

/// `2024-02-29T12:00:00`, by the Gregorian calendar.
pub fn date(seconds: i64) -> String {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is the last of one.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + next;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_208_000, "2024-02-29T12:00:00"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (-1, "1969-12-31T23:59:59"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
