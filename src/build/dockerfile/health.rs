//! `HEALTHCHECK`.

use super::ast::{Healthcheck, Line};
use super::instruction::{Reading, Statement};
use super::part::Wrong;

/// What `HEALTHCHECK` can be told.
pub const FLAGS: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];

/// `HEALTHCHECK NONE`, or `HEALTHCHECK [--…] CMD command`.
pub fn healthcheck(
    statement: &Statement<'_>,
    reading: &mut Reading<'_>,
) -> Result<Healthcheck, Wrong> {
    let (kind, rest) = statement.args.first_word();
    let flags = &statement.flags;
    match kind.text.to_ascii_uppercase().as_str() {
        "" => Err(statement.written.wrong("HEALTHCHECK needs CMD and a command, or NONE")),
        "NONE" if rest.text.is_empty() => Ok(Healthcheck::None),
        "NONE" => Err(rest.wrong("HEALTHCHECK NONE takes no arguments")),
        "CMD" => {
            let test = match rest.text {
                "" => return Err(kind.wrong("a command is missing behind HEALTHCHECK CMD")),
                _ => statement.line(rest, reading)?,
            };
            if test == Line::Exec(Vec::new()) {
                return Err(rest.wrong("a command is missing behind HEALTHCHECK CMD"));
            }
            let retries = flags.value("retries")?.unwrap_or_else(|| "0".to_owned());
            let retries =
                retries.parse::<i32>().ok().and_then(|retries| u32::try_from(retries).ok());
            let wrong = || flags.wrong("retries", "--retries is a number from 0 on");
            Ok(Healthcheck::Cmd {
                test,
                interval: flags.duration("interval")?,
                timeout: flags.duration("timeout")?,
                start_period: flags.duration("start-period")?,
                start_interval: flags.duration("start-interval")?,
                retries: retries.ok_or_else(wrong)?,
            })
        }
        _ => {
            let wrong = kind.wrong(format!("HEALTHCHECK has CMD or NONE, not {}", kind.text));
            Err(wrong.hint("Such as HEALTHCHECK --interval=30s CMD curl -f http://localhost/."))
        }
    }
}
