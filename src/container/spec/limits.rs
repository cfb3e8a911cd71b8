//! `--ulimit NAME=SOFT[:HARD]` and `--oom-score-adj N`.

use crate::container::spec::usage;
use crate::error::Result;
use crate::kernel::limits::{Limit, names};

/// The limits asked for; of two for the same thing the later one counts.
pub fn limits(given: &[String]) -> Result<Vec<Limit>> {
    let mut limits: Vec<Limit> = Vec::new();
    for given in given {
        let limit = limit(given)?;
        limits.retain(|present| present.name != limit.name);
        limits.push(limit);
    }
    Ok(limits)
}

fn limit(given: &str) -> Result<Limit> {
    let wrong = |why: String| usage(format!("--ulimit {given}: {why}"));
    let Some((name, values)) = given.split_once('=') else {
        return Err(wrong("it has the form NAME=SOFT[:HARD]".to_owned()));
    };
    if !names().any(|known| known == name) {
        let known: Vec<_> = names().collect();
        return Err(wrong(format!("there is no limit {name:?}"))
            .hint(format!("There are {}.", known.join(", "))));
    }
    let number = |text: &str| match text {
        "-1" | "unlimited" => Ok(None),
        // The largest number of all is how the kernel writes "unlimited".
        _ => match text.parse::<u64>().ok().filter(|n| *n != u64::MAX && !text.starts_with('+')) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(format!("{text:?} is no number (-1: unlimited)"))),
        },
    };
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(values)?, number(values)?),
    };
    let above = match (soft, hard) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(soft), Some(hard)) => soft > hard,
    };
    match above {
        true => Err(wrong("the soft limit is over the hard one".to_owned())),
        false => Ok(Limit { name: name.to_owned(), soft, hard }),
    }
}

/// A score that the kernel takes.
pub fn oom_score(given: &str) -> Result<i32> {
    given
        .parse()
        .ok()
        .filter(|score| (-1000..=1000).contains(score))
        .ok_or_else(|| usage(format!("--oom-score-adj {given}: scores go from -1000 to 1000")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn limits_are_exact() {
        let of = |given: &str| limit(given).map(|limit| (limit.soft, limit.hard));
        assert_eq!(of("nofile=64").unwrap(), (Some(64), Some(64)));
        assert_eq!(of("nofile=64:128").unwrap(), (Some(64), Some(128)));
        assert_eq!(of("core=0:-1").unwrap(), (Some(0), None));
        assert_eq!(of("stack=unlimited").unwrap(), (None, None));
        for wrong in [
            "",
            "nofile",
            "nofile=",
            "nofile=x",
            "nofile=2:1",
            "nofile=-1:5",
            "nofile=-2",
            "files=1",
            "NOFILE=1",
            "nofile=18446744073709551615",
            "nofile=18446744073709551616",
            "nofile=1:2:3",
            "nofile=+1",
            "nofile= 1",
        ] {
            assert_eq!(of(wrong).unwrap_err().exit, Exit::Engine, "{wrong}");
        }
        let twice = ["cpu=1".to_owned(), "core=0".to_owned(), "cpu=2".to_owned()];
        let names: Vec<_> =
            limits(&twice).unwrap().into_iter().map(|one| (one.name, one.soft)).collect();
        assert_eq!(names, [("core".to_owned(), Some(0)), ("cpu".to_owned(), Some(2))]);
        assert_eq!(oom_score("-1000").unwrap(), -1000);
        for wrong in ["-1001", "1001", "", "x", "4294967296"] {
            assert!(oom_score(wrong).is_err(), "{wrong}");
        }
    }
}
